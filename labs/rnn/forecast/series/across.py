"""Tables whose dates run across the top: turned, so that each row has one date and one value.

Statistics are handed out so: a row for each country and a column for each year, a row for each
year and a column for each month, a row for each day and a column for each hour. Read as they are,
January of all years would be one series, and February another.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array
from labs.rnn.forecast.series import columns, dates

Cells = Mapping[str, Sequence[str]]

KIND = "kind"  # the column of what is counted, where names of columns are `2015 men`
DATE, VALUE = "date", "value"  # the columns of a turned table, beside those that name its series

_FEWEST = 3  # names of columns that are dates
_DATED = re.compile(
    r"(?:.*\D)?(?:1[5-9]|20)\d\d(?:\D.*)?|(?:19|20)\d{4}(?:\d\d)?|\d{1,2}[./-]\d{1,2}[./-]\d\d"
)
# World Bank's 1960 [YR1960], X1960 of R, and 2012.01 월 and 2020.12 p) of KOSIS.
_AROUND = re.compile(r"^X(?=\d)|\s*\[YR\d{4}\]$|\s+[년월]$|\s*p\)$")


class Turned(NamedTuple):
    """A table with a row for each cell that held a value."""

    cells: dict[str, list[str]]
    rows: list[int]  # of the table as it was, that each row comes from
    said: str  # what was done, for a person


def turn(cells: Cells, order: str | None = None) -> Turned | None:
    """Turn a table whose dates, or months, quarters or hours, run across the top; None for others.

    Columns of names and codes stay, and tell its series apart; other columns, such as totals of
    years, are left out, which `said` names.

    Args:
        cells: of each column.
        order: see `dates.read`.
    """
    if any(re.search(r"\\TIME(_PERIOD)?$", name, re.IGNORECASE) for name in cells):
        turned = _turn_dates(_without_flags(cells), order)
        said = "letters behind numbers, as of '12.3 p', are taken off"
        return turned and turned._replace(said=f"{turned.said}; {said}")
    return _turn_parts(cells) or _turn_dates(cells, order) or _turn_kinds(cells, order)


def _turn_kinds(cells: Cells, order: str | None) -> Turned | None:
    """Turn a table with several columns of each date, such as `2015 men` and `2015 women`."""
    if (stacked := _stack(cells)) is None or (turned := _turn_dates(stacked, order)) is None:
        return None
    count = len(next(iter(cells.values())))
    return turned._replace(rows=[row % count for row in turned.rows])


def _without_flags(cells: Cells) -> Cells:
    """Take Eurostat's flags off its numbers: `12.3 p` is provisional, and `:` is missing."""
    return {
        name: [re.sub(r"^:.*$|(?<=\d)\s*[a-z]{1,3}$", "", cell) for cell in column]
        if is_dated(name)
        else column
        for name, column in cells.items()
    }


def _stack(cells: Cells) -> Cells | None:
    """Put what is counted at each date into rows, where names are `2015 men`, `2015 women`, ….

    None for other tables.
    """
    parts = {name: _split(name) for name in cells}
    kinds: dict[str, list[str]] = {}  # the dates of each
    for date, kind in filter(None, parts.values()):
        kinds.setdefault(kind, []).append(date)
    dated = list(kinds.values())
    if len(kinds) < 2 or len(dated[0]) < _FEWEST or any(each != dated[0] for each in dated):
        return None
    others = [name for name, part in parts.items() if part is None]
    if KIND in others:
        return None
    count = len(next(iter(cells.values())))
    stacked = {name: list(cells[name]) * len(kinds) for name in others}
    stacked[KIND] = [kind for kind in kinds for _ in range(count)]
    names = {part: name for name, part in parts.items() if part}
    for date in dated[0]:
        stacked[date] = [cell for kind in kinds for cell in cells[names[date, kind]]]
    return stacked


