"""Which rows are for training, validation and test, and which of them are repeated or thinned."""

import torch
from torch import Tensor

from common import seeding
from common.errors import DataError


def split_rows(
    targets: Tensor, seed: int, validation: float = 0.1, test: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Split rows at random, each class by itself where targets are classes.

    Args:
        targets: (N,) int64 classes, or float32 numbers, which are split as one class.
        seed: names the split.
        validation: the fraction of each class for validation, at least one row unless it is 0.
        test: the fraction of each class for the test, at least one row unless it is 0.

    Returns:
        Sorted row numbers for training, validation and test.

    Raises:
        DataError: a class has fewer rows than there are parts.
    """
    generator = seeding.generator(seed, seeding.ORDER)
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for rows in _rows_by_class(targets):
        counts = [max(1, round(part * len(rows))) if part else 0 for part in (validation, test)]
        if len(rows) <= sum(counts):
            raise DataError(
                f"a class has {len(rows)} sample(s); training, validation and test need one each"
            )
        rows = rows[torch.randperm(len(rows), generator=generator)]
        pieces = torch.split(rows, [len(rows) - sum(counts), *counts])
        for part, piece in zip(parts, pieces, strict=True):
            part.append(piece)
    train, middle, last = (torch.cat(part).sort().values for part in parts)
    return train, middle, last


def sample_rows(targets: Tensor, number: int, seed: int, at_least: int = 3) -> Tensor:
    """Choose about `number` rows at random, each class by its share; sorted."""
    generator = seeding.generator(seed, seeding.ORDER, number)
    chosen = []
    for rows in _rows_by_class(targets):
        wanted = max(at_least, round(number * len(rows) / len(targets)))
        chosen.append(rows[torch.randperm(len(rows), generator=generator)[:wanted]])
    return torch.cat(chosen).sort().values


def thinned_rows(
    targets: Tensor, classes: int, seed: int, most: int | None = None, ratio: float = 1.0
) -> Tensor:
    """Choose rows at random so that classes become small, and unequal; sorted.

    With another `most` or `ratio`, the rows of a class are more or fewer of the same ones.

    Args:
        targets: (N,) int64 classes.
        classes: how many there are, C.
        seed: names the choice.
        most: rows of each class; one that has fewer keeps them all. None for no limit.
        ratio: how many times as large a share of its rows the first class keeps as the last does.
            Class i keeps ratio^(-i / (C - 1)) of them, and at least one row (Cui et al. 2019,
            "Class-Balanced Loss Based on Effective Number of Samples", section 5.1).
    """
    generator = seeding.generator(seed, seeding.ORDER)
    chosen = []
    for number in range(classes):
        rows = (targets == number).nonzero().flatten()
        size = len(rows) if most is None else min(most, len(rows))
        kept = max(1, round(size * ratio ** (-number / max(1, classes - 1))))
        chosen.append(rows[torch.randperm(len(rows), generator=generator)[:kept]])
    return torch.cat(chosen).sort().values


def repeated_rows(targets: Tensor) -> Tensor:
    """Return rows to repeat, (M,), so that each of the classes (N,) has as many as the largest.

    The rows of a class are gone through again and again, so none comes more than once more often
    than another.
    """
    groups = _rows_by_class(targets)
    largest = max(map(len, groups))
    missing = (torch.arange(largest - len(rows)) % len(rows) for rows in groups)
    return torch.cat([rows[more] for rows, more in zip(groups, missing, strict=True)])


def _rows_by_class(targets: Tensor) -> list[Tensor]:
    if targets.is_floating_point():
        return [torch.arange(len(targets))]
    classes = sorted(set(targets.tolist()))
    return [(targets == value).nonzero().flatten() for value in classes]
