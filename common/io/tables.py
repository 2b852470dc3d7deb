"""The tables that users have: CSV, TSV, JSON, workbooks and Parquet, also compressed.

A row that cannot be used is left out and listed with its place and the reason, so that nothing is
lost without a word; where the whole file cannot be what was meant, there is one error. How a file
was read, where that was not certain, is a sentence in `Table.notes`.
"""

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from common.errors import DataError
from common.io import delimited, labelled_lines, memories, sheets
from common.io.encodings import decode, widest
from common.io.sheets import Row
from common.io.unpack import most_unpacked
from common.options.config import FORM, TableConfig, TableForm, flag
from common.suggest import suggest

__all__ = [
    "OpenTable",
    "Table",
    "TableForm",
    "check_columns",
    "is_packed_table",
    "read_cells",
    "read_names",
    "read_table",
    "read_text",
    "refuse_unfit",
    "write_as",
]

AS_FOUND = TableForm()
_DAMAGED = re.compile("[\0\ud800-\udfff]")
_USUAL = 100  # different values of a column that tell a row from a text
_PEEKED = 60  # rows that show what stands above the names of the columns
_CHUNK = 1 << 20  # bytes

_SEPARATED = {".csv": ",", **dict.fromkeys((".tsv", ".tab", ".txt"), "\t")}
TEXT_SUFFIXES = tuple(_SEPARATED)
AS_TEXT = ("", ".label", ".data", ".dat")  # of files that are read as .txt, if they are named
_JSON_LINES = (".jsonl", ".ndjson")
_WORKBOOKS = (".xlsx", ".xlsm")
SUFFIXES = (*_SEPARATED, *_JSON_LINES, ".json", *_WORKBOOKS, ".parquet", ".tmx")
_COMPRESSED: Mapping[str, Callable[[IO[bytes]], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}

PACKED = (*_COMPRESSED, ".zip")


@dataclass(frozen=True)
class Table:
    """Columns of a file."""

    columns: tuple[list[str], ...]
    """The cells of each column that was asked for, in that order; in NFC, without white space
    around them."""
    lines: list[int]
    """For each row the line of the file that it begins in, from 1 on; of a workbook its row, of
    Parquet and a JSON array its number."""
    skipped: tuple[tuple[str, str], ...]  # ("file:line", reason) of each row that was left out
    notes: tuple[
        str, ...
    ] = ()  # how the file was read, where that was not certain: a sentence each

    delimiter: str = ","  # between cells, where it has any

    def __len__(self) -> int:
        return len(self.lines)


@dataclass
class _Opened:
    """A table's rows as they are in the file."""

    rows: Iterator[Row]
    notes: list[str]
    named: bool = False  # whether the first row is the columns' names, as of JSON and Parquet
    header: bool = False  # whether it is, as somebody said
    clean: bool = False  # whether all text is in NFC, without damaged characters
    delimiter: str = ","
    width: int | None = None  # cells of most rows, where no header is asked for
    spread: dict[int, list[str]] = field(default_factory=dict)
    """Rows over several lines, by the number of the first; filled while they are read."""


def read_table(
    path: Path | str,
    columns: Sequence[str] | Sequence[int],
    *,
    gaps: Collection[str | int] = (),
    form: TableForm = AS_FOUND,
    longer: bool = False,
) -> Table:
    """Read columns of a table.

    The suffix says what it is: `.csv`, `.tsv`, `.tab`, `.txt` or none, with what is between cells
    found out; `.jsonl`, `.ndjson` with a JSON object per line; `.json` with an array of them;
    `.xlsx`; `.parquet`; `.tmx` with a column for each language; each also as .gz, .bz2, .xz, or
    alone in a .zip. Lines without any text are no rows.

    Args:
        path: the file; see `common.io.encodings` for its encoding.
        columns: their names, which the first row with any text gives (in JSON the keys); or their
            numbers from 1 on, for a file whose first row has data already, as far as the form does
            not say otherwise.
        gaps: those of the columns whose cells may be empty; elsewhere that leaves a row out.
        form: what is known of how it is written.
        longer: whether rows are read that have more cells than the first, which may be a delimiter
            in a text: for columns such as ids, whose cells tell themselves whether they are right.

    Raises:
        DataError: the file cannot be read, has another suffix, an encoding that is not certain,
            lacks a column, has a quote that is never closed, or has no row that can be used.
    """
    path = Path(path)
    wanted: list[str | int] = [_clean(n) if isinstance(n, str) else n for n in columns]
    if form.header is False:
        wanted, gaps = list(map(str, wanted)), set(map(str, gaps))
    opened = _open(path, form, wanted)
    header: list[str] | None = None
    if opened.named or opened.header or isinstance(wanted[0], str):
        header = _header(opened)
    return _read(path, opened, header, wanted, gaps, longer)


class OpenTable:
    """A table whose columns are chosen by their names; it is opened once, and read once.

    Args:
        path: the file; see `read_table`.
        form: what is known of how it is written.
        lists: whether a list of numbers, as JSON and Parquet have them, is a cell: `[1, 2.5]`.
        join: whether names that go over several rows are made one row of names: where each row of
            data has a number or a date, so that a row without any is none.

    Raises:
        DataError: the file cannot be read, or has another suffix or encoding.
    """

    def __init__(
        self,
        path: Path | str,
        form: TableForm = AS_FOUND,
        *,
        lists: bool = False,
        join: bool = False,
    ):
        self._path = Path(path)
        self._opened = _open(self._path, form, lists=lists)
        self.names = _header(self._opened)
        if join and form.header is None and not self._opened.named:
            self._join_names()

    def _join_names(self) -> None:
        head, self._opened.rows = _peek(self._opened.rows)
        cells = [[] if isinstance(row, str) else [cell or "" for cell in row] for _, row in head]
        if (found := delimited.join_names([self.names, *cells])) is None:
            return
        self.names, count = found
        self._opened.rows = islice(self._opened.rows, count - 1, None)
        self._opened.notes.append(
            f"the names of the columns of {self._path.name} are in {count} rows, put together as "
            f"{self.names[1]!r} and so on (--header yes takes the first alone)"
        )

    def read(self, columns: Sequence[str], *, gaps: Collection[str] = ()) -> Table:
        """Read columns; see `read_table`."""
        return _read(self._path, self._opened, self.names, [*map(_clean, columns)], gaps)

    def rows(self) -> Iterator[Row]:
        """Return the rows below the names as they are in the file, in place of `read`."""
        return self._opened.rows


def _read(
    path: Path,
    opened: _Opened,
    header: list[str] | None,
    wanted: Sequence[str | int],
    gaps: Collection[str | int],
    longer: bool = False,
) -> Table:
    sieve = _Sieve(path, opened, header, wanted, gaps, longer)
    found: list[list[str]] = [[] for _ in wanted]
    lines: list[int] = []
    skipped: list[tuple[str, str]] = []
    for line, row in opened.rows:
        taken = sieve.take(row)
        if isinstance(taken, str):
            skipped.append((f"{path.name}:{line}", taken))
        elif taken is not None:
            lines.append(line)
            for column, cell in zip(found, taken, strict=True):
                column.append(cell)
    if sieve.header and sieve.too_wide > len(lines):
        raise _too_wide(path, sieve.too_wide, sieve.too_wide + len(lines), sieve.width)
    if opened.spread:
        skipped += _take_out_swallowed(path, opened, sieve, found, lines)
    if not lines:
        listed = "".join(f"\n  {place}: {reason}" for place, reason in skipped[:5])
        left_out = f"; {len(skipped):,} were left out{listed}" if skipped else ", it is empty"
        raise DataError(f"{path} has no row that can be used{left_out}")
    return Table(tuple(found), lines, tuple(skipped), tuple(opened.notes), opened.delimiter)


class _Sieve:
    """Takes the cells that are asked for from rows, or says why they are not to be trusted."""

    def __init__(
        self,
        path: Path,
        opened: _Opened,
        header: list[str] | None,
        wanted: Sequence[str | int],
        gaps: Collection[str | int],
        longer: bool,
    ):
        self.names = wanted
        self.numbers = _numbers(path, header, wanted, named=opened.named)
        self.header = header
        self.width = len(header) if header else opened.width or max(self.numbers) + 1
        self.gaps = [name in gaps for name in wanted]
        self.clean = opened.clean
        self.longer = longer
        self.too_wide = 0  # rows with more cells than the width
        self.blank = opened.named  # whether a row without any text counts: it is no empty line

    def take(self, row: Sequence[str | None] | str) -> list[str] | str | None:
        """Return the cells, why they are not to be trusted, or None for a row without any text."""
        if isinstance(row, str):
            return row
        if len(row) != self.width and (reason := self._misfit(row)):
            return reason if any(map(_has_text, row)) else None
        cells = [row[number] for number in self.numbers]
        if self.clean:
            usual = [cell.strip() for cell in cells if cell is not None]
            if all(usual):
                return usual
        if not self.blank and not any(map(_has_text, row)):
            return None
        return self._checked(cells)

    def _misfit(self, row: Sequence[str | None]) -> str | None:
        """Say what is wrong with the number of cells: a delimiter in a text, or one lost."""
        too_few = len(row) <= max(self.numbers)
        if not too_few and (self.longer or not any(map(_has_text, row[self.width :]))):
            return None
        self.too_wide += not too_few and any(map(_has_text, row))
        needed = f"needed {max(self.numbers) + 1}" if too_few else f"expected {self.width}"
        expected = f"expected {self.width}" if self.header else needed
        return f"{len(row)} cell{'' if len(row) == 1 else 's'}, {expected}"

    def _checked(self, found: Sequence[str | None]) -> list[str] | str:
        """Return cells, clean, or what is wrong with one of them."""
        cells = []
        for name, cell, may_be_empty in zip(self.names, found, self.gaps, strict=True):
            label = f"column {name}" if str(name).isdecimal() else repr(name)
            if cell is None:
                return f"{label} is neither text nor a number"
            if damage := _DAMAGED.search(cell):
                what = "a NUL byte" if damage[0] == "\0" else "bytes that are no character"
                return f"{label} has {what}"
            cells.append(_clean(cell))
            if not cells[-1] and not may_be_empty:
                return f"{label} is empty"
        return cells


def read_names(path: Path | str, form: TableForm = AS_FOUND) -> list[str]:
    """Return the first row of a table, which has the names of its columns; see `read_table`.

    Raises:
        DataError: the file cannot be read, or has another suffix or encoding.
    """
    first = _header(_open(Path(path), form, most=_PEEKED))
    return first or _header(_open(Path(path), form))  # below that many empty rows


def read_cells(
    path: Path | str, form: TableForm = AS_FOUND, *, as_wide: bool = False
) -> list[list[str]]:
    """Return all cells of a table, for a look at what its columns hold; see `read_table`.

    The first row comes first: it may be names of columns or data already; of JSON and Parquet it is
    the names. Rows with another number of cells than the first are left out, or than most rows if
    few are as the first.

    Args:
        path: the file.
        form: what is known of how it is written.
        as_wide: whether most rows must not be wider than the first, if that has several cells.

    Raises:
        DataError: the file cannot be read, has another suffix or encoding, or most of its rows are
            too wide, as where texts have commas and no quotes.
    """
    rows: list[list[str]] = []
    with contextlib.suppress(_NotCSV):  # it is said where the table is read
        for _, row in _open(Path(path), form).rows:
            if not isinstance(row, str) and (rows or any(map(_has_text, row))):
                rows.append([_clean(cell or "") for cell in row])
    widths = Counter(map(len, rows))
    width = len(rows[0]) if rows else 0
    if as_wide and width > 1:
        wider = sum(any(row[width:]) for row in rows)
        if 2 * wider > len(rows) - 1:
            raise _too_wide(Path(path), wider, len(rows) - 1, width)
    if 2 * widths[width] < len(rows):
        width = widths.most_common(1)[0][0]
    return [row for row in rows if len(row) == width and any(row)]


def write_as(form: TableForm, path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write a table that is made of others, so that what is known of their form is true of it.

    Args:
        form: as it was given for the others.
        path: the file.
        rows: the names of the columns first.
    """
    codec = "utf-8" if form.encoding is None else widest(form.encoding)
    between = _given_delimiter(form.delimiter) or ","
    with path.open("w", encoding=codec, errors="surrogateescape", newline="") as file:
        csv.writer(file, delimiter=between).writerows(rows[form.header is False :])


def read_text(path: Path, encoding: str | None = None) -> str:
    """Read a text file; see `common.io.encodings.decode`.

    Raises:
        DataError: the file cannot be read, is not text, or its encoding is not certain.
    """
    return decode(read_bytes(path), path, encoding).text


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {path}: {reason}") from error


def _too_wide(path: Path, wider: int, rows: int, width: int) -> DataError:
    return DataError(
        f"{path}: {wider:,} of {rows:,} rows have more cells than the first, which has {width}: "
        "put quotes around cells with a delimiter in them, and give each column a name"
    )


class _NotCSV(DataError):
    """A quote is never closed, or has text behind it."""


# --- files ----------------------------------------------------------------------------------------


def refuse_unfit(config: TableConfig, names: Collection[str] | None = None) -> None:
    """Refuse options on how tables are written that go with none of a config's files.

    Args:
        config: names the files.
        names: of the options that somebody gave; when None, of those without a default the ones
            that have a value.

    Raises:
        DataError: an option goes with none of the files.
    """
    if names is None:
        usual = {each.name: each.default for each in fields(config)}
        names = [name for name in config.of_files if usual[name] is None]
        names = [name for name in names if getattr(config, name) is not None]
    data = getattr(config, "data", "")
    files = [getattr(config, name, None) for name in ("data", "validation", "test")]
    paths = [Path(file).expanduser() for file in files if file]
    if not names or not (paths[0].exists() or data in config.paths.get("data", ())):
        return
    for name in names:
        if not any(_takes(path, name, config) for path in paths):
            kind = _GOES_WITH.get(name, "a table")
            raise DataError(f"{flag(name)}: goes with {kind}, and {data} is none")


_GOES_WITH = {
    "file_encoding": "a table or a text that is not in UTF-8",
    "delimiter": "a table of text, such as .csv",
    "sheet": "a workbook",
    "crop_boxes": "files of images",
    "header": "a table whose first row could have data, such as .csv",
}


def _takes(path: Path, name: str, config: TableConfig) -> bool:
    """Say whether an option on how tables are written means anything for a path."""
    packed = path.suffix.lower()
    suffix = Path(path.stem).suffix.lower() if packed in _COMPRESSED else packed
    if not path.exists():
        return False
    if path.is_dir() or suffix not in (*SUFFIXES, *AS_TEXT, ".zip"):
        return name in config.of_folders
    others = {
        **dict.fromkeys((*_JSON_LINES, ".json"), ("delimiter", "sheet", "header")),
        **dict.fromkeys(_WORKBOOKS, ("file_encoding", "delimiter")),
        **dict.fromkeys((*_SEPARATED, *AS_TEXT), ("sheet",)),
        **dict.fromkeys((".parquet", ".tmx"), FORM),
    }
    return name not in others.get(suffix, ())


def _open(
    path: Path,
    form: TableForm,
    wanted: Sequence[str | int] = (),
    *,
    lists: bool = False,
    most: int | None = None,
) -> _Opened:
    """Open a table.

    Args:
        path: the file.
        form: what is known of how it is written.
        wanted: the columns that will be asked for.
        lists: whether a list of numbers is a cell.
        most: rows of a workbook that will be asked for.
    """
    opened = _open_file(path, form, wanted, lists, most)
    if opened.named:
        return opened
    opened.header = form.header is True
    if form.header is False:
        head, opened.rows = _peek(opened.rows)
        width = opened.width or max((len(row) for _, row in head), default=0)
        names = [str(number) for number in range(1, width + 1)]
        opened.rows = chain([(0, names)], opened.rows)
    elif form.header is None and any(isinstance(name, str) for name in wanted or [""]):
        _leave_out_title(path, opened)
    return opened


def _leave_out_title(path: Path, opened: _Opened) -> None:
    """Leave out the rows above the names of the columns, where they are certain, and say so."""
    head, opened.rows = _peek(opened.rows)
    cells = [[] if isinstance(row, str) else [cell or "" for cell in row] for _, row in head]
    if not (count := delimited.count_above(cells)):
        return
    opened.rows = islice(opened.rows, count, None)
    first = next(cell.strip() for row in cells for cell in row if cell.strip())
    lines = head[count][0] - 1
    named = (
        f"{lines} lines above the names of the columns are" if lines > 1 else "the first line is"
    )
    opened.notes.append(f"of {path.name} {named} left out: {first!r} (--header yes keeps them)")


def _peek(rows: Iterator[Row]) -> tuple[list[Row], Iterator[Row]]:
    """Return the first rows, and all rows; what is wrong behind the first is raised there."""
    head: list[Row] = []
    try:
        for row in islice(rows, _PEEKED):
            head.append(row)
    except _NotCSV as error:
        return head, _then_raise(head, error)
    return head, chain(head, rows)


def _then_raise(rows: Sequence[Row], error: DataError) -> Iterator[Row]:
    yield from rows
    raise error


def _open_file(
    path: Path, form: TableForm, wanted: Sequence[str | int], lists: bool, most: int | None
) -> _Opened:
    suffix, data = _unpacked(path)
    if suffix in _WORKBOOKS:
        return _Opened(*sheets.read_workbook(data, path, form.sheet, most))
    if suffix == ".parquet":
        return _Opened(sheets.read_parquet(data, path, lists=lists), [], named=True)
    if suffix == ".tmx":
        return _Opened(memories.read_memory(data, path), [], named=True)
    decoded = decode(data, path, form.encoding)
    del data
    notes = [note] if (note := decoded.note(path)) else []
    if suffix == ".json":
        return _Opened(sheets.read_json(decoded.text, path, lists=lists), notes, named=True)
    if suffix in _JSON_LINES:
        return _Opened(sheets.read_json_lines(decoded.text, path, lists=lists), notes, named=True)
    if form.delimiter is None and form.header is None:
        lines = labelled_lines.split(decoded.text, path.name, suffix)
        if lines is not None:
            return _Opened(lines.rows, [*notes, lines.said], named=True)
    return _open_separated(path, decoded.text, _SEPARATED[suffix], form, wanted, notes)


def _unpacked(path: Path) -> tuple[str, bytes]:
    """Return the suffix and the bytes of a file, or of what is packed in it."""
    packing = path.suffix.lower()
    if packing == ".zip":
        return _member(path)
    if packing in AS_TEXT:
        return ".txt", read_bytes(path)
    if packing not in _COMPRESSED:
        _check_suffix(path, packing)
        return packing, read_bytes(path)
    suffix = Path(path.stem).suffix.lower()
    _check_suffix(path, suffix)
    packed = read_bytes(path)
    try:
        with _COMPRESSED[packing](io.BytesIO(packed)) as stream:
            return suffix, _read_bounded(stream, len(packed), path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be unpacked: {error}") from error


def _member(path: Path) -> tuple[str, bytes]:
    """Return the one table in an archive."""
    try:
        packed = read_bytes(path)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            names = [
                name
                for name in archive.namelist()
                if Path(name).suffix.lower() in SUFFIXES and not name.startswith("__MACOSX/")
            ]
            if len(names) != 1:
                listed = f": {', '.join(names[:5])}" if names else ""
                raise DataError(
                    f"{path}: expected one table in it, found {len(names)}{listed}; unpack it, and "
                    "name the table"
                )
            with archive.open(names[0]) as stream:
                data = _read_bounded(stream, len(packed), path)
            return Path(names[0]).suffix.lower(), data
    except (zipfile.BadZipFile, RuntimeError, zlib.error) as error:  # as in `unpack`
        raise DataError(f"{path}: cannot be unpacked: {error}") from error


def _read_bounded(stream: IO[bytes], size: int, path: Path) -> bytes:
    """Read what was packed into so many bytes, unless it swells beyond reason."""
    chunks, left = [], most_unpacked(size)
    while chunk := stream.read(_CHUNK):
        chunks.append(chunk)
        left -= len(chunk)
        if left < 0:
            raise DataError(
                f"{path}: unpacks to more than {most_unpacked(size):,} bytes, from {size:,}; if "
                "you trust it, unpack it yourself"
            )
    return b"".join(chunks)


def is_packed_table(path: Path) -> bool:
    """Say whether a file's name is that of a packed table, such as `boxes.csv.gz`."""
    inner = Path(path.stem).suffix.lower()
    return path.suffix.lower() in PACKED and inner in SUFFIXES


def is_table(path: Path) -> bool:
    """Say whether a file's name is that of a table, packed or not."""
    return path.suffix.lower() in SUFFIXES or is_packed_table(path)


def _check_suffix(path: Path, suffix: str) -> None:
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path}: expected a table that ends in {', '.join(SUFFIXES)}; export it as one of them"
        )