def _split(name: str) -> tuple[str, str] | None:
    """Return the date before other words in a name, and these; None for other names."""
    found = re.fullmatch(r"(\S+(?: [년월]| p\))?) (?![년월]$)(.*\D.*)", name)
    return (found[1], found[2]) if found and is_dated(found[1]) and _is_one(found[1]) else None


def _is_one(text: str) -> bool:
    return columns.read_or_none([_AROUND.sub("", text)]) is not None


def _turn_dates(cells: Cells, order: str | None) -> Turned | None:
    named = {name: _AROUND.sub("", name.strip()) for name in cells}
    across = [name for name in named if is_dated(name)]
    if len(across) < _FEWEST or not _rise([named[name] for name in across], order):
        return None
    others = {name: column for name, column in cells.items() if name not in across}
    if _has_dates(others):
        return None
    texts = [[named[name] for name in across]] * len(cells[across[0]])
    return _turned(cells, across, texts, others, "a row is a series, and its columns are dates")


def is_dated(name: str) -> bool:
    """Say whether the name of a column may be a date."""
    return _DATED.fullmatch(_AROUND.sub("", name.strip())) is not None


def _rise(texts: Sequence[str], order: str | None) -> bool:
    """Say whether texts are dates, one later than the other, or one earlier."""
    try:
        steps = np.diff(dates.read(texts, order).values).astype(int)
    except dates.Unreadable:
        return False
    return bool((steps > 0).all() or (steps < 0).all())


def _turn_parts(cells: Cells) -> Turned | None:
    """Turn months or quarters beside a column of years, days beside months, times beside days."""
    for part in _PARTS:
        across = _run(list(cells), part.wanted, part.number)
        if not across:
            continue
        others = {name: column for name, column in cells.items() if name not in across}
        if (found := part.beside(others)) is None:
            continue
        names, starts = found
        texts = [
            [part.write(start, n) if start else others[names[0]][row] for n in part.wanted]
            for row, start in enumerate(starts)
        ]
        for name in names:
            del others[name]
        how = f"column {names[0]!r} goes on in {part.name}"
        return _turned(cells, across, texts, others, how)
    return None


def _run(names: Sequence[str], wanted: range, number: Callable[[str], int | None]) -> list[str]:
    """Return the columns side by side whose names are the numbers wanted, in order; [] without."""
    found = [number(name.strip()) for name in names]
    for start in range(len(names) - len(wanted) + 1):
        end = start + len(wanted)
        if found[start:end] == list(wanted) and not "".join(names[end : end + 1]).isdecimal():
            return list(names[start:end])
    return []


def _number_of_quarter(name: str) -> int:
    """Return the quarter that a name says; digits alone may be the numbers of anything."""
    return 0 if name.isdecimal() else columns.number_of_quarter(name)


def _number_of_hour(name: str) -> int | None:
    """Return the hour that a name says; digits alone may be the numbers of anything."""
    found = re.fullmatch(r"H(\d{1,2})|(\d{1,2})(?:시|:00|h)", name, re.IGNORECASE)
    return int(found[1] or found[2]) if found else None


def _number_of_day(name: str) -> int | None:
    found = re.fullmatch(r"(\d{1,2})일?", name)
    return int(found[1]) if found else None


def _number_of_minute(name: str) -> int | None:
    found = re.fullmatch(r"(\d{1,2}):([0-5]\d)(?::00)?", name)
    return 60 * int(found[1]) + int(found[2]) if found else None


def _write_day(month: str, day: int) -> str:
    """Return a day of a month, empty where it has none such."""
    year, number = map(int, month.split("-"))
    return f"{month}-{day:02}" if day <= monthrange(year, number)[1] else ""


def _write_time(day: str, minutes: int) -> str:
    return f"{day} {minutes // 60:02}:{minutes % 60:02}"


_Starts = tuple[Sequence[str], list[str]]  # the columns beside, and where each row begins


