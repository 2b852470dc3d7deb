"""Where in a user's folder the class folders are: in the root, or below train, test and so on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from common.io.folders import (
    PARTS,
    find_part,
    list_folders,
    list_visible,
    normalize_name,
    relative_name,
    walk,
)

ALL = "all"  # the part that is still to be split
_BODIES = ("images", "image", "imgs", "img")  # folders in a part that are no class
_ORDER = ("train", "validation", "test")

Kind = Callable[[Path], bool]  # whether a file may be one of those looked for


class Found(NamedTuple):
    """Where the class folders are."""

    parts: dict[str, Path]  # the folder that holds them as `all`, or those of train and others
    problems: tuple[str, ...] = ()  # what is wrong with them
    left_out: tuple[tuple[str, str], ...] = ()  # (folder, reason)
    said: str = ""  # where they are, if that is not what the folders are called


def find_parts(root: Path, to_learn: bool, is_kind: Kind, *, unwrap: bool = True) -> Found:
    """Find the folders that hold class folders.

    A folder that holds nothing but one with folders in it is passed through, as archives make them
    (`chest_xray/chest_xray/train`). Parts are called `train`, `val` or `test` in any case, or have
    such a word in their names (`seg_train`, `test_images`); where only others have one, the folder
    beside them with the same classes is that to train on (`rps`, `rps-test-set`).

    Args:
        root: the folder.
        to_learn: whether there has to be a part to train on.
        is_kind: tells the files that are looked for.
        unwrap: whether folders are passed through, and words in names count.
    """
    inner = _pass_through(root, is_kind) if unwrap else root
    folders = list_folders(inner)
    bodies = {each: _find_body(each, is_kind) if unwrap else each for each in folders}
    classes = {each: _class_names(bodies[each], is_kind) for each in folders}
    named = _name_parts(classes, exact=not unwrap)
    if not named:
        whole = _find_body(inner, is_kind) if unwrap else inner
        return Found({ALL: whole}, said=_say_place(whole, root))
    flat = [each for each in named if not classes[each]]
    if len(flat) < len(named):
        named = {each: part for each, part in named.items() if each not in flat or part == "train"}
    known = set().union(*(classes[each] for each in named))
    parts: dict[str, Path] = {}
    problems, left_out, said = [], [], []
    for folder in folders:
        name, part = relative_name(folder, root), named.get(folder)
        if part is None and classes[folder] & known:
            beside = ", ".join(sorted(each.name for each in named))
            problems.append(f"{name}/ stands beside {beside}: move it elsewhere")
        elif part is None and any(map(is_kind, walk(folder))):
            left_out.append((f"{name}/", "no part of the split with class folders"))
        elif part in parts:
            problems.append(f"{name}/ and {parts[part].name}/ are both for {part}: keep one")
        elif part is not None:
            parts[part] = bodies[folder]
            if bodies[folder] != folder or normalize_name(folder.name).casefold() not in PARTS:
                said.append(f", {part} from {relative_name(bodies[folder], root)}")
    if to_learn and "train" not in parts:
        problems.append("there is no train/")
    ordered = {part: parts[part] for part in _ORDER if part in parts}
    return Found(
        ordered, tuple(problems), tuple(left_out), "".join([_say_place(inner, root), *said])
    )


def _say_place(folder: Path, root: Path) -> str:
    return f", in {relative_name(folder, root)}" if folder != root else ""


def _pass_through(folder: Path, is_kind: Kind) -> Path:
    """Return the folder that is the only one in another, as long as it has folders itself."""
    while (only := _only_folder(folder, is_kind)) and _class_names(only, is_kind):
        if find_part(only.name):
            break
        folder = only
    return folder


def _find_body(part: Path, is_kind: Kind) -> Path:
    """Return the folder in a part that holds all it has: of its name, of images, or of folders."""
    only = _only_folder(part, is_kind)
    if only is None:
        return part
    named = only.name.casefold() in (part.name.casefold(), *_BODIES)
    return only if named or _class_names(only, is_kind) else part


def _only_folder(folder: Path, is_kind: Kind) -> Path | None:
    """Return the one folder that holds all files in another, None where there are others."""
    if any(map(is_kind, filter(Path.is_file, list_visible(folder)))):
        return None
    inside = [each for each in list_folders(folder) if any(map(is_kind, walk(each)))]
    return inside[0] if len(inside) == 1 else None


def _name_parts(classes: Mapping[Path, set[str]], *, exact: bool) -> dict[Path, str]:
    """Return which folders are parts of a split, by what is in each; {} where all are classes."""
    names = {folder: normalize_name(folder.name) for folder in classes}
    named = {folder: part for folder, name in names.items() if (part := find_part(name))}
    plain = {folder: part for folder, part in named.items() if names[folder].casefold() in PARTS}
    if plain and len(plain) == len(classes):
        return plain
    # A class may be called "train" too, beside "bus" and "car"; it holds files and no folders.
    if any(classes[folder] for folder in plain):
        return {each: part for each, part in named.items() if each in plain or classes[each]}
    if exact or not any(classes[folder] for folder in named):
        return {}
    if "train" in named.values():
        return named
    same = [
        folder
        for folder in classes
        if folder not in named and any(classes[folder] == classes[other] for other in named)
    ]
    return {**named, same[0]: "train"} if len(same) == 1 else {}


def _class_names(folder: Path, is_kind: Kind) -> set[str]:
    folders = list_folders(folder)
    return {normalize_name(each.name) for each in folders if any(map(is_kind, walk(each)))}
