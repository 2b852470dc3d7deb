"""The training loop: one step that reads like the textbook, and epochs as a generator.

    for row in epochs(model, task, train, validation, max_epochs=10):
        print(row)

There are no callbacks: what a caller wants to do after an epoch it does in the body of its own
`for`, and to stop it breaks out (inside `contextlib.closing`, so that the loop can tidy up).
"""

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from common import seeding
from common.errors import ConfigError, DataError, NonFiniteError, Stopped
from common.history import Progress, Row, best_row, better_direction, epochs_since_best
from common.signals import noted
from common.steps import track
from common.training import optim
from common.training.batches import Batches, Updates, as_updates, batch_size, name_not_finite
from common.training.checkpoint import Memory, Position
from common.training.compute import Compute
from common.training.distributed.processes import Alone
from common.training.limits import memory
from common.training.means import Means, Part
from common.training.task import Collects, Task, When

Split = Updates | Iterable[Any]


def train_step(
    model: nn.Module,
    task: Task,
    batches: Sequence[Any],
    optimizer: optim.AnyOptimizer,
    *,
    epoch: int,
    step: int,
    rate: float,
    seed: int,
    clip: float | None,
    compute: Compute,
) -> tuple[list[Part], Tensor]:
    """Apply one update: forward, loss and backward for each micro-batch, then clip and step.

    The micro-batches' means are weighed by their items, so together they give the gradient of one
    large batch; a single batch enters with a weight of exactly 1. What cannot be exact is what the
    samples of a batch share: batch norm, mixup pairs, dropout masks, and losses whose denominator
    depends on predictions.

    Args:
        model: on the device, in training mode.
        task: gives the loss and its weights.
        batches: the micro-batches of this update; of several processes, those of this one.
        optimizer: steps once, unless anything is NaN or infinite: then, on the device, nothing
            changes.
        epoch: from 0.
        step: updates since the beginning of training, from 0.
        rate: factor of the learning rate.
        seed: with the step and the place of the micro-batch in the update it keys dropout.
        clip: largest norm of the gradient; None to leave it.
        compute: device, precision and loss scale.

    Returns:
        The parts of the loss of all micro-batches, and 1.0 if the step was skipped, else 0.0;
        nothing here waits for the device.
    """
    optimizer.zero_grad(set_to_none=True)
    losses = []
    for place, batch, weights, shares in compute.processes.deal(task, batches):
        generator = compute.seed(seed, seeding.DROPOUT, step, place)
        with compute.autocast():
            parts = task.loss(model, batch, When(epoch, step, generator))
        gradients = [compute.gradient(shares[name]) for name in parts]
        torch.autograd.backward(list(parts.values()), gradients)
        losses += [Part(name, mean.detach(), weights[name]) for name, mean in parts.items()]
    losses = compute.processes.total(task, losses)

    parameters = optim.with_gradients(optimizer)
    skipped = compute.unscale(parameters, [part.mean for part in losses])
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip)
    optim.set_rate(optimizer, rate)
    optim.step(optimizer, skipped)
    compute.adjust(skipped)
    return losses, skipped


