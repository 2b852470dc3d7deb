"""Images that belong together never stand on both sides of a split, whether users say so or not."""

import csv
import dataclasses
import os
import shutil

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from sklearn import datasets

from common.errors import DataError
from common.images import alike
from common.images.alike import find_alike
from common.images.load import find_files, load
from common.options.config import ImageConfig
from common.training.splits import number_linked


def sides(splits):
    return {name: set(part.names) for name, part in splits.items()}


@pytest.fixture
def people(paint, tmp_path):
    """Write 4 pictures of each of 20 people, half of them in each class; return the folder."""
    folder = tmp_path / "사람"
    for person in range(20):
        for number in range(4):
            level = 10 * person % 190
            paint(folder / "ab"[person % 2] / f"p{person:02}" / f"{person}-{number}.png", level)
    return folder


def table(folder, path):
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "사람"])
        for image in sorted(folder.rglob("*.png")):
            name = image.relative_to(path.parent)
            rows.writerow([name, image.parts[-3], image.parent.name])
    return path


def people_on(splits):
    return [
        {name.rpartition("/")[2].split("-")[0] for name in part} for part in sides(splits).values()
    ]


def apart(sets):
    train, validation, test = sets
    return train.isdisjoint(validation | test) and validation.isdisjoint(test)


def test_a_column_keeps_people_on_one_side(people, tmp_path):
    path = table(people, tmp_path / "table.csv")
    assert not apart(people_on(load(ImageConfig(data=str(path)))[0]))
    splits, card = load(ImageConfig(data=str(path), group_column="사람"))
    assert apart(people_on(splits))
    assert sum(card.counts.values()) == 80


def test_a_folder_keeps_its_images_on_one_side(people):
    splits, _ = load(ImageConfig(data=str(people), group_column="folder"))
    assert apart(people_on(splits))


def test_copies_stay_on_one_side_and_are_counted(people):
    for number in range(3):  # of 20 images, three more copies
        for row in range(20):
            first = people / "ab"[row % 2] / f"p{row:02}" / f"{row}-0.png"
            shutil.copy(first, first.with_name(f"{row}-copy{number}.png"))
    splits, card = load(ImageConfig(data=str(table(people, people.with_suffix(".csv")))))
    assert "60 of them copies of others, or nearly, which stay on one side" in card.source
    of_copies = [
        {name for name in part if "-0" in name or "copy" in name} for part in sides(splits).values()
    ]
    assert apart([{name.rpartition("/")[2].split("-")[0] for name in part} for part in of_copies])


def test_copies_in_a_test_split_of_the_users_are_counted(people, tmp_path):
    test = tmp_path / "test"
    for name in "ab":
        (test / name).mkdir(parents=True)
        shutil.copy(next((people / name).rglob("*.png")), test / name / "1.png")
    _, card = load(ImageConfig(data=str(people), test=str(test), group_column="folder"))
    assert "test images copies of training images, or nearly" in card.source


@pytest.mark.parametrize(
    ("column", "expected"),
    [("person", "is a folder, which has no columns; give folder"), ("folder", "in too few groups")],
)
def test_groups_that_cannot_be_had_are_refused(paint, tmp_path, column, expected):
    for name in "ab":  # a folder is a class: nothing can be held back
        for number in range(5):
            paint(tmp_path / "x" / name / f"{number}.png", 100 * number % 200)
    with pytest.raises(DataError, match=expected):
        load(ImageConfig(data=str(tmp_path / "x"), group_column=column))


def test_without_groups_a_folder_is_split_image_by_image(paint, tmp_path):
    for name in "ab":
        for number in range(5):
            paint(tmp_path / "x" / name / f"{number}.png", 30 * number)
    plain, without = (
        load(ImageConfig(data=str(tmp_path / "x"), **more))[0]
        for more in ({}, {"group_column": "none"})
    )
    assert {name: part.names for name, part in without.items()} == {
        name: part.names for name, part in plain.items()
    }


