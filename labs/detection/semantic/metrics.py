"""Figures of classes of pixels: IoU, Dice and boundary F1, from counts of each image.

Counts of images add up to those of a split, so intervals draw images. A class that is neither true
nor said anywhere in a split has no figure, NaN, and is left out of means; void pixels count
nowhere. The background is a class like any other, as in Pascal VOC.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.steps import track
from labs.detection.semantic.losses import VOID

TOLERANCE = 0.0075  # of the image's diagonal: how far a boundary may be off; a pixel at least
_RESAMPLES = 2000


def main_metric(classes: int) -> MainMetric:
    """Return mean IoU over so many classes, of class maps (N, H, W)."""
    return MainMetric("mean_iou", "mean IoU", partial(counts, classes=classes), mean_iou)


# --- pixels -------------------------------------------------------------------------------------


def confusions(said: Array, true: Array, classes: int) -> Array:
    """Return the (C, C) counts of each image's labelled pixels, (N, C, C): rows are true classes.

    Args:
        said: (N, H, W) classes.
        true: likewise, with `VOID` where nobody knows.
        classes: C.
    """
    found = np.zeros((len(true), classes * classes), np.int64)
    for row, (guess, truth) in enumerate(zip(said, true, strict=True)):
        labelled = truth != VOID
        places = truth[labelled].astype(np.int64) * classes + guess[labelled]
        found[row] = np.bincount(places, minlength=classes * classes)
    return found.reshape(-1, classes, classes)


def counts(said: Array, true: Array, classes: int) -> Array:
    """Return of each image and class the pixels that are right, said, and true: (N, 3, C)."""
    return of_confusions(confusions(said, true, classes))


def of_confusions(matrices: Array) -> Array:
    """Return the counts of (N, C, C) confusions: pixels that are right, said, and true."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    return np.stack([right, matrices.sum(1), matrices.sum(2)], 1)


def ious(rows: Array) -> Array:
    """Return each class's intersection over union, (C,), of the counts (N, 3, C) of any images."""
    right, said, true = rows.sum(0)
    return _share(right, said + true - right)


def dices(rows: Array) -> Array:
    """Return each class's Dice, 2 right / (said + true), (C,); the F1 of its pixels."""
    right, said, true = rows.sum(0)
    return _share(2 * right, said + true)


def mean_iou(rows: Array) -> float:
    """Return the mean IoU over the classes that are true or said."""
    return _mean(ious(rows))


def mean_dice(rows: Array) -> float:
    """Return the mean Dice over the classes that are true or said."""
    return _mean(dices(rows))


def pixel_accuracy(rows: Array) -> float:
    """Return the share of labelled pixels that are right."""
    right, _, true = rows.sum((0, 2))
    return float(right / true) if true else math.nan


