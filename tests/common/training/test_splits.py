import itertools

import pytest
import torch

from common.errors import DataError
from common.options.config import FoldConfig
from common.training import splits
from common.training.splits import number_groups, split_groups, split_rows


def test_groups_stay_whole_and_the_shares_hold():
    generator = torch.Generator().manual_seed(0)
    groups = torch.randint(0, 150, (1000,), generator=generator)
    targets = torch.randint(0, 3, (1000,), generator=generator)
    parts = split_groups(targets, groups, 0)
    assert torch.cat(parts).sort().values.equal(torch.arange(1000))
    seen = [set(groups[rows].tolist()) for rows in parts]
    assert not any(one & other for one, other in itertools.combinations(seen, 2))
    assert [len(rows) / 1000 for rows in parts] == pytest.approx([0.7, 0.1, 0.2], abs=0.02)
    for rows in parts:
        shares = targets[rows].bincount() / len(rows)
        assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.1)
    again, other = split_groups(targets, groups, 0), split_groups(targets, groups, 1)
    assert all(map(torch.equal, parts, again))
    assert not torch.equal(parts[2], other[2])


def test_a_group_for_each_row_splits_as_without_groups():
    targets = torch.arange(100) % 4
    for one, other in zip(
        split_groups(targets, torch.arange(100).flip(0), 3), split_rows(targets, 3), strict=True
    ):
        assert torch.equal(one, other)


def test_parts_that_are_not_wanted_stay_empty():
    groups = torch.arange(60) // 3
    train, validation, test = split_groups(torch.zeros(60), groups, 0, test=0.0)
    assert (len(train), len(validation), len(test)) == (54, 6, 0)


def test_a_class_in_too_few_groups_is_refused():
    with pytest.raises(DataError, match="too few groups"):
        split_groups(torch.tensor([0] * 50 + [1] * 50), torch.arange(100).clamp(min=60), 0)


def test_rows_that_share_a_value_of_any_key_are_one_group():
    found = number_groups(["a", "b", "a", "c", "d", None, None], [None, 1, 2, 1, None, 2, None])
    first = [found.tolist().index(number) for number in found.tolist()]
    assert first == [0, 1, 0, 1, 4, 0, 6]


def imbalanced(rows=200, classes=4, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(classes, (rows,), generator=generator).square() % classes


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_each_row_is_in_one_fold_and_each_fold_has_a_like_share_of_each_class(folds):
    targets = imbalanced()
    numbers = splits.number_folds(targets, torch.arange(200), 0, folds)
    sizes = torch.bincount(numbers, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for label in targets.unique():
        of_class = torch.bincount(numbers[targets == label], minlength=folds)
        assert of_class.max() - of_class.min() <= 1


def test_a_group_is_in_one_fold_and_folds_stay_alike():
    targets, groups = imbalanced(), torch.arange(200) // 3
    numbers = splits.number_folds(targets, groups, 1, 5)
    assert all(len(numbers[groups == group].unique()) == 1 for group in groups.unique())
    assert torch.bincount(numbers).tolist() == pytest.approx([40] * 5, abs=4)


def test_the_folds_of_a_config_test_all_rows_once_and_train_on_the_others():
    targets, groups = imbalanced(), torch.arange(200) // 2
    tested = []
    for fold in range(1, 5):
        config = FoldConfig(folds=4, fold=fold)
        train, validation, test = splits.split_as(config, targets, groups)
        assert sorted(torch.cat([train, validation, test]).tolist()) == list(range(200))
        held = {*groups[train].tolist(), *groups[validation].tolist()}
        assert not held & {*groups[test].tolist()}
        assert len(validation) == pytest.approx(15, abs=2)
        tested += test.tolist()
    assert sorted(tested) == list(range(200))


def test_of_two_folds_each_may_be_a_single_group():
    numbers = splits.number_folds(torch.arange(40) % 2, torch.arange(40) // 20, 0, 2)
    assert torch.bincount(numbers).tolist() == [20, 20]


@pytest.mark.parametrize(
    ("targets", "groups", "folds", "words"),
    [
        (torch.tensor([0] * 20 + [1] * 3), torch.arange(23), 5, "a class has 3 samples"),
        (torch.zeros(20), torch.arange(20) // 5, 5, "4 groups are too few for 5 folds"),
        (torch.zeros(20), torch.arange(20).clip(0, 8), 3, "one group has 12 of the 20"),
        (torch.zeros(20), torch.arange(20).clip(0, 10), 3, "one group has 10 of the 20"),
    ],
)
def test_too_many_folds_are_refused(targets, groups, folds, words):
    with pytest.raises(DataError, match=words):
        splits.number_folds(targets, groups, 0, folds)


def test_smaller_shares_are_parts_of_larger_ones_with_whole_groups():
    targets, groups = imbalanced(), torch.arange(200) // 2
    before = torch.tensor([], dtype=torch.int64)
    for share in (0.05, 0.3, 0.5, 0.9, 1.0):
        rows = splits.share_rows(targets, groups, share, 0)
        assert {*before.tolist()} <= {*rows.tolist()}
        assert len(rows) == pytest.approx(200 * share, abs=8)
        assert {*targets[rows].tolist()} == {*targets.tolist()}
        assert all((groups[rows] == group).sum() == 2 for group in groups[rows].unique())
        before = rows
    assert len(before) == 200


def test_a_bootstrap_draws_whole_groups_of_each_class():
    targets, groups = imbalanced()[::2].repeat_interleave(2), torch.arange(200) // 2
    rows = splits.bootstrap_rows(targets, groups, 0)
    assert len(rows) == 200
    times = torch.bincount(rows, minlength=200).view(-1, 2)
    assert (times[:, 0] == times[:, 1]).all()
    assert times.max() > 2
    assert (times[:, 0] > 0).float().mean() == pytest.approx(0.632, abs=0.08)
    assert torch.equal(torch.bincount(targets[rows]), torch.bincount(targets))
    assert torch.equal(rows, splits.bootstrap_rows(targets, groups, 0))
    assert not torch.equal(rows, splits.bootstrap_rows(targets, groups, 1))