def _years(cells: Cells) -> _Starts | None:
    """Return the column of years, and the year of each row, empty where it has none.

    None where there is no such column, or another one has dates.
    """
    for name, column in cells.items():
        found = [re.fullmatch(r"([12]\d{3})(?:년|\.0)?", cell) for cell in column]
        if sum(map(bool, found)) > len(column) / 2:
            others = {other: cells[other] for other in cells if other != name}
            if _find_dates(others) is not None:
                return None
            return [name], [year[1] if year else "" for year in found]
    return None


def _months(cells: Cells) -> _Starts | None:
    """Return the columns of months, each once, and the month of each row."""
    times = _find_dates(cells)
    if times is None:
        return None
    months = times.read.values.astype("datetime64[M]")
    if not times.read.of_months or len(np.unique(months)) < len(months):
        return None
    return times.columns, _of_rows(times, months, cells)


def _days(cells: Cells) -> _Starts | None:
    """Return the column of days, and the day of each row, empty where it has none."""
    times = _find_dates(cells)
    if times is None or len(times.columns) > 1:
        return None
    days = times.read.values.astype("datetime64[D]")
    if (days != times.read.values).any():
        return None
    return times.columns, _of_rows(times, days, cells)


def _of_rows(times: columns.Times, starts: Array, cells: Cells) -> list[str]:
    found = [""] * len(cells[times.columns[0]])
    for row, start in zip(times.rows, starts, strict=True):
        found[row] = str(start)
    return found


class _Part(NamedTuple):
    """What dates go on in, across the top."""

    name: str
    wanted: range  # numbers of the columns
    number: Callable[[str], int | None]  # that the name of a column has
    beside: Callable[[Cells], _Starts | None]
    write: Callable[[str, int], str]  # a date, of where a row begins and a number


_PARTS = (
    _Part("months", range(1, 13), columns.number_of_month, _years, "{}-{:02}".format),
    _Part("quarters", range(1, 5), _number_of_quarter, _years, "{}-Q{}".format),
    _Part("days", range(1, 32), _number_of_day, _months, _write_day),
    *(
        _Part("hours", range(first, first + 24), _number_of_hour, _days, "{} {:02}:00".format)
        for first in (0, 1)
    ),
    *(
        _Part("times", range(first, first + 24 * 60, step), _number_of_minute, _days, _write_time)
        for step in (60, 30, 20, 15, 10, 5)
        for first in (0, step)
    ),
)


def _has_dates(cells: Cells) -> bool:
    """Say whether columns are dates beside others: numbers alone are so where they are called so.

    Zillow's numbers of regions, 102001, 102002, … might be days.
    """
    times = _find_dates(cells)
    if times is None:
        return False
    name = times.columns[0]
    return not columns.are_numbers(cells[name]) or columns.is_called_date(name)


def _find_dates(cells: Cells) -> columns.Times | None:
    try:
        return columns.find_dates(cells)
    except (columns.Unknown, columns.WrongDate):
        return None


def _turned(
    cells: Cells, across: Sequence[str], texts: Sequence[list[str]], others: Cells, how: str
) -> Turned:
    """Return a row for each cell of the columns `across`, whose dates are `texts` of each row."""
    kept = columns.find_names(others)
    left_out = [name for name in others if name not in kept and any(others[name])]
    said = f"{how}, {across[0]!r} to {across[-1]!r}: each cell is a row of column {VALUE!r}"
    if left_out:
        said += f"; left out beside them: {', '.join(map(repr, left_out))}"
    dated = [
        (row, text, cells[name][row])
        for row, of_row in enumerate(texts)
        for text, name in zip(of_row, across, strict=True)
        if text or cells[name][row]  # no 30th of February
    ]
    rows = [row for row, _, _ in dated]
    turned = {
        **{name: [cells[name][row] for row in rows] for name in kept},
        DATE: [text for _, text, _ in dated],
        VALUE: [value for _, _, value in dated],
    }
    return Turned(turned, rows, said)
