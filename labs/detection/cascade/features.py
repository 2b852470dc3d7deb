"""Haar features of a window, read from the integral image (Viola and Jones 2004, section 2).

A feature is the sum of the pixels under its light rectangles less that under its dark ones, of the
same area in all. The integral image holds, at each place, the sum of all pixels above and left of
it; the sum under any rectangle is then read at its four corners, whatever its size. So a feature of
two, three or four rectangles is a weighted sum of six, eight or nine numbers of the integral image,
and the features of many windows at once are one product of matrices.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

WINDOW = 16  # pixels a side of the window that a cascade looks through
KINDS = {
    "two side by side": (1, 2),
    "two on top of each other": (2, 1),
    "three side by side": (1, 3),
    "three on top of each other": (3, 1),
    "four in a square": (2, 2),
}
"""Rows and columns of rectangles; light and dark take turns, as on a chessboard."""

_LEAST = 2  # pixels a side of a rectangle: smaller ones see grain
_FLAT = 1.0  # the least deviation of a window, of 255: flatter ones are divided by this


class Rectangle(NamedTuple):
    """A part of a window, in pixels, and what its sum counts."""

    x: int
    y: int
    width: int
    height: int
    weight: float


@dataclass(frozen=True)
class Feature:
    """Rectangles side by side.

    Attributes:
        x, y: the upper left corner of the first, in pixels of the window.
        width, height: of each.
        rows, columns: how many there are.
    """

    x: int
    y: int
    width: int
    height: int
    rows: int
    columns: int

    @cached_property
    def rectangles(self) -> tuple[Rectangle, ...]:
        """Its rectangles; the middle one of three counts twice, so that a flat window has 0."""
        three = max(self.rows, self.columns) == 3
        return tuple(
            Rectangle(
                self.x + column * self.width,
                self.y + row * self.height,
                self.width,
                self.height,
                -(2.0 if three else 1.0) if (row + column) % 2 else 1.0,
            )
            for row in range(self.rows)
            for column in range(self.columns)
        )

    @cached_property
    def corners(self) -> tuple[tuple[int, int, float], ...]:
        """Where the integral image of a window is read: row, column, and what that counts."""
        found: dict[tuple[int, int], float] = {}
        for x, y, width, height, weight in self.rectangles:
            for row, column, sign in (
                (y, x, 1),
                (y, x + width, -1),
                (y + height, x, -1),
                (y + height, x + width, 1),
            ):
                found[row, column] = found.get((row, column), 0.0) + sign * weight
        return tuple((*place, weight) for place, weight in found.items() if weight)

    @property
    def area(self) -> float:
        """Pixels under the light rectangles, by which the feature is divided."""
        return sum(
            each.width * each.height * each.weight for each in self.rectangles if each.weight > 0
        )


def integral(images: Array) -> Array:
    """Return the integral images (..., H + 1, W + 1) of images (..., H, W), whole numbers.

    The number at row y and column x is the sum of the pixels in the rows before y and the columns
    before x.
    """
    edges = [(0, 0)] * (images.ndim - 2) + [(1, 0), (1, 0)]
    sums = images.astype(np.int64).cumsum(-1).cumsum(-2)
    return np.pad(sums, edges)


def deviations(images: Array, side: int = WINDOW) -> Array:
    """Return the standard deviation under each window of images (..., H, W), at least 1.

    Returns:
        (..., H - side + 1, W - side + 1), by the window's upper left corner; from the integral
        images of the pixels and of their squares.
    """
    sums, squares = (
        _under(integral(values), side) for values in (images, images.astype(np.int64) ** 2)
    )
    mean = sums / side**2
    return np.asarray(np.sqrt(np.maximum(squares / side**2 - mean**2, _FLAT**2)))


def _under(sums: Array, side: int) -> Array:
    """Return the sum under each window, of integral images."""
    return np.asarray(
        sums[..., side:, side:]
        - sums[..., :-side, side:]
        - sums[..., side:, :-side]
        + sums[..., :-side, :-side]
    )


def all_features(side: int = WINDOW) -> list[Feature]:
    """Return every feature that fits a window."""
    return list(itertools.chain.from_iterable(_of_kind(side, *kind) for kind in KINDS.values()))


def _of_kind(side: int, rows: int, columns: int) -> Iterator[Feature]:
    for width in range(_LEAST, side // columns + 1):
        for height in range(_LEAST, side // rows + 1):
            for x in range(side - columns * width + 1):
                for y in range(side - rows * height + 1):
                    yield Feature(x, y, width, height, rows, columns)


def values(features: list[Feature], windows: Array) -> Array:
    """Return the features of windows.

    Args:
        features: F of them.
        windows: uint8 (N, side, side), grey.

    Returns:
        (N, F) float32: the difference of the mean light and dark pixels, in standard deviations of
        the window, so that brightness and contrast make no difference.
    """
    side = windows.shape[-1]
    weights = np.zeros(((side + 1) ** 2, len(features)), np.float32)
    for place, feature in enumerate(features):
        for row, column, weight in feature.corners:
            weights[row * (side + 1) + column, place] = weight / feature.area
    sums = integral(windows).reshape(len(windows), -1).astype(np.float32)
    return np.asarray(sums @ weights / deviations(windows, side).reshape(-1, 1), np.float32)
