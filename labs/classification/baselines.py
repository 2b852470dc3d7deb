"""Honest baselines: what one gets without a network, on the same splits.

They see the raw pixels, shrunk to at most 32 x 32, of all training images that go into a gigabyte,
without augmentation. What they have to choose (neighbors, strength of the penalty) is chosen on the
validation split.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from common.images.load import pixel_rows
from common.images.sets import ImageSet, find_strata
from common.options.config import Kind
from common.steps import step, track
from common.training.splits import sample_rows
from labs.classification.thresholds import choose_thresholds

SIDE = 32
_NUMBERS = 250_000_000  # pixels that they see at most: a gigabyte of 32-bit numbers
_WEIGHED = 4_000_000_000  # times that a linear model weighs a pixel for a class, at most
NEIGHBORS = "k-nearest neighbors"
_NEIGHBORS = (1, 3, 5)
_PENALTIES = (0.001, 0.01, 0.1)  # scikit-learn's C for logistic regression, 1 / alpha for ridge


def predictions(
    splits: Mapping[str, ImageSet], kind: Kind = "class"
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Fit each baseline and let it predict classes, numbers, or which labels there are, (N, C).

    For labels they are fitted to zeros and ones, and say a label from a threshold on that is chosen
    as the network's is.

    Returns:
        For each baseline's name, its predictions for `validation` and `test`.
    """
    data = {name: pixels(part) for name, part in {**splits, "train": sampled(splits)}.items()}
    found = {}
    for name, candidates in track(_candidates(kind, _neighbors(data)).items(), "baselines"):
        with step(name):
            best = _best(candidates, data, kind)
            found[name] = {split: best.predict(data[split][0]) for split in ("validation", "test")}
        if kind == "labels":
            thresholds = choose_thresholds(found[name]["validation"], data["validation"][1])
            found[name] = {split: each >= thresholds for split, each in found[name].items()}
    return found


def nearest_neighbors(splits: Mapping[str, ImageSet]) -> Any:
    """Return scikit-learn's nearest neighbors, with the k that is best on the validation split."""
    data = {"train": pixels(sampled(splits)), "validation": pixels(splits["validation"])}
    return _best(_candidates("class", _neighbors(data))[NEIGHBORS], data, "class")


def sampled(splits: Mapping[str, ImageSet]) -> ImageSet:
    """Return the training images that baselines see."""
    train = splits["train"]
    channels, side = train.images.shape[1:3]
    most = count_seen(len(train), channels, side, _count_outputs(train.targets))
    if most == len(train):
        return train
    return train.select(sample_rows(find_strata(train.targets), most, seed=0))


def count_seen(images: int, channels: int, side: int, classes: int) -> int:
    """Return how many training images of that size, of so many classes, the baselines see."""
    pixels = channels * min(side, SIDE) ** 2
    return min(images, _NUMBERS // pixels, _WEIGHED // (pixels * max(1, classes)))


def _count_outputs(targets: Tensor) -> int:
    """Return how many numbers a linear model gives: one for each class or label."""
    if targets.ndim > 1:
        return targets.shape[1]
    return 1 if targets.is_floating_point() else len(set(targets.tolist()))


def pixels(part: ImageSet) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Return images as baselines see them, rows of pixels (N, pixels), and targets (N,)."""
    return pixel_rows(part, SIDE), part.targets.numpy()


def _neighbors(data: Mapping[str, Any]) -> list[int]:
    return [k for k in _NEIGHBORS if k <= len(data["train"][1])]


def _best(candidates: Iterable[Any], data: Mapping[str, Any], kind: Kind) -> Any:
    """Return the candidate, fitted, that is best on the validation split."""
    inputs, known = data["validation"]

    def quality(model: Any) -> float:
        guesses = model.predict(inputs)
        return float(
            (guesses == known).mean() if kind == "class" else -np.abs(guesses - known).mean()
        )

    fitted = [model.fit(*data["train"]) for model in track(candidates, "fitting")]
    return max(track(fitted, "choosing on validation"), key=quality)


def _candidates(kind: Kind, neighbors: Sequence[int]) -> dict[str, Iterator[Any]]:
    """Return what can be fitted of each baseline, for classes, numbers or labels."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numeric = kind != "class"
    nearest = KNeighborsRegressor if numeric else KNeighborsClassifier
    linear = (
        Ridge(1 / penalty) if numeric else LogisticRegression(C=penalty, max_iter=1000, tol=1e-3)
        for penalty in _PENALTIES
    )
    simple = DummyRegressor() if numeric else DummyClassifier(strategy="most_frequent")
    return {
        {"class": "majority class", "labels": "class frequencies", "number": "mean"}[kind]: iter(
            [simple]
        ),
        NEIGHBORS: (nearest(k) for k in neighbors),
        f"{'linear' if numeric else 'logistic'} regression": (
            make_pipeline(StandardScaler(), model) for model in linear
        ),
    }
