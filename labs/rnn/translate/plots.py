"""Pictures of translations: what each token was written from, and where it becomes hard."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.report.plots import BLUE, drawable, figure_style, short

_WIDTH = 7.5  # inches
_CELL, _LETTER = 0.24, 0.1  # inches of a token, and of a letter of its label
_CELLS = 12  # of a token's label
_MOST = 80  # tokens of a side that are drawn
_SHOWN = {" ": "␣", "▁": "␣", "\n": "⏎", "\t": "⇥"}


@figure_style()
def alignment(source: Sequence[str], translation: Sequence[str], weights: Array) -> Figure:
    """Draw what the decoder attended to as it wrote each token (Bahdanau et al. 2015, figure 3).

    Of more than 80 of the S tokens that the encoder read, or of the T that the decoder wrote, the
    first are drawn. Each row of the weights (T, S) sums to 1.
    """
    columns, rows = (
        [drawable(show_spaces(token)) for token in side[:_MOST]] for side in (source, translation)
    )
    left, above = (_LETTER * max(map(len, labels)) for labels in (rows, columns))
    size = (1.6 + left + _CELL * len(columns), 0.5 + above + _CELL * len(rows))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    shown = weights[: len(rows), : len(columns)]
    image = axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    for tick, label in zip(axes.xaxis.get_major_ticks(), columns, strict=True):
        tick.label2.set_rotation(90 if len(label) > 1 else 0)
    axes.set(xlabel="read", ylabel="written")
    axes.xaxis.set_label_position("top")
    axes.tick_params(labelcolor="#222222", length=0)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0, top=False)
    axes.grid(visible=False)
    axes.grid(which="minor", color="#eeeeee", linewidth=0.6)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ticks=(0, 0.5, 1), aspect=25, pad=0.02)
    bar.set_label("weight")
    bar.outline.set_visible(False)
    return figure


def show_spaces(token: str) -> str:
    """Return a token as it is shown: white space is seen, a long one is cut."""
    return short("".join(_SHOWN.get(letter, letter) for letter in token), _CELLS)


@figure_style()
def by_length(
    sources: Sequence[str],
    translations: Array,
    targets: Array,
    main_metric: MainMetric,
    bins: int = 6,
) -> Figure:
    """Draw how a metric changes with the length of the source, with its 95 % intervals.

    The N sources are in `bins` groups of about as many each.
    """
    lengths = np.array(list(map(len, sources)))
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    group = np.searchsorted(edges, lengths)
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    for number in np.unique(group):
        rows = group == number
        found = main_metric.measure(translations[rows], targets[rows])
        place = lengths[rows].mean()
        axes.plot(
            (place, place),
            found[f"{main_metric.name}_interval"],
            color=BLUE,
            linewidth=2,
            solid_capstyle="butt",
        )
        axes.plot(place, found[main_metric.name], "o", color=BLUE, markersize=6)
    axes.set(xlabel="characters of the source (mean of a group)", ylabel=main_metric.label)
    axes.margins(0.06)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
