"""The user's folders: what is in them beside what systems leave there, and the parts of a split."""

import contextlib
import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from common.errors import DataError

PARTS = {  # what folders of a split are called, in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("학습", "훈련"), "train"),
    "검증": "validation",
    **dict.fromkeys(("시험", "테스트"), "test"),
}

_KOREAN = re.compile("(용|데이터|셋|세트|이미지|사진|자료|폴더)*")  # what follows a part's name

_PART_CELLS = {  # what a column of a table calls them, in any case
    **PARTS,
    "dev": "validation",
    **{"publictest": "validation", "privatetest": "test"},  # of FER2013
}


def is_hidden(name: str) -> bool:
    """Say whether a file or folder is one that systems and editors leave beside the user's own."""
    return name.startswith((".", "__MACOSX", "@eaDir", "$RECYCLE.BIN")) or name == "Thumbs.db"


def walk(root: Path) -> Iterator[Path]:
    """Yield the files below a folder in order, without hidden ones; links to folders are followed.

    Raises:
        DataError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    seen: set[str] = set()  # or a link to a folder above it would never end
    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = sorted(name for name in folders if not is_hidden(name) and real not in seen)
        if real not in seen:
            yield from (Path(folder, name) for name in sorted(names) if not is_hidden(name))
        seen.add(real)


def list_visible(folder: Path) -> list[Path]:
    """Return what is in a folder, in order, without what is hidden.

    Raises:
        DataError: it cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [path for path in paths if not is_hidden(path.name)]


def list_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, in order, without hidden ones; see `list_visible`."""
    return [path for path in list_visible(folder) if path.is_dir()]


def find_part(name: str) -> str | None:
    """Return the part of a split that a word of a name tells, such as `train_labels`, or None.

    Korean words are also known where others follow without a space: `학습데이터`.
    """
    words = re.findall("[a-z]+|[가-힣]+", unicodedata.normalize("NFC", name).casefold())
    known = (part for word in words for start, part in PARTS.items() if _begins(word, start))
    return next(known, None)


def _begins(word: str, start: str) -> bool:
    rest = word.removeprefix(start)
    return not rest or (rest != word and not start.isascii() and bool(_KOREAN.fullmatch(rest)))


def read_part(cell: str) -> str | None:
    """Return the part of a split that a cell of a table names, or None."""
    return _PART_CELLS.get(cell.strip().casefold())


def find_split_column(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    used: Collection[str | None],
    labels: Sequence[str],
) -> str | None:
    """Return the column of a table that says which rows are for what, if there is one.

    It is the only one that holds nothing but names of parts, train and another; and each part has
    all classes, or nothing could be measured of some.

    Args:
        names: of the columns.
        rows: their cells.
        used: columns that hold something else.
        labels: columns that hold classes.
    """
    places = [names.index(name) for name in labels if name in names]
    found = []
    for place in (place for place, name in enumerate(names) if name not in used):
        parts = list(itertools.takewhile(bool, (read_part(row[place]) for row in rows)))
        if len(parts) < len(rows) or len({"train", *parts}) < 2 or "train" not in parts:
            continue
        held = defaultdict[str | None, set[tuple[str, ...]]](set)
        for part, row in zip(parts, rows, strict=True):
            held[part].add(tuple(row[label] for label in places))
        if len({frozenset(kinds) for kinds in held.values()}) == 1:
            found.append(names[place])
    return found[0] if len(found) == 1 else None


def normalize_name(name: str) -> str:
    """Return a file's name in NFC, also where the disk has cp949 bytes (old Korean archives)."""
    data = os.fsencode(name)
    for encoding in ("utf-8", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            return unicodedata.normalize("NFC", data.decode(encoding))
    return data.decode("utf-8", "replace")


def relative_name(path: Path, root: Path) -> str:
    """Return a file's path below a folder in NFC with slashes: the same on every system."""
    return "/".join(normalize_name(part) for part in path.relative_to(root).parts)
