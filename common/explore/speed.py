"""How fast samples are read and prepared, alone, beside how fast a model learns from them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch

from common.errors import InputError
from common.explore import drawing
from common.explore.page import Part
from common.options.config import TrainingConfig, options_of
from common.report import plots
from common.report.html import Section, Table
from common.training.batches import batch_size, close
from common.training.task import When

C = TypeVar("C", bound=TrainingConfig)

_SECONDS = 2.0  # for which each step is timed, at the least one batch
TIMED = 512  # files whose decoding is timed, at most
TITLE = "How fast data come, and how fast a model learns"


def settled(config: C, **changes: Any) -> C:
    """Return a config with some changes, in which nothing is chosen again to suit the data."""
    given = frozenset(each.name for each in options_of(type(config)))
    return replace(config, **changes, given=given)


def time_items(items: Iterable[Any], count: Callable[[Any], int] = lambda item: 1) -> float:
    """Return how many samples a second an iterable gives, in about two seconds of it."""
    begun, samples = time.perf_counter(), 0
    for item in items:
        samples += count(item)
        if time.perf_counter() - begun > _SECONDS:
            break
    return samples / max(1e-9, time.perf_counter() - begun)


def time_batches(job: Any, splits: Any) -> float:
    """Return how many samples a second the training batches of a job give, without a model."""
    updates = job.batches(splits["train"], training=True)
    try:
        next(iter(updates.updates(0)))  # what is done once does not count
        return time_items(_micro_batches(updates), batch_size)
    finally:
        close(updates)


def time_model(job: Any, splits: Any) -> float:
    """Return how many samples a second a job's model learns from, once they are there."""
    updates, task = job.batches(splits["train"], training=True), job.task(splits)
    try:
        batch = next(_micro_batches(updates))
    finally:
        close(updates)
    job.compute.place(job.model)
    job.model.train()

    def learn() -> Iterator[int]:
        while True:
            generator = torch.Generator(job.compute.device).manual_seed(0)
            with job.compute.autocast():
                loss = sum(task.loss(job.model, batch, When(0, 0, generator)).values())
            loss.backward()
            if job.compute.device.type == "cuda":
                torch.cuda.synchronize()
            yield batch_size(batch)

    steps = learn()
    next(steps)
    return time_items(steps, lambda size: size)


def _micro_batches(updates: Any) -> Iterator[Any]:
    for epoch in range(1000):
        for update in updates.updates(epoch):
            yield from update


def report(figures: dict[str, float], what: str, once: str, advice: str, slow: str) -> Part:
    """Say what waits for what.

    Args:
        figures: samples a second of each step; the last is the model's.
        what: which model, and on what.
        once: the name of a step that is done once before training, and not in each epoch; or "".
        advice: what to change where the data are what is waited for.
        slow: what to change where the model is.
    """
    *steps, model = figures
    waiting = {name: figures[name] for name in steps if name != once}
    text = f"{what}. Steps one by one, each for about two seconds on this machine as busy as it is."
    if once:
        text += f" {once.capitalize()} is done once, before training: its speed is no limit."
    findings = []
    if waiting and min(waiting.values()) < figures[model]:
        name = min(waiting, key=lambda each: waiting[each])
        said = f"The model waits for its data ({name}, {waiting[name]:,.0f} samples a second; it "
        said += f"learns from {figures[model]:,.0f}): {advice}."
        findings.append(said)
    else:
        said = f"The model is the slow part ({figures[model]:,.0f} samples a second): {slow}."
    rows = [[name, f"{value:,.0f}"] for name, value in figures.items()]
    drawn = plots.png(drawing.speeds(figures, "samples a second"))
    section = Section(
        TITLE,
        f"{text}\n\n{said}",
        Table(["step", "samples a second"], rows),
        [("Samples a second; the slowest is marked.", drawn)],
    )
    return Part(section, findings)


def without(error: InputError) -> Part:
    """Say why nothing could be timed: a model cannot be built for the data as they are."""
    reason = str(error).splitlines()[0]
    text = f"Not timed: training would be refused as the data are: {reason}"
    return Part(Section(TITLE, text), [f"Training would be refused as the data are: {reason}"])
