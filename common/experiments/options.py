"""The options of experiments, beside those of what they train.

They are mixed into a lab's config, and stand in front of it:

    class CrossvalConfig(CrossvalOptions, ClassificationConfig): ...
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from common.errors import ConfigError
from common.experiments.search import space
from common.options.config import data_option, located, option

MOST_TRIALS = 10_000


def locate_metric(spec: str) -> str:
    """Return a metric with the path of one's own made absolute, so that a run can move."""
    file, colon, name = spec.rpartition(":")
    return f"{located(file)}:{name}" if colon else spec


@dataclass(frozen=True)
class CrossvalOptions:
    """What cross-validation takes beside the options of `train`."""

    folds: int = data_option(
        5, "folds that the data is cut into; each is the test split of a model", at_least=2
    )
    repeats: int = option(
        1,
        "times that all is done, each time with other folds and other weights",
        group="Trials",
        at_least=1,
    )
    metrics: tuple[str, ...] = option(
        (),
        "what else is measured, with commas between: f1, kappa, quadratic-kappa, roc-auc, top3, "
        "rmse, spearman and so on, or your own as FILE.py:function of (truth, answers); the usual "
        "ones when not given",
        group="Trials",
    )
    tune: str | None = option(
        None,
        "a metric of classes, such as f1, for which each class's probability is raised or lowered; "
        "what that gains is measured on folds that did not choose it",
        group="Trials",
    )


@dataclass(frozen=True)
class LeaksOptions:
    """What the proof of a leak takes beside the options of `train`."""

    folds: int = data_option(5, "folds that the data is cut into, once by each rule", at_least=2)
    guess: str = option(
        "auto",
        "which groups are tried: given (by --group-column or --group-by), one of those that "
        "--group-by may be, or a column of the table; auto takes the first that may be groups",
        group="Trials",
    )


@dataclass(frozen=True)
class LearningCurveOptions:
    """What a learning curve takes beside the options of `train`."""

    shares: tuple[str, ...] = option(
        ("0.0625", "0.125", "0.25", "0.5", "1"),
        "of the training split that are learned from, with commas between",
        group="Trials",
    )
    seeds: int = option(
        3,
        "how often each share is trained, each time with another seed and other samples",
        group="Trials",
        at_least=1,
    )


@dataclass(frozen=True)
class SearchOptions:
    """What a search takes beside the options of `train`."""

    space: tuple[str, ...] = option(
        (),
        "an option that varies: NAME=log:LOW:HIGH or NAME=float:LOW:HIGH (a number between), "
        "NAME=int:LOW:HIGH, or choices as in NAME=ONE|ANOTHER",
        group="Trials",
        repeated=True,
    )
    trials: int | None = option(
        None,
        "trials in all; 20 where neither they nor --minutes are given",
        group="Trials",
        at_least=1,
        at_most=MOST_TRIALS,
    )
    minutes: float | None = option(
        None,
        "minutes of training of all trials together, after which no trial begins",
        group="Trials",
        above=0,
    )
    prune: bool = option(
        True,
        "stop a trial that is behind the median of the others after as many epochs",
        group="Trials",
    )
    again: int = option(
        5,
        "of the best trials, how many train once more with another seed, to learn what is luck",
        group="Trials",
        at_least=0,
    )
    metric: str | None = option(
        None,
        "by which trials are judged, such as f1, kappa or roc-auc, or your own as FILE.py:function "
        "of (truth, answers); the lab's main one when not given",
        group="Trials",
    )
    folds: int | None = data_option(
        None,
        "folds that the data is cut into; each trial trains a model for each, and is judged on all "
        "samples. Without, it is judged on the validation split, and the best is tested",
        at_least=2,
    )

    usual_trials: ClassVar[int] = 20

    @property
    def most_trials(self) -> float:
        """How many trials there are at most; infinity where the time alone ends them."""
        if self.trials is not None:
            return self.trials
        return self.usual_trials if self.minutes is None else math.inf

    @classmethod
    def searched(cls) -> type[Any]:
        """Return the class of the configs of trials: the one that the options are mixed into."""
        [kind] = [base for base in cls.__bases__ if base is not SearchOptions]
        return kind

    def _problems(self: Any) -> Iterator[str]:
        """Say what is wrong with the space; what is wrong with the rest, where all its values are.

        An option that varies may be what another one needs, so the config is judged with them.
        """
        kind = self.searched()
        if self.time is not None:
            yield "--time: a search takes --minutes, of training of all trials together"
        if self.fit_batch:
            yield "--batch-size auto: trials differ in what fits; give a number, or search it"
        try:
            found = space.parse(self.space, kind)
        except ConfigError as error:
            yield from error.problems
            found = {}
        if not found:
            yield from kind._problems(self)
            return
        if self.fold is not None:
            yield "--fold: a search trains all folds; drop it"
        yield from space.find_corners(self, kind, found)[1]
