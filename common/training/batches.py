"""Splits, and batches of them as the training loop takes them.

The order of an epoch and the numbers that augmentation draws are tables made from (seed, epoch). A
batch takes its rows of them by its place in the epoch, so what happens to a sample does not depend
on the batch size, on the number of workers, or on whether the run was resumed. Sequences of unequal
length are put into batches with others of about their length, so that little of a batch is padding.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as MapDataset
from typing_extensions import override

from common import seeding
from common.errors import ConfigError, DataError
from common.options.config import TrainingConfig
from common.signals import noted
from common.training.compute import Compute
from common.training.sequences import Padded, Ragged, bucketed


@runtime_checkable
class Updates(Protocol):
    """A split as the loop takes it: epochs of updates, each one or more micro-batches."""

    def __len__(self) -> int:
        """Return the number of updates in an epoch."""

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield the updates of an epoch, from number `start` on; always the same ones."""


class Prepare(Protocol):
    """What happens to the first tensor of a batch on the device: augmentation, normalisation."""

    @property
    def columns(self) -> int:
        """Uniform numbers that it takes per sample."""

    def __call__(self, inputs: Tensor, numbers: Tensor | None, /) -> Tensor:
        """Prepare a batch; numbers is (B, columns) in training, None in evaluation."""


class Place(NamedTuple):
    """Which sample is read, and when: what a data set that draws random numbers is asked for."""

    row: int
    epoch: int  # from 0
    seed: int | None  # names what is drawn for this place of the epoch; None in evaluation


def choose_batching(config: TrainingConfig, evaluation: int, *, training: bool) -> dict[str, Any]:
    """Return how a split is cut into batches: options of `Batches`.

    Args:
        config: of the run.
        evaluation: samples in a batch where nothing is learned from it.
        training: whether something is.
    """
    return {
        "batch_size": config.batch_size if training else evaluation,
        "training": training,
        "micro_batch": config.micro_batch if training else None,
        "seed": config.seed,
    }


