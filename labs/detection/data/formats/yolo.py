"""YOLO: a text file for each image, and a YAML with the classes and the splits.

A line is `class x y width height`, the center and the size as shares of the image's, or what else
`labs.detection.data.formats.yolo_lines` knows. The label file of `images/a.jpg` is `labels/a.txt`,
or else `a.txt` beside it.

Without a YAML, splits are those of darknet's `.data` file and the lists that it names, or else of
lists called `train.txt`, `valid.txt` and `test.txt`, or else of folders.

What the YAML says is in `labs.detection.data.formats.data_yaml`; its `download` is ignored.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from common.errors import DataError
from common.files import fold_name, write_text
from common.io.folders import PARTS, relative_name
from common.io.tables import read_bytes, read_text
from labs.detection.data.formats.data_yaml import (
    MOST_CLASSES,
    NO_PATH,
    Places,
    read_classes,
    read_key_points,
    read_values,
)
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import (
    image_folder,
    is_image,
    read_noted,
    split_by_folder,
    split_by_lists,
    walk,
)
from labs.detection.data.formats.pictures import Pictures
from labs.detection.data.formats.yolo_lines import (
    LineForm,
    check_centers,
    describe,
    read_line,
    split_line,
    tell_form,
)
from labs.detection.records import (
    BAD_IMAGE,
    BAD_LABELS,
    IGNORED,
    NO_IMAGE,
    NO_LABELS,
    OUTSIDE,
    SPLITS,
    TWO_IMAGES,
    Annotated,
    Box,
    Picture,
    Problem,
    Reading,
    bounds,
    check_names,
    clamp,
)

_KEYS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
# Where labeling tools keep the names of the classes.
_NAMES = ("classes.txt", "_darknet.labels", "predefined_classes.txt", "class_names.txt")
_IMAGE_FOLDERS = ("images", "jpegimages", "imgs", "img")  # beside which there is `labels`
_BOX = 5  # columns of a line
_SAME = 0.5  # pixels that the box around an outline may be off to stand for the box


def read(path: Path, reading: Reading) -> Annotated:
    """Read a YAML or a `.data` file with what it names, or a folder without one.

    Raises:
        DataError: the file or the list of classes cannot be used.
    """
    encoding = reading.form.encoding
    if path.is_dir():
        return _read_folder(path, encoding)
    if path.suffix.lower() == ".data":
        return _read_darknet(path, encoding)
    return _read_yaml(path, encoding)


def _read_yaml(path: Path, encoding: str | None) -> Annotated:
    notes: list[str] = []
    root, values = path.parent, read_values(path, notes, encoding)
    classes, numbers = read_classes(path, values)
    problems = []
    if "download" in values:
        detail = "download is never executed; get the images yourself where they are missing"
        problems.append(Problem(path.name, IGNORED, detail))
    places = Places(path, values)
    named = {part: (key, values[key]) for key, part in _KEYS.items() if key in values}
    if len(named) < sum(key in values for key in _KEYS):
        raise DataError(f"{path} names the validation images twice; keep one of val and valid")
    if "train" not in named:
        raise DataError(f"{path} lacks the key 'train', the folder of the training images")
    elsewhere = _Elsewhere(places, encoding, problems)
    listed = {
        part: list(dict.fromkeys(_listed(*named[part], elsewhere)))
        for part in SPLITS
        if part in named
    }
    labels = _Labels(root, list(walk(root)), problems, encoding)
    labels.read(image for images in listed.values() for image in images)
    labels.check_first(path, min(numbers))
    made = labels.pictures(numbers, read_key_points(path, values))
    parts = {
        part: tuple(made[image] for image in images if image in made)
        for part, images in listed.items()
    }
    problems += labels.left_over()
    notes += (*places.notes, *labels.notes)
    return Annotated("yolo", root, classes, parts, tuple(problems), notes=tuple(notes))


def _read_folder(root: Path, encoding: str | None) -> Annotated:
    """Read images and label files; the classes are those of `classes.txt`, or else numbers."""
    files = list(walk(root))
    names = [file for file in files if _names_classes(file)]
    for other in names[1:]:
        if _lines(other, encoding) != _lines(names[0], encoding):
            raise DataError(f"{root}: {names[0]} and {other} differ; keep the right one")
    beside = {file.stem.casefold(): file for file in files if file.parent == root}
    lists = {
        name: file
        for name, file in beside.items()
        if name in (*PARTS, "trainval") and file.suffix == ".txt" and _lists_images(file, encoding)
    }
    about = ", ".join(file.name for file in lists.values())
    return _read_listed(root, files, next(iter(names), None), lists, about, encoding)


def _read_listed(
    root: Path,
    files: Sequence[Path],
    names: Path | None,
    lists: Mapping[str, Path],
    about: str,
    encoding: str | None,
) -> Annotated:
    """Read images and label files, split by lists of images if there are any, or else by folders.

    Args:
        root: the folder of the data.
        files: all that is in it.
        names: the file of the classes' names.
        lists: files of images by the split's name, see `split_by_lists`.
        about: what the lists are called.
        encoding: of the texts, where the user gives it.
    """
    problems: list[Problem] = []
    labels = _Labels(root, files, problems, encoding)
    classes: tuple[str, ...] = ()
    numbers: dict[int, int] | int = MOST_CLASSES
    if names:
        classes, numbers = _named_classes(names, read_noted(names, labels.notes, encoding))
    labels.read(_without_links([file for file in files if is_image(file)], labels))
    pictures = list(labels.pictures(numbers, None).values())
    highest = max((box.label for picture in pictures for box in picture.boxes), default=-1)
    if lists:
        finder = Finder(root, [picture.path for picture in pictures])
        listed = {name: _names_in(file, finder, encoding) for name, file in lists.items()}
        parts, left_out = split_by_lists(listed, pictures)
    else:
        parts, left_out = split_by_folder(pictures)
    classes = classes or tuple(map(str, range(highest + 1)))
    problems += (*labels.left_over(), *left_out)
    return Annotated("yolo", root, classes, parts, tuple(problems), about, tuple(labels.notes))


def _named_classes(path: Path, text: str) -> tuple[tuple[str, ...], dict[int, int]]:
    """Return the names of a text with one on each line, and the place among them of each number.

    The number of a class is that of its line, from 0 on: an empty line is a number without a name.
    """
    lines = [line.strip() for line in text.splitlines()]
    numbers = [number for number, line in enumerate(lines) if line]
    classes = check_names([lines[number] for number in numbers], path)
    return classes, {number: at for at, number in enumerate(numbers)}


def _names_in(file: Path, finder: Finder, encoding: str | None) -> set[str]:
    """Return the names of the images in a list; one that is not there is as the list has it."""
    lines = _lines(file, encoding)
    found = finder.find_all([Asked(line, file) for line in lines])
    return {
        line if isinstance(path, str) else relative_name(path, finder.root)
        for line, path in zip(lines, found, strict=True)
    }


# Darknet's files


def _read_darknet(path: Path, encoding: str | None) -> Annotated:
    """Read what darknet's `.data` file names; paths in it are often those of another folder.

    Raises:
        DataError: it has no `train`, or one of its files is not here.
    """
    root, files = path.parent, list(walk(path.parent))
    pairs = (line.partition("=") for line in _lines(path, encoding) if line[0] != "#")
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
    return _read_listed(root, files, names, lists, about, encoding)


def _lines(path: Path, encoding: str | None) -> list[str]:
    return [line.strip() for line in read_text(path, encoding).splitlines() if line.strip()]


def _lists_images(path: Path, encoding: str | None) -> bool:
    """Tell a list of images from labels and from other texts, by its first line."""
    lines = _lines(path, encoding)
    return bool(lines) and is_image(Path(lines[0]))


def _end_of(path: str, known: Container[str]) -> str | None:
    """Return the longest end of a path that is known: it may have been written for another disk."""
    pieces = unicodedata.normalize("NFC", path.replace("\\", "/")).split("/")
    ends = ("/".join(pieces[at:]) for at in range(len(pieces)))
    return next((end for end in ends if end in known), None)


# What a YAML names


class _Elsewhere:
    """Finds the images of lists that were written for another folder; the data's is walked once.

    Args:
        places: of the data set.
        encoding: of the lists, where the user gives it.
        problems: takes what is wrong.
    """

    def __init__(self, places: Places, encoding: str | None, problems: list[Problem]):
        self.places, self.encoding, self.problems = places, encoding, problems

    @cached_property
    def finder(self) -> Finder:
        """Of the images below the folder of the data."""
        return Finder(self.places.root)


def _listed(key: str, entries: Any, elsewhere: _Elsewhere) -> Iterator[Path]:
    """Yield the image files that a split's folders and lists name."""
    for entry in entries if isinstance(entries, list) else [entries]:
        for place in elsewhere.places.find(key, entry):
            if place.is_dir():
                yield from filter(is_image, walk(place))
            elif is_image(place):
                yield place
            else:
                yield from _in_list(place, elsewhere)


