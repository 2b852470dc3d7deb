"""A competition's sample submission: read so that it can be written again byte for byte."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.io import delimited
from common.io.encodings import Decoded, decode, encode_like
from common.io.tables import TEXT_SUFFIXES, check_columns, read_bytes

_SHOWN = 5  # names in a message


class Cut(NamedTuple):
    """A text cut into cells, each as it is written, with any quotes around it."""

    rows: list[list[str]]
    line_end: str
    ends: bool  # whether the last row has one


@dataclass(frozen=True)
class Sample:
    """A sample submission.

    Attributes:
        path: the file.
        data: its bytes.
        decoded: its text.
        delimiter: between its cells.
        quotes: whether quotes around a cell are no part of it.
        cut: its rows, the first with the names of the columns.
        id_column: the name of the column that says which test sample a row is of.
        answer_columns: the names of those that are filled.
    """

    path: Path
    data: bytes
    decoded: Decoded
    delimiter: str
    quotes: bool
    cut: Cut
    id_column: str = ""
    answer_columns: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Sample":
        """Read a file; its columns are not chosen yet.

        Raises:
            DataError: it is no table of text with names of columns and rows, or cannot be written
                again as it is.
        """
        if path.suffix.lower() not in TEXT_SUFFIXES:
            expected = ", ".join(TEXT_SUFFIXES)
            raise DataError(f"{path}: expected a sample submission that ends in {expected}")
        return cls.parse(read_bytes(path), path)

    @classmethod
    def parse(cls, data: bytes, path: Path) -> "Sample":
        """Return the sample that bytes hold; see `read`."""
        decoded = decode(data, path, option=None)
        usual = "," if path.suffix.lower() == ".csv" else "\t"
        delimiter, *_ = delimited.find_delimiter(decoded.text, usual)
        quotes = bool(delimited.has_quotes(decoded.text, delimiter))
        cut = _cut(decoded.text, delimiter, quotes, path)
        sample = cls(path, data, decoded, delimiter, quotes, cut)
        sample._check()
        return sample

    def _check(self) -> None:
        """Refuse what has no rows, uneven ones, or would not be written as it was."""
        if len(self.cut.rows) < 2:
            raise DataError(f"{self.path}: expected names of columns, and a row for each answer")
        width = len(self.cut.rows[0])
        for number, row in enumerate(self.cut.rows, 1):
            if len(row) != width:
                raise DataError(
                    f"{self.path}: row {number} has {len(row)} cells, and the first {width}"
                )
        if len(set(self.columns)) < width:
            raise DataError(
                f"{self.path}: two columns have the same name: {', '.join(self.columns)}"
            )
        if self.render(self.cut.rows[1:]) != self.data:
            raise DataError(
                f"{self.path}: could not be written again as it is: it has empty lines, several "
                "kinds of line ends, or bytes that are no character"
            )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(map(self.value, self.cut.rows[0]))

    @cached_property
    def ids(self) -> list[str]:
        """The id of each row."""
        return self.cells(self.id_column)

    def cells(self, column: str) -> list[str]:
        """Return the values of a column, one for each row."""
        place = self.columns.index(column)
        return [self.value(row[place]) for row in self.cut.rows[1:]]

    def value(self, raw: str) -> str:
        """Return what a cell says: without quotes, in NFC, without white space around it."""
        if self.quotes and raw.startswith('"'):
            raw = raw[1:-1].replace('""', '"')
        return unicodedata.normalize("NFC", raw).strip()

    def fill(self, answers: Mapping[str, Sequence[str | None]]) -> list[list[str]]:
        """Return the rows with other values in some columns; None keeps the sample's own."""
        rows = [list(row) for row in self.cut.rows[1:]]
        for column, values in answers.items():
            place = self.columns.index(column)
            for row, value in zip(rows, values, strict=True):
                if value is not None:
                    row[place] = self.spell(value, row[place])
        return rows

    def spell(self, value: str, like: str = "") -> str:
        """Return a value as a cell, with quotes where it needs them, or another cell has them."""
        special = {self.delimiter, '"', "\n", "\r"} & set(value)
        if special and not self.quotes:
            raise DataError(f"{self.path}: {value!r} cannot be a cell: the file knows no quotes")
        if special or (self.quotes and like.startswith('"')):
            return '"' + value.replace('"', '""') + '"'
        return value

    def render(self, rows: Sequence[Sequence[str]]) -> bytes:
        """Return the file with other rows under the names of its columns.

        Args:
            rows: of cells as they are to be written.

        Raises:
            DataError: the file's encoding lacks a letter.
        """
        lines = [self.delimiter.join(row) for row in (self.cut.rows[0], *rows)]
        text = self.cut.line_end.join(lines) + (self.cut.line_end if self.cut.ends else "")
        return encode_like(self.data, self.decoded, text, self.path)


def list_some(names: Sequence[str]) -> str:
    """Name a few of many."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def check_given(sample: Sample, columns: Sequence[str]) -> None:
    """Refuse columns that somebody named and a sample lacks."""
    check_columns(sample.path, sample.columns, columns)


def find_twice(names: Sequence[str]) -> list[str]:
    """Return the names that come more than once."""
    return [name for name, number in Counter(names).items() if number > 1]


def _cut(text: str, delimiter: str, quotes: bool, path: Path) -> Cut:
    """Cut a text into rows of cells as they are written; empty lines at its end are none."""
    ends = Counter(re.findall("\r\n|\r|\n", text))
    line_end = max(ends, key=ends.__getitem__, default="\n")
    rows: list[list[str]] = [[]]
    for raw, after in _cells(text, delimiter, quotes, path):
        rows[-1].append(raw)
        if after != delimiter:
            rows.append([])
    rows = [row for row in rows if any(row)]
    return Cut(rows, line_end, text.endswith(("\r", "\n")))


def _cells(text: str, delimiter: str, quotes: bool, path: Path) -> Iterator[tuple[str, str]]:
    """Yield each cell as it is written, with what stands behind it."""
    stop = rf"({re.escape(delimiter)}|\r\n|\r|\n|\Z)"
    plain = rf"[^{re.escape(delimiter)}\r\n]*"
    cell = re.compile(rf'("(?:[^"]|"")*"|(?!"){plain}){stop}' if quotes else f"({plain}){stop}")
    place, found = 0, None
    while place < len(text) or (found is not None and found[2] == delimiter):
        found = cell.match(text, place)
        if found is None:
            line = text.count("\n", 0, place) + 1
            raise DataError(f"{path}:{line}: a quote is never closed, or has text behind it")
        yield found[1], found[2]
        place = found.end()
