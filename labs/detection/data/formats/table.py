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
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.io.folders import PARTS
from common.io.tables import Table, read_cells, read_table
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import is_image, part_of, split_by_folder, walk
from labs.detection.data.formats.pictures import Pictures
from labs.detection.data.formats.units import count_corners
from labs.detection.records import (
    BAD_BOX,
    BAD_LABELS,
    NO_IMAGE,
    SPLITS,
    Annotated,
    Box,
    Picture,
    Problem,
)

SUFFIXES = (".csv", ".tsv")
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
_PERCENT = 100
_SHARES = 2.0  # what no edge in shares is beyond, also where a box sticks out of its image
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


class _Row(NamedTuple):
    place: str
    label: str
    values: tuple[float, float, float, float]  # corners, in pixels or as shares


def find_columns(header: Sequence[str]) -> _Columns | None:
    """Return what the columns of a table are, by their names; None where they are not of boxes."""
    known = {re.sub(r"[\W_]+", "", name).casefold(): name for name in reversed(header)}

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
    return _Columns(image, box, kind, pick(_CLASS), size)


def find(root: Path) -> dict[str, Path]:
    """Return the tables with boxes of a folder by their splits; {} where there are none.

    Raises:
        DataError: two tables are for one split, or none is for training.
    """
    found: dict[str, Path] = {}
    for path in sorted(file for file in root.iterdir() if file.suffix.lower() in SUFFIXES):
        if _columns_of(path) is None:
            continue
        part = part_of([path.stem])
        if part in found:
            raise DataError(
                f"{root}: {found[part].name} and {path.name} are both for {part}; name one of them "
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
            f"{root} has several tables, {listed}; name one of them as --data, or call them "
            "train.csv, val.csv and test.csv"
        )
    return found


def has_boxes(root: Path) -> bool:
    """Say whether a folder has tables with boxes; what cannot be read is none."""
    for path in (file for file in root.iterdir() if file.suffix.lower() in SUFFIXES):
        with contextlib.suppress(DataError):
            if _columns_of(path) is not None:
                return True
    return False


def _columns_of(path: Path) -> _Columns | None:
    return find_columns(next(iter(read_cells(path)), []))


def read(path: Path) -> Annotated:
    """Read a table, or the tables of a folder.

    Raises:
        DataError: it has no columns of boxes, or cannot be read.
    """
    files = find(path) if path.is_dir() else {"all": path}
    root = path if path.is_dir() else path.parent
    images = list(filter(is_image, walk(root)))
    if not images and not path.is_dir():
        root = root.parent
        images = list(filter(is_image, walk(root)))
    finder = Finder(root, images)
    problems: list[Problem] = []
    notes: list[str] = []
    tables = {part: _rows(file, problems, notes) for part, file in files.items()}
    names = sorted({row.label for table in tables.values() for rows in table.rows for row in rows})
    numbers = {name: number for number, name in enumerate(names)}
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
        "csv",
        root,
        tuple(names),
        parts,
        (*problems, *left_out),
        notes=(*dict.fromkeys(notes), *pictures.notes()),
    )


class _Rows(NamedTuple):
    file: Path
    images: tuple[str, ...]  # the names, as the table has them
    rows: tuple[tuple[_Row, ...], ...]  # of each image
    sizes: tuple[tuple[int, int], ...]  # likewise: height and width, 0 where they are not there
    shares: bool  # the corners are shares of the image
    columns: _Columns