def _in_list(listing: Path, elsewhere: _Elsewhere) -> Iterator[Path]:
    """Yield the images in a text file with one on each line, below its folder or the data's.

    Lines that were written for another folder are looked for by the ends of their paths.
    """
    places, problems = elsewhere.places, elsewhere.problems
    root = Path(os.path.normpath(places.root))
    name = relative_name(listing, places.root)
    lines = enumerate(read_text(listing, elsewhere.encoding).splitlines(), 1)
    texts = {number: text for number, line in lines if (text := line.strip().replace("\\", "/"))}
    found: dict[int, Path | None] = {}
    inside: set[int] = set()
    for number, text in texts.items():
        try:
            choices = [
                Path(os.path.normpath(folder / text)) for folder in (places.base, listing.parent)
            ]
            choices = [choice for choice in choices if choice.is_relative_to(root)]
            inside |= {number} if choices else set()
            files = [choice for choice in choices if choice.is_file()]
        except NO_PATH as error:
            problems.append(Problem(f"{name}:{number}", BAD_IMAGE, f"no path: {error}"))
            found[number] = None
            continue
        if files:
            found[number] = places.root / files[0].relative_to(root)
    rest = [number for number in texts if number not in found]
    asked = [Asked(texts[number], listing) for number in rest]
    ends = elsewhere.finder.find_all(asked) if asked else []
    taken = {path for path in found.values() if path}
    moved = 0
    for number, path in zip(rest, ends, strict=True):
        if isinstance(path, str) or path in taken:
            kind = BAD_IMAGE if number in inside else OUTSIDE
            problems.append(Problem(f"{name}:{number}", kind, f"there is no {texts[number]}"))
        else:
            found[number] = path
            moved += 1
    if moved:
        places.notes.append(
            f"{moved:,} lines of {name} lead elsewhere: their images were found here by the ends "
            "of their paths"
        )
    yield from (image for number in texts if (image := found.get(number)) is not None)


