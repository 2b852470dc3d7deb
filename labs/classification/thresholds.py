"""Any number of labels an image: from which probability on each is said."""

import numpy as np

from common.metrics.metrics import Array, f1_of_counts

_FEWEST = 5  # images of a label on validation, from which on it has a threshold of its own


def choose_thresholds(probabilities: Array, targets: Array) -> Array:
    """Return the probability of each label, (C,), from which on it is said.

    Either one for all, that of the largest micro F1, or beside it one for each label that enough
    images have, that of its largest F1: whichever has the larger micro F1 on these samples.

    Args:
        probabilities: of the validation split, (N, C).
        targets: which labels are true, (N, C).
    """
    targets = targets.astype(bool)
    together = np.full(targets.shape[1], _best_threshold(probabilities.ravel(), targets.ravel()))
    apart = together.copy()
    for label in np.flatnonzero(targets.sum(0) >= _FEWEST):
        apart[label] = _best_threshold(probabilities[:, label], targets[:, label])
    return max(apart, together, key=lambda each: _micro_f1(probabilities >= each, targets))


def _best_threshold(scores: Array, targets: Array) -> float:
    """Return the threshold of the largest F1: halfway between two scores, (N,)."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], targets[order].cumsum()
    last = np.append(sorted_scores[1:] != sorted_scores[:-1], True)  # of each score
    said = np.arange(1, len(scores) + 1)
    f1 = np.where(last, f1_of_counts(hits, said, targets.sum()), 0)
    place = int(f1.argmax())
    below = sorted_scores[place + 1] if place + 1 < len(scores) else 0.0
    return float((sorted_scores[place] + below) / 2)


def _micro_f1(said: Array, targets: Array) -> float:
    return float(f1_of_counts((said & targets).sum(), said.sum(), targets.sum()))
