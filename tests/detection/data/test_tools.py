"""What CVAT, VGG Image Annotator and Label Studio export: read right, or refused with the place."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from common.options.config import TableForm
from labs.detection import records
from labs.detection.config import DetectionConfig
from labs.detection.data import formats
from labs.detection.data.check import check
from labs.detection.data.convert import convert
from labs.detection.data.load import load
from labs.detection.records import Reading

SIZE = (400, 200)


def paint(path, value=0, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def boxes_of(found):
    return {
        picture.path.stem: [(*box[:4], found.classes[box.label]) for box in picture.boxes]
        for picture in found.pictures
    }


# As the tools write it, but for what nobody reads.

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>4</id>
      <name>animals</name>
      <labels><label><name>고양이</name><color>#fff</color><attributes></attributes></label></labels>
    </task>
    <dumped>2024-05-01 10:00:00.000000+00:00</dumped>
  </meta>
  <image id="0" name="a.png" {0} width="400" height="200">
    <box label="고양이" source="manual" occluded="0" xtl="10.50" ytl="20.00" xbr="40.25" ybr="40.00"
      z_order="0"><attribute name="age">old</attribute></box>
    <polygon label="dog" source="manual" occluded="0"
      points="100.00,20.00;140.50,30.00;120.00,90.00" z_order="0"></polygon>
  </image>
  <image id="1" name="b.png" {1} width="400" height="200">
    <mask label="dog" source="semi-auto" occluded="0" rle="3, 4" left="50" top="60" width="10"
      height="20" z_order="0"></mask>{2}
  </image>
  <image id="2" name="c.png" {1} width="400" height="200">
  </image>
</annotations>
"""
EXPECTED = {
    "a": [(10.5, 20, 40.25, 40, "고양이"), (100, 20, 140.5, 90, "dog")],
    "b": [(50, 60, 60, 80, "dog")],
    "c": [],
}


def set_of(root, name, text, encoding="utf-8", folder="images"):
    for value, stem in enumerate("abc"):
        paint(root / folder / f"{stem}.png", value)
    return write(root / name, text, encoding)


def rect(x, y, width, height):
    return {"name": "rect", "x": x, "y": y, "width": width, "height": height}


VIA = {
    "a.png1234": [
        (rect(10.5, 20, 29.75, 20), "고양이"),
        (
            {
                "name": "polygon",
                "all_points_x": [100, 140.5, 120],
                "all_points_y": [20, 30, 90],
            },
            "dog",
        ),
    ],
    "b.png99": [(rect(50, 60, 10, 20), "dog")],
    "c.png7": [],
}


def via(regions=VIA, wrap=False, numbered=False, key="class", boxed=False):
    """Return VIA's annotations; in a project, with numbered regions as VIA 1, with check boxes."""
    content = {}
    for name, some in regions.items():
        each = [
            {
                "shape_attributes": shape,
                "region_attributes": {key: {label: True} if boxed else label},
            }
            for shape, label in some
        ]
        listed = dict(zip(map(str, range(9)), each, strict=False)) if numbered else each
        entry = {"filename": f"{name[0]}.png", "size": int(name[5:]), "regions": listed}
        content[name] = {**entry, "file_attributes": {}}
    if wrap:
        content = {"_via_settings": {}, "_via_img_metadata": content, "_via_attributes": {}}
    return json.dumps(content, ensure_ascii=False)


def via_csv(head="filename"):
    text = io.StringIO()
    writer = csv.writer(text)
    more = ("file_size", "file_attributes", "region_count", "region_id")
    writer.writerow([head, *more, "region_shape_attributes", "region_attributes"])
    for name, some in VIA.items():
        for number, (shape, label) in enumerate(some or [({}, None)]):
            attributes = {"class": label} if label else {}
            cells = (name[5:], "{}", len(some), number, json.dumps(shape), json.dumps(attributes))
            writer.writerow([f"{name[0]}.png", *cells])
    return text.getvalue()


