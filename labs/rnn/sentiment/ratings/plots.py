"""Pictures of ratings."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, figure_style

_BINS = 20
_MOST_POINTS = 2000


@figure_style()
def distribution(
    truth: Array, said: Array, levels: Sequence[float], shares: Array | None = None
) -> Figure:
    """Draw how often each rating is true, how often it is said, and how probable it is found.

    Args:
        truth: (N,) ratings.
        said: (N,) ratings.
        levels: the different ones; () where they are many, and stand in 20 bins.
        shares: (N, levels) probabilities; None where there are none.
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.subplots()
    if levels:
        places = np.arange(len(levels))
        edges = np.concatenate([[-np.inf], (np.diff(levels) / 2 + levels[:-1]), [np.inf]])
    else:
        edges = np.linspace(min(truth.min(), said.min()), max(truth.max(), said.max()), _BINS + 1)
        places = np.arange(_BINS)
    parts = {
        "true": (np.histogram(truth, edges)[0] / len(truth), GREY),
        "said by the network": (np.histogram(said, edges)[0] / len(said), BLUE),
    }
    if shares is not None:
        parts["its mean probability"] = (shares.mean(0), ORANGE)
    width = 0.8 / len(parts)
    for number, (name, (heights, color)) in enumerate(parts.items()):
        shift = (number - (len(parts) - 1) / 2) * width
        axes.bar(places + shift, heights, width, color=color, label=name)
    if levels:
        axes.set_xticks(places, [f"{level:g}" for level in levels])
    else:
        every = range(0, _BINS + 1, 4)
        axes.set_xticks(
            [place - 0.5 for place in every], [f"{edges[place]:.3g}" for place in every]
        )
    axes.set_xlabel("rating")
    axes.set_ylabel("share of the test texts")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@figure_style()
def said_of_each(truth: Array, said: Array, levels: Sequence[float]) -> Figure:
    """Draw which ratings are said of texts of each true level: quartiles, mean and 5 to 95 %."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    if levels:
        places = np.asarray(levels)
        cuts = (places[1:] + places[:-1]) / 2
        groups = [said[np.searchsorted(cuts, truth) == each] for each in range(len(places))]
        known = [(place, group) for place, group in zip(places, groups, strict=True) if len(group)]
        axes.boxplot(
            [group for _, group in known],
            positions=[place for place, _ in known],
            widths=0.5 * np.diff(places).min(),
            whis=(5, 95),
            showfliers=False,
            showmeans=True,
            manage_ticks=False,
            medianprops={"color": BLUE, "linewidth": 2},
            meanprops={"marker": "D", "markerfacecolor": ORANGE, "markeredgecolor": ORANGE},
        )
        axes.set_xticks(places, [f"{place:g}" for place in places])
    else:
        rows = np.linspace(0, len(truth) - 1, min(_MOST_POINTS, len(truth))).astype(int)
        axes.plot(truth[rows], said[rows], ".", color=BLUE, alpha=0.4, markersize=4)
    ends = [truth.min(), truth.max()]
    axes.plot(ends, ends, "--", color=GREY, linewidth=1, label="as it should be")
    axes.set_xlabel("true rating")
    axes.set_ylabel("rating that is said")
    axes.legend(loc="upper left")
    return figure


@figure_style()
def calibration(above: Array, reached: Array, levels: Sequence[float]) -> Figure:
    """Draw how often ratings are above a level, against how probable that was found.

    Args:
        above: (N, levels - 1) probabilities.
        reached: (N, levels - 1) truth values.
        levels: the ratings.
    """
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    edges = np.linspace(0, 1, 11)
    for number, level in enumerate(levels[:-1]):
        place = np.clip(np.searchsorted(edges, above[:, number], "right") - 1, 0, 9)
        counts = np.bincount(place, minlength=10)
        full = counts > 0
        said = np.bincount(place, above[:, number], 10)[full] / counts[full]
        true = np.bincount(place, reached[:, number], 10)[full] / counts[full]
        axes.plot(said, true, "o-", markersize=4, label=f"above {level:g}")
    axes.set_xlabel("probability that the rating is above a level")
    axes.set_ylabel("share of the texts whose rating is")
    axes.set_aspect("equal")
    axes.legend(ncols=2 if len(levels) > 8 else 1, fontsize=8 if len(levels) > 8 else 10)
    return figure
