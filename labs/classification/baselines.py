"""Honest baselines: what one gets without a network, on the same splits.

They see the raw pixels, shrunk to at most 32 x 32, of at most 5,000 training images, without
augmentation. What they have to choose (neighbors, strength of the penalty) is chosen on the
validation split.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.data import sample_rows
from common.image_data import pixel_rows
from common.images import ImageSet

SIDE, ROWS = 32, 5000
_NEIGHBORS = (1, 3, 5)
_PENALTIES = (0.001, 0.01, 0.1)  # scikit-learn's C for logistic regression, 1 / alpha for ridge


def predictions(
    splits: Mapping[str, ImageSet], numeric: bool
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Fit each baseline and let it predict.

    Args:
        splits: `train`, `validation` and `test`.
        numeric: whether targets are numbers.

    Returns:
        For each baseline's name, its predictions for `validation` and `test`: classes or numbers.
    """
    rows = sample_rows(splits["train"].targets, ROWS, seed=0)
    train = splits["train"] if len(splits["train"]) <= ROWS else splits["train"].select(rows)
    inputs = {name: pixel_rows(part, SIDE) for name, part in {**splits, "train": train}.items()}
    targets = {name: part.targets.numpy() for name, part in {**splits, "train": train}.items()}

    def quality(model: Any) -> float:
        guesses, known = model.predict(inputs["validation"]), targets["validation"]
        return float(-np.abs(guesses - known).mean() if numeric else (guesses == known).mean())

    found = {}
    neighbors = [k for k in _NEIGHBORS if k <= len(train)]
    for name, candidates in (_regressors if numeric else _classifiers)(neighbors).items():
        fitted = [model.fit(inputs["train"], targets["train"]) for model in candidates]
        best = max(fitted, key=quality)
        found[name] = {split: best.predict(inputs[split]) for split in ("validation", "test")}
    return found


def _classifiers(neighbors: Sequence[int]) -> dict[str, Iterator[Any]]:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "majority class": iter([DummyClassifier(strategy="most_frequent")]),
        "k-nearest neighbors": (KNeighborsClassifier(k) for k in neighbors),
        "logistic regression": (
            make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000, tol=1e-3))
            for penalty in _PENALTIES
        ),
    }


def _regressors(neighbors: Sequence[int]) -> dict[str, Iterator[Any]]:
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "mean": iter([DummyRegressor()]),
        "k-nearest neighbors": (KNeighborsRegressor(k) for k in neighbors),
        "linear regression": (
            make_pipeline(StandardScaler(), Ridge(1 / penalty)) for penalty in _PENALTIES
        ),
    }
