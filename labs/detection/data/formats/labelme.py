"""LabelMe: a JSON file for each image, with shapes in pixels; AnyLabeling writes the same.

A rectangle is a box; a polygon is an outline, and the box around it is taken; a circle the box
around it. Points and lines are no objects with a box, and are named. The image is the one that
`imagePath` says, beside the file, or the one of the file's own name.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from common.io.folders import relative_name
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import is_image, marks_in, part_of, walk
from labs.detection.data.formats.pictures import (
    Labels,
    put_to_images,
    read_objects,
    read_size,
)
from labs.detection.records import (
    BAD_BOX,
    Annotated,
    Box,
    Problem,
    Reading,
    bounds,
)

_SIZE = ("imageHeight", "imageWidth")
_OUTLINED = {"polygon": 3, "rotation": 4}  # shapes by the points that they have at least


class _File(NamedTuple):
    place: str
    content: Mapping[str, Any]
    asked: Asked


def is_labelme(path: Path) -> bool:
    """Say whether a file is one of LabelMe's, by its keys."""
    return path.suffix.lower() == ".json" and {'"shapes"', '"imagePath"'} <= marks_in(path)


def read(root: Path, reading: Reading) -> Annotated:
    """Read a folder with JSON files and images, beside each other or not."""
    files = list(walk(root))
    finder = Finder(root, filter(is_image, files))
    problems: list[Problem] = []
    turned = Counter[str]()
    labels = [
        Labels(
            each.place, each.asked, _shapes(each, problems, turned), read_size(each.content, _SIZE)
        )
        for each in _contents(files, finder, problems, reading.form.encoding)
    ]
    found = put_to_images("labelme", finder, files, labels, problems)
    notes = (
        f"{number:,} {kind}s: their boxes are the upright ones around them"
        for kind, number in turned.items()
    )
    return replace(found, notes=(*notes, *found.notes))


def _contents(
    files: Iterable[Path], finder: Finder, problems: list[Problem], encoding: str | None
) -> Iterable[_File]:
    """Yield the contents of those files that are LabelMe's; what is wrong goes to the problems."""
    mine = filter(is_labelme, files)
    for file, place, content in read_objects(mine, finder.root, "shapes", encoding, problems):
        yield _File(place, content, _image_of(file, content.get("imagePath"), finder))


def _image_of(file: Path, named: Any, finder: Finder) -> Asked:
    """Return what to ask for: the image that `imagePath` names, or the one of the file's name."""
    part = part_of(PurePosixPath(relative_name(file, finder.root)).parts[:-1])
    own = Asked(f"{file.stem}.*", file, part, parallel=True)
    if not isinstance(named, str) or not named:
        return own
    asked = own._replace(name=named.replace("\\", "/").rpartition("/")[2])
    return own if isinstance(finder.find(asked), str) else asked


def _shapes(
    file: _File, problems: list[Problem], turned: Counter[str]
) -> Iterable[tuple[str, str, Box]]:
    """Yield place, class and box of a file's shapes; what is none goes to the problems."""
    for number, shape in enumerate(file.content["shapes"], 1):
        place = f"{file.place}: shape {number}"
        try:
            name, kind, box = _shape(shape)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(place, BAD_BOX, why))
            continue
        turned.update([kind] if kind in ("circle", "rotation") else [])
        yield place, name, box


def _shape(shape: Any) -> tuple[str, str, Box]:
    """Return class, kind and box of a shape.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: it has none.
    """
    if not isinstance(shape, dict):
        raise ValueError(f"expected an object with label and points: {shape!r}")
    name, kind, points = shape["label"], shape.get("shape_type") or "polygon", shape["points"]
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"label is {name!r}, expected a text")
    name = unicodedata.normalize("NFC", name).strip()
    flat = _flat(points)
    count = len(flat) // 2
    if kind == "rectangle" and count in (2, 4):
        return name, kind, Box(*bounds(flat), 0)
    if kind == "circle" and count == 2:
        x, y, edge_x, edge_y = flat
        radius = ((x - edge_x) ** 2 + (y - edge_y) ** 2) ** 0.5
        return name, kind, Box(x - radius, y - radius, x + radius, y + radius, 0)
    if count >= _OUTLINED.get(kind, count + 1):
        return name, kind, Box(*bounds(flat), 0, False, (flat,))
    raise ValueError(f"a {kind} of {count} points has no box")


def _flat(points: Any) -> tuple[float, ...]:
    if not isinstance(points, list) or not points:
        raise ValueError(f"points are {points!r}, expected a list of x, y")
    flat: list[float] = []
    for point in points:
        if not isinstance(point, list) or len(point) != 2 or not all(map(_is_number, point)):
            raise ValueError(f"a point is {point!r}, expected x, y")
        flat += map(float, point)
    return tuple(flat)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
