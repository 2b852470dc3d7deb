"""JSON with an entry for each image, as some public sets and exports have it.

    CreateML        `image` and `annotations` with a label and the center, width and height
    BDD100K         `name` and `labels` with a category and `box2d`, the corners
    Hugging Face    `metadata.jsonl`: `file_name` and `objects` with a list `bbox` of left, upper,
                    width, height, and a list of the categories

All are pixels, or shares of the image where all are within 0 to 1. What has no box, such as a lane,
is left out and counted.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.io.folders import walk
from labs.detection.data.formats import table
from labs.detection.data.formats.folders import (
    files_by_part,
    marks_in,
    read_head,
    read_json,
    read_noted,
)
from labs.detection.data.formats.table import Row, Rows
from labs.detection.data.formats.units import are_shares
from labs.detection.records import BAD_BOX, BAD_LABELS, Annotated, Problem, Reading

_Four = tuple[float, float, float, float]
_Object = tuple[Any, Callable[[], _Four]]  # the class, and what gives the corners
_FEW = 20  # files of a kind that are looked into
_LISTS = ("category", "categories", "label", "labels", "class", "classes", "name", "names")


def find(files: Iterable[Path]) -> list[Path]:
    """Return those of some files that are such JSON; of many, each is of one image."""
    files = list(files)
    few = sum(file.suffix.lower() == ".json" for file in files) <= _FEW
    return [file for file in files if (few or file.suffix != ".json") and recognize(file)]


def recognize(file: Path) -> str | None:
    """Return the form of a file, None where it has another.

    Raises:
        DataError: the file cannot be read.
    """
    if file.name.casefold() == "metadata.jsonl":
        line = read_head(file).partition(b"\n")[0]
        return "hugging-face" if b'"file_name"' in line and b'"bbox"' in line else None
    if not table.has_array(file):
        return None
    marks = marks_in(file)
    if '"box2d"' in marks:
        return "bdd100k"
    return "createml" if {'"coordinates"', '"annotations"'} <= marks else None


def read(path: Path, reading: Reading) -> Annotated:
    """Read a file, or the files of a folder.

    Raises:
        DataError: there are several for one split, or one cannot be used.
    """
    files = files_by_part(path, find(walk(path))) if path.is_dir() else {"all": path}
    problems: list[Problem] = []
    notes: list[str] = []
    form = str(recognize(next(iter(files.values()))))
    tables = {part: _rows(file, form, reading, problems, notes) for part, file in files.items()}
    return table.assemble(form, path, reading, tables, problems, notes)


def _rows(
    file: Path, form: str, reading: Reading, problems: list[Problem], notes: list[str]
) -> Rows:
    images: dict[str, list[Row]] = {}
    without = 0
    for place, entry in _entries(file, reading, problems, notes):
        name = entry.get(_NAMES[form])
        if not isinstance(name, str):
            problems.append(Problem(place, BAD_LABELS, f"no text {_NAMES[form]}"))
            continue
        rows = images.setdefault(name, [])
        lost: Counter[str] = Counter()
        for number, (label, corners) in enumerate(_READERS[form](entry, lost), 1):
            at = f"{place}, object {number}"
            try:
                rows.append(Row(at, _checked(label), corners()))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                why = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
                problems.append(Problem(at, BAD_BOX, why))
        without += lost.total()
    if without:
        notes.append(f"{without:,} objects of {file.name} without a box are left out")
    shares = are_shares([row.values for rows in images.values() for row in rows])
    if shares:
        notes.append(f"the numbers of {file.name} are within 0 to 1: shares of the image")
    sides = ("bbox",) if form == "hugging-face" else ()
    return Rows(file, images, dict.fromkeys(images, (0, 0)), shares, sides, certain=True)


def _entries(
    file: Path, reading: Reading, problems: list[Problem], notes: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    encoding = reading.form.encoding
    if file.suffix.lower() == ".jsonl":
        content: Any = []
        for number, line in enumerate(read_noted(file, notes, encoding).splitlines(), 1):
            try:
                content += [json.loads(line)] if line.strip() else []
            except (ValueError, RecursionError) as error:
                problems.append(Problem(f"{file.name}:{number}", BAD_LABELS, f"not JSON: {error}"))
    else:
        content = read_json(file, notes, encoding)
    if not isinstance(content, list):
        raise DataError(f"{file}: expected a list with an entry for each image")
    for number, entry in enumerate(content, 1):
        if isinstance(entry, dict):
            yield f"{file.name}: entry {number}", entry
        else:
            problems.append(Problem(f"{file.name}: entry {number}", BAD_LABELS, "no object"))


def _checked(label: Any) -> str:
    text = " ".join(str("" if label is None else label).split())
    if not text:
        raise ValueError("no class")
    return text


def _of_createml(entry: Mapping[str, Any], lost: Counter[str]) -> Iterator[_Object]:
    for one in _mappings(entry.get("annotations")):
        yield one.get("label"), partial(_centered, one.get("coordinates"))


def _of_bdd(entry: Mapping[str, Any], lost: Counter[str]) -> Iterator[_Object]:
    for one in _mappings(entry.get("labels")):
        if one.get("box2d") is None:
            lost["objects"] += 1
        else:
            yield one.get("category"), partial(_cornered, one["box2d"])


def _of_hugging_face(entry: Mapping[str, Any], lost: Counter[str]) -> Iterator[_Object]:
    objects = entry.get("objects")
    given = objects if isinstance(objects, dict) else {}
    boxes = given.get("bbox") or []
    labels = next((given[key] for key in _LISTS if isinstance(given.get(key), list)), None)
    labels = ["object"] * len(boxes) if labels is None else labels
    for label, box in itertools.zip_longest(labels, boxes):
        yield label, partial(_sided, box)


def _centered(values: Any) -> _Four:
    x, y, width, height = (float(values[key]) for key in ("x", "y", "width", "height"))
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _cornered(values: Any) -> _Four:
    x1, y1, x2, y2 = (float(values[key]) for key in ("x1", "y1", "x2", "y2"))
    return x1, y1, x2, y2


def _sided(values: Any) -> _Four:
    left, upper, width, height = map(float, values)
    return left, upper, left + width, upper + height


def _mappings(values: Any) -> list[Mapping[str, Any]]:
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


_NAMES = {"createml": "image", "bdd100k": "name", "hugging-face": "file_name"}
_READERS = {"createml": _of_createml, "bdd100k": _of_bdd, "hugging-face": _of_hugging_face}
