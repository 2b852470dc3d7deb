import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from common.errors import NonFiniteError
from common.training.means import Means, Part

GOOD, SKIPPED = torch.tensor(0.0), torch.tensor(1.0)


def part(mean, weight=1.0, name="loss"):
    return Part(name, torch.tensor(mean), weight)


def test_means_are_weighed_by_their_items():
    means = Means({})
    means.add(0, 0, [part(1.0, 3.0), part(4.0, torch.tensor(1.0))], GOOD)
    assert means.fetch() == {"loss": 7 / 4}
    means.add(0, 1, [part(2.0, 4)], GOOD)
    assert means.fetch() == {"loss": 15 / 8}


def test_parts_have_means_and_weights_of_their_own_and_loss_is_their_sum():
    means = Means({})
    means.add(0, 0, [part(1.0, 2, "box"), part(10.0, 1, "class")], GOOD)
    means.add(0, 1, [part(4.0, 1, "box"), part(20.0, 4, "class")], GOOD)
    assert means.fetch() == {"box": 2.0, "class": 18.0, "loss": 20.0}


def test_sums_do_not_depend_on_when_they_are_fetched_or_taken_over():
    generator = torch.Generator().manual_seed(0)
    draws = [(torch.rand((), generator=generator), n % 3 + 1) for n in range(50)]
    at_once, often = Means({}), Means({})
    for update, (mean, weight) in enumerate(draws):
        at_once.add(0, update, [Part("loss", mean, weight)], GOOD)
        often = Means({name: list(pair) for name, pair in often.sums.items()})
        often.add(0, update, [Part("loss", mean, weight)], GOOD)
        often.fetch()
    assert at_once.fetch() == often.fetch()
    assert at_once.sums == often.sums


def test_many_small_numbers_add_up():
    """In float32 the sum would stop growing at 2^24."""
    means = Means({"loss": [2.0**24, 2.0**24]})
    for update in range(8):
        means.add(0, update, [part(1.0)], GOOD)
    means.fetch()
    assert means.sums == {"loss": [2.0**24 + 8, 2.0**24 + 8]}


def test_before_the_first_step_there_is_nothing():
    assert Means({}).fetch() == {"loss": 0}


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "nan"), (math.inf, "inf")])
@pytest.mark.parametrize("scaling", [False, True])
def test_a_loss_that_is_not_a_number_is_an_error_that_names_its_step(value, shown, scaling):
    means = Means({}, scaling)
    means.add(2, 6, [part(1.0), part(1.0, 1, "kl")], GOOD)
    means.add(2, 7, [part(1.0), part(value, 1, "kl")], SKIPPED)
    means.add(2, 8, [part(math.nan), part(1.0, 1, "kl")], SKIPPED)
    with pytest.raises(NonFiniteError, match=rf"^kl is {shown} in epoch 3, batch 8; that step"):
        means.fetch()


def test_a_gradient_that_is_not_finite_is_an_error_unless_a_loss_scale_adapts():
    for scaling in (True, False):
        means = Means({}, scaling)
        means.add(0, 0, [part(3.0)], GOOD)
        means.add(0, 4, [part(1.0)], SKIPPED)
        if scaling:
            assert means.fetch() == {"loss": 2.0}
    with pytest.raises(NonFiniteError, match="the gradient is not finite in epoch 1, batch 5"):
        means.fetch()


@pytest.mark.parametrize("alone", [True, False])
def test_one_of_several_processes_says_that_it_has_not_seen_all_data(alone):
    means = Means({}, alone=alone)
    means.add(0, 0, [part(math.nan)], SKIPPED)
    with pytest.raises(NonFiniteError) as raised:
        means.fetch()
    assert ("a process looks at its own part alone" in str(raised.value)) != alone


class NothingIsComputed(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        raise AssertionError(f"{function} was called")


def test_to_add_asks_nothing_of_the_device():
    means, parts = Means({}), [part(1.0, torch.tensor(2.0))]
    with NothingIsComputed():
        means.add(0, 0, parts, GOOD)
    assert means.fetch() == {"loss": 1.0}


def test_a_gradient_that_no_loss_scale_can_mend_is_an_error():
    means = Means({}, scaling=True)
    for update in range(50):
        means.add(0, update, [Part("loss", torch.tensor(1.0), 1)], torch.ones(()))
    means.fetch()  # a loss scale may still adapt
    means.add(0, 50, [Part("loss", torch.tensor(1.0), 1)], torch.ones(()))
    with pytest.raises(NonFiniteError, match="epoch 1, batch 51"):
        means.fetch()


def test_a_good_step_between_skips_begins_the_count_again():
    means = Means({}, scaling=True)
    for update in range(200):
        skipped = torch.tensor(float(update % 40 != 0))
        means.add(0, update, [Part("loss", torch.tensor(1.0), 1)], skipped)
    assert means.fetch()["loss"] == 1.0
