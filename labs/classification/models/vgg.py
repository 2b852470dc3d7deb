"""VGG: a table of rows of channel counts, and one builder that reads it."""

from collections import OrderedDict

from torch import nn

from labs.classification.models import sizes

ROWS: dict[str, tuple[tuple[int, ...], ...]] = {
    "vgg11": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "vgg13": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "vgg16": ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    "vgg19": ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}
"""Channels of the 3x3 convolutions; each row ends in a pooling. In the paper A, B, D and E."""

_SMALLEST = 32  # five poolings halve it to 1


def vgg(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a VGG network, with batch norm where its name ends in `_bn`.

    Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
    recognition", table 1. It is torchvision's: the same names, so its weights can be loaded where
    the images have 3 channels and more than 64 pixels, the same initialization (normal: He's for
    convolutions, a deviation of 0.01 for linear layers), and dropout after the first two linear
    layers. For a thousand classes of color images `vgg11` has 132,863,336 parameters, `vgg16`
    138,357,544.

    Of 224 pixels the poolings leave 7x7 positions, and the classifier has 25,088, 4096, 4096 and as
    many units as classes. Other sizes above 64 are averaged, or repeated, to 7x7. Up to 64 pixels
    the classifier takes the 1 or 2x2 positions as they are and has 512 units in place of 4096, with
    torch's initialization.

    Raises:
        ConfigError: the images have less than 32x32 pixels, of which the poolings leave nothing.
    """
    sizes.check(name, image_size, _SMALLEST)
    small = image_size <= sizes.SMALL
    side, units = (image_size // 32, 512) if small else (7, 4096)
    rows = ROWS[name.removesuffix("_bn")]
    model = nn.Sequential(
        OrderedDict(
            features=_features(channels, rows, batch_norm=name.endswith("_bn")),
            avgpool=nn.AdaptiveAvgPool2d(side),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(
                nn.Linear(rows[-1][-1] * side**2, units),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(units, units),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(units, classes),
            ),
        )
    )
    _initialize(model, linear=not small)
    return model


def _features(channels: int, rows: tuple[tuple[int, ...], ...], batch_norm: bool) -> nn.Module:
    layers: list[nn.Module] = []
    for row in rows:
        for maps in row:
            layers.append(nn.Conv2d(channels, maps, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(maps))
            layers.append(nn.ReLU())
            channels = maps
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _initialize(model: nn.Module, linear: bool) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        elif isinstance(module, nn.Linear) and linear:
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
