"""Losses against values worked out by hand, and their units: per pixel, whatever the image size."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from common.training import When, evaluate, optim, train_step
from common.training.batches import Batches
from common.training.compute import Compute
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.models import Autoencoder, VariationalAutoencoder, build
from labs.autoencoder.names import MODELS
from labs.autoencoder.noise import parse
from labs.autoencoder.task import (
    Contractive,
    Denoising,
    Reconstruction,
    Sparse,
    Variational,
    build_task,
    divergence,
)

LOSSES = ("mse", "bce", "l1")


def when(epoch=0, seed=0):
    return When(epoch, 0, torch.Generator().manual_seed(seed))


def images(number=6, side=4, channels=1, seed=0):
    return torch.rand(
        number, channels, side, side, generator=torch.Generator().manual_seed(seed)
    ).clamp(0.01, 0.99)


def classes(number=6):
    return torch.arange(number) % 3


def enlarged(batch, factor=2):
    return functional.interpolate(batch, scale_factor=factor, mode="nearest")


class Enlarging(nn.Module):
    """Logits of the nearest pixel, so that a decoder can give the same picture at any size."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, logits):
        return enlarged(logits, self.factor)


def linear_pair(latents=3, side=4, factor=1, variational=False, seed=0, code=None):
    """Build an autoencoder of one linear layer each way.

    It sees an image enlarged by a factor as the image itself, and gives back its output likewise
    enlarged.
    """
    torch.manual_seed(seed)
    pixels, width = side**2, latents * (2 if variational else 1)
    encoder = nn.Sequential(nn.AvgPool2d(factor), nn.Flatten(), nn.Linear(pixels, width))
    decoder = nn.Sequential(
        nn.Linear(latents, pixels), nn.Unflatten(1, (1, side, side)), Enlarging(factor)
    )
    if variational:
        return VariationalAutoencoder(encoder, decoder)
    return Autoencoder(encoder, decoder, code)


# --- the error of the pixels --------------------------------------------------------------------


def test_errors_by_hand():
    model = linear_pair(side=2)
    logits = torch.tensor([[[[0.0, 0.0], [math.log(3), -math.log(3)]]]])  # 0.5, 0.5, 0.75, 0.25
    truth = torch.tensor([[[[0.0, 1.0], [1.0, 1.0]]]])
    expected = {
        "mse": (0.25 + 0.25 + 0.0625 + 0.5625) / 4,
        "l1": (0.5 + 0.5 + 0.25 + 0.75) / 4,
        "bce": -(2 * math.log(0.5) + math.log(0.75) + math.log(0.25)) / 4,
    }
    for loss, value in expected.items():
        assert Reconstruction(loss).errors(model, logits, truth).item() == pytest.approx(value)


@pytest.mark.parametrize("loss", LOSSES)
def test_errors_are_means_over_pixels_and_channels(loss):
    model = linear_pair()
    logits, truth = torch.randn(5, 3, 4, 4), images(5, channels=3)
    task = Reconstruction(loss)
    whole = task.errors(model, logits, truth)
    apart = [task.errors(model, logits[:, [channel]], truth[:, [channel]]) for channel in range(3)]
    torch.testing.assert_close(whole, torch.stack(apart).mean(0))
    torch.testing.assert_close(whole, task.errors(model, enlarged(logits), enlarged(truth)))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_an_image_does_not_depend_on_its_size(loss):
    batch = images()
    small = Reconstruction(loss).loss(linear_pair(), (batch, classes()), when())
    for factor in (2, 3):
        model = linear_pair(factor=factor)
        large = Reconstruction(loss).loss(model, (enlarged(batch, factor), classes()), when())
        torch.testing.assert_close(large, small)


def test_errors_are_computed_in_float32():
    model = linear_pair()
    errors = Reconstruction("bce").errors(model, torch.zeros(2, 1, 4, 4).bfloat16(), images(2))
    assert errors.dtype == torch.float32


def test_bce_is_least_for_the_image_itself():
    truth = images(1)
    task, model = Reconstruction("bce"), linear_pair()
    own = task.errors(model, truth.logit(), truth)
    entropy = -(truth * truth.log() + (1 - truth) * (1 - truth).log()).mean()
    assert own.item() == pytest.approx(entropy.item(), rel=1e-5)
    assert task.errors(model, truth.logit() + 0.1, truth) > own


