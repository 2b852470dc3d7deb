import hashlib
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError, SaveError
from labs.detection.data import convert as conversion
from labs.detection.data import formats
from labs.detection.data.convert import convert

CLASSES = ("고양이", "dog & <cat>")


def paint(path, size, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def source(tmp_path):
    """Make a set of two splits, in which images have the same names."""
    root = tmp_path / "source"
    generator = np.random.default_rng(0)
    for value, (part, name) in enumerate(itertools.product(("train", "val"), ("a", "사진 1", "c"))):
        width, height = generator.integers(40, 200, 2)
        paint(root / part / f"{name}.png", (width, height), value)
        lines = []
        for label in range(0 if name == "c" else 2):
            x1, y1 = generator.uniform(0, 0.5, 2)
            w, h = generator.uniform(0.1, 0.5, 2)
            lines.append(f"{label} {x1 + w / 2:.7f} {y1 + h / 2:.7f} {w:.7f} {h:.7f}\n")
        (root / part / f"{name}.txt").write_text("".join(lines))
    yaml = f"train: train\nval: val\nnames: ['{CLASSES[0]}', '{CLASSES[1]}']\n"
    (root / "data.yaml").write_text(yaml, "utf-8")
    return root


def digest(root):
    return {
        path.relative_to(root): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in root.rglob("*")
        if path.is_file()
    }


def by_bytes(found):
    """Return the boxes of each image, which is told by its split and its bytes."""
    return {
        (part, hashlib.sha256(picture.path.read_bytes()).hexdigest()): picture.boxes
        for part, pictures in found.parts.items()
        for picture in pictures
    }


@pytest.mark.parametrize(("one", "two"), [*itertools.product(formats.FORMS, repeat=2)])
def test_each_format_becomes_each_other_and_back(source, tmp_path, one, two):
    before = digest(source)
    convert(source, tmp_path / "one", one)
    convert(tmp_path / "one", tmp_path / "two", two)
    text = convert(tmp_path / "two", tmp_path / "back", "yolo")
    assert text == f"wrote {tmp_path / 'back'} as yolo: 6 images, 8 boxes, 2 classes"
    assert digest(source) == before

    original, last = formats.read(source), formats.read(tmp_path / "back")
    assert formats.read(tmp_path / "one").form == one
    assert not last.problems
    assert set(last.classes) == set(original.classes)
    tolerance = 0.5 if "voc" in (one, two) else 1e-4  # pixels
    expected, found = by_bytes(original), by_bytes(last)
    assert found.keys() == expected.keys()
    for key, boxes in expected.items():
        for box, other in zip(boxes, found[key], strict=True):
            assert box[:4] == pytest.approx(other[:4], abs=tolerance + 1e-4)
            assert original.classes[box.label] == last.classes[other.label]


def test_yolo_keeps_boxes_to_a_millionth_of_the_image(source, tmp_path):
    convert(source, tmp_path / "coco", "coco")
    convert(tmp_path / "coco", tmp_path / "yolo", "yolo")
    expected, found = (by_bytes(formats.read(root)) for root in (source, tmp_path / "yolo"))
    for key, boxes in expected.items():
        for box, other in zip(boxes, found[key], strict=True):
            assert box[:4] == pytest.approx(other[:4], abs=1e-6 * 40)


def test_images_without_splits_stay_without(source, tmp_path):
    (source / "data.yaml").unlink()
    (source / "train" / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    for form in formats.FORMS:
        convert(source / "train", tmp_path / form, form)
        found = formats.read(tmp_path / form)
        assert [len(part) for part in found.parts.values()] == [3]
        assert "validation" not in found.parts


def test_outlines_and_crowds(tmp_path):
    root = tmp_path / "source"
    paint(root / "a.png", (100, 50), 0)
    outline = [10.0, 10.0, 50.0, 20.0, 30.0, 40.0]
    annotations = [
        {"category_id": 1, "bbox": [10, 10, 40, 30], "segmentation": [outline]},
        {"category_id": 1, "bbox": [60, 10, 10, 30], "iscrowd": 1},
        {"category_id": 1, "bbox": [0, 10, 10, 30]},
        {"category_id": 2, "bbox": [0, 10, 10, 30]},
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"image_id": 1, **annotation} for annotation in annotations],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (root / "boxes.json").write_text(json.dumps(content))
    text = convert(root, tmp_path / "yolo", "yolo")
    assert "1 images, 2 boxes, 1 class; 1 crowds were left out" in text
    assert text.endswith(
        "1 problems in the source, which `data-check` lists (1 x class out of range)"
    )
    [[picture]] = formats.read(tmp_path / "yolo").parts.values()
    assert [box.polygons[0] for box in picture.boxes] == [
        pytest.approx(outline),
        pytest.approx([0, 10, 10, 10, 10, 40, 0, 40]),  # or others would read it as a corner
    ]
    assert "1 boxes beside outlines have their four corners for one" in text

    assert "1 outlines were left out" in convert(root, tmp_path / "voc", "voc")
    [[picture]] = formats.read(tmp_path / "voc").parts.values()
    assert [box.crowd for box in picture.boxes] == [False, True, False]

    convert(root, tmp_path / "coco", "coco")
    [[picture]] = formats.read(tmp_path / "coco").parts.values()
    assert picture.boxes == formats.read(root).parts["all"][0].boxes


def test_labels_alone(source, tmp_path):
    convert(source, tmp_path / "new", "voc", copy_images=False)
    assert {path.suffix for path in tmp_path.joinpath("new").rglob("*.*")} == {".xml", ".txt"}


def test_destinations_must_be_new_or_empty_and_elsewhere(source, tmp_path):
    before = digest(source)
    with pytest.raises(DataError, match="not empty"):
        convert(source, source, "coco")
    with pytest.raises(DataError, match="in the folder of the source"):
        convert(source, source / "new", "coco")
    with pytest.raises(DataError, match="not empty"):
        convert(source, source / "data.yaml", "coco")
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="could not write"):
        convert(source, tmp_path / "file" / "new", "coco")
    assert digest(source) == before
    (tmp_path / "empty").mkdir()
    convert(source, tmp_path / "empty", "coco")
    assert len(formats.read(tmp_path / "empty").parts["train"]) == 3


def test_what_fails_leaves_nothing(source, tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion.shutil, "copyfile", fail)
    with pytest.raises(SaveError, match="No space left on device"):
        convert(source, tmp_path / "new", "yolo")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
