"""A text file that names images and the boxes in them, as some public sets have it.

    WIDER FACE      a line with an image, one with a number, and so many lines
                    `x y width height blur expression illumination invalid occlusion pose`
    keras-yolo3     a line for each image: `a.jpg x1,y1,x2,y2,class x1,y1,x2,y2,class`, which
                    Roboflow exports for YOLOv4; the names of classes are in `_classes.txt`

All are pixels. A split is told by the name of a file, or by those of its folders.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from common.io.folders import list_visible, walk
from labs.detection.data.formats import table
from labs.detection.data.formats.folders import files_by_part, is_image, read_head, read_noted
from labs.detection.data.formats.table import Row, Rows
from labs.detection.records import BAD_BOX, Annotated, Problem, Reading

_BOX = r"-?\d+(?:\.\d+)?(?:,-?\d+(?:\.\d+)?){3},\d+"
_LINE = re.compile(rf"(\S.*?)((?:\s+{_BOX})+)\s*")
_NAMES = ("_classes.txt", "classes.txt")
_FACE = "face"  # what all boxes of WIDER FACE are
_INVALID = 7  # the column that says that a face is too small or blurred to look for
_FEW = 20  # files that are looked into; of more, each is of one image


def find(files: Iterable[Path]) -> list[Path]:
    """Return those of some files that are such lists."""
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    return [file for file in texts if _form_of(file)] if len(texts) <= _FEW else []


def _form_of(file: Path) -> str:
    lines = read_head(file).decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:3]
    if len(lines) == 3 and is_image(Path(lines[0].strip())) and lines[1].strip().isdecimal():
        return "wider-face" if re.fullmatch(r"(-?\d+\s+){3,}-?\d+", lines[2].strip()) else ""
    match = _LINE.fullmatch(lines[0]) if lines else None
    return "keras-yolo3" if match and is_image(Path(match[1])) else ""


def read(root: Path, reading: Reading) -> Annotated:
    """Read the lists of a folder.

    Raises:
        DataError: two are for one split, or one cannot be read.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    found = files_by_part(root, find(walk(root)))
    form = _form_of(next(iter(found.values())))
    tables = {
        part: _rows(file, form, reading.form.encoding, problems, notes)
        for part, file in found.items()
    }
    return table.assemble(form, root, reading, tables, problems, notes)


def _rows(
    file: Path, form: str, encoding: str | None, problems: list[Problem], notes: list[str]
) -> Rows:
    lines = read_noted(file, notes, encoding).splitlines()
    images: dict[str, list[Row]] = {}
    names = _class_names(file, encoding, notes) if form == "keras-yolo3" else []
    read_lines = _faces(file, lines, problems) if form == "wider-face" else _boxes(lines)
    for image, place, values, label, crowd in read_lines:
        rows = images.setdefault(image, [])
        if len(values) == 4:
            name = names[int(label)] if label.isdecimal() and int(label) < len(names) else label
            corners = values[0], values[1], values[2], values[3]
            rows.append(Row(f"{file.name}:{place}", name, corners, crowd=crowd))
    return Rows(file, images, dict.fromkeys(images, (0, 0)), shares=False, certain=True)


_Entry = tuple[str, int, list[float], str, bool]  # image, line, corners if any, class, crowd


def _faces(file: Path, lines: list[str], problems: list[Problem]) -> Iterator[_Entry]:
    image = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if is_image(Path(line)):
            image = line
            yield image, number, [], "", False
            continue
        words = line.split()
        if len(words) < 4 or not any(word != "0" for word in words):
            continue  # how many there are; or a row of zeros, for none
        try:
            left, upper, width, height, *more = map(float, words)
        except ValueError as error:
            problems.append(Problem(f"{file.name}:{number}", BAD_BOX, str(error)))
            continue
        invalid = len(more) > _INVALID - 4 and more[_INVALID - 4] == 1
        corners = [left, upper, left + width, upper + height]
        yield image, number, corners, _FACE, invalid


def _boxes(lines: list[str]) -> Iterator[_Entry]:
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        image = match[1] if match else line.strip()
        if is_image(Path(image)):
            yield image, number, [], "", False
        for box in match[2].split() if match else []:
            *corners, label = box.split(",")
            yield image, number, list(map(float, corners)), label, False


def _class_names(file: Path, encoding: str | None, notes: list[str]) -> list[str]:
    known = {each.name: each for each in list_visible(file.parent)}
    for name in _NAMES:
        if name in known:
            lines = read_noted(known[name], notes, encoding).splitlines()
            return [line.strip() for line in lines if line.strip()]
    return []
