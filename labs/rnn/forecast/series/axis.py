"""Rows of series put on one axis of dates, and mended where that is certain."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.errors import DataError
from common.metrics.metrics import Array
from labs.rnn.forecast.series.panel import Note
from labs.rnn.forecast.series.spacing import Spacing, given, infer, steady_clock, to_iso

_FEW = 10  # rows with the date of another that may be mistakes, whatever their share
_EVENTS = 0.1  # share of rows with the date of another from which on they are events
_TELLING = 10  # values from which on more gaps than values tell that it is no series
_FILL = 5  # missing values in a row that are filled in any table


class Rows(NamedTuple):
    """The rows of a table, as they are in it."""

    dates: Array  # datetime64 (N,)
    values: Array  # (N, C)
    columns: Sequence[str]  # names of the C columns
    series: Array  # (N,) numbers of the series that rows are of
    names: Sequence[str]  # of the series; one without a name where there is a single one
    places: Sequence[str]  # file:line

    @property
    def all_names(self) -> list[str]:
        """The names of all K series: of each series, of each of its columns."""
        if len(self.columns) == 1 and self.names != [""]:
            return list(self.names)
        return [f"{name} {column}".strip() for name in self.names for column in self.columns]


class Axis(NamedTuple):
    """Series side by side."""

    dates: Array  # datetime64 (T,), rising
    values: Array  # (T, K)
    names: tuple[str, ...]
    spacing: Spacing
    notes: list[Note]


def build(
    rows: Rows, *, spacing: str | None, fill: int | None, by_rows: bool, all_needed: bool
) -> Axis:
    """Sort rows, take doubled ones once, give missing dates rows, and fill gaps; say what was done.

    Args:
        rows: the table.
        spacing: of its dates, see `spacing.given`; found out when None.
        fill: most values that are filled in a row; in long tables more than in short ones when
            None.
        by_rows: whether dates without a row are no gap.
        all_needed: whether a series that cannot be used is an error, and not left out.

    Raises:
        DataError: one date has different values, or a gap is longer than `fill`.
    """
    notes: list[Note] = []
    dates, values, places = _table(rows, notes)
    if len(dates) < 2:
        raise DataError(f"{places[0]}: expected at least two dates, given 1")
    dates = _on_one_clock(dates, places, notes)
    apart = _spacing(spacing, dates)
    asked = fill is not None
    fill = max(_FILL, len(dates) // 100) if fill is None else fill
    if not by_rows:
        dates, values, places = _on_calendar(dates, values, places, apart, fill, notes)
    names, columns, wrong = rows.all_names, [], []
    for name, column in zip(names, values.T, strict=True):
        try:
            columns.append(_filled(name, column, dates, places, fill, notes, sparse=asked))
        except DataError as error:
            if all_needed:
                raise
            wrong.append(error)
            notes.append((f"column {name}", f"left out: {error}"))
            columns.append(np.full(len(dates), np.nan))
    there = np.isfinite(columns)
    found, times = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
    if wrong and not len(found):
        raise wrong[0]
    if not len(found):
        raise DataError(f"{rows.places[0].rpartition(':')[0]}: no column has a value")
    inside = slice(times[0], times[-1] + 1)
    return Axis(
        dates[inside],
        np.stack([columns[series][inside] for series in found], 1),
        tuple(names[series] for series in found),
        apart,
        notes,
    )


def _spacing(text: str | None, dates: Array) -> Spacing:
    if text is None:
        return infer(dates)
    try:
        return given(text, dates)
    except ValueError as error:
        raise DataError(f"--spacing {text}: {error}") from error


def _table(rows: Rows, notes: list[Note]) -> tuple[Array, Array, list[str]]:
    """Return rising dates (T,), values (T, K) and the place where each date is first."""
    late = np.flatnonzero(np.diff(rows.dates) < np.timedelta64(0)) + 1
    if len(late) and len(rows.names) == 1:
        what = f"dates go back in {len(late):,} rows, here first; all rows were sorted"
        notes.append((rows.places[late[0]], what))
    dates, first, when = np.unique(rows.dates, return_index=True, return_inverse=True)
    cells = when * len(rows.names) + rows.series
    _, first_of_cell, cell = np.unique(cells, return_index=True, return_inverse=True)
    again = np.flatnonzero(first_of_cell[cell] != np.arange(len(cells)))
    rows = rows._replace(values=rows.values.copy())
    put_back: dict[int, int] = {}
    _check_events(rows, again)
    for row in again.tolist():
        _check_again(rows, row, int(first_of_cell[cell[row]]), notes, put_back)
    if put_back:
        count = f"{len(put_back):,} times come" if len(put_back) > 1 else "a time comes"
        what = f"{count} twice, here first, as clocks are put back; the mean of both is taken"
        notes.append((rows.places[min(put_back.values())], what))
    table = np.full((len(dates), len(rows.names), len(rows.columns)), np.nan)
    table[when[first_of_cell], rows.series[first_of_cell]] = rows.values[first_of_cell]
    return dates, table.reshape(len(dates), -1), [rows.places[row] for row in first]


def _check_events(rows: Rows, again: Array) -> None:
    """Refuse rows that are no values of dates but events, of which a date has any number."""
    if len(again) > max(_FEW, _EVENTS * len(rows.dates)) and not _all_doubled(rows, again):
        raise DataError(
            f"{rows.places[again[0]]}: {len(again):,} of {len(rows.dates):,} rows have the date of "
            "another, and other values; if each is a sale or another event, add them up for each "
            "date, or name the column that tells series apart with --series-column"
        )


def _all_doubled(rows: Rows, again: Array) -> bool:
    """Say whether rows that come again are copies of others."""
    whole = np.column_stack([rows.dates.astype("datetime64[us]").astype(int), rows.values])
    return len(np.unique(whole, axis=0)) <= len(whole) - len(again)


def _check_again(
    rows: Rows, row: int, first: int, notes: list[Note], put_back: dict[int, int]
) -> None:
    """Note a row that is there twice; refuse one with the date of another and other values.

    A time that clocks show twice in autumn has the mean of both, and stands in `put_back`: its
    second row by its first.
    """
    if np.array_equal(rows.values[row], rows.values[first], equal_nan=True):
        what = f"left out: the same date and values as {rows.places[first]}"
        notes.append((rows.places[row], what))
        return
    if _is_put_back(rows.dates[row]) and first not in put_back:
        rows.values[first] = (rows.values[first] + rows.values[row]) / 2
        put_back[first] = row
        return
    raise DataError(
        f"{rows.places[row]}: the date {_iso(rows.dates[row])} again, with other values than in "
        f"{rows.places[first]}; keep one of the two, give each series a column of its own, or name "
        "the column that tells series apart with --series-column (an hour that comes twice as "
        "clocks are put back needs its offset, such as +01:00)"
    )


def _is_put_back(date: np.datetime64) -> bool:
    """Say whether clocks may show a time twice: from 1 to 4 on a Sunday in autumn, or in April."""
    day = date.astype("datetime64[D]")
    sunday = (int(day.astype(int)) + 3) % 7 == 6
    month = int(date.astype("datetime64[M]").astype(int)) % 12 + 1
    hour = int((date - day).astype("timedelta64[h]").astype(int))
    return sunday and month in (4, 10, 11) and hour in (1, 2, 3)


def _on_one_clock(dates: Array, places: Sequence[str], notes: list[Note]) -> Array:
    steady = steady_clock(dates)
    if moved := int((steady != dates).sum()):
        what = f"{moved:,} days begin an hour off, as clocks change; they count as a day each"
        notes.append((places[int(np.flatnonzero(steady != dates)[0])], what))
    return steady


def _on_calendar(
    dates: Array,
    values: Array,
    places: Sequence[str],
    spacing: Spacing,
    fill: int,
    notes: list[Note],
) -> tuple[Array, Array, list[str]]:
    """Give the dates that are missing from the calendar rows without values."""
    off = spacing.holidays(dates)
    if off.any():
        what = f"{off.sum():,} of them have no row and count as holidays, the longest time to here"
        notes.append((f"{spacing.plural} before {places[int(off.argmax()) + 1]}", what))
    steps = spacing.steps(dates)
    missing, longest = int((steps - 1).sum()), int(steps.argmax())
    if not missing:
        return dates, values, list(places)
    if steps[longest] - 1 > fill:
        raise DataError(
            f"{places[longest + 1]}: {steps[longest] - 1:,} dates are missing between "
            f"{_iso(dates[longest])} and {_iso(dates[longest + 1])} (rows are {spacing}); "
            "add them, allow so many with --fill, or take rows as they are with --steps rows"
        )
    rows = np.concatenate([[0], np.cumsum(steps)])
    full = np.full((rows[-1] + 1, values.shape[1]), np.nan)
    full[rows] = values
    all_dates = np.empty(len(full), dates.dtype)
    all_dates[rows] = dates
    named = [""] * len(full)
    for row, place in zip(rows.tolist(), places, strict=True):
        named[row] = place
    for gap in np.flatnonzero(steps > 1).tolist():
        new = slice(rows[gap] + 1, rows[gap + 1])
        all_dates[new] = spacing.after(dates[gap], int(steps[gap]) - 1)
        named[new] = [f"{_iso(date)} (no row)" for date in all_dates[new]]
    first = places[int(np.flatnonzero(steps > 1)[0]) + 1]
    what = "date has no row" if missing == 1 else "dates have no row, the first before this one"
    notes.append((first, f"{missing:,} {what} ({spacing})"))
    return all_dates, full, named


def _filled(
    name: str,
    values: Array,
    dates: Array,
    places: Sequence[str],
    fill: int,
    notes: list[Note],
    *,
    sparse: bool,
) -> Array:
    """Put the value before in the place of missing ones, between a series' first and last.

    Where most are missing, an empty cell may mean 0 (rain), or the series has a longer step
    (quarters among months); `sparse` says that they are to be filled all the same.
    """
    there = np.flatnonzero(np.isfinite(values))
    if not len(there):
        notes.append((f"column {name}", "left out: it has no value"))
        return values
    begin, end = there[0], there[-1]
    if begin > 0 or end < len(values) - 1:
        span = f"{_iso(dates[begin])} to {_iso(dates[end])}"
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
    if gaps.sum() > len(there) >= _TELLING and not sparse:
        raise DataError(
            f"{places[there[int(np.flatnonzero(gaps)[0])] + 1]}: column {name!r} has "
            f"{gaps.sum():,} of {end + 1 - begin:,} values missing, the first here; write 0 where "
            "an empty cell means that, keep the dates on which it is known in a table of its own, "
            f"or let the value before stand in with --fill {gaps[longest]}"
        )
    first = places[there[int(np.flatnonzero(gaps)[0])] + 1]
    what = f"{gaps.sum():,} missing values, here the first; the value before stands in for each"
    notes.append((first, f"column {name!r}: {what}"))
    known = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
    filled = values[known]
    filled[:begin], filled[end + 1 :] = np.nan, np.nan
    return np.asarray(filled)


def _iso(date: np.datetime64) -> str:
    return to_iso(np.array([date]))[0]
