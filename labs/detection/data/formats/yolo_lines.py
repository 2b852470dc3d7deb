"""The lines of YOLO's label files.

    class x y width height                 a box: its center and size, as shares of the image's
    class x y x y x y ...                  an outline; four points may be a rotated box
    class x y width height x y ...         a box with key points, of two or three numbers each
    class x y width height score           a box with the score of the network that found it

A line does not say which it is, so all lines of a data set are looked at together, and the
`kpt_shape` of its YAML.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from labs.detection.records import BAD_BOX, BAD_CLASS, OUT_OF_RANGE, Box

_BOX = 5  # columns
_LEAST_OUTLINE = 7
_ROTATED = 9
_SEVERAL = 3  # lines from which on key points are told from outlines
_MOST = 0.4  # of them that look so: of random outlines fewer than one in a hundred does
_VISIBLE = ("0", "1", "2")
_SPREAD = 0.6  # share of its box's sides over which key points are spread; of outlines it is less
_FEWEST, _OUT = 3, 0.1  # boxes that tell corners, and share of them that stick out as centers
_EDGE = 0.01  # share of the image that a key point may be beyond its box


class LineForm(NamedTuple):
    """What lines with more columns than a box has are."""

    points: int = 0  # key points behind a box, 0 where there are none
    numbers: int = 0  # of each key point: x, y, or x, y, visibility
    score: bool = False  # a sixth column is a score

    @property
    def columns(self) -> int:
        """How many columns a line with key points has."""
        return _BOX + self.points * self.numbers


def split_line(line: str) -> list[str]:
    """Return the columns of a line, which are apart by spaces, tabs, or commas or semicolons."""
    words = line.split()
    if len(words) > 1 and all(word[-1] in ",;" for word in words[:-1]):
        return [word.rstrip(",;") for word in words]
    return re.split("[,;]", words[0]) if len(words) == 1 else words


def tell_form(lines: Iterable[Sequence[str]], given: tuple[int, int] | None) -> LineForm:
    """Return what the long lines of a data set are.

    Args:
        lines: the columns of all lines.
        given: how many key points there are, and how many numbers each has, where a YAML says so.
    """
    if given:
        return LineForm(*given)
    every = list(lines)
    long = [words for words in every if len(words) > _BOX]
    widths = {len(words) for words in long}
    if len(widths) != 1:
        return LineForm()
    [width] = widths
    if width == _BOX + 1:
        scored = len(long) == len(every) and all(_is_share(words[-1]) for words in long)
        return LineForm(score=scored)
    points, rest = divmod(width - _BOX, 3)
    if not rest and all(_are_visible(words[7::3]) for words in long):
        return LineForm(points, 3)
    votes = [vote for words in long if (vote := _has_key_points(words)) is not None]
    if width % 2 and len(votes) >= _SEVERAL and sum(votes) >= _MOST * len(votes):
        return LineForm((width - _BOX) // 2, 2)
    return LineForm()


def check_centers(lines: Iterable[Sequence[str]], root: Path) -> None:
    """Refuse lines of corners, as shares, where a center and a size are expected.

    Raises:
        DataError: boxes stick out of their images, and none does as corners.
    """
    found = [_numbers(words[1:]) for words in lines if len(words) == _BOX]
    boxes = [values for values in found if values and all(0 <= each <= 1 for each in values)]
    out = sum(
        min(x - w / 2, y - h / 2) < -_EDGE or max(x + w / 2, y + h / 2) > 1 + _EDGE
        for x, y, w, h in boxes
    )
    corners = all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in boxes)
    if corners and len(boxes) >= _FEWEST and out > _OUT * len(boxes):
        raise DataError(
            f"{root}: {out:,} of {len(boxes):,} boxes stick out of their images, and all of them "
            "lie inside as x1, y1, x2, y2; YOLO has the center, width, height: convert them"
        )


def _numbers(words: Sequence[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def _are_visible(words: Sequence[str]) -> bool:
    return all(re.sub(r"\.0*$", "", word) in _VISIBLE for word in words)


def _has_key_points(words: Sequence[str]) -> bool | None:
    """Say whether a line is rather a box with points in it than an outline; None where none can.

    Of an outline the second point is beside the others, and the first at its edge, so that not all
    others can be within half of `width, height` around it and spread over most of that.
    """
    try:
        x, y, w, h, *rest = map(float, words[1:])
        points = [pair for pair in zip(rest[::2], rest[1::2], strict=True) if any(pair)]
    except ValueError:
        return None
    if len(points) < 2:
        return None  # 0, 0 is a point that is not seen
    sides = ((x, w, [px for px, _ in points]), (y, h, [py for _, py in points]))
    inside = all(
        middle - side / 2 >= -_EDGE
        and middle + side / 2 <= 1 + _EDGE
        and max(abs(each - middle) for each in places) <= side / 2 + _EDGE
        for middle, side, places in sides
    )
    spread = all(max(places) - min(places) >= _SPREAD * side for _, side, places in sides)
    return inside and (spread or any(_is_apart(side, [mid, *rest]) for mid, side, rest in sides))


def _is_apart(value: float, others: Sequence[float]) -> bool:
    """Say whether a value is farther from others than these are from each other."""
    low, high = min(others), max(others)
    return max(low - value, value - high) > max(high - low, _EDGE)


def _is_share(word: str) -> bool:
    try:
        return 0 <= float(word) <= 1
    except ValueError:
        return False


def read_line(
    words: Sequence[str],
    size: tuple[int, int],
    classes: Mapping[int, int] | int,
    form: LineForm,
) -> Box | tuple[str, str]:
    """Return the box of a line, or what is wrong with it, as a kind and a detail.

    Args:
        words: its columns.
        size: height and width of the image in pixels.
        classes: for the numbers of classes those in the data set's list of names; or how many
            classes there may be, where they have no names.
        form: of the lines of the data set.
    """
    keyed = form.points and len(words) == form.columns
    scored = form.score and len(words) == _BOX + 1
    outline = not form.points and len(words) >= _LEAST_OUTLINE and len(words) % 2
    if not (len(words) == _BOX or keyed or scored or outline):
        also = f", or {form.columns} with its key points" if form.points else ""
        return BAD_BOX, f"{len(words)} columns, expected 5: class x y width height{also}"
    try:
        label, *values = map(float, words)
    except ValueError as error:
        return BAD_BOX, str(error)
    if not all(map(math.isfinite, (label, *values))):
        return BAD_BOX, f"not a finite number: {' '.join(words)}"
    known = classes if isinstance(classes, Mapping) else range(classes)
    if label not in known:
        return BAD_CLASS, f"class {words[0]}, expected {_listed(known)}"
    number = classes[int(label)] if isinstance(classes, Mapping) else int(label)
    values = values if outline else values[:4]
    wrong = [word for word, value in zip(words[1:], values, strict=False) if not 0 <= value <= 1]
    if wrong:
        why = "pixels? " if max(values) > 2 else ""
        return OUT_OF_RANGE, f"{', '.join(wrong)}, {why}expected 0 to 1; left out"
    return _outlined(values, *size, number) if outline else _boxed(values, *size, number)


def _listed(known: Iterable[int]) -> str:
    numbers = sorted(known)
    if numbers == list(range(len(numbers))):
        return f"0 to {len(numbers) - 1}"
    return f"one of {', '.join(map(str, numbers[:20]))}, which have names"


def _outlined(values: Sequence[float], height: int, width: int, label: int) -> Box:
    xs, ys = [x * width for x in values[::2]], [y * height for y in values[1::2]]
    points = tuple(value for pair in zip(xs, ys, strict=True) for value in pair)
    return Box(min(xs), min(ys), max(xs), max(ys), label, False, (points,))


def _boxed(values: Sequence[float], height: int, width: int, label: int) -> Box:
    x, y, w, h = values
    x, y, w, h = x * width, y * height, w * width, h * height
    return Box(x - w / 2, y - h / 2, x + w / 2, y + h / 2, label)


def describe(lines: Sequence[Sequence[str]], form: LineForm, given: bool) -> list[str]:
    """Say what the long lines were taken for, and what of them is left out, with counts."""
    notes = []
    keyed = sum(len(words) == form.columns for words in lines) if form.points else 0
    if keyed:
        why = "" if given else ", as all lines that are longer than a box look"
        notes.append(
            f"{keyed:,} objects have {form.points} key points of {form.numbers} numbers{why}: "
            "they are left out, the boxes are columns 2 to 5"
        )
    scores = sum(len(words) == _BOX + 1 for words in lines) if form.score else 0
    if scores:
        notes.append(f"{scores:,} boxes have a score as a sixth column, which is left out")
    outlined = [len(words) for words in lines if len(words) >= _LEAST_OUTLINE and len(words) % 2]
    rotated = outlined.count(_ROTATED)
    if rotated and not form.points:
        notes.append(
            f"{rotated:,} objects have four corners (rotated boxes, or outlines): their boxes are "
            "the upright ones around them"
        )
    elif len(set(outlined)) == 1 and not form.points and len(outlined) >= _SEVERAL:
        notes.append(
            f"all {len(outlined):,} outlines have {outlined[0] // 2} points; were they key points, "
            "kpt_shape in a data.yaml would say so"
        )
    return notes
