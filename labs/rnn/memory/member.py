"""A member of a memory run: one cell, at one length, from one start."""

import hashlib
import itertools
from dataclasses import replace
from typing import Any

from torch import Tensor

from common import seeding, training
from common.card import DataCard
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Splits
from common.training.batches import Batches, Updates
from common.training.task import Answers
from labs.rnn.cells import CELLS
from labs.rnn.memory.config import MemoryConfig
from labs.rnn.memory.models import Rememberer
from labs.rnn.memory.tasks import TASKS, Batch, Fresh, MemoryTask

SAMPLES = {"validation": 500, "test": 5000}
_EVALUATION_BATCH = 250


LAB = "rnn"

STARTS: dict[str, dict[str, Any]] = {
    "default": {"orthogonal": False, "chrono": False},
    "orthogonal": {"orthogonal": True, "chrono": False},
    "chrono": {"orthogonal": False, "chrono": True},
}


def compared(config: MemoryConfig) -> dict[str, MemoryConfig]:
    """Return the config of each member that a run compares by its name, shortest length first.

    All see the same sequences in the same order.
    """
    return {
        f"{cell}-{length}": replace(
            config, cells=(cell,), lengths=(str(length),), reach=None, name=None
        )
        for length in config.steps
        for cell in config.cells
    }


def measured(config: MemoryConfig) -> dict[str, MemoryConfig]:
    """Return likewise the members of which is measured how far gradients reach.

    They are of one length, and have the run's own start and every other, each with the run's
    clipping, or with a norm of 1, and without.
    """
    if config.reach is None:
        return {}
    own = compared(replace(config, lengths=(str(config.reach),)))
    found = dict(own)
    for name, member in own.items():
        others = {
            describe(other): other
            for start, clip in itertools.product(STARTS.values(), (config.clip or 1.0, None))
            for other in [replace(member, clip=clip, **start)]
        }
        others.pop(describe(member), None)
        found |= {f"{name}-{key.replace(', ', '-')}": other for key, other in others.items()}
    return found


def start_name(config: MemoryConfig) -> str:
    """Return what the start of a member is called; an rnn has no gates for chrono."""
    chrono = config.chrono and config.cells != ("rnn",)
    parts = {"orthogonal": config.orthogonal, "chrono": chrono}
    return " + ".join(name for name, on in parts.items() if on) or "default"


def describe(config: MemoryConfig) -> str:
    """Return what sets a member apart from others of its cell and length."""
    return start_name(config) + ("" if config.clip else ", unclipped")


class Member(Job[MemoryConfig, DataCard]):
    """Trains one cell on one task at one length; it is compared with an answer without memory."""

    lab, verb = LAB, "member"
    config_type, card_type = MemoryConfig, DataCard
    conclusion = "labs.rnn.memory.results:MemberResults"

    @classmethod
    def load(cls, config: MemoryConfig, card: DataCard | None = None) -> tuple[Splits, DataCard]:
        """Draw the sequences that validate and test; those to train on come as they are needed."""
        task = task_of(config)
        splits: dict[str, Any] = {"train": task}
        for part, (name, samples) in enumerate(SAMPLES.items()):
            generator = seeding.generator(config.split_seed, seeding.EVALUATION, part)
            splits[name] = task.draw(generator, samples)
        counts = {"train": config.epochs * config.updates * config.batch_size, **SAMPLES}
        digest = hashlib.sha256(splits["test"][0].numpy().tobytes()).hexdigest()
        return splits, DataCard(f"the {task.name} task, T = {task.length}", counts, (), digest)

    def build_model(self) -> Rememberer:
        """Return the cell with its readout."""
        config, task = self.config, task_of(self.config)
        return Rememberer(
            self.cell,
            task.input_size,
            config.hidden_size,
            task.output_size,
            orthogonal=config.orthogonal,
            chrono=task.steps if config.chrono else None,
        )

    @property
    def cell(self) -> str:
        """The name of the cell."""
        return self.config.cells[0]

    @property
    def length(self) -> int:
        """T."""
        return self.config.steps[0]

    @property
    def main_metric(self) -> MainMetric:
        """The task's error."""
        return TASKS[self.config.task].main_metric

    def task(self, splits: Splits) -> MemoryTask:
        """Return the task."""
        return task_of(self.config)

    def batches(self, split: Any, *, training: bool = False) -> Updates:
        """Return fresh sequences to train on, or those of a split."""
        config = self.config
        if isinstance(split, MemoryTask):
            return Fresh(
                split.draw,
                config.updates,
                config.batch_size,
                micro_batch=config.micro_batch,
                seed=config.seed,
                compute=self.compute,
            )
        return Batches(split, _EVALUATION_BATCH, compute=self.compute)

    def work(self) -> int:
        """Return the multiply-adds of one step of a batch: steps follow one another."""
        gates, size = len(CELLS[self.cell].gate_names), self.config.hidden_size
        inputs = TASKS[self.config.task].input_size
        batch = self.config.micro_batch or self.config.batch_size
        return batch * gates * size * (size + inputs)

    def decide(self, outputs: Outputs) -> Array:
        """Return what the main metric measures."""
        return task_of(self.config).decide(dict(outputs))

    def targets(self, split: Batch) -> Array:
        """Return what is true, as the main metric takes it."""
        return task_of(self.config).truth(split[1])

    def answers(self, inputs: Tensor) -> Outputs:
        """Return what is read out of all steps, (N, T, outputs), of sequences (N, T, inputs)."""
        batches = Batches((inputs,), _EVALUATION_BATCH, compute=self.compute)
        return training.infer(self.model, Answers(), batches, self.compute)


def task_of(config: MemoryConfig) -> MemoryTask:
    """Return the task of a member."""
    return TASKS[config.task](config.steps[0])
