"""What is wrong with images and boxes, told before a training is wasted on them.

Everything is only read.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common.files import replace_surrogates
from common.images import decode
from common.io.folders import relative_name
from labs.detection.data import formats
from labs.detection.data.formats.folders import identify, is_image, walk
from labs.detection.records import BAD_IMAGE, SPLITS, Annotated, Picture, Problem, Reading

NO_BOXES = "class without boxes"
SAME_IMAGE = "duplicate image"
TWO_SPLITS = "image in two splits"
UNUSED = "image not used"
BARE = "split without boxes"


class Checked(NamedTuple):
    """What was found."""

    problems: list[dict[str, str]]  # `problem`, `place` and `detail` of each
    counts: list[dict[str, Any]]  # a row for each class, its boxes by split, and one for all
    summary: str  # how much there is, and how many problems of each kind


def check(path: Path | str, reading: Reading = formats.AS_FOUND) -> Checked:
    """Check a YOLO data.yaml, a COCO JSON, a table or a folder; every image is decoded.

    Raises:
        DataError: it is no data set at all.
    """
    found = formats.read(path, reading)
    problems = [
        *found.problems,
        *_unreadable(found),
        *_copies(found),
        *_unused(found),
        *_empty_classes(found),
        *_bare_splits(found),
    ]
    rows = [
        {"problem": kind, "place": replace_surrogates(place), "detail": replace_surrogates(why)}
        for place, kind, why in problems
    ]
    rows.sort(key=lambda row: (row["problem"], row["place"]))
    return Checked(rows, _counts(found), _summary(found, problems))


def _pictures(found: Annotated) -> dict[Path, Picture]:
    return {picture.path: picture for picture in found.pictures}


def _unreadable(found: Annotated) -> Iterator[Problem]:
    """Yield the images whose headers are right, and whose pixels are not."""
    pictures = _pictures(found)
    results = decode.photos(pictures, lambda photo: None)
    for picture, why in zip(pictures.values(), results, strict=True):
        if why is not None:
            yield Problem(picture.name, BAD_IMAGE, why)


def _copies(found: Annotated) -> Iterator[Problem]:
    """Yield the images that are there twice, byte for byte, and those that are in two splits."""
    pictures = _pictures(found)
    by_bytes = defaultdict(list)
    for path, key in identify(pictures).items():
        by_bytes[key].append(pictures[path])
    splits = defaultdict(list)
    for part, members in found.parts.items():
        for picture in members:
            splits[picture.path].append(part)
    for first, *others in by_bytes.values():
        for picture in others:
            yield Problem(picture.name, SAME_IMAGE, f"the same bytes as {first.name}")
        parts = {part for picture in (first, *others) for part in splits[picture.path]}
        if len(parts) > 1:
            listed = ", ".join(part for part in SPLITS if part in parts)
            yield Problem(first.name, TWO_SPLITS, listed)


def _unused(found: Annotated) -> Iterator[Problem]:
    """Yield the images below the folder that no label file and no split leads to."""
    used = {path.resolve() for path in _pictures(found)}
    told = {problem.place for problem in found.problems}
    for path in filter(is_image, walk(found.root)):
        name = relative_name(path, found.root)
        if path.resolve() not in used and name not in told:
            yield Problem(name, UNUSED, "in no split, or no label file leads to it")


def _empty_classes(found: Annotated) -> Iterator[Problem]:
    boxes = Counter(box.label for picture in _pictures(found).values() for box in picture.boxes)
    for number, name in enumerate(found.classes):
        if not boxes[number]:
            yield Problem(name, NO_BOXES, f"class {number}")


def _bare_splits(found: Annotated) -> Iterator[Problem]:
    """Yield the splits on which nothing could be measured, as of competitions."""
    for part in found.bare_parts:
        yield Problem(part, BARE, f"{len(found.parts[part]):,} images, which training leaves out")


def _counts(found: Annotated) -> list[dict[str, Any]]:
    boxes = {
        part: Counter(box.label for picture in pictures for box in picture.boxes)
        for part, pictures in found.parts.items()
    }
    rows = [
        {"class": name, **{part: count[number] for part, count in boxes.items()}}
        for number, name in enumerate(found.classes)
    ]
    return [*rows, {"class": "(all)", **{part: count.total() for part, count in boxes.items()}}]


def _summary(found: Annotated, problems: list[Problem]) -> str:
    boxes = sum(len(picture.boxes) for picture in found.pictures)
    kinds_of_boxes = {
        "with an outline": sum(bool(box.polygons) for each in found.pictures for box in each.boxes),
        "crowds": sum(box.crowd for picture in found.pictures for box in picture.boxes),
    }
    some = ", ".join(f"{number:,} {what}" for what, number in kinds_of_boxes.items() if number)
    some = f" ({some})" if some else ""
    empty = sum(not picture.boxes for picture in found.pictures)
    parts = ", ".join(f"{part} {len(pictures):,}" for part, pictures in found.parts.items())
    parts += f", by {found.lists}" if found.lists else ""
    kinds = Counter(problem.kind for problem in problems).most_common()
    listed = ": " + ", ".join(f"{number:,} x {kind}" for kind, number in kinds) if kinds else ""
    return (
        f"{found.form}: {len(found.pictures):,} images ({parts}), {boxes:,} boxes{some}, "
        f"{empty:,} images without a box; {len(problems):,} problems{listed}"
        f"{''.join(f'; {note}' for note in found.notes)}; no file was changed"
    )
