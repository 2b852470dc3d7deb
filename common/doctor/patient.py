"""A run that is looked at: what its history, its data and its network say, each measured once."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from common import training
from common.doctor import network, samples, trials
from common.doctor.network import Dead, Fading
from common.doctor.samples import Samples
from common.doctor.trials import Trial
from common.errors import NonFiniteError
from common.history import Row
from common.metrics.metrics import Array
from common.runs.job import Job, Splits
from common.steps import step
from common.training.batches import close

_BATCHES = 4  # from which gradients are measured
_FEW = 5  # neighbors that vote on a label
_DRAWS = 20  # shuffles of the labels, by which chance is known
_STUCK = 0.25  # share of the loss of one batch, below which it is not learned
_MUCH, _TIMES = 0.3, 3.0  # that another rate has to gain: of that loss, over what the run gained


class Agreement(NamedTuple):
    """How often samples have the label of those that are like them, and how often by chance."""

    share: float
    chance: float
    deviation: float  # of the chance

    @property
    def sigmas(self) -> float:
        """Standard deviations above chance."""
        return (self.share - self.chance) / max(self.deviation, 1e-9)


class Gain(NamedTuple):
    """What a split's loss was without training, and what it is with it."""

    untrained: float
    trained: float

    @property
    def share(self) -> float:
        """Of the loss that is gone."""
        return 1 - self.trained / self.untrained if self.untrained > 0 else 0.0


