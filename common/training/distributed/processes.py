"""Several processes that train one model, as torchrun starts them.

Each holds the whole model, and computes some of the micro-batches of an update: of k processes,
number r takes those at the places r, r + k, r + 2 k and so on. What is random is keyed by the
place, so k processes compute what one would with micro-batches of that size, to rounding.

The loop has one path: it is handed one process that is `Alone`, all of whose methods do nothing, or
one of `Several`.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from common.errors import RunError, RunFailed
from common.torchrun import launched
from common.training.distributed.parallel import Learns, Parallel
from common.training.means import Part, shares

T = TypeVar("T")
L = TypeVar("L", bound=Learns)
Outputs = dict[str, Tensor]

# A process may wait for another that decodes or writes; one that has ended is noticed at once.
_TIMEOUT = timedelta(minutes=30)


class Dealt(NamedTuple):
    """A micro-batch that this process computes."""

    place: int  # in the update, from 0
    batch: Any
    weights: Mapping[str, Any]  # how many items each part of its loss is a mean over
    shares: Mapping[str, Any]  # of the items of the whole update, by part


class Alone:
    """One process that trains by itself.

    Attributes:
        rank: which process it is, from 0.
        size: how many there are.
    """

    rank, size = 0, 1

    def share(self, batch_size: int, most: int) -> int:
        """Return how many samples of a batch are computed at a time, at most so many."""
        return most

    def parallel(self, model: nn.Module, task: L) -> L:
        """Return the task with which all train; ask again when what trains in the model changes."""
        return task

    def deal(self, task: Learns, batches: Sequence[Any]) -> Iterator[Dealt]:
        """Yield this process's micro-batches of an update; each is computed before the next comes.

        Args:
            task: what `parallel` returned.
            batches: the micro-batches.
        """
        weights = [task.weights(batch) for batch in batches]
        yield from map(Dealt, itertools.count(), batches, weights, shares(weights))

    def total(self, task: Learns, parts: list[Part]) -> list[Part]:
        """Return the parts of the loss of all processes' micro-batches."""
        return parts

    def any(self, signum: int) -> int:
        """Return a number that is 0 if it is 0 in all processes."""
        return signum

    def sum(self, value: float) -> float:
        """Return the sum of a number over all processes."""
        return value

    def same(self, value: T) -> T:
        """Return the value that the first process has."""
        return value

    def check_same(self, what: str, value: object) -> None:
        """Make sure that a value is the same in all processes.

        Raises:
            RunError: it is not that of the first process.
        """

    def copy_weights(self, model: nn.Module) -> None:
        """Put the first process's parameters and buffers into the model."""

    def collect(self, updates: list[list[Outputs]]) -> list[Outputs]:
        """Return what all processes have collected of batches, in the order of the batches.

        Args:
            updates: of each update what this process's micro-batches gave.
        """
        return list(itertools.chain.from_iterable(updates))


