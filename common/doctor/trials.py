"""Short trainings on one batch, which say what a history cannot: whether another rate would learn.

Each begins with the weights that the run began with, and makes the loop's own updates with the
first batch of training, again and again; nothing of them is kept. One batch has no noise of other
batches in its loss, and a network that is right learns it by heart.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from common.experiments.find_lr import train_at
from common.runs.job import Job, Prepared, Splits
from common.runs.limits.trial import aside
from common.steps import track
from common.training.batches import Updates

_FACTORS = (0.1, 30.0, 0.01, 1e3, 1e-3, 3e4)  # of the run's rate, the near ones first
_SECONDS = 120.0  # after which no further rate is tried
_NONE = 1e-12  # a rate that changes nothing


class Trial(NamedTuple):
    """What a short training came to."""

    rate: float
    first: float  # loss of the untrained model
    last: float  # mean loss of the last updates; infinite where it diverged
    updates: int

    @property
    def gain(self) -> float:
        """The share of the first loss that is gone; minus infinity where it diverged."""
        return 1 - self.last / self.first if self.first > 0 else 0.0


class Again:
    """The first update of a split's epochs, again and again."""

    def __init__(self, split: Updates, updates: int):
        self._batches = next(iter(split.updates(0)))
        self._updates = updates

    def __len__(self) -> int:
        return self._updates

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield its batches."""
        for _ in range(start, self._updates):
            yield self._batches


def try_rates(
    job: Job[Any, Any],
    splits: Splits,
    updates: int,
    wanted: Callable[[Trial], float],
) -> list[Trial]:
    """Train briefly at the run's rate, then below and above it until one gains what is wanted.

    Args:
        job: reopened, with the weights that the run began with.
        splits: its data.
        updates: of each trial.
        wanted: of the trial at the run's own rate, the gain from which on another is better;
            infinite where none is to be tried.

    Returns:
        The trials, that of the run's own rate first.

    Raises:
        NonFiniteError: the loss is not finite before anything is learned.
    """
    begun, rate = time.perf_counter(), job.config.learning_rate
    with aside(job, splits) as prepared:
        prepared = prepared._replace(train=Again(prepared.train, updates))
        fresh = {name: value.clone() for name, value in job.model.state_dict().items()}
        [first] = _losses(job, prepared, np.full(1, _NONE))
        trials = list[Trial]()
        for place, factor in enumerate(track((1.0, *_FACTORS), "learning one batch")):
            spent = time.perf_counter() - begun
            if trials and not trials[-1].gain < wanted(trials[0]) < float("inf"):
                break
            if place and spent + spent / place > _SECONDS:
                break
            job.model.load_state_dict(fresh)
            trials.append(_trial(job, prepared, np.full(updates, factor * rate), first))
    return trials


def _trial(job: Job[Any, Any], prepared: Prepared, rates: Any, first: float) -> Trial:
    losses = _losses(job, prepared, rates)
    diverged = len(losses) < len(rates)
    last = float("inf") if diverged else float(np.mean(losses[-max(1, len(losses) // 5) :]))
    return Trial(float(rates[0]), first, last, len(losses))


def _losses(job: Job[Any, Any], prepared: Prepared, rates: Any) -> Sequence[float]:
    """Return the loss of each update, as long as it is finite."""
    return [loss for _, loss, _ in train_at(job, prepared, rates)]
