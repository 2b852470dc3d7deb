"""Public sets as they are downloaded: read as they are meant, or refused with what to do."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection import records
from labs.detection.config import DetectionConfig
from labs.detection.data import formats
from labs.detection.data.check import check
from labs.detection.data.load import read

SIZE = (100, 50)
CLASSES = ("cat", "dog")
BOXES = [("cat", 10, 20, 40, 40), ("dog", 50, 5, 90, 45)]


def paint(path, value=0, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def boxes_of(found):
    return {
        picture.path.stem: [(found.classes[box.label], *box[:4]) for box in picture.boxes]
        for picture in found.pictures
    }


def parts_of(found):
    return {part: sorted(each.path.stem for each in some) for part, some in found.parts.items()}


def yolo(root, parts, labelled=("train", "valid")):
    """Make a set as Roboflow exports it, with numbers of images by their split."""
    for part, count in parts.items():
        for at in range(count):
            paint(root / part / "images" / f"{part}{at}.jpg", 100 * list(parts).index(part) + at)
            if part in labelled:
                text = "0 0.25 0.6 0.3 0.4\n1 0.7 0.5 0.4 0.8\n"
                write(root / part / "labels" / f"{part}{at}.txt", text)
    keys = {"train": "train", "valid": "val", "test": "test"}
    lines = [f"{keys[part]}: ../{part}/images" for part in parts]
    write(root / "data.yaml", "\n".join([*lines, "nc: 2", "names: ['cat', 'dog']"]))
    write(root / "README.roboflow.txt", "\nanimals - v1\n=====\n")
    return root


def coco(names, categories=({"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}), first=1):
    """Return COCO's JSON of images with the same boxes, of categories numbered from `first` on."""
    entries = [{"id": at, "file_name": f"{name}.jpg"} for at, name in enumerate(names)]
    annotations = [
        {
            "id": at,
            "image_id": entry["id"],
            "category_id": first + CLASSES.index(of),
            "bbox": [a, b, x - a, y - b],
        }
        for entry in entries
        for at, (of, a, b, x, y) in enumerate(BOXES)
    ]
    return {"images": entries, "annotations": annotations, "categories": list(categories)}


# Folders


def test_a_test_split_without_labels_is_none(tmp_path):
    root = yolo(tmp_path / "set", {"train": 4, "valid": 2, "test": 3})
    found, split = read(DetectionConfig(data=str(root)))
    assert parts_of(found) == {
        "train": ["train0", "train1", "train2", "train3"],
        "validation": ["valid0", "valid1"],
    }
    assert "none of the 3 images of test has a box: those are left out" in found.notes
    assert {part: len(some) for part, some in split.parts.items()} == {
        "train": 3,
        "validation": 2,
        "test": 1,
    }
    assert "test cut from train" in split.about
    [problem] = [each for each in check(root).problems if each["problem"] == "split without boxes"]
    assert problem["place"] == "test"
    assert problem["detail"] == "3 images, which training leaves out"


def test_the_only_folder_of_an_archive_is_the_data(tmp_path):
    yolo(tmp_path / "archive" / "animals", {"train": 4, "valid": 2})
    write(tmp_path / "README.md", "# animals")
    found = formats.read(tmp_path)
    assert found.classes == CLASSES
    assert found.notes == ("the data is the folder archive/animals, the only one there",)
    assert boxes_of(found)["train0"] == [(name, *map(pytest.approx, box)) for name, *box in BOXES]
    assert not found.problems
    assert not formats.read(tmp_path / "archive" / "animals").notes


# Tables


def of_images(names, form):
    """Return the rows of images with the same boxes, each as a form with these words says."""
    numbers = {"cat": 1, "dog": 4}  # of VisDrone's classes
    rows = [
        {"name": name, "of": of, "a": a, "b": b, "x": x, "y": y, "number": numbers[of]}
        for name in names
        for of, a, b, x, y in BOXES
    ]
    sides = [{"across": row["x"] - row["a"], "down": row["y"] - row["b"]} for row in rows]
    size = {"w": SIZE[0], "h": SIZE[1]}
    return "".join(
        f"{form.format(**row, **side, **size)}\n" for row, side in zip(rows, sides, strict=True)
    )


ROWS = "{name}.jpg,{a},{b},{x},{y},{of}"


