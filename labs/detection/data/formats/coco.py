"""COCO: a JSON file for each split (Lin et al. 2014).

A box is x, y, width, height in pixels from 0 on. The category ids may have gaps: classes are
numbered in the order of the ids. `iscrowd` makes a box a crowd. Where every object is one, the file
is from a tool that marks masks so: they are taken as objects, and that is said. Boxes are those of
`bbox`, whatever `segmentation` holds; an outline that does not lie in its box is refused.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import DataError
from common.files import write_text
from common.images.listed import find_existing
from common.io.folders import relative_name
from labs.detection.data.formats.columns import pick_class
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import image_folder as image_folder
from labs.detection.data.formats.folders import (
    marks_in,
    part_of,
    read_json,
    short_name,
    split_by_folder,
    walk,
)
from labs.detection.data.formats.pictures import Pictures
from labs.detection.data.formats.units import are_shares, count_corners
from labs.detection.records import (
    BAD_BOX,
    BAD_CLASS,
    BAD_LABELS,
    BAD_OUTLINE,
    NO_IMAGE,
    SPLITS,
    TURNED,
    Annotated,
    Box,
    Picture,
    Problem,
    Reading,
    bounds,
    check_names,
    clamp,
)

_KEYS = ("images", "annotations", "categories")
_LOST = {  # what annotations have that boxes and outlines have no place for
    "masks": "masks as run lengths (RLE) are not read: their boxes are",
    "key points": "objects have key points, which are left out: their boxes are there",
    "rotation": TURNED,
}
_NUMBER = re.compile(r"\s*-?\d+(\.\d*)?(e[-+]?\d+)?\s*", re.IGNORECASE | re.ASCII)
_NEAR, _NEAR_SHARE = 2.0, 0.05  # pixels, and share of a box, that its outline may stick out
_TOLD = 0.9  # share of outlines and areas that say what boxes are
_LOOKED_AT = 3  # files of a folder that tell the others
_FEW = 20  # files of a split; of more, each is of one image
_SAME = (1.5, 0.01)  # pixels between edges, and share between areas, that are the same


def find(root: Path) -> dict[str, list[Path]]:
    """Return the JSON files of a folder by their splits; {} where there are none.

    They are in the folder or one below it; only where there are none, anywhere below.
    """
    near = [path for at in ("*.json", "*/*.json") for path in sorted(root.glob(at))]
    instances = [path for path in near if path.stem.startswith("instances")]  # beside captions
    found = list(filter(_is_coco, instances or near))
    if not found:
        found = _find_below(root)
    parts = defaultdict(list)
    for path in found:
        parts[part_of(path.relative_to(root).with_suffix("").parts)].append(path)
    return dict(parts)


def _find_below(root: Path) -> list[Path]:
    """Return the JSON files of folders whose first ones are COCO's: of LabelMe's, all are large."""
    folders = defaultdict(list)
    for path in walk(root):
        if path.suffix.lower() == ".json":
            folders[path.parent].append(path)
    some = (paths for paths in folders.values() if any(map(_is_coco, paths[:_LOOKED_AT])))
    return [path for paths in some for path in paths if _is_coco(path)]


def _is_coco(path: Path) -> bool:
    return {'"images"', '"annotations"'} <= marks_in(path)


def read(path: Path, reading: Reading) -> Annotated:
    """Read a JSON file, or the JSON files of a folder: one for each split, or one for each image.

    Raises:
        DataError: it is not COCO's JSON, two images have the same id, two files have the same
            image, or those of splits differ in their categories.
    """
    home, files = _files(path)
    root = home
    if reading.image_dir is not None:
        root = find_existing(Path(reading.image_dir), Path.is_dir, "folder")
    finder = Finder(root)
    problems: list[Problem] = []
    pictures = Pictures(root, problems)
    lost: Counter[str] = Counter()
    notes: list[str] = []
    sources = {
        part: [_open(file, home, notes, reading.form.encoding) for file in files[part]]
        for part in ("all", *SPLITS)
        if part in files
    }
    for part, some in sources.items():
        _check_apart(home, part, some)
        of_part = "" if part == "all" else f" of {part}"
        notes += [f"{len(some):,} JSON files{of_part} are read together"] if some[1:] else []
    every = [each for some in sources.values() for each in some]
    classes = _all_classes(home, every, len(sources))
    parts = {}
    for part, some in sources.items():
        _check_outlines(some)
        seen: set[Path] = set()
        sized: list[tuple[Box, int, int]] = []
        parts[part] = tuple(
            picture
            for source in some
            for picture in _pictures(source, classes, finder, pictures, problems, lost, seen, sized)
        )
        _check_units(some, sized)
    parts, said = _without_crowds_alone(parts)
    notes += said
    notes += [f"{number:,} {_LOST[what]}" for what, number in lost.items()]
    notes += pictures.notes()
    notes += finder.about_others(each.path for some in parts.values() for each in some)
    left_out: list[Problem] = []
    if list(parts) == ["all"]:
        parts, left_out = split_by_folder(parts["all"])
    said_once = tuple(dict.fromkeys(notes))
    return Annotated("coco", root, classes, parts, (*problems, *left_out), notes=said_once)


def _files(path: Path) -> tuple[Path, dict[str, list[Path]]]:
    """Return the folder of the files, and they by their splits.

    Raises:
        DataError: none of several is for training.
    """
    if not path.is_dir():
        folder = path.parent
        return folder.parent if folder.name.casefold() == "annotations" else folder, {"all": [path]}
    files = find(path)
    if "train" in files:
        return path, files
    if "all" in files and len(files) > 1:
        files["train"] = files.pop("all")
        return path, files
    if len(files) > 1:
        listed = ", ".join(file.name for some in files.values() for file in some[:1])
        raise DataError(f"{path}: found {listed}, but none with train in its name")
    [some] = files.values()
    return path, {"all": some}


class _Source(NamedTuple):
    file: Path
    home: Path  # the folder of the files
    part: str  # the split that its name tells
    content: Mapping[str, Any]
    classes: Mapping[Any, str]  # the name of each category id, in the order of the ids


def _open(file: Path, home: Path, notes: list[str], encoding: str | None) -> _Source:
    """Read a file."""
    content = _completed(read_json(file, notes, encoding))
    _check(file, content)
    place = file.relative_to(home)
    classes = _classes(file, content, notes)
    return _Source(file, home, part_of((*place.parts[:-1], file.stem)), content, classes)


def _completed(content: Any) -> Any:
    """Return what a file says of a single image as COCO says it.

    AI-Hub leaves out what is told by there being one: the list around the image, its id, and often
    the categories, of which the names stand in the annotations.
    """
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        return content
    image = content.get("images")
    image = image[0] if isinstance(image, list) and len(image) == 1 else image
    if not isinstance(image, dict):
        return content
    annotations = [
        {"image_id": image.get("id", 0), **each}
        for each in content["annotations"]
        if isinstance(each, dict)
    ]
    image = {"id": 0, **image}
    named = [_class_in(each) for each in annotations]
    if "categories" in content or not all(isinstance(name, str | int) for name in named):
        return {**content, "images": [image], "annotations": annotations}
    names = sorted(set(map(str, named)))
    annotations = [
        {**each, "category_id": names.index(str(name))}
        for each, name in zip(annotations, named, strict=True)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    return {"images": [image], "annotations": annotations, "categories": categories}


def _class_in(annotation: Mapping[str, Any]) -> Any:
    """Return the class that an annotation has by its name, None where it has none."""
    key = pick_class([*annotation])
    return None if key is None else annotation[key]


def _check_apart(home: Path, part: str, sources: Sequence[_Source]) -> None:
    """Refuse files of one split that are of the same images, such as two versions.

    Raises:
        DataError: they are.
    """
    where: dict[tuple[Path, str], Path] = {}
    several = len(sources) > _FEW  # one for each image, and folders may have equal names
    for source in sources if len(sources) > 1 else []:
        for entry in source.content["images"]:
            name = entry.get("file_name") if isinstance(entry, dict) else None
            key = source.file.parent if several else home, str(name)
            if where.setdefault(key, source.file) != source.file:
                raise DataError(
                    f"{home}: {where[key].name} and {source.file.name} are both for {part} and "
                    f"both have {name}; name one of them as --data, or rename them as train.json, "
                    "val.json and test.json"
                )


def _all_classes(home: Path, sources: Sequence[_Source], parts: int) -> tuple[str, ...]:
    """Return the names of the classes of all files, which may differ where each has an image.

    Raises:
        DataError: the files of splits differ.
    """
    first, *others = ([*source.classes.values()] for source in sources)
    if all(names == first for names in others):
        return check_names(first, sources[0].file)
    if len(sources) > parts:
        return check_names(sorted({name for names in (first, *others) for name in names}), home)
    file, names = next(
        (source.file, names)
        for source, names in zip(sources[1:], others, strict=True)
        if names != first
    )
    raise DataError(
        f"{file}: its categories are {', '.join(names)}, those of the other splits "
        f"{', '.join(first)}; they must be the same"
    )


def _without_crowds_alone(
    parts: dict[str, tuple[Picture, ...]],
) -> tuple[dict[str, tuple[Picture, ...]], list[str]]:
    """Take crowds for objects where there is nothing else, and say so."""
    boxes = [box for pictures in parts.values() for picture in pictures for box in picture.boxes]
    crowds = sum(box.crowd for box in boxes)
    if not crowds or crowds < len(boxes):
        return parts, []
    objects = {
        part: tuple(
            replace(picture, boxes=tuple(box._replace(crowd=False) for box in picture.boxes))
            for picture in pictures
        )
        for part, pictures in parts.items()
    }
    return objects, [
        f"all {crowds:,} objects have iscrowd 1, as some tools mark masks: they are taken as "
        "single objects"
    ]


def _check(path: Path, content: Any) -> None:
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected COCO's object with {', '.join(_KEYS)}, found a list")
    for key in _KEYS:
        if not isinstance(content.get(key), list):
            what = "has no list" if key in content else "lacks the list"
            raise DataError(f"{path} {what} {key!r}; COCO's JSON has {', '.join(_KEYS)}")


def _classes(path: Path, content: Mapping[str, Any], notes: list[str]) -> dict[Any, str]:
    """Return the name of each category id, in the order of the ids."""
    categories = content["categories"]
    try:
        names = {category["id"]: category["name"] for category in categories}
        ids = sorted(names)
        keys = [_key(each) for each in ids]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: each of 'categories' needs an id and a name ({error!r})"
        ) from error
    for key, name in names.items():
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise DataError(f"{path}: the category {key} is called {name!r}; expected a text")
    if len(set(keys)) < len(categories):
        raise DataError(f"{path}: two of 'categories' have the same id")
    headings = _headings(content)
    notes += (
        f"the category {names[each]} is a heading of others without a box, and no class"
        for each, key in zip(ids, keys, strict=True)
        if key in headings
    )
    kept = {
        key: str(names[each]) for each, key in zip(ids, keys, strict=True) if key not in headings
    }
    names_kept = check_names([*kept.values()], path) if kept else ()
    return dict(zip(kept, names_kept, strict=True))


def _headings(content: Mapping[str, Any]) -> set[Any]:
    """Return the ids of categories that only say what others are, as Roboflow puts one first."""
    categories = content["categories"]
    above = {
        each["supercategory"]
        for each in categories
        if isinstance(each.get("supercategory"), str) and each["supercategory"] not in ("", "none")
    }
    used = {
        _key(each.get("category_id"))
        for each in content["annotations"]
        if isinstance(each, dict) and isinstance(each.get("category_id"), Hashable)
    }
    return {
        _key(each["id"])
        for each in categories
        if each.get("supercategory") == "none"
        and each["name"] in above
        and _key(each["id"]) not in used
    }


def _key(identity: Any) -> Any:
    """Return an id by which others are found, be they numbers or texts of the same."""
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    number = isinstance(identity, int) and not isinstance(identity, bool)
    return str(identity) if number else identity


def _pictures(
    source: _Source,
    classes: Sequence[str],
    finder: Finder,
    pictures: Pictures,
    problems: list[Problem],
    lost: Counter[str],
    seen: set[Path],
    sized: list[tuple[Box, int, int]],
) -> Iterator[Picture]:
    """Yield the images of a file; what is wrong goes to the problems, what is not read to `lost`.

    Images go to `seen`, and to `sized` the boxes with the height and width of their images.

    Raises:
        DataError: two images have the same id.
    """
    where = relative_name(source.file, source.home)
    inside = source.file.is_relative_to(finder.root)
    near = source.file if inside else finder.root / source.file.name
    numbers = {key: classes.index(name) for key, name in source.classes.items()}
    boxes: dict[Any, list[tuple[str, Box]]] = defaultdict(list)
    for annotation in source.content["annotations"]:
        identity = annotation.get("id") if isinstance(annotation, dict) else None
        place = f"{where}: annotation {identity}"
        try:
            of, box = _box(annotation, numbers)
        except _UnknownClass as error:
            problems.append(Problem(place, BAD_CLASS, str(error)))
            continue
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            problems.append(Problem(place, BAD_BOX, _why(error)))
            continue
        lost.update(_not_read(annotation))
        try:
            box = box._replace(polygons=_outlines(annotation.get("segmentation"), box))
        except (TypeError, ValueError, OverflowError) as error:
            problems.append(Problem(place, BAD_OUTLINE, f"{error}; the box is bbox"))
        boxes[of].append((place, box))
    entries = list(_entries(source, where, problems))
    names = [finder.without_upload(entry["file_name"]) for entry in entries]
    asked = [Asked(name, near, source.part) for name in names]
    for entry, path in zip(entries, finder.find_all(asked), strict=True):
        mine = boxes.pop(_key(entry["id"]), [])
        place = f"{where}: image {entry['id']}"
        if isinstance(path, str):
            problems.append(Problem(place, NO_IMAGE, path))
        elif path in seen:
            problems.append(Problem(place, BAD_LABELS, f"{entry['file_name']} is listed twice"))
        else:
            seen.add(path)
            written = _size(entry)

            def given(
                *size: int,
                mine: list[tuple[str, Box]] = mine,
                written: tuple[int, int] = written,
            ) -> list[tuple[str, Box]]:
                height, width = written if all(written) else size
                sized.extend((box, height, width) for _, box in mine)
                return mine

            picture = pictures.make(path, given, written, place)
            yield from [picture] if picture else []
    for identity, rest in boxes.items():
        for place, _ in rest:
            problems.append(Problem(place, NO_IMAGE, f"image_id {identity} is not in images"))


def _entries(source: _Source, where: str, problems: list[Problem]) -> Iterator[Mapping[str, Any]]:
    """Yield those of `images` that have an id and a name.

    Raises:
        DataError: two images have the same id.
    """
    called: dict[Any, str] = {}
    for entry in source.content["images"]:
        try:
            identity, name = _key(entry["id"]), entry["file_name"]
            hash(identity)
            if not isinstance(name, str):
                raise TypeError(f"file_name is {name!r}, expected a text")
        except (KeyError, TypeError) as error:
            problems.append(Problem(where, BAD_LABELS, f"an entry of images: {_why(error)}"))
            continue
        if called.setdefault(identity, name) != name:
            raise DataError(
                f"{source.file}: the images {called[identity]} and {name} have the same id "
                f"{identity}, so nobody knows whose boxes are whose; give each an id of its own"
            )
        yield entry


def _size(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Return the height and width that an entry gives, 0 where it gives none."""
    values = (entry.get(side) for side in ("height", "width"))
    height, width = (
        int(value) if isinstance(value, int | float) and 0 < value < 1e9 else 0 for value in values
    )
    return height, width


