"""The classifiers: plain modules from images to logits.

Images are normalized floats (N, channels, image_size, image_size), logits (N, classes). Where
nothing else is said, the lab's own models keep torch's default initialization: weights and biases
uniform within 1/sqrt(fan in), drawn as the layers are made. torchvision's families bring the
initialization of their papers.
"""

from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name

import torch
from torch import nn

from common.errors import ConfigError
from common.suggest import suggest
from labs.classification.models.catalogue import MODELS, find_family, is_known

Construct = Callable[[int, int, int], nn.Module]  # of channels, image size and classes

# Tried when a model of torchvision's cannot take the given size.
_SIZES = (32, 64, 75, 96, 128, 224, 256, 299)


def build(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return an untrained model, once it is known that an image of that size goes through it.

    The trial runs on the meta device, in shapes without numbers: it takes no memory and leaves the
    state of the random generators alone.

    Args:
        name: of one of the `MODELS` in `catalogue`, or `timm:NAME`.
        channels: channels of the images; 3 where it needs color, so repeat grey images.
        image_size: height and width of the images in pixels.
        classes: number of logits; 1 where a number is predicted.

    Raises:
        ConfigError: the name is unknown, or the model cannot take such images.

    Example:
        >>> model = build("lenet5", channels=1, image_size=28, classes=10)
        >>> model(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    if not is_known(name):
        near = suggest(name, MODELS) or "; the command `summary` lists them"
        raise ConfigError(f"unknown model {name!r}{near}")
    family = find_family(name)
    if family.needs_color and channels != 3:
        raise ConfigError(
            f"{name} takes color images (3 channels), these have {channels}; "
            "repeat the grey channel, or give --model lenet5"
        )
    construct: Construct = partial(resolve_name(family.builder), name)
    if family.tried:
        _check_image_size(name, construct, channels, image_size, classes)
    return construct(channels, image_size, classes)


def _check_image_size(
    name: str, construct: Construct, channels: int, image_size: int, classes: int
) -> None:
    problem = _shape_problem(construct, channels, image_size, classes)
    if problem is None:
        return
    nearest_first = sorted(_SIZES, key=lambda size: abs(size - image_size))
    fitting = (s for s in nearest_first if _shape_problem(construct, channels, s, classes) is None)
    raise ConfigError(
        f"{name} cannot take {image_size}x{image_size} images ({problem}); "
        f"give --image-size {next(fitting, 224)}"
    )


def _shape_problem(
    construct: Construct, channels: int, image_size: int, classes: int
) -> str | None:
    """Return why an image of that size does not go through, or None where it does."""
    try:
        with torch.device("meta"), torch.no_grad():
            model = construct(channels, image_size, classes).eval()
            model(torch.empty(1, channels, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        return str(error).partition("\n")[0].rstrip(".!")
    return None
