import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from common.errors import ConfigError
from common.training.summary import summarize
from labs.autoencoder import models
from labs.autoencoder.names import MODELS, VARIATIONAL

SIZES = [(4, 1), (5, 1), (8, 1), (28, 1), (30, 3), (33, 1), (64, 3)]


def build(model="conv", size=28, channels=1, **options):
    torch.manual_seed(1)
    given = {
        "architecture": "conv",
        "classes": 10,
        "latent_size": 3,
        "depth": None,
        "width": 4,
        **options,
    }
    return models.build(model, channels=channels, image_size=size, **given)


def batch(size=28, channels=1, number=3):
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(number, channels, size, size, generator=generator)
    return images, torch.arange(number)


# Every model


@pytest.mark.parametrize("latent_size", [1, 32])
@pytest.mark.parametrize(("size", "channels"), SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_images_come_back_in_their_own_size(model, size, channels, latent_size):
    autoencoder = build(model, size, channels, latent_size=latent_size)
    images, classes = batch(size, channels)
    latents = autoencoder.encode(images, classes)
    assert latents.shape == (3, latent_size)
    pixels = autoencoder.decode(latents, classes)
    assert pixels.shape == autoencoder.logits(latents, classes).shape == images.shape
    torch.testing.assert_close(autoencoder(images, classes), pixels)
    if model != "linear":
        assert pixels.min() >= 0
        assert pixels.max() <= 1


@pytest.mark.parametrize("architecture", ["conv", "dense"])
@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_learns(model, architecture):
    autoencoder = build(model, 12, 3, architecture=architecture)
    images, classes = batch(12, 3)
    latents = autoencoder.encode(images, classes)
    if autoencoder.variational:
        mean, log_variance = autoencoder.posterior(images, classes)
        latents = mean + (0.5 * log_variance).exp()
    nn.functional.mse_loss(autoencoder.decode(latents, classes), images).backward()
    for name, parameter in autoencoder.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("architecture", ["conv", "dense"])
@pytest.mark.parametrize("model", MODELS)
def test_an_image_alone_is_what_it_is_among_others(model, architecture):
    autoencoder = build(model, 8, architecture=architecture).train()
    images, classes = batch(8)
    together, alone = autoencoder(images, classes), autoencoder(images[:1], classes[:1])
    torch.testing.assert_close(together[:1], alone)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_summarized(model):
    autoencoder = build(model, 12)
    summary = summarize(autoencoder, (1, 12, 12))
    assert summary.rows[0].output_shape == (1, 1, 12, 12)
    assert summary.trainable_parameters == sum(p.numel() for p in autoencoder.parameters())


@pytest.mark.parametrize("architecture", ["conv", "dense"])
def test_the_encoder_can_be_derived_twice(architecture):
    encode = build(size=8, latent_size=2, architecture=architecture).double().encode
    images = batch(8, number=1)[0].double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda values: encode(values).square(), images)


def test_the_encoder_has_a_jacobian_for_each_image():
    encode = build(size=8, latent_size=2).encode
    images, _ = batch(8)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda image: encode(image[None])[0]))(images)
    assert jacobian.shape == (3, 2, 1, 8, 8)
    for row in range(2):
        leaf = images.clone().requires_grad_()
        [gradient] = torch.autograd.grad(encode(leaf)[:, row].sum(), leaf)
        torch.testing.assert_close(jacobian[:, row], gradient)


def test_the_activation_of_the_latents():
    images, _ = batch()
    plain = build("sparse").encode(images)
    assert plain.min() < 0
    torch.testing.assert_close(build("sparse", code="relu").encode(images), plain.relu())
    torch.testing.assert_close(build("sparse", code="sigmoid").encode(images), plain.sigmoid())


# Depth and width


