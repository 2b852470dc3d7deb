"""The job from start to report, and what a run then foretells."""

import dataclasses
import json

import numpy as np
import pytest

from common.errors import ConfigError, DataError, RunError
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.predictions import predict
from labs.rnn.forecast.results import ForecastResults
from tests.silent import Silent


def measured(job, splits):
    results = ForecastResults(job)
    return results.measure(job.predict_splits(splits), splits, results.baselines(splits))


ARRAYS = (
    "series",
    "origins",
    "inputs",
    "targets",
    "truth",
    "offsets",
    "factors",
    "naive",
    "levels",
)
SMALL = {"window": "7", "horizon": "3", "epochs": "2", "hidden_size": "4", "linear": "no"}


def waves(folder, rows=120, names=("x",), name="waves.csv"):
    """Write a table of daily waves a week long; returns its path."""
    dates = np.datetime64("2024-01-01") + np.arange(rows)
    places = np.arange(rows)[:, None] + 3 * np.arange(len(names))
    lines = [",".join(["date", *names])]
    for date, values in zip(dates, 10 + np.sin(places * 2 * np.pi / 7), strict=True):
        lines.append(",".join([str(date), *(f"{value:.4f}" for value in values)]))
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def train(config):
    """Train without the report; the best weights are then in the model."""
    job, splits = Forecast.start(config, ["test"])
    job.train(splits, Silent(), print)
    return job, splits


@pytest.fixture(scope="module")
def finished(make, tmp_path_factory):
    """A finished run on two series with quantiles, opened again, and its figures."""
    folder = tmp_path_factory.mktemp("finished")
    data = str(waves(folder, names=("x", "매출")))
    quantiles = "0.1,0.5,0.9"
    job, splits = train(make(**SMALL, data=data, run_dir=str(folder), quantiles=quantiles))
    figures = ForecastResults(job).conclude(splits, 0.0)
    opened = Forecast.reopen(job.run.path)
    opened.load_best()
    return opened, figures


@pytest.fixture(scope="module")
def trained(make, tmp_path_factory):
    """A trained run on one series."""
    folder = tmp_path_factory.mktemp("trained")
    return train(make(**SMALL, data=str(waves(folder)), run_dir=str(folder)))[0]


def test_a_run_from_start_to_report(finished):
    job, figures = finished
    assert {path.name for path in job.run.path.iterdir()} >= {
        "config.toml",
        "data.json",
        "history.jsonl",
        "best.safetensors",
        "metrics.json",
        "report.html",
        "figures",
    }
    assert {path.stem for path in job.run.figures.iterdir()} == {
        "result",
        "learning_curves",
        "forecasts",
        "steps",
        "residuals",
        "coverage",
    }
    saved = json.loads((job.run.path / "metrics.json").read_text())
    assert set(saved["baselines"]) == {
        "persistence",
        "seasonal naive (7)",
        "drift",
        "linear autoregression",
    }
    assert set(saved["steps"]) == {"mase", "mase_interval", "mae", "rmse", "smape"}
    assert set(saved["steps_mase"]) == {"gru-direct", *saved["baselines"]}
    for name, steps in saved["steps_mase"].items():
        whole = saved["baselines"].get(name, saved["test"])["mase"]
        assert (len(steps), np.mean(steps)) == (3, pytest.approx(whole))
    assert 0 <= saved["test"]["coverage"] <= 1
    report = job.run.report.read_text()
    for text in ("persistence", "blocks of 6 neighboring origins", "Each series", "Intervals"):
        assert text in report
    assert "persistence" in ForecastResults(job).verdict(figures)


def test_figures_agree_with_the_task(finished):
    """The epoch's validation figures, from the loop, are those of metrics.json."""
    job, figures = finished
    best = job.run.history[figures["best_epoch"] - 1]
    for name in ("mase", "mae", "rmse", "smape"):
        assert best[f"validation/{name}"] == pytest.approx(figures["validation"][name], rel=1e-4)


def test_the_run_says_what_follows_its_own_series(finished):
    job, _ = finished
    found = predict(job)
    assert [record["date"] for record in found[:3]] == ["2024-04-30", "2024-05-01", "2024-05-02"]
    assert [record["series"] for record in found] == 3 * ["x"] + 3 * ["매출"]
    for record in found:
        assert record["low"] <= record["forecast"] <= record["high"]
    assert found == predict(job)


