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


def count_wrong(labels: Array, shares: Array) -> Array:
    """Return of each given class how many samples are of each other one, (C, C), int64.

    It is the confident joint as if every sample were confidently of some class: with its diagonal,
    which is 0 here, each row would add up to the samples that are given the class. The arguments
    are those of `find_thresholds`.
    """
    found = join(labels, shares)
    np.fill_diagonal(found, found.diagonal().clip(1))
    given = np.bincount(labels, minlength=len(found))
    counts = round_rows(found / found.sum(1, keepdims=True) * given[:, None])
    np.fill_diagonal(counts, 0)
    return counts


def round_rows(values: Array) -> Array:
    """Round (R, C) to int64 so that each row keeps its sum, by the largest remainders."""
    rounded = np.rint(values)
    amiss = np.rint(values.sum(1) - rounded.sum(1)).astype(np.int64)
    for row in np.flatnonzero(amiss):
        step = np.sign(amiss[row])
        nearest = (values[row] - rounded[row]).argsort(kind="stable")[::-step]
        rounded[row, nearest[: abs(amiss[row])]] += step
    return np.asarray(rounded.astype(np.int64))


def find_suspects(labels: Array, shares: Array) -> Array:
    """Return the rows, (n,), whose labels are likely wrong, the likeliest first.

    Of each pair of classes those are as many as the confident joint says (pruning by noise rate),
    the ones that are more of the other class than of the given one by the most; but none whose
    given class is the most probable. They are ranked by the margin, the smallest first.

    The arguments are those of `find_thresholds`.
    """
    counts, wrong = count_wrong(labels, shares), np.zeros(len(labels), bool)
    for given, other in np.argwhere(counts):
        rows = np.flatnonzero(labels == given)
        leads = shares[rows, other] - shares[rows, given]
        wrong[rows[(-leads).argsort(kind="stable")[: counts[given, other]]]] = True
    rows = np.flatnonzero(wrong & (shares.argmax(1) != labels))
    return np.asarray(rows[find_margins(labels, shares)[rows].argsort(kind="stable")])


def _of_given(labels: Array, shares: Array) -> Array:
    """Return the probability of the given class, (N,)."""
    return np.asarray(shares[np.arange(len(labels)), labels])
