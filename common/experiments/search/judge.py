"""By what trials are judged: the lab's main metric, or one that was named."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from common.experiments.out_of_fold import OutOfFold
from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.metrics.named import NamedMetric, Needs

Figure = Callable[[Array], Array]
"""From the numbers of samples in R draws, (R, n), the figure of each draw, (R,)."""


class Judge(Protocol):
    """What says how good answers are."""

    name: str  # as in the rows of a history
    label: str
    larger_is_better: bool
    block: int  # neighboring samples that are drawn together
    resamples: int

    def measure(self, answers: OutOfFold) -> float:
        """Return the figure of answers."""

    def resampled(self, answers: OutOfFold) -> Figure:
        """Return the figure of draws of the answers."""

    def keep(self, answers: OutOfFold) -> OutOfFold:
        """Return what of answers is to be kept, to be judged later."""

    def test(self, answer: Callable[[], OutOfFold]) -> dict[str, Any]:
        """Return what a run's own conclusion does not say of its answers on the test split."""

    def text(self, value: float, sign: str = "") -> str:
        """Write a figure; with `+` for a sign, also that of positive ones."""

    def interval_text(self, interval: tuple[float, float]) -> str:
        """Write an interval of the figure."""


class Main:
    """The main metric of a lab as a judge."""

    def __init__(self, metric: MainMetric):
        self.metric, self.name, self.label = metric, metric.name, metric.label
        self.larger_is_better = metric.larger_is_better
        self.block, self.resamples = metric.block, metric.resamples
        self.text, self.interval_text = metric.text, metric.interval_text

    def measure(self, answers: OutOfFold) -> float:
        """Return the figure of answers."""
        return self.metric.value(answers.decided, answers.targets)

    def resampled(self, answers: OutOfFold) -> Figure:
        """Return the figure of draws of the answers."""
        rows = self.metric.statistics(answers.decided, answers.targets)
        return lambda drawn: metrics.of_draws(self.metric.compute, rows, drawn)

    def keep(self, answers: OutOfFold) -> OutOfFold:
        """Return what was decided, of which the figure is."""
        return answers._replace(outputs={})

    def test(self, answer: Callable[[], OutOfFold]) -> dict[str, Any]:
        """Return nothing: a run's conclusion has its main metric."""
        return {}


class Named:
    """A metric with a name, or one of the user's own, as a judge.

    Args:
        metric: the metric.
        find: returns the answers that it needs.
    """

    block = 1

    def __init__(self, metric: NamedMetric, find: Callable[[OutOfFold, Needs], Array]):
        self.metric, self.name, self.label = metric, metric.name, metric.label
        self.larger_is_better, self.resamples = metric.larger_is_better, min(metric.resamples, 1000)
        self.text, self.interval_text = metric.text, metric.interval_text
        self._find = find

    def measure(self, answers: OutOfFold) -> float:
        """Return the figure of answers.

        Raises:
            ConfigError: the metric is the user's own, and raises, or returns no finite number.
        """
        return self.metric.value(answers.targets, self._find(answers, self.metric.needs))

    def resampled(self, answers: OutOfFold) -> Figure:
        """Return the figure of draws of the answers."""
        given = self._find(answers, self.metric.needs)
        of_counts = self.metric.counted(answers.targets, given)

        def measure(drawn: Array) -> Array:
            return of_counts(np.stack([np.bincount(d, minlength=len(given)) for d in drawn]))

        return measure

    def keep(self, answers: OutOfFold) -> OutOfFold:
        """Return all of the answers."""
        return answers

    def test(self, answer: Callable[[], OutOfFold]) -> dict[str, Any]:
        """Return the figure of answers, with its 95 % interval over samples, or over groups."""
        answers = answer()
        given = self._find(answers, self.metric.needs)
        measured = self.metric.measure(answers.targets, given, answers.groups)
        return {"judged": self.measure(answers), "judged_interval": list(measured[1:])}
