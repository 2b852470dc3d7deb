"""Figures against hand calculation and scikit-learn, blocks of the bootstrap, and quantiles."""

import numpy as np
import pytest

from labs.rnn.forecast import metrics

GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.uniform(10, 20, (40, 2, 3))
FORECASTS = TRUTH + GENERATOR.standard_normal(TRUTH.shape)
NAIVE = np.array([2.0, 0.5])


def test_errors_by_hand():
    found = metrics.errors(np.array([[12.0, 0.0]]), np.array([[10.0, 0.0]]), np.array([4.0]))
    assert {name: values.tolist() for name, values in found.items()} == {
        "mae": [[2, 0]],
        "mse": [[4, 0]],
        "mase": [[0.5, 0]],
        "smape": [[pytest.approx(200 * 2 / 22), 0]],
    }


def test_figures_are_scikit_learns():
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    found = metrics.figures(FORECASTS, TRUTH, NAIVE)
    flat = TRUTH.ravel(), FORECASTS.ravel()
    assert found["mae"] == pytest.approx(mean_absolute_error(*flat))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(*flat))
    by_series = [np.abs(FORECASTS - TRUTH)[:, k].mean() / NAIVE[k] for k in (0, 1)]
    assert found["mase"] == pytest.approx(np.mean(by_series))
    for name in ("mae", "rmse", "mase", "smape"):
        low, high = found[f"{name}_interval"]
        assert low < found[name] < high


def test_the_naive_forecast_has_mase_1_where_it_was_fitted():
    """Hyndman and Koehler's definition: the one-step naive forecast, in sample."""
    walk = GENERATOR.standard_normal(500).cumsum()
    naive = np.array([np.abs(np.diff(walk)).mean()])
    found = metrics.figures(walk[:-1, None, None], walk[1:, None, None], naive)
    assert found["mase"] == pytest.approx(1)


def test_scale_changes_neither_mase_nor_smape():
    one = metrics.figures(FORECASTS, TRUTH, NAIVE)
    other = metrics.figures(1000 * FORECASTS, 1000 * TRUTH, 1000 * NAIVE)
    for name in ("mase", "smape"):
        assert other[name] == pytest.approx(one[name])
        assert other[f"{name}_interval"] == pytest.approx(one[f"{name}_interval"])


def test_origins_that_a_series_lacks_do_not_count():
    truth, forecasts = TRUTH.copy(), FORECASTS.copy()
    truth[:15, 1] = forecasts[:15, 1] = np.nan
    found = metrics.figures(forecasts, truth, NAIVE)
    left = np.concatenate([(FORECASTS - TRUTH)[:, 0], (FORECASTS - TRUTH)[15:, 1]])
    assert found["mae"] == pytest.approx(np.abs(left).mean())
    assert metrics.by_step(forecasts, truth, NAIVE)["mae"] == pytest.approx(
        np.abs(left).mean(0).tolist()
    )


def test_the_headline_is_the_mase_of_the_figures():
    scale = NAIVE[:, None]
    found = metrics.main_metric(6).measure(FORECASTS / scale, TRUTH / scale)
    figures = metrics.figures(FORECASTS, TRUTH, NAIVE, block=6)
    assert found["mase"] == pytest.approx(figures["mase"])
    assert found["mase_interval"] == pytest.approx(figures["mase_interval"])


def test_blocks_are_honest_about_overlapping_windows():
    """Over sums of the same shocks, single rows look far more certain than they are."""
    shocks = GENERATOR.standard_normal(1030)
    overlapping = np.abs(np.convolve(shocks, np.ones(30), "valid"))[:, None, None]
    widths = []
    for block in (1, metrics.block_length(1001, 30)):
        low, high = metrics.figures(overlapping, 0 * overlapping, np.ones(1), block)["mae_interval"]
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_the_lead_over_oneself_is_nothing():
    baselines = {"same": {"validation": FORECASTS, "test": FORECASTS}}
    both = {"validation": TRUTH, "test": TRUTH}
    found = metrics.main_metric(6).compare(baselines["same"], baselines, both)["same"]
    assert (found["lead"], found["lead_interval"]) == (0, [0, 0])


@pytest.mark.parametrize(
    ("origins", "horizon", "block"),
    [(205, 5, 10), (1000, 1, 10), (50, 24, 16), (2, 5, 2), (6, 5, 2), (4, 1, 4)],
)
def test_block_length(origins, horizon, block):
    assert metrics.block_length(origins, horizon) == block


def test_pinball_is_scikit_learns():
    from sklearn.metrics import mean_pinball_loss

    levels = (0.1, 0.5, 0.9)
    quantiles = np.sort(GENERATOR.normal(15, 3, (*TRUTH.shape, 3)), -1)
    found = metrics.pinball(quantiles, TRUTH, levels).mean((0, 1, 2))
    expected = [
        mean_pinball_loss(TRUTH.ravel(), quantiles[..., k].ravel(), alpha=level)
        for k, level in enumerate(levels)
    ]
    assert found == pytest.approx(expected)


def test_coverage_of_true_quantiles():
    from scipy.stats import norm

    levels = (0.1, 0.5, 0.9)
    truth = GENERATOR.standard_normal((4000, 1, 2))
    truth[:100] = np.nan
    quantiles = np.where(np.isnan(truth)[..., None], np.nan, norm.ppf(levels))
    found = metrics.intervals(quantiles, truth, np.ones(1), levels)
    low, high = found["coverage_interval"]
    assert low < 0.8 < high
    assert found["width"] == pytest.approx(2 * norm.ppf(0.9))
    shares = metrics.shares_below(quantiles, truth)
    assert shares == pytest.approx(np.array([levels, levels]), abs=0.03)


def test_each_step_has_the_figures_of_that_step_alone():
    found = metrics.by_step(FORECASTS, TRUTH, NAIVE, block=6)
    for step in range(3):
        alone = metrics.figures(FORECASTS[..., [step]], TRUTH[..., [step]], NAIVE, block=6)
        for name, values in found.items():
            assert values[step] == pytest.approx(alone[name])
