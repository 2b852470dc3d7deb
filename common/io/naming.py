"""What the names of files say of which belong together, such as `p07_3.jpg` and `p07_4.jpg`."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

_LAST = re.compile(r"[\s_\-.,()\[\]]+[^\s_\-.,()\[\]]+[)\]]?$|(?<=[^\W\d_])\d+$")
_NUMBERED = re.compile(r"(.*[^\W\d_])[\s_\-.(]*\d+\)?")
_OF_DEVICES = {  # what cameras, phones and programs call pictures, whatever they show
    *("img", "image", "images", "dsc", "dscn", "dscf", "cimg", "mvimg", "pxl", "p", "pic"),
    *("picture", "photo", "frame", "scan", "screenshot", "file", "kakaotalk"),
    *("사진", "이미지", "스크린샷", "그림"),
}
_OF_SHARDS = {"part", "batch", "chunk", "shard", "images", "imgs", "photos", "원천데이터"}
_FEWEST_SOURCES = 20  # pictures that variants are of, or they cannot be split
_AUGMENTED = re.compile(r".+\.rf\.[0-9A-Za-z]{16,}")  # how Roboflow calls a picture's variants
_MOST_CLASSES = 100
_FEWEST = 3  # files of each class
_FIRST = re.compile(r"[^\s_\-.,()\[\]]+")


def group_of_name(rule: str, name: str) -> str | None:
    """Return what a file belongs to, None where its name does not say it.

    Args:
        rule: `folder`: the folder that it lies in; `name`: its name without the last piece, in its
            folder; `name-start`: the first piece of its name, likewise. Pieces are cut at spaces,
            underscores, dashes, points, commas and brackets, and before a number at the end.
        name: a path with slashes.
    """
    path = PurePosixPath(name)
    if rule == "folder":
        return str(path.parent) if len(path.parts) > 1 else None
    if rule == "name":
        rest = _LAST.sub("", path.stem)
        return None if rest in ("", path.stem) else str(path.parent / rest)
    first = _FIRST.match(path.stem)
    whole = first is None or first[0] == path.stem
    return None if first is None or whole else str(path.parent / first[0])


def are_shards(names: Sequence[str]) -> bool:
    """Say whether folders are parts of one set by their names, such as images_001 and images_002.

    They differ in their numbers alone, and are called as sets are, not as classes.
    """
    found = {re.sub(r"\d+", "", name.casefold()) for name in names}
    words = {*re.findall(r"[^\W\d_]+", "".join(found))}
    numbered = all(re.search(r"\d", name) for name in names)
    return len(names) > 1 == len(found) and numbered and bool(words & _OF_SHARDS)


def are_variants(stems: Sequence[str]) -> bool:
    """Say whether files are variants that Roboflow made of fewer pictures, by their names."""
    sources = {stem.rpartition(".rf.")[0] for stem in stems}
    return _FEWEST_SOURCES <= len(sources) < len(stems) and all(map(_AUGMENTED.fullmatch, stems))


def classes_of_names(stems: Sequence[str], to_learn: bool = True) -> list[str] | None:
    """Return the class of each file whose name says it before a number, such as cat.0 and dog.12.

    Args:
        stems: names without suffixes.
        to_learn: there have to be two classes or more, with three files each.

    Returns:
        None where some names do not say it, or say what cameras call their pictures.
    """
    found = [_NUMBERED.fullmatch(stem) for stem in stems]
    names = [each[1] for each in found if each]
    counts = Counter(names)
    if len(names) < max(1, len(stems)) or _OF_DEVICES & {name.casefold() for name in counts}:
        return None
    enough = 2 <= len(counts) <= _MOST_CLASSES and min(counts.values()) >= _FEWEST
    return names if enough or not to_learn else None
