"""Each cause on its own: evidence where it is there, nothing where it is not."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from common.doctor import causes, network, patient
from common.doctor.network import Dead, Fading
from common.doctor.patient import Agreement, Gain
from common.doctor.samples import Samples, directions, nearest
from common.doctor.trials import Trial
from common.metrics.main_metric import ACCURACY
from common.training import Task
from common.training.compute import Compute

BY_LOT, KNOWN = Agreement(0.11, 0.10, 0.02), Agreement(0.9, 0.10, 0.02)


def rows(losses, validation=None):
    validation = validation or losses
    return [
        {"epoch": place, "train/loss": loss, "validation/loss": other}
        for place, (loss, other) in enumerate(zip(losses, validation, strict=True), 1)
    ]


def run(losses=(2.0, 1.0, 0.5, 0.4, 0.4, 0.4), judged=None, samples=6400, **measured):
    """Return a run of which all is well, but for what is given."""
    job = SimpleNamespace(
        lab="classification",
        verb="train",
        main_metric=ACCURACY,
        config=SimpleNamespace(
            batch_size=64, learning_rate=0.01, loss="cross-entropy", title="mlp", data="mine.npz"
        ),
        card=SimpleNamespace(counts={"train": samples}),
        run=SimpleNamespace(
            history=rows(losses, judged), path="runs/a", config="a.toml", timed=None
        ),
    )
    well = {
        "rates": [Trial(rate, 2.0, last, 40) for rate, last in ((0.01, 1.0), (0.001, 1.5))],
        "dead": Dead("relu1", 3, 100),
        "dead_at_first": Dead("relu1", 0, 100),
        "fading": [Fading("from the last layer to the first (conv1)", 0.5)],
        "answered": {"train": KNOWN, "validation": KNOWN},
        "gains": {"train": Gain(2.0, 0.4), "validation": Gain(2.0, 0.5)},
        "learnable": KNOWN,
        "reached": KNOWN,
        "train": taken(),
        "validation": taken(1),
        "test": taken(2),
        "classes": tuple("abcd"),
    }
    made = SimpleNamespace(
        job=job,
        config=job.config,
        rows=job.run.history,
        losses=list(losses),
        updates=len(losses) * samples // 64,
        **(well | measured),
    )
    made.wanted = partial(patient.Patient.wanted, made)
    return made


def taken(seed=0, count=240, scale=1.0, labels=None, noise=0.5, **changed):
    """Return samples of four classes: pictures of noise around a pattern of their class."""
    generator = np.random.default_rng(seed)
    patterns = np.random.default_rng(9).normal(size=(4, 1, 8, 8))
    labels = generator.integers(0, 4, count) if labels is None else labels
    images = patterns[labels % 4] + noise * generator.normal(size=(count, 1, 8, 8))
    found = {
        "batches": [(torch.tensor(scale * images, dtype=torch.float32),)],
        "keys": [f"{seed}-{row}".encode() for row in range(count)],
        "targets": labels,
        "rows": np.arange(count),
        "labels": labels,
    }
    return Samples(**(found | changed))


def test_nothing_is_found_where_all_is_well():
    assert list(causes.diagnose(run())) == []


@pytest.mark.parametrize(
    ("cause", "changed", "said"),
    [
        ("inputs not scaled", {"train": taken(scale=0.01)}, "below 0.0"),
        ("inputs not scaled", {"train": taken(scale=200)}, "weights are made for"),
        ("a leak", {"test": taken()}, "240 of 240 test samples (100%) are in training"),
        ("a leak", {"validation": taken()}, "validation samples"),
        ("dead units", {"dead": Dead("relu2", 95, 100)}, "95 of the 100 units of relu2"),
        (
            "rate too high",
            {
                "losses": (2.0, 1.99),
                "rates": [Trial(1.0, 2.0, 2.1, 40), Trial(0.001, 2.0, 0.5, 40)],
            },
            "took its loss from 2.0000 to 2.1000, at 0.001 to 0.5000",
        ),
        (
            "rate too low",
            {
                "losses": (2.0, 1.99),
                "rates": [Trial(0.01, 2.0, 1.99, 40), Trial(1.0, 2.0, 0.5, 40)],
            },
            "took its loss from 2.0000 to 1.9900, at 1 to 0.5000",
        ),
        ("rate too high", {"losses": (2.0, 1.0, 0.6, 1.4)}, "rose from 0.6000 in epoch 3 to 1.4"),
        (
            "vanishing gradients",
            {
                "gains": {"train": Gain(2.0, 1.99), "validation": Gain(2.0, 1.99)},
                "fading": [Fading("over the 150 steps of rnn", 1e-9)],
            },
            "fades to 1e-09 of itself over the 150 steps",
        ),
        (
            "shuffled labels",
            {"learnable": BY_LOT, "answered": {"train": KNOWN, "validation": BY_LOT}},
            "11.0% of all cases, and would in 10.0%",
        ),
        (
            "untouched validation",
            {"answered": {"train": KNOWN, "validation": BY_LOT}, "reached": BY_LOT},
            "right about 90.0% of training and 11.0% of validation",
        ),
        ("too few updates", {"losses": (2.0, 1.0), "samples": 640}, "20 updates only"),
        ("too few updates", {"losses": ()}, "no epoch of it is finished"),
        (
            "overfitting",
            {
                "gains": {"train": Gain(2.0, 0.1), "validation": Gain(2.0, 1.8)},
                "losses": (2.0, 1.0, 0.5, 0.2),
                "judged": (1.0, 0.8, 0.9, 1.0),
            },
            "95% off the loss of training samples, but only 10%",
        ),
        (
            "overfitting",
            {"losses": (2.0, 1.0, 0.5, 0.2), "judged": (1.0, 0.8, 1.0, 1.6)},
            "rose from 0.8 to 1.6",
        ),
    ],
)
def test_a_cause_is_named_with_its_evidence(cause, changed, said):
    first = next(causes.diagnose(run(**changed)))
    assert first.cause == cause
    assert said in first.evidence
    assert first.advice


def test_a_gap_that_does_validation_no_harm_is_no_cause():
    gains = {"train": Gain(2.0, 0.1), "validation": Gain(2.0, 1.0)}
    assert list(causes.diagnose(run(judged=(2.0, 1.2, 1.0, 1.0, 1.0, 1.1), gains=gains))) == []


def test_a_rate_that_does_something_to_a_network_that_began_well_is_not_too_low():
    better = [Trial(0.01, 0.28, 0.25, 60), Trial(0.3, 0.28, 0.1, 60)]
    assert list(causes.diagnose(run(losses=(0.28,) * 6, rates=better))) == []


def test_a_higher_rate_that_gains_a_little_more_is_no_cause():
    better = [Trial(0.01, 2.0, 1.0, 40), Trial(0.1, 2.0, 0.2, 40)]
    assert list(causes.diagnose(run(rates=better))) == []
    assert list(causes.diagnose(run(losses=(2.0, 1.99, 1.98, 1.98), rates=[]))) == []


def test_equal_inputs_with_two_labels_contradict():
    labels = np.arange(240) % 4
    keys = [str(row // 2).encode() for row in range(20)] + [
        f"x{row}".encode() for row in range(220)
    ]
    first = next(causes.diagnose(run(train=taken(labels=labels, keys=keys))))
    assert first.cause == "contradicting labels"
    assert "20 of 240 training samples (8%)" in first.evidence
    assert "10 of them stay wrong" in first.evidence
    same = labels.copy()
    same[:20] = 1
    made = run(train=taken(labels=labels, keys=keys, targets=same))
    assert list(causes.diagnose(made)) == []


def test_a_pixel_that_tells_the_label_leaks():
    samples = taken()
    samples.batches[0][0][:, 0, 0, 0] = torch.tensor(samples.labels) / 4
    first = next(causes.diagnose(run(train=samples)))
    assert first.cause == "a leak"
    assert "one number of the input (its 1.)" in first.evidence


def test_names_that_are_taken_for_numbers_have_the_wrong_loss():
    samples = taken()
    names = np.array([3.0, 1.0, 0.0, 2.0])[samples.labels]
    found = causes._find_names_as_numbers(
        run(train=taken(labels=samples.labels, noise=3.0)), names, "mse"
    )
    assert "4 different labels for numbers" in found[0]


def test_numbers_that_are_classes_have_the_wrong_loss():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 20, 600)
    steps = np.linspace(0, 3, 20)[labels][:, None]
    images = np.cos(steps + np.linspace(0, 3, 64)) + 0.05 * generator.normal(size=(600, 64))
    batch = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8)
    samples = Samples([(batch,)], [], labels, np.arange(600), labels)
    made = run(train=samples, classes=tuple(map(str, range(20))))
    evidence, advice = causes.find_wrong_loss(made)
    assert "the 20 classes are numbers (0 to 19)" in evidence
    assert "--loss mae" in advice
    made.classes = tuple(f"c{number}" for number in range(20))
    assert causes.find_wrong_loss(made) is None


def test_neighbors_agree_only_where_labels_belong_to_inputs():
    samples = taken()
    rows, known = directions(samples.features, samples.features, words=False)
    near = nearest(rows, known, 5, apart=True)
    assert not (near == np.arange(len(near))[:, None]).any()
    assert patient.agree(samples.labels, samples.labels, near).sigmas > 10
    shuffled = np.random.default_rng(1).permutation(samples.labels)
    assert abs(patient.agree(shuffled, shuffled, near).sigmas) < 4
    numbers = samples.labels.astype(float)
    assert patient.agree(numbers, numbers, near).share > 0.9


class Toy(Task):
    def loss(self, model, batch, when):
        return {"loss": model(batch).square().mean()}

    def outputs(self, model, batch):
        return {"outputs": model(batch)}

    def figures(self, outputs):
        return {}


def test_units_that_are_always_0_are_dead():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 8), nn.Tanh())
    batches = [torch.randn(50, 4) for _ in range(3)]
    assert network.find_dead(model, Toy(), batches, Compute()).share < 0.5
    model[0].bias.data[:7] = -100
    assert network.find_dead(model, Toy(), batches, Compute()) == Dead("1", 7, 10)
    model[2].weight.data.zero_()
    assert network.find_dead(model, Toy(), batches, Compute()) == Dead("3", 8, 8)


class Last(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell(3, 16, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0][:, -1]


@pytest.mark.parametrize(("keeps", "fades"), [(True, False), (False, True)])
def test_a_gradient_fades_over_many_steps_unless_states_are_kept(keeps, fades):
    torch.manual_seed(0)
    steps = 60
    model, batch = Last(nn.RNN), 0.1 * torch.randn(8, steps, 3)
    if keeps:
        nn.init.orthogonal_(model.cell.weight_hh_l0)
    [found] = network.measure_fading(model, Toy(), [batch], Compute())
    assert found.where == f"over the {steps} steps of cell"
    assert (found.ratio < causes._FADED) == fades
    assert all(p.grad is None for p in model.parameters())


def test_a_gradient_fades_through_layers_of_small_weights():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(4)))
    [found] = network.measure_fading(model, Toy(), [torch.randn(8, 6)], Compute())
    assert found.ratio > 1e-2
    for layer in model[1:]:
        layer.weight.data *= 1e-3
    [found] = network.measure_fading(model, Toy(), [torch.randn(8, 6)], Compute())
    assert found.ratio < 1e-6