def epochs(
    model: nn.Module,
    task: Task,
    train: Split,
    validation: Split | None = None,
    optimizer: optim.AnyOptimizer | None = None,
    *,
    max_epochs: int,
    schedule: optim.Schedule = lambda step, rows: 1.0,
    clip: float | None = None,
    average: optim.Average | None = None,
    seed: int = 0,
    compute: Compute | None = None,
    monitor: str | None = None,
    mode: str | None = None,
    checkpoint: Memory | None = None,
    save_every: float = 60.0,
    seconds: float | None = None,
    show: Callable[[Progress], None] = lambda progress: None,
) -> Generator[Row]:
    """Train, yielding one row of metrics per epoch.

    A run that is resumed from a checkpoint yields its finished epochs again first, so a caller that
    decides by the rows (to stop, to prune, to print) decides the same. Everything random is keyed
    by the seed and the place in the run, so what follows is bitwise what it would have been (same
    machine, torch build and number of threads; times excepted).

    Args:
        model: trains on the compute's device.
        task: gives loss and metrics.
        train: the training split.
        validation: the split that is evaluated after each epoch, with the averaged weights if there
            are any.
        optimizer: AdamW at 1e-3 when None.
        max_epochs: the epoch to stop after.
        schedule: factor of the learning rate from (step, rows).
        clip: largest norm of the gradient.
        average: follows the weights, and is then what is evaluated and kept as best.
        seed: for dropout and other noise; the order of the data has its own in `train`.
        compute: device and precision; the CPU in float32 when None.
        monitor: the metric that picks the best epoch; the task's when None.
        mode: `min` or `max`; by the metric's name when None.
        checkpoint: where to save and resume; in memory only when None.
        save_every: seconds between saves inside an epoch.
        seconds: of training, those before a resume too, after which the run ends: the epoch is cut
            short and is the last; None for no end. Evaluation comes on top.
        show: called about twice a second with the progress.

    Raises:
        NonFiniteError: a loss or gradient became NaN or infinite; the weights are those before that
            step.
        Stopped: SIGINT or SIGTERM came, and the run was saved.
        ConfigError: no epoch reports the monitored metric, or the optimizer or mode is of no use.
        DataError: a split has no batches, or gives them only once.
        NoMemoryError: not even the smallest parts of an update fit the memory.
    """
    compute, checkpoint = compute or Compute(), checkpoint or Memory()
    monitor, mode = monitored(task, validation, monitor, mode)
    train = as_updates(train, compute, seed)
    _check(train, validation, optimizer)
    compute.place(model)
    compute.reset()
    optimizer = optimizer or optim.build("adamw", model)
    evaluated = average.model if average else model
    parts = {"model": model, "optimizer": optimizer, "compute": compute}
    if average:
        parts["average"] = average.model
    position = checkpoint.restore(parts)
    together = compute.processes
    together.check_same("the place of the run (epoch, update)", (position.epoch, position.update))
    means = Means(
        position.sums,
        compute.scaling,
        lambda *place: _find_not_finite(train, *place),
        alone=together.size == 1,
    )

    def save() -> None:
        means.fetch()
        position.micro_batches = memory.find_cut(splits, asked)
        checkpoint.save(parts, position)

    def stop_if_asked() -> None:
        if signum := together.any(signal()):
            save()
            together.any(signum)  # so that none ends, and all are ended, before the run is saved
            raise Stopped(signum)

    splits = {"train": train, "validation": validation}
    asked = memory.sizes_of(splits)
    fitting = memory.Fitting(train, model, remember=save)
    memory.recall(splits, position.micro_batches)
    yield from list(position.rows)
    with noted() as signal:
        for epoch in range(position.epoch, max_epochs):
            clock = _Clock(save_every, position, seconds, together)
            if clock.over and position.rows and not position.update:
                break
            task.training_mode(model, epoch)
            shared = together.parallel(model, task)
            for update, batches in fitting.updates(epoch, position.update):
                if clock.over and position.update:
                    break
                step = epoch * len(train) + update
                with fitting.attempt():
                    losses, skipped = train_step(
                        model,
                        shared,
                        batches,
                        optimizer,
                        epoch=epoch,
                        step=step,
                        rate=schedule(step, position.rows),
                        seed=seed,
                        clip=clip,
                        compute=compute,
                    )
                if fitting.failed:
                    continue  # it comes again, in smaller parts
                if average:
                    average.update(step)
                means.add(epoch, update, losses, skipped)
                position.update, position.seconds = update + 1, clock.seconds
                clock.count(batches)
                stop_if_asked()
                if clock.time_to_look():
                    speed = clock.samples_per_second * together.size
                    show(Progress(epoch, update + 1, len(train), speed, means.fetch()))
                    if clock.time_to_save():
                        save()

            row = {"epoch": epoch + 1, "learning_rate": optimizer.param_groups[0]["lr"]}
            row |= {f"train/{name}": mean for name, mean in means.fetch().items()}
            row |= fitting.smaller
            if clock.over and position.update < len(train):
                row["updates"] = position.update  # of an epoch that is not whole
            if speed := together.sum(clock.samples_per_second):  # of what came after a resume
                row["samples_per_second"] = speed
            if validation is not None:
                figures = evaluate(evaluated, task, validation, compute, stop_if_asked)
                row |= {f"validation/{name}": figure for name, figure in figures.items()}
            row = together.same({**row, "seconds": clock.seconds})
            position.rows.append(row)
            if best_row(position.rows, monitor, mode) is row:
                position.best = checkpoint.keep_best(evaluated, row)
            position.epoch, position.update, position.seconds = epoch + 1, 0, 0.0
            means.sums.clear()
            save()
            yield row
            stop_if_asked()