@pytest.mark.parametrize(
    ("images", "files", "expected"),
    [
        pytest.param(
            ["train/{}.jpg"],
            {
                "train.csv": "image_id,width,height,bbox,source\n"
                + of_images(
                    "ab", '{name},{w},{h},"[{a}.0, {b}.0, {across}.0, {down}.0]",farm_{name}'
                ),
                "sample_submission.csv": "image_id,PredictionString\nz,1.0 0 0 50 50\n",
            },
            "all are of one class, object",
            id="Global Wheat",
        ),
        pytest.param(
            ["{}.jpg"],
            {
                "labels.csv": "xmin,xmax,ymin,ymax,Frame,Label,Preview URL\n"
                + of_images("ab", "{a},{b},{x},{y},{name}.jpg,{of},http://a/1")
            },
            "xmax and ymin are exchanged",
            id="Udacity, whose columns have each other's names",
        ),
        pytest.param(
            ["images/{}.jpg"],
            {
                "labels_train.csv": "frame,xmin,xmax,ymin,ymax,class_id\n"
                + of_images("ab", "{name}.jpg,{a},{x},{b},{y},{of}")
            },
            "the class is class_id",
            id="Udacity of Kaggle",
        ),
        pytest.param(
            ["{}.ppm", "00/{}.ppm"],
            {"gt.txt": of_images("ab", "{name}.ppm;{a};{b};{x};{y};{of}")},
            "boxes are columns 2, 3, 4, 5 (left, upper, right, lower edge, in pixels), the class "
            "is column 6",
            id="GTSDB",
        ),
        pytest.param(
            ["images/{}.jpg"],
            {"annotations/annotations.csv": of_images("ab", ROWS + ",{w},{h}")},
            "the class is column 6",
            id="SKU-110K",
        ),
        pytest.param(
            ["{}.jpg"],
            {"boxes.csv": of_images("ab", "{name}.jpg,{a},{b},{across},{down},{of}")},
            "boxes are columns 2, 3, 4, 5 (left, upper, width, height, in pixels)",
            id="sides without names",
        ),
        pytest.param(
            ["Train/{}.jpg"],
            {
                "Train.csv": "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path\n"
                + of_images("ab", "{w},{h},{a},{b},{x},{y},{of},Train/{name}.jpg"),
                "Meta.csv": "Path,ClassId\nMeta/0.png,0\n",
            },
            "boxes are Roi.X1, Roi.Y1, Roi.X2, Roi.Y2",
            id="GTSRB",
        ),
    ],
)
def test_tables_of_public_sets(tmp_path, images, files, expected):
    for value, name in enumerate("ab"):
        for image in images:
            paint(tmp_path / image.format(name), value + 10 * images.index(image))
    for name, text in files.items():
        write(tmp_path / name, text)
    found = formats.read(tmp_path)
    alone = "one class" in expected
    boxes = [("object" if alone else name, *box) for name, *box in BOXES]
    assert boxes_of(found) == {"a": boxes, "b": boxes}
    assert expected in "; ".join(found.notes)
    assert not found.problems


def test_tables_in_the_folders_of_splits(tmp_path):
    for value, (part, name) in enumerate((("train", "a"), ("train", "b"), ("valid", "c"))):
        paint(tmp_path / part / f"{name}.jpg", value)
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    row = "{name}.jpg,{w},{h},{of},{a},{b},{x},{y}"
    write(tmp_path / "train" / "_annotations.csv", header + of_images("ab", row))
    write(tmp_path / "valid" / "_annotations.csv", header + of_images("c", row))
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    assert boxes_of(found)["c"] == BOXES


def test_a_table_without_names_has_images_without_boxes(tmp_path):
    for value, name in enumerate("abc"):
        paint(tmp_path / f"{name}.jpg", value)
    write(tmp_path / "annotations.csv", "c.jpg,,,,,\n" + of_images("ab", ROWS))
    write(tmp_path / "classes.csv", "cat,0\ndog,1\n")
    assert boxes_of(formats.read(tmp_path)) == {"c": [], "a": BOXES, "b": BOXES}


def test_the_codes_of_open_images_get_their_names(tmp_path):
    lines = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf"]
    for value, name in enumerate("ab"):
        paint(tmp_path / "train" / "data" / f"{name}.jpg", value)
        lines += [
            f"{name},xclick,/m/0{of},1,{a / 100},{x / 100},{b / 50},{y / 50},{int(of == 'dog')}"
            for of, a, b, x, y in BOXES
        ]
    write(tmp_path / "train" / "labels" / "detections.csv", "\n".join(lines))
    found = formats.read(tmp_path)
    assert found.classes == ("/m/0cat", "/m/0dog")
    assert "class-descriptions-boxable.csv beside the table would" in "; ".join(found.notes)
    names = "/m/011k07,Tortoise\n/m/0cat,cat\n/m/0dog,dog\n"
    write(tmp_path / "train" / "metadata" / "classes.csv", names)
    found = formats.read(tmp_path)
    assert boxes_of(found) == {
        name: [(of, *map(pytest.approx, box)) for of, *box in BOXES] for name in "ab"
    }
    assert "the names of classes are those of classes.csv" in found.notes
    assert [box.crowd for box in found.pictures[0].boxes] == [False, True]


