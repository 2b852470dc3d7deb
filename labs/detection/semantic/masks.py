"""Folders of images and of masks as people have them: which belong together, and what masks hold.

A mask is an image of the photo's size that says of each pixel what it is: a palette or grey PNG by
its value, or an RGB one by its color. It lies in a folder such as `masks`, `labels`, `annotations`,
`SegmentationClass` or `gtFine`, or beside its photo with an ending such as `_mask`. Of no pixel is
anything guessed: what is blurred, of another size, or in no legend is refused or left out by name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from common.errors import DataError
from common.files import fold_name
from common.images.decode import photo_turn
from common.io.folders import relative_name
from common.metrics.metrics import Array
from common.steps import track
from labs.detection.data.formats.finder import Asked, Finder
from labs.detection.data.formats.folders import (
    is_image,
    part_of,
    split_by_folder,
    split_by_lists,
    walk,
)
from labs.detection.data.formats.voc import find_lists
from labs.detection.records import (
    BAD_IMAGE,
    BAD_LABELS,
    NO_IMAGE,
    NO_LABELS,
    OTHER_SIZE,
    Annotated,
    Picture,
    Problem,
)
from labs.detection.semantic import legend as legends
from labs.detection.semantic.legend import Legend
from labs.detection.semantic.losses import VOID

Codes = npt.NDArray[np.int64]

_FOLDER = re.compile(
    r"(.*[\W_])?(masks?|labels?|lbls?|annotations?|gt|gtfine|gtcoarse|ground[\W_]?truths?|trimaps?|"
    r"segmentations?|targets?|마스크|라벨|정답)|segmentationclass\w*|.*(masks|annot)"
)
_OF_OBJECTS = re.compile(r"segmentationobject|(.*[\W_])?instances?([\W_].*)?")
_ENDING = re.compile(
    r"(.+?)[-_ ](masks?|labels?|lbl|gt|l|seg|segmentation|annotations?|trimap|ground_?truth|"
    r"gt(fine|coarse)_(labelids|labeltrainids)|labelids|labeltrainids|manual\d*)"
)
_NOT_CLASSES = re.compile(r".+_(color|instanceids|instancetrainids|polygons)")  # of Cityscapes
_BEGINNING = re.compile(r"(mask|label|gt)[-_ ](.+)")
_OF_PHOTOS = ("_leftImg8bit", "_sat", "_image", "_img", "_rgb")  # endings of photos beside masks
_BEFORE_PHOTOS = ("image_", "img_", "")
_KEEPING = (".png", ".bmp", ".tif", ".tiff", ".gif")  # formats that keep values as they are
_TURNS = {5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270}
_TURNS |= {7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}
_MANY = 64  # codes that no legend names: more of them are blurred masks, not classes
_MOST = VOID  # classes that a byte can number
_LISTED = 5


class Masks(NamedTuple):
    """Images with their masks."""

    annotated: Annotated  # the images in their parts, without boxes
    of: Mapping[Path, Path]  # the mask of each image
    legend: Legend


class Asking(NamedTuple):
    """What the user says of masks; what is None or empty is found out."""

    mask_dir: str | None = None
    legend: str | None = None
    void: tuple[str, ...] = ()
    encoding: str | None = None
    known: tuple[str, ...] = ()  # the classes of a run whose data the masks are to be like


class _Look(NamedTuple):
    """What a mask holds."""

    kind: str  # `palette`, `grey` or `color`
    values: frozenset[int]  # of palette and grey ones
    colors: frozenset[int]


def find(root: Path, mask_dir: str | None = None) -> list[Path]:
    """Return the files that may be masks: images in their folder, or called like masks.

    Raises:
        DataError: there is no such folder.
    """
    if mask_dir is not None:
        folder = next((each for each in (Path(mask_dir), root / mask_dir) if each.is_dir()), None)
        if folder is None:
            raise DataError(f"--mask-dir {mask_dir}: no such folder")
        return [file for file in walk(folder) if is_image(file)]
    files = [file for file in walk(root) if is_image(file)]
    stems = {fold_name(file.stem) for file in files}
    found = [file for file in files if _is_mask(file, root, stems)]
    return found if len(found) < len(files) else []  # a folder labels/ in which all photos lie


def _is_mask(file: Path, root: Path, stems: set[str]) -> bool:
    folders = [fold_name(piece) for piece in file.relative_to(root).parts[:-1]]
    if any(map(_OF_OBJECTS.fullmatch, folders)):
        return False
    if any(map(_FOLDER.fullmatch, folders)):
        return True
    ending = _ENDING.fullmatch(fold_name(file.stem))
    return ending is not None and ending[1] in stems


def read(root: Path, asking: Asking) -> Masks:
    """Read a folder with photos and masks, of which no photo is decoded yet.

    Raises:
        DataError: no mask can be used, or what they hold cannot be told.
        ConfigError: --void names nothing.
    """
    notes: list[str] = []
    problems: list[Problem] = []
    masks = find(root, asking.mask_dir)
    of = _pair(root, masks, problems)
    looks = {mask: look for mask in track(masks_of(of), "masks") if (look := _look(mask, problems))}
    of = {photo: mask for photo, mask in of.items() if mask in looks}
    if not of:
        listed = "".join(f"\n  - {place}: {kind}: {why}" for place, kind, why in problems[:_LISTED])
        raise DataError(f"{root}: no mask can be used{listed}")
    legend = _legend(root, asking, looks, notes)
    every = list(_pictures(root, of, problems, notes))
    if not every:
        listed = "".join(f"\n  - {place}: {kind}: {why}" for place, kind, why in problems[:_LISTED])
        raise DataError(f"{root}: no image can be used{listed}")
    about, lists = find_lists(list(walk(root)), root, every, asking.encoding, "Segmentation")
    parts, left_out = split_by_lists(lists, every) if lists else split_by_folder(every)
    annotated = Annotated(
        "masks",
        root,
        legend.classes,
        parts,
        (*problems, *left_out),
        f"{about} ({', '.join(lists)})" if lists else "",
        (legend.said, *notes),
    )
    return Masks(annotated, of, legend)


def masks_of(of: Mapping[Path, Path]) -> list[Path]:
    """Return the masks of images, each once."""
    return list(dict.fromkeys(of.values()))


# --- which belong together ----------------------------------------------------------------------


def _pair(root: Path, masks: Sequence[Path], problems: list[Problem]) -> dict[Path, Path]:
    """Return the mask of each photo; a photo without one, and a mask without a photo, are named."""
    ours = set(masks)
    photos = [
        file
        for file in walk(root)
        if is_image(file)
        and file not in ours
        and not any(
            _OF_OBJECTS.fullmatch(fold_name(piece)) for piece in file.relative_to(root).parts[:-1]
        )
    ]
    finder = Finder(root, photos)
    usable = _without_others(masks)
    asked = [_asked(mask, root, finder) for mask in usable]
    of: dict[Path, Path] = {}
    for mask, photo in zip(usable, finder.find_all(asked), strict=True):
        place = _place(mask, root)
        if isinstance(photo, str):
            problems.append(Problem(place, NO_IMAGE, photo))
        elif photo in of:
            problems.append(Problem(place, BAD_LABELS, f"a second mask of {photo.name}"))
        else:
            of[photo] = mask
    folders = {photo.parent for photo in of}
    problems += [
        Problem(relative_name(photo, root), NO_LABELS, "no mask, so it is left out")
        for photo in photos
        if photo not in of and photo.parent in folders
    ]
    return of


def _place(mask: Path, root: Path) -> str:
    """Return how a mask is called, below the folder of the data or elsewhere."""
    return relative_name(mask, root) if mask.is_relative_to(root) else mask.name


def _without_others(masks: Sequence[Path]) -> list[Path]:
    """Leave out what lies beside Cityscapes' masks of classes: colors, objects, other numbers."""
    stems = {mask.with_name(fold_name(mask.stem)) for mask in masks}
    found = []
    for mask in masks:
        stem = fold_name(mask.stem)
        base = re.sub(r"_(labelids|labeltrainids|color|instanceids|instancetrainids)$", "", stem)
        ids, train_ids = (mask.with_name(f"{base}_{end}") for end in ("labelids", "labeltrainids"))
        beside = ids in stems or train_ids in stems
        other = _NOT_CLASSES.fullmatch(stem) or (stem.endswith("_labelids") and train_ids in stems)
        if not (beside and other):
            found.append(mask)
    return found


