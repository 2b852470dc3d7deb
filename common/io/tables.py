"""The text tables that users have: CSV, TSV and JSON lines, in UTF-8, UTF-16 or cp949.

A row that cannot be used is left out and listed with its place and the reason, so that nothing is
lost without a word; where the whole file cannot be what was meant, there is one error.
"""

import contextlib
import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.suggest import suggest

_MOST_DAMAGED = 0.1  # share of lines; a file with more of them is in some other encoding
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
_DAMAGED = re.compile("[\0\ud800-\udfff]")
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f]+")

# A row as it was read: the number of its first line, and its cells or why it has none.
_Row = tuple[int, list[str] | str]


@dataclass(frozen=True)
class Table:
    """Columns of a file."""

    columns: tuple[list[str], ...]
    """The cells of each column that was asked for, in that order; in NFC, without white space
    around them."""
    lines: list[int]  # for each row the line of the file that it begins in, from 1 on
    skipped: tuple[tuple[str, str], ...]  # ("file:line", reason) of each row that was left out

    def __len__(self) -> int:
        return len(self.lines)


def read_table(
    path: Path | str, columns: Sequence[str] | Sequence[int], *, gaps: Collection[str | int] = ()
) -> Table:
    """Read columns of a table.

    The suffix says how rows are written: `.csv` with commas and quotes (RFC 4180); `.tsv`, `.tab`
    and `.txt` with tabs, quotes being ordinary characters; `.jsonl` and `.ndjson` with a JSON
    object per line. Lines without any text are no rows.

    Args:
        path: the file; see `read_text` for its encoding.
        columns: their names, which the first row gives (in JSON the keys); or their numbers from 1
            on, for a file whose first row has data already.
        gaps: those of the columns whose cells may be empty; elsewhere that leaves a row out.

    Raises:
        DataError: the file cannot be read, has another suffix or encoding, lacks a column, has a
            quote that is never closed, or has no row that can be used.
    """
    path = Path(path)
    _check_suffix(path)
    wanted: list[str | int] = [_clean(n) if isinstance(n, str) else n for n in columns]
    text = read_text(path)
    rows: list[list[str]] = []
    lines: list[int] = []
    skipped: list[tuple[str, str]] = []
    for line, found in _READERS[path.suffix.lower()](path, text, wanted):
        cells = [] if isinstance(found, str) else [_clean(cell) for cell in found]
        reason = found if isinstance(found, str) else _wrong(cells, wanted, gaps)
        if reason:
            skipped.append((f"{path.name}:{line}", reason))
        else:
            rows.append(cells)
            lines.append(line)
    if not rows:
        listed = "".join(f"\n  {place}: {reason}" for place, reason in skipped[:5])
        left_out = f"; {len(skipped):,} were left out{listed}" if skipped else ", it is empty"
        raise DataError(f"{path} has no row that can be used{left_out}")
    return Table(tuple(map(list, zip(*rows, strict=True))), lines, tuple(skipped))


def read_cells(path: Path | str) -> list[list[str]]:
    """Return all cells of a table, for a look at what its columns hold; see `read_table`.

    The first row comes first: it may be names of columns or data already. Of JSON lines it is the
    keys of the first object. Rows with another number of cells are left out.

    Raises:
        DataError: the file cannot be read, or has another suffix or encoding.
    """
    path = Path(path)
    _check_suffix(path)
    text = read_text(path)
    if path.suffix.lower() in _JSON_LINES:
        objects = [each for line in text.split("\n") if isinstance(each := _object(line), dict)]
        names = list(objects[0]) if objects else []
        rows = [[str(values.get(name) or "") for name in names] for values in objects]
        return [names, *rows]
    rows = []
    with contextlib.suppress(csv.Error):  # it is said where the table is read
        rows += filter(any, _csv_rows(text, quotes=path.suffix.lower() == ".csv"))
    return [[_clean(cell) for cell in row] for row in rows if len(row) == len(rows[0])]


def read_text(path: Path) -> str:
    """Read a text file; see `decode`.

    Raises:
        DataError: the file cannot be read, or is not text.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path}: {reason}") from error
    return decode(data, path)


def decode(data: bytes, path: Path) -> str:
    """Read text in UTF-8 (with or without BOM), UTF-16 (with BOM) or cp949.

    Where some bytes are of no encoding, the text is read in the one of UTF-8 and cp949 that fails
    in fewer lines, and these bytes become lone surrogates (Python's "surrogateescape").

    Args:
        data: the bytes.
        path: where they are from, for the message.

    Raises:
        DataError: more than a tenth of the lines are in no encoding, or it is not text at all.
    """
    if data.startswith(_UTF_16):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode("utf-16")
        raise _not_text(path, "it begins as UTF-16, but is not")
    for encoding in ("utf-8-sig", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            return _checked(path, data.decode(encoding))
    lines = data.split(b"\n")
    utf_8, cp949 = (_damaged(lines, encoding) for encoding in ("utf-8", "cp949"))
    encoding, damaged = ("cp949", cp949) if len(cp949) < len(utf_8) else ("utf-8-sig", utf_8)
    if len(damaged) > max(1, _MOST_DAMAGED * len(lines)):
        raise _not_text(path, f"{len(damaged):,} lines are neither, the first is {damaged[0]}")
    return _checked(path, data.decode(encoding, "surrogateescape"))


def _damaged(lines: Sequence[bytes], encoding: str) -> list[int]:
    """Return the numbers of the lines, from 1 on, that are not in an encoding."""
    found = []
    for number, line in enumerate(lines, 1):
        try:
            line.decode(encoding)
        except UnicodeDecodeError:
            found.append(number)
    return found


def _checked(path: Path, text: str) -> str:
    """Refuse what decodes without being text, as archives and UTF-16 without a BOM do."""
    controls = sum(1 for _ in _CONTROL.finditer(text))
    if controls > max(10, _MOST_DAMAGED * len(text)):
        raise _not_text(path, f"it has {controls:,} control characters")
    return text


def _not_text(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: expected text in UTF-8, UTF-16 with a byte order mark, or cp949; {why}; save it "
        "as UTF-8"
    )


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in _READERS:
        raise DataError(
            f"{path}: expected a table that ends in {', '.join(_READERS)}; export it as one of them"
        )


def _csv_rows(text: str, *, quotes: bool) -> Any:
    """Return a reader of the rows of a CSV (with quotes) or a TSV (without)."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter="," if quotes else "\t",
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )


