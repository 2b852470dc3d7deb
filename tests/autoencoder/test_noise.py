"""The three kinds of noise: how much they change, where, and what decides it."""

import pytest
import torch

from common.training import infer
from common.training.batches import Batches
from common.training.compute import Compute
from labs.autoencoder.models import build
from labs.autoencoder.names import NOISES
from labs.autoencoder.noise import parse
from labs.autoencoder.task import Denoising

SPECS = tuple(f"{kind}:0.3" for kind in NOISES)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def grey(channels=1, number=50, side=40, value=0.5):
    return torch.full((number, channels, side, side), value)


def test_gaussian_noise_has_its_deviation_where_nothing_is_cut_off():
    change = parse("gaussian:0.1")(grey(), generator()) - 0.5
    assert change.std().item() == pytest.approx(0.1, rel=0.02)
    assert change.mean().item() == pytest.approx(0, abs=0.002)


def test_gaussian_noise_is_cut_off_at_black_and_white():
    noisy = parse("gaussian:0.4")(grey(), generator())
    outside = 2 * torch.distributions.Normal(0.0, 0.4).cdf(torch.tensor(-0.5)).item()
    at_the_ends = ((noisy == 0) | (noisy == 1)).double().mean().item()
    assert at_the_ends == pytest.approx(outside, rel=0.05)


def test_gaussian_noise_differs_between_channels():
    noisy = parse("gaussian:0.1")(grey(3), generator())
    assert not torch.equal(noisy[:, 0], noisy[:, 1])


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_salt_and_pepper_change_their_share_half_of_it_each_way(share):
    noisy = parse(f"salt-and-pepper:{share}")(grey(), generator())
    for value in (0, 1):
        assert (noisy == value).double().mean().item() == pytest.approx(share / 2, abs=0.01)
    assert ((noisy == 0) | (noisy == 0.5) | (noisy == 1)).all()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_masking_blackens_its_share_and_nothing_else(share):
    noisy = parse(f"masking:{share}")(grey(), generator())
    assert (noisy == 0).double().mean().item() == pytest.approx(share, abs=0.01)
    assert ((noisy == 0) | (noisy == 0.5)).all()


def test_all_of_it_leaves_nothing():
    assert not parse("masking:1")(grey(), generator()).any()
    noisy = parse("salt-and-pepper:1")(grey(), generator())
    assert ((noisy == 0) | (noisy == 1)).all()


@pytest.mark.parametrize("kind", ["salt-and-pepper", "masking"])
def test_a_pixel_is_lost_in_all_its_channels(kind):
    noisy = parse(f"{kind}:0.3")(grey(3), generator())
    assert torch.equal(noisy[:, 0], noisy[:, 1])
    assert torch.equal(noisy[:, 0], noisy[:, 2])


@pytest.mark.parametrize("spec", SPECS)
def test_the_generator_decides(spec):
    noise, images = parse(spec), grey()
    assert torch.equal(noise(images, generator(1)), noise(images, generator(1)))
    assert not torch.equal(noise(images, generator(1)), noise(images, generator(2)))


@pytest.mark.parametrize("spec", SPECS)
def test_images_differ_and_stay_in_range_and_as_they_were(spec):
    images = torch.rand(20, 1, 8, 8, generator=generator())
    before = images.clone()
    noisy = parse(spec)(images, generator())
    assert noisy.shape == images.shape
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    assert torch.equal(images, before)
    changed = (noisy != images).flatten(1)
    assert not torch.equal(changed[0], changed[1]) or spec.startswith("gaussian")
    assert not torch.equal(noisy[0] - images[0], noisy[1] - images[1])


@pytest.mark.parametrize("spec", SPECS)
def test_evaluation_has_the_same_noise_each_time_and_training_has_not(spec, digits):
    torch.manual_seed(0)
    model = build(
        "denoising",
        architecture="dense",
        channels=1,
        image_size=8,
        classes=10,
        latent_size=4,
        depth=1,
        width=2,
    )
    task = Denoising("mse", parse(spec))
    images = digits.images[:100].float() / 255
    batches = Batches((images, digits.targets[:100]), 32, compute=Compute("cpu"))
    first = infer(model, task, batches)
    torch.manual_seed(7)  # whatever was drawn before
    second = infer(model, task, batches)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(task.seen(images, generator(1)), task.seen(images, generator(2)))


def test_noisy_images_are_kept_as_the_encoder_saw_them(digits):
    """What is kept as uint8 is exactly what the encoder was given, so filters see no less."""
    images = digits.images[:50].float() / 255
    seen = Denoising("mse", parse("gaussian:0.4")).seen(images, None)
    assert torch.equal((seen * 255).round().byte().float() / 255, seen)
