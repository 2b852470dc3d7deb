"""From one format of boxes to another: Pascal VOC, COCO, YOLO."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from common.errors import DataError
from common.files import fold_name, new_folder
from labs.detection.data import formats
from labs.detection.data.formats import FORMS, yolo
from labs.detection.records import NO_LABELS, Annotated, Picture, Reading


def convert(
    source: Path | str,
    destination: Path | str,
    form: str,
    copy_images: bool = True,
    reading: Reading = formats.AS_FOUND,
) -> str:
    """Write a data set in another format, with its splits; the source is only read.

    Boxes keep their place to half a pixel in VOC, whose coordinates are whole, and to 1e-6 of the
    image elsewhere. VOC has no outlines, and YOLO no crowds and no objects in several pieces;
    beside an outline, a box of YOLO has its four corners for one.

    Args:
        source: as `formats.read` takes it.
        destination: a folder that is new or empty; it is whole, or not there.
        form: `voc`, `coco` or `yolo`.
        copy_images: copy the images, too.
        reading: what is known of how to read the source.

    Returns:
        What was written, and what was lost, for the user.

    Raises:
        DataError: the source cannot be read, or the destination is not empty or is in the source.
        SaveError: the destination cannot be written.
    """
    found = formats.read(source, reading)
    target = Path(destination).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} is there and not empty; choose a new folder")
    if target.resolve().is_relative_to(found.root.resolve()):
        raise DataError(f"{target} is in the folder of the source; choose one elsewhere")
    with new_folder(target) as folder:
        _write(folder, found, form, copy_images)
    return _summary(found, target, form)


def _write(root: Path, found: Annotated, form: str, copy_images: bool) -> None:
    writer = FORMS[form]
    names = _names(found.pictures)
    writer.write(root, found, names)
    if not copy_images:
        return
    for part, pictures in found.parts.items():
        folder = root / writer.image_folder(part)
        folder.mkdir(parents=True, exist_ok=True)
        for picture in pictures:
            shutil.copyfile(picture.path, folder / names[picture.path])


def _names(pictures: Iterable[Picture]) -> dict[Path, str]:
    """Give each image a name of its own, also without its suffix, as label files need it."""
    names: dict[Path, str] = {}
    taken = set()
    for picture in pictures:
        if picture.path in names:
            continue
        place = PurePosixPath(picture.name)
        stems = [place.stem, "-".join((*place.parts[:-1], place.stem))]
        more = (f"{stems[1]}-{number}" for number in itertools.count(2))
        stem = next(stem for stem in itertools.chain(stems, more) if fold_name(stem) not in taken)
        taken.add(fold_name(stem))
        names[picture.path] = stem + place.suffix
    return names


def _summary(found: Annotated, target: Path, form: str) -> str:
    boxes = [box for picture in found.pictures for box in picture.boxes]
    crowds = sum(box.crowd for box in boxes) if form == "yolo" else 0
    outlines = sum(
        bool(box.polygons) and not (form == "yolo" and yolo.outline_of(box, picture))
        for picture in found.pictures
        for box in picture.boxes
        if not (form == "yolo" and box.crowd)
    )
    outlines = 0 if form == "coco" else outlines
    mixed = sum(
        not yolo.outline_of(box, picture)
        for picture in found.pictures
        if form == "yolo" and yolo.are_mixed(picture)
        for box in picture.boxes
        if not box.crowd
    )
    empty = len(set(range(len(found.classes))) - {box.label for box in boxes})
    kinds = Counter(each.kind for each in found.problems if each.kind != NO_LABELS)
    listed = ", ".join(f"{number:,} x {kind}" for kind, number in kinds.most_common())
    notes = (
        (crowds, "crowds were left out, which YOLO lacks"),
        (outlines, f"outlines were left out, which {form} has no place for: their boxes are there"),
        (mixed, "boxes beside outlines have their four corners for one"),
        (empty * (form == "voc"), "classes without a box were left out: VOC has no list of them"),
        (kinds.total(), f"problems in the source, which `data-check` lists ({listed})"),
    )
    lost = "".join(f"; {number:,} {what}" for number, what in notes if number)
    lost += "".join(f"; {note}" for note in found.notes)
    return (
        f"wrote {target} as {form}: {len(found.pictures):,} images, {len(boxes) - crowds:,} boxes, "
        f"{len(found.classes)} {'class' if len(found.classes) == 1 else 'classes'}{lost}"
    )
