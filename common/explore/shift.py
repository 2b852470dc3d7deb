"""Adversarial validation: can a classifier tell two parts of the data apart, and by what?

Where it can, the parts come from different sources, and what is measured on one does not hold of
the other. Its answers are for rows that it has not seen, by folds.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from common.metrics import metrics
from common.metrics.metrics import Array

MOST = 6000  # rows of both parts together, drawn by a seed
_FOLDS = 5
FEWEST = 10  # rows of a part


class Area(NamedTuple):
    """The area under the ROC curve, with its interval of 95 %."""

    value: float  # 0.5: they cannot be told apart; 1: each row can
    low: float
    high: float

    def __str__(self) -> str:
        """Return it for a person."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Told(NamedTuple):
    """How well two parts can be told apart."""

    area: Area
    rows: Array  # (M,) that were compared
    scores: Array  # (M,) how much each looks like one of the second part
    second: Array  # (M,) whether it is of the second part


def draw_rows(second: Array, seed: int = 0) -> Array | None:
    """Return rows of two parts, at most `MOST`, both in them; None where one has too few."""
    rows = []
    for part in (False, True):
        found = np.flatnonzero(second == part)
        if len(found) < FEWEST:
            return None
        drawn = np.random.default_rng(seed).permutation(found)[: MOST // 2]
        rows.append(np.sort(drawn))
    return np.concatenate(rows)


def tell_apart(features: Any, second: Array, rows: Array, linear: bool = False) -> Told:
    """Return how well rows of two parts can be told apart by features.

    Args:
        features: (N, D), sparse or dense.
        second: (N,) whether a row is of the second part.
        rows: (M,) the rows to compare; see `draw_rows`.
        linear: whether a linear classifier is to do it, as for words; else trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    classifier = (
        LogisticRegression(C=10, solver="liblinear", class_weight="balanced", random_state=0)
        if linear
        else HistGradientBoostingClassifier(
            max_iter=50,
            max_depth=4,
            min_samples_leaf=5,
            early_stopping=False,
            class_weight="balanced",
            random_state=0,
        )
    )
    truth = second[rows]
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(classifier, features[rows], truth, cv=folds, method="predict_proba")[
        :, 1
    ]
    return Told(find_area(scores, truth), rows, scores, truth)


def find_area(scores: Array, second: Array) -> Area:
    """Return the area under the ROC curve, with the interval of DeLong et al. (1988).

    ("Comparing the areas under two or more correlated receiver operating characteristic curves".)
    """
    from scipy.stats import rankdata

    ones, zeros = scores[second], scores[~second]
    m, n = len(ones), len(zeros)
    ranks = rankdata(np.concatenate([ones, zeros]))
    value = metrics.roc_auc(scores, second)
    of_ones = (ranks[:m] - rankdata(ones)) / n
    of_zeros = 1 - (ranks[m:] - rankdata(zeros)) / m
    error = np.sqrt(of_ones.var(ddof=1) / m + of_zeros.var(ddof=1) / n) if min(m, n) > 1 else 0.5
    return Area(value, max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error))


class Compared(NamedTuple):
    """Two parts of a split, and what is said of them."""

    first: str
    second: str
    said: str
    grave: bool  # whether that is worth a thought
    told: Told | None  # None where a part is too small


def compare(
    features: Any, part_of: Sequence[str], parts: Sequence[str], noun: str, linear: bool = False
) -> Iterator[Compared]:
    """Ask of each two parts that follow each other whether they can be told apart.

    Args:
        features: (N, D), sparse or dense.
        part_of: of each sample.
        parts: in their order.
        noun: what samples are, in plural.
        linear: see `tell_apart`.
    """
    named = np.array(part_of)
    for first, second in pairwise(parts):
        of_second, both = named == second, np.flatnonzero(np.isin(named, [first, second]))
        drawn = draw_rows(of_second[both])
        if drawn is None:
            said = f"{first} or {second} has fewer than {FEWEST} {noun}."
            yield Compared(first, second, said, False, None)
            continue
        told = tell_apart(features, of_second, both[drawn], linear)
        yield Compared(first, second, *describe(told.area, (first, second)), told)


def by_each(columns: Mapping[str, Array], told: Told) -> list[tuple[str, Area, float, float]]:
    """Return columns with how well each alone tells parts apart, and its medians; best first."""
    found = []
    for name, values in columns.items():
        taken, truth = values[told.rows], told.second
        medians = (float(np.median(taken[~truth])), float(np.median(taken[truth])))
        found.append((name, find_area(taken, truth), *medians))
    return sorted(found, key=lambda each: -abs(each[1].value - 0.5))


def describe(area: Area, parts: Sequence[str]) -> tuple[str, bool]:
    """Say in a sentence whether two parts differ, and whether that is worth a thought."""
    first, second = parts
    if area.low > 0.6:
        text = (
            f"A classifier tells {second} from {first} (AUC {area}): they come from different "
            f"sources, so what validation on {first} shows need not hold on {second}."
        )
        return text, True
    if area.low > 0.5:
        return f"{second} and {first} differ a little (AUC {area}).", False
    return f"A classifier cannot tell {second} from {first} (AUC {area}).", False
