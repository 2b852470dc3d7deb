"""YOLO's label files and YAML as tools write them: read right, or refused with the place."""

import itertools
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection import records
from labs.detection.config import DetectionConfig
from labs.detection.data import formats
from labs.detection.data.check import check
from labs.detection.data.convert import convert
from labs.detection.data.formats.yolo_lines import describe, tell_form
from labs.detection.data.load import load

BOX = (40, 15, 60, 35)  # of "0.5 0.5 0.2 0.4" in 100 x 50 pixels


def paint(path, size=(100, 50), value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def make(root, labels, yaml="train: images\nnames: [cat, dog]\n"):
    """Make a set; labels are the texts of its files by the images' names."""
    for value, (stem, text) in enumerate(labels.items()):
        paint(root / "images" / f"{stem}.png", value=value)
        write(root / "labels" / f"{stem}.txt", text)
    return write(root / "data.yaml", yaml)


def boxes_of(found):
    return {picture.path.stem: picture.boxes for picture in found.pictures}


def near(box):
    return pytest.approx(box, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "1 0.5 0.5 0.2 0.4",
        "1.0 0.5 0.5 0.2 0.4\n",
        "1 .5 5e-1 0.20 +0.4\r\n",
        "1\t0.5\t0.5\t0.2\t0.4",
        "1,0.5,0.5,0.2,0.4",
        "1, 0.5, 0.5, 0.2, 0.4",
        "1;0.5;0.5;0.2;0.4",
        "\n  1   0.5 0.5  0.2 0.4  \n\n",
        b"\xef\xbb\xbf1 0.5 0.5 0.2 0.4\r\n",
        "1 0.5 0.5 0.2 0.4".encode("utf-16"),
    ],
)
def test_one_box_in_many_spellings(tmp_path, text):
    found = formats.read(make(tmp_path, {"a": text}))
    assert not found.problems
    [box] = boxes_of(found)["a"]
    assert box[:5] == near((*BOX, 1))


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        ("0 50 25 20 20", records.OUT_OF_RANGE, "pixels?"),
        ("0 40 15 60 35", records.OUT_OF_RANGE, "pixels?"),
        ("0 0.5 1.01 0.2 0.4", records.OUT_OF_RANGE, "expected 0 to 1"),
        ("0 0,5 0,5 0,2 0,4", records.BAD_BOX, "could not convert"),
        ("0 0.5 0.5 0.2 0.4 17.5", records.BAD_BOX, "6 columns"),
        ("0 0.1 0.2 0.5 0.4 0.3 0.8 0.2", records.BAD_BOX, "8 columns"),
        ("cat 0.5 0.5 0.2 0.4", records.BAD_BOX, "could not convert"),
        ("0.5 0.5 0.5 0.2 0.4", records.BAD_CLASS, "class 0.5"),
        ("2 0.5 0.5 0.2 0.4", records.BAD_CLASS, "class 2, expected 0 to 1"),
        ("x: 0.5, y: 0.5", records.BAD_BOX, "columns"),
        ('{"class": 0}', records.BAD_BOX, "columns"),
    ],
)
def test_a_line_that_is_no_box_is_named(tmp_path, text, kind, why):
    found = formats.read(make(tmp_path, {"a": f"{text}\n", "b": "1 0.5 0.5 0.2 0.4"}))
    [problem] = found.problems
    assert (problem.place, problem.kind) == ("labels/a.txt:1", kind)
    assert why in problem.detail
    assert boxes_of(found)["a"] == ()


def test_where_all_boxes_are_pixels_training_says_so(tmp_path):
    labels = {str(value): "0 50 25 20 20" for value in range(12)}
    with pytest.raises(
        DataError, match=r"no training image has a box.*12 x box out of range.*0\.txt"
    ):
        load(DetectionConfig(data=str(make(tmp_path, labels)), image_size=32))


