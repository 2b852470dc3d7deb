"""Labels for samples that have none: of each fold by its own network, which never saw the fold.

A sample that is a copy of one that the fold holds out, or nearly, would tell its answer to the next
network, and is left out of that fold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from common.metrics.metrics import Array
from common.options import terminal
from common.runs.job import Outputs
from common.training.batches import close
from common.training.task import probabilities

HELD = ("validation", "test")  # the splits of a fold that its network does not learn from
_CHUNK = 256  # samples that are answered at a time


class Unlabelled(NamedTuple):
    """Samples without labels."""

    names: Sequence[str]  # (U,) or the texts themselves
    items: Any  # as the lab knows them
    take: Callable[[Sequence[int]], Any]  # those of some rows, as `Job.answers` takes them


class Held(NamedTuple):
    """What is known of a fold beside its network."""

    sketches: Sequence[Any]  # of what it holds out, by which copies are known
    learned: Array  # (C,) samples of each class that its network learned from
    epochs: int  # that it trained for, at the most
    updates: int  # that these are


class Labelled(NamedTuple):
    """What the network of a fold says of unlabelled samples."""

    rows: Array  # (n,) those that get a label
    classes: Array  # (n,)
    shares: Array  # (n,) probability of the class
    copies: int  # samples that are copies of held-out ones, or nearly


def look_at(job: Any, sketch: Callable[[Any], Any]) -> Held:
    """Return what is known of a fold.

    Args:
        job: of its network.
        sketch: returns by what copies of a split's samples are known.

    Raises:
        RunError: its data have changed.
    """
    splits = job.load_splits()
    updates = job.config.epochs * count_updates(job, splits["train"])
    learned = np.bincount(job.targets(splits["train"]), minlength=len(job.card.classes))
    return Held([sketch(splits[name]) for name in HELD], learned, job.config.epochs, updates)


def count_updates(job: Any, train: Any) -> int:
    """Return how many updates an epoch of a training split has."""
    batches = job.batches(train, training=True)
    number = len(batches)
    close(batches)
    return number


def find_held(numbers: Sequence[int], folds: Sequence[Held], unlabelled: int) -> list[Array]:
    """Return for each fold which of the unlabelled samples are copies of what it holds out, (U,).

    Args:
        numbers: of what is held out by the folds, one after the other, and behind it of the
            unlabelled samples; copies share one.
        folds: of each, what it holds out.
        unlabelled: how many samples have no labels, U.
    """
    every = np.array(numbers)
    known, theirs = np.split(every, [len(every) - unlabelled])
    ends = np.cumsum([sum(map(len, fold.sketches)) for fold in folds])
    return [np.isin(theirs, mine) for mine in np.split(known, ends[:-1])]


def label(
    jobs: Mapping[str, Any], unlabelled: Unlabelled, held: Sequence[Array], threshold: float
) -> dict[str, Labelled]:
    """Let the network of each fold label the samples of which it is sure.

    Args:
        jobs: of the networks, by the fold.
        unlabelled: the samples.
        held: of each fold, which of them are copies of what it holds out, (U,).
        threshold: the probability from which on a network is sure.

    Raises:
        RunError: weights are missing.
        DataError: a sample can no longer be read.
    """
    number, found = len(unlabelled.names), {}
    with terminal.progress_bar(f"labelling {number:,} samples by {len(jobs)} networks") as bar:
        for done, ((name, job), copies) in enumerate(zip(jobs.items(), held, strict=True)):
            job.load_best()

            def move(share: float, done: int = done) -> None:
                bar.move((done + share) / len(jobs))

            shares = _answer(job, unlabelled, move)
            sure, best = shares.max(1), shares.argmax(1)
            rows = np.flatnonzero((sure >= threshold) & ~copies)
            found[name] = Labelled(rows, best[rows], sure[rows], int(copies.sum()))
    return found


def _answer(job: Any, unlabelled: Unlabelled, move: Callable[[float], None]) -> Array:
    """Return the probabilities of the classes, (U, C)."""
    number, shares = len(unlabelled.names), []
    for start in range(0, number, _CHUNK):
        end = min(number, start + _CHUNK)
        outputs: Outputs = job.answers(unlabelled.take(range(start, end)))
        logits: Tensor = outputs["outputs"]
        shares.append(probabilities(logits))
        move(end / number)
    return np.concatenate(shares)