# --- text with delimiters -------------------------------------------------------------------------


def _open_separated(
    path: Path,
    text: str,
    usual: str,
    form: TableForm,
    wanted: Sequence[str | int],
    notes: list[str],
) -> _Opened:
    text, hint = delimited.without_hint(text)
    names = [name for name in wanted if isinstance(name, str)]
    if form.header is False:
        names = []
    given = _given_delimiter(form.delimiter) or hint
    delimiter, *rivals = [given] if given else delimited.find_delimiter(text, usual, names)
    if form.delimiter is None and (delimiter != usual or rivals):
        between, *others = (
            delimited.DELIMITERS.get(one, repr(one)) for one in (delimiter, *rivals)
        )
        as_well = f"; {' and '.join(others)} would cut it evenly as well" if others else ""
        notes.append(f"{path.name} is cut at {between} (--delimiter names another){as_well}")
    quotes = delimited.has_quotes(text, delimiter)
    if delimiter == "\t" and quotes is not None:
        meaning = "stand around whole cells" if quotes else "are ordinary characters"
        notes.append(f"quotes in {path.name} {meaning}")
    opened = _Opened(
        iter(()),
        notes,
        clean=unicodedata.is_normalized("NFC", text) and not _DAMAGED.search(text),
        delimiter=delimiter,
    )
    if (wanted and not names) or form.header is False:
        with contextlib.suppress(csv.Error):  # it is said with its line as the rows are read
            opened.width = delimited.expected_width(text, delimiter, quotes=bool(quotes))
    opened.rows = _separated(path, text, delimiter, bool(quotes), opened.spread)
    return opened


