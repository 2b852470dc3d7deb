"""Splits as people bring them: lists, folders, files of their own; none is ignored in silence."""

import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from labs.detection import records
from labs.detection.config import DetectionConfig
from labs.detection.data import formats
from labs.detection.data.load import load, split

XML = (
    "<annotation><filename>{0}.png</filename><object><name>{1}</name><bndbox><xmin>1</xmin>"
    "<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)


def paint(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 256, (16, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def voc(root, lists, stems="abcdefgh", name="cat"):
    """Make a set of Pascal VOC with lists of images by the list's name."""
    for value, stem in enumerate(stems):
        paint(root / "JPEGImages" / f"{stem}.png", value + 100 * len(name))
        write(root / "Annotations" / f"{stem}.xml", XML.format(stem, name))
    for name, text in lists.items():
        write(root / f"ImageSets/Main/{name}.txt", "".join(f"{stem}\n" for stem in text))
    return root


def stems(parts):
    return {part: "".join(each.path.stem for each in parts[part]) for part in parts}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"trainval": "abcdef", "test": "gh"}, {"train": "abcdef", "test": "gh"}),
        ({"trainval": "abcdef", "train": "abcd"}, {"train": "abcd", "validation": "ef"}),
        ({"trainval": "abcdef", "val": "ef"}, {"train": "abcd", "validation": "ef"}),
        (
            {"train": "abcd", "val": "ef", "trainval": "abcdef", "test": "gh"},
            {"train": "abcd", "validation": "ef", "test": "gh"},
        ),
        ({"train": "abcdefgh"}, {"train": "abcdefgh"}),
        ({"test": "gh"}, {"train": "abcdef", "test": "gh"}),
        ({"val": "gh"}, {"train": "abcdef", "validation": "gh"}),
        ({"test": "abcdefgh"}, {"all": "abcdefgh"}),
        (
            {"cat_train": "abc", "dog_train": "cd", "cat_val": "e"},
            {"train": "abcd", "validation": "e"},
        ),
        ({"train": "abcdef", "cat_train": "ab", "layout": "h"}, {"train": "abcdef"}),
    ],
)
def test_every_form_of_voc_s_lists(tmp_path, lists, expected):
    found = formats.read(voc(tmp_path, lists))
    assert stems(found.parts) == expected
    said = [name for name in found.lists.partition("(")[2].rstrip(")").split(", ") if name]
    assert set(said) == {name.rpartition("_")[2] for name in lists} - {"layout"}


@pytest.mark.parametrize("form", ["{}.png", "{} 1", "{}.png  -1", "a/{}.png", r"D:\voc\{}.png"])
def test_lines_of_a_list_as_tools_write_them(tmp_path, form):
    lists = {"train": [form.format(stem) for stem in "abcdef"], "test": [form.format("g")]}
    found = formats.read(voc(tmp_path, lists))
    assert stems(found.parts) == {"train": "abcdef", "test": "g"}
    assert {problem.place: problem.kind for problem in found.problems} == {
        "JPEGImages/h.png": records.IGNORED
    }


def test_the_lists_of_several_years_are_taken_together(tmp_path):
    voc(tmp_path / "VOC2007", {"trainval": "ab", "test": "c"}, "abc")
    voc(tmp_path / "VOC2012", {"train": "de", "val": "f"}, "def")
    found = formats.read(tmp_path)
    assert stems(found.parts) == {"train": "abde", "validation": "f", "test": "c"}
    assert not found.problems


def test_what_a_list_names_and_is_not_there_is_said(tmp_path):
    found = formats.read(voc(tmp_path, {"train": "abcdefghxyz"}))
    [problem] = found.problems
    assert problem == ("list train", records.NO_IMAGE, "3 of its 11 images, such as x")


def darknet(root, name="obj.data", more=""):
    for value, stem in enumerate("abcdef"):
        paint(root / "obj" / f"{stem}.png", value)
        write(root / "obj" / f"{stem}.txt", f"{value % 2} 0.5 0.5 0.2 0.3\n")
    write(root / "train.txt", "".join(f"data/obj/{stem}.png\n" for stem in "abcd"))
    write(root / "test.txt", "".join(f"/home/me/data/obj/{stem}.png\n" for stem in "ef"))
    write(root / "obj.names", "빨강\ngreen\n")
    text = f"classes = 2\ntrain = data/train.txt\nvalid = data/test.txt\n{more}"
    return write(root / name, f"{text}names = data/obj.names\nbackup = backup/\n")


