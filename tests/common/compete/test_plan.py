"""What there is time for."""

import pytest

from common.compete.plan import Rung, choose_folds, choose_share, parse_time, spend, write_time
from common.errors import ConfigError


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
