"""What the commands do: start a run or open it again, train it, and conclude it."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common import optim, training
from common import run as runs
from common.checkpoint import Checkpoints, load_weights
from common.cli import Display
from common.compute import Compute, set_threads
from common.config import build as build_config
from common.config import read_toml, to_toml
from common.errors import RunError
from common.files import write_text
from common.images import ImageSet
from common.rows import Row, best_row
from common.run import Run
from common.summary import summarize
from labs.classification import report, results, task
from labs.classification.config import ClassificationConfig
from labs.classification.data import Card, is_path, load

LAB = "classification"

Splits = Mapping[str, ImageSet]


@dataclass
class Job:
    """A run with what its config builds."""

    run: Run
    config: ClassificationConfig
    compute: Compute
    card: Card
    model: nn.Module


def start(config: ClassificationConfig, command: Sequence[str]) -> tuple[Job, Splits]:
    """Make a new run folder; nothing is left behind when the config or the data turn out wrong.

    Args:
        config: what to train.
        command: the words of the command line, for the record.

    Raises:
        InputError: the device, the data, the model or the name cannot be had.
    """
    compute = _compute(config)
    splits, card = load(config)
    model = _model(config, card, compute)
    _optimizer(config, model)
    _check_monitor(config, card, task.build_task(config, splits["train"].targets, card, compute))
    if is_path(config.data):
        data = Path(config.data).expanduser().absolute()
        config = dataclasses.replace(config, data=str(data))
    run = runs.create(
        Path(config.run_dir), LAB, config.name, f"{config.model}-{Path(config.data).stem}"
    )
    run.write(
        "environment", {"lab": LAB, "command": list(command), **runs.environment(str(compute))}
    )
    run.write("data", card.as_dict())
    write_text(run.config, to_toml(config))  # the last: it makes the folder a run
    return Job(run, config, compute, card, model), splits


def reopen(path: Path, device: str | None = None) -> Job:
    """Build a run's model again from its config and the card of its data, without the data.

    Args:
        path: the run folder.
        device: another device than the config's.

    Raises:
        RunError: there is no such run.
        ConfigError: its config.toml was changed into something wrong, or the device is not here.
    """
    run = runs.open_run(path, LAB)
    config = build_config(ClassificationConfig, (str(run.config), read_toml(run.config)))
    if device is not None:  # another one may lack the run's precision
        config = dataclasses.replace(config, device=device, precision="auto")
    compute = _compute(config)
    card = Card.from_dict(run.read("data"))
    return Job(run, config, compute, card, _model(config, card, compute))


def is_finished(path: Path) -> bool:
    """Say whether a run has nothing left to do, without building it.

    Raises:
        RunError: there is no such run.
    """
    return runs.open_run(path, LAB).finished


def load_splits(job: Job) -> Splits:
    """Load a run's data again.

    Raises:
        RunError: the data is no longer what the run was trained on.
    """
    splits, card = load(job.config)
    if card.fingerprint != job.card.fingerprint:
        raise RunError(
            f"the data of {job.run.path} has changed since it was trained: "
            f"{_counts(job.card)} then, {_counts(card)} now; put it back, or train a new run"
        )
    return splits


def load_best(job: Job) -> None:
    """Put the weights of the best epoch into the job's model, on the device.

    Raises:
        RunError: there are none yet, or they are damaged.
    """
    load_weights(job.run.best, job.model)
    job.compute.place(job.model)


def train(job: Job, splits: Splits, display: Display, say: Callable[[str], None]) -> None:
    """Train a run to its end, from wherever it stands, and leave its best weights in the model.

    Args:
        job: the run.
        splits: its data.
        display: shows the progress.
        say: called with a line for the user about damaged checkpoints.

    Raises:
        Stopped: a signal came; the run is saved.
        NonFiniteError: the loss or a gradient became NaN or infinite.
        SaveError: the disk is full; the checkpoints before are intact.
    """
    config, compute, model = job.config, job.compute, job.model
    the_task = _task(job, splits)
    batches = {
        name: task.batches(config, job.card, splits[name], compute, training=name == "train")
        for name in ("train", "validation")
    }
    compute.place(model)
    optimizer = _optimizer(config, model)
    monitor, mode = _monitored(config, the_task)
    schedule = optim.schedule(
        config.schedule,
        steps_per_epoch=len(batches["train"]),
        epochs=config.epochs,
        warmup=config.warmup,
        period=config.schedule_period,
        factor=config.schedule_factor,
        every=config.schedule_every,
        monitor=monitor,
        mode=mode,
    )
    rows: list[Row] = []

    def on_epoch(row: Row) -> None:
        rows.append(row)
        job.run.write_history(rows)
        display.epoch(row, best=best_row(rows, monitor, mode) is row)

    training.fit(
        model,
        the_task,
        batches["train"],
        batches["validation"],
        optimizer,
        max_epochs=config.epochs,
        patience=config.patience,
        on_epoch=on_epoch,
        schedule=schedule,
        clip=config.clip,
        average=optim.Average(model, config.ema) if config.ema else None,
        seed=config.seed,
        compute=compute,
        monitor=monitor,
        mode=mode,
        checkpoint=Checkpoints(job.run.path, say),
        save_every=config.save_every,
        show=display.progress,
    )


def conclude(job: Job, splits: Splits, prepared: float) -> dict[str, Any]:
    """Measure a trained run on validation and, this once, on test; write report and figures.

    Args:
        job: the run, with its best weights in the model.
        splits: its data.
        prepared: seconds that the command took before it trained.

    Returns:
        What metrics.json holds.
    """
    begun = time.perf_counter()
    outputs = predict_splits(job, splits)
    history = job.run.history
    trained = sum(row["seconds"] for row in history)
    monitor, mode = _monitored(job.config, _task(job, splits))
    best = best_row(history, monitor, mode)
    if best is None:
        raise RunError(
            f"no epoch of {job.run.path} has a number for {monitor}; choose another --monitor"
        )
    figures = results.measure(outputs, splits, job.config.numeric)
    figures = {
        "best_epoch": best["epoch"],
        **figures,
        "seconds": {
            "train": trained,
            "total": prepared + trained + time.perf_counter() - begun,
        },
    }
    report.write(job, splits, outputs["test"], figures)
    job.run.write("metrics", figures)
    return figures


def predict_splits(
    job: Job, splits: Splits, names: Sequence[str] = ("validation", "test")
) -> dict[str, Tensor]:
    """Return what the model says of splits: logits (N, C), or numbers (N,), by the split's name."""
    the_task = _task(job, splits)
    return {
        name: training.infer(
            job.model,
            the_task,
            task.batches(job.config, job.card, splits[name], job.compute),
            job.compute,
        )["outputs"]
        for name in names
    }


