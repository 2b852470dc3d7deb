"""Stumps against every threshold by brute force, and AdaBoost against scikit-learn."""

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from labs.detection.cascade.stumps import Booster, vote


@pytest.fixture(params=range(3))
def samples(request):
    """Return values (60, 7) with ties, and labels that two of them tell in part."""
    generator = np.random.default_rng(request.param)
    values = generator.normal(size=(60, 7)).round(1).astype(np.float32)
    noise = generator.normal(size=60)
    labels = np.where(values[:, 2] - 0.7 * values[:, 5] + noise > 0.2, 1, -1)
    return values, labels


def brute_force(values, labels, weights):
    """Return the smallest weighted error of all features, thresholds and signs."""
    best = 1.0
    for column in values.T:
        for threshold in [*np.unique(column), column.min() - 1]:
            says = np.where(column > threshold, 1, -1)
            wrong = weights[says != labels].sum()
            best = min(best, wrong, weights.sum() - wrong)
    return best


def test_the_best_stump_is_that_of_brute_force_in_every_round(samples):
    values, labels = samples
    booster = Booster(values, labels)
    for _ in range(6):
        stump, error = booster.best()
        assert error == pytest.approx(brute_force(values, labels, booster.weights), abs=1e-5)
        wrong = stump.answers(values) != labels
        assert booster.weights[wrong].sum() == pytest.approx(error, abs=1e-5)
        booster.add()
        assert booster.weights.sum() == pytest.approx(1)
        assert booster.weights[wrong].sum() == pytest.approx(0.5)  # as AdaBoost has it


def test_boosting_is_that_of_scikit_learn(samples):
    values, labels = samples
    booster = Booster(values, labels)
    weights = booster.weights.copy()
    stumps = [booster.add() for _ in range(8)]
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=8)
    # The trees split by the Gini index unless they are told to count errors: round by round, the
    # weighted error of ours is the smaller one, and the weights are those of their formula.
    theirs.fit(values, labels, sample_weight=weights)
    assert [stump.weight for stump in stumps][0] >= theirs.estimator_weights_[0] - 1e-5
    errors = [1 / (1 + np.exp(stump.weight)) for stump in stumps]
    assert errors[0] <= theirs.estimator_errors_[0] + 1e-6
    ours = (np.sign(vote(stumps, values)) == labels).mean()
    assert ours >= theirs.score(values, labels) - 0.1


def test_a_clean_cut_is_found_by_one_stump():
    values = np.linspace(0, 1, 20, dtype=np.float32)[:, None]
    for sign in (1, -1):
        labels = np.where(values[:, 0] > 0.33, sign, -sign)
        stump = Booster(values, labels).add()
        assert stump.sign == sign
        assert (stump.answers(values) == labels).all()
        assert np.isfinite(stump.weight)


def test_more_stumps_err_less_on_what_they_learned_from(samples):
    values, labels = samples
    booster = Booster(values, labels)
    stumps = [booster.add() for _ in range(40)]
    errors = [(np.sign(vote(stumps[:count], values)) != labels).mean() for count in (1, 10, 40)]
    assert errors[0] > errors[2]
    assert errors[1] >= errors[2]
