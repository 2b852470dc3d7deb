"""What there is time for, and what a score is likely to be."""

import numpy as np
import pytest

from common.compete.compete import _draw_boards
from common.compete.plan import Rung, choose_folds, choose_share, parse_time, spend, write_time
from common.errors import ConfigError
from common.metrics.main_metric import MainMetric


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("2H", 7200), ("1m30s", 90)]
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-3m", "0m", "1.5h", "30 minutes", "30m1h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="expected a time such as 30m"):
        parse_time(text)


@pytest.mark.parametrize(("seconds", "text"), [(90, "90s"), (1800, "30m"), (5430, "1h30m")])
def test_a_time_is_written_as_it_is_read(seconds, text):
    assert write_time(seconds) == text


CHEAP, MAIN = Rung("linear", {}, 5.0), Rung("network", {}, 300.0)


@pytest.mark.parametrize(("minutes", "folds"), [(60, 5), (30, 5), (25, 3), (10, 3)])
def test_more_time_gives_more_folds(minutes, folds):
    assert choose_folds([CHEAP, MAIN], 60 * minutes) == folds


def test_folds_that_are_asked_for_are_taken():
    assert choose_folds([CHEAP, MAIN], 600, most=10) == 10


def test_too_little_time_says_how_much_is_needed():
    with pytest.raises(ConfigError, match=r"--time 60s: is too little: 3 folds of linear .* 2m"):
        choose_folds([CHEAP, MAIN], 60)


def test_a_rung_gets_fewer_updates_before_it_is_left_out():
    assert choose_share(MAIN, 3, MAIN.last(3)) == 1
    assert choose_share(MAIN, 3, MAIN.last(3) - 1) == 0.67
    assert choose_share(MAIN, 3, MAIN.last(3, 0.5)) == 0.5
    assert choose_share(MAIN, 3, MAIN.last(3, 0.33) - 1) is None


def test_a_slower_machine_is_given_less_and_a_little_slower_is_noise():
    left = 2 * MAIN.last(3)
    assert choose_share(MAIN, 3, left, pace=1.4) == 1
    assert choose_share(MAIN, 3, left, pace=3.0) == 0.5


def test_something_is_always_kept_for_the_end():
    assert all(0 < seconds - spend(seconds) >= 45 for seconds in (60.0, 600.0, 36000.0))


ACCURACY = MainMetric("accuracy", "accuracy", np.equal, np.mean, resamples=2000)


@pytest.mark.parametrize("rows", [50, 500, 20_000])
def test_a_score_to_expect_counts_both_draws(rows):
    """Of N answers and a test set of n: the variance is p (1 - p) (1 / N + 1 / n)."""
    right = np.arange(1000) < 800
    low, high = _draw_boards(ACCURACY, right, np.ones(1000, bool), None, rows)
    half = 1.96 * np.sqrt(0.8 * 0.2 * (1 / 1000 + 1 / rows))
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.12 * half + 0.5 / rows)


def test_groups_of_like_answers_make_a_score_less_sure():
    right, groups = np.arange(1000) < 800, np.arange(1000) // 20
    alone = _draw_boards(ACCURACY, right, np.ones(1000, bool), None, 200)
    grouped = _draw_boards(ACCURACY, right, np.ones(1000, bool), groups, 200)
    assert grouped[1] - grouped[0] > 2 * (alone[1] - alone[0])
