"""A table with a box in each row: what programs export, and what competitions hand out.

    filename,width,height,class,xmin,ymin,xmax,ymax          corners in pixels
    ImageID,LabelName,XMin,XMax,YMin,YMax                    corners as shares, as of Open Images
    image_id,bbox with "[x, y, width, height]"               left, upper, width, height
    image,x,y,w,h,label                                      the same in columns of their own

Columns are known by their names, and which they are is said. A row without numbers is an image
without an object.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.images.listed import find_existing
from common.io import tables as io
from common.io.folders import PARTS
from common.io.labels import read_labels
from common.io.tables import OpenTable, is_packed_table, read_names
from common.options.config import TableForm
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import (
    is_image,
    part_of,
    read_head,
    split_by_folder,
    stamp_of,
    walk,
)
from labs.detection.data.formats.pictures import Pictures
from labs.detection.data.formats.units import SHARES, are_shares, count_corners, tell_percent
from labs.detection.records import (
    BAD_BOX,
    BAD_LABELS,
    NO_IMAGE,
    SPLITS,
    Annotated,
    Box,
    Picture,
    Problem,
    Reading,
)

SUFFIXES = io.SUFFIXES
# Those that are looked at in a folder, where a .txt is of YOLO, and a .json of COCO or LabelMe.
_IN_FOLDERS = tuple(suffix for suffix in SUFFIXES if suffix not in (".txt", ".json"))
_MARKS = b"\xef\xbb\xbf\xff\xfe \t\r\n"  # that may stand before an array
_IMAGE: tuple[str, ...] = (
    "filename",
    "imageid",
    "imagename",
    "imagepath",
    "filepath",
    "image",
    "file",
    "path",
)
_IMAGE += ("img", "imgid", "imgname", "파일명", "파일", "이미지")
_CLASS: tuple[str, ...] = (
    "class",
    "label",
    "labelname",
    "classname",
    "category",
    "categoryname",
    "name",
    "object",
)
_CLASS += ("labels", "classes", "categories", "species", "objectclass", "클래스", "라벨", "품종")
_CLASS += ("classid", "categoryid", "labelid", "objectid")  # where no column has names
_CORNERS = (
    *(("xmin", "x1", "left", "x0"), ("ymin", "y1", "top", "y0")),
    *(("xmax", "x2", "right"), ("ymax", "y2", "bottom")),
)
_SIDES = (
    *(("x", "xmin", "left", "bboxx"), ("y", "ymin", "top", "bboxy")),
    *(("w", "width", "bboxwidth", "boxwidth"), ("h", "height", "bboxheight", "boxheight")),
)
_SIZE = (("height", "imageheight", "imgheight"), ("width", "imagewidth", "imgwidth"))
_CENTERS = (("xcenter", "centerx", "cx", "xc"), ("ycenter", "centery", "cy", "yc"), *_SIDES[2:])
_KINDS = {  # what the four numbers are
    "corners": "left, upper, right, lower edge",
    "sides": "left, upper, width, height",
    "centers": "center, width, height",
}
_WHOLE = ("bbox", "box", "boundingbox")
_ONLY = "object"  # the class where no column tells


class _Columns(NamedTuple):
    """The names of a table's columns, as they are written."""

    image: str
    box: tuple[str, ...]  # four, or one with all of them
    kind: str  # one of `_KINDS`
    label: str | None
    size: tuple[str, ...]  # height and width of the image, where they are there

    @property
    def all(self) -> list[str]:
        return [self.image, *self.box, *([self.label] if self.label else []), *self.size]


class Row(NamedTuple):
    """A box of an image."""

    place: str
    label: str
    values: tuple[float, float, float, float]  # corners, in pixels or as shares
    polygons: tuple[tuple[float, ...], ...] = ()  # outlines, likewise


class Rows(NamedTuple):
    """The boxes of a file."""

    file: Path
    images: Mapping[str, Sequence[Row]]  # by the names of images, as the file has them
    sizes: Mapping[str, tuple[int, int]]  # likewise: height and width, 0 where they are not there
    shares: bool  # the corners are shares of the image
    sides: tuple[str, ...] = ()  # columns that were read as left, upper, width, height
    certain: bool = False  # the form says which they are


def pick_class(names: Sequence[str]) -> str | None:
    """Return which of some names is that of the class, None where none is."""
    known = _spellings(names)
    return next((known[name] for name in _CLASS if name in known), None)


def _spellings(names: Sequence[str]) -> dict[str, str]:
    """Return names by what of them counts: letters and digits, in any case."""
    return {re.sub(r"[\W_]+", "", name).casefold(): name for name in reversed(names)}