@pytest.mark.parametrize("form", ["table", "coco"])
def test_images_without_an_entry_are_counted(tmp_path, form):
    for value, name in enumerate("abcd"):
        paint(tmp_path / "images" / f"{name}.jpg", value)
    if form == "table":
        write(tmp_path / "boxes.csv", of_images("ab", ROWS))
    else:
        write(tmp_path / "boxes.json", json.dumps(coco("ab")))
    found = formats.read(tmp_path)
    assert sorted(boxes_of(found)) == ["a", "b"]
    assert "2 images that lie beside the others have no entry" in "; ".join(found.notes)


# COCO


@pytest.mark.parametrize("heading", ["animals", "cat"])
def test_a_heading_of_roboflow_is_no_class(tmp_path, heading):
    categories = [{"id": 0, "name": heading, "supercategory": "none"}]
    categories += [
        {"id": at, "name": name, "supercategory": heading} for at, name in enumerate(CLASSES, 1)
    ]
    for value, part in enumerate(("train", "valid")):
        paint(tmp_path / part / f"{part}.jpg", value)
        write(tmp_path / part / "_annotations.coco.json", json.dumps(coco([part], categories)))
    found = formats.read(tmp_path)
    assert found.classes == CLASSES
    assert boxes_of(found) == {"train": BOXES, "valid": BOXES}
    assert found.notes == (
        f"the category {heading} is a heading of others without a box, and no class",
    )
    categories[0]["supercategory"] = "animals"
    write(tmp_path / "train" / "_annotations.coco.json", json.dumps(coco(["train"], categories)))
    with pytest.raises(DataError, match=r"two classes are called 'cat'|its categories are"):
        formats.read(tmp_path)


def test_a_file_of_coco_for_each_image(tmp_path):
    data, labels = "01.원천데이터/TS_실내", "02.라벨링데이터/TL_실내"
    for value, (part, name) in enumerate(
        (("Training", "a"), ("Training", "b"), ("Validation", "c"))
    ):
        paint(tmp_path / part / data / f"{name}.jpg", value)
        content = coco([name], ({"id": 7, "name": "dog"}, {"id": 6, "name": "cat"}), 6)
        write(tmp_path / part / labels / f"{name}.json", json.dumps(content))
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    assert boxes_of(found) == dict.fromkeys("abc", BOXES)
    assert found.notes == ("2 JSON files of train are read together",)
    assert not found.problems
    content["images"][0]["file_name"] = "b.jpg"
    write(tmp_path / "Training" / labels / "c.json", json.dumps(content))
    with pytest.raises(
        DataError, match=r"b.json and c.json are both for train and both have b.jpg"
    ):
        formats.read(tmp_path)


# Text files


@pytest.mark.parametrize(
    ("image", "label", "line", "more", "said"),
    [
        pytest.param(
            "training/image_2/{}.png",
            "training/label_2/{}.txt",
            "{of} 0.00 0 -0.2 {a}.00 {b}.00 {x}.00 {y}.00 1.89 0.48 1.2 1.84 1.47 8.41 0.01",
            "DontCare -1 -1 -10 5.00 5.00 15.00 15.00 -1 -1 -1 -1000 -1000 -1000 -10",
            "2 regions in which nobody looked",
            id="KITTI",
        ),
        pytest.param(
            "VisDrone2019-DET-train/images/{}.jpg",
            "VisDrone2019-DET-train/annotations/{}.txt",
            "{a},{b},{across},{down},1,{number},0,0",
            "1,1,5,5,0,0,0,0",
            "2 regions in which nobody looked",
            id="VisDrone",
        ),
        pytest.param(
            "train/images/{}.png",
            "train/labelTxt/{}.txt",
            "{a}.0 {b}.0 {x}.0 {b}.0 {x}.0 {y}.0 {a}.0 {y}.0 {of} 0",
            "",
            "",
            id="DOTA",
        ),
        pytest.param(
            "Dataset/train/guide dog/{}.jpg",
            "Dataset/train/guide dog/Label/{}.txt",
            "guide {of} {a}.5 {b} {x} {y}",
            "",
            "",
            id="OIDv4",
        ),
    ],
)
def test_a_text_file_for_each_image(tmp_path, image, label, line, more, said):
    head = "imagesource:GoogleEarth\ngsd:0.146\n" if "labelTxt" in label else ""
    for value, name in enumerate("abc"):
        paint(tmp_path / image.format(name), value)
    for name in "ab":
        text = head + of_images([name], line) + more
        write(tmp_path / label.format(name), text)
    paint(tmp_path / "testing" / "image_2" / "a.png", 7)
    found = formats.read(tmp_path)
    assert said in "; ".join(found.notes)
    assert parts_of(found) == {"train": ["a", "b", "c"]}
    boxes = boxes_of(found)
    assert boxes.pop("c") == []
    assert boxes["a"] == boxes["b"]
    left = 0.5 if "guide" in line else 0
    expected = {
        "V": [("pedestrian", *BOXES[0][1:]), ("car", *BOXES[1][1:])],
        "D": [(f"guide {of}", a + left, *rest) for of, a, *rest in BOXES],
    }.get(label[0], BOXES)
    assert boxes["a"] == expected
    assert [problem.kind for problem in found.problems] == [records.NO_LABELS]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["cat 0.1 0.2 0.3 0.4", "dog 0.5 0.5 0.2 0.2"], "shares of the image, behind words"),
        (["cat 60 20 20 20", "dog 50 40 20 10"], "expected x1, y1, x2, y2 in pixels"),
    ],
)
def test_numbers_behind_words_that_are_no_corners_are_refused(tmp_path, lines, why):
    paint(tmp_path / "a.png")
    write(tmp_path / "a.txt", "\n".join(lines))
    with pytest.raises(DataError, match=why):
        formats.read(tmp_path)


