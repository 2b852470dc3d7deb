"""Blended images: mixup and cutmix, which train on pairs.

Each sample of a batch is blended with its partner, the one before it (that of the first is the
last); batches are drawn at random, so the pairs are. As in torchvision's `v2.MixUp` and
`v2.CutMix`, a batch has one share for all its pairs. Targets stay classes: the loss of a blend is

    share * loss(outputs, targets) + (1 - share) * loss(outputs, partners(targets))

which for cross-entropy is the loss of the blended targets.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixing:
    """Blends batches, each by one of the ways that are on.

    The share is drawn from Beta(alpha, alpha): 1 is uniform, and the smaller alpha, the more often
    one image of a pair is nearly all there is. At least one alpha is above 0; 0 is for none.
    """

    mixup: float = 0.0
    """Alpha of mixup (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", eq. 2)."""
    cutmix: float = 0.0
    """Alpha of cutmix (Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features", section 3)."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, float]:
        """Return a blended batch, and the share of each image in it.

        Args:
            images: (B, C, H, W), not changed in place; as the model takes them.
            generator: its seed names what is drawn; nothing is taken from its stream, which may be
                the device's: the numbers are drawn where the shape of a box must be known.
        """
        drawn = np.random.default_rng(generator.initial_seed())
        boxes = drawn.random() < 0.5 if self.mixup and self.cutmix else self.cutmix > 0
        alpha = self.cutmix if boxes else self.mixup
        share = float(drawn.beta(alpha, alpha))
        if not boxes:
            return mixup(images, share), share
        return cutmix(images, share, *drawn.random(2))


def partners(values: Tensor) -> Tensor:
    """Return what each sample of a batch is blended with: the sample before it."""
    return values.roll(1, 0)


def mixup(images: Tensor, share: float) -> Tensor:
    """Return share * image + (1 - share) * partner for each image of a batch (B, ...)."""
    return partners(images).lerp(images, share)


def cutmix(images: Tensor, share: float, down: float, right: float) -> tuple[Tensor, float]:
    """Paste a box of each image's partner into it, one box for the batch.

    The box has the sides sqrt(1 - share) H and sqrt(1 - share) W; what of it lies outside is cut
    off.

    Args:
        images: (B, C, H, W).
        share: of each image that is to be kept.
        down: the center of the box, as a fraction of the height, in [0, 1).
        right: likewise of the width.

    Returns:
        The batch, and the share of each image that really is kept.
    """
    height, width = images.shape[2:]
    top, bottom = _side(height, share, down)
    left, end = _side(width, share, right)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:end] = partners(images)[:, :, top:bottom, left:end]
    return mixed, 1 - (bottom - top) * (end - left) / (height * width)


def _side(size: int, share: float, center: float) -> tuple[int, int]:
    """Return where a box begins and ends along a side of so many pixels."""
    half, middle = int(0.5 * math.sqrt(1 - share) * size), int(center * size)
    return max(0, middle - half), min(size, middle + half)
