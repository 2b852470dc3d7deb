import contextlib
import itertools
import json
import math
import shutil
import signal
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from common import seeding
from common.errors import ConfigError, NonFiniteError, Stopped
from common.images import augment
from common.options.config import OPTIMIZERS
from common.signals import handled_by
from common.training import compute, loop, optim
from common.training.batches import Batches
from common.training.checkpoint import Checkpoints, Memory, load
from common.training.compute import Compute
from common.training.loop import epochs, evaluate, fit, infer, train_step
from common.training.task import Task

each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def step(model, task, batches, optimizer, **options):
    """One update of a run that has just begun."""
    defaults = {"epoch": 0, "step": 0, "rate": 1.0, "seed": 0, "clip": None}
    options = {**defaults, "compute": Compute(), **options}
    return train_step(model, task, batches, optimizer, **options)


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


def untimed(rows):
    times = ("seconds", "samples_per_second")
    return [{name: value for name, value in row.items() if name not in times} for row in rows]


@pytest.fixture
def inputs(digits):
    return digits.images.float() / 120 - 1


@pytest.fixture
def batch(inputs, digits):
    return inputs[:64], digits.targets[:64]


@pytest.fixture
def train(inputs, digits):
    return Batches((inputs[:250], digits.targets[:250]), 64, training=True, seed=3)


@pytest.fixture
def validation(inputs, digits):
    return Batches((inputs[250:350], digits.targets[250:350]), 64)


# The textbook


TEXTBOOK = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.0, fused=True),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_the_weights_are_bitwise_those_of_a_loop_by_hand(
    name, lenet, classify, inputs, digits, train
):
    """Batches, weights and optimizer are made here once more, from plain torch."""
    model, reference = lenet(), lenet()
    optimizer = TEXTBOOK[name](reference.parameters())
    losses = []
    for epoch in range(2):
        order = seeding.permutation(3, epoch, 250)
        sums = []
        for rows in order.split(64):
            optimizer.zero_grad()
            loss = functional.cross_entropy(reference(inputs[rows]), digits.targets[rows])
            loss.backward()
            optimizer.step()
            sums.append(loss.item() * len(rows))
        losses.append(sum(sums) / 250)
    built = optim.build(name, model, 0.05)
    rows = list(epochs(model, classify(), train, None, built, max_epochs=2))
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [row["train/loss"] for row in rows] == losses
    assert not torch.equal(model[0].weight, lenet()[0].weight)


def test_clip_and_schedule_are_those_of_torch(lenet, classify, inputs, digits, train):
    model, reference = lenet(), lenet()
    optimizer = TEXTBOOK["sgd"](reference.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)
    for epoch in range(2):
        for rows in seeding.permutation(3, epoch, 250).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(reference(inputs[rows]), digits.targets[rows]).backward()
            nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
            optimizer.step()
            scheduler.step()
    schedule = optim.schedule("cosine", steps_per_epoch=4, epochs=2)
    built = optim.build("sgd", model, 0.05)
    [*_] = epochs(model, classify(), train, None, built, max_epochs=2, clip=0.5, schedule=schedule)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_clip_bounds_the_norm_of_the_gradient(lenet, classify, batch, clip):
    model = lenet()
    functional.cross_entropy(model(batch[0]), batch[1]).backward()
    whole = gradients(model)
    step(model, classify(), [batch], optim.build("sgd", model), clip=clip)
    norm = nn.utils.get_total_norm(gradients(model))
    expected = min(clip, nn.utils.get_total_norm(whole).item())
    assert norm.item() == pytest.approx(expected, rel=1e-3)


# Micro-batches


class Weighed(Task):
    """Digits, each counted by the weight of its class."""

    monitor = "train/loss"
    class_weights = torch.tensor([5.0, 0.1, 1.0, 2.0, 1.0, 0.3, 1.0, 8.0, 1.0, 1.0])

    def loss(self, model, batch, when):
        weights = self.class_weights.to(batch[0].dtype)
        return {"loss": functional.cross_entropy(model(batch[0]), batch[1], weights)}

    def weights(self, batch):
        return {"loss": self.class_weights[batch[1]].sum()}

    def outputs(self, model, batch):
        return {}

    def figures(self, outputs):
        return {}


