"""Mixup and cutmix against torchvision's, and the loss of blended samples."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2

from common import seeding
from common.training import When, losses
from common.training.mixing import Mixing, cutmix, mixup, partners
from common.training.task import Classification

WEIGHTS = torch.tensor([1.0, 2.0, 5.0])


@pytest.fixture
def images():
    return torch.rand(6, 2, 9, 12, generator=torch.Generator().manual_seed(1))


class Given:
    """A distribution that gives one number."""

    def __init__(self, value):
        self.value = torch.tensor(value)

    def sample(self, _):
        return self.value


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mixup_is_torchvisions(images, share):
    theirs = v2.MixUp(num_classes=6)
    theirs._dist = Given(share)
    expected, labels = theirs(images, torch.arange(6))
    torch.testing.assert_close(mixup(images, share), expected)
    own = torch.eye(6)
    torch.testing.assert_close(share * own + (1 - share) * partners(own), labels)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.75, 0.99, 1.0])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (4, 7), (8, 11), (0, 6)])
def test_cutmix_is_torchvisions(images, share, row, column, monkeypatch):
    theirs = v2.CutMix(num_classes=6)
    theirs._dist = Given(share)
    asked = iter([torch.tensor([column]), torch.tensor([row])])
    monkeypatch.setattr(torch, "randint", lambda *_, **__: next(asked))
    expected, labels = theirs(images, torch.arange(6))
    mixed, kept = cutmix(images, share, (row + 0.5) / 9, (column + 0.5) / 12)
    assert torch.equal(mixed, expected)
    torch.testing.assert_close(kept * torch.eye(6) + (1 - kept) * partners(torch.eye(6)), labels)


@pytest.mark.parametrize("seed", range(20))
def test_the_share_of_cutmix_is_that_of_the_pixels_that_stay(seed):
    numbered = torch.arange(4.0)[:, None, None, None].expand(4, 1, 7, 5)
    mixed, share = Mixing(cutmix=1.0)(numbered, torch.Generator().manual_seed(seed))
    own = (mixed == numbered).flatten(1).double().mean(1)
    assert own.tolist() == pytest.approx([share] * 4)
    assert torch.equal(mixed[mixed != numbered], partners(numbered)[mixed != numbered])


def test_images_are_left_as_they_were(images):
    before = images.clone()
    for mixing in (Mixing(mixup=1.0), Mixing(cutmix=1.0)):
        mixing(images, torch.Generator().manual_seed(3))
    assert torch.equal(images, before)


def test_what_is_drawn_depends_on_the_seed_alone_and_leaves_the_stream(images):
    mixing, generator = Mixing(0.4, 0.4), torch.Generator()
    generator.manual_seed(8)
    first = mixing(images, generator)
    after = torch.rand(3, generator=generator)
    assert torch.equal(after, torch.rand(3, generator=torch.Generator().manual_seed(8)))
    again = mixing(images, generator)  # though the stream is further on
    assert torch.equal(first[0], again[0])
    assert first[1] == again[1]
    assert mixing(images, generator.manual_seed(9))[1] != first[1]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_are_beta_distributed(alpha):
    images = torch.zeros(2, 1, 1, 1)
    shares = [
        Mixing(mixup=alpha)(images, torch.Generator().manual_seed(seeding.derive(seed)))[1]
        for seed in range(1500)
    ]
    variance = 1 / (4 * (2 * alpha + 1))
    assert np.mean(shares) == pytest.approx(0.5, abs=4 * (variance / 1500) ** 0.5)
    assert np.var(shares) == pytest.approx(variance, rel=0.15)


def test_with_both_each_batch_takes_one_at_random():
    numbered = torch.arange(3.0)[:, None, None, None].expand(3, 1, 8, 8)
    pasted = 0
    for seed in range(300):
        generator = torch.Generator().manual_seed(seeding.derive(seed))
        mixed, share = Mixing(1.0, 1.0)(numbered, generator)
        pasted += bool(mixed.frac().eq(0).all()) and 0 < share < 1
    assert 105 < pasted < 195  # 150 expected, 5 deviations


# The loss


class Two(nn.Module):
    """In training it gives logits, and those of an auxiliary classifier."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.main, self.other = nn.Linear(64, 3), nn.Linear(64, 3)

    def forward(self, inputs):
        flat = inputs.flatten(1)
        return (self.main(flat), self.other(flat)) if self.training else self.main(flat)


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(7, 1, 8, 8, generator=generator), torch.tensor([0, 1, 2, 2, 0, 1, 1])


def blended(mixing, weights=None, name="cross-entropy", **options):
    return Classification(losses.build(name, weights, **options), weights, mixing=mixing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("mixing", [Mixing(mixup=0.7), Mixing(cutmix=1.0)])
def test_the_loss_is_that_of_the_blended_targets(mixing, smoothing):
    model, (inputs, targets) = Two().eval(), batch()
    when = When(0, 0, torch.Generator().manual_seed(4))
    mixed, share = mixing(inputs, when.generator)
    assert 0 < share < 1
    own = functional.one_hot(targets, 3).float()
    soft = share * own + (1 - share) * own.roll(1, 0)
    expected = functional.cross_entropy(model(mixed), soft, label_smoothing=smoothing)
    task = blended(mixing, label_smoothing=smoothing)
    torch.testing.assert_close(task.loss(model, (inputs, targets), when)["loss"], expected)


@pytest.mark.parametrize("name", ["cross-entropy", "focal"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_class_weights_and_auxiliary_classifiers_hold_for_both_of_a_pair(weights, name):
    model, (inputs, targets) = Two().train(), batch()
    when = When(0, 0, torch.Generator().manual_seed(4))
    mixing = Mixing(mixup=1.0)
    loss = losses.build(name, weights)
    task = Classification(loss, weights, auxiliary=0.3, mixing=mixing)
    mixed, share = mixing(inputs, when.generator)
    parts = task.loss(model, (inputs, targets), when)
    for part, logits, factor in zip(parts, model(mixed), (1, 0.3), strict=True):
        each = loss(logits, targets), loss(logits, targets.roll(1, 0))
        expected = factor * (share * each[0] + (1 - share) * each[1])
        torch.testing.assert_close(parts[part], expected)
    if weights is not None and name == "cross-entropy":  # by hand: sums over one sum of weights
        log_p = model.main(mixed.flatten(1)).log_softmax(1)
        pairs = ((share, targets), (1 - share, targets.roll(1, 0)))
        total = sum(s * (weights[t] * log_p.gather(1, t[:, None])[:, 0]).sum() for s, t in pairs)
        torch.testing.assert_close(parts["loss"], -total / weights[targets].sum())
        assert task.weights((inputs, targets))["loss"] == weights[targets].sum()


def test_evaluation_blends_nothing():
    model, rows = Two().eval(), batch()
    found = blended(Mixing(mixup=1.0, cutmix=1.0)).outputs(model, rows)
    assert torch.equal(found["outputs"], model(rows[0]))


def test_without_mixing_the_loss_is_the_plain_one_to_the_bit():
    model, (inputs, targets) = Two().eval(), batch()
    found = blended(None).loss(model, (inputs, targets), When(0, 0, torch.Generator()))["loss"]
    assert torch.equal(found, functional.cross_entropy(model(inputs), targets))
