"""Pictures of maps, and of how much of them to believe."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, to_hex
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullLocator

from common.maps.trust import Spread, Trust
from common.metrics.metrics import Array
from common.report.plots import drawable, figure_style, short

_WIDTH = 7.5  # inches
_PANEL, _PANEL_3D = 3.7, 4.2  # inches of a panel's height
_MOST_NAMES = 30  # classes up to which a legend has room
_MOST_PLACED = 12  # file names that fit below a map
_LABELS = {"own": "against its own vectors", "pixels": "against pixels"}
_FIGURES = {
    "trustworthiness": "trustworthiness",
    "continuity": "continuity",
    "neighbors_kept": "neighbors kept",
}
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's, one for each space


class Placed(NamedTuple):
    """New points on a map."""

    coordinates: Array  # (M, d) on the map
    names: Sequence[str]  # M file names


class Marked(NamedTuple):
    """Points that are drawn as crosses."""

    label: str  # what they are
    rows: Array  # bool (N,)


def colors(count: int) -> list[str]:
    """Return so many colors as #rrggbb: easily told apart up to 10, and in pairs up to 20."""
    if count <= 20:
        palette = matplotlib.colormaps["tab10" if count <= 10 else "tab20"]
        return [to_hex(palette(number)) for number in range(count)]
    return [
        to_hex(color) for color in matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, count))
    ]