class Batches:
    """A split cut into updates of micro-batches, read, moved to the device and prepared.

    Where there are sequences, those of a batch have about one length: in training, pools of a
    hundred batches are drawn at random and each is sorted by length, then the batches are shuffled;
    in evaluation all are sorted, and `rows` says which sample stands where.

    Args:
        data: columns with a row per sample, such as (images, targets): tensors, or `Ragged`
            sequences, which a batch holds as `Padded` ones; or a map-style torch `Dataset` whose
            items are tuples, read by `workers`. One with a true `draws` is asked for a `Place`,
            not for a row; one with a `collate` makes batches of its items by that.
        batch_size: samples in an update. A last batch of one sample joins the batch before it,
            since batch normalisation cannot train on one.
        training: shuffle in each epoch, and hand random numbers to `prepare`.
        micro_batch: samples computed at a time; the whole update when None. Of several processes,
            each computes an equal part of it, or less at a time.
        seed: names the order and the random numbers.
        prepare: applied to the first tensor of each batch.
        compute: the device.
        workers: processes that read a `Dataset`; 0 reads in this one.
        lengths: (N,), by which samples are put into batches; where there are sequences and it is
            None, of each sample its longest one.
        weights: (N,), at least 0: in training, each of the N places of an epoch is drawn by itself,
            a sample as probable as its weight, in place of every sample once.
        repeats: numbers of samples that come once more in each epoch of training. Then only these
            repeats are given random numbers; the others are prepared as in evaluation. Not to be
            given with weights.

    Example:
        >>> images, targets = torch.rand(10, 1, 8, 8), torch.arange(10)
        >>> batches = Batches((images, targets), batch_size=4, training=True)
        >>> [[len(part[1]) for part in update] for update in batches.updates(epoch=0)]
        [[4], [4], [2]]
        >>> orders = [torch.cat([part[1] for (part,) in batches.updates(e)]) for e in (0, 1, 0)]
        >>> torch.equal(orders[0], orders[2]), torch.equal(orders[0], orders[1])
        (True, False)
    """

    def __init__(
        self,
        data: Sequence[Tensor | Ragged] | MapDataset[Any],
        batch_size: int = 64,
        *,
        training: bool = False,
        micro_batch: int | None = None,
        seed: int = 0,
        prepare: Prepare | None = None,
        compute: Compute | None = None,
        workers: int = 0,
        lengths: Tensor | None = None,
        weights: Tensor | None = None,
        repeats: Tensor | None = None,
    ):
        if batch_size < 1 or (micro_batch is not None and micro_batch < 1):
            raise ConfigError("a batch needs 1 sample or more")
        self._training, self._seed, self._prepare = training, seed, prepare
        self._compute = compute or Compute()
        self.batch_size = batch_size
        self.micro_batch = self._compute.processes.share(batch_size, micro_batch or batch_size)
        self._reader: _Memory | _Loader
        self._lengths, self._weights = lengths, weights
        if isinstance(data, MapDataset):
            self._reader = _Loader(data, self._compute, workers)
            self.samples = len(data)  # type: ignore[arg-type]
        else:
            _check_columns(data)
            self._reader = _Memory(data, self._compute)
            self.samples = len(data[0])
            ragged = [column.lengths for column in data if isinstance(column, Ragged)]
            if ragged and lengths is None:
                self._lengths = torch.stack(ragged).amax(0)
        if not self.samples:
            raise DataError("a split has no samples")
        for name, column in (("lengths", self._lengths), ("weights", weights)):
            if column is not None and len(column) != self.samples:
                raise DataError(f"{name}: {len(column):,} for {self.samples:,} samples")
        assert weights is None or repeats is None
        self._repeats = repeats if training else None
        once = torch.arange(self.samples)
        self._samples = once if self._repeats is None else torch.cat([once, self._repeats])
        self._spans = spans(len(self._samples), batch_size)

    @property
    def rows(self) -> Tensor:
        """Return which sample stands where in evaluation, (N,)."""
        if self._lengths is None:
            return torch.arange(self.samples)
        return self._lengths.argsort(stable=True)

    def __len__(self) -> int:
        return len(self._spans)

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield the updates of an epoch, from number `start` on.

        Of several processes, each gets its own micro-batches of an update; there may be none.
        """
        order, numbers, repeated = self.rows, None, None
        if self._training:
            places = self._shuffled(epoch)
            order = self._samples[places]
            if self._prepare is not None and self._prepare.columns:
                numbers = seeding.uniforms(self._seed, epoch, len(order), self._prepare.columns)
                numbers = self._compute.move(numbers)
            if self._repeats is not None:
                repeated = self._compute.move(places >= self.samples)
        mine = slice(self._compute.processes.rank, None, self._compute.processes.size)
        todo = [
            [(low + first, low + last) for first, last in spans(high - low, self.micro_batch)[mine]]
            for low, high in self._spans[start:]
        ]
        asked = _Places(order, epoch, self._seed if self._training else None)
        read = self._reader.read(asked, list(itertools.chain.from_iterable(todo)))
        for update in todo:
            yield [self._prepared(next(read), numbers, repeated, span) for span in update]

    def close(self) -> None:
        """End the processes that read; nothing can be read any more.

        A signal that comes meanwhile waits: what it raises would be lost where Python clears up.
        """
        with noted():
            del self._reader

    def _shuffled(self, epoch: int) -> Tensor:
        """Return the order of an epoch of training: places in the samples and their repeats."""
        if self._weights is not None:
            order = seeding.draws(self._seed, epoch, self._weights)
        else:
            order = seeding.permutation(self._seed, epoch, len(self._samples))
        if self._lengths is None:
            return order
        generator = seeding.generator(self._seed, seeding.BUCKETS, epoch)
        return bucketed(order, self._lengths[self._samples], self.batch_size, generator)

    def _prepared(
        self, batch: Any, numbers: Tensor | None, repeated: Tensor | None, span: tuple[int, int]
    ) -> Any:
        if self._prepare is None:
            return batch
        inputs, *others = batch
        if numbers is None:
            return (self._prepare(inputs, None), *others)
        prepared = self._prepare(inputs, numbers[slice(*span)])
        if repeated is not None:
            chosen = repeated[slice(*span)].view(-1, *[1] * (prepared.ndim - 1))
            prepared = torch.where(chosen, prepared, self._prepare(inputs, None))
        return (prepared, *others)


class Repeated:
    """Any iterable of batches, such as a list or a `DataLoader`, gone through once an epoch.

    One that does not know its length is gone through once more, to count its batches.

    torch's default generator is keyed by the epoch and the batch before each is read, so a
    `DataLoader` that shuffles by it, and a data set that draws from it, give the same batches each
    time the epoch is asked for, from whichever batch on.
    """

    def __init__(self, batches: Iterable[Any], compute: Compute, seed: int = 0):
        self._batches, self._compute, self._seed = batches, compute, seed

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        try:
            return len(self._batches)  # type: ignore[arg-type]
        except TypeError:  # also of a DataLoader over what does not know it
            if isinstance(self._batches, Iterator):
                raise DataError(
                    "the training split is an iterator, which gives its batches only once; give a "
                    "list of them, or an object that can be gone through in every epoch"
                ) from None
        return sum(1 for _ in self.updates(0))

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield each batch as an update of its own, which one of several processes computes."""
        self._compute.seed(self._seed, seeding.LOADER, epoch, 0)
        for number, batch in enumerate(self._batches, 1):
            if number > start:
                yield [] if self._compute.processes.rank else [self._compute.move(batch)]
            self._compute.seed(self._seed, seeding.LOADER, epoch, number)


