"""Rows of a table of test data are those of a sample's ids, each certainly."""

import dataclasses

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
