"""Maps of segments, how two networks' answers become one, and panoptic quality.

A map of segments is int32 (H, W): of each pixel 256 x the number of its segment + its class + 1.
Class 0 is the stuff, the background, in one segment of number 0; things are classes from 1 on, and
their segments are numbered from 1. A pixel of 0 is void: nobody knows, or nothing is said.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array

STUFF = 1  # the code of the background
BARS = 255  # in a map of instances: the bars of the letterbox, which nobody asks about
CROWD = 1 << 24  # added to the code of a crowd, which may be said in any number of pieces, or not
_SAME = 0.5  # IoU above which a segment is found
_SEEN = 0.5  # share of a thing that no other may cover, or it is left out


# --- from boxes, masks and classes to segments --------------------------------------------------


def of_instances(instances: Tensor, boxes: Tensor) -> Tensor:
    """Return the true segments of an image, int32 (H, W).

    Args:
        instances: uint8 (H, W), a map of `labs.detection.masks`, perhaps with `BARS`.
        boxes: (n, 6): its boxes, with class and crowd in the last columns.
    """
    numbers = torch.arange(1, len(boxes) + 1)
    codes = 256 * numbers + boxes[:, 4].long() + 2 + CROWD * (boxes[:, 5] > 0)
    table = torch.zeros(BARS + 1, dtype=torch.int64)
    table[: len(boxes) + 1] = torch.cat([torch.tensor([STUFF]), codes])
    return table[instances.long()].int()


def merge(labels: Tensor, masks: Tensor, classes: Tensor) -> Tensor:
    """Return one map of segments of what two networks say of an image, int32 (H, W).

    Things lie over each other in the order of their scores; one of which others cover the half is
    left out. The stuff fills the rest where the classes say so (Kirillov et al. 2019, "Panoptic
    segmentation", section 5); the rest of that is void.

    Args:
        labels: (n,) classes of things from 0 on, highest score first.
        masks: bool (n, H, W), their pixels.
        classes: (H, W) the class of each pixel, 0 where it is stuff.
    """
    codes = torch.zeros(classes.shape, dtype=torch.int32, device=classes.device)
    for number, (label, mask) in enumerate(zip(labels.tolist(), masks, strict=True), 1):
        seen = mask & (codes == 0)
        if seen.sum() > _SEEN * mask.sum():
            codes[seen] = 256 * number + int(label) + 2
    codes[(codes == 0) & (classes == 0)] = STUFF
    return codes


def of_classes(classes: Array) -> Array:
    """Return segments of a map of classes alone (H, W): each connected piece of a thing is one."""
    from scipy import ndimage

    codes, number = np.where(classes == 0, STUFF, 0).astype(np.int32), 0
    for label in sorted(set(np.unique(classes).tolist()) - {0}):
        pieces, count = ndimage.label(classes == label, np.ones((3, 3)))
        here = pieces > 0
        codes[here] = 256 * (number + pieces[here]) + label + 1
        number += count
    return codes


def paint_borders(painted: Array, codes: Array) -> None:
    """Paint white, in a picture (H, W, 3), where one thing of a map (H, W) meets another."""
    things = np.where(codes >= 256, codes, 0)
    for one, other, place in (
        (things[:, 1:], things[:, :-1], painted[:, 1:]),
        (things[1:], things[:-1], painted[1:]),
    ):
        place[(one != other) & (one > 0) & (other > 0)] = 255


def classes_in(codes: Array) -> Array:
    """Return the class of each pixel of a map, uint8; 255 where it is void."""
    return np.asarray((codes % 256 - 1) % 256, np.uint8)


# --- how good they are --------------------------------------------------------------------------


class Quality(NamedTuple):
    """Of each class (C,): PQ = SQ x RQ; NaN where it is neither true nor said."""

    pq: Array
    sq: Array  # the mean IoU of the segments that are found
    rq: Array  # their F1


def counts(said: Array, true: Array, classes: int) -> Array:
    """Return of each image and class (N, 4, C): sum of IoU, and segments found, false, missed.

    A segment is found where its IoU with a true one of its class is above a half, which one at most
    can have. Void pixels count neither for union nor area; a false segment of which void, and
    crowds of its class, cover more than the half is forgiven (Kirillov et al. 2019, section 4).

    Args:
        said: (N, H, W) maps of segments.
        true: likewise.
        classes: C, with the stuff.
    """
    found = np.zeros((len(true), 4, classes))
    for rows, guess, truth in zip(found, said, true, strict=True):
        _count(rows, guess.astype(np.int64).ravel(), truth.astype(np.int64).ravel())
    return found


def _count(rows: Array, said: Array, true: Array) -> None:
    """Add the segments of an image to its counts, (4, C)."""
    pairs, both = np.unique(np.stack([true, said]), axis=1, return_counts=True)
    areas = [dict(zip(*_areas(each), strict=True)) for each in (true, said)]
    forgiven: dict[int, int] = {}
    matched: set[tuple[int, int]] = set()
    void = {
        one: number
        for (t, one), number in zip(pairs.T.tolist(), both.tolist(), strict=True)
        if not t
    }
    for (t, s), number in zip(pairs.T.tolist(), both.tolist(), strict=True):
        same = t % 256 == s % 256
        if s and (not t or (t >= CROWD and same)):
            forgiven[s] = forgiven.get(s, 0) + number
        if not t or not s or t >= CROWD or not same:
            continue
        iou = number / (areas[0][t] + areas[1][s] - number - void.get(s, 0))
        if iou > _SAME:
            rows[:2, t % 256 - 1] += iou, 1
            matched |= {(0, t), (1, s)}
    for t in areas[0]:
        if t and t < CROWD and (0, t) not in matched:
            rows[3, t % 256 - 1] += 1
    for s, area in areas[1].items():
        if s and (1, s) not in matched and forgiven.get(s, 0) <= 0.5 * area:
            rows[2, s % 256 - 1] += 1


def _areas(codes: Array) -> tuple[list[int], list[int]]:
    values, numbers = np.unique(codes, return_counts=True)
    return values.tolist(), numbers.tolist()


def quality(rows: Array) -> Quality:
    """Return the quality of each class, of the counts (N, 4, C) of any images."""
    iou, found, false, missed = rows.sum(0)
    segments = found + 0.5 * (false + missed)
    there = segments > 0
    empty = np.full(len(iou), np.nan)
    pq, rq = (np.divide(each, segments, out=empty.copy(), where=there) for each in (iou, found))
    sq = np.divide(iou, found, out=np.where(there, 0.0, np.nan), where=found > 0)
    return Quality(pq, sq, rq)


def mean_of(values: Array) -> float:
    """Return the mean over the classes that are there; NaN of none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def panoptic_quality(rows: Array) -> float:
    """Return the mean PQ over the classes that are true or said."""
    return mean_of(quality(rows).pq)


def main_metric(classes: int) -> MainMetric:
    """Return PQ over so many classes, of maps of segments (N, H, W)."""
    return MainMetric("pq", "PQ", partial(counts, classes=classes), panoptic_quality)
