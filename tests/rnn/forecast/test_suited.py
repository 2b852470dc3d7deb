"""What is chosen for a user's own series, and that it is chosen from training alone."""

import numpy as np
import pytest

from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import Spacing
from labs.rnn.forecast.suited import suit

DAY = Spacing("day", 1)


def panel(values, spacing=DAY):
    values = np.array(values, float).reshape(len(values), -1)
    dates = np.datetime64("2024-01-01", "s") + 86400 * np.arange(len(values))
    names = tuple(f"s{series}" for series in range(values.shape[1]))
    return Panel(names, dates, values, spacing, "")


def wave(rows, period, growth=0.0, noise=0.1, seed=0):
    """Return a wave on a level that grows by a share of itself at each step."""
    time = np.arange(rows)
    draw = np.random.default_rng(seed).standard_normal(rows)
    return (10 + np.sin(2 * np.pi * time / period) + noise * draw) * (1 + growth) ** time


@pytest.mark.parametrize(
    ("spacing", "rows", "season"),
    [
        (Spacing("month", 1, 1), 144, 12),
        (Spacing("month", 3, 1), 80, 4),
        (Spacing("day", 7), 400, 52),
        (Spacing("day", 1), 100, 7),
        (Spacing("business day", 1), 100, 5),
        (Spacing("weekday", 1, 63), 100, 6),
        (Spacing("second", 3600), 400, 24),
        (Spacing("second", 600), 900, 144),
    ],
)
def test_the_calendar_says_what_a_season_is(make, spacing, rows, season):
    """Even where one value less would do about as well."""
    config, reasons = suit(make(), panel(wave(rows, season), spacing))
    assert (config.period, config.horizon) == (season, min(season, rows // 10))
    assert config.window > season
    assert reasons[0].startswith(f"a season of {season}: rows are every")


@pytest.mark.parametrize("spacing", [Spacing("month", 12, 1), Spacing("irregular", 5)])
def test_where_dates_do_not_say_it_the_values_do(make, spacing):
    config, reasons = suit(make(), panel(wave(300, 11), spacing))
    assert config.period == 11
    assert "changes repeat" in reasons[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_has_no_season(make, seed):
    values = np.random.default_rng(seed).standard_normal(600).cumsum()
    config, reasons = suit(make(), panel(values, Spacing("irregular", 1)))
    assert config.period is None
    assert reasons[0].startswith("no season")


@pytest.mark.parametrize(("growth", "log"), [(0.01, True), (0, False)])
def test_growth_by_percent_takes_logarithms(make, growth, log):
    assert suit(make(), panel(wave(144, 12, growth), Spacing("month", 1, 1)))[0].log is log


def test_growth_by_a_constant_and_values_below_0_take_none(make):
    line = wave(144, 12) + 0.5 * np.arange(144)
    assert not suit(make(), panel(line, Spacing("month", 1, 1)))[0].log
    below = wave(144, 12, 0.01)
    below[130] = 0  # in the test part, where training would refuse it
    assert not suit(make(), panel(below, Spacing("month", 1, 1)))[0].log


def test_a_level_that_does_not_wander_is_known_from_all_values(make):
    draw = np.random.default_rng(0).standard_normal(500)
    assert not suit(make(), panel(50 + draw))[0].difference
    assert suit(make(), panel(50 + draw.cumsum()))[0].difference


def test_what_is_given_is_not_chosen(make):
    given = {"period": "6", "window": "9", "horizon": "2", "log": "yes", "difference": "no"}
    given |= {"linear": "no", "learning_rate": "1e-3", "epochs": "3", "batch_size": "5"}
    config, reasons = suit(make(**given, patience="2"), panel(wave(144, 12)))
    assert (config, reasons) == (make(**given, patience="2"), [])


def test_the_future_changes_nothing(make):
    """Neither of validation nor of test."""
    values = wave(144, 12, 0.01)
    changed = values.copy()
    changed[87:] = 1 + np.random.default_rng(0).random(57)
    month = Spacing("month", 1, 1)
    assert suit(make(), panel(values, month)) == suit(make(), panel(changed, month))


def test_short_series_get_updates_and_long_ones_an_end(make):
    short, _ = suit(make(), panel(wave(60, 7)))
    long, _ = suit(make(), panel(wave(5_000, 7)))
    assert (short.batch_size, long.batch_size) == (8, 64)
    assert short.total_updates >= 1000 <= long.total_updates
    assert short.patience > long.patience


@pytest.mark.parametrize("rows", [2, 3, 5, 9, 20])
def test_of_a_few_values_something_is_chosen(make, rows):
    config, _ = suit(make(), panel(wave(rows, 7)))
    assert (config.window, config.horizon) >= (2, 1)


def test_embedded_series_are_left_as_they_are(make):
    config = make(data="google")
    assert Forecast.suited(config) == (config, ())


@pytest.mark.parametrize(("rows", "window"), [(400, 49), (1_500, 169)])
def test_hours_are_seen_for_a_week_where_there_are_four(make, rows, window):
    config, _ = suit(make(), panel(wave(rows, 24), Spacing("second", 3600)))
    assert (config.period, config.horizon, config.window) == (24, 24, window)


def test_a_season_may_take_two_thirds_of_the_training_part(make):
    config, reasons = suit(make(), panel(wave(200, 52), Spacing("day", 7)))
    assert (config.period, config.window) == (52, 53)
    assert "a window of 53: a season, and the value before" in reasons