@pytest.mark.parametrize("form", ["WIDER FACE", "YOLOv4"])
def test_lists_of_images_with_boxes(tmp_path, form):
    for value, (part, name) in enumerate((("train", "a"), ("train", "b"), ("val", "c"))):
        if form == "YOLOv4":
            paint(tmp_path / part / f"{name}.jpg", value)
            boxes = "" if name == "b" else " 10,20,40,40,0 50,5,90,45,1"
            with (tmp_path / part / "_annotations.txt").open("a") as file:
                file.write(f"{name}.jpg{boxes}\n")
            write(tmp_path / part / "_classes.txt", "cat\ndog\n")
            continue
        paint(tmp_path / f"WIDER_{part}" / "images" / "0--Parade" / f"{name}.jpg", value)
        rows = ["0 0 0 0 0 0 0 0 0 0"]
        if name != "b":
            rows = ["10 20 30 20 0 0 0 0 0 0 ", "50 5 40 40 2 0 0 1 0 0 "]
        text = "\n".join([f"0--Parade/{name}.jpg", str(len(rows)), *rows, ""])
        path = tmp_path / "wider_face_split" / f"wider_face_{part}_bbx_gt.txt"
        write(path, (path.read_text() if path.exists() else "") + text)
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    names = ("face", "face") if form == "WIDER FACE" else CLASSES
    expected = [(name, *box[1:]) for name, box in zip(names, BOXES, strict=True)]
    assert boxes_of(found) == {"a": expected, "b": [], "c": expected}
    crowds = [box.crowd for box in found.parts["train"][0].boxes]
    assert crowds == ([False, True] if form == "WIDER FACE" else [False, False])
    assert not found.problems


def test_texts_beside_masks_are_no_labels(tmp_path):
    for value, name in enumerate("ab"):
        paint(tmp_path / "PNGImages" / f"{name}.png", value)
        mask = np.zeros(SIZE[::-1], np.uint8)
        for number, (_, a, b, x, y) in enumerate(BOXES[: 2 - value], 1):
            mask[b:y, a:x] = number
        (tmp_path / "PedMasks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "PedMasks" / f"{name}_mask.png")
        write(tmp_path / "Annotation" / f"{name}.txt", "# Compatible with PASCAL Version 1.00\n")
    found = formats.read(tmp_path)
    assert found.form == "masks"
    assert boxes_of(found)["a"] == [("object", *box[1:]) for box in BOXES]


def test_frames_of_videos_are_refused(tmp_path):
    paint(tmp_path / "MOT17-02" / "img1" / "000001.jpg")
    write(tmp_path / "MOT17-02" / "gt" / "gt.txt", "1,1,10,20,30,40,1,1,1.0\n")
    with pytest.raises(DataError, match="MOT Challenge, which is of videos"):
        formats.read(tmp_path)


# JSON


def createml(name):
    boxes = [
        {
            "label": of,
            "coordinates": {"x": (a + x) / 2, "y": (b + y) / 2, "width": x - a, "height": y - b},
        }
        for of, a, b, x, y in BOXES
    ]
    return {"image": f"{name}.jpg", "annotations": boxes}


def bdd(name):
    boxes = [
        {"category": of, "box2d": {"x1": a, "y1": b, "x2": x, "y2": y}} for of, a, b, x, y in BOXES
    ]
    return {"name": f"{name}.jpg", "labels": [*boxes, {"category": "lane", "poly2d": []}]}


def hugging_face(name):
    boxes = [[a, b, x - a, y - b] for _, a, b, x, y in BOXES]
    return {"file_name": f"{name}.jpg", "objects": {"bbox": boxes, "categories": CLASSES}}


def via(names):
    """Return VIA's JSON as of the balloons: outlines without attributes."""
    return {
        f"{name}.jpg": {
            "filename": f"{name}.jpg",
            "regions": {
                str(at): {
                    "shape_attributes": {
                        "name": "polygon",
                        "all_points_x": [a, x, x, a],
                        "all_points_y": [b, b, y, y],
                    },
                    "region_attributes": {},
                }
                for at, (_, a, b, x, y) in enumerate(BOXES)
            },
        }
        for name in names
    }


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        pytest.param(
            "{}/_annotations.createml.json",
            lambda names: json.dumps([*map(createml, names)]),
            "",
            id="CreateML",
        ),
        pytest.param(
            "labels/bdd100k_labels_images_{}.json",
            lambda names: json.dumps([*map(bdd, names)]),
            "2 objects of bdd100k_labels_images_train.json without a box are left out",
            id="BDD100K",
        ),
        pytest.param(
            "{}/metadata.jsonl",
            lambda names: "".join(f"{json.dumps(hugging_face(name))}\n" for name in names),
            "",
            id="Hugging Face",
        ),
        pytest.param(
            "{}/via_region_data.json",
            lambda names: json.dumps(via(names)),
            "all are of one class, object",
            id="balloons",
        ),
    ],
)
def test_json_in_the_folders_of_splits(tmp_path, file, content, said):
    for value, (part, name) in enumerate((("train", "a"), ("train", "b"), ("val", "c"))):
        paint(tmp_path / part / f"{name}.jpg", value)
    for part, names in (("train", "ab"), ("val", "c")):
        write(tmp_path / file.format(part), content(names))
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    boxes = [("object", *box[1:]) for box in BOXES] if "one class" in said else BOXES
    assert boxes_of(found) == dict.fromkeys("abc", boxes)
    assert said in "; ".join(found.notes)
    assert not found.problems
    alone = formats.read(tmp_path / file.format("val"))
    assert boxes_of(alone) == {"c": boxes}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"coordinates": {"x": 25, "y": 30, "width": 30}}, "'height' is missing"),
        ({"coordinates": None}, "not subscriptable"),
        ({"label": ""}, "no class"),
    ],
)
def test_an_object_of_json_that_is_none_is_named(tmp_path, change, why):
    paint(tmp_path / "a.jpg")
    entry = createml("a")
    entry["annotations"][0] |= change
    write(tmp_path / "boxes.json", json.dumps([entry, 3]))
    found = formats.read(tmp_path)
    assert boxes_of(found) == {"a": BOXES[1:]}
    bad_label, bad_box = sorted(found.problems, key=lambda problem: problem.kind, reverse=True)
    assert (bad_box.place, bad_box.kind) == ("boxes.json: entry 1, object 1", records.BAD_BOX)
    assert why in bad_box.detail
    assert (bad_label.place, bad_label.kind) == ("boxes.json: entry 2", records.BAD_LABELS)


