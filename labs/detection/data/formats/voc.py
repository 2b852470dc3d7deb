"""Pascal VOC: an XML file for each image (Everingham et al. 2010).

Pixels are counted from 1 on and the last one belongs to the box: `xmin` 1 and `xmax` 10 are the
edges 0 and 10 here. `difficult` objects count as crowds: in VOC's evaluation too, to find one or
not costs nothing. The image of an XML file is the one of its own name, wherever it is; only if
there is none, the one in `filename`.
"""

import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from common.errors import DataError
from common.files import write_text
from common.images.decode import photo_size
from common.images.folders import PARTS, relative_name
from common.io.tables import read_text
from labs.detection.data.formats.folders import (
    Finder,
    is_image,
    part_of,
    short_name,
    split_by_folder,
    walk,
)
from labs.detection.records import (
    BAD_BOX,
    BAD_IMAGE,
    BAD_LABELS,
    IGNORED,
    NO_IMAGE,
    NO_LABELS,
    OTHER_SIZE,
    Annotated,
    Box,
    Picture,
    Problem,
    check_boxes,
)

_LISTS = Path("ImageSets", "Main")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read(root: Path) -> Annotated:
    """Read a folder with XML files and images, beside each other or not.

    Splits are those of `ImageSets/Main`, or else the folders `train`, `val` and `test`.
    """
    files = list(walk(root))
    finder = Finder(root)
    problems: list[Problem] = []
    found: dict[Path, list[tuple[str, str, Box]]] = {}  # for each image place, class and box
    sizes: dict[Path, tuple[int, int]] = {}
    for file in (file for file in files if file.suffix.lower() == ".xml"):
        place = relative_name(file, root)
        try:
            tree, lines = _parse(file)
        except DataError as error:
            problems.append(Problem(place, BAD_LABELS, str(error)))
            continue
        if tree.tag != "annotation":
            continue
        named = tree.findtext("filename", "").strip()
        part = part_of(PurePosixPath(place).parts[:-1])
        path = finder.find(f"{file.stem}.*", file, part) or finder.find(named, file, part)
        if path is None:
            problems.append(Problem(place, NO_IMAGE, named or file.stem))
            continue
        if path in found:
            problems.append(Problem(place, BAD_LABELS, f"a second file for {path.name}"))
            continue
        found[path] = []
        for node, line in zip(tree.iter("object"), lines, strict=False):
            try:
                found[path].append((f"{place}:{line}", *_object(node)))
            except ValueError as error:
                problems.append(Problem(f"{place}:{line}", BAD_BOX, str(error)))
        sizes[path] = _written_size(tree)

    folders = {path.parent for path in found}
    paths = [path for path in files if is_image(path) and path.parent in folders]
    classes = sorted({name for boxes in found.values() for _, name, _ in boxes})
    numbers = {name: number for number, name in enumerate(classes)}
    pictures = []
    for path in paths:
        name = relative_name(path, root)
        size = photo_size(path)
        if isinstance(size, str):
            problems.append(Problem(name, BAD_IMAGE, size))
            continue
        if path not in found:
            problems.append(Problem(name, NO_LABELS, "a background"))
        elif all(sizes[path]) and sizes[path] != size:
            detail = "written {1} x {0}, is {3} x {2} pixels".format(*sizes[path], *size)
            problems.append(Problem(name, OTHER_SIZE, detail))
        boxes, wrong = check_boxes(
            ((where, box._replace(label=numbers[of])) for where, of, box in found.get(path, [])),
            *size,
        )
        problems += wrong
        pictures.append(Picture(path, name, *size, boxes))
    parts, left_out = _listed(root, pictures) or split_by_folder(pictures)
    return Annotated("voc", root, tuple(classes), parts, (*problems, *left_out))


def _parse(file: Path) -> tuple[ElementTree.Element, list[int]]:
    """Return the root of an XML file, and the lines in which its objects begin.

    Raises:
        DataError: it is not XML, or declares entities, which annotations never need.
    """
    text = read_text(file)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError("a DOCTYPE, which could make a small file a huge one; remove it")
    # The declared encoding is that of the bytes, and expat knows no cp949: it is text by now.
    text = re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL)
    try:
        tree = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"not XML: {error}") from error
    starts = [match.start() for match in re.finditer(r"<object\b", text)]
    return tree, [text.count("\n", 0, start) + 1 for start in starts]