def fit(
    model: nn.Module,
    task: Task,
    train: Split,
    validation: Split | None = None,
    optimizer: optim.AnyOptimizer | None = None,
    *,
    max_epochs: int,
    patience: int | None = None,
    waits_from: int = 0,
    on_epoch: Callable[[Row], object] = lambda row: None,
    monitor: str | None = None,
    mode: str | None = None,
    checkpoint: Memory | None = None,
    **options: Any,
) -> list[Row]:
    """Train, stop early if asked, and leave the best epoch's weights in the model.

    Where the metric that picks the best epoch was never a number, the last weights stay.

    Args:
        model: trains in place.
        task: gives loss and metrics.
        train: the training split.
        validation: the split that picks the best epoch; without it, the training loss does.
        optimizer: AdamW at 1e-3 when None.
        max_epochs: the epoch to stop after.
        patience: epochs without a better metric after which to stop; None to go to the end.
        waits_from: epochs of a run that was made longer, over which patience may have run out.
        on_epoch: called with each row, such as `print`.
        monitor: the metric that picks the best epoch; the task's when None.
        mode: `min` or `max`; by the metric's name when None.
        checkpoint: where to save and resume; in memory only when None.
        options: any other argument of `epochs`.

    Returns:
        The history, a row per epoch.

    Example:
        >>> from common.training import Batches
        >>> from common.training.losses import build
        >>> from common.training.task import Classification
        >>> inputs = torch.arange(-8, 8.0)[:, None]
        >>> targets = (inputs[:, 0] > 0).long()
        >>> model, task = nn.Linear(1, 2), Classification(build("cross-entropy"))
        >>> rows = fit(model, task, Batches((inputs, targets), 4), max_epochs=100)
        >>> len(rows), rows[-1]["train/loss"] < rows[0]["train/loss"]
        (100, True)
    """
    checkpoint = checkpoint or Memory()
    monitor, mode = monitored(task, validation, monitor, mode)
    options |= {
        "monitor": monitor,
        "mode": mode,
        "checkpoint": checkpoint,
        "max_epochs": max_epochs,
    }
    rows: list[Row] = []
    with contextlib.closing(epochs(model, task, train, validation, optimizer, **options)) as stream:
        for row in stream:
            rows.append(row)
            on_epoch(row)
            waited = min(epochs_since_best(rows, monitor, mode), len(rows) - waits_from)
            if patience is not None and waited >= patience:
                break
    if best_row(rows, monitor, mode):
        checkpoint.load_best(model)
    return rows


def infer(
    model: nn.Module,
    task: Collects,
    split: Split,
    compute: Compute | None = None,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Tensor]:
    """Run a split through the model in eval mode; returns what the task collects, on the CPU.

    Several processes share the work, and each gets all. The rows stand in the order of the split,
    also where `Batches` read it sorted by length.

    Args:
        model: on the device; left in eval mode.
        task: says what to collect.
        split: batches, on any device.
        compute: device and precision; the CPU in float32 when None.
        between: called before each update's batches; the loop uses it to stop.
    """
    compute = compute or Compute()
    model.eval()
    compute.processes.copy_weights(model)
    collected: list[list[dict[str, Tensor]]] = []
    total = len(split) if isinstance(split, Batches) else None  # others may have to count
    # A model that draws when it evaluates draws the same each time.
    with torch.inference_mode(), compute.autocast(), compute.seeded(seeding.EVALUATION):
        fitting = memory.Fitting(as_updates(split, compute))
        for _, batches in track(fitting.updates(0), "asking the network", total):
            between()
            with fitting.attempt():
                collected.append([task.outputs(model, batch) for batch in batches])
    parts = compute.processes.collect(collected)
    if not parts:
        raise DataError("the split to evaluate has no batches")
    joined = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
    if isinstance(split, Batches):
        places = split.rows.argsort()
        joined = {name: values[places] for name, values in joined.items()}
    return joined


