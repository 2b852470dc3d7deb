"""What `explore` says of images, whether or not they could be trained on."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from common.explore import speed
from labs.classification.__main__ import lab

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture(autouse=True)
def at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def explore(command, tmp_path):
    def run(*words):
        result = command(lab, "explore", *words, "--output", tmp_path / "page.html")
        page = tmp_path / "page.html"
        return result, re.sub('data:image[^"]*', "", page.read_text()) if page.exists() else ""

    return run


def test_a_folder_shows_its_classes_and_what_is_wrong_with_it(photos, explore, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(photos, folder)
    first, second = sorted(folder.iterdir())
    (first / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.full((12, 12, 3), 7, np.uint8)).save(first / "flat.png")
    shutil.copy(second / "3 번.png", first / "again.png")
    result, page = explore(folder)
    assert result.code == 0
    assert "broken.png" in page
    assert "1 of these pairs have different labels" in result.out
    assert "1 pictures show nothing" in result.out
    assert first.name in page
    for title in ("Classes", "Sizes and colors", "Copies", "What augmentation makes of them"):
        assert f">{title}</h2>" in page
    assert "lenet5 learns" in page


def test_parts_that_differ_are_told_apart_by_brightness(paint, explore, tmp_path):
    for part, level in (("train", 20), ("test", 120)):
        for name in ("a", "b"):
            for number in range(8):
                paint(tmp_path / "set" / part / name / f"{part}{name}{number}.png", level + number)
    result, page = explore(tmp_path / "set")
    assert "A classifier tells test from train (AUC 1.000" in result.out
    assert "mean: train, test" in page


def test_what_cannot_be_trained_on_is_shown_all_the_same(paint, explore, tmp_path):
    paint(tmp_path / "set" / "one" / "a.png", 50)
    result, page = explore(tmp_path / "set")
    assert result.code == 0
    assert "Training would be refused as the data are" in result.out
    assert "1 class of 1 pictures" in page


def test_tables_of_numbers_and_of_several_labels_are_shown(paint, explore, tmp_path):
    rows = [f"{number}.png,{number / 7:.3f},a|b" for number in range(12)]
    for number in range(12):
        paint(tmp_path / f"{number}.png", 10 * number)
    (tmp_path / "numbers.csv").write_text("\n".join(["path,label,tags", *rows]))
    result, page = explore(tmp_path / "numbers.csv", "--loss", "mse")
    assert result.code == 0
    assert "12 numbers from 0.0000 to 1.5710" in page
    result, page = explore(tmp_path / "numbers.csv", "--label-column", "tags")
    assert result.code == 0
    assert "2 classes of 12 pictures" in page


def test_rows_that_contradict_each_other_and_groups_are_named(paint, explore, tmp_path):
    rows = [f"{number}.png,{'ab'[number % 2]},p{number // 2}" for number in range(12)]
    for number in range(12):
        paint(tmp_path / f"{number}.png", 10 * number)
    (tmp_path / "t.csv").write_text("\n".join(["path,label,person", *rows, "3.png,a,p1"]))
    result, page = explore(tmp_path / "t.csv", "--group-column", "person")
    assert result.code == 0
    assert "2 rows give a picture two labels" in result.out
    assert "6 groups by person" in page


def test_embedded_digits_are_shown_too(explore):
    result, page = explore("digits", "--limit", "60")
    assert result.code == 0
    assert "10 classes of 60 pictures" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such folder or file"),
        (["digit"], "did you mean digits?"),
        (["digits", "--lmit", "9"], "no option --lmit"),
        (["digits", "--loss", "mse"], "predicts numbers"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(words, message, explore, tmp_path):
    result, page = explore(*words)
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert page == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_readable_image_is_refused(explore, tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "x.png").write_bytes(b"nothing")
    result, page = explore(tmp_path / "set")
    assert result.code == 2
    assert "none of the 1 files is an image" in result.err
    assert page == ""


def test_crops_are_what_is_shown_and_no_copies_of_one_another(explore, tmp_path):
    noise, rows = np.random.default_rng(0), ["path,label,x,y,w,h,person"]
    for number in range(6):
        pixels = noise.integers(0, 255, (40, 60), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        for label, left in (("a", 0), ("b", 1)):  # nearly the same part, with another label
            rows.append(f"{number}.png,{label},{left},0,36,32,{label}{number // 3}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    crops = ("--crop-column", "x,y,w,h", "--group-column", "person")
    result, page = explore(tmp_path / "t.csv", *crops)
    assert result.code == 0, result.err
    assert "12 crops of 6 photos" in page
    assert "1 size; the most frequent is 36 x 32 pixels, of 12 pictures" in page
    assert "bytes of the file" not in page
    assert "None were found. Parts of one photo, which may overlap, are not compared." in page
    assert "2 groups by person: from 6 to 6" in page  # two persons of a photo are one group
    assert "different labels" not in result.out
    shutil.copy(tmp_path / "0.png", tmp_path / "again.png")
    (tmp_path / "t.csv").write_text("\n".join([*rows, "again.png,b,0,0,36,32,b0"]))
    result, page = explore(tmp_path / "t.csv", *crops)
    assert "1 of these pairs have different labels" in result.out
    outside = "\n".join([*rows, "5.png,a,30,0,36,32,a0"])
    (tmp_path / "t.csv").write_text(outside)
    result, _ = explore(tmp_path / "t.csv", *crops)
    assert result.code == 2
    assert "line 14: the crop 30,0,36,32 (left, top, width, height) lies outside" in result.err