def test_what_is_tested_on_crops_is_not_tested_on_a_folder_of_whole_photos(paint, tmp_path):
    rows = [f"{number}.png,{'ab'[number % 2]},0,0,6,6" for number in range(12)]
    for number in range(12):
        paint(tmp_path / f"{number}.png", 15 * number)
        paint(tmp_path / "test" / "ab"[number % 2] / f"{number}.png", 15 * number)
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["path,label,x,y,w,h", *rows]))
    config = ImageConfig(data=str(path), crop_column=("x", "y", "w", "h"))
    assert len(load(config)[0]["test"]) == 2
    with pytest.raises(DataError, match="--crop-column: goes with a table, and --test"):
        load(dataclasses.replace(config, test=str(tmp_path / "test")))


def test_a_class_of_copies_alone_is_split_and_that_is_said(paint, tmp_path):
    for number in range(6):
        paint(tmp_path / "x" / "a" / f"{number}.png", 30 * number)
        paint(tmp_path / "x" / "b" / "0.png", 100)
        if number:
            shutil.copy(tmp_path / "x" / "b" / "0.png", tmp_path / "x" / "b" / f"{number}.png")
    _, card = load(ImageConfig(data=str(tmp_path / "x")))
    assert "5 of them copies of others, or nearly, which stand on both sides" in card.source


def test_what_a_network_sees_as_one_picture_stays_on_one_side(tmp_path, capsys):
    photo = datasets.load_sample_images().images[0]
    folder = tmp_path / "x"
    for number in range(4, 12):  # above them is nothing but sky
        top, left = 140 * (number // 4), 160 * (number % 4)
        view = Image.fromarray(photo[top : top + 140, left : left + 160])
        for name, each in (("", view), ("거울", ImageOps.mirror(view))):
            path = folder / "ab"[number % 2] / f"{name}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (ImageEnhance.Brightness(each).enhance(1.1) if name else each).save(path)
    (folder / "a" / "broken.png").write_bytes(b"no image")
    config = ImageConfig(data=str(folder), group_by="features", image_size=8)
    state = torch.random.get_rng_state()
    splits, card = load(config)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert "groups by features (16 of 17 linked)" in card.source
    numbers = [{name[2:].strip("거울") for name in part} for part in sides(splits).values()]
    assert apart(numbers)
    assert sum(map(len, numbers)) == 8
    assert "seeing 17 images with EfficientNet-Lite0" in capsys.readouterr().err
    again, _ = load(config)
    assert sides(again) == sides(splits)
    assert capsys.readouterr().err == ""  # it is kept in the cache
    alone = find_files(config, "class", "required").files
    [broken] = [file.group for file in alone if "broken" in file.name]
    assert [file.group for file in alone].count(broken) == 1


@pytest.mark.parametrize("scenes", [2, 6, 8])
def test_few_scenes_are_linked_each_by_itself(scenes):
    noise = torch.Generator().manual_seed(0)
    common = torch.randn(1280, generator=noise)
    own = torch.randn(scenes, 1, 1280, generator=noise)
    rows = 0.6 * common + 0.74 * own + 0.34 * torch.randn(scenes, 60, 1280, generator=noise)
    rows = torch.nn.functional.normalize(rows.flatten(0, 1))  # cosine .89 within, .36 between
    scene = torch.arange(scenes).repeat_interleave(60)
    links = [*alike.link(rows)]
    assert all(scene[one] == scene[other] for one, other in links)
    groups = number_linked(len(rows), links)
    largest = [groups[scene == each].bincount().max() for each in range(scenes)]
    assert min(largest) > 50


def test_where_most_pairs_are_alike_that_is_chance():
    noise = torch.Generator().manual_seed(0)
    rows = torch.randn(1280, generator=noise) + 0.25 * torch.randn(300, 1280, generator=noise)
    rows = torch.nn.functional.normalize(rows)
    rows = torch.cat([rows, rows[:1]])
    assert [*alike.link(rows)] == [(0, 300)]


def test_no_folder_gets_the_groups_of_another_with_equal_names_sizes_and_times(tmp_path, paint):
    kept = set()
    for folder in ("one", "other"):
        files = [(paint(tmp_path / folder / f"{number}.png", 100), None) for number in range(2)]
        for path, _ in files:
            os.utime(path, ns=(0, 0))
        kept.add(alike._key(files))
    assert len(kept) == 2


def test_of_one_picture_there_is_nothing_to_see(paint, tmp_path):
    assert find_alike([(paint(tmp_path / "1.png", 100), None)]) == [None]
    assert find_alike([]) == []
