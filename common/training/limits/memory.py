"""Updates that do not fit the memory are made again, in parts of half the size.

The means of micro-batches are weighed by their items, so that the parts of an update give the
gradient of the whole: where the memory of a device is full, nothing is lost but time.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, distributed, nn

from common.errors import NoMemoryError
from common.options.terminal import note
from common.training.batches import Updates

# What torch says of a CPU, of Apple's GPUs, and of NVIDIA's libraries, which are no
# torch.OutOfMemoryError.
_FULL = (
    "out of memory",
    "DefaultCPUAllocator: can't allocate memory",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@runtime_checkable
class Parted(Updates, Protocol):
    """A split that can cut its updates smaller, without changing what is in them."""

    micro_batch: int  # samples computed at a time


def is_full(error: BaseException) -> bool:
    """Say whether an error means that the memory of a device, or of the machine, is full."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)


@contextlib.contextmanager
def must_do(what: str) -> Iterator[None]:
    """Do inside the block what cannot be made again in smaller parts.

    Raises:
        NoMemoryError: there is no memory for it.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
        raise NoMemoryError(
            f"the memory is full in {what}, where smaller batches do not help; try a smaller "
            "model, --optimizer sgd, which keeps least, or another --device. What was saved before "
            f"is intact. ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error


class Fitting:
    """The updates of a split, cut so small that they fit the memory.

        for update, batches in fitting.updates(epoch):
            with fitting.attempt():
                ...  # the memory may be full
            if fitting.failed:
                continue  # the update comes again, in smaller parts

    Args:
        split: gives the updates.
        model: what learns from them, if anything does: before an update comes again, its gradients
            are cleared and its buffers, such as the running statistics of batch norm, put back.
        remember: called when updates are cut smaller.

    Attributes:
        failed: whether there was no memory for the last attempt.
    """

    def __init__(
        self,
        split: Updates,
        model: nn.Module | None = None,
        remember: Callable[[], None] = lambda: None,
    ):
        self._split, self._model, self._remember = split, model, remember
        self._kept = [buffer.clone() for buffer in self._buffers]
        self._asked = sizes_of({"split": split})
        self.failed = False

    def updates(self, epoch: int, start: int = 0) -> Iterator[tuple[int, list[Any]]]:
        """Yield the updates of an epoch and their numbers, from `start` on.

        Raises:
            NoMemoryError: not even the smallest parts fit, or the split cannot be cut.
        """
        update, stream = start, self._split.updates(epoch, start)
        while True:
            with self._looking():  # to read them takes memory, too
                batches = next(stream, None)
            if not self.failed:
                if batches is None:
                    return
                yield update, batches
            if self.failed:
                batches = None
                self._cut_smaller()
                stream = self._split.updates(epoch, update)
            else:
                update += 1

    def attempt(self) -> contextlib.AbstractContextManager[None]:
        """Let what is inside the block fail if there is no memory for it."""
        _copy(self._buffers, self._kept)
        return self._looking()

    @contextlib.contextmanager
    def _looking(self) -> Iterator[None]:
        """Note whether there is no memory for what is inside the block.

        The error holds on to all that the block had computed, so nothing is mended before it goes.
        """
        self.failed = False
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_full(error):
                raise
            self.failed = True

    @property
    def smaller(self) -> dict[str, int]:
        """The size of the parts, as a row of the history has it; {} where it is the one given."""
        cut = find_cut({"split": self._split}, self._asked)
        return {"micro_batch": cut["split"]} if cut else {}

    def _cut_smaller(self) -> None:
        if self._model is not None:
            self._model.zero_grad(set_to_none=True)
        _copy(self._kept, self._buffers)
        halve(self._split, 1 if self._model is None else least_of(self._model))
        self._remember()

    @property
    def _buffers(self) -> list[Tensor]:
        return [] if self._model is None else list(self._model.buffers())


@torch.no_grad()
def _copy(sources: list[Tensor], targets: list[Tensor]) -> None:
    if sources:
        torch._foreach_copy_(targets, sources)


def least_of(model: nn.Module) -> int:
    """Return the fewest samples that a model can learn from at a time: batch norm needs two."""
    kinds = nn.modules.batchnorm._BatchNorm
    return 2 if any(isinstance(each, kinds) and each.training for each in model.modules()) else 1


def halve(split: Updates, least: int = 1) -> None:
    """Let a split cut its updates into parts of half the size, and say so.

    Raises:
        NoMemoryError: it cannot.
    """
    if not isinstance(split, Parted):
        raise NoMemoryError(
            "the memory is full, and these batches come as they are: make them smaller, or let "
            "Batches cut them"
        )
    size, half = split.micro_batch, split.micro_batch // 2
    if half < least:
        raise NoMemoryError(
            f"the memory is full even with {size} sample{'s' if size > 1 else ''} at a time; try a "
            "smaller model, smaller samples (such as a smaller --image-size), or another --device"
        )
    if _several_processes():
        raise NoMemoryError(
            "the memory of this process is full, and of several processes none can cut an update "
            f"otherwise on its own; begin again with --micro-batch {half}"
        )
    split.micro_batch = half
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()  # of blocks that were cut for the larger parts
    note(f"the memory is full: going on with {half} samples at a time in place of {size}")


def _several_processes() -> bool:
    here = distributed.is_available() and distributed.is_initialized()
    return here and distributed.get_world_size() > 1


def sizes_of(splits: Mapping[str, object]) -> dict[str, int]:
    """Return how many samples are computed at a time, by the name of the split that knows."""
    return {name: each.micro_batch for name, each in splits.items() if isinstance(each, Parted)}


def find_cut(splits: Mapping[str, object], asked: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of those splits that are cut smaller than `sizes_of` first said."""
    return {name: size for name, size in sizes_of(splits).items() if size < asked[name]}


def recall(splits: Mapping[str, object], sizes: Mapping[str, int]) -> None:
    """Let splits be cut as small as `find_cut` said."""
    for name, split in splits.items():
        if isinstance(split, Parted) and name in sizes:
            split.micro_batch = min(split.micro_batch, sizes[name])
