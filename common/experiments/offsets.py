"""Offsets of classes: how much each class's log probability is raised before the largest wins.

A network that learned by cross-entropy answers for accuracy. A figure that weighs classes in
another way, such as macro F1, may gain when rare classes are raised. Offsets are tuned on answers
out of fold, and what they gain is measured nested: those of a fold are tuned on the other folds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array, Difference
from common.metrics.named import NamedMetric

_STEPS = np.linspace(-2, 2, 21)  # of a natural logarithm: from a seventh of a class to seven times
_ROUNDS = 2  # through all classes
_SMALLEST = 1e-12  # probability whose logarithm is taken


class Tuned(NamedTuple):
    """Offsets, and what they gain."""

    offsets: Array  # (C,) tuned on all answers; their mean is 0
    plain: float  # the metric without them
    nested: float  # with those of the other folds
    gain: Difference  # of nested over plain, with the 95 % interval of a paired bootstrap
    seen: float  # with those that were tuned on the very answers: too good


def tune_nested(
    metric: NamedMetric,
    truth: Array,
    probabilities: Array,
    folds: Array,
    groups: Array | None = None,
) -> Tuned:
    """Tune offsets on answers out of fold, and measure nested what they gain.

    Args:
        metric: of classes, that is to be best.
        truth: (N,) class numbers.
        probabilities: (N, C) out of fold.
        folds: (N,) of each sample.
        groups: (N,) what samples belong to; whole groups are drawn.
    """
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    nested = np.empty(len(truth), np.int64)
    for fold in np.unique(folds):
        mine = folds == fold
        offsets = tune_offsets(metric, truth[~mine], logs[~mine])
        nested[mine] = (logs[mine] + offsets).argmax(1)
    plain, offsets = logs.argmax(1), tune_offsets(metric, truth, logs)
    return Tuned(
        offsets,
        metric.value(truth, plain),
        metric.value(truth, nested),
        metric.compare(truth, nested, plain, groups),
        metric.value(truth, (logs + offsets).argmax(1)),
    )


def tune_offsets(metric: NamedMetric, truth: Array, logs: Array) -> Array:
    """Return the offsets (C,) with which a metric of classes is best, one class after the other.

    Args:
        metric: that is to be best.
        truth: (N,) class numbers.
        logs: (N, C) logarithms of probabilities.
    """
    offsets = np.zeros(logs.shape[1])
    best = metric.value(truth, logs.argmax(1))
    for label in list(range(len(offsets))) * _ROUNDS:
        others = np.delete(logs + offsets, label, 1)
        rest, which = others.max(1), others.argmax(1)
        which += which >= label
        for step in _sorted_by_size(_STEPS):
            said = np.where(logs[:, label] + step > rest, label, which)
            value = metric.value(truth, said)
            if value > best if metric.larger_is_better else value < best:
                best, offsets[label] = value, step
    return np.asarray(offsets - offsets.mean())


def _sorted_by_size(steps: Array) -> Sequence[float]:
    """Return the steps with the smallest first, so that of equal ones it is taken."""
    return sorted(steps.tolist(), key=abs)
