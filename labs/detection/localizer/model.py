"""A network that says one class and one box: a trunk, a place to look at, and two heads.

    trunk     features of each cell of the image
    look      how much each cell counts: a softmax over the cells, a map of where the object is
    class     a linear layer on the mean of the features, weighed by that map
    box       likewise: how far its middle is from the middle of the map, and how large it is

The classifier of a whole image takes the plain mean over the cells, in which a small object is lost
among the background, and which does not know where anything was. Here both heads share one map: the
box pulls it onto the object, the class then reads what lies there. The middle of the map, the sum
of the cells' places by their weights, is a place with a gradient (the "soft argmax", Levine et al.
2016, "End-to-end training of deep visuomotor policies", section 5.1). That a class and a box are
learned by two heads on one trunk is older (Sermanet et al. 2014, "OverFeat", section 4).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from common.images import efficientnet_lite
from labs.detection.boxes import to_corners
from labs.detection.models import lite0_yolo
from labs.detection.models.tiny_yolo import Residual, conv

STAGES = ((16, 0), (32, 1), (64, 2), (128, 3), (192, 1))
"""Of each halving of the image: channels, and residual blocks that follow."""
LITE0_WIDTH = 320
"""Channels at the end of EfficientNet-Lite0."""

_SMALL = 128  # pixels up to which cells of 16 pixels are fine enough, and few
_REACH = 1.5  # cells that the middle of the box may be from the middle of the map
_SHARE = 0.25  # of the image's side that a box has before anything is learned


class Localizer(nn.Module):
    """From images (B, 3, S, S) in [0, 1] to logits (B, C) and boxes (B, 4), corners in pixels.

    Args:
        classes: C.
        image_size: S.
        lite0: whether the trunk is EfficientNet-Lite0, for which there are weights from ImageNet.
    """

    def __init__(self, classes: int, image_size: int, lite0: bool = False):
        super().__init__()
        stages = STAGES[: 4 if image_size <= _SMALL else 5]
        self.trunk = lite0_yolo.trunk() if lite0 else _small_trunk(stages)
        width = LITE0_WIDTH if lite0 else stages[-1][0]
        self.look = nn.Conv2d(width, 1, 1)
        self.classify = nn.Linear(width, classes)
        self.box = nn.Linear(width, 4)
        nn.init.zeros_(self.box.weight)  # so that the map alone moves the first boxes
        with torch.no_grad():
            self.box.bias.copy_(torch.tensor([0, 0, *[math.log(_SHARE / (1 - _SHARE))] * 2]))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and boxes of images."""
        features, weights = self.attend(images)
        seen = (features * weights).sum((2, 3))
        return self.classify(seen), self.place(weights, self.box(seen).float(), images.shape[-1])

    def attend(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features of cells (B, D, H, H), and how much each counts, (B, 1, H, H), sum 1."""
        features = self.trunk((images - efficientnet_lite.MEAN) / efficientnet_lite.STD)
        logits = self.look(features).float()
        return features, logits.flatten(2).softmax(-1).view_as(logits)

    def place(self, weights: Tensor, numbers: Tensor, size: int) -> Tensor:
        """Return boxes (B, 4) in pixels of images of a size.

        The middle is that of the weights (B, 1, H, H), moved by up to `_REACH` cells by the first
        two numbers (B, 4); the others are width and height, as logits of shares of the image.
        """
        cells = weights.shape[-1]
        places = (torch.arange(cells, device=weights.device) + 0.5) / cells
        middle = torch.stack([(weights.sum(axis) * places).sum((1, 2)) for axis in (2, 3)], -1)
        moved = middle + _REACH / cells * numbers[:, :2].tanh()
        return size * to_corners(torch.cat([moved, numbers[:, 2:].sigmoid()], -1))


def _small_trunk(stages: Sequence[tuple[int, int]]) -> nn.Sequential:
    """Return the lab's own trunk: halvings of the image with residual blocks."""
    trunk, width = nn.Sequential(), 3
    for channels, blocks in stages:
        trunk.extend([conv(width, channels, stride=2)])
        trunk.extend([Residual(channels) for _ in range(blocks)])
        width = channels
    return trunk
