"""A user's images with boxes, as a run sees them."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError
from labs.detection import metrics
from labs.detection.config import DetectionConfig
from labs.detection.data.load import labelled
from labs.detection.job import Detector
from labs.detection.task import MOST


def make(root, names, lines, number=8):
    """Make a set in YOLO's format whose images all have the same lines."""
    for item in range(number):
        path = root / "images" / f"{item}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(item).integers(0, 256, (40, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.with_suffix(".txt").write_text(lines)
    (root / "data.yaml").write_text(f"train: images\nnames: {json.dumps(names)}\n")
    return root / "data.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    path = make(root, ["cat", "dog"], "0 0.5 0.5 0.2 0.4\n1 0.3 0.3 0.2 0.2\n")
    return path, *Detector.check(DetectionConfig(data=str(path), image_size=64, device="cpu"))


def test_all_splits_are_one_with_the_runs_boxes(trained):
    path, job, splits = trained
    found = job.labelled(path, print)
    assert sorted(found.names) == sorted(name for part in splits.values() for name in part.names)
    for part in splits.values():
        for row, name in enumerate(part.names):
            image, boxes = found[found.names.index(name)]
            assert torch.equal(image, part[row][0])
            assert torch.equal(boxes, part[row][1])


def test_classes_go_by_name_and_more_boxes_than_the_run_knows_count(trained, tmp_path):
    _, job, _ = trained
    three = "0 0.5 0.5 0.2 0.4\n1 0.3 0.3 0.2 0.2\n1 0.7 0.7 0.2 0.2\n"
    found = job.labelled(make(tmp_path / "turned", ["dog", "cat", "elk"], three, 2), print)
    assert found.boxes.values[:, 4].tolist() == [1, 0, 0] * 2
    assert job.card.most == 2
    every = dict.fromkeys(("train", "validation", "test"), found)
    outputs = job.predict_splits(every, ["test"])["test"]
    assert np.array_equal(outputs["targets"].numpy(), job.targets(found))
    assert job.targets(found).shape == (2, 3, 6)
    assert job.decide(outputs).shape == (2, MOST, 6)
    assert "map50_95" in metrics.figures(job.decide(outputs), job.targets(found), 2, 0.5)
    with pytest.raises(DataError, match="does not know the class elk; it knows cat, dog"):
        job.labelled(make(tmp_path / "elks", ["dog", "cat", "elk"], "2 .5 .5 .2 .2\n"), print)


def test_masks_are_read_for_a_run_of_masks(trained, tmp_path):
    path, job, _ = trained
    outline = "0 0.1 0.1 0.9 0.1 0.5 0.9\n"
    shapes = make(tmp_path, ["dog"], outline, 2)
    segment = DetectionConfig(data=str(shapes), task="segment", model="yolo11n-seg")
    found = labelled(segment, job.card, print)
    assert found.instances.shape == (2, 64, 64)
    assert found.boxes.values[:, 4].tolist() == [1, 1]
    with pytest.raises(DataError, match="none of the 16 objects has an outline"):
        labelled(dataclasses.replace(segment, data=str(path)), job.card, print)