def region(kind="rectanglelabels", label="dog", **value):
    values = {**value, kind: [label] if isinstance(label, str) else label}
    size = {"original_width": 400, "original_height": 200, "image_rotation": 0}
    return values, size


STUDIO = {
    "a.png": [
        region(x=2.625, y=10, width=7.4375, height=10, rotation=0, label="고양이"),
        region("polygonlabels", points=[[25, 10], [35.125, 15], [30, 45]], closed=True),
    ],
    "b.png": [region(x=12.5, y=30, width=2.5, height=10, rotation=0)],
    "c.png": [],
}


def studio_min(name="/data/upload/3/0a1b2c3d-{}", tasks=STUDIO):
    return json.dumps(
        [
            {
                "image": name.format(image),
                "id": at,
                **({"label": [{**value, **size} for value, size in some]} if some else {}),
                "annotator": 1,
                "annotation_id": at,
                "created_at": "2024-05-01T10:00:00.000000Z",
            }
            for at, (image, some) in enumerate(tasks.items(), 1)
        ]
    )


def studio(name="/data/local-files/?d=images/{}", tasks=STUDIO):
    def result(value, size, kind):
        of = {"from_name": "label", "to_name": "image", "type": kind, "origin": "manual"}
        return {**size, "value": value, "id": "x1", **of}

    return json.dumps(
        [
            {
                "id": at,
                "annotations": [
                    {
                        "id": at,
                        "result": [
                            *(result(value, size, [*value][-1]) for value, size in some),
                            {"value": {"choices": ["good"]}, "type": "choices"},
                        ],
                        "was_cancelled": False,
                    }
                ],
                "data": {"note": "text", "image": name.format(image)},
                "predictions": [],
            }
            for at, (image, some) in enumerate(tasks.items(), 1)
        ]
    )


def studio_csv():
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["image", "id", "label", "annotator", "annotation_id"])
    for task in json.loads(studio_min()):
        label = json.dumps(task["label"]) if "label" in task else ""
        writer.writerow([task["image"], task["id"], label, 1, task["id"]])
    return text.getvalue()


@pytest.mark.parametrize(
    ("form", "name", "text"),
    [
        ("cvat", "annotations.xml", CVAT.format("", "", "")),
        ("via", "via.json", via()),
        ("via", "via_project.json", via(wrap=True)),
        ("via", "via1.json", via(numbered=True)),
        ("via", "via_boxes.json", via(key="animal", boxed=True)),
        ("via", "via.csv", via_csv()),
        ("via", "via1.csv", via_csv("#filename")),
        ("label-studio", "min.json", studio_min()),
        ("label-studio", "min_named.json", studio_min("s3://bucket/photos/{}")),
        ("label-studio", "min.csv", studio_csv()),
        ("label-studio", "full.json", studio()),
        ("label-studio", "full_up.json", studio("http://host/data/upload/0a1b2c3d-{}?x=1")),
    ],
)
def test_what_tools_write_is_read(tmp_path, form, name, text):
    root = tmp_path / "set"
    path = set_of(root, name, text)
    for given in (path, root):
        found = formats.read(given)
        assert found.form == form
        assert not found.problems
        assert {
            stem: [(*map(pytest.approx, box[:4]), box[4]) for box in boxes]
            for stem, boxes in boxes_of(found).items()
        } == EXPECTED
        assert not any("not read" in note and "there, too" in note for note in found.notes)
    assert [bool(box.polygons) for box in found.pictures[0].boxes] == [False, True]
    assert "3 images (all 3), 3 boxes (1 with an outline), 1 images without" in check(path).summary
    convert(path, tmp_path / "coco", "coco")
    again = boxes_of(formats.read(tmp_path / "coco"))
    assert {stem: sorted(box[4] for box in boxes) for stem, boxes in again.items()} == {
        stem: sorted(box[4] for box in boxes) for stem, boxes in EXPECTED.items()
    }