# --- the divergence of a VAE --------------------------------------------------------------------


def test_divergence_is_torchs():
    mean, log_variance = torch.randn(7, 5), torch.randn(7, 5)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(5), torch.ones(5))
    expected = torch.distributions.kl_divergence(posterior, prior)
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    assert (divergence(mean, log_variance) >= 0).all()
    assert not divergence(torch.zeros(2), torch.zeros(2)).any()


def kl_of(model, batch, beta=1.0, warmup=0.0, epoch=0):
    return (
        Variational("bce", beta, warmup)
        .loss(model, (batch, classes(len(batch))), when(epoch))["kl"]
        .item()
    )


def test_kl_is_in_nats_per_pixel():
    model, batch = linear_pair(variational=True), images()
    mean, log_variance = model.posterior(batch)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    nats = torch.distributions.kl_divergence(posterior, prior).sum(1).mean().item()
    assert kl_of(model, batch) == pytest.approx(nats / 16)
    assert kl_of(model, batch, beta=4) == pytest.approx(4 * nats / 16)
    enlarging = linear_pair(factor=2, variational=True)
    assert kl_of(enlarging, enlarged(batch)) == pytest.approx(nats / 64)


def test_bce_and_kl_are_the_evidence_lower_bound_per_pixel():
    """For an image of 0 and 1, minus log p(x | z) is the sum of the cross-entropies."""
    model, batch = linear_pair(variational=True), images().round()
    parts = Variational("bce", 1.0, 0.0).loss(model, (batch, classes()), when())
    mean, log_variance = model.posterior(batch)
    drawn = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    chances = model.decode(mean + (0.5 * log_variance).exp() * drawn)
    likelihood = torch.distributions.Bernoulli(chances).log_prob(batch).flatten(1).sum(1)
    bound = likelihood - divergence(mean, log_variance).sum(1)
    assert sum(parts.values()).item() == pytest.approx(-bound.mean().item() / 16, rel=1e-5)


def test_kl_warms_up_in_training_alone():
    model, batch = linear_pair(variational=True), images()
    full = kl_of(model, batch)
    rising = [kl_of(model, batch, warmup=4, epoch=epoch) for epoch in range(6)]
    np.testing.assert_allclose(rising, [full * min(1, epoch / 4) for epoch in range(6)], rtol=1e-5)
    figures = evaluate(model, Variational("bce", 1.0, 4), [(batch, classes())])
    assert figures["kl"] == pytest.approx(full, rel=1e-5)


def test_noise_of_a_vae_is_what_the_generator_draws():
    model, batch = linear_pair(variational=True), images()
    task = Variational("mse", 1.0, 0.0)
    first, same, other = (
        task.loss(model, (batch, classes()), when(seed=seed))["reconstruction"]
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_the_mean_gives_the_reconstruction_that_is_reported():
    model, batch = linear_pair(variational=True), images()
    outputs = Variational("mse", 1.0, 0.0).outputs(model, (batch, classes()))
    mean, log_variance = model.posterior(batch)
    expected = (model.decode(mean) - batch).square().flatten(1).mean(1)
    torch.testing.assert_close(outputs["squared_error"], expected)
    torch.testing.assert_close(outputs["latents"], mean)
    torch.testing.assert_close(outputs["log_variance"], log_variance)


# --- sparse latents -----------------------------------------------------------------------------


class Known(Autoencoder):
    """An autoencoder whose latents are given."""

    def __init__(self, latents):
        super().__init__(nn.Identity(), nn.Linear(1, 1))
        self.known = latents

    def encode(self, images, classes=None):
        return self.known


def sparsity(kind, latents, weight=1.0, target=0.05):
    task = Sparse("mse", kind, weight, target)
    return task.encode(Known(latents), images(len(latents)), classes(len(latents)), None)[1][
        "sparsity"
    ].item()


def test_l1_is_the_mean_size_of_a_latent():
    assert sparsity("l1", torch.tensor([[1.0, 0.0], [0.0, -3.0]])) == pytest.approx(1.0)
    assert sparsity("l1", torch.zeros(4, 2)) == 0
    assert sparsity("l1", torch.ones(4, 2), weight=0.01) == pytest.approx(0.01)


def test_kl_sparsity_by_hand():
    # Means 0.5 and 0.25, mean squares 0.5 and 0.25: activities 0.5 and 0.25.
    latents = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    each = [0.1 * math.log(0.1 / mean) + 0.9 * math.log(0.9 / (1 - mean)) for mean in (0.5, 0.25)]
    found = sparsity("kl", latents, target=0.1)
    assert found == pytest.approx(sum(each) / 2, rel=1e-5)
    torch_kl = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(0.1), torch.distributions.Bernoulli(torch.tensor([0.5, 0.25]))
    )
    assert found == pytest.approx(torch_kl.mean().item(), rel=1e-5)


