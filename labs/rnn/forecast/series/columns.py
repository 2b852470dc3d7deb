"""Which columns of a table hold its dates, and which tell its series apart."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from common.io import numbers
from common.metrics.metrics import Array
from labs.rnn.forecast.series import dates
from labs.rnn.forecast.series.dates import Dates, Unreadable

Cells = Mapping[str, Sequence[str]]

_DATES = (
    *("date", "날짜", "일자", "일시", "ds", "datetime", "time", "timestamp", "기준일", "기준일자"),
    *("측정일시", "시점", "기간", "년월", "연월", "기준년월", "period", "day", "week", "month"),
    *(
        "unix",
        "unixtime",
        "epoch",
        "ts",
        "t",
        "quarter",
        "분기",
        "datum",
        "fecha",
        "yearmonth",
        "ym",
        "yyyymm",
        "yyyymmdd",
        "time_period",
    ),
)
_YEARS = (
    *("year", "yr", "years", "연도", "년도", "년", "jahr", "기준년도", "기준연도", "기준년"),
    *("조사년도", "조사연도", "회계연도"),
)
_MONTHS = (
    "month",
    "mon",
    "mo",
    "mm",
    "월",
    "월별",
    "months",
    "month_name",
    "month name",
    "monat",
    "기준월",
)
_DAYS = ("day", "dd", "dy", "일", "기준일", "mday", "day_of_month", "date_of_month")
_QUARTERS = ("quarter", "qtr", "q", "분기", "분기별")
_WEEKS = ("week", "wk", "weeknum", "week_of_year", "weekofyear", "epiweek", "주", "주차")
_DAYS_OF_YEARS = ("doy", "yday", "day_of_year", "dayofyear", "jday", "julian_day")
_PERIODS = ("period", "기간", "시점")  # months or quarters, beside years
_YEAR_MONTHS = ("년월", "연월", "기준년월", "yearmonth", "ym", "yymm", "month")
_YEAR_WEEKS = ("week", "yearweek", "year_week", "yyyyww", "epiweek", "isoweek", "주차", "년주차")
_TOTAL = re.compile(
    r"(?:합\s*계|총\s*계|소\s*계|누\s*계|누\s*적|계|평\s*균|연간|total|grand total|subtotal|sum|"
    r"average|mean|annual|M13|Q05)(?:\s*\([^)]*\))?",
    re.IGNORECASE,
)
_SOURCE = re.compile(r"(?:자료|출처|주석?|비고|source|notes?)\s*[:：)].*|[*※#].*", re.IGNORECASE)
_CLOCKS = (
    *("time", "clock", "hour", "hr", "hours", "시", "시간", "시각", "시분", "hh", "hhmm", "hhmmss"),
    *("<time>", "he", "hour ending", "hour_ending", "시간대", "시간대구분"),
)
_KEYS = (
    *(
        "id",
        "store",
        "shop",
        "item",
        "product",
        "sku",
        "family",
        "region",
        "station",
        "code",
        "key",
    ),
    *("age", "나이", "연령", "num", "building", "건물"),
    *("series", "name", "symbol", "ticker", "country", "state", "city", "dept", "department"),
    *(
        "매장",
        "점포",
        "지점",
        "상품",
        "품목",
        "지역",
        "코드",
        "번호",
        "종목",
        "구분",
        "시도",
        "시군구",
    ),
)
_THINGS = frozenset(  # that series are of, wherever one follows the other
    (
        *("store", "shop", "item", "product", "sku", "station", "symbol", "ticker", "country"),
        *(
            "city",
            "series",
            "unique",
            "매장",
            "점포",
            "지점",
            "지점명",
            "상품",
            "품목",
            "종목",
            "종목명",
        ),
    )
)
_NUMBERED = (
    *("", "id", "index", "idx", "no", "no.", "번호", "순번", "연번", "순서", "row", "unnamed: 0"),
    *("instant", "rownames", "row_id", "rowid", "row id", "rownum", "sno", "s.no", "record"),
)
_LISTED = 10  # names in a sentence
_SHOWN = 40  # letters of a cell in a sentence
_SAMPLE = 50  # cells that show whether a column is of dates
_ENOUGH_YEARS, _FIRST_YEAR = 3, 1500
_DENSE = 0.8  # share of the dates between its first and its last that it has
_STRETCH = 10  # dates of a series that follows another
_MOST_KEYS = 8  # columns that are tried as keys


class Times(NamedTuple):
    """The dates of a table."""

    columns: tuple[str, ...]  # that they were put together from
    rows: list[int]  # that have one
    read: Dates  # of these rows
    undated: Mapping[int, str] = MappingProxyType({})  # why some others have none
    said: str = ""  # what was filled in


class _Parts(NamedTuple):
    """Dates that were put together from columns."""

    columns: tuple[str, ...]
    texts: Sequence[str]
    undated: Mapping[int, str] = MappingProxyType({})
    said: str = ""


class Unknown(ValueError):
    """Columns do not tell what is what: the reason, what else helps, and the option that does."""

    def __init__(self, reason: str, option: str = "--date-column", advice: str = ""):
        super().__init__(reason)
        self.option, self.advice = option, advice


class WrongDate(ValueError):
    """A cell among dates that is none: its column and row, and the reason."""

    def __init__(self, column: str, row: int, reason: str):
        self.column, self.row, self.reason = column, row, reason
        super().__init__(f"{column}: {reason}")


def find_dates(cells: Cells, given: str | None = None, order: str | None = None) -> Times:
    """Find and read the dates of a table.

    Digits alone (years, 20200131, seconds since 1970) are dates where the name of their column says
    so, or where no other column is written as dates are and they alone rise as dates do.

    Args:
        cells: of each column.
        given: the column of dates, if it is known.
        order: see `dates.read`.

    Raises:
        Unknown: no column is one of dates, or several may be.
        WrongDate: a cell is none.
    """
    if given is not None:
        return _with_clock(cells, given, order)
    names = list(cells)
    called = [
        name
        for name in names
        if _is_called(name, _DATES) and not _may_be_elapsed(name, cells[name])
    ]
    years = [name for name in names if _is_called(name, _YEARS)]
    for name in called:
        if _looks_like_dates(cells[name], order):
            return _with_clock(cells, name, order)
    if (parts := _by_parts(cells)) is not None:
        return _join_clock(cells, parts, order)
    for name in years:
        if _looks_like_dates(cells[name], order, years=True):
            return _with_clock(cells, name, order)
    others = [name for name in names if name not in (*called, *years)]
    for name in others:
        if not are_numbers(cells[name]) and _looks_like_dates(cells[name], order):
            return _with_clock(cells, name, order)
    rising = [name for name in others if not _is_key(name) and _rises_as_dates(cells[name])]
    if rising and _are_spans([cells[name] for name in rising]):
        return _with_clock(cells, rising[0], order)
    if rising:
        raise Unknown(f"which column holds the dates, {' or '.join(map(repr, rising))}?")
    if called:  # the reason why not
        return _with_clock(cells, called[0], order)
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    listed = ", ".join(map(repr, names[:_LISTED])) + more
    reason = f"no column is written as dates are, of {listed};"
    raise Unknown(reason, advice=_without_dates(names))


def _are_spans(columns: Sequence[Sequence[str]]) -> bool:
    """Say whether all columns of numbers but the first are as far behind it in each row."""
    begins, *others = (dates.read([*filter(None, cells)]).values for cells in columns)
    return all(
        len(each) == len(begins) and len(np.unique(each - begins)) == 1 and each[0] >= begins[0]
        for each in others
    )


def _without_dates(names: Sequence[str]) -> str:
    """Say what to do where no column holds dates."""
    numbered = [name for name in names if re.fullmatch(r"[A-Za-z]+_?\d+", name)]
    if len(numbered) > _LISTED and len(numbered) > len(names) / 2:
        both = f"{numbered[0]!r} to {numbered[-1]!r}"
        return (
            f"columns {both} count steps: put their dates, such as 2020-01-31, in their place, or"
        )
    return "where there is none, add a column 'date' with the date of each row, or"


def _is_called(name: str, known: Sequence[str]) -> bool:
    """Say whether a name is known, or has a word for dates in it."""
    words = set(words_of(name))
    name = name.casefold().strip()
    dated = known is _DATES and (
        words & {"date", "datetime", "timestamp"}
        or name.endswith(("날짜", "일자", "일시", "date", "기준일id", "년월", "연월"))
    )
    dated = dated and not name.endswith(("update", "candidate"))
    return name in known or bool(dated)


def _may_be_elapsed(name: str, cells: Sequence[str]) -> bool:
    """Say whether five digits may count seconds or rows, and not a spreadsheet's days."""
    sample = _sample(cells)
    dated = re.search(r"date|날짜|일자|일시|기준일|datum|fecha|^ds$", name, re.IGNORECASE)
    return not dated and all(re.fullmatch(r"\d{5}(?:\.\d+)?", cell) for cell in sample)


