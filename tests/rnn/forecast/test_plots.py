"""Pictures are drawn of whatever a run may hold, and show what they say."""

import numpy as np
import pytest

from common.report.plots import png
from labs.rnn.forecast import plots

DATES = np.datetime64("2024-01-01", "s") + 86400 * np.arange(100)


def fans(series=2, horizon=4, outputs=1):
    values = 10 + np.random.default_rng(0).standard_normal((100, series)).cumsum(0)
    origins = np.arange(60, 100 - horizon)
    ahead = values[origins[:, None] + np.arange(1, horizon + 1)].transpose(0, 2, 1)
    spread = np.arange(outputs) - outputs // 2
    return values, origins, ahead[..., None] + spread


@pytest.mark.parametrize(
    ("series", "horizon", "levels"),
    [(1, 1, ()), (2, 4, ()), (7, 4, (0.1, 0.5, 0.9)), (1, 30, (0.05, 0.25, 0.5, 0.75, 0.95))],
)
def test_forecasts_against_the_truth(series, horizon, levels):
    values, origins, predictions = fans(series, horizon, max(1, len(levels)))
    names = ["매출 🫠", *map(str, range(series - 1))]
    figure = plots.forecasts(DATES, values, origins, predictions, names, levels)
    assert len(figure.axes) == min(4, series)
    assert figure.axes[0].get_title(loc="left") == "매출 □"
    assert len(figure.legends[0].get_texts()) == 2 + len(levels) // 2
    assert len(png(figure)) > 5000


def test_forecasts_do_not_overlap_and_begin_where_they_knew():
    values, origins, predictions = fans(series=1)
    figure = plots.forecasts(DATES, values, origins, predictions, ["x"])
    truth, *lines = figure.axes[0].get_lines()
    fans_drawn = [line for line in lines if len(line.get_xdata()) > 1]
    ends = [line.get_xdata()[-1] for line in fans_drawn]
    begins = [line.get_xdata()[0] for line in fans_drawn]
    assert ends[:-1] == begins[1:]
    assert ends[-1] == DATES[-1] == truth.get_xdata()[-1]


def test_series_without_values_are_drawn():
    values, origins, predictions = fans()
    values[50:, 1] = np.nan
    predictions[:, 1] = np.nan
    png(plots.forecasts(DATES, values, origins, predictions, ["a", "b"]))
    errors = predictions[..., 0]
    png(plots.residuals(DATES[origins], errors, errors, "gru"))


def test_errors_by_step():
    figure = plots.by_step(
        {"gru": [1, 2, 3], "persistence": [2, 3, 4]}, [(0, 2), (1, 3), (2, 4)], "MASE"
    )
    [axes] = figure.axes
    assert axes.get_ylim()[0] == 0
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[1, 2, 3], [2, 3, 4]]
    png(figure)


@pytest.mark.parametrize("horizon", [1, 3])
def test_residuals(horizon):
    errors = np.random.default_rng(0).standard_normal((40, 2, horizon))
    figure = plots.residuals(DATES[:40], errors, 2 * errors, "gru")
    network = figure.axes[0].get_lines()[1].get_ydata()
    np.testing.assert_allclose(network, np.abs(errors).mean((1, 2)))
    png(figure)


def test_residuals_of_a_perfect_forecast():
    png(plots.residuals(DATES[:9], np.zeros((9, 1, 2)), np.zeros((9, 1, 2)), "gru"))


def test_coverage():
    shares = np.array([[0.1, 0.5, 0.9], [0.2, 0.4, 0.8]])
    figure = plots.coverage(shares, (0.1, 0.5, 0.9))
    assert len(figure.legends[0].get_texts()) == 3
    png(figure)
