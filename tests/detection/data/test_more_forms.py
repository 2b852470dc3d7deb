"""Boxes of LabelMe's JSON files and of tables: read right, or refused with the place."""

import json

import numpy as np
import pandas as pd
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


def paint(path, size=(100, 50), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def shape(kind="rectangle", points=((10, 20), (40, 40)), label="cat"):
    return {"label": label, "points": [*map(list, points)], "shape_type": kind, "flags": {}}


def labelme(path, shapes, **more):
    values = {"imagePath": f"{path.stem}.png", "imageHeight": 50, "imageWidth": 100, **more}
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imageData": None, **values}
    return write(path, json.dumps(content, ensure_ascii=False))


def boxes_of(found):
    return {
        picture.path.stem: [(*box[:4], found.classes[box.label]) for box in picture.boxes]
        for picture in found.pictures
    }


# LabelMe


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (shape(), (10, 20, 40, 40)),
        (shape(points=((40, 40), (10, 20))), (10, 20, 40, 40)),
        (shape(points=((40, 20), (10, 40))), (10, 20, 40, 40)),
        (shape(points=((10, 20), (40, 20), (40, 40), (10, 40))), (10, 20, 40, 40)),
        (shape("polygon", ((10, 20), (40.5, 25), (20, 41.25))), (10, 20, 40.5, 41.25)),
        (shape(None, ((10, 20), (40, 25), (20, 41))), (10, 20, 40, 41)),
        (shape("circle", ((30, 25), (33, 29))), (25, 20, 35, 30)),
        (shape("rotation", ((30, 10), (40, 20), (30, 30), (20, 20))), (20, 10, 40, 30)),
    ],
)
def test_shapes_of_labelme_become_boxes(tmp_path, one, expected):
    paint(tmp_path / "set" / "a.png")
    labelme(tmp_path / "set" / "a.json", [one])
    found = formats.read(tmp_path / "set")
    assert found.form == "labelme"
    assert boxes_of(found) == {"a": [(*expected, "cat")]}
    assert not found.problems
    assert bool(found.notes) is (one["shape_type"] in ("circle", "rotation"))
    assert bool(found.pictures[0].boxes[0].polygons) is (
        one["shape_type"] in ("polygon", "rotation", None)
    )
    convert(tmp_path / "set", tmp_path / "coco", "coco")
    assert boxes_of(formats.read(tmp_path / "coco")) == boxes_of(found)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (shape("point", ((1, 2),)), "a point of 1 points has no box"),
        (shape("line", ((1, 2), (3, 4))), "a line of 2 points has no box"),
        (shape("linestrip", ((1, 2), (3, 4), (5, 6))), "a linestrip of 3 points"),
        (shape("polygon", ((1, 2), (3, 4))), "a polygon of 2 points"),
        (shape("mask", ((1, 2), (3, 4))), "a mask of 2 points"),
        (shape(points=((1, 2), (3, 4), (5, 6))), "a rectangle of 3 points"),
        (shape(points=()), "points are []"),
        (shape(points=((1, "x"), (3, 4))), "a point is [1, 'x']"),
        (shape(points=((1, 2, 3), (3, 4, 5))), "a point is [1, 2, 3]"),
        (shape(label=""), "label is ''"),
        (shape(label=None), "label is None"),
        ({"points": [[1, 2], [3, 4]]}, "'label' is missing"),
        ("cat", "expected an object"),
    ],
)
def test_a_shape_without_a_box_is_named(tmp_path, one, why):
    paint(tmp_path / "a.png")
    labelme(tmp_path / "a.json", [one, shape(label="개")])
    found = formats.read(tmp_path)
    [problem] = found.problems
    assert (problem.place, problem.kind) == ("a.json: shape 1", records.BAD_BOX)
    assert why in problem.detail
    assert boxes_of(found) == {"a": [(10, 20, 40, 40, "개")]}


