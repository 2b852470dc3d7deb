"""Label files with anything in them: they are read, or refused in a sentence; never a traceback."""

import copy
import csv
import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from common.errors import DataError
from labs.detection.data import formats
from labs.detection.data.check import check

SETTINGS = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [1, 2, 5, 6],
            "iscrowd": 0,
            "segmentation": [[1, 2, 6, 2, 6, 8]],
            "keypoints": [1, 2, 2],
            "attributes": {"rotation": 0},
        }
    ],
    "categories": [{"id": 1, "name": "cat"}],
}
LABELME = {
    "shapes": [{"label": "cat", "points": [[1, 2], [6, 8]], "shape_type": "rectangle"}],
    "imagePath": "a.png",
    "imageHeight": 10,
    "imageWidth": 20,
}
XML = (
    "<annotation><folder>x</folder><filename>a.png</filename><size><width>20</width>"
    "<height>10</height></size><object><name>cat</name><difficult>0</difficult><bndbox><xmin>1"
    "</xmin><ymin>2</ymin><xmax>6</xmax><ymax>8</ymax></bndbox></object></annotation>"
)
YAML = "path: .\ntrain: images\nval: images/a.png\nnc: 1\nkpt_shape: [2, 2]\nnames: {0: cat}\n"
LINE = "0 0.5 0.5 0.2 0.4\n0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"
CSV = "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,20,10,cat,1,2,6,8\n"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
pieces = st.text(max_size=6) | st.sampled_from(
    [
        "nan",
        "inf",
        "-1",
        "1e999",
        "\0",
        "\ud83d",
        "..",
        "/",
        "*",
        "[",
        "~",
        "'",
        '"',
        "\t",
        "\n",
        ":",
    ]
)


ROWS = [{"image": "a.png", "label": "cat", "bbox": [1, 2, 3, 4]}, {"image": "a.png", "bbox": None}]
CVAT = """<annotations><image id="0" name="a.png" subset="" width="20" height="10">
<box label="cat" xtl="1.5" ytl="2" xbr="9" ybr="8"/><polygon label="cat" points="1,2;9,2;4,8"/>
<mask label="cat" left="1" top="2" width="3" height="4" rle="1"/></image></annotations>"""
RECT = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}
OUTLINE = {"name": "polygon", "all_points_x": [1, 9, 4], "all_points_y": [2, 2, 8]}
VIA = {
    "a.png1": {
        "filename": "a.png",
        "regions": [
            {"shape_attributes": shape, "region_attributes": {"class": "cat"}}
            for shape in (RECT, OUTLINE, {"name": "circle", "cx": 5, "cy": 5, "r": 2})
        ],
    }
}
STUDIO = [
    {
        "id": 1,
        "annotations": [
            {
                "result": [
                    {
                        "original_width": 20,
                        "original_height": 10,
                        "image_rotation": 0,
                        "value": value,
                    }
                    for value in (
                        {"x": 1, "y": 2, "width": 30, "height": 40, "rectanglelabels": ["cat"]},
                        {"points": [[1, 2], [90, 2], [40, 80]], "polygonlabels": ["cat"]},
                    )
                ]
            }
        ],
        "data": {"image": "/data/upload/1/0a1b2c3d-a.png"},
    }
]


def places(value, path=()):
    """Yield the ways to all values in a value."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def changed(draw, content):
    """Put another value, or none, in some places of a JSON content."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(list(places(content))))
        if not way:
            return draw(values)
        holder = content
        for key in way[:-1]:
            holder = holder[key]
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[way[-1]]
        else:
            holder[way[-1]] = draw(values)
    return content


