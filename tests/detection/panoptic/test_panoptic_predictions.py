"""What a run says of segments of photos is drawn, and written as COCO has it."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from common.training.compute import Compute
from labs.detection.config import DetectionConfig
from labs.detection.data.load import Card
from labs.detection.letterbox import Letterbox

pytest.importorskip("labs.detection.models.ultralytics.build")

from labs.detection.panoptic import predictions, segments
from labs.detection.panoptic.job import PanopticSegmenter

SIZE = 64
CARD = {"source": "", "counts": {}, "skipped": (), "fingerprint": "", "image_size": SIZE}
CARD |= {"most": 2, "anchors": ((8.0, 8.0),), "anchor_iou": 1.0, "classes": ("cat", "개")}


@pytest.fixture
def job():
    config = DetectionConfig(task="panoptic", model="yolo11n-seg", image_size=SIZE)
    return PanopticSegmenter(config, Compute("cpu", "32"), Card(**CARD))


@pytest.fixture
def said(job, monkeypatch):
    """Let the job say two touching things and the background, with void at the right."""
    codes = torch.full((SIZE, SIZE), segments.STUFF, dtype=torch.int32)
    codes[20:40, 8:24], codes[20:40, 24:32] = 256 + 3, 512 + 3
    codes[:, 48:] = 0
    scores = torch.tensor([[0.9, 0.5, *[0.0] * 98]])
    outputs = {"segments": codes[None], "scores": scores}
    monkeypatch.setattr(job, "answers", lambda squares: outputs)
    return codes


def test_segments_are_those_of_the_photo_and_come_back_from_cocos_files(job, said, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (50, 100, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo).save(tmp_path / "photos" / "사진.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no image")
    output, notes = tmp_path / "output", []
    [found] = predictions.predict(
        job, [tmp_path / "photos"], output, predictions.FORMATS, notes.append
    )
    assert any("broken.png" in note for note in notes)

    coco = json.loads((output / "panoptic.json").read_text("utf-8"))
    [image], [annotation] = coco["images"], coco["annotations"]
    assert (image["width"], image["height"]) == (100, 50)
    assert [each["isthing"] for each in coco["categories"]] == [0, 1, 1]
    assert coco["categories"][2]["name"] == "개"
    with Image.open(output / "panoptic" / annotation["file_name"]) as file:
        pixels = np.asarray(file).astype(int) @ [1, 256, 65536]
    fit = Letterbox.fit(50, 100, SIZE)
    assert np.unique(pixels).tolist() == np.unique(fit.crop(said)).tolist()
    for each in annotation["segments_info"]:
        rows, columns = np.nonzero(pixels == each["id"])
        x, y, width, height = each["bbox"]
        assert each["area"] == len(rows)
        assert (x, x + width) == (columns.min(), columns.max() + 1)
        assert (y, y + height) == (rows.min(), rows.max() + 1)
    assert [each["category_id"] for each in annotation["segments_info"]] == [0, 2, 2]

    [record] = json.loads((output / "predictions.json").read_text("utf-8"))
    assert [each["score"] for each in record["segments"]] == [None, 0.9, 0.5]
    rows = list(csv.DictReader((output / "predictions.csv").read_text("utf-8").splitlines()))
    assert [row["class"] for row in rows] == ["background", "개", "개"]
    _, columns, [row] = predictions.table([found], job.card.classes)
    assert row[1:] == ["2", f"개 (2), background {found.segments[0].area / 5000:.1%}"]
    assert len(columns) == len(row)
    assert (output / "drawn" / "사진.jpg").is_file()


def test_a_picture_parts_things_by_white_and_leaves_the_background(said):
    photo = np.full((3, SIZE, SIZE), 100, np.uint8)
    drawn = np.asarray(predictions.draw(photo, said.numpy(), ("background", "cat", "개")))
    factor = drawn.shape[1] // SIZE
    at = drawn[::factor, ::factor]
    assert at[5, 5].tolist() == [100, 100, 100]
    assert at[30, 24].tolist() == [255, 255, 255]
    assert at[30, 12].tolist() == at[30, 28].tolist() != [100, 100, 100]


def test_an_untrained_network_says_segments_of_photos_of_any_size(job):
    photos = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((70, 31), (9, 50))]
    found = job.find_segments(photos)
    assert [each.codes.shape for each in found] == [(70, 31), (9, 50)]
    for each in found:
        for one in predictions.list_segments(each):
            assert (one.label == 0) == (one.score is None)
