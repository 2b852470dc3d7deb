"""Random changes of training images and their boxes, as `--augment` names them.

`color` changes whole batches on the device. The others are those of Ultralytics' trainer, mosaic
among them (Bochkovskiy et al. 2020, "YOLOv4", section 3.4). They need whole images of their own, so
they run per image, and draw from a seed of the image's place in the epoch.
"""

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.errors import ConfigError
from common.images import augment
from common.metrics.main_metric import Array
from common.training.batches import Place
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet
from labs.detection.letterbox import Letterbox

# The values of each change per image in their order: the library's name, and the default.
_PER_IMAGE = {
    "affine": {"translate": 0.1, "scale": 0.5},
    "cutmix": {"cutmix": 0.5},
    "hflip": {"fliplr": 0.5},
    "hsv": {"hsv_h": 0.015, "hsv_s": 0.7, "hsv_v": 0.4},
    "mixup": {"mixup": 0.5},
    "mosaic": {"mosaic": 1.0},
    "vflip": {"flipud": 0.5},
}
_MIXING = ("mosaic", "mixup", "cutmix")  # what the last epochs do without
_HIGHEST = {"scale": 0.9}  # or an image could shrink to nothing; 1 for the others


def pipeline(config: DetectionConfig) -> augment.Pipeline:
    """Return what happens to batches on the device: values in [0, 1], and in training `color`.

    Raises:
        ConfigError: a spec is wrong.
    """
    specs = [spec for spec in config.augment if _name(spec) not in _PER_IMAGE]
    try:
        transforms = augment.parse(specs)
    except ConfigError as error:
        raise ConfigError([f"--augment: {problem}" for problem in error.problems]) from error
    return augment.Pipeline(transforms, (0.0,) * 3, (1.0,) * 3)


def training_set(split: BoxSet, config: DetectionConfig) -> "BoxSet | Changed":
    """Return the training split, or one that changes its images where `--augment` says so.

    Raises:
        ConfigError: a spec is wrong, or ultralytics, whose changes they are, is not installed.
    """
    strengths = parse(config.augment)
    return Changed(split, strengths, config.epochs - config.close_mosaic) if strengths else split


def parse(specs: Sequence[str]) -> dict[str, float]:
    """Return how strong the changes per image are, by the library's names.

    A spec is a name and, after colons, its values in order: "mosaic", "affine:0.1:0.5".

    Raises:
        ConfigError: with every problem of every spec.
    """
    strengths: dict[str, float | str] = {}
    problems: list[str] = []
    for spec in specs:
        name, *texts = spec.split(":")
        defaults = _PER_IMAGE.get(name, {})
        found = dict(zip(defaults, texts, strict=False))
        if defaults and len(texts) > len(defaults):
            problems.append(f"{spec}: expected at most {len(defaults)} ({', '.join(defaults)})")
        problems += [
            f"{spec}: {key} must be a number from 0 to {_HIGHEST.get(key, 1)}, not {text!r}"
            for key, text in found.items()
            if not _is_between(text, _HIGHEST.get(key, 1))
        ]
        strengths.update({**defaults, **found})
    if problems:
        raise ConfigError([f"--augment {problem}" for problem in problems])
    return {key: float(value) for key, value in strengths.items()}


class Changed(Dataset[tuple[Tensor, ...]]):
    """A split whose images are changed anew each epoch.

    What an image becomes depends on the seed of its place in the epoch alone, whichever process
    reads it, and in a resumed run as well. A place without a seed is that of the plain image.

    Args:
        split: the images, which are taken without the bars of their letterbox.
        strengths: by the library's names.
        mixing: epochs from the first on in which images are mixed with others.
    """

    draws = True
    collate = staticmethod(BoxSet.collate)

    def __init__(self, split: BoxSet, strengths: Mapping[str, float], mixing: int):
        from labs.detection.models.ultralytics.models import Changes

        alone = {name: value for name, value in strengths.items() if name not in _MIXING}
        size = split.images.shape[-1]
        self.split, self._mixing = split, mixing
        self._first = Changes(self.without_bars, len(split), size, strengths)
        self._last = Changes(self.without_bars, len(split), size, alone)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.split)

    def __getitem__(self, place: Place) -> tuple[Tensor, ...]:
        """Return an image, uint8 (3, S, S), and its boxes (n, 6)."""
        if place.seed is None:
            return self.split[place.row]
        change = self._first if place.epoch < self._mixing else self._last
        with _drawing(place.seed):
            image, boxes = change(place.row)
        return torch.from_numpy(image), torch.from_numpy(boxes)

    def without_bars(self, row: int) -> tuple[Array, Array]:
        """Return the image inside its letterbox, uint8 (H, W, 3), and its boxes (n, 6)."""
        image, boxes = self.split[row]
        height, width = self.split.sizes[row].tolist()
        fit = Letterbox.fit(height, width, image.shape[-1])
        shift = np.array([*fit.shift, 0, 0], np.float32)
        return fit.crop(image).numpy().transpose(1, 2, 0), boxes.numpy() - shift


@contextlib.contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Let `random` and `numpy.random` draw what the seed names; the caller's streams go on."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _name(spec: str) -> str:
    return spec.partition(":")[0]


def _is_between(text: str, high: float) -> bool:
    try:
        return 0 <= float(text) <= high
    except ValueError:
        return False