def _check_units(sources: Sequence[_Source], every: Sequence[tuple[Box, int, int]]) -> None:
    """Refuse boxes that are shares of the image, or corners, where COCO has x, y, width, height.

    Args:
        sources: the files of a split.
        every: their boxes, with the height and width of the image, as written if they are.

    Raises:
        DataError: the boxes are so.
    """
    where = _called(sources)
    if are_shares([box[:4] for box, *_ in every]):
        raise DataError(
            f"{where}: all {len(every):,} bbox are within 0 to 1, shares of the image; COCO has "
            "pixels: multiply them by width and height"
        )
    if out := count_corners(every):
        raise DataError(
            f"{where}: {out:,} of {len(every):,} bbox stick out of their images, and all of them "
            "lie inside as x1, y1, x2, y2; COCO has x, y, width, height: convert them"
        )


def _called(sources: Sequence[_Source]) -> str:
    more = f" and {len(sources) - 1:,} more" if len(sources) > 1 else ""
    return f"{sources[0].file}{more}"


def _check_outlines(sources: Sequence[_Source]) -> None:
    """Refuse boxes that are corners by nearly all outlines and areas of the files of a split.

    Raises:
        DataError: the boxes are so.
    """
    every = [each for source in sources for each in source.content["annotations"]]
    annotations = [each for each in every if isinstance(each, dict)]
    outlines = [told for each in annotations if (told := _tells_corners(each)) is not None]
    areas = [told for each in annotations if (told := _measures_corners(each)) is not None]
    for what, votes, fewest in (("outlines", outlines, 1), ("areas", areas, 3)):
        if len(votes) >= fewest and sum(votes) >= _TOLD * len(votes):
            raise DataError(
                f"{_called(sources)}: {sum(votes):,} of {len(votes):,} {what} say that bbox is x1, "
                "y1, x2, y2; COCO has x, y, width, height: convert them"
            )
        if votes:
            return  # outlines tell best


