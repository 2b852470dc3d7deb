"""Pictures of the contrastive job."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, figure_style, hide_frame, short

_ROW = 1.05  # inches


@figure_style()
def matrix(scores: Array, images: Array, captions: Sequence[str]) -> Figure:
    """Draw the similarity of each caption with each image; their own stand on the diagonal.

    The nearest caption of each image has a frame: blue where it is its own, else orange.

    Args:
        scores: (N, N) of image i and caption j.
        images: uint8 (N, S, S, 3).
        captions: N of them.
    """
    count = len(captions)
    figure = Figure(figsize=(7.5, 5.2), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(1, count * 0.8), hspace=0)
    above = figure.add_subplot(grid[0])
    above.imshow(np.concatenate([*images], 1), aspect="equal")
    hide_frame(above)
    above.set_xticks([])
    above.set_yticks([])
    axes = figure.add_subplot(grid[1])
    shown = axes.imshow(scores.T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for row in range(count):
        for column in range(count):
            axes.text(
                column,
                row,
                f"{scores[column, row]:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if abs(scores[column, row]) > 0.6 else "#222222",
            )
    for column, best in enumerate(scores.argmax(1)):
        edge = BLUE if best == column else ORANGE
        axes.add_patch(Rectangle((column - 0.5, best - 0.5), 1, 1, fill=False, ec=edge, lw=2))
    axes.set_yticks(range(count), [short(each, 48) for each in captions], fontsize=7)
    axes.set_xticks([])
    hide_frame(axes)
    figure.colorbar(shown, ax=axes, orientation="horizontal", shrink=0.5, aspect=40, pad=0.02)
    return figure


@figure_style()
def found(images: Array, captions: Sequence[str], places: Array, own: Sequence[int]) -> Figure:
    """Draw the images that are nearest to captions; the caption's own has a blue frame.

    Args:
        images: uint8 (N, S, S, 3).
        captions: Q of them.
        places: (Q, K) the nearest images, the nearest first.
        own: (Q,) each caption's own image.
    """
    rows, columns = places.shape
    figure = Figure(figsize=(7.5, _ROW * rows + 0.1), layout="constrained")
    every = figure.subplots(rows, columns + 1, width_ratios=[2.6, *[1] * columns], squeeze=False)
    for row, axes in enumerate(every):
        hide_frame(axes[0])
        axes[0].set_xticks([])
        axes[0].set_yticks([])
        mine = own[row] == places[row, 0]
        axes[0].text(0, 0.5, _broken(captions[row]), va="center", fontsize=9,
                     color="#222222" if mine else ORANGE)  # fmt: skip
        for place, each in zip(axes[1:], places[row], strict=True):
            place.imshow(images[each])
            place.grid(visible=False)
            place.set_xticks([])
            place.set_yticks([])
            right = each == own[row]
            place.spines[:].set_visible(True)
            place.spines[:].set_color(BLUE if right else GREY)
            place.spines[:].set_linewidth(3 if right else 0.5)
    return figure


def _broken(caption: str) -> str:
    words, half = caption.split(), (len(caption.split()) + 1) // 2
    return f"{' '.join(words[:half])}\n{' '.join(words[half:])}"


@figure_style()
def shares(
    rows: Sequence[tuple[str, Sequence[tuple[str, float, Sequence[float]]], float]], label: str
) -> Figure:
    """Draw shares with intervals, and what chance would have.

    Args:
        rows: for each question its name, (series, share, interval) of each series, and chance.
        label: of the axis.
    """
    figure = Figure(figsize=(7.5, 1.0 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    colors = (BLUE, ORANGE, GREY)
    for row, (_, series, chance) in enumerate(rows):
        axes.plot([chance, chance], [row - 0.4, row + 0.4], ":", color="#222222")
        for number, (name, share, interval) in enumerate(series):
            place = row + (number - (len(series) - 1) / 2) * 0.24
            color = colors[number]
            axes.plot(interval, [place, place], color=color, linewidth=2)
            axes.plot(share, place, "o", color=color, label=name if row == 0 else None)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.set_xlabel(f"{label}; dotted: chance")
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=3)
    return figure
