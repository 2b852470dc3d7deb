"""A recurrent layer under the microscope: each gate and the state, word by word, as a picture."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from common.errors import DataError
from common.metrics.metrics import Array
from common.report.html import Table
from common.report.plots import BLUE, drawable, figure_style, hide_frame, short
from labs.rnn.recurrent import Recurrent

# What says how much of the past is kept, by the parts that a cell has; the first that is there.
_KEEPING = ("forget", "update")
_SIGNED = ("candidate", "cell", "hidden")  # from -1 to 1 (a cell state further); gates from 0 to 1
_TOP_DOWN = ("input", "forget", "reset", "update", "output", "candidate", "cell", "hidden")
_MOST_WORDS = 80  # that a picture has room for
_WORD = 14  # letters of a word


class View(NamedTuple):
    """What one direction of a layer did with one text."""

    layer: int  # from 0
    leftward: bool  # whether it read from the last word to the first
    parts: dict[str, Array]  # each gate and state by name, (words, units), in the text's order

    @property
    def title(self) -> str:
        """Which layer it is, and which way it reads."""
        way = "from right to left" if self.leftward else "from left to right"
        return f"Layer {self.layer + 1}, reading {way}"


@torch.no_grad()
def look(recurrent: Recurrent, inputs: Tensor) -> list[View]:
    """Run a text, embedded words (T, input_size), through a network, and keep every gate and state.

    There is a view per direction of each layer, the first layer first.

    Raises:
        DataError: the text has no words.
    """
    if not len(inputs):
        raise DataError("the text has no words to look at; give one with at least one word")
    *_, traces = recurrent.eval().trace(inputs[None])
    return [
        View(layer, bool(way), {name: x[0].cpu().numpy() for name, x in trace.gates.items()})
        for layer, directions in enumerate(traces)
        for way, trace in enumerate(directions)
    ]


def by_word(view: View) -> Array:
    """Return the units in the order of the words at which their state changes most, (units,).

    Units that change most at the same word stand together, those that rise most first.
    """
    changes = _changes(view)
    words = np.abs(changes).argmax(0)
    largest = np.take_along_axis(changes, words[None], 0)[0]
    return np.lexsort((-largest, words))


def table(view: View, words: Sequence[str]) -> Table:
    """Return, for each of the T words, the mean of each gate, and how far the state moved."""
    gates = [name for name in _TOP_DOWN if name in view.parts and name not in _SIGNED]
    columns = [view.parts[name].mean(1) for name in gates]
    columns.append(np.linalg.norm(_changes(view), axis=1))
    numbers = np.stack(columns, 1)
    rows = [
        [word, *(f"{number:.2f}" for number in row)]
        for word, row in zip(words, numbers, strict=True)
    ]
    return Table(["", *(f"{name}, mean" for name in gates), "change of state"], rows)


def _changes(view: View) -> Array:
    """Return how each word changed the state that is kept, (words, units)."""
    state = view.parts.get("cell", view.parts["hidden"])
    if view.leftward:
        return np.diff(state[::-1], axis=0, prepend=0)[::-1]
    return np.diff(state, axis=0, prepend=0)


@figure_style()
def draw(view: View, words: Sequence[str]) -> Figure:
    """Draw each gate and state as a map of units and words, and how much of the past is kept.

    Above the maps stands the mean of the gate that keeps the state, in a band that holds it in four
    of five units. An rnn has no such gate. Of a text longer than 80 words the first 80 are drawn.
    """
    shown = list(words)[:_MOST_WORDS]
    order = by_word(view)
    names = [name for name in _TOP_DOWN if name in view.parts]
    keeping = next((name for name in _KEEPING if name in view.parts), None)
    heights = [0.8] * (keeping is not None) + [1.25] * len(names)
    width = max(7.5, 2.0 + 0.24 * len(shown))
    figure = Figure(figsize=(width, sum(heights) + 1.6), layout="constrained")
    grid = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)
    panels = list(grid.ravel())
    if keeping is not None:
        _kept(panels.pop(0), view.parts[keeping][: len(shown)], keeping)
    for axes, name in zip(panels, names, strict=True):
        _map(figure, axes, name, view.parts[name][: len(shown), order].T)
    _name_words(panels[-1], shown)
    more = f" (the first {_MOST_WORDS} of {len(words)} words)" if len(words) > _MOST_WORDS else ""
    title = f"{view.title}{more}; units by the word that changes them most"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _kept(axes: Axes, gate: Array, name: str) -> None:
    places, low, high = range(len(gate)), *np.quantile(gate, [0.1, 0.9], axis=1)
    axes.fill_between(places, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(places, gate.mean(1), color=BLUE, marker="o", markersize=3.5)
    axes.set(ylim=(0, 1), yticks=(0, 0.5, 1), ylabel=f"mean of\n{name}")


def _map(figure: Figure, axes: Axes, name: str, values: Array) -> None:
    signed = name in _SIGNED
    largest = max(1.0, float(np.abs(values).max())) if signed else 1.0
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r" if signed else "Blues",
        vmin=-largest if signed else 0,
        vmax=largest,
    )
    ticks = [-largest, 0, largest] if signed else [0, 1]
    bar = figure.colorbar(image, ax=axes, aspect=8, pad=0.01, ticks=ticks, format="%.2g")
    bar.outline.set_visible(False)
    axes.set_ylabel(name)
    axes.set_yticks([])
    hide_frame(axes)


def _name_words(axes: Axes, words: Sequence[str]) -> None:
    axes.set_xticks(
        range(len(words)), [short(drawable(word.replace(" ", "␣") or "␣"), _WORD) for word in words]
    )
    for text in axes.get_xticklabels():
        text.set(rotation=60, rotation_mode="anchor", ha="right", va="center", color="#222222")