def test_supervisely_and_dataset_ninja(tmp_path):
    kinds = ("rectangle", "polygon")
    for value, (part, name) in enumerate((("train", "a"), ("train", "b"), ("val", "c"))):
        paint(tmp_path / part / "img" / f"{name}.jpg", value)
        objects = [
            {
                "classTitle": of,
                "geometryType": kind,
                "points": {"exterior": [[a, b], [x, b], [x, y]][:: 2 if kind == kinds[0] else 1]},
            }
            for kind, (of, a, b, x, y) in zip(kinds, BOXES, strict=True)
        ]
        objects += [{"classTitle": "cat", "geometryType": "bitmap"}] * (name == "b")
        content = {"size": {"height": SIZE[1], "width": SIZE[0]}, "objects": objects}
        write(tmp_path / part / "ann" / f"{name}.jpg.json", json.dumps(content))
    write(tmp_path / "meta.json", json.dumps({"classes": []}))
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    assert boxes_of(found) == dict.fromkeys("abc", BOXES)
    assert [bool(box.polygons) for box in found.pictures[0].boxes] == [False, True]
    [problem] = found.problems
    assert problem.detail == "a bitmap has no box"


# Splits that a table or a YAML names


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("split", ("train", "train", "test"), {"train": ["a", "b"], "test": ["c"]}),
        ("Usage", ("Training", "valid", "Testing"), None),
        ("split", ("train", "other", "test"), {"all": ["a", "b", "c"]}),
        ("split", ("train", "train", "train"), {"all": ["a", "b", "c"]}),
        ("comment", ("train", "train", "test"), {"all": ["a", "b", "c"]}),
    ],
)
def test_a_column_of_splits_is_taken(tmp_path, column, values, expected):
    header = f"image,xmin,ymin,xmax,ymax,class,{column}\n"
    rows = ""
    for value, (name, part) in enumerate(zip("abc", values, strict=True)):
        paint(tmp_path / "images" / f"{name}.jpg", value)
        rows += of_images([name], f"{ROWS},{part}")
    path = write(tmp_path / "boxes.csv", header + rows)
    found = formats.read(tmp_path)
    expected = expected or {"train": ["a"], "validation": ["b"], "test": ["c"]}
    assert parts_of(found) == expected
    assert (f"the splits are those of the column {column}" in found.notes) is (
        "all" not in expected
    )
    assert boxes_of(found) == dict.fromkeys("abc", BOXES)
    if "all" not in expected:
        write(path, header + rows + of_images(["a"], f"{ROWS},{values[2]}"))
        with pytest.raises(DataError, match=r"puts a.jpg into two parts of the split"):
            formats.read(tmp_path)


