"""Series side by side along one axis of dates: those that come with the lab, and a user's own."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common import seeding
from common.errors import DataError
from common.io import tables
from common.metrics.metrics import Array
from common.suggest import suggest
from labs.rnn.forecast import dates as calendar
from labs.rnn.forecast.config import EMBEDDED, ForecastConfig
from labs.rnn.forecast.dates import Spacing

Note = tuple[str, str]

_MISSING = ("", "-", "--", "na", "n/a", "nan", "null", "none", "결측")
_FILL = 5  # missing values in a row that are filled in any table
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_DATE_NAMES = ("date", "날짜", "일자", "ds", "datetime", "time", "timestamp")


@dataclass(frozen=True)
class Panel:
    """Series side by side."""

    names: tuple[str, ...]  # of the K series
    dates: Array  # datetime64[s] (T,), rising
    values: Array  # float64 (T, K); NaN before a series begins and after it ends, and nowhere else
    spacing: Spacing  # of the dates
    source: str  # one line that says what it is
    notes: tuple[Note, ...] = ()  # (place, what was done) about all that was not in order

    def span(self, series: int) -> tuple[int, int]:
        """Return where a series begins, and where it has ended."""
        there = np.flatnonzero(np.isfinite(self.values[:, series]))
        return int(there[0]), int(there[-1]) + 1

    def select(self, series: Sequence[int]) -> "Panel":
        """Return some of the series."""
        names = tuple(self.names[each] for each in series)
        return replace(self, names=names, values=self.values[:, list(series)])

    def last(self, dates: int) -> "Panel":
        """Return the last dates, and the series that are still there."""
        panel = replace(self, dates=self.dates[-dates:], values=self.values[-dates:])
        return panel.select(np.flatnonzero(np.isfinite(panel.values).any(0)).tolist())


def find(config: ForecastConfig) -> Panel:
    """Return the series that `--data` names.

    Raises:
        DataError: there are none, or they cannot be used.
    """
    if is_path(config.data):
        path = Path(config.data).expanduser()
        if not path.is_file():
            raise DataError(
                f"--data {config.data}: no such file, and no embedded series; embedded: "
                f"{', '.join(EMBEDDED)}{suggest(config.data, EMBEDDED)}"
            )
        return read(path, config)
    loaders: dict[str, Callable[[int], Panel]] = {
        "google": _google,
        "stocks": _stocks,
        "seasonal": seasonal,
    }
    return loaders[config.data](config.split_seed)


def is_path(data: str) -> bool:
    """Say whether `--data` names a file, not embedded series."""
    return data not in EMBEDDED


# --- series that come with the lab --------------------------------------------------------------


def _google(seed: int) -> Panel:
    rows = np.load(_sample("goog.npz"))["price_data"]
    dates = rows["date"].astype("datetime64[s]")
    source = "Google's closing price in dollars, daily from 2004 to 2008 (from matplotlib)"
    return Panel(
        ("close",), dates, rows["close"][:, None].astype(float), calendar.infer(dates), source
    )


def _stocks(seed: int) -> Panel:
    """Return the prices at the first of each month; other rows are dividends, without a price."""
    lines = _sample("Stocks.csv").read_text(encoding="utf-8").splitlines()
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    monthly = [row for row in rows if row[0].endswith("-01") and any(row[1:])]
    dates = calendar.read([row[0] for row in monthly])
    values = np.array([[float(cell or "nan") for cell in row[1:]] for row in monthly])
    source = "Ten stocks and indices in dollars, monthly from 1990 to 2022 (from matplotlib)"
    return Panel(tuple(header[1:]), dates, values, calendar.infer(dates), source)


def _sample(name: str) -> Path:
    from matplotlib.cbook import get_sample_data

    return Path(get_sample_data(name, asfileobj=False))


_DAYS, _TIMES = 240, 12  # of the seasonal series: dates two hours apart


def seasonal(seed: int = 0) -> Panel:
    """Make three series, every two hours for 240 days, in which each day follows from the last.

    value = level * (1 + 2 * swing * shape(time of the day)) * noise

    Each series has a shape of two peaks, a level that wanders, and 5 % of noise. The swing of a day
    is 3.99 x (1 - x) of that of the day before (the logistic map; May 1976, "Simple mathematical
    models with very complicated dynamics"). It has hardly any linear correlation from one day to
    the next, so the best guess of anything linear is not far from the mean day.
    """
    generator = np.random.default_rng(seeding.derive(seed))
    peaks_and_levels = ((4, 9, 100.0), (5, 8, 40.0), (3, 11, 250.0))
    columns = [_series(generator, *each) for each in peaks_and_levels]
    dates = np.datetime64("2024-01-01", "s") + 7200 * np.arange(_DAYS * _TIMES)
    source = f"Three synthetic series, every two hours for {_DAYS} days, seed {seed}"
    return Panel(("A", "B", "C"), dates, np.stack(columns, 1), calendar.infer(dates), source)


def _series(generator: np.random.Generator, first: int, second: int, level: float) -> Array:
    """Return one series with peaks at two times of the day, (T,)."""
    swings = [generator.uniform(0.2, 0.8)]
    while len(swings) < _DAYS:
        swings.append(3.99 * swings[-1] * (1 - swings[-1]))
    time = np.arange(_TIMES)
    shape = np.exp(-0.5 * (time - first) ** 2) + 0.7 * np.exp(-0.5 * (time - second) ** 2)
    days = (1 + 2 * np.array(swings)[:, None] * shape).ravel()
    wander = 0.01 * generator.standard_normal(len(days)).cumsum()
    noise = 0.05 * generator.standard_normal(len(days))
    return np.asarray(level * days * np.exp(wander + noise))


# --- a user's table -----------------------------------------------------------------------------


def read(path: Path, config: ForecastConfig) -> Panel:
    """Read a table with a column of dates and columns of values.

    Empty cells (and NaN, NA, null, -) are missing values. Rows may be in any order. A row that is
    there twice is taken once.

    Raises:
        DataError: the table cannot be read, lacks a column, holds a date or a number that is none,
            has one date with different values, or a gap longer than `--fill`.
    """
    date, columns = _columns(path, config)
    table = tables.read_table(path, [date, *columns], gaps=columns)
    places = [f"{path.name}:{line}" for line in table.lines]
    try:
        dates = calendar.read(table.columns[0])
    except calendar.Unreadable as error:
        raise DataError(f"{places[error.row]}: column {date!r}: {error.reason}") from error
    numbers, notes = {}, list(table.skipped)
    for name, cells in zip(columns, table.columns[1:], strict=True):
        if not config.value_columns and not any(map(_is_number, cells)):
            notes.append((f"column {name}", "left out: it holds no numbers"))
        else:
            numbers[name] = _numbers(name, cells, places)
    if not numbers:
        raise DataError(
            f"{path}: no column beside {date!r} holds numbers; name some with --value-columns"
        )
    values = np.stack(list(numbers.values()), 1)
    return _clean(tuple(numbers), dates, values, places, path, config, notes)


def _columns(path: Path, config: ForecastConfig) -> tuple[str, list[str]]:
    """Return the names of the column of dates, and of those of values."""
    if config.date_column is not None and config.value_columns:
        return config.date_column, list(config.value_columns)
    header = _header(path)
    named = [name for name in header if name.lower() in _DATE_NAMES]
    date = config.date_column or [*named, *header][0]
    return date, list(config.value_columns) or [name for name in header if name != date]


def _header(path: Path) -> list[str]:
    """Return the names in the first row of a table."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        raise DataError(f"{path}: which keys hold the series? --date-column and --value-columns")
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    try:
        header = next(csv.reader(io.StringIO(tables.read_text(path)), delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{path}:1: expected a header with short names; {error}") from error
    names = [unicodedata.normalize("NFC", cell).strip() for cell in header if cell.strip()]
    if len(names) < 2:
        raise DataError(
            f"{path}:1: expected a header with a column of dates and one of values or more, given "
            f"{', '.join(names) or 'none'}"
        )
    return names


def _is_number(cell: str) -> bool:
    return _number(cell) is not None and cell.lower() not in _MISSING


def _number(cell: str) -> float | None:
    """Return a cell's number, NaN where it is missing, None where it is none."""
    if cell.lower() in _MISSING:
        return np.nan
    try:
        value = float(cell.replace(",", "") if _THOUSANDS.fullmatch(cell) else cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _numbers(name: str, cells: Sequence[str], places: Sequence[str]) -> Array:
    values = [_number(cell) for cell in cells]
    wrong = [row for row, value in enumerate(values) if value is None]
    if wrong:
        more = f" ({len(wrong) - 1:,} more such cells in the column)" if len(wrong) > 1 else ""
        raise DataError(
            f"{places[wrong[0]]}: column {name!r}: expected a finite number, given "
            f"{cells[wrong[0]]!r}{more}; leave the cell empty where the value is not known, or "
            "name the columns with --value-columns"
        )
    return np.array(values, float)


def _clean(
    names: tuple[str, ...],
    dates: Array,
    values: Array,
    places: Sequence[str],
    path: Path,
    config: ForecastConfig,
    notes: list[Note],
) -> Panel:
    """Sort rows, take doubled ones once, and fill gaps; say what was done."""
    order = np.argsort(dates, kind="stable")
    late = np.flatnonzero(np.diff(dates) < np.timedelta64(0)) + 1
    if len(late):
        what = f"dates go back in {len(late):,} rows, here first; all rows were sorted"
        notes.append((places[late[0]], what))
    dates, values, places = dates[order], values[order], [places[row] for row in order]
    kept = _once(dates, values, places, notes)
    dates, values, places = dates[kept], values[kept], [places[row] for row in kept]
    if len(dates) < 2:
        raise DataError(f"{path}: expected at least two dates, given {len(dates)}")
    spacing = calendar.infer(dates)
    fill = max(_FILL, len(dates) // 100) if config.fill is None else config.fill
    if config.steps == "calendar":
        dates, values, places = _on_calendar(dates, values, places, spacing, fill, notes)
    columns = [
        _filled(name, column, dates, places, fill, notes)
        for name, column in zip(names, values.T, strict=True)
    ]
    there = np.isfinite(columns)
    found = np.flatnonzero(there.any(1))
    if not len(found):
        raise DataError(f"{path}: no column has a value")
    times = np.flatnonzero(there.any(0))
    inside = slice(times[0], times[-1] + 1)
    return Panel(
        tuple(names[series] for series in found),
        dates[inside],
        np.stack([columns[series][inside] for series in found], 1),
        spacing,
        f"{path.name}, {spacing}",
        tuple(notes),
    )


def _once(dates: Array, values: Array, places: Sequence[str], notes: list[Note]) -> list[int]:
    """Return the rows whose date has not been before."""
    kept = [0]
    for row in range(1, len(dates)):
        first = kept[-1]
        if dates[row] != dates[first]:
            kept.append(row)
        elif np.array_equal(values[row], values[first], equal_nan=True):
            notes.append((places[row], f"left out: the same date and values as {places[first]}"))
        else:
            raise DataError(
                f"{places[row]}: the date {_to_iso(dates[row])} again, with other values than in "
                f"{places[first]}; keep one of the two, and give each series a column of its own"
            )
    return kept


def _on_calendar(
    dates: Array,
    values: Array,
    places: Sequence[str],
    spacing: Spacing,
    fill: int,
    notes: list[Note],
) -> tuple[Array, Array, list[str]]:
    """Give the dates that are missing from the calendar rows without values."""
    steps = spacing.steps(dates)
    missing = int((steps - 1).sum())
    if not missing:
        return dates, values, list(places)
    longest = int(steps.argmax())
    if spacing.unit == "business day":
        what = f"{missing:,} of them have no row and count as holidays, the longest time up to here"
        notes.append((f"business days before {places[longest + 1]}", what))
        return dates, values, list(places)
    if steps[longest] - 1 > fill:
        raise DataError(
            f"{places[longest + 1]}: {steps[longest] - 1:,} dates are missing between "
            f"{_to_iso(dates[longest])} and {_to_iso(dates[longest + 1])} (rows are {spacing}); "
            "add them, allow so many with --fill, or take rows as they are with --steps rows"
        )
    rows = np.concatenate([[0], np.cumsum(steps)])
    full = np.full((rows[-1] + 1, values.shape[1]), np.nan)
    full[rows] = values
    all_dates = np.concatenate([dates[:1], spacing.after(dates[0], int(rows[-1]))])
    named = [f"{date} (no row)" for date in calendar.to_iso(all_dates)]
    for row, place in zip(rows.tolist(), places, strict=True):
        named[row] = place
    first = places[int(np.flatnonzero(steps > 1)[0]) + 1]
    notes.append((first, f"{missing:,} dates have no row ({spacing}), the first before this one"))
    return all_dates, full, named


def _filled(
    name: str, values: Array, dates: Array, places: Sequence[str], fill: int, notes: list[Note]
) -> Array:
    """Put the value before in the place of missing ones, between a series' first and last."""
    there = np.flatnonzero(np.isfinite(values))
    if not len(there):
        notes.append((f"column {name}", "left out: it has no value"))
        return values
    begin, end = there[0], there[-1]
    if begin > 0 or end < len(values) - 1:
        span = f"{_to_iso(dates[begin])} to {_to_iso(dates[end])}"
        notes.append((f"column {name}", f"it has values from {span} only"))
    gaps = np.diff(there) - 1
    if not gaps.any():
        return values
    longest = int(gaps.argmax())
    if gaps[longest] > fill:
        raise DataError(
            f"{places[there[longest] + 1]}: column {name!r} has {gaps[longest]:,} values missing "
            "in a row from here on; fill them in, allow so many with --fill, or leave the column "
            "out with --value-columns"
        )
    first = places[there[int(np.flatnonzero(gaps)[0])] + 1]
    what = f"{gaps.sum():,} missing values, here the first; the value before stands in for each"
    notes.append((first, f"column {name!r}: {what}"))
    known = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
    filled = values[known]
    filled[:begin], filled[end + 1 :] = np.nan, np.nan
    return np.asarray(filled)


def _to_iso(date: np.datetime64) -> str:
    return calendar.to_iso(np.array([date]))[0]