def test_kl_sparsity_cannot_be_had_by_making_latents_small():
    """A mean near the target is not sparse when it is that of all images."""
    latents = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
    small = 0.1 * latents
    assert small.mean().item() == pytest.approx(0.05, abs=0.01)
    assert sparsity("kl", small) == pytest.approx(sparsity("kl", latents), rel=1e-4)
    assert sparsity("kl", small) > 0.5
    rare = torch.zeros(60, 3)
    rare[:3] = 7.0
    assert sparsity("kl", rare) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_kl_sparsity_of_dead_or_saturated_latents_is_finite(value):
    found = sparsity("kl", torch.full((4, 3), value))
    assert math.isfinite(found)
    assert found > 0.4


# --- contraction --------------------------------------------------------------------------------


def exact_contraction(model, batch):
    """Return the mean squared Jacobian per latent, times the number of pixels."""
    norms = [
        torch.autograd.functional.jacobian(model.encode, image[None]).square().sum()
        for image in batch
    ]
    latents = model.encode(batch).shape[1]
    return (torch.stack(norms).mean() * batch[0].numel() / latents).item()


def estimated(model, batch, times, weight=1.0):
    task = Contractive("mse", weight)
    given = batch.repeat(times, 1, 1, 1)
    return task.encode(model, given, classes(len(given)), when())[1]["contraction"].item()


def test_one_random_projection_estimates_the_jacobian():
    model, batch = linear_pair(code=nn.Sigmoid()), images()
    exact = exact_contraction(model, batch)
    assert estimated(model, batch, 20_000) == pytest.approx(exact, rel=0.02)
    assert estimated(model, batch, 20_000, weight=0.1) == pytest.approx(0.1 * exact, rel=0.02)


def test_contraction_of_one_latent_is_exact_up_to_the_square_of_its_draw():
    model, batch = linear_pair(latents=1), images(1)
    drawn = torch.randn(1, 1, generator=torch.Generator().manual_seed(0)).item()
    exact = exact_contraction(model, batch)
    assert estimated(model, batch, 1) == pytest.approx(exact * drawn**2, rel=1e-5)


def test_contraction_does_not_depend_on_the_size_of_the_image():
    """A picture has an area of 1: four pixels in place of one each matter a quarter as much."""
    batch = images()
    small, large = linear_pair(), linear_pair(factor=2)
    assert exact_contraction(large, enlarged(batch)) == pytest.approx(
        exact_contraction(small, batch), rel=1e-5
    )
    assert estimated(large, enlarged(batch), 1) == pytest.approx(
        estimated(small, batch, 1), rel=1e-5
    )


def test_contraction_trains_the_encoder():
    model, batch = linear_pair(code=nn.Sigmoid()), images()
    before = exact_contraction(model, batch)
    for _ in range(20):
        contraction = Contractive("mse", 1.0).encode(model, batch, classes(), when())[1]
        contraction["contraction"].backward()
        with torch.no_grad():
            for weights in model.encoder.parameters():
                weights -= 0.05 * weights.grad
                weights.grad = None
    assert exact_contraction(model, batch) < 0.5 * before


def test_contraction_is_measured_in_inference_mode_too():
    model, batch = linear_pair(code=nn.Sigmoid()), images()
    figures = evaluate(
        model, Contractive("mse", 1.0), [(batch.repeat(2000, 1, 1, 1), classes(12_000))]
    )
    assert figures["contraction"] == pytest.approx(exact_contraction(model, batch), rel=0.1)


# --- training and validation weigh alike --------------------------------------------------------


