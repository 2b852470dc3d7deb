"""tiny-yolo: a detector small enough to read in one sitting, from pixels to boxes.

One grid lies over the image. Each of its cells holds a few anchors, boxes of typical sizes around
its middle, and says three things:

    boxes        for each anchor, how to move and stretch it to fit an object
    objectness   for each anchor, the IoU that its box has with an object, 0 where there is none
    classes      for the cell, the probability of each class, should an object be there

The confidence that anchor a shows class c is objectness(a) x probability(c). That is YOLO (Redmon
et al. 2016, "You only look once", section 2) with the anchors of YOLOv2 (Redmon and Farhadi 2017,
"YOLO9000", section 2). As in the first YOLO a cell has one set of class probabilities, since two
objects seldom have their centers in one cell.

Read on in this order: `TinyYolo` (the network), `decode` (from its numbers to boxes), `assign` (who
answers for an object), `TinyYoloTask` (the loss, and detections).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from common.training import When
from common.training.sequences import Padded
from labs.detection.boxes import paired_giou, paired_iou, size_iou, to_centers, to_corners
from labs.detection.task import MOST, Detection

STAGES = ((16, 0), (64, 1), (128, 3), (192, 1), (256, 1))
"""Of each halving of the image: channels, and residual blocks that follow."""
SAME_SIZE = 0.5
"""Least IoU of an object's size with an anchor that answers for it, beside the best one."""
SAME_OBJECT = 0.5
"""IoU above which two detections of one class are taken for the same object."""
CANDIDATES = 300
"""Detections of an image, those with the highest scores, that go into non-maximum suppression."""
LARGEST = 4.0
"""Logarithm of the most that an anchor is stretched, so that no box is infinite."""
GAINS = {"box": 5.0, "objectness": 50.0, "class": 1.0}
"""What the parts of the loss are multiplied by; most anchors of a grid have no object."""

_PRIOR = 0.01  # objectness of every anchor before training (Lin et al. 2017, section 4.1)
_NO_BOXES = 1e-6  # the weight of a mean over no boxes


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution with batch normalization and SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(inplace=True),
    )