def test_the_table_is_found_from_anywhere(make, monkeypatch, tmp_path):
    path = waves(tmp_path)
    monkeypatch.chdir(tmp_path)
    job, _ = Forecast.start(make(**SMALL, data=path.name, run_dir=str(tmp_path)), [])
    monkeypatch.chdir("/")
    assert job.load_splits()["test"].truth.shape[1] == 3
    path.write_text(path.read_text().replace("10.0000", "11.0000"))
    with pytest.raises(RunError, match="has changed"):
        job.load_splits()


def test_a_table_with_the_same_end_gets_the_same_forecast(trained, tmp_path):
    lines = waves(tmp_path).read_text().splitlines(keepends=True)
    tail = tmp_path / "tail.csv"
    tail.write_text("".join([lines[0], *lines[-7:]]))
    assert predict(trained, tail) == predict(trained)
    assert set(predict(trained)[0]) == {"date", "series", "forecast"}


def test_forecasts_of_the_test_part_are_those_of_predict(trained, tmp_path):
    """What was measured is what a user gets from the same window."""
    splits = trained.load_splits()
    forecasts = trained.predict_splits(splits, ["test"])["test"]["forecasts"][0, :, 0]
    lines = waves(tmp_path).read_text().splitlines(keepends=True)
    before = tmp_path / "before.csv"
    before.write_text("".join(lines[: 2 + int(splits["test"].origins[0])]))
    found = [record["forecast"] for record in predict(trained, before)]
    assert found == pytest.approx(forecasts.tolist(), rel=1e-5)


def test_a_table_of_another_series(trained, table):
    said = []
    rows = "\n".join(f"2020-{month:02}-01,{100 + month},,3" for month in range(1, 13))
    other = table(f"date,z,empty,short\n{rows}\n".replace(",3\n", ",\n", 9), "other.csv")
    found = predict(trained, other, said.append)
    assert [record["date"] for record in found] == ["2021-01-01", "2021-02-01", "2021-03-01"]
    assert {record["series"] for record in found} == {"z"}
    assert 90 < found[0]["forecast"] < 130
    assert any("short has 3 values" in line for line in said)


def test_a_series_that_never_changes_is_left_out_of_a_table_as_of_training(trained, table):
    said = []
    rows = "\n".join(f"2024-01-{day:02},108,{day * day % 7}" for day in range(1, 29))
    other = table(f"date,station,x\n{rows}\n", "other.csv")
    found = predict(trained, other, said.append)
    assert {record["series"] for record in found} == {"x"}
    assert "left out: station never changes, and there is nothing to scale" in said
    with pytest.raises(DataError, match="no series can be used: station never changes"):
        predict(trained, other, value_columns=("station",))


def test_a_table_shorter_than_the_window(trained, tmp_path):
    with pytest.raises(DataError, match="x has 5 values, and at least 7 are needed"):
        predict(trained, waves(tmp_path, rows=5))


def test_a_job_beats_persistence_where_it_can(make, tmp_path):
    options = {"epochs": "8", "learning_rate": "0.02", "hidden_size": "16"}
    data = str(waves(tmp_path, rows=300))
    job, splits = train(make(**{**SMALL, **options}, data=data, run_dir=str(tmp_path)))
    figures = measured(job, splits)
    assert figures["baselines"]["persistence"]["lead_interval"][0] > 0
    assert "It beats persistence" in ForecastResults(job).verdict(figures)


def test_prices_are_not_beaten_and_the_run_says_so(make, tmp_path):
    job, splits = train(make(epochs="1", run_dir=str(tmp_path)))
    figures = measured(job, splits)
    assert figures["baselines"]["persistence"]["lead_interval"][0] <= 0
    assert "It does not beat persistence" in ForecastResults(job).verdict(figures)
    assert "For prices that is the expected result" in ForecastResults(job).verdict(figures)


def test_a_figure_that_no_epoch_has(make, tmp_path):
    config = make(monitor="validation/accuracy", run_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="accuracy"):
        Forecast.start(config, [])
    assert not (tmp_path / "rnn").exists()


@pytest.mark.parametrize("strategy", ["recursive", "encoder-decoder"])
def test_every_strategy_makes_a_run(make, tmp_path, strategy):
    options = {"strategy": strategy, "truncate": "3", "cell": "lstm", "data": str(waves(tmp_path))}
    job, splits = train(make(**SMALL, **options, run_dir=str(tmp_path)))
    assert job.config.title == f"lstm-{strategy}"
    assert np.isfinite(job.decide(job.predict_splits(splits)["test"])).all()