def convolutions(autoencoder):
    return [m for m in autoencoder.encoder.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize(
    ("size", "side"),
    [(4, 2), (5, 3), (6, 3), (8, 4), (28, 4), (30, 4), (33, 3), (64, 4), (65, 5), (128, 8)],
)
def test_the_usual_depth_leaves_three_or_four_pixels(size, side):
    autoencoder = build(size=size)
    summary = summarize(autoencoder, (1, size, size))
    shapes = {row.name: row.output_shape for row in summary.rows}
    last = [name for name, m in autoencoder.named_modules() if isinstance(m, nn.Conv2d)][-1]
    assert shapes[last][2:] == (side, side)


@pytest.mark.parametrize(("size", "most"), [(4, 2), (5, 3), (8, 3), (28, 5), (33, 6)])
def test_a_depth_that_leaves_nothing_names_the_largest(size, most):
    images, _ = batch(size)
    assert build(size=size, depth=most)(images).shape == images.shape
    with pytest.raises(ConfigError, match=f"--depth {most + 1}: .* {most} at most"):
        build(size=size, depth=most + 1)


def test_convolutions_double_their_channels():
    assert [m.out_channels for m in convolutions(build(depth=4, width=6))] == [6, 12, 24, 48]


def test_dense_layers_halve_down_to_eight_units():
    autoencoder = build("dense", 8, depth=4, width=4)
    units = [m.out_features for m in autoencoder.modules() if isinstance(m, nn.Linear)]
    assert units == [64, 32, 16, 8, 3, 8, 16, 32, 64, 64]
    with pytest.raises(ConfigError, match="--depth 5: hidden layers, .* 4 at most"):
        build("dense", 8, depth=5, width=4)


# Variational and conditional


def test_flags_tell_the_models_apart():
    assert [name for name in MODELS if build(name, 8).variational] == list(VARIATIONAL)
    assert [name for name in MODELS if build(name, 8).conditional] == ["conditional-vae"]


@pytest.mark.parametrize("model", VARIATIONAL)
def test_a_posterior_has_a_mean_and_a_variance_for_each_latent(model):
    autoencoder = build(model)
    images, classes = batch()
    mean, log_variance = autoencoder.posterior(images, classes)
    assert mean.shape == log_variance.shape == (3, 3)
    assert not torch.equal(mean, log_variance)
    torch.testing.assert_close(autoencoder.encode(images, classes), mean)


def test_only_the_conditional_model_is_told_the_class():
    images, classes = batch()
    other = classes + 1
    for name in MODELS:
        autoencoder = build(name)
        latents = autoencoder.encode(images, classes)
        pixels = autoencoder.decode(latents, classes)
        same = torch.equal(latents, autoencoder.encode(images, other))
        assert same is not autoencoder.conditional
        assert torch.equal(pixels, autoencoder.decode(latents, other)) is same


def test_no_class_and_a_negative_one_are_zeros():
    autoencoder = build("conditional-vae")
    images, classes = batch()
    unknown = torch.full_like(classes, -1)
    torch.testing.assert_close(autoencoder(images), autoencoder(images, unknown))
    assert not torch.equal(autoencoder(images), autoencoder(images, classes))


def test_a_conditional_model_needs_classes():
    with pytest.raises(ConfigError, match="no classes; give --model vae"):
        build("conditional-vae", classes=0)


# Reference: principal components


@pytest.mark.slow
@pytest.mark.parametrize("latent_size", [2, 8])
def test_the_linear_autoencoder_is_pca(latent_size):
    """Baldi and Hornik 1989: its only minimum is the span of the first principal components."""
    pixels = load_digits().data / 16
    pca = PCA(latent_size).fit(pixels)
    restored = pca.inverse_transform(pca.transform(pixels))
    expected = np.square(restored - pixels).mean()

    autoencoder = build("linear", 8, latent_size=latent_size).double()
    images = torch.from_numpy(pixels).view(-1, 1, 8, 8)
    optimizer = torch.optim.LBFGS(
        autoencoder.parameters(), max_iter=300, line_search_fn="strong_wolfe"
    )

    def loss():
        optimizer.zero_grad()
        value = nn.functional.mse_loss(autoencoder(images), images)
        value.backward()
        return value

    optimizer.step(loss)
    reached = loss().item()
    assert expected - 1e-9 <= reached <= 1.01 * expected  # Eckart and Young 1936: never below
    [decoder] = [m for m in autoencoder.decoder.modules() if isinstance(m, nn.Linear)]
    angles = subspace_angles(decoder.weight.detach().numpy(), pca.components_.T)
    assert np.rad2deg(angles.max()) < 5
    found = autoencoder(images).detach().flatten(1).numpy()
    assert np.abs(found - restored).mean() < 0.01


@torch.no_grad()
@pytest.mark.slow
def test_what_training_calls_is_compiled():
    compiled = []

    def backend(graph, examples):
        compiled.append(graph)
        return graph.forward

    autoencoder = build("vae", architecture="dense")
    images, _ = batch()
    expected = autoencoder.decode(autoencoder.encode(images))
    autoencoder.compile(backend=backend)
    torch.testing.assert_close(autoencoder.decode(autoencoder.encode(images)), expected)
    assert len(compiled) == 2
