"""Networks as lists of operations; that a browser computes them right is tested in one."""

import base64

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from common.errors import RunError
from common.live import program
from common.live.program import INPUT


class Residual(nn.Module):
    """A block with what stands between modules."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.drop = nn.Dropout()

    def forward(self, maps):
        padded = functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2))
        return functional.relu(self.drop(self.conv(maps))[:, :, ::2, ::2] + padded)


def test_a_network_becomes_its_operations_in_their_order():
    steps = program.trace(Residual().eval())
    assert [step.operation for step in steps] == [
        *("slice", "slice", "pad", "conv2d", "slice", "slice", "add", "activation")
    ]
    assert steps[0].inputs == [INPUT]
    assert steps[3].inputs == [INPUT]
    assert steps[3].name == "conv"
    assert steps[6].inputs == [5, 2]
    assert steps[2].attributes == {"dimension": 0, "before": 0, "after": 2}


def test_weights_are_one_block_in_the_order_of_the_steps():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).eval()
    dumped = program.dump(program.trace(model))
    block = np.frombuffer(base64.b64decode(dumped["weights"]), "<f4")
    places = dumped["steps"][1]["weights"]
    assert dumped["bits"] == 32
    assert places == {"weight": {"shape": [2, 3], "start": 0}, "bias": {"shape": [2], "start": 6}}
    np.testing.assert_array_equal(block[:6].reshape(2, 3), model[1].weight.detach().numpy())


def test_many_weights_have_half_the_bits_and_are_near_what_they_were():
    model = nn.Sequential(nn.Flatten(), nn.Linear(1000, 500)).eval()
    dumped = program.dump(program.trace(model))
    assert dumped["bits"] == 16
    assert len(base64.b64decode(dumped["integers"])) == 2 * 1000 * 500
    floats = np.frombuffer(base64.b64decode(dumped["weights"]), "<f4")
    np.testing.assert_array_equal(floats[500:], model[1].bias.detach().numpy())
    weight = model[1].weight.detach().numpy()
    whole, factors = program.round_rows(weight)
    np.testing.assert_array_equal(floats[:500], factors[:, 0])
    assert np.abs(whole * factors - weight).max() <= 1.6e-5 * np.abs(weight).max()


def test_integers_of_twelve_bits_are_two_characters_each():
    model = nn.Sequential(nn.Flatten(), nn.Linear(801, 501)).eval()  # an odd number of weights
    dumped = program.dump(program.trace(model), 12)
    assert dumped["bits"] == 12
    whole, factors = program.round_rows(model[1].weight.detach().numpy(), 12)
    assert np.abs(whole).max() == 2047
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert len(dumped["integers"]) == 2 * (801 * 501 + 1)
    for number in (0, 1, 800, 801 * 501 - 1):
        high, low = map(digits.index, dumped["integers"][2 * number : 2 * number + 2])
        assert 64 * high + low - 2048 == whole.ravel()[number]
    weight = model[1].weight.detach().numpy()
    assert np.abs(whole * factors - weight).max() <= 2.5e-4 * np.abs(weight).max()


def test_few_weights_keep_all_their_bits_whatever_is_asked():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).eval()
    assert program.dump(program.trace(model), 12)["bits"] == 32


def test_rows_of_zeros_stay_zeros():
    whole, factors = program.round_rows(np.float32([[[0, 0]], [[3, -1]]]))
    np.testing.assert_allclose(whole * factors, [[[0, 0]], [[3, -1]]], atol=1e-4)


class Branching(nn.Module):
    """A network whose way depends on what it is given."""

    def forward(self, maps):
        return maps if maps.sum() > 0 else -maps


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        (Branching(), "depends on its input"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect")), "reflect"),
        (nn.Sequential(nn.Flatten(0, 1)), "dimensions 0 to 1"),
        (nn.Sequential(nn.GELU("tanh")), "approximated"),
        (nn.Sequential(nn.MaxPool2d(2, dilation=2)), "dilation"),
    ],
)
def test_what_the_page_cannot_compute_is_refused_by_name(model, cause):
    with pytest.raises(RunError, match=cause):
        program.trace(model.eval())


def test_a_function_that_is_not_known_is_refused_by_name():
    class Turned(nn.Module):
        def forward(self, maps):
            return torch.fft.fft(maps)

    with pytest.raises(RunError, match="fft"):
        program.trace(Turned().eval())
