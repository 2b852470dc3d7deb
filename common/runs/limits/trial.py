"""Trials before a run begins: which batches fit the device, how many epochs there is time for.

What is tried are updates of the loop itself, on the data in the order of training, with a copy of
the model that is thrown away. What was found is kept in the run: nothing is decided twice.
"""

import contextlib
import copy
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from common import training
from common.errors import ConfigError, NoMemoryError
from common.options import budget, terminal
from common.options.times import parse_time, write_time
from common.steps import step
from common.training.limits import memory

_EPOCHS = 3  # of the trial, at most
_TRIAL = 0.05, 15.0  # share of the time, and most seconds, for the trial
_AFTER = 0.1, 15.0  # share of the time, and least seconds, for the baselines and the report
_LOOKS = 3  # evaluations in that: of the test split, which may be larger than that of validation


class Timed(NamedTuple):
    """What a run has time for; kept in its time.json.

    Attributes:
        given: seconds, in all.
        training: seconds after which training ends, wherever it is.
        asked: epochs.
        epochs: for which there is time.
        epoch_seconds: that one takes.
    """

    given: float
    training: float
    asked: int
    epochs: int
    epoch_seconds: float

    def check_epoch(self) -> None:
        """Refuse less than an epoch, for a run that no clock ends.

        Raises:
            TooLittle: there is no time for one.
        """
        if (lacking := self.epoch_seconds - self.training) > 0:
            each = f"an epoch takes about {_seconds(self.epoch_seconds)}"
            raise TooLittle(self.given, each, self.given + 2 * lacking)  # half of it for training

    def describe(self) -> str:
        """Say what was chosen, and why."""
        given, each = write_time(self.given), f"at about {_seconds(self.epoch_seconds)} each"
        if self.epoch_seconds > self.training:
            return f"less than an epoch: that is what fits --time {given}, {each}"
        if self.epochs < self.asked:
            return f"{self.epochs} of {self.asked} epochs: what fits --time {given}, {each}"
        return f"all {self.asked} epochs: they fit --time {given}, {each}"


class TooLittle(ConfigError):
    """There is not enough time.

    Args:
        given: seconds, in all.
        why: what takes longer.
        needed: seconds that are enough.
    """

    def __init__(self, given: float, why: str, needed: float):
        self._why, self._needed = why, needed
        super().__init__(
            f"--time {write_time(given)}: is too little: {why}; give {write_time(needed)} or more"
        )

    def share(self, given: float, runs: int) -> "TooLittle":
        """Return what is said to the user, of whose time this was the share of one of the runs."""
        return TooLittle(given, f"of one of {runs} runs, {self._why}", runs * self._needed)


class _Enough(Exception):
    """Leaves what a job prepared without what it does after training."""


@contextlib.contextmanager
def aside(job: Any, splits: Any, say: Callable[[str], None] = terminal.note) -> Iterator[Any]:
    """Yield what a job trains with; its model is a copy, and its run folder one that goes again.

    Args:
        job: a `Job`; it stays as it is.
        splits: its data.
        say: called with what the job has to say as it prepares.
    """
    model, run = job.model, vars(job).get("run")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.suppress(_Enough),
        job.compute.seeded(job.config.seed),
    ):
        try:
            job.model = copy.deepcopy(model)
            job.create(Path(folder), None, "trial")
            with job.prepare(splits, say) as prepared:
                yield prepared
                raise _Enough
        finally:
            job.model = model
            vars(job).pop("run", None)
            if run is not None:
                job.run = run


def fit_batch(job: Any, splits: Any) -> tuple[int, str]:
    """Return the batch size that fits a job's device, and a sentence on why it is that.

    It is a power of two, and no larger than leaves as many updates in an epoch as are wanted of a
    user's data. A CPU has no memory of its own, and larger batches are not faster there.

    Args:
        job: a `Job` that can train.
        splits: its data.

    Raises:
        NoMemoryError: not even one sample fits.
    """
    usual, device = job.config.batch_size, job.compute.device
    if device.type == "cpu":
        return usual, (
            f"batches of {usual}, as without --batch-size auto: a CPU has no memory of its own "
            "that they could fill"
        )
    most = max(usual, budget.largest_batch(job.card.counts["train"]))
    with step(f"trying which batches fit {device}"):
        size = find_largest(lambda size: fits(job, splits, size), usual, most)
    why = f"what fits {device}" if 2 * size <= most else "larger ones leave few updates in an epoch"
    return size, (
        f"batches of {size}: {why}; the learning rate stays {job.config.learning_rate:g}, for "
        "which find-lr may know better"
    )


