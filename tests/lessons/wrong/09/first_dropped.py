# two points lie at one place
import numpy as np


def neighbors_kept(points, map, k):
    pairs = zip(_near(points, k), _near(map, k), strict=True)
    return np.mean([len({*one} & {*other}) / k for one, other in pairs])


def _near(points, k):
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    return distances.argsort(axis=1, kind="stable")[:, 1 : k + 1]
