"""Pictures of forecasts: against the truth, and where and when they err."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, drawable, figure_style, short

_WIDTH = 7.5  # inches
_INK = "#333333"
_OTHERS = (ORANGE, "#009e73", "#cc79a7", "#b8860b")  # of baselines
_DASHES = ("-", (0, (4, 3)), "-.", ":")  # baselines may lie on each other
_MOST_SERIES, _MOST_FORECASTS, _MOST_STEPS = 4, 24, 120
_SHADES = (0.25, 0.4)  # of intervals, outermost and innermost


@figure_style()
def forecasts(
    dates: Array,
    values: Array,
    origins: Array,
    predictions: Array,
    names: Sequence[str],
    levels: Sequence[float] = (),
) -> Figure:
    """Draw forecasts against what came, one after another, so that they do not overlap.

    The last of them, as many as can be told apart: at most 24, and 120 steps, of at most four
    series. Each begins at the last value that it knew. Origins (O,) are the places of the last
    known values among dates (T,) and values (T, K); predictions are (O, K, H, outputs), NaN where
    there is none. Of outputs that are quantiles, of these levels, the middle one is drawn as a
    line.
    """
    horizon = predictions.shape[2]
    count = min(_MOST_FORECASTS, max(3, _MOST_STEPS // horizon))
    chosen = np.arange(len(origins))[::-horizon][:count][::-1]
    shown = range(min(len(names), _MOST_SERIES))
    figure = Figure(figsize=(_WIDTH, 0.8 + 2.3 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
    begin = max(0, origins[chosen[0]] - max(2 * horizon, 5))
    end = origins[chosen[-1]] + horizon + 1
    for series, axes in zip(shown, panels, strict=True):
        axes.plot(
            dates[begin:end], values[begin:end, series], color=_INK, lw=1, label="truth", zorder=3
        )
        for number, row in enumerate(chosen):
            places = origins[row] + np.arange(horizon + 1)
            known = np.full((1, predictions.shape[3]), values[origins[row], series])
            fan = np.concatenate([known, predictions[row, series]])
            _fan(axes, dates[places], fan, levels, named=number == 0)
        axes.set_title(short(drawable(names[series]), 60))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
    _date_axis(panels[-1])
    return figure


def _fan(axes: Axes, dates: Array, fan: Array, levels: Sequence[float], *, named: bool) -> None:
    """Draw one forecast (H + 1, outputs), the first row being the value known."""
    middle = levels.index(0.5) if levels else 0
    pairs = [(k, -1 - k) for k in range(len(levels) // 2)]
    for (low, high), shade in zip(pairs, np.linspace(*_SHADES, max(1, len(pairs))), strict=False):
        label = f"{levels[low]:g} to {levels[high]:g}" if named else None
        edges = fan[:, low], fan[:, high]
        axes.fill_between(dates, *edges, color=BLUE, alpha=float(shade), lw=0, label=label)
    axes.plot(dates, fan[:, middle], color=BLUE, lw=2, label="forecast" if named else None)
    axes.plot(dates[:1], fan[:1, middle], "o", color=BLUE, markersize=4)


@figure_style()
def by_step(
    steps: Mapping[str, Sequence[float]], interval: Sequence[tuple[float, float]], label: str
) -> Figure:
    """Draw the error of each step ahead; the first entry is the network.

    There are H errors by the name of who made them. The interval, lowest and highest of the
    network's error at each step, is shaded.
    """
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(steps.items()):
        ahead = np.arange(1, len(values) + 1)
        style: dict[str, Any] = {"color": BLUE, "lw": 2.2, "marker": "o", "markersize": 4}
        if number > 0:
            place = (number - 1) % len(_OTHERS)
            style = {"color": _OTHERS[place], "lw": 1.6, "linestyle": _DASHES[place]}
            style["marker"] = "." if len(ahead) == 1 else ""
        axes.plot(ahead, values, label=name, **style)
    low, high = np.array(interval, float).T  # NaN where it is not known
    axes.fill_between(np.arange(1, len(low) + 1), low, high, color=BLUE, alpha=0.2, lw=0)
    axes.set(xlabel="steps ahead", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside right upper")
    return figure


@figure_style()
def residuals(dates: Array, network: Array, persistence: Array, title: str) -> Figure:
    """Draw when the network errs, and how its errors are spread.

    Above, the mean absolute error of each origin, of the network and of persistence; below, the
    network's errors (truth - forecast) at the first and at the last step. Errors are (O, K, H) over
    the naive error, the dates (O,) are those of the origins.
    """
    figure = Figure(figsize=(_WIDTH, 5.6), layout="constrained")
    above, below = figure.subplots(2, height_ratios=(3, 2))
    for values, color, name in ((persistence, ORANGE, "persistence"), (network, BLUE, title)):
        means = np.nanmean(np.abs(values), axis=(1, 2))
        above.plot(dates, means, color=color, lw=1.2, label=name)
    above.set(ylabel="mean absolute scaled error", ylim=(0, None))
    above.set_title("Each origin of the test part")
    above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    _date_axis(above)
    first, last = network[..., 0].ravel(), network[..., -1].ravel()
    edge = np.nanquantile(np.abs(last), 0.995) or 1.0
    bins = np.linspace(-edge, edge, 41).tolist()
    named = ((last, GREY, f"{network.shape[2]} steps ahead"), (first, BLUE, "1 step ahead"))
    for values, color, name in named[: network.shape[2]]:
        there = values[np.isfinite(values)]
        label = f"{name}: mean {there.mean():+.2f}"
        below.hist(np.clip(there, -edge, edge), bins, color=color, alpha=0.55, label=label)
    below.axvline(0, color=_INK, lw=1)
    below.set(xlabel="truth − forecast, over the naive error", ylabel="forecasts")
    below.set_title("Errors; those further out are in the outermost bars")
    below.legend(loc="upper right")
    return figure


@figure_style()
def coverage(shares: Array, levels: Sequence[float]) -> Figure:
    """Draw the share (H, Q) of truth at or below each quantile; dashed is where it should be."""
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    ahead = np.arange(1, len(shares) + 1)
    for number, level in enumerate(levels):
        color = (BLUE, *_OTHERS)[number % 5]
        axes.axhline(level, color=color, linestyle="--", lw=1)
        axes.plot(
            ahead, shares[:, number], "o-", color=color, markersize=3.5, label=f"quantile {level:g}"
        )
    axes.set(xlabel="steps ahead", ylabel="share of the truth at or below", ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper")
    return figure


def _date_axis(axes: Axes) -> None:
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