def test_scores_behind_all_boxes_are_left_out_and_said(tmp_path):
    found = formats.read(make(tmp_path, {"a": "1 0.5 0.5 0.2 0.4 0.93", "b": ""}))
    assert boxes_of(found)["a"][0][:5] == near((*BOX, 1))
    assert found.notes == ("1 boxes have a score as a sixth column, which is left out",)
    found = formats.read(make(tmp_path, {"a": "1 0.5 0.5 0.2 0.4 0.93\n0 0.5 0.5 0.1 0.1"}))
    assert [problem.kind for problem in found.problems] == [records.BAD_BOX]


def pose(points, numbers, visible="2"):
    """Return a line with a box and points in it."""
    words = ["1 0.5 0.5 0.2 0.4"]
    for point in range(points):
        x, y = 0.41 + 0.18 * point / points, 0.31 + 0.38 * point / points
        words.append(f"{x:.3f} {y:.3f}" + (f" {visible}" if numbers == 3 else ""))
    return " ".join(words) + "\n"


@pytest.mark.parametrize("points", [1, 2, 3, 4, 5, 17])
@pytest.mark.parametrize("numbers", [2, 3])
@pytest.mark.parametrize("said", [True, False])
def test_pose_labels_are_boxes_and_never_outlines(tmp_path, points, numbers, said):
    yaml = "train: images\nnames: [cat, dog]\n"
    yaml += f"kpt_shape: [{points}, {numbers}]\nflip_idx: [0]\n" if said else ""
    lines = "".join(pose(points, numbers, v) for v in "012") if points < 17 else ""
    lines = lines or "".join(pose(17, numbers, v) for v in ("2.0", "1.000", "0"))
    path = make(tmp_path / "set", {"a": lines, "b": ""}, yaml)
    found = formats.read(path)
    if points == 1 and numbers == 2 and not said:  # or triangles: nobody can know, and it is said
        assert "were they key points, kpt_shape in a data.yaml would say so" in found.notes[0]
        return
    boxes = boxes_of(found)["a"]
    assert [box[:5] for box in boxes] == [near((*BOX, 1))]  # the others are duplicates
    assert not any(box.polygons for box in boxes)
    [note] = found.notes
    assert note.startswith(f"3 objects have {points} key points of {numbers} numbers")
    assert ("as all lines" in note) is not said
    assert note in check(path).summary
    assert note in convert(path, tmp_path / "new", "coco")


def ellipses(generator, points):
    """Draw outlines, as the columns of lines: ellipses of any place and size, and rotated boxes."""
    for _ in range(generator.integers(3, 12)):
        x, y = generator.uniform(0.1, 0.9, 2)
        a, b = generator.uniform(0.01, 1, 2) * min(x, y, 1 - x, 1 - y)
        turn, first = generator.uniform(0, 2 * np.pi, 2)
        angles = first + np.arange(points) * 2 * np.pi / points * generator.choice([1, -1])
        u, v = a * np.cos(angles), b * np.sin(angles)
        xs = x + u * np.cos(turn) - v * np.sin(turn)
        ys = y + u * np.sin(turn) + v * np.cos(turn)
        outline = np.clip(np.stack([xs, ys], 1), 0, 1).ravel()
        yield ["0", *(f"{value:.6f}" for value in outline)]


def poses(generator, points, spread):
    """Draw boxes with key points, the columns of lines; some points are not seen."""
    for _ in range(generator.integers(3, 12)):
        w, h = generator.uniform(0.05, 0.6, 2)
        x, y = generator.uniform(w / 2, 1 - w / 2), generator.uniform(h / 2, 1 - h / 2)
        places = generator.uniform(-spread / 2, spread / 2, (points, 2)) * (w, h) + (x, y)
        places[generator.random(points) < 0.1] = 0
        yield ["0", *(f"{value:.6f}" for value in (x, y, w, h, *places.ravel()))]