def _object(node: ElementTree.Element) -> tuple[str, Box]:
    """Return the class and the box of an object.

    Raises:
        ValueError: something is missing, or is no number.
    """
    name = " ".join(unicodedata.normalize("NFC", node.findtext("name", "")).split())
    if not name:
        raise ValueError("an object without a name")
    texts = [node.findtext(f"bndbox/{corner}") for corner in _CORNERS]
    if None in texts:
        missing = ", ".join(c for c, text in zip(_CORNERS, texts, strict=True) if text is None)
        raise ValueError(f"{name} without {missing}")
    x1, y1, x2, y2 = (float(str(text)) for text in texts)
    difficult = node.findtext("difficult", "0").strip() == "1"
    return name, Box(x1 - 1, y1 - 1, x2, y2, 0, difficult)


def _written_size(tree: ElementTree.Element) -> tuple[int, int]:
    """Return the height and width that the file gives, 0 where it gives none."""
    texts = (tree.findtext(f"size/{side}", "").strip() for side in ("height", "width"))
    height, width = (int(text) if re.fullmatch("[0-9]{1,9}", text) else 0 for text in texts)
    return height, width


def _listed(
    root: Path, pictures: Sequence[Picture]
) -> tuple[dict[str, tuple[Picture, ...]], list[Problem]] | None:
    """Return the splits of ImageSets/Main, with the images that are in none of its lists."""
    lists = {root / _LISTS / f"{name}.txt": part for name, part in PARTS.items()}
    stems = {part: _stems(read_text(path)) for path, part in lists.items() if path.is_file()}
    if "train" not in stems:
        return None
    parts = {
        part: tuple(picture for picture in pictures if PurePosixPath(picture.name).stem in names)
        for part, names in stems.items()
    }
    known = set().union(*stems.values())
    left_out = [
        Problem(picture.name, IGNORED, f"in no list of {_LISTS}")
        for picture in pictures
        if PurePosixPath(picture.name).stem not in known
    ]
    return parts, left_out


def _stems(text: str) -> set[str]:
    """Return the names of images in a list, with or without the -1, 0 or 1 behind each."""
    lines = [unicodedata.normalize("NFC", line.strip()) for line in text.splitlines()]
    return {name for line in lines if line for name in (line, re.sub(r"\s+(-1|0|1)$", "", line))}


def write(root: Path, found: Annotated, names: Mapping[Path, str]) -> None:
    """Write XML files to `Annotations` and lists of the splits; coordinates are rounded.

    The names of images are below `image_folder`.
    """
    for part, pictures in found.parts.items():
        stems = []
        for picture in pictures:
            name = names[picture.path]
            stems.append(PurePosixPath(name).stem)
            text = _annotation(name, picture, found.classes)
            write_text(root / "Annotations" / f"{stems[-1]}.xml", text)
        if part != "all":
            write_text(
                root / _LISTS / f"{short_name(part)}.txt", "".join(f"{stem}\n" for stem in stems)
            )


def image_folder(part: str) -> str:
    """Return where the images of a split belong."""
    return "JPEGImages"


def _annotation(name: str, picture: Picture, classes: Sequence[str]) -> str:
    objects = "".join(
        f"""
    <object>
        <name>{escape(classes[box.label])}</name>
        <difficult>{int(box.crowd)}</difficult>
        <bndbox>
            <xmin>{round(box.x1) + 1}</xmin>
            <ymin>{round(box.y1) + 1}</ymin>
            <xmax>{max(round(box.x1) + 1, round(box.x2))}</xmax>
            <ymax>{max(round(box.y1) + 1, round(box.y2))}</ymax>
        </bndbox>
    </object>"""
        for box in picture.boxes
    )
    return f"""<annotation>
    <folder>JPEGImages</folder>
    <filename>{escape(name)}</filename>
    <size>
        <width>{picture.width}</width>
        <height>{picture.height}</height>
        <depth>3</depth>
    </size>{objects}
</annotation>
"""
