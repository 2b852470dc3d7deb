"""Windows of images: those of objects, those of none, and all of them at all sizes.

An object is a square around the middle of its box, a little larger than its longer side: what a
window of one shape can look at. An image is shrunk step by step, and the same window is slid over
each size of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import box_iou

from common.metrics.metrics import Array
from labs.detection.cascade.features import WINDOW, deviations, integral
from labs.detection.data.load import BoxSet

MARGIN = 1.15  # side of an object's square over the longer side of its box
STEP = 1.2  # from a size of the image to the next
STRIDE = 2  # pixels from a window to the next
APART = 0.3  # IoU with every object's square below which a window shows none

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_JITTER = 0.06  # of its side by which an object's square is moved and scaled to train with
_COPIES = 1  # of each object in training, beside itself


@dataclass(frozen=True)
class Level:
    """An image at one size, ready to be searched.

    Attributes:
        grey: uint8 (H, W).
        scale: pixels of the image for a pixel of this.
    """

    grey: Array
    scale: float

    @cached_property
    def sums(self) -> Array:
        """Its integral image, (H + 1, W + 1)."""
        return integral(self.grey)

    @cached_property
    def spread(self) -> Array:
        """The deviation under each window, (H - side + 1, W - side + 1)."""
        return deviations(self.grey).astype(np.float32)

    @cached_property
    def places(self) -> Array:
        """Row and column of the upper left corner of each window, (n, 2)."""
        rows, columns = (np.arange(0, side - WINDOW + 1, STRIDE) for side in self.grey.shape)
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)

    def squares(self, places: Array) -> Array:
        """Return windows as boxes in pixels of the image, (n, 4)."""
        corners = places[:, ::-1].astype(np.float64)
        return np.concatenate([corners, corners + WINDOW], 1) * self.scale

    def windows(self, places: Array) -> Array:
        """Return the pixels of windows, uint8 (n, side, side)."""
        view = np.lib.stride_tricks.sliding_window_view(self.grey, (WINDOW, WINDOW))
        return np.ascontiguousarray(view[places[:, 0], places[:, 1]])


@dataclass(frozen=True)
class Picture:
    """An image as a cascade sees it, with its objects.

    Attributes:
        grey: uint8 (S, S).
        squares: (n, 4) of its objects.
        crowds: (m, 4) squares where finding something costs nothing.
        levels: the sizes at which it is searched.
    """

    grey: Array
    squares: Array
    crowds: Array
    levels: Sequence[Level]

    def overlaps(self, boxes: Array) -> Array:
        """Return the largest IoU of boxes (n, 4) with the square of any object or crowd, (n,)."""
        both = np.concatenate([self.squares, self.crowds])
        if not len(both):
            return np.zeros(len(boxes))
        ious = box_iou(torch.from_numpy(boxes), torch.from_numpy(both))
        return np.asarray(ious.amax(1).numpy())


def to_squares(boxes: Tensor) -> Array:
    """Return the squares of boxes (n, 4 or more), (n, 4)."""
    corners = boxes[:, :4].double()
    middle = (corners[:, :2] + corners[:, 2:]) / 2
    half = MARGIN / 2 * (corners[:, 2:] - corners[:, :2]).amax(1, keepdim=True)
    return torch.cat([middle - half, middle + half], 1).numpy()


def span(train: BoxSet) -> tuple[float, float]:
    """Return the smallest and the largest side of an object's square that is looked for, in pixels.

    They leave out a hundredth of the training objects at either end.
    """
    squares = to_squares(train.boxes.values)
    low, high = np.quantile(squares[:, 2] - squares[:, 0], (0.01, 0.99))
    return max(float(low), WINDOW / 4), float(high)


def picture(images: BoxSet, row: int, sides: tuple[float, float]) -> Picture:
    """Return an image of a split with the sizes at which its objects fit the window."""
    pixels, boxes = images.image(row).numpy(), images.boxes[row]
    grey = np.rint(np.moveaxis(pixels, 0, -1) @ _LUMA).astype(np.uint8)
    crowd = boxes[:, 5] > 0
    return Picture(
        grey, to_squares(boxes[~crowd]), to_squares(boxes[crowd]), tuple(_levels(grey, sides))
    )


def _levels(grey: Array, sides: tuple[float, float]) -> Iterator[Level]:
    low, high = sides
    scale = low / WINDOW
    while scale * WINDOW <= high * STEP:
        shape = [round(side / scale) for side in grey.shape]
        if min(shape) < WINDOW:
            return
        yield Level(_resized(grey, (shape[1], shape[0])), grey.shape[0] / shape[0])
        scale *= STEP


def _resized(grey: Array, size: tuple[int, int]) -> Array:
    return np.array(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))


def objects(pictures: Sequence[Picture], generator: np.random.Generator | None) -> Array:
    """Return the windows of the objects of pictures, uint8 (n, side, side).

    Args:
        pictures: images.
        generator: draws how further copies of each are moved and scaled; None for no copies.
    """
    found = []
    for each in pictures:
        edge = each.grey.shape[0]
        wide = np.pad(each.grey, edge // 2, "edge")
        shown = Image.fromarray(wide)
        for x1, y1, x2, y2 in each.squares + edge // 2:
            side = x2 - x1
            copies = [(0.0, 0.0, 1.0)]
            if generator is not None:
                moves = generator.uniform(-_JITTER, _JITTER, (_COPIES, 3))
                copies += [(dx, dy, 1 + growth) for dx, dy, growth in moves.tolist()]
            for dx, dy, growth in copies:
                x, y = (x1 + x2) / 2 + dx * side, (y1 + y2) / 2 + dy * side
                half = growth * side / 2
                box = (x - half, y - half, x + half, y + half)
                if box[0] < 0 or box[1] < 0 or max(box[2:]) > len(wide):
                    continue
                size = (WINDOW, WINDOW)
                found.append(np.array(shown.resize(size, Image.Resampling.BILINEAR, box)))
    return np.stack(found) if found else np.zeros((0, WINDOW, WINDOW), np.uint8)