def test_outlines_are_told_from_key_points():
    generator = np.random.default_rng(0)
    taken = {}
    for kind, points in itertools.product(("outline", 1.0, 0.3), (4, 5, 7, 9, 17, 23)):
        sets = [
            list(
                ellipses(generator, points) if kind == "outline" else poses(generator, points, kind)
            )
            for _ in range(60)
        ]
        forms = [tell_form(lines, None) for lines in sets]
        taken[kind, points] = sum(form.points > 0 for form in forms)
        assert all(form == (0, 0, False) or form.points == points for form in forms)
        for lines, form in zip(sets, forms, strict=True):  # whatever they are taken for is said
            assert describe(lines, form, given=False)
    assert not any(number for (kind, _), number in taken.items() if kind == "outline")
    assert all(number > 55 for (kind, points), number in taken.items() if kind != "outline")


def test_pose_labels_of_another_shape_are_refused_by_name(tmp_path):
    yaml = "train: images\nnames: [cat, dog]\nkpt_shape: [3, 3]\n"
    lines = pose(3, 3) + pose(2, 3) + "0 0.5 0.5 0.1 0.1\n"
    found = formats.read(make(tmp_path, {"a": lines}, yaml))
    assert [box.label for box in boxes_of(found)["a"]] == [1, 0]
    [problem] = found.problems
    assert problem.detail.endswith(
        "11 columns, expected 5: class x y width height, or 14 with its key points"
    )


