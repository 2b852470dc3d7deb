"""Detectors that answer together: made of runs or folds, asked as runs are, refused where unfit."""

import json
import re
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from common.ensembles.answers import read_together
from common.ensembles.combine import Combination, choose_greedily
from common.ensembles.forms import Truth
from common.ensembles.judge import judge_nested
from common.ensembles.members import Member
from common.errors import RunError
from common.runs.folder import Run
from common.training import checkpoint
from labs.detection.config import DetectionConfig
from labs.detection.experiments.ensemble import Boxes, BoxesTogether
from labs.detection.job import Detector
from labs.detection.letterbox import Letterbox
from labs.detection.metrics import HEADLINE, MAP50
from labs.detection.predict import predictions
from labs.detection.predict.fusion import fuse

SMALL = (
    *("--model", "tiny-yolo", "--image-size", 128, "--anchors", 3, "--augment", "none"),
    *("--batch-size", 8, "--ema", "none", "--threads", 1),
)


def start(root, name, **options):
    """Make a run that has learned nothing, as if it had."""
    config = DetectionConfig(limit=30, run_dir=str(root), name=name, **options)
    job, _ = Detector.start(config, [])
    checkpoint.save(job.run.best, dict(job.model.state_dict()), json.dumps({"row": {}}))
    found = {"best_epoch": 1, "validation": {"score_threshold": 0.001}, "seconds": {"train": 1.0}}
    job.run.write("metrics", found)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folder of three runs that fit one another, and of some that do not."""
    root = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("하나", "two")):
        start(root, name, seed=seed)
    start(root, "larger", seed=2, image_size=160)
    start(root, "elsewhere", split_seed=1)
    return root / "detection"


@pytest.fixture(scope="module")
def made(lab, runs):
    """Return the result of an ensemble of three, of which one sees larger images; its folder."""
    names = [runs / name for name in ("하나", "two", "larger")]
    done = lab("ensemble", *names, "--name", "all", "--run-dir", runs.parent)
    assert done.code == 0, done.err
    return done, runs / "all"


def job_of(size):
    card = SimpleNamespace(image_size=size, classes=("a", "b"))
    return SimpleNamespace(card=card, main_metric=HEADLINE)


def test_boxes_of_larger_squares_are_brought_into_those_of_the_first_member():
    sizes = torch.tensor([[333, 500], [701, 350], [90, 90]])
    boxes = torch.tensor([[20.0, 30, 60, 80, 0.5, 1]])

    def see(size):
        fits = [Letterbox.fit(height, width, size) for height, width in sizes.tolist()]
        return {"detections": torch.stack([fit.into(boxes) for fit in fits])}

    form, split = Boxes(job_of(256)), SimpleNamespace(sizes=sizes)
    found = form.values(job_of(416), see(416), split)
    np.testing.assert_allclose(found, see(256)["detections"], atol=1e-3)
    same = see(256)
    assert np.shares_memory(form.values(job_of(256), same), same["detections"].numpy())


@pytest.mark.slow
def test_the_detector_that_finds_more_gets_the_weight():
    rng = np.random.default_rng(0)
    left = rng.uniform(0, 90, (12, 2, 2))
    truth = np.concatenate([left, left + 30, np.zeros((12, 2, 2))], 2)
    scores = rng.uniform(0.5, 1, (3, 12, 2, 1))
    found = [np.concatenate([truth[..., :4], each, truth[..., 4:5]], 2) for each in scores]
    for each, off in zip(found, (2, 9, 12), strict=True):
        each[..., :4] += rng.normal(0, off, (12, 2, 4))
    found = [np.pad(each, [(0, 0), (0, 98), (0, 0)], constant_values=-1) for each in found]
    form = Boxes(job_of(128))
    weights = choose_greedily(np.stack(found), truth, form)
    assert weights.argmax() == 0
    assert weights.sum() == pytest.approx(1)
    together = Combination("greedy", weights).answer(np.stack(found), form)
    np.testing.assert_array_equal(together, fuse(found, weights))
    values = [HEADLINE.value(each, truth) for each in (together, *found)]
    assert max(values) == values[0] > 0.3
    nested, _ = judge_nested("greedy", np.stack(found), Truth(truth), np.arange(12) % 2, form)
    assert nested["seen"]["gain"] >= 0


def test_an_ensemble_is_measured_beside_its_members(made):
    done, run = made
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    assert [each["name"] for each in found["members"]] == ["하나", "two", "larger"]
    boxes, targets = read_together(Run(run))
    assert found["test"]["map50_95"] == pytest.approx(HEADLINE.value(boxes, targets))
    low, high = found["gain_interval"]
    [best] = [each for each in found["members"] if each["name"] == found["best"]]
    assert found["gain"] == pytest.approx(found["test"]["map50_95"] - best["map50_95"])
    assert low <= found["gain"] <= high
    assert [each["weight"] for each in found["members"]] == pytest.approx([1 / 3] * 3)
    assert found["pairs"] == []
    assert found["test"]["score_threshold"] == found["validation"]["score_threshold"]
    assert "3 members together have a test mAP50-95 of" in done.out
    page = (run / "report.html").read_text("utf-8")
    assert "They answer together by the fusion of their boxes, in which each counts alike" in page


def test_evaluate_and_report_take_it(lab, made):
    _, run = made
    found = json.loads((run / "metrics.json").read_text("utf-8"))["test"]
    done = lab("evaluate", run)
    assert done.code == 0, done.err
    shown = dict(re.findall(r"\| (\w+) +\| +([\d.e-]+) \|", done.out))
    for name in ("map50_95", "map50", "average_recall", "f1", "score_threshold"):
        assert float(shown[name]) == pytest.approx(found[name], rel=0.01, abs=5e-5)
    before = (run / "report.html").read_text("utf-8")
    (run / "report.html").unlink()
    assert lab("report", run).code == 0
    assert (run / "report.html").read_text("utf-8") == before


@pytest.mark.slow
def test_predict_and_submit_give_the_fusion(lab, made, runs, paint, tmp_path, monkeypatch):
    _, run = made
    monkeypatch.chdir(tmp_path)
    photo = paint(tmp_path / "test/1.png", 90, size=(90, 70))
    [shot] = predictions.read_photos({"1": photo}, print)
    each = [
        Detector.open_trained(runs / name, "cpu").find([shot.pixels])["detections"].numpy()
        for name in ("하나", "two", "larger")
    ]
    [expected] = fuse(each)
    done = lab("predict", run, photo, "--format", "json", "--score", 0, "--output", "out")
    assert done.code == 0, done.err
    [said] = json.loads((tmp_path / "out/predictions.json").read_text("utf-8"))
    corners = [box["xyxy"] for box in said["boxes"]]
    np.testing.assert_allclose(corners, expected[: len(corners), :4], atol=0.011)
    (tmp_path / "sample.csv").write_text("image_id,PredictionString\n1,\n")
    given = ("submit", run, tmp_path / "test", tmp_path / "sample.csv", "--boxes", "corners")
    done = lab(*given, "--score", 0)
    assert done.code == 0, done.err
    cells = (tmp_path / "submission.csv").read_text().partition("\n1,")[2].split()
    assert len(cells) == 6 * len(corners)
    manifest = json.loads((tmp_path / "submission.json").read_text())
    assert len(manifest["members"]) == 3
    done = lab(*given, "--score", 0, "--bundle", tmp_path / "bundle")
    assert done.code == 0, done.err
    moved = ("submit", tmp_path / "bundle/run", *given[2:], "--score", 0, "--out", "again.csv")
    assert lab(*moved).code == 0
    again, before = (tmp_path / f"{name}.csv" for name in ("again", "submission"))
    assert again.read_bytes() == before.read_bytes()
    refused = lab(*given, "--refit")
    assert refused.code == 2
    assert "--refit: runs of `train` hold rows out to the end" in refused.err


def test_what_was_asked_is_not_asked_again(lab, made, conclude_again):
    conclude_again(lab, made[1])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["하나", "elsewhere"], "another split than .*하나: --split-seed 1 instead of 0"),
        (["하나", "two", "--method", "hard"], "is not for boxes; choose soft or greedy"),
        (["하나", "two", "--method", "stacking"], "is not for boxes; choose soft or greedy"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(lab, made, runs, words, problem):
    there = sorted(runs.iterdir())
    given = [runs / word if (runs / word).is_dir() else word for word in words]
    done = lab("ensemble", *given, "--run-dir", runs.parent)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert re.search(problem, done.err), done.err
    assert sorted(runs.iterdir()) == there


@pytest.mark.parametrize("verb", ["doctor", "nms", "export", "explain-assignment"])
def test_what_looks_into_a_network_names_the_members(lab, made, verb):
    _, run = made
    done = lab(verb, run)
    assert done.code == 2
    assert "is an ensemble: to look into a network, name one" in done.err


def test_runs_that_find_masks_are_refused():
    run = SimpleNamespace(path="runs/detection/masks")
    job: Any = SimpleNamespace(config=DetectionConfig(task="segment"), run=run)
    with pytest.raises(RunError, match="masks finds masks, and boxes alone can be fused"):
        BoxesTogether.form_of([Member("masks", run.path, [job])])
    with pytest.raises(RunError, match="--tta: runs/detection/masks finds masks, and boxes alone"):
        Detector.choose_copies(job, "auto")


@pytest.fixture(scope="module")
def folds(lab, scene_files, tmp_path_factory):
    """Return the folder of a cross-validation of two folds."""
    root = tmp_path_factory.mktemp("folds")
    words = ("--data", scene_files("train", 24), "--folds", 2, "--epochs", 1, *SMALL)
    done = lab("crossval", *words, "--run-dir", root, "--name", "cv")
    assert done.code == 0, done.err
    return root / "detection/cv"


@pytest.fixture
def photos(scene_files, tmp_path):
    """Return a folder of two photos."""
    table = scene_files("test", 2)
    for number in range(2):
        (tmp_path / "test").mkdir(exist_ok=True)
        shutil.copy(table.with_name(f"test-2-{number}.png"), tmp_path / f"test/{number}.png")
    return tmp_path / "test"


@pytest.mark.slow
def test_the_folds_of_a_cross_validation_hand_in_what_they_find_together(
    lab, folds, photos, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample.csv").write_text("image_id,class,conf,xmin,ymin,xmax,ymax\n1,0,1,0,0,1,1\n")
    (photos / "0.png").unlink()
    done = lab("submit", folds, photos, tmp_path / "sample.csv", "--score", 0.001)
    assert done.code == 0, done.err
    assert "the answers are the fusion of those of 2 folds" in done.err
    manifest = json.loads((tmp_path / "submission.json").read_text())
    names = [folds / "members" / f"fold-{number}" for number in (1, 2)]
    assert [each["run"] for each in manifest["members"]] == list(map(str, names))
    [shot] = predictions.read_photos({"1": photos / "1.png"}, print)
    jobs = [Detector.open_trained(path, "cpu") for path in names]
    [together] = fuse([job.find([shot.pixels])["detections"].numpy() for job in jobs])
    expected = torch.from_numpy(together[together[:, 4] >= 0.001])
    written = (tmp_path / "submission.csv").read_text().split()[1:]
    assert len(written) == len(expected)
    for line, (*corners, score, label) in zip(written, expected.tolist(), strict=True):
        values = [float(cell) for cell in line.split(",")]
        assert values == pytest.approx([1, label, score, *corners], abs=0.01)


@pytest.mark.slow
def test_the_folds_of_one_answer_together_and_are_measured_on_other_photos(
    lab, folds, scene_files, tmp_path
):
    done = lab("ensemble", folds, "--name", "alone", "--run-dir", tmp_path)
    assert done.code == 0, done.err
    assert "What that gains cannot be measured on these data" in done.out
    run = tmp_path / "detection/alone"
    done = lab("evaluate", run)
    assert done.code == 2
    assert "are folds" in done.err
    done = lab("evaluate", run, "--data", scene_files("test", 20))
    assert done.code == 0, done.err


@pytest.mark.slow
def test_two_cross_validations_are_judged_out_of_fold(lab, folds, scene_files, tmp_path):
    words = ("--data", scene_files("train", 24), "--folds", 2, "--epochs", 1, *SMALL)
    done = lab("crossval", *words, "--seed", 1, "--run-dir", folds.parents[1], "--name", "other")
    assert done.code == 0, done.err
    both = (folds, folds.with_name("other"))
    done = lab("ensemble", *both, "--method", "greedy", "--name", "e", "--run-dir", tmp_path)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "detection/e/metrics.json").read_text("utf-8"))
    alone = json.loads((folds / "metrics.json").read_text("utf-8"))
    assert found["members"][0]["map50_95"] == pytest.approx(alone["map50_95"])
    assert "2 members together have an out-of-fold mAP50-95 of" in done.out


@pytest.mark.slow
def test_two_folds_together_find_no_less_than_the_worse_of_them(lab, scene_files, tmp_path):
    words = ("--data", scene_files("train", 300), "--folds", 2, "--epochs", 8, *SMALL)
    done = lab("crossval", *words, "--run-dir", tmp_path, "--name", "cv")
    assert done.code == 0, done.err
    members = tmp_path / "detection/cv/members"
    jobs = [Detector.open_trained(members / f"fold-{number}", "cpu") for number in (1, 2)]
    split = jobs[0].labelled(scene_files("test", 100), print)
    found = [job.decide(job.predict_splits({"data": split}, ["data"])["data"]) for job in jobs]
    targets = jobs[0].targets(split)
    together, *alone = (MAP50.value(each, targets) for each in (fuse(found), *found))
    assert together >= min(alone) > 0.05