def test_darknet_s_data_file_names_lists_and_classes(tmp_path):
    path = darknet(tmp_path)
    for given in (path, tmp_path):
        found = formats.read(given)
        assert stems(found.parts) == {"train": "abcd", "validation": "ef"}
        assert found.classes == ("빨강", "green")
        assert found.lists == "obj.data (train, valid)"
        assert not found.problems


def test_lists_beside_the_images_are_splits(tmp_path):
    darknet(tmp_path).unlink()
    found = formats.read(tmp_path)
    assert stems(found.parts) == {"train": "abcd", "test": "ef"}
    assert found.lists == "test.txt, train.txt"


def test_a_data_file_that_cannot_be_used_is_one_error(tmp_path):
    path = darknet(tmp_path, more="test = nowhere.txt\n")
    with pytest.raises(DataError, match=r"'test' is nowhere.txt, and there is no such file"):
        formats.read(path)
    write(path, "classes = 2\nvalid = data/test.txt\n")
    with pytest.raises(DataError, match=r"lacks the line 'train = FILE'"):
        formats.read(path)
    darknet(tmp_path, "other.data")
    write(path, "train = train.txt\n")
    with pytest.raises(DataError, match=r"several .data files; name one of them: obj.data, other"):
        formats.read(tmp_path)


def test_a_test_folder_beside_other_images_is_the_test_split(tmp_path):
    for value, name in enumerate(("photos/a", "photos/b", "test/c", "crash-test/d")):
        paint(tmp_path / f"{name}.png", value)
        write(tmp_path / f"{name}.txt", "0 0.5 0.5 0.2 0.3\n")
    assert stems(formats.read(tmp_path).parts) == {"train": "dab", "test": "c"}


def test_coco_without_a_file_for_training_trains_on_what_has_no_split(tmp_path):
    for name, stem in (("annotations", "a"), ("test", "b")):
        content = {
            "images": [{"id": 1, "file_name": f"{stem}.png"}],
            "annotations": [],
            "categories": [{"id": 1, "name": "cat"}],
        }
        paint(tmp_path / f"{stem}.png", ord(stem))
        write(tmp_path / f"{name}.json", json.dumps(content))
    assert stems(formats.read(tmp_path).parts) == {"train": "a", "test": "b"}


def test_none_validates_that_tests(tmp_path):
    found = formats.read(voc(tmp_path, {"train": "abcde", "val": "fg", "test": "gh"}))
    parts, copies, about = split(found, DetectionConfig())
    assert stems(parts) == {"train": "abcde", "validation": "f", "test": "gh"}
    assert copies == (("JPEGImages/g.png", "the same image as JPEGImages/g.png of test"),)
    assert about == "with validation and test of its own by ImageSets/Main (test, train, val)"

    found = formats.read(voc(tmp_path / "same", {"train": "abcdef", "val": "gh", "test": "gh"}))
    parts, _, about = split(found, DetectionConfig())
    assert stems(parts)["validation"] == "gh"
    assert not set(stems(parts)["test"]) & set("gh")
    assert about.endswith("test cut from train at random, since they were those of another split")


def test_the_images_of_one_split_do_not_cost_another_one_its_own(tmp_path):
    found = formats.read(voc(tmp_path, {"train": "abcdef", "val": "abcdef", "test": "gh"}))
    parts, _, about = split(found, DetectionConfig())
    assert stems(parts)["test"] == "gh"
    assert len(parts["validation"]) == 1
    assert "with test of its own" in about


def test_a_test_split_from_elsewhere(tmp_path):
    voc(tmp_path / "mine", {})
    voc(tmp_path / "theirs", {"train": "a", "test": "bc"}, "abc")
    config = DetectionConfig(
        data=str(tmp_path / "mine"), test=str(tmp_path / "theirs"), image_size=32
    )
    splits, card = load(config)
    assert card.counts == {"train": 4, "validation": 1, "test": 3}  # they are three of mine
    assert all(name.startswith("theirs/") for name in splits["test"].names)
    assert card.source.endswith("test of its own, validation cut from train at random (theirs)")
    voc(tmp_path / "dogs", {}, "xyz", "dog")
    with pytest.raises(DataError, match="dog"):
        load(DetectionConfig(data=config.data, test=str(tmp_path / "dogs"), image_size=32))
    with pytest.raises(DataError, match=r"--test .*nowhere: no such file or folder"):
        load(DetectionConfig(data=config.data, test=str(tmp_path / "nowhere"), image_size=32))
    [problem] = DetectionConfig(test="x").problems()
    assert "--test" in problem
