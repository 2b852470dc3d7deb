"""Ratings as people write them."""

import pytest

from common.errors import DataError
from labs.rnn.stars import read_ratings


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *(("4", 4), ("4.5", 4.5), ("4,5", 4.5), ("-1", -1), ("４", 4), ("0,992", 0.992)),
        *(("★★★★", 4), ("★★★½", 3.5), ("⭐️⭐️", 2), ("★ ★ ★", 3), ("3½", 3.5)),
        *(("별점 4", 4), ("평점: 4.5점", 4.5), ("별 3개", 3), ("4점", 4), ("4 stars", 4)),
        *(("rating: 2", 2), ("4/5", 4), ("4 out of 5 stars", 4), ("4.5점 / 5점", 4.5)),
        ("★★★★☆", 4),
    ],
)
def test_a_rating_is_read_however_it_is_written(cell, value):
    found = read_ratings([cell], "here")
    assert found.values == [value]
    assert not found.reasons
    assert bool(found.notes) == (cell not in ("4", "4.5", "-1", "４"))


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        *(("", "missing"), ("N/A", "missing"), ("good", "no rating"), ("4-5", "no rating")),
        *(("1,234", "may be 1234 or 1.234"), ("☆☆☆", "no rating"), ("80%", "no rating")),
        ("1e9", "no rating"),
        ("12345678", "too large"),
        ("inf", "no rating"),
    ],
)
def test_what_is_no_rating_is_named_with_its_row(cell, why):
    found = read_ratings(["3", cell, "4"], "here")
    assert found.values == [3, None, 4]
    assert why in found.reasons[1]


def test_what_is_more_than_it_is_out_of_is_named():
    found = read_ratings(["4/5", "6/5", "7", "3"], "here")
    assert found.values == [4, None, None, 3]
    assert "not between 0 and 5" in found.reasons[1]


def test_ratings_out_of_several_numbers_are_refused():
    with pytest.raises(DataError, match="out of 5 .* and out of 10"):
        read_ratings(["4/5", "8/10"], "here")


def test_a_column_of_words_is_refused():
    with pytest.raises(DataError, match="2 of 3 labels are no ratings"):
        read_ratings(["good", "bad", "3"], "here")