# Label files


class _Labels:
    """The label files of images.

    Args:
        root: the folder of the data.
        files: all that is in it.
        problems: takes what is wrong.
        encoding: of the label files, where the user gives it.
    """

    def __init__(
        self, root: Path, files: Sequence[Path], problems: list[Problem], encoding: str | None
    ):
        self.notes: list[str] = []
        self._root, self._problems, self._encoding = root, problems, encoding
        self._images = [file for file in files if is_image(file)]
        texts = (file for file in files if file.suffix.lower() == ".txt")
        self._texts = {fold_name(relative_name(file, root)): file for file in texts}
        links = (each for each in root.iterdir() if each.is_symlink() and each.is_dir())
        self._links = {os.path.realpath(link): link.name for link in links}
        self._folders: dict[Path, str] = {}  # where links lead to
        self._of: dict[Path, Path | None] = {}  # the label file of each image that was asked for
        self._lines: dict[Path, list[tuple[str, list[str]]]] = {}  # places and columns, by file

    def of(self, image: Path) -> Path | None:
        """Return the label file of an image, None where there is none."""
        pieces = relative_name(image, self._root).split("/")
        for choice in (_in_labels(pieces), pieces):
            found = self._texts.get(fold_name("/".join(choice)).rpartition(".")[0] + ".txt")
            if found is not None:
                return found
        return self._by_links(image, pieces)

    def real_path(self, path: Path) -> str:
        """Return where links lead to."""
        if path.is_symlink():
            return os.path.realpath(path)
        if path.parent not in self._folders:
            self._folders[path.parent] = os.path.realpath(path.parent)
        return os.path.join(self._folders[path.parent], path.name)

    def _by_links(self, image: Path, pieces: Sequence[str]) -> Path | None:
        """Return the label file that links lead to: `labels` is one, or `images`, or both are."""
        ways = [self._root.joinpath(*pieces)]
        if len(pieces) > 1 and (link := self._links.get(os.path.realpath(self._root / pieces[0]))):
            ways.append(self._root.joinpath(link, *pieces[1:]))
        ways.append(Path(os.path.realpath(image)))
        choices = (
            choice.with_suffix(".txt")
            for way in ways
            for choice in (Path(*_in_labels(way.parts)), way)
        )
        return next((choice for choice in choices if choice.is_file()), None)

    def read(self, images: Iterable[Path]) -> None:
        """Read the lines of the label files of some images."""
        self._of |= {image: self.of(image) for image in dict.fromkeys(images)}
        if not any(self._of.values()):
            self._find_elsewhere()
        for file in self._of.values():
            if file is None or file in self._lines:
                continue
            own = file.is_relative_to(self._root)
            name, self._lines[file] = relative_name(file, self._root) if own else str(file), []
            try:
                lines = read_text(file, self._encoding).splitlines()
            except DataError as error:
                self._problems.append(Problem(name, BAD_LABELS, str(error)))
                continue
            self._lines[file] = [
                (f"{name}:{number}", split_line(line))
                for number, line in enumerate(lines, 1)
                if line.strip()
            ]

    def _find_elsewhere(self) -> None:
        """Find label files by the names of images where none is where it belongs, and say so."""
        files = [file for file in self._texts.values() if _is_labels(file, _BOX)]
        files = [file for file in files if not _names_classes(file)]
        finder = Finder(self._root, self._images)
        asked = [Asked(f"{file.stem}.*", file, parallel=True) for file in files]
        found = {
            image: file
            for file, image in zip(files, finder.find_all(asked), strict=True)
            if image in self._of
        }
        self._of |= found
        if found:
            folder = relative_name(next(iter(found.values())), self._root).rpartition("/")[0]
            self.notes.append(
                f"{len(found):,} label files were found by the names of their images, in folders "
                f"such as {folder or '.'}"
            )

    def check_first(self, path: Path, first: int) -> None:
        """Refuse names of classes that begin later than the numbers of the label files do.

        Raises:
            DataError: they do.
        """
        if not first:
            return
        for place, words in (each for lines in self._lines.values() for each in lines):
            if words[0].isdecimal() and int(words[0]) < first:
                raise DataError(
                    f"{path}: the first key of 'names' is {first}, but {place} has class "
                    f"{words[0]}; number the names as the label files do, from 0 on"
                )

    def pictures(
        self, classes: Mapping[int, int] | int, key_points: tuple[int, int] | None
    ) -> dict[Path, Picture]:
        """Return the images that were read, with their boxes; see `read_line`."""
        every = [words for lines in self._lines.values() for _, words in lines]
        check_centers(every, self._root)
        form = tell_form(every, key_points)
        pictures = Pictures(self._root, self._problems)
        found = {}
        for file, images in self._shared().items():
            name = self._lines[file][0][0].rpartition(":")[0] if self._lines[file] else ""
            listed = " and ".join(relative_name(image, self._root) for image in images)
            self._problems += [Problem(name, TWO_IMAGES, listed)] if name else []
        for image, labels in self._of.items():
            if labels is None:
                name = relative_name(image, self._root)
                self._problems.append(Problem(name, NO_LABELS, "a background"))
            lines = self._lines[labels] if labels else []
            picture = pictures.make(
                image,
                lambda *size, lines=lines: list(self._boxes(lines, size, classes, form)),
            )
            if picture is not None:
                found[image] = picture
        self.notes += (*describe(every, form, key_points is not None), *pictures.notes())
        return found

    def _shared(self) -> dict[Path, list[Path]]:
        """Return the label files that several images have, such as `a.jpg` and `a.png`."""
        images = defaultdict(list)
        for image, labels in self._of.items():
            if labels is not None:
                images[labels].append(image)
        return {labels: some for labels, some in images.items() if len(some) > 1}

    def _boxes(
        self,
        lines: Iterable[tuple[str, list[str]]],
        size: tuple[int, int],
        classes: Mapping[int, int] | int,
        form: LineForm,
    ) -> Iterator[tuple[str, Box]]:
        for place, words in lines:
            box = read_line(words, size, classes, form)
            if isinstance(box, Box):
                yield place, box
            else:
                self._problems.append(Problem(place, *box))

    def left_over(self) -> Iterator[Problem]:
        """Yield the label files that no image leads to."""
        used = {self.real_path(file) for file in self._of.values() if file}
        rest = [file for file in self._texts.values() if self.real_path(file) not in used]
        finder = Finder(self._root, self._images)
        for file in rest:
            if _names_classes(file) or not _is_labels(file):
                continue
            image = finder.find(Asked(f"{file.stem}.*", file, parallel=True))
            name = relative_name(file, self._root)
            if isinstance(image, str):
                yield Problem(name, NO_IMAGE, image)
            elif self.of(image) is None:
                where = relative_name(image, self._root)
                yield Problem(
                    name,
                    NO_IMAGE,
                    f"{where} would have its labels beside it, or in the "
                    "folder labels in place of images",
                )


