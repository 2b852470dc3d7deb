"""Random changes of images together with the classes of their pixels, a whole batch at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from common.errors import ConfigError
from common.images import augment
from labs.detection.config import DetectionConfig
from labs.detection.models.ultralytics import specs
from labs.detection.semantic.losses import VOID


class Affine(augment.Affine):
    """Shift and scale images with their classes; what comes in from outside is black, and void."""

    @override
    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Warp colors bilinearly, and the classes in the last channel to the nearest pixel."""
        grid = self._grid(images, numbers)
        colors = functional.grid_sample(images[:, :-1], grid, align_corners=False)
        known = images[:, -1:] - VOID / 255  # outside there is 0, and so void
        classes = functional.grid_sample(known, grid, mode="nearest", align_corners=False)
        return torch.cat([colors, classes + VOID / 255], 1)


class Color(augment.Color):
    """Change the colors of images, and leave their classes."""

    @override
    def _change(self, images: Tensor, numbers: Tensor) -> Tensor:
        colors = super()._change(images[:, :-1], numbers)
        return torch.cat([colors, images[:, -1:]], 1)


def pipeline(config: DetectionConfig) -> augment.Pipeline:
    """Return what happens to batches on the device: values in [0, 1], and the config's changes.

    Batches are uint8 (B, 4, S, S): red, green, blue, and the class of the pixel.

    Raises:
        ConfigError: a spec is wrong.
    """
    return augment.Pipeline(list(_transforms(config.augment)), (0.0,) * 4, (1.0,) * 4)


def _transforms(wanted: Sequence[str]) -> list[augment.Transform]:
    strengths = specs.parse(wanted)  # of affine: shift and scale, as for boxes
    found: list[augment.Transform] = []
    for spec in wanted:
        name = spec.partition(":")[0]
        if name == "affine":
            found.append(Affine(0.0, strengths["translate"], strengths["scale"]))
            continue
        try:
            [plain] = augment.parse([spec])
        except ConfigError as error:
            raise ConfigError([f"--augment: {problem}" for problem in error.problems]) from error
        found.append(Color(plain.strength) if isinstance(plain, augment.Color) else plain)
    return found


def plain() -> augment.Pipeline:
    """Return what happens to images without classes, uint8 (B, 3, S, S): values in [0, 1]."""
    return augment.Pipeline((), (0.0,) * 3, (1.0,) * 3)
