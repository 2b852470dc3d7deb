"""Rows of a table of test data are those of a sample's ids, each certainly."""

import dataclasses
from pathlib import Path

import pytest

from common.errors import DataError
from common.io.tables import AS_FOUND
from common.options.config import ImageConfig
from common.submission.images import KEYS, find_images
from common.submission.sample import Sample
from common.submission.tables import match_names, read_test


def test_an_id_is_taken_for_another_only_where_that_is_certain():
    for names, ids, expected in (
        (["a/1.jpg", "b/1.jpg"], ["b/1.jpg", "a/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["a/1.jpg", "b/1.jpg"], ["a/1", "b/1"], ["a/1", "b/1"]),
        (["A1.png", "a1.png"], ["a1.png", "A1.png"], ["A1.png", "a1.png"]),
        (["test/1.PNG", "test\\\\2.png"], ["1", "2"], ["1", "2"]),
        (["a/1.jpg", "b/1.jpg"], ["1"], [None, None]),
        (["1.jpg"], ["a/1.jpg", "b/1.jpg"], [None]),
    ):
        assert [*map(match_names(names, ids, KEYS).get, names)] == expected


def test_a_row_with_too_many_or_too_few_cells_is_named(tmp_path):
    (tmp_path / "test.csv").write_text("id,text\n1,good\n2,bad, really\n3\n4,fine\n")
    sample = Sample.parse(b"id,y\n1,0\n2,0\n3,0\n4,0\n", tmp_path / "sample.csv")
    sample = dataclasses.replace(sample, id_column="id", answer_columns=("y",))
    found = read_test(tmp_path / "test.csv", sample, ["text"], AS_FOUND)
    assert found.cells == {"1": ("good",), "4": ("fine",)}
    assert found.unreadable == {"2": "3 cells, expected 2", "3": "1 cell, expected 2"}


@pytest.mark.parametrize(
    "crop", [{"crop_boxes": "boxes.csv"}, {"crop_column": ("x", "y", "w", "h")}]
)
def test_runs_that_learned_crops_are_refused(tmp_path, crop):
    sample = Sample.parse(b"id,y\n1,0\n", tmp_path / "sample.csv")
    with pytest.raises(DataError, match="a submission for parts of images .--crop-.* is not writ"):
        find_images(sample, tmp_path, ImageConfig(**crop), print)


def numbered(first, rows):
    ids = "".join(f"{first + row},0\n" for row in range(rows))
    sample = Sample.parse(f"ImageId,Label\n{ids}".encode(), Path("sample.csv"))
    return dataclasses.replace(sample, id_column="ImageId", answer_columns=("Label",))


@pytest.mark.parametrize("first", [0, 1])
def test_rows_without_ids_are_the_samples_in_order(tmp_path, first):
    (tmp_path / "test.csv").write_text("text\ngood\nbad\nfine\n")
    found = read_test(tmp_path / "test.csv", numbered(first, 3), ["text"], AS_FOUND)
    assert found.cells == {
        str(first): ("good",),
        str(first + 1): ("bad",),
        str(first + 2): ("fine",),
    }
    assert found.notes == (
        "test.csv has no column of ids: its rows are those of sample.csv in order",
    )


def test_rows_are_not_counted_where_they_may_be_others(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text("text\ngood\nbad\nfine\n")
    with pytest.raises(DataError, match="no column has the ids"):
        read_test(path, numbered(1, 4), ["text"], AS_FOUND)
    with pytest.raises(DataError, match="no column has the ids"):
        read_test(path, numbered(7, 3), ["text"], AS_FOUND)
    path.write_text("text,stars\ngood,9\nbad,2\nfine,8\n")  # one of the numbers is an id
    with pytest.raises(DataError, match="no column has the ids"):
        read_test(path, numbered(1, 3), ["text"], AS_FOUND)
    path.write_text("text,a\ngood,x\nbad, really,x\nfine,x\nill,x\n")
    with pytest.raises(DataError, match="no column has the ids|no column of ids, and 3 rows"):
        read_test(path, numbered(1, 3), ["text"], AS_FOUND)
