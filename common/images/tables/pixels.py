"""Tables whose cells are the pixels of images, as MNIST and its kind are handed out."""

import contextlib
import csv
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.errors import DataError
from common.files import make_once, sha256_of
from common.images.tables.finder import Finder
from common.io.tables import AS_FOUND, PACKED, OpenTable, TableForm, is_table
from common.io.unpack import name_unpacked
from common.reuse import reusable
from common.steps import track

_SAID = "pixels.txt"
_IMAGE, _LABEL = "image", "label"
_LEAST = 8  # pixels of a side
_CERTAIN = 14  # pixels of a side from which on rows without names are images
_ANY = 28  # likewise columns of any name
_PEEKED, _EVERY = 20, 7  # rows that show what the columns are; of a table without names, from all
_BLACK = 0.9  # share of rows in which a corner is of one value
_NUMBER = re.compile(r"\d+")
_NAMED = re.compile(r"pix|px|img|image|gr[ae]y|화소|픽셀|^#$|^p#$|#x#|#_#", re.IGNORECASE)
_OTHERS = re.compile(r"feature|embed|tag|latent|descriptor", re.IGNORECASE)
_TEXT = re.compile(r"\s*\[?\s*[\d.]+(?:[\s,;]+[\d.]+)+\s*\]?\s*")
_WHITE, _OF_16 = 255, 16  # what white is; in the 8x8 digits of UCI
_CHANNELS = 3

Cells = Sequence[str]
Pixels = npt.NDArray[np.uint8]


class Layout(NamedTuple):
    """Where in a row the pixels of an image are."""

    pixels: tuple[int, ...]  # the cells, from left to right and from top to bottom; one with all
    shape: tuple[int, int, int]  # height, width, and channels: 1 (grey) or 3 (RGB)
    others: tuple[tuple[int, str], ...]  # the cells beside them, and what their columns are called
    headless: bool = False  # whether the first row has data already

    def describe(self, names: Sequence[str]) -> str:
        """Say what was taken for the pixels, in a table whose columns are called so."""
        height, width, channels = self.shape
        kind = "grey" if channels == 1 else "RGB"
        first, last = self.pixels[0], self.pixels[-1]
        if self.headless:
            where = f"columns {1 + first} to {1 + last}"
        elif len(self.pixels) == 1:
            where = f"column {names[first]!r}"
        else:
            where = f"columns {names[first]!r} to {names[last]!r}"
        label = (
            f", its label in column {1 + self.others[0][0]}"
            if self.headless and self.others
            else ""
        )
        return f" with images of {height}x{width} {kind} pixels in {where}{label}"

    def read(self, cells: Cells) -> npt.NDArray[np.float32] | None:
        """Return the numbers of a row; None where they are not those of an image."""
        first, *others = self.pixels
        numbers = _numbers(
            [[cells[place] for place in self.pixels] if others else _cut(cells[first])]
        )
        whole = numbers is not None and numbers.shape[1] == math.prod(self.shape)
        return numbers[0] if whole and numbers is not None else None


@reusable(lambda table, form: (table, form))
def find_pixels(table: Path, form: TableForm) -> Layout | None:
    """Return where the pixels in a table are; None where it has none, or cannot be read.

    They are columns that are numbered (`pixel0` to `pixel783`, `1x1` to `28x28`, or none has a
    name), or one column with all of them in a cell. Images without a height and a width in the
    names are square, grey or RGB.
    """
    if not is_table(table) or not table.is_file():
        return None
    try:
        opened = OpenTable(table, form, lists=True)
        rows = [list(row) for _, row in islice(opened.rows(), _PEEKED) if not isinstance(row, str)]
    except DataError:  # which is said as the table is read
        return None
    full = [["" if cell is None else cell.strip() for cell in row] for row in rows]
    full = [row for row in full if len(row) == len(opened.names)]
    layout = _find_layout(opened.names, full)
    if layout is None or _name_images(table.parent, layout, full):
        return None
    return _find_headless(_spread(table, form)) if layout.headless else layout


def _name_images(folder: Path, layout: Layout, rows: Sequence[Cells]) -> bool:
    """Say whether a column beside the numbers names images, each row its own."""
    columns = [[row[place] for row in rows] for place, _ in layout.others]
    different = [column for column in columns if len({*column}) == len(column)]
    if not any(any(not cell.isdecimal() for cell in column) for column in different):
        return False
    finder = Finder(folder)
    return any(any(isinstance(each, Path) for each in finder.find(cells)) for cells in different)


def _spread(table: Path, form: TableForm) -> list[Cells]:
    """Return rows from all over a table without names: it may be sorted by its labels."""
    opened = OpenTable(table, form, lists=True)
    every = islice(chain([(1, opened.names)], opened.rows()), 0, None, _EVERY)
    rows = [[(cell or "").strip() for cell in row] for _, row in every if not isinstance(row, str)]
    return [row for row in rows if len(row) == len(opened.names)]


