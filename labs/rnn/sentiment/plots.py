"""Pictures of the sentiment job."""

import numpy as np
from matplotlib.figure import Figure

from common.report.plots import drawable, figure_style, short
from labs.rnn.sentiment.explain import Explanation

_MOST_WORDS = 60
_WORD = 24  # letters of a word that fit beside its bar


def explanation(found: Explanation) -> Figure:
    """Draw what each word added to the answer, in reading order.

    Of a text of more than 60 words, the 60 that added or took most.
    """
    scores = np.array(found.scores)
    shown = np.sort(np.argsort(-np.abs(scores), kind="stable")[:_MOST_WORDS])
    words = [short(drawable(found.tokens[row]), _WORD) for row in shown]
    values = scores[shown]
    with figure_style():
        figure = Figure(figsize=(7.5, 1.4 + 0.26 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        colors = ["#2a6fb0" if value >= 0 else "#c0392b" for value in values]
        axes.barh(range(len(shown)), values, color=colors, height=0.7)
        axes.set_yticks(range(len(shown)), words)
        axes.invert_yaxis()
        axes.axvline(0, color="black", linewidth=0.8)
        largest = max(float(np.abs(values).max()), 1e-6) * 1.15
        axes.set_xlim(-largest, largest)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"added to {found.what} ({found.method})")
        left_out = f"; {len(scores) - len(shown)} weaker words left out" * (
            len(scores) > len(shown)
        )
        axes.set_title(f"{found.said}{left_out}")
    return figure