class Sequences(Weighed):
    """Two parts over other items: a mean over samples, and one over tokens, of which 0 has one."""

    def loss(self, model, batch, when):
        logits = model(batch[0])
        by_sample = functional.cross_entropy(logits, batch[1], reduction="none")
        lengths = batch[1] + 1
        tokens = (by_sample * lengths).sum() / lengths.sum()
        return {"tokens": tokens, "size": 0.1 * logits.square().mean()}

    def weights(self, batch):
        return {"tokens": (batch[1] + 1).sum(), "size": len(batch[1])}


@pytest.fixture(params=["samples", "classes", "parts"])
def task(request, classify):
    return {"samples": classify, "classes": Weighed, "parts": Sequences}[request.param]()


@pytest.mark.parametrize("micro", [1, 7, 16, 33, 63])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_micro_batches_add_up_to_the_large_batch(task, lenet, inputs, digits, micro, clip):
    double = inputs[:64].double(), digits.targets[:64]
    whole, parts = lenet().double(), lenet().double()
    pieces = list(zip(*[tensor.split(micro) for tensor in double], strict=True))
    assert len(pieces) > 1
    step(whole, task, [double], optim.build("sgd", whole, 1.0), clip=clip)
    step(parts, task, pieces, optim.build("sgd", parts, 1.0), clip=clip)
    for one, other in zip(gradients(whole), gradients(parts), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("micro", [7, 16])
def test_whole_runs_agree_and_so_do_their_figures(task, lenet, inputs, digits, micro):
    data = inputs[:150].double(), digits.targets[:150]
    found = []
    for size in (None, micro):
        model = lenet().double()
        split = Batches(data, 64, training=True, micro_batch=size)
        optimizer = optim.build("sgd", model, 0.01)
        rows = list(epochs(model, task, split, None, optimizer, max_epochs=2))
        found.append((model, rows))
    (whole, its_rows), (parts, rows) = found
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    for one, other in zip(untimed(its_rows), untimed(rows), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_single_batch_enters_with_a_weight_of_exactly_one(task, lenet, batch):
    model, reference = lenet(), lenet()
    step(model, task, [batch], optim.build("sgd", model))
    parts = task.loss(reference, batch, None)
    torch.autograd.backward(list(parts.values()))
    for one, other in zip(gradients(model), gradients(reference), strict=True):
        assert torch.equal(one, other)


def test_parts_are_logged_with_their_sum(lenet, train):
    [row] = epochs(lenet(), Sequences(), train, max_epochs=1)
    assert list(row) == [
        *("epoch", "learning_rate", "train/tokens", "train/size", "train/loss"),
        *("samples_per_second", "seconds"),
    ]
    assert row["train/loss"] == row["train/tokens"] + row["train/size"]


# The moment of a loss, and what is drawn in it


def test_a_loss_is_told_its_moment(lenet, classify, train):
    moments = []

    class Noting(classify):
        def loss(self, model, batch, when):
            draw = torch.rand((), generator=when.generator).item()
            moments.append((when.epoch, when.step, draw))
            return super().loss(model, batch, when)

    [*_] = epochs(lenet(), Noting(), train, max_epochs=2)
    assert [moment[:2] for moment in moments] == [(n // 4, n) for n in range(8)]
    assert len({draw for *_, draw in moments}) == 8
    expected = seeding.generator(0, seeding.DROPOUT, 5, 0, 0)
    assert moments[5][2] == torch.rand((), generator=expected).item()


def test_dropout_is_keyed_by_seed_step_and_micro_batch():
    class Ones(Weighed):
        def __init__(self):
            self.masks = []

        def loss(self, model, batch, when):
            self.masks.append(model(batch).detach())
            return {"loss": model[1](batch).mean()}

        def weights(self, batch):
            return {"loss": len(batch)}

    task, ones = Ones(), torch.ones(4, 50)
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 1))
    model[1].weight.data.copy_(torch.arange(50.0))
    optimizer = optim.build("sgd", model, 0.0 + 1e-30)
    for options in ({}, {}, {"step": 1}, {"seed": 1}):
        torch.rand(3)
        step(model, task, [ones, ones], optimizer, **options)
    first, second, again, again_second, *others = task.masks
    assert torch.equal(first, again)
    assert torch.equal(second, again_second)
    kinds = [first, second, *others]
    assert len(kinds) == 6
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(kinds, 2))


# Steps that are not finite


class Infinite(torch.autograd.Function):
    """Leave a value as it is and make its gradient infinite."""

    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * math.inf


SPOILED = {
    "inputs": lambda loss: loss * math.nan,
    "loss": lambda loss: loss + math.nan,  # its gradient is finite
    "gradient": Infinite.apply,  # the loss is finite
}


@pytest.fixture(params=SPOILED)
def spoiled(request, classify):
    """A task whose loss goes wrong at a step, of which it keeps the weights it found."""

    class Spoiled(classify):
        def __init__(self, bad):
            self.bad, self.found = bad, None

        def loss(self, model, batch, when):
            [(name, loss)] = super().loss(model, batch, when).items()
            if when.step == self.bad:
                self.found = state(model)
                loss = SPOILED[request.param](loss)
            return {name: loss}

    return Spoiled


@each_optimizer
@pytest.mark.parametrize("bad", [0, 2])
def test_a_step_that_is_not_finite_is_not_applied(name, bad, spoiled, lenet, batch, same):
    """Neither weights nor optimizer know of it: training goes on as if it had never been."""
    model, reference = lenet(), lenet()
    optimizer, its = (optim.build(name, m, weight_decay=0.1) for m in (model, reference))
    good = spoiled(bad=-1)
    for number in range(bad + 3):
        before = [state(model), json.dumps(optimizer.state_dict(), default=torch.Tensor.tolist)]
        _, skipped = step(model, spoiled(bad), [batch], optimizer, step=number, clip=1.0)
        assert skipped.item() == (number == bad)
        if number == bad:
            assert same(state(model), before[0])
            after = json.dumps(optimizer.state_dict(), default=torch.Tensor.tolist)
            assert after == before[1] or not bad
        else:
            step(reference, good, [batch], its, step=number, clip=1.0)
    assert same(state(model), state(reference))
    assert same(optimizer.state_dict(), its.state_dict())


@each_optimizer
@pytest.mark.parametrize("bad", [0, 5])
def test_the_run_stops_with_the_weights_from_before(name, bad, spoiled, lenet, train, same):
    """Although nobody looks until the epoch ends, with good batches after the bad one."""
    model, task = lenet(), spoiled(bad)
    place = f"epoch {bad // 4 + 1}, batch {bad % 4 + 1}; that step was not applied"
    with pytest.raises(NonFiniteError, match=rf"(is nan|is not finite) in {place}"):
        list(epochs(model, task, train, None, optim.build(name, model), max_epochs=3))
    assert task.found is not None
    assert same(state(model), task.found)


def test_nothing_is_saved_after_a_bad_step(spoiled, lenet, train, tmp_path, same):
    checkpoint = Checkpoints(tmp_path)
    task = spoiled(6)
    with pytest.raises(NonFiniteError):
        list(epochs(lenet(), task, train, max_epochs=3, checkpoint=checkpoint, save_every=1e-9))
    model = lenet()
    position = checkpoint.restore({"model": model})
    assert (position.epoch, position.update) == (1, 2)
    assert same(state(model), task.found)


def test_the_same_compute_begins_another_run_afresh(spoiled, lenet, train):
    shared = Compute()
    with pytest.raises(NonFiniteError):
        list(epochs(lenet(), spoiled(1), train, max_epochs=1, compute=shared))
    [row] = epochs(lenet(), spoiled(-1), train, max_epochs=1, compute=shared)
    [alone] = epochs(lenet(), spoiled(-1), train, max_epochs=1)
    assert untimed([row]) == untimed([alone])


# Nobody waits for the device


@each_optimizer
def test_a_step_does_not_wait_for_the_device(name, lenet, batch):
    """On the meta device nothing has a value: whoever wants one there gets an error from torch."""
    task, meta = Weighed(), Compute()
    meta.device = torch.device("meta")
    meta.reset()
    task.class_weights = task.class_weights.to("meta")
    model = meta.place(lenet(dropout=0.5, norm=True))
    optimizer = optim.build(name, model)
    average = optim.Average(model, 0.9)
    batch = meta.move(batch)
    for number in range(2):
        parts, skipped = step(
            model, task, [batch, batch], optimizer, step=number, clip=1.0, compute=meta
        )
        average.update(number)
    assert skipped.is_meta
    assert [part.name for part in parts] == ["loss", "loss"]
    with pytest.raises(RuntimeError, match="meta"):
        bool(skipped)


# Half precision


@pytest.fixture
def quick_scale(monkeypatch):
    """A loss scale that these losses do not overflow, and that grows within these short runs."""
    monkeypatch.setattr(compute, "_FIRST_SCALE", 1024.0)
    monkeypatch.setattr(compute, "_INTERVAL", 3)


class Large(Weighed):
    """Digits, with a loss that is too large for 16 bits in the first steps."""

    def __init__(self, steps):
        self.steps, self.before = steps, []

    def loss(self, model, batch, when):
        self.before.append(state(model))
        factor = 1e5 if when.step < self.steps else 1.0
        return {"loss": factor * functional.cross_entropy(model(batch[0]), batch[1])}


def test_an_overflow_halves_the_loss_scale_and_is_no_error(lenet, train, same, quick_scale):
    task, half = Large(steps=2), Compute(precision="16")
    [row] = epochs(lenet(), task, train, max_epochs=1, compute=half)
    assert half.scale == 1024 / 4
    assert same(task.before[0], task.before[2])
    assert not same(task.before[2], task.before[3])
    assert math.isfinite(row["train/loss"])


def test_the_loss_scale_grows_with_good_steps(lenet, train, quick_scale):
    half = Compute(precision="16")
    [*_] = epochs(lenet(), Large(steps=0), train, max_epochs=2, compute=half)
    assert half.scale == 1024 * 4
    assert half._good_steps == 2


@pytest.mark.parametrize("clip", [None, 0.1])
def test_gradients_are_those_of_single_precision(lenet, classify, batch, clip, quick_scale):
    """Also what is clipped is the gradient without the loss scale."""
    found = []
    for precision in ("32", "16"):
        model = lenet()
        optimizer = optim.build("sgd", model)
        step(model, classify(), [batch], optimizer, clip=clip, compute=Compute("cpu", precision))
        found.append(nn.utils.parameters_to_vector(gradients(model)))
    single, half = found
    assert not torch.equal(single, half)
    assert torch.linalg.vector_norm(single - half) < 0.02 * torch.linalg.vector_norm(single)
    if clip:
        assert torch.linalg.vector_norm(half).item() == pytest.approx(clip, rel=1e-3)


def test_plain_optimizers_survive_a_first_overflow(lenet, train, quick_scale):
    """Torch's own AdamW makes its buffers in the first step, of which nothing may stay."""
    model = lenet()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    half = Compute(precision="16")
    [*rows] = epochs(model, Large(steps=1), train, None, optimizer, max_epochs=4, compute=half)
    assert half.scale == 512 * 2**5
    assert rows[-1]["train/loss"] < 0.9 * rows[1]["train/loss"]


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_half_precision_trains(lenet, classify, train, validation, monkeypatch, precision):
    """Bfloat16 also where the processor lacks it: torch then computes the same slowly."""
    monkeypatch.setattr(compute, "has_bf16", lambda device: True)
    model = lenet()
    half = Compute(precision=precision)
    optimizer = optim.build("adamw", model, 1e-2)
    rows = list(epochs(model, classify(), train, validation, optimizer, max_epochs=6, compute=half))
    assert rows[-1]["validation/loss"] < 0.7 * rows[0]["validation/loss"]
    assert all(p.dtype == torch.float32 for p in model.parameters())


# Modes, averages, and evaluation


def test_modules_that_are_frozen_stay_in_eval_mode(lenet, classify, train, validation):
    model = lenet(norm=True)
    model[1].requires_grad_(False)
    before = state(model[1])
    [*_] = epochs(model, classify(), train, validation, max_epochs=2)
    assert all(torch.equal(before[name], tensor) for name, tensor in state(model[1]).items())
    free = lenet(norm=True)
    [*_] = epochs(free, classify(), train, validation, max_epochs=2)
    assert not torch.equal(before["running_mean"], free[1].running_mean)


def test_training_mode_comes_back_after_each_evaluation(lenet, classify, train, validation):
    class Noting(classify):
        def loss(self, model, batch, when):
            modes.append(model.training)
            return super().loss(model, batch, when)

        def outputs(self, model, batch):
            modes.append(model.training)
            return super().outputs(model, batch)

    modes = []
    [*_] = epochs(lenet(dropout=0.5), Noting(), train, validation, max_epochs=2)
    assert modes == ([True] * 4 + [False] * 2) * 2


def test_the_average_is_what_is_evaluated_and_kept(lenet, classify, train, validation, same):
    model = lenet(norm=True)
    average = optim.Average(model, 0.9)
    memory = Memory()
    [row] = epochs(
        model, classify(), train, validation, max_epochs=1, average=average, checkpoint=memory
    )
    assert evaluate(average.model, classify(), validation)["loss"] == row["validation/loss"]
    assert evaluate(model, classify(), validation)["loss"] != row["validation/loss"]
    memory.load_best(model)
    assert same(state(model), state(average.model))


def test_the_average_takes_in_every_update(lenet, classify, train):
    class Noting(classify):
        def loss(self, model, batch, when):
            seen.append(nn.utils.parameters_to_vector(model.parameters()).detach())
            return super().loss(model, batch, when)

    seen = []
    model = lenet()
    average = optim.Average(model, 0.45)
    [*_] = epochs(model, Noting(), train, max_epochs=2, average=average)
    expected, *after = [*seen, nn.utils.parameters_to_vector(model.parameters()).detach()]
    assert len(after) == 8
    for number, weights in enumerate(after):
        expected = torch.lerp(weights, expected, min(0.45, (1 + number) / (10 + number)))
    found = nn.utils.parameters_to_vector(average.model.parameters())
    torch.testing.assert_close(found, expected)


def test_outputs_come_in_the_order_of_the_data(lenet, classify, inputs, digits, validation):
    model = lenet(dropout=0.5)
    outputs = infer(model, classify(), validation)
    assert torch.equal(outputs["targets"], digits.targets[250:350])
    with torch.no_grad():
        expected = model.eval()(inputs[250:350])
    torch.testing.assert_close(outputs["logits"], expected)
    assert not model.training


def test_a_model_that_draws_evaluates_the_same_each_time(lenet, classify, validation, train):
    class Drawing(classify):
        def outputs(self, model, batch):
            noise = torch.rand(len(batch[0]), 1, 1, 1)
            return super().outputs(model, (batch[0] + noise, batch[1]))

    model = lenet()
    first = evaluate(model, Drawing(), validation)
    torch.rand(3)
    assert evaluate(model, Drawing(), validation) == first
    assert evaluate(model, classify(), validation) != first


def test_a_list_of_batches_will_do(lenet, classify, inputs, digits):
    batches = [(inputs[:30], digits.targets[:30]), (inputs[30:40], digits.targets[30:40])]
    [row] = epochs(lenet(), classify(), batches, batches, max_epochs=1)
    assert row["epoch"] == 1
    assert {"train/loss", "validation/loss", "validation/accuracy"} <= row.keys()


def test_validation_and_its_loss_are_optional(lenet, classify, train, validation):
    class Lossless(classify):
        monitor = "validation/accuracy"

        def figures(self, outputs):
            return {"accuracy": super().figures(outputs)["accuracy"]}

    [row] = fit(lenet(), Lossless(), train, validation, max_epochs=1)
    assert "validation/loss" not in row
    [row] = fit(lenet(), Lossless(), train, max_epochs=1)
    assert not any(name.startswith("validation") for name in row)


def test_progress_is_shown(lenet, classify, train, monkeypatch):
    monkeypatch.setattr(loop._Clock, "REFRESH", 0.0)
    seen = []
    [row] = epochs(lenet(), classify(), train, max_epochs=1, show=seen.append)
    assert [(p.epoch, p.update, p.updates) for p in seen] == [(0, n, 4) for n in (1, 2, 3, 4)]
    assert seen[-1].figures == {"loss": row["train/loss"]}
    assert all(p.samples_per_second > 0 for p in seen)


# Fit


@pytest.fixture
def scripted(classify, train):
    """Fit with validation figures from a list, one an epoch; gives rows and the weights of each."""

    def run(values, **options):
        class Scripted(classify):
            def figures(self, outputs):
                weights.append(state(model))
                return {"score": values[len(weights) - 1]}

        weights = []
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        options = {"max_epochs": len(values), "monitor": "validation/score", **options}
        rows = fit(model, Scripted(), train, [next(train.updates(0))[0]], **options)
        return SimpleNamespace(rows=rows, weights=weights, model=model)

    return run


NAN = math.nan


@pytest.mark.parametrize(
    ("values", "mode", "patience", "length", "best"),
    [
        ([1, 2, 3, 2, 1, 4], None, None, 6, 6),
        ([1, 2, 3, 2, 1, 4], None, 2, 5, 3),
        ([1, 2, 3, 2, 1, 4], "min", 2, 3, 1),
        ([1, 1, 1, 1], "max", 3, 4, 1),
        ([NAN, 1, NAN, 2, NAN, NAN, 5], "max", 2, 6, 4),
        ([NAN, NAN, NAN, 5], "max", 3, 3, None),
    ],
)
def test_patience_and_the_best_weights(values, mode, patience, length, best, scripted, same):
    found = scripted([float(value) for value in values], mode=mode, patience=patience)
    assert len(found.rows) == length
    assert same(state(found.model), found.weights[(best or length) - 1])


def test_weights_stay_where_no_epoch_has_a_figure(scripted, tmp_path, same):
    found = scripted([NAN, NAN], checkpoint=Checkpoints(tmp_path))
    assert same(state(found.model), found.weights[-1])


def test_a_figure_that_nobody_reports(scripted):
    with pytest.raises(ConfigError, match=r"did you mean validation/score\?"):
        scripted([1.0], monitor="validation/scores")


def test_each_row_is_handed_on_as_it_comes(scripted):
    seen = []
    found = scripted([1.0, 2.0, 3.0], on_epoch=lambda row: seen.append(row["epoch"]))
    assert seen == [row["epoch"] for row in found.rows] == [1, 2, 3]


def test_a_caller_may_break_out(lenet, classify, train):
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with contextlib.closing(epochs(lenet(), classify(), train, max_epochs=9)) as stream:
        for row in stream:
            if row["epoch"] == 2:
                break
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers


# Resuming


@pytest.fixture(autouse=True)
def no_signal_gets_through():
    """A signal that the run did not take would end all tests; here it ends one."""
    with handled_by(lambda signum, frame: pytest.fail(f"signal {signum} got through")):
        yield


class Crash(Exception):
    """The process dies here, as far as the run can tell."""


def crash():
    raise Crash


def terminate():
    signal.raise_signal(signal.SIGTERM)


SETTINGS = {
    "everything": {
        "optimizer": "adamw",
        "ema": 0.9,
        "schedule": "plateau",
        "patience": 2,
        "micro_batch": 12,
    },
    "muon": {"optimizer": "muon", "schedule": "onecycle"},
    "sgd": {"optimizer": "sgd", "schedule": "cosine", "channels_last": True, "ema": 0.9},
    "adam": {"optimizer": "adam", "channels_last": True, "micro_batch": 20},
    "half": {"optimizer": "rmsprop", "schedule": "step", "precision": "16"},
}
EPOCHS, UPDATES, EVALUATIONS = 3, 4, 3


@pytest.fixture
def run(digits, lenet, classify, quick_scale):
    """Train as a process would that has just started; `halt` is asked at every place."""

    def start(folder, setting, halt=lambda place, number: None, **options):
        class Halting(classify):
            batches = 0

            def loss(self, model, batch, when):
                halt("update", when.step)
                return super().loss(model, batch, when)

            def outputs(self, model, batch):
                halt("evaluation", self.batches)
                self.batches += 1
                return super().outputs(model, batch)

        wanted = dict(SETTINGS[setting])
        here = Compute(
            precision=wanted.pop("precision", "32"),
            channels_last=wanted.pop("channels_last", False),
        )
        pipeline = augment.Pipeline(augment.parse(["affine", "erase"]), [0.3], [0.4])
        common = {"prepare": pipeline, "compute": here}
        train, validation = (
            Batches((digits.images[rows], digits.targets[rows]), size, **common, **more)
            for rows, size, more in (
                (
                    slice(100),
                    32,
                    {"training": True, "seed": 1, "micro_batch": wanted.pop("micro_batch", None)},
                ),
                (slice(100, 140), 16, {}),
            )
        )
        model = here.place(lenet(dropout=0.2, norm=True))
        ema = wanted.pop("ema", None)
        # The loss falls, and to fall is called worse: so patience and plateau have their way.
        monitored = {"monitor": "validation/loss", "mode": "max"}
        schedule = optim.schedule(
            wanted.pop("schedule", "none"),
            steps_per_epoch=UPDATES,
            epochs=EPOCHS,
            warmup=0.5,
            period=1,
            factor=0.5,
            **monitored,
        )
        return fit(
            model,
            Halting(),
            train,
            validation,
            optim.build(wanted.pop("optimizer"), model, 3e-3, weight_decay=0.01),
            max_epochs=EPOCHS + 2 if "patience" in wanted else EPOCHS,
            schedule=schedule,
            average=optim.Average(model, ema) if ema else None,
            clip=1.0,
            seed=2,
            compute=here,
            checkpoint=Checkpoints(folder, pytest.fail),
            **monitored,
            **wanted,
            **options,
        )

    return start


def result(folder, rows):
    """All that a run leaves behind, without the times."""
    newest = load(max((folder / "checkpoints").iterdir()))
    saved = json.loads(newest.text)
    saved["position"]["rows"] = untimed(saved["position"]["rows"])
    best = load(folder / "best.safetensors")
    row = untimed([json.loads(best.text)["row"]])
    del saved["position"]["best"]  # the hash is over the times, too
    return [newest.tensors, saved, best.tensors, row, untimed(rows)]


@pytest.fixture(scope="session")
def finished():
    """The results of runs that nobody stopped, by setting."""
    return {}


@pytest.fixture
def expected(run, finished, tmp_path):
    def of(setting):
        if setting not in finished:
            folder = tmp_path / "finished"
            finished[setting] = result(folder, run(folder, setting))
        return finished[setting]

    return of


PLACES = [
    *(("update", number) for number in range(EPOCHS * UPDATES)),
    *(("evaluation", number) for number in range(EPOCHS * EVALUATIONS - 1)),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]}{place[1]}")
