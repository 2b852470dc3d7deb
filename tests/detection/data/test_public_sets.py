"""Public sets as they are downloaded: read as they are meant, or refused with what to do."""

import numpy as np
import pytest
from PIL import Image

from labs.detection.config import DetectionConfig
from labs.detection.data import formats
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


def test_the_only_folder_of_an_archive_is_the_data(tmp_path):
    yolo(tmp_path / "archive" / "animals", {"train": 4, "valid": 2})
    write(tmp_path / "README.md", "# animals")
    found = formats.read(tmp_path)
    assert found.classes == CLASSES
    assert found.notes == ("the data is the folder archive/animals, the only one there",)
    assert boxes_of(found)["train0"] == [(name, *map(pytest.approx, box)) for name, *box in BOXES]
    assert not found.problems
    assert not formats.read(tmp_path / "archive" / "animals").notes