def built(name, **values):
    """Return a config's task and a small model of it for 8x8 images of 10 classes."""
    config = AutoencoderConfig(model=name, **values)
    torch.manual_seed(0)
    codes = {"sparse": "relu", "contractive": "sigmoid"}
    model = build(
        name,
        architecture="dense",
        channels=1,
        image_size=8,
        classes=10,
        latent_size=4,
        depth=1,
        width=2,
        code=codes.get(name, "none"),
    )
    return build_task(config), model


@pytest.fixture(scope="module")
def batch(digits):
    return digits.images[:200].float() / 240, digits.targets[:200]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["dense", "sparse", "conv"])
def test_loss_and_validation_loss_are_one_figure(name, loss, batch):
    task, model = built(name, loss=loss)
    parts = task.loss(model, batch, when())
    figures = evaluate(model, task, [batch])
    assert figures["loss"] == pytest.approx(sum(parts.values()).item(), rel=1e-5)
    for part, value in parts.items():
        assert figures[part] == pytest.approx(value.item(), rel=1e-5)
    assert set(parts) == set(task.weights(batch))


@pytest.mark.parametrize("name", ["vae", "beta-vae", "conditional-vae", "contractive", "denoising"])
def test_loss_and_validation_loss_agree_but_for_what_is_drawn(name, batch):
    task, model = built(name, contraction_weight=1.0)
    drawn = [sum(task.loss(model, batch, when(seed=seed)).values()).item() for seed in range(20)]
    figures = evaluate(model, task, [batch])
    spread = max(np.std(drawn), 1e-4)
    assert figures["loss"] == pytest.approx(np.mean(drawn), abs=5 * spread)
    assert figures["loss"] == pytest.approx(np.mean(drawn), rel=0.2)


def test_mse_is_the_loss_of_a_plain_autoencoder(batch):
    task, model = built("dense")
    figures = evaluate(model, task, [batch])
    assert figures["mse"] == figures["loss"]
    expected = functional.mse_loss(model(batch[0]), batch[0]).item()
    assert figures["mse"] == pytest.approx(expected, rel=1e-5)


def test_denoising_is_held_against_the_clean_image(batch):
    task, model = built("denoising", noise="masking:1")
    found = evaluate(model, task, [batch])
    expected = functional.mse_loss(model(torch.zeros_like(batch[0])), batch[0]).item()
    assert found["mse"] == pytest.approx(expected, rel=1e-5)
    outputs = task.outputs(model, batch)
    torch.testing.assert_close(outputs["latents"], model.encode(batch[0]))  # of the clean image


def test_denoising_in_training_sees_noise_that_is_not_rounded():
    task = Denoising("mse", parse("gaussian:0.4"))
    seen = task.seen(images(), torch.Generator().manual_seed(0))
    assert not torch.equal((seen * 255).round() / 255, seen)


@pytest.mark.parametrize("name", [*MODELS])
def test_every_model_has_a_finite_loss_and_gradients(name, batch):
    task, model = built(name)
    sum(task.loss(model, batch, when()).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert evaluate(model, task, [batch])["loss"] > 0


# --- micro-batches ------------------------------------------------------------------------------


def gradients(task, model, pieces):
    optimizer = optim.build("sgd", model, 0.0)
    parts, _ = train_step(
        model,
        task,
        pieces,
        optimizer,
        epoch=0,
        step=0,
        rate=1.0,
        seed=0,
        clip=None,
        compute=Compute("cpu"),
    )
    found = [p.grad.clone() for p in model.parameters()]
    return found, parts


@pytest.mark.parametrize(
    ("name", "values"), [("dense", {}), ("linear", {}), ("sparse", {"sparsity_weight": 1.0})]
)
@pytest.mark.parametrize("sizes", [(100, 100), (150, 50), (66, 67, 67)])
def test_micro_batches_add_up_to_one_batch(name, values, sizes, batch):
    task, model = built(name, **values)
    whole, _ = gradients(task, model, [batch])
    pieces = list(zip(*(column.split(sizes) for column in batch), strict=True))
    summed, parts = gradients(task, model, pieces)
    for one, other in zip(whole, summed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert {part.name for part in parts} == set(task.weights(batch))
    assert [part.weight for part in parts if part.name == "reconstruction"] == list(sizes)


def test_evaluation_in_small_batches_gives_the_same_figures(batch):
    task, model = built("sparse")
    compute = Compute("cpu")
    found = [
        evaluate(model, task, Batches(batch, size, compute=compute), compute) for size in (200, 77)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
