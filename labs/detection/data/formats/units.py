"""What the numbers of boxes tell about what they are: corners, shares of the image, percent."""

import math
from collections.abc import Sequence

from labs.detection.records import Box

_SHARE = 0.1  # of boxes that stick out, from which on they are not x, y, width, height
_FEWEST = 3  # boxes from which on they tell
SHARES = 2.0  # what no edge in shares is beyond, also where a box sticks out of its image
_PERCENT = 100


def are_shares(boxes: Sequence[Sequence[float]]) -> bool:
    """Say whether boxes of four numbers each are shares of their images, and no pixels."""
    sound = [tuple(box) for box in boxes if all(map(math.isfinite, box))]
    if not all(abs(value) <= SHARES for box in sound for value in box):
        return False
    whole = bool(sound) and set(sound) == {(0, 0, 1, 1)}  # a whole image; else a single pixel
    return whole or any(value % 1 for box in sound for value in box)


def tell_percent(boxes: Sequence[tuple[Box, int, int]]) -> str | None:
    """Return why boxes look like percent of their images, "" where they only may be, else None.

    They may be where none goes beyond 100, and every image is at least twice as large.

    Args:
        boxes: each read as pixels; with the height and width of its image.
    """
    boxes = [each for each in boxes if all(map(math.isfinite, each[0][:4]))]
    most = max((edge for box, *_ in boxes for edge in box[:4]), default=0)
    large = all(min(height, width) >= 2 * _PERCENT for _, height, width in boxes)
    if not (large and _PERCENT / 2 < most <= _PERCENT):
        return None
    fractions = sum(any(edge % 1 for edge in box[:4]) for box, *_ in boxes)
    if 2 * fractions > len(boxes):
        return f"{fractions:,} of {len(boxes):,} have fractions"
    return "some end at 100" if most == _PERCENT else ""


def count_corners(boxes: Sequence[tuple[Box, int, int]]) -> int:
    """Return how many boxes stick out where all are corners that were read as sides; 0 where not.

    Args:
        boxes: each read as left, upper, width, height, in pixels; with the height and width of its
            image.
    """
    corners = all(
        box.x1 < box.x2 - box.x1 <= width + 1 and box.y1 < box.y2 - box.y1 <= height + 1
        for box, height, width in boxes
    )
    return _count_out(boxes) if corners else 0


def count_centers(boxes: Sequence[tuple[Box, int, int]]) -> int:
    """Return how many boxes stick out where all are centers that were read as left and upper.

    It is 0 where they are not, or may be something else.

    Args:
        boxes: as `count_corners` takes them.
    """
    centers = all(
        box.x1 - (box.x2 - box.x1) / 2 >= -1
        and box.y1 - (box.y2 - box.y1) / 2 >= -1
        and (box.x1 + box.x2) / 2 <= width + 1
        and (box.y1 + box.y2) / 2 <= height + 1
        for box, height, width in boxes
    )
    return _count_out(boxes) if centers else 0


def _count_out(boxes: Sequence[tuple[Box, int, int]]) -> int:
    """Return how many boxes stick out; 0 where they are too few to tell anything."""
    out = sum(box.x2 > width + 1 or box.y2 > height + 1 for box, height, width in boxes)
    return out if len(boxes) >= _FEWEST and out > _SHARE * len(boxes) else 0