def test_a_run_that_a_signal_stops_goes_on_bitwise(place, run, expected, tmp_path, same):
    wanted = expected("everything")
    assert len(wanted[-1]) == EPOCHS  # patience ended it, two epochs before its time
    with pytest.raises(Stopped) as caught:
        run(tmp_path, "everything", lambda *at: at == place and terminate())
    assert caught.value.signum == signal.SIGTERM
    assert same(result(tmp_path, run(tmp_path, "everything")), wanted)


@pytest.mark.parametrize("place", PLACES[::4], ids=lambda place: f"{place[0]}{place[1]}")
@pytest.mark.parametrize("save_every", [1e-9, 60.0], ids=["saved", "unsaved"])
def test_a_run_that_crashes_goes_on_bitwise(place, save_every, run, expected, tmp_path, same):
    with pytest.raises(Crash):
        run(
            tmp_path,
            "everything",
            lambda *at: at == place and crash(),
            save_every=save_every,
        )
    assert same(result(tmp_path, run(tmp_path, "everything")), expected("everything"))


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_run_that_is_stopped_after_every_update_gets_there(
    setting, run, expected, tmp_path, same
):
    wanted = expected(setting)
    for _ in range(EPOCHS * UPDATES - 1):
        with pytest.raises(Stopped):
            run(tmp_path, setting, lambda place, _: place == "update" and terminate())
    rows = run(tmp_path, setting)
    assert same(result(tmp_path, rows), wanted)


