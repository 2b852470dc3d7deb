import types

import numpy as np
import pytest
import torch

from common.report.html import PictureSaver, render
from common.runs.folder import Run
from common.training.sequences import Padded, Ragged
from labs.detection import metrics, report
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet, Card
from labs.detection.task import filled

CLASSES = ("고양이", "개")


def split(number, seed):
    """Draw noise, and boxes of which the first image has none."""
    rng = np.random.default_rng(seed)
    boxes = []
    for image in range(number):
        corners = rng.integers(0, 30, (3 if image else 0, 2))
        sides = rng.integers(8, 30, corners.shape)
        labels = rng.integers(0, 2, (len(corners), 1))
        rows = np.hstack([corners, corners + sides, labels, np.zeros_like(labels)])
        boxes.append(torch.tensor(rows, dtype=torch.float32).reshape(-1, 6))
    images = torch.from_numpy(rng.integers(0, 256, (number, 3, 64, 64), np.uint8))
    names = [f"사진{row}.png" for row in range(number)]
    return BoxSet(images, Ragged.of(boxes), torch.full((number, 2), 64), names)


def outputs(part, seed):
    """Return boxes near the true ones, some of another class."""
    targets = filled(Padded.of([part.boxes[row] for row in range(len(part))]), 3)
    rng = np.random.default_rng(seed)
    found = torch.zeros(len(part), 100, 6)
    found[..., 5] = -1
    shaken = targets[..., :4] + torch.from_numpy(rng.normal(0, 3, targets[..., :4].shape))
    found[:, :3, :4] = shaken.float()
    found[:, :3, 4] = torch.tensor([0.9, 0.6, 0.3])
    found[:, :3, 5] = torch.from_numpy(rng.integers(0, 2, targets.shape[:2]))
    return {"detections": found, "targets": targets}


@pytest.fixture
def made(tmp_path):
    """Return a function that makes the sections of a run."""

    def make(given=None, **changes):
        splits = {name: split(6, seed) for seed, name in enumerate(("train", "validation", "test"))}
        card = Card(
            source="drawn",
            counts={name: 6 for name in splits},
            skipped=(("a.png", "broken"),),
            fingerprint="",
            classes=CLASSES,
            image_size=64,
            most=3,
            anchors=((10.0, 12.0), (20.0, 25.0)),
            anchor_iou=0.7,
        )
        job = types.SimpleNamespace(
            card=card, config=DetectionConfig(**changes), remark="skipped", run=Run(tmp_path)
        )
        figures = {"validation": {"score_threshold": 0.4}}
        save_picture = PictureSaver(tmp_path)
        return report.sections(
            job, given or outputs(splits["test"], 3), splits, figures, save_picture
        )

    return make


def test_sections(made):
    sections = made()
    assert [section.title for section in sections] == [
        "What it finds",
        "Precision and recall",
        "Each class",
        "Confusion with the background",
        "Kinds of errors",
        "Anchors",
        "Data",
    ]
    html = render("title", "", "", sections)
    assert "from a score of 0.4 on" in html
    assert "고양이" in html
    data = sections[-1].text
    assert "Boxes: 15 train, 15 validation, 15 test." in data
    assert "backgrounds: 1 train, 1 validation, 1 test" in data
    assert "composites" in data


def test_only_tiny_yolo_has_anchors_and_only_scenes_are_composites(made):
    sections = made(model="faster-rcnn", data="photos")
    assert "Anchors" not in [section.title for section in sections]
    assert "composites" not in sections[-1].text


@pytest.mark.slow
@pytest.mark.parametrize("case", ["no detections", "no boxes", "all right"])
def test_extreme_results(made, case):
    given = outputs(split(6, 2), 3)
    if case == "no detections":
        given["detections"][..., 5] = -1
    elif case == "no boxes":
        given["targets"][..., 4] = -1
    else:
        given["detections"][:, :3, :4] = given["targets"][..., :4]
        given["detections"][:, :3, 5] = given["targets"][..., 4]
        given["detections"][:, :3, 4] = 0.9
    sections = {section.title: section for section in made(given)}
    rows = sections["Each class"].table.rows
    expected = {"no detections": "0.0000", "no boxes": "-", "all right": "1.0000"}[case]
    assert [row[1] for row in rows] == [expected, expected]
    assert len(sections["Kinds of errors"].pictures) == 1 + (case != "all right")


def test_the_surest_mistake_comes_first(made, monkeypatch):
    shown = []
    monkeypatch.setattr(
        report.plots, "pictures", lambda panels, _: shown.append(panels) or _figure()
    )
    made()
    wrong = [panel for panel in shown[1] if panel.caption.startswith("class: ")]
    scores = [panel.detections[panel.kinds == 1, 4] for panel in wrong]
    assert all(len(each) == 1 for each in scores)
    assert scores == sorted(scores, reverse=True)
    assert all("사진" in panel.caption for panel in shown[1])
    kinds = [metrics.KINDS[panel.kinds.max()] for panel in shown[1] if panel.kinds.max() >= 0]
    assert kinds == sorted(kinds, key=metrics.KINDS.index)


def _figure():
    from common.report.plots import message

    return message("drawn")
