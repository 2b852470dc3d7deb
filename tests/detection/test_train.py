"""Training from the command line to the end: what a run folder holds, and what options do."""

import json

import numpy as np
import pytest
import torch

from common.errors import Stopped
from common.options import terminal
from common.options.config import build
from common.training import checkpoint
from labs.detection.config import RECIPES, DetectionConfig, recipe_for
from labs.detection.job import Detector
from labs.detection.results import DetectionResults

SMALL = (
    *("--limit", "110", "--epochs", "2", "--batch-size", "16", "--warmup", "0", "--threads", "1"),
    *("--image-size", "64"),
)
TIMES = ("seconds", "samples_per_second")


def metrics(run):
    return json.loads((run / "metrics.json").read_text())


def history(run):
    """Return the rows of a run without what the clock says."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def weights(run):
    return checkpoint.load(run / "best.safetensors").tensors


@pytest.fixture
def trained(lab, tmp_path):
    """Return a function that trains with options, under a name, and gives the run folder."""

    def call(name, *words):
        result = lab("train", *SMALL, "--run-dir", tmp_path, "--name", name, *words)
        assert result.code == 0, result
        return tmp_path / "detection" / name

    return call


@pytest.fixture(scope="module")
def whole(lab, tmp_path_factory):
    """Return the result and the folder of a run with a Korean name."""
    folder = tmp_path_factory.mktemp("runs")
    result = lab("train", *SMALL, "--run-dir", folder, "--name", "처음", full=True, drawn=True)
    assert result.code == 0, result
    return result, folder / "detection/처음"


def test_a_run_ends_with_its_map_its_baseline_and_its_report(whole):
    result, run = whole
    found = metrics(run)
    test = found["test"]
    low, high = test["map50_95_interval"]
    assert 0 <= low <= high <= 1
    assert test["map50"] >= test["map50_95"]
    [(name, baseline)] = found["baselines"].items()
    assert name == "connected components + nearest neighbor"
    assert baseline["map50_95"] > 0.1
    assert f"{baseline['map50_95']:.4f}" in result.out
    assert "mAP50 is" in result.out
    assert str(run / "report.html") in result.out
    for part in ("box", "objectness", "class", "loss"):
        assert history(run)[0][f"train/{part}"] > 0
    html = (run / "report.html").read_text(encoding="utf-8")
    for title in ("What it finds", "Precision and recall", "Kinds of errors", "Anchors", "Data"):
        assert title in html
    assert "composites" in html
    card = json.loads((run / "data.json").read_text())
    assert card["classes"] == list("0123456789")
    assert len(card["anchors"]) == 5
    assert 0.5 < card["anchor_iou"] < 1


def test_evaluate_says_what_metrics_say_and_draws(lab, whole):
    _, run = whole
    result = lab("evaluate", run)
    assert result.code == 0
    assert terminal.figure_text(metrics(run)["test"]["map50_95"]) in result.out
    assert "Each class" in result.out
    assert (run / "figures/test-precision_recall.png").is_file()
    assert (run / "figures/test-confusion.png").is_file()


@pytest.mark.slow
def test_the_report_is_written_again(lab, whole):
    _, run = whole
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert lab("report", run, full=True, drawn=True).code == 0
    assert (run / "report.html").read_bytes() == before


def test_the_score_threshold_comes_from_validation_alone(whole):
    _, run = whole
    found = metrics(run)
    assert found["test"]["score_threshold"] == found["validation"]["score_threshold"]


MODELS = [
    ("tiny-yolo",),
    ("tiny-yolo", "--augment", "mosaic,affine,hsv,color", "--close-mosaic", "1"),
    pytest.param(("yolo26n", "--augment", "none"), marks=pytest.mark.slow),
    pytest.param(("ssdlite", "--limit", "55"), marks=pytest.mark.slow),
    pytest.param(("faster-rcnn", "--limit", "55"), marks=pytest.mark.slow),
]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=" ".join)
def test_a_stopped_run_goes_on_bit_for_bit(lab, trained, tmp_path, monkeypatch, model):
    words = ("--model", *model, "--workers", "0")
    never = trained("never", *words)

    def stop(self, row, best):
        raise Stopped(15)

    with monkeypatch.context() as patch:
        patch.setattr(terminal.Display, "epoch", stop)
        stopped = lab("train", *SMALL, "--run-dir", tmp_path, "--name", "stopped", *words)
    assert stopped.code == 128 + 15
    run = tmp_path / "detection/stopped"
    assert len(history(run)) == 1
    assert lab("train", "--resume", run).code == 0
    assert history(run) == history(never)
    one, other = weights(run), weights(never)
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.slow
def test_micro_batches_see_the_same_boxes(trained):
    """Batch norm alone sets them apart, so the losses stay close."""
    whole = history(trained("whole", "--epochs", "1"))[0]
    parts = history(trained("parts", "--epochs", "1", "--micro-batch", "8"))[0]
    assert parts["train/objectness"] == pytest.approx(whole["train/objectness"], rel=0.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "yolo11"), "did you mean yolo11"),
        (("--image-size", "100"), "multiple of 32"),
        (("--augment", "mosaik"), "did you mean mosaic?"),
        (("--data", "nowhere.yaml"), "nowhere.yaml"),
        (("--weights", "nowhere.pt"), "nowhere.pt: no such file"),
        (("--monitor", "validation/accuracy"), "validation/accuracy"),
    ],
)
def test_what_cannot_be_trained_is_one_error_and_leaves_nothing(lab, tmp_path, words, message):
    result = lab("train", "--limit", "55", *words, "--run-dir", tmp_path / "runs")
    assert result.code == 2, result
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "runs").exists()


def test_all_problems_of_the_options_come_at_once(lab):
    result = lab("train", "--model", "yolo11", "--image-size", "100", "--epochs", "0")
    assert result.code == 2
    assert all(name in result.err for name in ("--model", "--image-size", "--epochs"))


def test_a_model_takes_the_recipe_that_suits_it():
    assert recipe_for("tiny-yolo") is None
    assert recipe_for("faster-rcnn") == "faster-rcnn"
    assert recipe_for("yolov8s") == "yolo11n"
    for name, values in RECIPES.items():
        assert build(DetectionConfig, (name, values))


def test_a_run_is_reopened_with_the_same_detections(whole):
    _, run = whole
    job = Detector.reopen(run, "cpu")
    job.load_best()
    splits = job.load_splits()
    found = job.predict_splits(splits, ["test"])["test"]
    again = DetectionResults(job).figures(found, splits["test"])
    np.testing.assert_equal(again["map50"], metrics(run)["test"]["map50"])
