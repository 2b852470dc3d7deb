import numpy as np
import pytest

from common.experiments.offsets import tune_nested, tune_offsets
from common.metrics.named import find_metric


def make(rows=3000, seed=0):
    """Return truth with a rare class, and probabilities that know of how rare it is."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(3, rows, p=[0.7, 0.25, 0.05])
    scores = generator.standard_normal((rows, 3)) + 1.2 * np.eye(3)[truth]
    shares = np.exp(1.2 * scores) * [0.7, 0.25, 0.05]
    return truth, shares / shares.sum(1, keepdims=True), generator.integers(5, size=rows)


def test_a_rare_class_is_raised_for_balanced_accuracy_and_the_gain_is_real():
    truth, shares, folds = make()
    metric = find_metric("balanced_accuracy")
    tuned = tune_nested(metric, truth, shares, folds)
    assert tuned.offsets.argmax() == 2
    assert tuned.offsets.sum() == pytest.approx(0)
    assert tuned.plain == pytest.approx(metric.value(truth, shares.argmax(1)))
    assert tuned.gain.low > 0
    # On other samples the offsets gain what was measured nested.
    truth, shares, _ = make(20_000, 1)
    fresh = metric.value(truth, (np.log(shares) + tuned.offsets).argmax(1))
    assert fresh - metric.value(truth, shares.argmax(1)) == pytest.approx(
        tuned.gain.difference, abs=0.03
    )


def test_where_there_is_nothing_to_gain_nested_answers_gain_nothing():
    generator = np.random.default_rng(0)
    truth, shares = generator.integers(3, size=300), generator.dirichlet([1, 1, 1], 300)
    tuned = tune_nested(find_metric("f1"), truth, shares, generator.integers(5, size=300))
    assert tuned.seen > tuned.plain
    assert tuned.gain.low < 0 < tuned.gain.high or tuned.gain.high < 0


def test_of_a_metric_that_is_best_already_nothing_moves():
    truth = np.array([0, 1, 2] * 10)
    assert not tune_offsets(find_metric("f1"), truth, np.log(np.eye(3)[truth] + 0.1)).any()
