import itertools

import pytest
import torch

from common.errors import DataError
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