class Residual(nn.Module):
    """Halve the channels, look around, add it to the inputs (Redmon and Farhadi 2018, "YOLOv3")."""

    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = conv(channels, channels // 2, kernel=1)
        self.look = conv(channels // 2, channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, channels, H, W), of the inputs' shape."""
        changed: Tensor = self.look(self.squeeze(inputs))
        return inputs + changed


class TinyYolo(nn.Module):
    """Convolutions from images (B, 3, S, S) in [0, 1] to a grid (B, 5 A + C, S/stride, S/stride).

    The channels of a cell, as `decode` reads them: x, y, width, height and objectness of each of
    the A anchors, then the logits of the C classes.

    Args:
        classes: C.
        anchors: (width, height) in pixels of each anchor.
        stride: side of a cell in pixels: 8, 16 or 32; S must be a multiple of it.
    """

    anchors: Tensor

    def __init__(self, classes: int, anchors: Sequence[Sequence[float]], stride: int = 8):
        super().__init__()
        self.stride = stride
        self.register_buffer("anchors", torch.tensor(anchors, dtype=torch.float32))
        trunk, width = nn.Sequential(), 3
        for channels, blocks in STAGES[: int(math.log2(stride))]:
            trunk.extend([conv(width, channels, stride=2)])
            trunk.extend([Residual(channels) for _ in range(blocks)])
            width = channels
        self.trunk, self.head = trunk, grid_head(width, len(anchors), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the grids of images."""
        grid: Tensor = self.head(self.trunk(images))
        return grid


def stride_for(image_size: int) -> int:
    """Return the side of a cell in pixels: at most 24 cells a side, unless that takes over 32."""
    return next((stride for stride in (8, 16) if image_size <= 24 * stride), 32)


def grid_head(inputs: int, anchors: int, classes: int) -> nn.Conv2d:
    """Return what turns the features of a cell into what it says; it expects no object yet."""
    head = nn.Conv2d(inputs, 5 * anchors + classes, 1)
    assert head.bias is not None
    nn.init.constant_(head.bias[4 : 5 * anchors : 5], math.log(_PRIOR / (1 - _PRIOR)))
    return head


class Predictions(NamedTuple):
    """What the N cells of a grid, row by row, say of each of B images."""

    boxes: Tensor  # (B, N, A, 4) corners in pixels
    objectness: Tensor  # (B, N, A) logits
    classes: Tensor  # (B, N, C) logits


def decode(grid: Tensor, anchors: Tensor, stride: int) -> Predictions:
    """Return what a grid (B, 5 A + C, H, W) says, in float32.

    A box is moved from its cell and stretched from its anchor:

        center x = stride (column + 2 sigmoid(x) - 1/2)     width  = anchor width  exp(w)
        center y = stride (row    + 2 sigmoid(y) - 1/2)     height = anchor height exp(h)

    These are the formulas of YOLOv2 (section 2, "direct location prediction"), except that a center
    may lie half a cell outside. So it reaches the edge of its cell, where a sigmoid alone never
    gets (Bochkovskiy et al. 2020, "YOLOv4", section 3.4), and a cell can answer for its neighbor.
    """
    height, width = grid.shape[2:]
    numbers = grid.float().flatten(2).transpose(1, 2)
    raw, classes = numbers.tensor_split([5 * len(anchors)], dim=2)
    raw = raw.reshape(*raw.shape[:2], len(anchors), 5)
    rows, columns = (torch.arange(size, device=grid.device) for size in (height, width))
    cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).reshape(-1, 1, 2)
    centers = stride * (cells + 2 * raw[..., :2].sigmoid() - 0.5)
    sizes = anchors * raw[..., 2:4].clamp(max=LARGEST).exp()
    return Predictions(to_corners(torch.cat([centers, sizes], -1)), raw[..., 4], classes)


class Assignment(NamedTuple):
    """Which cells and anchors answer for boxes (...)."""

    cells: Tensor  # (..., 3) int64: its own cell, the nearest beside it, the nearest above or below
    anchor_ious: Tensor  # (..., A) IoU of its size with that of each anchor
    responsible: Tensor  # (..., 3, A) whether this cell's anchor answers for the box


def assign(boxes: Tensor, anchors: Tensor, stride: int, cells: int) -> Assignment:
    """Say who answers for boxes (..., 4 corners) on a grid of cells x cells, each `stride` wide.

    The cell in which the center of a box lies answers for it, and so do the two nearest to the
    center, beside it and above or below it, where the grid has them: about three times as many
    examples to learn from. In these cells those anchors (A, width and height) answer whose size has
    an IoU of at least 0.5 with that of the box, and the best one whatever its IoU. All is in
    pixels.
    """
    centers, sizes = to_centers(boxes).tensor_split(2, dim=-1)
    places = centers / stride
    own = places.floor().clamp(0, cells - 1)
    near = own + torch.where(places - own < 0.5, -1, 1)
    (column, row), (beside, above) = own.unbind(-1), near.unbind(-1)
    columns = torch.stack([column, beside, column], -1)
    rows = torch.stack([row, row, above], -1)
    inside = (columns >= 0) & (columns < cells) & (rows >= 0) & (rows < cells)
    ious = size_iou(sizes, anchors)
    fitting = (ious >= SAME_SIZE) | (ious == ious.amax(-1, keepdim=True))
    numbers = (rows * cells + columns).long().clamp(0, cells**2 - 1)
    return Assignment(numbers, ious, inside[..., None] & fitting[..., None, :])


class TinyYoloTask(Detection):
    """How tiny-yolo learns and detects.

    A part of the loss is a mean over the true boxes, or over the images; a crowd is no example. The
    number of boxes is known before the forward pass, so micro-batches add up exactly, but for batch
    normalization.
    """

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its boxes and its images."""
        images, boxes = batch
        number = examples_of(boxes).sum().clamp(min=_NO_BOXES)
        return {"box": number, "objectness": len(images), "class": number}

    def loss(self, model: Any, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss.

        - box: 1 - GIoU of the boxes that are to fit an object, a mean over those who answer for it,
          then over the objects;
        - objectness: cross-entropy with the IoU that the box of an answering anchor has now, and
          with 0 for all others (Redmon et al. 2016: "confidence"), a mean over all anchors;
        - class: cross-entropy of the cells that answer, a mean over them, then over the objects.
        """
        images, (truth, lengths) = batch
        grid = model(images)
        predicted = decode(grid, model.anchors, model.stride)
        corners, labels = truth[..., :4].float(), truth[..., 4].long()
        assigned = assign(corners, model.anchors, model.stride, grid.shape[-1])
        examples = examples_of(batch[1])
        answers = assigned.responsible & examples[..., None, None]  # (B, T, 3, A)
        share = answers / answers.sum((2, 3), keepdim=True).clamp(min=1)
        number = examples.sum().clamp(min=_NO_BOXES)

        anchors = torch.arange(len(model.anchors), device=grid.device)
        places = assigned.cells[..., None] * len(model.anchors) + anchors  # (B, T, 3, A)
        boxes, targets = pick(predicted.boxes.flatten(1, 2), places), corners[:, :, None, None]
        box = (share * (1 - paired_giou(boxes, targets))).sum() / number

        ious = (answers * paired_iou(boxes.detach(), targets)).flatten(1)
        objectness = predicted.objectness.flatten(1)
        wanted = torch.zeros_like(objectness).scatter_reduce(1, places.flatten(1), ious, "amax")
        confidence = functional.binary_cross_entropy_with_logits(objectness, wanted)

        logits = pick(predicted.classes, assigned.cells)  # (B, T, 3, C)
        labels = labels.clamp(min=0)[..., None].expand_as(assigned.cells)
        surprise = functional.cross_entropy(
            logits.flatten(0, 2), labels.flatten(), reduction="none"
        )
        kind = (share.sum(-1) * surprise.view_as(labels)).sum() / number
        parts = {"box": box, "objectness": confidence, "class": kind}
        return {name: GAINS[name] * part for name, part in parts.items()}

    def detect(self, model: Any, images: Tensor) -> Tensor:
        """Return detections, (B, MOST, 6), after non-maximum suppression within each class."""
        return torch.stack([suppressed(found, SAME_OBJECT) for found in candidates(model, images)])


def candidates(model: Any, images: Tensor) -> Tensor:
    """Return the best detections of images before suppression, (B, CANDIDATES or fewer, 6).

    Columns: x1, y1, x2, y2 in pixels, score, class; highest score first. An anchor whose cell is
    in two minds stands there with each class.
    """
    return highest(*boxes_and_scores(model, images), CANDIDATES)


def highest(boxes: Tensor, scores: Tensor, most: int) -> Tensor:
    """Return the highest scores of boxes (B, N, 4) and (B, N, C), as `candidates` does."""
    best = scores.flatten(1).topk(min(most, scores[0].numel()))
    rows, labels = best.indices // scores.shape[2], best.indices % scores.shape[2]
    return torch.cat([pick(boxes, rows), best.values[..., None], labels[..., None]], -1)


def boxes_and_scores(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what every anchor of every cell says of images (B, 3, S, S).

    Returns:
        Boxes (B, N A, 4) in pixels, cut off at the border, and the confidence that each shows each
        class, (B, N A, C): objectness x probability of the class.
    """
    predicted = decode(model(images), model.anchors, model.stride)
    classes = predicted.classes.softmax(-1)[:, :, None]
    scores = predicted.objectness.sigmoid()[..., None] * classes  # (B, N, A, C)
    return predicted.boxes.clamp(0, images.shape[-1]).flatten(1, 2), scores.flatten(1, 2)


def examples_of(boxes: Padded) -> Tensor:
    """Return which rows (B, T) are boxes to learn from: not padding, not a crowd."""
    values, lengths = boxes
    steps = torch.arange(values.shape[1], device=values.device)
    return (steps < lengths[:, None]) & (values[..., 5] == 0)


def pick(values: Tensor, rows: Tensor) -> Tensor:
    """Return rows (B, ...) of values (B, N, D), as (B, ..., D)."""
    index = rows.flatten(1)[..., None].expand(-1, -1, values.shape[2])
    return values.gather(1, index).reshape(*rows.shape, values.shape[2])


def suppressed(found: Tensor, same_object: float) -> Tensor:
    """Return what non-maximum suppression keeps of an image's detections, as (MOST, 6).

    Of a class, of boxes with an IoU above `same_object` that of the highest score is kept.
    """
    keep = torchvision.ops.batched_nms(found[:, :4], found[:, 4], found[:, 5], same_object)[:MOST]
    rows = found.new_zeros(MOST, 6)
    rows[:, 5] = -1
    rows[: len(keep)] = found[keep]
    return rows
