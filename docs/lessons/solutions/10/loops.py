"""Lesson 10, one pair after the other."""

import numpy as np


def iou(one, other):
    """Return the IoU of each with each."""
    return np.array([[_of_pair(*a, *b) for b in other] for a in one])


def _of_pair(left, top, right, bottom, left2, top2, right2, bottom2):
    width = max(0, min(right, right2) - max(left, left2))
    height = max(0, min(bottom, bottom2) - max(top, top2))
    covered = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    covered -= width * height
    return width * height / covered if covered else 0.0