def _in_labels(pieces: Sequence[str]) -> Sequence[str]:
    """Return a path with `labels` for the last of its folders that is for images."""
    folders = [at for at, piece in enumerate(pieces[:-1]) if piece.casefold() in _IMAGE_FOLDERS]
    return [*pieces[: folders[-1]], "labels", *pieces[folders[-1] + 1 :]] if folders else pieces


def _without_links(images: Sequence[Path], labels: _Labels) -> list[Path]:
    """Return each image once where links lead to it twice, by the way that has labels."""
    found: dict[str, Path] = {}
    for image in images:
        key = labels.real_path(image)
        if key not in found or labels.of(found[key]) is None:
            found[key] = image
    return list(found.values())


def has_labels(texts: Iterable[Path], images: Iterable[Path]) -> bool:
    """Say whether some text file is called as an image is, and has labels.

    Raises:
        DataError: a file cannot be read.
    """
    stems = {fold_name(image.stem) for image in images}
    return any(fold_name(file.stem) in stems and _is_labels(file) for file in texts)


def may_have_labels(texts: Iterable[Path]) -> bool:
    """Say whether text files have labels of images that are elsewhere, or names of classes.

    Raises:
        DataError: a file cannot be read.
    """
    return any(_names_classes(file) or _is_labels(file, _BOX) for file in texts)


