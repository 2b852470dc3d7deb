"""Pictures of clusters against classes."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from common.metrics.metrics import Array
from common.report.plots import drawable, figure_style, hide_frame, short

_MOST_NUMBERS = 20  # clusters or classes up to which there is room for numbers
_MOST_LABELS = 40  # names along an axis


@figure_style()
def table(counts: Array, clusters: Sequence[int] | Array, classes: Sequence[str]) -> Figure:
    """Draw counts (K, C) of clusters and classes: as numbers, their shares of a cluster as colors.

    Colors go with the square root of the share, so that few images are seen too. Numbers are left
    out above 20 clusters or classes. Clusters are named by K numbers, classes by C names.
    """
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    down, across = (min(count, 2 * _MOST_NUMBERS) for count in counts.shape)
    height = min(9.0, 1.8 + 0.33 * down)
    figure = Figure(figsize=(min(7.5, 3 + 0.45 * across), height), layout="constrained")
    axes = figure.subplots()
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap="Blues", norm=norm, aspect="auto")
    bar = figure.colorbar(image, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1], format="%g", aspect=30)
    bar.set_label("share of the cluster")
    bar.outline.set_visible(False)
    if max(counts.shape) <= _MOST_NUMBERS:
        for row, column in np.argwhere(counts > 0):
            color = "white" if norm(shares[row, column]) > 0.55 else "#222222"
            text = f"{counts[row, column]}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    rows, columns = (range(0, n, math.ceil(n / _MOST_LABELS)) for n in counts.shape)
    axes.set_yticks(rows, [f"{clusters[row]}" for row in rows], fontsize=8)
    names = [short(drawable(classes[column]), 18) for column in columns]
    axes.set_xticks(columns, names, fontsize=8)
    if sum(map(len, names)) > 60:
        for label in axes.get_xticklabels():
            label.set(rotation=60, rotation_mode="anchor", ha="right", va="center")
    axes.set(xlabel="class", ylabel="cluster")
    hide_frame(axes)
    return figure
