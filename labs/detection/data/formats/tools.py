"""What labeling tools write in forms of their own: CVAT, VGG Image Annotator (VIA), Label Studio.

    CVAT for images 1.1     an XML file: boxes, polygons, and the boxes of masks, in pixels
    VIA                     JSON of a project or of its annotations, or CSV: rectangles, circles,
                            ellipses and polygons, in pixels; the class is an attribute
    Label Studio            JSON, JSON-MIN or CSV: rectangles and polygons, in percent of the image

What is no object with a box is named. CVAT's subsets are splits where one is for training.
"""

import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from common.errors import DataError
from common.io.folders import list_visible, walk
from common.io.tables import OpenTable, read_names, read_table
from common.options.config import TableForm
from labs.detection.data.formats import table
from labs.detection.data.formats.folders import (
    files_by_part,
    is_image,
    marks_in,
    part_of,
    read_head,
    read_json,
    read_noted,
)
from labs.detection.data.formats.voc import parse_xml
from labs.detection.records import (
    BAD_BOX,
    BAD_LABELS,
    SPLITS,
    TURNED,
    Annotated,
    Problem,
    Reading,
    bounds,
)

_FEW = 20  # files of a kind in a folder; of more, each is of one image
_RUNS = "masks as run lengths (RLE) are not read: their boxes are"
_AROUND = "ellipses and circles: their boxes are the upright ones around them"
_VIA_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")


class _Shape(NamedTuple):
    """An object of an image; or the image alone, without points."""

    image: str
    place: str
    points: Sequence[float] = ()  # x, y, x, y, ...: two corners, or an outline; pixels or shares
    label: str = ""
    why: str = ""  # there are none
    note: str = ""  # what is to be said of objects of its kind
    size: tuple[int, int] = (0, 0)  # height and width that are written, 0 where they are not
    part: str = "all"


def recognize(file: Path) -> str | None:
    """Return which tool has written a file: `cvat`, `via`, `label-studio`, or None for others.

    Raises:
        DataError: the file cannot be read.
    """
    suffix = file.suffix.lower()
    if suffix not in (".xml", ".json", ".csv"):
        return None
    if suffix == ".csv":
        data = read_head(file)
        if b"region_shape_attributes" in data.split(b"\n")[0]:
            return "via"
        return "label-studio" if b"original_width" in data and b'labels""' in data else None
    marks = marks_in(file)
    if suffix == ".xml":
        return "cvat" if "<annotations>" in marks and "<annotation>" not in marks else None
    if marks & {'"shape_attributes"', '"_via_img_metadata"'}:
        return "via"
    return "label-studio" if {'"original_width"', 'labels"'} <= marks else None


def find(root: Path) -> list[Path]:
    """Return the files of such tools that are directly in a folder, or else in those below it."""
    return find_here(root) or _of_tools([file for file in walk(root) if file.parent != root])


def find_here(root: Path) -> list[Path]:
    """Return the files of such tools that are directly in a folder."""
    return _of_tools([file for file in list_visible(root) if file.is_file()])


def _of_tools(files: Sequence[Path]) -> list[Path]:
    kinds = Counter(file.suffix.lower() for file in files)
    return [file for file in files if kinds[file.suffix.lower()] <= _FEW and recognize(file)]


def read(path: Path, reading: Reading) -> Annotated:
    """Read a file, or the files of a folder.

    Raises:
        DataError: there are several for one split, or of several tools, or it is none that can be
            used.
    """
    files = files_by_part(path, find(path)) if path.is_dir() else {"all": path}
    forms = {str(recognize(file)) for file in files.values()}
    if len(forms) > 1:
        listed = ", ".join(file.name for file in files.values())
        raise DataError(f"{path} has files of several tools, {listed}; name one of them as --data")
    [form] = forms
    problems: list[Problem] = []
    notes: list[str] = []
    shapes = {part: _read(file, form, reading, notes, problems) for part, file in files.items()}
    notes += (
        f"{number:,} {note}"
        for note, number in Counter(each.note for some in shapes.values() for each in some).items()
        if note
    )
    if list(shapes) == ["all"]:
        shapes = _by_subset(files["all"], shapes["all"])
    shares = form == "label-studio"
    tables = {
        part: _rows(files.get(part, files.get("all", path)), some, shares, problems)
        for part, some in shapes.items()
    }
    return table.assemble(form, path, reading, tables, problems, notes)


