"""What members say, in forms that can be combined and judged: classes, labels, numbers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from common.errors import DataError, RunError
from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Outputs
from common.training.splits import number_folds
from common.training.task import probabilities

SOFT, HARD, MEDIAN, GREEDY, STACKING = "soft", "hard", "median", "greedy", "stacking"
METHODS = {
    SOFT: "the mean of the members' answers",
    HARD: "a vote for each member's most probable class",
    MEDIAN: "the median of the members' answers",
    GREEDY: "a weighted mean of the members' answers, chosen greedily",
    STACKING: "a multinomial logistic regression on the members' log probabilities",
}

NEVER = -1e4  # logit of a class of which there was no sample
_SMALLEST = 1e-12  # probability whose logarithm is taken
_FOLDS = (5, 2)  # of samples, tried one after the other where a class has few of them


class Truth(NamedTuple):
    """What is true of the samples that members are judged on."""

    targets: Array  # (N, ...), as the main metric takes them
    groups: Array | None = None  # (N,) what each belongs to, where the user named groups


class Form(ABC):
    """Answers as arrays (N, ...), of which a mean can be taken, and what is decided by them.

    Args:
        metric: by which they are judged.

    Attributes:
        methods: of `METHODS`, those by which such answers can be combined.
        name: of such answers, in plural.
        of_folds: whether the folds of cross-validations can be members.
        rounds: of greedy selection.
        tolerance: by which two members' numbers for the same truth may differ.
        overlap: how many samples before and behind share what is true with a sample.
    """

    methods: ClassVar[Sequence[str]] = (SOFT, MEDIAN, GREEDY)
    name: ClassVar[str]
    of_folds: ClassVar[bool] = True
    rounds: ClassVar[int] = 50
    tolerance: ClassVar[float] = 0.0
    overlap = 0

    def __init__(self, metric: MainMetric):
        self._metric = metric

    @abstractmethod
    def values(self, job: Any, outputs: Outputs, split: Any = None) -> Array:
        """Return what outputs of a job say, (N, ...), float64.

        Args:
            job: whose they are.
            outputs: of it.
            split: as the job sees it; None where it is not at hand.
        """

    def targets(self, job: Any, split: Any) -> Array:
        """Return what is true of a split that a job sees, (N, ...), as values say it."""
        return np.asarray(job.targets(split))

    def mean(self, values: Sequence[Array] | Array, weights: Array | None = None) -> Array:
        """Return the mean of what M say, (N, ...), with weights (M,) that sum to 1, or without."""
        if weights is None:
            return np.asarray(np.mean(values, 0))
        return np.asarray(np.tensordot(weights, values, 1))

    @abstractmethod
    def outputs(self, values: Array) -> Outputs:
        """Return the outputs that say so."""

    @abstractmethod
    def decide(self, values: Array) -> Array:
        """Return predictions (N, ...), as the main metric takes them."""

    def metric_of(self, samples: int) -> MainMetric:
        """Return the main metric for so many samples."""
        return self._metric

    def describe(self, method: str) -> str:
        """Return what it means that such answers are combined by a method."""
        return METHODS[method]

    def settle(self, values: Array, targets: Array) -> None:  # noqa: B027 - most have nothing
        """Choose what figures need, by what all together say of the samples that choose."""

    def figures(self, values: Array, targets: Array) -> dict[str, Any]:
        """Return figures for metrics.json, beside that of the main metric."""
        return {}

    def details(self, values: Array, targets: Array) -> dict[str, list[float]]:
        """Return the main metric in parts, such as those of each step ahead, if it has any."""
        return {}

    def errors(self, values: Array, targets: Array) -> Array:
        """Return how far each answer is from the truth, (N, ...); NaN where there is none.

        Of answers that are not single ones, of which two could be compared, (N, 0).
        """
        return np.asarray(self.decide(values) - targets)

    def score(self, values: Array, targets: Array) -> tuple[float, float]:
        """Return the main metric, with its sign such that the larger is better, and a tie-break."""
        metric = self.metric_of(len(targets))
        sign = 1 if metric.larger_is_better else -1
        return sign * metric.value(self.decide(values), targets), 0.0

    def cut(self, truth: Truth, seed: int) -> Array | None:
        """Return the fold of each sample, (N,), with whole groups; None where they are too few."""
        return _cut(np.zeros(len(truth.targets), np.int64), truth.groups, seed)

    def check(self, method: str) -> None:
        """Refuse a method by which such answers are not combined.

        Raises:
            RunError: it is one.
        """
        if method not in self.methods:
            raise RunError(
                f"--method {method}: is not for {self.name}; choose {', '.join(self.methods[:-1])} "
                f"or {self.methods[-1]}"
            )


class Classes(Form):
    """Probabilities of classes, (N, C); the most probable one is decided."""

    methods = (SOFT, HARD, GREEDY, STACKING)
    name = "classes"

    def values(self, job: Any, outputs: Outputs, split: Any = None) -> Array:
        """Return the probabilities that logits mean."""
        return probabilities(outputs["outputs"])

    def outputs(self, values: Array) -> Outputs:
        """Return log probabilities."""
        return {"outputs": torch.from_numpy(take_logarithms(values))}

    def decide(self, values: Array) -> Array:
        """Return the most probable class of each sample, (N,)."""
        return np.asarray(values.argmax(1))

    def figures(self, values: Array, targets: Array) -> dict[str, Any]:
        """Return those of classifiers."""
        return metrics.classification(values, targets)

    def errors(self, values: Array, targets: Array) -> Array:
        """Return 1 for each sample whose class is wrong, and 0 for the others."""
        return np.asarray(self.decide(values) != targets, float)

    def score(self, values: Array, targets: Array) -> tuple[float, float]:
        """Return the main metric, and minus the log loss."""
        logs = take_logarithms(values[np.arange(len(targets)), targets])
        return super().score(values, targets)[0], float(logs.mean())

    def cut(self, truth: Truth, seed: int) -> Array | None:
        """Return folds that have each class, where there are enough of it."""
        found = _cut(truth.targets, truth.groups, seed)
        return super().cut(truth, seed) if found is None else found


class Labels(Form):
    """Probabilities of any number of labels less their thresholds, (N, C); from 0 on one is said.

    So a mean of them says what the mean probability does, with the mean of the thresholds.
    """

    methods = (SOFT, GREEDY)
    name = "several labels"

    def values(self, job: Any, outputs: Outputs, split: Any = None) -> Array:
        """Return how far the probability of each label is above the threshold of the job."""
        return np.asarray(probabilities(outputs["outputs"], several=True) - job.thresholds)

    def outputs(self, values: Array) -> Outputs:
        """Return the logits of probabilities; the caller has added the thresholds."""
        shares = np.clip(values, _SMALLEST, 1 - _SMALLEST)
        return {"outputs": torch.from_numpy(np.log(shares) - np.log1p(-shares))}

    def decide(self, values: Array) -> Array:
        """Return whether each label is said, (N, C)."""
        return np.asarray(values >= 0)

    def errors(self, values: Array, targets: Array) -> Array:
        """Return 1 for each label that is wrongly said or not, (N, C), and 0 for the others."""
        return np.asarray(self.decide(values) != targets, float)


class Numbers(Form):
    """Numbers, (N,)."""

    name = "numbers"

    def values(self, job: Any, outputs: Outputs, split: Any = None) -> Array:
        """Return the numbers."""
        return np.asarray(outputs["outputs"].double().numpy())

    def outputs(self, values: Array) -> Outputs:
        """Return the numbers."""
        return {"outputs": torch.from_numpy(values)}

    def decide(self, values: Array) -> Array:
        """Return the numbers."""
        return values

    def figures(self, values: Array, targets: Array) -> dict[str, Any]:
        """Return those of regression."""
        return metrics.regression(values, targets)


def take_logarithms(shares: Array) -> Array:
    """Return log probabilities of any shape: logits whose softmax the probabilities are."""
    return np.log(np.maximum(shares, _SMALLEST))


def _cut(kinds: Array, groups: Array | None, seed: int) -> Array | None:
    """Return folds (N,) that have each kind, of samples of these kinds, (N,); None for too few."""
    own = np.arange(len(kinds)) if groups is None else groups
    for folds in _FOLDS:
        try:
            found = number_folds(torch.from_numpy(kinds), torch.from_numpy(own), seed, folds)
        except DataError:  # too few of a kind, or of groups: fewer folds may do
            continue
        return np.asarray(found.numpy())
    return None