def is_called_date(name: str) -> bool:
    """Say whether a name is one of a column of dates, or of years."""
    return _is_called(name, _DATES) or _is_called(name, _YEARS)


def words_of(name: str) -> list[str]:
    """Return the words of a name such as `DayOfWeek` or `store_nbr`, small."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.casefold() for word in re.findall(r"[^\W\d_]+", apart)]


def _sample(cells: Sequence[str]) -> list[str]:
    return list(itertools.islice(filter(None, cells), _SAMPLE))


def are_numbers(cells: Sequence[str]) -> bool:
    """Say whether a column's first cells are numbers, but for those that are missing."""
    told = (cell for cell in cells if cell and not numbers.is_missing(cell))
    sample = list(itertools.islice(told, _SAMPLE))
    return all(map(numbers.is_number, sample)) and (bool(sample) or not any(cells))


def read_or_none(texts: Sequence[str]) -> Array | None:
    """Return texts as dates, (N,); None where they are none, or may be several."""
    try:
        return dates.read(texts).values
    except Unreadable:
        return None


def _looks_like_dates(cells: Sequence[str], order: str | None, *, years: bool = False) -> bool:
    """Say whether a column's first cells are dates, at least up to a wrong one."""
    sample = [cell for cell in _sample(cells) if not _TOTAL.fullmatch(cell)]
    if not sample:
        return False
    if not years and all(re.fullmatch(r"[12]\d{3}", cell) for cell in sample):
        return _rises_as_dates(cells)
    try:
        dates.read(sample, order)
    except Unreadable as error:
        return error.telling or error.row > len(sample) / 2
    return True