def test_the_images_of_labelme(tmp_path):
    for value, name in enumerate(("cam1/1.png", "cam2/1.png", "cam2/2.png")):
        paint(tmp_path / name, value=value)
    labelme(tmp_path / "cam1" / "1.json", [shape(label="one")])
    labelme(tmp_path / "cam2" / "x.json", [shape(label="two")], imagePath="..\\cam2\\1.png")
    labelme(tmp_path / "cam1" / "2.json", [shape(label="lost")])  # that of cam2 is another
    labelme(tmp_path / "cam1" / "y.json", [shape(label="second")], imagePath="1.png")
    found = formats.read(tmp_path)
    assert {picture.name: len(picture.boxes) for picture in found.pictures} == {
        "cam2/1.png": 1,
        "cam2/2.png": 0,
    }
    assert {problem.place: problem.kind for problem in found.problems} == {
        "cam1/1.json": records.NO_IMAGE,  # two files say that theirs is cam1/1.png
        "cam1/y.json": records.NO_IMAGE,
        "cam1/2.json": records.NO_IMAGE,
        "cam2/2.png": records.NO_LABELS,
    }


# Tables

BOX = (10, 20, 40, 40)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,100,50,cat,10,20,40,40\n",
            "xmin, ymin, xmax, ymax (left, upper, right, lower edge, in pixels)",
        ),
        (
            "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,cat,1,0.1,0.4,0.4,0.8\n",
            "XMin, YMin, XMax, YMax (left, upper, right, lower edge, as shares of the image)",
        ),
        ('image_id,label,bbox\na,cat,"[10.0, 20.0, 30.0, 20.0]"\n', "bbox (left, upper, width"),
        ('image_id;class;bbox\na.png;cat;"10 20 30 20"\n', "bbox (left, upper, width"),
        ("image\tx\ty\tw\th\tlabel\na.png\t10\t20\t30\t20\tcat\n", "x, y, w, h (left, upper"),
        ("image_path,x_min,y_min,x_max,y_max,class_name\nimages/a.png,10,20,40,40,cat\n", "x_min"),
        ("label,Left,Top,Width,Height,file\ncat,10,20,30,20,a\n", "Left, Top, Width, Height"),
        ("image,cx,cy,w,h,label\na.png,25,30,30,20,cat\n", "cx, cy, w, h (center, width, height"),
        ("image,x_center,y_center,width,height,label\na.png,.25,.6,.3,.4,cat\n", "as shares"),
        ("파일명,클래스,x1,y1,x2,y2\na.png,cat,10,20,40,40\n", "x1, y1, x2, y2"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_many_forms(tmp_path, text, said, encoding):
    root = tmp_path / "set"
    paint(root / "images" / "a.png")
    path = write(root / ("boxes.tsv" if "\t" in text else "boxes.csv"), text, encoding)
    for given in (root, path):
        found = formats.read(given)
        assert found.form == "table"
        assert not found.problems
        assert boxes_of(found) == {"a": [(*map(pytest.approx, BOX), "cat")]}
        assert any(said in note and "the class is" in note for note in found.notes)
    assert said in check(path).summary
    assert said in convert(path, tmp_path / "yolo", "yolo")
    assert boxes_of(formats.read(tmp_path / "yolo"))["a"][0][:4] == pytest.approx(BOX, abs=1e-4)


@pytest.mark.parametrize(
    ("row", "kind", "why"),
    [
        ("a.png,cat,10,20,x,40", records.BAD_BOX, "could not convert"),
        ("a.png,cat,10,20,,40", records.BAD_BOX, "could not convert"),
        ("a.png,,10,20,40,40", records.BAD_BOX, "no text in the column class"),
        ("a.png,cat,40,20,10,40", records.ZERO_AREA, "-30 x 20"),
        ("a.png,cat,10,20,400,40", records.OUT_OF_RANGE, "cut at the edge"),
        ("a.png,cat,nan,20,40,40", records.BAD_BOX, "not a finite number"),
        ("b.png,cat,10,20,40,40", records.NO_IMAGE, "b.png"),
        ("cam2/a.png,cat,10,20,40,40", records.NO_IMAGE, "cam2/a.png"),
        (",cat,10,20,40,40", records.BAD_LABELS, ""),
    ],
)
def test_a_row_without_a_box_is_named(tmp_path, row, kind, why):
    paint(tmp_path / "cam1" / "a.png")
    path = write(tmp_path / "boxes.csv", f"image,class,x1,y1,x2,y2\na.png,cat,1,2,3,4\n{row}\n")
    found = formats.read(path)
    [problem] = found.problems
    assert problem.kind == kind
    assert why in problem.detail
    assert problem.place.startswith("boxes.csv:")
    assert boxes_of(found)["a"][0] == (1, 2, 3, 4, "cat")


def test_rows_without_numbers_are_backgrounds_and_splits_are_tables(tmp_path):
    header = "image_id,x_min,y_min,x_max,y_max\n"
    for value, name in enumerate(("train/a", "train/b", "test/c")):
        paint(tmp_path / f"{name}.png", value=value)
    write(tmp_path / "train_labels.csv", f"{header}a,10,20,40,40\na,1,2,3,4\nb,,,,\n")
    write(tmp_path / "test_labels.csv", f"{header}c,10,20,40,40\n")
    write(tmp_path / "results.csv", "epoch,loss\n1,2\n")
    found = formats.read(tmp_path)
    assert boxes_of(found) == {
        "a": [(*BOX, "object"), (1, 2, 3, 4, "object")],
        "b": [],
        "c": [(*BOX, "object")],
    }
    assert [*found.parts] == ["train", "test"]
    assert "all are of one class, object" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("boxes",), ["all"]),
        (("train", "val", "test"), ["train", "validation", "test"]),
        (("labels", "test_labels"), ["train", "test"]),
        (("val", "test"), None),
        (("boxes", "train"), None),
        (("boxes", "labels"), None),
    ],
)
def test_several_tables_are_splits_or_one_error(tmp_path, names, expected):
    for value, name in enumerate(names):
        paint(tmp_path / f"{value}.png", value=value)
        write(tmp_path / f"{name}.csv", f"image,x1,y1,x2,y2\n{value},1,2,3,4\n")
    if expected:
        assert list(formats.read(tmp_path).parts) == expected
        return
    with pytest.raises(DataError, match="name one of them as --data"):
        formats.read(tmp_path)


