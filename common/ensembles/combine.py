"""How members answer together: by mean, by votes, by weights that were chosen, by a linear model.

Here are values alone, (M, N, ...) of M members and N samples, such as probabilities; what is chosen
or fitted is chosen by what is true of the N samples, which no member may have learned from.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from common.ensembles.forms import (
    GREEDY,
    HARD,
    MEDIAN,
    NEVER,
    STACKING,
    Form,
    take_logarithms,
)
from common.metrics.metrics import Array

LEARNING = (GREEDY, STACKING)
"""The methods that learn from what is true."""

_TIE = 1e-3  # of a vote: what the mean probability counts, to decide between equal votes
_PENALTIES = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C: the smaller, the stronger
_PARTS = 5  # of the samples, to choose among them
_STEPS = 1000  # of the solver, at most
_NEAR = 1e-3  # largest gradient at which it stops: three times sooner than by its default, as good


@dataclass(frozen=True)
class Combination:
    """How members answer together.

    Attributes:
        method: one of `METHODS`.
        weights: (M,) of the members, which sum to 1.
        coefficients: (M * C, C) of a linear model on log probabilities; None without one.
        intercepts: (C,) of it.
    """

    method: str
    weights: Array
    coefficients: Array | None = None
    intercepts: Array | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        arrays = {
            name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return {"method": self.method, **{name: each.tolist() for name, each in arrays.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave, after JSON."""
        arrays = {name: np.array(value) for name, value in values.items() if name != "method"}
        return cls(values["method"], **arrays)

    def answer(self, values: Array, form: Form) -> Array:
        """Return what the members say together, (N, ...), from what each says, (M, N, ...).

        The form says what the mean of such values is.
        """
        if self.coefficients is not None:
            return _softmax(_features(values) @ self.coefficients + self.intercepts)
        if self.method == MEDIAN:
            return np.asarray(np.median(values, 0))
        mean = form.mean(values, self.weights)
        if self.method != HARD:
            return mean
        votes = np.tensordot(self.weights, _vote(values), 1)
        return np.asarray((votes + _TIE * mean) / (1 + _TIE))


def learn(method: str, values: Array, targets: Array, form: Form) -> Combination:
    """Return how members are to answer together.

    Args:
        method: one of those of the form.
        values: (M, N, ...) what each member says.
        targets: (N, ...) what is true.
        form: of the values; greedy selection makes its metric best.
    """
    equal = np.full(len(values), 1 / len(values))
    if method == GREEDY:
        return Combination(method, choose_greedily(values, targets, form))
    if method == STACKING:
        return Combination(method, equal, *_fit(values, targets))
    return Combination(method, equal)


def choose_greedily(values: Array, targets: Array, form: Form) -> Array:
    """Return weights of the members, (M,), by selection with replacement; they sum to 1.

    Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble selection from libraries of models":
    each round takes the member with which the mean of all that are taken is best, perhaps once
    more; the best of the rounds counts. Of equal metrics the form's tie-break decides, of classes
    the smaller log loss, then the first member.

    The arguments are those of `learn`.
    """
    taken, one = np.zeros(len(values)), np.eye(len(values))
    best, weights = (-np.inf, -np.inf), taken

    @functools.cache
    def score(*weights: float) -> tuple[float, float]:
        return form.score(form.mean(values, np.array(weights)), targets)

    for number in range(1, form.rounds + 1):
        scores = [score(*(taken + each) / number) for each in one]
        member = max(range(len(values)), key=scores.__getitem__)
        taken[member] += 1
        if scores[member] > best:
            best, weights = scores[member], taken / number
    return weights


def find_best(values: Array, targets: Array, form: Form) -> int:
    """Return the number of the best member by itself; the arguments are those of `learn`."""
    scores = [form.score(each, targets) for each in values]
    return max(range(len(values)), key=scores.__getitem__)


def _vote(shares: Array) -> Array:
    """Return 1 for the most probable class of each member, (M, N, C), and 0 for the others."""
    return np.asarray(np.eye(shares.shape[2])[shares.argmax(2)])


def _features(shares: Array) -> Array:
    """Return the log probabilities of all members side by side, (N, M * C)."""
    logs = take_logarithms(shares)
    return np.asarray(np.moveaxis(logs, 0, 1).reshape(shares.shape[1], -1))


def _fit(shares: Array, truth: Array) -> tuple[Array, Array]:
    """Return coefficients (M * C, C) and intercepts (C,) of a logistic regression.

    The strength of its penalty is chosen by the log loss on parts of the samples that it is not
    fitted to. A class that no sample has is never said.
    """
    features = _features(shares)
    parts = np.arange(len(truth)) % _PARTS
    losses = [
        np.mean([_loss(features, truth, parts == part, penalty) for part in range(_PARTS)])
        for penalty in _PENALTIES
    ]
    return _regress(features, truth, _PENALTIES[int(np.argmin(losses))], shares.shape[2])


def _loss(features: Array, truth: Array, mine: Array, penalty: float) -> float:
    """Return the log loss on some samples of what is fitted to the others."""
    classes = int(truth.max()) + 1
    coefficients, intercepts = _regress(features[~mine], truth[~mine], penalty, classes)
    shares = _softmax(features[mine] @ coefficients + intercepts)
    return float(-take_logarithms(shares[np.arange(mine.sum()), truth[mine]]).mean())


def _regress(features: Array, truth: Array, penalty: float, classes: int) -> tuple[Array, Array]:
    from sklearn.linear_model import LogisticRegression

    if len(known := np.unique(truth)) == 1:  # which scikit-learn refuses
        return np.zeros((features.shape[1], classes)), np.where(
            np.isin(np.arange(classes), known), 0.0, NEVER
        )
    model = LogisticRegression(C=penalty, max_iter=_STEPS, tol=_NEAR).fit(features, truth)
    coefficients = np.zeros((features.shape[1], classes))
    intercepts = np.full(classes, NEVER)
    if len(model.classes_) == 2:  # scikit-learn fits the second against the first
        model.coef_ = np.concatenate([np.zeros_like(model.coef_), model.coef_])
        model.intercept_ = np.concatenate([np.zeros(1), model.intercept_])
    coefficients[:, model.classes_], intercepts[model.classes_] = model.coef_.T, model.intercept_
    return coefficients, intercepts


def _softmax(logits: Array) -> Array:
    """Return the softmax of logits (N, C)."""
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))