def _rises_as_dates(cells: Sequence[str]) -> bool:
    """Say whether digits are a run of dates: they rise or fall, and years do so evenly."""
    texts = list(filter(None, cells))
    if len(texts) < _ENOUGH_YEARS or not all(map(str.isdecimal, texts[:_SAMPLE])):
        return False
    if len(texts[0]) == 5:  # days of a spreadsheet, where the name of the column says so
        return False
    try:
        found = dates.read(texts).values.astype("datetime64[s]").astype(int)
    except Unreadable:
        return False
    steps = np.diff(found)
    if all(len(text) == 8 for text in texts):  # hardly by chance
        return True
    if not ((steps > 0).all() or (steps < 0).all()):
        return False
    if len(texts[0]) > 4:
        return True
    apart = np.diff([int(text) for text in texts])
    _, counts = np.unique(apart, return_counts=True)
    return bool(int(min(texts)) >= _FIRST_YEAR and counts.max() > 0.8 * len(apart))


def _read(columns: tuple[str, ...], texts: Sequence[str], order: str | None) -> Times:
    undated = _not_dated(texts)
    rows = [row for row, text in enumerate(texts) if text and row not in undated]
    if not rows:
        raise Unknown(f"column {columns[0]!r} holds no dates;")
    written = [texts[row] for row in rows]
    if columns[0].casefold().strip() in _YEAR_MONTHS:
        written = _with_century(written)
    if columns[0].casefold().strip() in _YEAR_WEEKS:
        written = _as_weeks(written)
    try:
        return Times(columns, rows, dates.read(written, order), undated)
    except Unreadable as error:
        raise WrongDate(columns[0], rows[error.row], error.reason) from error


def _not_dated(texts: Sequence[str]) -> dict[int, str]:
    """Return the rows of totals, and of sources below the last date, each with the reason."""
    found = {
        row: f"{text!r} is a total, and no date"
        for row, text in enumerate(texts)
        if _TOTAL.fullmatch(text)
    }
    for row in range(len(texts) - 1, -1, -1):
        if texts[row] and row not in found:
            if not _SOURCE.fullmatch(texts[row]):
                break
            found[row] = f"{texts[row][:_SHOWN]!r} is a note below the table"
    return found


