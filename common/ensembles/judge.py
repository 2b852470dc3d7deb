"""Whether an ensemble is better than its best member, without the luck of having been chosen.

What is chosen on samples looks too good on them. So both, the ensemble and the member that is
called its best, are chosen on some folds and judged on the one that had no say.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from common.ensembles.combine import find_best, learn
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array


class Truth(NamedTuple):
    """What is true of the samples that members are judged on."""

    targets: Array  # (N,) classes
    groups: Array | None = None  # (N,) what each belongs to, where the user named groups


def judge_nested(
    method: str,
    shares: Array,
    truth: Truth,
    folds: Array,
    metric: MainMetric,
    move: Callable[[float], None] = lambda share: None,
) -> tuple[dict[str, Any], Array]:
    """Return metric and gain of an ensemble, nested and as they seem; and its answers, nested.

    Args:
        method: how members answer together.
        shares: (M, N, C) probabilities of each member.
        truth: of the samples.
        folds: (N,) of each sample.
        metric: by which all are judged.
        move: called with the share that is done.

    Returns:
        Metric and `gain` over the best member with their intervals, with what they are where it
        learned as `seen`; and the nested probabilities, (N, C).
    """
    targets = truth.targets
    together, best = np.empty(shares.shape[1:]), np.empty(len(targets), np.int64)
    every = np.unique(folds)
    for done, fold in enumerate(every, 1):
        mine = folds == fold
        others, known = shares[:, ~mine], targets[~mine]
        together[mine] = learn(method, others, known, metric).answer(shares[:, mine])
        best[mine] = shares[find_best(others, known, metric), mine].argmax(1)
        move(done / (len(every) + 1))
    said = together.argmax(1)
    seen = learn(method, shares, targets, metric).answer(shares).argmax(1)
    of_best = shares[find_best(shares, targets, metric)].argmax(1)
    found = {
        **metric.measure(said, *truth),
        **compare(said, best, truth, metric),
        "seen": {**metric.measure(seen, *truth), **compare(seen, of_best, truth, metric)},
    }
    return found, together


def compare(said: Array, other: Array, truth: Truth, metric: MainMetric) -> dict[str, Any]:
    """Return how much better classes (N,) are than others, `gain` and `gain_interval`."""
    ours, theirs = ([metric.statistics(each, truth.targets)] for each in (said, other))
    found = metric.compare_runs(ours, theirs, truth.groups)
    return {name.replace("difference", "gain"): value for name, value in found.items()}


def list_pairs(said: Array, targets: Array) -> list[tuple[int, int, float, float]]:
    """Return of each two members their numbers, the share of equal answers, and phi of errors.

    Phi is the correlation of whether one errs with whether the other does; NaN where one never
    does, or always.

    Args:
        said: (M, N) classes.
        targets: (N,) classes.
    """
    wrong = (said != targets).astype(float)
    found = []
    for one in range(len(said)):
        for other in range(one + 1, len(said)):
            equal = float((said[one] == said[other]).mean())
            varies = wrong[one].std() > 0 and wrong[other].std() > 0
            phi = float(np.corrcoef(wrong[one], wrong[other])[0, 1]) if varies else float("nan")
            found.append((one, other, equal, phi))
    return found
