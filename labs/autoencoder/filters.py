"""Classic filters that take noise away, each with the settings that one would try."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.metrics.metrics import Array

Filter = Callable[[Array], Any]
"""An image of the same size from one: uint8 (S, S) or (S, S, C)."""

_STRENGTHS = (5, 10, 20, 40, 50, 60, 70, 80, 100, 120)  # of non-local means, in levels of grey


def candidates() -> dict[str, dict[str, Filter]]:
    """Return filters by their name and their setting.

    Non-local means (Buades, Coll and Morel 2005, "A non-local algorithm for image denoising")
    compares patches over all channels at once; its setting is the strength h in levels of grey,
    and the sides of a patch and of the window that is searched for others like it.
    """
    import cv2

    return {
        "median filter": {f"{side}x{side}": partial(cv2.medianBlur, ksize=side) for side in (3, 5)},
        "Gaussian filter": {
            f"sigma {sigma:g}": partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma)
            for sigma in (0.4, 0.6, 0.8, 1.0, 1.5, 2.0)
        },
        "non-local means": {
            f"h {strength}, {patch}x{patch} in {window}x{window}": partial(
                cv2.fastNlMeansDenoising,
                h=strength,
                templateWindowSize=patch,
                searchWindowSize=window,
            )
            for strength in _STRENGTHS
            for patch in (3, 5)
            for window in (11, 21)
        },
    }


def apply(chosen: Filter, images: Tensor) -> Array:
    """Filter uint8 images (N, C, S, S); returns rows of pixels in [0, 1], (N, C * S * S)."""
    channels_last = images.permute(0, 2, 3, 1).squeeze(-1).contiguous().numpy()
    filtered = np.stack([chosen(image) for image in channels_last])
    shape = (len(images), *images.shape[2:], images.shape[1])
    pixels = torch.from_numpy(filtered).view(shape).permute(0, 3, 1, 2).float() / 255
    rows: Array = pixels.flatten(1).numpy()
    return rows
