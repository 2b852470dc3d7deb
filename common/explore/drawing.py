"""The pictures of `explore`: functions from data to a Figure."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, drawable, figure_style, hide_frame, short

_WIDTH = 7.5  # inches
_COLORS = {"all": BLUE, "train": BLUE, "validation": GREY, "test": ORANGE}
_MOST_BARS = 40
_NAME = 26  # cells of a name beside a bar


def color_of(part: str) -> str:
    """Return the color of a part of the data."""
    return _COLORS.get(part, GREY)


@figure_style()
def counts(numbers: Mapping[str, Mapping[str, int]], label: str) -> Figure:
    """Draw how many there are of each name, a bar for each part; the first 40 names.

    Args:
        numbers: counts by name, by part.
        label: what is counted.
    """
    names = list(next(iter(numbers.values())))[:_MOST_BARS]
    figure = Figure(figsize=(_WIDTH, 1.0 + 0.26 * len(names)), layout="constrained")
    axes = figure.subplots()
    places, height = np.arange(len(names)), 0.8 / len(numbers)
    for number, (part, each) in enumerate(numbers.items()):
        values = [each.get(name, 0) for name in names]
        at = places - 0.4 + height * (number + 0.5)
        axes.barh(at, values, height * 0.92, color=color_of(part), label=part)
    axes.set_yticks(places, [short(drawable(name), _NAME) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    if len(numbers) > 1:
        figure.legend(loc="outside upper right", ncols=len(numbers))
    return figure


@figure_style()
def histograms(panels: Mapping[str, Mapping[str, Array]], columns: int = 2) -> Figure:
    """Draw distributions, a panel for each label: values (N,) by part, as shares of the part."""
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(_WIDTH, 0.4 + 1.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (label, parts) in zip(grid, panels.items(), strict=False):
        known = np.concatenate([*parts.values()])
        low, high = np.quantile(known, [0, 0.995])
        if high <= low:
            low, high = low - 0.5, low + 0.5
        edges = np.linspace(low, high, 41)
        for part, values in parts.items():
            weights = np.full(len(values), 1 / max(1, len(values)))
            axes.hist(
                values.clip(low, high),
                edges,
                weights=weights,
                histtype="stepfilled" if len(parts) == 1 else "step",
                color=color_of(part),
                linewidth=1.4,
                label=part,
            )
        axes.set_xlabel(label)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if len(next(iter(panels.values()))) > 1:
        figure.legend(
            *grid[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(_COLORS)
        )
    return figure


@figure_style()
def points(xs: Array, ys: Array, labels: tuple[str, str]) -> Figure:
    """Draw points, the darker the more of them lie on one another."""
    figure = Figure(figsize=(5.5, 4.4), layout="constrained")
    axes = figure.subplots()
    places, numbers = np.unique(np.stack([xs, ys]), axis=1, return_counts=True)
    sizes = 10 + 60 * np.sqrt(numbers / numbers.max())
    opacity = float(np.clip(60 / math.sqrt(places.shape[1]) / 8, 0.15, 0.8))
    axes.scatter(places[0], places[1], s=sizes, color=BLUE, alpha=opacity, linewidths=0)
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    return figure


@figure_style()
def pairs(images: Sequence[tuple[Array, Array]], captions: Sequence[str]) -> Figure:
    """Draw pairs of pictures side by side, uint8 (S, S, 3) each, with a caption below each pair."""
    across = 4
    cell = _WIDTH / across
    side = 0.46 * cell
    pitch = side + 0.14 + 0.14 * max(caption.count("\n") + 1 for caption in captions)
    rows = math.ceil(len(images) / across)
    figure = Figure(figsize=(_WIDTH, pitch * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, (both, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = cell * (place % across) + 0.03 * cell, pitch * (place // across) + 0.04
        for number, image in enumerate(both):
            left = x + number * (side + 0.01 * cell)
            box = (left, left + side, y + side, y)
            axes.imshow(image, extent=box, aspect="auto", origin="upper")
        lines = "\n".join(short(drawable(line), 30) for line in caption.splitlines())
        axes.text(x, y + side + 0.04, lines, va="top", fontsize=7)
    axes.set(xlim=(0, _WIDTH), ylim=(pitch * rows, 0))
    return figure


@figure_style()
def heat(grids: Mapping[str, Array], label: str) -> Figure:
    """Draw maps (H, W) side by side, each in its own scale."""
    figure = Figure(figsize=(_WIDTH, 3.4 if len(grids) < 3 else 2.8), layout="constrained")
    every = figure.subplots(1, len(grids), squeeze=False).ravel()
    for axes, (title, values) in zip(every, grids.items(), strict=True):
        image = axes.imshow(values, cmap="Blues", vmin=0, extent=(0, 1, 1, 0), aspect="auto")
        axes.set_title(title)
        hide_frame(axes)
        axes.set_xticks([0, 1], ["left", "right"])
        axes.set_yticks([0, 1], ["top", "bottom"])
        bar = figure.colorbar(image, shrink=0.8, aspect=25)
        bar.outline.set_visible(False)
    every[0].set_xlabel(label)
    return figure


@figure_style()
def words(groups: Mapping[str, Sequence[tuple[str, float]]], label: str) -> Figure:
    """Draw words with their weights, a panel for each of at most four groups."""
    shown = dict(list(groups.items())[:4])
    longest = max(map(len, shown.values()), default=1)
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.21 * longest), layout="constrained")
    every = figure.subplots(1, len(shown), squeeze=False).ravel()
    for axes, (title, weighed) in zip(every, shown.items(), strict=True):
        places = np.arange(len(weighed))
        axes.barh(places, [weight for _, weight in weighed], 0.75, color=BLUE)
        axes.set_yticks(places, [short(drawable(word), 18) for word, _ in weighed])
        axes.set_ylim(longest - 0.4, -0.6)
        axes.set_title(short(drawable(title), 24))
        axes.set_xlabel(label)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    return figure


@figure_style()
def speeds(figures: Mapping[str, float], label: str) -> Figure:
    """Draw how many samples a second each of some steps manages."""
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.4 * len(figures)), layout="constrained")
    axes = figure.subplots()
    places, values = np.arange(len(figures)), list(figures.values())
    colors = [ORANGE if value == min(values) else BLUE for value in values]
    axes.barh(places, values, 0.7, color=colors)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(places, list(figures))
    axes.set_ylim(len(figures) - 0.4, -0.6)
    for place, value in enumerate(values):
        axes.text(value, place, f" {value:,.0f}", va="center")
    axes.margins(x=0.15)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    return figure
