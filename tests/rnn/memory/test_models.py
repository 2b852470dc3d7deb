import math

import pytest
import torch

from labs.rnn.cells import CELLS
from labs.rnn.memory.models import Rememberer

each_cell = pytest.mark.parametrize("name", CELLS)


def build(name, **options):
    torch.manual_seed(0)
    return Rememberer(name, 3, 64, 2, **options)


def gate_bias(model, gate):
    cell = model.recurrent.layers[0][0].cell()
    place = cell.gate_names.index(gate)
    parts = len(cell.gate_names)
    return (cell.bias_ih.chunk(parts)[place] + cell.bias_hh.chunk(parts)[place]).detach()


@each_cell
def test_every_step_is_read_out_and_the_trace_says_the_same(name):
    model = build(name)
    x = torch.randn(4, 7, 3)
    read = model(x)
    traced, trace = model.trace(x)
    assert read.shape == (4, 7, 2)
    torch.testing.assert_close(traced, read, rtol=0, atol=1e-5)
    assert len(trace.steps) == 7


@pytest.mark.parametrize(("name", "gate"), [("lstm", "forget"), ("gru", "update")])
def test_chrono_keeps_states_for_up_to_as_many_steps(name, gate):
    kept = gate_bias(build(name, chrono=101), gate)
    lifetimes = 1 + kept.exp()  # of sigmoid(b), about 1 + exp(b) steps
    assert lifetimes.min() >= 2 - 1e-4
    assert lifetimes.max() <= 101 + 1e-3
    assert lifetimes.mean().item() == pytest.approx(51, abs=12)


def test_chrono_lets_an_lstm_write_as_much_less_as_it_keeps_more():
    model = build("lstm", chrono=50)
    torch.testing.assert_close(gate_bias(model, "input"), -gate_bias(model, "forget"))


@each_cell
def test_chrono_changes_nothing_but_the_gates_that_keep_and_write(name):
    without, with_chrono = build(name).state_dict(), build(name, chrono=50).state_dict()
    touched = {"rnn": 0, "lstm": 2, "gru": 1}[name]
    for key, values in without.items():
        same = (values == with_chrono[key]).flatten(1) if values.ndim > 1 else None
        if "bias" in key and "recurrent" in key:
            changed = (values != with_chrono[key]).view(-1, 64).any(1)
            assert int(changed.sum()) == touched
        elif same is not None:
            assert bool(same.all())


def test_chrono_of_the_shortest_sequences_is_finite():
    assert bool((gate_bias(build("lstm", chrono=2), "forget") == 0).all())
    assert math.isfinite(build("gru", chrono=2)(torch.zeros(1, 2, 3)).sum().item())