def unpack_pixels(file: Path, form: TableForm) -> Path:
    """Write the images of a table into the cache, once; returns the table that names them.

    It is called as the user's is, and has the other columns as they are.

    Raises:
        DataError: no row has pixels that are numbers from black to white.
        SaveError: the cache cannot be written.
    """
    layout = find_pixels(file, form)
    assert layout is not None
    key = "".join([sha256_of(file), repr(form), repr(layout), file.stem])
    folder = name_unpacked(key)
    name = f"{Path(file.stem).stem if file.suffix in PACKED else file.stem}.csv"
    return make_once(folder, lambda made: _write(file, form, layout, made / name)) / name


def describe_pixels(table: Path) -> str:
    """Return what was taken for the pixels of a table that was unpacked; "" of any other."""
    said = table.with_name(_SAID)
    return said.read_text(encoding="utf-8") if said.is_file() else ""


def form_of(table: Path, given: TableForm) -> TableForm:
    """Return how a table is written: one that was unpacked here, not as the user's own is."""
    return AS_FOUND if table.with_name(_SAID).is_file() else given


def _cut(cell: str) -> list[str]:
    return re.split(r"[\s,;]+", cell.strip(" []\t"))


# --- where pixels are -----------------------------------------------------------------------------


def _find_layout(names: Sequence[str], rows: Sequence[Cells]) -> Layout | None:
    if not rows:
        return None
    return _find_texts(names, rows) or _find_columns(names, rows) or _find_headless([names, *rows])


def _find_texts(names: Sequence[str], rows: Sequence[Cells]) -> Layout | None:
    """Return the column each of whose cells has all pixels of an image."""
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        if not all(map(_TEXT.fullmatch, cells)) or len({len(_cut(cell)) for cell in cells}) > 1:
            continue
        values = _numbers([_cut(cell) for cell in cells])
        if shape := _shape(values, _LEAST if _are_pixels(name) else _ANY):
            return Layout((place,), shape, _others(names, {place}))
    return None


def _find_columns(names: Sequence[str], rows: Sequence[Cells]) -> Layout | None:
    """Return the columns that are called alike but for their numbers, which go up."""
    alike: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        if _NUMBER.search(name):
            alike[_NUMBER.sub("#", name)].append(place)
    for kind, places in sorted(alike.items(), key=lambda pair: -len(pair[1])):
        numbers = [tuple(map(int, _NUMBER.findall(names[place]))) for place in places]
        values = _numbers([[row[place] for place in places] for row in rows])
        if len(set(numbers)) < len(numbers) or values is None:
            continue
        order = sorted(range(len(places)), key=numbers.__getitem__)
        pixels = tuple(places[each] for each in order)
        grid = _grid(numbers)
        shape = (*grid, 1) if grid else _shape(values, _LEAST if _are_pixels(kind) else _ANY)
        if shape:
            return Layout(pixels, shape, _others(names, {*pixels}))
    return None


def _find_headless(rows: Sequence[Cells]) -> Layout | None:
    """Return the pixels of rows without names: all cells, or all but the first or the last."""
    width = len(rows[0])
    ends = {0: range(1, width), width - 1: range(width - 1), None: range(width)}
    found: dict[int | None, tuple[tuple[int, ...], tuple[int, int, int]]] = {}
    for label, places in ends.items():
        values = _numbers([[row[place] for place in places] for row in rows])
        if shape := _shape(values, _CERTAIN):
            found[label] = (tuple(places), shape)
    kinds = {label: Counter(row[label] for row in rows) for label in found if label is not None}
    # A corner is of one color in most images; of the rest, classes are fewer than levels of grey.
    possible = [
        label
        for label, counts in kinds.items()
        if len(counts) > 1 and max(counts.values()) < _BLACK * len(rows)
    ]
    label = min(possible or kinds, key=lambda each: len(kinds[each]), default=None)
    if label is None and None not in found:
        return None
    others = () if label is None else ((label, _LABEL),)
    return Layout(*found[label], others, headless=True)


def _others(names: Sequence[str], pixels: set[int]) -> tuple[tuple[int, str], ...]:
    """Return the columns beside the pixels; that of row numbers, which pandas writes, is none."""
    return tuple(
        (place, name)
        for place, name in enumerate(names)
        if place not in pixels and name and not name.casefold().startswith("unnamed")
    )


