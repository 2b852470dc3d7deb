"""Ensembles of forecasts: made of runs of other windows and scales, judged by blocks of origins."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common.ensembles.answers import read_together
from common.errors import RunError
from common.runs.folder import Run
from labs.rnn.experiments.ensemble import SeriesTogether
from labs.rnn.forecast.job import Forecast

SMALL = (
    *("--horizon", 3, "--epochs", 1, "--hidden-size", 4, "--no-linear", "--threads", 1),
    *("--quantiles", "0.1,0.5,0.9"),
)
MEMBERS = {
    "하나": ("--window", 7),
    "two": ("--window", 10, "--log", "--seed", 1),
    "three": ("--window", 7, "--no-difference", "--cell", "lstm", "--learning-rate", 0.02),
    "further": ("--window", 7, "--horizon", 4),
}


def days(begin, end):
    return [str(np.datetime64("2024-01-01") + day) for day in range(begin, end)]


def write(path, begin, end):
    rows = [
        f"{day},{name},{100 + 5 * n + np.sin(number / 2) * (n + 1):.3f}"
        for n, name in enumerate(("강남", "부산"))
        for number, day in enumerate(days(begin, end), begin)
    ]
    path.write_text("\n".join(["날짜,매장,판매량", *rows]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def runs(lab, tmp_path_factory):
    """Return the folder of runs on two series of 160 days: some fit one another, some do not."""
    folder = tmp_path_factory.mktemp("runs")
    table = write(folder / "sales.csv", 0, 160)
    for name, more in MEMBERS.items():
        words = ("--data", table, "--run-dir", folder, "--name", name, *SMALL, *more)
        done = lab("forecast", *words)
        assert done.code == 0, done.err
    return folder / "rnn"


@pytest.fixture(scope="module")
def made(lab, runs):
    """Return the result of an ensemble of three, and its folder."""
    named = [runs / name for name in ("하나", "two", "three")]
    words = ("--method", "greedy", "--name", "together", "--run-dir", runs.parent)
    done = lab("ensemble", *named, *words)
    assert done.code == 0, done.err
    return done, runs / "together"


def read(run, name="metrics"):
    return json.loads((run / f"{name}.json").read_text("utf-8"))


def test_members_are_measured_as_by_themselves_and_together_by_the_same(made, runs):
    done, run = made
    found = read(run)
    for each in found["members"]:
        own = read(runs / each["name"])
        assert each["mase"] == pytest.approx(own["test"]["mase"], rel=1e-5)
        assert each["mase_interval"] == pytest.approx(own["test"]["mase_interval"], rel=1e-5)
        assert each["chosen_by_mase"] == pytest.approx(own["validation"]["mase"], rel=1e-5)
        assert each["steps"] == pytest.approx(own["steps"]["mase"], rel=1e-5)
    values, targets = read_together(Run(run))
    assert values.shape == (*targets.shape, 3)  # quantiles
    assert (np.diff(values) >= 0).all()
    assert found["test"]["mase"] == pytest.approx(np.abs(values[..., 1] - targets).mean())
    [best] = [each for each in found["members"] if each["name"] == found["best"]]
    assert found["gain"] == pytest.approx(best["mase"] - found["test"]["mase"])
    low, high = found["gain_interval"]
    assert low <= found["gain"] <= high
    assert {"coverage", "rmse", "smape", "pinball"} <= found["test"].keys()
    assert "3 members together have a test MASE of" in done.out
    page = (run / "report.html").read_text("utf-8")
    assert all(title in page for title in ("Members", "Each step", "Agreement"))
    assert "Confusion" not in page


def ask(lab, run, *words):
    """Return the forecasts with their bounds."""
    done = lab("predict", run, *words, "--format", "json")
    assert done.code == 0, done.err
    return [
        [each["date"], each["series"]] + [each[name] for name in ("low", "forecast", "high")]
        for each in json.loads(done.out)
    ]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_predict_gives_the_weighted_mean_of_forecasts(lab, made, runs, tmp_path, elsewhere):
    _, run = made
    table = [write(tmp_path / "new.csv", 200, 230)] if elsewhere else []
    weights = read(run, "combination")["weights"]
    together = ask(lab, run, *table)
    each = [ask(lab, runs / name, *table) for name in ("하나", "two", "three")]
    for row, said in enumerate(together):
        assert all(one[row][:2] == said[:2] for one in each)
        mean = np.sum([w * np.array(one[row][2:]) for w, one in zip(weights, each, strict=True)], 0)
        assert said[2:] == pytest.approx(mean.tolist(), rel=1e-5)


def test_evaluate_report_submit_and_resume_take_it(lab, made, runs, tmp_path):
    _, run = made
    before, found = (run / "report.html").read_text("utf-8"), read(run)
    done = lab("evaluate", run)
    assert done.code == 0, done.err
    assert f"{found['test']['mase']:.4f}" in done.out
    done = lab("evaluate", run, "--data", write(tmp_path / "new.csv", 200, 230))
    assert done.code == 0, done.err
    assert "(36 samples)" in done.out  # origins that the longest window of 10 allows
    (run / "report.html").unlink()
    assert lab("report", run).code == 0
    assert (run / "report.html").read_text("utf-8") == before
    sample, out = tmp_path / "sample.csv", tmp_path / "out.csv"
    asked = [(day, name) for day in days(160, 163) for name in ("부산", "강남")]
    sample.write_text("\n".join(["날짜,매장,판매량", *(f"{d},{s},0" for d, s in asked)]), "utf-8")
    done = lab("submit", run, sample, "--out", out)
    assert done.code == 0, done.err
    said = {(day, name): middle for day, name, _, middle, _ in ask(lab, run)}
    for line in out.read_text("utf-8").splitlines()[1:]:
        day, name, value = line.split(",")
        assert float(value) == pytest.approx(said[day, name], rel=1e-6)
    for path in (run / "metrics.json", run / "answers/2.safetensors"):
        path.unlink()
    done = lab("ensemble", "--resume", run)
    assert done.code == 0, done.err
    assert read(run)["test"] == found["test"]


def test_the_median_is_that_of_each_step(lab, made, runs):
    named = [runs / name for name in ("하나", "two", "three")]
    words = ("--method", "median", "--name", "median", "--run-dir", runs.parent)
    done = lab("ensemble", *named, *words)
    assert done.code == 0, done.err
    together = ask(lab, runs / "median")
    each = [ask(lab, one) for one in named]
    for row, said in enumerate(together):
        median = np.median([one[row][2:] for one in each], 0)
        assert said[2:] == pytest.approx(median.tolist(), rel=1e-5)


def test_other_quantiles_splits_and_series_do_not_fit(runs):
    first, other = (Forecast.reopen(runs / name) for name in ("하나", "two"))
    SeriesTogether.check_fit(other, first)
    for changed, problem in (
        ({"config": replace(other.config, quantiles=())}, "--quantiles none instead of 0.1,0.5"),
        (
            {"card": replace(other.card, spans={"test": ("a", "b")})},
            "the split test a to b instead",
        ),
        ({"card": replace(other.card, names=("강남",))}, "the series 강남 instead of 강남, 부산"),
        ({"card": replace(other.card, fingerprint="x")}, "was trained on other data than"),
    ):
        known = {"config": other.config, "card": other.card, "run": other.run}
        with pytest.raises(RunError, match=problem):
            SeriesTogether.check_fit(SimpleNamespace(**known | changed), first)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["further"], "further does not foretell what .*하나 does: --horizon 4 instead of 3"),
        (["two", "--method", "hard"], "hard: is not for forecasts; choose soft, median or greedy"),
        (["two", "--method", "stacking"], "stacking: is not for forecasts"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(lab, runs, words, problem):
    there = sorted(runs.iterdir())
    other, *more = words
    done = lab("ensemble", runs / "하나", runs / other, *more, "--run-dir", runs.parent)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert re.search(problem, done.err), done.err
    assert sorted(runs.iterdir()) == there
