"""Things and stuff learn together, and what such runs do not do is said."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from common.training.compute import Compute
from common.training.sequences import Padded
from labs.detection.config import RECIPES, DetectionConfig, recipe_for
from labs.detection.models import unet

pytest.importorskip("labs.detection.models.ultralytics.build")

from labs.detection.job import Detector
from labs.detection.models.ultralytics import build
from labs.detection.panoptic.job import PanopticSegmenter
from labs.detection.panoptic.task import Panoptic, PanopticTask, known_classes
from labs.detection.semantic.losses import VOID


def batch():
    """Return two images of 64 pixels; the second has a crowd alone."""
    boxes = torch.tensor([[[8.0, 8, 40, 40, 1, 0]], [[0, 0, 20, 20, 0, 1]]])
    instances = torch.zeros(2, 64, 64, dtype=torch.uint8)
    instances[0, 8:40, 8:40] = 1
    instances[1, :20, :20] = 1
    return torch.rand(2, 3, 64, 64), Padded(boxes, torch.tensor([1, 1])), instances


def test_the_loss_has_the_parts_of_both_networks_and_reaches_both():
    torch.manual_seed(0)
    model = Panoptic(build.build("yolo11n-seg", ("a", "b"), 64, "segment"), unet.build("unet", 3))
    task = PanopticTask(2, 1, 5)
    parts = task.loss(model.train(), batch(), None)
    assert {"box", "mask", "class", "cross_entropy", "dice", "coarse"} <= parts.keys()
    assert parts.keys() <= task.weights(batch()).keys()
    sum(parts.values()).backward()
    for network in (model.things, model.stuff):
        assert any(each.grad is not None and each.grad.any() for each in network.parameters())
    with torch.inference_mode():
        found = task.outputs(model.eval(), batch())
    assert found["segments"].shape == found["true"].shape == (2, 64, 64)
    assert found["true"][0, 20, 20] == 256 + 3
    assert found["true"][1, 5, 5] > 1 << 24
    assert 0 <= task.figures(found)["pq"] <= 1


def test_the_task_names_its_job_and_its_recipe():
    config = DetectionConfig(**RECIPES[recipe_for(None, "panoptic")])
    assert not config.problems()
    assert Detector.for_config(config) is PanopticSegmenter
    [problem] = DetectionConfig(task="panoptic").problems()
    assert "--task panoptic: tiny-yolo finds boxes alone" in problem
    assert recipe_for("yolo11s-seg", "panoptic") == "panoptic"


@pytest.fixture
def photos(tmp_path):
    """Write wide photos with an outline each; returns their COCO JSON."""
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    for number in range(6):
        name = f"{number}.png"
        Image.fromarray(np.full((20, 64, 3), 40 * number, np.uint8)).save(tmp_path / name)
        size = {"file_name": name, "height": 20, "width": 64}
        content["images"].append({"id": number, **size})
        outline = [5, 5, 15, 5, 15, 15, 5, 15]
        box = {"bbox": [5, 5, 10, 10], "segmentation": [outline], "iscrowd": 0, "area": 100}
        ids = {"id": number + 1, "image_id": number, "category_id": 1}
        content["annotations"].append({**ids, **box})
    (tmp_path / "a.json").write_text(json.dumps(content))
    return str(tmp_path / "a.json")


def test_the_bars_around_a_photo_are_neither_stuff_nor_learned(photos):
    config = DetectionConfig(data=photos, task="panoptic", model="yolo11n-seg", image_size=64)
    splits, card = PanopticSegmenter.load(config)
    job = PanopticSegmenter(config, Compute("cpu", "32"), card)
    [true, *_] = job.targets(splits["train"])
    assert not true[:22].any()
    assert not true[42:].any()
    assert set(np.unique(true[22:42])) == {1, 256 + 2}
    images, boxes, instances = splits["train"].collate([splits["train"][0]])
    classes = known_classes(instances, boxes.values)
    assert (classes[0, :22] == VOID).all()
    assert (classes[0, 22:42] != VOID).all()
    parts = job.task(splits).loss(job.model, (images / 255, boxes, instances), None)
    assert sum(parts.values()).isfinite()


def test_pixels_and_updates_are_chosen_by_the_photos_and_said(photos):
    values = {**RECIPES["panoptic"], "data": photos}
    found, reasons = PanopticSegmenter.suited(
        DetectionConfig(**values, given=frozenset({"data", "model", "task"}))
    )
    assert (found.image_size, found.total_updates) == (64, 1000)
    assert "64 pixels: the images have 64" in reasons[0]
    assert len(reasons) == 3
    given = frozenset({"data", "image_size", "epochs"})
    found, _ = PanopticSegmenter.suited(DetectionConfig(**values, image_size=96, given=given))
    assert (found.image_size, found.epochs, found.total_updates) == (96, 20, None)
