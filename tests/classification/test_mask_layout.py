"""The layout of the mask competition: a row for each person, a class of three labels."""

import csv
import io
import sys
from collections import Counter
from pathlib import Path

import pytest

from common.errors import DataError
from common.images.load import load
from common.images.tables.listing import list_table
from common.options.config import build
from labs.classification.config import ClassificationConfig
from tests.classification.conftest import newest_run

LABELS = {
    "label_column": "mask,gender,age",
    "label_pattern": "mask=(mask|incorrect|normal)",
    "label_bands": "age=30,60",
    "label_order": "mask=mask|incorrect|normal,gender=male|female",
}
FLAGS = [word for name, value in LABELS.items() for word in ("--" + name.replace("_", "-"), value)]


@pytest.fixture(scope="module")
def layout():
    """Return the module that writes the layout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        import mask_layout

        yield mask_layout
    del sys.modules["mask_layout"]


@pytest.fixture(scope="module")
def root(layout, tmp_path_factory):
    """Return the layout of 60 persons."""
    root = tmp_path_factory.mktemp("mask")
    layout.write(root, 60, 8)
    return root


def config(root, **more):
    values = {"data": str(root / "train/train.csv"), "image_size": 28, **LABELS, **more}
    return build(ClassificationConfig, ("options", values))


def person_of(name):
    return name.split("/")[1]


def test_each_photo_of_a_persons_folder_has_the_labels_of_the_row(layout, root):
    found = list_table(root / "train/train.csv", config(root))
    assert len(found.files) == 7 * 60
    assert found.skipped == ()
    assert found.classes[:4] == (
        "mask/male/<30",
        "mask/male/30-59",
        "mask/male/>=60",
        "mask/female/<30",
    )
    assert len(found.classes) == 18
    numbers = found.targets(found.files).tolist()
    for file, number in zip(found.files, numbers, strict=True):
        person, photo = file.path.parent.name, file.path.stem
        place, gender, _, age = person.split("_")
        assert number == layout.number_class(photo, layout.Person(int(place), gender, int(age)))
        assert file.group == person
    assert "60 rows name folders, whose images stay together" in found.source
    assert "mask from the files' names, age in <30, 30-59, >=60" in found.source


def test_a_person_never_stands_on_both_sides_unless_that_is_asked_for(root):
    def count_persons(**more):
        splits, _ = load(config(root, **more))
        return Counter(
            name for part in splits.values() for name in {person_of(each) for each in part.names}
        )

    assert max(count_persons().values()) == 1
    assert max(count_persons(folds=3, fold=2).values()) == 1
    assert max(count_persons(group_column="none").values()) > 1
    by_age = load(config(root, group_column="age"))[0]
    ages = [{person_of(name)[-2:] for name in part.names} for part in by_age.values()]
    assert not ages[0] & (ages[1] | ages[2])


def test_folds_test_each_photo_once(root):
    tested = Counter(
        name
        for fold in (1, 2, 3)
        for name in load(config(root, folds=3, fold=fold, group_column="none"))[0]["test"].names
    )
    assert len(tested) == 420
    assert set(tested.values()) == {1}


def test_a_run_gives_the_numbers_of_the_competition(root, layout, lab, tmp_path):
    options = ("--model", "linear", "--image-size", 28, "--epochs", 1, "--threads", 1)
    data = root / "train/train.csv"
    result = lab("train", "--data", data, *FLAGS, *options, "--run-dir", tmp_path)
    assert result.code == 0, result.err
    run = newest_run(tmp_path)
    sample = root / "eval/info.csv"
    words = ("--image-dir", root / "eval/images", "--top", 1, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(lab("predict", run, sample, *words).out)))
    assert [row["path"] for row in rows] == [
        line.split(",")[0] for line in sample.read_text().splitlines()[1:]
    ]
    names = list_table(data, config(root)).classes
    assert len(rows) == 7 * 8
    assert all(names[int(row["number"])] == row["class"] for row in rows)
    handed = tmp_path / "submission.csv"
    submitted = lab("submit", run, root / "eval/images", sample, "--out", handed)
    assert submitted.code == 0, submitted.err
    assert list(csv.reader(handed.read_text().splitlines())) == [
        ["ImageID", "ans"],
        *([row["path"], row["number"]] for row in rows),
    ]
    measured = lab("evaluate", run, "--data", data)
    assert measured.code == 0, measured.err
    assert "420" in measured.out + measured.err


def rewrite(root, tmp_path, change):
    """Write a table of the same images, and return the config that reads it."""
    lines = (root / "train/train.csv").read_text().splitlines()
    table = tmp_path / "other.csv"
    table.write_text("\n".join(change(line) for line in lines))
    return {"data": str(table), "image_dir": str(root / "train")}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            {"label_pattern": "mask=(maske|normal_)"},
            r"mask=\(maske\|normal_\): fits no file's name, such as incorrect_mask.jpg",
        ),
        (
            {"label_column": "gender,age", "label_pattern": "gender=(mask)", "label_order": "none"},
            "--label-pattern gender: .*train.csv has a column of that name",
        ),
        (
            {"label_order": "gender=male|f"},
            r"column 'gender' has also female, which --label-order gender=male\|f does not name",
        ),
        ({"label_bands": "age=30,90"}, "no class >=90 of column 'age' has images enough"),
        ({"image_dir": str(Path(__file__).parent)}, "fits no file's name, such as 000000_"),
        ({"label_bands": "gender=1", "label_order": "none"}, "x no number in 'gender'"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(more, problem, root):
    with pytest.raises(DataError, match=problem):
        load(config(root, **more))


def test_a_number_that_is_none_leaves_its_row_out(root, tmp_path):
    def change(line):
        return line.replace("Asian,", "Asian,about ", 1) if line.startswith("3,") else line

    found = list_table(
        Path(rewrite(root, tmp_path, change)["data"]), config(root, image_dir=str(root))
    )
    assert len(found.files) == 7 * 59
    assert {why.partition(": ")[0] for _, why in found.skipped} == {"no number in 'age'"}


def test_paths_of_another_machine_and_another_column_are_found(root, tmp_path):
    def change(line):
        *cells, last = line.replace("path", "folder").split(",")
        return ",".join([*cells, last if last == "folder" else f"/opt/data/images/{last}"])

    found = list_table(tmp_path / "other.csv", config(root, **rewrite(root, tmp_path, change)))
    assert len(found.files) == 7 * 60
    assert "images from column 'folder'" in found.source


def test_rules_go_with_a_table(root):
    wrong = config(
        root, data=str(root), label_column="mask", label_bands="none", label_order="none"
    )
    with pytest.raises(DataError, match="--label-pattern: goes with a table"):
        load(wrong)
