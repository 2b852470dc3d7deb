"""What is told without a network from the columns beside images: each alone, and all together.

Models are fitted to the training split, and the one that is best on validation is taken, by the
main metric's own measure of right: a linear one on standardized numbers, on a column for each
category and on pieces of texts, and boosted trees on numbers, categories and the main directions of
texts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.options.config import Kind
from common.steps import step, track
from labs.classification.senses import pieces
from labs.classification.senses.columns import CATEGORY, NUMBER, Column
from labs.classification.thresholds import choose_thresholds

TOGETHER = "the columns together"
_PENALTIES = (0.1, 1.0, 10.0)  # scikit-learn's C for logistic regression, 1 / alpha for ridge
_DIRECTIONS = 16  # of texts, for trees
_NAMES = ("train", "validation", "test")


def predictions(
    splits: Mapping[str, ImageSet], columns: Sequence[Column], kind: Kind
) -> dict[str, dict[str, Array]]:
    """Return what each column alone, and all together, predict for `validation` and `test`."""
    targets = {name: splits[name].targets.numpy() for name in _NAMES}
    groups = {f"{column.name} alone": [column] for column in columns}
    if len(columns) > 1:
        groups[TOGETHER] = list(columns)
    found = {}
    for name, some in track(groups.items(), "baselines of the columns"):
        with step(name):
            found[name] = _predict(splits, some, targets, kind)
    return found


def _predict(
    splits: Mapping[str, ImageSet],
    columns: Sequence[Column],
    targets: Mapping[str, Array],
    kind: Kind,
) -> dict[str, Array]:
    """Return what the model that is best on validation predicts."""
    best: tuple[float, dict[str, Array]] | None = None
    for inputs, models in _candidates(splits, columns, kind):
        for model in models:
            model.fit(inputs["train"], targets["train"])
            said = {name: model.predict(inputs[name]) for name in _NAMES[1:]}
            true = targets["validation"]
            right = (
                said["validation"] == true if kind == "class" else -abs(said["validation"] - true)
            )
            if best is None or right.mean() > best[0]:
                best = float(right.mean()), said
    assert best is not None
    said = best[1]
    if kind == "labels":
        thresholds = choose_thresholds(said["validation"], targets["validation"])
        said = {name: each >= thresholds for name, each in said.items()}
    return said


def _candidates(
    splits: Mapping[str, ImageSet], columns: Sequence[Column], kind: Kind
) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return what is fitted, and to which numbers: (N, D) by the split."""
    from scipy.sparse import hstack
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    parts = [_sparse(splits, column) for column in columns]
    linear = {name: hstack([part[name] for part in parts]).tocsr() for name in _NAMES}
    models: list[Any]
    if kind == "class":
        models = [LogisticRegression(C=penalty, max_iter=300, tol=1e-3) for penalty in _PENALTIES]
    else:
        models = [Ridge(1 / penalty) for penalty in _PENALTIES]
    found: list[tuple[dict[str, Any], list[Any]]] = [(linear, models)]
    texts = [column for column in columns if column.kind not in (NUMBER, CATEGORY)]
    if kind == "labels" or (texts and len(columns) == 1):
        return found
    trees: Any = (
        HistGradientBoostingClassifier if kind == "class" else HistGradientBoostingRegressor
    )
    dense = [_dense(splits, column) for column in columns]
    stacked = {name: np.concatenate([part[name] for part in dense], 1) for name in _NAMES}
    found.append((stacked, [trees(max_iter=60, random_state=0)]))
    return found


def _sparse(splits: Mapping[str, ImageSet], column: Column) -> dict[str, Any]:
    """Return a column for a linear model, (N, D), with ones where a cell is missing."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    cells = {
        name: splits[name].cells.get(column.name) or [""] * len(splits[name]) for name in _NAMES
    }
    if column.kind in (NUMBER, CATEGORY):
        encoded = {name: column.encode(each).numpy() for name, each in cells.items()}
        if column.kind == NUMBER:
            return {
                name: csr_matrix(
                    np.concatenate([1 - each[:, :1], each[:, 1:], each[:, 1:] ** 2], 1)
                )
                for name, each in encoded.items()
            }
        size = len(column.known)
        ones = {
            name: np.eye(1 + size)[np.where(each[:, 0] > 0, 1 + each[:, 1], 0).astype(int)]
            for name, each in encoded.items()
        }
        return {name: csr_matrix(each) for name, each in ones.items()}
    vectorizer = TfidfVectorizer(analyzer=pieces.cut, vocabulary=list(column.known))
    vectorizer.fit(cells["train"])
    return {name: vectorizer.transform(each) for name, each in cells.items()}


def _dense(splits: Mapping[str, ImageSet], column: Column) -> dict[str, Array]:
    """Return a column for trees, (N, D), NaN where a cell is missing."""
    from sklearn.decomposition import TruncatedSVD

    if column.kind not in (NUMBER, CATEGORY):
        sparse = _sparse(splits, column)
        most = min(_DIRECTIONS, len(column.known) - 1)
        if most < 1:
            return {name: each.toarray() for name, each in sparse.items()}
        directions = TruncatedSVD(most, random_state=0).fit(sparse["train"])
        return {name: directions.transform(each) for name, each in sparse.items()}
    found = {}
    for name in _NAMES:
        cells = splits[name].cells.get(column.name) or [""] * len(splits[name])
        encoded = column.encode(cells).numpy()
        found[name] = np.where(encoded[:, :1] > 0, encoded[:, 1:], np.nan)
    return found