def _read(
    file: Path, form: str, reading: Reading, notes: list[str], problems: list[Problem]
) -> list[_Shape]:
    if form == "cvat":
        return list(_read_cvat(file, read_noted(file, notes, reading.form.encoding)))
    if form == "via":
        return list(_read_via(file, reading.form, notes))
    if file.suffix.lower() == ".csv":
        tasks: Any = _tasks(file, reading.form, notes)
    else:
        tasks = read_json(file, notes, reading.form.encoding)
    return list(_read_label_studio(file, tasks, problems))


def _by_subset(file: Path, shapes: Sequence[_Shape]) -> dict[str, list[_Shape]]:
    """Return shapes by the subsets that a file puts their images into, if one is for training.

    Raises:
        DataError: some are in none.
    """
    by_part = {part: [each for each in shapes if each.part == part] for part in ("all", *SPLITS)}
    by_part = {part: some for part, some in by_part.items() if some}
    if "train" not in by_part:
        return {"all": list(shapes)}
    if "all" in by_part:
        raise DataError(f"{file}: some images are in no subset of train, validation and test")
    return by_part


def _rows(
    file: Path, shapes: Iterable[_Shape], shares: bool, problems: list[Problem]
) -> table.Rows:
    images: dict[str, list[table.Row]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for shape in shapes:
        rows = images.setdefault(shape.image, [])
        if any(shape.size):
            sizes[shape.image] = shape.size
        if not (shape.points or shape.why):
            continue
        if shape.why or not shape.label:
            problems.append(Problem(shape.place, BAD_BOX, shape.why or "no class"))
            continue
        points = tuple(map(float, shape.points))
        outlines = (points,) if len(points) > 4 else ()
        rows.append(table.Row(shape.place, shape.label, bounds(points), outlines))
    sizes = {**dict.fromkeys(images, (0, 0)), **sizes}
    return table.Rows(file, images, sizes, shares, certain=True)


# CVAT


def _read_cvat(file: Path, text: str) -> Iterator[_Shape]:
    """Yield the shapes of CVAT's XML.

    Raises:
        DataError: it is of a video, or no XML.
    """
    try:
        tree = parse_xml(text)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    if tree.find("track") is not None:
        raise DataError(
            f"{file} is CVAT's XML of a video; export the task as CVAT for images 1.1, with its "
            "images"
        )
    for image in tree.iter("image"):
        name = image.get("name", "")
        height, width = (_whole(image.get(side)) for side in ("height", "width"))
        part = part_of([image.get("subset", "")])
        place = f"{file.name}: image {image.get('id')}"
        yield _Shape(name, place, size=(height, width), part=part)
        for number, node in enumerate(image, 1):
            shape = _Shape(name, f"{place}, {node.tag} {number}", label=_clean(node.get("label")))
            yield _placed(shape, lambda node=node: _cvat_points(node))._replace(part=part)


def _cvat_points(node: Any) -> tuple[Sequence[float], str]:
    values = node.attrib
    if node.tag == "box":
        points = [float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
        return points, TURNED if float(values.get("rotation", 0)) else ""
    if node.tag == "polygon":
        return [float(each) for pair in values["points"].split(";") for each in pair.split(",")], ""
    if node.tag == "mask":
        left, top, width, height = (
            float(values[key]) for key in ("left", "top", "width", "height")
        )
        return (left, top, left + width, top + height), _RUNS
    raise ValueError(f"a {node.tag} has no box")


def _placed(shape: _Shape, points: Any) -> _Shape:
    """Return a shape with the points that a function gives, or with why it gives none."""
    try:
        found, note = points()
        if len(found) % 2 or len(found) < 4:
            raise ValueError(f"{len(found)} numbers are no box and no outline")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        why = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        return shape._replace(why=why)
    return shape._replace(points=found, note=note)


def _whole(text: Any) -> int:
    return int(text) if str(text).isdecimal() and len(str(text)) < 10 else 0


def _clean(label: Any) -> str:
    return " ".join(str(label or "").split())


# VGG Image Annotator


def _read_via(file: Path, form: TableForm, notes: list[str]) -> Iterator[_Shape]:
    """Yield the shapes of VIA's JSON or CSV.

    Raises:
        DataError: it is neither, or no attribute is for the class.
    """
    regions = list(
        _via_rows(file, form, notes)
        if file.suffix.lower() == ".csv"
        else _via_entries(file, read_json(file, notes, form.encoding))
    )
    known = Counter(key for *_, attributes in regions for key in attributes)
    column = table.pick_class(list(known)) or (next(iter(known)) if len(known) == 1 else None)
    if known and column is None:
        raise DataError(
            f"{file}: regions have the attributes {', '.join(known)}, and none is called class or "
            "label; rename the one of the classes"
        )
    notes.append(f"the class is {column}" if column else "all are of one class, object")
    for place, name, points, attributes in regions:
        label = _via_class(attributes.get(column)) if column else "object"
        shape = _Shape(name, place, label=label)
        yield _placed(shape, lambda points=points: _via_points(points)) if points else shape


_Region = tuple[str, str, Mapping[str, Any], Mapping[str, Any]]


def _via_rows(file: Path, form: TableForm, notes: list[str]) -> Iterator[_Region]:
    first = read_names(file, form)[0]
    columns = [
        first if first.lstrip("#") == _VIA_COLUMNS[0] else _VIA_COLUMNS[0],
        *_VIA_COLUMNS[1:],
    ]
    found = read_table(file, columns, gaps=columns[1:], form=form)
    notes += found.notes
    for line, name, shape, attributes in zip(found.lines, *found.columns, strict=True):
        place = f"{file.name}:{line}"
        try:
            values = [json.loads(cell or "{}") for cell in (shape, attributes)]
        except ValueError as error:
            values = [{"name": f"shape that is not JSON ({error})"}, {}]
        yield place, name, *map(_mapping, values)


def _via_entries(file: Path, content: Any) -> Iterator[_Region]:
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise DataError(f"{file}: expected VIA's object of images, with regions")
    for key, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
            raise DataError(f"{file}: {key} has no filename, as VIA's JSON has")
        name, regions = entry["filename"], entry.get("regions")
        yield f"{file.name}: {name}", name, {}, {}
        for number, region in enumerate(_values(regions), 1):
            given = (_mapping(region).get(f"{of}_attributes") for of in ("shape", "region"))
            shape, attributes = map(_mapping, given)
            place = f"{file.name}: {name}, region {number}"
            yield place, name, shape or {"name": "region without shape"}, attributes


def _values(regions: Any) -> Iterable[Any]:
    """Return regions, which VIA 1 has by their numbers; none where they are neither."""
    regions = list(regions.values()) if isinstance(regions, dict) else regions
    return regions if isinstance(regions, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _via_points(shape: Mapping[str, Any]) -> tuple[Sequence[float], str]:
    kind = shape.get("name")
    if kind == "rect":
        x, y, width, height = (float(shape[key]) for key in ("x", "y", "width", "height"))
        return (x, y, x + width, y + height), ""
    if kind == "polygon":
        pairs = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
        return [float(value) for pair in pairs for value in pair], ""
    if kind in ("circle", "ellipse"):
        x, y = float(shape["cx"]), float(shape["cy"])
        rx, ry = (float(shape["r" if kind == "circle" else key]) for key in ("rx", "ry"))
        angle = float(shape.get("theta", 0))
        across = math.hypot(rx * math.cos(angle), ry * math.sin(angle))
        down = math.hypot(rx * math.sin(angle), ry * math.cos(angle))
        return (x - across, y - down, x + across, y + down), _AROUND
    raise ValueError(f"a {kind} has no box")


def _via_class(value: Any) -> str:
    """Return a class: a text, or of check boxes the only one that is set."""
    if isinstance(value, dict):
        chosen = [key for key, is_set in value.items() if is_set]
        return _clean(chosen[0]) if len(chosen) == 1 else ""
    return _clean(value)


# Label Studio


def _read_label_studio(file: Path, content: Any, problems: list[Problem]) -> Iterator[_Shape]:
    """Yield the shapes of tasks, in JSON or JSON-MIN."""
    for number, task in enumerate(content if isinstance(content, list) else [content], 1):
        place = f"{file.name}: task {number}"
        whole = _mapping(task)
        name = _image_of(whole.get("data", whole))
        results = _results(whole)
        if name is None or results is None:
            why = "no image is named" if name is None else "it is not annotated yet"
            problems.append(Problem(place, BAD_LABELS, why))
            continue
        yield _Shape(name, place)
        for at, result in enumerate(results, 1):
            value = _mapping(result.get("value", result))
            labels = next((each for key, each in value.items() if key.endswith("labels")), None)
            if labels is None:
                continue  # a choice or a text, of the whole image
            label = labels[0] if isinstance(labels, list) and len(labels) == 1 else ""
            shape = _Shape(name, f"{place}, region {at}", label=_clean(label))
            yield _placed(shape, lambda v=value, r=result: _shares(v, r))


def _tasks(file: Path, form: TableForm, notes: list[str]) -> list[dict[str, Any]]:
    """Return the tasks of a CSV, as JSON-MIN has them."""
    opened = OpenTable(file, form)
    names = list(filter(None, opened.names))
    found = opened.read(names, gaps=names)
    notes += found.notes
    return [
        dict(zip(names, map(_loaded, cells), strict=True))
        for cells in zip(*found.columns, strict=True)
    ]


def _loaded(cell: str) -> Any:
    """Return a list that a cell has as JSON, or the cell."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(cell) if cell.startswith("[") else cell
    return cell


def _results(task: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return what is drawn on a task's image, None where nobody has looked at it."""
    if "data" not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        return [each for some in lists for each in some if isinstance(each, dict)]
    done = [
        each
        for each in _values(task.get("annotations", task.get("completions")))
        if isinstance(each, dict) and not each.get("was_cancelled")
    ]
    if not done:
        return None
    best = next((each for each in done if each.get("ground_truth")), done[0])
    return [each for each in _values(best.get("result")) if isinstance(each, dict)]


def _image_of(data: Any) -> str | None:
    """Return the image that a task names; of uploaded ones only the last part of the path."""
    for value in _mapping(data).values():
        if isinstance(value, str):
            path, _, local = value.partition("?d=")
            name = unquote(local or path.partition("?")[0])
            if is_image(Path(name)):
                uploaded = "/upload/" in name or "://" in name
                return PurePosixPath(name).name if uploaded else name
    return None


def _shares(value: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[Sequence[float], str]:
    if turn := result.get("image_rotation"):
        raise ValueError(f"the image is turned by {turn} degrees in the tool")
    if "points" in value:
        return [float(each) / 100 for pair in value["points"] for each in pair], ""
    if "rectanglelabels" not in value:
        kind = next(key for key in value if key.endswith("labels")).removesuffix("labels")
        raise ValueError(f"a {kind} has no box")
    x, y, width, height = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    return (x, y, x + width, y + height), TURNED if value.get("rotation") else ""