def test_a_sample_submission_is_no_table_of_boxes(tmp_path):
    paint(tmp_path / "train" / "a.jpg")
    header = "image,xmin,ymin,xmax,ymax,class\n"
    write(tmp_path / "train.csv", header + of_images("a", ROWS))
    write(tmp_path / "sample_submission.csv", header + "b.jpg,0,0,50,50,cat\n")
    found = formats.read(tmp_path)
    assert boxes_of(found) == {"a": BOXES}
    assert not found.problems


def test_a_yaml_below_the_folder_names_the_classes(tmp_path):
    yolo(tmp_path / "yolo", {"train": 3, "valid": 1})
    write(tmp_path / "notebook.ipynb", "{}")
    found = formats.read(tmp_path)
    assert found.classes == CLASSES
    assert found.notes == ("the data is that of yolo/data.yaml",)
    yolo(tmp_path / "other", {"train": 3, "valid": 1})
    with pytest.raises(DataError, match=r"several data.yaml, other/data.yaml, yolo/data.yaml"):
        formats.read(tmp_path)


# Images of another size, lists of the Oxford pets


@pytest.mark.parametrize("scale", [4, 1.5, 1])
def test_images_that_were_scaled_without_their_boxes_are_refused(tmp_path, scale):
    lines = ["image_id,class_name,x_min,y_min,x_max,y_max,width,height"]
    size = [round(scale * side) for side in SIZE]
    for value, name in enumerate("abcd"):
        paint(tmp_path / "train" / f"{name}.png", value)
        lines += [
            ",".join(map(str, [name, of, *(scale * each for each in box), *size]))
            for of, *box in BOXES
            if name != "d"
        ]
    write(tmp_path / "train.csv", "\n".join([*lines, f"d,No finding,,,,,{size[0]},{size[1]}"]))
    if scale == 1:
        assert boxes_of(formats.read(tmp_path))["a"] == BOXES
        return
    why = rf"boxes of 3 of 3 images go beyond .* 100 x 50 pixels, written is {size[0]} x {size[1]}"
    with pytest.raises(DataError, match=why):
        formats.read(tmp_path)


def test_the_lists_of_the_oxford_pets(tmp_path):
    objects = "".join(
        f"<object><name>{of}</name><bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin><xmax>{x}</xmax>"
        f"<ymax>{y}</ymax></bndbox></object>"
        for of, a, b, x, y in BOXES
    )
    for value, name in enumerate("abcdefg"):
        paint(tmp_path / "images" / f"pet_{name}.jpg", value)
        if name in "abcde":
            path = tmp_path / "annotations" / "xmls" / f"pet_{name}.xml"
            write(path, f"<annotation>{objects}</annotation>")
    lists = tmp_path / "annotations"
    write(lists / "trainval.txt", "".join(f"pet_{name} 1 1 1\n" for name in "abcde"))
    write(lists / "test.txt", "".join(f"pet_{name} 37 2 25\n" for name in "fg"))
    write(lists / "list.txt", "#Image CLASS-ID SPECIES BREED ID\npet_a 1 1 1\n")
    found, split = read(DetectionConfig(data=str(tmp_path)))
    assert parts_of(found) == {"train": [f"pet_{name}" for name in "abcde"]}
    assert set(map(tuple, boxes_of(found).values())) == {tuple(BOXES)}
    assert "none of the 2 images of test has a box" in "; ".join(found.notes)
    assert sum(map(len, split.parts.values())) == 5


# AI-Hub, and what is in no known form


@pytest.mark.parametrize("key", ["category", "class_name", "label"])
def test_a_file_of_one_image_as_of_ai_hub(tmp_path, key):
    names = ("고양이", "개")
    for value, (part, name) in enumerate(
        (("Training", "a"), ("Training", "b"), ("Validation", "c"))
    ):
        paint(tmp_path / part / "원천데이터" / f"{name}.jpg", value)
        boxes = [
            {key: of, "bbox": [a, b, x - a, y - b]}
            for of, (_, a, b, x, y) in zip(names, BOXES, strict=True)
            if name != "b"
        ]
        content = {"images": {"file_name": f"{name}.jpg", "width": 100}, "annotations": boxes}
        path = tmp_path / part / "라벨링데이터" / f"{name}.json"
        write(path, json.dumps(content, ensure_ascii=False))
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    expected = [(of, *box[1:]) for of, box in zip(names, BOXES, strict=True)]
    assert boxes_of(found) == {"a": expected, "b": [], "c": expected}
    assert not found.problems


