"""Pascal VOC: an XML file for each image (Everingham et al. 2010).

Pixels are counted from 1 on and the last one belongs to the box: `xmin` 1 and `xmax` 10 are the
edges 0 and 10 here. Tools that count from 0 tell by a corner at 0, or by fractions in most boxes:
then the numbers are the edges, of all boxes of the set, and that is said. `difficult` objects count
as crowds: in VOC's evaluation too, to find one or not costs nothing. The image of an XML file is
the one of its own name, in a folder that agrees; only if there is none, the one in `filename`.
"""

import codecs
import math
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.sax.saxutils import escape

from common.errors import DataError
from common.files import write_text
from common.io.encodings import OPTION, decode, decode_certain, is_utf_8, widest
from common.io.folders import PARTS, relative_name
from common.io.tables import read_bytes, read_text
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import (
    is_image,
    part_of,
    read_head,
    short_name,
    split_by_folder,
    split_by_lists,
    walk,
)
from labs.detection.data.formats.pictures import Pictures
from labs.detection.data.formats.units import are_shares
from labs.detection.records import (
    BAD_BOX,
    BAD_LABELS,
    IGNORED,
    NO_IMAGE,
    NO_LABELS,
    TURNED,
    Annotated,
    Box,
    Picture,
    Problem,
    Reading,
)

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LATIN = ("ascii", "cp1252", "iso8859-1", "iso8859-15")
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_ANGLES = ("rotation", "angle")


def read(root: Path, reading: Reading) -> Annotated:
    """Read a folder with XML files and images, beside each other or not.

    Splits are those of `ImageSets/Main`, or else the folders `train`, `val` and `test`.

    Raises:
        DataError: the corners are shares of the image.
    """
    files = list(walk(root))
    finder = Finder(root, filter(is_image, files))
    problems: list[Problem] = []
    pictures = Pictures(root, problems)
    notes: list[str] = []
    encoding = reading.form.encoding
    texts = _texts(filter(is_xml, files), encoding, notes)
    annotations = _annotations(texts, finder, problems, notes)
    _check_units(root, annotations)
    found, from_zero = _from_zero(annotations)
    folders = {path.parent for path in found}
    classes = sorted({name for each in found.values() for _, name, _ in each.objects})
    numbers = {name: number for number, name in enumerate(classes)}
    every = []
    for path in (path for path in files if is_image(path) and path.parent in folders):
        if path not in found:
            problems.append(Problem(relative_name(path, root), NO_LABELS, "a background"))
        file = found.get(path, _File((), (0, 0)))
        boxes = [(where, box._replace(label=numbers[of])) for where, of, box in file.objects]
        picture = pictures.make(path, lambda *_, boxes=boxes: boxes, file.size)
        every += [picture] if picture else []
    about, lists = find_lists(files, root, every, encoding)
    parts, left_out = split_by_lists(lists, every) if lists else split_by_folder(every)
    said = f"{about} ({', '.join(lists)})" if lists else ""
    notes += pictures.notes()
    if from_zero:
        notes.append("pixels are counted from 0, as some boxes tell: xmin, ymin are not lessened")
    return Annotated("voc", root, tuple(classes), parts, (*problems, *left_out), said, tuple(notes))


def is_xml(file: Path) -> bool:
    """Say whether a file is XML by its name, or VOC's without a suffix, as of the Stanford dogs.

    Raises:
        DataError: the file cannot be read.
    """
    if file.suffix.lower() == ".xml":
        return True
    return not file.suffix and read_head(file).lstrip().startswith(b"<annotation>")


class _File(NamedTuple):
    objects: Sequence[tuple[str, str, Box]]  # place, class and box of each
    size: tuple[int, int]  # height and width that it gives, 0 where it gives none


