"""Some samples of a split, as the model sees them unchanged, and how alike they are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.metrics.metrics import Array
from common.runs.job import Job
from common.training.batches import Batches, batch_size, close
from common.training.sequences import Padded

_MOST, _BYTES = 1500, 1 << 28  # looked at closely; equal ones are looked for among all
_NUMBERS = 1 << 20  # of the inputs, by which their size is known
_SIDE = 16  # pixels to which images are made smaller before they are compared
_WORDS = 8192  # numbers of tokens that are told apart
_ROWS = 512  # compared with all others at a time


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of a split.

    Attributes:
        batches: those that are looked at closely, on the device.
        keys: of every sample of the split, (M,): equal for equal inputs.
        targets: of every sample, (M, ...); None where it has none of its own.
        rows: which of these are looked at closely, (N,).
        labels: of those that are, (N,): class numbers or numbers; None where there are none.
    """

    batches: Sequence[Any]
    keys: Sequence[bytes]
    targets: Array | None
    rows: Array
    labels: Array | None

    @cached_property
    def inputs(self) -> list[Tensor]:
        """The inputs of each batch, on the CPU; of sequences their padded values."""
        return [_inputs(batch).cpu() for batch in self.batches]

    @property
    def tokens(self) -> bool:
        """Whether the inputs are numbers of words, which have no size."""
        return not self.inputs[0].is_floating_point()

    @cached_property
    def features(self) -> Array:
        """What samples are compared by, (N, F): small pictures, counts of words, or values."""
        parts = [_features(inputs) for inputs in self.inputs]
        width = max(part.shape[1] for part in parts)
        return np.concatenate(
            [np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts]
        )

    @cached_property
    def values(self) -> Array:
        """Numbers of floating inputs, evenly spaced, and with them the largest, (K,)."""
        every = max(1, sum(inputs.numel() for inputs in self.inputs) // _NUMBERS)
        flat = [inputs.float().flatten() for inputs in self.inputs]
        largest = torch.stack([part.abs().max() for part in flat])
        return torch.cat([*(part[::every] for part in flat), largest]).numpy()


def take(job: Job[Any, Any], split: Any) -> Samples:
    """Read a split once, and keep some of its batches, evenly spaced.

    Args:
        job: whose model sees them.
        split: of its data.
    """
    source = job.batches(split)
    rows = source.rows.numpy() if isinstance(source, Batches) else None
    batches, places, keys, done, every = [], [], list[bytes](), 0, 1
    for number, [batch] in enumerate(source.updates(0)):
        size = batch_size(batch)
        keys += _keys(batch)
        if number == 0 and rows is not None:
            most = min(_MOST, max(size, _BYTES * size // _bytes(batch)))
            every = max(1, len(rows) // most)
        if number % every == 0:
            batches.append(batch)
            places.append(np.arange(done, done + size))
        done += size
    close(source)
    order = np.arange(done) if rows is None else rows
    targets = _targets(job, split, order)
    chosen = np.concatenate(places)
    labels = None if targets is None else labels_of(job, targets)
    return Samples(batches, keys, targets, chosen, None if labels is None else labels[chosen])


def _targets(job: Job[Any, Any], split: Any, order: Array) -> Array | None:
    """Return what is true of each sample, in the order of the batches; None where nothing is."""
    targets = job.targets(split)
    same_length = len(targets) == len(order)
    return targets[order] if same_length else None


def labels_of(job: Job[Any, Any], targets: Array) -> Array | None:
    """Return targets where they are labels that somebody gave: a class or a number of each sample.

    An autoencoder has none, a forecast's are the series' own, and boxes are judged by their lab.
    """
    if targets.ndim != 1 or targets.dtype.kind not in "iuf" or len(np.unique(targets)) < 2:
        return None
    return targets


def _inputs(batch: Any) -> Tensor:
    first = batch[0] if isinstance(batch, tuple | list) else batch
    if isinstance(first, Padded):
        return first.values
    if isinstance(first, tuple | list):  # several senses of a sample, of which the first is judged
        return _inputs(first)
    found: Tensor = first
    return found


def _bytes(batch: Any) -> int:
    values = _inputs(batch)
    return values.numel() * values.element_size()


def _keys(batch: Any) -> list[bytes]:
    first = batch[0] if isinstance(batch, tuple | list) else batch
    if isinstance(first, Padded):
        pairs = zip(first.values.cpu(), first.lengths.tolist(), strict=True)
        pieces = [values[:length] for values, length in pairs]
    elif isinstance(first, tuple | list):
        each = [_keys((part,)) for part in first]
        return [b"".join(parts) for parts in zip(*each, strict=True)]
    else:
        pieces = list(first.cpu())
    return [hashlib.blake2b(piece.contiguous().numpy().tobytes()).digest() for piece in pieces]


def _features(inputs: Tensor) -> Array:
    """Return features (B, F) of images (B, C, H, W), of numbers of words (B, T), or of values."""
    if not inputs.is_floating_point():
        counts = torch.zeros(len(inputs), _WORDS)
        tokens = inputs.flatten(1).long()
        counts.scatter_add_(1, tokens % _WORDS, (tokens > 0).float())
        return counts.clamp(max=1).numpy()
    if inputs.ndim == 4:
        side = min(_SIDE, *inputs.shape[2:])
        inputs = functional.adaptive_avg_pool2d(inputs.float(), side)
    flat = inputs.float().flatten(1)
    return (flat - flat.mean(1, keepdim=True)).numpy()


# --- how alike they are -------------------------------------------------------------------------


def directions(features: Array, known: Array, words: bool) -> tuple[Array, Array]:
    """Return features of length 1, whose product says how alike samples are.

    Args:
        features: (N, F).
        known: (M, F) of training samples, by which rare words are found.
        words: whether they are counts of words, of which rare ones count more.
    """
    if words:
        rarity = np.log(len(known) / (1 + known.sum(0)))
        features, known = features * rarity.clip(0), known * rarity.clip(0)
    return tuple(
        each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-9) for each in (features, known)
    )


def nearest(rows: Array, known: Array, count: int, *, apart: bool = False) -> Array:
    """Return the numbers of the nearest known samples of each, (N, count), the nearest first.

    Args:
        rows: directions (N, F).
        known: directions (M, F).
        count: how many.
        apart: whether row i is known sample i, which is none of its own neighbors.
    """
    found = []
    for start in range(0, len(rows), _ROWS):
        alike = rows[start : start + _ROWS] @ known.T
        if apart:
            inner = np.arange(len(alike))
            alike[inner, start + inner] = -np.inf
        found.append(np.argpartition(-alike, range(count), axis=1)[:, :count])
    return np.concatenate(found)