def test_corners_in_files_of_one_image_are_told_by_all_of_them(tmp_path):
    for value, name in enumerate("abc"):
        paint(tmp_path / f"{name}.jpg", value)
        box = {"category": "cat", "bbox": [60, 20, 90, 45]}
        image = {"file_name": f"{name}.jpg", "width": SIZE[0], "height": SIZE[1]}
        content = {"images": [image], "annotations": [box]}
        write(tmp_path / f"{name}.json", json.dumps(content))
    with pytest.raises(DataError, match=r"a.json and 2 more: 3 of 3 bbox stick out"):
        formats.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "ships.csv",
            "ImageId,EncodedPixels\na.jpg,264661 17\n",
            "ships.csv has the columns ImageId, EncodedPixels; masks as run lengths are not read",
        ),
        ("a.json", '{"Raw": {"name": "a.jpg"}, "Type": []}', "a.json has the keys Raw, name, Type"),
        (
            "a.tfrecord",
            "...",
            "its files are 1 of .jpg, 1 of .tfrecord. Write the boxes as a table",
        ),
    ],
)
def test_what_is_in_no_known_form_is_described(tmp_path, name, text, why):
    paint(tmp_path / "a.jpg")
    write(tmp_path / name, text)
    with pytest.raises(DataError, match=r"columns filename, class, xmin") as error:
        formats.read(tmp_path)
    assert why in str(error.value)


def test_an_archive_is_the_folder_that_it_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))
    yolo(tmp_path / "animals", {"train": 3, "valid": 1})
    path = shutil.make_archive(str(tmp_path / "download"), "zip", tmp_path, "animals")
    found = formats.read(path)
    assert found.classes == CLASSES
    assert {part: len(names) for part, names in parts_of(found).items()} == {
        "train": 3,
        "validation": 1,
    }
    assert sorted(read(DetectionConfig(data=path))[1].parts) == ["test", "train", "validation"]


@pytest.mark.parametrize("name", ["classes.names", "Classes.txt", "predefined_classes.txt"])
def test_files_with_the_names_of_classes(tmp_path, name):
    paint(tmp_path / "images" / "a.jpg")
    write(tmp_path / "labels" / "a.txt", "0 0.25 0.6 0.3 0.4\n1 0.7 0.5 0.4 0.8\n")
    write(tmp_path / name, "cat\ndog\n")
    assert formats.read(tmp_path).classes == CLASSES


# Files where others have them elsewhere


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/images/{}/{}.jpg", "labels/labels/{}/{}.txt"),
        ("images/{}/{}.jpg", "labels_yolo/{}/{}.txt"),
        ("{}/{}.jpg", "{}_labels/{}.txt"),
    ],
)
def test_label_files_in_other_folders_are_found_where_none_is_in_its_own(tmp_path, image, label):
    for value, (part, name) in enumerate((("train", "a"), ("train", "b"), ("val", "c"))):
        paint(tmp_path / image.format(part, name), value)
        text = "0 0.25 0.6 0.3 0.4\n1 0.7 0.5 0.4 0.8\n"
        write(tmp_path / label.format(part, name), "" if name == "b" else text)
    write(tmp_path / "classes.txt", "cat\ndog\n")
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"]}
    expected = [(of, *map(pytest.approx, box)) for of, *box in BOXES]
    assert boxes_of(found) == {"a": expected, "b": [], "c": expected}
    assert "3 label files were found by the names of their images" in "; ".join(found.notes)
    assert not found.problems


def test_xml_without_a_suffix_is_read(tmp_path):
    objects = "".join(
        f"<object><name>{of}</name><bndbox><xmin>{a + 1}</xmin><ymin>{b + 1}</ymin><xmax>{x}</xmax>"
        f"<ymax>{y}</ymax></bndbox></object>"
        for of, a, b, x, y in BOXES
    )
    paint(tmp_path / "Images" / "n02-dog" / "n02_1.jpg")
    text = f"<annotation><folder>02</folder><filename>%s</filename>{objects}</annotation>"
    write(tmp_path / "Annotation" / "n02-dog" / "n02_1", text)
    write(tmp_path / "README", "Stanford dogs")
    assert boxes_of(formats.read(tmp_path)) == {"n02_1": BOXES}


def test_a_table_of_makesense_is_read(tmp_path):
    for value, name in enumerate("ab"):
        paint(tmp_path / f"{name}.jpg", value)
    form = "{of},{a},{b},{across},{down},{name}.jpg,{w},{h}"
    write(tmp_path / "labels_my-project.csv", of_images("ab", form))
    assert boxes_of(formats.read(tmp_path)) == {"a": BOXES, "b": BOXES}


def test_what_a_tool_left_in_a_folder_is_no_reason_to_pass_over_a_table(tmp_path):
    paint(tmp_path / "a.jpg")
    write(tmp_path / "boxes.csv", of_images("a", ROWS))
    write(tmp_path / "backup" / "via.json", json.dumps(via("a")))
    assert boxes_of(formats.read(tmp_path)) == {"a": BOXES}


