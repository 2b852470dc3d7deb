"""Texts from a user: arguments, a file, or standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from common.io.tables import decode, read_table, read_text
from common.options.terminal import note
from labs.rnn.columns import as_columns

_STDIN = Path("standard input")
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson")


def read_texts(arguments: Sequence[str], file: Path | None, column: str) -> list[str]:
    """Return texts: the arguments, a column of a table, or the lines of a file or standard input.

    A single `-` among the arguments stands for standard input. A file is a CSV, TSV or JSONL with
    that column, or any other text file, of which each line is a text.

    Raises:
        UsageError: there are texts and a file, or neither.
        DataError: the file cannot be read.
    """
    if arguments and file is not None:
        raise click.UsageError("give texts or --file, not both")
    if arguments and list(arguments) != ["-"]:
        return list(arguments)
    if file is not None and file.suffix.lower() in _TABLES:
        table = read_table(file, as_columns([column]))
        for place, reason in table.skipped:
            note(f"skipped {place}: {reason}")
        return table.columns[0]
    if file is not None:
        return _lines(read_text(file), file)
    if sys.stdin.isatty():
        raise click.UsageError("give a text, --file, or texts on standard input")
    return _lines(decode(sys.stdin.buffer.read(), _STDIN), _STDIN)


def _lines(text: str, path: Path) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if any("\ud800" <= letter <= "\udfff" for letter in line):
            note(f"{path}:{number}: has bytes that are no character; each is read as one unknown")
    return [line.removesuffix("\r") for line in lines]
