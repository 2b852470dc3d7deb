import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler
from torch.utils._python_dispatch import TorchDispatchMode

from common.errors import ConfigError
from common.options.config import OPTIMIZERS, SCHEDULES
from common.training import optim

GOOD, BAD = torch.tensor(0.0), torch.tensor(1.0)

each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
PLAIN = {
    "sgd": lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, fused=False),
    "nesterov": lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, nesterov=True, fused=False),
    "no momentum": lambda p: torch.optim.SGD(p, 1e-2, fused=False),
    "adam": lambda p: torch.optim.Adam(p, 1e-2, fused=False, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, 1e-2, fused=False, foreach=False),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-2, momentum=0.9, foreach=False),
}
OPTIONS = {"nesterov": ("sgd", {"nesterov": True}), "no momentum": ("sgd", {"momentum": 0.0})}


@pytest.fixture
def batch(digits):
    return digits.images[:64].float() / 100 - 1, digits.targets[:64]


def backward(model, batch):
    model.zero_grad()
    loss = functional.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    return loss.item()


def train(model, optimizer, batch, steps=5, step=optim.step):
    losses = []
    for _ in range(steps):
        losses.append(backward(model, batch))
        step(optimizer, GOOD)
    return losses


def snapshot(model, optimizer):
    return copy.deepcopy([model.state_dict(), optimizer.state_dict()])


# Optimizers


@each_optimizer
def test_every_name_lowers_the_loss(name, lenet, batch):
    model = lenet()
    losses = train(model, optim.build(name, model, 1e-2), batch, steps=40)
    assert losses[-1] < losses[0] / 2


def test_every_plain_optimizer_has_its_reference():
    assert {OPTIONS.get(name, (name,))[0] for name in PLAIN} == set(OPTIMIZERS) - {"muon"}


@pytest.mark.parametrize("label", PLAIN)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_steps_are_those_of_torch(label, weight_decay, lenet, batch):
    name, options = OPTIONS.get(label, (label, {}))
    model, reference = lenet(), lenet()
    optimizer = optim.build(name, model, 1e-2, weight_decay=weight_decay, **options)
    matrices = [p for p in reference.parameters() if p.ndim > 1]
    vectors = [p for p in reference.parameters() if p.ndim == 1]
    plain = PLAIN[label](
        [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
    )
    train(model, optimizer, batch)
    for _ in range(5):
        backward(reference, batch)
        plain.step()
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_muon_is_torchs_on_hidden_matrices_and_adamw_elsewhere(lenet, batch):
    model, reference = lenet(), lenet()
    hidden = [reference[7].weight, reference[10].weight]
    rest = [p for p in reference.parameters() if not any(p is h for h in hidden)]
    plain = [
        torch.optim.Muon(
            hidden, 1e-2, weight_decay=0.0, momentum=0.9, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(rest, 1e-2, weight_decay=0.0),
    ]
    train(model, optim.build("muon", model, 1e-2), batch)
    for _ in range(5):
        backward(reference, batch)
        for part in plain:
            part.step()
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_hidden_matrices_lie_between_the_first_and_the_last_layer(lenet):
    words = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 7), nn.LayerNorm(7), nn.Linear(7, 5))
    dense = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 5))
    image = lenet(norm=True)
    for model, places in ((words, [1]), (dense, [1]), (image, [7, 10])):
        assert list(map(id, optim.hidden_matrices(model))) == [id(model[n].weight) for n in places]
    dense[1].weight.requires_grad_(False)
    assert optim.hidden_matrices(dense) == []


@pytest.mark.parametrize("width", [1, 2])
def test_muon_without_hidden_matrices_is_an_error_of_the_user(width):
    with pytest.raises(ConfigError, match="muon: needs a linear layer .* this model has none"):
        optim.build("muon", nn.Sequential(*[nn.Linear(4, 4) for _ in range(width)]))


def test_an_unknown_name():
    with pytest.raises(ValueError, match="unknown optimizer 'lion'"):
        optim.build("lion", nn.Linear(2, 2))