@pytest.mark.parametrize("setting", ["everything", "muon"])
def test_a_finished_run_gives_its_rows_and_does_nothing(setting, run, expected, tmp_path, same):
    expected(setting)
    first = run(tmp_path, setting)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert run(tmp_path, setting, pytest.fail) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before


def test_a_signal_between_two_epochs_is_not_lost(lenet, classify, train, tmp_path):
    checkpoint = Checkpoints(tmp_path)
    stream = epochs(lenet(), classify(), train, max_epochs=3, checkpoint=checkpoint)
    next(stream)
    terminate()
    with pytest.raises(Stopped):
        next(stream)
    position = checkpoint.restore({})
    assert (position.epoch, position.update) == (1, 0)
    resumed = epochs(lenet(), classify(), train, max_epochs=3, checkpoint=checkpoint)
    assert [row["epoch"] for row in resumed] == [1, 2, 3]


class Noisy(Dataset):
    """Digits with noise from torch's default generator, as torchvision's transforms draw it."""

    def __init__(self, inputs, targets):
        self.inputs, self.targets = inputs, targets

    def __len__(self):
        return 100

    def __getitem__(self, row):
        return self.inputs[row] + torch.rand(1, 8, 8), self.targets[row]


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_run_over_a_data_loader_goes_on_bitwise(
    stop, lenet, classify, inputs, digits, tmp_path, same
):
    def start(folder, halt=-1):
        class Halting(classify):
            def loss(self, model, batch, when):
                if when.step == halt:
                    terminate()
                return super().loss(model, batch, when)

        model = lenet(dropout=0.5)
        loader = DataLoader(Noisy(inputs, digits.targets), 32, shuffle=True)
        rows = fit(model, Halting(), loader, max_epochs=2, checkpoint=Checkpoints(folder))
        return untimed(rows), state(model)

    wanted = start(tmp_path / "whole")
    with pytest.raises(Stopped):
        start(tmp_path / "stopped", stop)
    assert same(start(tmp_path / "stopped"), wanted)


# Compilation

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler"
)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=needs_compiler)])
def test_a_compiled_model_trains_as_it_does_plain(
    backend, lenet, classify, train, validation, monkeypatch
):
    """The backend `eager` traces the model, which is what meets the loop, and compiles nothing."""
    real = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda model: real(model, backend=backend))
    found = []
    for compiled in (False, True):
        model = lenet(norm=True)
        average = optim.Average(model, 0.9)
        options = {"max_epochs": 2, "compute": Compute(compile=compiled), "average": average}
        found.append(untimed(fit(model, classify(), train, validation, **options)))
        assert model.state_dict().keys() == lenet(norm=True).state_dict().keys()
    for plain, compiled in zip(*found, strict=True):
        assert plain == pytest.approx(compiled, rel=1e-3)
