"""Texts as sets are handed out: a folder or an archive with tables for training and for the test.

What a table is for is told by its name: `train.csv`, `ratings_test.txt`, `in_domain_dev.tsv`.
"""

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.files import cache_dir, make_once, sha256_of
from common.images.arrays import is_archive, unpacked
from common.io import labelled_lines
from common.io.folders import list_folders, list_visible, normalize_name, read_part
from common.io.tables import AS_FOUND, AS_TEXT, TableForm, is_table, read_cells, read_text
from labs.rnn.columns import LABELS, words_of

UNLABELLED = {"unsup", "unlabeled", "unlabelled"}  # folders
ABOUT = {
    *("readme", "license", "licence", "notes", "vocab", "requirements", "classes", "labels"),
    *("about", "mapping", "submission", "submit", "summary", "info", "cmds"),
}
_SHOWN = 5


class Tables(NamedTuple):
    """The tables of a set, or the folder of its classes."""

    train: Path
    validation: Path | None = None
    test: Path | None = None
    notes: tuple[str, ...] = ()  # sentences on what was taken for what


def open_set(path: Path, form: TableForm = AS_FOUND) -> Tables:
    """Say which tables of a folder or an archive are for what; a table is for all.

    A folder of folders or files that are a class each is `train` as it is. Tables of the same
    columns, without one of labels, are a class each, such as `True.csv` and `Fake.csv`; they are
    put together in the cache.

    Args:
        path: a table, a folder, or an archive, which is unpacked into the cache.
        form: what is known of how tables are written.

    Raises:
        DataError: several tables could be meant, or an archive cannot be unpacked.
        SaveError: the cache cannot be written.
    """
    root = unpack_set(path)
    if not root.is_dir():
        return Tables(root)
    folder = _find_folder(root)
    tables = [each for each in list_visible(folder) if _could_be_table(each)]
    parts = {part: [each for each in tables if part_of(each.stem) == part] for part in _PARTS}
    if parts["train"]:
        return _by_parts(path, tables, parts)
    if list_folders(folder) or not tables:
        return Tables(root)
    if len(tables) == 1:
        return Tables(tables[0], notes=_say_left(path, tables, tables))
    if all(each.suffix.lower() == ".txt" for each in tables):
        _refuse_labelled(path, tables, form)
        return Tables(root)
    return _put_together(path, tables, form)


_PARTS = ("train", "validation", "test")


def part_of(name: str) -> str | None:
    """Return the part of a split that a word of a file's name tells, or None."""
    words = re.split(r"[\W\d_]+", normalize_name(name).casefold())
    return next(filter(None, (read_part(re.sub("(data|set)$", "", w)) for w in words)), None)


def is_about(name: str) -> bool:
    """Say whether a file tells something of a set, or answers a competition, as names go."""
    return bool(words_of(normalize_name(name)) & ABOUT)


def unpack_set(path: Path) -> Path:
    """Return the folder of what an archive holds, unless that is a single table."""
    if not is_archive(path):
        return path
    root = unpacked(path)
    tables = [each for each in list_visible(root) if is_table(each)]
    one = len(tables) == 1 and not list_folders(root) and path.suffix.lower() == ".zip"
    return path if one else root


def _find_folder(root: Path) -> Path:
    """Return the folder of the tables: the root, or the only one in it that can be."""
    folders = [each for each in list_folders(root) if each.name.casefold() not in UNLABELLED]
    parts = [part_of(each.stem) for each in list_visible(root) if _could_be_table(each)]
    if len(folders) != 1 or "train" in parts:
        return root
    inside = list_visible(folders[0])
    deeper = [each for each in inside if each.is_dir()]
    of_tables = any(_could_be_table(each) and part_of(each.stem) == "train" for each in inside)
    return _find_folder(folders[0]) if of_tables or len(deeper) == 1 else root


def _could_be_table(path: Path) -> bool:
    named = is_table(path) or path.suffix.lower() in AS_TEXT
    return path.is_file() and named and not is_about(path.stem)


def _by_parts(path: Path, tables: Sequence[Path], parts: dict[str, list[Path]]) -> Tables:
    """Return the one table for each part: that whose name is the training table's, else the one."""
    if len(parts["train"]) > 1:
        raise DataError(
            f"{path}: {_list(parts['train'])} are all for training: name one of them with --data"
        )
    train = parts["train"][0]
    found = [train]
    for part in _PARTS[1:]:
        alike = [each for each in parts[part] if _without_part(each) == _without_part(train)]
        of_part = alike if len(alike) == 1 else parts[part]
        found += of_part if len(of_part) == 1 else []
    named = {part_of(each.stem): each for each in found}
    return Tables(train, named.get("validation"), named.get("test"), _say_left(path, tables, found))


def _without_part(path: Path) -> tuple[str, ...]:
    """Return the words of a name but for the one that tells its part."""
    words = re.split(r"[\W_]+", path.stem.casefold())
    return (*(word for word in words if part_of(word) is None), path.suffix.casefold())


def _say_left(folder: Path, tables: Sequence[Path], found: Sequence[Path]) -> tuple[str, ...]:
    left = [each for each in tables if each not in found]
    also = f"; not read: {_list(left)}" if left else ""
    return (f"of {folder.name} {found[0].name} is read (--data names another){also}",)


def _list(files: Sequence[Path]) -> str:
    named = ", ".join(each.name for each in files[:_SHOWN])
    return named + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")


def _refuse_labelled(path: Path, tables: Sequence[Path], form: TableForm) -> None:
    """Refuse files that are no class each, since their lines have labels of their own."""
    texts = [(each, read_text(each, form.encoding)) for each in tables[:_SHOWN]]
    if all(labelled_lines.split(text, each.name, ".txt") for each, text in texts):
        raise DataError(
            f"{path}: the lines of {_list(tables)} have their labels with them: name one of these "
            "files with --data"
        )


def _put_together(path: Path, tables: Sequence[Path], form: TableForm) -> Tables:
    """Return a table of several that are a class each, with their names as labels."""
    read = [read_cells(table, form, as_wide=True) for table in tables]
    headers = [rows[0] if rows else [] for rows in read]
    known = {*LABELS} & {name.casefold() for name in headers[0]}
    if headers.count(headers[0]) < len(headers) or len(headers[0]) < 1 or known:
        raise DataError(
            f"{path}: which table is meant? It has {_list(tables)}: name one with --data, or call "
            "them train, validation and test"
        )
    names = [normalize_name(table.stem) for table in tables]
    key = "".join([*map(sha256_of, tables), *names, repr(form)])
    folder = cache_dir() / "together" / hashlib.sha256(key.encode()).hexdigest()[:16]
    rows = [[*row, name] for name, found in zip(names, read, strict=True) for row in found[1:]]
    made = f"{'-'.join(names[:_SHOWN])}.csv"

    def write(temporary: Path) -> None:
        with (temporary / made).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([[*headers[0], "label"], *rows])

    note = f"each table of {path.name} is a class: {', '.join(names)}"
    return Tables(make_once(folder, write) / made, notes=(note,))
