# boxes that lie apart in both directions
import numpy as np


def iou(one, other):
    low = np.maximum(one[:, None, :2], other[:, :2])
    high = np.minimum(one[:, None, 2:], other[:, 2:])
    shared = (high - low).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (one, other)]
    covered = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, covered, out=np.zeros_like(shared), where=covered > 0)
