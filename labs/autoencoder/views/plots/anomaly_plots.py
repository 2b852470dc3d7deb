"""Pictures of anomalies: how large their errors are, and what it costs to detect them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, figure_style, short

_BINS = 40
_COLORS = (BLUE, ORANGE, "#009e73", "#cc79a7", GREY)


@figure_style()
def errors(normal: Array, anomalies: Array, above: float) -> Figure:
    """Draw how errors spread: in each bin its share of normal images, (N,), or anomalies, (A,)."""
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    both = np.concatenate([normal, anomalies, [above]])
    edges = np.linspace(both.min(), both.max(), _BINS + 1)
    for values, color, label in ((normal, BLUE, "normal"), (anomalies, ORANGE, "anomalies")):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, edges.tolist(), weights=weights, color=color, alpha=0.55, label=label)
    axes.axvline(above, color=GREY, linestyle="--", linewidth=1.2, label="threshold")
    axes.set(xlabel="reconstruction error (mean squared, of [0, 1] pixels)", ylabel="share")
    axes.legend()
    return figure


@figure_style()
def curves(scores: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Draw ROC curves, and precision over recall, of scores (N,) with anomalies (N,), by name."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, (values, anomalous)), color in zip(scores.items(), _COLORS, strict=False):
        false, true, _ = roc_curve(anomalous, values)
        left.plot(false, true, color=color, label=name)
        precision, recall, _ = precision_recall_curve(anomalous, values)
        right.plot(recall, precision, color=color, drawstyle="steps-pre")
    share = float(next(iter(scores.values()))[1].mean())
    left.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1, label="chance")
    right.axhline(share, color=GREY, linestyle="--", linewidth=1)
    left.set(xlabel="false alarms (share of normal images)", ylabel="detected anomalies (recall)")
    right.set(xlabel="detected anomalies (recall)", ylabel="right alarms (precision)")
    for axes in (left, right):
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@figure_style()
def compared(rows: Sequence[Mapping[str, Any]], scores: Mapping[str, str]) -> Figure:
    """Draw the AUROC of several scores for each class that was left out, with intervals.

    Rows have `class`, and PREFIXauroc and PREFIXauroc_interval for the prefix of each score.
    """
    figure = Figure(figsize=(7.5, 1.3 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    shifts = np.linspace(-0.22, 0.22, len(scores))
    for (name, prefix), shift, color in zip(scores.items(), shifts, _COLORS, strict=False):
        places = np.arange(len(rows)) + shift
        intervals = [row[f"{prefix}auroc_interval"] for row in rows]
        axes.hlines(places, *np.transpose(intervals), color=color, linewidth=2)
        values = [row[f"{prefix}auroc"] for row in rows]
        axes.plot(values, places, "o", color=color, markersize=5, label=name)
    axes.axvline(0.5, color=GREY, linestyle="--", linewidth=1, label="chance")
    axes.set_yticks(range(len(rows)), [short(str(row["class"]), 36) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlabel="AUROC of the class against those trained on, with 95 % intervals")
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
