"""What the numbers of boxes tell about what they are: corners where sizes are expected."""

from collections.abc import Sequence

from labs.detection.records import Box

_SHARE = 0.1  # of boxes that stick out, from which on they are not x, y, width, height
_FEWEST = 3  # boxes from which on they tell


def count_corners(boxes: Sequence[tuple[Box, int, int]]) -> int:
    """Return how many boxes stick out where all are corners that were read as sides; 0 where not.

    Args:
        boxes: each read as left, upper, width, height, in pixels; with the height and width of its
            image.
    """
    out = sum(box.x2 > width + 1 or box.y2 > height + 1 for box, height, width in boxes)
    corners = all(
        box.x1 < box.x2 - box.x1 <= width + 1 and box.y1 < box.y2 - box.y1 <= height + 1
        for box, height, width in boxes
    )
    return out if corners and len(boxes) >= _FEWEST and out > _SHARE * len(boxes) else 0
