"""How members answer together, and whether what choosing gains is its own selection."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from common.ensembles.combine import Combination, choose_greedily, find_best, learn
from common.ensembles.forms import METHODS, Classes, Labels, Numbers, Truth
from common.ensembles.judge import judge_nested, list_pairs
from common.errors import RunError
from common.metrics.main_metric import ACCURACY, F1_MICRO, MAE

CLASSES = Classes(ACCURACY)


def draw(members, samples, classes, strength, seed=0):
    """Return probabilities (M, N, C) that know the truth (N,) more or less, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, samples)
    logits = rng.normal(size=(members, samples, classes))
    logits[:, np.arange(samples), truth] += np.reshape(strength, (-1, 1))
    raised = np.exp(logits)
    return raised / raised.sum(2, keepdims=True), truth


def test_the_mean_and_votes_are_as_worked_out_by_hand():
    shares = np.array([[[0.9, 0.1, 0.0]], [[0.4, 0.5, 0.1]], [[0.3, 0.4, 0.3]]])
    soft = learn("soft", shares, np.array([0]), CLASSES).answer(shares, CLASSES)
    assert soft == pytest.approx(np.array([[1.6 / 3, 1 / 3, 0.4 / 3]]))
    hard = learn("hard", shares, np.array([0]), CLASSES).answer(shares, CLASSES)
    assert hard == pytest.approx(np.array([[1 / 3, 2 / 3, 0]]), abs=1e-3)
    assert hard.sum() == pytest.approx(1)


def test_equal_votes_are_decided_by_the_mean():
    shares = np.array([[[0.6, 0.4]], [[0.1, 0.9]]])
    assert learn("hard", shares, np.array([0]), CLASSES).answer(shares, CLASSES).argmax() == 1


def test_greedy_selection_leaves_out_who_does_harm_and_repeats():
    shares, truth = draw(3, 400, 4, [1.5, 1.5, -3])
    weights = choose_greedily(shares, truth, CLASSES)
    assert weights.sum() == pytest.approx(1)
    assert weights[2] == 0
    assert (weights[:2] > 0).all()
    alone = choose_greedily(shares[[2, 0]], truth, CLASSES)
    assert alone.tolist() == [0, 1]


def test_greedy_selection_is_at_least_as_good_as_the_best_where_it_chose():
    for seed in range(5):
        shares, truth = draw(5, 60, 3, [0.3, 0.6, 0.1, 0.5, 0.4], seed)
        together = learn("greedy", shares, truth, CLASSES).answer(shares, CLASSES).argmax(1)
        best = shares[find_best(shares, truth, CLASSES)].argmax(1)
        assert (together == truth).mean() >= (best == truth).mean()


def test_stacking_is_scikit_learns_regression():
    shares, truth = draw(2, 150, 3, [1, 2])
    found = learn("stacking", shares, truth, CLASSES)
    features = np.concatenate(np.log(shares), 1)
    expected = [
        LogisticRegression(C=each, tol=1e-3).fit(features, truth).predict_proba(features)
        for each in (0.001, 0.01, 0.1, 1.0)
    ]
    assert any(np.allclose(found.answer(shares, CLASSES), each) for each in expected)


def test_stacking_takes_a_class_that_stands_in_one_part_alone():
    shares, truth = draw(2, 40, 2, [1.0, 1.0])
    truth[:] = 0
    truth[5] = 1  # of five parts, the other four know nothing else than the first class
    answers = learn("stacking", shares, truth, CLASSES).answer(shares, CLASSES)
    assert answers.sum(1) == pytest.approx(np.ones(40))
    assert (answers.argmax(1) == 0).mean() >= 0.9


@pytest.mark.parametrize("classes", [2, 3])
def test_stacking_takes_two_classes_and_says_none_of_which_there_is_no_sample(classes):
    shares, truth = draw(2, 60, classes, [2, 2])
    wider = np.concatenate([shares, np.full((2, 60, 1), 1e-9)], 2)
    answers = learn("stacking", wider, truth, CLASSES).answer(wider, CLASSES)
    assert answers.sum(1) == pytest.approx(np.ones(60))
    assert answers[:, -1].max() == 0
    assert (answers.argmax(1) == truth).mean() > 0.7


@pytest.mark.parametrize("method", METHODS)
def test_a_combination_is_the_same_after_json(method):
    shares, truth = draw(3, 50, 3, [1, 1, 1])
    found = learn(method, shares, truth, CLASSES)
    again = Combination.from_dict(json.loads(json.dumps(found.as_dict())))
    assert np.array_equal(found.answer(shares, CLASSES), again.answer(shares, CLASSES))


@pytest.mark.slow
def test_nested_nothing_is_gained_by_choosing_among_guesses():
    """Many members that guess: the best of them looks good where it was chosen alone."""
    shares, truth = draw(30, 200, 2, np.zeros(30))
    found, said = judge_nested("greedy", shares, Truth(truth), np.arange(200) % 5, CLASSES)
    assert found["seen"]["accuracy"] > 0.6
    assert abs(found["accuracy"] - 0.5) < 0.08
    assert found["accuracy"] == (said.argmax(1) == truth).mean()
    low, high = found["gain_interval"]
    assert low < 0 < high


def test_agreement_is_as_worked_out_by_hand():
    said = np.eye(2)[np.array([[0, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]])]
    (_, _, equal, phi), (_, _, _, none), _ = list_pairs(said, np.array([0, 0, 0, 0]), CLASSES)
    assert (equal, phi) == (0.5, 0.0)
    assert np.isnan(none)


def test_numbers_are_combined_by_mean_median_and_weights():
    truth = np.arange(40.0)
    noise = np.random.default_rng(0).normal(size=(3, 40))
    values = truth + noise * [[1], [1], [30]]
    form = Numbers(MAE)
    for method, expected in (("soft", values.mean(0)), ("median", np.median(values, 0))):
        assert learn(method, values, truth, form).answer(values, form) == pytest.approx(expected)
    weights = choose_greedily(values, truth, form)
    assert weights[2] < 0.05
    assert form.figures(values[0], truth)["mae"] == pytest.approx(np.abs(noise[0]).mean())
    [(_, _, equal, correlation), *_] = list_pairs(values, truth, form)
    assert equal is None
    assert correlation == pytest.approx(np.corrcoef(noise[0], noise[1])[0, 1])
    with pytest.raises(RunError, match="hard: is not for numbers; choose soft, median or greedy"):
        form.check("hard")


def test_the_mean_of_labels_has_the_mean_of_their_thresholds():
    shares = np.array([[[0.9, 0.3]], [[0.2, 0.5]]])
    thresholds = np.array([[0.5, 0.2], [0.3, 0.8]])
    values, form = shares - thresholds[:, None], Labels(F1_MICRO)
    together = learn("soft", values, np.array([[True, False]]), form).answer(values, form)
    assert form.decide(together).tolist() == [[True, False]]
    assert (shares.mean(0) >= thresholds.mean(0)).tolist() == [[True, False]]


def test_neighbors_that_share_what_is_true_have_no_say_on_a_fold():
    """The first member is right around the border alone: who looks at that chooses it."""
    truth, values = np.zeros(20), np.ones((2, 20))
    values[0, 6:14] = 0
    values[1] = 0.65
    folds = np.arange(20) // 10

    class Overlapping(Numbers):
        overlap = 2

    _, plain = judge_nested("greedy", values, Truth(truth), folds, Numbers(MAE))
    _, apart = judge_nested("greedy", values, Truth(truth), folds, Overlapping(MAE))
    assert np.array_equal(plain, values[0])
    assert np.array_equal(apart, values[1])
