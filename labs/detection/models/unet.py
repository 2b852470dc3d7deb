"""U-Nets: down to coarse pixels that see far, and back up to fine ones that see where.

Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", with
what has become usual since: batch normalization, zeros around so that sizes stay, and bilinear
enlargement in place of transposed convolutions, which leave a checkerboard. Three things make it
several times faster on a CPU: the first level takes 2x2 pixels together as channels, and the last
one parts them again (Shi et al. 2016, "Real-time single image and video super-resolution using an
efficient sub-pixel convolutional neural network"), so that no pixel is lost; the way up has one
convolution at each level, where the way down has two; and it enlarges few channels.

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
    "unet": (16, 48, 96, 128),
    "unet-lite0": (24, 32, 48, 96, 320),
}
"""Channels at each level on the way up, the finest first; each has half the side of the one before.

The coarsest is not on the way up: its channels are those of the way down.
"""

TOGETHER = 2
"""Pixels of a side that the finest level takes together."""

_LITE0_LEVELS = ((3, 24), (4, 40), (6, 112), (8, 320))
"""Of EfficientNet-Lite0 at quarters, eighths, ...: children of the trunk so far, and channels."""


def convolve(inputs: int, outputs: int, times: int) -> nn.Sequential:
    """Return 3x3 convolutions, each normalized and rectified; the size stays."""
    layers: list[nn.Module] = []
    for width in (inputs, *[outputs] * (times - 1)):
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
        above = (3 * TOGETHER**2, *widths)
        self.levels = nn.ModuleList(
            convolve(one, other, 2) for one, other in zip(above, widths, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what each level sees of images (B, 3, S, S), the finest first."""
        seen = [self.levels[0](functional.pixel_unshuffle(images, TOGETHER))]
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
        self.fine = convolve(3 * TOGETHER**2, width, 1)
        self.trunk = lite0_yolo.trunk()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what each level sees of images (B, 3, S, S), the finest first."""
        seen, at = [self.fine(functional.pixel_unshuffle(images, TOGETHER))], 0
        here = (images - efficientnet_lite.MEAN) / efficientnet_lite.STD
        for last, _ in _LITE0_LEVELS:
            here, at = self.trunk[at:last](here), last
            seen.append(here)
        return seen


class UNet(nn.Module):
    """From images (B, 3, S, S) in [0, 1] to logits (B, classes, S, S); S is a multiple of 2^L.

    In training it also gives the logits of the first level on the way up, of which one stands for
    many pixels: what the coarse levels are for is told to them directly (Lee et al. 2015,
    "Deeply-supervised nets").

    Args:
        down: the way down; `channels` has those of its levels, L of them.
        widths: channels of each level on the way up, see `WIDTHS`.
        classes: how many there are.
    """

    def __init__(self, down: Down | DownLite0, widths: Sequence[int], classes: int):
        super().__init__()
        self.down = down
        *fine, coarsest = down.channels
        coarse = (*widths[1:-1], coarsest)
        self.narrow = nn.ModuleList(
            nn.Conv2d(wide, width, 1) for wide, width in zip(coarse, widths, strict=False)
        )
        self.up = nn.ModuleList(
            convolve(own + width, width, 1) for own, width in zip(fine, widths, strict=False)
        )
        self.coarse_head = nn.Conv2d(widths[-2], classes, 1)
        self.head = _apart(widths[0], classes)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the logits of each pixel, and in training those of coarse ones, too."""
        *levels, seen = self.down(images)
        told = None
        for level, narrow, up in zip(
            reversed(levels), reversed(self.narrow), reversed(self.up), strict=True
        ):
            larger = functional.interpolate(narrow(seen), scale_factor=2.0, mode="bilinear")
            seen = up(torch.cat([level, larger], 1))
            if told is None and self.training:
                told = self.coarse_head(seen)
        logits: Tensor = functional.pixel_shuffle(self.head(seen), TOGETHER)
        return logits if told is None else (logits, told)


@torch.no_grad()
def _apart(inputs: int, classes: int) -> nn.Conv2d:
    """Return a layer that parts pixels, which begins by saying the same of all that it parts.

    Else a checkerboard stays where nothing is learned (Aitken et al. 2017, "Checkerboard artifact
    free sub-pixel convolution").
    """
    head, pixels = nn.Conv2d(inputs, classes * TOGETHER**2, 1), TOGETHER**2
    for values in (head.weight, head.bias):
        assert values is not None
        values.copy_(values[::pixels].repeat_interleave(pixels, 0))
    return head


def build(name: str, classes: int) -> UNet:
    """Return a U-Net, a row of `WIDTHS`, for so many classes."""
    widths = WIDTHS[name]
    down = DownLite0(widths[0]) if name == "unet-lite0" else Down(widths)
    return UNet(down, widths, classes)