@each_optimizer
def test_only_matrices_and_kernels_decay(name, lenet):
    model = lenet(norm=True)
    model[0].weight.requires_grad_(False)
    optimizer = optim.build(name, model, 0.1, weight_decay=0.5)
    before = [p.clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None
    optim.step(optimizer, GOOD)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved == [p.ndim > 1 and p.requires_grad for p in model.parameters()]


@each_optimizer
def test_every_parameter_that_trains_is_in_one_group(name, lenet):
    model = lenet(norm=True)
    model[4].weight.requires_grad_(False)
    groups = optim.build(name, model).param_groups
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@each_optimizer
def test_the_state_goes_on_in_another_optimizer(name, lenet, batch, same):
    model = lenet()
    optimizer = optim.build(name, model)
    optim.set_rate(optimizer, 0.5)
    train(model, optimizer, batch, 3)
    other = lenet(seed=1)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    taken = optim.build(name, other, learning_rate=7.0)
    taken.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((model, optimizer), (other, taken)):
        optim.set_rate(its, 0.25)
        train(one, its, batch, 3)
    assert same(snapshot(model, optimizer), snapshot(other, taken))
    assert taken.param_groups[0]["lr"] == 0.25e-3


def test_together_has_the_groups_of_its_parts_and_forgets_their_gradients(lenet, batch):
    model = lenet()
    optimizer = optim.build("muon", model)
    assert isinstance(optimizer, optim.Together)
    optim.set_rate(optimizer, 0.5)
    rates = {group["lr"] for part in optimizer.parts for group in part.param_groups}
    assert rates == {0.5e-3}
    backward(model, batch)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_rates_are_set_from_the_first_one():
    optimizer = optim.build("sgd", nn.Linear(2, 2), 0.8)
    for factor in (0.5, 0.25, 1.0):
        optim.set_rate(optimizer, factor)
        assert {group["lr"] for group in optimizer.param_groups} == {0.8 * factor}


# Steps that are not applied


def as_on_a_gpu(optimizer, found):
    """Step as where nobody may look at `found`: the same kernels run here."""
    for part in getattr(optimizer, "parts", [optimizer]):
        optim.step_on_device(part, found)


each_way = pytest.mark.parametrize("step", [optim.step, as_on_a_gpu])


@each_way
@each_optimizer
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("steps", [0, 2])
def test_a_bad_step_changes_nothing(name, value, steps, step, lenet, batch, same):
    model = lenet()
    optimizer = optim.build(name, model, weight_decay=0.1)
    train(model, optimizer, batch, steps, step)
    before = snapshot(model, optimizer)
    backward(model, batch)
    for p in model.parameters():
        p.grad.fill_(value)
    step(optimizer, BAD)
    after = snapshot(model, optimizer)
    assert same(after[0], before[0])
    if steps:
        assert same(after[1], before[1])
    train(model, optimizer, batch, 2, step)
    never = lenet()
    reference = optim.build(name, never, weight_decay=0.1)
    train(never, reference, batch, steps + 2)
    assert same(snapshot(model, optimizer), snapshot(never, reference))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.Adam(p, 1e-3),
        lambda p: torch.optim.NAdam(p, 1e-3),
        lambda p: torch.optim.Adagrad(p, 1e-2),
        lambda p: torch.optim.Adadelta(p),
    ],
)
@each_way
@pytest.mark.parametrize("steps", [0, 2])
def test_any_optimizer_of_torch_may_skip_a_step(make, steps, step, lenet, batch, same):
    """These make their buffers in their first step, of which nothing may stay."""
    model = lenet()
    optimizer = make(model.parameters())
    train(model, optimizer, batch, steps, step)
    before = snapshot(model, optimizer)
    backward(model, batch)
    for p in model.parameters():
        p.grad.fill_(math.nan)
    step(optimizer, BAD)
    after = snapshot(model, optimizer)
    assert same(after[0], before[0])
    if steps:
        assert same(after[1], before[1])
    losses = train(model, optimizer, batch, 10, step)
    assert losses[-1] < losses[0]


