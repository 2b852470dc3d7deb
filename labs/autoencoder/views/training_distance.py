"""How near pictures are to the images of the training split: neither copies of them nor noise."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.metrics.metrics import Array
from common.training.splits import sample_rows
from labs.autoencoder.views.material import Material

_MOST = 5000  # training images that pictures are compared with
_COPY = 1e-12  # stands for no difference at all, so that there are ratios
_SIDE = 32  # pixels to which larger images are shrunk


class Nearest(NamedTuple):
    """The nearest training image of each picture."""

    errors: Array  # (n,) squared difference from it, the mean over the pixels, float64
    classes: Array  # (n,) its class number


class TrainingImages:
    """What pictures are compared with: at most 5,000 images of the training split."""

    def __init__(self, material: Material):
        split = material.splits["train"]
        rows = torch.arange(len(split))
        if len(split) > _MOST:
            rows = sample_rows(split.targets, _MOST, seed=0)
        images = torch.stack([split.images[row] for row in rows.tolist()])
        self._pixels = flat(material.job.prepared(images))
        self._classes: Array = split.targets[rows].numpy()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pixels)

    def nearest(self, pixels: Array) -> Nearest:
        """Return the nearest image of each picture, given as rows that `flat` made."""
        from sklearn.metrics import pairwise_distances_argmin_min

        rows, distances = pairwise_distances_argmin_min(pixels, self._pixels)
        errors = distances.astype(np.float64) ** 2 / pixels.shape[1]
        return Nearest(np.maximum(errors, _COPY), self._classes[rows])


def flat(images: Tensor) -> Array:
    """Return images in [0, 1] (n, C, S, S) as rows of at most 32x32 pixels, (n, P) float32."""
    if images.shape[2] > _SIDE:
        images = functional.adaptive_avg_pool2d(images, _SIDE)
    pixels: Array = images.flatten(1).float().numpy()
    return pixels
