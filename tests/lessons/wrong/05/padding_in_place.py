# has been changed
import numpy as np


def convolve(image, kernel, padding=0, stride=1):
    kernel /= 1.5
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, padding), kernel.shape)
    return np.einsum("rchw,hw->rc", windows[::stride, ::stride], kernel)
