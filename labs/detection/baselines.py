"""An honest baseline: what one finds without a network.

Regions are proposed where an image, cut into light and dark at many levels, falls into connected
components: an object of one tone is one of them at every level between its tone and that of its
surroundings (the idea of MSER, Matas et al. 2002). Each region is named after the nearest crops of
such regions in training images, among which those that are no object are one more class.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, nms

from common.metrics.metrics import Array
from common.steps import track
from common.training.compute import one_thread
from labs.detection import masks
from labs.detection.data.load import BoxSet
from labs.detection.metrics import BOX
from labs.detection.task import MOST

NAME = "connected components + nearest neighbor"

# All of these were chosen on validation scenes.
IMAGES = 600  # of training, at most, that are looked at
_SIDE = 160  # pixels to which larger images are shrunk
_LEVELS = range(24, 256, 24)  # of 255
_MARGIN = 1.25  # by which a region may be smaller or larger than all training boxes
_AGREE = 0.8  # IoU from which two levels show the same region
_ALIKE = 0.7  # IoU from which one of two regions is enough
_REGIONS = 40  # of an image, at most: those that most levels show
_CROP = 12  # pixels
_SAME, _OTHER = 0.6, 0.4  # IoU from which a region is an example of a box, to which of none
_NEIGHBORS = 5
_OVERLAP = 0.3  # IoU to which two detections may overlap

_TOUCHING = np.ones((3, 3))  # also by their corners


class _Regions(NamedTuple):
    """What may be an object in an image."""

    boxes: Tensor  # (n, 4) in pixels of the image
    crops: Array  # (n, _CROP * _CROP) of mean 0 and length 1, the region light
    grey: Tensor  # (h, w) the image as it was searched, perhaps shrunk
    components: Tensor  # (n, 6) as `_components` gave them


class _Example(NamedTuple):
    """Regions of training images, and what they show."""

    crops: Array  # (n, _CROP * _CROP)
    labels: Array  # (n,); one more class is no object


def predictions(splits: Mapping[str, BoxSet], classes: int) -> dict[str, dict[str, Array]]:
    """Find objects of so many classes in `validation` and `test` without a network.

    Returns:
        For the baseline's name, its detections (N, 100, 6) in both; where the splits have masks,
        those
        of the regions.
    """
    names = ("validation", "test")
    with one_thread():  # each step is too small to share
        sizes = _sizes(splits["train"])
        known = _examples(splits["train"], sizes, classes)
        return {NAME: {name: _found(splits[name], sizes, known, classes) for name in names}}


def _sizes(train: BoxSet) -> Tensor:
    """Return the smallest and the largest (width, height) of a region, in pixels."""
    boxes = train.boxes.values
    if not len(boxes):
        return torch.zeros(2, 2)
    sides = boxes[:, 2:4] - boxes[:, :2]
    return torch.stack([sides.amin(0) / _MARGIN, sides.amax(0) * _MARGIN])


def _examples(train: BoxSet, sizes: Tensor, classes: int) -> _Example:
    crops, labels = [np.zeros((0, _CROP**2), np.float32)], [np.zeros(0, np.int64)]
    rows = np.linspace(0, len(train) - 1, min(IMAGES, len(train))).astype(int)
    for row in track(np.unique(rows).tolist(), "regions of training images"):
        found, true = _regions(train.image(row), sizes), train.boxes[row]
        no_box = true.new_tensor([[0, 0, 0, 0, classes, 0]])
        iou, best = box_iou(found.boxes, torch.cat([true, no_box])[:, :4]).max(1)
        label = torch.where(iou >= _SAME, torch.cat([true, no_box])[best, 4], classes)
        sure = ((iou >= _SAME) | (iou <= _OTHER)).numpy()
        crops.append(found.crops[sure])
        labels.append(label.long().numpy()[sure])
    return _Example(np.concatenate(crops), np.concatenate(labels))


def _found(split: BoxSet, sizes: Tensor, known: _Example, classes: int) -> Array:
    """Return detections, (N, 100, 6), or those of masks."""
    from sklearn.neighbors import NearestNeighbors

    most = 0 if split.instances is None else int(split.boxes.lengths.max())
    detections = np.zeros((len(split), MOST, BOX + most))
    detections[..., 5] = -1
    if not len(known.labels):
        return detections
    number = min(_NEIGHBORS, len(known.labels))
    neighbors = NearestNeighbors(n_neighbors=number, algorithm="brute").fit(known.crops)
    for row in track(range(len(split)), f"regions of {len(split):,} images"):
        found = _regions(split.image(row), sizes)
        if not len(found.boxes):
            continue
        distances, nearest = neighbors.kneighbors(found.crops)
        votes = np.zeros((len(found.boxes), classes + 1))
        np.add.at(
            votes, (np.arange(len(votes))[:, None], known.labels[nearest]), np.exp(-distances)
        )
        scores, labels = torch.from_numpy(votes[:, :classes] / number).float().max(1)
        kept = nms(found.boxes, scores, _OVERLAP)
        kept = kept[scores[kept] > 0][:MOST]
        columns = [found.boxes[kept], scores[kept, None], labels[kept, None]]
        detections[row, : len(kept), :BOX] = torch.cat(columns, 1).numpy()
        if split.instances is not None:
            true, size = split.boxes[row], split.image(row).shape[-1]
            ious = masks.ious(_masks(found, kept, size), split.instances[row], true[:, 5] > 0)
            detections[row, : len(kept), BOX : BOX + len(true)] = ious.numpy()
    return detections


def _masks(found: _Regions, kept: Tensor, size: int) -> Tensor:
    """Return the masks of some regions, bool (n, size, size)."""
    from scipy import ndimage

    regions = np.zeros((len(kept), *found.grey.shape), bool)
    for mask, (x1, y1, x2, y2, sign, level) in zip(
        regions, found.components[kept].tolist(), strict=True
    ):
        light = found.grey[y1:y2, x1:x2].numpy() > level
        parts, _ = ndimage.label(light if sign > 0 else ~light, _TOUCHING)
        whole = slice(0, y2 - y1), slice(0, x2 - x1)
        spans = ndimage.find_objects(parts)  # others may reach into the box
        mask[y1:y2, x1:x2] = parts == 1 + spans.index(whole)
    grown = functional.interpolate(torch.from_numpy(regions)[:, None].float(), (size, size))
    return grown[:, 0] > 0


def _regions(image: Tensor, sizes: Tensor) -> _Regions:
    """Propose regions of an image, uint8 (3, H, W), no smaller or larger than some sizes (2, 2)."""
    grey = image.float().mul(torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)
    factor = max(1.0, max(grey.shape) / _SIDE)
    if factor > 1:
        shrunk = [max(1, round(side / factor)) for side in grey.shape]
        grey = functional.interpolate(grey[None, None], shrunk, mode="area")[0, 0]
        sizes = sizes / factor
    components = list(_components(grey.numpy(), sizes.numpy()))
    if not components:
        nothing = np.zeros((0, _CROP**2), np.float32)
        return _Regions(torch.zeros(0, 4), nothing, grey, torch.zeros(0, 6))
    table = torch.tensor(components)
    boxes = table[:, :4].float()
    agreeing = (box_iou(boxes, boxes) >= _AGREE).sum(1).float()
    kept = nms(boxes, agreeing, _ALIKE)[:_REGIONS]
    return _Regions(boxes[kept] * factor, _crops(grey, table[kept]), grey, table[kept])


def _components(grey: Array, sizes: Array) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield x1, y1, x2, y2 of connected components, 1 of a light one or -1, and the level."""
    from scipy import ndimage

    (least_width, least_height), (most_width, most_height) = sizes
    for level in _LEVELS:
        light = grey > level
        for sign, mask in ((1, light), (-1, ~light)):
            for rows, columns in ndimage.find_objects(ndimage.label(mask, _TOUCHING)[0]):
                height, width = rows.stop - rows.start, columns.stop - columns.start
                if least_width <= width <= most_width and least_height <= height <= most_height:
                    yield columns.start, rows.start, columns.stop, rows.stop, sign, level


def _crops(grey: Tensor, regions: Tensor) -> Array:
    """Return parts of an image (H, W), given as `_components` has them: (n, _CROP * _CROP)."""
    parts = [
        functional.interpolate(sign * grey[None, None, y1:y2, x1:x2], (_CROP, _CROP), mode="area")
        for x1, y1, x2, y2, sign, _ in regions.tolist()
    ]
    crops = torch.cat(parts).flatten(1)
    crops -= crops.mean(1, keepdim=True)
    return functional.normalize(crops).numpy()
