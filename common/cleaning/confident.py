"""Confident learning: which labels are wrong, by what models say of samples they had not seen.

Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels"
(Journal of Artificial Intelligence Research 70). Nothing is trained here: all follows from the
given labels and the probabilities.
"""

import numpy as np

from common.metrics.metrics import Array

NONE = -1  # in place of a class that no probability is high enough for
_EQUAL = 1e-6  # a probability this near to a threshold reaches it, however it was added up


def find_thresholds(labels: Array, shares: Array) -> Array:
    """Return how sure models are of a class where it is given: the mean of its probability.

    Args:
        labels: (N,) given classes, int64.
        shares: (N, C) probabilities of the classes, out of fold.

    Returns:
        (C,); infinity for a class that is given to no sample.
    """
    counts = np.bincount(labels, minlength=shares.shape[1])
    sums = np.bincount(labels, _of_given(labels, shares), shares.shape[1])
    unknown = np.full(len(counts), np.inf)
    return np.asarray(np.divide(sums, counts, out=unknown, where=counts > 0))


def find_confident(labels: Array, shares: Array) -> Array:
    """Return the most probable of the classes that reach their thresholds, (N,), or `NONE`.

    The arguments are those of `find_thresholds`.
    """
    sure = shares >= find_thresholds(labels, shares) - _EQUAL
    return np.where(sure.any(1), np.where(sure, shares, -1).argmax(1), NONE)


def join(labels: Array, shares: Array) -> Array:
    """Return the confident joint, (C, C): of each given class, how many are confidently of each.

    The arguments are those of `find_thresholds`. What is beside the diagonal is likely wrong.
    """
    classes, confident = shares.shape[1], find_confident(labels, shares)
    known = confident != NONE
    places = labels[known] * classes + confident[known]
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def find_margins(labels: Array, shares: Array) -> Array:
    """Return how far the given class is ahead of the best other one, (N,) from -1 to 1.

    The arguments are those of `find_thresholds`.
    """
    others = shares.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    return np.asarray(_of_given(labels, shares) - others.max(1))


def find_suspects(labels: Array, shares: Array) -> Array:
    """Return the rows, (n,), whose labels are likely wrong, the likeliest first.

    Those are the rows beside the diagonal of the confident joint to which the models do not give
    the label that they have; the smaller the margin, the earlier.

    The arguments are those of `find_thresholds`.
    """
    confident = find_confident(labels, shares)
    beside = (confident != NONE) & (confident != labels) & (shares.argmax(1) != labels)
    rows = np.flatnonzero(beside)
    return rows[find_margins(labels, shares)[rows].argsort(kind="stable")]


def _of_given(labels: Array, shares: Array) -> Array:
    """Return the probability of the given class, (N,)."""
    return np.asarray(shares[np.arange(len(labels)), labels])
