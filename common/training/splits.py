"""Which rows are for training, validation and test, and which of them are repeated or thinned."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common import seeding
from common.errors import DataError
from common.options.config import FoldConfig
from common.reuse import reusable

_DRAWS = 20  # of groups into parts, until each part has all classes


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

    Example:
        >>> targets = torch.tensor([0] * 80 + [1] * 20)
        >>> train, validation, test = split_rows(targets, seed=0)
        >>> len(train), len(validation), len(test)
        (70, 10, 20)
        >>> targets[test].bincount()
        tensor([16,  4])
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

    Example:
        >>> person = torch.arange(50).repeat_interleave(4)  # four photos of each of fifty people
        >>> parts = split_groups(torch.zeros(200, dtype=torch.int64), person, seed=0)
        >>> people = [set(person[rows].tolist()) for rows in parts]
        >>> people[0] & people[2]
        set()
    """
    if len(torch.unique(groups)) == len(groups):
        return split_rows(targets, seed, validation, test)
    held, labels = (validation, test), _number_classes(targets)
    total = np.bincount(labels)
    wanted = np.array([[max(1, round(part * n)) if part else 0 for n in total] for part in held])
    lacking = np.vstack([total - wanted.sum(0), wanted])
    needed = [0, *(place for place in (1, 2) if held[place - 1])]
    placed = _place_all(labels, groups, lacking, seed, needed, _fill_parts)
    if placed is None:
        raise DataError(
            "the samples of a class are in too few groups for training, validation and test to "
            "have one each; give another split seed, or more groups"
        )
    train, middle, last = ((placed == part).nonzero().flatten() for part in range(3))
    return train, middle, last


