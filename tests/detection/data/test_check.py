import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection.data.check import check


def paint(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def digest(root):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_everything_wrong_is_told_and_nothing_changed(tmp_path):
    for value, name in enumerate(("train/a", "train/b", "train/cut", "val/c", "spare/d")):
        paint(tmp_path / "images" / f"{name}.png", value)
    copy = tmp_path / "images" / "val" / "copy.png"
    copy.write_bytes((tmp_path / "images" / "train" / "a.png").read_bytes())
    cut = tmp_path / "images" / "train" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:-200])
    lines = "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0 0.2\n3 0.5 0.5 0.1 0.1\n0 2 0 1 1\n0"
    write(tmp_path / "labels" / "train" / "a.txt", lines)
    write(tmp_path / "labels" / "train" / "b.txt", "")
    write(tmp_path / "labels" / "train" / "cut.txt", "1 0.5 0.5 0.2 0.2")
    write(tmp_path / "labels" / "train" / "lost.txt", "0 0.5 0.5 0.2 0.2")
    write(tmp_path / "labels" / "val" / "copy.txt", "0 0.5 0.5 0.2 0.2")
    path = write(
        tmp_path / "data.yaml",
        "train: images/train\nval: images/val\nnames: [고양이, 개, 새]\ndownload: x.zip\n",
    )
    before = digest(tmp_path)
    found = check(path)
    assert digest(tmp_path) == before
    assert {(row["problem"], row["place"]) for row in found.problems} == {
        ("box of no area", "labels/train/a.txt:3"),
        ("box out of range", "labels/train/a.txt:5"),
        ("class out of range", "labels/train/a.txt:4"),
        ("class without boxes", "새"),
        ("duplicate box", "labels/train/a.txt:2"),
        ("duplicate image", "images/val/copy.png"),
        ("ignored", "data.yaml"),
        ("image in two splits", "images/train/a.png"),
        ("image not used", "images/spare/d.png"),
        ("image without labels", "images/val/c.png"),
        ("labels without image", "labels/train/lost.txt"),
        ("malformed box", "labels/train/a.txt:6"),
        ("unreadable image", "images/train/cut.png"),
    }
    assert all(row["detail"] for row in found.problems)
    assert found.counts == [
        {"class": "고양이", "train": 1, "validation": 1},
        {"class": "개", "train": 1, "validation": 0},
        {"class": "새", "train": 0, "validation": 0},
        {"class": "(all)", "train": 2, "validation": 1},
    ]
    assert found.summary.startswith(
        "yolo: 5 images (train 3, validation 2), 3 boxes, 2 images without a box; 13 problems: "
    )


def test_an_image_that_two_splits_name_is_told(tmp_path):
    paint(tmp_path / "images" / "a.png")
    write(tmp_path / "images" / "a.txt", "0 0.5 0.5 0.2 0.2")
    path = write(tmp_path / "data.yaml", "train: images\nval: images\nnames: [cat]\n")
    [problem] = check(path).problems
    assert problem["problem"] == "image in two splits"
    assert problem["detail"] == "train, validation"


def test_images_that_no_json_lists_are_told(tmp_path):
    paint(tmp_path / "a.png")
    paint(tmp_path / "b.png", 1)
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    found = check(write(tmp_path / "boxes.json", json.dumps(content)))
    assert [(row["problem"], row["place"]) for row in found.problems] == [
        ("image not used", "b.png")
    ]


def test_names_in_no_encoding_can_be_printed(tmp_path):
    paint(tmp_path / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "\ud800.png"}, {"id": 2, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    [row] = check(write(tmp_path / "boxes.json", json.dumps(content))).problems
    assert row["detail"].encode("utf-8") == b"?.png"


def test_a_set_without_problems(tmp_path):
    paint(tmp_path / "a.png")
    write(tmp_path / "a.txt", "0 0.5 0.5 0.2 0.2")
    found = check(tmp_path)
    assert found.problems == []
    assert found.summary == (
        "yolo: 1 images (all 1), 1 boxes, 0 images without a box; 0 problems; no file was changed"
    )


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="it is empty"):
        check(tmp_path)
