"""What the loop cannot know about detection, whichever the detector."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.training import Task
from common.training.sequences import Padded
from common.training.task import check_finite
from labs.detection import metrics

MOST = 100  # detections of an image that count, by COCO's rules


class Detection(Task):
    """Boxes in images; a batch is (images, boxes).

    Images are (B, 3, S, S) with values in [0, 1]. Boxes are `Padded`, values (B, T, 6): x1, y1, x2,
    y2 in pixels of the image, the class, and 1 where COCO calls the box a crowd, in which any
    number of detections is forgiven.

    Args:
        classes: how many there are.
        most: the most boxes of an image in any split.
    """

    monitor = "validation/map50_95"

    def __init__(self, classes: int, most: int):
        self.classes, self.most = classes, most

    @abstractmethod
    def detect(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return detections, (B, MOST, 6) float32, highest score first.

        Columns: x1, y1, x2, y2 in pixels, score in [0, 1], class; unused rows have class -1.
        """

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect detections (B, MOST, 6) and what is true, (B, most, 6)."""
        images, boxes = batch
        return {"detections": self.detect(model, images), "targets": filled(boxes, self.most)}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return mAP and mean recall by COCO's rules."""
        check_finite(outputs["detections"])
        found = outputs["detections"].numpy(), outputs["targets"].numpy()
        return metrics.coco(*found, self.classes)


def filled(boxes: Padded, rows: int) -> Tensor:
    """Return padded boxes as (B, rows, 6), in which rows that are no box have class -1."""
    values, lengths = boxes
    values = functional.pad(values, (0, 0, 0, max(0, rows - values.shape[1])))[:, :rows].clone()
    step = torch.arange(rows, device=lengths.device)
    values[..., 4].masked_fill_(step >= lengths[:, None], -1)
    return values


def detections(found: Sequence[Tensor]) -> Tensor:
    """Return the detections with the highest scores of each image as (B, MOST, 6) float32.

    Of each image there are (n, 6): x1, y1, x2, y2, score, class, in any order; columns after them
    go along.
    """
    all_rows = torch.zeros(len(found), MOST, found[0].shape[1], device=found[0].device)
    all_rows[..., 5] = -1
    for place, rows in zip(all_rows, found, strict=True):
        best = rows[:, 4].argsort(descending=True, stable=True)[:MOST]
        place[: len(best)] = rows[best].float()
    return all_rows
