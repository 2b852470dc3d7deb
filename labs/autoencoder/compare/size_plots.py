"""Pictures of figures against the size of the latents."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from common.report.plots import BLUE, GREY, figure_style
from labs.autoencoder.views.plots.traversal_plots import Curve

_WIDTH = 7.5  # inches


@figure_style()
def against_size(
    sizes: Sequence[int], curves: Mapping[str, Curve], label: str, *, log: bool = False
) -> Figure:
    """Draw figures against the size of the latents, with intervals as whiskers.

    Args:
        sizes: numbers of latents, on a logarithmic axis.
        curves: a figure for each size by what has it: the network, then PCA.
        label: names the figure, with its unit.
        log: whether the figure's axis is logarithmic too.
    """
    figure = Figure(figsize=(_WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    for color, (name, (means, lows, highs)) in zip((BLUE, GREY), curves.items(), strict=True):
        whiskers = (means - lows, highs - means)
        axes.errorbar(
            sizes, means, yerr=whiskers, fmt="o-", markersize=5, capsize=3, color=color, label=name
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("numbers that an image is squeezed into")
    axes.set_ylabel(label)
    axes.legend()
    return figure
