"""Pictures of models at other image sizes: their accuracy, and where transformers look."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from common.metrics.metrics import Array
from common.report.plots import GREY, drawable, figure_style, hide_frame, short
from labs.classification.look.explain_plots import shaded

Entry = Mapping[str, Any]  # what was measured of a model

_WIDTH = 7.5  # inches
_SIDE = 2.0  # inches of a picture


class Look(NamedTuple):
    """Where a network looks in an image of some size."""

    pixels: Array  # uint8 (C, S, S)
    shares: Array  # of each patch, (rows, columns)
    guess: str


@figure_style()
def draw_sizes(compared: Mapping[str, Entry]) -> Figure:
    """Draw accuracy over the size of the images, shown as they are and scaled back before.

    Whiskers are intervals of 95 %, a little beside one another; a line marks the trained size.

    Args:
        compared: what was measured, by the model.
    """
    figure = Figure(figsize=(_WIDTH, 4.2 + 0.2 * -(-len(compared) // 3)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"at_sizes": "shown at the size", "scaled_back": "scaled back to the trained size"}
    for number, (name, entry) in enumerate(compared.items()):
        sizes = np.array([entry["image_size"], *entry["sizes"]])
        order = np.argsort(sizes)
        beside = (number - (len(compared) - 1) / 2) * np.ptp(sizes) / 120
        for axes, key in zip(panels, titles, strict=True):
            values = np.array([each["accuracy"] for each in entry[key]])[order]
            low, high = np.array([each["interval"] for each in entry[key]])[order].T
            whiskers = np.maximum(0, [values - low, high - values])
            axes.errorbar(
                *(sizes[order] + beside, values, whiskers),
                **{"label": name, "marker": "o", "markersize": 3.5, "elinewidth": 1},
                color=f"C{number % 10}",
            )
    for axes, title in zip(panels, titles.values(), strict=True):
        axes.axvline(entry["image_size"], color=GREY, linestyle="--", linewidth=1, zorder=0)
        axes.set_title(title, fontsize=10)
        axes.set_xticks(sizes)
        axes.set_xlabel("pixels of a side of the test images")
    panels[0].set_ylabel("test accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@figure_style()
def draw_looks(looks: Mapping[str, Sequence[Look]]) -> Figure:
    """Draw what of an image is in the answer: a row for each model, a column for each size.

    Args:
        looks: of the same image at each size, by the model.
    """
    columns = len(next(iter(looks.values())))
    size = (_SIDE * (columns + 0.3), (_SIDE + 0.35) * len(looks) + 0.2)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(looks), columns, squeeze=False)
    for row, (name, found) in zip(grid, looks.items(), strict=True):
        for axes, look in zip(row, found, strict=True):
            side = look.pixels.shape[-1]
            axes.imshow(shaded(look.pixels.mean(0) / 255, look.shares))
            axes.set(xticks=[], yticks=[])
            hide_frame(axes)
            axes.set_xlabel(f"{side} px: says {short(drawable(look.guess), 12)}", fontsize=8)
        row[0].set_ylabel(name, fontsize=8)
    return figure
