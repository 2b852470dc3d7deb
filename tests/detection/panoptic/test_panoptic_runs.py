"""Things and stuff learn together, and what such runs do not do is said."""

import pytest
import torch

from common.training.sequences import Padded
from labs.detection.config import RECIPES, DetectionConfig, recipe_for
from labs.detection.models import unet

pytest.importorskip("labs.detection.models.ultralytics.build")

from labs.detection.job import Detector
from labs.detection.models.ultralytics import build
from labs.detection.panoptic.job import PanopticSegmenter
from labs.detection.panoptic.task import Panoptic, PanopticTask


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
