"""Finding the images of a data set in its folder."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import DataError
from common.files import sha256_of
from common.images.folders import is_image as is_image
from common.io.encodings import decode
from common.io.folders import PARTS, find_part
from common.io.folders import walk as walk
from common.io.tables import read_bytes
from labs.detection.records import IGNORED, NO_IMAGE, SPLITS, Picture, Problem

_TRAINVAL = re.compile("(?<![a-z])trainval(?![a-z])", re.IGNORECASE)
_HEAD = 1 << 16  # bytes that tell what a file is
_MANY = 1 << 16  # files of which it is kept what they are
_MARKS = (  # by which it is told which program has written a JSON or XML file
    *('"images"', '"annotations"', '"categories"', '"shapes"', '"imagePath"'),
    *('"classTitle"', '"coordinates"', '"box2d"'),
    *('"shape_attributes"', '"_via_img_metadata"', '"original_width"', 'labels"'),
    *("<annotations>", "<annotation>", "{"),
)
_Parts = dict[str, tuple[Picture, ...]]


def read_noted(path: Path, notes: list[str], encoding: str | None = None) -> str:
    """Read a text file; an encoding that was found out and is not UTF-8 goes to the notes.

    Args:
        path: the file.
        notes: take what is said.
        encoding: the user's word for it.

    Raises:
        DataError: the file cannot be read, is not text, or its encoding is not certain.
    """
    decoded = decode(read_bytes(path), path, encoding)
    notes += filter(None, [decoded.note(path)])
    return decoded.text


def stamp_of(path: Path) -> tuple[int, int]:
    """Return what changes when a file does, so that what was found in it can be kept.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return about.st_mtime_ns, about.st_size


def read_head(path: Path) -> bytes:
    """Return the beginning of a file, without the zeros of UTF-16.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as opened:
            return opened.read(_HEAD).replace(b"\0", b"")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def marks_in(path: Path) -> frozenset[str]:
    """Return those of `_MARKS` that are in a JSON or XML file; to parse it would take seconds.

    Raises:
        DataError: the file cannot be read.
    """
    return _marks_in(path, stamp_of(path))


@lru_cache(maxsize=_MANY)
def _marks_in(path: Path, stamp: tuple[int, int]) -> frozenset[str]:
    data = read_bytes(path)
    data = data.replace(b"\0", b"") if b"\0" in data[:_HEAD] else data  # those of UTF-16
    return frozenset(mark for mark in _MARKS if mark.encode() in data)


def read_json(path: Path, notes: list[str], encoding: str | None = None) -> Any:
    """Read a JSON file; the arguments, and what is raised, are those of `read_noted`."""
    try:
        return json.loads(read_noted(path, notes, encoding))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def part_of(pieces: Iterable[str]) -> str:
    """Return the split that the last of some names of folders tells, "all" where none does."""
    told = (find_part(_TRAINVAL.sub("train", piece)) for piece in reversed(list(pieces)))
    return next(filter(None, told), "all")


def files_by_part(root: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Return files with the boxes of many images by the splits that their names and folders tell.

    One alone is of "all"; beside others, one that tells none is for training.

    Raises:
        DataError: two are for one split, or none is for training.
    """
    found: dict[str, Path] = {}
    for path in files:
        part = part_of([*path.relative_to(root).parts[:-1], path.stem])
        if part in found:
            names = " and ".join(each.relative_to(root).as_posix() for each in (found[part], path))
            raise DataError(
                f"{root} has several files of boxes: {names} are both for {part}; name one of them "
                "as --data"
            )
        found[part] = path
    if len(found) == 1:
        return {"all": next(iter(found.values()))}
    if found and "train" not in found and "all" in found:
        found["train"] = found.pop("all")
    if found and ("train" not in found or "all" in found):
        listed = ", ".join(file.name for file in found.values())
        raise DataError(
            f"{root} has several files of boxes, {listed}; name one of them as --data, or call "
            "them train, val and test"
        )
    return {part: found[part] for part in ("all", *SPLITS) if part in found}


def short_name(part: str) -> str:
    """Return how files call a split."""
    return {"validation": "val"}.get(part, part)


def image_folder(part: str) -> str:
    """Return where the images of a split belong."""
    return "images" if part == "all" else f"images/{short_name(part)}"


def split_by_folder(pictures: Sequence[Picture]) -> tuple[_Parts, list[Problem]]:
    """Return images by the split that their folders tell, and what is in none of them.

    Where no folder is for training, all other images are, beside those of a folder that is called
    `val` or `test` and nothing else.
    """
    parts = defaultdict(list)
    for picture in pictures:
        parts[part_of(PurePosixPath(picture.name).parts[:-1])].append(picture)
    if "train" in parts:
        rest = [Problem(picture.name, IGNORED, "in no split") for picture in parts.pop("all", [])]
        return {part: tuple(parts[part]) for part in SPLITS if part in parts}, rest
    held = {part: _in_folder(part, pictures) for part in ("validation", "test")}
    names = {picture.name for part in held.values() for picture in part}
    train = tuple(picture for picture in pictures if picture.name not in names)
    if not names or not train:
        return {"all": tuple(pictures)}, []
    return {part: some for part, some in {"train": train, **held}.items() if some}, []


def _in_folder(part: str, pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """Return the images in folders whose whole name is that of a split."""
    return tuple(
        picture
        for picture in pictures
        if part in (PARTS.get(piece.casefold()) for piece in PurePosixPath(picture.name).parts[:-1])
    )


def split_by_lists(
    lists: Mapping[str, Set[str]], pictures: Sequence[Picture]
) -> tuple[_Parts, list[Problem]]:
    """Return images by the lists that they stand in, and what is wrong with the lists.

    `trainval` is `train` and `val` together: what is left of it is `val` where that has no list of
    its own, else `train`. Where no list is for training, the images in no list are.

    Args:
        lists: the names of images, by the list's name: `train`, `trainval`, `val`, `test`.
        pictures: the images.
    """
    keys, known = {each.name for each in pictures}, set[str]().union(*lists.values())
    named: dict[str, Set[str]] = {PARTS[name]: lists[name] for name in lists if name in PARTS}
    left = lists.get("trainval", set()) - set[str]().union(*named.values())
    rest = "train" if "train" not in named or "validation" in named else "validation"
    named[rest] = named.get(rest, set()) | left
    train = named["train"] or keys - known
    wanted = {"validation": set(), "test": set(), **named, "train": train}
    parts = {
        part: found
        for part in SPLITS
        if (found := tuple(picture for picture in pictures if picture.name in wanted[part]))
    }
    problems = [
        Problem(picture.name, IGNORED, "in no list")
        for picture in pictures
        if picture.name not in known | train
    ]
    for name, listed in lists.items():
        if missing := sorted(listed - keys):
            why = f"{len(missing):,} of its {len(listed):,} images, such as {missing[0]}"
            problems.append(Problem(f"list {name}", NO_IMAGE, why))
    if "train" not in parts:
        return {"all": tuple(pictures)}, problems
    return parts, problems


def identify(paths: Iterable[Path]) -> dict[Path, str]:
    """Return a key for each file, the same where the bytes are the same.

    Only files of one size are read.
    """
    by_size = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_size[path.stat().st_size].append(path)
    return {
        path: sha256_of(path) if len(group) > 1 else str(path)
        for group in by_size.values()
        for path in group
    }
