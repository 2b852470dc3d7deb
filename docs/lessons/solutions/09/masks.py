"""Lesson 9: who is a neighbor of whom is a table of yes and no."""

import numpy as np


def neighbors_kept(points, map, k):
    """Return the mean share."""
    both = _is_near(points, k) & _is_near(map, k)
    return float(both.sum() / (k * len(points)))


def _is_near(points, k):
    squares = (points**2).sum(1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    near = np.zeros(distances.shape, bool)
    np.put_along_axis(near, np.argpartition(distances, k - 1, axis=1)[:, :k], True, axis=1)
    return near
