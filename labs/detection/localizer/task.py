"""What the loop cannot know about a localizer: two losses at once, of the class and of the box."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.training import Task, When
from common.training.task import check_finite
from labs.detection.boxes import paired_giou
from labs.detection.localizer import metrics
from labs.detection.task import filled

OVERLAP, SIDES = 2.0, 5.0
"""What the two losses of the box are multiplied by, as in DETR."""

_NONE = 1e-6  # the weight of a mean over no objects


class LocalizerTask(Task):
    """One object in each image; a batch is (images, boxes), as the detectors' is.

    A change of images may push the object out of its image: such an image teaches nothing.
    """

    monitor = "validation/localization_accuracy"

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its objects."""
        number = (batch[1].lengths > 0).sum().clamp(min=_NONE)
        return {"class": number, "box": number}

    def loss(self, model: Any, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss, each a mean over the objects.

        - class: cross-entropy;
        - box: 1 - GIoU with the true box, and how far its sides are from the true ones, as shares
          of the image, whether the class is right or not (Carion et al. 2020, "End-to-end object
          detection with transformers", section 3.1). The second part has a gradient that does not
          fade where the boxes are far apart, as they are in the beginning.
        """
        images, (truth, lengths) = batch
        logits, boxes = model(images)
        there = (lengths > 0).float()
        number, true = there.sum().clamp(min=_NONE), truth[:, 0]
        labels, corners = true[:, 4].long().clamp(min=0), true[:, :4].float()
        surprise = functional.cross_entropy(logits.float(), labels, reduction="none")
        sides = (boxes - corners).abs().sum(-1) / images.shape[-1]
        box = OVERLAP * (1 - paired_giou(boxes, corners)) + SIDES * sides
        parts = {"class": surprise, "box": box}
        return {name: (there * part).sum() / number for name, part in parts.items()}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the one detection of each image, (B, 1, 6), and what is true, (B, 1, 6)."""
        images, boxes = batch
        return {"detections": detect(model, images), "targets": filled(boxes, 1)}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return accuracy, mean IoU, and the share of images of which both are right."""
        check_finite(outputs["detections"])
        return metrics.figures(outputs["detections"].numpy(), outputs["targets"].numpy())


def detect(model: Any, images: Tensor) -> Tensor:
    """Return what a localizer says of images as detections, (B, 1, 6).

    Columns: x1, y1, x2, y2 in pixels, the probability of the class, the class.
    """
    boxes, scores = boxes_and_scores(model, images)
    best = scores.max(-1)
    return torch.cat([boxes, best.values[..., None], best.indices[..., None]], -1)


def boxes_and_scores(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the box of each image, (B, 1, 4), cut off at the border, and probabilities (B, 1, C).

    They are those of a detector with one place.
    """
    logits, boxes = model(images)
    boxes = boxes.float().clamp(0, images.shape[-1])
    return boxes[:, None], logits.float().softmax(-1)[:, None]