def _task(job: Job, splits: Splits) -> training.Task:
    return task.build_task(job.config, splits["train"].targets, job.card, job.compute)


def _model(config: ClassificationConfig, card: Card, compute: Compute) -> nn.Module:
    """Build the model, and set the threads that suit it."""
    model = task.build_model(config, card)
    if compute.device.type == "cpu":
        size = task.augmentation(config, card).output_size(card.image_size)
        work = summarize(model, (card.channels, size, size)).multiply_adds
        set_threads(config.threads, work * (config.micro_batch or config.batch_size))
    return model


def _compute(config: ClassificationConfig) -> Compute:
    return Compute(
        config.device,
        config.precision,
        compile=config.compile,
        channels_last=config.channels_last,
        deterministic=config.deterministic,
    )


def _optimizer(config: ClassificationConfig, model: nn.Module) -> optim.AnyOptimizer:
    return optim.build(
        config.optimizer,
        model,
        config.learning_rate,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        nesterov=config.nesterov,
    )


def _monitored(config: ClassificationConfig, the_task: training.Task) -> tuple[str, str]:
    mode = None if config.mode == "auto" else config.mode
    return training.monitored(the_task, "validation", config.monitor, mode)


def _check_monitor(config: ClassificationConfig, card: Card, the_task: training.Task) -> None:
    """Refuse a figure that no epoch will report, before there is a run folder."""
    targets = torch.arange(2, dtype=torch.int64 if card.classes else torch.float32)
    outputs = torch.zeros(2, len(card.classes)) if card.classes else torch.zeros(2)
    figures = the_task.figures({"outputs": outputs, "targets": targets})
    row = {"train/loss": 0.0, **{f"validation/{name}": value for name, value in figures.items()}}
    best_row([row], *_monitored(config, the_task))


def _counts(card: Card) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in card.counts.items())