@figure_style()
def maps(
    panels: Mapping[str, Array],
    classes: Array,
    names: Sequence[str],
    placed: Mapping[str, Placed] | None = None,
    marked: Marked | None = None,
    scale: str = "",
) -> Figure:
    """Draw maps of the same samples side by side, at most two in a row, colored by class.

    Above 30 classes a color bar with class numbers takes the place of the legend.

    Args:
        panels: coordinates (N, 2) or (N, 3) by title.
        classes: (N,) numbers of classes, or with a scale any numbers.
        names: of the classes; none with a scale.
        placed: new points by the title of the panel that they are on: numbered stars.
        marked: points that are crosses.
        scale: what the numbers are, where they are no classes.
    """
    placed = placed or {}
    across = min(len(panels), 2)
    down = -(-len(panels) // 2)
    solid = any(coordinates.shape[1] == 3 for coordinates in panels.values())
    listed = [line for points in placed.values() for line in _listed(points)]
    tall = down * (_PANEL_3D if solid else _PANEL)
    named = not scale and len(names) <= _MOST_NAMES
    legend = 0.24 * -(-len(names) // 10) if named else 0.6
    below = 0.17 * len(listed) + 0.05
    whole = Figure(figsize=(_WIDTH, tall + legend + 0.2 + below), layout="constrained")
    parts = whole.subfigures(2, 1, squeeze=False, height_ratios=(tall + legend + 0.2, below))
    figure, notes = parts.ravel()
    notes.text(0.02, 1, "\n".join(listed), fontsize=8, va="top")
    coloring = _shades(classes) if scale else _palette(len(names))
    shades = coloring.to_rgba(classes)
    all_axes: list[Axes] = []
    for place, (title, coordinates) in enumerate(panels.items(), start=1):
        kind = "3d" if coordinates.shape[1] == 3 else None
        axes = figure.add_subplot(down, across, place, projection=kind)
        all_axes.append(axes)
        _scatter(axes, coordinates, shades, marked.rows if marked else np.zeros(len(shades), bool))
        if title in placed:
            _stars(axes, placed[title])
        axes.set_title(title)
    cross = [] if marked is None else [_cross(marked)]
    if named:
        _legend(figure, classes, names, coloring, cross)
        return whole
    _color_bar(figure, all_axes, coloring, scale or "class number")
    if cross:
        figure.legend(handles=cross, loc="outside lower center")
    return whole


def _palette(count: int) -> ScalarMappable:
    """Return what colors the numbers of so many classes."""
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, count)
    return ScalarMappable(norm, ListedColormap(colors(count)))


def _shades(values: Array) -> ScalarMappable:
    """Return what colors numbers."""
    found = ScalarMappable(cmap="viridis")
    found.set_clim(float(values.min()), float(values.max()))
    return found


def _scatter(axes: Any, coordinates: Array, shades: Array, marked: Array) -> None:
    """Draw points in colors (N, 4); marked ones as crosses, over the others."""
    # In the order of the classes the last would hide the first.
    order = np.random.default_rng(0).permutation(len(shades))
    size = float(np.clip(9000 / len(shades), 3, 22))
    alpha = 0.75 if coordinates.shape[1] == 2 else 1.0  # depth makes them paler
    dots, crosses = order[~marked[order]], order[marked[order]]
    axes.scatter(*coordinates[dots].T, c=shades[dots], s=size, alpha=alpha, linewidths=0)
    if len(crosses):
        style = {"marker": "X", "s": max(2.2 * size, 9), "linewidths": 0.6 if size > 5 else 0.4}
        style["edgecolors"] = "black"
        axes.scatter(*coordinates[crosses].T, c=shades[crosses], **style)
    _bare(axes)


def _bare(axes: Any) -> None:
    """Leave out ticks: the axes of a map have no unit."""
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(NullLocator())
    axes.yaxis.set_major_locator(NullLocator())
    if axes.name == "3d":
        axes.zaxis.set_major_locator(NullLocator())
        axes.set_box_aspect((1, 1, 1), zoom=1.15)
    else:
        axes.set_aspect("equal", adjustable="datalim")
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color("#cccccc")


def _stars(axes: Any, points: Placed) -> None:
    style = {"marker": "*", "s": 150, "c": "white", "edgecolors": "black", "linewidths": 1.1}
    if axes.name == "3d":
        style["depthshade"] = False
    axes.scatter(*points.coordinates.T, zorder=5, **style)
    for number, place in enumerate(points.coordinates[:_MOST_PLACED], start=1):
        text = axes.text(*place, f"  {number}", fontsize=9, zorder=6, va="center")
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _listed(points: Placed) -> list[str]:
    lines = [
        f"★ {number}  {short(drawable(name), 90)}"
        for number, name in enumerate(points.names[:_MOST_PLACED], start=1)
    ]
    more = len(points.names) - _MOST_PLACED
    return [*lines, f"and {more} more"] if more > 0 else lines


def _cross(marked: Marked) -> Line2D:
    """Return what the legend has of marked points."""
    found = Line2D([], [], ls="", marker="X", ms=7, mfc="white", mec="black")
    found.set_label(f"{marked.label}: {int(marked.rows.sum()):,} of {len(marked.rows):,}")
    return found


def _legend(
    figure: FigureBase,
    classes: Array,
    names: Sequence[str],
    coloring: ScalarMappable,
    more: Sequence[Line2D],
) -> None:
    """Name the classes that are there; `more` are other handles."""
    shown = np.unique(classes)
    labels = [short(drawable(names[row]), 16) for row in shown]
    handles = [
        Line2D([], [], ls="", marker="o", ms=6, color=to_hex(color))
        for color in coloring.to_rgba(shown)
    ]
    labels += [str(each.get_label()) for each in more]
    widest = max(map(len, labels))
    columns = min(len(labels), 10 if widest <= 4 else 6 if widest <= 9 else 4)
    figure.legend(
        [*handles, *more], labels, loc="outside lower center", ncols=columns, handletextpad=0.1
    )


def _color_bar(
    figure: FigureBase, all_axes: Sequence[Axes], coloring: ScalarMappable, label: str
) -> None:
    bar = figure.colorbar(
        coloring, ax=list(all_axes), location="bottom", shrink=0.7, aspect=50, pad=0.02
    )
    whole = isinstance(coloring.norm, BoundaryNorm)
    bar.ax.xaxis.set_major_locator(MaxNLocator(12, integer=whole))
    bar.set_label(label)
    bar.outline.set_visible(False)


@figure_style()
def trust(found: Trust) -> Figure:
    """Draw what maps kept against their perplexity: the mean over seeds, whiskers to the extremes.

    Above, of the vectors that the maps were made from; below, of the pixels, where there are any.
    """
    rows = ["own", "pixels"] if any(item.pixels for item in found.summary) else ["own"]
    spaces = list(dict.fromkeys(item.space for item in found.summary))
    figure = Figure(figsize=(_WIDTH, 0.6 + 2.3 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(_FIGURES), sharex=True, sharey="col", squeeze=False)
    for row, against in enumerate(rows):
        for column, (name, label) in enumerate(_FIGURES.items()):
            axes = grid[row, column]
            for number, space in enumerate(spaces):
                items = [item for item in found.summary if item.space == space]
                spreads = {item.perplexity: getattr(item, against).get(name) for item in items}
                _whiskers(axes, spreads, space, number, len(spaces))
            axes.set_title(label if row == 0 else "")
            axes.set_xscale("log")
            ticks = sorted({item.perplexity for item in found.summary})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
        grid[row, 0].set_ylabel(_LABELS[against])
    for axes in grid[-1]:
        axes.set_xlabel("perplexity")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(spaces))
    return figure


def _whiskers(
    axes: Axes, spreads: Mapping[float, Spread | None], space: str, number: int, spaces: int
) -> None:
    known = {place: spread for place, spread in spreads.items() if spread is not None}
    if not known:
        return
    means, lows, highs = np.transpose(list(known.values()))
    # Beside each other: whiskers of equal perplexity would hide one another.
    shift = 1.06 ** (number - (spaces - 1) / 2)
    axes.errorbar(
        np.array(list(known)) * shift,
        means,
        yerr=(means - lows, highs - means),
        fmt="o-",
        markersize=4,
        capsize=3,
        color=_COLORS[number % len(_COLORS)],
        label=short(drawable(space), 30),
    )
