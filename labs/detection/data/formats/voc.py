"""Pascal VOC: an XML file for each image (Everingham et al. 2010).

Pixels are counted from 1 on and the last one belongs to the box: `xmin` 1 and `xmax` 10 are the
edges 0 and 10 here. `difficult` objects count as crowds: in VOC's evaluation too, to find one or
not costs nothing. The image of an XML file is the one of its own name, wherever it is; only if
there is none, the one in `filename`.
"""

import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Container, Mapping, Sequence
from pathlib import Path, PurePosixPath
from xml.sax.saxutils import escape

from common.errors import DataError
from common.files import write_text
from common.images.decode import photo_size
from common.images.folders import relative_name
from common.images.sets import PARTS
from common.io.tables import read_text
from labs.detection.data.formats.folders import (
    Finder,
    is_image,
    part_of,
    short_name,
    split_by_folder,
    split_by_lists,
    walk,
)
from labs.detection.records import (
    BAD_BOX,
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
    stems = [(PurePosixPath(picture.name).stem, picture) for picture in pictures]
    lists = _lists(files, {stem for stem, _ in stems})
    parts, left_out = split_by_lists(lists, stems) if lists else split_by_folder(pictures)
    said = f"{_LISTS.as_posix()} ({', '.join(lists)})" if lists else ""
    return Annotated("voc", root, tuple(classes), parts, (*problems, *left_out), said)


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


def _lists(files: Sequence[Path], known: Container[str]) -> dict[str, set[str]]:
    """Return the names of images in the lists of splits, by the list's name.

    They are in `ImageSets/Main`, or else in `ImageSets`, of the folder or of one below it, as those
    of several years are. `known` are the names of images without their suffixes.
    """
    for folders in (_LISTS.parts, _LISTS.parts[:1]):
        lists: dict[str, set[str]] = {}
        for file in files:
            name = file.stem.casefold()
            fits = file.suffix.lower() == ".txt" and name in (*PARTS, "trainval")
            if fits and file.parent.parts[-len(folders) :] == folders:
                lines = filter(None, map(str.strip, read_text(file).splitlines()))
                lists.setdefault(name, set()).update(_stem(line, known) for line in lines)
        if any(lists.values()):
            return {name: stems for name, stems in lists.items() if stems}
    return {}


def _stem(line: str, known: Container[str]) -> str:
    """Return the image of a line: behind folders, with or without a suffix and -1, 0 or 1."""
    path = PurePosixPath(unicodedata.normalize("NFC", line).replace("\\", "/"))
    bare = PurePosixPath(re.sub(r"\s+(-1|0|1)$", "", path.name))
    names = (path.name, path.stem, bare.name, bare.stem)
    return next((name for name in names if name in known), bare.name)


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
