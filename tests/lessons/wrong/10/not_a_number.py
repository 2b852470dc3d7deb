# two boxes without an area
import numpy as np


def iou(one, other):
    low = np.maximum(one[:, None, :2], other[:, :2])
    high = np.minimum(one[:, None, 2:], other[:, 2:])
    shared = (high - low).clip(0).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (one, other)]
    with np.errstate(invalid="ignore"):
        return shared / (areas[0][:, None] + areas[1] - shared)
