"""A text file for each image with a line for each object, as some public sets have it.

    KITTI         class truncated occluded alpha x1 y1 x2 y2, and seven or eight numbers more
    VisDrone      x,y,width,height,score,number of the class,truncation,occlusion
    DOTA          x1 y1 x2 y2 x3 y3 x4 y4 class difficult, below lines such as `gsd:0.1`
    words first   class x1 y1 x2 y2, as the toolkit OIDv4 writes it for Open Images

All are pixels. Regions in which nobody has looked for objects are left out, and counted.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from common.errors import DataError
from common.files import fold_name
from common.io.folders import relative_name
from common.io.tables import read_text
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import is_image, part_of, read_head, walk
from labs.detection.data.formats.pictures import Labels, put_to_images
from labs.detection.data.formats.units import are_shares
from labs.detection.records import BAD_BOX, BAD_LABELS, Annotated, Box, Problem, Reading, bounds

_Object = tuple[str, Box]
_LOOKED_AT = 20  # files that tell the form
_CORNERS = 0.9  # share of boxes whose left edge is left of the right one, where corners are meant
_VISDRONE = (
    *("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle"),
    *("bus", "motor", "others"),
)


def _kitti(line: str) -> _Object | None:
    name, *words = line.split()
    if len(words) not in (14, 15) or _is_number(name):
        raise ValueError(f"{len(words) + 1} columns, expected a class and 14 or 15 numbers")
    x1, y1, x2, y2 = _numbers(words)[3:7]
    return None if name == "DontCare" else (name, Box(x1, y1, x2, y2, 0))


def _visdrone(line: str) -> _Object | None:
    words = line.rstrip(", ").split(",")
    if len(words) != 8 or not all(word.strip().lstrip("-").isdecimal() for word in words):
        raise ValueError("expected 8 whole numbers with commas between them")
    left, upper, width, height, score, number = map(int, words[:6])
    if not 0 <= number <= len(_VISDRONE):
        raise ValueError(f"class {number}, expected 0 to {len(_VISDRONE)}")
    if not (number and score):
        return None
    return _VISDRONE[number - 1], Box(left, upper, left + width, upper + height, 0)


def _dota(line: str) -> _Object | None:
    words = line.split()
    if len(words) not in (9, 10) or _is_number(words[8]):
        raise ValueError(f"{len(words)} columns, expected 8 numbers, a class, and 0 or 1")
    corners = tuple(_numbers(words[:8]))
    return words[8], Box(*bounds(corners), 0, words[9:] == ["1"], (corners,))


def _words_first(line: str) -> _Object | None:
    words = line.split()
    if len(words) < 5 or _is_number(words[0]):
        raise ValueError("expected a class in words, and x1, y1, x2, y2")
    x1, y1, x2, y2 = _numbers(words[-4:])
    return " ".join(words[:-4]), Box(x1, y1, x2, y2, 0)


_FORMS: Mapping[str, Callable[[str], _Object | None]] = {
    "kitti": _kitti,
    "visdrone": _visdrone,
    "dota": _dota,
    "words-first": _words_first,
}


def recognize(files: Iterable[Path], images: Iterable[Path]) -> str | None:
    """Return the form of the text files that are called as images are, None where it is another."""
    stems = {fold_name(image.stem) for image in images}
    looked_at = 0
    forms = set(_FORMS)
    for file in files:
        if file.suffix.lower() != ".txt" or fold_name(file.stem) not in stems:
            continue
        lines = list(_lines(read_head(file).decode("utf-8", "replace")))[:3]
        forms = {form for form in forms if all(_fits(form, line) for _, line in lines)}
        looked_at += bool(lines)
        if looked_at == _LOOKED_AT or not forms:
            break
    return next((form for form in _FORMS if form in forms), None) if looked_at else None


def _fits(form: str, line: str) -> bool:
    try:
        _FORMS[form](line)
    except ValueError:
        return False
    return True


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines with an object; those with a word and a colon are DOTA's on the image."""
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        words = line.split()
        if words and not (len(words) == 1 and ":" in words[0]):
            yield number, line


def read(root: Path, reading: Reading) -> Annotated:
    """Read a folder with text files and images, beside each other or not.

    Raises:
        DataError: the numbers are no corners in pixels, or no object has a class.
    """
    files = list(walk(root))
    images = list(filter(is_image, files))
    form = str(recognize(files, images))
    stems = {fold_name(image.stem) for image in images}
    finder, problems = Finder(root, images), list[Problem]()
    labels, left_out = [], 0
    for file in files:
        if file.suffix.lower() != ".txt" or fold_name(file.stem) not in stems:
            continue
        place = relative_name(file, root)
        try:
            text = read_text(file, reading.form.encoding)
        except DataError as error:
            problems.append(Problem(place, BAD_LABELS, str(error)))
            continue
        objects, ignored = _objects(form, text, place, problems)
        left_out += ignored
        part = part_of(PurePosixPath(place).parts[:-1])
        asked = Asked(f"{file.stem}.*", file, part, parallel=True)
        labels.append(Labels(place, asked, objects))
    _check_corners(root, [box for each in labels for _, _, box in each.objects])
    found = put_to_images(form, finder, files, labels, problems)
    regions = f"{left_out:,} regions in which nobody looked for objects are left out"
    return replace(found, notes=(*([regions] if left_out else []), *found.notes))


def _objects(
    form: str, text: str, place: str, problems: list[Problem]
) -> tuple[list[tuple[str, str, Box]], int]:
    """Return the objects of a file with their places, and how many regions are none."""
    found, left_out = [], 0
    for number, line in _lines(text):
        try:
            one = _FORMS[form](line)
        except ValueError as error:
            problems.append(Problem(f"{place}:{number}", BAD_BOX, str(error)))
            continue
        left_out += one is None
        found += [(f"{place}:{number}", *one)] if one else []
    return found, left_out


def _check_corners(root: Path, boxes: Sequence[Box]) -> None:
    """Refuse shares of the image, and widths and heights where corners are expected.

    Raises:
        DataError: the numbers are so.
    """
    if are_shares([box[:4] for box in boxes]):
        raise DataError(
            f"{root}: the numbers of the text files are within 0 to 1, shares of the image, behind "
            "words; YOLO has the number of a class first, and its name in classes.txt"
        )
    right = sum(box.x1 < box.x2 and box.y1 < box.y2 for box in boxes)
    if right < _CORNERS * len(boxes):
        raise DataError(
            f"{root}: of {len(boxes) - right:,} of {len(boxes):,} boxes in text files the right "
            "lower corner is not right below the left upper one; expected x1, y1, x2, y2 in pixels"
        )


def _numbers(words: Iterable[str]) -> list[float]:
    values = list(map(float, words))
    if not all(map(math.isfinite, values)):
        raise ValueError("not a finite number")
    return values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
