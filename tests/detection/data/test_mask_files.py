"""Masks as images: their objects with boxes and outlines, and what their values were taken for."""

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection import records
from labs.detection.data import formats
from labs.detection.data.check import check

BOXES = ((2, 3, 12, 13), (20, 5, 30, 25))  # of two objects in 40 x 30 pixels


def paint(path, value=0, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def mask(path, values, mode="L", boxes=BOXES):
    """Save a mask in which boxes are filled with values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((30, 40), np.uint8)
    for (x1, y1, x2, y2), value in zip(boxes, values, strict=False):
        pixels[y1:y2, x1:x2] = value
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette([channel for value in range(256) for channel in (value, 255 - value, 7)])
        image = image.convert("P") if image.mode != "P" else image
    if mode == "RGB":
        image = Image.merge("RGB", [image, image.point(lambda v: 0), image.point(lambda v: 0)])
    if mode == "1":
        image = image.point(lambda v: 255 if v else 0).convert("1")
    image.save(path)


def boxes_of(found):
    return {
        picture.path.stem: [(box[:4], found.classes[box.label]) for box in picture.boxes]
        for picture in found.pictures
    }


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("images/train/{}.png", "masks/train/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationObject/{}.png"),
        ("PNGImages/{}.png", "PedMasks/{}_mask.png"),
        ("{}.jpg", "{}-mask.png"),
    ],
)
def test_where_masks_are(tmp_path, images, masks):
    for value, stem in enumerate(("a", "b")):
        paint(tmp_path / images.format(stem), value)
        mask(tmp_path / masks.format(stem), (1, 2)[: 2 - value])
    found = formats.read(tmp_path)
    assert found.form == "masks"
    assert not found.problems
    assert boxes_of(found) == {
        "a": [(box, "object") for box in BOXES],
        "b": [(BOXES[0], "object")],
    }
    for picture in found.pictures:
        for box in picture.boxes:
            assert records.bounds(box.polygons[0]) == pytest.approx(box[:4], abs=0.5)


@pytest.mark.parametrize(
    ("folder", "values", "mode", "classes", "said"),
    [
        ("masks", [(255, 255), (255,)], "L", ["object"] * 3, "one value"),
        ("masks", [(1, 1), (1,)], "L", ["object"] * 3, "one value"),
        ("masks", [(9, 9), (9,)], "1", ["object"] * 3, "one value"),
        ("masks", [(1, 2), (1,)], "L", ["object"] * 3, "number their objects"),
        ("class_masks", [(1, 2), (1,)], "L", ["1", "2", "1"], "classes (1, 2)"),
        ("SegmentationClass", [(15, 7), (7,)], "P", ["7", "15", "7"], "classes (7, 15)"),
        ("masks", [(3, 7), (7,)], "L", ["3", "7", "7"], "classes (3, 7)"),
        ("masks", [(1, 2), (2,)], "L", ["1", "2", "2"], "classes (1, 2)"),
        ("instance_masks", [(3, 7), (7,)], "L", ["object"] * 3, "number their objects"),
        ("masks", [(100, 200), (200,)], "RGB", ["6553600", "13107200", "13107200"], "classes"),
    ],
)
def test_what_values_are(tmp_path, folder, values, mode, classes, said):
    for number, some in enumerate(values):
        paint(tmp_path / "images" / f"{number}.png", number)
        mask(tmp_path / folder / f"{number}.png", some, mode)
    found = formats.read(tmp_path)
    named = [name for picture in found.pictures for name in boxes_of(found)[picture.path.stem]]
    assert sorted(name for _, name in named) == sorted(classes)
    assert {box for box, _ in named} == set(BOXES)
    assert said in found.notes[0]
    assert found.notes[0] in check(tmp_path).summary


def test_masks_that_cannot_be_used_are_named(tmp_path):
    for value, stem in enumerate("abcd"):
        paint(tmp_path / "images" / f"{stem}.png", value)
    mask(tmp_path / "masks" / "a.png", (255,))
    mask(tmp_path / "masks" / "b.jpg", (255,))
    (tmp_path / "masks" / "c.png").write_bytes(b"no image")
    mask(tmp_path / "masks" / "lost.png", (255,))
    mask(tmp_path / "masks" / "d.png", (255, 255), boxes=((2, 3, 12, 13), (30, 20, 32, 22)))
    found = formats.read(tmp_path)
    assert {problem.place: problem.kind for problem in found.problems} == {
        "masks/b.jpg": records.BAD_LABELS,
        "masks/c.png": records.BAD_LABELS,
        "masks/lost.png": records.NO_IMAGE,
        "images/b.png": records.NO_LABELS,
        "images/c.png": records.NO_LABELS,
    }
    assert boxes_of(found)["d"] == [(BOXES[0], "object")]
    assert "1 pieces of fewer than 10 pixels are left out" in found.notes


def test_too_many_values_are_refused(tmp_path):
    paint(tmp_path / "images" / "a.png")
    paint(tmp_path / "masks" / "a.png", 1)
    with pytest.raises(DataError, match="the masks have 1,200 values, which are too many"):
        formats.read(tmp_path)
