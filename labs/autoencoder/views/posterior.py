"""What a VAE's latents carry: the divergence of each, how many are used, and the bound's parts."""

import math
from typing import NamedTuple

import numpy as np
import torch

from common.errors import ConfigError
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options.terminal import figure_text
from common.report.html import Section, Table
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.task import divergence
from labs.autoencoder.views.material import Encoded, Material, View
from labs.autoencoder.views.plots import posterior_plots

ACTIVE = 0.01  # variance of a posterior's mean over the images from which a latent counts as used
FEW = 0.1  # share of active latents below which the posterior has collapsed
LITTLE = math.log(2)  # nats of all latents below which it has, too: they tell less than a bit


class Posterior(NamedTuple):
    """What the posteriors of some images carry."""

    divergences: Array  # (N, L) of each posterior from the prior, in nats
    activities: Array  # (L,) variance over the images of the posterior's mean

    @property
    def active(self) -> int:
        """How many latents are used (Burda et al. 2016, "Importance weighted autoencoders", 5)."""
        return int((self.activities > ACTIVE).sum())

    @property
    def collapsed(self) -> bool:
        """Whether less than a tenth of the latents are used, or all tell less than a bit.

        The mean divergence is the most that latents can tell of an image (Hoffman and Johnson
        2016, "ELBO surgery", section 2).
        """
        few = self.active < max(1, FEW * len(self.activities))
        return bool(few or self.divergences.sum(1).mean() < LITTLE)


def measure(means: Array, log_variances: Array) -> Posterior:
    """Measure the normal posteriors of some images, given by (N, L) means and log variances."""
    found = divergence(torch.from_numpy(means).double(), torch.from_numpy(log_variances).double())
    return Posterior(found.numpy(), means.var(0, dtype=np.float64))


def view(material: Material) -> View:
    """Show the divergence of each latent of a VAE, its active latents, and the bound's parts.

    Raises:
        ConfigError: the model is no VAE.
    """
    job = material.job
    if not job.model.variational:
        raise ConfigError(
            f"posterior: {job.config.model} has no posterior; train with --model vae, beta-vae or "
            "conditional-vae"
        )
    test = material["test"]
    found = measure(test.latents, test.outputs["log_variance"].numpy())
    pixels = job.prepared(test.images([0])).numel()
    parts, meaning = _parts(job.config, test, pixels, found)
    means = found.divergences.mean(0)
    order = np.argsort(-means, kind="stable")
    records = [
        {
            "dimension": int(number) + 1,
            "kl": float(means[number]),
            "variance of the mean": float(found.activities[number]),
            "active": "yes" if found.activities[number] > ACTIVE else "no",
        }
        for number in order
    ]
    picture = material.save_picture(
        "posterior",
        "The latents, sorted by their divergence. Below the line in the lower panel a latent does "
        "not tell one image from another.",
        posterior_plots.latents(means[order], found.activities[order], order + 1, ACTIVE),
    )
    verdict = _verdict(job.config, found)
    text = (
        f"{verdict}\n\n"
        "KL is the divergence of an image's posterior from the standard normal prior, the mean "
        "over the test images: the most that a latent can tell of an image. A latent is active "
        f"when the variance of its posterior's mean over the images is above {ACTIVE:g} (Burda et "
        "al. 2016); one that is not stays at the prior, and the decoder has learned to ignore it. "
        f"{meaning}"
    )
    table = Table(
        ["test images", "nats an image", "95 % interval", "bits a pixel"],
        [_row(name, nats, pixels) for name, nats in parts.items()],
    )
    figures = {
        "active": found.active,
        "latents": len(means),
        "collapsed": found.collapsed,
        **{
            f"{name.lower().replace(' ', '_')}_nats": metrics.mean(nats)
            for name, nats in parts.items()
        },
    }
    return View(Section("Posterior", text, table, (picture,)), verdict, records, figures)


def _parts(
    config: AutoencoderConfig, test: Encoded, pixels: int, found: Posterior
) -> tuple[dict[str, Array], str]:
    """Return the parts of each image's negative bound in nats, (N,), and what they mean.

    The bound, for one draw from each posterior, is that of the likelihood which belongs to the
    loss, as `labs.autoencoder.task` says. An image has so many pixels, all channels counted.
    """
    kl = found.divergences.sum(1)
    error = pixels * test.outputs["reconstruction"].double().numpy()
    beta = config.divergence_weight
    if config.loss == "bce":
        reconstruction = error
        kind = "the cross-entropy of the pixels, with greys as probabilities of white"
    elif beta == 0:
        return {"KL": kl}, "With --beta 0 no likelihood belongs to the loss, so there is no bound."
    elif config.loss == "mse":
        reconstruction = error / beta + pixels / 2 * math.log(math.pi * beta)
        kind = f"minus the log density of a normal distribution with variance {beta / 2:g}"
    else:
        reconstruction = error / beta + pixels * math.log(2 * beta)
        kind = f"minus the log density of a Laplace distribution with scale {beta:g}"
    meaning = (
        f"The reconstruction is {kind}, which belongs to --loss {config.loss}"
        f"{'' if config.loss == 'bce' else f' and --beta {beta:g}'}; with KL it makes the negative "
        "evidence lower bound (Kingma and Welling 2014), for one draw from each posterior."
    )
    if config.loss != "bce":
        meaning += " Of a density it may be negative; 256 levels of grey add 8 bits a pixel."
    return {"reconstruction": reconstruction, "KL": kl, "negative bound": reconstruction + kl}, (
        meaning
    )


def _row(name: str, nats: Array, pixels: int) -> list[str]:
    low, high = metrics.bootstrap(metrics.mean, nats)
    bits = float(nats.mean()) / pixels / math.log(2)
    return [
        name,
        f"{nats.mean():.2f}",
        f"{low:.2f} to {high:.2f}",
        figure_text(bits),
    ]


def _verdict(config: AutoencoderConfig, found: Posterior) -> str:
    """Say whether the latents are used, and what to try where they are not."""
    total = len(found.activities)
    of_all = f"{found.active} of {total} latents {'is' if found.active == 1 else 'are'} active"
    kl = f"together they tell at most {found.divergences.sum(1).mean():.2f} nats of an image"
    if found.collapsed:
        return (
            f"WARNING: the posterior has collapsed: {of_all}, {kl}. The decoder hardly looks at "
            f"them, and gives nearly the same picture for all images. Try {_remedies(config)}."
        )
    if found.active < total:
        return (
            f"The posterior has not collapsed: {of_all}, {kl}. The others stay at the prior; "
            f"--latent-size {found.active} might do as well."
        )
    return f"The posterior has not collapsed: all {total} latents are active, {kl}."


def _remedies(config: AutoencoderConfig) -> str:
    found = [f"a smaller weight of the divergence (--beta {config.divergence_weight / 10:g})"]
    if config.kl_warmup == 0:
        found.append("raising it over the first epochs (--kl-warmup 10)")
    if config.loss != "bce":
        found.append("cross-entropy in place of the error (--loss bce)")
    return ", or ".join(found)