def find_columns(header: Sequence[str]) -> _Columns | None:
    """Return what the columns of a table are, by their names; None where they are not of boxes."""
    known = _spellings(header)

    def pick(names: Iterable[str]) -> str | None:
        return next((known[name] for name in names if name in known), None)

    def all_of(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
        found = tuple(name for group in groups if (name := pick(group)))
        return found if len(found) == len(tuple(groups)) else ()

    image, whole = pick(_IMAGE), pick(_WHOLE)
    choices = {
        "corners": all_of(_CORNERS),
        "sides": (whole,) if whole else all_of(_SIDES),
        "centers": all_of(_CENTERS),
    }
    kind = next((kind for kind, names in choices.items() if names), "")
    if image is None or not kind:
        return None
    box = choices[kind]
    size = all_of(_SIZE)
    size = () if set(size) & set(box) else size
    return _Columns(image, box, kind, pick_class(header), size)


def columns_in(path: Path, form: TableForm) -> _Columns | None:
    """Return what the columns of a table in a file are, see `find_columns`.

    Raises:
        DataError: it cannot be read.
    """
    return _columns_in(path, form, stamp_of(path))


@lru_cache
def _columns_in(path: Path, form: TableForm, stamp: tuple[int, int]) -> _Columns | None:
    return find_columns(read_names(path, form))


def find(root: Path, form: TableForm, notes: list[str]) -> dict[str, Path]:
    """Return the tables with boxes of a folder by their splits; {} where there are none.

    What cannot be read beside them goes to the notes.

    Raises:
        DataError: two tables are for one split, none is for training, or none can be read.
    """
    found: dict[str, Path] = {}
    unreadable: list[DataError] = []
    for path in _candidates(root):
        try:
            if columns_in(path, form) is None:
                continue
        except DataError as error:
            unreadable.append(error)
            continue
        part = part_of([path.stem])
        if part in found:
            raise DataError(
                f"{root}: {found[part].name} and {path.name} are both for {part}; name one of them "
                "as --data"
            )
        found[part] = path
    if unreadable and not found:
        raise unreadable[0]
    notes += (f"not read: {error}" for error in unreadable)
    if len(found) == 1:
        return {"all": next(iter(found.values()))}
    if found and "train" not in found and "all" in found:
        found["train"] = found.pop("all")
    if found and ("train" not in found or "all" in found):
        listed = ", ".join(file.name for file in found.values())
        raise DataError(
            f"{root} has several tables, {listed}; name one of them as --data, or call them "
            "train.csv, val.csv and test.csv"
        )
    return found


def has_boxes(root: Path, form: TableForm) -> bool:
    """Say whether a folder has tables with boxes; what cannot be read is none."""
    for path in _candidates(root):
        with contextlib.suppress(DataError):
            if columns_in(path, form) is not None:
                return True
    return False


def _candidates(root: Path) -> list[Path]:
    """Return the files of a folder that may be tables; of its JSON files those with an array."""
    return [
        file
        for file in sorted(root.iterdir())
        if file.is_file()
        and (file.suffix.lower() in _IN_FOLDERS or is_packed_table(file) or has_array(file))
    ]


def has_array(file: Path) -> bool:
    """Say whether a file is JSON with an array, as far as its beginning tells."""
    return file.suffix.lower() == ".json" and read_head(file).lstrip(_MARKS).startswith(b"[")


def read(path: Path, reading: Reading) -> Annotated:
    """Read a table, or the tables of a folder.

    Raises:
        DataError: it has no columns of boxes, or cannot be read.
    """
    notes: list[str] = []
    problems: list[Problem] = []
    files = find(path, reading.form, notes) if path.is_dir() else {"all": path}
    tables = {part: _rows(file, reading.form, problems, notes) for part, file in files.items()}
    return assemble("table", path, reading, tables, problems, notes)


def assemble(
    form: str,
    path: Path,
    reading: Reading,
    tables: Mapping[str, Rows],
    problems: list[Problem],
    notes: list[str],
) -> Annotated:
    """Put the rows of files to the images that they name.

    Args:
        form: of the files.
        path: the file, or the folder of the files.
        reading: says where the images are, if not there.
        tables: the rows by their split.
        problems: what is wrong so far.
        notes: what is said so far.

    Raises:
        DataError: the boxes are corners in columns of sides, or percent.
    """
    root, images = _images(path, reading.image_dir)
    finder = Finder(root, images)
    every = (
        row.label for table in tables.values() for rows in table.images.values() for row in rows
    )
    spelled = _spell(list(every), notes)
    names = sorted(set(spelled.values()))
    numbers = {label: names.index(name) for label, name in spelled.items()}
    pictures = Pictures(root, problems)
    parts: dict[str, tuple[Picture, ...]] = {
        part: tuple(_pictures(tables[part], numbers, finder, pictures, problems, notes))
        for part in ("all", *SPLITS)
        if part in tables
    }
    left_out: list[Problem] = []
    if list(parts) == ["all"]:
        parts, left_out = split_by_folder(parts["all"])
    return Annotated(
        form,
        root,
        tuple(names),
        parts,
        (*problems, *left_out),
        notes=(*dict.fromkeys(notes), *pictures.notes()),
    )


def _images(path: Path, image_dir: str | None) -> tuple[Path, list[Path]]:
    """Return the folder of the images that files name, and the images in it."""
    if image_dir is not None:
        root = find_existing(Path(image_dir), Path.is_dir, "folder")
        return root, list(filter(is_image, walk(root)))
    root = path if path.is_dir() else path.parent
    images = list(filter(is_image, walk(root)))
    if not images and not path.is_dir():
        root = root.parent
        images = list(filter(is_image, walk(root)))
    return root, images


def _spell(labels: Sequence[str], notes: list[str]) -> dict[str, str]:
    """Return the class of each label: as it is written, but for numbers in several spellings."""
    different = list(dict.fromkeys(labels))
    read = read_labels(different)
    names = dict(zip(different, read.names, strict=True))
    spellings = Counter(names.values())
    notes += (note for note in read.notes if "one class" in note or "differ in" in note)
    return {
        label: label if name is None or spellings[name] == 1 else name
        for label, name in names.items()
    }


def _rows(file: Path, form: TableForm, problems: list[Problem], notes: list[str]) -> Rows:
    """Return the rows of a table by their images, and say how they were read."""
    opened = OpenTable(file, form, lists=True)
    columns = find_columns(opened.names)
    if columns is None:
        raise DataError(
            f"{file} has no columns of boxes: expected one of images ({', '.join(_IMAGE[:4])}), "
            "and xmin, ymin, xmax, ymax; or bbox; or x, y, width, height"
        )
    others = _others(opened.names, columns)
    table = opened.read([*columns.all, *others], gaps=[*columns.all[1:], *others])
    width = len(columns.all)
    _check_classes(file, others, table.columns[width:])
    problems += (Problem(place, BAD_LABELS, why) for place, why in table.skipped)
    notes += table.notes
    by_image: dict[str, list[Row]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    cells_of_box = slice(1, 1 + len(columns.box))
    for line, row in zip(table.lines, zip(*table.columns, strict=True), strict=True):
        image, cells, rest = row[0], row[cells_of_box], row[cells_of_box.stop : width]
        label = rest[0] if columns.label else _ONLY
        if image not in by_image:
            by_image[image], sizes[image] = [], _size(rest, columns)
        if not any(cells):
            continue  # an image without an object
        place = f"{file.name}:{line}"
        try:
            values = _corners(cells, columns)
        except ValueError as error:
            problems.append(Problem(place, BAD_BOX, str(error)))
            continue
        if not label:
            problems.append(Problem(place, BAD_BOX, f"no text in the column {columns.label}"))
            continue
        by_image[image].append(Row(place, label, values))
    boxes = [row.values for rows in by_image.values() for row in rows]
    shares = are_shares(boxes)
    notes.append(_describe(columns, shares))
    if columns.kind == "sides" and _are_centers(boxes):
        raise DataError(
            f"{file}: boxes stick out of their images with {', '.join(columns.box)} as left, "
            "upper, width, height, and none does with centers; if they are that, call the columns "
            "x_center, y_center, width, height"
        )
    sides = columns.box if columns.kind == "sides" else ()
    return Rows(file, by_image, sizes, shares, sides)


def _others(names: Sequence[str], columns: _Columns) -> list[str]:
    """Return the columns among which there may be one of classes, where none is called so."""
    if columns.label is not None:
        return []
    return [name for name in names if name and name not in columns.all and names.count(name) == 1]


def _check_classes(file: Path, names: Sequence[str], columns: Iterable[Sequence[str]]) -> None:
    """Refuse a table without a known column of classes, but with another that looks like one.

    Raises:
        DataError: a column has few texts again and again.
    """
    for name, cells in zip(names, columns, strict=True):
        values = {cell.casefold() for cell in set(cells) if cell}
        words = values - {*PARTS, "true", "false", "yes", "no"}
        texts = words and not any(re.fullmatch(r"[\d.,:;+\-\s]*", each) for each in words)
        if texts and 1 < len(values) <= len(cells) / 2:
            raise DataError(
                f"{file} has no column called class or label, and {name} has few texts again and "
                f"again ({', '.join(sorted(values)[:3])}): call the column of the classes class, "
                "or remove it where all boxes are of one class"
            )


def _are_centers(boxes: Sequence[tuple[float, float, float, float]]) -> bool:
    """Say whether boxes in shares stick out, and would not if their left and upper were centers."""
    out = any(1.01 < max(right, lower) <= SHARES for *_, right, lower in boxes)
    return out and all(
        left - (right - left) / 2 >= -0.01
        and upper - (lower - upper) / 2 >= -0.01
        and max((left + right) / 2, (upper + lower) / 2) <= 1.01
        for left, upper, right, lower in boxes
    )


def _describe(columns: _Columns, shares: bool) -> str:
    kind = _KINDS[columns.kind]
    unit = "as shares of the image" if shares else "in pixels"
    label = f"the class is {columns.label}" if columns.label else f"all are of one class, {_ONLY}"
    return f"boxes are {', '.join(columns.box)} ({kind}, {unit}), {label}"


def _size(cells: Sequence[str], columns: _Columns) -> tuple[int, int]:
    """Return the height and width that the last cells of a row give, 0 where they give none."""
    if not columns.size:
        return 0, 0
    height, width = map(_whole, cells[-2:])
    return height, width


def _whole(text: str) -> int:
    return int(float(text)) if re.fullmatch(r"\d{1,9}(\.0*)?", text) else 0


def _corners(cells: Sequence[str], columns: _Columns) -> tuple[float, float, float, float]:
    """Return the edges that a row gives.

    Raises:
        ValueError: they are no four numbers.
    """
    texts = re.split(r"[\s,;]+", cells[0].strip(" []()")) if len(cells) == 1 else list(cells)
    if len(texts) != 4:
        raise ValueError(f"{len(texts)} numbers in {cells[0]!r}, expected 4")
    try:
        left, upper, third, fourth = map(float, texts)
    except ValueError as error:
        raise ValueError(f"{', '.join(texts)}: {error}") from error
    if columns.kind == "corners":
        return left, upper, third, fourth
    if columns.kind == "centers":
        left, upper = left - third / 2, upper - fourth / 2
    return left, upper, left + third, upper + fourth


def _pictures(
    table: Rows,
    numbers: Mapping[str, int],
    finder: Finder,
    pictures: Pictures,
    problems: list[Problem],
    notes: list[str],
) -> Iterator[Picture]:
    """Yield the images of a table.

    Raises:
        DataError: the boxes are corners in columns of sides, or percent.
    """
    part = part_of([table.file.stem])
    inside = table.file.is_relative_to(finder.root)
    near = table.file if inside else finder.root / table.file.name
    images = map(finder.without_upload, table.images)
    named = [image if finder.knows(image) else f"{image}.*" for image in images]
    found = finder.find_all([Asked(name, near, part) for name in named])
    seen: set[Path] = set()
    sized: list[tuple[Box, int, int]] = []
    for (image, rows), path in zip(table.images.items(), found, strict=True):
        if isinstance(path, str) or path in seen:
            what = f"{len(rows):,} boxes of {image}"
            why = path if isinstance(path, str) else f"{path.name} is meant by another name, too"
            problems.append(Problem(f"{table.file.name}: {what}", NO_IMAGE, why))
            continue
        seen.add(path)

        def boxes(height: int, width: int, rows: Sequence[Row] = rows) -> list[tuple[str, Box]]:
            across, down = (width, height) if table.shares else (1, 1)
            made = [(row.place, _scaled(row, across, down, numbers[row.label])) for row in rows]
            sized.extend((box, height, width) for _, box in made)
            return made

        picture = pictures.make(path, boxes, table.sizes[image])
        if picture is not None:
            yield picture
    _check_units(table, sized, notes)


def _scaled(row: Row, across: float, down: float, label: int) -> Box:
    x1, y1, x2, y2 = row.values
    polygons = tuple(
        tuple(value * (down if at % 2 else across) for at, value in enumerate(outline))
        for outline in row.polygons
    )
    return Box(x1 * across, y1 * down, x2 * across, y2 * down, label, False, polygons)


def _check_units(table: Rows, sized: Sequence[tuple[Box, int, int]], notes: list[str]) -> None:
    """Refuse corners in columns of sides, and percent; say where whole pixels may be percent.

    Raises:
        DataError: boxes stick out of their images as sides, and none does as corners; or they look
            like percent.
    """
    if table.sides and (out := count_corners(sized)):
        raise DataError(
            f"{table.file}: {out:,} of {len(sized):,} boxes stick out of their images with "
            f"{', '.join(table.sides)} as left, upper, width, height, and none does as left, "
            "upper, right, lower; put such corners into columns called xmin, ymin, xmax, ymax"
        )
    told = None if table.shares or table.certain else tell_percent(sized)
    if told is None:
        return
    height, width = max(each[1:] for each in sized)
    what = f"goes beyond 100 in images of up to {width} x {height}"
    if told:
        raise DataError(
            f"{table.file}: no box {what}, and {told}: if they are percent of the image, divide "
            "them by 100; if they are pixels, round them to whole ones below 100"
        )
    notes.append(
        f"no box of {table.file.name} {what}: they are taken as pixels; if they are percent, "
        "divide them by 100"
    )
