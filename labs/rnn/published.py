"""Texts as sets are handed out: a folder or an archive with tables for training and for the test.

What a table is for is told by its name: `train.csv`, `ratings_test.txt`, `in_domain_dev.tsv`.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.files import cache_dir, make_once, sha256_of
from common.io import labelled_lines
from common.io.folders import find_part, list_folders, list_visible, normalize_name, walk
from common.io.tables import AS_FOUND, AS_TEXT, TableForm, is_table, read_cells, read_text, write_as
from common.io.unpack import is_archive, unpacked
from common.reuse import reusable
from labs.rnn.columns import LABELS, words_of

UNLABELLED = {"unsup", "unlabeled", "unlabelled"}  # folders
ABOUT = {
    *("readme", "license", "licence", "notes", "vocab", "requirements", "classes", "labels"),
    *("about", "mapping", "submission", "submit", "summary", "info", "cmds"),
}
_ANSWERS = {"submission", "submit", "labels", "classes", "mapping"}  # whatever kind of table it is
_PLAIN = ("", ".txt")  # suffixes of what may as well be something else than a table
_SHARD = re.compile(r"(.*)-(\d{3,})-of-0*(\d+)")
_PART = re.compile("(?<![a-z])(train|test|dev)(?:data|set)?(?![a-z])")
_SHOWN = 5


class Tables(NamedTuple):
    """The tables of a set, or the folder of its classes."""

    train: Path
    validation: Path | None = None
    test: Path | None = None
    notes: tuple[str, ...] = ()  # sentences on what was taken for what


@reusable(lambda path, form=AS_FOUND: (path, form))
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
        return _by_parts(path, tables, parts, form)
    if list_folders(folder) or not tables:
        return _by_folders(path, folder) or Tables(root)
    if len(tables) == 1:
        return Tables(tables[0], notes=_say_left(path, tables, tables))
    if all(each.suffix.lower() == ".txt" for each in tables):
        _refuse_labelled(path, tables, form)
        return Tables(root)
    return _put_together(path, tables, form)


_PARTS = ("train", "validation", "test")


def part_of(name: str) -> str | None:
    """Return the part of a split that a word of a file's name tells, or None.

    It is what `find_part` says, and dev, and words such as testdata.
    """
    plain = _PART.sub(lambda found: "val" if found[1] == "dev" else found[1], name.casefold())
    return find_part(plain)


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
    files = [each for each in inside if _could_be_table(each)]
    of_parts = any(part_of(each.name) == "train" for each in inside)
    of_tables = bool(files) and not all(each.suffix.lower() in _PLAIN for each in files)
    alone = len(inside) == 1 and inside[0].is_dir()
    return _find_folder(folders[0]) if of_parts or of_tables or alone else root


def _could_be_table(path: Path) -> bool:
    named = is_table(path) or path.suffix.lower() in AS_TEXT
    words = words_of(normalize_name(path.stem))
    about = _ANSWERS | (ABOUT if path.suffix.lower() in _PLAIN else set())
    return path.is_file() and named and not words & about


def _by_parts(
    path: Path, tables: Sequence[Path], parts: dict[str, list[Path]], form: TableForm
) -> Tables:
    """Return the one table for each part: that whose name is the training table's, else the one."""
    train = _of_shards(parts["train"], form) or parts["train"][0]
    if len(parts["train"]) > 1 and train in parts["train"]:
        raise DataError(
            f"{path}: {_list(parts['train'])} are all for training: name one of them with --data"
        )
    found = {}
    for part in _PARTS[1:]:
        alike = [each for each in parts[part] if _without_part(each) == _without_part(train)]
        of_part = alike if len(alike) == 1 else parts[part]
        if table := _of_shards(of_part, form) or (of_part[0] if len(of_part) == 1 else None):
            found[part] = table
    shards = [each for each in tables if _SHARD.fullmatch(each.stem)]
    notes = _say_left(path, tables, [train, *found.values(), *shards])
    if train not in tables:
        notes = (*notes, f"it is made of {_list(parts['train'])}")
    return Tables(train, found.get("validation"), found.get("test"), notes)


def _of_shards(tables: Sequence[Path], form: TableForm) -> Path | None:
    """Return a table that was cut into numbered files, such as train-00001-of-00004, as one."""
    told = [_SHARD.fullmatch(each.stem) for each in tables]
    names = {(each[1], each[3]) for each in told if each}
    if len(tables) < 2 or not all(told) or len(names) != 1 or len(tables) != int(names.pop()[1]):
        return None
    read = [read_cells(table, form, as_wide=True) for table in tables]
    if any(rows[:1] != read[0][:1] for rows in read):
        return None
    name = f"{told[0][1] if told[0] else ''}.csv"
    return _write(tables, name, form, [read[0][0], *(row for rows in read for row in rows[1:])])


def _by_folders(path: Path, root: Path) -> Tables | None:
    """Return the tables of folders that are for a part each, and hold one table each."""
    folders = [each for each in list_folders(root) if each.name.casefold() not in UNLABELLED]
    parts = {part_of(each.name): each for each in folders}
    if None in parts or "train" not in parts or len(parts) < len(folders):
        return None
    found = {part: [*islice(filter(_could_be_table, walk(parts[part])), 2)] for part in parts}
    alone = {part: tables[0] for part, tables in found.items() if len(tables) == 1}
    if "train" not in alone or alone["train"].suffix.lower() in _PLAIN:
        return None
    notes = _say_left(path, (), [alone["train"]])
    return Tables(alone["train"], alone.get("validation"), alone.get("test"), notes)


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
    rows = [[*row, name] for name, found in zip(names, read, strict=True) for row in found[1:]]
    name = f"{'-'.join(names[:_SHOWN])}.csv"
    note = f"each table of {path.name} is a class: {', '.join(names)}"
    return Tables(_write(tables, name, form, [[*headers[0], "label"], *rows]), notes=(note,))


def _write(
    tables: Sequence[Path], name: str, form: TableForm, rows: Sequence[Sequence[str]]
) -> Path:
    """Write what was made of tables into the cache, once."""
    key = "".join([*map(sha256_of, tables), *(each.name for each in tables), repr(form)])
    folder = cache_dir() / "together" / hashlib.sha256(key.encode()).hexdigest()[:16]

    return make_once(folder, lambda made: write_as(form, made / name, rows)) / name
