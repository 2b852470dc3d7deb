"""What is found against what is wrongly found, of anything that finds squares with scores.

A cascade looks through a square window and knows no classes. So everything is judged as it is: the
boxes of other detectors are made squares, their classes left out, and of squares on each other
those with lower scores taken away. A detection is right where its square has an IoU of at least 0.5
with that of an object that no surer detection has.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import box_iou, nms

from common.metrics.metrics import Array
from labs.detection.cascade.train import Cascade
from labs.detection.cascade.windows import Picture, to_squares

OVERLAP = 0.5  # IoU from which a detection has an object
RATES = (0.1, 1.0, 10.0)  # false positives of an image, at which the detection rate is told
MAIN = 1.0

_SAME = 0.6  # IoU from which two windows see the same
_LEAST_WEIGHT = 0.05  # of a window in their mean
_SUPPRESS = 0.3  # IoU above which a square is taken for the same as a surer one
_MOST = 300  # detections of an image
_CANDIDATES = 1000  # the surest windows of an image, before suppression
_RESAMPLES = 500
_LAST = 3  # stages that a window may fail, for the right part of the curve


class Found(NamedTuple):
    """What is found in an image, highest score first."""

    squares: Array  # (n, 4) in pixels of the image
    scores: Array  # (n,)


class Matched(NamedTuple):
    """All detections of a split, and which are right."""

    image: Array  # (n,) of each detection its image
    scores: Array  # (n,)
    right: Array  # (n,) bool
    objects: Array  # (N,) how many each image has


class Curve(NamedTuple):
    """A detection rate for each number of false positives of an image, both rising."""

    false: Array
    rate: Array


def detect(cascade: Cascade, picture: Picture, least: int | None = None) -> Found:
    """Return the squares that a cascade finds in an image.

    Args:
        cascade: the stages.
        picture: the image.
        least: stages that a window is to pass; all but the last three when None.
    """
    stages = len(cascade.stages)
    wanted = max(1, stages - _LAST) if least is None else least
    squares, scores = [np.zeros((0, 4))], [np.zeros(0)]
    for level in picture.levels:
        places, found = cascade.search(level, wanted)
        squares.append(level.squares(places))
        scores.append(found)
    every, sure = np.concatenate(squares), np.concatenate(scores)
    best = np.argsort(-sure, kind="stable")[:_CANDIDATES]
    return suppress(merge(every[best], sure[best] - wanted), sure[best])


def merge(squares: Array, scores: Array) -> Array:
    """Return for each window the mean of those that lie on it, by their scores, (n, 4).

    An object is seen by many windows around it: their mean fits it better than any of them (Viola
    and Jones 2004, section 5.6, "Integration of multiple detections").
    """
    if not len(squares):
        return squares
    corners = torch.from_numpy(squares)
    near = (box_iou(corners, corners).numpy() >= _SAME) * (scores + _LEAST_WEIGHT)
    return np.asarray(near @ squares / near.sum(1, keepdims=True))


def of_boxes(detections: Array) -> Found:
    """Return what a detector found in an image, (M, 6), as squares without classes."""
    used = detections[detections[:, 5] >= 0]
    return suppress(to_squares(torch.from_numpy(used).double()), used[:, 4].astype(np.float64))


def suppress(squares: Array, scores: Array) -> Found:
    """Leave out squares that lie on surer ones."""
    kept = nms(torch.from_numpy(squares), torch.from_numpy(scores), _SUPPRESS)[:_MOST].numpy()
    return Found(squares[kept], scores[kept])


def match(pictures: Sequence[Picture], found: Sequence[Found]) -> Matched:
    """Say which detections are right; those on a crowd count for nothing."""
    images, scores, right = [], [], []
    for row, (picture, (squares, sure)) in enumerate(zip(pictures, found, strict=True)):
        mine = _right(picture, squares)
        counted = mine | ~_on_crowd(picture, squares)
        images.append(np.full(counted.sum(), row))
        scores.append(sure[counted])
        right.append(mine[counted])
    objects = np.array([len(picture.squares) for picture in pictures])
    return Matched(np.concatenate(images), np.concatenate(scores), np.concatenate(right), objects)


def _right(picture: Picture, squares: Array) -> Array:
    """Say which squares, the surest first, have an object of their own."""
    right, free = np.zeros(len(squares), bool), np.ones(len(picture.squares), bool)
    if not len(squares) or not len(free):
        return right
    ious = box_iou(torch.from_numpy(squares), torch.from_numpy(picture.squares)).numpy()
    for row, mine in enumerate(ious):
        best = int(np.where(free, mine, -1).argmax())
        if free[best] and mine[best] >= OVERLAP:
            right[row], free[best] = True, False
    return right


def _on_crowd(picture: Picture, squares: Array) -> Array:
    if not len(picture.crowds) or not len(squares):
        return np.zeros(len(squares), bool)
    ious = box_iou(torch.from_numpy(squares), torch.from_numpy(picture.crowds))
    return np.asarray(ious.amax(1).numpy() >= OVERLAP)


def curve(matched: Matched, times: Array | None = None) -> Curve:
    """Return the curve; times (N,) say how often each image is drawn, once when None."""
    drawn = np.ones(len(matched.objects)) if times is None else times
    order = np.argsort(-matched.scores, kind="stable")
    weights, right = drawn[matched.image[order]], matched.right[order]
    false = np.cumsum(weights * ~right) / drawn.sum()
    rate = np.cumsum(weights * right) / max((drawn * matched.objects).sum(), 1)
    return Curve(false, rate)


def rate_at(found: Curve, false: float) -> float:
    """Return the largest detection rate with at most so many false positives of an image."""
    place = int(np.searchsorted(found.false, false, side="right"))
    return float(found.rate[place - 1]) if place else 0.0


def rates(matched: Matched) -> dict[str, list[float]]:
    """Return for each of `RATES` the detection rate and its 95 % interval, over the images."""
    drawn = _drawn(len(matched.objects))
    curves = [curve(matched, times) for times in drawn]
    whole = curve(matched)
    return {
        f"{false:g}": [
            rate_at(whole, false),
            *np.quantile([rate_at(each, false) for each in curves], (0.025, 0.975)).tolist(),
        ]
        for false in RATES
    }


def lead(mine: Matched, theirs: Matched) -> list[float]:
    """Return by how much the rate at `MAIN` is higher than another's, and its paired interval."""
    drawn = _drawn(len(mine.objects))
    differences = [
        rate_at(curve(mine, times), MAIN) - rate_at(curve(theirs, times), MAIN) for times in drawn
    ]
    whole = rate_at(curve(mine), MAIN) - rate_at(curve(theirs), MAIN)
    return [whole, *np.quantile(differences, (0.025, 0.975)).tolist()]


def _drawn(images: int) -> Array:
    """Return how often each image is drawn in each resample, (R, N)."""
    generator = np.random.default_rng(0)
    return generator.multinomial(images, np.full(images, 1 / images), _RESAMPLES)
