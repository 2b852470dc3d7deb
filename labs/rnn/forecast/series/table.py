"""A user's table of series: a column for each, or rows of one after another."""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError
from common.io import numbers
from common.reuse import reusable
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.series import across, axis, columns, dates, measures
from labs.rnn.forecast.series.columns import Times
from labs.rnn.forecast.series.opened import ABOVE, open_table
from labs.rnn.forecast.series.panel import Panel

Cells = Mapping[str, Sequence[str]]

_SAMPLE = 50  # cells that show whether a column may hold numbers
_LISTED = 5  # names in a sentence


_FOUND = {"series_column", "date_order", "decimal"}  # by `read`, which keeps them in options


def _key(path: Path, config: ForecastConfig) -> Hashable:
    """Return what a table is read by, but for what was found in it and nobody gave."""
    names = (*config.of_files, "fill", "steps")
    asked = [name for name in names if name in config.given or name not in _FOUND]
    return path, tuple((name, getattr(config, name)) for name in asked)


@reusable(_key)
def read(path: Path, config: ForecastConfig) -> Panel:
    """Read a table with dates and values.

    Rows may be in any order; one that is there twice is taken once. What was guessed (columns, the
    order of day and month, decimal marks) is in `Panel.said`.

    Raises:
        DataError: the table cannot be read, lacks a column, holds a date or a number that is none,
            has one date with different values, a gap longer than `--fill`, or can be read in
            several ways.
    """
    opened = open_table(path, config)
    cells, places = opened.cells, opened.places
    names = list(cells)
    turned = None
    if config.date_column is None and not config.value_columns:
        turned = across.turn(cells, config.date_order)
    if turned is not None:
        cells, places = turned.cells, [places[row] for row in turned.rows]
    times, keys = _find_columns(path, config, cells, places)
    dated = set(times.rows)
    undated = [row for row in range(len(places)) if row not in dated]
    _check_dated(times, places, undated)
    notes = [
        *opened.notes,
        *(
            (places[row], f"left out: {times.undated.get(row, 'it has no date')}")
            for row in undated
        ),
        *opened.below,
    ]
    habit = _habit(opened.delimiter, names, times, cells)
    names, others = _find_values(path, config, cells, times, keys)
    found = _read_numbers(path, config, cells, places, times, keys, habit, names)
    values = {}
    for name, column in found.values.items():
        values[name], what = numbers.without_stand_ins(column)
        notes += [(f"column {name}", what)] if what else []
    notes += [
        (f"column {name}", f"left out: {_at(places, times, row)}{why}")
        for name, (row, why) in found.left_out.items()
    ]
    series, of_series = columns.series_of(cells, keys, times.rows)
    rows = axis.Rows(
        times.read.values,
        np.stack(list(values.values()), 1),
        list(values),
        series,
        of_series,
        [places[row] for row in times.rows],
    )
    built = axis.build(
        rows,
        spacing=config.spacing,
        fill=config.fill,
        by_rows=config.steps == "rows",
        all_needed=bool(config.value_columns) or len(rows.all_names) == 1,
    )
    panel = Panel(
        built.names,
        built.dates,
        built.values,
        built.spacing,
        f"{path.name}, {built.spacing}",
        (*notes, *built.notes),
    )
    how = (turned.said,) if turned is not None else ()
    said = (
        *opened.said,
        *how,
        *_say(panel, config, times, keys, of_series, found, others),
        *found.said,
    )
    return replace(panel, said=said, options=tuple(_options(config, times, keys, found).items()))


def _find_columns(
    path: Path, config: ForecastConfig, cells: Cells, places: Sequence[str]
) -> tuple[Times, tuple[str, ...]]:
    """Return the dates, and the columns that tell series apart."""
    try:
        times = columns.find_dates(cells, config.date_column, config.date_order)
        keys = config.series_column or columns.find_keys(cells, times, config.value_columns)
    except columns.WrongDate as error:
        raise DataError(f"{places[error.row]}: column {error.column!r}: {error.reason}") from error
    except columns.Unknown as error:
        above = ABOVE if not all(map(str.strip, cells)) else ""
        advice = f"{error.advice} " if error.advice else ""
        raise DataError(f"{path}: {error} {advice}name it with {error.option}{above}") from error
    name, *others = times.columns
    sample = [cells[name][row] for row in times.rows[:_LISTED]]
    no_names = config.header is None and _are_dates([name, *sample], config.date_order)
    if not others and no_names:
        raise DataError(
            f"{path}:1: the first row has data, {name!r}, and no names; put a row of names above "
            "it, or say so with --header no"
        )
    return times, tuple(keys)


