"""Two files of which each line of one is the translation of the same line of the other."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from common.errors import DataError
from common.files import cache_dir, make_once, sha256_of
from common.io.encodings import decode
from common.io.folders import list_visible
from common.io.tables import AS_FOUND, TableForm, is_table, read_bytes, write_as
from common.reuse import reusable
from labs.rnn.columns import LANGUAGES, SOURCES
from labs.rnn.published import Tables, is_about, open_set, part_of, unpack_set

_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_OTHER = re.compile("[^\\W\\d_\0-\u024f]")  # letters of any other script
_LANGUAGE = re.compile(r"\.[A-Za-z]{1,3}([-_][A-Za-z]+)?")  # a suffix
_NO_LANGUAGES = {".ids", ".xml", ".md", ".log", ".py", ".sh", ".pdf", ".yml", ".po", ".gz", ".bz2"}
_NAMED = re.compile(r"(.+)[._-]([A-Za-z]+)")  # the end of a name
_CODES = {*SOURCES, *LANGUAGES}
_SHOWN = 5  # files in a message
_OFTEN = 0.2  # share of the pairs
_MOSTLY = 0.3  # share of such letters in a text that is not in Latin script


@reusable(lambda path, form=AS_FOUND: (path, form))
def open_pairs(path: Path, form: TableForm = AS_FOUND) -> Tables:
    """Say which files of a folder or an archive are for training, validation and the test.

    They are tables, see `open_set`, or the first of two files that are parallel, such as
    `train.en` beside `train.ko`, or `train_en.txt` beside `train_ko.txt`. A folder with nothing but
    two `.txt` is what is learned from as it is.

    Args:
        path: a table, one of two files, a folder, or an archive, which is unpacked into the cache.
        form: what is known of how tables are written.

    Raises:
        DataError: several could be meant, or there are none.
        SaveError: the cache cannot be written.
    """
    root = unpack_set(path)
    if not root.is_dir():
        return Tables(root)
    pairs = [(one, other) for one in _files(root) for other in _partners(one) if one < other]
    of_parts = {part: _only(pairs, part) for part in ("train", "validation", "test")}
    train = of_parts["train"] or (pairs[0][0] if len(pairs) == 1 else None)
    if train is not None:
        parts = of_parts["validation"], of_parts["test"]
        left = [one.name for one, _ in pairs if one not in (train, *parts)]
        also = f"; not read: {', '.join(left[:_SHOWN])}" if left else ""
        note = f"of {path.name} {train.name} is read (--data names another){also}"
        return Tables(train, *parts, notes=(note,) * (len(pairs) > 1))
    if not pairs:
        found = open_set(path, form)
        if found.train.is_file():
            return found
        if len(_texts(root)) == 2:
            return Tables(root)
    raise _no_pairs(path, [one for one, _ in pairs])


def as_table(path: Path, form: TableForm = AS_FOUND) -> Path:
    """Return a table: the path, or what is made in the cache of the two files that it names.

    They are `train.en` and `train.ko`, of which one or their folder is named, or the two `.txt` of
    a folder. The table's columns have the names of what differs, such as `en` and `ko`.

    Args:
        path: a table, one of the two files, or a folder or archive of what `open_pairs` knows.
        form: what is known of how the files are written.

    Raises:
        DataError: the files do not have as many lines, or a folder has no such files.
        SaveError: the cache cannot be written.
    """
    pair = _find(path, form)
    if isinstance(pair, Path):
        return pair
    one, other = pair
    known = [_key(file) for file in pair]
    names = [key[1] if key else file.stem for key, file in zip(known, pair, strict=True)]
    key = "".join([*map(sha256_of, pair), *names, repr(form)])
    folder = cache_dir() / "parallel" / hashlib.sha256(key.encode()).hexdigest()[:16]
    table = f"{'-'.join(names)}.csv"
    return make_once(folder, lambda made: _write(made / table, names, pair, form)) / table


def _write(table: Path, names: list[str], pair: tuple[Path, Path], form: TableForm) -> None:
    texts = [decode(read_bytes(file), file, form.encoding).text for file in pair]
    lines = [[x.rstrip("\r") for x in text.removesuffix("\n").split("\n")] for text in texts]
    if len(lines[0]) != len(lines[1]):
        counts = " and ".join(f"{f.name} {len(n):,}" for f, n in zip(pair, lines, strict=True))
        raise DataError(
            f"{pair[0].parent}: of two files each line is the translation of the other's, but "
            f"they have different numbers of lines: {counts}"
        )
    write_as(form, table, [names, *zip(*lines, strict=True)])


def _find(path: Path, form: TableForm) -> tuple[Path, Path] | Path:
    """Return the two files that are meant, or the table; the path where nothing is there."""
    if not path.exists():
        return path
    found = open_pairs(path, form).train
    if found.is_dir():
        one, other = _texts(found)
        return one, other
    if len(partners := _partners(found)) == 1:
        one, other = sorted([found, *partners])
        return one, other
    if not is_table(found):
        raise _no_pairs(path, partners)
    return found


def _no_pairs(path: Path, found: Sequence[Path]) -> DataError:
    some = ", ".join(sorted({each.name for each in found})[:_SHOWN])
    return DataError(
        f"{path}: expected a table, or two files with as many lines, such as train.en and "
        f"train.ko; there are {len(found)} such pairs"
        + (f": name one of their files with --data, such as {some}" if found else "")
    )


def _files(folder: Path) -> list[Path]:
    return [each for each in list_visible(folder) if each.is_file() and not is_about(each.stem)]


def _texts(folder: Path) -> list[Path]:
    return [each for each in _files(folder) if each.suffix.lower() == ".txt"]


def _key(path: Path) -> tuple[str, str] | None:
    """Return what two parallel files have in common in their names, and what tells them apart."""
    if path.suffix.lower() == ".txt":
        found = _NAMED.fullmatch(path.stem)
        return (found[1], found[2]) if found and found[2].casefold() in _CODES else None
    told = _LANGUAGE.fullmatch(path.suffix) and path.suffix.lower() not in _NO_LANGUAGES
    return (path.stem, path.suffix[1:]) if told and not is_table(path) else None


def _partners(path: Path) -> list[Path]:
    """Return the files whose lines may be those of a file in another language."""
    key = _key(path)
    return [
        each
        for each in (_files(path.parent) if key else [])
        if each != path and (other := _key(each)) and other[0] == (key or other)[0]
    ]


def _only(pairs: Sequence[tuple[Path, Path]], part: str) -> Path | None:
    """Return the first file of the only pair that is for a part of the split."""
    found = [one for one, _ in pairs if part_of(one.stem) == part]
    return found[0] if len(found) == 1 else None


def turn(pairs: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Turn the pairs that stand the other way round than most, as their scripts tell.

    Where both directions are frequent, all go from Latin script to the other, in every file alike.
    Where most pairs are of one script, as those of a conversation, all stay as they are.

    Returns:
        The pairs, all in one direction, and a sentence where some were turned.
    """
    ways = [_direction(source, target) for source, target in pairs]
    forth, back = ways.count(1), ways.count(-1)
    if forth + back < len(pairs) / 2:
        return [*pairs], []
    usual = 1 if forth >= _OFTEN * (forth + back) else -1
    turned = [
        (target, source) if way == -usual else (source, target)
        for (source, target), way in zip(pairs, ways, strict=True)
    ]
    if not (count := ways.count(-usual)):
        return turned, []
    where = "from Latin script to another" if usual == 1 else "from another script to Latin"
    return turned, [
        f"{count:,} of {len(pairs):,} pairs stand the other way round: they are turned, so that "
        f"all go {where}"
    ]


def _direction(source: str, target: str) -> int:
    """Return 1 from Latin to another script, -1 from another to Latin, 0 of all else."""
    scripts = [_script(text) for text in (source, target)]
    return {("latin", "other"): 1, ("other", "latin"): -1}.get((scripts[0], scripts[1]), 0)


def _script(text: str) -> str:
    latin, other = len(_LATIN.findall(text)), len(_OTHER.findall(text))
    if other:
        return "other" if other >= _MOSTLY * (latin + other) else ""
    return "latin" if latin else ""
