"""Masks as images: a PNG for each photo, whose values say which pixels are an object.

A mask is in a folder such as `masks` or `SegmentationObject`, or is called like its photo and
`_mask`. What its values are is told by all masks together, and said:

    one value beside 0                 things of one class; each connected piece is an object
    in each mask 1 to its own number   objects of one class, a value for each; also in a folder
                                       called `instance_masks` or `SegmentationObject`
    anything else                      classes, a value for each; each connected piece is an object;
                                       also in a folder called `class_masks` or `SegmentationClass`

0 is the background, and 255 beside several others the void around objects. A piece of few pixels
is left out, and counted. Outlines are those of the pieces, without holes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.errors import DataError
from common.files import fold_name
from common.io.folders import relative_name
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import is_image, part_of, split_by_folder, walk
from labs.detection.data.formats.pictures import Pictures
from labs.detection.records import (
    BAD_LABELS,
    NO_IMAGE,
    NO_LABELS,
    Annotated,
    Box,
    Problem,
    Reading,
)

Values = npt.NDArray[np.int64]
Outline = tuple[float, ...]

_FOLDER = re.compile(r"(.*[\W_])?(masks?|segmentationobject|segmentationclass)")
_STEM = re.compile(r"(.+)[-_ ]masks?")
_KEEPING = (".png", ".bmp", ".tif", ".tiff", ".gif")  # formats that keep values as they are
_VOID = 255
_FEW = 10  # pixels
_TOUCHING = np.ones((3, 3))  # pieces are connected over corners, too
_NUMBERED = {"instance", "instances", "segmentationobject"}  # words of folders
_CLASSES = {"class", "classes", "semantic", "segmentationclass"}
_ONLY = "object"  # the class where values are no classes


class _Kind(NamedTuple):
    """What the values of masks are."""

    classes: tuple[int, ...]  # the value of each class; () where all objects are of one
    numbered: bool  # a value for each object
    said: str


def find(files: Iterable[Path], root: Path) -> list[Path]:
    """Return the masks among files."""
    return [
        file
        for file in files
        if is_image(file)
        and (
            _STEM.fullmatch(fold_name(file.stem))
            or any(_FOLDER.fullmatch(fold_name(part)) for part in file.relative_to(root).parts[:-1])
        )
    ]


def read(root: Path, reading: Reading) -> Annotated:
    """Read a folder with photos and masks, of which nothing is to be said."""
    files = list(walk(root))
    found = find(files, root)
    objects = [file for file in found if "segmentationobject" in map(fold_name, file.parts)]
    masks = objects or found  # VOC has both; of the others, the classes alone would part no objects
    photos = [file for file in files if is_image(file) and file not in set(found)]
    finder = Finder(root, photos)
    problems: list[Problem] = []
    asked = [_image_of(file, root) for file in masks]
    of: dict[Path, Path] = {}
    used: dict[Path, set[int]] = {}
    for mask, photo in zip(masks, finder.find_all(asked), strict=True):
        place = relative_name(mask, root)
        if isinstance(photo, str):
            problems.append(Problem(place, NO_IMAGE, photo))
            continue
        there = "a second mask" if photo in of else _read_used(mask)
        if isinstance(there, str):
            problems.append(Problem(place, BAD_LABELS, there))
        else:
            of[photo], used[mask] = mask, there
    kind = _tell_kind(used, root)
    names = tuple(map(str, kind.classes)) or (_ONLY,)
    pictures = Pictures(root, problems)
    small: Counter[str] = Counter()
    folders = {photo.parent for photo in of}
    every = []
    for photo in (photo for photo in photos if photo.parent in folders):
        if photo not in of:
            problems.append(Problem(relative_name(photo, root), NO_LABELS, "a background"))
        values = _values(of[photo]) if photo in of else np.zeros((0, 0), np.int64)
        place = relative_name(of[photo], root) if photo in of else ""
        boxes = [(place, box) for box in _objects(values, kind, small)]
        size = (values.shape[0], values.shape[1])
        picture = pictures.make(photo, lambda *_, boxes=boxes: boxes, size)
        every += [picture] if picture else []
    parts, left_out = split_by_folder(every)
    few = f"{small.total():,} pieces of fewer than {_FEW} pixels are left out"
    notes = [kind.said, *([few] if small else []), *pictures.notes()]
    return Annotated("masks", root, names, parts, (*problems, *left_out), notes=tuple(notes))


def _image_of(mask: Path, root: Path) -> Asked:
    match = _STEM.fullmatch(mask.stem) or _STEM.fullmatch(fold_name(mask.stem))
    part = part_of(PurePosixPath(relative_name(mask, root)).parts[:-1])
    return Asked(f"{match[1] if match else mask.stem}.*", mask, part, parallel=True)


def _read_used(mask: Path) -> set[int] | str:
    """Return the values that a mask has for objects, or why it cannot be read."""
    if mask.suffix.lower() not in _KEEPING:
        return f"{mask.suffix} changes the values of pixels; masks are to be PNG"
    try:
        return _used(_values(mask))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"cannot be read: {error}"


def _values(mask: Path) -> Values:
    """Return the values of a mask, (H, W); a color is one number."""
    with Image.open(mask) as file:
        image = file if file.mode in ("1", "L", "P", "I", "I;16") else file.convert("RGB")
        pixels = np.asarray(image).astype(np.int64)
    return pixels if pixels.ndim == 2 else pixels @ np.array([65536, 256, 1])


def _tell_kind(masks: Mapping[Path, set[int]], root: Path) -> _Kind:
    """Return what the values of masks are, by those that each mask has.

    Raises:
        DataError: there are too many to be classes.
    """
    folders = {fold_name(relative_name(mask, root)).rpartition("/")[0] for mask in masks}
    words = {word for folder in folders for word in re.split(r"[\W_]+", folder)}
    used = list(masks.values())
    seen = sorted(set[int]().union(*used))
    runs = all(sorted(values) == list(range(1, len(values) + 1)) for values in used)
    counts = {len(values) for values in used if values}
    if len(seen) <= 1:
        return _Kind((), False, "masks have one value: each connected piece is an object")
    numbered = not words.isdisjoint(_NUMBERED) or (
        words.isdisjoint(_CLASSES) and runs and len(counts) > 1 and all(map(_are_whole, masks))
    )
    if numbered:
        said = "the values of masks number their objects, which are all of one class"
        return _Kind((), True, f"{said}; in a folder called class_masks they would be classes")
    if len(seen) > _VOID:
        raise DataError(
            f"the masks have {len(seen):,} values, which are too many for classes, and not every "
            "mask has 1 to the number of its objects; save them so, in a folder instance_masks"
        )
    listed = ", ".join(map(str, seen[:10])) + (", ..." if len(seen) > 10 else "")
    said = f"the values of masks are classes ({listed}), and each connected piece is an object"
    return _Kind(
        tuple(seen), False, f"{said}; in a folder called instance_masks they would be objects"
    )


def _used(values: Values) -> set[int]:
    used = set(np.unique(values).tolist()) - {0}
    return used - {_VOID} if len(used) > 1 else used


def _are_whole(mask: Path) -> bool:
    """Say whether each value of a mask is one connected piece."""
    from scipy import ndimage

    values = _values(mask)
    return all(ndimage.label(values == value, _TOUCHING)[1] == 1 for value in _used(values))


def _objects(values: Values, kind: _Kind, small: Counter[str]) -> Iterator[Box]:
    """Yield the objects of a mask; pieces of few pixels are counted."""
    from scipy import ndimage

    for value in sorted(_used(values)):
        here = values == value
        labels = here.astype(np.int64) if kind.numbered else ndimage.label(here, _TOUCHING)[0]
        for piece, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            mask = labels[rows, columns] == piece
            if int(mask.sum()) < _FEW:
                small["pieces"] += 1
                continue
            left, upper = float(columns.start), float(rows.start)
            label = kind.classes.index(value) if kind.classes else 0
            right, lower = float(columns.stop), float(rows.stop)
            outlines = tuple(_outlines(mask, left, upper))
            yield Box(left, upper, right, lower, label, False, outlines)


def _outlines(mask: npt.NDArray[np.bool_], left: float, upper: float) -> Iterator[Outline]:
    import torch

    from labs.detection.masks import polygons

    for outline in polygons(torch.from_numpy(mask)):
        if len(outline) >= 6:
            yield tuple(value + (upper if at % 2 else left) for at, value in enumerate(outline))
