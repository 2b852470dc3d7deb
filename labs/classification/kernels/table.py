"""Kernels of image processing, 3 x 3; networks apply theirs likewise, without turning them."""

import numpy as np

from common.metrics.metrics import Array

KERNELS: dict[str, Array] = {
    "identity": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "box": np.ones((3, 3)) / 9,
    "gaussian": np.outer([1, 2, 1], [1, 2, 1]) / 16,
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "sobel-x": np.outer([1, 2, 1], [-1, 0, 1]),
    "sobel-y": np.outer([-1, 0, 1], [1, 2, 1]),
    "prewitt-x": np.outer([1, 1, 1], [-1, 0, 1]),
    "prewitt-y": np.outer([-1, 0, 1], [1, 1, 1]),
    "laplacian": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "emboss": np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
}
"""By name; those whose weights add up to 1 keep the brightness of a picture."""