class Patient:
    """A run, finished or not, with what can be measured of it.

    Args:
        job: reopened, with the weights that the run began with.
        splits: its data.
        steps: updates of each trial; 0 for none.
    """

    def __init__(self, job: Job[Any, Any], splits: Splits, steps: int):
        self.job, self.splits, self.steps = job, splits, steps
        self.config = job.config
        self.rows: Sequence[Row] = job.run.history
        job.warm_start(splits, lambda line: None)
        job.compute.place(job.model)
        self._task = job.task(splits)

    # --- the data ---------------------------------------------------------------------------------

    @cached_property
    def train(self) -> Samples:
        """Training samples."""
        return self._take("train")

    @cached_property
    def validation(self) -> Samples:
        """Validation samples."""
        return self._take("validation")

    @cached_property
    def test(self) -> Samples:
        """Test samples, of which the inputs alone are looked at."""
        return self._take("test")

    def _take(self, name: str) -> Samples:
        with step(f"reading {name}"):
            return samples.take(self.job, self.splits[name])

    @property
    def classes(self) -> Sequence[str]:
        """The names of the classes; () where samples have none."""
        labels = self.train.labels
        whole = labels is not None and labels.dtype.kind in "iu"
        return tuple(getattr(self.job.card, "classes", ())) if whole else ()

    @cached_property
    def learnable(self) -> Agreement | None:
        """How training labels agree with those of the most similar samples; None without labels."""
        taken = self.train
        if taken.labels is None:
            return None
        _, first = np.unique([taken.keys[row] for row in taken.rows], return_index=True)
        if len(first) < 4 * _FEW:
            return None
        labels = taken.labels[first]
        rows, known = samples.directions(taken.features[first], taken.features[first], taken.tokens)
        return agree(labels, labels, samples.nearest(rows, known, _FEW, apart=True))

    @cached_property
    def reached(self) -> Agreement | None:
        """How validation labels agree with those of the most similar training samples."""
        known, asked = self.train, self.validation
        if known.labels is None or asked.labels is None or len(known.labels) < 4 * _FEW:
            return None
        width = max(known.features.shape[1], asked.features.shape[1])
        mine, theirs = (_wide(each.features, width) for each in (known, asked))
        rows, directions = samples.directions(theirs, mine, known.tokens)
        return agree(asked.labels, known.labels, samples.nearest(rows, directions, _FEW))

    # --- what it learned --------------------------------------------------------------------------

    @cached_property
    def trained(self) -> nn.Module | None:
        """The model with the best weights; None while there are none."""
        if not self.job.run.best.is_file():
            return None
        fresh, self.job.model = self.job.model, copy.deepcopy(self.job.model)
        try:
            self.job.load_best()
            return self.job.model
        finally:
            self.job.model = fresh

    @property
    def network(self) -> nn.Module:
        """The model with the best weights, or those it began with."""
        return self.trained or self.job.model

    def figures(self, model: nn.Module, taken: Samples) -> Mapping[str, float]:
        """Return the metrics of a model on the samples that are looked at; {} where not finite."""
        try:
            return training.evaluate(model, self._task, taken.batches, self.job.compute)
        except NonFiniteError:
            return {}

    @cached_property
    def gains(self) -> dict[str, Gain]:
        """What was gained on training and validation samples, where both have a loss."""
        found: dict[str, Gain] = {}
        if self.trained is None:
            return found
        for name, taken in self._judged():
            before, after = (self.figures(model, taken) for model in (self.job.model, self.trained))
            if "loss" in before and "loss" in after:
                found[name] = Gain(before["loss"], after["loss"])
        return found

    @cached_property
    def answered(self) -> dict[str, Agreement]:
        """How often the network says the label of training and of validation samples."""
        found: dict[str, Agreement] = {}
        if self.trained is None:
            return found
        for name, taken in self._judged():
            if taken.labels is not None:
                outputs = training.infer(self.trained, self._task, taken.batches, self.job.compute)
                said = self.job.decide(outputs)
                found[name] = agree(taken.labels, said, np.arange(len(said))[:, None])
        return found

    def _judged(self) -> Iterator[tuple[str, Samples]]:
        for name, taken in (("train", self.train), ("validation", self.validation)):
            with step(f"measuring {name}"):
                yield name, taken

    # --- how it trains ----------------------------------------------------------------------------

    @cached_property
    def updates(self) -> int:
        """Updates of the weights so far."""
        train = self.job.batches(self.splits["train"], training=True)
        whole = len(train)
        close(train)
        return sum(int(row.get("updates", whole)) for row in self.rows)

    @property
    def losses(self) -> list[float]:
        """The training loss of each epoch."""
        return [row["train/loss"] for row in self.rows]

    @cached_property
    def rates(self) -> list[Trial]:
        """Trials on one batch, at the run's rate and at others; [] where there are to be none."""
        if not self.steps:
            return []
        return trials.try_rates(self.job, self.splits, self.steps, self.wanted)

    def wanted(self, own: Trial) -> float:
        """Return the gain from which on another rate is better; infinite where `own` learns."""
        if own.gain > _STUCK:
            return float("inf")
        gained = 1 - self.losses[-1] / own.first if self.rows and own.first > 0 else 0.0
        return max(_MUCH, _TIMES * gained, _TIMES * own.gain)

    @cached_property
    def dead(self) -> Dead | None:
        """The layer with the most dead units, as the network is now."""
        return self._find_dead(self.network)

    @cached_property
    def dead_at_first(self) -> Dead | None:
        """The layer with the most dead units, as the network began."""
        return self._find_dead(self.job.model)

    def _find_dead(self, model: nn.Module) -> Dead | None:
        return network.find_dead(
            copy.deepcopy(model), self._task, self.train.batches, self.job.compute
        )

    @cached_property
    def fading(self) -> list[Fading]:
        """How gradients fade, in the network that the run began with."""
        model = copy.deepcopy(self.job.model)
        self._task.training_mode(model, 0)
        return network.measure_fading(
            model, self._task, self.train.batches[:_BATCHES], self.job.compute
        )


def agree(labels: Array, given: Array, neighbors: Array) -> Agreement:
    """Return how labels (N,) agree with those given (M,) of each one's neighbors (N, K).

    Classes agree where most neighbors have it. Numbers agree by their correlation with the
    neighbors' mean. Chance is what remains when the labels are shuffled.
    """
    votes = given[neighbors]
    if labels.dtype.kind == "f":
        said = votes.astype(float).mean(1)

        def share(truth: Array) -> float:
            if said.std() == 0 or truth.std() == 0:
                return 0.0
            return float(np.corrcoef(said, truth)[0, 1])
    else:
        counts = np.stack([(votes == label).sum(1) for label in np.unique(given)], 1)
        said = np.unique(given)[counts.argmax(1)]

        def share(truth: Array) -> float:
            return float((said == truth).mean())

    generator = np.random.default_rng(0)
    drawn = [share(generator.permutation(labels)) for _ in range(_DRAWS)]
    return Agreement(share(labels), float(np.mean(drawn)), float(np.std(drawn)))


def _wide(features: Array, width: int) -> Array:
    return np.pad(features, ((0, 0), (0, width - features.shape[1])))
