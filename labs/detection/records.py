"""What the readers of all formats give, and the writers take."""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.options.config import TableForm

SPLITS = ("train", "validation", "test")

# Kinds of problems; what each does to the data stands in `labs.detection.data.formats`.
BAD_IMAGE = "unreadable image"
BAD_LABELS = "unreadable labels"
NO_IMAGE = "labels without image"
TWO_IMAGES = "labels of two images"
NO_LABELS = "image without labels"
BAD_BOX = "malformed box"
BAD_OUTLINE = "malformed outline"
OUT_OF_RANGE = "box out of range"
ZERO_AREA = "box of no area"
DUPLICATE = "duplicate box"
BAD_CLASS = "class out of range"
OTHER_SIZE = "size other than written"
OUTSIDE = "path outside of the folder"
IGNORED = "ignored"
NOT_ALONE = "image not of one object"

# What is said of many boxes at once.
TURNED = "boxes are turned by an angle, which is left out: they are as before the turn"

_TOLERANCE = 1.0  # pixels that a box may stick out of its image, as rounding makes them


class Reading(NamedTuple):
    """What the user says of how files are to be read; what is None is found out."""

    form: TableForm = TableForm()  # how tables and texts are written
    image_dir: str | None = None  # the folder of the images that a table or a COCO JSON names


class Box(NamedTuple):
    """An object in an image; all numbers are pixels of the upright image, from 0 to its size."""

    x1: float  # left edge
    y1: float  # upper edge
    x2: float  # right edge
    y2: float  # lower edge
    label: int  # number of the class
    crowd: bool = False  # COCO's `iscrowd` or VOC's `difficult`: to find it or not costs nothing
    polygons: tuple[tuple[float, ...], ...] = ()  # outlines, each x, y, x, y, ...; () for none


class Problem(NamedTuple):
    """Something wrong in the data."""

    place: str  # the file, relative to the folder of the data, with the line where there is one
    kind: str  # one of those above
    detail: str  # what was found


@dataclass(frozen=True)
class Picture:
    """An image with its boxes."""

    path: Path  # the file
    name: str  # its path below the folder of the data, in NFC
    height: int  # of the upright image in pixels
    width: int  # likewise
    boxes: tuple[Box, ...]  # none for a background


@dataclass(frozen=True)
class Annotated:
    """What a reader found."""

    form: str  # of the files, such as `voc`, `coco` or `yolo`
    root: Path  # the folder of the data
    classes: tuple[str, ...]  # their names, by number
    parts: Mapping[str, tuple[Picture, ...]]  # "all", to be split; or "train" and other `SPLITS`
    problems: tuple[Problem, ...]  # what is wrong
    lists: str = ""  # the files that list the splits, where it is not folders that tell them
    notes: tuple[str, ...] = ()  # what was taken how, and what is not read at all, with counts

    @property
    def pictures(self) -> list[Picture]:
        """The images of all parts; one in two parts is there twice."""
        return [picture for part in self.parts.values() for picture in part]

    @property
    def bare_parts(self) -> list[str]:
        """The splits to validate or test on that have images, and no box at all."""
        return [
            part
            for part in ("validation", "test")
            if self.parts.get(part) and not any(each.boxes for each in self.parts[part])
        ]


def check_names(names: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the names of classes in NFC.

    Raises:
        DataError: two are the same, one is empty or no text, or there is none.
    """
    clean = tuple(unicodedata.normalize("NFC", name).strip() for name in names)
    if wrong := [name for name in clean if not name or re.search("[\0\ud800-\udfff]", name)]:
        raise DataError(f"{path}: a class is called {wrong[0]!r}; give it a name")
    twice = sorted({name for name in clean if clean.count(name) > 1})
    if twice or not clean:
        what = f"two classes are called {twice[0]!r}" if twice else "it names no classes"
        raise DataError(f"{path}: {what}; give each class a name of its own")
    return clean


def clamp(outline: Sequence[float], picture: Picture) -> tuple[float, ...]:
    """Return an outline (x, y, x, y, ...) without what is beyond the edges of its image."""
    sides = picture.width, picture.height
    return tuple(min(max(value, 0.0), float(sides[at % 2])) for at, value in enumerate(outline))


def bounds(outline: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the upright box around an outline (x, y, x, y, ...): its left, upper, right, lower."""
    xs, ys = outline[::2], outline[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def check_boxes(
    boxes: Iterable[tuple[str, Box]], height: int, width: int
) -> tuple[tuple[Box, ...], list[Problem]]:
    """Return the boxes of an image that can be used, and what is wrong with the others.

    Each box comes with its place. One that sticks out of the image (height x width pixels) is cut
    at its edge; where that is more than a pixel, it is a problem, too.
    """
    kept: dict[tuple[float, ...], Box] = {}
    problems = []
    for place, box in boxes:
        corners = box[:4]
        if not all(map(math.isfinite, corners)):
            problems.append(Problem(place, BAD_BOX, f"not a finite number: {_listed(corners)}"))
            continue
        x1, y1, x2, y2 = corners
        if x2 <= x1 or y2 <= y1:
            size = f"{x2 - x1:g} x {y2 - y1:g} pixels"
            problems.append(Problem(place, ZERO_AREA, size))
            continue
        beyond = max(-x1, -y1, x2 - width, y2 - height)
        x1, x2 = (min(max(x, 0.0), float(width)) for x in (x1, x2))
        y1, y2 = (min(max(y, 0.0), float(height)) for y in (y1, y2))
        inside = x1 < x2 and y1 < y2
        if beyond > _TOLERANCE or not inside:
            detail = f"{_listed(corners)} in {width} x {height} pixels"
            what = "cut at the edge" if inside else "left out"
            problems.append(Problem(place, OUT_OF_RANGE, f"{detail}, {what}"))
        if not inside:
            continue
        key = (*(round(value, 3) for value in (x1, y1, x2, y2)), box.label)
        if key in kept:
            problems.append(Problem(place, DUPLICATE, f"{_listed(corners)}, as one before"))
            continue
        kept[key] = box._replace(x1=x1, y1=y1, x2=x2, y2=y2)
    return tuple(kept.values()), problems


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