def _share(part: Array, whole: Array) -> Array:
    """Return part / whole, NaN where there is no whole."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


# --- boundaries ---------------------------------------------------------------------------------


def boundary_counts(said: Array, true: Array, classes: int) -> Array:
    """Count boundary pixels of each image and class: (N, 4, C).

    They are: those said that are near a true one, those said, those true that are near a said one,
    those true. A boundary pixel has a neighbor above, below or beside it of another class; what
    borders on void, or on the image's edge, is no boundary. Near is within `TOLERANCE` of the
    diagonal, or a pixel, in Euclidean distance.
    """
    found = np.zeros((len(true), 4, classes), np.int64)
    for row in track(range(len(true)), f"boundaries in {len(true):,} images"):
        void = true[row] == VOID
        guess, truth = np.where(void, VOID, said[row]), true[row]
        edges = [np.where(_edges(each), each, VOID) for each in (guess, truth)]
        disk = _disk(max(1.0, TOLERANCE * math.hypot(*truth.shape)))
        for label in set(np.unique(edges)) - {VOID}:
            ours, theirs = (each == label for each in edges)
            found[row, :, label] = (
                (ours & _grown(theirs, disk)).sum(),
                ours.sum(),
                (theirs & _grown(ours, disk)).sum(),
                theirs.sum(),
            )
    return found


def boundary_f1s(rows: Array) -> Array:
    """Return each class's boundary F1, (C,), of the counts (N, 4, C) of any images.

    The harmonic mean of the shares of said and of true boundary pixels that are near one of the
    other (Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?",
    section 3, there of each image); 0 where one of both has no boundary, NaN where neither has, and
    of all classes where void lies between them everywhere.
    """
    hits, said, found, true = rows.sum(0).astype(np.float64)
    precision, recall = hits / np.maximum(said, 1), found / np.maximum(true, 1)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros(both.shape), where=both > 0)
    return np.where((said + true > 0) & (true.sum() > 0), f1, np.nan)


def _edges(labels: Array) -> Array:
    """Say which pixels of a map (H, W) have a neighbor of another class."""
    found = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        one = np.take(labels, range(labels.shape[axis] - 1), axis)
        other = np.take(labels, range(1, labels.shape[axis]), axis)
        differ = (one != other) & (one != VOID) & (other != VOID)
        pads = [(0, 0), (0, 0)]
        pads[axis] = (0, 1)
        found |= np.pad(differ, pads)
        pads[axis] = (1, 0)
        found |= np.pad(differ, pads)
    return found


def _disk(radius: float) -> Array:
    """Return the pixels whose middle is within a radius of the one in the middle, uint8."""
    reach = np.arange(-int(radius), int(radius) + 1)
    return np.asarray(reach[:, None] ** 2 + reach**2 <= radius**2, np.uint8)


def _grown(pixels: Array, disk: Array) -> Array:
    import cv2

    return np.asarray(cv2.dilate(pixels.astype(np.uint8), disk) > 0)


# --- a split ------------------------------------------------------------------------------------


def figures(said: Array, true: Array, classes: int) -> dict[str, Any]:
    """Return all figures of a split, those of the classes' means with their intervals."""
    rows, edges = counts(said, true, classes), boundary_counts(said, true, classes)
    return {
        **main_metric(classes).measure(said, true),
        **_with_interval("mean_dice", mean_dice, rows),
        **_with_interval("mean_boundary_f1", lambda drawn: _mean(boundary_f1s(drawn)), edges),
        **_with_interval("pixel_accuracy", pixel_accuracy, rows),
    }


def per_class(said: Array, true: Array, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row for each class: its figures with intervals, and its share of true pixels."""
    classes = len(names)
    rows, edges = counts(said, true, classes), boundary_counts(said, true, classes)
    kinds = {"iou": (ious, rows), "dice": (dices, rows), "boundary_f1": (boundary_f1s, edges)}
    found: dict[str, Array] = {}
    for name, (compute, values) in kinds.items():
        draws = metrics.draw_rows(len(values), resamples=_RESAMPLES)
        many = np.concatenate([[compute(values[one]) for one in drawn] for drawn in draws])
        found[name] = compute(values)
        found[f"{name}_interval"] = _interval(many)
    pixels = rows[:, 2].sum(0)
    return [
        {
            "class": name,
            **{key: value[label] for key, value in found.items()},
            "pixels": float(pixels[label] / max(1, pixels.sum())),
            "images": int((rows[:, 2, label] > 0).sum()),
        }
        for label, name in enumerate(names)
    ]


def _interval(many: Array) -> Array:
    """Return the 95 % interval of each class, (C, 2), of resamples (R, C).

    Resamples without the class have no figure, and are left out; of a class in few images those
    are many, and its interval is of those in which it is.
    """
    ends = np.full((many.shape[1], 2), np.nan)
    for label, values in enumerate(many.T):
        known = values[~np.isnan(values)]
        if len(known):
            ends[label] = np.quantile(known, [0.025, 0.975])
    return ends


def _with_interval(
    name: str, compute: Callable[[Array], float], rows: Array
) -> dict[str, float | list[float]]:
    low, high = metrics.bootstrap(compute, rows)
    return {name: compute(rows), f"{name}_interval": [low, high]}


# --- where classes meet -------------------------------------------------------------------------


def neighbor_confusion(said: Array, true: Array, classes: int) -> Array:
    """Count, (C, C), for what the pixels near a boundary between true classes are taken.

    Rows are true classes, columns what was said; near is as there.
    """
    near = np.full(true.shape, VOID, np.uint8)
    for row, truth in enumerate(true):
        disk = _disk(max(1.0, TOLERANCE * math.hypot(*truth.shape)))
        near[row] = np.where(_grown(_edges(truth), disk), truth, VOID)
    return np.asarray(confusions(said, near, classes).sum(0))
