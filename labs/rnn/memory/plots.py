"""Pictures of the memory job: errors over training, and how far gradients reach."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, figure_style

GREEN = "#009e73"
CELL_COLORS = {"rnn": GREY, "lstm": BLUE, "gru": ORANGE}
START_COLORS = {
    "default": GREY,
    "orthogonal": BLUE,
    "chrono": ORANGE,
    "orthogonal + chrono": GREEN,
}
_POWERS = FuncFormatter(lambda value, _: f"{value:g}")
_DEEPEST = 1e-12  # of the largest norm: what is below is out of the picture


class Curve(NamedTuple):
    """The error of one cell over its training."""

    cell: str
    updates: Sequence[int]
    errors: Sequence[float]


class Threshold(NamedTuple):
    """What the errors at one length are compared with."""

    baseline: float
    goal: float


@figure_style()
def errors(
    panels: Mapping[int, Sequence[Curve]],
    thresholds: Mapping[int, Threshold],
    label: str,
    baseline_name: str,
) -> Figure:
    """Draw the validation error over the updates, a panel per length with its two thresholds."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.5 * max(columns, 3), 0.6 + 2.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_axis_off()
    for axes, (length, curves) in zip(grid.ravel(), panels.items(), strict=False):
        baseline, goal = thresholds[length]
        axes.axhline(baseline, color="#222222", linestyle="--", linewidth=1)
        axes.axhline(goal, color="#222222", linestyle=":", linewidth=1.2)
        for curve in curves:
            axes.plot(curve.updates, curve.errors, color=CELL_COLORS[curve.cell], label=curve.cell)
        axes.set(yscale="log", title=f"T = {length}", xlabel="updates")
        axes.yaxis.set_major_formatter(_POWERS)
        axes.set_xlim(left=0)
    for axes in grid[:, 0]:
        axes.set_ylabel(f"validation {label}")
    cells = dict.fromkeys(curve.cell for curves in panels.values() for curve in curves)
    handles = [Line2D([], [], color=CELL_COLORS[cell], label=cell) for cell in cells]
    handles += [
        Line2D([], [], color="#222222", linestyle="--", linewidth=1, label=baseline_name),
        Line2D([], [], color="#222222", linestyle=":", linewidth=1.2, label="learned below"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


class Reach(NamedTuple):
    """How the gradient of one cell fades with distance."""

    cell: str
    trained: bool
    start: str
    clipped: bool
    norms: Array  # (steps,), by distance from the last step
    result: str  # of the training, "" before it


@figure_style()
def reaches(found: Sequence[Reach]) -> Figure:
    """Draw gradient norms against distance: a column per cell, untrained above trained.

    Colors tell the starts apart; dashed lines are of trainings without clipping.
    """
    cells = list(dict.fromkeys(each.cell for each in found))
    starts = [start for start in START_COLORS if start in {each.start for each in found}]
    figure = Figure(figsize=(2.5 * max(len(cells), 3), 5.6), layout="constrained")
    grid = figure.subplots(2, len(cells), sharex=True, sharey=True, squeeze=False)
    for each in found:
        axes = grid[int(each.trained), cells.index(each.cell)]
        norms = np.where(each.norms > 0, each.norms, np.nan)
        style = "-" if each.clipped else "--"
        axes.plot(norms, color=START_COLORS[each.start], linestyle=style)
    for column, cell in enumerate(cells):
        grid[0, column].set_title(cell)
        grid[1, column].set_xlabel("distance in steps")
    for axes, when in zip(grid[:, 0], ("untrained", "trained"), strict=True):
        axes.set_ylabel(f"{when}: norm of gradient")
    _log_scale(grid[0, 0], [each.norms for each in found])
    handles = [Line2D([], [], color=START_COLORS[start], label=start) for start in starts]
    if any(not each.clipped for each in found):
        handles.append(Line2D([], [], color="#222222", linestyle="--", label="without clipping"))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


def _log_scale(axes: Axes, norms: Sequence[Array]) -> None:
    positive = np.concatenate(norms)
    positive = positive[positive > 0]
    largest = float(positive.max(initial=1e-300))
    smallest = max(float(positive.min(initial=largest)), _DEEPEST * largest)
    axes.set(yscale="log", ylim=(smallest / 3, largest * 3))
    axes.yaxis.set_major_formatter(_POWERS)
