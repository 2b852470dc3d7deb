import itertools

import pytest
import torch

from common import seeding


@pytest.mark.parametrize(
    ("seed", "first_output"), [(0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)]
)
def test_the_finaliser_is_the_published_splitmix64(seed, first_output):
    """Its first output is the mixed sum of the seed and the golden ratio."""
    state = seed + 0x9E3779B97F4A7C15
    assert seeding.derive(state - 6364136223846793005) == first_output >> 1


def test_values_never_change():
    """Another value here would change every past run's order, augmentation and dropout."""
    assert seeding.derive() == 3119036373970289394
    assert seeding.derive(0, 0) == 2470142532566640689
    assert seeding.derive(1, 2, 3) == 9117460681113331150


def test_keys_give_seeds_of_their_own():
    few = range(12)
    grid = [
        *itertools.product(few),
        *itertools.product(few, few),
        *itertools.product(few, few, few),
    ]
    seeds = {seeding.derive(*keys) for keys in grid}
    assert len(seeds) == len(grid)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_keys_may_be_negative_or_large():
    seeds = [seeding.derive(key) for key in (-1, -2, 2**63, 2**64 - 3)]
    assert len(set(seeds)) == 4
    torch.Generator().manual_seed(max(seeds))


def test_near_keys_differ_in_half_of_their_bits():
    pairs = [(seeding.derive(key, 5), seeding.derive(key + 1, 5)) for key in range(200)]
    flips = [(one ^ other).bit_count() for one, other in pairs]
    assert abs(sum(flips) / len(flips) - 31.5) < 1.5


def test_generators_start_anew_and_leave_the_global_one_alone():
    before = torch.get_rng_state()
    draws = [torch.rand(5, generator=seeding.generator(4, 2)) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_order_has_each_row_once():
    order = seeding.permutation(3, 1, 100)
    assert order.sort().values.tolist() == list(range(100))
    assert torch.equal(order, seeding.permutation(3, 1, 100))
    assert not torch.equal(order, seeding.permutation(3, 2, 100))
    assert not torch.equal(order, seeding.permutation(4, 1, 100))


def test_tables_of_numbers_are_uniform_and_their_own():
    table = seeding.uniforms(3, 1, 2000, 4)
    assert table.shape == (2000, 4)
    assert table.min() >= 0
    assert table.max() < 1
    assert torch.allclose(table.mean(0), torch.full((4,), 0.5), atol=0.03)
    assert not torch.equal(table, seeding.uniforms(3, 2, 2000, 4))


def test_order_and_numbers_of_an_epoch_are_not_drawn_from_the_same_stream():
    assert seeding.derive(0, seeding.ORDER, 1) != seeding.derive(0, seeding.AUGMENT, 1)