def test_images_of_tools_may_lie_elsewhere_and_texts_in_other_encodings(tmp_path):
    set_of(
        tmp_path, "x/y/annotations.xml", CVAT.format("", "", "").replace("고양이", "Стол"), "cp1251"
    )
    (tmp_path / "images").rename(tmp_path / "photos")
    with pytest.raises(DataError, match="--image-dir names another folder|encoding is not certain"):
        formats.read(tmp_path / "x" / "y" / "annotations.xml")
    reading = Reading(TableForm("cp1251"), str(tmp_path / "photos"))
    found = formats.read(tmp_path / "x" / "y" / "annotations.xml", reading)
    assert boxes_of(found)["a"][0][4] == "Стол"


def test_subsets_of_cvat_are_splits(tmp_path):
    path = set_of(tmp_path, "annotations.xml", CVAT.format('subset="Train"', 'subset="Test"', ""))
    found = formats.read(path)
    names = {part: [picture.path.stem for picture in some] for part, some in found.parts.items()}
    assert names == {"train": ["a"], "test": ["b", "c"]}
    set_of(tmp_path, "annotations.xml", CVAT.format('subset="Train"', 'subset="default"', ""))
    with pytest.raises(DataError, match="some images are in no subset of train"):
        formats.read(path)


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ('<polyline label="dog" points="1,2;3,4"/>', "a polyline has no box"),
        ('<points label="dog" points="1,2"/>', "a points has no box"),
        ('<tag label="dog"/>', "a tag has no box"),
        ('<box label="dog" xtl="1" ytl="2" xbr="3"/>', "'ybr' is missing"),
        ('<box label="dog" xtl="1" ytl="x" xbr="3" ybr="4"/>', "could not convert"),
        ('<box xtl="1" ytl="2" xbr="3" ybr="4"/>', "no class"),
        ('<polygon label="dog" points="1,2;3"/>', "3 numbers are no box"),
    ],
)
def test_a_shape_of_cvat_without_a_box_is_named(tmp_path, node, why):
    found = formats.read(set_of(tmp_path, "annotations.xml", CVAT.format("", "", node)))
    [problem] = found.problems
    assert (problem.kind, why in problem.detail) == (records.BAD_BOX, True)
    assert problem.place.startswith("annotations.xml: image 1, ")
    assert boxes_of(found) == EXPECTED


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"name": "circle", "cx": 50, "cy": 60, "r": 10}, (40, 50, 60, 70)),
        ({"name": "ellipse", "cx": 50, "cy": 60, "rx": 10, "ry": 5}, (40, 55, 60, 65)),
        (
            {"name": "ellipse", "cx": 50, "cy": 60, "rx": 10, "ry": 5, "theta": np.pi / 2},
            (45, 50, 55, 70),
        ),
        ({"name": "point", "cx": 50, "cy": 60}, "a point has no box"),
        ({"name": "rect", "x": 1, "y": 2, "width": 3}, "'height' is missing"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, "argument 2 is shorter"),
        (None, "a region without shape has no box"),
    ],
)
def test_shapes_of_via(tmp_path, shape, expected):
    text = via({**VIA, "b.png99": [(shape, "dog")]})
    found = formats.read(set_of(tmp_path, "via.json", text))
    if isinstance(expected, str):
        [problem] = found.problems
        assert problem.place == "via.json: b.png, region 1"
        assert expected in problem.detail
    else:
        assert boxes_of(found)["b"] == [(*map(pytest.approx, expected), "dog")]
        assert any("ellipses and circles" in note for note in found.notes)


