"""The classifiers: plain modules from images to logits.

Images are normalized floats (N, channels, image_size, image_size), logits (N, classes). Where
nothing else is said, the lab's own models keep torch's default initialization: weights and biases
uniform within 1/sqrt(fan in), drawn as the layers are made. torchvision's families bring the
initialization of their papers.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from common.errors import ConfigError
from common.options.config import nearest
from labs.classification.models import torchvision_models
from labs.classification.models.alexnet import NORMALIZATIONS, alexnet
from labs.classification.models.catalogue import LITE, model_names, needs_color
from labs.classification.models.efficientnet_lite import efficientnet_lite0
from labs.classification.models.flat import linear, mlp
from labs.classification.models.lenet import lenet5, lenet5_1998, locally_connected
from labs.classification.models.resnet import DEPTHS, resnet
from labs.classification.models.vgg import ROWS, vgg

BUILDERS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "linear": linear,
    "mlp": mlp,
    "locally-connected": locally_connected,
    "lenet5-1998": lenet5_1998,
    "lenet5": lenet5,
    **{name: partial(alexnet, name) for name in NORMALIZATIONS},
    **{f"{row}{suffix}": partial(vgg, f"{row}{suffix}") for row in ROWS for suffix in ("", "_bn")},
    **{name: partial(resnet, name) for name in DEPTHS},
    LITE: efficientnet_lite0,
}
"""The lab's own models: (channels, image_size, classes) -> model."""

# Tried when a model of torchvision's cannot take the given size.
_SIZES = (32, 64, 75, 96, 128, 224, 256, 299)


def build(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return an untrained model, once it is known that an image of that size goes through it.

    The trial runs on the meta device, in shapes without numbers: it takes no memory and leaves the
    state of the random generators alone.

    Args:
        name: one of `labs.classification.models.catalogue.model_names()`.
        channels: channels of the images; 3 where `needs_color(name)`, so repeat grey images.
        image_size: height and width of the images in pixels.
        classes: number of logits; 1 where a number is predicted.

    Raises:
        ConfigError: the name is unknown, or the model cannot take such images.
    """
    if name not in model_names():
        near = nearest(name, model_names()) or "; the command `summary` lists them"
        raise ConfigError(f"unknown model {name!r}{near}")
    if needs_color(name) and channels != 3:
        raise ConfigError(
            f"{name} takes color images (3 channels), these have {channels}; "
            "repeat the grey channel, or give --model lenet5"
        )
    _check_image_size(name, channels, image_size, classes)
    return _construct(name, channels, image_size, classes)


def _construct(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    if name in BUILDERS:
        return BUILDERS[name](channels, image_size, classes)
    return torchvision_models.construct(name, image_size, classes)


def _check_image_size(name: str, channels: int, image_size: int, classes: int) -> None:
    if name.startswith("regnet_"):
        # They take any size, and their constructors read tensors, which have no values on meta.
        return
    problem = _shape_problem(name, channels, image_size, classes)
    if problem is None:
        return
    nearest_first = sorted(_SIZES, key=lambda size: abs(size - image_size))
    fitting = (s for s in nearest_first if _shape_problem(name, channels, s, classes) is None)
    raise ConfigError(
        f"{name} cannot take {image_size}x{image_size} images ({problem}); "
        f"give --image-size {next(fitting, 224)}"
    )


def _shape_problem(name: str, channels: int, image_size: int, classes: int) -> str | None:
    """Return why an image of that size does not go through, or None where it does."""
    try:
        with torch.device("meta"), torch.no_grad():
            model = _construct(name, channels, image_size, classes).eval()
            model(torch.empty(1, channels, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        return str(error).partition("\n")[0].rstrip(".!")
    return None
