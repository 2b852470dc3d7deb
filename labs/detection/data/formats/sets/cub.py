"""CUB-200-2011 (Wah et al. 2011): tables of numbers and names, one of each kind of fact.

images.txt              number and name of each image
bounding_boxes.txt      its number, left, upper, width, height, in pixels
image_class_labels.txt  its number, and that of its class, whose name is in classes.txt
train_test_split.txt    its number, and 1 where it is for training; may lack
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from common.errors import DataError
from common.io.tables import read_text
from labs.detection.data.formats import table
from labs.detection.data.formats.folders import walk
from labs.detection.data.formats.table import Row, Rows
from labs.detection.records import BAD_BOX, Annotated, Problem, Reading

_BOXES, _IMAGES = "bounding_boxes.txt", "images.txt"
_LABELS, _CLASSES, _SPLIT = "image_class_labels.txt", "classes.txt", "train_test_split.txt"


def find(files: Iterable[Path]) -> Path | None:
    """Return the folder of such files, None where there is none."""
    folders = (file.parent for file in files if file.name == _BOXES)
    needed = (_IMAGES, _LABELS, _CLASSES)
    return next((each for each in folders if all((each / n).is_file() for n in needed)), None)


def read(root: Path, reading: Reading) -> Annotated:
    """Read the files of a folder, or of one below it.

    Raises:
        DataError: one cannot be read.
    """
    folder = find(walk(root)) or root
    encoding = reading.form.encoding
    images, boxes = (_pairs(folder / name, encoding) for name in (_IMAGES, _BOXES))
    labels, names = (_pairs(folder / name, encoding) for name in (_LABELS, _CLASSES))
    split = _pairs(folder / _SPLIT, encoding) if (folder / _SPLIT).is_file() else {}
    problems: list[Problem] = []
    found: dict[str, dict[str, list[Row]]] = {}
    for number, image in images.items():
        part = {"1": "train", "0": "test"}.get(split.get(number, ""), "all")
        place = f"{_BOXES}: image {number}"
        try:
            left, upper, width, height = map(float, boxes[number].split())
            label = names[labels[number]]
        except (KeyError, ValueError) as error:
            problems.append(Problem(place, BAD_BOX, f"no box or class: {error}"))
            continue
        row = Row(place, label, (left, upper, left + width, upper + height))
        found.setdefault(part, {})[image] = [row]
    if "all" in found and len(found) > 1:
        raise DataError(f"{folder / _SPLIT} lacks some of the images in {_IMAGES}")
    tables = {
        part: Rows(folder / _BOXES, some, dict.fromkeys(some, (0, 0)), shares=False, certain=True)
        for part, some in found.items()
    }
    notes = [f"the splits are those of {_SPLIT}"] if split else []
    return table.assemble("cub", root, reading, tables, problems, notes)


def _pairs(file: Path, encoding: str | None) -> Mapping[str, str]:
    """Return what stands behind the first word of each line."""
    lines = (line.strip().partition(" ") for line in read_text(file, encoding).splitlines())
    return {first: rest.strip() for first, _, rest in lines if first}