def _with_century(texts: list[str]) -> list[str]:
    """Return 2001, 2002 and so on as 2020-01, where their column is called one of months."""
    if len(texts) > 1 and all(re.fullmatch(r"\d\d(?:0[1-9]|1[0-2])", text) for text in texts):
        return [f"20{text[:2]}-{text[2:]}" for text in texts]
    return texts


def _as_weeks(texts: list[str]) -> list[str]:
    """Return 201950, 201951 and so on as 2019-W50, where some are no months."""
    weeks = [re.fullmatch(r"((?:19|20)\d\d)(0[1-9]|[1-4]\d|5[0-3])", text) for text in texts]
    if not all(weeks) or all(int(week[2]) <= 12 for week in weeks if week):
        return texts
    return [f"{week[1]}-W{week[2]}" for week in weeks if week]


def _with_clock(cells: Cells, name: str, order: str | None) -> Times:
    """Read a column of dates; where days come again and a column of hours is beside it, with it."""
    return _join_clock(cells, _Parts((name,), cells[name]), order)


def _join_clock(cells: Cells, parts: _Parts, order: str | None) -> Times:
    names, texts, undated, said = parts
    times = _read(names, texts, order)
    times = times._replace(undated={**times.undated, **undated}, said=said)
    values = times.read.values
    at_midnight = bool((values == values.astype("datetime64[D]")).all())
    if not at_midnight or len(np.unique(values)) == len(values):
        return times
    for other in cells:
        may_be = _is_called(other, _CLOCKS) or ":" in next(filter(None, cells[other]), "")
        if other not in names and may_be and (clock := _clock(cells[other])):
            rows = zip(texts, clock, strict=True)
            whole = [day and f"{day} {hour}" for day, hour in rows]
            again = _read((*names, other), whole, order)
            return again._replace(undated={**again.undated, **undated}, said=said)
    return times


