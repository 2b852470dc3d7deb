"""Pictures of what a network looks at in an image, and of what its layers make of it."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.metrics.metrics import Array
from common.report.plots import drawable, figure_style, hide_frame, short
from labs.classification.look.explanation import Explanation, Filters
from labs.classification.look.rollout import Rollout

_SIDE = 2.1  # inches of a panel
_SMALL = 1.0  # of a map, or of a kernel
_PANEL, _MOST_PANELS = 1.6, 5  # inches of a panel of attention, and how many stand in a row
_NAME = 16  # letters of a class name
_OUTLIERS = 99.5  # percentile at which the colors of single pixels end


def short_class(name: str) -> str:
    """Return a class name as the pictures write it."""
    return short(drawable(name), _NAME)


@figure_style()
def readings(each: Explanation) -> Figure:
    """Draw what speaks for the guess and, where that is wrong, for the right class below it.

    Red is for the class, blue against it; each way of asking has one scale for both classes.
    """
    rows = each.readings
    columns = {
        "Grad-CAM": [row.grad_cam for row in rows if row.grad_cam is not None],
        "integrated gradients": [row.gradients for row in rows],
        "occlusion": [row.occlusion for row in rows],
    }
    notes = {
        "Grad-CAM": ["" if each.layer is None else "{0}, {1}x{1}".format(*each.layer)] * len(rows),
        "integrated gradients": [
            f"sum {row.total:+.3g}\nlogits differ by {row.difference:+.3g}" for row in rows
        ],
        "occlusion": [f"falls by at most {max(0, row.occlusion.max()):.2g}" for row in rows],
    }
    drawn = {name: values for name, values in columns.items() if values}
    size = (_SIDE * (1 + len(drawn)), (_SIDE + 0.5) * len(rows) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), 1 + len(drawn), squeeze=False)
    for axes, reading in zip(grid[:, 0], rows, strict=True):
        _show(axes, each.picture)
        _label(axes, reading.title.replace(": ", ":\n", 1))
    for column, (name, values) in enumerate(drawn.items(), 1):
        largest = max(float(np.percentile(np.abs(value), _OUTLIERS)) for value in values)
        grid[0, column].set_title(name, fontsize=10)
        for axes, value, note in zip(grid[:, column], values, notes[name], strict=True):
            _show(axes, blended(each.picture, value, largest))
            axes.set_xlabel(note if value.any() else f"{note}\nnothing speaks for it", fontsize=8)
    title = short(drawable(each.name), 60)
    right = f"true {short_class(each.true)}, " if each.true else ""
    figure.suptitle(f"{title}\n{right}the network says {short_class(each.guess)}", fontsize=11)
    return figure


def blended(picture: Array, values: Array, largest: float) -> Array:
    """Lay colors over a pale picture: red where values are positive, blue where negative.

    The picture is (H, W) or (H, W, 3) in [0, 1], the values (H, W); `largest` gets the full color.

    Returns:
        (H, W, 3) in [0, 1].
    """
    grey = picture if picture.ndim == 2 else picture.mean(2)
    share = np.clip(values / max(largest, float(np.finfo(np.float32).tiny)), -1, 1)
    color = matplotlib.colormaps["RdBu_r"](0.5 + 0.42 * np.sign(share))[..., :3]
    strength = np.abs(share)[..., None]
    pale = 0.55 + 0.4 * grey[..., None]
    return np.asarray((1 - strength) * pale + strength * color)


@figure_style()
def rollout(name: str, guess: str, picture: Array, found: Rollout) -> Figure:
    """Draw an image, what of it the answer is mixed of, and where each head of the end looks.

    Red has more than its even share, blue less; each panel has a scale of its own.

    Args:
        name: of the image.
        guess: of the network.
        picture: as the network sees it, as in `Explanation`.
        found: where it looks.
    """
    panels = {f"rollout, {found.layers} layers": found.whole}
    panels |= {f"last layer, head {number}": head for number, head in enumerate(found.heads, 1)}
    columns = 1 + min(len(panels), _MOST_PANELS)
    rows = -(-(1 + len(panels)) // columns)
    figure = Figure(figsize=(_PANEL * columns, (_PANEL + 0.35) * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    _show(grid[0], picture)
    grid[0].set_xlabel("image", fontsize=8)
    for axes, (title, shares) in zip(grid[1:], panels.items(), strict=False):
        _show(axes, shaded(picture, shares))
        axes.set_xlabel(f"{title}\nat most {shares.max() * shares.size:.1f} x even", fontsize=8)
    figure.suptitle(
        f"{short(drawable(name), 60)}\nthe network says {short_class(guess)}", fontsize=11
    )
    return figure


def shaded(picture: Array, shares: Array) -> Array:
    """Lay over a picture what shares patches have: red more than an even one, blue less.

    Args:
        picture: (S, S) or (S, S, 3) in [0, 1].
        shares: of patches, (rows, columns).

    Returns:
        (S, S, 3) in [0, 1].
    """
    side, patches = len(picture), len(shares)
    places = np.arange(side) * patches // side
    more = (shares * shares.size / shares.sum() - 1)[np.ix_(places, places)]
    return blended(picture, more, float(np.abs(more).max()))


@figure_style()
def maps(each: Explanation) -> Figure:
    """Draw the strongest maps of each stage, a row for a stage, after the picture."""
    columns = max(len(stage.values) for stage in each.maps)
    size = (_SMALL * (columns + 1.6), (_SMALL + 0.3) * len(each.maps) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    widths = [1.3, *[1.0] * columns]
    grid = figure.subplots(len(each.maps), columns + 1, squeeze=False, width_ratios=widths)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, stage in zip(grid, each.maps, strict=True):
        _show(row[0], each.picture)
        side = stage.values.shape[-1]
        _label(row[0], f"{short(stage.name, 14)}\n{stage.count} of {side}x{side}")
        for axes, value in zip(row[1:], stage.values, strict=False):
            axes.set_axis_on()
            low = min(0.0, float(value.min()))
            _bare(axes)
            axes.imshow(value, cmap="viridis", vmin=low, vmax=max(float(value.max()), low + 1e-9))
    figure.suptitle(f"{short(drawable(each.name), 60)}: the strongest maps", fontsize=11)
    return figure


@figure_style()
def filters(each: Explanation) -> Figure:
    """Draw kernels of image processing and the first layer's filters above what they make of it."""
    pairs = [each.classic, *([each.filters] if each.filters else [])]
    columns = max(len(pair.names) for pair in pairs)
    size = (_SMALL * 1.15 * (columns + 1), (2 * _SMALL + 0.75) * len(pairs) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(2 * len(pairs), columns + 1, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for place, (pair, what) in enumerate(zip(pairs, ("kernels", "filters"), strict=False)):
        above, below = grid[2 * place], grid[2 * place + 1]
        _label(above[0], what)
        _show(below[0], each.picture)
        _draw_pair(above[1:], below[1:], pair)
    figure.suptitle(f"{short(drawable(each.name), 60)}: filtered", fontsize=11)
    return figure


def _draw_pair(above: Sequence[Axes], below: Sequence[Axes], pair: Filters) -> None:
    for top, bottom, kernel, name, response in zip(
        above, below, pair.kernels, pair.names, pair.responses, strict=False
    ):
        for axes in (top, bottom):
            axes.set_axis_on()
            _bare(axes)
        top.set_title(short(name, 14), fontsize=8, loc="center")
        _draw_kernel(top, kernel)
        if np.isclose(kernel.sum(), 1):  # it keeps the brightness: what it gives is a picture again
            bottom.imshow(response, cmap="gray", vmin=0, vmax=1)
        else:
            largest = float(np.abs(response).max()) or 1.0
            bottom.imshow(response, cmap="RdBu_r", vmin=-largest, vmax=largest)


def _draw_kernel(axes: Axes, kernel: Array) -> None:
    largest = float(np.abs(kernel).max()) or 1.0
    if len(kernel) == 3:
        axes.imshow(0.5 + 0.5 * kernel.transpose(1, 2, 0) / largest)
    else:
        axes.imshow(kernel[0], cmap="RdBu_r", vmin=-largest, vmax=largest)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    hide_frame(axes)


def _show(axes: Axes, picture: Array) -> None:
    axes.set_axis_on()
    _bare(axes)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)


def _label(axes: Axes, text: str) -> None:
    axes.set_axis_on()
    _bare(axes)
    axes.set_ylabel(text, fontsize=9)