def _annotations(
    texts: Mapping[Path, str | DataError],
    finder: Finder,
    problems: list[Problem],
    notes: list[str],
) -> dict[Path, _File]:
    """Return what XML files say of each image."""
    root = finder.root
    trees, asked = [], []
    for file, text in texts.items():
        place = relative_name(file, root)
        try:
            tree, lines = _parse(text)
        except DataError as error:
            problems.append(Problem(place, BAD_LABELS, str(error)))
            continue
        if tree.tag == "annotation":
            trees.append((place, tree, lines))
            asked.append(_image_of(file, tree, finder))
        else:
            problems.append(Problem(place, IGNORED, f"<{tree.tag}>, no <annotation> of VOC"))
    found: dict[Path, _File] = {}
    turned = 0
    for (place, tree, lines), path in zip(trees, finder.find_all(asked), strict=True):
        if isinstance(path, str):
            problems.append(Problem(place, NO_IMAGE, path))
            continue
        objects = []
        turned += sum(map(_is_turned, tree.iter("object")))
        for node, line in zip(tree.iter("object"), lines, strict=False):
            try:
                objects.append((f"{place}:{line}", *_object(node)))
            except ValueError as error:
                problems.append(Problem(f"{place}:{line}", BAD_BOX, str(error)))
        found[path] = _File(objects, _written_size(tree))
    if turned:
        notes.append(f"{turned:,} {TURNED}")
    return found


def _is_turned(node: ElementTree.Element) -> bool:
    """Say whether an object has an angle, of its own or among its attributes."""
    texts = [node.findtext(f"{at}{key}") for at in ("", "bndbox/") for key in _ANGLES]
    texts += [
        each.findtext("value")
        for each in node.iter("attribute")
        if each.findtext("name", "").strip().casefold() in _ANGLES
    ]
    return any(re.search("[1-9]", text or "") for text in texts)


def _image_of(file: Path, tree: ElementTree.Element, finder: Finder) -> Asked:
    """Return what to ask for: the image of an XML file's own name, or else the one it names.

    That one is beside the file, or else in a folder that agrees with what the file says.
    """
    part = part_of(PurePosixPath(relative_name(file, finder.root)).parts[:-1])
    own = Asked(f"{file.stem}.*", file, part, parallel=True)
    named, folder = (
        tree.findtext(key, "").strip().replace("\\", "/").rpartition("/")[2]
        for key in ("filename", "folder")
    )
    if not named or not _fails(own, finder):
        return own
    if folder and not file.with_name(named).is_file():
        other = own._replace(name=f"{folder}/{named}", parallel=False)
    else:
        other = own._replace(name=named)
    return own if _fails(other, finder) else other


def _fails(asked: Asked, finder: Finder) -> bool:
    return isinstance(finder.find(asked), str)


def _check_units(root: Path, found: Mapping[Path, _File]) -> None:
    """Refuse corners that are shares of the image.

    Raises:
        DataError: they are so.
    """
    boxes = [box[:4] for file in found.values() for *_, box in file.objects]
    if are_shares(boxes):
        raise DataError(
            f"{root}: the corners of all {len(boxes):,} objects are within 0 to 1, shares of the "
            "image; VOC has pixels: multiply them by width and height"
        )


def _from_zero(found: dict[Path, _File]) -> tuple[dict[Path, _File], bool]:
    """Return the files with the edges of their boxes, and whether pixels are counted from 0."""
    boxes = [box for file in found.values() for *_, box in file.objects]
    fractions = sum(any(value % 1 for value in box[:4]) for box in boxes)
    zero = any(0 <= min(box.x1, box.y1) < 1 for box in boxes) or 2 * fractions > len(boxes)
    less = 0 if zero else 1
    return {
        path: file._replace(
            objects=[
                (place, name, box._replace(x1=box.x1 - less, y1=box.y1 - less))
                for place, name, box in file.objects
            ]
        )
        for path, file in found.items()
    }, zero


def _parse(text: str | DataError) -> tuple[ElementTree.Element, list[int]]:
    """Return the root of an XML file, and the lines in which its objects begin.

    Raises:
        DataError: it could not be read, or `parse_xml` refuses it.
    """
    if isinstance(text, DataError):
        raise text
    tree = parse_xml(text)
    starts = [match.start() for match in re.finditer(r"<object\b", text)]
    return tree, [text.count("\n", 0, start) + 1 for start in starts]


