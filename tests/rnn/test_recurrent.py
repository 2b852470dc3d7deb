import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common.errors import ConfigError
from labs.rnn.cells import CELLS
from labs.rnn.recurrent import (
    POOLS,
    LastPool,
    Recurrent,
    chunks,
    detach,
    last_valid,
    reverse_within,
    truncated,
)

STEPS, INPUTS, HIDDEN = 9, 3, 4
TORCH_LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = torch.tensor([4, 1, 9, 7, 2])
WITH_EMPTY = torch.tensor([4, 0, 9, 1, 0])

each_cell = pytest.mark.parametrize("name", CELLS)
each_network = pytest.mark.parametrize(
    ("name", "layers", "bidirectional"), list(itertools.product(CELLS, (1, 2), (False, True)))
)
each_pool = pytest.mark.parametrize("pool", POOLS)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def close(actual, expected, atol=1e-6):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def build(name="lstm", layers=1, bidirectional=False, **options):
    torch.manual_seed(5)
    return Recurrent(name, INPUTS, HIDDEN, layers=layers, bidirectional=bidirectional, **options)


def inputs(lengths=LENGTHS, steps=STEPS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), steps, INPUTS, generator=generator)


def random_state(recurrent, batch):
    layers, count = len(recurrent.layers), len(CELLS[recurrent.layers[0][0].name].state_names)
    shape = (layers, batch, recurrent.output_size)
    return tuple(0.5 * torch.randn(shape) for _ in range(count))


def build_pools(recurrent):
    return [pool(recurrent.output_size, recurrent.directions) for pool in POOLS.values()]


def torch_module(recurrent):
    """Return torch's own module of all layers and directions, with the same weights."""
    name, layers = recurrent.layers[0][0].name, len(recurrent.layers)
    bidirectional = recurrent.directions == 2
    module = TORCH_LAYERS[name](
        INPUTS, HIDDEN, num_layers=layers, bidirectional=bidirectional, batch_first=True
    ).to(next(recurrent.parameters()).dtype)
    weights = {}
    for number, layer in enumerate(recurrent.layers):
        for suffix, direction in zip(("", "_reverse"), layer, strict=False):
            for key, value in direction.fused.state_dict().items():
                weights[f"{key.removesuffix('_l0')}_l{number}{suffix}"] = value
    module.load_state_dict(weights)
    return module


def to_torch(state, directions):
    """(layers, B, directions * H) -> torch's (layers * directions, B, H)."""
    parts = [
        torch.stack([piece for layer in part for piece in layer.chunk(directions, -1)])
        for part in state
    ]
    return tuple(parts) if len(parts) > 1 else parts[0]


def from_torch(state, directions):
    parts = state if isinstance(state, tuple) else (state,)
    return tuple(
        torch.stack([torch.cat(layer.unbind(), -1) for layer in part.split(directions)])
        for part in parts
    )


def packed_reference(recurrent, x, lengths, state):
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, final = torch_module(recurrent)(packed, to_torch(state, recurrent.directions))
    states, _ = pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
    return states, from_torch(final, recurrent.directions)


def total(parts):
    """Return a scalar in which every number has a weight of its own."""
    generator = torch.Generator().manual_seed(7)
    return sum((part * torch.randn(part.shape, generator=generator)).sum() for part in parts)


def parameter_gradients(recurrent, scalar):
    return torch.autograd.grad(scalar, list(recurrent.parameters()))


# Reversal and the last step


def test_reverse_within_reverses_only_what_is_real():
    x = torch.tensor([[1, 2, 3, 0, 9], [4, 5, 6, 7, 8], [9, 8, 7, 6, 5], [6, 1, 1, 1, 1]])
    reversed_ = reverse_within(x, torch.tensor([3, 5, 0, 1]))
    expected = [[3, 2, 1, 0, 9], [8, 7, 6, 5, 4], [9, 8, 7, 6, 5], [6, 1, 1, 1, 1]]
    assert reversed_.tolist() == expected


def test_reverse_within_twice_is_the_identity_also_for_the_gradient():
    x = torch.randn(5, STEPS, 2, 3, requires_grad=True)
    twice = reverse_within(reverse_within(x, WITH_EMPTY), WITH_EMPTY)
    assert torch.equal(twice, x)
    weights = torch.randn_like(x)
    (gradient,) = torch.autograd.grad((twice * weights).sum(), x)
    assert torch.equal(gradient, weights)


