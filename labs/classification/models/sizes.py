"""How networks follow the size of their images."""

from common.errors import ConfigError
from labs.classification.models.catalogue import MODELS

SMALL = 64
"""Pixels up to which AlexNet and VGG have a head of 512 units, in place of 4096."""


def check(name: str, image_size: int, smallest: int) -> None:
    """Refuse images (pixels a side) of which a model's poolings would leave nothing.

    Raises:
        ConfigError: the images are smaller.
    """
    if image_size < smallest:
        raise ConfigError(
            f"{name} needs at least {smallest}x{smallest} pixels, the images have "
            f"{image_size}x{image_size}; give --image-size {MODELS[name].smallest}, or --model mlp"
        )
