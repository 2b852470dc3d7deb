"""The columns of a table with boxes: which they are, by their names or by what stands in them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from labs.detection.data.formats.folders import is_image

_IMAGE: tuple[str, ...] = (
    "filename",
    "imageid",
    "imagename",
    "imagepath",
    "filepath",
    "image",
    "file",
    "path",
)
_IMAGE += ("img", "imgid", "imgname", "파일명", "파일", "이미지")
_IMAGE += ("imagefilename", "imagefile", "frame", "framename", "patientid", "photo")
_CLASS: tuple[str, ...] = (
    "class",
    "label",
    "labelname",
    "classname",
    "category",
    "categoryname",
    "name",
    "object",
)
_CLASS += ("labels", "classes", "categories", "species", "objectclass", "클래스", "라벨", "품종")
_CLASS += ("annotationtag", "tag")
_CLASS += ("classid", "categoryid", "labelid", "objectid")  # where no column has names
_SPLIT = ("split", "set", "subset", "partition", "usage", "datasplit", "phase", "구분")
# What says something of images, and nothing of what is in a box.
_OF_IMAGES = {"source", "domain", "dataset", "radid", "subset", "license", "camera", "location"}
_CORNERS = (
    ("xmin", "x1", "left", "x0", "roix1", "upperleftcornerx", "xtl"),
    ("ymin", "y1", "top", "y0", "roiy1", "upperleftcornery", "ytl"),
    ("xmax", "x2", "right", "roix2", "lowerrightcornerx", "xbr"),
    ("ymax", "y2", "bottom", "roiy2", "lowerrightcornery", "ybr"),
)
_SIDES = (
    *(("x", "xmin", "left", "bboxx", "x1"), ("y", "ymin", "top", "bboxy", "y1")),
    *(
        ("w", "width", "bboxwidth", "boxwidth", "너비", "폭"),
        ("h", "height", "bboxheight", "boxheight", "높이"),
    ),
)
_SIZE = (("height", "imageheight", "imgheight"), ("width", "imagewidth", "imgwidth"))
_CENTERS = (("xcenter", "centerx", "cx", "xc"), ("ycenter", "centery", "cy", "yc"), *_SIDES[2:])
KINDS = {  # what the four numbers are
    "corners": "left, upper, right, lower edge",
    "sides": "left, upper, width, height",
    "centers": "center, width, height",
}
_LEAST, _MOST = 5, 8  # columns of a table without names
_WHOLE = ("bbox", "box", "boundingbox")


class Columns(NamedTuple):
    """The names of a table's columns, as they are written."""

    image: str
    box: tuple[str, ...]  # four, or one with all of them
    kind: str  # one of `KINDS`
    label: str | None
    size: tuple[str, ...]  # height and width of the image, where they are there
    group: str | None = None  # that says which boxes are around a group of objects
    header: bool | None = None  # False where the table has no names, and columns go by numbers

    @property
    def all(self) -> list[str]:
        """The names of all of them."""
        single = [each for each in (self.label, self.group) if each]
        return [self.image, *self.box, *single, *self.size]


def pick_class(names: Sequence[str]) -> str | None:
    """Return which of some names is that of the class, None where none is."""
    known = _spellings(names)
    return next((known[name] for name in _CLASS if name in known), None)


def pick_split(names: Sequence[str]) -> str | None:
    """Return which of some names may be that of the parts of a split, None where none is."""
    known = _spellings(names)
    return next((known[name] for name in _SPLIT if name in known), None)


def _spellings(names: Sequence[str]) -> dict[str, str]:
    """Return names by what of them counts: letters and digits, in any case."""
    return {re.sub(r"[\W_]+", "", name).casefold(): name for name in reversed(names)}


def find_columns(header: Sequence[str]) -> Columns | None:
    """Return what the columns of a table are, by their names; None where they are not of boxes."""
    known = _spellings(header)

    def pick(names: Iterable[str]) -> str | None:
        return next((known[name] for name in names if name in known), None)

    def all_of(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
        found = tuple(name for group in groups if (name := pick(group)))
        return found if len(found) == len(tuple(groups)) else ()

    image, whole = pick(_IMAGE), pick(_WHOLE)
    choices = {
        "corners": all_of(_CORNERS),
        "sides": (whole,) if whole else all_of(_SIDES),
        "centers": all_of(_CENTERS),
    }
    kind = next((kind for kind, names in choices.items() if names), "")
    if image is None or not kind:
        return None
    box = choices[kind]
    size = all_of(_SIZE)
    size = () if set(size) & set(box) else size
    return Columns(image, box, kind, pick_class(header), size, known.get("isgroupof"))


def find_places(row: Sequence[str]) -> Columns | None:
    """Return what the columns of a table without names are, by its first row; None where unclear.

    That is `image, x1, y1, x2, y2, class, width, height`, of which the last three may lack, and an
    image without a box has empty cells; or makesense.ai's `class, x, y, width, height, image,
    width, height`.
    """
    cells = [cell.strip() for cell in row]
    if not _LEAST <= len(cells) <= _MOST:
        return None
    numbers = all(re.fullmatch(r"-?\d+(\.\d*)?", cell) for cell in cells[1:5])
    box, more = ("2", "3", "4", "5"), cells[5:]
    sized = ("8", "7") if len(more) == 3 and all(map(str.isdecimal, more[1:])) else ()
    if is_image(Path(cells[0])) and (numbers or not any(cells[1:])):
        return Columns("1", box, "corners", "6" if more else None, sized, header=False)
    if sized and numbers and is_image(Path(more[0])):
        return Columns("6", box, "sides", "1", sized, header=False)
    return None


def may_tell_classes(name: str) -> bool:
    """Say whether a column could be that of the class, by what it is called."""
    return re.sub(r"[\W_]+", "", name).casefold() not in _OF_IMAGES
