"""YOLO: a text file for each image, and a YAML with the classes and the splits.

A line is `class x y width height`, the center and the size as shares of the image's; or, of a data
set for segmentation, `class x y x y ...` with at least three points, of which the box is taken. The
label file of `images/a.jpg` is `labels/a.txt`, or else `a.txt` beside it.

Without a YAML, splits are those of darknet's `.data` file and the lists that it names, or else of
lists called `train.txt`, `valid.txt` and `test.txt`, or else of folders.

The YAML is read by a safe loader, and nothing that it says is executed or fetched: `download` is
ignored. Nothing outside of its folder is read.
"""

import math
import os
import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from common.errors import DataError
from common.files import write_text
from common.images.decode import photo_size
from common.images.folders import relative_name
from common.images.sets import PARTS
from common.io.tables import read_text
from common.suggest import suggest
from labs.detection.data.formats.folders import (
    Finder,
    image_folder,
    is_image,
    split_by_folder,
    split_by_lists,
    walk,
)
from labs.detection.records import (
    BAD_BOX,
    BAD_CLASS,
    BAD_IMAGE,
    BAD_LABELS,
    IGNORED,
    NO_IMAGE,
    NO_LABELS,
    OUT_OF_RANGE,
    OUTSIDE,
    SPLITS,
    Annotated,
    Box,
    Picture,
    Problem,
    check_boxes,
    check_names,
)

_KEYS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
# Where labeling tools keep the names of the classes.
_NAMES = ("classes.txt", "obj.names", "_darknet.labels")
_NO_PATH = (OSError, RuntimeError, ValueError)  # too long, a loop of links, a NUL
_MOST_CLASSES = 10_000  # where they have no names: a stray number must not make billions


def read(path: Path) -> Annotated:
    """Read a YAML or a `.data` file with what it names, or a folder without one.

    Raises:
        DataError: the file or the list of classes cannot be used.
    """
    if path.is_dir():
        return _read_folder(path)
    return _read_darknet(path) if path.suffix.lower() == ".data" else _read_yaml(path)


def _read_yaml(path: Path) -> Annotated:
    root, values = path.parent, _values(path)
    classes = _classes(path, values)
    problems = []
    if "download" in values:
        detail = "download is never executed; get the images yourself where they are missing"
        problems.append(Problem(path.name, IGNORED, detail))
    base = _inside(path, "path", values.get("path") or ".", root)
    named_parts = {part: values[key] for key, part in _KEYS.items() if values.get(key)}
    if "train" not in named_parts:
        raise DataError(f"{path} lacks the key 'train', the folder of the training images")
    parts: dict[str, tuple[Picture, ...]] = {}
    for part in SPLITS:
        if part in named_parts:
            entries = named_parts[part]
            files = dict.fromkeys(_listed(path, part, entries, base, problems))
            parts[part] = tuple(_pictures(list(files), root, len(classes), problems))
    problems += _without_image(parts, root)
    # An image in two splits is read twice.
    return Annotated("yolo", root, classes, parts, tuple(dict.fromkeys(problems)))


def _read_folder(root: Path) -> Annotated:
    """Read images and label files; the classes are those of `classes.txt`, or else numbers."""
    files = list(walk(root))
    names = next((file for file in files if file.name in _NAMES), None)
    beside = {file.stem.casefold(): file for file in files if file.parent == root}
    lists = {
        name: file
        for name, file in beside.items()
        if name in (*PARTS, "trainval") and file.suffix == ".txt" and _lists_images(file)
    }
    return _read_listed(root, files, names, lists, ", ".join(file.name for file in lists.values()))


