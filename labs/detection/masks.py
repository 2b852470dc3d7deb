"""Masks of objects: from outlines, from a network's prototypes, their IoU, and their outlines.

The true masks of an image are one map of instances, uint8 (S, S): 0 is background, k + 1 is where
the image's box k is on top. So true masks never overlap, as those of things in a photo do not.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.errors import DataError
from labs.detection.letterbox import Letterbox
from labs.detection.records import Box, Picture

Polygons = tuple[tuple[float, ...], ...]  # each x, y, x, y, ... in pixels

_MOST = 255  # objects of an image: what a byte can number
_LEAST_POINTS = 3


# --- true masks ---------------------------------------------------------------------------------


def of_picture(picture: Picture, fit: Letterbox, size: int) -> Tensor:
    """Return the map of instances, uint8 (S, S), of an image's outlines in its letterboxed square.

    Raises:
        DataError: there are more objects than a byte can number.
    """
    number = len(picture.boxes)
    if number > _MOST:
        raise DataError(
            f"{picture.name} has {number} objects, of which masks take {_MOST} of an image at "
            "most: cut it into tiles"
        )
    return fill(picture, fit, size, range(1, number + 1))


def fill(picture: Picture, fit: Letterbox, size: int, values: Sequence[int]) -> Tensor:
    """Return a map, uint8 (S, S), with a value for each object of an image, and 0 elsewhere.

    Outlines are filled as COCO fills them. Smaller objects lie on larger ones, all of them on
    crowds. An object without outline fills its box.
    """
    from faster_coco_eval.core import mask as coco

    boxes = picture.boxes
    found = np.zeros((size, size), np.uint8)
    areas = [(box.x2 - box.x1) * (box.y2 - box.y1) for box in boxes]
    for at in sorted(range(len(boxes)), key=lambda at: (not boxes[at].crowd, -areas[at])):
        x1, y1, x2, y2 = boxes[at][:4]
        polygons = [
            (fit.scale * np.reshape(outline, (-1, 2)) + (fit.left, fit.top)).ravel().tolist()
            for outline in outlines(boxes[at]) or [(x1, y1, x2, y1, x2, y2, x1, y2)]
        ]
        inside = coco.decode(coco.merge(coco.frPyObjects(polygons, size, size)))
        found[inside > 0] = values[at]
    return torch.from_numpy(found)


def outlines(box: Box) -> list[tuple[float, ...]]:
    """Return the outlines of an object that can be filled, each x, y, x, y, ..."""
    return [
        outline
        for outline in box.polygons
        if len(outline) >= 2 * _LEAST_POINTS
        and len(outline) % 2 == 0
        and all(map(math.isfinite, outline))
    ]


# --- masks that a network finds -----------------------------------------------------------------


def assemble(boxes: Tensor, coefficients: Tensor, prototypes: Tensor, size: int) -> Tensor:
    """Return the masks of the detections in an image, bool (n, S, S), S pixels a side.

    A mask is where the sum of the prototypes (K, H, W), weighed by the coefficients (n, K) of a
    detection, is positive, inside its box (n, 4 or more): x1, y1, x2, y2 in pixels of the square
    (Bolya et al. 2019, "YOLACT", section 3.2).
    """
    sums = (coefficients @ prototypes.flatten(1)).view(-1, *prototypes.shape[1:])
    sums = functional.interpolate(sums[:, None], (size, size), mode="bilinear")[:, 0]
    return (sums > 0) & _inside(boxes, size, size)


def _inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Say which pixels have their middle in each box, (n, height, width)."""
    x1, y1, x2, y2 = boxes[:, :4, None].unbind(1)
    x = torch.arange(width, device=boxes.device) + 0.5
    y = torch.arange(height, device=boxes.device) + 0.5
    columns, rows = (x1 <= x) & (x < x2), (y1 <= y) & (y < y2)
    return rows[:, :, None] & columns[:, None]


def ious(found: Tensor, instances: Tensor, crowd: Tensor) -> Tensor:
    """Return the IoU of masks, bool (n, S, S), with the true ones of a map of instances, (S, S).

    With a crowd, which `crowd` (T,) says of boxes, it is the share of the mask inside it.

    Returns:
        (n, T) float64, on the CPU: a float32 may lie below a threshold that the IoU just reaches.
    """
    numbers = torch.arange(1, len(crowd) + 1, device=instances.device)
    true = (instances.flatten() == numbers[:, None]).float()
    masks = found.flatten(1).float()
    both, area, true_area = masks @ true.T, masks.sum(1)[:, None], true.sum(1)
    union = torch.where(crowd, area, area + true_area - both)
    both, union = both.cpu().double(), union.cpu().double()  # whole numbers up to here
    return both / union.clamp(min=1)


def back(masks: Tensor, fit: Letterbox, height: int, width: int) -> Tensor:
    """Return masks of a letterboxed square, bool (n, S, S), as masks of its image, (n, H, W)."""
    grown = [  # one by one: a photo has many pixels
        functional.interpolate(mask[None, None].float(), (height, width), mode="bilinear")[0, 0]
        > 0.5
        for mask in fit.crop(masks)
    ]
    return torch.stack(grown) if grown else masks.new_zeros(0, height, width)


def polygons(mask: Tensor) -> Polygons:
    """Return the outlines of a mask, bool (H, W): the largest piece first, holes filled.

    They are a quarter of a pixel inside it, so that its pixels are those with their middle in them.
    """
    import cv2

    # OpenCV goes through the middles of the outermost pixels: of quarters, they are near the edge.
    quarters = mask.numpy().astype(np.uint8).repeat(2, 0).repeat(2, 1)
    pieces, _ = cv2.findContours(quarters, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    ordered = sorted(pieces, key=cv2.contourArea, reverse=True)
    return tuple(tuple(((piece.reshape(-1) + 0.5) / 2).tolist()) for piece in ordered)
