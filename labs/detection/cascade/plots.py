"""Pictures of a cascade: its first features, what each stage leaves of an image, its curve."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Patch
from matplotlib.ticker import NullLocator

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, drawable, figure_style, hide_frame, short
from labs.detection.cascade.features import WINDOW, Feature
from labs.detection.cascade.roc import Curve
from labs.detection.cascade.train import Cascade
from labs.detection.cascade.windows import Picture

_LIGHT, _DARK, _TRUE, _FOUND = "#f0e442", "#0072b2", "#009e73", "#d55e00"
_COLORS = (BLUE, ORANGE, "#009e73", GREY)
_WIDTH = 7.5  # inches
_COLUMNS = 4


@figure_style()
def first_features(mean: Array, features: Sequence[Feature], sizes: Sequence[bool]) -> Figure:
    """Draw features over a mean window (side, side): light parts yellow, dark ones blue."""
    figure, every = _panels(len(features), 2.1)
    for number, (axes, feature, size) in enumerate(zip(every, features, sizes, strict=False), 1):
        axes.imshow(mean, cmap="gray", extent=(0, WINDOW, WINDOW, 0))
        for x, y, width, height, weight in feature.rectangles:
            color = _LIGHT if weight > 0 else _DARK
            axes.add_patch(Patch((x, y), width, height, fc=color, ec="white", lw=0.8, alpha=0.6))
        axes.set_title(f"{number}: {'size' if size else 'signed'}", fontsize=8)
    return figure


@figure_style()
def stage_by_stage(picture: Picture, cascade: Cascade, final: Array) -> Figure:
    """Draw the middles of the windows that are left of an image after each stage.

    Args:
        picture: the image.
        cascade: the stages.
        final: (n, 4) squares that are left after suppression.
    """
    stages = len(cascade.stages)
    figure, every = _panels(stages + 1, 2.0)
    scored = [(level, *cascade.search(level, 0)) for level in picture.levels]
    total = sum(len(places) for _, places, _ in scored)
    for axes, passed in zip(every, range(1, stages + 2), strict=False):
        axes.imshow(picture.grey, cmap="gray", vmin=0, vmax=255)
        for square in picture.squares:
            _square(axes, square, _TRUE)
        if passed > stages:
            for square in final:
                _square(axes, square, _FOUND, dashed=False)
            axes.set_title(f"suppressed: {len(final)}", fontsize=8)
            continue
        left = [level.squares(places[score >= passed]) for level, places, score in scored]
        squares = np.concatenate(left)
        middles = (squares[:, :2] + squares[:, 2:]) / 2
        axes.scatter(middles[:, 0], middles[:, 1], s=2, color=_FOUND, alpha=0.5, linewidths=0)
        share = f"{len(squares) / total:.1%}"
        axes.set_title(f"after stage {passed}: {len(squares):,} ({share})", fontsize=8)
        height, width = picture.grey.shape
        axes.set(xlim=(0, width), ylim=(height, 0))
    return figure


def _panels(number: int, side: float) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(number / _COLUMNS)
    figure = Figure(figsize=(_WIDTH, side * rows), layout="constrained")
    every = list(figure.subplots(rows, _COLUMNS, squeeze=False).ravel())
    for axes in every:
        hide_frame(axes)
        axes.set(xticks=[], yticks=[])
    for axes in every[number:]:
        axes.set_axis_off()
    return figure, every


def _square(axes: Axes, corners: Array, color: str, *, dashed: bool = True) -> None:
    x1, y1, x2, y2 = corners.tolist()
    style = (0, (3, 2)) if dashed else "-"
    axes.add_patch(Patch((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=1.1, ls=style))


@figure_style()
def curves(
    found: Mapping[str, Curve], rates: Mapping[str, Mapping[str, Sequence[float]]]
) -> Figure:
    """Draw detection rate over false positives of an image, with intervals at some of these.

    Args:
        found: curves by the name of what they are of.
        rates: likewise the rate and its interval, by the number of false positives.
    """
    figure = Figure(figsize=(_WIDTH, 4), layout="constrained")
    axes = figure.subplots()
    for (name, each), color in zip(found.items(), _COLORS, strict=False):
        seen = each.false > 0
        label = short(drawable(name), 44)
        axes.plot(each.false[seen], each.rate[seen], color=color, label=label, linewidth=1.6)
        for false, (rate, low, high) in rates[name].items():
            x = float(false)
            if len(each.false) and x <= each.false[-1]:
                axes.errorbar(
                    x, rate, [[rate - low], [high - rate]], color=color, capsize=3, fmt="o", ms=3
                )
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="false positives of an image")
    axes.set_ylabel("share of the objects that are found")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(loc="best", fontsize=8)
    return figure
