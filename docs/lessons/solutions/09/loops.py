"""Lesson 9, one point after the other."""

import math


def neighbors_kept(points, map, k):
    """Return the mean share."""
    shares = []
    for number in range(len(points)):
        one, other = _near(points, number, k), _near(map, number, k)
        shares.append(sum(each in other for each in one) / k)
    return sum(shares) / len(shares)


def _near(points, number, k):
    others = [each for each in range(len(points)) if each != number]
    return sorted(others, key=lambda each: math.dist(points[number], points[each]))[:k]