def test_centers_are_not_taken_for_corners(tmp_path):
    paint(tmp_path / "a.png")
    text = "image,class,x,y,width,height\na,cat,0.5,0.5,0.2,0.2\na,cat,0.8,0.7,0.4,0.4\n"
    with pytest.raises(DataError, match="boxes.csv: boxes stick out .* none does with centers"):
        formats.read(write(tmp_path / "boxes.csv", text))


def test_a_table_without_boxes_is_one_error(tmp_path):
    paint(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"labels.csv has no columns of boxes: expected one of ima"):
        formats.read(write(tmp_path / "labels.csv", "image,label\na.png,cat\n"))


def test_what_else_is_there_is_said(tmp_path):
    for value, stem in enumerate("ab"):
        paint(tmp_path / f"{stem}.png", value=value)
        write(tmp_path / f"{stem}.txt", "0 0.5 0.5 0.2 0.4\n")
        labelme(tmp_path / f"{stem}.json", [shape()])
    write(tmp_path / "boxes.csv", "image,class,x1,y1,x2,y2\na.png,cat,10,20,40,40\n")
    write(tmp_path / "more.csv", "image,class,x1,y1,x2,y2\nb.png,cat,10,20,40,40\n")
    (tmp_path / "damaged.csv").write_bytes(bytes(range(256)))
    found = formats.read(tmp_path)
    assert found.form == "yolo"
    assert found.notes[-1] == "LabelMe's JSON files and tables are there, too, and are not read"


