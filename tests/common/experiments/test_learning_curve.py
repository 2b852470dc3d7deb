"""Learning curves: nested shares, a power law, and what it foretells."""

import numpy as np
import pytest
from scipy import stats

from common.experiments import power_law
from common.experiments.learning_curve import Point, describe_curve
from common.experiments.power_law import fit_power_law
from common.runs.folder import Run
from labs.classification.__main__ import lab as classification
from labs.rnn.__main__ import lab as rnn

SHARES = np.array([1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2])


def test_a_power_law_is_found_and_goes_on():
    sizes = np.repeat(1000 * SHARES, 2)
    law = fit_power_law(sizes, 2 * sizes**-0.4)
    assert law.exponent == pytest.approx(0.4)
    assert law.foretell(1e4).value == pytest.approx(2 * 1e4**-0.4)
    low, high = law.exponent_interval
    assert low < 0.4 < high


def test_a_law_is_a_regression_with_one_more_row_for_the_bend():
    generator = np.random.default_rng(3)
    errors = 2 * (1000 * SHARES) ** -0.4 * np.exp(0.1 * generator.standard_normal(7))
    law = fit_power_law(1000 * SHARES, errors)
    x, y = np.log(SHARES / SHARES[-1]), np.log(errors)
    reference = stats.linregress(x, y)
    deviation = np.sqrt(((y - reference.intercept - reference.slope * x) ** 2).sum() / 5)
    noise = np.hypot(power_law._ROUGH, deviation)
    assert law.deviation == pytest.approx(deviation)
    assert law.freedom == pytest.approx(5 * (noise / deviation) ** 4)
    rows = np.vstack([np.stack([np.ones(7), x, x**2], 1) / noise, [0, 0, 1 / power_law._BEND]])
    expected = np.linalg.lstsq(rows, np.append(y / noise, 0.0), rcond=None)[0]
    assert law.coefficients == pytest.approx(expected)


@pytest.mark.parametrize("floor", [0.0, 0.5])
@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_the_interval_holds_about_95_of_100_means_of_three_runs(floor, noise):
    generator, inside = np.random.default_rng(0), []
    shares = np.repeat([1 / 16, 1 / 8, 1 / 4, 1 / 2, 1], 3)
    for _ in range(200):
        rough = np.repeat(np.exp(0.04 * generator.standard_normal(5)), 3)
        errors = (shares**-0.7 + floor) * rough * np.exp(noise * generator.standard_normal(15))
        sizes = 1000 * shares
        foretold = fit_power_law(sizes[:-3], errors[:-3]).foretell(1000, runs=3)
        inside.append(foretold.low < errors[-3:].mean() < foretold.high)
    assert np.mean(inside) > 0.92


@pytest.mark.parametrize("means", [(0.5, 0.3, 0.22, 0.2, 0.195), (0.2, 0.15, 0.16, 0.17, 0.2)])
def test_more_data_are_never_foretold_to_harm(means):
    sizes = np.array([125, 250, 500, 1000, 2000])
    law = fit_power_law(sizes, np.array(means))
    now, *more = (law.foretell(times * 2000) for times in (1, 2, 4, 10))
    assert all(each.value <= now.value for each in more)
    assert [each.high - each.low for each in more] == sorted(each.high - each.low for each in more)


def test_a_mean_is_foretold_more_narrowly_than_a_run():
    errors = np.array([0.3, 0.28, 0.2, 0.22, 0.15, 0.16])
    law = fit_power_law(np.repeat([100, 200, 400], 2), errors)
    run, mean = law.foretell(800), law.foretell(800, runs=4)
    assert run.value == mean.value
    assert run.low < mean.low < mean.value < mean.high < run.high


@pytest.mark.parametrize("errors", [[0.2, 0.1, 0.0], [0.2, 0.1]])
def test_no_law_goes_through_too_little(errors):
    assert fit_power_law(np.arange(1, len(errors) + 1), np.array(errors)) is None


def test_a_curve_is_checked_on_itself():
    points = [
        Point(share, round(1000 * share), 0.01, 0.2 * share**-0.5) for share in (0.125, 0.25, 0.5)
    ]
    good = describe_curve([*points, Point(1.0, 1000, 0.01, 0.2)])
    assert good["check"]["inside"]
    assert good["law"]["exponent"] == pytest.approx(0.5, abs=0.01)
    assert good["law"]["more"][0]["value"] == pytest.approx(0.2 / 2**0.5, rel=0.01)
    assert not describe_curve([*points, Point(1.0, 1000, 0.01, 0.5)])["check"]["inside"]
    worse = [point._replace(test=0.3 - point.test / 10) for point in points]
    assert describe_curve([*worse, Point(1.0, 1000, 0.01, 0.3)])["law"]["exponent"] < 0


def test_a_curve_of_digits(command, tmp_path):
    done = command(
        *(classification, "learning-curve", "--data", "digits", "--limit", "300"),
        *("--model", "linear", "--epochs", "2", "--shares", "0.25,0.5", "--seeds", "2"),
        *("--run-dir", tmp_path, "--name", "curve"),
        drawn=True,
    )
    assert done.code == 0, done.err
    run = tmp_path / "classification" / "curve"
    metrics = Run(run).read("metrics")
    assert [each["size"] for each in metrics["shares"]] == pytest.approx([52, 105, 210], abs=6)
    member = Run(run / "members" / "1-0").read("metrics")
    assert metrics["points"][-2]["test"] == pytest.approx(1 - member["test"]["accuracy"])
    assert [each["epochs"] for each in _configs(run)] == [8, 8, 4, 4, 2, 2]
    assert "Twice the data would bring it to" in done.out
    assert (run / "figures" / "learning_curve.png").exists()


def test_of_series_the_latest_dates_are_the_share(command, tmp_path):
    done = command(
        *(rnn, "learning-curve-forecast", "--limit", "300", "--window", "8", "--horizon", "3"),
        *("--hidden-size", "4", "--period", "2", "--no-linear", "--epochs", "1", "--seeds", "1"),
        *("--shares", "0.5", "--run-dir", tmp_path, "--name", "curve"),
    )
    assert done.code == 0, done.err
    members = tmp_path / "rnn" / "curve" / "members"
    half, whole = (Run(members / name).read("data")["spans"] for name in ("0.5-0", "1-0"))
    assert half["train"][0] > whole["train"][0]
    assert [half["train"][1], half["test"]] == [whole["train"][1], whole["test"]]


@pytest.mark.parametrize("shares", ["0", "1.5", "half"])
def test_what_is_no_share_is_refused(command, tmp_path, shares):
    done = command(classification, "learning-curve", "--shares", shares, "--run-dir", tmp_path)
    assert done.code == 2
    assert "--shares" in done.err
    assert not list(tmp_path.iterdir())


def _configs(run):
    import tomllib

    return [
        tomllib.loads((run / "members" / name / "config.toml").read_text())
        for name in ("0.25-0", "0.25-1", "0.5-0", "0.5-1", "1-0", "1-1")
    ]
