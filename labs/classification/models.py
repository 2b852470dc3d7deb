"""The classifiers: plain modules from images to logits.

Images are normalized floats (N, channels, image_size, image_size), logits (N, classes). The lab's
own models keep torch's default initialization: weights and biases uniform within 1/sqrt(fan in),
drawn as the layers are made. torchvision's families bring the initialization of their papers.
"""

import difflib
from collections import OrderedDict
from pkgutil import resolve_name
from typing import Any

import torch
from torch import nn

from common.errors import ConfigError
from labs.classification.names import MODELS, model_names, needs_color

# Tried when a model cannot take the given size; Inception v3 takes 75 at least, and usually 299.
_SIZES = (32, 64, 75, 96, 128, 224, 256, 299)

# Of this, c1 (padded) and s2 leave 6x6 pixels, c3 2x2, and s4 the last one.
_LENET5_SMALLEST = 12


def linear(channels: int, image_size: int, classes: int) -> nn.Module:
    """Return softmax regression: one linear layer on the pixels.

    The score of a class is the inner product of the image with that class's template, plus a bias.
    So what it learned can be looked at: row k of `classifier.weight`, reshaped to (channels,
    image_size, image_size), is the template of class k. Where it is positive, bright pixels speak
    for the class; where it is negative, against it.
    """
    pixels = channels * image_size**2
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), classifier=nn.Linear(pixels, classes)))


def mlp(channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a multilayer perceptron: the pixels, 256 and 128 ReLU units, the logits.

    It knows no neighborhoods: with the pixels of all images shuffled in the same way it would learn
    just as well. What a convolutional network gains over it comes from knowing them.
    """
    pixels = channels * image_size**2
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            hidden1=nn.Linear(pixels, 256),
            relu1=nn.ReLU(),
            hidden2=nn.Linear(256, 128),
            relu2=nn.ReLU(),
            classifier=nn.Linear(128, classes),
        )
    )


def lenet5(channels: int, image_size: int, classes: int) -> nn.Module:
    """Return LeNet-5 as it is built today, its layers named as in the paper.

    LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document
    recognition", section II-B and figure 2. The shapes on 32x32 images, or on 28x28 ones, which are
    padded to that:

        c1 (6, 28, 28), s2 (6, 14, 14), c3 (16, 10, 10), s4 (16, 5, 5), c5 (120), f6 (84), output

    Four things differ from the paper. The units are ReLU, there scaled tanh. Pooling takes the
    maximum, there a trained multiple of the sum. c3 sees all six maps of s2, there chosen subsets
    (table I). The output is linear, there the distances to fixed pictures of the characters.
    Images of less than 32 pixels get a border of 2; c5 takes what s4 leaves of any size.

    Raises:
        ConfigError: the images have less than 12x12 pixels, of which s4 would leave nothing.
    """
    if image_size < _LENET5_SMALLEST:
        raise ConfigError(
            f"lenet5 needs at least {_LENET5_SMALLEST}x{_LENET5_SMALLEST} pixels, the images have "
            f"{image_size}x{image_size}; give --image-size 28, or --model mlp"
        )
    padding = 0 if image_size >= 32 else 2
    side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
    return nn.Sequential(
        OrderedDict(
            c1=nn.Conv2d(channels, 6, kernel_size=5, padding=padding),
            relu1=nn.ReLU(),
            s2=nn.MaxPool2d(2),
            c3=nn.Conv2d(6, 16, kernel_size=5),
            relu3=nn.ReLU(),
            s4=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            c5=nn.Linear(16 * side**2, 120),
            relu5=nn.ReLU(),
            f6=nn.Linear(120, 84),
            relu6=nn.ReLU(),
            output=nn.Linear(84, classes),
        )
    )


def build(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return an untrained model, once it is known that an image of that size goes through it.

    The trial runs on the meta device, in shapes without numbers: it takes no memory and leaves the
    state of the random generators alone.

    Args:
        name: one of `labs.classification.names.model_names()`.
        channels: channels of the images; 3 where `needs_color(name)`, so repeat grey images.
        image_size: height and width of the images in pixels.
        classes: number of logits.

    Raises:
        ConfigError: the name is unknown, or the model cannot take such images.
    """
    if name not in model_names():
        nearest = difflib.get_close_matches(name, model_names()) or MODELS
        raise ConfigError(f"unknown model {name!r}; give --model {' or '.join(nearest)}")
    if needs_color(name) and channels != 3:
        raise ConfigError(
            f"{name} takes color images (3 channels), these have {channels}; "
            f"repeat the grey channel, or give --model {' or '.join(MODELS)}"
        )
    _check_image_size(name, channels, image_size, classes)
    return _construct(name, channels, image_size, classes)


def _construct(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    if not needs_color(name):
        own: nn.Module = resolve_name(MODELS[name])(channels, image_size, classes)
        return own
    # Imported here because it takes seconds, and the lab's own models do without.
    from torchvision.models import get_model

    model: nn.Module = get_model(name, num_classes=classes, **_options(name, image_size))
    return model


def _options(name: str, image_size: int) -> dict[str, Any]:
    """Return what the constructor of a torchvision model wants besides the number of classes."""
    if name in ("googlenet", "inception_v3"):
        # Auxiliary classifiers make the training output a tuple; init_weights unset is a warning.
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name.startswith("maxvit_"):
        return {"input_size": (image_size, image_size)}
    return {}


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