def _tells_corners(annotation: Mapping[str, Any]) -> bool | None:
    """Say whether an outline lies in its bbox's corners; None where there is none."""
    try:
        x1, y1, third, fourth = _numbers(annotation.get("bbox"), "bbox")
        given = annotation["segmentation"]
        given = given if isinstance(given[0], list) else [given]
        values = [value for each in given for value in _numbers(each, "segmentation")]
        edges = bounds(values) if len(values) >= 6 else ()
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    if not edges:
        return None

    def is_near(corners: tuple[float, ...]) -> bool:
        return all(abs(a - b) <= _SAME[0] for a, b in zip(edges, corners, strict=True))

    as_sides = is_near((x1, y1, x1 + third, y1 + fourth))
    return is_near((x1, y1, third, fourth)) and not as_sides


def _measures_corners(annotation: Mapping[str, Any]) -> bool | None:
    """Say whether an area is that of the bbox's corners; None where there is none."""
    try:
        x1, y1, third, fourth = _numbers(annotation.get("bbox"), "bbox")
        [area] = _numbers([annotation["area"]], "area")
    except (KeyError, ValueError, OverflowError):
        return None
    if area <= 0 or third <= x1 or fourth <= y1:
        return False if area > 0 else None
    corners = (third - x1) * (fourth - y1)
    return abs(corners - area) <= _SAME[1] * area < abs(third * fourth - area)


