"""Random changes of training images and their boxes, as `--augment` names them.

`color` changes whole batches on the device. The others need whole images of their own, so they run
per image, and draw from a seed of the image's place in the epoch; whose they are says `models`.
"""

import contextlib
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.errors import ConfigError
from common.images import augment
from common.metrics.metrics import Array
from common.training.batches import Place
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet

Change = Callable[[int], tuple[Array, Array]]
"""From a row to its image, changed, uint8 (3, S, S), and its boxes (n, 6) float32."""


def pipeline(config: DetectionConfig) -> augment.Pipeline:
    """Return what happens to batches on the device: values in [0, 1], and in training `color`.

    Raises:
        ConfigError: a spec is wrong.
    """
    specs = [spec for spec in config.augment if spec.partition(":")[0] == "color"]
    try:
        transforms = augment.parse(specs)
    except ConfigError as error:
        raise ConfigError([f"--augment: {problem}" for problem in error.problems]) from error
    return augment.Pipeline(transforms, (0.0,) * 3, (1.0,) * 3)


class Changed(Dataset[tuple[Tensor, ...]]):
    """A split whose images are changed again in each epoch.

    What an image becomes depends on the seed of its place in the epoch alone, whichever process
    reads it, and in a resumed run as well. A place without a seed is that of the plain image.
    The first `mixing` epochs use the change `first`, the others `last`; both draw from `random` and
    `numpy.random`.
    """

    draws = True
    collate = staticmethod(BoxSet.collate)

    def __init__(self, split: BoxSet, first: Change, last: Change, mixing: int):
        self.split, self._first, self._last, self._mixing = split, first, last, mixing

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