def test_training_takes_them(tmp_path):
    rows = []
    for value in range(12):
        paint(tmp_path / f"{value}.png", value=value)
        rows.append(f"{value}.png,cat,10,20,40,40\n")
    path = write(tmp_path / "boxes.csv", "".join(["image,class,x1,y1,x2,y2\n", *rows]))
    _, card = load(DetectionConfig(data=str(path), image_size=32))
    assert card.source.startswith("table boxes.csv: 12 images with 12 boxes of 1 class")
    assert "boxes are x1, y1, x2, y2 (left, upper, right, lower edge, in pixels)" in card.source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('image,bbox,label\n{}.png,"[{}, 20, 90, 45]",cat\n', DataError),
        ("image,x,y,w,h,label\n{}.png,{},20,90,45,cat\n", DataError),
        ("image,x,y,w,h,label\n{0}.png,.5{1},.4,.9,.9,cat\n", DataError),
        ("image,x,y,w,h,label\n{}.png,{},20,10,10,cat\n", 0),
        ("image,x1,y1,x2,y2,label\n{}.png,{},20,90,45,cat\n", 0),
    ],
)
def test_corners_in_columns_of_sides_are_refused(tmp_path, text, expected):
    for at in range(4):
        paint(tmp_path / f"{at}.png", value=at)
    head, row = text.splitlines()
    rows = "\n".join([head, *(row.format(at, 50 + at) for at in range(4))])
    path = write(tmp_path / "boxes.csv", rows)
    if expected is DataError:
        with pytest.raises(DataError, match="4 of 4 boxes stick out .* columns called xmin, ymin"):
            formats.read(path)
    else:
        assert len(formats.read(path).problems) == expected


@pytest.mark.parametrize(
    ("box", "size", "said"),
    [
        ((10, 20, 80, 90), (400, 300), True),
        ((10, 20, 80, 90), (150, 300), False),
        ((10, 20, 180, 90), (400, 300), False),
        ((1, 2, 8, 9), (400, 300), False),
        ((0.1, 0.2, 0.8, 0.9), (400, 300), False),
    ],
)
def test_pixels_that_may_be_percent_are_named(tmp_path, box, size, said):
    paint(tmp_path / "a.png", size)
    row = ",".join(map(str, box))
    text = f"image,xmin,ymin,xmax,ymax,class\na,{row},cat\n"
    notes = formats.read(write(tmp_path / "boxes.csv", text)).notes
    assert any("if they are percent" in note for note in notes) is said


def test_a_whole_image_in_shares_is_no_pixel(tmp_path):
    paint(tmp_path / "a.png")
    path = write(tmp_path / "boxes.csv", "image,xmin,ymin,xmax,ymax,class\na,0,0,1,1,cat\n")
    assert boxes_of(formats.read(path))["a"] == [(0, 0, 100, 50, "cat")]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        *((name, "ab", ("a", "b")) for name in ("labels", "species", "Category", "품종")),
        *((name, "12", ("1", "2")) for name in ("class_id", "category_id", "label-id")),
        ("kind of thing", ("red", "blue"), DataError),
        ("confidence", ("0.5", "0.9"), ("object",)),
        ("purpose", ("train", "val"), ("object",)),
        ("truncated", ("True", "False"), ("object",)),
    ],
)
def test_the_column_of_classes(tmp_path, column, values, expected):
    paint(tmp_path / "a.png")
    rows = [f"a.png,{at},10,50,40,{values[at % 2]}" for at in range(6)]
    text = "\n".join([f"image,xmin,ymin,xmax,ymax,{column}", *rows])
    path = write(tmp_path / "boxes.csv", text)
    if expected is DataError:
        with pytest.raises(
            DataError, match=f"{column} has few texts .* call the column of the cla"
        ):
            formats.read(path)
    else:
        assert formats.read(path).classes == expected


# Tables that are no CSV, and options


RECORDS = [
    {"image": "a.png", "label": "고양이", "bbox": [10, 20, 30, 20]},
    {"image": "b.png", "label": "개", "bbox": [1.5, 2, 3, 4]},
    {"image": "b.png", "label": "고양이", "bbox": [0, 0, 10, 10]},
]
EXPECTED = {
    "a": [(10, 20, 40, 40, "고양이")],
    "b": [(1.5, 2, 4.5, 6, "개"), (0, 0, 10, 10, "고양이")],
}
CORNERS = [
    dict(zip(("image", "label", "xmin", "ymin", "xmax", "ymax"), (image, label, *box), strict=True))
    for image, boxes in (("a.png", EXPECTED["a"]), ("b.png", EXPECTED["b"]))
    for *box, label in boxes
]


