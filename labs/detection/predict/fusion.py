"""Weighted boxes fusion: what several detectors found in the same images, made one.

Suppression keeps one of several boxes for an object and forgets the others; fusion takes their
mean, in which a surer box counts for more, and believes it the less, the fewer detectors have found
it (Solovyev, Wang and Gabruseva 2021, "Weighted boxes fusion: ensembling boxes from different
object detection models", section 3).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from common.metrics.metrics import Array
from common.runs.job import Outputs
from labs.detection.boxes import paired_iou
from labs.detection.metrics import BOX
from labs.detection.task import MOST

SAME_OBJECT = 0.55  # IoU from which a box is one more of a cluster: the best one in section 4


class _Rows(NamedTuple):
    """Boxes of all detectors; those of an image and a class stand together, the surest first."""

    image: Array  # (R,)
    label: Array  # (R,)
    corners: Array  # (R, 4) float64
    value: Array  # (R,) score x weight of the detector, above 0


class _Clusters(NamedTuple):
    """Boxes that are taken for the same object; each row of `_Rows` may begin one."""

    sums: Array  # (R, 4) of corners x value
    mass: Array  # (R,) sum of values
    boxes: Array  # (R,) how many; 0 where there is no cluster


def fuse(
    detections: Sequence[Array] | Array,
    weights: Sequence[float] | Array | None = None,
    same_object: float = SAME_OBJECT,
) -> Array:
    """Return the boxes of several detectors as those of one, (N, MOST, 6) float32.

    The surest box goes first. Each joins the cluster of its image and class whose mean box it
    overlaps most, if that is by an IoU above `same_object`; else it begins one. Of a cluster with T
    boxes of scores c, from N detectors of weights w,

        corners = sum(w c corners) / sum(w c)        score = mean(w c) min(T, N) / sum(w)

    where the last sum is over all N detectors: an object that one of three found has a third of its
    score. No score is above 1. Neither the order of detectors nor that of boxes matters. A detector
    alone has its own boxes, also where they overlap.

    Args:
        detections: of each detector (N, any, 6), in pixels of the same images: x1, y1, x2, y2,
            score, class; unused rows have class -1; columns after them, of masks, do not count.
        weights: of the detectors, 0 or more; equal when None.
        same_object: IoU above which two boxes show the same object.
    """
    given = np.ones(len(detections)) if weights is None else np.asarray(weights, np.float64)
    images, taken = len(detections[0]), np.flatnonzero(given > 0).tolist()
    rows = _gather([detections[each] for each in taken], given[taken])
    if len(taken) == 1:
        scores = rows.value / given[taken]
        return _pack(np.column_stack([rows.corners, scores, rows.label]), rows.image, images)
    clusters = _cluster(rows, same_object)
    there = np.flatnonzero(clusters.boxes)
    sums, mass, boxes = (each[there] for each in clusters)
    share = np.minimum(boxes, len(taken)) / given[taken].sum()
    scores = np.minimum(mass / boxes * share, 1)
    found = np.column_stack([sums / mass[:, None], scores, rows.label[there]])
    return _pack(found, rows.image[there], images)


def fuse_outputs(
    answers: Sequence[Outputs], weights: Sequence[float] | Array | None = None
) -> Outputs:
    """Return outputs with the `detections` of several, made one; of a single one its own."""
    if len(answers) == 1:
        return answers[0]
    found = fuse([each["detections"].numpy() for each in answers], weights)
    return {"detections": torch.from_numpy(found)}


def _gather(detections: Sequence[Array], weights: Array) -> _Rows:
    """Return the used rows of all detectors, sorted so that no order of theirs matters."""
    parts = []
    for found, weight in zip(detections, weights, strict=True):
        image, row = np.nonzero((found[..., 5] >= 0) & (found[..., 4] > 0))
        box = found[image, row, :BOX].astype(np.float64)
        parts.append(np.column_stack([image, box[:, 5], -weight * box[:, 4], box[:, :4]]))
    whole = np.concatenate(parts)
    whole = whole[np.lexsort(whole.T[::-1])]
    image, label = whole[:, :2].astype(np.int64).T
    return _Rows(image, label, whole[:, 3:], -whole[:, 2])


def _cluster(rows: _Rows, same_object: float) -> _Clusters:
    """Put each box into a cluster: the first of all images and classes at once, then the second.

    The clusters of an image and class stand where its boxes stand, the first one first.
    """
    keys = np.stack([rows.image, rows.label], 1)
    _, starts, sizes = np.unique(keys, axis=0, return_index=True, return_counts=True)
    clusters = _Clusters(*(np.zeros(shape) for shape in ((len(keys), 4), len(keys), len(keys))))
    number = np.zeros(len(starts), np.int64)  # of clusters so far
    for turn in range(sizes.max(initial=0)):
        active = np.flatnonzero(sizes > turn)
        mine, first, known = starts[active] + turn, starts[active], number[active]
        place = _find_cluster(rows.corners[mine], clusters, first, known, same_object)
        slot = first + place
        value = rows.value[mine]
        clusters.sums[slot] += value[:, None] * rows.corners[mine]
        clusters.mass[slot] += value
        clusters.boxes[slot] += 1
        number[active] += place == known
    return clusters


def _find_cluster(
    corners: Array, clusters: _Clusters, first: Array, known: Array, same_object: float
) -> Array:
    """Return which cluster boxes (n, 4) join, (n,): of those that begin at `first`, or a new one.

    Args:
        corners: of the boxes.
        clusters: all there are.
        first: (n,) where the clusters of each box's image and class begin.
        known: (n,) how many they are, which is the number of a new one.
        same_object: as in `fuse`.
    """
    box = np.repeat(np.arange(len(corners)), known)
    place = np.arange(len(box)) - np.repeat(known.cumsum() - known, known)
    slot = first[box] + place
    means = clusters.sums[slot] / clusters.mass[slot, None]
    ious = np.full((len(corners), known.max() + 1), -1.0)
    ious[box, place] = paired_iou(*map(torch.from_numpy, (corners[box], means))).numpy()
    return np.where(ious.max(1) > same_object, ious.argmax(1), known)


def _pack(found: Array, image: Array, images: int) -> Array:
    """Return rows (n, 6) of images (n,) as (images, MOST, 6): those with the highest scores."""
    order = np.lexsort((-found[:, 4], image))
    found, image = found[order], image[order]
    sizes = np.bincount(image, minlength=images)
    place = np.arange(len(image)) - np.repeat(sizes.cumsum() - sizes, sizes)
    table = np.zeros((images, MOST, BOX), np.float32)
    table[..., 5] = -1
    kept = place < MOST
    table[image[kept], place[kept]] = found[kept]
    return table