def _read_listed(
    root: Path, files: Sequence[Path], names: Path | None, lists: Mapping[str, Path], about: str
) -> Annotated:
    """Read images and label files, split by lists of images if there are any, or else by folders.

    Args:
        root: the folder of the data.
        files: all that is in it.
        names: the file of the classes' names.
        lists: files of images by the split's name, see `split_by_lists`.
        about: what the lists are called.
    """
    problems: list[Problem] = []
    classes = check_names(_lines(names), names) if names else None
    images = [file for file in files if is_image(file)]
    pictures = list(_pictures(images, root, len(classes) if classes else None, problems))
    highest = max((box.label for picture in pictures for box in picture.boxes), default=-1)
    if lists:
        keys = [(picture.name, picture) for picture in pictures]
        known = {key for key, _ in keys}
        listed = {
            name: {_end_of(line, known) or line for line in _lines(file)}
            for name, file in lists.items()
        }
        parts, left_out = split_by_lists(listed, keys)
    else:
        parts, left_out = split_by_folder(pictures)
    classes = classes or tuple(map(str, range(highest + 1)))
    problems += _without_image(parts, root)
    return Annotated("yolo", root, classes, parts, (*problems, *left_out), about)


# Darknet's files


def _read_darknet(path: Path) -> Annotated:
    """Read what darknet's `.data` file names; paths in it are often those of another folder.

    Raises:
        DataError: it has no `train`, or one of its files is not here.
    """
    root, files = path.parent, list(walk(path.parent))
    pairs = (line.partition("=") for line in _lines(path) if not line.startswith("#"))
    values = {key.strip(): value.strip() for key, _, value in pairs}
    if not values.get("train"):
        raise DataError(f"{path} lacks the line 'train = FILE', the list of the training images")
    here = {relative_name(file, root): file for file in files}

    def find(key: str) -> Path:
        name = _end_of(values[key], here)
        if name is None:
            raise DataError(
                f"{path}: {key!r} is {values[key]}, and there is no such file in {root}"
            )
        return here[name]

    lists = {key: find(key) for key in _KEYS if values.get(key)}
    names = find("names") if values.get("names") else None
    about = f"{path.name} ({', '.join(lists)})"
    return _read_listed(root, files, names, lists, about)


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def _lists_images(path: Path) -> bool:
    """Tell a list of images from labels and from other texts, by its first line."""
    lines = _lines(path)
    return bool(lines) and is_image(Path(lines[0]))


def _end_of(path: str, known: Container[str]) -> str | None:
    """Return the longest end of a path that is known: it may have been written for another disk."""
    pieces = unicodedata.normalize("NFC", path.replace("\\", "/")).split("/")
    ends = ("/".join(pieces[at:]) for at in range(len(pieces)))
    return next((end for end in ends if end in known), None)


# The YAML


