"""The YAML of a data set in YOLO's format: what it says, read as the texts that were typed.

`no`, `0123` and `12:30` are class names, and no false, 83 or 750. Nothing that the file says is
executed or fetched, and nothing outside of its folder is read, but by links that are in it.
"""

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from common.errors import DataError
from common.suggest import suggest
from labs.detection.data.formats.folders import read_noted
from labs.detection.records import check_names

MOST_CLASSES = 10_000  # where they have no names: a stray number must not make billions
NO_PATH = (OSError, RuntimeError, ValueError)  # too long, a loop of links, a NUL

_NOTHING = ("", "~", "null", "Null", "NULL", None)
_WILD = re.compile(r"[*?\[]")
_DRIVE = re.compile("[A-Za-z]:")


class _Texts(yaml.BaseLoader):
    """A loader that keeps every scalar as it was typed, and refuses what it would drop."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found: dict[Any, Any] = {}
        for key, value in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that is no text", key.start_mark
                )
            if name in found:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} twice", key.start_mark
                )
            found[name] = self.construct_object(value, deep=True)
        return found


def _refuse(loader: Any, suffix: str, node: Any) -> Any:
    tag = f"a tag ({node.tag}) that a safe loader refuses, since it could run code"
    raise yaml.constructor.ConstructorError(None, None, tag, node.start_mark)


_Texts.add_multi_constructor("tag:yaml.org,2002:python/", _refuse)


def read_values(path: Path, notes: list[str], encoding: str | None) -> dict[str, Any]:
    """Return what a YAML says: texts, and lists and dictionaries of them; without empty values.

    How it was read goes to the notes, see `read_noted`.

    Raises:
        DataError: it is not YAML, has a key twice or a tag that could run code, or has no keys.
    """
    text = read_noted(path, notes, encoding)
    try:
        values = yaml.load(text, _Texts)  # builds texts, lists and dictionaries alone
    except yaml.constructor.ConstructorError as error:
        raise DataError(
            f"{path} has {error.problem}; write plain texts, numbers and lists{_line(error)}"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if "'\\t'" in str(error) and isinstance(error, yaml.MarkedYAMLError):
            raise DataError(
                f"{path}: a tab, where YAML takes spaces alone: replace it{_line(error)}"
            ) from error
        raise DataError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise DataError(f"{path}: expected the keys 'train', 'val' and 'names', found none")
    return {key: value for key, value in values.items() if value not in _NOTHING}


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return f" (line {mark.line + 1})" if mark else ""


def read_classes(path: Path, values: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[int, int]]:
    """Return the names of the classes, and the place among them of each number of a class.

    Names by number may have gaps: a number without a name has no class.

    Raises:
        DataError: the names cannot be used.
    """
    names, number = values.get("names"), _count(path, values)
    if names is None:
        if number is not None and 0 < number <= MOST_CLASSES:
            return tuple(map(str, range(number))), {at: at for at in range(number)}
        near = suggest("names", list(values))
        raise DataError(f"{path} lacks the key 'names', the list of the classes{near}")
    if isinstance(names, list):
        names = {str(at): name for at, name in enumerate(names)}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{path}: 'names' must be a list of texts, or texts by their numbers")
    if wrong := [key for key in names if not re.fullmatch(r"0|[1-9]\d{0,8}", key)]:
        raise DataError(
            f"{path}: 'names' has the key {wrong[0]!r}; expected the numbers of the classes"
        )
    if blank := [key for key, name in names.items() if not name.strip()]:
        raise DataError(f"{path}: 'names' has no text for class {blank[0]}")
    numbers = sorted(map(int, names))
    if number is not None and number not in (len(names), numbers[-1] + 1 if numbers else 0):
        raise DataError(f"{path}: nc is {number}, but there are {len(names)} names")
    classes = check_names([names[str(key)] for key in numbers], path)
    return classes, {key: at for at, key in enumerate(numbers)}


def _count(path: Path, values: Mapping[str, Any]) -> int | None:
    text = values.get("nc")
    if text is None:
        return None
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,9}", text.strip()):
        raise DataError(f"{path}: 'nc' must be the number of classes, or not be there")
    return int(text)


def read_key_points(path: Path, values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many key points an object has, and how many numbers each; None without them.

    Raises:
        DataError: `kpt_shape` is not two such numbers.
    """
    shape = values.get("kpt_shape")
    if shape is None:
        return None
    texts = shape if isinstance(shape, list) else []
    if len(texts) == 2 and all(isinstance(each, str) for each in texts):
        points, numbers = (each.strip() for each in texts)
        if re.fullmatch(r"[1-9]\d{0,3}", points) and numbers in ("2", "3"):
            return int(points), int(numbers)
    raise DataError(
        f"{path}: 'kpt_shape' must be [how many key points, 2 or 3 numbers each], found {shape}"
    )