def test_the_same_seed_gives_the_same_run(make, tmp_path):
    data, rows = str(waves(tmp_path)), []
    for seed in ("1", "1", "2"):
        job, _ = train(make(**SMALL, data=data, run_dir=str(tmp_path), seed=seed))
        rows.append(job.run.history[-1]["validation/mase"])
    assert rows[0] == rows[1] != rows[2]


def test_one_value_ahead(make, tmp_path):
    options = {**SMALL, "horizon": "1", "quantiles": "0.1,0.5,0.9", "data": str(waves(tmp_path))}
    job, splits = train(make(**options, run_dir=str(tmp_path)))
    figures = measured(job, splits)
    assert all(len(steps) == 1 for steps in figures["steps"].values())


def test_logarithms_of_what_falls_to_zero(make, tmp_path, table):
    options = {**SMALL, "log": "yes", "data": str(waves(tmp_path))}
    job, _ = train(make(**options, run_dir=str(tmp_path)))
    rows = "\n".join(f"2024-01-{day:02},{max(0, 9 - day)}" for day in range(1, 20))
    with pytest.raises(DataError, match="works on logarithms"):
        predict(job, table(f"date,x\n{rows}\n", "zero.csv"))


def test_logarithms_of_another_series_that_once_was_zero(make, tmp_path, table):
    options = {**SMALL, "log": "yes", "data": str(waves(tmp_path))}
    job, _ = train(make(**options, run_dir=str(tmp_path)))
    rows = "\n".join(f"2024-01-{day:02},{day - 1}" for day in range(1, 29))
    assert len(predict(job, table(f"date,x\n{rows}\n", "known.csv"))) == 3
    with pytest.raises(DataError, match="other has values of 0 or less; this run works on log"):
        predict(job, table(f"date,other\n{rows}\n", "other.csv"))


# --- a line, and what a network adds to it --------------------------------------------------------


def walk(folder, rows=150):
    """Write a random walk, of which nobody knows more than its last value; returns its path."""
    dates = np.datetime64("2024-01-01") + np.arange(rows)
    values = 50 + np.random.default_rng(0).standard_normal(rows).cumsum()
    lines = ["date,x", *(f"{date},{value:.4f}" for date, value in zip(dates, values, strict=True))]
    path = folder / "walk.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_line_itself_is_handed_out_where_the_network_adds_nothing(make, tmp_path):
    options = {**SMALL, "linear": "yes", "data": str(walk(tmp_path))}
    job, splits = train(make(**options, run_dir=str(tmp_path)))
    figures = measured(job, splits)
    assert job.is_line
    name = "mean of linear forecasts"
    assert figures["handed_out"] == name
    shares = figures["choice"]["line"]
    assert list(shares) == ["linear autoregression", "persistence", "the last season (7)"]
    assert sum(shares.values()) == pytest.approx(1)
    guesses = ForecastResults(job).baselines(splits)
    expected = sum(
        share * guesses[key]["test"]
        for share, key in zip(
            shares.values(), [*list(guesses)[3:], *list(guesses)[:2]], strict=True
        )
    )
    errors = np.abs(expected - job.targets(splits["test"]))
    assert figures["test"]["mase"] == pytest.approx(errors.mean(), rel=1e-4)
    verdict = ForecastResults(job).verdict(figures)
    assert verdict.startswith(f"Handed out is the {name} (")
    assert f"The {name} has a test MASE of" in verdict
    opened = Forecast.open_trained(job.run.path)
    assert opened.handed_out == name
    assert predict(opened) == predict(job)
    assert {record["by"] for record in predict(opened)} == {name}


def test_the_network_is_handed_out_where_it_knows_more(make, tmp_path):
    """Each value is the logistic map of the one before, of which a line knows nothing."""
    values = [0.3]
    while len(values) < 400:
        values.append(3.99 * values[-1] * (1 - values[-1]))
    rows = [f"{2000 + place // 12}-{place % 12 + 1:02},{x:.6f}" for place, x in enumerate(values)]
    (tmp_path / "map.csv").write_text("\n".join(["date,x", *rows]))
    options = {"window": "4", "horizon": "1", "epochs": "8", "learning_rate": "0.02"}
    options |= {"linear": "yes", "data": str(tmp_path / "map.csv"), "run_dir": str(tmp_path)}
    job, splits = train(make(**options))
    figures = measured(job, splits)
    assert job.handed_out.startswith("mean of linear forecasts + ")
    assert figures["baselines"]["linear autoregression"]["lead_interval"][0] > 0
    assert figures["choice"]["lead_interval"][0] > 0
    opened = Forecast.open_trained(job.run.path)
    assert predict(opened) == predict(job)
    assert predict(opened)[0]["by"] == job.handed_out
    assert job.handed_out in ForecastResults(opened).verdict(figures)


