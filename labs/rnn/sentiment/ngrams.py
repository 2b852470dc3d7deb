"""The n-grams of a text: its words, pairs of words, and the character n-grams of its words.

The linear model on them is fitted as a whole, and then counts so much beside the networks.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from common.metrics.metrics import Array
from common.steps import track
from common.training.sequences import Ragged
from labs.rnn.grams import ROWS, hash_grams

STRENGTHS = (1, 3, 10, 30)  # scikit-learn's C, the inverse of the penalty
_TOLERANCE = 1e-2  # of weights that are chosen by validation, closer changes nothing
TEMPERATURES = torch.logspace(-0.6, 0.6, 25)
_SHARES = (1 / 3, 1 / 2, 2 / 3, 4 / 5, 9 / 10, 1.0)


def ngrams(texts: Sequence[str]) -> Ragged:
    """Return the numbers of each text's n-grams; see `hash_grams`."""
    return Ragged(*map(torch.from_numpy, hash_grams(texts)))


class Labelled(NamedTuple):
    """N-grams of texts, with their classes (N,)."""

    grams: Ragged
    targets: Tensor


class Linear(NamedTuple):
    """A linear model on n-grams that do not all count the same."""

    weights: Tensor  # (ROWS, classes)
    bias: Tensor  # (classes,)
    counts: Tensor  # (ROWS,) how much each n-gram counts


def fit(
    train: Labelled,
    validation: Labelled,
    class_weights: Tensor | None,
    say: Callable[[str], None],
    *,
    held: int = 0,
) -> tuple[Linear, Linear]:
    """Fit two logistic regressions, of each class against the others, on all training texts.

    In the first an n-gram counts by its inverse document frequency. In the second it counts by how
    unequally classes have it: the log-count ratio of naive Bayes (Wang and Manning 2012, "Baselines
    and bigrams", section 2.1), of more than two classes the root of the mean square over them. They
    err in different places, so that their mean errs less than either.

    The strength of each one's penalty, and the temperature of its logits (Guo et al. 2017, "On
    calibration of modern neural networks"), are those of the lowest loss on validation.

    Args:
        train: what they learn from.
        validation: what is chosen by.
        class_weights: (C,) how much a text of each class counts; None where all count the same.
        say: called with a line that says what is done, as it may take a while.
        held: how many of the last texts of `train` are those of validation. It is chosen without
            them, and then fitted to all.
    """
    say(f"fitting linear models on the n-grams of {len(train.targets):,} texts")
    classes = int(max(train.targets.max(), validation.targets.max())) + 1
    weights = torch.ones(classes) if class_weights is None else class_weights.cpu()
    inputs, known = occurrences(train.grams), occurrences(validation.grams)
    targets, first = train.targets.numpy(), len(train.targets) - held
    chosen = [
        _fit(inputs[:first], targets[:first], known, validation.targets, weights, counts)
        for counts in _count(inputs[:first], targets[:first], len(weights))
    ]
    if held:
        every = zip(chosen, _count(inputs, targets, len(weights)), strict=True)
        chosen = [_fit_again(inputs, targets, weights, *each) for each in every]
    rarity, ratios = (each.model for each in chosen)
    return rarity, ratios


class _Chosen(NamedTuple):
    """A fitted model, and what was chosen on validation for it."""

    model: Linear
    strength: float
    temperature: float


def _count(inputs: Any, targets: Array, classes: int) -> tuple[Array, Array]:
    """Return how much each n-gram counts, (ROWS,), by how rare it is and by its ratios."""
    return count_rarity(inputs), log_count_ratios(
        inputs, [targets == one for one in range(classes)]
    )


def _fit_again(
    inputs: Any, targets: Array, class_weights: Tensor, chosen: _Chosen, counts: Array
) -> _Chosen:
    """Fit one of them to other texts, as it was chosen for the first ones."""
    strengths = (chosen.strength,)
    [(weights, bias)] = _candidates(weighed(inputs, counts), targets, class_weights, strengths)
    return chosen._replace(model=_scaled(weights, bias, counts, chosen.temperature))


def _scaled(weights: Array, bias: Array, counts: Array, temperature: float) -> Linear:
    tensors = (
        torch.from_numpy(each) for each in (weights / temperature, bias / temperature, counts)
    )
    return Linear._make(each.float() for each in tensors)