@pytest.mark.parametrize("points", [3, 4, 5, 8])
def test_outlines_stay_outlines(tmp_path, points):
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    lines = ""
    for x, y in ((0.3, 0.3), (0.7, 0.6), (0.5, 0.5)):
        values = np.stack([x + 0.1 * np.cos(angles), y + 0.2 * np.sin(angles)], 1).ravel()
        lines += f"0 {' '.join(f'{value:.4f}' for value in values)}\n"
    found = formats.read(make(tmp_path, {"a": lines}))
    assert [len(box.polygons[0]) for box in boxes_of(found)["a"]] == [2 * points] * 3
    [note] = found.notes
    four = "3 objects have four corners (rotated boxes, or outlines)"
    assert note.startswith(four if points == 4 else f"all 3 outlines have {points} points; were")


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/a.png", "labels/a.txt"),
        ("images/a.png", "images/a.txt"),
        ("images/train/deep/a.png", "labels/train/deep/a.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("Images/a.png", "Labels/a.txt"),
        ("JPEGImages/a.png", "labels/a.txt"),
        ("a.b.png", "a.b.txt"),
        ("A.PNG", "a.TXT"),
        ("이미지/images/고양이.png", "이미지/labels/고양이.txt"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_where_labels_are(tmp_path, image, label, form):
    paint(tmp_path / image)
    write(tmp_path / unicodedata.normalize(form, label), "1 0.5 0.5 0.2 0.4")
    found = formats.read(tmp_path)
    assert not found.problems
    assert [len(picture.boxes) for picture in found.pictures] == [1]


def test_labels_that_no_image_leads_to_are_named(tmp_path):
    paint(tmp_path / "images" / "train" / "a.png")
    paint(tmp_path / "images" / "train" / "b.png", value=1)
    write(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.2 0.4")
    write(tmp_path / "labels" / "train" / "b.txt", "1 0.5 0.5 0.2 0.4")
    write(tmp_path / "data.yaml", "train: images/train\nnames: [cat, dog]\n")
    kinds = {problem.place: problem.kind for problem in formats.read(tmp_path).problems}
    assert kinds == {
        "images/train/a.png": records.NO_LABELS,
        "labels/a.txt": records.NO_IMAGE,
    }


def test_labels_of_two_images_are_named(tmp_path):
    for value, suffix in enumerate(("png", "jpg")):
        paint(tmp_path / "images" / f"a.{suffix}", value=value)
    write(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.2 0.4")
    [problem] = formats.read(tmp_path).problems
    assert problem == ("labels/a.txt", records.TWO_IMAGES, "images/a.jpg and images/a.png")


@pytest.mark.parametrize("yaml", [True, False])
@pytest.mark.parametrize(
    ("links", "real"),
    [
        ({"images": "pool"}, ("pool/a.png", "set/labels/a.txt")),
        ({"images": "pool"}, ("pool/a.png", "pool/a.txt")),
        ({"images": "big/images"}, ("big/images/a.png", "big/labels/a.txt")),
        ({"images": "pool", "labels": "texts"}, ("pool/a.png", "texts/a.txt")),
        ({"images": "set/all"}, ("set/all/a.png", "set/labels/a.txt")),
        ({"labels": "set/texts"}, ("set/images/a.png", "set/texts/a.txt")),
    ],
)
def test_links_lead_to_images_and_labels(tmp_path, links, real, yaml):
    image, label = real
    paint(tmp_path / image)
    write(tmp_path / label, "1 0.5 0.5 0.2 0.4")
    (tmp_path / "set").mkdir(exist_ok=True)
    for name, target in links.items():
        (tmp_path / "set" / name).symlink_to(tmp_path / target)
    if yaml:
        write(tmp_path / "set" / "data.yaml", "train: images\nnames: [cat, dog]\n")
    else:
        write(tmp_path / "set" / "classes.txt", "cat\ndog\n")
    found = formats.read(tmp_path / "set")
    assert not found.problems
    assert [box[:5] for picture in found.pictures for box in picture.boxes] == [near((*BOX, 1))]


# The YAML


@pytest.mark.parametrize(
    "name",
    ["no", "yes", "off", "on", "y", "N", "true", "null", "~", "0123", "0o17", "1_000", "12:30"]
    + ["1.10", "1e3", "2024-01-05", "0x1F", ".5", ".inf", "=", "1,5", "고양이", "a b", "007"],
)
@pytest.mark.parametrize("form", ["[{}, dog]", "{{0: {}, 1: dog}}", "\n  - {}\n  - dog\n"])
def test_names_stay_as_they_are_typed(tmp_path, name, form):
    if "," in name and "\n" not in form:
        name = f"'{name}'"
    yaml = f"train: images\nnames: {form.format(name)}\n"
    found = formats.read(make(tmp_path / "set", {"a": "0 0.5 0.5 0.2 0.4"}, yaml))
    assert found.classes == (name.strip("'"), "dog")
    convert(tmp_path / "set", tmp_path / "new", "yolo")
    assert formats.read(tmp_path / "new").classes == found.classes


@pytest.mark.parametrize(
    ("names", "lines", "boxes", "refused"),
    [
        ("{0: cat, 2: dog}", "0 2", ["cat", "dog"], []),
        ("{2: dog, 0: cat}", "0 1 2", ["cat", "dog"], ["class 1, expected one of 0, 2"]),
        ("{1: cat, 2: dog}", "1 2", ["cat", "dog"], []),
        ("{1: cat, 2: dog}\nnc: 3", "1 2", ["cat", "dog"], []),
        ("[cat]", "0 1", ["cat"], ["class 1, expected 0 to 0"]),
        ("{'0': cat, '1': dog}", "1 0", ["dog", "cat"], []),
        ("cat: 0", "0", None, "must be a list"),
        ("cat dog", "0", None, "must be a list"),
        ("{1: cat, 2: dog}", "0 1", None, "the first key of 'names' is 1, but labels/a.txt:1"),
        ("[cat, cat]", "0", None, "two classes are called 'cat'"),
        ("{0: cat, 0: dog}", "0", None, "the key '0' twice"),
        ("[cat, dog]\nnc: 5", "0", None, "nc is 5, but there are 2 names"),
        ("[cat, dog]\nnc: two", "0", None, "'nc' must be the number"),
        ("{a: cat}", "0", None, "the key 'a'"),
        ("{-1: cat}", "0", None, "the key '-1'"),
        ("[cat, ]\nnames: [dog]", "0", None, "the key 'names' twice"),
        ("[cat, '']", "0", None, "no text for class 1"),
        ("[]", "0", None, "names no classes"),
    ],
)
def test_names_with_gaps_from_one_too_few_twice(tmp_path, names, lines, boxes, refused):
    if names == "cat: 0":
        names = "cat"
    sizes = enumerate(lines.split(), 1)
    text = "".join(f"{label} 0.5 0.5 0.{at} 0.4\n" for at, label in sizes)
    path = make(tmp_path, {"a": text}, f"train: images\nnames: {names}\n")
    if boxes is None:
        with pytest.raises(DataError, match="(?s)" + refused) as error:
            formats.read(path)
        assert "data.yaml" in str(error.value)
        return
    found = formats.read(path)
    assert [found.classes[box.label] for box in boxes_of(found)["a"]] == boxes
    assert [problem.kind for problem in found.problems] == [records.BAD_CLASS] * len(refused)
    assert all(why in each.detail for why, each in zip(refused, found.problems, strict=True))


def test_an_empty_line_of_classes_txt_is_a_number_without_a_name(tmp_path):
    paint(tmp_path / "a.png")
    write(tmp_path / "a.txt", "0 0.5 0.5 0.2 0.4\n2 0.5 0.5 0.3 0.4\n1 0.5 0.5 0.4 0.4\n")
    write(tmp_path / "classes.txt", "cat\n\ndog\n\n")
    found = formats.read(tmp_path)
    assert [found.classes[box.label] for box in boxes_of(found)["a"]] == ["cat", "dog"]
    assert [problem.place for problem in found.problems] == ["a.txt:3"]
    write(tmp_path / "more" / "classes.txt", "dog\ncat\n")
    with pytest.raises(DataError, match=r"classes.txt and .*classes.txt differ"):
        formats.read(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "noted"),
    [
        ("train: train/images\nval: valid/images", False),
        ("train: ./train/images/\nval: valid/images/", False),
        ("train: .\\train\\images\nval: valid\\images", False),
        ("train: ../train/images\nval: ../valid/images", False),
        ("train: train/images/*.png\nval: valid/*/*.png", False),
        ("train: [train/images]\nval: [valid/images/2.png, valid/images/3.png]", False),
        ("train: train.txt\nval: valid.txt", False),
        ("train: Train.txt\nval: valid.txt", None),
        ("path: {root}\ntrain: train/images\nval: {root}/valid/images", False),
        ("path: set\ntrain: train/images\nval: valid/images", False),
        ("train: train/images\nval: valid/images\nvalid:", False),
        ("path: ~\ntrain: train/images\nval: valid/images", False),
        ("path: D:\\data\\set\ntrain: train\\images\nval: D:\\data\\set\\valid\\images", True),
        ("path: /home/someone/set\ntrain: train/images\nval: valid/images", True),
        ("path: ../datasets/set\ntrain: train/images\nval: valid/images", True),
        ("train: /content/set/train/images\nval: /content/set/valid/images", True),
        ("train: moved.txt\nval: valid.txt", True),
        ("path: sets\ntrain: train/images\nval: valid/images", True),
        ("path: sets\ntrain: images/train\nval: valid/images", None),
        ("train: train/images\nval: val2017", None),
        ("train: train/images\nval: /content/set/val2017/images", None),
        ("train: train/*.jpg\nval: valid/images", None),
        ("path: {elsewhere}\ntrain: train/images\nval: valid/images", None),
    ],
)
def test_paths_of_the_yaml(tmp_path, monkeypatch, yaml, noted):
    monkeypatch.chdir(tmp_path)
    root, elsewhere = tmp_path / "set", tmp_path / "elsewhere"
    for value in range(4):
        part = "train" if value < 2 else "valid"
        for place in (root, elsewhere):
            paint(place / part / "images" / f"{value}.png", value=value)
        write(root / part / "labels" / f"{value}.txt", "0 0.5 0.5 0.2 0.4")
    write(root / "train.txt", "﻿./train/images/0.png\r\ntrain\\images\\1.png\r\n\n")
    write(root / "valid.txt", f"{root}/valid/images/2.png\nset/valid/images/3.png\n")
    write(root / "moved.txt", "/a/b/train/images/0.png\nD:\\b\\train\\images\\1.png\n")
    text = yaml.format(root=root, elsewhere=elsewhere) if "{" in yaml else yaml
    path = write(root / "data.yaml", f"{text}\nnames: [cat]\n")
    if noted is None:
        with pytest.raises(DataError, match=r"data.yaml: '(path|train|val)' is "):
            formats.read(path)
        return
    found = formats.read(path)
    names = {part: [each.path.name for each in found.parts[part]] for part in found.parts}
    assert names == {"train": ["0.png", "1.png"], "validation": ["2.png", "3.png"]}
    assert all(len(picture.boxes) == 1 for picture in found.pictures)
    assert not found.problems
    assert noted == any("not here" in note or "lead elsewhere" in note for note in found.notes) or (
        "valid.txt" in yaml
    )


def test_folders_in_the_other_normal_form(tmp_path):
    nfd, nfc = (unicodedata.normalize(form, "사진/강아지") for form in ("NFD", "NFC"))
    for folder, names in ((nfd, nfc), (nfc, nfd)):
        root = tmp_path / unicodedata.normalize("NFC", str(len(folder)))
        paint(root / "세트" / folder / "images" / "a.png")
        write(root / "세트" / folder / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4")
        text = f"path: 세트\ntrain: {names}/images\nnames: [개]\n"
        found = formats.read(write(root / "data.yaml", text))
        assert len(found.pictures[0].boxes) == 1


def test_lines_of_a_list_never_lead_to_another_folder(tmp_path):
    for value, name in enumerate(("camA/1.png", "camA/2.png")):
        paint(tmp_path / "images" / name, value=value)
    write(tmp_path / "train.txt", "/x/camA/1.png\n/x/camB/1.png\n/x/camB/2.png\n")
    path = write(tmp_path / "data.yaml", "train: train.txt\nnames: [cat]\n")
    found = formats.read(path)
    assert [picture.name for picture in found.pictures] == ["images/camA/1.png"]
    outside = {each.place for each in found.problems if each.kind == records.OUTSIDE}
    assert outside == {"train.txt:2", "train.txt:3"}


def test_equal_names_in_two_folders_keep_their_boxes(tmp_path):
    for value, camera in enumerate(("camA", "camB")):
        paint(tmp_path / "images" / camera / "1.png", value=value)
        write(tmp_path / "labels" / camera / "1.txt", f"{value} 0.5 0.5 0.2 0.4")
    write(tmp_path / "obj.names", "cat\ndog\n")
    for name in ("train", "test"):
        camera = "camA" if name == "train" else "camB"
        write(tmp_path / f"{name}.txt", f"build/data/images/{camera}/1.png\n")
    text = "classes=2\ntrain = data/train.txt\nvalid = data/test.txt\nnames = data/obj.names\n"
    found = formats.read(write(tmp_path / "obj.data", text))
    assert {part: found.parts[part][0].boxes[0].label for part in found.parts} == {
        "train": 0,
        "validation": 1,
    }
    assert os.path.exists(tmp_path / "obj.data")


@pytest.mark.parametrize(
    ("boxes", "corners"),
    [
        ((".1 .2 .5 .6", ".5 .4 .9 .9", ".3 .3 .6 .7"), True),
        ((".5 .5 .9 .9", ".5 .5 1 1", ".4 .3 .8 .6"), False),  # large ones in the center
        ((".1 .2 .5 .6", ".5 .4 .9 .9", ".5 .5 .2 .2"), False),
        ((".1 .2 .5 .6", ".5 .4 .9 .9"), False),
        ((".5 .5 .2 .2", ".7 .5 .4 .2", ".9 .9 .2 .2"), False),
    ],
)
def test_corners_are_not_taken_for_centers(tmp_path, boxes, corners):
    path = make(tmp_path, {"a": "".join(f"0 {box}\n" for box in boxes)})
    if corners:
        with pytest.raises(DataError, match="3 boxes stick out .* YOLO has the center, width"):
            formats.read(path)
    else:
        assert len(formats.read(path).pictures[0].boxes) == len(boxes)


def test_a_split_that_is_not_there_may_be_removed(tmp_path):
    path = make(tmp_path, {"a": "0 .5 .5 .2 .2"}, "train: images\nval: ../v/images\nnames: [x]\n")
    with pytest.raises(DataError, match="'val' is ../v/images, and there .* or remove 'val'"):
        formats.read(path)