@st.composite
def spliced(draw, text):
    """Put pieces into a text, in place of some of it."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 6)))
        text = text[:start] + draw(pieces) + text[end:]
    return text


@pytest.fixture
def root(tmp_path):
    """Return a folder with an image."""
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "images" / "a.png")
    return tmp_path


def look(root, path):
    """Read and check a data set; nothing but a `DataError` may come of it."""
    try:
        found = check(path)
    except DataError:
        return
    assert "boxes" in found.summary
    for row in found.problems:
        "".join(row.values()).encode("utf-8")  # can be printed
    for picture in formats.read(path).pictures:
        for box in picture.boxes:
            assert 0 <= box.x1 < box.x2 <= picture.width
            assert 0 <= box.y1 < box.y2 <= picture.height


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


CASES = {
    "coco": (changed(COCO), lambda root, value: write(root / "a.json", json.dumps(value))),
    "labelme": (
        changed(LABELME),
        lambda root, value: write(root / "a.json", json.dumps(value)).parent,
    ),
    "voc": (spliced(XML), lambda root, text: write(root / "a.xml", text).parent),
    "yaml": (spliced(YAML), lambda root, text: write(root / "data.yaml", text)),
    "lines": (spliced(LINE), lambda root, text: write(root / "labels" / "a.txt", text).parents[1]),
    "csv": (spliced(CSV), lambda root, text: write(root / "boxes.csv", text)),
    "records": (changed(ROWS), lambda root, value: write(root / "a.json", json.dumps(value))),
    "cvat": (spliced(CVAT), lambda root, text: write(root / "a.xml", text)),
    "via": (changed(VIA), lambda root, value: write(root / "a.json", json.dumps(value))),
    "studio": (changed(STUDIO), lambda root, value: write(root / "a.json", json.dumps(value))),
}


def run(kind, root, examples):
    strategy, put = CASES[kind]
    if kind == "yaml":
        write(root / "labels" / "a.txt", LINE)

    @settings(max_examples=examples, **SETTINGS)
    @given(value=strategy)
    def each(value):
        look(root, put(root, value))

    each()


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_any_content_is_read_or_refused(root, kind):
    run(kind, root, 12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_much_content_is_read_or_refused(root, kind):
    run(kind, root, 400)


# Tables of boxes: what is read is what was written, or it is said

SIDE = 640  # pixels of the image
_LEAST = 3  # pixels of a box's side: all of them within 0 to 1 are shares of the image


@st.composite
def written(draw):
    """Return boxes of one image in pixels with their classes, and a table that says so."""
    labels = st.sampled_from(["cat", "개", "고양이", "traffic light", "1", "07", "a;b", "x, y"])
    edge = st.integers(0, SIDE - _LEAST)
    boxes = draw(st.lists(st.tuples(edge, edge, edge, edge, labels), min_size=1, max_size=6))
    boxes = [
        (
            x,
            y,
            x + _LEAST + w % (SIDE - _LEAST - x + 1),
            y + _LEAST + h % (SIDE - _LEAST - y + 1),
            of,
        )
        for x, y, w, h, of in boxes
    ]
    by = SIDE if draw(st.booleans()) else 1
    kind = draw(st.sampled_from(["corners", "sides", "centers", "list"]))
    rows = []
    for x1, y1, x2, y2, label in boxes:
        x1, y1, x2, y2 = (value / by if by > 1 else value for value in (x1, y1, x2, y2))
        sides = (x1, y1, x2 - x1, y2 - y1)
        values = {
            "corners": {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2},
            "sides": dict(zip("xywh", sides, strict=True)),
            "centers": {"cx": (x1 + x2) / 2, "cy": (y1 + y2) / 2, "w": sides[2], "h": sides[3]},
            "list": {"bbox": list(sides)},
        }
        rows.append({"image": "a.png", "class": label, **values[kind]})
    return boxes, rows


@st.composite
def saved(draw, rows):
    """Return a suffix and the bytes of a table of rows."""
    suffix = draw(st.sampled_from([".csv", ".tsv", ".json", ".jsonl"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp949"]))
    if suffix == ".json":
        text = json.dumps(rows, ensure_ascii=draw(st.booleans()))
    elif suffix == ".jsonl":
        text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    else:
        delimiter = "\t" if suffix == ".tsv" else draw(st.sampled_from(",;\t|"))
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
        text = text.getvalue()
    return suffix, text.encode(encoding)


def compare_table(root, examples):
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "images" / "a.png")

    @settings(max_examples=examples, **SETTINGS)
    @given(data=st.data())
    def each(data):
        boxes, rows = data.draw(written())
        suffix, content = data.draw(saved(rows))
        path = root / f"boxes{suffix}"
        path.write_bytes(content)
        try:
            found = formats.read(path)
        except DataError:
            return
        read = {
            (*(round(value, 2) for value in box[:4]), found.classes[box.label])
            for box in found.pictures[0].boxes
        }
        expected = {(*map(float, box[:4]), box[4]) for box in boxes}
        assert read == expected or found.problems or any("percent" in each for each in found.notes)

    each()


def test_tables_of_boxes_are_read_as_written_or_it_is_said(root):
    compare_table(root, 40)


@pytest.mark.slow
def test_thousands_of_tables_of_boxes_are_read_as_written_or_it_is_said(root):
    compare_table(root, 3000)
