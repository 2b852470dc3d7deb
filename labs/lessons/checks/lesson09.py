"""Lesson 9: how much of a map to believe."""

import math
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from labs.lessons.student import Student, expect


def check(student: Student) -> None:
    """Compare maps that keep all, nothing and some of the neighbors."""
    kept = student.function("neighbors_kept")
    generator = np.random.default_rng(0)
    points = generator.normal(size=(40, 6))
    _compare(kept, points, points * 2 + 1, 5, "of a map that is the points, twice as large")
    # Neighbors of the one line lie four or more apart in the other, so that none is kept.
    line = (np.arange(12.0) ** 1.1)[:, None]
    order = np.array([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    _compare(kept, line, line[order], 1, "of a map in which no point has the neighbor it had")
    turned = np.array([[0.0, 0], [1, 0], [0, 3], [20, 0], [21.1, 0], [20, 3.2]])
    swapped = turned.copy()
    swapped[[1, 2]] = swapped[[2, 1]]
    _compare(kept, turned, swapped, 2, "of a map in which the nearest two have changed places")
    far = generator.normal(size=(40, 3)) + 50
    _compare(kept, far, far - 50, 5, "of a map that is the points, moved")
    diagonal = np.array([[0.0, 0], [2.1, 2.1], [0, 3.5], [9, 0.3], [5.2, 7]])
    plane = np.array([[0.0, 0], [1, 0], [2.5, 0], [6, 1], [9, 4]])
    _compare(kept, diagonal, plane, 1, "where the nearest in a straight line is not so by steps")
    _compare(kept, points, points[:, :2], 5, "of a map that leaves out four of six columns")
    _compare(kept, points, generator.normal(size=(40, 2)), 8, "of a map drawn at random")
    twins = np.array([[0.0, 0], [0, 0], [5, 1], [5.5, 1], [9, 9]])
    _compare(kept, twins, np.arange(5.0)[:, None] ** 2, 1, "where two points lie at one place")


def _compare(kept: Any, points: np.ndarray, chart: np.ndarray, k: int, what: str) -> None:
    before = points.copy(), chart.copy()
    found = kept(points, chart, k)
    expect(
        np.array_equal(points, before[0]) and np.array_equal(chart, before[1]),
        "the points or the map that were given have been changed",
    )
    expect(np.ndim(found) == 0, "`neighbors_kept` is to return one number, the mean of all points")
    near = [_near(each, k) for each in before]
    known = np.mean([len(one & two) / k for one, two in zip(*near, strict=True)])
    expect(
        math.isclose(float(found), known, abs_tol=1e-9),
        f"{what}, {known:.3f} of the {k} nearest are kept; your function says {float(found):.3f}",
    )


def _near(points: np.ndarray, k: int) -> list[set[int]]:
    """Return the numbers of each point's nearest, without its own."""
    found = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return [{*map(int, row)} for row in found]
