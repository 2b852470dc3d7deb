"""COCO: a JSON file for each split (Lin et al. 2014).

A box is x, y, width, height in pixels from 0 on. The category ids may have gaps: classes are
numbered in the order of the ids. `iscrowd` makes a box a crowd.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.files import write_text
from common.images.decode import photo_size
from common.images.folders import relative_name
from common.io.tables import read_text
from labs.detection.data.formats.folders import Finder, part_of, short_name
from labs.detection.data.formats.folders import image_folder as image_folder
from labs.detection.records import (
    BAD_BOX,
    BAD_CLASS,
    BAD_IMAGE,
    BAD_LABELS,
    NO_IMAGE,
    OTHER_SIZE,
    SPLITS,
    Annotated,
    Box,
    Picture,
    Problem,
    check_boxes,
    check_names,
)

_KEYS = ("images", "annotations", "categories")


def find(root: Path) -> dict[str, Path]:
    """Return the JSON files of a folder by their splits; {} where there are none.

    Raises:
        DataError: two files are for one split.
    """
    paths = [path for at in ("*.json", "*/*.json") for path in sorted(root.glob(at))]
    instances = [path for path in paths if path.stem.startswith("instances")]  # beside captions
    found: dict[str, Path] = {}
    for path in instances or paths:
        data = path.read_bytes()  # to parse it would take seconds where it is large
        if not (b'"images"' in data and b'"annotations"' in data):
            continue
        part = part_of(path.relative_to(root).with_suffix("").parts)
        if part in found:
            raise DataError(
                f"{root}: {found[part].name} and {path.name} are both for {part}; name one of them "
                "as --data, or rename them as train.json, val.json and test.json"
            )
        found[part] = path
    return found


def read(path: Path) -> Annotated:
    """Read a JSON file, or the JSON files of a folder.

    Raises:
        DataError: it is not COCO's JSON, two images have the same id, or the files differ in their
            categories.
    """
    if path.is_dir():
        root, files = path, find(path)
    else:
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        files = {"all": path}
    if "train" not in files:
        if "all" in files and len(files) > 1:
            files["train"] = files.pop("all")
        elif len(files) > 1:
            listed = ", ".join(file.name for file in files.values())
            raise DataError(f"{root}: found {listed}, but none with train in its name")
        else:
            files = dict(zip(["all"], files.values(), strict=False))
    finder = Finder(root)
    problems: list[Problem] = []
    classes: tuple[str, ...] = ()
    parts = {}
    for part, file in sorted(files.items(), key=lambda item: ("all", *SPLITS).index(item[0])):
        content = _content(file)
        _check(file, content)
        numbers, here = _classes(file, content["categories"])
        if classes and here != classes:
            raise DataError(
                f"{file}: its categories are {', '.join(here)}, those of the other splits "
                f"{', '.join(classes)}; they must be the same"
            )
        classes = here
        parts[part] = tuple(_pictures(file, part, content, numbers, finder, problems))
    return Annotated("coco", root, classes, parts, tuple(problems))


def _content(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def _check(path: Path, content: Any) -> None:
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected COCO's object with {', '.join(_KEYS)}, found a list")
    for key in _KEYS:
        if not isinstance(content.get(key), list):
            what = "has no list" if key in content else "lacks the list"
            raise DataError(f"{path} {what} {key!r}; COCO's JSON has {', '.join(_KEYS)}")


def _classes(path: Path, categories: Sequence[Any]) -> tuple[dict[Any, int], tuple[str, ...]]:
    """Return the number of each category id, and the names."""
    try:
        names = {category["id"]: str(category["name"]) for category in categories}
        ids = sorted(names)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: each of 'categories' needs an id and a name ({error!r})"
        ) from error
    if len(ids) < len(categories):
        raise DataError(f"{path}: two of 'categories' have the same id")
    return {key: at for at, key in enumerate(ids)}, check_names([names[key] for key in ids], path)


def _pictures(
    file: Path,
    part: str,
    content: Mapping[str, Any],
    numbers: Mapping[Any, int],
    finder: Finder,
    problems: list[Problem],
) -> Iterator[Picture]:
    """Yield the images of a file; what is wrong goes to the problems.

    Raises:
        DataError: two images have the same id.
    """
    where = relative_name(file, finder.root)
    boxes = defaultdict(list)
    for annotation in content["annotations"]:
        identity = annotation.get("id") if isinstance(annotation, dict) else None
        place = f"{where}: annotation {identity}"
        try:
            of, box = _box(annotation, numbers)
        except _UnknownClass as error:
            problems.append(Problem(place, BAD_CLASS, str(error)))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            problems.append(Problem(place, BAD_BOX, _why(error)))
        else:
            boxes[of].append((place, box))

    seen: set[Path] = set()
    called: dict[Any, str] = {}
    for entry in content["images"]:
        try:
            identity, name = entry["id"], str(entry["file_name"])
            mine = boxes.pop(identity, [])
        except (KeyError, TypeError) as error:
            problems.append(Problem(where, BAD_LABELS, f"an entry of images: {_why(error)}"))
            continue
        if called.setdefault(identity, name) != name:
            raise DataError(
                f"{file}: the images {called[identity]} and {name} have the same id {identity}, so "
                "nobody knows whose boxes are whose; give each an id of its own"
            )
        place = f"{where}: image {identity}"
        path = finder.find(name, file, part)
        if path is None:
            problems.append(Problem(place, NO_IMAGE, name))
            continue
        if path in seen:
            problems.append(Problem(place, BAD_LABELS, f"{name} is listed twice"))
            continue
        seen.add(path)
        size = photo_size(path)
        if isinstance(size, str):
            problems.append(Problem(relative_name(path, finder.root), BAD_IMAGE, size))
            continue
        written = entry.get("height"), entry.get("width")
        if all(written) and written != size:
            detail = "written {1} x {0}, is {3} x {2} pixels".format(*written, *size)
            problems.append(Problem(place, OTHER_SIZE, detail))
        kept, wrong = check_boxes(mine, *size)
        problems += wrong
        yield Picture(path, relative_name(path, finder.root), *size, kept)
    for identity, rest in boxes.items():
        for place, _ in rest:
            problems.append(Problem(place, NO_IMAGE, f"image_id {identity} is not in images"))


class _UnknownClass(ValueError):
    pass


def _box(annotation: Any, numbers: Mapping[Any, int]) -> tuple[Any, Box]:
    """Return the id of the image, and the box.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: something is missing, or is no number.
    """
    of, category = annotation["image_id"], annotation["category_id"]
    x, y, width, height = map(float, annotation["bbox"])
    if category not in numbers:
        raise _UnknownClass(f"category_id {category} is not in categories")
    outlines = annotation.get("segmentation")
    polygons = (
        tuple(tuple(map(float, outline)) for outline in outlines)
        if isinstance(outlines, list)
        else ()  # a crowd's run lengths
    )
    crowd = bool(annotation.get("iscrowd", 0))
    hash(of)  # a list would be no id
    return of, Box(x, y, x + width, y + height, numbers[category], crowd, polygons)


def _why(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def write(root: Path, found: Annotated, names: Mapping[Path, str]) -> None:
    """Write a JSON file for each split to `annotations`; `names` are below `image_folder`."""
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(found.classes)]
    for part, pictures in found.parts.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for identity, picture in enumerate(pictures, 1):
            size = {"height": picture.height, "width": picture.width}
            images.append({"id": identity, "file_name": names[picture.path], **size})
            for box in picture.boxes:
                values = _annotation(box)
                annotations.append({"id": len(annotations) + 1, "image_id": identity, **values})
        stem = "instances" if part == "all" else f"instances_{short_name(part)}"
        content = {"images": images, "annotations": annotations, "categories": categories}
        text = json.dumps(content, ensure_ascii=False)
        write_text(root / "annotations" / f"{stem}.json", text)


def _annotation(box: Box) -> dict[str, Any]:
    width, height = box.x2 - box.x1, box.y2 - box.y1
    return {
        "category_id": box.label + 1,
        "bbox": [box.x1, box.y1, width, height],
        "area": width * height,
        "iscrowd": int(box.crowd),
        "segmentation": [list(polygon) for polygon in box.polygons],
    }