def _given_delimiter(given: str | None) -> str | None:
    delimiter = delimited.NAMES.get(given or "", given)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise DataError(
            f"--delimiter {given}: expected one character, or one of {', '.join(delimited.NAMES)}"
        )
    return delimiter


def _separated(
    path: Path, text: str, delimiter: str, quotes: bool, spread: dict[int, list[str]]
) -> Iterator[Row]:
    """Yield the rows of a text with their first lines; keep those that go over several."""
    reader: Any = delimited.rows(text, delimiter, quotes=quotes)
    line = 1
    try:
        for row in reader:
            if reader.line_num > line:
                spread[line] = row
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise _NotCSV(
            f"{path}:{line}: the row that begins here is not CSV: {error}; a quote inside of a "
            'cell is written "", and the cell between quotes'
        ) from error


def _take_out_swallowed(
    path: Path, opened: _Opened, sieve: _Sieve, found: list[list[str]], lines: list[int]
) -> list[tuple[str, str]]:
    """Take out the rows whose quote closed too late, so that rows behind it became their text."""
    usual: dict[int, Collection[str]] = {}
    for number, column in zip(sieve.numbers, found, strict=True):
        counts = Counter(column)
        if len(counts) <= _USUAL:
            usual[number] = counts.keys() - {""}
    answers = {
        line: delimited.covers_rows(row, opened.delimiter, usual, sieve.width)
        for line, row in opened.spread.items()
    }
    wrong = {line for line, answer in answers.items() if answer == "certainly"}
    if doubtful := [line for line, answer in answers.items() if answer == "perhaps"]:
        opened.notes.append(
            f"{path.name}:{doubtful[0]}: the lines of a text in quotes could be rows themselves; "
            f"see whether the quote closes where it should ({len(doubtful):,} such texts)"
        )
    for place in reversed(range(len(lines))):
        if lines[place] in wrong:
            del lines[place]
            for column in found:
                del column[place]
    reason = 'a quote that opens here closes lines later, over rows; write a quote in a cell as ""'
    return [(f"{path.name}:{line}", reason) for line in sorted(wrong)]


