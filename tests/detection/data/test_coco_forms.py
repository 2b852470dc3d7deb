"""COCO's JSON as tools write it: the boxes of `bbox`, or a row that says why not."""

import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection import records
from labs.detection.config import DetectionConfig
from labs.detection.data import formats
from labs.detection.data.check import check
from labs.detection.data.convert import convert
from labs.detection.data.formats import folders
from labs.detection.data.load import load
from labs.detection.records import Box

BBOX = [10, 20, 30, 20]
OUTLINE = [10, 20, 40, 20, 40, 40, 10, 40]
RLE = {"counts": [500, 40, 4460], "size": [50, 100]}


def paint(path, size=(100, 50), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write(root, annotations, images=("a.png",), categories=((1, "cat"),), name="boxes.json"):
    """Write a JSON with annotations of the first image, which are merged over usual values."""
    content = {
        "images": [
            {"id": at, "file_name": name, "width": 100, "height": 50}
            for at, name in enumerate(images, 1)
        ],
        "annotations": [
            {"id": at, "image_id": 1, "category_id": 1, "bbox": BBOX, **values}
            for at, values in enumerate(annotations, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    ("segmentation", "outlines", "why"),
    [
        ([OUTLINE], [OUTLINE], None),
        ([OUTLINE, [12, 22, 20, 22, 20, 30]], [OUTLINE, [12, 22, 20, 22, 20, 30]], None),
        (OUTLINE, [OUTLINE], None),
        ([[11.5, 20.25, 40, 20, 40, 40.75]], [[11.5, 20.25, 40, 20, 40, 40.75]], None),
        ([], [], None),
        ([[]], [], None),
        (None, [], None),
        (RLE, [], None),
        ({"counts": "abc", "size": [50, 100]}, [], None),
        ([BBOX], [], "has 4 numbers"),
        (BBOX, [], "has 4 numbers"),
        ([[10, 20, 40, 40]], [], "has 4 numbers"),
        ([[10, 20]], [], "has 2 numbers"),
        ([OUTLINE[:7]], [], "has 7 numbers"),
        ([OUTLINE, [1, 2, 3, 4]], [], "has 4 numbers"),
        ([OUTLINE, 5], [], "expected a list of numbers"),
        ("polygon", [], "expected lists"),
        (7, [], "expected lists"),
        ([["x", 20, 40, 20, 40, 40]], [], "no number"),
        ([[None, 20, 40, 20, 40, 40]], [], "no number"),
        ([[0.1, 0.4, 0.4, 0.4, 0.4, 0.8]], [], "beyond bbox"),
        ([[20, 10, 20, 40, 40, 40]], [], "beyond bbox"),
        ([[float("nan"), 20, 40, 20, 40, 40]], [], "not a finite number"),
    ],
)
def test_the_box_is_bbox_whatever_the_outline(tmp_path, segmentation, outlines, why):
    root = tmp_path / "set"
    paint(root / "a.png")
    found = formats.read(write(root, [{"segmentation": segmentation}]))
    [[picture]] = found.parts.values()
    [box] = picture.boxes
    assert box[:5] == (10, 20, 40, 40, 0)
    assert [list(each) for each in box.polygons] == outlines
    assert [problem.kind for problem in found.problems] == [records.BAD_OUTLINE] * bool(why)
    assert not why or why in found.problems[0].detail
    assert any("RLE" in note for note in found.notes) == isinstance(segmentation, dict)
    for form in ("coco", "yolo", "voc"):
        text = convert(root / "boxes.json", tmp_path / form, form)
        [[again]] = formats.read(tmp_path / form).parts.values()
        assert again.boxes[0][:4] == pytest.approx((10, 20, 40, 40), abs=1)
        lost = [word for word in ("outlines", "RLE", "problems") if word in text]
        kept = form == "coco" or (form == "yolo" and len(again.boxes[0].polygons) == 1)
        assert bool(lost) == bool(why or isinstance(segmentation, dict) or (outlines and not kept))


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        ({"bbox": None}, records.BAD_BOX, "bbox is None"),
        ({"bbox": "10,20,30,20"}, records.BAD_BOX, "expected a list of numbers"),
        ({"bbox": {"x": 1}}, records.BAD_BOX, "expected a list of numbers"),
        ({"bbox": []}, records.BAD_BOX, "bbox has 0 numbers"),
        ({"bbox": [10, 20, 30]}, records.BAD_BOX, "bbox has 3 numbers"),
        ({"bbox": [10, 20, 30, 20, 0.5]}, records.BAD_BOX, "bbox has 5 numbers"),
        ({"bbox": ["10", "20", "x", "20"]}, records.BAD_BOX, "'x', which is no number"),
        ({"bbox": [10, 20, None, 20]}, records.BAD_BOX, "None, which is no number"),
        ({"bbox": [10, 20, True, 20]}, records.BAD_BOX, "True, which is no number"),
        ({"bbox": [10, 20, 10**400, 20]}, records.BAD_BOX, "too large"),
        ({"bbox": [10, 20, float("inf"), 20]}, records.BAD_BOX, "not a finite number"),
        ({"bbox": [10, 20, 0, 20]}, records.ZERO_AREA, "0 x 20"),
        ({"bbox": [10, 20, 30, -20]}, records.ZERO_AREA, "30 x -20"),
        ({"bbox": [200, 20, 30, 20]}, records.OUT_OF_RANGE, "left out"),
        ({"category_id": 2}, records.BAD_CLASS, "category_id 2 is not in categories"),
        ({"category_id": "2"}, records.BAD_CLASS, "category_id '2' is not in categories"),
        ({"category_id": None}, records.BAD_CLASS, "not in categories"),
        ({"image_id": "2"}, records.NO_IMAGE, "image_id 2 is not in images"),
        ({"image_id": 9}, records.NO_IMAGE, "image_id 9 is not in images"),
        ({"image_id": [1]}, records.BAD_BOX, "unhashable"),
    ],
)
def test_a_box_that_is_none_is_named(tmp_path, values, kind, why):
    paint(tmp_path / "a.png")
    found = formats.read(write(tmp_path, [values, {"bbox": [1, 2, 3, 4]}]))
    [problem] = found.problems
    assert (problem.place, problem.kind) == ("boxes.json: annotation 1", kind)
    assert why in problem.detail
    assert [box[:4] for box in found.pictures[0].boxes] == [(1, 2, 4, 6)]


@pytest.mark.parametrize(
    ("categories", "used", "expected"),
    [
        (((0, "cat"), (1, "dog")), 1, ("cat", "dog")),
        (((90, "dog"), (17, "cat")), 90, ("cat", "dog")),
        (((1, "cat"), (5, 7)), 5, ("cat", "7")),
    ],
)
def test_ids_of_categories_with_gaps_and_from_zero(tmp_path, categories, used, expected):
    paint(tmp_path / "a.png")
    found = formats.read(write(tmp_path, [{"category_id": used}], categories=categories))
    assert found.classes == expected
    assert found.pictures[0].boxes[0].label == 1


@pytest.mark.parametrize(
    ("categories", "why"),
    [
        (((1, "cat"), (1, "dog")), "the same id"),
        (((1, "cat"), (2, "cat")), "two classes are called 'cat'"),
        (((1, None),), "the category 1 is called None"),
        (((1, True),), "the category 1 is called True"),
        ((), "names no classes"),
    ],
)
def test_categories_that_are_none_are_one_error(tmp_path, categories, why):
    paint(tmp_path / "a.png")
    with pytest.raises(DataError, match=why):
        formats.read(write(tmp_path, [{}], categories=categories))


def test_corners_and_shares_are_not_taken_for_x_y_width_height(tmp_path):
    paint(tmp_path / "a.png")
    corners = [{"bbox": box} for box in ([10, 20, 90, 40], [50, 10, 95, 45], [5, 5, 20, 20])]
    with pytest.raises(DataError, match="2 of 3 bbox stick out .* lie inside as x1, y1, x2, y2"):
        formats.read(write(tmp_path, corners))
    shares = [{"bbox": box} for box in ([0.1, 0.2, 0.5, 0.5], [0, 0, 1, 1])]
    with pytest.raises(DataError, match="all 2 bbox are within 0 to 1"):
        formats.read(write(tmp_path, shares))


def test_crowds_are_objects_where_there_is_nothing_else(tmp_path):
    root = tmp_path / "set"
    for value in range(12):
        paint(root / f"{value}.png", value=value)
    names = [f"{value}.png" for value in range(12)]
    masks = [{"segmentation": RLE, "iscrowd": 1, "image_id": at} for at in range(1, 13)]
    path = write(root, masks, names)
    said = "all 12 objects have iscrowd 1, as some tools mark masks"
    lost = "12 masks as run lengths (RLE) are not read"
    for text in (
        check(path).summary,
        convert(path, tmp_path / "yolo", "yolo"),
        load(DetectionConfig(data=str(path), image_size=32))[1].source,
    ):
        assert said in text
        assert lost in text
    assert formats.read(tmp_path / "yolo").pictures[0].boxes[0][:4] == (10, 20, 40, 40)
    with pytest.raises(DataError, match="none of the 12 objects has an outline.*RLE"):
        load(DetectionConfig(data=str(path), task="segment", model="yolo11n-seg", image_size=32))

    masks[3]["iscrowd"] = 0
    path = write(root, masks, names)
    assert "12 boxes (11 crowds)" in check(path).summary
    assert "11 crowds were left out" in convert(path, tmp_path / "some", "yolo")


def test_what_boxes_have_no_place_for_is_counted(tmp_path):
    paint(tmp_path / "set" / "a.png")
    more = [
        {"keypoints": [15, 25, 2, 0, 0, 0], "num_keypoints": 1},
        {"bbox": [1, 2, 3, 4], "attributes": {"occluded": False, "rotation": 45.0}},
        {"bbox": [2, 2, 3, 4], "attributes": {"rotation": 0.0}, "keypoints": []},
        {"bbox": [3, 2, 3, 4], "segmentation": [[3, 2, 6, 2, 6, 6]]},
    ]
    path = write(tmp_path / "set", more)
    for text in (check(path).summary, convert(path, tmp_path / "coco", "coco")):
        assert "1 objects have key points" in text
        assert "1 boxes are turned by an angle" in text
    assert "4 boxes (1 with an outline)" in check(path).summary


@pytest.mark.parametrize(
    ("listed", "there", "expected"),
    [
        (["camA/1.png", "camB/1.png"], ["images/camA/1.png"], ["images/camA/1.png", None]),
        (["camB/1.png"], ["images/camA/1.png"], [None]),
        (["camA/1.png", "camB/1.png"], ["1.png"], [None, None]),
        (["camA/1.png"], ["1.png"], ["1.png"]),
        (["1.png"], ["camA/1.png"], ["camA/1.png"]),
        (["1.png"], ["camA/1.png", "camB/1.png"], [None]),
        (["1.png"], ["1.png", "camB/1.png"], ["1.png"]),
        (["camB/1.png"], ["camB_images/1.png", "camA_images/1.png"], ["camB_images/1.png"]),
        (["/home/me/set/camB/1.png"], ["camA/1.png"], [None]),
        (["/home/me/set/camB/1.png"], ["images/camB/1.png"], ["images/camB/1.png"]),
        ([r"D:\set\camB\1.png"], ["camB/1.png"], ["camB/1.png"]),
        (["JPEGImages/1.png"], ["images/1.png"], ["images/1.png"]),
        (["images/1.png"], ["images/2.png", "more/1.png"], [None]),
        (["day/camA/1.png", "night/camA/1.png"], ["day/camA/1.png"], ["day/camA/1.png", None]),
        (["../../1.png"], ["1.png"], ["1.png"]),
    ],
)
def test_never_the_image_of_another_folder(tmp_path, listed, there, expected):
    for value, name in enumerate((*there, "other.png")):
        paint(tmp_path / name, value=value)
    names = [*listed, "other.png"]
    boxes = [{"image_id": at, "bbox": [at, 1, 5, 5]} for at in range(1, len(names) + 1)]
    found = formats.read(write(tmp_path, boxes, names, name="annotations/boxes.json"))
    placed = {box.x1 - 1: picture.name for picture in found.pictures for box in picture.boxes}
    assert [placed.get(at) for at in range(len(listed))] == expected
    missing = [problem for problem in found.problems if problem.kind == records.NO_IMAGE]
    assert len(missing) == expected.count(None)
    if None in expected:
        assert f"{len(missing)} x labels without image" in check(found.root).summary


def test_a_split_that_is_not_there_is_not_filled_from_another(tmp_path):
    for value in range(3):
        paint(tmp_path / "train2017" / f"{value}.png", value=value)
    names = [f"{value}.png" for value in range(3)]
    for part in ("train2017", "val2017"):
        write(tmp_path, [{}], names, name=f"annotations/instances_{part}.json")
    found = formats.read(tmp_path)
    assert {part: len(pictures) for part, pictures in found.parts.items()} == {
        "train": 3,
        "validation": 0,
    }
    assert sum(problem.kind == records.NO_IMAGE for problem in found.problems) == 3
    with pytest.raises(DataError, match=r"no image that can be read(.|\n)*another folder or split"):
        formats.read(tmp_path / "annotations" / "instances_val2017.json")


def test_images_by_a_link(tmp_path):
    paint(tmp_path / "big" / "pool" / "a.png")
    root = tmp_path / "set"
    write(root, [{}], ["a.png"], name="annotations/boxes.json")
    (root / "images").symlink_to(tmp_path / "big" / "pool")
    (root / "images" / "back").symlink_to(root)
    assert formats.read(root).pictures[0].boxes == (Box(10, 20, 40, 40, 0),)


def ring(x1, y1, x2, y2):
    return [[x1, y1, x2, y1, x2, y2, x1, y2]]


@pytest.mark.parametrize(
    ("annotations", "corners"),
    [
        ([{"bbox": [10, 10, 60, 40], "segmentation": ring(10, 10, 60, 40)}], True),
        ([{"bbox": [9.5, 10, 60, 40], "segmentation": ring(10, 10, 60, 40)}] * 2, True),
        ([{"bbox": [10 + at, 10, 60, 40], "area": 30 * (50 - at)} for at in range(3)], True),
        ([{"bbox": [10, 10, 60, 40], "area": 50 * 30}], False),
        ([{"bbox": [10, 10, 60, 40], "area": 2400} for _ in range(3)], False),
        ([{"bbox": [10, 10, 60, 40], "area": 1800} for _ in range(3)], False),
        ([{"bbox": [10, 10, 60, 40], "segmentation": ring(10, 10, 70, 50)}], False),
        ([{"bbox": [0, 0, 60, 40], "segmentation": ring(0, 0, 60, 40), "area": 9}], False),
    ],
)
def test_corners_by_outlines_and_areas_are_refused(tmp_path, annotations, corners):
    paint(tmp_path / "a.png")
    path = write(tmp_path, annotations)
    if corners:
        with pytest.raises(DataError, match=r"say that bbox is x1, y1, x2, y2; COCO has"):
            formats.read(path)
    else:
        x, y, width, height = annotations[0]["bbox"]
        assert formats.read(path).pictures[0].boxes[0][:4] == (x, y, x + width, y + height)


@pytest.mark.parametrize(
    "values",
    [
        {"image_id": "1"},
        {"category_id": "1"},
        {"image_id": 1.0, "category_id": 1.0},
        {"bbox": ["10", "20.0", "3e1", " 20 "]},
    ],
)
def test_ids_and_numbers_may_be_texts(tmp_path, values):
    paint(tmp_path / "a.png")
    found = formats.read(write(tmp_path, [values]))
    assert not found.problems
    assert found.pictures[0].boxes[0][:4] == (10, 20, 40, 40)


@pytest.mark.parametrize(
    ("listed", "there", "boxes"),
    [
        (r"images\ab12cd34-a.png", "a.png", 1),
        ("ab12cd34-a.png", "images/a.png", 1),
        ("ab12cd34-a.png", "ab12cd34-a.png", 1),
        ("ab12cd34-b.png", "a.png", 0),
        ("cat-a.png", "a.png", 0),
    ],
)
def test_names_of_uploaded_files(tmp_path, listed, there, boxes):
    for value, name in enumerate((there, "other.png")):
        paint(tmp_path / name, value=value)
    found = formats.read(write(tmp_path, [{}], [listed, "other.png"]))
    assert sum(len(picture.boxes) for picture in found.pictures) == boxes


def test_a_file_is_looked_through_once_and_read_once(tmp_path, monkeypatch):
    paint(tmp_path / "a.png")
    file = write(tmp_path, [{}])
    read, asked = folders.read_bytes, []
    monkeypatch.setattr(folders, "read_bytes", lambda path: asked.append(path) or read(path))
    assert formats.read(tmp_path).form == "coco"
    assert asked == [file, file]


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path):
    paint(tmp_path / "a.png")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nothing.json")
    with pytest.raises(DataError, match=r"cannot read .*gone\.json: No such file"):
        formats.read(tmp_path)
