"""Sequences of unequal length: kept one after another, padded in batches, batched by length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn


class Padded(NamedTuple):
    """A batch of sequences: 0 follows where one ends.

    Example:
        >>> Padded.of([torch.tensor([5, 3, 8]), torch.tensor([2])])
        Padded(values=tensor([[5, 3, 8],
                [2, 0, 0]]), lengths=tensor([3, 1]))
    """

    values: Tensor  # (B, T) or (B, T, ...); T is the longest length, at least 1
    lengths: Tensor  # (B,) int64

    @classmethod
    def of(cls, sequences: Sequence[Tensor]) -> Self:
        """Pad sequences, (T, ...) of one type each, to the longest."""
        values = nn.utils.rnn.pad_sequence(list(sequences), batch_first=True)
        if not values.shape[1]:
            values = values.new_zeros(len(sequences), 1, *values.shape[2:])
        return cls(values, torch.tensor([len(sequence) for sequence in sequences]))


@dataclass(frozen=True)
class Ragged:
    """Sequences of unequal length, one after another in one tensor.

    Example:
        >>> texts = Ragged.of([[5, 3, 8], [], [2]])
        >>> texts[0], texts.lengths
        (tensor([5, 3, 8]), tensor([3, 0, 1]))
    """

    values: Tensor  # (total,) or (total, ...), of whole numbers or floats
    starts: Tensor  # (N + 1,) int64; sequence n is values[starts[n] : starts[n + 1]], may be empty

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int] | Tensor]) -> Self:
        """Put sequences of numbers, or tensors (T, ...) of one type, one after another."""
        parts = [torch.as_tensor(sequence) for sequence in sequences]
        full = [part for part in parts if len(part)]
        sizes = torch.tensor([0, *map(len, parts)])
        rows = [part for part in parts if part.ndim > 1]  # keep columns, also when all are empty
        none = rows[0] if rows else torch.zeros(0, dtype=torch.int64)
        return cls(torch.cat(full) if full else none, sizes.cumsum(0))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Tensor:
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> Tensor:
        """Return the length of each sequence, (N,) int64."""
        return self.starts.diff()

    def select(self, rows: Iterable[int] | Tensor) -> Self:
        """Return some of the sequences, in the given order."""
        chosen = rows.tolist() if isinstance(rows, Tensor) else rows
        return type(self).of([self[row] for row in chosen])


def bucketed(
    order: Tensor, lengths: Tensor, batch_size: int, generator: torch.Generator, pool: int = 100
) -> Tensor:
    """Rearrange a random order so that each batch holds samples of about one length.

    Each run of `pool` batches is sorted by length, longest last; then the batches are shuffled,
    each whole. Only a last one that is not full stays where it is.

    Args:
        order: (N,) the samples as drawn.
        lengths: (N,) of the samples.
        batch_size: samples in a batch.
        generator: draws the order of the batches.
        pool: batches that are sorted together.
    """
    pools = torch.split(order, batch_size * pool)
    placed = torch.cat([part[lengths[part].argsort(stable=True)] for part in pools])
    full = len(order) // batch_size
    batches = placed[: full * batch_size].view(full, batch_size)
    shuffled = batches[torch.randperm(full, generator=generator)]
    return torch.cat([shuffled.flatten(), placed[full * batch_size :]])