def as_updates(split: Updates | Iterable[Any], compute: Compute, seed: int = 0) -> Updates:
    """Return the split itself if it knows its updates, else each of its batches as one."""
    return split if isinstance(split, Updates) else Repeated(split, compute, seed)


def close(*splits: Updates) -> None:
    """End the processes that read splits, where there are any; see `Batches.close`."""
    for split in splits:
        if isinstance(split, Batches):
            split.close()


def batch_size(batch: Any) -> int:
    """Return the number of samples in a batch: the rows of its first tensor.

    Raises:
        DataError: there is none.
    """
    first = batch[0] if isinstance(batch, tuple) and batch else batch  # the usual batch, quickly
    if isinstance(first, Tensor) and first.ndim:
        return len(first)
    for _, tensor in _tensors(batch):
        if tensor.ndim:
            return len(tensor)
    raise DataError(
        f"a batch, {type(batch).__name__}, holds no tensor whose rows are its samples; make it of "
        "tensors: alone, or in tuples, lists, mappings or dataclasses"
    )


def name_not_finite(batches: Iterable[Any]) -> str | None:
    """Say which tensor of an update's batches is first NaN or infinite; None where none is."""
    for batch in batches:
        for name, tensor in _tensors(batch):
            wrong = ~tensor.isfinite()
            if wrong.any():
                place = wrong.nonzero()[0].tolist()
                at = f" (first in its sample {place[0] + 1})" if place else ""
                return (
                    f"{int(wrong.sum()):,} of the {tensor.numel():,} numbers of batch{name} are "
                    f"NaN or infinite{at}; mend or leave out such samples."
                )
    return None


