"""A table with a box in each row: what programs export, and what competitions hand out.

    filename,width,height,class,xmin,ymin,xmax,ymax          corners in pixels
    ImageID,LabelName,XMin,XMax,YMin,YMax                    corners as shares, as of Open Images
    image_id,bbox with "[x, y, width, height]"               left, upper, width, height
    image,x,y,w,h,label                                      the same in columns of their own
    photos/a.jpg,10,20,40,40,cat                             corners, in a table without names

Columns are known by their names, and which they are is said. A row without numbers is an image
without an object.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from common.errors import DataError
from common.images.listed import find_existing
from common.io import tables as io
from common.io.folders import PARTS, read_part
from common.io.labels import read_labels
from common.io.tables import OpenTable, is_packed_table, read_names
from common.options.config import TableForm
from labs.detection.data.formats.columns import KINDS as KINDS
from labs.detection.data.formats.columns import Columns, find_places, may_tell_classes, pick_split
from labs.detection.data.formats.columns import find_columns as find_columns
from labs.detection.data.formats.columns import pick_class as pick_class
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import (
    files_by_part,
    is_image,
    part_of,
    read_head,
    split_by_folder,
    stamp_of,
    walk,
)
from labs.detection.data.formats.pictures import Pictures
from labs.detection.data.formats.sets import open_images
from labs.detection.data.formats.units import (
    SHARES,
    are_shares,
    count_centers,
    count_corners,
    tell_percent,
)
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
_FEW = 20  # files of a kind below a folder; see `_tables`
_ONLY = "object"  # the class where no column tells


_Four = tuple[float, float, float, float]


class Row(NamedTuple):
    """A box of an image."""

    place: str
    label: str
    values: _Four  # corners, in pixels or as shares
    polygons: tuple[tuple[float, ...], ...] = ()  # outlines, likewise
    crowd: bool = False  # the box is around a group of objects


class Rows(NamedTuple):
    """The boxes of a file."""

    file: Path
    images: Mapping[str, Sequence[Row]]  # by the names of images, as the file has them
    sizes: Mapping[str, tuple[int, int]]  # likewise: height and width, 0 where they are not there
    shares: bool  # the corners are shares of the image
    sides: tuple[str, ...] = ()  # columns that were read as left, upper, width, height
    certain: bool = False  # the form says which they are
    parts: Mapping[str, str] = MappingProxyType({})  # the split of each image by a column, if any


def columns_in(path: Path, form: TableForm) -> Columns | None:
    """Return what the columns of a table in a file are, see `find_columns`.

    Raises:
        DataError: it cannot be read.
    """
    return _columns_in(path, form, stamp_of(path))


@lru_cache
def _columns_in(path: Path, form: TableForm, stamp: tuple[int, int]) -> Columns | None:
    names = read_names(path, form)
    return find_columns(names) or find_places(names)


def find(root: Path, form: TableForm, notes: list[str]) -> dict[str, Path]:
    """Return the tables with boxes of a folder by their splits; {} where there are none.

    What cannot be read beside them goes to the notes.

    Raises:
        DataError: two tables are for one split, none is for training, or none can be read.
    """
    unreadable: list[DataError] = []
    found = files_by_part(root, _tables(root, form, unreadable))
    if unreadable and not found:
        raise unreadable[0]
    notes += (f"not read: {error}" for error in unreadable)
    return found


def has_boxes(root: Path, form: TableForm) -> bool:
    """Say whether a folder has tables with boxes; what cannot be read is none."""
    return bool(_tables(root, form, []))


def _tables(root: Path, form: TableForm, unreadable: list[DataError]) -> list[Path]:
    """Return the tables with boxes of a folder, or of those in it where it has none itself.

    There, files of which there are many are of one image each. What is to be filled in for a
    competition is none.
    """
    files = [file for file in walk(root) if "submission" not in file.stem.casefold()]
    here = (file for file in files if file.parent == root and _may_be_table(file))
    if found := _with_boxes(here, form, unreadable):
        return found
    kinds = Counter(file.suffix.lower() for file in files)
    below = (file for file in files if file.parent != root and kinds[file.suffix.lower()] <= _FEW)
    return _with_boxes(filter(_may_be_table, below), form, unreadable)


def _with_boxes(files: Iterable[Path], form: TableForm, unreadable: list[DataError]) -> list[Path]:
    found = []
    for file in files:
        try:
            found += [file] if columns_in(file, form) is not None else []
        except DataError as error:
            unreadable.append(error)
    return found


def _may_be_table(file: Path) -> bool:
    """Say whether a file may be a table: of JSON one with an array, of texts one of images."""
    suffix = file.suffix.lower()
    if suffix == ".txt":
        return find_places(re.split("[,;\t]", _first_line(file))) is not None
    return suffix in _IN_FOLDERS or is_packed_table(file) or has_array(file)


def _first_line(file: Path) -> str:
    return read_head(file).lstrip(_MARKS).partition(b"\n")[0].decode("utf-8", "replace").strip()


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
    if list(tables) == ["all"]:
        tables = _by_column(tables["all"])
    return assemble("table", path, reading, tables, problems, notes)


def _by_column(table: Rows) -> dict[str, Rows]:
    """Return the rows of a table by the parts of a split that a column of it names, if one does."""
    if not table.parts:
        return {"all": table}
    return {
        part: table._replace(
            images={name: rows for name, rows in table.images.items() if table.parts[name] == part}
        )
        for part in SPLITS
        if part in table.parts.values()
    }


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
    every = [
        row.label for table in tables.values() for rows in table.images.values() for row in rows
    ]
    called = open_images.read_names(path if path.is_dir() else path.parent, every, notes)
    spelled = {label: called.get(label, name) for label, name in _spell(every, notes).items()}
    names = sorted(set(spelled.values()))
    numbers = {label: names.index(name) for label, name in spelled.items()}
    pictures = Pictures(root, problems)
    parts: dict[str, tuple[Picture, ...]] = {
        part: tuple(_pictures(tables[part], numbers, finder, pictures, problems, notes))
        for part in ("all", *SPLITS)
        if part in tables
    }
    notes += finder.about_others(each.path for some in parts.values() for each in some)
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
    columns = columns_in(file, form)
    if columns is not None and columns.header is False:
        form = form._replace(header=False)
    opened = OpenTable(file, form, lists=True)
    if columns is None:
        raise DataError(
            f"{file} has no columns of boxes: expected one of images (filename, image_id, image), "
            "and xmin, ymin, xmax, ymax; or bbox; or x, y, width, height"
        )
    splits = _splits(opened.names, columns)
    others = [name for name in _others(opened.names, columns) if name not in splits]
    more = [*splits, *others]
    table = opened.read([*columns.all, *more], gaps=[*columns.all[1:], *more])
    width = len(columns.all)
    _check_classes(file, others, table.columns[width + len(splits) :])
    parts = _parts(file, splits, table.columns[0], table.columns[width:], notes)
    problems += (Problem(place, BAD_LABELS, why) for place, why in table.skipped)
    notes += table.notes
    by_image: dict[str, list[Row]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    cells_of_box = slice(1, 1 + len(columns.box))
    for line, row in zip(table.lines, zip(*table.columns, strict=True), strict=True):
        image, cells, rest = row[0], row[cells_of_box], row[cells_of_box.stop : width]
        label = rest[0] if columns.label else _ONLY
        crowd = bool(columns.group) and rest[int(columns.label is not None)] in (
            "1",
            "true",
            "True",
        )
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
        by_image[image].append(Row(place, label, values, crowd=crowd))
    columns, by_image = _settle(columns, by_image, notes)
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
    return Rows(file, by_image, sizes, shares, sides, parts=parts)


def _splits(names: Sequence[str], columns: Columns) -> list[str]:
    """Return the column that may name the parts of a split, in a list; [] where none does."""
    found = pick_split(names)
    return [] if found is None or found in columns.all or names.count(found) > 1 else [found]


def _parts(
    file: Path,
    names: Sequence[str],
    images: Sequence[str],
    columns: Sequence[Sequence[str]],
    notes: list[str],
) -> dict[str, str]:
    """Return the part of each image by the first of some columns, {} where it names others.

    Raises:
        DataError: an image is in two parts.
    """
    if not names:
        return {}
    told = [read_part(cell) for cell in columns[0]]
    parts = {image: part for image, part in zip(images, told, strict=True) if part}
    if len(parts) < len(set(images)) or "train" not in told or len(set(told)) < 2:
        return {}
    if twice := [image for image, part in zip(images, told, strict=True) if parts[image] != part]:
        raise DataError(
            f"{file}: the column {names[0]} puts {twice[0]} into two parts of the split; give all "
            "rows of an image the same"
        )
    notes.append(f"the splits are those of the column {names[0]}")
    return parts


def _settle(
    columns: Columns, by_image: dict[str, list[Row]], notes: list[str]
) -> tuple[Columns, dict[str, list[Row]]]:
    """Return what the four numbers are where corners are none, by all of them, and the rows.

    Some sets call left, upper, right, lower edge xmin, xmax, ymin, ymax; and without names corners
    may be a left, an upper, a width and a height.
    """
    values = [row.values for rows in by_image.values() for row in rows]
    if columns.kind != "corners" or all(map(_is_box, values)):
        return columns, by_image

    def changed(change: Callable[[_Four], _Four]) -> dict[str, list[Row]]:
        return {
            name: [row._replace(values=change(row.values)) for row in rows]
            for name, rows in by_image.items()
        }

    if columns.header is False and all(min(each) >= 0 for each in values):
        return columns._replace(kind="sides"), changed(_from_sides)
    x1, y1, x2, y2 = columns.box
    if sum(map(_is_box, values)) < len(values) / 2 and all(_is_box(_crossed(v)) for v in values):
        notes.append(
            f"{x2} and {y1} are exchanged: by their numbers, they are called so by mistake"
        )
        return columns._replace(box=(x1, x2, y1, y2)), changed(_crossed)
    return columns, by_image


def _is_box(values: _Four) -> bool:
    return values[0] < values[2] and values[1] < values[3]


def _from_sides(values: _Four) -> _Four:
    left, upper, width, height = values
    return left, upper, left + width, upper + height


def _crossed(values: _Four) -> _Four:
    return values[0], values[2], values[1], values[3]


def _others(names: Sequence[str], columns: Columns) -> list[str]:
    """Return the columns among which there may be one of classes, where none is called so."""
    if columns.label is not None:
        return []
    return [
        name
        for name in names
        if name and name not in columns.all and names.count(name) == 1 and may_tell_classes(name)
    ]


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


def _describe(columns: Columns, shares: bool) -> str:
    kind = KINDS[columns.kind]
    unit = "as shares of the image" if shares else "in pixels"
    what = "column " if columns.header is False else ""
    label = f"the class is {what}{columns.label}"
    label = label if columns.label else f"all are of one class, {_ONLY}"
    return f"boxes are {what and 'columns '}{', '.join(columns.box)} ({kind}, {unit}), {label}"


def _size(cells: Sequence[str], columns: Columns) -> tuple[int, int]:
    """Return the height and width that the last cells of a row give, 0 where they give none."""
    if not columns.size:
        return 0, 0
    height, width = map(_whole, cells[-2:])
    return height, width


def _whole(text: str) -> int:
    return int(float(text)) if re.fullmatch(r"\d{1,9}(\.0*)?", text) else 0


def _corners(cells: Sequence[str], columns: Columns) -> tuple[float, float, float, float]:
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
    return Box(x1 * across, y1 * down, x2 * across, y2 * down, label, row.crowd, polygons)


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
    if table.sides and not table.shares and (out := count_centers(sized)):
        raise DataError(
            f"{table.file}: {out:,} of {len(sized):,} boxes stick out of their images with "
            f"{', '.join(table.sides)} as left, upper, width, height, and none does with centers; "
            "if they are that, call the columns x_center, y_center, width, height"
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