def split_fold(
    targets: Tensor,
    groups: Tensor,
    seed: int,
    folds: int,
    fold: int,
    validation: float = 0.1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Split rows into one of several folds, which tests, and all others, which train.

    Args:
        targets: (N,) int64 classes, or float32 numbers, which are split as one class.
        groups: (N,) int64, what each row belongs to; a group is in one fold.
        seed: names the folds.
        folds: how many there are.
        fold: which one tests, from 1 on.
        validation: the fraction of the rows of the other folds that validates.

    Returns:
        Sorted row numbers for training, validation and test.

    Raises:
        DataError: a class, or the groups, are too few for so many folds.
    """
    numbers = number_folds(targets, groups, seed, folds)
    rest = (numbers != fold - 1).nonzero().flatten()
    train, middle, _ = split_groups(targets[rest], groups[rest], seed, validation, 0.0)
    return rest[train], rest[middle], (numbers == fold - 1).nonzero().flatten()


@reusable(
    lambda targets, groups, seed, folds: (
        *(each.numpy().tobytes() for each in (targets, groups)),
        *(seed, folds),
    )
)
def number_folds(targets: Tensor, groups: Tensor, seed: int, folds: int) -> Tensor:
    """Return the fold of each row, (N,) int64 from 0 on; each has a like share of each class.

    Args:
        targets: (N,) int64 classes, or float32 numbers, which are split as one class.
        groups: (N,) int64, what each row belongs to; a group is in one fold.
        seed: names the folds.
        folds: how many there are.

    Raises:
        DataError: there are fewer groups, or of a class fewer rows, than folds; or a group holds
            half of the rows.
    """
    labels = _number_classes(targets)
    sizes, total = torch.bincount(torch.unique(groups, return_inverse=True)[1]), np.bincount(labels)
    if len(sizes) < folds:
        raise DataError(f"{len(sizes)} groups are too few for {folds} folds: give fewer --folds")
    if total.min() < folds:
        raise DataError(
            f"a class has {total.min()} samples, too few for {folds} folds: give fewer --folds, or "
            "leave the class out"
        )
    largest, half = int(sizes.max()), len(groups) / 2
    if largest > half or (largest == half and folds > 2):  # of two folds, each is a half
        raise DataError(
            f"one group has {largest:,} of the {len(groups):,} samples: folds without it "
            "would say nothing of it; give a finer --group-column, or leave the group out"
        )
    equal = np.tile(total / folds, (folds, 1))
    placed = _place_all(labels, groups, equal, seed, range(folds), _deal_to_folds)
    if placed is None:
        raise DataError(
            f"the samples of a class are in too few groups for each of {folds} folds to have some: "
            "give fewer --folds, or another --split-seed"
        )
    return placed


def split_as(
    config: FoldConfig,
    targets: Tensor,
    groups: Tensor | None = None,
    validation: float = 0.1,
    test: float = 0.2,
) -> tuple[Tensor, Tensor, Tensor]:
    """Split rows as a config says: by fractions or folds, of training perhaps only a share.

    Args:
        config: the seeds, the fold and the share.
        targets: (N,) int64 classes, or float32 numbers, which are split as one class.
        groups: (N,) int64, what each row belongs to; each to itself when None.
        validation: the fraction for validation.
        test: the fraction for the test, where there are no folds.

    Returns:
        Sorted row numbers for training, validation and test.

    Raises:
        DataError: a class, or the groups, are too few.
    """
    groups = torch.arange(len(targets)) if groups is None else groups
    if config.folds is None or config.fold is None:
        rows = split_groups(targets, groups, config.split_seed, validation, test)
    else:
        rows = split_fold(targets, groups, config.split_seed, config.folds, config.fold, validation)
    train, middle, last = rows
    if config.share < 1:
        train = train[share_rows(targets[train], groups[train], config.share, config.seed)]
    if config.bootstrap and not config.all_rows:  # else of those rows, too
        train = train[bootstrap_rows(targets[train], groups[train], config.seed)]
    return train, middle, last


def share_rows(targets: Tensor, groups: Tensor, share: float, seed: int) -> Tensor:
    """Choose a share of the rows at random, each class by itself, groups whole; sorted.

    With another share the rows are more or fewer of the same ones.

    Args:
        targets: (N,) int64 classes, or float32 numbers, which are one class.
        groups: (N,) int64, what each row belongs to; a group counts for its most frequent class.
        share: of the rows, above 0, at most 1; of each class at least one group is taken.
        seed: names the choice.
    """
    numbers, counts = _count_classes(targets, groups)
    order = torch.randperm(len(counts), generator=seeding.generator(seed, seeding.ORDER)).numpy()
    sizes, label_of = counts.sum(1), counts.argmax(1)
    taken = np.zeros(len(counts), bool)
    for label in range(counts.shape[1]):
        mine = order[label_of[order] == label]
        before = sizes[mine].cumsum() - sizes[mine]
        taken[mine] = before + sizes[mine] / 2 <= share * sizes[mine].sum()
        taken[mine[:1]] = True
    return torch.from_numpy(np.flatnonzero(taken[numbers]))


def bootstrap_rows(targets: Tensor, groups: Tensor, seed: int) -> Tensor:
    """Draw as many groups of each class as there are, with replacement; their rows, sorted.

    What each member of bagging learns from (Breiman 1996, "Bagging predictors", section 2); each
    class is drawn by itself, so that none is lost.

    Args:
        targets: (N,) int64 classes, or float32 numbers, which are one class.
        groups: (N,) int64, what each row belongs to; a group counts for its most frequent class.
        seed: names the draw.
    """
    numbers, counts = _count_classes(targets, groups)
    label_of, times = counts.argmax(1), np.zeros(len(counts), np.int64)
    stream = seeding.generator(seed, seeding.BOOTSTRAP)
    for label in range(counts.shape[1]):
        mine = np.flatnonzero(label_of == label)
        if len(mine):
            drawn = torch.randint(len(mine), (len(mine),), generator=stream).numpy()
            times[mine] = np.bincount(drawn, minlength=len(mine))
    return torch.from_numpy(np.repeat(np.arange(len(numbers)), times[numbers]))


def _count_classes(
    targets: Tensor, groups: Tensor
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the number of each row's group, (N,), and the rows of each group and class, (G, C)."""
    labels = _number_classes(targets)
    numbers = torch.unique(groups, return_inverse=True)[1].numpy()
    counts = np.zeros((numbers.max() + 1, labels.max() + 1))
    np.add.at(counts, (numbers, labels), 1)
    return numbers, counts


def _number_classes(targets: Tensor) -> NDArray[np.int64]:
    """Number the classes that there are from 0 on, (N,); numbers are all of one class."""
    if targets.is_floating_point():
        return np.zeros(len(targets), np.int64)
    return np.asarray(torch.unique(targets, return_inverse=True)[1].numpy(), np.int64)


class _Placed(NamedTuple):
    """Groups of several rows in their parts, and those of one row still to be placed."""

    parts: Tensor  # (G,) the part of each group; 0 for those still to be placed
    numbers: Tensor  # (N,) the group of each row
    lacking: NDArray[np.float64]  # (parts, classes) rows that each part still lacks
    single: tuple[Tensor, ...]  # of each class its groups of one row, in random order


def _place_all(
    labels: NDArray[np.int64],
    groups: Tensor,
    lacking: NDArray[np.float64],
    seed: int,
    needed: Iterable[int],
    finish: Callable[[_Placed], Tensor],
) -> Tensor | None:
    """Return the part of each row, (N,); None where no draw gives all classes to those that need.

    The arguments are those of `_place_groups`, the parts that need a row of every class, and what
    places the groups of one row. Of few groups a draw may well leave a part without a class, so
    there are several.
    """
    wanted = list(needed)
    for attempt in range(_DRAWS):
        placed = finish(_place_groups(labels, groups, lacking, seed, attempt))
        if _all_have(labels, placed, wanted):
            return placed
    return None


def _place_groups(
    labels: NDArray[np.int64],
    groups: Tensor,
    lacking: NDArray[np.float64],
    seed: int,
    attempt: int,
) -> _Placed:
    """Draw a part for each group of several rows; see `split_groups`.

    Args:
        labels: (N,) classes from 0 on.
        groups: (N,) what each row belongs to.
        lacking: (parts, classes) rows that each part is to have.
        seed: names the draws.
        attempt: which of them.
    """
    keys = [seed, seeding.ORDER, *([attempt] if attempt else [])]
    lacking, generator = lacking.astype(np.float64), seeding.generator(*keys)
    _, numbers, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    total = np.bincount(labels)
    counts = np.zeros((len(sizes), len(total)))
    np.add.at(counts, (numbers.numpy(), labels), 1)
    order = torch.randperm(len(sizes), generator=generator)
    order = order[sizes[order].argsort(descending=True, stable=True)]
    draws = torch.rand(len(sizes), generator=generator).numpy()
    parts = torch.zeros(len(sizes), dtype=torch.int64)
    several = order[sizes[order] > 1].tolist()
    for group in several:
        share = counts[group] / total  # rows of a rare class count more, so that all parts get some
        lack = lacking.clip(0) @ share
        fits = lack * (lacking >= counts[group])[:, share > 0].all(1)
        chances = next(each for each in (fits, lack, np.eye(len(lack))[0]) if each.any())
        ends = chances.cumsum() / chances.sum()
        parts[group] = part = int((ends[:-1] <= draws[group]).sum())
        lacking[part] -= counts[group]
    single, label_of = order[len(several) :], torch.from_numpy(counts.argmax(1))
    by_label = tuple(single[label_of[single] == label] for label in range(len(total)))
    return _Placed(parts, numbers, lacking, by_label)


def _fill_parts(placed: _Placed) -> Tensor:
    """Give each part but the first the single rows that it lacks; returns the part of each row."""
    for label, rows in enumerate(placed.single):
        for part in range(1, len(placed.lacking)):
            number = int(placed.lacking[part, label].clip(0))
            placed.parts[rows[:number]], rows = part, rows[number:]
    return placed.parts[placed.numbers]


def _deal_to_folds(placed: _Placed) -> Tensor:
    """Give each single row to the fold that lacks its class most; returns the fold of each row."""
    lacking = placed.lacking
    for label, rows in enumerate(placed.single):
        for row in rows.tolist():
            fold = int((lacking[:, label] + lacking.sum(1) / len(placed.numbers)).argmax())
            placed.parts[row] = fold
            lacking[fold, label] -= 1
    return placed.parts[placed.numbers]


def _all_have(labels: NDArray[np.int64], placed: Tensor, parts: Iterable[int]) -> bool:
    """Say whether each of some parts has a row of every class."""
    needed = set(parts)
    every = range(int(labels.max()) + 1)
    return all(needed <= set(placed.numpy()[labels == label].tolist()) for label in every)


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