def _names_classes(file: Path) -> bool:
    """Say whether a file is one of the names of classes, such as `obj.names` or `classes.txt`."""
    return file.name.casefold() in _NAMES or file.suffix.lower() == ".names"


def _is_labels(path: Path, least: int = 1) -> bool:
    """Tell label files from lists of images and read-me files, which stand beside images."""
    text = read_bytes(path)[:200].decode("utf-8-sig", "replace").strip()
    words = split_line(text.split("\n")[0]) if text else []
    return not words or (len(words) >= least and words[0].replace(".", "", 1).isdigit())


# Writing


def write(root: Path, found: Annotated, names: Mapping[Path, str]) -> None:
    """Write label files and `data.yaml`; crowds, which the format lacks, are left out.

    Where one object of an image is an outline, all are: other programs take such a file for
    outlines alone, and read the center of a box as a corner.

    The names of images are below `image_folder`.
    """
    for part, pictures in found.parts.items():
        folder = root / "labels" / image_folder(part).partition("/")[2]
        for picture in pictures:
            boxes = [box for box in picture.boxes if not box.crowd]
            corners = are_mixed(picture)
            lines = [_line_of(box, picture, corners) for box in boxes]
            path = (folder / names[picture.path]).with_suffix(".txt")
            write_text(path, "".join(f"{line}\n" for line in lines))
    keys = {"all": "train", "validation": "val"}
    values: dict[str, Any] = {keys.get(part, part): image_folder(part) for part in found.parts}
    values["names"] = dict(enumerate(found.classes))
    write_text(root / "data.yaml", yaml.safe_dump(values, allow_unicode=True, sort_keys=False))


def are_mixed(picture: Picture) -> bool:
    """Say whether some objects of an image are outlines, and others boxes with corners for one."""
    outlined = [bool(outline_of(box, picture)) for box in picture.boxes if not box.crowd]
    return any(outlined) and not all(outlined)


def _line_of(box: Box, picture: Picture, corners: bool) -> str:
    width, height = picture.width, picture.height
    outline = outline_of(box, picture)
    if corners and not outline:
        x1, y1, x2, y2 = box[:4]
        outline = (x1, y1, x2, y1, x2, y2, x1, y2)
    if outline:
        values = [value / (height if at % 2 else width) for at, value in enumerate(outline)]
    else:
        x, y = (box.x1 + box.x2) / 2 / width, (box.y1 + box.y2) / 2 / height
        values = [x, y, (box.x2 - box.x1) / width, (box.y2 - box.y1) / height]
    return " ".join([str(box.label), *(f"{value:.8f}" for value in values)])


def outline_of(box: Box, picture: Picture) -> tuple[float, ...]:
    """Return the outline that stands for an object in its line; () where the box does.

    An object in several pieces has no line of its own, and the box around an outline is to be the
    object's.
    """
    if len(box.polygons) != 1:
        return ()
    outline = clamp(box.polygons[0], picture)
    near = all(abs(a - b) <= _SAME for a, b in zip(bounds(outline), box[:4], strict=True))
    return outline if near else ()
