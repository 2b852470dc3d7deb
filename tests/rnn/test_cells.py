import copy

import pytest
import torch
from torch import nn

from labs.rnn.cells import CELLS, LSTMCell

BATCH, INPUTS, HIDDEN = 4, 3, 5
TORCH_CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
TORCH_LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

each_cell = pytest.mark.parametrize("name", CELLS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random_state(cell, batch=BATCH):
    return tuple(torch.randn(batch, HIDDEN) for _ in cell.state_names)


def as_torch(state):
    return state if len(state) > 1 else state[0]


def as_ours(state):
    return state if isinstance(state, tuple) else (state,)


@each_cell
def test_step_and_gradients_equal_torchs(name):
    reference, cell = TORCH_CELLS[name](INPUTS, HIDDEN), CELLS[name](INPUTS, HIDDEN)
    cell.load_state_dict(reference.state_dict())
    x, state = torch.randn(BATCH, INPUTS), random_state(cell)
    ours = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for part in state)]
    theirs = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for part in state)]
    after = cell(ours[0], tuple(ours[1:]))
    expected = as_ours(reference(theirs[0], as_torch(tuple(theirs[1:]))))
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-6)

    weights = [torch.randn_like(part) for part in after]
    inner = sum((part * weight).sum() for part, weight in zip(after, weights, strict=True))
    outer = sum((part * weight).sum() for part, weight in zip(expected, weights, strict=True))
    torch.testing.assert_close(
        torch.autograd.grad(inner, [*ours, *cell.parameters()]),
        torch.autograd.grad(outer, [*theirs, *reference.parameters()]),
        rtol=0,
        atol=1e-6,
    )


@each_cell
def test_takes_the_weights_of_a_layer_of_torchs_module(name):
    layers, cell = TORCH_LAYERS[name](INPUTS, HIDDEN, num_layers=2), CELLS[name](HIDDEN, HIDDEN)
    weights = {k.removesuffix("_l1"): v for k, v in layers.state_dict().items() if "_l1" in k}
    cell.load_state_dict(weights)
    only = TORCH_LAYERS[name](HIDDEN, HIDDEN)
    only.load_state_dict({f"{k}_l0": v for k, v in weights.items()})
    x = torch.randn(BATCH, HIDDEN)
    torch.testing.assert_close(cell(x)[0], only(x[None])[0][0], rtol=0, atol=1e-6)


@each_cell
def test_initial_weights_are_torchs(name):
    torch.manual_seed(1)
    cell = CELLS[name](INPUTS, HIDDEN)
    torch.manual_seed(1)
    reference = TORCH_CELLS[name](INPUTS, HIDDEN)
    torch.testing.assert_close(dict(cell.state_dict()), dict(reference.state_dict()))


@each_cell
def test_state_is_zeros_when_not_given(name):
    cell, x = CELLS[name](INPUTS, HIDDEN), torch.randn(BATCH, INPUTS)
    zeros = tuple(torch.zeros(BATCH, HIDDEN) for _ in cell.state_names)
    torch.testing.assert_close(cell(x), cell(x, zeros), rtol=0, atol=0)


@each_cell
def test_gates_have_their_names_and_ranges(name):
    cell = CELLS[name](INPUTS, HIDDEN)
    state = random_state(cell)
    gates = cell.gates(10 * torch.randn(BATCH, INPUTS), state)
    assert tuple(gates) == cell.gate_names
    for gate, values in gates.items():
        assert values.shape == (BATCH, HIDDEN)
        assert (values < 0).any() == (gate == "candidate")  # tanh, the others sigmoid
        assert values.abs().max() <= 1


@each_cell
def test_gates_of_many_steps_at_once(name):
    cell = CELLS[name](INPUTS, HIDDEN)
    x, hidden = torch.randn(BATCH, 7, INPUTS), torch.randn(BATCH, 7, HIDDEN)
    cells = torch.randn(BATCH, 7, HIDDEN)
    many = cell.gates(x, (hidden, cells))
    for step in range(7):
        one = cell.gates(x[:, step], (hidden[:, step], cells[:, step]))
        for gate in cell.gate_names:
            torch.testing.assert_close(many[gate][:, step], one[gate])


def force(cell, **gates):
    """Set the biases so that gates are wide open (1) or shut (0)."""
    blocks = cell.bias_ih.detach().chunk(len(cell.gate_names))
    for gate, value in gates.items():
        blocks[cell.gate_names.index(gate)].fill_(200.0 * value - 100.0)


def test_an_open_forget_gate_and_a_shut_input_gate_keep_an_lstms_cell_state():
    cell = LSTMCell(INPUTS, HIDDEN)
    force(cell, forget=1, input=0)
    before = random_state(cell)
    hidden, memory = cell(torch.randn(BATCH, INPUTS), before)
    torch.testing.assert_close(memory, before[1], rtol=0, atol=0)
    assert not torch.equal(hidden, before[0])


def test_a_shut_forget_gate_makes_an_lstm_forget():
    cell = LSTMCell(INPUTS, HIDDEN)
    force(cell, forget=0)
    x, (hidden, memory) = torch.randn(BATCH, INPUTS), random_state(cell)
    torch.testing.assert_close(cell(x, (hidden, memory)), cell(x, (hidden, 9 * memory)))


def test_an_open_update_gate_keeps_a_grus_state_and_a_shut_one_replaces_it():
    cell = CELLS["gru"](INPUTS, HIDDEN)
    x, before = torch.randn(BATCH, INPUTS), random_state(cell)
    force(cell, update=1)
    torch.testing.assert_close(cell(x, before), before, rtol=0, atol=0)
    force(cell, update=0)
    torch.testing.assert_close(cell(x, before)[0], cell.gates(x, before)["candidate"])


def test_a_shut_reset_gate_hides_the_past_from_a_grus_candidate():
    cell = CELLS["gru"](INPUTS, HIDDEN)
    force(cell, reset=0)
    x = torch.randn(BATCH, INPUTS)
    first, second = (cell.gates(x, random_state(cell))["candidate"] for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


@each_cell
def test_gradient_in_double_precision(name):
    cell = copy.deepcopy(CELLS[name](2, 3)).double()
    x = torch.randn(2, 2, dtype=torch.double, requires_grad=True)
    state = [torch.randn(2, 3, dtype=torch.double, requires_grad=True) for _ in cell.state_names]
    assert torch.autograd.gradcheck(lambda x, *state: cell(x, state), (x, *state))