def test_reverse_within_without_lengths_flips():
    x = torch.randn(2, 4, 3)
    assert torch.equal(reverse_within(x), reverse_within(x, torch.tensor([4, 4])))


def test_last_valid():
    states = torch.arange(24.0).view(3, 4, 2)
    lengths = torch.tensor([2, 0, 4])
    assert last_valid(states, lengths).tolist() == [[2, 3], [0, 0], [22, 23]]
    before = -torch.ones(3, 2)
    assert last_valid(states, lengths, before).tolist() == [[2, 3], [-1, -1], [22, 23]]


# Whole sequences against torch


@each_network
def test_equals_torch_on_packed_sequences_with_gradients(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional).double()
    state = tuple(part.double() for part in random_state(recurrent, len(LENGTHS)))
    ours, theirs = (inputs().double().requires_grad_() for _ in range(2))
    states, final = recurrent(ours, LENGTHS, state)
    module_states, module_final = packed_reference(recurrent, theirs, LENGTHS, state)
    close(states, module_states, 1e-12)
    close(final, module_final, 1e-12)
    (gradient,) = torch.autograd.grad(total([states, *final]), ours)
    (expected,) = torch.autograd.grad(total([module_states, *module_final]), theirs)
    close(gradient, expected, 1e-12)


@each_network
def test_equals_torch_on_packed_sequences_in_single_precision(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    state = random_state(recurrent, len(LENGTHS))
    expected = packed_reference(recurrent, inputs(), LENGTHS, state)
    close(recurrent(inputs(), LENGTHS, state), expected)


@each_network
def test_without_lengths_all_steps_are_real(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    full = torch.full((5,), STEPS)
    close(recurrent(inputs()), recurrent(inputs(), full))
    out, final = torch_module(recurrent)(inputs())
    close(recurrent(inputs()), (out, from_torch(final, recurrent.directions)))


def test_cell_state_of_long_sequences_that_remember_and_forget():
    recurrent = Recurrent("lstm", INPUTS, HIDDEN)
    with torch.no_grad():  # forget gates of nearly 1, of all values, and of exactly 0
        bias = recurrent.layers[0][0].fused.bias_ih_l0
        bias[HIDDEN : 2 * HIDDEN] = torch.tensor([8.0, 2.0, -8.0, -200.0])
    x = torch.randn(4, 300, INPUTS, requires_grad=True)
    lengths = torch.tensor([300, 299, 5, 1])
    _, (_, cell) = recurrent(x, lengths)
    _, (_, expected), _ = recurrent.trace(x, lengths)
    torch.testing.assert_close(cell, expected, rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(total([cell]), x)
    assert gradient.isfinite().all()


def test_cell_state_can_be_left_out():
    recurrent = build("lstm", 2, True)
    states, final = recurrent(inputs(), LENGTHS)
    for lengths in (LENGTHS, None):
        assert len(recurrent(inputs(), lengths, need_cell=False)[1]) == 1
    close(recurrent(inputs(), LENGTHS, need_cell=False), (states, final[:1]), 0)


# Padding


@each_network
def test_padding_never_changes_an_answer(name, layers, bidirectional):
    """A sequence alone, in a batch, and with more padding gives the same logits to 1e-5."""
    recurrent = build(name, layers, bidirectional).eval()
    pools = build_pools(recurrent)
    head = nn.Linear(recurrent.output_size, 2)
    generator = torch.Generator().manual_seed(layers)
    lengths = torch.cat(
        [torch.tensor([1, STEPS]), torch.randint(1, STEPS, (6,), generator=generator)]
    )
    x = inputs(lengths)

    def logits(x, lengths):
        states, final = recurrent(x, lengths)
        return torch.cat([*(head(pool(states, lengths)) for pool in pools), *final[-1]], -1)

    together = logits(x, lengths)
    garbage = 1e3 * torch.randn(len(x), 6, INPUTS)
    close(logits(torch.cat([x, garbage], 1), lengths), together, 1e-5)
    for row, length in enumerate(lengths.tolist()):
        alone = logits(x[row : row + 1, :length], lengths[row : row + 1])
        close(alone, together[row : row + 1], 1e-5)


@each_network
def test_padding_gets_no_gradient_and_is_zero(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    x = inputs().requires_grad_()
    states, final = recurrent(x, LENGTHS)
    padding = torch.arange(STEPS) >= LENGTHS[:, None]
    assert not states[padding].any()
    pooled = [pool(states, LENGTHS) for pool in build_pools(recurrent)]
    (gradient,) = torch.autograd.grad(total([states, *pooled, *final]), x)
    assert not gradient[padding].any()
    assert gradient[~padding].all()


@each_network
def test_padding_may_hold_other_numbers(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    x = inputs()
    padding = torch.arange(STEPS) >= LENGTHS[:, None]
    other = torch.where(padding[..., None], torch.tensor(1e4), x)
    runs = [recurrent(version, LENGTHS) for version in (x, other)]
    close(*runs, 0)
    gradients = [parameter_gradients(recurrent, total([s, *final])) for s, final in runs]
    close(*gradients, 0)


@each_network
def test_permuting_the_batch_permutes_the_results(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    order = torch.tensor([3, 0, 4, 2, 1])
    states, final = recurrent(inputs(), LENGTHS)
    permuted_states, permuted_final = recurrent(inputs()[order], LENGTHS[order])
    close(permuted_states, states[order])
    close(permuted_final, tuple(part[:, order] for part in final))


@each_network
def test_an_empty_sequence_leaves_the_state_as_it_was(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    empty = WITH_EMPTY == 0
    x = inputs().requires_grad_()
    for run in (recurrent, recurrent.trace):
        states, final, *_ = run(x, WITH_EMPTY)
        assert not states[empty].any()
        assert not any(part[:, empty].any() for part in final)
        state = random_state(recurrent, len(x))
        states, final, *_ = run(x, WITH_EMPTY, state)
        close([p[:, empty] for p in final], [p[:, empty] for p in state], 0)
        gradients = torch.autograd.grad(total([states, *final]), [x, *recurrent.parameters()])
        assert all(gradient.isfinite().all() for gradient in gradients)


# The state


@each_cell
@pytest.mark.parametrize("layers", [1, 2])
def test_a_sequence_in_two_pieces_equals_the_whole(name, layers):
    recurrent = build(name, layers)
    states, final = recurrent(inputs())
    first, middle = recurrent(inputs()[:, :4])
    second, last = recurrent(inputs()[:, 4:], state=middle)
    close(torch.cat([first, second], 1), states)
    close(last, final)


@each_network
def test_final_state_is_what_each_direction_ended_with(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    states, final = recurrent(inputs(), LENGTHS)
    assert final[0].shape == (layers, len(LENGTHS), recurrent.output_size)
    last = LastPool(recurrent.output_size, recurrent.directions)
    close(last(states, LENGTHS), final[0][-1], 0)


# The readable run


@each_network
def test_trace_equals_the_fused_run_with_gradients(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    for lengths, state in ((WITH_EMPTY, None), (LENGTHS, random_state(recurrent, 5)), (None, None)):
        states, final = recurrent(inputs(), lengths, state)
        traced_states, traced_final, _ = recurrent.trace(inputs(), lengths, state)
        close(traced_states, states)
        close(traced_final, final)
        fused = parameter_gradients(recurrent, states.square().mean() + final[-1].mean())
        traced = parameter_gradients(
            recurrent, traced_states.square().mean() + traced_final[-1].mean()
        )
        close(traced, fused)


@each_network
def test_trace_shows_every_gate_of_every_step(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    states, _, traces = recurrent.trace(inputs(), LENGTHS)
    assert [len(layer) for layer in traces] == [recurrent.directions] * layers
    padding = torch.arange(STEPS) >= LENGTHS[:, None]
    names = [*CELLS[name].gate_names, *CELLS[name].state_names]
    for trace in itertools.chain(*traces):
        assert list(trace.gates) == names
        assert len(trace.steps) == STEPS
        for values in trace.gates.values():
            assert values.shape == (len(LENGTHS), STEPS, HIDDEN)
            assert not values[padding].any()
            assert values[~padding].all()
    top = torch.cat([trace.gates["hidden"] for trace in traces[-1]], -1)
    close(top, states, 0)


@pytest.mark.parametrize("direction", [0, 1])
def test_traced_gates_explain_the_states(direction):
    """c_t = f c_(t-1) + i g and h_t = o tanh(c_t), where t - 1 is the word read before."""
    trace = build("lstm", 1, True).trace(inputs())[2][0][direction]
    gates = trace.gates
    before = gates["cell"].roll(1 if direction == 0 else -1, 1)
    before[:, -direction] = 0
    close(gates["cell"], gates["forget"] * before + gates["input"] * gates["candidate"])
    close(gates["hidden"], gates["output"] * gates["cell"].tanh())


@pytest.mark.parametrize("leftward", [False, True])
def test_gradient_reaches_back_through_the_traced_steps(leftward):
    """In a simple network d h_t / d h_(t-1) = diag(1 - h_t^2) U, so the reach is known."""
    recurrent = build("rnn", 1, leftward)
    lengths = torch.tensor([STEPS, 4])
    _, _, traces = recurrent.trace(inputs(lengths), lengths)
    trace = traces[0][-1]
    hidden = [step[0] for step in trace.steps]
    last = trace.steps[0][0] if leftward else hidden[-1]
    reach = torch.stack(torch.autograd.grad(last.sum(), hidden), 1)

    weight = recurrent.layers[0][-1].fused.weight_hh_l0
    for row, length in enumerate(lengths.tolist()):
        order = range(length) if leftward else range(length - 1, -1, -1)
        gradient = torch.ones(HIDDEN)
        for step in order:
            close(reach[row, step], gradient)
            gradient = (gradient * (1 - hidden[step][row] ** 2)) @ weight


def test_dropout_of_trace_is_that_of_the_fused_run():
    recurrent = build("gru", 3, True, dropout=0.5)
    torch.manual_seed(0)
    fused = recurrent(inputs(), LENGTHS)
    torch.manual_seed(0)
    traced = recurrent.trace(inputs(), LENGTHS)
    close(traced[:2], fused)


# Building


def test_dropout_is_between_layers_in_training_only_and_keyed_by_the_default_generator():
    def run(recurrent, seed):
        torch.manual_seed(seed)
        return recurrent(inputs(), LENGTHS)[0]

    recurrent = build("lstm", 2, dropout=0.5)
    assert torch.equal(run(recurrent, 1), run(recurrent, 1))
    assert not torch.equal(run(recurrent, 1), run(recurrent, 2))
    assert torch.equal(run(recurrent.eval(), 1), run(build("lstm", 2), 2))
    assert torch.equal(run(build("lstm", 1, dropout=0.5), 1), run(build("lstm", 1), 2))


@each_network
def test_orthogonal_initialization(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional, orthogonal=True)
    for direction in itertools.chain(*recurrent.layers):
        fused = direction.fused
        for block in fused.weight_hh_l0.split(HIDDEN):
            close(block @ block.T, torch.eye(HIDDEN))
        ones = (fused.bias_ih_l0 + fused.bias_hh_l0 == 1).nonzero()[:, 0].tolist()
        assert ones == (list(range(HIDDEN, 2 * HIDDEN)) if name == "lstm" else [])
        assert fused.weight_hh_l0.requires_grad


def test_an_unknown_cell_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown cell 'lstn'; give lstm"):
        Recurrent("lstn", INPUTS, HIDDEN)


@each_network
def test_shapes_on_the_meta_device(name, layers, bidirectional):
    with torch.device("meta"):
        recurrent = Recurrent(
            name, INPUTS, HIDDEN, layers=layers, bidirectional=bidirectional, orthogonal=True
        )
        pools = build_pools(recurrent)
        x, lengths = torch.empty(2, STEPS, INPUTS), torch.empty(2, dtype=torch.int64)
    for run in (recurrent, recurrent.trace):
        states, final, *_ = run(x, lengths)
        assert states.shape == (2, STEPS, recurrent.output_size)
        assert all(part.shape == (layers, 2, recurrent.output_size) for part in final)
        for pool in pools:
            assert pool(states, lengths).shape == (2, recurrent.output_size)


@each_network
def test_the_readable_cells_leave_the_parameters_where_they_are(name, layers, bidirectional):
    recurrent = build(name, layers, bidirectional)
    keys = list(recurrent.state_dict())
    random = torch.get_rng_state()
    recurrent.trace(inputs(), LENGTHS)
    assert list(recurrent.state_dict()) == keys
    assert len(keys) == 4 * layers * recurrent.directions
    assert torch.equal(torch.get_rng_state(), random)


@each_cell
def test_runs_in_bfloat16(name):
    recurrent = build(name, 2, True)
    expected, expected_final = recurrent(inputs(), LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        states, final = recurrent(inputs(), LENGTHS)
        recurrent(inputs(), LENGTHS, final)
        recurrent.trace(inputs(), LENGTHS, final)
    close(states.float(), expected, 0.03)
    close([part.float() for part in final], list(expected_final), 0.03)


# Pooling


def test_pools_of_known_states():
    states = torch.tensor([[[1.0, -4], [3, -2], [99, 99]], [[99, 99], [99, 99], [99, 99]]])
    lengths = torch.tensor([2, 0])
    expected = {"mean": [2.0, -3], "max": [3.0, -2], "last": [3.0, -2]}
    for name, values in expected.items():
        assert POOLS[name](2)(states, lengths).tolist() == [values, [0, 0]]
    assert LastPool(2, directions=2)(states, lengths).tolist() == [[3, -4], [0, 0]]


def test_attention_is_a_masked_softmax_of_the_scores():
    pool = POOLS["attention"](HIDDEN)
    states = torch.randn(5, STEPS, HIDDEN)
    weights = pool.weights(states, WITH_EMPTY)
    for row, length in enumerate(WITH_EMPTY.tolist()):
        scores = (states[row, :length] @ pool.hidden.weight.T + pool.hidden.bias).tanh()
        close(weights[row, :length], (scores @ pool.query.weight[0]).softmax(0))
        assert not weights[row, length:].any()
        close(pool(states, WITH_EMPTY)[row], weights[row, :length] @ states[row, :length])
    close(weights.sum(1), (WITH_EMPTY > 0).float())


@each_pool
def test_pools_of_empty_sequences_are_zero_with_finite_gradients(pool):
    pooling = POOLS[pool](HIDDEN)
    states = torch.randn(5, STEPS, HIDDEN, requires_grad=True)
    pooled = pooling(states, WITH_EMPTY)
    assert not pooled[WITH_EMPTY == 0].any()
    (gradient,) = torch.autograd.grad(total([pooled]), states)
    assert gradient.isfinite().all()
    assert not gradient[torch.arange(STEPS) >= WITH_EMPTY[:, None]].any()


# Truncated back-propagation through time


def test_chunks_cut_steps_and_lengths():
    cut = list(chunks(7, 3, torch.tensor([7, 4, 0])))
    assert [span for span, _ in cut] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert [within.tolist() for _, within in cut] == [[3, 3, 0], [3, 1, 0], [1, 0, 0]]
    assert list(chunks(4, 3)) == [(slice(0, 3), None), (slice(3, 4), None)]


@each_cell
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("size", [1, 4, STEPS, 50])
@pytest.mark.parametrize("lengths", [WITH_EMPTY, None])
def test_truncation_leaves_the_values_as_they_are(name, layers, size, lengths):
    recurrent = build(name, layers)
    close(truncated(recurrent, inputs(), size, lengths), recurrent(inputs(), lengths))


@each_cell
@pytest.mark.parametrize("lengths", [torch.tensor([9, 9, 9, 9, 8]), None])
def test_gradients_stop_where_a_chunk_begins(name, lengths):
    recurrent, x = build(name, 2), inputs().requires_grad_()
    states, _ = truncated(recurrent, x, 4, lengths)
    (gradient,) = torch.autograd.grad(states[:, 6].sum(), x)
    reached = gradient.abs().sum((0, 2)) > 0
    assert reached.nonzero()[:, 0].tolist() == [4, 5, 6]


def test_a_backward_pass_per_chunk_adds_up_to_that_of_the_truncated_run():
    recurrent, x, targets = build(), inputs(), torch.randn(5, STEPS, HIDDEN)
    states, _ = truncated(recurrent, x, 4, LENGTHS)
    expected = parameter_gradients(recurrent, ((states - targets) ** 2).sum())
    state = None
    for span, within in chunks(STEPS, 4, LENGTHS):
        states, state = recurrent(x[:, span], within, detach(state))
        ((states - targets[:, span]) ** 2).sum().backward()
    close([parameter.grad for parameter in recurrent.parameters()], list(expected), 1e-5)


def test_truncation_is_for_one_direction():
    with pytest.raises(ConfigError, match="bidirectional"):
        truncated(build(bidirectional=True), inputs(), 4)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_recurrence_stays_in_float32(name, dtype):
    torch.manual_seed(0)
    recurrent = Recurrent(name, 4, 6, layers=2, bidirectional=True)
    x, lengths = torch.randn(3, 7, 4), torch.tensor([7, 2, 5])
    expected, _ = recurrent(x, lengths)
    with torch.autocast("cpu", dtype):
        states, final = recurrent(x, lengths)
    assert torch.equal(states, expected)
    assert {part.dtype for part in final} == {torch.float32}
    states.sum().backward()