def _asked(mask: Path, root: Path, finder: Finder) -> Asked:
    """Return what a mask says of its photo's name: its own, without what says that it is a mask."""
    near = mask if mask.is_relative_to(root) else root / mask.name
    part = part_of(PurePosixPath(relative_name(near, root)).parts[:-1])
    stem, names = mask.stem, [mask.stem]
    if match := re.fullmatch(_ENDING.pattern, stem, re.IGNORECASE):
        names += [match[1], *(f"{match[1]}{ending}" for ending in _OF_PHOTOS)]
    if match := re.fullmatch(_BEGINNING.pattern, stem, re.IGNORECASE):
        names += [f"{before}{match[2]}" for before in _BEFORE_PHOTOS]
    names += [f"{stem}{ending}" for ending in _OF_PHOTOS]
    known = next((name for name in names if finder.knows(f"{name}.*")), stem)
    return Asked(f"{known}.*", near, part, parallel=True)


def _pictures(
    root: Path, of: dict[Path, Path], problems: list[Problem], notes: list[str]
) -> Iterable[Picture]:
    """Yield the photos whose mask has their size; the others are named, and lose their masks."""
    unsure = []  # that EXIF turns, of which a mask of the stored pixels has the same size
    for photo, mask in list(of.items()):
        name, found = relative_name(photo, root), photo_turn(photo)
        if isinstance(found, str):
            problems.append(Problem(name, BAD_IMAGE, found))
            del of[photo]
            continue
        height, width, turn = found
        with Image.open(mask) as file:
            size = file.height, file.width
        lying = turn in _TURNS and size == (width, height)
        if size != (height, width) and not lying:
            detail = (
                f"the mask has {size[1]} x {size[0]} pixels, the image {width} x {height}; left out"
            )
            problems.append(Problem(name, OTHER_SIZE, detail))
            del of[photo]
            continue
        if turn != 1 and (turn not in _TURNS or height == width):
            unsure.append(name)
        yield Picture(photo, name, height, width, ())
    if unsure:
        names = legends.listed(unsure, _LISTED)
        notes.append(f"masks are taken for upright, though EXIF turns the photos {names}")