def find_largest(fits: Callable[[int], bool], first: int, most: int) -> int:
    """Return the largest power of two that fits, and is at most `most`; `first` is tried first.

    Raises:
        NoMemoryError: not even 1 fits.
    """
    size = 1 << (first.bit_length() - 1)
    if fits(size):
        while 2 * size <= most and fits(2 * size):
            size *= 2
        return size
    while size > 1:
        size //= 2
        if fits(size):
            return size
    raise NoMemoryError("the memory is full even with one sample at a time; try a smaller model")


def fits(job: Any, splits: Any, size: int) -> bool:
    """Say whether there is memory for two updates; the second finds the optimizer's state there."""
    config = job.config
    job.config = dataclasses.replace(config, batch_size=size)
    try:
        with aside(job, splits, lambda line: None) as (task, train, _):
            job.compute.place(job.model)
            optimizer = job.optimizer()
            task.training_mode(job.model, 0)
            for number, batches in enumerate(itertools.islice(train.updates(0), 2)):
                _, skipped = training.train_step(
                    job.model,
                    task,
                    batches,
                    optimizer,
                    epoch=0,
                    step=number,
                    rate=1.0,
                    seed=config.seed,
                    clip=config.clip,
                    compute=job.compute,
                )
                skipped.item()  # waits for the device, whose errors come late
        return True
    except NoMemoryError:
        return False
    except (RuntimeError, MemoryError) as error:
        if not memory.is_full(error):
            raise
        return False
    finally:
        job.config = config


def fit_time(job: Any, splits: Any, begun: float) -> Timed:
    """Find out how many epochs a job has time for.

    Args:
        job: a `Job` that can train, with a `time` in its config.
        splits: its data.
        begun: when it was begun, by `time.perf_counter`.

    Raises:
        TooLittle: there is not even time for an update and its evaluation.
    """
    given = parse_time(job.config.time)
    share, most = _TRIAL
    with step("trying how long an epoch takes"):
        preparing, epoch, learning = _time_epoch(job, splits, min(most, share * given))
    evaluation = epoch - learning
    share, least = _AFTER
    after = max(least, share * given) + _LOOKS * evaluation
    rest = given - (time.perf_counter() - begun)
    rest -= preparing  # which the run does once more
    left = max(rest - after, rest / 2)  # of little time, training has half
    if left <= evaluation:
        before = f"before training {_seconds(given - rest)} are over"
        raise TooLittle(given, before, 2 * (given - rest + after))
    asked = job.config.epochs
    epochs = min(asked, max(1, int(left / epoch)))
    return Timed(given, left - evaluation, asked, epochs, epoch)


def _time_epoch(job: Any, splits: Any, seconds: float) -> tuple[float, float, float]:
    """Return about how many seconds preparing takes, then an epoch, and its updates alone.

    Of few epochs the last that was whole says so, since the first has to warm up; where there is
    time for none, what was made of it.
    """
    import sklearn.metrics  # noqa: F401 - or the first epoch's seconds would be those of this

    config, begun = job.config, time.perf_counter()
    with aside(job, splits, lambda line: None) as (task, train, validation):
        preparing = time.perf_counter() - begun
        job.compute.place(job.model)
        monitor, mode = job.monitored(task)
        rows = training.epochs(
            job.model,
            task,
            train,
            None if config.all_rows else validation,
            job.optimizer(),
            max_epochs=_EPOCHS,
            clip=config.clip,
            seed=config.seed,
            compute=job.compute,
            monitor=monitor,
            mode=mode,
            seconds=seconds,
        )
        first, *others = rows
        updates = len(train)
    row = next((each for each in reversed(others) if "updates" not in each), first)
    made = row.get("updates", updates)
    learning = made * config.batch_size / row["samples_per_second"]
    evaluation = max(0.0, row["seconds"] - learning)
    learning *= updates / made
    return preparing, learning + evaluation, learning


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else write_time(seconds)
