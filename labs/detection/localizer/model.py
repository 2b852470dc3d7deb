"""A network that says one class and one box: a trunk, a place to look at, and two heads.

    trunk     features of each cell of the image
    look      how much each cell counts: a softmax over the cells, a map of where the object is
    box       a linear layer on the mean of the features, weighed by that map: how far its middle is
              from the middle of the map, and how large it is
    class     a small network that reads the pixels in that box, scaled to one size; with
              EfficientNet-Lite0, which knows how to see, a linear layer, as the box

The classifier of a whole image takes the plain mean over the cells, in which a small object is lost
among the background, and which does not know where anything was. Here the box pulls the map onto
the object, and the class is read where the box is, whatever its place and size: a glimpse (Mnih et
al. 2014, "Recurrent models of visual attention", section 3; Jaderberg et al. 2015, "Spatial
transformer networks", section 3.3). It is the step to detectors of two stages. The middle of the
map, the sum of the cells' places by their weights, is a place with a gradient (the "soft argmax",
Levine et al. 2016, "End-to-end training of deep visuomotor policies", section 5.1). That a class
and a box are learned by two heads is older (Sermanet et al. 2014, "OverFeat", section 4).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

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
_GLIMPSE = 28  # pixels of a side
_MARGIN = 1.2  # times the longer side of a box
_JITTER = 0.1  # of a glimpse's place and of the logarithm of its size, in training
_FLAT = 0.05  # added to the contrast of a glimpse, which may be none
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
        self.glimpse = None if lite0 else Glimpse()
        self.classify = nn.Linear(width, classes) if lite0 else _reader(classes)
        self.box = nn.Linear(width, 4)
        nn.init.zeros_(self.box.weight)  # so that the map alone moves the first boxes
        with torch.no_grad():
            self.box.bias.copy_(torch.tensor([0, 0, *[math.log(_SHARE / (1 - _SHARE))] * 2]))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and boxes of images."""
        features, weights = self.attend(images)
        seen = (features * weights).sum((2, 3))
        boxes = self.place(weights, self.box(seen).float(), images.shape[-1])
        if self.glimpse is not None:
            seen = self.glimpse(images, boxes.detach())
        return self.classify(seen), boxes

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


class Glimpse(nn.Module):
    """Cuts out what lies in boxes: (B, 3, S, S) and (B, 4) in pixels become (B, 3, 28, 28).

    It is a square about the middle of the box, a fifth larger than its longer side, of which the
    brightness and the contrast are made equal. In training the square is not just where the box
    is, and a little turned and sheared, so that a class is read from boxes that are a little wrong,
    too; the random numbers are those of dropout, keyed by seed and step.
    """

    base: Tensor

    def __init__(self) -> None:
        super().__init__()
        places = (torch.arange(_GLIMPSE) + 0.5) * 2 / _GLIMPSE - 1
        rows, columns = torch.meshgrid(places, places, indexing="ij")
        self.register_buffer("base", torch.stack([columns, rows], -1), persistent=False)

    def forward(self, images: Tensor, boxes: Tensor) -> Tensor:
        """Return the squares."""
        low, high = (2 * boxes / images.shape[-1] - 1).chunk(2, 1)
        middle, half = (low + high) / 2, (high - low).amax(1, keepdim=True) / 2 * _MARGIN
        if self.training:
            middle = middle + _JITTER * half * torch.randn_like(middle)
        grid = half[:, None, None] * self.base
        if self.training:
            turned = torch.eye(2, device=grid.device) + _JITTER * torch.randn(
                len(images), 1, 2, 2, device=grid.device
            )
            grid = grid @ turned
        grid = grid + middle[:, None, None]
        cut = functional.grid_sample(
            images, grid.to(images.dtype), padding_mode="border", align_corners=False
        )
        level, spread = cut.mean((2, 3), keepdim=True), cut.std((2, 3), keepdim=True)
        return (cut - level) / (spread + _FLAT)


def _reader(classes: int) -> nn.Sequential:
    """Return the network that reads a glimpse: (B, 3, 28, 28) become logits (B, classes)."""
    return nn.Sequential(
        *(conv(3, 24), conv(24, 24), nn.MaxPool2d(2)),
        *(conv(24, 48), conv(48, 48), nn.MaxPool2d(2)),
        *(conv(48, 96), nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        *(nn.Dropout(0.3), nn.Linear(4 * 96, classes)),
    )
