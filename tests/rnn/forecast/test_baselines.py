"""The baselines against hand calculation, and that they know nothing of the future."""

import dataclasses

import numpy as np
import pytest

from labs.rnn.forecast import baselines, data
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import Spacing


@pytest.fixture
def splits(monkeypatch, make):
    """Make windows of given values (T, K)."""

    def build(values, **options):
        values = np.array(values, float).reshape(len(values), -1)
        dates = np.datetime64("2024-01-01", "s") + 86400 * np.arange(len(values))
        names = tuple(map(str, range(values.shape[1])))
        panel = Panel(names, dates, values, Spacing("day", 1), "")
        monkeypatch.setattr(data, "find", lambda config: panel)
        return data.load(make(window="6", horizon="4", **options))[0]

    return build


def test_persistence_by_hand(splits):
    part = splits(np.arange(100) ** 2)["test"]
    found = baselines.persistence(part)
    assert (found == (part.origins**2)[:, None]).all()
    assert found.shape == part.truth.shape


def test_the_seasonal_forecast_is_right_about_a_season(splits):
    values = np.stack([np.tile([1, 5, 2, 8, 3], 30), np.tile([4, 4, 9, 1, 1], 30)], 1)
    part = splits(values)["test"]
    assert (baselines.seasonal_naive(part, 5) == part.truth).all()
    assert (baselines.seasonal_naive(part, 3) != part.truth).any()
    short = baselines.seasonal_naive(part, 2)[0]  # two seasons ahead it repeats the last one known
    last = values[part.origins[0] - 1 : part.origins[0] + 1, 0]
    assert short.tolist() == [*last, *last]


def test_drift_is_right_about_a_line(splits):
    part = splits(3 + 0.5 * np.arange(100))["test"]
    np.testing.assert_allclose(baselines.drift(part), part.truth)


def test_drift_of_logarithms_is_right_about_growth(splits):
    part = splits(1.02 ** np.arange(100), log="yes")["test"]
    np.testing.assert_allclose(baselines.drift(part), part.truth)


@pytest.mark.parametrize("options", [{}, {"difference": "no"}, {"log": "yes"}])
def test_the_autoregression_is_right_about_a_sum_of_waves(splits, options):
    time = np.arange(300)
    values = 20 + np.sin(time / 3) + 2 * np.cos(time / 7)
    parts = splits(values, **options)
    found = baselines.autoregression(parts)["test"]
    assert np.abs(found - parts["test"].truth).mean() < 0.05


def test_baselines_know_nothing_of_the_future(splits):
    """Forecasts of an origin stay the same, whatever comes after it."""
    generator = np.random.default_rng(0)
    values = 50 + generator.standard_normal((200, 2)).cumsum(0)
    changed = values.copy()
    changed[170:] += 99
    before, after = splits(values), splits(changed)
    known = before["test"].origins < 170
    one = baselines.forecasts(before, period=7)
    other = baselines.forecasts(after, period=7)
    assert list(one) == ["persistence", "seasonal naive (7)", "drift", "linear autoregression"]
    for name in one:
        np.testing.assert_array_equal(one[name]["test"][known], other[name]["test"][known])
        assert one[name]["validation"].shape == before["validation"].truth.shape


def test_the_penalty_is_chosen_on_validation_alone(splits):
    values = 50 + np.random.default_rng(0).standard_normal(200).cumsum()
    parts = splits(values)
    test = dataclasses.replace(parts["test"], truth=0 * parts["test"].truth)
    one = baselines.autoregression(parts)["test"]
    other = baselines.autoregression({**parts, "test": test})["test"]
    assert (one == other).all()
