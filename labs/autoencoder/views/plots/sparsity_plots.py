"""Pictures of latents as a code: their values and spreads, and how far noise moves them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, figure_style

_WIDTH = 7.5  # inches
_BINS = 60
_COLORS = (BLUE, ORANGE, GREY)


@figure_style()
def activations(values: Array, spreads: Array, zeros: float) -> Figure:
    """Draw the distribution of latents' values (N, L), those that are not 0, and each one's spread.

    Spreads (L,) are standard deviations over the images, in the order of the bars; the title tells
    the share of values that are exactly 0.
    """
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    active = values[values != 0]
    shares = np.full(len(active), 1 / values.size)
    left.hist(active, bins=_BINS, weights=shares, color=BLUE)
    left.yaxis.set_major_formatter(PercentFormatter(1))
    left.set(xlabel="value of a latent", ylabel="share of the values")
    left.set_title(f"{100 * zeros:.0f} % more are exactly 0" if zeros else "Values")
    right.bar(np.arange(1, len(spreads) + 1), spreads, color=BLUE, width=0.8)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set(xlabel="latents, sorted", ylabel="standard deviation", title="Spread of each latent")
    return figure


@figure_style()
def movements(deviations: Sequence[float], shares: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how far noise of these deviations moves images: shares of their distance, by space."""
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    for color, (name, each) in zip(_COLORS, shares.items(), strict=False):
        axes.plot(deviations, each, "o-", markersize=4, color=color, label=name)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(
        xlabel="standard deviation of the noise, pixels being from 0 to 1",
        ylabel="movement, by the\ndistance from the mean",
    )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure
