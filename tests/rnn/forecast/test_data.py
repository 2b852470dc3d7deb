"""Windows, their scale, and that nothing of validation or test is in training."""

import dataclasses

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from labs.rnn.forecast import data
from labs.rnn.forecast.data import Card, Scaling, choose_period, lags, load, scale, unscale
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import Spacing

PARTS = ("train", "validation", "test")


@pytest.fixture
def panel(monkeypatch):
    """Put a panel in the place of the data; returns a function that does."""

    def put(values, begins=()):
        values = np.array(values, float).reshape(len(values), -1)
        for series, begin in enumerate(begins):
            values[:begin, series] = np.nan
        dates = np.datetime64("2024-01-01", "s") + 86400 * np.arange(len(values))
        names = tuple(f"s{series}" for series in range(values.shape[1]))
        monkeypatch.setattr(
            data, "find", lambda config: Panel(names, dates, values, Spacing("day", 1), "walks")
        )

    return put


def walks(rows=200, columns=3, seed=0):
    return 50 + np.random.default_rng(seed).standard_normal((rows, columns)).cumsum(0)


@pytest.mark.parametrize("seed", range(5))
def test_targets_of_each_part_lie_in_its_own_time(panel, make, seed):
    generator = np.random.default_rng(seed)
    config = make(window=str(generator.integers(2, 30)), horizon=str(generator.integers(1, 15)))
    panel(walks(seed=seed), begins=(0, 20, 60))
    splits, card = load(config)
    times = {
        name: {
            int(place) + step
            for place in splits[name].origins
            for step in range(1, config.horizon + 1)
        }
        for name in PARTS
    }
    for earlier, later in (("train", "validation"), ("validation", "test")):
        assert max(times[earlier]) < min(times[later])
        assert card.spans[earlier][1] < card.spans[later][0]
    assert max(times["test"]) == 199  # nothing is left over


@pytest.mark.parametrize("options", [{}, {"difference": "no"}, {"log": "yes"}])
def test_the_future_changes_nothing_in_training(panel, make, options):
    """What training sees is the same, bit for bit, whatever comes after it."""
    config = make(window="8", horizon="3", **options)
    values = walks()
    panel(values)
    splits, card = load(config)
    end = int(splits["train"].origins.max()) + config.horizon + 1
    changed = values.copy()
    changed[end:] = 7000 + 10 * walks(seed=1)[end:]
    panel(changed)
    others, other = load(config)
    for field in ("inputs", "targets", "truth", "offsets", "factors", "naive", "origins"):
        assert (getattr(splits["train"], field) == getattr(others["train"], field)).all()
    assert (card.centers, card.factors, card.naive, card.period) == (
        other.centers,
        other.factors,
        other.naive,
        other.period,
    )
    assert card.fingerprint != other.fingerprint


def test_inputs_end_before_targets_begin(panel, make):
    panel(np.arange(100.0) ** 1.5)
    splits, _ = load(make(window="6", horizon="4", difference="no"))
    for part in splits.values():
        known = unscale(part.inputs, part.offsets, part.factors, part.log)
        expected = part.panel.values[part.origins[:, None] + np.arange(-5, 1), 0]
        np.testing.assert_allclose(known, expected, rtol=1e-5, atol=1e-4)
        expected = part.panel.values[part.origins[:, None] + np.arange(1, 5), 0]
        assert (part.truth == expected).all()


def test_every_origin_of_the_test_part_is_there(panel, make):
    panel(walks(columns=2))
    splits, card = load(make(window="8", horizon="3"))
    assert card.counts["test"] == 2 * (40 - 3 + 1)
    assert np.unique(splits["test"].origins).tolist() == list(range(159, 197))


def test_difference_puts_every_window_at_zero(panel, make):
    panel(walks())
    splits, _ = load(make(window="8", horizon="3"))
    assert (splits["test"].inputs[:, -1] == 0).all()
    assert np.mean(splits["train"].targets ** 2) == pytest.approx(1, abs=1e-3)


def test_without_difference_training_values_have_mean_0_and_size_1(panel, make):
    panel(walks(columns=1))
    _, card = load(make(window="8", horizon="3", difference="no"))
    values = walks(columns=1)[:140, 0]
    assert card.centers[0] == pytest.approx(values.mean())
    assert card.factors[0] == pytest.approx(values.std())


@pytest.mark.parametrize("log", [False, True])
def test_scaling_is_undone(log):
    values = np.random.default_rng(0).uniform(1, 9, (5, 4))
    offsets, factors = np.arange(5.0), np.arange(1.0, 6)
    scaled = scale(values, offsets, factors, log)
    np.testing.assert_allclose(unscale(scaled, offsets, factors, log), values, rtol=1e-5)
    several = np.stack([scaled, scaled], -1)
    np.testing.assert_allclose(unscale(several, offsets, factors, log)[..., 1], values, rtol=1e-5)


def test_logarithms_turn_growth_into_steps(panel, make):
    panel(1.01 ** np.arange(200.0))
    splits, _ = load(make(window="8", horizon="3", log="yes"))
    np.testing.assert_allclose(splits["test"].targets, splits["train"].targets[:38], atol=1e-4)


def test_naive_error_by_hand(panel, make):
    values = walks(columns=1)
    panel(values)
    _, card = load(make(window="8", horizon="3"))
    assert card.naive[0] == pytest.approx(np.abs(np.diff(values[:140, 0])).mean())


def test_card_survives_json(panel, make):
    import json

    panel(walks(columns=2))
    _, card = load(make(window="8", horizon="3"))
    assert Card.from_dict(json.loads(json.dumps(card.as_dict()))) == card
    assert card.tails[1] == tuple(walks(columns=2)[-8:, 1])


def test_series_of_which_nothing_can_be_learned_are_named(panel, make):
    values = walks()
    values[:, 1] = 3.0
    panel(values, begins=(0, 0, 135))
    _, card = load(make(window="8", horizon="3"))
    assert card.names == ("s0",)
    assert card.skipped == (
        ("s1", "left out: it stays at 3 in the training part"),
        (
            "s2",
            "left out: it has 5 values in the training part, and --window 8 with --horizon 3 needs "
            "at least 11",
        ),
    )


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        (np.arange(30.0), {}, r"s0 cannot be used: it has 10 values .* needs at least 35"),
        (np.arange(4.0), {"window": "2", "horizon": "1"}, "training part"),
        (np.zeros(99), {}, "it stays at 0"),
        (np.minimum(np.arange(99.0), 7), {}, "it stays at 7"),
        (np.arange(99.0), {"log": "yes"}, "s0 is 0 at 2024-01-01, and --log needs values above 0"),
        (np.arange(99.0), {"period": "80"}, "--period 80: the shortest series has 69 values"),
        (walks(100, 1), {"limit": "40"}, "has 20 values in the training part"),
    ],
)
def test_data_that_is_too_little(panel, make, values, options, match):
    panel(values)
    with pytest.raises(DataError, match=match):
        load(make(**options))


def test_the_last_dates_only(panel, make):
    panel(walks(columns=2), begins=(0, 0))
    _, card = load(make(window="8", horizon="3", limit="100"))
    assert sum(card.counts.values()) < 2 * 100
    assert card.source == "walks, the last 100 dates of it"
    assert card.tails[1] == tuple(walks(columns=2)[-8:, 1])


def test_lags_of_the_seasonal_forecast():
    assert lags(7, 3).tolist() == [3, 3, 3, 6, 6, 6, 9]
    assert lags(2, 5).tolist() == [5, 5]


@pytest.mark.parametrize("period", [5, 12, 31])
def test_the_period_is_found(period):
    time = np.arange(400)
    noise = 0.1 * np.random.default_rng(0).standard_normal((400, 2))
    values = np.stack([np.sin(2 * np.pi * time / period)] * 2, 1) + noise + time[:, None] / 1000
    values[:150, 1] = np.nan
    assert choose_period(values, horizon=8) == period


def test_windows_by_origin(panel, make):
    panel(walks(columns=2), begins=(0, 30))
    part = load(make(window="8", horizon="3"))[0]["train"]
    table = part.by_origin(part.truth)
    assert table.shape == (len(np.unique(part.origins)), 2, 3)
    assert np.isnan(table[:30, 1]).all()
    assert np.isfinite(table[30:]).all()
    assert (table[0, 0] == part.truth[0]).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"quantiles": "0.1,0.9"}, "0.5 among them"),
        ({"quantiles": "0.1,0.5,1"}, "between 0 and 1"),
        ({"quantiles": "0.1,0.5,nan"}, "between 0 and 1"),
        ({"quantiles": "0.1,0.5,high"}, "expected numbers"),
        ({"quantiles": "0.1,0.5,0.9", "strategy": "recursive"}, "too narrow"),
        ({"dropout": "0.2"}, "needs --layers 2"),
        ({"horizon": "0"}, "at least 1"),
    ],
)
def test_options_that_do_not_go_together(make, options, match):
    with pytest.raises(ConfigError, match=match):
        make(**options)


def test_quantiles_are_sorted(make):
    config = make(quantiles="0.9,0.5,0.1")
    assert (config.levels, config.middle) == ((0.1, 0.5, 0.9), 1)
    assert (make().levels, make().middle) == ((), 0)


def test_recipes_are_configs(make):
    from labs.rnn.forecast.config import RECIPES

    assert "quick" in RECIPES
    for values in RECIPES.values():
        assert dataclasses.is_dataclass(make(**values))


def test_scaling_is_fitted_on_what_comes_before(panel, make):
    """Centers and factors of a part equal those of the part alone."""
    panel(walks(columns=1))
    config = make(window="8", horizon="3")
    whole = load(config)[0]["train"].panel
    cut = dataclasses.replace(whole, dates=whole.dates[:140], values=whole.values[:140])
    one, other = Scaling.fit(whole, 140, config), Scaling.fit(cut, 999, config)
    assert (one.centers, one.factors) == (other.centers, other.factors)
