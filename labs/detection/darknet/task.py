"""How networks of a `.cfg` learn and detect: the loss of darknet's [yolo] layers on our loop."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss

from common.training import When
from common.training.sequences import Padded
from labs.detection.boxes import paired_giou, paired_iou, size_iou, to_centers
from labs.detection.darknet.network import SAME_OBJECT, Head, boxes_and_scores, decode
from labs.detection.models.tiny_yolo import examples_of, highest, pick, suppressed
from labs.detection.task import Detection

CANDIDATES = 1000
"""Detections of an image, those with the highest scores, that go into non-maximum suppression."""
LOOSE_BOX = 10.0
"""What the losses by IoU are multiplied by, beside `iou_normalizer`: darknet derives the IoU by
shares of the image, autograd by the numbers of the network, which is much less. 640 scenes, 200
updates of a small network with ciou and 0.07: validation mAP50 of 0.35 and 0.41 (two seeds), with
50 of 0.28 and 0.32."""


class DarknetTask(Detection):
    """The loss of [yolo] layers, and their detections.

    Each part is a sum over the anchors of all heads, and a mean over the images, as darknet's; so
    micro-batches add up exactly, but for batch normalization. A crowd is no example.
    """

    parts = ("box", "objectness", "class")

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its images."""
        return dict.fromkeys(self.parts, float(len(batch[0])))

    def loss(self, model: Any, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss.

        - box: of the anchors that answer, cross-entropy of the center and half the squared error of
          the logarithm of the size, small boxes weighing up to twice as much (`iou_loss=mse`); or 1
          - IoU, GIoU, DIoU or CIoU;
        - objectness: cross-entropy, 1 for who answers and 0 for all others, but for those whose
          box has an IoU above `ignore_thresh` with any object;
        - class: cross-entropy of each class by itself.

        After Redmon and Farhadi 2018, "YOLOv3", section 2; Bochkovskiy et al. 2020, "YOLOv4",
        section 3.4.
        """
        images, boxes = batch
        said = model(images)
        with torch.autocast(images.device.type, enabled=False):
            each = [_loss(head, raw, boxes) for head, raw in zip(model.heads, said, strict=True)]
            totals = [torch.stack(part).sum(0) / len(images) for part in zip(*each, strict=True)]
        return dict(zip(self.parts, totals, strict=True))

    def detect(self, model: Any, images: Tensor) -> Tensor:
        """Return detections, (B, MOST, 6), after non-maximum suppression within each class."""
        found = highest(*boxes_and_scores(model, images), CANDIDATES)
        return torch.stack([suppressed(rows, SAME_OBJECT) for rows in found])


def assign(head: Head, boxes: Tensor, columns: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Say which anchors of a head answer for boxes (..., 4 corners), of a grid of its cells.

    The anchor whose size has the highest IoU with that of the box answers, of all heads' anchors,
    and those with an IoU above `iou_thresh`; in the cell in which the center of the box lies.

    Returns:
        The cells' columns and rows (...), int64, and who answers (..., A), bool.
    """
    centers, sizes = to_centers(boxes).tensor_split(2, dim=-1)
    column, row = (centers / head.stride).floor().long().unbind(-1)
    ious = size_iou(sizes, head.anchors)
    best = functional.one_hot(ious.argmax(-1), len(head.anchors)).bool()
    answers = (best | (ious > head.row.also))[..., list(head.row.mask)]
    return column.clamp(0, columns - 1), row.clamp(0, rows - 1), answers


def _loss(head: Head, raw: Tensor, boxes: Padded) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parts of the loss of a head, sums over a batch."""
    said, (height, width) = decode(head, raw), raw.shape[2:]
    examples = examples_of(boxes)
    truth, labels = _boxes_of(boxes)
    column, row, answers = assign(head, truth, width, height)
    answers = answers & examples[..., None]  # (B, T, A)
    anchors = torch.arange(answers.shape[2], device=raw.device)
    places = anchors * (height * width) + (row * width + column)[..., None]  # (B, T, A)
    numbers, found = pick(said.raw, places), pick(said.boxes, places)

    asked = torch.zeros_like(said.raw[..., 4]).scatter_reduce(
        1, places.flatten(1), answers.flatten(1).float(), "amax"
    )
    costs = (asked > 0) | ~_near(said.boxes.detach(), boxes, head.row.ignore)
    objectness = functional.binary_cross_entropy_with_logits(
        said.raw[..., 4], asked, reduction="none"
    )
    wanted = functional.one_hot(labels, head.row.classes).float()[:, :, None]
    classes = functional.binary_cross_entropy_with_logits(
        numbers[..., 5:], wanted.expand_as(numbers[..., 5:]), reduction="none"
    )
    box = _box_loss(head, numbers, found, truth[:, :, None], (width, height))
    gains = head.row.gains
    return (
        gains[0] * (answers * box).sum(),
        gains[1] * (costs * objectness).sum(),
        gains[2] * (answers * classes.sum(-1)).sum(),
    )


def _boxes_of(boxes: Padded) -> tuple[Tensor, Tensor]:
    """Return corners (B, T, 4) and classes (B, T); what is no example is a box of a pixel."""
    values = boxes.values.float()
    examples = examples_of(boxes)
    filler = values.new_tensor([0.0, 0.0, 1.0, 1.0])
    corners = torch.where(examples[..., None], values[..., :4], filler)
    return corners, torch.where(examples, values[..., 4], 0).long()


def _near(found: Tensor, boxes: Padded, ignore: float) -> Tensor:
    """Return which boxes (B, N, 4) have an IoU above a threshold with any object, or crowd."""
    values, lengths = boxes
    steps = torch.arange(values.shape[1], device=values.device)
    ious = paired_iou(found[:, :, None], values[:, None, :, :4].float())  # (B, N, T)
    return ((ious > ignore) & (steps < lengths[:, None])[:, None]).any(-1)


def _box_loss(
    head: Head, numbers: Tensor, found: Tensor, truth: Tensor, cells: tuple[int, int]
) -> Tensor:
    """Return the loss (B, T, A) of boxes (B, T, A, 4) that answer for true ones (B, T, 1, 4).

    Args:
        head: whose they are.
        numbers: (B, T, A, 5 + C), as the network gives them.
        found: corners in pixels.
        truth: likewise.
        cells: of the grid, across and down.
    """
    kind = head.row.box_loss
    if kind == "mse":
        return _squared(head, numbers, truth, cells)
    truth = truth.expand_as(found)
    if kind == "iou":
        loss = 1 - paired_iou(found, truth)
    elif kind == "giou":
        loss = 1 - paired_giou(found, truth)
    else:
        compare = complete_box_iou_loss if kind == "ciou" else distance_box_iou_loss
        loss = compare(found.flatten(0, 2), truth.flatten(0, 2)).view(found.shape[:3])
    return LOOSE_BOX * loss


def _squared(head: Head, numbers: Tensor, truth: Tensor, cells: tuple[int, int]) -> Tensor:
    row = head.row
    centers, sizes = to_centers(truth).tensor_split(2, dim=-1)
    inside = (centers / head.stride) % 1
    wanted = ((inside + (row.scale_xy - 1) / 2) / row.scale_xy).expand_as(numbers[..., :2])
    center = functional.binary_cross_entropy_with_logits(numbers[..., :2], wanted, reduction="none")
    stretched = (sizes / head.anchors[list(row.mask)]).log()
    size = (numbers[..., 2:4] - stretched) ** 2 / 2
    whole = (cells[0] * head.stride) * (cells[1] * head.stride)
    weight = 2 - sizes.prod(-1, keepdim=True) / whole
    return (weight * (center + size)).sum(-1)
