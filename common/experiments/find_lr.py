"""The range test of the learning rate: the loss while the rate grows until training diverges.

After Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (arXiv:1506.01186, section
3.3), with a rate that grows exponentially. Each update is one of the loop's own, on the data in
the order of training; what it changes is a copy of the model, which is thrown away.
"""

import itertools
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from common.errors import ConfigError, NonFiniteError
from common.experiments import plots
from common.history import Progress
from common.metrics.metrics import Array
from common.options import terminal
from common.runs import commands
from common.runs.job import Job, Prepared, Splits
from common.runs.limits.trial import aside
from common.training.batches import batch_size
from common.training.loop import train_step
from common.training.means import Means

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DIVERGED = 4.0  # times the smallest running mean of the loss, above which the test ends
_MEMORY = 0.9  # of that running mean, per update
_FIRST = 10  # updates before which the test does not end
_WIDTH = 0.04  # standard deviation of the smoothing, as a share of the updates
_LEAST_FALL = 1.0  # standard deviations of the losses that the smoothed ones have to fall
OWN_OPTIONS = ("--lowest", "--highest", "--updates", "--output")  # that training does not have


@dataclass(frozen=True)
class RangeTest:
    """Losses at growing rates, (N,) each."""

    rates: Array
    losses: Array
    smoothed: Array  # by lines that are fitted around each rate
    slopes: Array  # of these lines: the loss per factor e of the rate
    diverged: bool  # whether the loss grew or was not finite, which ended the test

    @classmethod
    def of(cls, rates: Sequence[float], losses: Sequence[float], diverged: bool) -> "RangeTest":
        """Smooth the losses."""
        smoothed, slopes = _fit_lines(np.log(rates), np.array(losses))
        return cls(np.array(rates), np.array(losses), smoothed, slopes, diverged)

    @property
    def smallest(self) -> float:
        """The rate with the smallest loss."""
        return float(self.rates[self.smoothed.argmin()])

    @property
    def tenth(self) -> float:
        """One tenth of that rate."""
        return self.smallest / 10

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest, before it is smallest."""
        return float(self.rates[self.slopes[: self.smoothed.argmin() + 1].argmin()])

    @property
    def suggested(self) -> float | None:
        """The rate to train with, in one digit; None where no rate makes the loss fall.

        It is that of the steepest descent, but at least a tenth of the rate with the smallest loss
        and at most a third of it: with momentum or a small model the loss falls fastest just before
        it diverges, and with a large loss at the beginning long before any rate is useful.
        """
        place = self.smoothed.argmin()
        noise = (self.losses - self.smoothed)[: place + 1].std()
        if self.smoothed[0] - self.smoothed[place] <= _LEAST_FALL * noise:
            return None
        rate = min(max(self.steepest, self.tenth), self.smallest / 3)
        return float(f"{rate:.0e}")

    def draw(self) -> "Figure":
        """Draw the losses over the rates, with the suggestion marked."""
        marks = {}
        if self.suggested is not None:
            marks = {
                "steepest descent": self.steepest,
                "a tenth of the rate with the smallest loss": self.tenth,
                f"suggested: {self.suggested:g}": self.suggested,
            }
        return plots.draw_range_test(self.rates, self.losses, self.smoothed, marks)

    def describe(self) -> str:
        """Say what was found, and by which rule a rate is suggested."""
        ended = "where the loss had grown" if self.diverged else "and nothing had diverged"
        tested = (
            f"{len(self.rates)} updates, from {self.rates[0]:.2g} to {self.rates[-1]:.2g}, {ended}"
        )
        if self.suggested is None:
            return (
                f"No rate made the loss fall by more than it varies ({tested}): there is nothing "
                "to choose by. Let it grow more slowly: --lowest 1e-4 --updates 300."
            )
        return (
            f"The loss fell fastest at {self.steepest:.2g}, and was smallest at "
            f"{self.smallest:.2g}, of which one tenth is {self.tenth:.2g} ({tested}). Suggested: "
            f"{self.suggested:g}, the steepest descent, kept between a tenth and a third of the "
            "rate with the smallest loss. Where a schedule or --warmup changes the rate, this is "
            "the largest."
        )


def _fit_lines(x: Array, y: Array) -> tuple[Array, Array]:
    """Return heights and slopes, (N,), of lines through the points around each point."""
    if len(x) < 2:
        return y, np.zeros(len(y))
    width = max(1.0, _WIDTH * len(x)) * (x[1] - x[0])
    weights = np.exp(-0.5 * ((x[:, None] - x) / width) ** 2)
    weights /= weights.sum(1, keepdims=True)
    middle, height = weights @ x, weights @ y
    spread = (weights * (x - middle[:, None]) ** 2).sum(1)
    slopes = (weights * (x - middle[:, None]) * (y - height[:, None])).sum(1) / spread
    return height + slopes * (x - middle), slopes


def run_range_test(
    job: Job[Any, Any],
    splits: Splits,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    updates: int = 100,
) -> RangeTest:
    """Train a copy of a job's model while the rate grows; the job and its model stay as they are.

    Args:
        job: from `Job.check`.
        splits: its data.
        lowest: the first learning rate.
        highest: the last one, if nothing diverges before.
        updates: how many rates are tried.

    Raises:
        NonFiniteError: the loss is not finite at the first rate already.
    """
    rates = np.geomspace(lowest, highest, updates)
    tried: list[float] = []
    losses: list[float] = []
    means: list[float] = []  # running ones
    begun, samples = time.perf_counter(), 0
    with aside(job, splits) as prepared, terminal.display(1, []) as display:
        for rate, loss, size in train_at(job, prepared, rates):
            tried.append(rate)
            losses.append(loss)
            samples += size
            speed = samples / (time.perf_counter() - begun)
            figures = {"loss": loss, "learning rate": rate}
            display.progress(Progress(0, len(tried), updates, speed, figures))
            means.append(_MEMORY * means[-1] + (1 - _MEMORY) * loss if means else loss)
            if len(tried) >= _FIRST and loss > _DIVERGED * min(means):
                break
    return RangeTest.of(tried, losses, diverged=len(tried) < updates)


def train_at(
    job: Job[Any, Any], prepared: Prepared, rates: Array
) -> Iterator[tuple[float, float, int]]:
    """Make an update with each rate; yields it, the loss and the samples, as long as it is finite.

    The loss of an update is that of the weights before it.

    Raises:
        NonFiniteError: the first loss is not finite, of which the rate is not the cause.
    """
    compute, config, train = job.compute, job.config, prepared.train
    compute.place(job.model)
    compute.reset()
    optimizer = job.optimizer()
    epochs = ((epoch, each) for epoch in itertools.count() for each in train.updates(epoch))
    for step, (rate, (epoch, batches)) in enumerate(zip(rates, epochs, strict=False)):
        prepared.task.training_mode(job.model, epoch)
        parts, skipped = train_step(
            job.model,
            prepared.task,
            batches,
            optimizer,
            epoch=epoch,
            step=step,
            rate=rate / config.learning_rate,
            seed=config.seed,
            clip=config.clip,
            compute=compute,
        )
        means = Means({}, compute.scaling)
        means.add(epoch, step, parts, skipped)
        try:
            loss = means.fetch()["loss"]
        except NonFiniteError:
            if step == 0:  # the rate is not the cause
                raise
            return
        yield float(rate), loss, sum(map(batch_size, batches))


def command(
    kind: type[Job[Any, Any]],
    config: Any,
    output: Path | None,
    *,
    lowest: float,
    highest: float,
    updates: int,
) -> None:
    """Make a range test, draw it, and say what to type next.

    Args:
        kind: of the job.
        config: what to train.
        output: the picture; beside the lab's runs when None.
        lowest: see `run_range_test`.
        highest: see `run_range_test`.
        updates: see `run_range_test`.

    Raises:
        InputError: the rates are in no order, or what the config names cannot be had.
    """
    if not lowest < highest:
        raise ConfigError(f"--lowest {lowest:g}: expected less than --highest, {highest:g}")
    job, splits = kind.check(config)
    terminal.note(
        f"{job.config.title} on {job.card.source}, {job.compute}: {updates} updates, while the "
        f"learning rate grows from {lowest:g} to {highest:g}"
    )
    for reason in job.reasons:
        terminal.note(f"chosen: {reason}")
    found = run_range_test(job, splits, lowest=lowest, highest=highest, updates=updates)
    terminal.say(found.describe())
    if found.suggested is not None:
        click.echo(f"Next: {_next_command(kind, sys.argv, found.suggested)}")
    data = Path(str(getattr(config, "data", ""))).stem
    name = f"find-lr-{job.config.stem}-{data}.png".replace("/", "-")
    commands.show_drawing(found.draw(), output or Path(config.run_dir) / kind.lab / name)


def _next_command(kind: type[Job[Any, Any]], words: Sequence[str], rate: float) -> str:
    """Return the command that trains with a rate, as this one was typed.

    Args:
        kind: of the job.
        words: of the command line: the program, the command, its options.
        rate: the learning rate.
    """
    kept: list[str] = []
    rest = iter(words[2:])
    for word in rest:
        option, _, value = word.partition("=")
        if option not in (*OWN_OPTIONS, "--learning-rate"):
            kept.append(word)
        elif not value:
            next(rest, None)
    train = [f"python -m labs.{kind.lab}", kind.verb, shlex.join(kept)]
    return " ".join([*filter(None, train), f"--learning-rate {rate:g}"])