class NobodyLooks(TorchDispatchMode):
    """Refuse to fetch a number, for which a program waits on a device."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("a number was fetched")
        return function(*arguments, **(options or {}))


@each_optimizer
@pytest.mark.parametrize("found", [GOOD, BAD])
def test_nobody_looks_whether_the_step_is_good(name, found, lenet, batch):
    model = lenet()
    optimizer = optim.build(name, model)
    backward(model, batch)
    with NobodyLooks():
        as_on_a_gpu(optimizer, found)
    with pytest.raises(AssertionError, match="was fetched"), NobodyLooks():
        bool(found)


# The moving average


def test_the_average_follows_its_recursion(lenet, batch):
    model = lenet()
    average = optim.Average(model, 0.5)
    optimizer = optim.build("sgd", model, 0.1)
    expected = [p.detach().double() for p in model.parameters()]
    for step in range(12):
        train(model, optimizer, batch, 1)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * p.detach().double()
            for old, p in zip(expected, model.parameters(), strict=True)
        ]
    for found, wanted in zip(average.model.parameters(), expected, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)
    assert decay == 0.5


def test_the_average_takes_buffers_as_they_are_and_does_not_train(lenet, batch):
    model = lenet(norm=True)
    average = optim.Average(model, 0.9)
    model(batch[0])
    assert not torch.equal(average.model[1].running_mean, model[1].running_mean)
    average.update(0)
    for mine, its in zip(average.model.buffers(), model.buffers(), strict=True):
        assert torch.equal(mine, its)
    assert not average.model.training
    assert model.training
    assert not any(p.requires_grad for p in average.model.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_the_average_of_recurrent_layers_has_its_weights_in_one_block(monkeypatch):
    flattened = []
    model = nn.Sequential(nn.LSTM(2, 3))
    monkeypatch.setattr(nn.LSTM, "flatten_parameters", lambda module: flattened.append(module))
    average = optim.Average(model, 0.9)
    assert flattened == [average.model[0]]


# Schedules

STEPS, EPOCHS = 7, 10


def factors(name, losses=(), **options):
    """The factor of each step of a run, epoch by epoch."""
    options = {"steps_per_epoch": STEPS, "epochs": EPOCHS, **options}
    at = optim.schedule(name, **options)
    rows = [{"validation/loss": loss} for loss in losses]
    return [at(step, rows[: step // STEPS]) for step in range(STEPS * EPOCHS)]


def rates_of_torch(make, length, *figures):
    """The rates that a scheduler of torch gives an optimizer whose rate is 1."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for n in range(length):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*[f[n] for f in figures])
    return rates


def per_epoch(rates):
    return [rate for rate in rates for _ in range(STEPS)]


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        ("none", {}, lambda o, unit: lr_scheduler.ConstantLR(o, 1.0)),
        (
            "step",
            {"period": 3, "factor": 0.5},
            lambda o, unit: lr_scheduler.StepLR(o, 3 * unit, gamma=0.5),
        ),
        ("cosine", {}, lambda o, unit: lr_scheduler.CosineAnnealingLR(o, EPOCHS * unit)),
        (
            "cosine-restarts",
            {"period": 4},
            lambda o, unit: lr_scheduler.CosineAnnealingWarmRestarts(o, 4 * unit),
        ),
        # Torch's cycle ends on the last step; ours, like the cosine, where the next one would be.
        (
            "onecycle",
            {},
            lambda o, unit: lr_scheduler.OneCycleLR(
                o,
                max_lr=1.0,
                total_steps=EPOCHS * unit + 1,
                pct_start=(0.3 * EPOCHS * unit + 1) / (EPOCHS * unit + 1),
                cycle_momentum=False,
            ),
        ),
    ],
)
def test_schedules_are_those_of_torch(name, options, make):
    every_step = rates_of_torch(lambda o: make(o, STEPS), STEPS * EPOCHS)
    assert factors(name, **options) == pytest.approx(every_step, abs=1e-12)
    every_epoch = per_epoch(rates_of_torch(lambda o: make(o, 1), EPOCHS))
    assert factors(name, every="epoch", **options) == pytest.approx(every_epoch, abs=1e-12)