def parse_xml(text: str) -> ElementTree.Element:
    """Return the root of an XML file.

    Raises:
        DataError: it is not XML, or declares entities, which annotations never need.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError("a DOCTYPE, which could make a small file a huge one; remove it")
    # The declared encoding is that of the bytes, and expat knows no cp949: it is text by now.
    text = re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL)
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"not XML: {error}") from error


def _declared(data: bytes) -> str | None:
    """Return the encoding that an XML file declares; None for Unicode's, which bytes tell best."""
    found = re.match(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([^\"']+)", data)
    name = found[1].decode("ascii", "replace").casefold() if found else "utf-8"
    unicode = name.startswith(("utf-16", "utf-8", "utf8", "unicode"))
    return None if unicode or data.startswith(_MARKS) else name


def _texts(
    files: Iterable[Path], encoding: str | None, notes: list[str]
) -> dict[Path, str | DataError]:
    """Return the texts of XML files, or why there is none.

    Each is in the encoding that its bytes tell or that it declares; of those that do neither, in
    one for all of them, for a single file has too few letters to tell.

    Args:
        files: the files.
        encoding: the user's word for what bytes do not tell, whatever is declared.
        notes: take how files were read.
    """
    told = {file: _told(file, encoding) for file in files}
    unsure = {file: data for file, data in told.items() if isinstance(data, bytes)}
    encoding = encoding or _guess_encoding(unsure, notes)
    return {
        file: _decoded(file, each, encoding) if isinstance(each, bytes) else each
        for file, each in told.items()
    }


def _told(file: Path, given: str | None) -> str | bytes | DataError:
    """Return the text of a file that tells its encoding, the bytes of another, or what is wrong."""
    try:
        data = read_bytes(file)
        name = None if given else _declared(data)
        if name is not None:
            return _as_declared(data, name)
        found = decode_certain(data, file)
    except DataError as error:
        return error
    return found.text if found else data


def _decoded(file: Path, data: bytes, encoding: str | None) -> str | DataError:
    try:
        return decode(data, file, encoding).text
    except DataError as error:
        return error


def _guess_encoding(files: Mapping[Path, bytes], notes: list[str]) -> str | None:
    """Return the encoding of files that do not tell it, None where all together do not either."""
    if not files:
        return None
    try:
        found = decode(b"\n".join(files.values()), next(iter(files))).encoding
    except DataError:
        return None
    notes.append(
        f"{len(files):,} XML files are not in UTF-8, and are read as {found} ({OPTION} names "
        "another)"
    )
    return found


def _as_declared(data: bytes, name: str) -> str:
    """Read an XML file in the encoding that it declares.

    Raises:
        DataError: that is unknown, or not the one of its bytes.
    """
    try:
        codec = codecs.lookup(widest(name)).name
        if codec in _LATIN and not data.isascii() and is_utf_8(data):
            raise DataError(
                f"declares the encoding {name}, but is in UTF-8; correct the declaration"
            )
        return data.decode(codec)
    except LookupError as error:
        raise DataError(f"declares the encoding {name}, which is not known") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"declares the encoding {name}, but byte {error.start + 1:,} is not in it; correct the "
            f"declaration, save it as UTF-8, or name the right one with {OPTION}"
        ) from error


def _object(node: ElementTree.Element) -> tuple[str, Box]:
    """Return the class and the box of an object, its corners as they are written.

    Raises:
        ValueError: something is missing, or is no number.
    """
    name = " ".join(unicodedata.normalize("NFC", node.findtext("name", "")).split())
    if not name:
        raise ValueError("an object without a name")
    if len(node.findall("bndbox")) > 1:
        raise ValueError(f"{name} with several bndbox; give each an object of its own")
    texts = [node.findtext(f"bndbox/{corner}") for corner in _CORNERS]
    if None in texts:
        missing = ", ".join(c for c, text in zip(_CORNERS, texts, strict=True) if text is None)
        raise ValueError(f"{name} without {missing}")
    x1, y1, x2, y2 = (float(str(text)) for text in texts)
    difficult = node.findtext("difficult", "0").strip() == "1"
    return name, Box(x1, y1, x2, y2, 0, difficult)


def _written_size(tree: ElementTree.Element) -> tuple[int, int]:
    """Return the height and width that the file gives, 0 where it gives none."""
    texts = (tree.findtext(f"size/{side}", "").strip() for side in ("height", "width"))
    height, width = (int(text) if re.fullmatch("[0-9]{1,9}", text) else 0 for text in texts)
    return height, width


def find_lists(
    files: Sequence[Path],
    root: Path,
    pictures: Sequence[Picture],
    encoding: str | None,
    task: str = "Main",
) -> tuple[str, dict[str, set[str]]]:
    """Return where the lists of splits are, and the names of their images by the list's name.

    They are in `ImageSets/Main`, or the folder of another task, or else in `ImageSets`, of the
    folder or of one below it, as those of several years are; or else in `annotations`, or beside
    the other folders.
    Files of each class, as `cat_train.txt`, name the images of all. An image that is not there
    keeps the name that it has in the list.
    """
    known = {picture.name for picture in pictures}
    finder = Finder(root, [picture.path for picture in pictures])
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    places = (
        (("imagesets", task.casefold()), f"ImageSets/{task}", False),
        (("imagesets",), "ImageSets", False),
        (("annotations",), "annotations", True),  # as of the Oxford pets
        ((), "lists beside the folders", True),
    )
    for folders, place, of_images in places:
        here = [file for file in texts if _is_in(file, folders, root)]
        for form in (r"(.+)", r".+_(.+)"):
            lists: dict[str, set[str]] = {}
            for file in here:
                match = re.fullmatch(form, file.stem.casefold())
                if match and match[1] in (*PARTS, "trainval"):
                    lists.setdefault(match[1], set()).update(_listed(file, finder, encoding))
            lists = {name: found for name, found in sorted(lists.items()) if found}
            if lists and (not of_images or known & set[str]().union(*lists.values())):
                return place, lists
    return "", {}


def _is_in(file: Path, folders: tuple[str, ...], root: Path) -> bool:
    """Say whether a file's last folders are called so; where there are none, it is the root."""
    parts = tuple(part.casefold() for part in file.parent.parts)
    return parts[-len(folders) :] == folders if folders else file.parent == root


def _listed(file: Path, finder: Finder, encoding: str | None) -> list[str]:
    """Return the names of a list's images."""
    lines = [line.strip() for line in read_text(file, encoding).splitlines()]
    asked = [Asked(_name_in(line, finder), file) for line in lines if line]
    return [
        each.name.removesuffix(".*") if isinstance(path, str) else relative_name(path, finder.root)
        for each, path in zip(asked, finder.find_all(asked), strict=True)
    ]


def _name_in(line: str, finder: Finder) -> str:
    """Return the image of a line: behind folders, with or without a suffix and whole numbers."""
    text = unicodedata.normalize("NFC", line).replace("\\", "/")
    bare = re.sub(r"(\s+-?\d+)+$", "", text)
    names = (
        name
        for each in (text, bare)
        for name in (f"{each}.*", each, re.sub(r"\.[^./]*$", ".*", each))
    )
    return next(filter(finder.knows, names), bare)


def write(root: Path, found: Annotated, names: Mapping[Path, str]) -> None:
    """Write XML files to `Annotations` and lists of the splits; coordinates are rounded.

    The names of images are below `image_folder`.

    Raises:
        DataError: a class has a name that XML cannot hold, or that is read as another.
    """
    for name in found.classes:
        if _NO_XML.search(name) or " ".join(name.split()) != name:
            raise DataError(
                f"the class {name!r} has characters or white space that Pascal VOC's XML does not "
                "keep; rename it in the source, or convert to coco or yolo"
            )
    for part, pictures in found.parts.items():
        stems = []
        for picture in pictures:
            name = names[picture.path]
            stems.append(PurePosixPath(name).stem)
            text = _annotation(name, picture, found.classes)
            write_text(root / "Annotations" / f"{stems[-1]}.xml", text)
        if part != "all":
            path = root / "ImageSets" / "Main" / f"{short_name(part)}.txt"
            write_text(path, "".join(f"{stem}\n" for stem in stems))


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
            <xmin>{x1}</xmin>
            <ymin>{y1}</ymin>
            <xmax>{x2}</xmax>
            <ymax>{y2}</ymax>
        </bndbox>
    </object>"""
        for box in picture.boxes
        for x1, x2 in [_pixels(box.x1, box.x2, picture.width)]
        for y1, y2 in [_pixels(box.y1, box.y2, picture.height)]
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


def _pixels(start: float, end: float, side: int) -> tuple[int, int]:
    """Return the first and last pixel of a box, counted from 1, of a side of the image."""
    first, last = round(start), round(end)
    if first >= last:  # narrower than a pixel: the one that it lies in
        first = min(math.floor((start + end) / 2), side - 1)
        last = first + 1
    return first + 1, last
