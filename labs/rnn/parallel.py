"""Two files of which each line of one is the translation of the same line of the other."""

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from common.errors import DataError
from common.files import cache_dir, make_once, sha256_of
from common.io.encodings import decode
from common.io.folders import find_part, list_visible
from common.io.tables import SUFFIXES, is_table, read_bytes

_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_OTHER = re.compile("[^\\W\\d_\0-\u024f]")  # letters of any other script
_OFTEN = 0.2  # share of the pairs
_MOSTLY = 0.3  # share of such letters in a text that is not in Latin script


def as_table(path: Path, encoding: str | None = None) -> Path:
    """Return a table: the path, or what is made in the cache of the two files that it names.

    They are `train.en` and `train.ko`, of which one or their folder is named, or the two `.txt` of
    a folder. The table's columns have the names of what differs, such as `en` and `ko`.

    Args:
        path: a table, one of the two files, or their folder.
        encoding: of the files; found out when None.

    Raises:
        DataError: the files do not have as many lines, or a folder has no such files.
        SaveError: the cache cannot be written.
    """
    pair = _find(path)
    if pair is None:
        return path
    one, other = pair
    differ = [one.stem, other.stem] if one.suffix == other.suffix else [one.suffix, other.suffix]
    names = [name.strip(".") for name in differ]
    key = "".join([*map(sha256_of, pair), *names, str(encoding)])
    folder = cache_dir() / "parallel" / hashlib.sha256(key.encode()).hexdigest()[:16]
    table = f"{'-'.join(names)}.csv"
    return make_once(folder, lambda made: _write(made / table, names, pair, encoding)) / table


def _write(table: Path, names: list[str], pair: tuple[Path, Path], encoding: str | None) -> None:
    texts = [decode(read_bytes(file), file, encoding).text for file in pair]
    lines = [[x.rstrip("\r") for x in text.removesuffix("\n").split("\n")] for text in texts]
    if len(lines[0]) != len(lines[1]):
        counts = " and ".join(f"{f.name} {len(n):,}" for f, n in zip(pair, lines, strict=True))
        raise DataError(
            f"{pair[0].parent}: of two files each line is the translation of the other's, but "
            f"they have different numbers of lines: {counts}"
        )
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *zip(*lines, strict=True)])


def _find(path: Path) -> tuple[Path, Path] | None:
    """Return the two files that are meant; None of a table, and of what is not there."""
    if not path.exists() or (path.is_file() and is_table(path)):
        return None
    folder = path if path.is_dir() else path.parent
    files = [each for each in list_visible(folder) if each.is_file()]
    plain = [each for each in files if each.suffix and each.suffix.lower() not in SUFFIXES]
    pairs = [
        (one, other) for one in plain for other in plain if one.stem == other.stem and one < other
    ]
    if path.is_file():
        pairs = [pair for pair in pairs if path in pair]
    elif not pairs:
        texts = [each for each in files if each.suffix.lower() == ".txt"]
        pairs = [(texts[0], texts[1])] if len(texts) == 2 else []
    trained = [pair for pair in pairs if find_part(pair[0].stem) == "train"]
    for found in (pairs, trained):
        if len(found) == 1:
            return found[0]
    raise DataError(
        f"{path}: expected a table, or two files with as many lines, such as train.en and "
        f"train.ko; there are {len(pairs)} such pairs"
    )


def turn(pairs: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Turn the pairs that stand the other way round than most, as their scripts tell.

    Where both directions are frequent, all go from Latin script to the other, in every file alike.

    Returns:
        The pairs, all in one direction, and a sentence where some were turned.
    """
    ways = [_direction(source, target) for source, target in pairs]
    forth, back = ways.count(1), ways.count(-1)
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
