"""From the raw predictions of Ultralytics' networks to detections, in float32."""

from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from labs.detection.models.ultralytics.library import dist2bbox, make_anchors
from labs.detection.task import MOST, detections

# As the library's own validation filters detections.
_LOWEST_SCORE = 0.001
SAME_OBJECT = 0.7  # IoU
_CANDIDATES = 30_000


def get_head(model: nn.Module) -> Any:
    """Return the last layer of a model, which detects."""
    layers: Any = model.model
    return layers[-1]


def decode(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a model in eval mode says of each of its A anchor points.

    Returns:
        Boxes (B, A, 4) in pixels and scores (B, A, classes) in [0, 1], both float32.
    """
    return decode_raw(get_head(model), predict_raw(model, images))


def predict_raw(model: nn.Module, images: Tensor) -> dict[str, Any]:
    """Return the raw predictions of the head that detects."""
    _, raw = model(images)
    name = "one2one" if get_head(model).end2end else "one2many"
    return to_float32(raw[name] if "one2many" in raw else raw)


def decode_raw(head: Any, raw: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return boxes and scores, as `decode` does, of what `predict_raw` returns."""
    with torch.autocast(raw["boxes"].device.type, enabled=False):
        points, strides = make_anchors(raw["feats"], head.stride, 0.5)
        sides = head.dfl(raw["boxes"]).transpose(1, 2)
        boxes = dist2bbox(sides, points, xywh=False) * strides
        return boxes, raw["scores"].transpose(1, 2).sigmoid()


def to_float32(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the raw predictions of a head in float32: half a float cannot tell pixels apart."""
    return {
        name: value.float() if isinstance(value, Tensor) else type(value)(map(Tensor.float, value))
        for name, value in raw.items()
    }


def choose(head: Any, size: int, *columns: Tensor) -> Tensor:
    """Return the detections of images, (B, MOST, 6 or more): by suppression, or by the head itself.

    Boxes are cut off at the border of size x size pixels. The columns are boxes (B, A, 4), scores
    (B, A, classes), and what goes along, (B, A, any).
    """
    if head.end2end:
        found = detections(list(head.postprocess(torch.cat(columns, -1))))
    else:
        found = detections([_suppressed(*each) for each in zip(*columns, strict=True)])
    found[..., :4].clamp_(0, size)
    return found


def _suppressed(boxes: Tensor, scores: Tensor, *others: Tensor) -> Tensor:
    """Return the detections (n, 6 or more) of an image; a box may count for several classes."""
    row, label = (scores > _LOWEST_SCORE).nonzero(as_tuple=True)
    scores = scores[row, label]
    best = scores.argsort(descending=True, stable=True)[:_CANDIDATES]
    row, scores, label = row[best], scores[best], label[best]
    # batched_nms sets classes apart by the largest coordinate, and expects none below zero.
    lowest = torch.cat([boxes[row], boxes.new_zeros(1, 4)]).min()
    kept = torchvision.ops.batched_nms(boxes[row] - lowest, scores, label, SAME_OBJECT)[:MOST]
    others = tuple(other[row[kept]] for other in others)
    return torch.cat([boxes[row[kept]], scores[kept, None], label[kept, None], *others], 1)
