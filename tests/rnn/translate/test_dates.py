"""Every way to write a date says the whole date, and can be read back."""

from datetime import date

import pytest

from labs.rnn.translate import dates
from labs.rnn.translate.dates import FORMS


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "일"), (10, "십"), (11, "십일"), (20, "이십"), (1900, "천구백"), (1987, "천구백팔십칠")]
    + [(2000, "이천"), (2005, "이천오"), (2024, "이천이십사"), (2099, "이천구십구")],
)
def test_korean_numbers(number, words):
    assert dates.korean(number) == words


def test_korean_months_keep_their_irregular_names():
    months = [dates.korean_month(month) for month in range(1, 13)]
    expected = "일월 이월 삼월 사월 오월 유월 칠월 팔월 구월 시월 십일월 십이월"
    assert " ".join(months) == expected


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "first"), (2, "second"), (3, "third"), (4, "fourth"), (5, "fifth"), (8, "eighth")]
    + [(9, "ninth"), (12, "twelfth"), (13, "thirteenth"), (20, "twentieth")]
    + [(21, "twenty-first"), (22, "twenty-second"), (30, "thirtieth"), (31, "thirty-first")],
)
def test_english_ordinals(number, words):
    assert dates.english_ordinal(number) == words


@pytest.mark.parametrize(
    ("year", "words"),
    [(1900, "nineteen hundred"), (1905, "nineteen oh five"), (1910, "nineteen ten")]
    + [(1984, "nineteen eighty-four"), (2000, "two thousand"), (2007, "two thousand seven")]
    + [(2010, "twenty ten"), (2024, "twenty twenty-four"), (2099, "twenty ninety-nine")],
)
def test_english_years(year, words):
    assert dates.english_year(year) == words


def test_suffixes():
    written = [dates.suffixed(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)]
    assert " ".join(written) == "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 31st"


def test_what_one_day_looks_like():
    written = {form(date(2024, 6, 5)) for form in FORMS}
    assert len(written) == len(FORMS)
    assert {
        "2024년 6월 5일",
        "2024년 6월 5일 수요일",
        "이천이십사년 유월 오일",
        "2024. 6. 5. (수)",
        "June 5, 2024",
        "5 Jun 2024",
        "Wednesday 5 June 2024",
        "the fifth of June, twenty twenty-four",
    } <= written


@pytest.mark.parametrize("form", FORMS)
def test_no_two_days_are_written_alike(form):
    first, last = dates.FIRST.toordinal(), dates.LAST.toordinal()
    days = range(first, last + 1, 7)  # 7 is prime to neither months nor years, and quick
    assert len({form(date.fromordinal(day)) for day in days}) == len(days)
