"""The pictures of experiments."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from common.experiments.power_law import PowerLaw
from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, figure_style

_BEYOND = 4  # times the data that the line is drawn for


@figure_style()
def draw_learning_curve(found: Mapping[str, Any], law: PowerLaw | None) -> Figure:
    """Draw errors over the training samples: of each run, with the power law and its band.

    Args:
        found: what `describe_curve` returns, with the runs under `points`.
        law: through the test errors, if there is one.
    """
    drawing = Figure(figsize=(8, 4.5), layout="constrained")
    axes = drawing.subplots()
    sizes = np.array([each["size"] for each in found["points"]])
    if law is not None:
        span = np.geomspace(sizes.min(), _BEYOND * sizes.max(), 100)
        foretold = np.array([law.foretell(size) for size in span])
        axes.plot(span, foretold[:, 0], color=GREY, linestyle="--", label="power law")
        axes.fill_between(
            span, foretold[:, 1], foretold[:, 2], color=GREY, alpha=0.15, label="95 % of runs"
        )
    for name, color, label in (("test", BLUE, "test"), ("train", ORANGE, "in training")):
        values = np.array([each[name] for each in found["points"]])
        axes.plot(sizes, np.where(values > 0, values, np.nan), "o", color=color, label=label)
    axes.set(xscale="log", yscale="log", xlabel="training samples", ylabel=found["label"])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=True, edgecolor="none")
    return drawing


@figure_style()
def draw_range_test(
    rates: Array, losses: Array, smoothed: Array, marks: Mapping[str, float]
) -> Figure:
    """Draw the loss over the learning rate.

    Args:
        rates: (N,) of the updates.
        losses: (N,) of the updates.
        smoothed: (N,) losses.
        marks: rates by what they are; the last one is colored.
    """
    drawing = Figure(figsize=(8, 4.5), layout="constrained")
    axes = drawing.subplots()
    axes.plot(rates, losses, ".", color=GREY, alpha=0.5, label="loss of an update")
    axes.plot(rates, smoothed, color=BLUE, linewidth=2, label="smoothed")
    looks = [(":", GREY), ("--", GREY), ("-", ORANGE)][-len(marks) :]
    for (label, rate), (dashes, color) in zip(marks.items(), looks, strict=False):
        axes.axvline(rate, color=color, linestyle=dashes, linewidth=1.5, label=label)
    low, high = smoothed.min(), smoothed[: max(2, len(rates) // 4)].max()
    margin = 0.5 * (high - low) or 1.0
    axes.set_ylim(low - margin / 2, high + margin)  # what grew beyond it is not what matters
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss of training")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.legend(frameon=True, edgecolor="none")
    return drawing
