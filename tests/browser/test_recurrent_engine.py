"""The operations on sequences, in Chromium: what torch says, to 1e-4."""

from pathlib import Path

import pytest
import torch
from torch import nn

import common.live
from common.live import program
from common.live.program import INPUT, Step
from common.training.sequences import Padded
from labs.rnn.live.layers import Program
from labs.rnn.recurrent import POOLS, Recurrent
from labs.rnn.sentiment.models import NGramBag, OneHot

TOLERANCE = 1e-4
T, SIZE = 7, 5  # steps, features


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    """A page that has the engine alone."""
    script = (Path(common.live.__file__).parent / "engine.js").read_text("utf-8")
    path = tmp_path_factory.mktemp("page") / "engine.html"
    path.write_text(f"<script>{script}</script>", "utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    yield page
    page.close()


def run(page, steps, *inputs, see="(steps) => Array.from(steps[steps.length - 1].data)"):
    """Return what a program gives in the browser for inputs without a batch."""
    script = f"""({{ dumped, inputs }}) => {{
        const as = ([shape, values]) => engine.tensor(shape, Float32Array.from(values));
        const given = inputs.map(as);
        return ({see})(engine.run(engine.load(dumped), given));
    }}"""
    given = [[list(each.shape), each.flatten().tolist()] for each in inputs]
    return page.evaluate(script, {"dumped": program.dump(steps), "inputs": given})


def check(found, expected):
    found = torch.tensor(found, dtype=torch.float32)
    torch.testing.assert_close(found, expected.flatten(), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (1, True), (2, False), (2, True)])
@torch.no_grad()
def test_recurrent_layers_give_the_states_that_torch_gives(page, cell, layers, both):
    torch.manual_seed(0)
    recurrent = Recurrent(cell, SIZE, 6, layers=layers, bidirectional=both, orthogonal=True)
    built, x = Program(), torch.randn(T, SIZE)
    built.add_recurrent(recurrent, "recurrent", INPUT)
    check(run(page, built.steps, x), recurrent(x[None])[0])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("leftward", [False, True])
@torch.no_grad()
def test_the_gates_and_states_of_each_step_are_those_of_the_readable_cells(page, cell, leftward):
    torch.manual_seed(0)
    recurrent = Recurrent(cell, SIZE, 6, bidirectional=True)
    built, x = Program(), torch.randn(T, SIZE)
    _, [layer] = built.add_recurrent(recurrent, "recurrent", INPUT)
    number = layer[int(leftward)]
    see = f"""(steps) => Object.fromEntries(
        Object.entries(steps[{number}].trace).map(([name, x]) => [name, Array.from(x)]))"""
    found = run(page, built.steps, x, see=see)
    *_, [traces] = recurrent.trace(x[None])
    expected = traces[int(leftward)].gates
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        check(found[name], values[0])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@torch.no_grad()
def test_one_network_goes_on_from_the_last_state_of_another(page, cell):
    torch.manual_seed(0)
    first, second = (Recurrent(cell, SIZE, 6, layers=2) for _ in range(2))
    built, x, y = Program(), torch.randn(T, SIZE), torch.randn(3, SIZE)
    _, before = built.add_recurrent(first, "first", INPUT)
    built.add_recurrent(second, "second", INPUT - 1, [step for [step] in before])
    _, state = first(x[None])
    check(run(page, built.steps, x, y), second(y[None], state=state)[0])


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("steps", [T, 1, 0])
@torch.no_grad()
def test_pools_give_what_torch_gives_also_of_no_steps(page, name, steps):
    torch.manual_seed(0)
    pool, built, states = POOLS[name](6, 2), Program(), torch.randn(1, T, 6)
    built.add_pool(pool, "pool", INPUT)
    expected = pool(states, torch.tensor([steps]))
    check(run(page, built.steps, states[0, :steps]), expected)


@torch.no_grad()
def test_numbers_become_rows_or_ones(page):
    torch.manual_seed(0)
    numbers, weight = torch.tensor([3, 0, 8, 3]), torch.randn(9, SIZE)
    rows = [Step("embedding", "e", [INPUT], {}, {"weight": weight})]
    check(run(page, rows, numbers), weight[numbers])
    ones = [Step("one_hot", "o", [INPUT], {"size": 9, "padding": 0})]
    check(run(page, ones, numbers), OneHot(9)(numbers[None]))


@pytest.mark.parametrize("mode", ["sum", "mean"])
@torch.no_grad()
def test_a_bag_of_rows_is_their_sum_or_mean(page, mode):
    torch.manual_seed(0)
    bag, numbers = nn.EmbeddingBag(9, SIZE, mode=mode), torch.tensor([3, 1, 8, 3])
    steps = [Step("embedding_bag", "bag", [INPUT], {"mode": mode}, {"weight": bag.weight.T})]
    check(run(page, steps, numbers), bag(numbers[None]))
    check(run(page, steps, numbers[:0]), torch.zeros(SIZE))


@torch.no_grad()
def test_a_bag_may_be_scaled_by_what_its_rows_count(page):
    torch.manual_seed(0)
    model = NGramBag(2).eval()
    model.bag.weight.normal_()
    model.counts.uniform_(0.5, 3)
    model.bias.normal_()
    numbers = torch.tensor([5, 3, 8, 1])
    weight = 3 * model.bag.weight[:9].T
    weights = {"weight": weight, "counts": model.counts[None, :9], "bias": model.bias}
    steps = [Step("embedding_bag", "bag", [INPUT], {"mode": "scaled"}, weights)]
    check(run(page, steps, numbers), model(Padded(numbers[None], torch.tensor([4]))))
    check(run(page, steps, numbers[:0]), model.bias)


@torch.no_grad()
def test_parts_are_weighed(page):
    x, y = torch.tensor([1.0, 2.0, -50.0]), torch.tensor([0.0, 90.0, 1.0])
    steps = [
        Step("log_softmax", "x", [INPUT]),
        Step("log_softmax", "y", [INPUT - 1]),
        Step("weighted_sum", "answer", [0, 1], {"shares": [0.25, 0.75]}),
    ]
    check(run(page, steps, x, y), 0.25 * x.log_softmax(0) + 0.75 * y.log_softmax(0))


def test_weights_that_steps_share_are_there_once():
    layer, built = nn.Linear(3, 3), Program()
    first = built.add_linear(layer, "one", INPUT)
    built.add_linear(layer, "two", first)
    dumped = program.dump(built.steps)
    assert dumped["steps"][0]["weights"] == dumped["steps"][1]["weights"]
    assert len(dumped["weights"]) == 4 * 12 * 4 / 3