def _values(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(read_text(path))
    except yaml.constructor.ConstructorError as error:
        raise DataError(
            f"{path} has a tag that a safe loader refuses, since it could run code: "
            f"{error.problem}; write plain texts, numbers and lists{_line(error)}"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise DataError(f"{path}: expected the keys 'train', 'val' and 'names', found none")
    return values


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return f" (line {mark.line + 1})" if mark else ""


def _classes(path: Path, values: Mapping[str, Any]) -> tuple[str, ...]:
    names, number = values.get("names"), values.get("nc")
    if names is None:
        if isinstance(number, int) and 0 < number <= _MOST_CLASSES:
            return tuple(map(str, range(number)))
        near = suggest("names", [str(key) for key in values])
        raise DataError(f"{path} lacks the key 'names', the list of the classes{near}")
    if isinstance(names, dict):
        numbered = {str(key): name for key, name in names.items()}
        keys = list(map(str, range(len(names))))
        if numbered.keys() != set(keys):
            raise DataError(
                f"{path}: the keys of 'names' are {', '.join(numbered)}; expected 0 to "
                f"{len(names) - 1}"
            )
        names = [numbered[key] for key in keys]
    if not isinstance(names, list) or not all(
        isinstance(name, str | int | float) for name in names
    ):
        raise DataError(f"{path}: 'names' must be a list of texts, or texts by their numbers")
    if isinstance(number, int) and number != len(names):
        raise DataError(f"{path}: nc is {number}, but there are {len(names)} names")
    return check_names([str(name) for name in names], path)


def _inside(path: Path, key: str, text: Any, base: Path) -> Path:
    """Return what a text of a YAML names, which is below the YAML's folder.

    Exports often say `../train/images` and mean `train/images`: what leads outside is looked for
    inside, too.

    Raises:
        DataError: it is no text, leads out of the folder, or there is no such file or folder.
    """
    if not isinstance(text, str):
        raise DataError(f"{path}: {key!r} must be a path or a list of paths")
    given = Path(text.replace("\\", "/"))
    pieces = [piece for piece in given.parts if piece != ".."]
    folder = path.parent.resolve()
    try:
        choices = [(base / choice).resolve() for choice in (given, Path(*pieces))]
        inside = [choice for choice in choices if choice.is_relative_to(folder)]
        found = [choice for choice in inside if choice.exists()]
    except _NO_PATH as error:
        raise DataError(f"{path}: {key!r} is no path: {error}") from error
    if found:
        return path.parent / found[0].relative_to(folder)
    if choices[0] in inside:
        raise DataError(f"{path}: {key!r} is {text}, and there is no such file in {path.parent}")
    raise DataError(
        f"{path}: {key!r} is {text}, outside of {path.parent}; only images below the folder of "
        "the YAML are read: move them there, or correct the path"
    )


def _listed(
    path: Path, key: str, entries: Any, base: Path, problems: list[Problem]
) -> Iterator[Path]:
    """Yield the image files that a split's folders and lists name."""
    for entry in entries if isinstance(entries, list) else [entries]:
        place = _inside(path, key, entry, base)
        if place.is_dir():
            yield from filter(is_image, walk(place))
        elif is_image(place):
            yield place
        else:
            yield from _in_list(path, place, base, problems)


def _in_list(path: Path, listing: Path, base: Path, problems: list[Problem]) -> Iterator[Path]:
    """Yield the images in a text file with one on each line, below its folder or the data's."""
    root = path.parent.resolve()
    for number, line in enumerate(read_text(listing).splitlines(), 1):
        text = line.strip().replace("\\", "/")
        if not text:
            continue
        place = f"{relative_name(listing, path.parent)}:{number}"
        try:
            choices = [folder / text for folder in (base, listing.parent)]
            inside = [choice for choice in choices if choice.resolve().is_relative_to(root)]
            found = [choice for choice in inside if choice.is_file()]
        except _NO_PATH as error:
            problems.append(Problem(place, BAD_IMAGE, f"no path: {error}"))
            continue
        if found:
            yield Path(os.path.normpath(found[0]))
        elif inside:
            problems.append(Problem(place, BAD_IMAGE, f"there is no {text}"))
        else:
            problems.append(Problem(place, OUTSIDE, text))


# Label files


def _pictures(
    images: Sequence[Path], root: Path, classes: int | None, problems: list[Problem]
) -> Iterator[Picture]:
    """Yield images with their boxes; classes are None where nobody says how many there are.

    What is wrong goes to the problems.
    """
    for path in images:
        name = relative_name(path, root)
        labels = _label_file(path, root)
        size = photo_size(path)
        if isinstance(size, str):
            problems.append(Problem(name, BAD_IMAGE, size))
            continue
        if labels is None:
            problems.append(Problem(name, NO_LABELS, "a background"))
            yield Picture(path, name, *size, ())
            continue
        boxes, wrong = check_boxes(_boxes(labels, root, size, classes, problems), *size)
        problems += wrong
        yield Picture(path, name, *size, boxes)


def _label_file(image: Path, root: Path) -> Path | None:
    """Return the label file of an image, None where there is none."""
    beside = image.with_suffix(".txt")
    pieces = list(beside.relative_to(root).parts)
    folders = [at for at, piece in enumerate(pieces[:-1]) if piece == "images"]
    if folders:
        pieces[folders[-1]] = "labels"
        return _spelled(root.joinpath(*pieces)) or _spelled(beside)
    return _spelled(beside)


def _spelled(path: Path) -> Path | None:
    """Return a file as the disk spells it, in NFC or NFD; None if there is none."""
    names = (path.name, *(unicodedata.normalize(form, path.name) for form in ("NFC", "NFD")))
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def _without_image(parts: Mapping[str, Sequence[Picture]], root: Path) -> Iterator[Problem]:
    """Yield the label files, beside those that are used, that no image has the name of."""
    paths = [picture.path for pictures in parts.values() for picture in pictures]
    used = {labels for path in paths if (labels := _label_file(path, root))}
    folders = sorted({labels.parent for labels in used})
    rest = [file for folder in folders for file in sorted(folder.glob("*.txt")) if file not in used]
    if not rest:
        return
    finder = Finder(root)
    for file in rest:
        if file.name not in _NAMES and _is_labels(file) and not finder.find(f"{file.stem}.*", file):
            yield Problem(relative_name(file, root), NO_IMAGE, file.stem)


def _is_labels(path: Path) -> bool:
    """Tell label files from lists of images and read-me files, which stand beside images."""
    words = path.read_bytes()[:200].split()
    return not words or words[0].isdigit()


def _boxes(
    labels: Path,
    root: Path,
    size: tuple[int, int],
    classes: int | None,
    problems: list[Problem],
) -> Iterator[tuple[str, Box]]:
    """Yield the boxes of a label file with their places."""
    name = relative_name(labels, root)
    try:
        lines = read_text(labels).splitlines()
    except DataError as error:
        problems.append(Problem(name, BAD_LABELS, str(error)))
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        box = _box(line.split(), *size, classes)
        if isinstance(box, Box):
            yield place, box
        else:
            problems.append(Problem(place, *box))


def _box(
    words: Sequence[str], height: int, width: int, classes: int | None
) -> Box | tuple[str, str]:
    """Return the box of a line, or what is wrong with it, as a kind and a detail."""
    outline = len(words) >= 7 and len(words) % 2 == 1
    if len(words) != 5 and not outline:
        return BAD_BOX, f"{len(words)} columns, expected 5: class x y width height"
    try:
        label, *values = map(float, words)
    except ValueError as error:
        return BAD_BOX, str(error)
    if not all(map(math.isfinite, (label, *values))):
        return BAD_BOX, f"not a finite number: {' '.join(words)}"
    highest = (_MOST_CLASSES if classes is None else classes) - 1
    if label != int(label) or not 0 <= label <= highest:
        return BAD_CLASS, f"class {words[0]}, expected 0 to {highest}"
    wrong = [word for word, value in zip(words[1:], values, strict=True) if not 0 <= value <= 1]
    if wrong:
        return OUT_OF_RANGE, f"{', '.join(wrong)}, expected 0 to 1; left out"
    if outline:
        xs, ys = [x * width for x in values[::2]], [y * height for y in values[1::2]]
        points = tuple(value for pair in zip(xs, ys, strict=True) for value in pair)
        return Box(min(xs), min(ys), max(xs), max(ys), int(label), False, (points,))
    x, y, w, h = values
    x, y, w, h = x * width, y * height, w * width, h * height
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2, int(label))


# Writing


def write(root: Path, found: Annotated, names: Mapping[Path, str]) -> None:
    """Write label files and `data.yaml`; crowds, which the format lacks, are left out.

    The names of images are below `image_folder`.
    """
    for part, pictures in found.parts.items():
        folder = root / "labels" / image_folder(part).partition("/")[2]
        for picture in pictures:
            lines = [_line_of(box, picture) for box in picture.boxes if not box.crowd]
            path = (folder / names[picture.path]).with_suffix(".txt")
            write_text(path, "".join(f"{line}\n" for line in lines))
    keys = {"all": "train", "validation": "val"}
    values: dict[str, Any] = {keys.get(part, part): image_folder(part) for part in found.parts}
    values["names"] = dict(enumerate(found.classes))
    write_text(root / "data.yaml", yaml.safe_dump(values, allow_unicode=True, sort_keys=False))


def _line_of(box: Box, picture: Picture) -> str:
    width, height = picture.width, picture.height
    if len(box.polygons) == 1:  # an object in pieces has no line of its own
        points = box.polygons[0]
        values = [value / (height if at % 2 else width) for at, value in enumerate(points)]
        values = [min(max(value, 0.0), 1.0) for value in values]
    else:
        x, y = (box.x1 + box.x2) / 2 / width, (box.y1 + box.y2) / 2 / height
        values = [x, y, (box.x2 - box.x1) / width, (box.y2 - box.y1) / height]
    return " ".join([str(box.label), *(f"{value:.8f}" for value in values)])