def evaluate(
    model: nn.Module,
    task: Task,
    split: Split,
    compute: Compute | None = None,
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return the task's metrics over a split; the arguments are those of `infer`."""
    outputs = infer(model, task, split, compute, between)
    try:
        figures = task.figures(outputs)
    except NonFiniteError:
        _blame_data(split, compute)
        raise
    if any(isinstance(each, float) and not math.isfinite(each) for each in figures.values()):
        _blame_data(split, compute)
    return figures


def _blame_data(split: Split, compute: Compute | None) -> None:
    """Raise a NonFiniteError if the data that was evaluated holds what is not finite."""
    for number, batches in enumerate(as_updates(split, compute or Compute()).updates(0), 1):
        if wrong := name_not_finite(batches):
            raise NonFiniteError(f"batch {number} cannot be evaluated: {wrong}") from None


def monitored(
    task: Task, validation: object | None, monitor: str | None, mode: str | None
) -> tuple[str, str]:
    """Return the metric that picks the best epoch and its direction, where they are not given.

    Raises:
        ConfigError: the direction is none.
    """
    if mode not in (None, "min", "max"):
        raise ConfigError(
            f"mode {mode!r}: expected 'min' or 'max', or None to go by the name of the metric"
        )
    monitor = monitor or (task.monitor if validation is not None else "train/loss")
    return monitor, mode or better_direction(monitor)


def _check(train: Updates, validation: Split | None, optimizer: optim.AnyOptimizer | None) -> None:
    """Refuse what training would stumble over."""
    if optim.needs_closure(optimizer):
        raise ConfigError(
            f"{type(optimizer).__name__} computes the loss several times in a step, and this loop "
            "once; take another optimizer, such as optim.build('adamw', model)"
        )
    if isinstance(validation, Iterator):
        raise DataError(
            "the validation split is an iterator, which gives its batches only once; give a list "
            "of them, or an object that can be gone through in every epoch"
        )
    if not len(train):
        raise DataError("the training split has no batches: nothing can be learned from it")
    with contextlib.suppress(TypeError):  # one that does not know its length
        if not len(validation):  # type: ignore[arg-type]
            raise DataError("the validation split has no batches; leave it out to do without one")


def _find_not_finite(train: Updates, epoch: int, update: int) -> str | None:
    """Say what is not finite in an update's batches, this process's, None where all is."""
    return name_not_finite(next(train.updates(epoch, update), []))


class _Clock:
    """Times an epoch, and says when it is time to look at the device, and to save."""

    REFRESH = 0.5  # most seconds between two looks, each of which waits for the device

    def __init__(
        self, save_every: float, position: Position, seconds: float | None, together: Alone
    ):
        self._before = position.seconds  # of this epoch, before a resume
        spent = sum(row["seconds"] for row in position.rows)
        self._end, self._together = None if seconds is None else seconds - spent, together
        self._begun = self._looked = self._saved = time.perf_counter()
        self._save_every, self._refresh = save_every, min(save_every, self.REFRESH)
        self._samples = 0

    def count(self, batches: Sequence[Any]) -> None:
        self._samples += sum(map(batch_size, batches))

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._begun

    @property
    def over(self) -> bool:
        """Whether the time is over, for any of the processes."""
        return self._end is not None and bool(self._together.any(self.seconds >= self._end))

    @property
    def samples_per_second(self) -> float:
        return self._samples / (time.perf_counter() - self._begun)

    def time_to_look(self) -> bool:
        now = time.perf_counter()
        if now - self._looked < self._refresh:
            return False
        self._looked = now
        return True

    def time_to_save(self) -> bool:
        if self._looked - self._saved < self._save_every:
            return False
        self._saved = self._looked
        return True