class _UnknownClass(ValueError):
    pass


def _box(annotation: Any, numbers: Mapping[Any, int]) -> tuple[Any, Box]:
    """Return the id of the image, and the box without its outlines.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: something is missing, or is no number.
    """
    if not isinstance(annotation, dict):
        raise ValueError(f"expected an object with image_id, category_id and bbox: {annotation!r}")
    of, category = _key(annotation["image_id"]), _key(annotation["category_id"])
    values = _numbers(annotation["bbox"], "bbox")
    if len(values) != 4:
        raise ValueError(f"bbox has {len(values)} numbers, expected x, y, width, height")
    if category not in numbers:
        raise _UnknownClass(f"category_id {annotation['category_id']!r} is not in categories")
    hash(of)  # a list would be no id
    x, y, width, height = values
    crowd = annotation.get("iscrowd") in (1, True, "1")
    return of, Box(x, y, x + width, y + height, numbers[category], crowd)


def _numbers(values: Any, what: str) -> list[float]:
    """Return a list's numbers, which may be written as texts.

    Raises:
        ValueError, OverflowError: it is no list, or something in it is no number.
    """
    if not isinstance(values, list):
        raise ValueError(f"{what} is {values!r}, expected a list of numbers")
    for value in values:
        text = isinstance(value, str) and _NUMBER.fullmatch(value)
        if isinstance(value, bool) or not (text or isinstance(value, int | float)):
            raise ValueError(f"{what} has {value!r}, which is no number")
    return [float(value) for value in values]