@pytest.mark.parametrize("scores", [3, 8])
def test_a_table_of_scores_is_none_of_boxes(tmp_path, scores):
    paint(tmp_path / "a.jpg")
    write(tmp_path / "scores.csv", f"a.jpg,{','.join('12'[at % 2] for at in range(scores))}\n")
    with pytest.raises(DataError, match=r"scores.csv has the columns a.jpg, 1, 2"):
        formats.read(tmp_path)


@pytest.mark.parametrize("folder", ["{}", "images/{}"])
def test_a_single_json_leaves_images_in_the_splits_of_their_folders(tmp_path, folder):
    names = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    listed = []
    for part, some in names.items():
        for name in some:
            listed.append(f"{folder.format(part)}/{name}")
            paint(tmp_path / f"{listed[-1]}.jpg", ord(name))
    write(tmp_path / "annotations.json", json.dumps(coco(listed)))
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
    assert boxes_of(found) == dict.fromkeys("abcd", BOXES)


def test_images_by_their_addresses(tmp_path):
    paint(tmp_path / "images" / "a.jpg")
    table = "image,xmin,ymin,xmax,ymax,class\n" + of_images(
        "a", "https://a.example/b/{name}.jpg?key=1,{a},{b},{x},{y},{of}"
    )
    write(tmp_path / "boxes.csv", table)
    assert boxes_of(formats.read(tmp_path)) == {"a": BOXES}


# Numbers that are something else


def test_centers_in_pixels_are_not_taken_for_corners(tmp_path):
    paint(tmp_path / "a.jpg")
    rows = "".join(f"a.jpg,{x},{y},40,30,cat\n" for x, y in ((80, 35), (78, 20), (50, 34)))
    path = write(tmp_path / "boxes.csv", "image,x,y,w,h,label\n" + rows)
    with pytest.raises(DataError, match=r"3 of 3 boxes stick out .* none does with centers"):
        formats.read(tmp_path)
    write(path, "image,x_center,y_center,width,height,label\n" + rows)
    assert boxes_of(formats.read(tmp_path))["a"][0] == ("cat", 60, 20, 100, 50)


def test_shares_in_json_are_told(tmp_path):
    paint(tmp_path / "a.jpg")
    boxes = [[a / 100, b / 50, (x - a) / 100, (y - b) / 50] for _, a, b, x, y in BOXES]
    entry = {"file_name": "a.jpg", "objects": {"bbox": boxes, "category": CLASSES}}
    write(tmp_path / "metadata.jsonl", json.dumps(entry))
    found = formats.read(tmp_path)
    assert boxes_of(found) == {"a": [(of, *map(pytest.approx, box)) for of, *box in BOXES]}
    assert found.notes == ("the numbers of metadata.jsonl are within 0 to 1: shares of the image",)


def test_corners_are_told_by_the_images_where_no_size_is_written(tmp_path):
    for value, name in enumerate("abc"):
        paint(tmp_path / f"{name}.jpg", value)
        content = {"images": {"file_name": f"{name}.jpg"}}
        content["annotations"] = [{"category": "cat", "bbox": [60, 20, 90, 45]}]
        write(tmp_path / f"{name}.json", json.dumps(content))
    with pytest.raises(DataError, match=r"3 of 3 bbox stick out"):
        formats.read(tmp_path)


def test_the_files_of_cub(tmp_path):
    facts = {"images": "", "bounding_boxes": "", "image_class_labels": "", "train_test_split": ""}
    for number, name in enumerate("abcd", 1):
        of, a, b, x, y = BOXES[number % 2]
        paint(tmp_path / "CUB" / "images" / of / f"{name}.jpg", number)
        facts["images"] += f"{number} {of}/{name}.jpg\n"
        facts["bounding_boxes"] += f"{number} {a}.0 {b}.0 {x - a}.0 {y - b}.0\n"
        facts["image_class_labels"] += f"{number} {1 + CLASSES.index(of)}\n"
        facts["train_test_split"] += f"{number} {int(number != 4)}\n"
    for name, text in {**facts, "classes": "1 cat\n2 dog\n"}.items():
        write(tmp_path / "CUB" / f"{name}.txt", text)
    write(tmp_path / "attributes.txt", "1 has_bill_shape::curved\n")
    found = formats.read(tmp_path)
    assert parts_of(found) == {"train": ["a", "b", "c"], "test": ["d"]}
    assert boxes_of(found) == {name: [BOXES[at % 2]] for at, name in enumerate("abcd", 1)}
    assert "the splits are those of train_test_split.txt" in found.notes
    (tmp_path / "CUB" / "train_test_split.txt").unlink()
    write(tmp_path / "CUB" / "bounding_boxes.txt", facts["bounding_boxes"].partition("\n")[2])
    found = formats.read(tmp_path)
    assert parts_of(found) == {"all": ["b", "c", "d"]}
    assert [problem.place for problem in found.problems] == ["bounding_boxes.txt: image 1"]