def _rows(file: Path, problems: list[Problem], notes: list[str]) -> _Rows:
    """Return the rows of a table by their images, and say how they were read."""
    columns = _columns_of(file)
    if columns is None:
        raise DataError(
            f"{file} has no columns of boxes: expected one of images ({', '.join(_IMAGE[:4])}), "
            "and xmin, ymin, xmax, ymax; or bbox; or x, y, width, height"
        )
    _check_classes(file, columns)
    table = read_table(file, columns.all, gaps=columns.all[1:])
    problems += (Problem(place, BAD_LABELS, why) for place, why in table.skipped)
    notes += (note.partition(" (--")[0] for note in table.notes)  # an option that is not here
    by_image: dict[str, list[_Row]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for place, image, cells, label, size in _cells(table, columns, file):
        rows = by_image.setdefault(image, [])
        sizes.setdefault(image, size)
        if not any(cells):
            continue  # an image without an object
        try:
            values = _corners(cells, columns)
        except ValueError as error:
            problems.append(Problem(place, BAD_BOX, str(error)))
            continue
        if not label:
            problems.append(Problem(place, BAD_BOX, f"no text in the column {columns.label}"))
            continue
        rows.append(_Row(place, label, values))
    boxes = [row.values for rows in by_image.values() for row in rows]
    every = [value for box in boxes for value in box]
    whole = all(box == (0, 0, 1, 1) for box in boxes)  # a whole image; else a single pixel
    some = whole or any(value % 1 for value in every)
    shares = bool(every) and max(every) <= _SHARES and some
    notes.append(_describe(columns, shares))
    if columns.kind == "sides" and _are_centers(boxes):
        raise DataError(
            f"{file}: boxes stick out of their images with {', '.join(columns.box)} as left, "
            "upper, width, height, and none does with centers; if they are that, call the columns "
            "x_center, y_center, width, height"
        )
    images = tuple(by_image)
    return _Rows(
        file,
        images,
        tuple(tuple(by_image[image]) for image in images),
        tuple(sizes[image] for image in images),
        shares,
        columns,
    )


def _check_classes(file: Path, columns: _Columns) -> None:
    """Refuse a table without a known column of classes, but with another that looks like one.

    Raises:
        DataError: a column has few texts again and again.
    """
    header = next(iter(read_cells(file)), [])
    others = [name for name in header if name not in columns.all and header.count(name) == 1]
    others = [name for name in others if name.strip()]
    if columns.label is not None or not others:
        return
    table = read_table(file, others, gaps=others)
    for name, cells in zip(others, table.columns, strict=True):
        values = {cell.casefold() for cell in cells if cell}
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
    out = any(1.01 < max(right, lower) <= _SHARES for *_, right, lower in boxes)
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


def _cells(
    table: Table, columns: _Columns, file: Path
) -> Iterator[tuple[str, str, list[str], str, tuple[int, int]]]:
    """Yield of each row place, image, cells of the box, class, and the image's height and width."""
    width = len(columns.box)
    for line, row in zip(table.lines, zip(*table.columns, strict=True), strict=True):
        image, box, rest = row[0], list(row[1 : 1 + width]), list(row[1 + width :])
        label = rest.pop(0) if columns.label else _ONLY
        height, across = (_whole(text) for text in rest) if rest else (0, 0)
        yield (
            f"{file.name}:{line}",
            image,
            box,
            unicodedata.normalize("NFC", label).strip(),
            (height, across),
        )


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
    table: _Rows,
    numbers: Mapping[str, int],
    finder: Finder,
    pictures: Pictures,
    problems: list[Problem],
    notes: list[str],
) -> Iterator[Picture]:
    """Yield the images of a table.

    Raises:
        DataError: the boxes are corners in columns of sides.
    """
    named = [image if finder.knows(image) else f"{image}.*" for image in table.images]
    found = finder.find_all([Asked(name, table.file, part_of([table.file.stem])) for name in named])
    seen: set[Path] = set()
    sized: list[tuple[Box, int, int]] = []
    for image, rows, size, path in zip(table.images, table.rows, table.sizes, found, strict=True):
        if isinstance(path, str) or path in seen:
            what = f"{len(rows):,} rows of {image}"
            why = path if isinstance(path, str) else f"{path.name} is another row's too"
            problems.append(Problem(f"{table.file.name}: {what}", NO_IMAGE, why))
            continue
        seen.add(path)

        def boxes(height: int, width: int, rows: Sequence[_Row] = rows) -> list[tuple[str, Box]]:
            across, down = (width, height) if table.shares else (1, 1)
            found = []
            for row in rows:
                x1, y1, x2, y2 = row.values
                box = Box(x1 * across, y1 * down, x2 * across, y2 * down, numbers[row.label])
                found.append((row.place, box))
                sized.append((box, height, width))
            return found

        picture = pictures.make(path, boxes, size)
        if picture is not None:
            yield picture
    _check_units(table, sized, notes)


def _check_units(table: _Rows, sized: Sequence[tuple[Box, int, int]], notes: list[str]) -> None:
    """Refuse corners in columns of sides; say where pixels may be percent.

    Raises:
        DataError: boxes stick out of their images as sides, and none does as corners.
    """
    columns = table.columns
    if columns.kind == "sides" and (out := count_corners(sized)):
        raise DataError(
            f"{table.file}: {out:,} of {len(sized):,} boxes stick out of their images with "
            f"{', '.join(columns.box)} as left, upper, width, height, and none does as left, "
            "upper, right, lower; put such corners into columns called xmin, ymin, xmax, ymax"
        )
    most = max((edge for box, *_ in sized for edge in box[:4]), default=0)
    large = all(min(height, width) >= 2 * _PERCENT for _, height, width in sized)
    if not table.shares and large and _PERCENT / 2 < most <= _PERCENT:
        height, width = max(each[1:] for each in sized)
        notes.append(
            f"no box of {table.file.name} goes beyond {_PERCENT}, in images of up to {width} x "
            f"{height}: they are taken as pixels; if they are percent, divide them by 100"
        )