def _grid(numbers: Sequence[tuple[int, ...]]) -> tuple[int, int] | None:
    """Return the height and the width that pairs of numbers in names tell, if they do."""
    if {len(each) for each in numbers} != {2}:
        return None
    height, width = (1 + max(side) - min(side) for side in zip(*numbers, strict=True))
    enough = min(height, width) >= _LEAST
    return (height, width) if enough and height * width == len(numbers) else None


def _numbers(rows: Sequence[Cells]) -> npt.NDArray[np.float32] | None:
    """Return the numbers of rows that are from black to white; None where most are not."""
    found = []
    for row in rows:
        with contextlib.suppress(ValueError):
            values = np.array(row, np.float32)
            found += [values] if _fits(values) else []
    return np.stack(found) if 2 * len(found) > len(rows) else None


def _are_pixels(name: str) -> bool:
    return bool(_NAMED.search(name)) and not _OTHERS.search(name)


def _shape(values: Any, least: int) -> tuple[int, int, int] | None:
    """Return height, width and channels of rows of pixels; None where they are no images."""
    if values is None or not values.size:
        return None
    whole = bool((values == np.rint(values)).all()) and values.max() > 1
    if least > _LEAST and not whole:
        return None
    for channels in (1, _CHANNELS):
        side = math.isqrt(values.shape[1] // channels)
        if side**2 * channels == values.shape[1] and side >= least:
            return side, side, channels
    return None


def _fits(values: Any) -> bool:
    if not values.size or not np.isfinite(values).all():
        return False
    return bool(values.min() >= 0 and values.max() <= _WHITE)


# --- images ---------------------------------------------------------------------------------------


def _write(file: Path, form: TableForm, layout: Layout, table: Path) -> None:
    """Write the images, the table that names them, and what was taken for what."""
    table.with_name(_SAID).write_text(layout.describe(OpenTable(file, form).names), "utf-8")
    cells, numbers, found = _read(file, form, layout)
    images = iter(_arrange(_to_eight_bits(numbers, layout), layout))
    others = [name for _, name in layout.others]
    with table.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([_IMAGE if _IMAGE not in others else f"{_IMAGE} of pixels", *others])
        rows = zip(cells, found, strict=True)
        for row, (beside, good) in enumerate(
            track(rows, f"writing {len(numbers):,} images of {file.name}", len(cells)), 1
        ):
            name = f"row-{row:06}.png"
            if good:
                Image.fromarray(next(images)).save(table.with_name(name), compress_level=1)
            else:
                name += f", which has not {math.prod(layout.shape):,} pixels from 0 to {_WHITE}"
            writer.writerow([name, *beside])


def _read(
    file: Path, form: TableForm, layout: Layout
) -> tuple[list[list[str]], npt.NDArray[np.float32], list[bool]]:
    """Return the cells beside the pixels, the pixels (rows, pixels), and which rows have them.

    Raises:
        DataError: no row has them.
    """
    opened = OpenTable(file, form, lists=True)
    first = [(1, opened.names)] if layout.headless else []
    cells: list[list[str]] = []
    numbers, found = [], []
    for _, row in track(chain(first, opened.rows()), f"reading the pixels of {file.name}"):
        full = [] if isinstance(row, str) else [(cell or "").strip() for cell in row]
        if full and not any(full):
            continue
        values = layout.read(full) if len(full) == len(opened.names) else None
        found.append(values is not None)
        cells.append([full[place] if place < len(full) else "" for place, _ in layout.others])
        if values is not None:
            numbers.append(values)
    if not numbers:
        raise DataError(f"{file}: no row has {math.prod(layout.shape):,} pixels from 0 to {_WHITE}")
    return cells, np.stack(numbers), found


def _to_eight_bits(values: npt.NDArray[np.float32], layout: Layout) -> Pixels:
    """Scale pixels so that white is 255: those from 0 to 1, and UCI's digits, from 0 to 16."""
    scale = 1.0
    if values.max() <= 1:
        scale = _WHITE
    elif layout.shape == (_LEAST, _LEAST, 1) and values.max() <= _OF_16:
        scale = _WHITE / _OF_16
    pixels: Pixels = np.rint(values * scale).astype(np.uint8)
    return pixels


def _arrange(pixels: Pixels, layout: Layout) -> Pixels:
    """Return images as (N, H, W) or (N, H, W, 3).

    Colors stand side by side, or in three planes one behind the other: neighbors are alike in that
    of the two which is right.
    """
    height, width, channels = layout.shape
    if channels == 1:
        return pixels.reshape(-1, height, width)
    together = pixels.reshape(-1, height, width, channels)
    planes = np.moveaxis(pixels.reshape(-1, channels, height, width), 1, 3)
    return min(together, planes, key=lambda images: _roughness(images[:_PEEKED]))


def _roughness(images: Pixels) -> float:
    return float(np.abs(np.diff(images.astype(np.float32), axis=2)).mean())
