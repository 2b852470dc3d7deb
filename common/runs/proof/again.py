"""Computing a part of a run again, from a position that it kept, in a folder that is thrown away.

A run that goes on from a checkpoint is bitwise the run that was never stopped, so whatever lies
between two positions can be had again.
"""

import contextlib
import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from common.errors import RunError
from common.history import Progress, Row
from common.options.config import TrainingConfig
from common.options.terminal import Display
from common.runs.folder import Run
from common.runs.proof.judge import have_same_bits, measure_drift
from common.training import checkpoint, optim
from common.training.checkpoint import Kept, Loaded

if TYPE_CHECKING:
    from common.runs.job import Job, Splits

BRANCH = "branch"  # the folder of the position from which a replayed run goes its own way
# What a run came to, what it had time for, and where it is shown: not its copy's.
_OF_RUN = {"metrics", "receipt", "lengthened", "time", "wandb"}


@dataclass(frozen=True)
class Standing:
    """Where a run stood after some epochs.

    Attributes:
        epoch: epochs that were finished.
        path: its checkpoint; None before the first epoch, where the seed says all.
        best: a file with the best weights of then, if it is there.
    """

    epoch: int
    path: Path | None = field(default=None, compare=False)
    best: Path | None = field(default=None, compare=False)

    @cached_property
    def loaded(self) -> Loaded:
        """The checkpoint.

        Raises:
            RunError: it is damaged.
        """
        if self.path is None:
            raise RunError("a run that has not begun has no checkpoint")
        return checkpoint.load(self.path)

    @property
    def rows(self) -> list[Row]:
        """The history until then."""
        return [] if self.path is None else list(self._saved["position"]["rows"])

    @property
    def parts(self) -> Any:
        """All that is no tensor: the optimizer's settings, and how its state is put together."""
        return self._saved["parts"]

    @property
    def weights(self) -> dict[str, Tensor]:
        """The tensors of the model by their names in it."""
        tensors, part = self.loaded.tensors, "model/"
        return {n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)}

    @property
    def has_best(self) -> bool:
        """Whether the best weights of then are there, which a run needs that goes on from here."""
        wanted = "" if self.path is None else self._saved["position"]["best"]
        return not wanted or (self.best is not None and _hash_in(self.best) == wanted)

    @cached_property
    def _saved(self) -> Any:
        return json.loads(self.loaded.text)


def list_standings(run: Run) -> list[Standing]:
    """Return from where a run can be computed again, the earliest first.

    That is its beginning (of a replayed run: where it branched off), what it kept, and its last
    checkpoints where they are those of whole epochs.

    Raises:
        RunError: of a replayed run nothing of that is there any more.
    """
    branch, last = run.path / BRANCH, run.path / "checkpoints"
    found = [] if branch.is_dir() else [Standing(0)]
    for path in sorted(last.glob("[0-9]*-00000000.safetensors")):
        found.append(_standing(path, run.best))
    for path in [*branch.glob("[0-9]*-[0-9]*.safetensors"), *Kept(run.path, 0).paths()]:
        found.append(_standing(path, checkpoint.best_beside(path)))
    if not found:
        raise RunError(f"{branch} is empty: from where {run.path} branched off is not known")
    by_epoch = {each.epoch: each for each in found}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def compute(
    kind: "type[Job[Any, Any]]",
    run: Run,
    splits: "Splits",
    begin: Standing,
    epoch: int,
    folder: Path,
    *,
    device: str | None = None,
    show: Callable[[float], None] = lambda share: None,
) -> Standing:
    """Compute a run again from a position until an epoch ends.

    Args:
        kind: of the job.
        run: what is computed again; nothing in it is changed.
        splits: its data.
        begin: from where.
        epoch: the last that is computed.
        folder: where it is computed; empty.
        device: another device than the run's.
        show: called with the share that is done.

    Returns:
        Where it stands then, in `folder`; at an earlier epoch, if the config ends it there.
    """
    again = place(run, begin, folder)
    if begin.path is not None:
        settle(kind.reopen(folder, device), splits, folder / "checkpoints" / begin.path.name)
    before = run.lengthened  # each time, the schedule began again
    ends = {each["epochs"][0] for each in before if begin.epoch < each["epochs"][0] < epoch}
    display, done = _Share(begin.epoch, epoch, show), begin.epoch
    for end in sorted({*ends, epoch}):
        if went_on := [each for each in before if each["epochs"][0] <= done]:
            again.write("lengthened", went_on)
        job = kind.reopen(folder, device)
        job.config = dataclasses.replace(job.config, keep=0, track=())  # nobody looks at it
        job.config = _compute_as_several(job.config, count_processes(run))
        compute_as(job, run)
        with contextlib.suppress(_Reached):
            job.train(splits, display, lambda line: None, _stop_after(end))
        done = end
    last = max((folder / "checkpoints").glob("[0-9]*.safetensors"))
    return _standing(last, again.best)


