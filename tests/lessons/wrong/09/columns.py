# twice as large, 1.000 of the 5 nearest are kept; your function says 0.9
import numpy as np


def neighbors_kept(points, map, k):
    pairs = zip(_near(points, k), _near(map, k), strict=True)
    return np.mean([len({*one} & {*other}) / k for one, other in pairs])


def _near(points, k):
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.argsort(axis=0)[:, :k]