def save_as(path, records):
    """Save records as a table, of the form that the suffix says."""
    frame = pd.DataFrame(records)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    elif path.suffix == ".json":
        write(path, json.dumps(records, ensure_ascii=False))
    elif path.suffix == ".jsonl":
        write(path, "\n".join(json.dumps(record) for record in records))
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["xlsx", "json", "jsonl", "parquet", "csv.gz", "csv.zip"])
@pytest.mark.parametrize("records", [CORNERS, RECORDS], ids=["corners", "lists"])
def test_tables_that_are_no_csv_are_read_as_it_is(tmp_path, name, records):
    if records is RECORDS and name == "xlsx":
        records = [{**each, "bbox": str(each["bbox"])} for each in records]
    for value, stem in enumerate("ab"):
        paint(tmp_path / f"{stem}.png", value=value)
    path = save_as(tmp_path / f"boxes.{name}", records)
    for given in (path, tmp_path):
        found = formats.read(given)
        assert found.form == "table"
        assert not found.problems
        assert boxes_of(found) == EXPECTED


def test_a_list_that_is_no_box_is_named(tmp_path):
    paint(tmp_path / "a.png")
    wrong = ([1, 2, 3], ["a", 1, 2, 3], [[1, 2, 3, 4]], {"x": 1}, "", None, [1, 2, None, 4])
    rows = [{"image": "a.png", "label": "cat", "bbox": each} for each in (*wrong, [1, 2, 3, 4])]
    found = formats.read(save_as(tmp_path / "boxes.json", rows))
    assert boxes_of(found) == {"a": [(1, 2, 4, 6, "cat")]}
    places = [problem.place for problem in found.problems]
    assert sorted(places) == [f"boxes.json:{row}" for row in (1, 2, 3, 4, 7)]  # "" is no object


@pytest.mark.parametrize("given", ["boxes.csv", "boxes.json", "coco.json", "."])
def test_images_may_lie_elsewhere(tmp_path, given):
    for value, stem in enumerate("ab"):
        paint(tmp_path / "photos" / "day1" / f"{stem}.png", value=value)
    labels = tmp_path / "sets" / "labels"
    if given == "coco.json":
        categories = [{"id": 1, "name": "고양이"}, {"id": 2, "name": "개"}]
        images = [{"id": at, "file_name": f"{stem}.png"} for at, stem in enumerate("ab")]
        annotations = [
            {
                "image_id": "ab".index(each["image"][0]),
                "category_id": 1 + (each["label"] == "개"),
                "bbox": each["bbox"],
            }
            for each in RECORDS
        ]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write(labels / given, json.dumps(content))
    else:
        save_as(labels / given if given != "." else labels / "boxes.csv", RECORDS)
    with pytest.raises(DataError, match="no image that can be read; --image-dir names another"):
        formats.read(labels / given)
    found = formats.read(labels / given, Reading(image_dir=str(tmp_path / "photos")))
    assert not found.problems
    assert boxes_of(found) == EXPECTED
    assert any("the images are those in" in note for note in found.notes)
    with pytest.raises(DataError, match="folder .*photo does not exist.* Did you mean"):
        formats.read(labels / given, Reading(image_dir=str(tmp_path / "photo")))


def test_a_folder_of_images_is_for_files_that_name_them(tmp_path):
    paint(tmp_path / "a.png")
    labelme(tmp_path / "a.json", [shape()])
    found = formats.read(tmp_path, Reading(image_dir=str(tmp_path)))
    assert found.notes == (
        "--image-dir is for files that name images: these are those of the data's folder",
    )
    with pytest.raises(DataError, match="a.json is LabelMe's JSON of a single image; name the fol"):
        formats.read(tmp_path / "a.json")


def test_a_table_is_written_as_the_options_say(tmp_path):
    paint(tmp_path / "a.png")
    rows = "image~class~x1~y1~x2~y2\na.png~Стол~1~2~3~4\n"
    path = write(tmp_path / "boxes.csv", rows, "cp1251")
    with pytest.raises(DataError, match="with --file-encoding, or save the file as UTF-8"):
        formats.read(path)
    found = formats.read(path, Reading(TableForm("cp1251", "~")))
    assert boxes_of(found) == {"a": [(1, 2, 3, 4, "Стол")]}
    with pd.ExcelWriter(tmp_path / "boxes.xlsx") as book:
        pd.DataFrame({"notes": ["x"]}).to_excel(book, sheet_name="first", index=False)
        pd.DataFrame(CORNERS[:1]).to_excel(book, sheet_name="상자", index=False)
    found = formats.read(tmp_path / "boxes.xlsx", Reading(TableForm(sheet="상자")))
    assert boxes_of(found) == {"a": EXPECTED["a"]}
    with pytest.raises(DataError, match="boxes.xlsx has no columns of boxes"):
        formats.read(tmp_path / "boxes.xlsx", Reading(TableForm(sheet="first")))