def count_processes(run: Run) -> int:
    """Return in how many processes a run was trained, which one process repeats to rounding."""
    return int(run.read("environment").get("processes", 1))


def _compute_as_several(config: TrainingConfig, processes: int) -> TrainingConfig:
    """Return a config whose micro-batches are those that each of some processes had."""
    if processes == 1:
        return config
    part = -(-config.batch_size // processes)
    return dataclasses.replace(config, micro_batch=min(config.micro_batch or part, part))


def measure_apart(one: Standing, other: Standing, first: Mapping[str, Tensor]) -> float:
    """Return how far apart two positions are, as `measure_drift` has it of their weights.

    Where it is the rest that differs, such as what the optimizer remembers, they cannot be of one
    run: the distance is infinite.
    """
    if one.parts == other.parts and have_same_bits(one.loaded.tensors, other.loaded.tensors):
        return 0.0
    return measure_drift(one.weights, other.weights, first) or math.inf


def place(run: Run, standing: Standing, folder: Path) -> Run:
    """Make a copy of a run, as it was at a position, in a folder; returns it."""
    copy = Run(folder)
    for path in run.path.glob("*.json"):
        if path.stem not in _OF_RUN:
            shutil.copyfile(path, folder / path.name)
    shutil.copyfile(run.config, copy.config)
    if standing.path is not None:
        (folder / "checkpoints").mkdir()
        shutil.copyfile(standing.path, folder / "checkpoints" / standing.path.name)
        copy.write_history(standing.rows)
    if standing.path is not None and standing.best is not None and standing.best.is_file():
        shutil.copyfile(standing.best, copy.best)
    return copy


def compute_as(job: "Job[Any, Any]", run: Run) -> None:
    """Take as many CPU threads as the run did: sums depend on how they are cut into parts."""
    threads = run.read("environment").get("threads")
    if job.compute.device.type == "cpu" and isinstance(threads, int):
        torch.set_num_threads(threads)


def settle(
    job: "Job[Any, Any]",
    splits: "Splits",
    path: Path,
    rows: Sequence[Row] | None = None,
    *,
    other_parts: bool = False,
) -> None:
    """Let a checkpoint go on with the settings that the config has for the optimizer.

    Args:
        job: that goes on from it.
        splits: its data.
        path: the checkpoint, which is written again.
        rows: the history that it is to have; its own when None.
        other_parts: whether the config has another size of the parts of an update, so that what
            fitted the memory before says nothing.

    Raises:
        RunError: the checkpoint is another optimizer's.
    """
    job.warm_start(splits, lambda line: None)  # which may freeze some of the model
    optimizer = job.optimizer()

    def change(states: dict[str, Any], position: dict[str, Any]) -> None:
        optim.put_settings(states["optimizer"], optimizer)
        position["rows"] = position["rows"] if rows is None else list(rows)
        if other_parts:
            position["micro_batches"] = {}

    try:
        checkpoint.change(path, change)
    except ValueError as error:
        raise RunError(f"config.toml asks for another optimizer than it had ({error})") from error


class _Reached(Exception):
    """The epoch has come that was to be computed."""


def _stop_after(epoch: int) -> Callable[[Row], None]:
    def watch(row: Row) -> None:
        if row["epoch"] >= epoch:
            raise _Reached

    return watch


class _Share(Display):
    """Says which share of some epochs is done."""

    def __init__(self, begin: int, end: int, show: Callable[[float], None]):
        self._begin, self._epochs, self._show = begin, end - begin, show

    def progress(self, progress: Progress) -> None:
        done = progress.epoch + progress.update / progress.updates
        self._show((done - self._begin) / self._epochs)

    def epoch(self, row: Row, best: bool) -> None:
        if row["epoch"] > self._begin:
            self._show((row["epoch"] - self._begin) / self._epochs)


def _standing(path: Path, best: Path) -> Standing:
    return Standing(int(path.stem.partition("-")[0]), path, best)


def _hash_in(path: Path) -> str:
    try:
        return checkpoint.load(path).sha256
    except RunError:
        return ""
