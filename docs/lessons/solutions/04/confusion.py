"""Lesson 4, from the confusion matrix."""

import numpy as np


def measure(truth, said):
    """Return accuracy, balanced accuracy and macro F1."""
    truth, said = np.asarray(truth), np.asarray(said)
    size = max(truth.max(), said.max()) + 1
    matrix = np.zeros((size, size))
    np.add.at(matrix, (truth, said), 1)
    there = matrix.sum(1) > 0
    hits, true, answered = (
        each[there] for each in (matrix.diagonal(), matrix.sum(1), matrix.sum(0))
    )
    return {
        "accuracy": hits.sum() / matrix.sum(),
        "balanced_accuracy": (hits / true).mean(),
        "macro_f1": (2 * hits / (true + answered)).mean(),
    }
