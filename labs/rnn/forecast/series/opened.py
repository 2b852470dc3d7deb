"""A user's table as it is in its file: its cells by column, and where each row is from."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.io import numbers, tables
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.series import across, columns
from labs.rnn.forecast.series.panel import Note

ABOVE = "; if lines stand above the names of the columns, such as a title, delete them"

_SHOWN = 40  # letters of a cell in a sentence


class Opened(NamedTuple):
    """The cells of a table."""

    cells: dict[str, list[str]]  # of each column
    places: list[str]  # file:line of each row
    delimiter: str
    notes: list[Note]  # about rows that cannot be used
    below: list[Note]  # about the last rows, which are notes
    said: tuple[str, ...]  # how the file was read


def open_table(path: Path, config: ForecastConfig) -> Opened:
    """Open a table: its columns, and those asked for; a note below it is left out.

    Raises:
        DataError: the file cannot be read, lacks a column, or has less than two.
    """
    opened, said = _open(path, config)
    names = _names(path, config, opened.names)
    table = opened.read(names, gaps=names)
    cells = dict(zip(names, table.columns, strict=True))
    places = [f"{path.name}:{line}" for line in table.lines]
    below = _notes_below(cells, places)
    count = len(places) - len(below)
    kept = {name: column[:count] for name, column in cells.items()} if below else cells
    said = (*table.notes, *said)
    return Opened(kept, places[:count], table.delimiter, [*table.skipped], below, said)


def _open(path: Path, config: ForecastConfig) -> tuple[tables.OpenTable, tuple[str, ...]]:
    """Open a table, whose columns go by their numbers where the first row is nothing but numbers.

    Years and other dates side by side are names: of the columns of a table with dates across.
    """
    opened = tables.OpenTable(path, config.form, join=True)
    names = list(filter(None, opened.names))
    dated = sum(map(across.is_dated, names))
    if config.form.header is not None or len(names) < 2 or dated > len(names) / 2:
        return opened, ()
    if not all(numbers.is_number(name) or _is_date(name) for name in names):
        return opened, ()
    again = tables.OpenTable(path, config.form._replace(header=False))
    if again.names == opened.names:  # of JSON, whose names may be numbers
        return opened, ()
    said = f"the first row of {path.name} has data: columns go by their numbers, from '1' on"
    return again, (f"{said} (--header yes takes it for names)",)


def _names(path: Path, config: ForecastConfig, header: Sequence[str]) -> list[str]:
    """Return the names of a table's columns, one of which may be empty, and those asked for."""
    names = [name for name in header if name or header.count("") == 1]
    if len(names) < 2:
        raise DataError(
            f"{path}:1: expected a header with a column of dates and one of values or more, given "
            f"{', '.join(names) or 'none'}{ABOVE}"
        )
    given = (config.date_column, *config.series_column, *config.value_columns)
    return [*names, *(name for name in given if name is not None and name not in names)]


def _notes_below(cells: dict[str, list[str]], places: Sequence[str]) -> list[Note]:
    """Find the rows at the end that hold a single cell, with words, such as a source."""
    found: list[Note] = []
    for row in range(len(places) - 1, 0, -1):
        texts = [column[row] for column in cells.values() if column[row]]
        if len(texts) != 1 or not _is_note(texts[0]):
            break
        what = f"left out: {texts[0][:_SHOWN]!r} is a note below the table"
        found.append((places[row], what))
    return found[::-1]


def _is_note(text: str) -> bool:
    words = re.search(r"[^\W\d_]{2}", text) is not None
    return words and not numbers.is_missing(text) and not _is_date(text)


def _is_date(text: str) -> bool:
    return columns.read_or_none([text]) is not None
