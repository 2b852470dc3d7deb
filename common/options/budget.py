"""How long to train on data that nobody has trained on before: in updates and samples.

A network needs a number of updates, whatever the data; a set of few samples gives few of them in an
epoch. So what is fixed is updates, and the batches and the epochs follow from the size of the data.
What is chosen depends on the data and the config alone, never on how fast this machine is.
"""

import dataclasses
from typing import Any, Generic, NamedTuple, TypeVar

from common.options.config import TrainingConfig, options_of

C = TypeVar("C", bound=TrainingConfig)

_SMALLEST_BATCH = 8
_UPDATES_OF_AN_EPOCH = 16  # at least so many, where batches need not be smaller than that


class Needs(NamedTuple):
    """What a model needs to learn, as measured."""

    updates: int  # with the default number of epochs; a recipe of half as many gets half of them
    most_samples: int  # that it sees in all, where the data would allow more
    samples_per_second: float  # that it learns from, on two cores, to say how long it will take
    least_batch: int = _SMALLEST_BATCH  # however few samples there are


class Choices(Generic[C]):
    """A config in the making, for a user's data: what was given stays, what is chosen is said.

    Of a config that was made in Python, what is not a default counts as given.

    Attributes:
        config: with what was chosen so far.
        reasons: a sentence for each choice.
        seconds: about how long training takes on two cores, once `train_for` knows.
    """

    seconds: float = 0.0

    def __init__(self, config: C):
        own = (
            field.name
            for field in options_of(type(config))
            if getattr(config, field.name) != field.default
        )
        self.config = config if config.given else dataclasses.replace(config, given=frozenset(own))
        self.reasons: list[str] = []

    def take(self, *reasons: str, **values: Any) -> None:
        """Take values for what is not given; the reasons are said if there is any of them."""
        free = {name: value for name, value in values.items() if name not in self.config.given}
        if free:
            self.reasons += reasons
            self.config = dataclasses.replace(self.config, **free)

    def train_for(self, samples: int, needs: Needs) -> None:
        """Choose batches and updates, see `suit`."""
        changes, reasons = suit(self.config, samples, needs)
        self.take(*reasons, **changes)
        seen = self.config.epochs * samples
        if self.config.total_updates is not None:
            seen = self.config.total_updates * self.config.batch_size
        self.seconds = seen / needs.samples_per_second


def suit(config: TrainingConfig, samples: int, needs: Needs) -> tuple[dict[str, Any], list[str]]:
    """Choose the batches and updates for some training samples, unless they are given.

    Args:
        config: what is asked for; its `given` is left alone.
        samples: about how many there are to learn from.
        needs: of the model.

    Returns:
        The values that change, and a sentence for each choice.
    """
    changes: dict[str, Any] = {}
    reasons = []
    batch = config.batch_size
    if "batch_size" not in config.given:
        batch = choose_batch(samples, batch, needs.least_batch)
    if batch != config.batch_size:
        changes["batch_size"] = batch
        reasons.append(f"batches of {batch}: of larger ones {samples:,} samples make few updates")
    if not {"epochs", "total_updates"} & config.given:
        share = config.epochs / type(config).epochs
        updates = max(1, round(share * min(needs.updates, needs.most_samples / batch)))
        changes["total_updates"] = updates = max(updates, -(-samples // batch))
        minutes = updates * batch / needs.samples_per_second / 60
        reasons.append(
            f"{updates:,} updates, about {_minutes(minutes)} on two cores: what this model needs "
            "to learn, as far as ten minutes go"
        )
    return changes, reasons


def choose_batch(samples: int, usual: int, least: int = _SMALLEST_BATCH) -> int:
    """Return the usual batch size, or a power of two below it that makes enough updates."""
    if samples // _UPDATES_OF_AN_EPOCH >= usual:
        return usual
    return min(usual, max(least, largest_batch(samples)))


def largest_batch(samples: int) -> int:
    """Return the largest power of two that makes enough updates in an epoch, at least 1."""
    wanted = samples // _UPDATES_OF_AN_EPOCH
    return 1 << max(wanted.bit_length() - 1, 0)


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return f"{max(1, round(60 * minutes))} s"
    return f"{round(minutes)} minute{'s' if round(minutes) > 1 else ''}"