@pytest.mark.parametrize("kind", ["voc", "voc-declared", "yolo", "labelme", "coco"])
def test_an_encoding_reaches_texts_of_every_form(tmp_path, kind):
    paint(tmp_path / "a.png")
    if kind.startswith("voc"):
        head = '<?xml version="1.0" encoding="koi8-r"?>' if kind == "voc-declared" else ""
        box = "<xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
        text = f"{head}<annotation><object><name>Стол</name><bndbox>{box}</bndbox></object>"
        write(tmp_path / "a.xml", f"{text}</annotation>", "cp1251")
    elif kind == "yolo":
        write(tmp_path / "a.txt", "0 0.5 0.5 0.2 0.4\n")
        write(tmp_path / "classes.txt", "Стол\n", "cp1251")
    elif kind == "labelme":
        labelme(tmp_path / "a.json", [shape(label="Стол")])
    else:
        box = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 8, 8]}
        content = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [box],
            "categories": [{"id": 1, "name": "Стол"}],
        }
        write(tmp_path / "a.json", json.dumps(content, ensure_ascii=False), "cp1251")
    if kind == "labelme":
        text = (tmp_path / "a.json").read_text("utf-8")
        write(tmp_path / "a.json", text, "cp1251")
    found = formats.read(tmp_path, Reading(TableForm("cp1251")))
    assert [name for *_, name in boxes_of(found)["a"]] == ["Стол"]


def test_numbers_in_two_spellings_are_one_class(tmp_path):
    for value, stem in enumerate("ab"):
        paint(tmp_path / f"{stem}.png", value=value)
    head = "image,x1,y1,x2,y2,class\n"
    write(tmp_path / "train.csv", f"{head}a.png,1,2,3,4,1\na.png,1,2,3,9,07\n")
    write(tmp_path / "test.csv", f"{head}b.png,1,2,3,4,1.0\n")
    found = formats.read(tmp_path)
    assert boxes_of(found) == {
        "a": [(1, 2, 3, 4, "1"), (1, 2, 3, 9, "07")],
        "b": [(1, 2, 3, 4, "1")],
    }
    assert "the labels 1 and 1.0 are one class, 1" in found.notes


def test_what_cannot_be_read_beside_a_table_is_said(tmp_path):
    paint(tmp_path / "a.png")
    write(tmp_path / "boxes.csv", "image,class,x1,y1,x2,y2\na.png,cat,10,20,40,40\n")
    (tmp_path / "notes.xlsx").write_bytes(b"PK none")
    found = formats.read(tmp_path)
    assert boxes_of(found) == {"a": [(*BOX, "cat")]}
    assert any("notes.xlsx: is not a workbook" in note for note in found.notes)


@pytest.mark.parametrize(
    ("boxes", "answer"),
    [
        ([(1.5, 2.25, 80.5, 90)], "1 of 1 have fractions"),
        ([(1, 2, 80, 90), (0, 0, 100, 50)], "some end at 100"),
        ([(1, 2, 80, 90), (0, 0, 100, 50), (0, 0, 101, 20)], None),
        ([(1, 2, 80, 90), (0, 0, 99, 50)], "may be"),
        ([(1.5, 2.25, 40.5, 20)], None),
    ],
)
def test_percent_is_refused_where_it_shows(tmp_path, boxes, answer):
    paint(tmp_path / "a.png", (640, 480))
    rows = "".join(f"a,{','.join(map(str, box))},cat\n" for box in boxes)
    path = write(tmp_path / "boxes.csv", f"image,xmin,ymin,xmax,ymax,class\n{rows}")
    if answer in (None, "may be"):
        notes = formats.read(path).notes
        assert any("if they are percent" in note for note in notes) is (answer is not None)
        return
    with pytest.raises(DataError, match=f"{answer}: if they are percent .* divide them by 100; if"):
        formats.read(path)
