"""Texts from a user: arguments, a file, or standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from common.io.encodings import Decoded, decode
from common.io.tables import (
    AS_FOUND,
    AS_TEXT,
    PACKED,
    TableForm,
    is_table,
    read_bytes,
    read_cells,
    read_table,
)
from common.options.terminal import note
from labs.rnn.columns import as_columns, guess_texts, join_texts, text_columns

_STDIN = Path("standard input")


def read_texts(
    arguments: Sequence[str],
    file: Path | None,
    column: str,
    form: TableForm = AS_FOUND,
    *,
    given: bool = False,
) -> list[str]:
    """Return texts: the arguments, a column of a table, or the lines of a file or standard input.

    A single `-` among the arguments stands for standard input. A file is a table with that column,
    of which every row is kept, the text being empty where it has none; or any other text file, of
    which each line is a text. Of a .txt, or without a suffix, the first row tells which it is.

    Args:
        arguments: of the command line.
        file: the file.
        column: of a table, as the run's own texts have it.
        form: what is known of how it is written.
        given: whether the user named the column for this file.

    Raises:
        UsageError: there are texts and a file, or neither.
        DataError: the file cannot be read.
    """
    if arguments and file is not None:
        raise click.UsageError("give texts or --file, not both")
    if arguments and list(arguments) != ["-"]:
        return list(arguments)
    if file is not None:
        return _read_file(file, column, form, given)
    if sys.stdin.isatty():
        raise click.UsageError("give a text, --file, or texts on standard input")
    return _lines(decode(sys.stdin.buffer.read(), _STDIN, form.encoding), _STDIN)


def _read_file(file: Path, column: str, form: TableForm, given: bool) -> list[str]:
    """Return a column of a table, or the lines of any other file."""
    plain = file.suffix.lower() in (".txt", *AS_TEXT)
    if not plain and not is_table(file) and file.suffix.lower() not in PACKED:
        return _lines(decode(read_bytes(file), file, form.encoding), file)
    reasons: list[str] = []
    if not given:
        rows = read_cells(file, form)
        if plain and form.header is None and not _has_columns(rows, column):
            return _lines(decode(read_bytes(file), file, form.encoding), file)
        column, reasons = guess_texts(file, rows, column)
    return _read_column(file, column, form, reasons)


def _has_columns(rows: Sequence[Sequence[str]], column: str) -> bool:
    """Say whether a .txt is a table: its first row tells."""
    width = len(rows[0]) if rows else 0
    if column.isdecimal():
        return width >= int(column) > 1 or (width > 1 and len(rows) > 1)
    return width > 1 and all(name in rows[0] for name in text_columns(column))


def _read_column(file: Path, column: str, form: TableForm, reasons: Sequence[str]) -> list[str]:
    """Return a column of a table, with what is to be said of it."""
    columns = as_columns(text_columns(column))
    table = read_table(file, columns, gaps=columns, form=form)
    for line in (*table.notes, *reasons):
        note(line)
    for place, reason in table.skipped:
        note(f"skipped {place}: {reason}")
    return [*map(join_texts, zip(*table.columns, strict=True))]


def _lines(decoded: Decoded, path: Path) -> list[str]:
    if line := decoded.note(path):
        note(line)
    lines = decoded.text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if any("\ud800" <= letter <= "\udfff" for letter in line):
            note(f"{path}:{number}: has bytes that are no character; each is read as one unknown")
    return [line.removesuffix("\r") for line in lines]
