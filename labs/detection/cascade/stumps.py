"""AdaBoost of decision stumps (Freund and Schapire 1997), as Viola and Jones choose features by it.

A stump asks one feature whether it is above a threshold. Each round takes the stump with the
smallest weighted error of all features and thresholds, and then gives the samples that it had wrong
more weight, so that the next one sees to them.
"""

from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

_LEAST_ERROR = 1e-6  # of a stump that makes no mistake, whose weight would be infinite


class Stump(NamedTuple):
    """A question to one feature."""

    feature: int  # its column
    threshold: float
    sign: int  # 1: yes above the threshold; -1: yes below
    weight: float  # of its answer

    def answers(self, values: Array) -> Array:
        """Return 1 for yes and -1 for no, (N,), of the values of all features (N, F)."""
        return np.where(self.sign * (values[:, self.feature] - self.threshold) > 0, 1.0, -1.0)


class Booster:
    """Boosts stumps one by one.

    booster = Booster(values, labels)
    stumps = [booster.add() for _ in range(10)]

    Args:
        values: (N, F) of features.
        labels: (N,) 1 for an object, -1 for none. Both sides begin with half of all weight.
    """

    def __init__(self, values: Array, labels: Array):
        self._values, self._labels = values, labels.astype(np.float32)
        self._order = np.argsort(values, axis=0, kind="stable").astype(np.int32)
        self._sorted = np.take_along_axis(values, self._order, 0)
        sides = np.where(labels > 0, (labels > 0).sum(), (labels <= 0).sum())
        self.weights = 1 / (2.0 * sides)
        self._can_cut = np.ones(values.shape, bool)  # after which row a threshold fits
        self._can_cut[:-1] = self._sorted[1:] > self._sorted[:-1]

    def best(self) -> tuple[Stump, float]:
        """Return the stump with the smallest weighted error, without its weight, and the error.

        With a threshold behind the k smallest values of a feature, the error of "yes above" is the
        weight of the objects among them and of the others behind them. That is the weight of all
        that are none, plus a running sum of the signed weights: one pass over the sorted values
        has the errors of all thresholds. "Yes below" has 1 - that.
        """
        signed = (self.weights * self._labels).astype(np.float32)
        none = float(self.weights[self._labels < 0].sum())
        above = none + signed[self._order].cumsum(0, dtype=np.float32)
        above[~self._can_cut] = 0.5
        flat_low, flat_high = int(above.argmin()), int(above.argmax())
        low, high = above.flat[flat_low], 1 - above.flat[flat_high]
        place, sign, error = (flat_low, 1, low) if low <= high else (flat_high, -1, high)
        row, column = divmod(place, above.shape[1])
        return Stump(column, self._threshold(row, column), sign, 0.0), float(error)

    def _threshold(self, row: int, column: int) -> float:
        """Return the middle between a sorted value and the next; behind the last, itself."""
        below = float(self._sorted[row, column])
        after = float(self._sorted[min(row + 1, len(self._sorted) - 1), column])
        return (below + after) / 2

    def add(self) -> Stump:
        """Return the best stump, and weigh the samples by its mistakes."""
        stump, _ = self.best()
        answers = stump.answers(self._values)
        wrong = answers != self._labels
        error = min(max(float(self.weights[wrong].sum()), _LEAST_ERROR), 1 - _LEAST_ERROR)
        weight = float(np.log((1 - error) / error))
        self.weights = self.weights * np.exp(weight * wrong)
        self.weights /= self.weights.sum()
        return stump._replace(weight=weight)


def vote(stumps: list[Stump], values: Array) -> Array:
    """Return the sum of the answers of stumps, each by its weight, (N,), of values (N, F)."""
    total = np.zeros(len(values))
    for stump in stumps:
        total += stump.weight * stump.answers(values)
    return total
