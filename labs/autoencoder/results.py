"""The metrics by which autoencoders are compared with baselines; both from errors of images.

Predictions are errors here: of each image the mean over its pixels of the squared difference,
between [0, 1] images.
"""

import numpy as np

from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array

_PERFECT = 1e-10  # 100 dB stand for an image without any error


def psnr(errors: Array) -> Array:
    """Return the peak signal-to-noise ratio of each image in dB, from its squared error."""
    return np.asarray(-10 * np.log10(np.maximum(errors, _PERFECT)))


def share(error: float, other: float) -> float:
    """Return an error as a share of another one, which may be 0."""
    return error / max(other, _PERFECT)


def share_text(ratio: float) -> str:
    """Write a share; PCA of as many components as pixels leaves no error to be a share of."""
    return f"{ratio:.2f}" if ratio < 1000 else "over 1,000"


MSE = MainMetric(
    "mse",
    "mean squared error",
    lambda errors, _: errors,
    metrics.mean,
    larger_is_better=False,
    decimals=5,
)
PSNR = MainMetric("psnr", "PSNR (dB)", lambda errors, _: psnr(errors), metrics.mean, decimals=2)
