"""Several label columns at once: the joint class taken apart again, and the figures of each column.

The probability of a column's class is the sum over all combinations that have it (the marginal).
Each column is judged by its most probable class. Where the logits of combinations are outer sums
(`--heads shared`, `separate`), that is the column's class in the most probable combination; with
one output for each combination (`joint`) it may be another.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.metrics import metrics
from common.metrics.metrics import Array
from common.report import plots
from common.report.html import PictureSaver, Section, Table

Labels = Mapping[str, Sequence[str]]
"""The names of the classes of each column."""

_FIGURES = ("accuracy", "balanced_accuracy", "f1")


def split_columns(classes: Array, labels: Labels) -> dict[str, Array]:
    """Return the class numbers of each column, (N,), of joint class numbers (N,)."""
    sizes = tuple(map(len, labels.values()))
    return dict(zip(labels, np.unravel_index(classes, sizes), strict=True))


def marginals(probabilities: Array, labels: Labels) -> dict[str, Array]:
    """Return the probabilities of each column's classes, (N, C), of joint ones, (N, all)."""
    shares = probabilities.reshape(-1, *map(len, labels.values()))
    axes = range(1, shares.ndim)
    return {
        column: shares.sum(axis=tuple(axis for axis in axes if axis != place))
        for place, column in enumerate(labels, 1)
    }


def brief(names: Sequence[str], cells: int) -> str:
    """Return the name of a combination in so many cells, where its longest parts are cut."""
    for most in range(cells, 1, -1):
        name = "/".join(plots.short(part, most) for part in names)
        if plots.short(name, cells) == name:
            break
    return name


def figures(probabilities: Array, targets: Array, labels: Labels) -> dict[str, dict[str, Any]]:
    """Return accuracy (with its 95 % interval), balanced accuracy and macro F1 of each column.

    Probabilities (N, all) and targets (N,) are of the joint classes.
    """
    truth, found = split_columns(targets, labels), {}
    for column, shares in marginals(probabilities, labels).items():
        known = metrics.classification(shares, truth[column])
        right = int((shares.argmax(1) == truth[column]).sum())
        found[column] = {
            **{name: known[name] for name in _FIGURES},
            "accuracy_interval": list(metrics.wilson(right, len(targets))),
        }
    return found


def majority(train: Array, targets: Array, labels: Labels) -> dict[str, float]:
    """Return how often each column's most frequent class in training is right, as a baseline.

    Both the training and the judged targets are joint class numbers.
    """
    seen, truth = split_columns(train, labels), split_columns(targets, labels)
    return {
        column: float((truth[column] == np.bincount(seen[column]).argmax()).mean())
        for column in labels
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row of `figures` for each label column, with its `majority` where it is there."""
    records = [
        {
            "label column": column,
            "accuracy": each["accuracy"],
            "95 % interval": "{:.4f} to {:.4f}".format(*each["accuracy_interval"]),
            "balanced accuracy": each["balanced_accuracy"],
            "macro F1": each["f1"],
            **({"majority class": each["majority"]} if "majority" in each else {}),
        }
        for column, each in found.items()
    ]
    return Table.of(records)


def describe(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Say how often each column is right, and how often its most frequent class is."""
    each = ", ".join(
        f"{column} {entry['accuracy']:.4f} ({entry['accuracy_interval'][0]:.4f} to "
        f"{entry['accuracy_interval'][1]:.4f}; its most frequent class alone "
        f"{entry['majority']:.4f})"
        for column, entry in found.items()
    )
    return f"An image counts as right where all columns are. Column by column: {each}."


def section(
    found: Mapping[str, Mapping[str, Any]],
    probabilities: Array,
    targets: Array,
    labels: Labels,
    save_picture: PictureSaver,
) -> Section:
    """Show the figures of each column, and which of its classes are taken for which.

    All is of the test split: what metrics.json says of the columns, and the probabilities (N, all)
    and targets (N,) of joint classes.
    """
    truth = split_columns(targets, labels)
    pictures = []
    for number, (column, shares) in enumerate(marginals(probabilities, labels).items(), 1):
        matrix = metrics.confusion(shares.argmax(1), truth[column], len(labels[column]))
        figure = plots.confusion(matrix, labels[column])
        pictures.append(
            save_picture(f"confusion_column_{number}", f"{column}, test split.", figure)
        )
    text = (
        "Each column by itself, from its marginal probabilities: those of a class are summed over "
        "all combinations that have it. The majority class is the one most frequent in training; "
        "who always answers with it has the accuracy in the last column."
    )
    return Section("Each label column", text, table(found), tuple(pictures))