# --- columns and cells ----------------------------------------------------------------------------


def _header(opened: _Opened) -> list[str]:
    return [_clean(cell or "") for cell in _first_row(opened.rows)]


def _first_row(rows: Iterator[Row]) -> Sequence[str | None]:
    """Return the first row with any text in it."""
    found = (row for _, row in rows if not isinstance(row, str) and any(map(_has_text, row)))
    return next(found, ())


def _numbers(
    path: Path, header: Sequence[str] | None, columns: Sequence[str | int], *, named: bool
) -> list[int]:
    """Return where in a row the columns are, from 0 on."""
    by_number = not named and all(isinstance(name, int) for name in columns)
    if header is None or by_number:
        return [int(number) - 1 for number in columns]
    check_columns(path, header, columns)
    for name in columns:
        if header.count(str(name)) > 1:
            raise DataError(f"{path}:1: two columns are called {name!r}; rename one of them")
    return [header.index(str(name)) for name in columns]


def check_columns(path: Path, known: Sequence[str], columns: Sequence[str | int]) -> None:
    """Raise a DataError that names the columns that a table lacks, and those that it has."""
    missing = [str(name) for name in columns if str(name) not in known]
    if missing:
        listed = ", ".join(name or "(no name)" for name in known) or "none, it is empty"
        lines = [f"\n  no column {name!r}{suggest(name, known)}" for name in missing]
        raise DataError(f"{path} has these columns: {listed}" + "".join(lines))


def _has_text(cell: str | None) -> bool:
    return cell is None or bool(cell.strip())


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
