"""Lesson 5: shifted images, each times a number of the kernel, are added up."""

import numpy as np


def convolve(image, kernel, padding=0, stride=1):
    """Return the sums of products."""
    image = np.pad(image.astype(float), padding)
    rows = image.shape[0] - kernel.shape[0] + 1
    columns = image.shape[1] - kernel.shape[1] + 1
    found = np.zeros((rows, columns))
    for (down, right), value in np.ndenumerate(kernel):
        found += value * image[down : down + rows, right : right + columns]
    return found[::stride, ::stride]