def _clock(cells: Sequence[str]) -> list[str] | None:
    """Return times of day, or hours, as times; None where a column holds something else."""
    if all(re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(\s*[AaPp][Mm])?", cell) for cell in cells):
        return list(cells)
    if all(re.fullmatch(r"\d{1,2}\.\d{2}\.\d{2}", cell) for cell in cells):  # 18.00.00
        return list(cells)
    if all(re.fullmatch(r"[012]\d[0-5]\d[0-5]\d", cell) for cell in cells):  # 093000
        return [f"{cell[:2]}:{cell[2:4]}:{cell[4:]}" for cell in cells]
    starts = [re.sub(r"(?<=\d)시?\s*[~-]\s*\d{1,2}(?=시|$)(?:시간대)?", "", cell) for cell in cells]
    hours = [cell.removesuffix("시") for cell in starts]
    if all(re.fullmatch(r"\d{1,2}", hour) and int(hour) <= 24 for hour in hours):
        return [f"{int(hour):02}:00" for hour in hours]
    if all(re.fullmatch(r"(?:\d|[01]\d|2[0-4])?[0-5]?\d", hour) for hour in hours):  # 0, 0030, 2300
        return [f"{int(hour) // 100:02}:{int(hour) % 100:02}" for hour in hours]
    return None


def _by_parts(cells: Cells) -> _Parts | None:
    """Put dates together from columns of years, months and perhaps days; None without them.

    Raises:
        WrongDate: years come again, and the months or quarters beside them cannot be read.
    """
    year, month, day, quarter, period, week, in_year = (
        next((name for name in cells if name.casefold() in known), None)
        for known in (_YEARS, _MONTHS, _DAYS, _QUARTERS, _PERIODS, _WEEKS, _DAYS_OF_YEARS)
    )
    if year is None:
        return None
    in_years = _not_dated(cells[year])
    kept = (cell for row, cell in enumerate(cells[year]) if cell and row not in in_years)
    if not all(re.fullmatch(r"[12]\d{3}년?", cell) for cell in kept):
        return None
    for part, size, mark in (
        (month, 12, "-"),
        (period, 12, "-"),
        (quarter, 4, "-Q"),
        (period, 4, "-Q"),
        (week, 53, "-W"),
        (in_year, 366, "--"),
    ):
        if part is None:
            continue
        number, called = _NUMBERS_OF[size]
        numbers_ = [number(cell) for cell in cells[part]]
        undated = {
            row: f"{cell!r} in column {part!r} is a total"
            for row, cell in enumerate(cells[part])
            if _TOTAL.fullmatch(cell)
        } | in_years
        wrong = [
            row
            for row, n in enumerate(numbers_)
            if not n and cells[part][row] and row not in undated
        ]
        if part == period and set(numbers_) - {0} != set(range(1, size + 1)):
            continue  # of something else
        if not wrong and any(numbers_):
            return _put_together(
                cells, (year, part), day if size == 12 else None, numbers_, mark, undated
            )
        mostly = len(wrong) <= len(numbers_) / 2 and any(numbers_)
        again = len(set(cells[year])) < len(cells[year])
        if wrong and again and (mostly or part in (month, quarter)):
            what = f"a {called}, 1 to {size}"
            raise WrongDate(part, wrong[0], f"expected {what}, given {cells[part][wrong[0]]!r}")
    return None


def number_of_month(cell: str) -> int:
    """Return the number of a month, 0 where a text is none."""
    if found := re.fullmatch(r"M?(\d{1,2})(?:\.0|\s*월)?", cell, re.I):
        return int(found[1]) if int(found[1]) <= 12 else 0
    return dates.month_of(cell)


def number_of_quarter(cell: str) -> int:
    """Return the number of a quarter, 0 where a text is none."""
    found = re.fullmatch(r"(?:제?\s*|Q0?)([1-4])(?:\s*/\s*4)?(?:\s*분기|\s*Q)?", cell, re.I)
    return int(found[1]) if found else 0


def _number_of_week(cell: str) -> int:
    found = re.fullmatch(r"W?(\d{1,2})(?:\.0|\s*주차?)?", cell, re.IGNORECASE)
    return int(found[1]) if found and int(found[1]) <= 53 else 0


def _number_of_day(cell: str) -> int:
    found = re.fullmatch(r"(\d{1,3})(?:\.0)?", cell)
    return int(found[1]) if found and int(found[1]) <= 366 else 0


_NUMBERS_OF: dict[int, tuple[Callable[[str], int], str]] = {
    12: (number_of_month, "month"),
    4: (number_of_quarter, "quarter"),
    53: (_number_of_week, "week"),
    366: (_number_of_day, "day of the year"),
}


def _put_together(
    cells: Cells,
    columns: tuple[str, str],
    day: str | None,
    numbers_: Sequence[int],
    mark: str,
    undated: Mapping[int, str],
) -> _Parts:
    """Return dates from years, months or quarters, and perhaps days; merged years filled down."""
    years = [cell.removesuffix("년") for cell in cells[columns[0]]]
    years, said = _fill_down(columns, years, numbers_, undated)
    rows = zip(years, numbers_, strict=True)
    digits = {"-Q": 1, "-": 2, "-W": 2, "--": 3}[mark]
    mark = "-" if mark == "--" else mark
    texts = [f"{y}{mark}{n:0{digits}}" if y and n else "" for y, n in rows]
    if day is None:
        return _Parts(columns, texts, undated, said)
    days = [re.sub(r"\D", "", cell) for cell in cells[day]]
    both = zip(texts, days, strict=True)
    texts = [f"{text}-{number:0>2}" if text and number else "" for text, number in both]
    return _Parts((*columns, day), texts, undated, said)


def _fill_down(
    columns: tuple[str, str],
    years: list[str],
    numbers_: Sequence[int],
    undated: Mapping[int, str],
) -> tuple[list[str], str]:
    """Give rows below a merged cell its year, where months go on; say so."""
    blank = [row for row, year in enumerate(years) if not year and numbers_[row]]
    if len(blank) <= len(years) / 2:  # some that are missing
        return years, ""
    filled, year, last = [], "", 0
    for row, number in enumerate(numbers_):
        if row in undated or not number:
            filled.append("")
            continue
        if years[row]:
            year = years[row]
        elif not year or number < last:
            raise WrongDate(columns[0], row, f"it is empty, and {columns[1]!r} does not go on")
        filled.append(year)
        last = number
    said = f"column {columns[0]!r} is empty in {len(blank):,} rows: each has the one above it"
    return filled, said


# --- series -------------------------------------------------------------------------------------


def find_keys(cells: Cells, times: Times, values: Sequence[str]) -> tuple[str, ...]:
    """Find the columns that tell series apart, where dates come again; () where they do not.

    They are the fewest columns of names or codes with which no date comes again.

    Args:
        cells: of each column.
        times: the dates.
        values: columns of values that are known.

    Raises:
        Unknown: several columns would do, and not in the same way.
    """
    when = np.unique(times.read.values, return_inverse=True)[1]
    counts = np.bincount(when)
    others = {name: cells[name] for name in cells if name not in (*times.columns, *values)}
    if np.mean(counts > 1) <= 0.5:  # a date that comes again may be a mistake
        return _find_stretches(others, times.rows, when)
    names = sorted(find_names(others), key=lambda name: are_numbers(cells[name]))  # words first
    codes = {name: _codes(cells[name], times.rows) for name in names[:_MOST_KEYS]}
    for size in (1, 2, 3):
        found: dict[bytes, tuple[str, ...]] = {}
        for some in itertools.combinations(codes, size):
            series = _together([codes[name] for name in some])
            if _tells_apart(when, series):
                found.setdefault(series.tobytes(), some)
        places = sorted(sorted(map(list(cells).index, some)) for some in found.values())
        inside = [tuple(list(cells)[place] for place in some) for some in places]
        if len(inside) == 1:
            return inside[0]
        if inside:
            listed = " or ".join(" with ".join(map(repr, some)) for some in inside)
            raise Unknown(
                f"dates come again: which column tells the series apart, {listed}?",
                "--series-column",
            )
    return ()


def _find_stretches(cells: Cells, rows: Sequence[int], when: Array) -> tuple[str, ...]:
    """Find the column of names whose series follow, or partly overlap, one another; () without.

    Each of them has most dates between its first and its last, unlike the weather of a place.
    """
    for name in cells:
        if not _THINGS & set(words_of(name)):
            continue
        series = _codes(cells[name], rows)
        if _tells_apart(when, series) and all(
            len(dates_) > _DENSE * np.ptp(dates_) and len(dates_) >= _STRETCH
            for dates_ in (when[series == each] for each in range(series.max() + 1))
        ):
            return (name,)
    return ()


def find_names(cells: Cells) -> list[str]:
    """Return the columns of names or codes, which may tell series apart."""
    return [name for name in cells if _is_key(name) or not are_numbers(cells[name])]


def _is_key(name: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", name.casefold()))
    return bool(words & set(_KEYS)) or name.casefold().endswith(("id", "코드", "번호"))


def _codes(cells: Sequence[str], rows: Sequence[int]) -> Array:
    import pandas as pd

    kept = cells if len(rows) == len(cells) else [cells[row] for row in rows]
    return np.asarray(pd.factorize(np.array(kept, object))[0])


def _together(codes: Sequence[Array]) -> Array:
    """Return one number for each combination of several, in order of their first rows."""
    whole = codes[0]
    for each in codes[1:]:
        whole = whole * (each.max() + 1) + each
    _, first, numbers_ = np.unique(whole, return_index=True, return_inverse=True)
    return np.asarray(first.argsort().argsort()[numbers_])


def _tells_apart(when: Array, series: Array) -> bool:
    """Say whether dates hardly come again in a series, and series have several of them."""
    count = int(series.max()) + 1
    both = np.unique(when * count + series)
    return bool(count > 1 and len(series) >= 3 * count and len(both) > 0.99 * len(when))


def series_of(cells: Cells, keys: Sequence[str], rows: Sequence[int]) -> tuple[Array, list[str]]:
    """Return the number of each row's series, and the names of the series, by their keys."""
    if not keys:
        return np.zeros(len(rows), int), [""]
    numbers_ = _together([_codes(cells[key], rows) for key in keys])
    first = np.unique(numbers_, return_index=True)[1]
    return numbers_, [
        " ".join(filter(None, (cells[key][rows[at]] for key in keys))) for at in first
    ]


def is_row_number(name: str, cells: Sequence[str]) -> bool:
    """Say whether a column only numbers the rows, as programs write it."""
    is_index = words_of(name)[-1:] in (["index"], ["idx"])  # which prices have, too
    if name.casefold() not in _NUMBERED and not is_index:
        return False
    if len(cells) < 2 or not all(map(str.isdecimal, cells)):
        return False
    found = [int(cell) for cell in cells]
    steps = np.abs(np.diff(found))  # down, where the newest comes first
    return bool(
        (min(found) <= 1 or not is_index) and np.mean(steps == 1) > 0.9
    )  # anew for each series
