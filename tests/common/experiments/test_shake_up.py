"""What a private board may say: probabilities that agree with what can be worked out by hand."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from common.errors import ConfigError, RunError
from common.experiments import shake_up
from common.experiments.crossval import listed_in
from common.experiments.out_of_fold import OutOfFold
from common.experiments.shake_up import Board, Contenders, expect_score, foretell
from common.metrics.main_metric import ACCURACY, MainMetric
from common.metrics.named import find_metric
from common.runs.folder import Run


def contenders(*right, groups=None, metric="accuracy", draws=2000):
    """Return runs that are right on some samples of class 1, and say 0 on the others."""
    truth = np.ones(len(right[0]), np.int64)
    found = find_metric(metric)
    number = np.arange(len(truth)) if groups is None else np.asarray(groups)
    measures = [found.counted(truth, np.asarray(each, np.int64)) for each in right]
    return Contenders("abcd"[: len(right)], found, measures, number, "images", draws)


def first(share, samples=400):
    """Return whether each sample is right: the first share of them."""
    return np.arange(samples) < round(share * samples)


def test_the_probability_to_win_counts_the_board_and_what_is_known():
    better, worse = first(0.60), np.roll(first(0.55), 100)
    found = foretell(contenders(better, worse), Board(100, 300))
    difference = better.astype(float) - worse
    deviation = difference.std() * np.sqrt(1 / 300 + 1 / 400)
    beats, beaten = found.beats()[0, 1], found.beats()[1, 0]
    tied = 1 - beats - beaten
    expected = norm.cdf(difference.mean() / deviation)
    assert beats + tied / 2 == pytest.approx(expected, abs=0.03)
    assert found.known.tolist() == [0.6, 0.55]
    np.testing.assert_array_equal(found.private, foretell(found.contenders, found.board).private)


def test_a_run_that_is_always_better_always_wins():
    found = foretell(contenders(first(0.9), first(0.4), first(0.1)), Board(100, 200))
    assert found.beats()[0].tolist() == [0, 1, 1]
    assert (found.keeps_order(), found.stays_first(), found.luck()) == (1, 1, 0)
    assert found.is_best().tolist() == [1, 0, 0]
    assert found.best_two()[2] == 1


def test_equal_runs_differ_by_luck_alone():
    rng = np.random.default_rng(0)
    half = rng.permutation(400) < 200
    found = foretell(contenders(half, ~half), Board(200, 200))
    assert found.luck() > 0.95
    assert 0.4 < found.keeps_order() < 0.6


def test_two_that_err_apart_are_handed_in_before_two_alike():
    alike, apart = first(0.6), ~first(0.42)
    found = foretell(contenders(alike, alike.copy(), apart), Board(30, 70))
    pair, score, _ = found.best_two()
    assert 2 in pair
    assert score > found.private.mean(0).max()


def test_of_an_error_the_smallest_is_best():
    truth = np.linspace(0, 1, 50)
    metric = find_metric("mae")
    measures = [metric.counted(truth, truth + shift) for shift in (0.3, 0.1)]
    runs = Contenders("ab", metric, measures, np.arange(50), "images", 100)
    found = foretell(runs, Board(20, 30))
    assert found.beats()[1, 0] == 1
    assert found.is_best().tolist() == [0, 1]


def test_whole_groups_are_drawn_and_widen_what_may_come():
    right = np.repeat(np.arange(40) % 5 > 0, 10)
    alone = foretell(contenders(right, ~right), Board(100, 300))
    whole = foretell(
        contenders(right, ~right, groups=np.repeat(np.arange(40), 10)), Board(100, 300)
    )
    assert whole.private[:, 0].std() > 2 * alone.private[:, 0].std()
    assert set(np.unique(np.round(whole.private * 30, 6) % 1)) == {0}  # 30 of the 40 groups


def test_boards_that_leave_a_metric_undefined_are_refused():
    truth, metric = np.array([0] * 3 + [1] * 57), find_metric("roc_auc")
    shares = np.random.default_rng(0).dirichlet([1, 1], 60)
    runs = Contenders("ab", metric, [metric.counted(truth, shares)] * 2, np.arange(60), "", 50)
    with pytest.raises(ConfigError, match="undefined on"):
        foretell(runs, Board(5, 10))


def test_a_board_has_two_parts():
    assert Board.cut(1000, 0.7) == (300, 700)
    with pytest.raises(ConfigError, match="a public and a private sample"):
        Board.cut(2, 0.9)


def kept(names, said, truth, fingerprints):
    """Return a cross-validation as it is read."""
    answers = OutOfFold({}, np.array(said), np.array(truth), None)
    job = SimpleNamespace(main_metric=ACCURACY, card=SimpleNamespace(classes=("x", "y")))
    whole = SimpleNamespace(run=SimpleNamespace(path=fingerprints))
    return shake_up._Read(whole, job, answers, names, [fingerprints])


def test_samples_are_found_again_in_other_folds():
    one = kept([("a", "x"), ("b", "y"), ("c", "y")], [0, 1, 1], [0, 1, 1], "one")
    other = kept([("c", "y"), ("a", "x"), ("b", "y")], [1, 0, 0], [1, 0, 1], "other")
    assert shake_up._align(other, one).decided.tolist() == [0, 0, 1]
    strange = kept([("c", "y"), ("a", "x"), ("d", "y")], [1, 0, 0], [1, 0, 1], "strange")
    with pytest.raises(RunError, match="strange was judged on other samples than one"):
        shake_up._align(strange, one)


def test_samples_of_one_name_are_told_apart(tmp_path):
    with listed_in(Run(tmp_path)).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "truth"], ["좋다", "1"], ["좋다", "1"], ["음", "0"]])
    keys = list(shake_up._read_keys(Run(tmp_path)))
    assert json.dumps(keys, ensure_ascii=False) == (
        '[["좋다", "1", "1"], ["좋다", "1", "2"], ["음", "0", "1"]]'
    )


PLAIN = MainMetric("accuracy", "accuracy", np.equal, np.mean, resamples=2000)


def expect(right, groups, size):
    return expect_score(PLAIN, OutOfFold({}, right, np.ones(len(right), bool), groups), size)


@pytest.mark.parametrize("rows", [50, 500, 20_000])
def test_a_score_to_expect_counts_both_draws(rows):
    """Of N answers and a test set of n: the variance is p (1 - p) (1 / N + 1 / n)."""
    low, high = expect(np.arange(1000) < 800, None, rows)
    half = 1.96 * np.sqrt(0.8 * 0.2 * (1 / 1000 + 1 / rows))
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.12 * half + 0.5 / rows)


def test_groups_of_like_answers_make_a_score_less_sure():
    right, groups = np.arange(1000) < 800, np.arange(1000) // 20
    alone, grouped = (expect(right, each, 200) for each in (None, groups))
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])
