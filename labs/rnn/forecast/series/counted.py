"""Dates that are counted: seconds since 1970, parts of years, days of a spreadsheet.

Each is one number, so that only a whole column shows what is counted, and from when.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from common.metrics.metrics import Array

_SECOND = 1_000_000  # microseconds
_DAY = 24 * 3600  # seconds
_ENOUGH = 3  # numbers that show what they count

_SINCE_1970 = (
    (r"\d{9,10}(?:\.\d{1,6})?", _SECOND, "seconds"),
    (r"\d{12,13}(?:\.\d{1,3})?", 1000, "milliseconds"),
    (r"\d{15,16}(?:\.0+)?", 1, "microseconds"),
    (r"\d{15,16}000", Decimal("0.001"), "nanoseconds"),
)
_PARTS_OF_YEARS = ((1, "years"), (4, "quarters"), (12, "months"))
_OFF = 0.15  # of a month that its days, and what was rounded, move a part of a year
_FIRST_SHEET, _LAST_SHEET = 30_000, 60_000  # days of a spreadsheet: from 1982 to 2064
_DAY_0 = date(1899, 12, 30).toordinal() - date(1970, 1, 1).toordinal()


def read(texts: Sequence[str]) -> tuple[Array, str] | None:
    """Read numbers that count time; None where they count nothing that is known.

    Returns:
        Microseconds since 1970 (N,), and words for a person.
    """
    return _since_1970(texts) or _parts_of_years(texts) or _days_of_a_sheet(texts)


def _since_1970(texts: Sequence[str]) -> tuple[Array, str] | None:
    for pattern, size, unit in _SINCE_1970:
        if all(re.fullmatch(pattern, text) for text in texts):
            values = np.array([int(Decimal(text) * size) for text in texts])
            return values, f"{unit} since 1970, in UTC, such as {texts[0]!r}"
    return None


def _parts_of_years(texts: Sequence[str]) -> tuple[Array, str] | None:
    """Read 1749.042, 1749.123 as months, 1950.25 as quarters and 1700.5 as years."""
    if not all(re.fullmatch(r"[12]\d{3}(?:\.\d+)?", text) for text in texts):
        return None
    numbers = np.array(texts, float)
    if len(np.unique(numbers)) < _ENOUGH or (numbers % 1 == 0).all():
        return None
    for count, unit in _PARTS_OF_YEARS:
        places = numbers * count
        off = (places - places[0] + 0.5) % 1 - 0.5  # from the same place of each month
        whole = np.floor(places + 0.25).astype(int)  # it begins there, or is in the middle
        if np.ptp(off) <= _OFF and len(np.unique(whole)) == len(np.unique(numbers)):
            months = np.datetime64("0000-01", "M") + whole * (12 // count)
            values = months.astype("datetime64[D]").astype("datetime64[us]").astype(int)
            return values, f"parts of years: {unit}, each at its first day, such as {texts[0]!r}"
    return None


def _days_of_a_sheet(texts: Sequence[str]) -> tuple[Array, str] | None:
    """Read 43831 as 2020-01-01, as spreadsheets count days; times to the second."""
    if not all(re.fullmatch(r"\d{5}(?:\.\d+)?", text) for text in texts):
        return None
    numbers = np.array(texts, float)
    inside = numbers.min() >= _FIRST_SHEET and numbers.max() < _LAST_SHEET
    if not inside or len(np.unique(numbers)) < _ENOUGH:
        return None
    seconds = np.round((numbers + _DAY_0) * _DAY).astype(int)
    return seconds * _SECOND, f"days of a spreadsheet, such as {texts[0]!r}"
