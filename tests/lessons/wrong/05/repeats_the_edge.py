# numbers are wrong, the first in row 0, column 0
import numpy as np


def convolve(image, kernel, padding=0, stride=1):
    image = np.pad(image, padding, mode="edge")
    height, width = kernel.shape
    rows = (image.shape[0] - height) // stride + 1
    columns = (image.shape[1] - width) // stride + 1
    found = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            window = image[top : top + height, left : left + width]
            found[row, column] = (window * kernel).sum()
    return found