# --- what they hold -----------------------------------------------------------------------------


def _look(mask: Path, problems: list[Problem]) -> _Look | None:
    """Return what a mask holds; None where it cannot be used, and is named."""
    if mask.suffix.lower() not in _KEEPING:
        why = (
            f"{mask.suffix} blurs the values of pixels, so that none is certain; save masks as PNG "
            "from where they were drawn"
        )
        problems.append(Problem(mask.name, BAD_LABELS, why))
        return None
    try:
        with Image.open(mask) as file:
            if file.mode == "P":
                values = np.unique(np.asarray(file))
                colors = np.unique(_numbered(np.asarray(file.convert("RGB"))))
                return _Look("palette", _set(values), _set(colors))
            if file.mode in ("1", "L", "I", "I;16", "I;16B"):
                values = np.unique(np.asarray(file).astype(np.int64))
                return _Look("grey", _set(values), _set(values * 65793))
            if file.mode not in ("RGB", "RGBA", "LA"):
                problems.append(Problem(mask.name, BAD_LABELS, f"pixels of mode {file.mode}"))
                return None
            colors = np.unique(_numbered(np.asarray(file.convert("RGB"))))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        problems.append(Problem(mask.name, BAD_LABELS, f"cannot be read: {error}"))
        return None
    if (colors % 65793 == 0).all():
        return _Look("grey", _set(colors // 65793), _set(colors))
    return _Look("color", frozenset(), _set(colors))


def _numbered(pixels: npt.NDArray[np.uint8]) -> Codes:
    """Return colors (H, W, 3) as one number each."""
    return np.asarray(pixels.astype(np.int64) @ np.array([65536, 256, 1]))


def _set(values: npt.NDArray[np.generic]) -> frozenset[int]:
    return frozenset(values.tolist())


def _legend(root: Path, asking: Asking, looks: Mapping[Path, _Look], notes: list[str]) -> Legend:
    """Return what the codes of masks stand for.

    Raises:
        DataError: they are blurred, are in no legend, or there is nothing to tell apart.
    """
    path = Path(asking.legend).expanduser() if asking.legend else legends.find(root)
    given = legends.read(path, asking.encoding, notes) if path else None
    void = legends.parse_void(asking.void, given.names if given else {}) if asking.void else None
    in_color = any(look.kind == "color" for look in looks.values())
    if given is not None:
        legend = _fitting(given, looks, in_color)
        if void is not None:
            kept = {code: name for code, name in legend.names.items() if code not in void}
            legend = legend._replace(names=kept, void=void)
        legend = _refuse_unknown(legend, looks, asking)
    else:
        seen = frozenset[int]().union(
            *(look.colors if in_color else look.values for look in looks.values())
        )
        _refuse_blurred(seen, in_color, looks)
        if in_color:
            legend = legends.of_colors(seen, void)
        else:
            palette = any(look.kind == "palette" for look in looks.values())
            legend = legends.of_values(seen, palette, void, asking.known)
    if not (1 if asking.known else 2) <= len(legend.classes) <= _MOST:
        raise DataError(
            f"{root}: the masks have {len(legend.classes)} class(es) ({legend.said}); expected 2 "
            f"to {_MOST}"
        )
    return legend


def _fitting(given: Legend, looks: Mapping[Path, _Look], in_color: bool) -> Legend:
    """Return a legend of colors by its order, where masks hold numbers of its lines."""
    if not given.colors or in_color:
        return given
    colors = frozenset[int]().union(*(look.colors for look in looks.values()))
    if colors <= set(given.names) | given.void:
        return given
    order = given.order
    values = frozenset[int]().union(*(look.values for look in looks.values()))
    if max(values - {VOID}, default=0) >= len(order):
        return given
    names = {at: given.names[code] for at, code in enumerate(order) if code in given.names}
    void = frozenset(at for at, code in enumerate(order) if code in given.void) | {VOID}
    said = f"{given.said}, by its order from 0 on: the masks hold numbers, not colors"
    return Legend(names, False, void, said)


def _refuse_unknown(legend: Legend, looks: Mapping[Path, _Look], asking: Asking) -> Legend:
    """Refuse codes that a legend does not name; 255 beside values is void, as in Pascal VOC."""
    colored = next((mask for mask, look in looks.items() if look.kind == "color"), None)
    if colored is not None and not legend.colors:
        seen = legends.listed(map(legends.hex_of, sorted(looks[colored].colors)), _LISTED)
        raise DataError(
            f"the legend gives classes numbers, and {colored.name} has colors ({seen}): "
            "write the color of each class in it, a line such as road,128,64,128"
        )
    known = set(legend.names) | legend.void
    unknown: dict[int, Path] = {}
    for mask, look in looks.items():
        for code in (look.colors if legend.colors else look.values) - known:
            unknown.setdefault(code, mask)
    if not legend.colors and set(unknown) == {VOID} and not asking.void:
        said = f"{legend.said}; 255, which it does not name, is void"
        return legend._replace(void=legend.void | {VOID}, said=said)
    if unknown:
        places = (
            f"{legends.hex_of(code) if legend.colors else code} in {unknown[code].name}"
            for code in sorted(unknown)
        )
        listed = legends.listed(places, _LISTED)
        why = "; so many are edges that were smoothed" if len(unknown) > _MANY else ""
        raise DataError(
            f"the legend does not name what masks hold: {listed}{why}; add it, or give it "
            "with --void"
        )
    return legend


def _refuse_blurred(seen: frozenset[int], in_color: bool, looks: Mapping[Path, _Look]) -> None:
    """Refuse masks whose edges were smoothed, as scaling does: what lies between is no class.

    Raises:
        DataError: there are too many codes, or some lie on edges between others alone.
    """
    what = "colors" if in_color else "values"
    whole = (
        not in_color
        and seen <= set(range(_MOST + 1))
        and max(seen - {VOID}, default=0) < 2 * (len(seen))
    )
    if len(seen) > _MANY and not whole:
        raise DataError(
            f"the masks have {len(seen):,} {what}, which are no classes but smoothed edges, or a "
            "photo: save them without smoothing (scaled by the nearest pixel, as PNG), or name "
            "their classes with --legend"
        )
    if whole or len(seen) < 3:
        return
    if between := _on_edges_alone(seen, in_color, looks):
        listed = ", ".join(
            legends.hex_of(code) if in_color else str(code) for code in between[:_LISTED]
        )
        raise DataError(
            f"the {what} {listed} of masks are only on edges between others, as smoothing makes "
            "them: save masks without it (scaled by the nearest pixel), or name all classes with "
            "--legend"
        )


def _on_edges_alone(
    seen: frozenset[int], in_color: bool, looks: Mapping[Path, _Look], most: int = 50
) -> list[int]:
    """Return codes of which no mask has a spot of 3x3 pixels, though others have."""
    from scipy import ndimage

    thin = set(seen)
    for mask in list(looks)[:most]:
        codes = codes_of(mask, in_color)
        low, high = (
            each(codes, size=3) for each in (ndimage.minimum_filter, ndimage.maximum_filter)
        )
        thin -= set(np.unique(codes[low == high]).tolist())
    return sorted(thin) if len(seen) - len(thin) >= 2 else []


def codes_of(mask: Path, colors: bool) -> Codes:
    """Return the codes of a mask's pixels, int64 (H, W): its values, or its colors as numbers."""
    with Image.open(mask) as file:
        if colors:
            return _numbered(np.asarray(file.convert("RGB")))
        if file.mode in ("P", "1", "L", "I", "I;16", "I;16B"):
            return np.asarray(file).astype(np.int64)
        return _numbered(np.asarray(file.convert("RGB"))) // 65793


def classes_of(
    mask: Path, legend: Legend, numbers: Mapping[str, int], size: tuple[int, int], turn: int = 1
) -> Array:
    """Return the classes of a mask's pixels, uint8 (H, W), of its upright photo.

    Args:
        mask: the file.
        legend: what its codes stand for; those that are void, or that it does not know, are void.
        numbers: of classes, by their names.
        size: height and width of the upright photo.
        turn: EXIF's orientation of the photo.
    """
    codes = codes_of(mask, legend.colors)
    known, places = np.unique(codes, return_inverse=True)
    names = (legend.names.get(code) for code in known.tolist())
    table = np.array([VOID if name is None else numbers[name] for name in names], np.uint8)
    found: Array = table[places].reshape(codes.shape)
    if found.shape != size and turn in _TURNS:
        found = np.array(Image.fromarray(found).transpose(_TURNS[turn]))
    return found
