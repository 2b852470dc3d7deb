"""Tables whose dates run across the top: turned, so that each row has one date and one value.

Statistics are handed out so: a row for each country and a column for each year, a row for each
year and a column for each month, a row for each day and a column for each hour. Read as they are,
January of all years would be one series, and February another.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

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
    if _find_dates(others) is not None:
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
    """Turn months or quarters beside a column of years, or hours beside dates."""
    for part, first, last, number in (
        ("months", 1, 12, columns.number_of_month),
        ("quarters", 1, 4, _number_of_quarter),
        ("hours", 0, 23, _number_of_hour),
        ("hours", 1, 24, _number_of_hour),
    ):
        across = _run(list(cells), range(first, last + 1), number)
        if not across:
            continue
        others = {name: column for name, column in cells.items() if name not in across}
        found = _days(others) if part == "hours" else _years(others)
        if found is None:
            continue
        name, starts = found
        form = {"months": "{}-{:02}", "quarters": "{}-Q{}", "hours": "{} {:02}:00"}[part]
        texts = [
            [form.format(start, n) if start else others[name][row] for n in range(first, last + 1)]
            for row, start in enumerate(starts)
        ]
        del others[name]
        return _turned(cells, across, texts, others, f"column {name!r} goes on in {part}")
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


def _years(cells: Cells) -> tuple[str, list[str]] | None:
    """Return the column of years, and the year of each row, empty where it has none.

    None where there is no such column, or another one has dates.
    """
    for name, column in cells.items():
        found = [re.fullmatch(r"([12]\d{3})(?:년|\.0)?", cell) for cell in column]
        if sum(map(bool, found)) > len(column) / 2:
            others = {other: cells[other] for other in cells if other != name}
            if _find_dates(others) is not None:
                return None
            return name, [year[1] if year else "" for year in found]
    return None


def _days(cells: Cells) -> tuple[str, list[str]] | None:
    """Return the column of days, and the day of each row, empty where it has none."""
    times = _find_dates(cells)
    if times is None or len(times.columns) > 1:
        return None
    days = times.read.values.astype("datetime64[D]")
    if (days != times.read.values).any():
        return None
    found = [""] * len(cells[times.columns[0]])
    for row, day in zip(times.rows, days, strict=True):
        found[row] = str(day)
    return times.columns[0], found


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
    count = len(texts)
    left_out = [name for name in others if name not in kept and any(others[name])]
    said = f"{how}, {across[0]!r} to {across[-1]!r}: each cell is a row of column {VALUE!r}"
    if left_out:
        said += f"; left out beside them: {', '.join(map(repr, left_out))}"
    turned = {
        **{name: [cell for cell in cells[name] for _ in across] for name in kept},
        DATE: [text for row in texts for text in row],
        VALUE: [cells[name][row] for row in range(count) for name in across],
    }
    return Turned(turned, [row for row in range(count) for _ in across], said)
