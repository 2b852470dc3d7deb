"""Honest baselines of ratings: constants, and ridge regression on words and characters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import DataError
from common.metrics.metrics import Array
from common.steps import step, track
from labs.rnn.sentiment.baselines import make_vectorizers
from labs.rnn.sentiment.ratings.levels import nearest_level

RIDGE, ROUNDED = "ridge on words and characters", "ridge, rounded to a level"
_SEEN = "words and characters"
_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)  # scikit-learn's alpha
_SPLITS = ("validation", "test")


def predictions(
    texts: Mapping[str, list[str]], ratings: Mapping[str, Array], levels: Sequence[float]
) -> dict[str, dict[str, Array]]:
    """Fit each baseline, and return the ratings (N,) that it tells for `validation` and `test`.

    Ridge sees the n-grams of the linear support vector machine that classes are compared with. The
    strength of its penalty is chosen by the mean absolute error on validation, for what it says as
    well as for that rounded to the nearest level, which is what the error is smaller with where
    ratings are few and mostly extreme.

    Raises:
        DataError: all texts of the training split are empty.
    """
    if not any(map(str.strip, texts["train"])):
        raise DataError("all texts of the training split are empty; check the text column")
    known = ratings["train"]
    found = {
        name: {split: np.full(len(texts[split]), value) for split in _SPLITS}
        for name, value in (("mean", known.mean()), ("median", np.median(known)))
    }
    features = _count(texts)
    fitted = [_fit(features, known, penalty) for penalty in track(_PENALTIES, "ridge")]
    found[RIDGE] = _best(fitted, ratings["validation"])
    if levels:
        rounded = [
            {split: np.asarray(levels)[nearest_level(each, levels)] for split, each in one.items()}
            for one in fitted
        ]
        found[ROUNDED] = _best(rounded, ratings["validation"])
    return found


def _count(texts: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the sparse features of each split."""
    vectorizer = make_vectorizers()[_SEEN]
    with step(f"counting {_SEEN}"):
        vectorizer.fit(texts["train"])
    return {name: vectorizer.transform(texts[name]) for name in ("train", *_SPLITS)}


def _fit(features: Mapping[str, Any], ratings: Array, penalty: float) -> dict[str, Array]:
    """Return what a ridge regression says, kept between the lowest and the highest rating."""
    from sklearn.linear_model import Ridge

    model = Ridge(penalty, solver="sparse_cg", tol=1e-4).fit(features["train"], ratings)
    low, high = ratings.min(), ratings.max()
    return {split: model.predict(features[split]).clip(low, high) for split in _SPLITS}


def _best(candidates: Sequence[dict[str, Array]], ratings: Array) -> dict[str, Array]:
    return min(candidates, key=lambda each: float(np.abs(each["validation"] - ratings).mean()))
