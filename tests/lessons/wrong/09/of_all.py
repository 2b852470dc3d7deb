# the points, twice as large
import numpy as np


def neighbors_kept(points, map, k):
    pairs = zip(_near(points, k), _near(map, k), strict=True)
    return np.mean([len({*one} & {*other}) / len(points) for one, other in pairs])


def _near(points, k):
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.argsort(axis=1)[:, :k]
