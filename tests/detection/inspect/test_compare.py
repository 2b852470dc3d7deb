"""Detectors side by side: what is trained, measured and shown."""

import json

import pytest

from common.options.config import build
from common.runs.comparison import RULE
from labs.detection.config import RECIPES, CompareConfig, DetectionConfig
from labs.detection.inspect.compare import Comparison

pytestmark = pytest.mark.slow  # each trains a detector of Ultralytics

MODELS = ("tiny-yolo", "yolo11n")


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ("--models", ",".join(MODELS), "--limit", "55", "--epochs", "1", "--name", "all")
    result = lab(
        *("compare-models", *words, "--warmup", "0", "--workers", "0", "--threads", "1"),
        *("--run-dir", folder),
        drawn=True,
    )
    assert result.code == 0, result
    return result, folder / "detection/all"


def test_each_detector_has_its_own_run_its_speed_and_its_errors(run):
    result, path = run
    found = json.loads((path / "metrics.json").read_text())
    assert list(found["compared"]) == list(MODELS)
    for name, each in found["compared"].items():
        assert (path / "members" / name / "best.safetensors").is_file()
        assert each["milliseconds"] > 0
        assert set(each["errors"]) >= {"class", "localization", "background", "missed"}
        low, high = each["map50_95_interval"]
        assert 0 <= low <= each["map50_95"] <= high <= 1
        assert each["map50_95_of_seeds"] == [each["map50_95"]]
    assert found["rule"] == "seeds and test items"
    assert len([each for each in found["compared"].values() if "difference" in each]) == 1
    assert found["compared"]["tiny-yolo"]["parameters"] < 500_000
    assert found["seconds"]["total"] >= found["seconds"]["train"] > 0
    html = (path / "report.html").read_text(encoding="utf-8")
    assert "Side by side" in html
    assert "Where each errs" in html
    assert str(path / "report.html") in result.out


def test_a_finished_comparison_is_shown_again_and_its_report_written_again(lab, run):
    _, path = run
    again = lab("compare-models", "--resume", path)
    assert again.code == 0
    assert "nothing to do" in again.err
    html = (path / "report.html").read_bytes()
    (path / "report.html").unlink()
    assert lab("report", path, drawn=True).code == 0
    assert (path / "report.html").read_bytes() == html


def test_a_model_takes_its_recipe_and_what_was_chosen_goes_over_it():
    def plan(**options):
        return Comparison.plan(build(CompareConfig, ("options", options)))

    plain = plan(models="yolo11n,tiny-yolo")
    assert plain["yolo11n"].learning_rate == RECIPES["yolo11n"]["learning_rate"]
    assert plain["tiny-yolo"].augment == ()
    default = str(DetectionConfig.epochs)
    assert plan(models="yolo11n", epochs=default, chosen="models,epochs")["yolo11n"].epochs == 6


def test_an_option_that_is_given_goes_over_every_recipe(run):
    _, path = run
    for name in MODELS:
        assert len((path / "members" / name / "history.jsonl").read_text().splitlines()) == 1


def test_one_model_is_no_comparison(lab):
    result = lab("compare-models", "--model", "yolo11n")
    assert result.code == 2
    assert "--models" in result.err


def test_an_unknown_model_is_told_before_anything_is_trained(lab, tmp_path):
    result = lab("compare-models", "--models", "tiny-yolo,yollo", "--run-dir", tmp_path / "runs")
    assert result.code == 2
    assert "--models yollo" in result.err
    assert not (tmp_path / "runs").exists()


def made_up(map50_95, milliseconds, **errors):
    return {
        "map50_95": map50_95,
        "map50_95_interval": [0.1, 0.2],
        "validation_map50_95": map50_95 - 0.1,
        "map50": 0.9,
        "kind": "one stage",
        "parameters": 1000,
        "milliseconds": milliseconds,
        "errors": {"class": 1, "localization": 2, "both": 0, "duplicate": 0, **errors},
        "seconds": 90.0,
    }


def test_the_verdict_names_the_best_the_fastest_and_the_most_common_errors():
    compared = {
        "slow": made_up(0.6, 20.0, background=9, missed=0),
        "fast": made_up(0.4, 2.0, background=0, missed=3)
        | {"difference": -0.2, "difference_interval": [-0.3, -0.1]},
    }
    comparison, metrics = object.__new__(Comparison), {"compared": compared, "rule": RULE}
    said = comparison.verdict(metrics)
    assert "slow has the best validation mAP50-95; on test it has 0.6000." in said
    assert "Worse than slow by test mAP50-95: fast -0.2000 (-0.3000 to -0.1000)." in said
    assert "fast is the fastest, 2.0 ms" in said
    assert "slow: background, fast: missed" in said
    columns, rows = comparison.table(metrics)
    assert [row[0] for row in rows] == ["slow", "fast"]
    assert rows[0][-1] == "1.5"
    assert "difference (95 %)" in columns
