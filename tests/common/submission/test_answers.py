"""What a column of a sample wants is read off its name and its cells."""

import dataclasses

import numpy as np
import pytest

from common.errors import DataError
from common.submission.answers import Classes, Labels, Numbers, match_columns, number_text
from common.submission.sample import Sample

SHARES = np.array([[0.75, 0.25], [0.125, 0.875]])
ANIMALS = Classes(("cat", "dog"), SHARES)


@pytest.fixture
def fill(tmp_path):
    """Return a function that fills a sample of two rows: its columns, and their cells."""

    def call(said, form=None, **columns):
        path = tmp_path / "sample.csv"
        rows = zip(["a", "b"], *columns.values(), strict=True)
        path.write_text("\n".join(map(",".join, [["id", *columns], *rows])) + "\n")
        sample = dataclasses.replace(
            Sample.read(path), id_column="id", answer_columns=tuple(columns)
        )
        return said.fill(sample, form)

    return call


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("y", ("cat", "cat"), ["cat", "dog"]),
        ("y", ("", ""), ["cat", "dog"]),
        ("y", ("0", "0"), ["0", "1"]),
        ("y", ("1.0", "0.5"), ["0.25", "0.875"]),
        ("y", ("0.0", "0.0"), ["0.25", "0.875"]),
        ("cat", ("0", "0"), ["0.75", "0.125"]),
    ],
)
def test_one_column_of_two_classes(fill, column, cells, expected):
    assert fill(ANIMALS, **{column: cells}).cells == {column: expected}


def test_numbers_that_are_names_stay_names(fill):
    stars = Classes(("1", "5"), SHARES)
    assert fill(stars, y=("0", "0")).cells == {"y": ["1", "5"]}
    assert fill(stars, y=("1", "5")).cells == {"y": ["1", "5"]}
    assert fill(stars, y=("1.0", "1.0"), form="names").cells == {"y": ["1.0", "5.0"]}
    assert fill(stars, y=("0", "0"), form="numbers").cells == {"y": ["0", "1"]}
    digits = Classes(("1", "3", "5"), np.eye(3)[:2])
    assert fill(digits, y=("0.0", "0.0")).cells == {"y": ["1.0", "3.0"]}
    for cell in ("setosa", "0.33"):
        with pytest.raises(DataError, match=f"column 'y' has {cell}, which the run does not know"):
            fill(digits, y=("1", cell))


@pytest.mark.parametrize("columns", [("dog", "cat"), ("p_dog", "p_cat"), ("Dog (p)", "Cat (p)")])
def test_a_column_for_each_class_has_its_probability(fill, columns):
    dog, cat = columns
    found = fill(ANIMALS, **{dog: ("0", "0"), cat: ("0", "0")})
    assert found.cells == {dog: ["0.25", "0.875"], cat: ["0.75", "0.125"]}


def test_each_label_column_has_a_column(fill):
    parts = {"kind": ANIMALS, "mask": Classes(("off", "on"), SHARES[::-1])}
    found = fill(Classes(("c", "d"), SHARES, parts), mask=("0", "0"), kind=("cat", "cat"))
    assert found.cells == {"mask": ["1", "0"], "kind": ["cat", "dog"]}


def test_several_labels_are_joined_or_have_columns(fill):
    said = Labels(("cat", "dog"), np.array([[0.9, 0.8], [0.1, 0.2]]), np.array([0.5, 0.5]))
    assert fill(said, y=("cat|dog", "cat")).cells == {"y": ["cat|dog", ""]}
    for cells in (("cat dog", "cat dog"), ("cat dog", "")):  # alike, or with one alone
        assert fill(said, y=cells).cells == {"y": ["cat dog", ""]}
    for between in (" | ", "; ", ";"):  # as it is written, with its spaces
        answers = fill(said, y=(f"cat{between}dog", "cat")).cells
        assert answers == {"y": [f"cat{between}dog", ""]}
    quoted = fill(said, y=('"cat, dog"', "cat"))
    assert quoted.cells == {"y": ["cat, dog", ""]}
    ones = {"dog": ("0", "0"), "cat": ("0", "0")}
    assert fill(said, **ones).cells == {"dog": ["1", "0"], "cat": ["1", "0"]}
    assert fill(said, "probabilities", **ones).cells["dog"] == ["0.8", "0.2"]
    assert fill(said, dog=("0.5", "0.5"), cat=("0.5", "0.5")).cells["cat"] == ["0.9", "0.1"]


def test_the_mean_of_several_models():
    turned = Classes(ANIMALS.names, SHARES[::-1])
    assert Classes.mean([ANIMALS, turned]).shares.tolist() == [[0.4375, 0.5625]] * 2
    assert Numbers.mean([Numbers(np.array([1.0])), Numbers(np.array([2.0]))]).values == [1.5]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"y": ("bird", "cat")}, "column 'y' has bird, which the run does not know"),
        ({"y": ("7", "0")}, "column 'y' has 7, which"),
        ({"x": ("0", "0"), "y": ("0", "0")}, "one class of cat, dog, and the columns are x, y"),
    ],
)
def test_what_fits_no_class_is_one_error(fill, columns, problem):
    with pytest.raises(DataError, match=problem):
        fill(ANIMALS, **columns)


def test_numbers_are_written_short_and_without_an_exponent(fill):
    assert [*map(number_text, (1 / 3, 1e-7, 12345678.0, 2.0))] == [
        *("0.33333334", "0.0000001", "12345678.0", "2.0")
    ]
    assert fill(Numbers(np.array([1.5, 2])), y=("0", "0")).cells == {"y": ["1.5", "2.0"]}
    with pytest.raises(DataError, match="one number, and the columns are x, y"):
        fill(Numbers(np.array([1.5, 2])), x=("0", "0"), y=("0", "0"))


def test_what_cannot_be_written_in_a_sample_is_refused(fill):
    labels = Labels(("cat", "dog"), SHARES, np.array([0.5, 0.5]))
    for said, form, columns in (
        (Numbers(np.array([1.0, 2.0])), "names", {"y": ("0", "0")}),
        (ANIMALS, "names", {"cat": ("0", "0"), "dog": ("0", "0")}),
        (labels, "probabilities", {"y": ("cat", "dog")}),
        (labels, "names", {"cat": ("0", "0"), "dog": ("0", "0")}),
    ):
        with pytest.raises(DataError, match=f"--answers {form}: cannot be written here"):
            fill(said, form, **columns)


def test_columns_are_classes_only_if_all_are():
    assert match_columns(["a", "b"], ["a", "b", "c"]) is None
    assert match_columns(["dog"], ["cat", "dog", "owl"]) == {"dog": 1}
    assert match_columns(["class_10", "class_1"], ["1", "10"]) == {"class_10": 1, "class_1": 0}
