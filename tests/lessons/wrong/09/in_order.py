# the nearest two have changed places
import numpy as np


def neighbors_kept(points, map, k):
    pairs = zip(_near(points, k), _near(map, k), strict=True)
    return np.mean([np.mean(one == other) for one, other in pairs])


def _near(points, k):
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.argsort(axis=1)[:, :k]