def _tensors(batch: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield a batch's tensors and how they are reached, such as `[0]` or `.images`."""
    if isinstance(batch, Tensor):
        yield name, batch
        return
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(batch, Mapping):
        parts = ((f"{name}[{key!r}]", value) for key, value in batch.items())
    elif isinstance(batch, tuple | list) and not hasattr(batch, "_fields"):
        parts = ((f"{name}[{place}]", value) for place, value in enumerate(batch))
    elif hasattr(batch, "_fields") or dataclasses.is_dataclass(batch):
        fields = getattr(batch, "_fields", None) or [f.name for f in dataclasses.fields(batch)]
        parts = ((f"{name}.{field}", getattr(batch, field)) for field in fields)
    for deeper, value in parts:
        yield from _tensors(value, deeper)


def _check_columns(columns: Sequence[Any]) -> None:
    """Refuse what are no columns with a row for each sample."""
    for column in columns:
        if not isinstance(column, Ragged) and not (isinstance(column, Tensor) and column.ndim):
            raise DataError(
                f"a column of a split is {type(column).__name__}; expected a tensor with a row for "
                "each sample (torch.as_tensor makes one), or Ragged sequences"
            )
    if len({len(column) for column in columns}) != 1:
        rows = ", ".join(f"{len(column):,}" for column in columns) or "none"
        raise DataError(f"the columns of a split need one length; they have {rows} rows")


def spans(size: int, length: int) -> list[tuple[int, int]]:
    """Cut range(size) into (low, high) pieces; a last piece of one joins the one before."""
    starts = list(range(0, size, length))
    if length > 1 and len(starts) > 1 and size - starts[-1] == 1:
        starts.pop()
    return list(itertools.pairwise([*starts, size]))


class _Places(NamedTuple):
    """The order of an epoch, and what names the random numbers of its places."""

    order: Tensor
    epoch: int
    seed: int | None

    def between(self, low: int, high: int) -> list[Place]:
        """Return some of the places."""
        keys = [
            None if self.seed is None else seeding.derive(self.seed, seeding.SAMPLE, self.epoch, at)
            for at in range(low, high)
        ]
        rows = self.order[low:high].tolist()
        return [Place(row, self.epoch, key) for row, key in zip(rows, keys, strict=True)]


class _Memory:
    """Reads rows of columns that live on the device."""

    def __init__(self, columns: Sequence[Tensor | Ragged], compute: Compute):
        self._columns = [
            _Sequences(column, compute) if isinstance(column, Ragged) else compute.move(column)
            for column in columns
        ]
        self._compute = compute

    def read(self, places: _Places, pieces: Sequence[tuple[int, int]]) -> Iterator[tuple[Any, ...]]:
        order = places.order
        there = self._compute.move(order)
        for low, high in pieces:
            here, rows = order[low:high], there[low:high]
            yield tuple(
                column.pad(here, rows)
                if isinstance(column, _Sequences)
                else column.index_select(0, rows)
                for column in self._columns
            )


class _Sequences:
    """Pads sequences that live on the device; their lengths are here too, so nothing waits."""

    def __init__(self, sequences: Ragged, compute: Compute):
        values = sequences.values
        self._values = compute.move(torch.cat([values, values.new_zeros(1, *values.shape[1:])]))
        self._lengths = sequences.lengths
        self._starts, self._sizes = compute.move((sequences.starts[:-1], self._lengths))

    def pad(self, here: Tensor, rows: Tensor) -> Padded:
        """Return some sequences as a batch; the rows are given on the CPU and on the device."""
        steps = max(1, int(self._lengths[here].max()))
        lengths = self._sizes[rows]
        step = torch.arange(steps, device=rows.device)
        padding = len(self._values) - 1  # the zero at the end
        places = torch.where(step < lengths[:, None], self._starts[rows][:, None] + step, padding)
        values = self._values[places]  # whole numbers are kept as they came, to save memory
        return Padded(values if values.is_floating_point() else values.long(), lengths)


class _Loader:
    """Reads items of a map-style dataset in workers, which live for as long as the split does."""

    def __init__(self, dataset: MapDataset[Any], compute: Compute, workers: int):
        self._compute = compute
        self._batches: list[list[Any]] = []
        self._draws = getattr(dataset, "draws", False)
        self._loader = _Readers(
            dataset,
            batch_sampler=_Given(self._batches),
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=getattr(dataset, "collate", None),
            pin_memory=compute.device.type == "cuda",
            generator=torch.Generator(),
        )

    def read(self, places: _Places, pieces: Sequence[tuple[int, int]]) -> Iterator[Any]:
        self._batches[:] = [
            places.between(*span) if self._draws else places.order[slice(*span)].tolist()
            for span in pieces
        ]
        with noted():  # what Python runs as it forks the workers would swallow a signal
            batches = iter(self._loader)
        return self._moved(batches)

    def _moved(self, batches: Iterator[Any]) -> Iterator[Any]:
        try:
            for batch in batches:
                yield self._compute.move(batch)
        except DataError as error:  # a worker's comes with the lines of code that it was in there
            raise DataError(str(error).rpartition("DataError: ")[2].strip()) from error


class _Readers(DataLoader[Any]):
    """A DataLoader that has more workers than there are cores without a warning.

    On one core they wait for the disk beside training.
    """

    @override
    def check_worker_number_rationality(self) -> None:
        pass


class _Given:
    """A batch sampler over a list that is filled again in each epoch."""

    def __init__(self, batches: list[list[Any]]):
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self._batches)
