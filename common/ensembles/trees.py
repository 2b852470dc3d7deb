"""Gradient boosting of scikit-learn, kept as arrays and evaluated here: nothing is pickled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from common.ensembles.forms import NEVER
from common.metrics.metrics import Array

_ROUNDS = 100  # trees of each class
_STEPS = 10  # in which they are fitted, to show progress
_CHUNK = 256  # rows that go through all trees at a time
_FIELDS = ("feature_idx", "num_threshold", "left", "right", "is_leaf", "value")


@dataclass(frozen=True)
class Trees:
    """Trees (T, at most M nodes), those of one round side by side: one for each class.

    Attributes:
        nodes: of each name of `_FIELDS` the values, (T, M).
        baseline: (B,) what is said before any tree; of two classes one number, the second's logit.
        classes: (K,) the numbers of the classes that were there.
    """

    nodes: Mapping[str, Array]
    baseline: Array
    classes: Array

    @classmethod
    def fit(cls, features: Array, targets: Array, seed: int, move: Callable[[float], None]) -> Self:
        """Fit `HistGradientBoostingClassifier` with its own defaults, one hundred rounds.

        Args:
            features: (N, F).
            targets: (N,) classes.
            seed: of the fit.
            move: called with the share that is done.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            warm_start=True, early_stopping=False, random_state=seed
        )
        with threadpool_limits(1, "openmp"):  # its threads spin where others compute
            for rounds in range(_ROUNDS // _STEPS, _ROUNDS + 1, _ROUNDS // _STEPS):
                model.set_params(max_iter=rounds).fit(features, targets)
                move(rounds / _ROUNDS)
        found: Any = model
        trees = [tree.nodes for each in found._predictors for tree in each]
        most = max(map(len, trees))
        nodes = {
            name: np.stack([np.pad(tree[name], (0, most - len(tree))) for tree in trees])
            for name in _FIELDS
        }
        return cls(nodes, found._baseline_prediction.ravel(), found.classes_)

    def as_arrays(self) -> dict[str, Array]:
        """Return it for a file."""
        return {**self.nodes, "baseline": self.baseline, "classes": self.classes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Read what `as_arrays` gave."""
        nodes = {name: arrays[name] for name in _FIELDS}
        return cls(nodes, arrays["baseline"], arrays["classes"])

    def logits(self, features: Array, classes: int) -> Array:
        """Return logits (N, C) of features (N, F), for so many classes."""
        parts = [
            self._sum(features[low : low + _CHUNK].astype(np.float64))
            for low in range(0, len(features), _CHUNK)
        ]
        raw = np.concatenate([np.empty((0, len(self.baseline))), *parts])
        if len(self.classes) == 2:
            raw = np.concatenate([np.zeros_like(raw), raw], 1)
        found = np.full((len(features), classes), NEVER)
        found[:, self.classes] = raw
        return found

    def _sum(self, features: Array) -> Array:
        """Return the sums of all trees, (n, B), for some rows (n, F)."""
        index, threshold, left, right, leaf, value = (self.nodes[name] for name in _FIELDS)
        rows, trees = np.arange(len(features))[:, None], np.arange(len(leaf))
        place = np.zeros((len(features), len(leaf)), np.int64)
        while not leaf[trees, place].all():
            lower = features[rows, index[trees, place]] <= threshold[trees, place]
            below = np.where(lower, left[trees, place], right[trees, place])
            place = np.where(leaf[trees, place] > 0, place, below)
        every = value[trees, place].reshape(len(features), -1, len(self.baseline))
        return np.asarray(self.baseline + every.sum(1))