def test_a_line_does_not_go_with_teacher_forcing(make):
    with pytest.raises(ConfigError, match="--linear"):
        make(linear="yes", strategy="recursive")


def test_far_from_0_the_same_wave_has_the_same_error(make, tmp_path):
    """float32 would know steps of 16 alone at 2e8."""
    found = []
    for level in (0, 200_000_000):
        dates = np.datetime64("2024-01-01") + np.arange(200)
        values = level + np.sin(np.arange(200) / 3) + 0.1 * np.cos(np.arange(200) ** 2)
        rows = [f"{date},{x:.6f}" for date, x in zip(dates, values, strict=True)]
        (tmp_path / "wave.csv").write_text("\n".join(["date,x", *rows]))
        job, splits = train(make(**SMALL, data=str(tmp_path / "wave.csv"), run_dir=str(tmp_path)))
        figures = measured(job, splits)
        last = job.run.history[-1]["validation/mase"]
        assert last == pytest.approx(figures["validation"]["mase"], rel=1e-4)
        leads = [each["lead"] for each in figures["baselines"].values()]
        found.append([figures["test"]["mase"], *leads])
        forecast = predict(job)[0]["forecast"] - level
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert abs(forecast) < 2


@pytest.mark.parametrize(
    "options",
    [
        {"linear": "yes"},
        {"linear": "yes", "difference": "no", "quantiles": "0.1,0.5,0.9"},
    ],
)
def test_figures_and_verdict_do_not_depend_on_the_level(make, tmp_path, options):
    steps = np.random.default_rng(0).normal(0, 5, 150).cumsum().round(2)
    found = []
    for level in ("1000", "1000000000"):
        dates = np.datetime64("2024-01-01") + np.arange(150)
        rows = [f"{date},{int(level) + x:.2f}" for date, x in zip(dates, steps, strict=True)]
        path = tmp_path / f"walk{level}.csv"
        path.write_text("\n".join(["date,meter", *rows]))
        given = {**SMALL, **options, "data": str(path)}
        job, splits = train(make(**given, run_dir=str(tmp_path)))
        figures = measured(job, splits)
        leads = {name: each["lead"] for name, each in figures["baselines"].items()}
        for name, lead in leads.items():
            theirs = figures["baselines"][name]["mase"]
            assert lead == pytest.approx(theirs - figures["test"]["mase"], abs=1e-6)
        numbers = [figures["test"][name] for name in ("mase", "mae", "rmse")]
        numbers += [row["validation/mase"] for row in job.run.history]
        found.append((ForecastResults(job).verdict(figures), [*numbers, *leads.values()]))
    (verdict, one), (other_verdict, other) = found
    assert one == pytest.approx(other, abs=2e-4)
    assert verdict == other_verdict


def test_of_a_single_test_window_nothing_is_known(make, tmp_path):
    options = {**SMALL, "window": "3", "horizon": "9", "data": str(waves(tmp_path, rows=60))}
    job, splits = train(make(**options, run_dir=str(tmp_path), limit="50"))
    one = splits["test"]
    assert len(one) <= 10
    job.card.counts["test"] = 1
    only = {name: getattr(one, name)[:1] for name in ARRAYS}
    splits = {**splits, "test": dataclasses.replace(one, **only)}
    verdict = ForecastResults(job).verdict(measured(job, splits))
    assert "(95 % interval unknown)" in verdict
    assert "is not known" in verdict
    assert "beats persistence" not in verdict


def test_a_run_is_split_as_it_was(make, tmp_path):
    """Also when a later version would split in other places."""
    job, splits = train(make(**SMALL, data=str(waves(tmp_path)), run_dir=str(tmp_path)))
    spans = {**job.card.spans, "test": ("2024-04-20", "2024-04-29")}
    spans["validation"] = ("2024-04-10", "2024-04-19")
    job.card = dataclasses.replace(job.card, spans=spans)
    assert len(job.load_splits()["test"]) == 8 != len(splits["test"])
