"""Pictures of what a VAE's latents carry."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, figure_style

_WIDTH = 7.5  # inches
_MOST_NAMES = 40  # latents up to which each is named below its bar
_FLOOR = 1e-6  # the least activity that is drawn


@figure_style()
def latents(divergences: Array, activities: Array, names: Array, active: float) -> Figure:
    """Draw each latent's divergence from the prior as a bar, and its activity below.

    Arrays are (L,), in the order of the bars: mean nats, variances of the posterior's mean, and
    numbers of the latents. Latents whose variance is not above `active` are unused, and grey.
    """
    figure = Figure(figsize=(_WIDTH, 4.4), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    places = np.arange(len(divergences))
    used = activities > active
    colors = np.where(used, BLUE, GREY)
    above.bar(places, divergences, color=colors, width=0.8)
    above.set_ylabel("KL (nats)")
    text = f"{used.sum()} of {len(used)} latents active"
    above.set_title(text if used.all() else f"{text}, the others grey")
    below.scatter(places, np.maximum(activities, _FLOOR), c=colors, s=14)
    below.axhline(active, color=GREY, linestyle="--", linewidth=1)
    below.set_yscale("log")
    below.yaxis.set_major_formatter("{x:g}")
    below.yaxis.set_minor_formatter(NullFormatter())
    below.set_ylabel("variance of\nthe mean")
    below.set_xlim(-0.7, len(places) - 0.3)
    if len(places) <= _MOST_NAMES:
        below.set_xticks(places, [str(name) for name in names], fontsize=8)
        below.set_xlabel("latent")
    else:
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        below.set_xlabel("latents, sorted")
    return figure
