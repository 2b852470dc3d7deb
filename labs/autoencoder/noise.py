"""Noise that a denoising autoencoder learns to take away.

Vincent, Larochelle, Lajoie, Bengio and Manzagol 2010, "Stacked denoising autoencoders", section 3.3
for the three kinds.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

Noise = Callable[[Tensor, torch.Generator | None], Tensor]
"""Noisy images from images (N, C, H, W) in [0, 1]; draws from torch's own generator when None."""


def gaussian(images: Tensor, generator: torch.Generator | None, deviation: float) -> Tensor:
    """Add normal noise to each value, and keep the result in [0, 1]."""
    drawn = torch.randn(images.shape, generator=generator, device=images.device)
    return (images + deviation * drawn).clamp(0, 1)


def salt_and_pepper(images: Tensor, generator: torch.Generator | None, share: float) -> Tensor:
    """Make a share of the pixels black or white, one as often as the other."""
    drawn = _uniform(images, generator)
    return images.masked_fill(drawn < share / 2, 0).masked_fill(drawn >= 1 - share / 2, 1)


def masking(images: Tensor, generator: torch.Generator | None, share: float) -> Tensor:
    """Make a share of the pixels black."""
    return images.masked_fill(_uniform(images, generator) < share, 0)


def parse(spec: str) -> Noise:
    """Return the noise of a spec that the config has checked, such as `gaussian:0.4`."""
    kinds = {"gaussian": gaussian, "salt-and-pepper": salt_and_pepper, "masking": masking}
    kind, _, amount = spec.partition(":")
    return partial(_apply, kinds[kind], float(amount))


def _apply(
    kind: Callable[[Tensor, torch.Generator | None, float], Tensor],
    amount: float,
    images: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    return kind(images, generator, amount)


def _uniform(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw a number in [0, 1) for each pixel, the same for all its channels."""
    shape = (len(images), 1, *images.shape[2:])
    return torch.rand(shape, generator=generator, device=images.device)