def test_the_attribute_of_the_class(tmp_path):
    content = json.loads(via())
    for entry in content.values():
        for each in entry["regions"]:
            each["region_attributes"] = {"color": "red", "kind": each["region_attributes"]["class"]}
    path = set_of(tmp_path, "via.json", json.dumps(content))
    with pytest.raises(DataError, match="attributes color, kind, and none is called class or lab"):
        formats.read(path)
    found = formats.read(write(path, json.dumps(content).replace('"kind"', '"Label"')))
    assert boxes_of(found) == EXPECTED
    assert "the class is Label" in found.notes


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (region("keypointlabels", x=1, y=2, width=0.5), "a keypoint has no box"),
        (region("brushlabels", format="rle", rle=[1, 2]), "a brush has no box"),
        (region(x=1, y=2, width=3, height=4, label=["a", "b"]), "no class"),
        (region(x=1, y=2, width=3), "'height' is missing"),
        (
            ({"x": 1, "rectanglelabels": ["a"]}, {"original_width": 1, "image_rotation": 90}),
            "turne",
        ),
    ],
)
def test_a_region_of_label_studio_without_a_box_is_named(tmp_path, one, why):
    tasks = {**STUDIO, "b.png": [*STUDIO["b.png"], one]}
    for text in (studio_min(tasks=tasks), studio(tasks=tasks)):
        found = formats.read(set_of(tmp_path, "tasks.json", text))
        [problem] = found.problems
        assert problem.place == "tasks.json: task 2, region 2"
        assert why in problem.detail
        assert boxes_of(found)["b"] == [(*map(pytest.approx, EXPECTED["b"][0][:4]), "dog")]


def test_tasks_that_nobody_has_annotated_are_no_backgrounds(tmp_path):
    tasks = json.loads(studio())
    tasks[1]["annotations"][0]["was_cancelled"] = True
    tasks[2]["data"] = {"text": "no image"}
    found = formats.read(set_of(tmp_path, "tasks.json", json.dumps(tasks)))
    assert [*boxes_of(found)] == ["a"]
    assert [problem[:] for problem in found.problems] == [
        ("tasks.json: task 2", records.BAD_LABELS, "it is not annotated yet"),
        ("tasks.json: task 3", records.BAD_LABELS, "no image is named"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xml", "<annotations><track id='0' label='x'/></annotations>", "XML of a video; export"),
        ("a.xml", "<annotations><image></annotations>", "a.xml: not XML: mismatched tag"),
        ("a.xml", "<annotation/>", "a.xml is XML of a single image; name the folder"),
        ("a.json", '{"_via_img_metadata": []}', "expected VIA's object of images"),
        ("a.json", '{"a": {"shape_attributes": 1}}', "a has no filename, as VIA's JSON has"),
        ("a.json", '{"_via_img_metadata": ', "a.json is not JSON"),
        ("a.json", '[{"original_width": 1, "labels": []}]', "no image that can be read"),
        ("a.csv", "x,region_shape_attributes\n1,2\n", "no column 'filename'"),
    ],
)
def test_what_cannot_be_used_is_one_error(tmp_path, name, text, message):
    path = set_of(tmp_path, name, text)
    with pytest.raises(DataError, match=message):
        formats.read(path)


def test_several_files_of_tools_are_one_error_and_training_takes_one(tmp_path):
    path = set_of(tmp_path, "via.json", via())
    for value in range(12):
        paint(tmp_path / "images" / f"{value}.png", value)
    regions = {f"{at}.png1": [(rect(10, 20, 30, 40), "cat")] for at in range(9)}
    content = {
        name: {
            "filename": name.removesuffix("1"),
            "regions": [{"shape_attributes": shape, "region_attributes": {"class": label}}],
        }
        for name, [(shape, label)] in regions.items()
    }
    path.write_text(json.dumps(content))
    _, card = load(DetectionConfig(data=str(path), image_size=32))
    assert card.source.startswith("VIA via.json: 9 images with 9 boxes of 1 class")
    write(tmp_path / "annotations.xml", CVAT.format("", "", ""))
    with pytest.raises(
        DataError, match=r"several files of boxes: annotations.xml and via.json are"
    ):
        formats.read(tmp_path)
