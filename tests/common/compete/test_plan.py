"""What there is time for."""

import pytest

from common.compete.plan import Rung, choose_folds, choose_share, spend
from common.errors import ConfigError

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
