"""Which rows are for training, validation and test, and which of them are repeated or thinned."""

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from common import seeding
from common.errors import DataError


def split_rows(
    targets: Tensor,
    seed: int,
    validation: float = 0.1,
    test: float = 0.2,
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


def number_groups(*keys: Sequence[Hashable]) -> Tensor:
    """Number the groups of rows, (N,) int64; rows that share a value of any key are one group.

    Args:
        keys: of each row a value, such as the person it is of; None is shared by none.
    """
    number = len(keys[0])
    links: list[tuple[int, int]] = []
    nodes: dict[tuple[int, Hashable], int] = {}
    for place, column in enumerate(keys):
        for row, value in enumerate(column):
            if value is not None:
                links.append((row, number + nodes.setdefault((place, value), len(nodes))))
    return number_linked(number + len(nodes), links)[:number]


def number_linked(number: int, links: Sequence[tuple[int, int]]) -> Tensor:
    """Number the groups of so many rows, (N,) int64; linked rows, also by others, are one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links), bool), tuple(ends)), shape=(number, number))
    return torch.from_numpy(connected_components(graph, directed=False)[1]).long()


def split_groups(
    targets: Tensor, groups: Tensor, seed: int, validation: float = 0.1, test: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Split rows at random, as `split_rows` does, and keep those of a group in one part.

    Groups are drawn from the largest to the smallest; the chance of a part is the share of such
    rows that it still lacks. So the fractions are met as nearly as the sizes of groups allow. Where
    no group has two rows, the split is that of `split_rows`.

    Args:
        targets: (N,) int64 classes, or float32 numbers, which are split as one class.
        groups: (N,) int64, what each row belongs to, such as a person; see `number_groups`.
        seed: names the split.
        validation: the fraction for validation.
        test: the fraction for the test.

    Returns:
        Sorted row numbers for training, validation and test.

    Raises:
        DataError: a class is in too few groups for each part to have some of it.
    """
    _, numbers, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) == len(groups):
        return split_rows(targets, seed, validation, test)
    held, generator = (validation, test), seeding.generator(seed, seeding.ORDER)
    classes = torch.zeros_like(numbers) if targets.is_floating_point() else targets
    labels = torch.unique(classes, return_inverse=True)[1]
    counts = np.zeros((len(sizes), int(labels.max()) + 1))
    np.add.at(counts, (numbers.numpy(), labels.numpy()), 1)

    total = counts.sum(0)
    wanted = np.array([[max(1, round(part * n)) if part else 0 for n in total] for part in held])
    lacking = np.vstack([total - wanted.sum(0), wanted])
    order = torch.randperm(len(sizes), generator=generator)
    order = order[sizes[order].argsort(descending=True, stable=True)]
    draws = torch.rand(len(sizes), generator=generator).numpy()
    parts = torch.zeros(len(sizes), dtype=torch.int64)
    several = order[sizes[order] > 1].tolist()
    for group in several:
        share = counts[group] / total  # rows of a rare class count more, so that all parts get some
        lack = lacking.clip(0) @ share
        fits = lack * (lacking >= counts[group])[:, share > 0].all(1)
        chances = next(each for each in (fits, lack, np.eye(3)[0]) if each.any())
        ends = chances.cumsum() / chances.sum()
        parts[group] = part = int((ends[:-1] <= draws[group]).sum())
        lacking[part] -= counts[group]

    single = order[len(several) :]
    label_of = torch.from_numpy(counts.argmax(1))
    for label in range(len(total)):
        rows = single[label_of[single] == label]
        for part in (1, 2):
            number = int(lacking[part, label].clip(0))
            parts[rows[:number]], rows = part, rows[number:]
    placed = parts[numbers]
    _check_classes(labels, placed, 1 + sum(map(bool, held)))
    train, middle, last = ((placed == part).nonzero().flatten() for part in range(3))
    return train, middle, last


def _check_classes(labels: Tensor, placed: Tensor, parts: int) -> None:
    """Refuse a split in which a part has no row of a class."""
    for label in range(int(labels.max()) + 1):
        if len(set(placed[labels == label].tolist())) < parts:
            raise DataError(
                f"the {int((labels == label).sum()):,} samples of a class are in too few groups "
                "for training, validation and test to have one each; give another split seed, or "
                "more groups"
            )


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
