"""The data of detection: images with boxes, letterboxed to a square."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from common import jobs
from common.data import Padded, Ragged

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
