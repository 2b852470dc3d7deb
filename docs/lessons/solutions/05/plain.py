"""Lesson 5, with loops over the places."""

import numpy as np


def convolve(image, kernel, padding=0, stride=1):
    """Return the sums of products."""
    image = np.pad(image, padding)
    height, width = kernel.shape
    rows = (image.shape[0] - height) // stride + 1
    columns = (image.shape[1] - width) // stride + 1
    found = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            found[row, column] = (image[top : top + height, left : left + width] * kernel).sum()
    return found