class Places:
    """The files and folders that a YAML names, below its folder.

    Args:
        path: the YAML.
        values: what it says.

    Raises:
        DataError: its `path` is no text, or leads to another folder that is here.
    """

    def __init__(self, path: Path, values: Mapping[str, Any]):
        self.path, self.root, self.notes = path, path.parent, list[str]()
        self.base = self._base(values.get("path", "."), values.get("train"))

    def find(self, key: str, text: Any) -> list[Path]:
        """Return what a text of the YAML names, several files or folders where it has wildcards.

        Exports often say `../train/images` and mean `train/images`; others name the folder of
        another computer: what is not there is looked for inside, by the longest end that is.

        Raises:
            DataError: it is no text, leads out of the folder, or there is no such thing.
        """
        if not isinstance(text, str):
            raise DataError(f"{self.path}: {key!r} must be a path or a list of paths")
        try:
            found = self._inside(text) or self._matching(text) or self._by_end(key, text)
        except NO_PATH as error:
            raise DataError(f"{self.path}: {key!r} is no path: {error}") from error
        if found:
            return found
        outside = _existing(self.base, text)
        if outside is not None:
            raise DataError(
                f"{self.path}: {key!r} is {text}, outside of {self.root}; only images below the "
                "folder of the YAML are read: move them or the YAML, or correct the path"
            )
        rest = "" if key == "train" else f", or remove {key!r}: then a part of train is held out"
        raise DataError(
            f"{self.path}: {key!r} is {text}, and there is no such file in {self.root}; correct "
            f"the path{rest}"
        )

    def _holds_training(self, text: Any) -> bool:
        """Say whether the YAML's own folder has the training images that it names."""
        return isinstance(text, str) and bool(self._inside(text))

    def _base(self, text: Any, train: Any) -> Path:
        """Return the folder that other paths begin in; of another computer's, the YAML's.

        So it is where a name such as `coco8` is not below the YAML, but its training images are.
        """
        if not isinstance(text, str):
            raise DataError(f"{self.path}: 'path' must be the folder of the data")
        self.base = self.root
        try:
            here = Path(_slashes(text)).resolve()  # some write it from where they work
            found = self._inside(text) or (self._inside(str(here)) if here.exists() else [])
            outside = _existing(self.root, text) is not None
        except NO_PATH as error:
            raise DataError(f"{self.path}: 'path' is no path: {error}") from error
        if found:
            return found[0]
        if outside:
            raise DataError(
                f"{self.path}: 'path' is {text}, outside of {self.root}; only images below the "
                "folder of the YAML are read: put the YAML there, or correct the path"
            )
        plain = not _is_elsewhere(text) and ".." not in _slashes(text).split("/")
        if plain and not self._holds_training(train):
            raise DataError(
                f"{self.path}: 'path' is {text}, and there is no such folder in {self.root}"
            )
        self.notes.append(
            f"'path' of {self.path.name} is {text}, not here: its own folder is taken"
        )
        return self.root

    def _inside(self, text: str) -> list[Path]:
        """Return what a path leads to below the YAML's folder, by links also elsewhere."""
        given = PurePosixPath(_slashes(text))
        choices = [given]
        if ".." in given.parts and not given.is_absolute():
            choices.append(PurePosixPath(*(piece for piece in given.parts if piece != "..")))
        root = Path(os.path.normpath(self.root))
        for choice in choices:
            place = Path(os.path.normpath(self.base / choice))
            if place.is_relative_to(root) or place.resolve().is_relative_to(root.resolve()):
                found = _spell(place)
                if found is not None:
                    return [_below(found, self.root)]
        return []

    def _matching(self, text: str) -> list[Path]:
        """Return what fits a text with wildcards."""
        if not _WILD.search(text):
            return []
        pieces = [piece for piece in _slashes(text).split("/") if piece not in ("", ".", "..")]
        return sorted(self.base.glob("/".join(pieces)))

    def _by_end(self, key: str, text: str) -> list[Path]:
        """Return what the longest end of another computer's path names here."""
        if not _is_elsewhere(text):
            return []
        pieces = [piece for piece in _slashes(text).split("/") if piece not in ("", ".", "..")]
        for at in range(1, len(pieces)):
            found = _spell(self.base.joinpath(*pieces[at:]))
            if found is not None:
                place = _below(found, self.root)
                self.notes.append(
                    f"{key!r} of {self.path.name} is {text}, not here: "
                    f"{place.relative_to(self.root).as_posix()} is taken"
                )
                return [place]
        return []


def _is_elsewhere(text: str) -> bool:
    """Say whether a path is an absolute one that is not on this computer."""
    slashes = _slashes(text)
    return bool(_DRIVE.match(slashes)) or (slashes.startswith("/") and not Path(slashes).exists())


def _spell(path: Path) -> Path | None:
    """Return a file or folder as the disk spells it, in NFC or NFD; None if there is none."""
    if path.exists():
        return path
    parent = _spell(path.parent) if path != path.parent else None
    if parent is None or not parent.is_dir():
        return None
    name = unicodedata.normalize("NFC", path.name)
    names = (each for each in os.listdir(parent) if unicodedata.normalize("NFC", each) == name)
    return next((parent / each for each in names if (parent / each).exists()), None)


def _slashes(text: str) -> str:
    slashes = text.strip().replace("\\", "/")
    return os.path.expanduser(slashes) if slashes.startswith("~/") else slashes


def _existing(base: Path, text: str) -> Path | None:
    """Return what a path names outside of the YAML's folder, if it is there."""
    slashes = _slashes(text)
    place = base / slashes
    return place if not _DRIVE.match(slashes) and place.exists() else None


def _below(place: Path, root: Path) -> Path:
    """Return a place as one below a folder that may be spelled by another way."""
    clean = Path(os.path.normpath(root))
    if place.is_relative_to(clean):
        return root / place.relative_to(clean)
    return root / place.resolve().relative_to(root.resolve())