def _fit(
    inputs: Any, targets: Array, known: Any, answers: Tensor, class_weights: Tensor, counts: Array
) -> _Chosen:
    """Fit one of them, where n-grams count so much; `known` and `answers` are of validation."""
    inputs, known = weighed(inputs, counts), weighed(known, counts)
    best: tuple[float, _Chosen] | None = None
    candidates = _candidates(inputs, targets, class_weights)
    fits = zip(STRENGTHS, candidates, strict=True)
    for strength, (weights, bias) in track(fits, "penalties", len(STRENGTHS)):
        logits = torch.from_numpy(known @ weights + bias).float()
        losses = [
            F.cross_entropy(logits / temperature, answers, class_weights)
            for temperature in TEMPERATURES
        ]
        loss, place = torch.stack(losses).min(0)
        if best is None or loss < best[0]:
            scale = float(TEMPERATURES[place])
            model = _scaled(weights, bias, counts, scale)
            best = float(loss), _Chosen(model, strength, scale)
    assert best is not None
    return best[1]


def count_rarity(inputs: Any) -> Array:
    """Return the inverse document frequency of each n-gram, (ROWS,)."""
    return np.asarray(np.log((1 + inputs.shape[0]) / (1 + np.asarray(inputs.sum(0)).ravel())) + 1)


def log_count_ratios(inputs: Any, parts: Sequence[Array]) -> Array:
    """Return how unequally parts of the texts have each n-gram, (ROWS,).

    Args:
        inputs: which n-grams occur in which texts, sparse (N, ROWS).
        parts: of each part, such as a class, whether a text is in it, (N,).
    """
    squares = []
    for part in parts:
        inside, outside = (1 + np.asarray(inputs[rows].sum(0)).ravel() for rows in (part, ~part))
        ratios = np.log((inside / inside.sum()) / (outside / outside.sum()))
        squares.append(ratios**2)
    return np.asarray(np.sqrt(np.mean(squares, 0)))


def choose_share(loss: Callable[[float], Tensor]) -> float:
    """Return the share of the n-grams in the answer whose loss is the lowest."""
    return min(_SHARES, key=lambda share: float(loss(share)))


def _candidates(
    inputs: Any,
    targets: Array,
    class_weights: Tensor,
    strengths: Sequence[float] = STRENGTHS,
) -> Iterator[tuple[Array, Array]]:
    """Yield weights (ROWS, C) and biases (C,) of logits, for each strength of the penalty."""
    classes, each = len(class_weights), class_weights.numpy()[targets]
    for strength in strengths:
        rows = [
            fit_logistic(inputs, targets == one, strength, each)
            for one in (range(classes) if classes > 2 else (1,))
        ]
        weights, bias = (np.stack(part, -1) for part in zip(*rows, strict=True))
        if classes == 2:  # one model tells both, by half its logit each
            weights, bias = (np.concatenate([-each, each], -1) / 2 for each in (weights, bias))
        yield weights, bias


def fit_logistic(
    inputs: Any, inside: Array, strength: float, weights: Array | None = None
) -> tuple[Array, float]:
    """Return the weights (ROWS,) and the bias of a logistic regression.

    Args:
        inputs: how much each n-gram counts in each text, sparse (N, ROWS).
        inside: (N,) truth values to tell.
        strength: scikit-learn's C, the inverse of the penalty.
        weights: (N,) how much each text counts; None where all count the same.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=strength, solver="liblinear", dual=True, tol=_TOLERANCE, max_iter=1000, random_state=0
    )
    model.fit(inputs, inside, sample_weight=weights)
    return model.coef_[0], float(model.intercept_[0])


def occurrences(grams: Ragged) -> Any:
    """Return which n-grams occur in which texts, sparse (N, ROWS)."""
    from scipy import sparse

    ones = np.ones(len(grams.values), np.float64)
    place = (grams.values.numpy(), grams.starts.numpy())
    return sparse.csr_matrix((ones, *place), shape=(len(grams), ROWS))


def weighed(occurrences: Any, counts: Sequence[float] | Array) -> Any:
    """Return how much each n-gram counts in each text, at unit length."""
    from sklearn.preprocessing import normalize

    return normalize(occurrences.multiply(counts).tocsr())
