"""torchvision's detectors on our loop: two stages (Faster R-CNN), and one on many scales (SSDlite).

A two-stage detector first proposes regions that may hold an object of any class, and then tells
for each what it is (Ren et al. 2015, "Faster R-CNN", section 3). A one-stage detector judges every
default box of several grids at once (Liu et al. 2016, "SSD", section 2).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection import (
    FasterRCNN_MobileNet_V3_Large_320_FPN_Weights,
    SSDLite320_MobileNet_V3_Large_Weights,
)
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator

from common.training import When
from labs.detection.task import MOST, Detection, detections

# Smaller images are scaled up to this many pixels a side: the finest features stand for 16 pixels.
_SIDE = 256
# Proposals of an image that train the second stage, and those that it looks at. torchvision's 512
# and 2,000 are for images of a thousand pixels, and take four times as long a step.
_SAMPLED, _PROPOSED = 64, 300
_LOSSES = {  # torchvision's names of the parts
    "loss_objectness": "proposal",
    "loss_rpn_box_reg": "proposal_box",
    "loss_classifier": "class",
    "loss_box_reg": "box",
    "classification": "class",
    "bbox_regression": "box",
}
WEIGHTS = {
    "faster-rcnn": FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1,
    "ssdlite": SSDLite320_MobileNet_V3_Large_Weights.COCO_V1,
}


def build(
    name: str, classes: int, image_size: int, anchors: Sequence[tuple[float, float]]
) -> nn.Module:
    """Return `faster-rcnn` or `ssdlite` with random weights; classes do not count the background.

    SSDlite scales all images to 320 pixels, and its default boxes span the sizes of the anchors
    (width and height in pixels of typical boxes), where torchvision's begin at a fifth of the
    image.
    """
    random: dict[str, Any] = {"weights": None, "weights_backbone": None}
    model: nn.Module
    if name == "ssdlite":
        model = detection.ssdlite320_mobilenet_v3_large(
            num_classes=classes + 1, detections_per_img=MOST, **random
        )
        model.anchor_generator = _default_boxes(anchors, image_size)
        return model
    side = max(_SIDE, image_size)
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        num_classes=classes + 1,
        min_size=side,
        max_size=side,
        rpn_pre_nms_top_n_train=2 * _PROPOSED,
        rpn_post_nms_top_n_train=_PROPOSED,
        box_batch_size_per_image=_SAMPLED,
        box_score_thresh=0.001,
        box_detections_per_img=MOST,
        **random,
    )
    return model  # noqa: RET504 - torchvision's builders say nothing of what they return


def _default_boxes(anchors: Sequence[tuple[float, float]], image_size: int) -> DefaultBoxGenerator:
    """Return default boxes for SSDlite's six grids, the finest with the smallest."""
    sides = sorted(math.sqrt(width * height) / image_size for width, height in anchors)
    step = (sides[-1] - sides[0]) / 5
    scales = [sides[0] + step * number for number in range(7)]
    return DefaultBoxGenerator([[2, 3]] * 6, scales=scales)


class TorchvisionTask(Detection):
    """The losses and the detections of a torchvision detector.

    Its losses are means over sampled proposals or over matched default boxes, whose number depends
    on the batch; so micro-batches, each weighed by its images, only come near to one large batch.
    """

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh every part by the images."""
        return dict.fromkeys(_LOSSES.values(), len(batch[0]))

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss that the model itself computes."""
        images, boxes = batch
        targets = []
        for rows, length in zip(boxes.values, boxes.lengths.tolist(), strict=True):
            rows = rows[:length]
            rows = rows[rows[:, 5] == 0]  # a crowd is no example of its class
            targets.append({"boxes": rows[:, :4], "labels": rows[:, 4].long() + 1})
        losses = model(list(images), targets)
        return {_LOSSES[name]: value for name, value in losses.items()}

    def detect(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return detections, (B, MOST, 6)."""
        found = model(list(images))
        rows = [
            torch.cat([each["boxes"], each["scores"][:, None], each["labels"][:, None] - 1], 1)
            for each in found
        ]
        return detections(rows)
