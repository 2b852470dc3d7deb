"""Parts of images as samples, as columns of their table say, or a table of boxes beside it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from common.errors import DataError
from common.images.decode import Crop, photo_size
from common.images.listed import ListedFile, ListedImages, find_existing, read_number
from common.images.tables.columns import PATH, choose_columns
from common.images.tables.finder import Finder
from common.io.tables import Table, read_cells, read_table
from common.options.config import ImageConfig

_BOX = ("x", "y", "w", "h")  # columns of a table of boxes, when none are given


class _Row(NamedTuple):
    """Of a table of boxes, one that has a box."""

    line: int
    image: str
    file: Path | str  # or why there is none
    cells: tuple[str, ...]


def read_crop(table: Path, line: int, name: str, file: Path | str, cells: Sequence[str]) -> Crop:
    """Return the part of an image that a row names.

    Args:
        table: with the row, for messages.
        line: of the row.
        name: what the row calls the image.
        file: the image, or why there is none.
        cells: left, top, width and height in pixels.

    Raises:
        DataError: a cell is no number, or the part does not lie in the image.
    """
    values = [read_number(cell) for cell in cells]
    if None in values:
        raise DataError(f"{table}, line {line}: {','.join(cells)} is no crop: four numbers")
    crop = Crop(*cast(Any, values))
    size = photo_size(file) if isinstance(file, Path) else ""
    if not isinstance(size, str) and not crop.lies_in(*size):
        raise DataError(
            f"{table}, line {line}: the crop {','.join(cells)} (left, top, width, height) lies "
            f"outside of {name}, which has {size[1]} x {size[0]} pixels"
        )
    return crop


def crop_file(file: ListedFile, crop: Crop | None) -> ListedFile:
    """Return a part of a file as a sample; the file if None."""
    return file if crop is None else file._replace(name=f"{file.name} {crop}", crop=crop)


def take_boxes(config: ImageConfig, listed: ListedImages, folder: Path) -> ListedImages:
    """Return a sample for each box that --crop-boxes has of a listed image, in place of the image.

    Each shows what the image shows. Images without a box are left out, and named, as boxes without
    a file are; boxes of other files are counted.

    Args:
        config: names the table of boxes: a column with images, and the four of a box.
        listed: the images.
        folder: that holds the images, where the config names none.

    Raises:
        DataError: the table cannot be read, a box does not lie in its image, or none is of one.
    """
    path = find_existing(Path(str(config.crop_boxes)), Path.is_file, "table of boxes")
    table, rows = _read_rows(path, config, folder)
    boxes: dict[Path, dict[Crop, None]] = {file.path.resolve(): {} for file in listed.files}
    lost, others = [], 0
    for row in rows:
        if isinstance(row.file, str):
            lost.append((f"{path.name}:{row.line}", f"{row.file}: {row.image}"))
        elif row.file in boxes:
            boxes[row.file][read_crop(path, *row)] = None
        else:
            others += 1
    if not any(boxes.values()):
        raise DataError(
            f"--crop-boxes {path}: none of its {len(rows):,} boxes is of an image of "
            f"{config.data}, such as {listed.files[0].name}; name another table, or none for "
            "whole images"
        )
    bare = [file.name for file in listed.files if not boxes[file.path.resolve()]]
    bare_of = [(name, f"no box in {path.name}") for name in bare]
    said = f"boxes of {path.name}" + (f" ({others:,} of other images)" if others else "")
    return replace(
        listed,
        files=tuple(
            crop_file(file, crop) for file in listed.files for crop in boxes[file.path.resolve()]
        ),
        skipped=(*listed.skipped, *table.skipped, *lost, *bare_of),
        source=", ".join([listed.source, said, *table.notes]),
    )


def _read_rows(path: Path, config: ImageConfig, folder: Path) -> tuple[Table, list[_Row]]:
    """Return a table of boxes, and those of its rows that have one."""
    finder = Finder(Path(config.image_dir).expanduser() if config.image_dir else folder)
    cells = read_cells(path)
    header = cells[0] if cells else []
    if not config.crop_column and not {*_BOX} <= {*header}:
        raise DataError(
            f"--crop-boxes {path} has these columns: {', '.join(header) or 'none'}; expected a "
            "table with images and x,y,w,h (left, top, width, height; --crop-column names others)"
        )
    given = config.path_column if config.path_column in header else PATH
    image = choose_columns(path, cells, given, (), finder, required=False).path
    columns = [image, *(config.crop_column or _BOX)]
    table = read_table(path, columns, gaps=columns)
    names, *sides = table.columns
    rows = zip(table.lines, names, finder.find(names), zip(*sides, strict=True), strict=True)
    return table, [
        _Row(line, name, file if isinstance(file, str) else file.resolve(), box)
        for line, name, file, box in rows
        if any(box)
    ]
