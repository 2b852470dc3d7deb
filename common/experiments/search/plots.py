"""Pictures of a search: trial after trial, and what their options have to do with the figure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.experiments.search import space
from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, drawable, figure_style, short

_TICKS = 12  # choices that an axis names

Trials = Sequence[Mapping[str, Any]]


@figure_style()
def draw_trials(
    trials: Trials, level: Sequence[int], chosen: int, label: str, larger_is_better: bool
) -> Figure:
    """Draw the figure of each trial, and the best so far.

    Args:
        trials: as in metrics.json.
        level: the numbers of those that cannot be told apart from the best.
        chosen: the number of the chosen one.
        label: names the figure.
        larger_is_better: whether it is to be large.
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    found = [(each["number"], each["value"]) for each in trials if each["state"] == "complete"]
    pruned = [(each["number"], each["value"]) for each in trials if each["state"] == "pruned"]
    numbers, values = np.array(found).T
    so_far = np.maximum if larger_is_better else np.minimum
    axes.step(numbers, so_far.accumulate(values), where="post", color=GREY, linewidth=1)
    is_level = np.isin(numbers, level)
    axes.scatter(numbers[~is_level], values[~is_level], color=ORANGE, label="worse")
    axes.scatter(numbers[is_level], values[is_level], color=BLUE, label="not told apart")
    if pruned:
        axes.scatter(*np.array(pruned, float).T, marker="x", color=GREY, label="pruned")
    mine = next(value for number, value in found if number == chosen)
    axes.scatter([chosen], [mine], s=140, facecolors="none", edgecolors=BLUE, label="chosen")
    axes.set(xlabel="trial", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(values) > 4:  # one that failed to learn would squeeze all others
        _zoom(axes, values, larger_is_better)
    axes.legend(fontsize=8, frameon=True, edgecolor="none")
    return figure


def _zoom(axes: Axes, values: Array, larger_is_better: bool) -> None:
    """Leave out the worst figures, where they lie far from the middle ones."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 4 * max(high - low, abs(middle) * 1e-3)
    if larger_is_better and values.min() < low - reach:
        axes.set_ylim(bottom=low - reach)
    elif not larger_is_better and values.max() > high + reach:
        axes.set_ylim(top=high + reach)


@figure_style()
def draw_parallel(
    trials: Trials,
    level: Sequence[int],
    label: str,
    larger_is_better: bool,
    texts: Sequence[str],
) -> Figure:
    """Draw a line for each trial, through an axis for each option and one for the figure.

    Args:
        trials: complete ones, as in metrics.json.
        level: the numbers of those that cannot be told apart from the best.
        label: names the figure.
        larger_is_better: whether it is to be large.
        texts: of `--space`, which say what is on a logarithmic scale.
    """
    logs = {text.partition("=")[0].replace("-", "_") for text in texts if "=log:" in text}
    names = list(trials[0]["parameters"])
    columns = [[each["parameters"][name] for each in trials] for name in names]
    values = [each["value"] for each in trials]
    figure = Figure(figsize=(max(7.5, 1.6 * (len(names) + 1)), 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    places = [
        _draw_axis(axes, place, name, column, name in logs)
        for place, (name, column) in enumerate(zip(names, columns, strict=True))
    ]
    places.append(_draw_axis(axes, len(names), label, values, False))
    rank = np.argsort(np.argsort(np.array(values) if larger_is_better else -np.array(values)))
    for row in np.argsort(rank):  # the best on top
        mine = trials[row]["number"] in level
        axes.plot(
            range(len(names) + 1),
            [column[row] for column in places],
            color=BLUE if mine else str(0.85 - 0.5 * rank[row] / len(rank)),
            linewidth=1.8 if mine else 1.0,
            zorder=3 if mine else 2,
        )
    axes.set_xlim(-0.3, len(names) + 0.5)
    axes.set_ylim(-0.05, 1.15)
    return figure


def _draw_axis(axes: Axes, place: int, name: str, values: Sequence[Any], log: bool) -> list[float]:
    """Draw an axis with its ticks; returns where each value is on it, from 0 to 1."""
    axes.axvline(place, 0.05 / 1.2, 1.05 / 1.2, color="#999999", linewidth=1, zorder=1)
    axes.text(place, 1.08, short(drawable(name), 24), ha="center", fontsize=10)
    if any(isinstance(value, str) for value in values):
        choices = sorted(set(values), key=str)
        where = {each: (n + 0.5) / len(choices) for n, each in enumerate(choices)}
        ticks = [(where[each], drawable(str(each))) for each in choices[:_TICKS]]
        found = [where[value] for value in values]
    else:
        scaled = [math.log(value) if log else float(value) for value in values]
        low, high = min(scaled), max(scaled)
        found = [(value - low) / (high - low) if high > low else 0.5 for value in scaled]
        at = np.linspace(low, high, 4 if high > low else 1)
        ticks = [
            ((value - low) / (high - low) if high > low else 0.5, _tick(value, log)) for value in at
        ]
    for height, text in ticks:
        axes.text(
            place + 0.03,
            height,
            short(text, 18),
            va="center",
            fontsize=8,
            zorder=4,
            bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
        )
    return found


def _tick(value: float, log: bool) -> str:
    return space.show(math.exp(value) if log else float(value))
