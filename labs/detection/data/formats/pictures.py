"""An image with its boxes, as the readers of all formats make it; photos that EXIF turns.

A camera held upright often stores its photo lying, and says in EXIF how to turn it. Some labeling
tools draw on the turned photo, others on the stored pixels: the written width and height tell
which, unless they are missing, equal, or the photo is only mirrored or upside down.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import DataError
from common.images.decode import photo_turn
from common.io.folders import relative_name
from common.io.tables import read_text
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import is_image, split_by_folder
from labs.detection.records import (
    BAD_IMAGE,
    BAD_LABELS,
    NO_IMAGE,
    NO_LABELS,
    OTHER_SIZE,
    Annotated,
    Box,
    Picture,
    Problem,
    check_boxes,
    check_names,
)

# For each orientation of EXIF from 5 on, which lay a photo on its side, where a point x, y of the
# stored pixels is in the upright photo of w x h pixels.
_TURNS: dict[int, Callable[[float, float, int, int], tuple[float, float]]] = {
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (w - y, x),
    7: lambda x, y, w, h: (w - y, h - x),
    8: lambda x, y, w, h: (y, h - x),
}

_FEWEST = 3  # images from which on they tell that all were scaled
_SAME_SHAPE = 0.02  # share that the sides of an image that was scaled may differ


class Pictures:
    """Makes images with their boxes, and counts those that EXIF turns.

    Args:
        root: the folder of the data.
        problems: takes what is wrong.
    """

    def __init__(self, root: Path, problems: list[Problem]):
        self._root, self._problems = root, problems
        self._turned: set[Path] = set()
        self._unknown: set[Path] = set()
        self._boxed = 0  # images with boxes
        self._smaller: list[tuple[str, tuple[int, int], tuple[int, int]]] = []

    def make(
        self,
        path: Path,
        boxes: Callable[[int, int], Iterable[tuple[str, Box]]],
        written: tuple[int, int] = (0, 0),
        place: str | None = None,
    ) -> Picture | None:
        """Return an image with those of its boxes that can be used; None if it cannot be read.

        Args:
            path: the file.
            boxes: returns the boxes with their places, for the image's height and width.
            written: the height and width that the annotations give, 0 where they give none.
            place: where they give it; the image's name when None.
        """
        name = relative_name(path, self._root)
        found = photo_turn(path)
        if isinstance(found, str):
            self._problems.append(Problem(name, BAD_IMAGE, found))
            return None
        height, width, turn = found
        given = list(boxes(height, width))
        lying = turn in _TURNS and written == (width, height) and height != width
        if lying:
            given = [(where, _upright(box, turn, width, height)) for where, box in given]
            self._turned |= {path} if given else set()
        elif turn != 1 and given and (turn < 5 or height == width or not all(written)):
            self._unknown.add(path)
        if all(written) and written != (height, width) and not lying:
            detail = "written {1} x {0}, is {3} x {2} pixels".format(*written, height, width)
            self._problems.append(Problem(place or name, OTHER_SIZE, detail))
        self._boxed += bool(given)
        if _are_of_larger([box for _, box in given], (height, width), written):
            self._smaller.append((name, (height, width), written))
        kept, wrong = check_boxes(given, height, width)
        self._problems += wrong
        return Picture(path, name, height, width, kept)

    def notes(self) -> list[str]:
        """Say of how many photos the boxes were turned, and of how many nobody knows.

        Raises:
            DataError: the images were scaled, and their boxes were not.
        """
        self._refuse_scaled()
        found = []
        if self._turned:
            found.append(
                f"{len(self._turned):,} photos that EXIF turns have boxes of the stored pixels, by "
                "their written width and height: the boxes were turned, too"
            )
        if self._unknown:
            found.append(
                f"{len(self._unknown):,} photos are turned by EXIF, and no written width and "
                "height tell whether their boxes are of the turned photo: they are taken so"
            )
        return found

    def _refuse_scaled(self) -> None:
        count = len(self._smaller)
        if count < _FEWEST or 2 * count < self._boxed:
            return
        name, (height, width), written = self._smaller[0]
        raise DataError(
            f"{self._root}: the boxes of {count:,} of {self._boxed:,} images go beyond them, and "
            f"not beyond the size that is written: {name} is {width} x {height} pixels, written is "
            f"{written[1]} x {written[0]}. Scale the boxes as the images were, or take the images "
            "in their first size"
        )


def _are_of_larger(boxes: Sequence[Box], size: tuple[int, int], written: tuple[int, int]) -> bool:
    """Say whether boxes stick out of an image, and not out of a larger one of the written size."""
    if not all(written) or not boxes:
        return False
    down, across = written[0] / size[0], written[1] / size[1]
    if min(down, across) <= 1 or abs(down / across - 1) > _SAME_SHAPE:
        return False
    right, lower = max(box.x2 for box in boxes), max(box.y2 for box in boxes)
    out = right > size[1] + 1 or lower > size[0] + 1
    return out and right <= written[1] + 1 and lower <= written[0] + 1


class Labels(NamedTuple):
    """What a file says of one image."""

    place: str  # the file, relative to the folder of the data
    asked: Asked  # the image
    objects: Iterable[tuple[str, str, Box]]  # place, class and box of each
    size: tuple[int, int] = (0, 0)  # height and width that are written, 0 where they are not


def read_objects(
    files: Iterable[Path], root: Path, key: str, encoding: str | None, problems: list[Problem]
) -> Iterator[tuple[Path, str, Mapping[str, Any]]]:
    """Yield JSON files, their places and contents; what is wrong goes to the problems.

    Args:
        files: one for each image.
        root: the folder of the data.
        key: under which a file has a list, such as `shapes`.
        encoding: of the files, if somebody said it.
        problems: of the data.
    """
    for file in files:
        place = relative_name(file, root)
        try:
            content = json.loads(read_text(file, encoding))
        except (DataError, ValueError, RecursionError) as error:
            problems.append(Problem(place, BAD_LABELS, f"not JSON: {error}"))
            continue
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            problems.append(Problem(place, BAD_LABELS, f"no list of {key}"))
            continue
        yield file, place, content


def read_size(content: Any, keys: Sequence[str] = ("height", "width")) -> tuple[int, int]:
    """Return the height and width that are written, 0 where they are not."""
    values = (content.get(key) if isinstance(content, dict) else 0 for key in keys)
    height, width = (value if isinstance(value, int) and value > 0 else 0 for value in values)
    return height, width


def put_to_images(
    form: str,
    finder: Finder,
    files: Iterable[Path],
    labels: Sequence[Labels],
    problems: list[Problem],
) -> Annotated:
    """Put files that are of one image each to their images; other images beside are backgrounds.

    Args:
        form: of the files.
        finder: of the images.
        files: all that is in the folder of the data.
        labels: what the files say.
        problems: what is wrong so far.

    Raises:
        DataError: no object has a class.
    """
    root, pictures = finder.root, Pictures(finder.root, problems)
    found: dict[Path, Labels] = {}
    for each, path in zip(labels, finder.find_all([one.asked for one in labels]), strict=True):
        if isinstance(path, str) or path in found:
            kind = NO_IMAGE if isinstance(path, str) else BAD_LABELS
            why = path if isinstance(path, str) else f"a second file for {path.name}"
            problems.append(Problem(each.place, kind, why))
            continue
        found[path] = each._replace(objects=list(each.objects))
    names = check_names(sorted({of for each in found.values() for _, of, _ in each.objects}), root)
    numbers = {name: number for number, name in enumerate(names)}
    folders = {path.parent for path in found}
    every = []
    for path in (path for path in files if is_image(path) and path.parent in folders):
        if path not in found:
            problems.append(Problem(relative_name(path, root), NO_LABELS, "a background"))
        objects = found[path].objects if path in found else ()
        boxes = [(place, box._replace(label=numbers[of])) for place, of, box in objects]
        size = found[path].size if path in found else (0, 0)
        picture = pictures.make(path, lambda *_, boxes=boxes: boxes, size)
        every += [picture] if picture else []
    parts, left_out = split_by_folder(every)
    every_problem = (*problems, *left_out)
    return Annotated(form, root, names, parts, every_problem, notes=tuple(pictures.notes()))


def _upright(box: Box, turn: int, width: int, height: int) -> Box:
    """Return a box of the stored pixels as one of the upright photo, width x height pixels."""

    def turned(values: Sequence[float]) -> tuple[float, ...]:
        points = zip(values[::2], values[1::2], strict=True)
        return tuple(value for x, y in points for value in _TURNS[turn](x, y, width, height))

    corners = turned(box[:4])
    x1, x2, y1, y2 = *sorted(corners[::2]), *sorted(corners[1::2])
    if box.x2 < box.x1 or box.y2 < box.y1:  # what has no area is not to get one
        x1, x2 = x2, x1
    return box._replace(x1=x1, y1=y1, x2=x2, y2=y2, polygons=tuple(map(turned, box.polygons)))