def _outlines(segmentation: Any, box: Box) -> tuple[tuple[float, ...], ...]:
    """Return the outlines of an object; run lengths have none.

    Some tools write an outline as one flat list, or a box in place of one: what does not lie in the
    box, or has less than three points, is not an outline.

    Raises:
        ValueError, OverflowError: they are none.
    """
    if segmentation is None or isinstance(segmentation, dict):
        return ()
    if not isinstance(segmentation, list):
        raise ValueError(f"segmentation is {segmentation!r}, expected lists of x, y, x, y, ...")
    flat = bool(segmentation) and not isinstance(segmentation[0], list)
    outlines = [segmentation] if flat else [each for each in segmentation if each != []]
    return tuple(_outline(_numbers(each, "segmentation"), box) for each in outlines)


def _outline(values: list[float], box: Box) -> tuple[float, ...]:
    if len(values) % 2 or len(values) < 6:
        raise ValueError(
            f"segmentation has {len(values)} numbers, expected x, y of three points or more"
        )
    if not all(map(math.isfinite, values)):
        raise ValueError("segmentation has what is not a finite number")
    x1, y1, x2, y2 = bounds(values)
    beyond = max(box.x1 - x1, box.y1 - y1, x2 - box.x2, y2 - box.y2)
    side = max(box.x2 - box.x1, box.y2 - box.y1)
    if beyond > max(_NEAR, _NEAR_SHARE * side):
        raise ValueError(
            f"segmentation spans {x1:g} to {x2:g}, {y1:g} to {y2:g}, {beyond:g} pixels beyond bbox"
        )
    return tuple(values)


def _not_read(annotation: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an annotation has that nothing here has a place for."""
    if isinstance(annotation.get("segmentation"), dict):
        yield "masks"
    if annotation.get("keypoints"):
        yield "key points"
    attributes = annotation.get("attributes")
    if isinstance(attributes, dict) and attributes.get("rotation") not in (None, 0, "0", "0.0"):
        yield "rotation"


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
                values = _annotation(box, picture)
                annotations.append({"id": len(annotations) + 1, "image_id": identity, **values})
        stem = "instances" if part == "all" else f"instances_{short_name(part)}"
        content = {"images": images, "annotations": annotations, "categories": categories}
        text = json.dumps(content, ensure_ascii=False)
        write_text(root / "annotations" / f"{stem}.json", text)


def _annotation(box: Box, picture: Picture) -> dict[str, Any]:
    width, height = box.x2 - box.x1, box.y2 - box.y1
    return {
        "category_id": box.label + 1,
        "bbox": [box.x1, box.y1, width, height],
        "area": width * height,
        "iscrowd": int(box.crowd),
        "segmentation": [list(clamp(polygon, picture)) for polygon in box.polygons],
    }
