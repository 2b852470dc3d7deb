"""What a VAE's latents carry: divergence, active units, the bound, and a collapse."""

import json
import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Laplace, Normal, kl_divergence

from common.errors import ConfigError
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.job import Compression
from labs.autoencoder.views import posterior
from labs.autoencoder.views.material import Material

SHORT = ("--model", "vae", "--architecture", "dense", "--epochs", "1")
VAE = ("--model", "vae", "--architecture", "dense", "--limit", "400", "--epochs", "12")


def material(path):
    job = Compression.reopen(path)
    job.load_best()
    return Material(job, job.load_splits())


@pytest.fixture(scope="module")
def healthy(small_run):
    return material(small_run(*VAE, "--beta", "0.1", "--loss", "mse"))


def test_the_divergence_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    means, log_variances = torch.randn(2, 50, 3, generator=generator)
    found = posterior.measure(means.numpy(), log_variances.numpy())
    expected = kl_divergence(Normal(means, (0.5 * log_variances).exp()), Normal(0, 1))
    assert found.divergences == pytest.approx(expected.numpy(), rel=1e-5, abs=1e-6)
    assert found.activities == pytest.approx(means.numpy().var(0), rel=1e-5)


@pytest.mark.parametrize(
    ("deviations", "active", "collapsed"),
    [
        ([1.0] * 20, 20, False),
        ([1.0] * 2 + [0.0] * 18, 2, False),
        ([1.0] + [0.0] * 19, 1, True),  # a twentieth
        ([1.0] + [0.0] * 3, 1, False),
        ([0.0] * 4, 0, True),
        ([0.09] * 4, 0, True),  # a variance of 0.0081
        ([0.11] * 4, 4, True),  # active, but less than a bit together
    ],
)
def test_active_latents_and_collapse(deviations, active, collapsed):
    signs = np.tile([[-1.0], [1.0]], (10, 1))
    means = (signs * np.array(deviations)).astype(np.float32)
    log_variances = np.where(np.array(deviations) >= 1, -2.0, 0.0) * np.ones_like(means)
    found = posterior.measure(means, log_variances.astype(np.float32))
    assert (found.active, found.collapsed) == (active, collapsed)


def test_a_healthy_posterior_is_told_so(healthy):
    view = posterior.view(healthy)
    assert not view.figures["collapsed"]
    assert view.figures["active"] == 4
    assert view.verdict.startswith("The posterior has not collapsed: all 4 latents are active")
    kl = [record["kl"] for record in view.records]
    assert kl == sorted(kl, reverse=True)
    assert sum(kl) == pytest.approx(view.figures["kl_nats"])
    assert sorted(record["dimension"] for record in view.records) == [1, 2, 3, 4]
    assert "WARNING" not in view.section.text


@pytest.mark.slow
def test_a_weight_of_100_collapses_the_posterior_and_the_view_says_what_to_try(small_run, lab):
    path = small_run(*VAE, "--beta", "100", "--loss", "mse")
    view = posterior.view(material(path))
    assert view.figures["collapsed"]
    assert view.figures["active"] == 0
    for part in ("WARNING: the posterior has collapsed", "--beta 10", "--kl-warmup", "--loss bce"):
        assert part in view.verdict
        assert part in view.section.text
    result = lab("posterior", path)
    assert result.code == 0, result
    assert "WARNING" in result.out
    found = json.loads((path / "views/posterior.json").read_text(encoding="utf-8"))
    assert found["figures"]["collapsed"] is True


def test_what_was_tried_is_not_advised():
    config = AutoencoderConfig(model="vae", beta=0.1, loss="bce", kl_warmup=1)
    assert posterior._remedies(config) == "a smaller weight of the divergence (--beta 0.01)"


@pytest.mark.parametrize("loss", ["mse", "l1", "bce"])
def test_the_bound_is_that_of_the_likelihood_that_belongs_to_the_loss(small_run, loss):
    made = material(small_run(*SHORT, "--beta", "0.5", "--loss", loss))
    test = made["test"]
    found = posterior.measure(test.latents, test.outputs["log_variance"].numpy())
    parts, _ = posterior._parts(made.job.config, test, 64, found)
    # The images that the drawn latents gave are not kept, so the likelihood is taken of others.
    images = made.job.prepared(made.splits["test"].images).flatten(1).double()
    outputs = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).double()
    likelihood, error = {
        "mse": (Normal(outputs, math.sqrt(0.25)), (outputs - images).square()),
        "l1": (Laplace(outputs, 0.5), (outputs - images).abs()),
        "bce": (
            Bernoulli(outputs, validate_args=False),
            torch.nn.functional.binary_cross_entropy(outputs, images, reduction="none"),
        ),
    }[loss]
    test.outputs["reconstruction"] = error.mean(1)
    parts, meaning = posterior._parts(made.job.config, test, 64, found)
    expected = -likelihood.log_prob(images).sum(1).numpy()
    assert parts["reconstruction"] == pytest.approx(expected)
    assert parts["negative bound"] == pytest.approx(expected + found.divergences.sum(1))
    assert f"--loss {loss}" in meaning


def test_with_mse_the_loss_is_the_bound_up_to_a_constant(healthy):
    test, beta = healthy["test"], 0.1
    view = posterior.view(healthy)
    loss = float((test.outputs["reconstruction"] + test.outputs["kl"]).double().mean())
    constant = 64 / 2 * math.log(math.pi * beta)
    assert view.figures["negative_bound_nats"] == pytest.approx(64 * loss / beta + constant)
    row = view.section.table.rows[-1]
    assert row[0] == "negative bound"
    bits = view.figures["negative_bound_nats"] / 64 / math.log(2)
    assert float(row[3]) == pytest.approx(bits, rel=1e-2)


def test_without_a_weight_there_is_no_bound(small_run):
    made = material(small_run(*SHORT, "--beta", "0", "--loss", "mse"))
    view = posterior.view(made)
    assert [row[0] for row in view.section.table.rows] == ["KL"]
    assert "there is no bound" in view.section.text


def test_a_model_without_a_prior_has_no_posterior(small_run):
    with pytest.raises(ConfigError, match="conv has no posterior.*--model vae"):
        posterior.view(material(small_run("--architecture", "dense")))