LOSSES = [
    [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
    [1.0] * 10,
    [1.0, 2.0, 2.0, 2.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    [1.0, math.nan, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8],
]


@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize("period", [1, 2])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_plateau_is_torchs(losses, period, mode):
    def make(optimizer):
        return lr_scheduler.ReduceLROnPlateau(optimizer, mode, 0.5, period, threshold=0.0, eps=0.0)

    expected = per_epoch(rates_of_torch(make, EPOCHS, losses))
    options = {"period": period, "factor": 0.5, "mode": mode}
    assert factors("plateau", losses, **options) == pytest.approx(expected)
    assert factors("plateau", losses, every="epoch", **options) == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("every", ["step", "epoch"])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 2.0])
def test_every_name_is_a_pure_function_within_its_bounds(name, every, warmup):
    options = {"every": every, "warmup": warmup, "period": 2}
    found = factors(name, LOSSES[1], **options)
    assert all(0 < factor <= 1 for factor in found)
    assert min(found) < 1 or (name == "none" and not warmup)
    at = optim.schedule(name, steps_per_epoch=STEPS, epochs=EPOCHS, **options)
    rows = [{"validation/loss": 1.0}] * EPOCHS
    backwards = [at(step, rows[: step // STEPS]) for step in reversed(range(len(found)))]
    assert backwards[::-1] == found
    if every == "epoch":
        assert all(len(set(found[n : n + STEPS])) == 1 for n in range(0, len(found), STEPS))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_warm_up_is_a_line_and_the_schedule_begins_after_it(name):
    rows = [1.0] * EPOCHS
    found = factors(name, rows, warmup=2.0, period=2)
    steps = 2 * STEPS
    assert found[:steps] == pytest.approx([(n + 1) / (steps + 1) for n in range(steps)])
    alone = factors(name, rows, epochs=EPOCHS - 2, period=2)
    if name != "plateau":  # which goes by the rows, also those of the warm-up
        assert found[steps:] == pytest.approx(alone[: len(found) - steps])


def test_the_warm_up_per_epoch():
    found = factors("none", warmup=2.0, every="epoch")[::STEPS]
    assert found == pytest.approx([1 / 3, 2 / 3, *[1.0] * 8])


def test_a_warmup_takes_at_most_half_of_a_short_run():
    factors = [
        optim.schedule("none", steps_per_epoch=10, epochs=1, warmup=3)(step, [])
        for step in range(10)
    ]
    assert factors[:5] == sorted(set(factors[:5]))
    assert factors[5:] == [1.0] * 5


# Rates by layer


def test_each_layer_from_the_head_has_the_decayed_rate():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    optimizer = optim.build("adamw", model, 0.1, weight_decay=0.5, layer_decay=0.5)
    found = {p: group for group in optimizer.param_groups for p in group["params"]}
    assert found.keys() == set(model.parameters())
    for layer, rate in ((0, 0.05), (1, 0.05), (3, 0.1)):
        for parameter in model[layer].parameters():
            assert found[parameter]["lr"] == rate
            assert found[parameter]["weight_decay"] == (0.5 if parameter.ndim > 1 else 0.0)
    assert optimizer.param_groups[0]["lr"] == 0.1, "the rate that is shown"
    optim.set_rate(optimizer, 0.1)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.005, 0.01])


def test_what_is_frozen_has_no_group_but_counts_as_a_layer():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].requires_grad_(False)
    optimizer = optim.build("sgd", model, 1.0, layer_decay=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.25]


def test_a_decay_of_one_is_the_plain_optimizer():
    model = nn.Linear(2, 2)
    assert len(optim.build("adamw", model, layer_decay=1.0).param_groups) == 1


def test_muon_has_one_rate():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"--layer-decay.*muon"):
        optim.build("muon", model, layer_decay=0.5)
