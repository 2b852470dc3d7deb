"""Pictures of walks through the latent space, and of how near they stay to real images."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, drawable, figure_style, short
from labs.autoencoder.plots import pixels

_WIDTH = 7.5  # inches
_LABEL = 1.15  # inches of a row's label
_LARGEST = 0.9  # inches of an image
_HEADER = 0.3  # inches of the line above the columns
_GAP = 0.12  # inches between groups of rows
_INK = 0.94  # share of a cell that its image takes
_COLORS = (BLUE, ORANGE, "#009e73", GREY)


class Curve(NamedTuple):
    """A mean along a path, each of shape (steps,)."""

    means: Array
    lows: Array
    highs: Array


@figure_style()
def rows(
    images: Sequence[Tensor], labels: Sequence[str], headers: Sequence[str] = (), together: int = 0
) -> Figure:
    """Draw rows of images, uint8 (n, C, S, S), each with its label at the left.

    A label may have several lines. Headers are of the columns. Between groups of so many rows
    `together` there is a gap; 0 for none.
    """
    columns = max(map(len, images))
    side = min(_LARGEST, (_WIDTH - _LABEL - 0.05) / columns)
    top = _HEADER if headers else 0.05
    groups = [row // together if together else 0 for row in range(len(images))]
    offsets = [row * side + group * _GAP for row, group in enumerate(groups)]
    total = top + offsets[-1] + side + 0.05
    figure = Figure(figsize=(_LABEL + columns * side + 0.05, total))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, header in enumerate(headers):
        x = _LABEL + (place + 0.5) * side
        axes.text(x, top - 0.06, header, ha="center", va="bottom", fontsize=9)
    for offset, row, label in zip(offsets, images, labels, strict=True):
        _row(axes, row, top + offset, side)
        text = "\n".join(short(drawable(line), 17) for line in label.split("\n"))
        axes.text(_LABEL - 0.08, top + offset + side / 2, text, ha="right", va="center", fontsize=9)
    axes.set(xlim=(0, figure.get_figwidth()), ylim=(total, 0))
    return figure


def _row(axes: Axes, images: Tensor, y: float, side: float) -> None:
    margin = side * (1 - _INK) / 2
    for place, image in enumerate(pixels(images)):
        x = _LABEL + place * side
        box = (x + margin, x + side - margin, y + side - margin, y + margin)
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=box, aspect="auto", origin="upper")


@figure_style()
def distances(shares: Array, curves: Mapping[str, Curve]) -> Figure:
    """Draw how far the steps of paths are from their nearest training image, with intervals.

    The steps are at these shares of the way, from 0 to 1; curves are by the path's name.
    """
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    for color, (name, curve) in zip(_COLORS, curves.items(), strict=False):
        axes.plot(shares, curve.means, "o-", markersize=4, color=color, label=name)
        axes.fill_between(shares, curve.lows, curve.highs, color=color, alpha=0.2, linewidth=0)
    axes.set(
        xlabel="way from the one image to the other",
        ylabel="squared difference from\nthe nearest training image",
    )
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


@figure_style()
def distributions(groups: Mapping[str, Array]) -> Figure:
    """Draw the share of each group's pictures that are at most so far from a training image.

    Groups are squared differences (n,) by name.
    """
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    for color, (name, errors) in zip(_COLORS, groups.items(), strict=False):
        axes.step(
            np.sort(errors),
            np.arange(1, len(errors) + 1) / len(errors),
            where="post",
            color=color,
            label=name,
        )
    axes.set(
        xlabel="squared difference from the nearest training image",
        ylabel="share of the pictures",
        ylim=(0, 1.02),
    )
    axes.legend(loc="lower right")
    return figure
