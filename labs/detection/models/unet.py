"""U-Nets: down to coarse pixels that see far, and back up to fine ones that see where.

Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", with
what has become usual since: batch normalization, zeros around so that sizes stay, and on the way up
bilinear enlargement of fewer channels in place of transposed convolutions, which leave a
checkerboard.

A family is a table, and one builder reads it: `unet` goes down by its own convolutions, and
`unet-lite0` by EfficientNet-Lite0 (`lite0_yolo`), whose weights know from ImageNet how to see.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.images import efficientnet_lite
from labs.detection.models import lite0_yolo

WIDTHS: dict[str, tuple[int, ...]] = {
    "unet": (8, 16, 48, 96, 128),
    "unet-lite0": (16, 24, 40, 64, 96, 128),
}
"""Channels at each level on the way up, the image's own pixels first; each has half the side."""

_LITE0_LEVELS = ((2, 16), (3, 24), (4, 40), (6, 112), (8, 320))
"""Of EfficientNet-Lite0 at halves, quarters, ...: children of the trunk so far, and channels."""


def pair(inputs: int, outputs: int, convolutions: int = 2) -> nn.Sequential:
    """Return 3x3 convolutions, each normalized and rectified; the size stays."""
    layers: list[nn.Module] = []
    for width in (inputs, outputs)[:convolutions]:
        layers += [
            nn.Conv2d(width, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class Down(nn.Module):
    """Down by pairs of convolutions, with the maximum of 2x2 pixels between them.

    Args:
        widths: channels of each level.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.channels = tuple(widths)
        self.levels = nn.ModuleList(map(pair, (3, *widths), widths))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what each level sees of images (B, 3, S, S), the finest first."""
        seen = [self.levels[0](images)]
        for level in self.levels[1:]:
            seen.append(level(functional.max_pool2d(seen[-1], 2)))
        return seen


class DownLite0(nn.Module):
    """Down by a convolution on the image's own pixels, and by EfficientNet-Lite0.

    Args:
        width: channels of the first level.
    """

    def __init__(self, width: int):
        super().__init__()
        self.channels = (width, *(channels for _, channels in _LITE0_LEVELS))
        self.fine = pair(3, width, 1)
        self.trunk = lite0_yolo.trunk()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what each level sees of images (B, 3, S, S), the finest first."""
        seen, at = [self.fine(images)], 0
        here = (images - efficientnet_lite.MEAN) / efficientnet_lite.STD
        for last, _ in _LITE0_LEVELS:
            here, at = self.trunk[at:last](here), last
            seen.append(here)
        return seen


class UNet(nn.Module):
    """From images (B, 3, S, S) in [0, 1] to logits (B, classes, S, S).

    Args:
        down: the way down; `channels` has those of its levels, L of them.
        widths: channels of each level on the way up; the coarsest has none.
        classes: how many there are.
    """

    def __init__(self, down: Down | DownLite0, widths: Sequence[int], classes: int):
        super().__init__()
        self.down = down
        coarse = (*widths[1:-1], down.channels[-1])
        self.narrow = nn.ModuleList(
            nn.Conv2d(*each, 1) for each in zip(coarse, widths, strict=False)
        )
        own = down.channels[:-1]
        self.up = nn.ModuleList(
            pair(fine + width, width) for fine, width in zip(own, widths, strict=False)
        )
        self.head = nn.Conv2d(widths[0], classes, 1)
        self.grain = 2 ** (len(down.channels) - 1)
        """What S is a multiple of."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of each pixel."""
        *levels, seen = self.down(images)
        for level, narrow, up in zip(
            reversed(levels), reversed(self.narrow), reversed(self.up), strict=True
        ):
            larger = functional.interpolate(narrow(seen), scale_factor=2.0, mode="bilinear")
            seen = up(torch.cat([level, larger], 1))
        logits: Tensor = self.head(seen)
        return logits


def build(name: str, classes: int) -> UNet:
    """Return a U-Net, a row of `WIDTHS`, for so many classes."""
    widths = WIDTHS[name]
    down = DownLite0(widths[0]) if name == "unet-lite0" else Down(widths)
    return UNet(down, widths, classes)
