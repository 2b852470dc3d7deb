"""What fits a user's images and masks: the pixels that the network sees, and how long it trains."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from common.options.budget import Choices, Needs, suit
from common.runs.job import Suited
from labs.detection.config import DetectionConfig
from labs.detection.data.load import SCENES, split
from labs.detection.data.suited import MANY, is_sided
from labs.detection.semantic import data

_GRAIN = 32  # pixels, of which sizes are multiples
_LARGEST = 256  # pixels; larger ones take longer than a user waits
_CHANGES: tuple[str, ...] = ("affine:0.1:0.3", "color:0.2", "hflip")


class _Training(NamedTuple):
    """What a network's training is taken to need."""

    updates: int
    samples_per_second: float  # of 128 pixels a side, on two cores


# Assumed: of detectors on few photos 400 updates were enough. The rates are those of single updates
# at 128 pixels on one core of an AMD EPYC, 45 and 24 images a second, times one and a half.
_NEEDS = {"unet": _Training(600, 65.0), "unet-lite0": _Training(400, 35.0)}
_LOOKS = 4  # at each image, at least, where there are many
_MINUTES = 8  # of training, at most


def suited(config: DetectionConfig) -> Suited[DetectionConfig]:
    """Return the config with what suits a user's images, and why; see `Job.suited`."""
    if config.data == SCENES:
        return Suited(config)
    chosen = Choices(config)
    source = data.read(config)
    tests, *_ = data.read_tests(config, source)
    test = data.pictures_of(tests) if tests is not None else []
    parts = split(source.found, config, test).parts
    total = sum(map(len, parts.values()))
    train = round(len(parts["train"]) * min(1, (config.limit or total) / total))
    side = int(np.median([max(each.height, each.width) for each in parts["train"]]))
    size = min(_LARGEST, _GRAIN * math.ceil(side / _GRAIN))
    chosen.take(f"{size} pixels: the images have {side}", image_size=size)
    if train < MANY:
        sided = next((name for name in source.classes if is_sided(name)), None)
        reason = f"random sizes, places and colors, and mirror images: {train:,} images are few"
        specs = _CHANGES
        if sided is not None:
            reason = f"random sizes, places and colors; in a mirror {sided} would be another class"
            specs = _CHANGES[:-1]
        chosen.take(reason, augment=specs)
    if config.model in _NEEDS:
        changes, reasons = _length(chosen.config, train)
        chosen.take(*reasons, **changes)
    return Suited(chosen.config, chosen.reasons)


def _length(config: DetectionConfig, train: int) -> tuple[dict[str, object], list[str]]:
    """Choose updates and batches, whatever epochs the recipe has for the scenes."""
    updates, rate = _NEEDS[config.model]
    rate *= (128 / (config.image_size or 128)) ** 2
    updates = max(updates, _LOOKS * train // config.batch_size)
    usual = config if "epochs" in config.given else replace(config, epochs=DetectionConfig.epochs)
    return suit(usual, train, Needs(updates, round(60 * _MINUTES * rate), rate))
