"""Lesson 5: all windows at once, and one sum over them."""

import numpy as np


def convolve(image, kernel, padding=0, stride=1):
    """Return the sums of products."""
    image = np.pad(image, [(padding, padding)] * 2)
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)[::stride, ::stride]
    return np.einsum("rchw,hw->rc", windows, kernel)
