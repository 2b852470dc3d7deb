"""AlexNet: a table of five convolutions, and what may normalize their maps."""

from collections import OrderedDict
from typing import NamedTuple

from torch import nn

from labs.classification.models import sizes

NORMALIZATIONS = {"alexnet": "none", "alexnet-lrn": "local response", "alexnet-bn": "batch"}
"""What normalizes the maps, by the name of the model."""

# Of 63 pixels the strides and the poolings leave one, of 62 none.
_SMALLEST = 63


class _Row(NamedTuple):
    maps: int
    kernel: int
    stride: int
    padding: int
    pooled: bool  # by the maximum of 3x3 pixels, at every second one


_ROWS = (
    _Row(64, 11, 4, 2, True),
    _Row(192, 5, 1, 2, True),
    _Row(384, 3, 1, 1, False),
    _Row(256, 3, 1, 1, False),
    _Row(256, 3, 1, 1, True),
)


def alexnet(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return AlexNet: 61,100,840 parameters for a thousand classes of color images.

    Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", in which the
    network of Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep
    convolutional neural networks", has one column. It is torchvision's: the same names, so its
    weights can be loaded where the images have 3 channels and more than 64 pixels, the same
    initialization, and dropout before the first two linear layers. `alexnet-lrn` divides the first
    two maps by the activity of five neighboring ones, as in 2012, section 3.3; `alexnet-bn` has
    batch norm between each convolution and its ReLU in place of that. Both number their layers
    otherwise.

    Of images with up to 64 pixels the convolutions leave one position. The linear layers then have
    512 units in place of 4096, and no upsampling to 6x6 positions.

    Raises:
        ConfigError: the images have less than 63x63 pixels.
    """
    sizes.check(name, image_size, _SMALLEST)
    side, units = (1, 512) if image_size <= sizes.SMALL else (6, 4096)
    return nn.Sequential(
        OrderedDict(
            features=_features(channels, NORMALIZATIONS[name]),
            avgpool=nn.AdaptiveAvgPool2d(side),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(
                nn.Dropout(),
                nn.Linear(256 * side**2, units),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(units, units),
                nn.ReLU(),
                nn.Linear(units, classes),
            ),
        )
    )


def _features(channels: int, normalization: str) -> nn.Module:
    layers: list[nn.Module] = []
    for number, row in enumerate(_ROWS):
        layers.append(nn.Conv2d(channels, row.maps, row.kernel, row.stride, row.padding))
        if normalization == "batch":
            layers.append(nn.BatchNorm2d(row.maps))
        layers.append(nn.ReLU())
        if normalization == "local response" and number < 2:
            # torch divides alpha by the size, the paper does not.
            layers.append(nn.LocalResponseNorm(size=5, alpha=5 * 1e-4, beta=0.75, k=2.0))
        if row.pooled:
            layers.append(nn.MaxPool2d(3, stride=2))
        channels = row.maps
    return nn.Sequential(*layers)
