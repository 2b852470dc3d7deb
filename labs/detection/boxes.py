"""What every detector does with boxes: overlap, suppression, and typical sizes.

A box is x1, y1, x2, y2 in pixels: its left, top, right and bottom edge. Areas, overlaps and
suppression are those of torchvision's `ops`, with which the tests compare them; they are written
out here to be read.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from common import seeding

# Of k-means: starts, of which the best one counts; rounds, after which it stops, settled or not;
# and the most sizes that it looks at.
_STARTS, _ROUNDS, _SAMPLE = 5, 100, 10_000


def area(boxes: Tensor) -> Tensor:
    """Return width x height of boxes (..., 4), as (...)."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    return width * height


def to_centers(boxes: Tensor) -> Tensor:
    """Return boxes (..., 4) of corners as center x, center y, width, height.

    Example:
        >>> to_centers(torch.tensor([10.0, 20, 30, 60]))
        tensor([20., 40., 20., 40.])
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def to_corners(boxes: Tensor) -> Tensor:
    """Return boxes (..., 4) of center x, center y, width, height as corners."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([center - half, center + half], -1)


def keep_inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Cut boxes (n, 4 or more) off at the border of an image, and drop those that lie outside."""
    most = boxes.new_tensor([width, height, width, height])
    corners = torch.minimum(boxes[:, :4].clamp(min=0), most)
    kept = (corners[:, 2:] > corners[:, :2]).all(1)
    return torch.cat([corners, boxes[:, 4:]], 1)[kept]


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of each box of a (N, 4) with each of b (M, 4), (N, M).

    Example:
        >>> iou(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 5], [20, 20, 30, 30]]))
        tensor([[0.5000, 0.0000]])
    """
    return paired_iou(a[:, None], b)


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of boxes (..., 4) that stand side by side, or broadcast.

        IoU = |A n B| / |A u B|,  from 0 (apart) to 1 (equal)

    Two boxes without an area have an IoU of 0, where torchvision divides 0 by 0.
    """
    overlap, union = _overlap_and_union(a, b)
    return _ratio(overlap, union)


def paired_giou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalized IoU of boxes (..., 4) that stand side by side, or broadcast.

        GIoU = IoU - |C - (A u B)| / |C|,  from -1 (far apart) to 1 (equal)

    C is the smallest box around both. Unlike the IoU it has a gradient where boxes do not touch
    (Rezatofighi et al. 2019, "Generalized intersection over union", algorithm 1).
    """
    overlap, union = _overlap_and_union(a, b)
    low, high = torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])
    hull = area(torch.cat([low, high], -1))
    return _ratio(overlap, union) - _ratio(hull - union, hull)


def _overlap_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    overlap = width * height
    return overlap, area(a) + area(b) - overlap


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Divide, with 0 / 0 = 0 and a gradient that is finite there too."""
    return part / torch.where(whole == 0, 1, whole)


class Suppression(NamedTuple):
    """A step of non-maximum suppression."""

    kept: int  # the row of the box with the highest score that was left
    removed: list[int]  # rows that overlap it too much, highest score first
    ious: list[float]  # of each of those with the kept one


def nms_steps(boxes: Tensor, scores: Tensor, threshold: float) -> Iterator[Suppression]:
    """Yield the steps of greedy non-maximum suppression of boxes (N, 4) of one class.

    As long as there are boxes, the one with the highest score is kept, and those that overlap it by
    an IoU above the threshold are removed: they are taken for the same object. Of equal scores the
    first row wins.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30]])
        >>> for step in nms_steps(boxes, torch.tensor([0.7, 0.9, 0.8]), threshold=0.5):
        ...     print(step.kept, step.removed)
        1 [0]
        2 []
    """
    left = scores.argsort(descending=True, stable=True)
    while len(left):
        best, others = left[0], left[1:]
        ious = paired_iou(boxes[best], boxes[others])
        same = ious.double() > threshold
        yield Suppression(int(best), others[same].tolist(), ious[same].tolist())
        left = others[~same]


def size_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the IoU of sizes laid over one another at a corner: (..., 2), (M, 2) -> (..., M)."""
    return paired_iou(_at_origin(a)[..., None, :], _at_origin(b))


def kmeans_anchors(sizes: Tensor, k: int, seed: int = 0) -> tuple[Tensor, float]:
    """Return the sizes of anchor boxes: the centers of clusters of the sizes of true boxes.

    K-means with the distance d = 1 - IoU, by which a large box is no farther from its center than a
    small one is (Redmon and Farhadi 2017, "YOLO9000", section 2). A center is the mean of its
    sizes. Of a few random starts, which the seed names, the one with the highest mean IoU counts;
    of a large set, a sample is clustered. Sizes are (N, 2) with N > 0: width and height in any
    unit, in any order. Where there are fewer than k, some anchors are the same.

    Returns:
        The anchors, (k, 2) float32, the smallest area first, and the mean IoU of each size with its
        best anchor, from 0 to 1.
    """
    generator = seeding.generator(seed, seeding.INITIALIZATION)
    sizes, places = torch.unique(sizes.double(), dim=0, return_inverse=True)
    sizes = sizes[places.sort().values]  # in one order, whichever they came in
    sample = sizes[torch.randperm(len(sizes), generator=generator)[:_SAMPLE]]
    starts = [torch.randint(len(sample), (k,), generator=generator) for _ in range(_STARTS)]
    settled = [_settled(sample, sample[rows]) for rows in starts]
    best = max(settled, key=lambda centers: _mean_best_iou(sample, centers))
    anchors = best[area(_at_origin(best)).argsort(stable=True)].float()
    return anchors, _mean_best_iou(sizes, anchors.double())


def _settled(sizes: Tensor, centers: Tensor) -> Tensor:
    """Move centers (k, 2) to the means of the sizes nearest to them, until they stay."""
    for _ in range(_ROUNDS):
        members = functional.one_hot(size_iou(sizes, centers).argmax(1), len(centers)).double()
        counts = members.sum(0)[:, None]
        means = members.T @ sizes / counts.clamp(min=1)
        moved = torch.where(counts > 0, means, centers)  # one that has no sizes stays
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


def _mean_best_iou(sizes: Tensor, anchors: Tensor) -> float:
    return float(size_iou(sizes, anchors).amax(1).mean())


def _at_origin(sizes: Tensor) -> Tensor:
    """Return sizes (..., 2) as boxes whose top left corner is at 0."""
    return torch.cat([torch.zeros_like(sizes), sizes], -1)
