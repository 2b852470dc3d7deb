"""Supervisely, in whose form Dataset Ninja hands out sets: a JSON file for each image in `ann`.

Rectangles are boxes, polygons outlines with the box around them. A bitmap has no box here, and is
named. The image of `ann/a.jpg.json` is `img/a.jpg`.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import is_image, marks_in, part_of, walk
from labs.detection.data.formats.pictures import (
    Labels,
    put_to_images,
    read_objects,
    read_size,
)
from labs.detection.records import BAD_BOX, Annotated, Box, Problem, Reading, bounds


def find(files: Iterable[Path]) -> list[Path]:
    """Return those of some files that are Supervisely's, in a folder `ann`."""
    return [file for file in files if file.suffix == ".json" and file.parent.name == "ann"]


def are_there(files: Iterable[Path]) -> bool:
    """Say whether some files are Supervisely's.

    Raises:
        DataError: a file cannot be read.
    """
    return any('"classTitle"' in marks_in(file) for file in find(files))


def read(root: Path, reading: Reading) -> Annotated:
    """Read a folder with `ann` and `img`, also in the folders of splits.

    Raises:
        DataError: no object has a class.
    """
    files = list(walk(root))
    finder, problems = Finder(root, filter(is_image, files)), list[Problem]()
    labels = []
    contents = read_objects(find(files), root, "objects", reading.form.encoding, problems)
    for file, place, content in contents:
        part = part_of(PurePosixPath(place).parts[:-1])
        name = file.stem if is_image(Path(file.stem)) else f"{file.stem}.*"
        objects = _objects(content["objects"], place, problems)
        asked = Asked(name, file, part, parallel=True)
        labels.append(Labels(place, asked, objects, read_size(content.get("size"))))
    return put_to_images("supervisely", finder, files, labels, problems)


def _objects(
    objects: Iterable[Any], place: str, problems: list[Problem]
) -> Iterator[tuple[str, str, Box]]:
    """Yield place, class and box of objects; what has no box goes to the problems."""
    for number, one in enumerate(objects, 1):
        at = f"{place}: object {number}"
        try:
            name = " ".join(str(one["classTitle"]).split())
            yield at, name, _box(one)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(at, BAD_BOX, why))


def _box(one: Mapping[str, Any]) -> Box:
    """Return the box of an object.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: it has none.
    """
    kind = one.get("geometryType")
    if kind not in ("rectangle", "polygon"):
        raise ValueError(f"a {kind} has no box")
    flat = tuple(float(value) for point in one["points"]["exterior"] for value in point)
    if len(flat) % 2 or len(flat) < (4 if kind == "rectangle" else 6):
        raise ValueError(f"a {kind} of {len(flat)} numbers has no box")
    return Box(*bounds(flat), 0, False, (flat,) if kind == "polygon" else ())
