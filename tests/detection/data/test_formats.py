import hashlib
import json
import os
import unicodedata
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection import records
from labs.detection.data import formats
from labs.detection.records import Box


def paint(path, size=(100, 50), value=0):
    """Save a picture of some width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def yolo(root, labels, yaml="train: images\nnames: [cat, dog]\n", size=(100, 50)):
    """Make a set in YOLO's format; labels are texts by the images' stems, or None for no file."""
    for value, (stem, text) in enumerate(labels.items()):
        paint(root / "images" / f"{stem}.png", size, value)
        if text is not None:
            write(root / "labels" / f"{stem}.txt", text)
    return write(root / "data.yaml", yaml)


def xml(name="a.png", objects=(("cat", 1, 1, 10, 20),), difficult=0, head=""):
    boxes = "\n".join(
        f"<object>\n<name>{label}</name><difficult>{difficult}</difficult>\n<bndbox><xmin>{x1}"
        f"</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for label, x1, y1, x2, y2 in objects
    )
    return f"{head}<annotation>\n<filename>{name}</filename>\n{boxes}\n</annotation>"


def coco(images=("a.png",), annotations=((1, 1, (0, 0, 10, 20)),), categories=((1, "cat"),)):
    return {
        "images": [{"id": at, "file_name": name} for at, name in enumerate(images, 1)],
        "annotations": [
            {"id": at, "image_id": image, "category_id": category, "bbox": box}
            for at, (image, category, box) in enumerate(annotations, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }


def dump(path, content, **options):
    return write(path, json.dumps(content, **options))


def boxes_of(found, part="all"):
    return {picture.path.stem: picture.boxes for picture in found.parts[part]}


def kinds(found):
    return {problem.place: problem.kind for problem in found.problems}


def digest(root):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


# YOLO


def test_yolo_boxes_become_pixels(tmp_path):
    path = yolo(tmp_path, {"a": "1 0.5 0.5 0.2 0.4\n0 .1 .2 .1 .2\n", "b": "", "c": None})
    before = digest(tmp_path)
    found = formats.read(path)
    assert found.form == "yolo"
    assert found.classes == ("cat", "dog")
    boxes = boxes_of(found, "train")
    assert boxes["a"][0][:6] == pytest.approx((40, 15, 60, 35, 1, False))
    assert boxes["a"][1][:6] == pytest.approx((5, 5, 15, 15, 0, False))
    assert boxes["b"] == boxes["c"] == ()
    assert kinds(found) == {"images/c.png": records.NO_LABELS}
    assert (found.parts["train"][0].height, found.parts["train"][0].width) == (50, 100)
    assert digest(tmp_path) == before
    assert formats.read(tmp_path) == found  # the folder leads to the YAML


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5 0.2", records.BAD_BOX),
        ("0 0.5 0.5 0.2 0.2 0.9", records.BAD_BOX),
        ("cat 0.5 0.5 0.2 0.2", records.BAD_BOX),
        ("0 0.5 0.5 0.2 wide", records.BAD_BOX),
        ("0 nan 0.5 0.2 0.2", records.BAD_BOX),
        ("0 0.5 inf 0.2 0.2", records.BAD_BOX),
        ("nan 0.5 0.5 0.2 0.2", records.BAD_BOX),
        ("0 -0.1 0.5 0.2 0.2", records.OUT_OF_RANGE),
        ("0 0.5 1.5 0.2 0.2", records.OUT_OF_RANGE),
        ("0 50 25 20 20", records.OUT_OF_RANGE),
        ("2 0.5 0.5 0.2 0.2", records.BAD_CLASS),
        ("-1 0.5 0.5 0.2 0.2", records.BAD_CLASS),
        ("0.5 0.5 0.5 0.2 0.2", records.BAD_CLASS),
        ("0 0.5 0.5 0 0.2", records.ZERO_AREA),
        ("0 0.5 0.5 0.2 0", records.ZERO_AREA),
        ("1 0.5 0.5 0.2 0.4", records.DUPLICATE),
    ],
)
def test_a_wrong_line_is_listed_and_left_out(tmp_path, line, kind):
    found = formats.read(yolo(tmp_path, {"a": f"1 0.5 0.5 0.2 0.4\n\n{line}\n"}))
    assert len(boxes_of(found, "train")["a"]) == 1
    [problem] = found.problems
    assert (problem.place, problem.kind) == ("labels/a.txt:3", kind)


def test_what_sticks_out_is_cut_at_the_edge(tmp_path):
    path = yolo(tmp_path, {"a": "0 0.95 0.5 0.3 0.2\n", "b": "0 0.952 0.5 0.1 0.2\n"})
    found = formats.read(path)
    boxes = boxes_of(found, "train")
    assert boxes["a"][0][:4] == pytest.approx((80, 20, 100, 30))
    assert boxes["b"][0].x2 == 100
    assert kinds(found) == {"labels/a.txt:1": records.OUT_OF_RANGE}  # less than a pixel is none
    assert found.problems[0].detail.endswith("cut at the edge")


def test_outlines_give_boxes(tmp_path):
    found = formats.read(yolo(tmp_path, {"a": "0 0.1 0.2 0.5 0.4 0.3 0.8\n"}))
    [box] = boxes_of(found, "train")["a"]
    assert box[:4] == pytest.approx((10, 10, 50, 40))
    assert box.polygons == (pytest.approx((10, 10, 50, 20, 30, 40)),)


def test_labels_without_image_and_unreadable_images(tmp_path):
    path = yolo(tmp_path, {"a": "0 0.5 0.5 0.2 0.2\n", "b": ""})
    write(tmp_path / "labels" / "lost.txt", "0 0.5 0.5 0.1 0.1")
    write(tmp_path / "labels" / "readme.txt", "about these labels")
    write(tmp_path / "images" / "empty.jpg", "")
    (tmp_path / "labels" / "b.txt").write_bytes(bytes(range(256)) * 20)
    found = formats.read(path)
    assert kinds(found) == {
        "images/empty.jpg": records.BAD_IMAGE,
        "labels/lost.txt": records.NO_IMAGE,
        "labels/b.txt": records.BAD_LABELS,
    }
    assert boxes_of(found, "train")["b"] == ()


def test_a_stray_class_number_does_not_make_billions_of_classes(tmp_path):
    paint(tmp_path / "a.png")
    write(tmp_path / "a.txt", "99999999999 .5 .5 .1 .1\n1 .5 .5 .1 .1\n")
    found = formats.read(tmp_path)
    assert kinds(found) == {"a.txt:1": records.BAD_CLASS}
    assert found.classes == ("0", "1")


def test_lines_of_a_list_that_are_no_paths_are_listed(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    path = yolo(tmp_path, {"a": "", "b": ""}, "train: list.txt\nnames: [cat]\n")
    write(tmp_path / "list.txt", f"images/a.png\na\0.png\n{'y' * 300}.png\nloop\n")
    found = formats.read(path)
    assert kinds(found) == {f"list.txt:{number}": records.BAD_IMAGE for number in (2, 3, 4)}
    assert list(boxes_of(found, "train")) == ["a"]
    write(path, "train: loop\nnames: [cat]\n")
    with pytest.raises(DataError, match="'train' is loop, and there is no such file"):
        formats.read(path)


def test_splits_are_folders_lists_of_images_and_lists_of_both(tmp_path):
    for number in range(6):
        paint(tmp_path / "images" / f"{number}.png")
        paint(tmp_path / "more" / f"{number}.png")
    write(tmp_path / "val.txt", "./images/0.png\nimages\\1.png\nimages/9.png\n../../x.png\n")
    path = write(
        tmp_path / "data.yaml",
        "path: .\ntrain: [more, images/5.png]\nval: val.txt\ntest: images/2.png\nnames: {0: cat}",
    )
    found = formats.read(path)
    names = {part: [picture.name for picture in pictures] for part, pictures in found.parts.items()}
    assert names["train"] == [*(f"more/{number}.png" for number in range(6)), "images/5.png"]
    assert names["validation"] == ["images/0.png", "images/1.png"]
    assert names["test"] == ["images/2.png"]
    assert kinds(found)["val.txt:3"] == records.BAD_IMAGE
    assert kinds(found)["val.txt:4"] == records.OUTSIDE


def test_exports_that_lead_up_are_found_inside(tmp_path):
    root = tmp_path / "set"
    for part in ("train", "valid"):
        paint(root / part / "images" / "a.png")
        write(root / part / "labels" / "a.txt", "0 0.5 0.5 0.5 0.5")
    text = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']"
    found = formats.read(write(root / "data.yaml", text))
    assert list(found.parts) == ["train", "validation"]
    assert len(boxes_of(found, "validation")["a"]) == 1


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: images", "lacks the key 'names'"),
        ("train: images\nname: [cat]", "did you mean name"),
        ("names: [cat]", "lacks the key 'train'"),
        ("val: images\nnames: [cat]", "lacks the key 'train'"),
        ("train: images\nnames: cat", "must be a list"),
        ("train: images\nnames: []", "names no classes"),
        ("train: images\nnames: [[cat]]", "must be a list"),
        ("train: images\nnames: [cat, cat]", "two classes are called 'cat'"),
        ("train: images\nnames: {0: cat, 2: }", "'names' has no text for class 2"),
        ("train: images\nnames: {a: cat}", "the key 'a'"),
        ("train: images\nnames: [cat]\nnc: many", "'nc' must be the number"),
        ("train: images\nnames: [cat]\nnames: [dog]", "the key 'names' twice.*line 3"),
        ("train: images\nnames: {0: cat, 0: dog}", "the key '0' twice"),
        ("train: images\nnames:\n\t- cat", "a tab, where YAML takes spaces.*line 3"),
        ("train: images\nnames: [cat]\nkpt_shape: 17", "'kpt_shape' must be"),
        ("train: images\nnames: [cat]\nnc: 3", "nc is 3, but there are 1 names"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
            "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c]\n"
            "e: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n"
            "g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nnames: [cat]\ntrain: *g",
            "must be a path or a list of paths",
        ),
        ("train: picture\nnames: [cat]", "no such file"),
        ("train: [images, [3]]\nnames: [cat]", "must be a path or a list of paths"),
        ("train: ../outside\nnames: [cat]", "outside of"),
        ("train: /\nnames: [cat]", "outside of"),
        ("path: /etc\ntrain: images\nnames: [cat]", "outside of"),
        ("path: ../..\ntrain: outside\nnames: [cat]", "no such file"),
        ('train: "a\\0b"\nnames: [cat]', "no path|no such file"),
        ("train: [images\n", "is not YAML"),
        ("- train", "expected the keys"),
        ("", "expected the keys"),
        ("train: !!python/object/apply:os.system ['touch hacked']\nnames: [cat]", "could run code"),
        ("names: !!python/tuple [cat]\ntrain: images", r"could run code.*line 1"),
        ("train: empty\nnames: [cat]", "no image that can be read"),
    ],
)
def test_a_yaml_that_cannot_be_used_is_one_error(tmp_path, yaml, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "set"
    paint(tmp_path / "outside" / "a.png")
    (root / "empty").mkdir(parents=True)
    path = yolo(root, {"a": ""}, yaml)
    with pytest.raises(DataError, match=message) as caught:
        formats.read(path)
    assert str(root) in str(caught.value)
    assert not (tmp_path / "hacked").exists()


def test_a_download_is_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "train: images\nnames: [cat]\ndownload: |\n  open('hacked', 'w')\n"
    found = formats.read(yolo(tmp_path / "set", {"a": ""}, text))
    assert found.problems[0][:2] == ("data.yaml", records.IGNORED)
    assert "download is never executed" in found.problems[0].detail
    assert not (tmp_path / "hacked").exists()


def test_several_yamls_must_be_told_apart(tmp_path):
    path = yolo(tmp_path, {"a": ""})
    write(tmp_path / "args.yaml", "epochs: 3")
    assert formats.read(tmp_path).classes == ("cat", "dog")  # data.yaml
    path = path.rename(tmp_path / "other.yaml")
    assert formats.read(tmp_path).classes == ("cat", "dog")  # the only one of a data set
    write(tmp_path / "third.yaml", path.read_text())
    with pytest.raises(DataError, match=r"several YAML files.*other.yaml, third.yaml"):
        formats.read(tmp_path)


def test_a_folder_without_yaml(tmp_path):
    for part in ("train", "val"):
        paint(tmp_path / part / "a.png")
        write(tmp_path / part / "a.txt", "1 0.5 0.5 0.5 0.5")
    assert formats.read(tmp_path).classes == ("0", "1")
    write(tmp_path / "classes.txt", "고양이\n개\n", "cp949")
    found = formats.read(tmp_path)
    assert found.classes == ("고양이", "개")
    assert list(found.parts) == ["train", "validation"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_texts_come_in_any_encoding(tmp_path, encoding):
    path = yolo(tmp_path, {"a": "0 0.5 0.5 0.5 0.5"})
    write(path, "train: images\nnames: [고양이, 개]\n", encoding)
    write(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.5 0.5", encoding)
    found = formats.read(path)
    assert found.classes == ("고양이", "개")
    assert not found.problems
    assert boxes_of(found, "train")["a"][0].label == 1


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("kind", formats.FORMS)
def test_korean_names_in_either_form(tmp_path, form, kind):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    image, label = (unicodedata.normalize(each, "고양이") for each in (form, other))
    paint(tmp_path / "images" / f"{image}.png")
    if kind == "voc":
        write(tmp_path / "labels" / f"{label}.xml", xml(f"{label}.png", [(label, 1, 1, 9, 9)]))
    elif kind == "coco":
        content = coco([f"{label}.png"], categories=((1, label),))
        dump(tmp_path / "labels.json", content, ensure_ascii=False)
    else:
        write(tmp_path / "labels" / f"{label}.txt", "0 0.5 0.5 0.5 0.5")
        write(tmp_path / "data.yaml", f"train: images\nnames: [{label}]")
    found = formats.read(tmp_path)
    assert found.form == kind
    assert found.classes == ("고양이",)
    assert not found.problems
    [[picture]] = found.parts.values()
    assert picture.name == "images/고양이.png"
    assert len(picture.boxes) == 1


# VOC


def test_voc_pixels_are_counted_from_one(tmp_path):
    paint(tmp_path / "images" / "a.png")
    objects = [("dog", 1, 1, 10, 20), ("cat", 100, 50, 100, 50)]
    write(tmp_path / "annotations" / "a.xml", xml("other.jpg", objects))
    paint(tmp_path / "images" / "b.png")
    paint(tmp_path / "docs" / "figure.png")  # no annotation is beside it
    found = formats.read(tmp_path)
    assert found.form == "voc"
    assert found.classes == ("cat", "dog")
    assert boxes_of(found)["a"] == (Box(0, 0, 10, 20, 1), Box(99, 49, 100, 50, 0))
    assert boxes_of(found)["b"] == ()
    assert kinds(found) == {"images/b.png": records.NO_LABELS}


def test_voc_difficult_is_a_crowd(tmp_path):
    paint(tmp_path / "a.png")
    write(tmp_path / "a.xml", xml(difficult=1))
    assert boxes_of(formats.read(tmp_path))["a"][0].crowd


def test_wrong_voc_files_are_listed(tmp_path):
    for stem in "abcdefg":
        paint(tmp_path / f"{stem}.png", value=ord(stem))
    good = ("cat", 1, 1, 10, 20)
    write(tmp_path / "a.xml", xml(objects=[good, ("cat", 30, 1, "x", 20), ("", 1, 1, 9, 9)]))
    write(tmp_path / "b.xml", "<annotation>")
    write(tmp_path / "c.xml", xml(head='<!DOCTYPE a [<!ENTITY b "c">]>\n'))
    write(tmp_path / "d.xml", xml(objects=[good]).replace("<ymin>1</ymin>", ""))
    write(
        tmp_path / "e.xml",
        xml(objects=[good, ("cat", 20, 1, 10, 20), good, ("cat", 1, 1, 900, 20)]),
    )
    write(tmp_path / "lost.xml", xml("lost.png"))
    size = "<size><width>50</width><height>100</height></size></annotation>"
    write(tmp_path / "f.xml", xml(objects=[good]).replace("</annotation>", size))
    write(tmp_path / "page.xml", "<html/>")
    write(tmp_path / "g.xml", xml("g.png", [("cat", "nan", 1, 10, 20)]))
    found = formats.read(tmp_path)
    assert kinds(found) == {
        "a.xml:6": records.BAD_BOX,
        "a.xml:9": records.BAD_BOX,
        "b.xml": records.BAD_LABELS,
        "page.xml": records.IGNORED,
        "b.png": records.NO_LABELS,
        "c.xml": records.BAD_LABELS,
        "c.png": records.NO_LABELS,
        "d.xml:3": records.BAD_BOX,
        "e.xml:6": records.ZERO_AREA,
        "e.xml:9": records.DUPLICATE,
        "e.xml:12": records.OUT_OF_RANGE,
        "f.png": records.OTHER_SIZE,
        "g.xml:3": records.BAD_BOX,
        "lost.xml": records.NO_IMAGE,
    }
    details = {problem.place: problem.detail for problem in found.problems}
    assert details["d.xml:3"] == "cat without ymin"
    assert details["f.png"] == "written 50 x 100, is 100 x 50 pixels"
    assert Counter(len(boxes) for boxes in boxes_of(found).values()) == {0: 4, 1: 2, 2: 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "euc-kr"])
def test_voc_in_other_encodings(tmp_path, encoding):
    paint(tmp_path / "a.png")
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n'
    write(tmp_path / "a.xml", xml(objects=[("고양이", 1, 1, 9, 9)], head=head), encoding)
    found = formats.read(tmp_path)
    assert found.classes == ("고양이",)
    assert not found.problems


def test_voc_splits_are_lists_or_folders(tmp_path):
    for stem in ("a 1", "b", "c"):
        paint(tmp_path / "JPEGImages" / f"{stem}.png")
        write(tmp_path / "Annotations" / f"{stem}.xml", xml(f"{stem}.png"))
    write(tmp_path / "ImageSets" / "Main" / "train.txt", "a 1\n")
    write(tmp_path / "ImageSets" / "Main" / "val.txt", "b -1\n")
    found = formats.read(tmp_path)
    assert {part: list(boxes_of(found, part)) for part in found.parts} == {
        "train": ["a 1"],
        "validation": ["b"],
    }
    assert kinds(found) == {"JPEGImages/c.png": records.IGNORED}

    root = tmp_path / "folders"
    for part in ("train", "test"):
        paint(root / part / "a.png", (30, 30 if part == "train" else 40))
        write(root / part / "a.xml", xml())
    found = formats.read(root)
    assert [found.parts[part][0].height for part in ("train", "test")] == [30, 40]


# COCO


def test_coco_boxes_classes_and_crowds(tmp_path):
    paint(tmp_path / "images" / "deep" / "a.png")
    paint(tmp_path / "images" / "b.png", value=1)
    content = coco(
        ["deep/a.png", "b.png"],
        [(1, 7, (10, 20, 30, 25)), (1, 3, (0, 0, 5, 5))],
        [(7, "dog"), (3, "cat")],
    )
    content["annotations"][0]["segmentation"] = [[10, 20, 40, 20, 40, 45]]
    content["annotations"][1] |= {"iscrowd": 1, "segmentation": {"counts": "x", "size": [50, 100]}}
    found = formats.read(dump(tmp_path / "annotations" / "instances.json", content))
    assert found.form == "coco"
    assert found.root == tmp_path
    assert found.classes == ("cat", "dog")
    assert boxes_of(found) == {
        "a": (
            Box(10, 20, 40, 45, 1, False, ((10, 20, 40, 20, 40, 45),)),
            Box(0, 0, 5, 5, 0, True),
        ),
        "b": (),
    }
    assert not found.problems


def test_coco_splits_are_files(tmp_path):
    for part in ("train2017", "val2017"):
        paint(tmp_path / part / "a.png", (30, 30 if part == "val2017" else 40))
        dump(tmp_path / "annotations" / f"instances_{part}.json", coco())
        dump(tmp_path / "annotations" / f"captions_{part}.json", coco())
    found = formats.read(tmp_path)
    assert [found.parts[part][0].height for part in ("train", "validation")] == [40, 30]

    dump(tmp_path / "annotations" / "instances_val2017.json", coco(categories=((1, "dog"),)))
    with pytest.raises(DataError, match=r"its categories are dog, those of the other splits cat"):
        formats.read(tmp_path)
    dump(tmp_path / "instances_val.json", coco())
    with pytest.raises(DataError, match="are both for validation"):
        formats.read(tmp_path)


def test_coco_files_in_the_folders_of_splits(tmp_path):
    for part in ("train", "valid", "test"):
        paint(tmp_path / part / "a.png")
        dump(tmp_path / part / "_annotations.coco.json", coco())
    assert list(formats.read(tmp_path).parts) == ["train", "validation", "test"]


def test_coco_images_with_one_id_are_refused_since_their_boxes_would_mix(tmp_path):
    content = coco([paint(tmp_path / name).name for name in ("a.png", "b.png")])
    content["images"][1]["id"] = 1
    with pytest.raises(DataError, match=r"boxes\.json: the images a\.png and b\.png .* id 1"):
        formats.read(dump(tmp_path / "boxes.json", content))


def test_wrong_coco_entries_are_listed(tmp_path):
    paint(tmp_path / "a.png")
    content = coco(
        ["a.png", "lost.png", "a.png", "../../a.txt"],
        [
            (1, 1, (0, 0, 10, 20)),
            (1, 2, (0, 0, 10, 20)),
            (1, 1, (0, 0, -3, 20)),
            (1, 1, (0, 0, 10)),
            (1, 1, ("x", 0, 10, 20)),
            (9, 1, (0, 0, 10, 20)),
            (1, 1, (0, 0, float("nan"), 20)),
            (1, 1, (200, 0, 10, 20)),
            (1, 1, (0, 0, 10, 20)),
        ],
    )
    content["annotations"] += [{"id": 10, "image_id": 1}, 7]
    content["images"] += [{"id": 5}]
    found = formats.read(dump(tmp_path / "boxes.json", content))
    assert kinds(found) == {
        "boxes.json: annotation 2": records.BAD_CLASS,
        "boxes.json: annotation 3": records.ZERO_AREA,
        "boxes.json: annotation 4": records.BAD_BOX,
        "boxes.json: annotation 5": records.BAD_BOX,
        "boxes.json: annotation 6": records.NO_IMAGE,
        "boxes.json: annotation 7": records.BAD_BOX,
        "boxes.json: annotation 8": records.OUT_OF_RANGE,
        "boxes.json: annotation 9": records.DUPLICATE,
        "boxes.json: annotation 10": records.BAD_BOX,
        "boxes.json: annotation None": records.BAD_BOX,
        "boxes.json: image 2": records.NO_IMAGE,
        "boxes.json: image 3": records.BAD_LABELS,
        "boxes.json: image 4": records.NO_IMAGE,
        "boxes.json": records.BAD_LABELS,
    }
    assert len(boxes_of(found)["a"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "found a list"),
        ('{"images": []}', "lacks the list 'annotations'"),
        ('{"images": [], "annotations": {}, "categories": []}', "has no list 'annotations'"),
        ('{"images": [], "annotations": [], "categories": []}', "names no classes"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "an id and a name"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"},'
            '{"id": 1, "name": "b"}]}',
            "the same id",
        ),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            "no image that can be read",
        ),
    ],
)
def test_a_json_that_cannot_be_used_is_one_error(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        formats.read(write(tmp_path / "a.json", text))


# All of them


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        formats.read(tmp_path / "nothing")
    with pytest.raises(DataError, match="it is empty"):
        formats.read(tmp_path)
    with pytest.raises(DataError, match=r"expected a .yaml"):
        formats.read(write(tmp_path / "a.pdf", "a,b"))
    with pytest.raises(DataError, match="has neither a data.yaml"):
        formats.read(tmp_path)


def test_boxes_belong_to_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    paint(tmp_path / "images" / "a.jpg", (100, 50))
    Image.open(tmp_path / "images" / "a.jpg").save(tmp_path / "images" / "a.jpg", exif=exif)
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 1 1")
    write(tmp_path / "data.yaml", "train: images\nnames: [cat]")
    [picture] = formats.read(tmp_path).parts["train"]
    assert (picture.height, picture.width) == (100, 50)
    assert picture.boxes[0][:4] == (0, 0, 50, 100)


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    yolo(tmp_path, {"a": ""})
    (tmp_path / "images").chmod(0)
    try:
        if os.access(tmp_path / "images", os.R_OK):
            pytest.skip("root reads everything")
        with pytest.raises(DataError, match="cannot read the folder"):
            formats.read(tmp_path)
    finally:
        (tmp_path / "images").chmod(0o755)
