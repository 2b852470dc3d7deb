"""Dates as people write them, their spacing, and those to come."""

import unicodedata

import numpy as np
import pytest

from labs.rnn.forecast.series import dates, spacing
from labs.rnn.forecast.series.dates import Unreadable
from labs.rnn.forecast.series.spacing import Spacing


def axis(*texts):
    return np.array(texts, "datetime64[s]")


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-30", "2024-02-01"],
        ["20240130", "20240201"],
        ["2024/1/30", "2024/2/1"],
        ["2024.01.30", "2024.02.01"],
        ["2024. 1. 30.", "2024. 2. 1."],
        ["2024년 1월 30일", "2024년 2월 1일"],
        [unicodedata.normalize("NFD", "2024년 1월 30일"), "2024년 2월 1일"],
        ["1/30/2024", "2/1/2024"],
        ["30/1/2024", "1/2/2024"],
        ["30.01.2024", "01.02.2024"],
        ["Jan 30, 2024", "Feb 1, 2024"],
        ["Jan-30-2024", "Feb-1-2024"],
        ["30-Jan-2024", "01-Feb-2024"],
        ["30-01-2024", "01-02-2024"],
        ["2024-01-30 00:00", "2024-02-01 00:00"],
    ],
)
def test_the_same_dates_in_many_ways(texts):
    assert (dates.read(texts).values == axis("2024-01-30", "2024-02-01")).all()


def test_months_and_years():
    assert (dates.read(["2024-01", "2024-02"]).values == axis("2024-01-01", "2024-02-01")).all()
    assert (dates.read(["2023년 12월"]).values == axis("2023-12-01")).all()
    assert (dates.read(["1999", "2000"]).values == axis("1999-01-01", "2000-01-01")).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["2023Q4", "2024Q1"],
        ["2023-Q4", "2024-Q1"],
        ["Q4 2023", "Q1 2024"],
        ["2023년 4분기", "2024년 1분기"],
    ],
)
def test_quarters(texts):
    found = dates.read(texts).values
    assert (found == axis("2023-10-01", "2024-01-01")).all()
    assert spacing.infer(found) == Spacing("month", 3, 1)


@pytest.mark.parametrize(
    ("texts", "row", "match"),
    [
        (["tomorrow"], 0, "expected a date, given 'tomorrow'"),
        (["2024-01-01", "2024-02-30"], 1, "in the way of '2024-01-01', given '2024-02-30'"),
        (["2024-01-01", "2024-01-02", "02/01/2024"], 2, "given '02/01/2024'"),
        (["", "2024-01-01"], 0, "given ''"),
        (
            ["1/2/2024", "3/4/2024"],
            0,
            "may be written day, month, year or month, day, year; say which with",
        ),
    ],
)
def test_what_is_no_date_is_named_by_row(texts, row, match):
    with pytest.raises(Unreadable, match=match) as caught:
        dates.read(texts)
    assert caught.value.row == row


@pytest.mark.parametrize(
    ("known", "expected", "name", "following"),
    [
        (
            ["2024-01-01", "2024-01-02", "2024-01-03"],
            Spacing("day", 1),
            "every day",
            ["2024-01-04", "2024-01-05"],
        ),
        (
            ["2024-01-02", "2024-01-09", "2024-01-16"],
            Spacing("day", 7),
            "every 7 days",
            ["2024-01-23", "2024-01-30"],
        ),
        (
            ["2023-12-01", "2024-01-01", "2024-02-01"],
            Spacing("month", 1, 1),
            "every month",
            ["2024-03-01", "2024-04-01"],
        ),
        (  # the ends of months
            ["2023-12-31", "2024-01-31", "2024-02-29"],
            Spacing("month", 1, 31),
            "every month",
            ["2024-03-31", "2024-04-30"],
        ),
        (
            ["2023-06-30", "2023-09-30", "2023-12-30"],
            Spacing("month", 3, 30),
            "every 3 months",
            ["2024-03-30", "2024-06-30"],
        ),
        (
            ["2022-01-01", "2023-01-01", "2024-01-01"],
            Spacing("month", 12, 1),
            "every 12 months",
            ["2025-01-01", "2026-01-01"],
        ),
        (
            ["2024-01-01T22:00", "2024-01-01T22:30", "2024-01-01T23:00"],
            Spacing("second", 1800),
            "every 30 minutes",
            ["2024-01-01T23:30", "2024-01-02T00:00"],
        ),
        (  # a Monday to a Friday and the next Monday: the weekend is no gap
            [f"2024-01-{day:02}" for day in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12)],
            Spacing("business day", 1),
            "every business day",
            ["2024-01-15", "2024-01-16"],
        ),
        (
            ["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-11"],
            Spacing("irregular", 3 * 86400),
            "at irregular dates",
            ["2024-01-14", "2024-01-17"],
        ),
    ],
)
def test_spacing_and_what_follows(known, expected, name, following):
    found = spacing.infer(axis(*known))
    assert (found, str(found)) == (expected, name)
    assert (found.after(axis(*known)[-1], 2) == axis(*following)).all()
    assert (found.steps(axis(*known)) == 1).all()
    assert Spacing(*list(found)) == found  # as data.json keeps it


def test_missing_dates_are_counted():
    days = axis("2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06")
    assert spacing.infer(days).steps(days).tolist() == [1, 3, 1]
    months = axis("2024-01-31", "2024-02-29", "2024-05-31")
    assert spacing.infer(months).steps(months).tolist() == [1, 3]


def test_google_trades_on_business_days():
    from labs.rnn.forecast.config import ForecastConfig
    from labs.rnn.forecast.series.find import find

    panel = find(ForecastConfig())
    assert panel.spacing == Spacing("business day", 1)
    assert spacing.to_iso(panel.spacing.after(panel.dates[-1], 4)) == [
        "2008-10-15",
        "2008-10-16",
        "2008-10-17",
        "2008-10-20",
    ]


def test_times_are_written_only_where_there_are_any():
    assert spacing.to_iso(axis("2024-01-01")) == ["2024-01-01"]
    assert spacing.to_iso(axis("2024-01-01T00:00", "2024-01-01T06:00")) == [
        "2024-01-01T00:00:00",
        "2024-01-01T06:00:00",
    ]
