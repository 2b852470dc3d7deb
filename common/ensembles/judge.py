"""Whether an ensemble is better than its best member, without the luck of having been chosen.

What is chosen on samples looks too good on them. So both, the ensemble and the member that is
called its best, are chosen on some folds and judged on the one that had no say.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from common.ensembles.combine import find_best, learn
from common.ensembles.forms import Form, Truth
from common.metrics.metrics import Array


def judge_nested(
    method: str,
    values: Array,
    truth: Truth,
    folds: Array,
    form: Form,
    move: Callable[[float], None] = lambda share: None,
) -> tuple[dict[str, Any], Array]:
    """Return metric and gain of an ensemble, nested and as they seem; and its answers, nested.

    Samples that share what is true with one of a fold have no say on the fold either.

    Args:
        method: how members answer together.
        values: (M, N, ...) what each member says.
        truth: of the samples.
        folds: (N,) of each sample; where samples overlap, blocks of neighbors.
        form: of the values.
        move: called with the share that is done.

    Returns:
        Metric and `gain` over the best member with their intervals, with what they are where it
        learned as `seen`; and the nested values, (N, ...).
    """
    targets, metric = truth.targets, form.metric_of(len(truth.targets))
    together, best = np.empty(values.shape[1:]), np.empty(values.shape[1:])
    every, near = np.unique(folds), np.ones(2 * form.overlap + 1)
    for done, fold in enumerate(every, 1):
        mine = folds == fold
        apart = np.convolve(mine, near, "same") < 0.5
        others, known = values[:, apart], targets[apart]
        together[mine] = learn(method, others, known, form).answer(values[:, mine], form)
        best[mine] = values[find_best(others, known, form), mine]
        move(done / (len(every) + 1))
    seen = learn(method, values, targets, form).answer(values, form)
    of_best = values[find_best(values, targets, form)]
    found = {
        **metric.measure(form.decide(together), *truth),
        **compare(together, best, truth, form),
        "seen": {
            **metric.measure(form.decide(seen), *truth),
            **compare(seen, of_best, truth, form),
        },
    }
    return found, together


def compare(values: Array, others: Array, truth: Truth, form: Form) -> dict[str, Any]:
    """Return how much better values (N, ...) are than others, `gain` and `gain_interval`."""
    metric = form.metric_of(len(truth.targets))
    ours, theirs = (
        [metric.statistics(form.decide(each), truth.targets)] for each in (values, others)
    )
    found = metric.compare_runs(ours, theirs, truth.groups)
    return {name.replace("difference", "gain"): value for name, value in found.items()}


def list_pairs(
    values: Array, targets: Array, form: Form
) -> list[tuple[int, int, float | None, float]]:
    """Return of each two members their numbers, the share of equal answers, and phi of errors.

    Phi is the correlation of their errors; of classes, of whether one errs with whether the other
    does. It is NaN where one always errs alike. Numbers are never equal: there the share is None.
    There are no pairs of answers that have no errors one by one.

    Args:
        values: (M, N, ...) what each member says.
        targets: (N, ...) what is true.
        form: of the values.
    """
    decided = [form.decide(each) for each in values]
    errors = np.stack([form.errors(each, targets).ravel() for each in values])
    if not errors.size:
        return []
    errors = errors[:, np.isfinite(errors[0])]
    found = []
    for one in range(len(values)):
        for other in range(one + 1, len(values)):
            numbers = decided[one].dtype.kind == "f"
            equal = None if numbers else float((decided[one] == decided[other]).mean())
            varies = errors[one].std() > 0 and errors[other].std() > 0
            phi = float(np.corrcoef(errors[one], errors[other])[0, 1]) if varies else float("nan")
            found.append((one, other, equal, phi))
    return found
