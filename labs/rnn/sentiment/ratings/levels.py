"""The levels of ratings: what they are split by, and what a number is rounded to."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from common.metrics.metrics import Array

MOST_LEVELS = 20
_STRATA = 10  # of ratings with more different values than that
_FEWEST = 10  # texts of a stratum: some for each split, and for each of ten folds


def look_rated(classes: Sequence[str]) -> bool:
    """Say whether the names of classes look like stars: from 1 to 3 or more, up to 10."""
    if len(classes) < 3 or not all(map(str.isdecimal, classes)):
        return False
    return classes[0] in ("0", "1") and int(classes[-1]) in (3, 4, 5, 7, 10)


def find_levels(ratings: Tensor) -> tuple[float, ...]:
    """Return the different ratings, (N,) float32, in order; () where they are more than 20."""
    found = torch.unique(ratings).tolist()
    return tuple(found) if len(found) <= MOST_LEVELS else ()


def find_strata(ratings: Tensor) -> Tensor:
    """Return the stratum, (N,) int64, by whose share ratings (N,) are split.

    A few levels are a stratum each, those with fewer than ten texts together with the next; of many
    different ratings a tenth of the texts is.
    """
    values, counts = torch.unique(ratings, return_counts=True)
    least = _FEWEST if len(values) <= MOST_LEVELS else max(_FEWEST, len(ratings) // _STRATA)
    numbers, number, inside = [], 0, 0
    for count in counts.tolist():
        if inside >= least:
            number, inside = number + 1, 0
        inside += count
        numbers.append(number)
    if inside < least and number:  # too few are left over
        numbers = [min(each, number - 1) for each in numbers]
    return torch.tensor(numbers)[torch.searchsorted(values, ratings)]


def cuts_between(levels: Sequence[float]) -> Array:
    """Return the middle between each level and the next, (levels - 1,)."""
    known = np.asarray(levels)
    return np.asarray((known[1:] + known[:-1]) / 2)


def nearest_level(numbers: Array, levels: Sequence[float]) -> Array:
    """Return the place of the level that is nearest to each number, (N,)."""
    return np.asarray(np.searchsorted(cuts_between(levels), numbers))