def _separated(
    path: Path, text: str, columns: Sequence[str | int], *, quotes: bool
) -> Iterator[_Row]:
    """Yield the rows of a CSV (with quotes) or a TSV (without)."""
    reader = _csv_rows(text, quotes=quotes)
    line, header = 1, None
    try:
        if isinstance(columns[0], str):
            header = [_clean(cell) for cell in next(reader, [])]
        numbers = _numbers(path, header, columns)
        line = reader.line_num + 1
        for row in reader:
            if any(map(str.strip, row)):
                yield line, _cells(row, numbers, header)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: the row that begins here is not CSV: {error}; a quote inside of a "
            'cell is written "", and the cell between quotes'
        ) from error


def _numbers(path: Path, header: Sequence[str] | None, columns: Sequence[str | int]) -> list[int]:
    """Return where in a row the columns are, from 0 on."""
    if header is None:
        return [int(number) - 1 for number in columns]
    _check_columns(path, header, columns)
    for name in columns:
        if header.count(str(name)) > 1:
            raise DataError(f"{path}:1: two columns are called {name!r}; rename one of them")
    return [header.index(str(name)) for name in columns]


def _check_columns(path: Path, known: Sequence[str], columns: Sequence[str | int]) -> None:
    missing = [str(name) for name in columns if name not in known]
    if missing:
        listed = ", ".join(name or "(no name)" for name in known) or "none, it is empty"
        lines = [f"\n  no column {name!r}{suggest(name, known)}" for name in missing]
        raise DataError(f"{path} has these columns: {listed}" + "".join(lines))


def _cells(
    row: Sequence[str], numbers: Sequence[int], header: Sequence[str] | None
) -> list[str] | str:
    """Return the cells asked for, or why they are not to be trusted: a separator in a text."""
    too_few = len(row) <= max(numbers)
    too_many = header is not None and any(map(str.strip, row[len(header) :]))
    if too_few or too_many:
        expected = f"expected {len(header)}" if header else f"needed {max(numbers) + 1}"
        return f"{len(row)} cell{'' if len(row) == 1 else 's'}, {expected}"
    return [row[number] for number in numbers]


def _json_lines(path: Path, text: str, columns: Sequence[str | int]) -> Iterator[_Row]:
    """Yield the rows of a file with a JSON object per line."""
    found = [
        (number, _object(line)) for number, line in enumerate(text.split("\n"), 1) if line.strip()
    ]
    objects = [values for _, values in found if isinstance(values, dict)]
    known = list(dict.fromkeys(key for values in objects for key in values))
    if objects or not found:
        _check_columns(path, known, columns)
    for number, values in found:
        yield number, values if isinstance(values, str) else _values(values, columns)


def _object(line: str) -> dict[str, Any] | str:
    """Return a line's object, its numbers as they are written, or why there is none."""
    try:
        values = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(values, dict):
        return "not a JSON object"
    return {_clean(key): value for key, value in values.items()}


def _values(values: dict[str, Any], columns: Sequence[str | int]) -> list[str] | str:
    cells = []
    for name in columns:
        value = values.get(str(name))
        if isinstance(value, dict | list):
            return f"{name!r} is neither text nor a number"
        if isinstance(value, bool):
            value = str(value).lower()
        cells.append("" if value is None else value)
    return cells


def _wrong(
    cells: Sequence[str], columns: Sequence[str | int], gaps: Collection[str | int]
) -> str | None:
    """Return why a row cannot be used, None if it can."""
    for name, cell in zip(columns, cells, strict=True):
        label = f"column {name}" if isinstance(name, int) else repr(name)
        damage = _DAMAGED.search(cell)
        if damage:
            what = "a NUL byte" if damage[0] == "\0" else "bytes that are no character"
            return f"{label} has {what}"
        if not cell and name not in gaps:
            return f"{label} is empty"
    return None


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


_JSON_LINES = (".jsonl", ".ndjson")
_READERS: dict[str, Callable[[Path, str, Sequence[str | int]], Iterator[_Row]]] = {
    ".csv": partial(_separated, quotes=True),
    **dict.fromkeys((".tsv", ".tab", ".txt"), partial(_separated, quotes=False)),
    **dict.fromkeys(_JSON_LINES, _json_lines),
}
