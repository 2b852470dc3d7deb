# each with each
import numpy as np


def iou(one, other):
    low, high = np.maximum(one[:1, :2], other[:, :2]), np.minimum(one[:1, 2:], other[:, 2:])
    shared = (high - low).clip(0).prod(1)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (one[:1], other)]
    return (shared / (areas[0] + areas[1] - shared))[None]