def _check_dated(times: Times, places: Sequence[str], undated: Sequence[int]) -> None:
    """Refuse a table most of whose rows have no date."""
    empty = [row for row in undated if row not in times.undated]
    if len(empty) > len(times.rows):
        raise DataError(
            f"{places[empty[0]]}: column {times.columns[0]!r} has no date here, nor in "
            f"{len(empty) - 1:,} more of {len(places):,} rows; fill them in, or delete the rows"
        )


def _are_dates(texts: Sequence[str], order: str | None) -> bool:
    try:
        dates.read(texts, order)
    except dates.Unreadable:
        return False
    return True


def _find_values(
    path: Path, config: ForecastConfig, cells: Cells, times: Times, keys: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the columns that may hold values, and what others hold that measure nothing."""
    if config.value_columns:
        return list(config.value_columns), {}
    names = [name for name in cells if name not in (*times.columns, *keys)]
    others = measures.find_others(cells, times, names, keys)
    names = [name for name in names if name not in others]
    if others and not any(re.search(r"\d", "".join(cells[name][:_SAMPLE])) for name in names):
        raise DataError(
            f"{path}: no column measures anything ({_held(others)}); name what to forecast with "
            "--value-columns"
        )
    return names, others


def _habit(delimiter: str, names: Sequence[str], times: Times, cells: Cells) -> str | None:
    """Return the decimal mark that is usual where a table comes from, None where nothing shows it.

    Korean has a point. Where semicolons stand between cells, or days are 31.12.2022, there may be
    commas.
    """
    if any("가" <= letter <= "힣" for name in names for letter in name):
        return "point"
    day = cells[times.columns[0]][times.rows[0]]
    if delimiter == ";" or (times.read.order == "dmy" and "." in day):
        return "comma"
    return None


def _read_numbers(
    path: Path,
    config: ForecastConfig,
    cells: Cells,
    places: Sequence[str],
    times: Times,
    keys: Sequence[str],
    habit: str | None,
    names: Sequence[str],
) -> numbers.Numbers:
    """Read the columns of values."""
    whole = len(times.rows) == len(places)
    taken = {
        name: cells[name] if whole else [cells[name][row] for row in times.rows] for name in names
    }
    try:
        asked = bool(config.value_columns)
        found = numbers.read(taken, config.decimal, asked=asked, habit=habit)
    except numbers.Wrong as error:
        place = _at(places, times, error.row) or f"{path}: "
        raise DataError(f"{place}column {error.name!r}: {error.reason}; {error.help}") from error
    if not found.values:
        beside = " and ".join(map(repr, (*times.columns, *keys)))
        raise DataError(
            f"{path}: no column beside {beside} holds numbers; name some with --value-columns"
        )
    return found


def _at(places: Sequence[str], times: Times, row: int | None) -> str:
    return "" if row is None else f"{places[times.rows[row]]}: "


def _say(
    panel: Panel,
    config: ForecastConfig,
    times: Times,
    keys: Sequence[str],
    series: Sequence[str],
    found: numbers.Numbers,
    others: Mapping[str, str],
) -> Iterator[str]:
    """Say which columns are what, and how dates are written and lie apart."""
    yield f"dates are {_listed(times.columns)}: {times.read.way}; {panel.spacing}"
    if times.said:
        yield times.said
    if keys:
        yield f"series are told apart by {_listed(keys)}: {len(series):,} of them"
    if not config.value_columns:
        several = ", each a series (--value-columns takes fewer)" if len(found.values) > 1 else ""
        yield f"values are {_listed(list(found.values))}{several}"
    if others:
        yield f"left out, as they measure nothing (--value-columns takes them): {_held(others)}"
    if found.left_out:
        yield f"left out, as they do not hold numbers alone: {_listed(list(found.left_out))}"


def _held(others: Mapping[str, str]) -> str:
    """Say what columns that measure nothing hold."""
    return "; ".join(
        f"{what} in {_listed([name for name in others if others[name] == what])}"
        for what in dict.fromkeys(others.values())
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_LISTED]))
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    if tuple(names) == ("",):
        return "the column without a name"
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"


def _options(
    config: ForecastConfig, times: Times, keys: tuple[str, ...], found: numbers.Numbers
) -> dict[str, Any]:
    """Return the options that say what was found, so that the run reads other tables alike."""
    options: dict[str, Any] = {}
    if keys and not config.series_column:
        options["series_column"] = keys
    if times.read.order is not None and config.date_order is None:
        options["date_order"] = times.read.order
    if found.mark is not None and config.decimal is None:
        options["decimal"] = found.mark
    return options
