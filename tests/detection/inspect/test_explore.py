"""What `explore` says of images with boxes, whether or not they could be trained on."""

import re

import numpy as np
import pytest

from common.explore import speed
from common.explore.pictures import Pictures, Source
from labs.detection.inspect import boxes
from labs.detection.inspect.boxes import Objects

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture(autouse=True)
def at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def explore(lab, tmp_path):
    def run(*words):
        result = lab("explore", *words, "--output", tmp_path / "page.html", "--threads", "1")
        page = tmp_path / "page.html"
        return result, re.sub('data:image[^"]*', "", page.read_text()) if page.exists() else ""

    return run


def objects_of(sides, rows, corners, labels, classes=("a", "b")):
    sources = [Source(f"{row}.png", "all", ()) for row in range(len(sides))]
    columns = {"width": np.array(sides, float)[:, 0], "height": np.array(sides, float)[:, 1]}
    found = Pictures(sources, None, columns, [])
    return found, Objects(np.array(rows), np.array(corners, float), np.array(labels), classes)


def test_a_table_of_boxes_shows_them_and_what_is_wrong(paint, explore, tmp_path):
    rows = ["image,xmin,ymin,xmax,ymax,label"]
    for number in range(12):
        paint(tmp_path / "set" / f"{number}.png", 10 * number, size=(40, 30))
        rows.append(f"{number}.png,2,3,20,25,{'고양이' if number % 2 else '개'}")
    rows += ["0.png,2,3,20,25,고양이", "1.png,30,5,90,20,개"]
    (tmp_path / "set" / "boxes.csv").write_text("\n".join(rows))
    result, page = explore(
        tmp_path / "set" / "boxes.csv", "--model", "tiny-yolo", "--image-size", "32"
    )
    assert result.code == 0, result.err
    assert "14 boxes of 2 classes in 12 images" in page
    assert "1 objects have two classes, such as 개 and 고양이" in result.out
    assert "box out of range" in page
    for title in ("Sizes and places of boxes", "Copies", "What augmentation makes of them"):
        assert f">{title}</h2>" in page
    assert "tiny-yolo learns" in page


def test_maps_count_centers_and_what_is_covered():
    found, objects = objects_of([(100, 50)], [0, 0], [(0, 0, 50, 50), (50, 25, 100, 50)], [0, 1])
    maps = boxes._maps(objects.shares(found))
    assert maps["centers"].sum() == 2
    assert maps["covered"][0, 0] == 1
    assert maps["covered"][0, -1] == 0
    assert maps["covered"].mean() == pytest.approx(0.5 + 0.25)


def test_small_boxes_and_whole_images_are_findings():
    corners = [(0, 0, 1280, 640), (10, 10, 18, 40)]
    part = boxes.measure(*objects_of([(1280, 640)], [0, 0], corners, [0, 0]))
    assert part.findings[0].startswith("50% of the boxes are narrower than 8 pixels")
    assert part.findings[1].startswith("50% of the boxes are nearly the whole image")
    assert "50% are small" in part.section.text


def test_classes_without_boxes_are_named():
    part = boxes.count_classes(*objects_of([(9, 9)], [0], [(1, 1, 5, 5)], [0]))
    assert "1 classes have no boxes, such as b." in part.findings


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nowhere"], "no such file or folder"), (["scenes", "--lmit", "9"], "no option --lmit")],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(words, message, explore, tmp_path):
    result, page = explore(*words)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []
