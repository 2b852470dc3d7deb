"""Linear models of ratings on n-grams, fitted as a whole: ridge, or a logistic model per level."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from common.metrics.metrics import Array
from common.steps import track
from labs.rnn.sentiment.ngrams import (
    STRENGTHS,
    TEMPERATURES,
    Labelled,
    Linear,
    count_rarity,
    fit_logistic,
    log_count_ratios,
    occurrences,
    weighed,
)

_PENALTIES = (0.3, 1.0, 3.0, 10.0)  # scikit-learn's alpha of ridge
_TOLERANCE = 1e-3
_QUARTERS = (0.25, 0.5, 0.75)


class _Chosen(NamedTuple):
    """What was chosen on validation."""

    strength: float
    temperature: float = 1.0


def fit(
    train: Labelled,
    validation: Labelled,
    say: Callable[[str], None],
    *,
    ordinal: bool,
    held: int = 0,
) -> tuple[Linear, Linear]:
    """Fit two linear models; n-grams count in them by rarity and by how unequal they are spread.

    They are those of `sentiment.ngrams.fit`, but for what they tell. A number is told by ridge
    regression (Hoerl and Kennard 1970). Levels are told by a logistic regression of each, whether a
    rating is above it (Frank and Hall 2001, "A simple approach to ordinal classification"); the
    strength of the penalty is then chosen on the middle one. Ratios are between the texts above and
    below levels, or quartiles.

    Args:
        train: n-grams with standardized ratings (N,), or whether each level is exceeded, (N, K).
        validation: likewise, what is chosen by.
        say: called with a line that says what is done, as it may take a while.
        ordinal: whether targets are of levels.
        held: how many of the last texts of `train` are those of validation. It is chosen without
            them, and then fitted to all.
    """
    say(f"fitting linear models on the n-grams of {len(train.targets):,} texts")
    inputs, known = occurrences(train.grams), occurrences(validation.grams)
    targets, first = train.targets.numpy(), len(train.targets) - held
    choose, fit_one = (_choose_levels, _fit_levels) if ordinal else (_choose_ridge, _fit_ridge)
    every = zip(
        _count(inputs[:first], targets[:first]), _count(inputs, targets), ("rarity", "ratios"),
        strict=True,
    )  # fmt: skip
    found = []
    for of_first, of_all, name in every:
        seen = weighed(inputs[:first], of_first)
        chosen = choose(seen, targets[:first], weighed(known, of_first), validation.targets, name)
        found.append(_scaled(*fit_one(weighed(inputs, of_all), targets, chosen), of_all, chosen))
    return found[0], found[1]


def _count(inputs: Any, targets: Array) -> Iterator[Array]:
    """Yield how much each n-gram counts, (ROWS,), by how rare it is and by its ratios."""
    yield count_rarity(inputs)
    if targets.ndim == 1:
        targets = targets[:, None] > np.unique(np.quantile(targets, _QUARTERS))
    above = [part for part in targets.T > 0 if part.any() and not part.all()]
    yield log_count_ratios(inputs, above) if above else np.ones(inputs.shape[1])


def _scaled(weights: Array, bias: Array, counts: Array, chosen: _Chosen) -> Linear:
    tensors = (weights / chosen.temperature, bias / chosen.temperature, counts)
    return Linear._make(torch.from_numpy(np.asarray(each)).float() for each in tensors)


def _choose_ridge(inputs: Any, targets: Array, known: Any, answers: Tensor, name: str) -> _Chosen:
    """Choose the penalty with the lowest squared error on validation."""

    def error(strength: float) -> float:
        weights, bias = _fit_ridge(inputs, targets, _Chosen(strength))
        return float(np.square(known @ weights[:, 0] + bias[0] - answers.numpy()).mean())

    errors = {each: error(each) for each in track(_PENALTIES, f"penalties, {name}")}
    return _Chosen(min(errors, key=errors.__getitem__))


def _fit_ridge(inputs: Any, targets: Array, chosen: _Chosen) -> tuple[Array, Array]:
    """Return weights (ROWS, 1) and bias (1,)."""
    from sklearn.linear_model import Ridge

    model = Ridge(chosen.strength, solver="sparse_cg", tol=_TOLERANCE).fit(inputs, targets)
    return model.coef_[:, None], np.array([model.intercept_])


def _choose_levels(inputs: Any, targets: Array, known: Any, answers: Tensor, name: str) -> _Chosen:
    """Choose penalty and temperature with the lowest cross-entropy of the middle level."""
    middle = targets.shape[1] // 2
    best: tuple[float, _Chosen] | None = None
    for strength in track(STRENGTHS, f"penalties, {name}"):
        weights, bias = _fit_level(inputs, targets[:, middle] > 0, strength)
        logits = torch.from_numpy(known @ weights + bias).float()
        for temperature in TEMPERATURES:
            loss = F.binary_cross_entropy_with_logits(logits / temperature, answers[:, middle])
            if best is None or loss < best[0]:
                best = float(loss), _Chosen(strength, float(temperature))
    assert best is not None
    return best[1]


def _fit_levels(inputs: Any, targets: Array, chosen: _Chosen) -> tuple[Array, Array]:
    """Return weights (ROWS, K) and biases (K,)."""
    fits = track(targets.T > 0, "levels")
    weights, biases = zip(
        *(_fit_level(inputs, above, chosen.strength) for above in fits), strict=True
    )
    return np.stack(weights, 1), np.array(biases)


def _fit_level(inputs: Any, above: Array, strength: float) -> tuple[Array, float]:
    """Return weights (ROWS,) and bias of one level; where all are on one side, of a constant."""
    if above.all() or not above.any():
        share = (above.sum() + 0.5) / (len(above) + 1)
        return np.zeros(inputs.shape[1]), float(np.log(share / (1 - share)))
    return fit_logistic(inputs, above, strength)
