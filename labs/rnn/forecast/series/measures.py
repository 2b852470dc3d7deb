"""Columns of numbers that measure nothing, so that nobody wants them foretold.

Tables are handed out with numbers of rows, codes, parts of the date and flags between their
measurements. Each would be a series, and a good forecast of the day of the week hides a bad one of
the sales. A name alone is no proof, so the cells have to agree with it.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from common.metrics.metrics import Array
from labs.rnn.forecast.series import columns
from labs.rnn.forecast.series.columns import Times

Cells = Mapping[str, Sequence[str]]

_CODES = frozenset(("id", "ids", "code", "codes", "zip", "postal", "postcode", "zipcode"))
_KOREAN_CODES = ("코드", "번호", "아이디")
_NUMBERS_OF = frozenset(
    (
        *("invoice", "order", "customer", "account", "ticket", "receipt", "store", "shop", "item"),
        *("station", "stock", "row"),
    )
)
_PARTS = frozenset(
    (
        *("year", "yr", "years", "month", "mnth", "mon", "mo", "monthnum", "day", "dayofmonth"),
        *("weekday", "dayofweek", "dow", "wday", "week", "weekofyear", "weeknum", "quarter", "qtr"),
        *("hour", "hr", "hh", "hourofday", "minute"),
        *("연도", "년도", "년", "월", "일", "요일", "주", "주차", "분기", "시", "시간"),
    )
)
_IN_YEAR = frozenset(("dayofyear", "doy", "yday", "season", "계절"))
_FLAGS = frozenset(
    (
        *("holiday", "holidays", "workingday", "workday", "weekend", "flag", "open", "promo"),
        *("promotion", "businessday", "event"),
    )
)
_KOREAN_FLAGS = ("여부", "휴일", "주말")
_LONG = 8  # digits of dates, such as 20200131 and seconds since 1970
_SAMPLE = 50  # cells that show whether a column may be of dates
_NEAR = np.timedelta64(400, "D")  # that other dates of a row are from its own


def find_others(
    cells: Cells, times: Times, names: Sequence[str], keys: Sequence[str] = ()
) -> dict[str, str]:
    """Find columns of numbers that measure nothing, each with what it holds.

    Args:
        cells: of each column.
        times: the dates.
        names: the columns of values.
        keys: those that tell series apart.
    """
    asked = [name for name in names if columns.are_numbers(cells[name]) and any(cells[name])]
    found = {name: what for name in asked if (what := _other(name, cells[name], times))}
    if not keys:
        return found
    series, _ = columns.series_of(cells, keys, times.rows)
    kept = [name for name in asked if name not in found]
    same = [name for name in kept if _is_of_series(cells[name], series, times)]
    return found if same == kept else found | dict.fromkeys(same, "one number for each series")


def _other(name: str, column: Sequence[str], times: Times) -> str | None:
    words = columns.words_of(name)
    if columns.is_row_number(name, column):
        return "numbers of rows"
    if _says_codes(name, words) and _are_whole(column):
        return "codes"
    if _says_part(name, words) and _are_whole(column) and _is_part(words, column, times):
        return "a part of the date"
    if _are_dates(name, column, times):
        return "dates"
    if _says_flag(name, words) and _are_flags(column):
        return "0 and 1, a flag"
    return None


def _is_of_series(column: Sequence[str], series: Array, times: Times) -> bool:
    """Say whether all rows of a series have the same number, as its code or its place."""
    seen: dict[int, str] = {}
    rows = zip(series.tolist(), times.rows, strict=True)
    return all(seen.setdefault(each, column[row]) == column[row] for each, row in rows)


def _are_whole(column: Sequence[str]) -> bool:
    return all(re.fullmatch(r"-?\d+(?:\.0+)?", cell) for cell in column if cell)


def _says_codes(name: str, words: Sequence[str]) -> bool:
    numbered = len(words) > 1 and words[-1] in ("no", "nbr") and words[-2] in _NUMBERS_OF
    return bool(_CODES & set(words)) or name.endswith(_KOREAN_CODES) or numbered


def _are_flags(column: Sequence[str]) -> bool:
    found = {cell.removesuffix(".0") for cell in column}
    return bool(found & {"0", "1"}) and found <= {"", "0", "1"}


def _says_flag(name: str, words: Sequence[str]) -> bool:
    is_something = len(words) > 1 and words[0] == "is"
    return bool(_FLAGS & {*words, "".join(words)}) or is_something or name.endswith(_KOREAN_FLAGS)


def _says_part(name: str, words: Sequence[str]) -> bool:
    return "".join(words) in _PARTS | _IN_YEAR and not re.search(r"\d", name)


def _is_part(words: Sequence[str], column: Sequence[str], times: Times) -> bool:
    """Say whether each year, or month, day, hour and so on always has the same number."""
    values = np.unique([column[row] for row in times.rows], return_inverse=True)[1]
    when = times.read.values
    parts = [_day_in_year(when)] if "".join(words) in _IN_YEAR else _parts_of(when)
    return any(_decides(part, values) for part in parts)


def _parts_of(when: Array) -> list[Array]:
    """Return the years, quarters, months, days, ISO weeks, weekdays, hours and minutes of dates."""
    days, months, years = (when.astype(f"datetime64[{unit}]") for unit in "DMY")
    month = months.astype(int) % 12
    weekday = (days.astype(int) + 3) % 7
    thursday = days + (3 - weekday).astype("timedelta64[D]")
    first = thursday.astype("datetime64[Y]").astype("datetime64[D]")
    minutes = (when - days).astype("timedelta64[m]").astype(int)
    day = (days - months).astype(int)
    week = (thursday - first).astype(int) // 7
    return [
        *(years.astype(int), month // 3, month, day),
        *(week, weekday, minutes // 60, minutes % 60),
    ]


def _day_in_year(when: Array) -> Array:
    """Return a number of each day of the year, the same in all years, for seasons too."""
    days, months = when.astype("datetime64[D]"), when.astype("datetime64[M]")
    return np.asarray(months.astype(int) % 12 * 31 + (days - months).astype(int))


def _decides(part: Array, values: Array) -> bool:
    both = np.unique(np.stack([part, values]), axis=1)
    return bool(both.shape[1] == len(np.unique(part)))


def _are_dates(name: str, column: Sequence[str], times: Times) -> bool:
    """Say whether numbers are dates, rising with those of their rows, and never far from them."""
    few = [column[row] for row in times.rows[:_SAMPLE]]
    long = all(len(cell) >= _LONG for cell in few)
    if not all(few) or not (long or columns.is_called_date(name)):
        return False
    if columns.read_or_none(few) is None:
        return False
    written = [column[row] for row in times.rows]
    if not all(written) or (found := columns.read_or_none(written)) is None:
        return False
    own = times.read.values
    in_order = found[np.argsort(own, kind="stable")]
    rising = (np.diff(in_order).astype(int) >= 0).all()
    return bool(rising and (np.abs(found - own) <= _NEAR).all())