class Several(Alone):
    """One of several processes; all of them call the same methods in the same order."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
        self._parallel: Parallel | None = None

    def share(self, batch_size: int, most: int) -> int:
        """Return an equal part of the batch, or less where less fits."""
        return min(most, -(-batch_size // self.size))

    def parallel(self, model: nn.Module, task: L) -> L:
        """Wrap the loss of a task by DistributedDataParallel."""
        if self._parallel is None or not self._parallel.fits(model, task):
            self._parallel = Parallel(model, task)
        return cast(L, self._parallel)

    def deal(self, task: Learns, batches: Sequence[Any]) -> Iterator[Dealt]:
        """Yield this process's micro-batches; the gradients are exchanged during the last."""
        assert isinstance(task, Parallel)
        weights = [task.weights(batch) for batch in batches]
        names = self._names(task.weighed, weights)
        totals = self._add(task, [sum(weight[name] for weight in weights) for name in names])
        # DistributedDataParallel takes the mean over the processes, which is to be the sum.
        factors = dict(zip(names, self.size / totals, strict=True))
        places = range(self.rank, self.size * len(batches), self.size)
        for place, batch, weight in zip(places, batches, weights, strict=True):
            share = {name: (factors[name] * weight[name]).float() for name in names}
            with task.exchanging(last=place == places[-1]):
                yield Dealt(place, batch, weight, share)
        if not batches:
            task.take_part()

    def total(self, task: Learns, parts: list[Part]) -> list[Part]:
        """Return one part for each name, over the items of all processes."""
        assert isinstance(task, Parallel)
        names = self._names(task.parts, [{part.name: part} for part in parts])
        own = [[part for part in parts if part.name == name] for name in names]
        weights = [sum(part.weight for part in found) for found in own]
        sums = [sum(part.mean.double() * part.weight for part in found) for found in own]
        totals = self._add(task, [*sums, *weights])
        means = (totals[: len(names)] / totals[len(names) :]).float()
        return list(map(Part, names, means, totals[len(names) :]))

    def any(self, signum: int) -> int:
        """Return the largest."""
        found = torch.tensor(signum)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def sum(self, value: float) -> float:
        """Add up."""
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total)

    def same(self, value: T) -> T:
        """Send the first process's value to the others."""
        values = [value if self.rank == 0 else None]
        dist.broadcast_object_list(values, device=torch.device("cpu"))
        return cast(T, values[0])

    def check_same(self, what: str, value: object) -> None:
        """Compare with the first process."""
        first = self.same(value)
        if value != first:
            raise RunError(
                f"{what} is {first} for the first process and {value} for process {self.rank}: "
                "all machines need the same files"
            )

    @torch.no_grad()
    def copy_weights(self, model: nn.Module) -> None:
        """Send them, those of a type together."""
        tensors = [*model.parameters(), *model.buffers()]
        for kind in dict.fromkeys((tensor.dtype, tensor.device) for tensor in tensors):
            mine = [tensor for tensor in tensors if (tensor.dtype, tensor.device) == kind]
            flat = torch.cat([tensor.reshape(-1) for tensor in mine])
            dist.broadcast(flat, 0)
            parts = torch.split_with_sizes(flat, [tensor.numel() for tensor in mine])
            for tensor, part in zip(mine, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def collect(self, updates: list[list[Outputs]]) -> list[Outputs]:
        """Gather them, those of each process as one."""
        parts = list(itertools.chain.from_iterable(updates))
        names = list(parts[0]) if parts else []
        whole = {name: torch.cat([part[name] for part in parts]).cpu() for name in names}
        rows = [[len(next(iter(part.values()))) for part in update] for update in updates]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, (rows, whole))
        split = [_split(whole, list(itertools.chain(*rows))) for rows, whole in found]
        return [
            next(split[rank])
            for update in zip(*(rows for rows, _ in found), strict=True)
            for turn in itertools.zip_longest(*update)
            for rank, count in enumerate(turn)
            if count is not None
        ]

    def _names(self, known: list[str], found: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the names of parts; a process without a micro-batch learns them once.

        Args:
            known: is filled the first time.
            found: has them, in the first process.
        """
        if not known:
            known += self.same(list(dict.fromkeys(itertools.chain(*found))))
        return known

    def _add(self, task: Parallel, values: Sequence[Any]) -> Tensor:
        """Return the sums of numbers, or scalars on the device, over all processes, in float64.

        They are few, so all are sent to all: gloo's way of adding up, made for many, takes twice as
        long.
        """
        plain = [0.0 if isinstance(value, Tensor) else value for value in values]
        sums = torch.tensor(plain, dtype=torch.float64).to(task.device, non_blocking=True)
        for place, value in enumerate(values):
            if isinstance(value, Tensor):
                sums[place] = value
        found = [torch.empty_like(sums) for _ in range(self.size)]
        dist.all_gather(found, sums)
        return torch.stack(found).sum(0)


def _split(whole: Outputs, rows: Sequence[int]) -> Iterator[Outputs]:
    """Yield the rows of outputs that belong together."""
    pieces = [torch.split_with_sizes(values, list(rows)) for values in whole.values()]
    for piece in zip(*pieces, strict=True):
        yield dict(zip(whole, piece, strict=True))


_current = Alone()


def current() -> Alone:
    """Return what this process is at the moment: one of several, or alone."""
    return _current


@contextlib.contextmanager
def joined() -> Iterator[Alone]:
    """Train together with the other processes that torchrun has started, inside the block.

    Without torchrun, or where they have joined already, it does nothing.

    Raises:
        RunFailed: another process has ended.
    """
    global _current
    launch = launched()
    if launch.size == 1 or _current.size > 1:
        yield _current
        return
    # A tensor is sent by what suits the device that it is on.
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if launch.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(launch.local_rank)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=_TIMEOUT)
        _current = Several(launch.rank, launch.size)
        yield _current
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise RunFailed(
            f"process {launch.rank} of {launch.size} has lost the others: one of them has ended, "
            "and said why if it could"
        ) from error
    finally:
        _current = Alone()
    part()


def part() -> bool:
    """End what all do together; says whether the first process goes on alone, without this one."""
    global _current
    _current = Alone()
    if dist.is_initialized():
        dist.destroy_process_group()
    return launched().follows


def _is_lost(error: RuntimeError) -> bool:
    """Say whether an error is that of a process that waits for one that has ended."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
