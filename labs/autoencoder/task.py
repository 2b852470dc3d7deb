"""What the loop cannot know about autoencoders: the loss, and what a config builds.

Every loss here has the same unit, whatever the size of the images: the mean over the pixels and
channels of an image, then over the images. A weight between two parts of a loss so means the same
for 8x8 pixels and for 64x64, and the same in training and in validation:

    reconstruction  mean over pixels of the squared error, the cross-entropy (nats), or the
                    absolute error, between [0, 1] images
    kl              of a VAE: divergence of the posterior from the standard normal prior, in nats,
                    summed over the latents, divided by the number of pixels, times beta
    sparsity        mean over the latents of |z|, or of KL(target || activity), times its weight
    contraction     squared derivatives of the latents by the pixels, times its weight

So with `bce` and beta 1 the loss of a VAE is its negative evidence lower bound in nats per pixel
(Kingma and Welling 2014, equation 3). With `mse`, a weight beta belongs to a normal likelihood with
variance beta / 2.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.images import augment, load
from common.images.load import ImageCard
from common.training import Task, When
from common.training.task import check_finite
from labs.autoencoder import models
from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.models import Autoencoder, VariationalAutoencoder
from labs.autoencoder.names import VARIATIONAL
from labs.autoencoder.noise import Noise, parse

_TINY = 1e-12  # mean square of a latent that is never active
_CODES = {"sparse": "relu", "contractive": "sigmoid"}  # latents that can be 0, or are in (0, 1)


class Reconstruction(Task):
    """Give back the image from its latents; the loss is `mse`, `bce` or `l1`."""

    def __init__(self, loss: str):
        self._loss = loss

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss of a batch of (images, classes), in its parts."""
        images, classes = batch
        model = _autoencoder(model)
        latents, penalties = self.encode(model, self.seen(images, when.generator), classes, when)
        logits = model.logits(latents, classes)
        return {"reconstruction": self.errors(model, logits, images).mean(), **penalties}

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh each part by the images."""
        return dict.fromkeys(("reconstruction", *self.penalties), len(batch[0]))

    penalties: tuple[str, ...] = ()
    """Names of what is added to the error of the pixels."""

    def seen(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return what the encoder sees of images (B, C, H, W)."""
        return images

    def encode(
        self, model: Autoencoder, images: Tensor, classes: Tensor, when: When | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return latents (B, L) to decode, and the mean penalties of the batch, weighed.

        Images are (B, C, H, W), classes (B,); `when` is the moment in training, None in evaluation.
        """
        return model.encode(images, classes), {}

    def errors(self, model: Autoencoder, logits: Tensor, images: Tensor) -> Tensor:
        """Return the error of each image (B,), in float32: the mean over its pixels."""
        logits, images = logits.float(), images.float()
        if self._loss == "bce":
            each = functional.binary_cross_entropy_with_logits(logits, images, reduction="none")
        else:
            difference = model.output(logits) - images
            each = difference.square() if self._loss == "mse" else difference.abs()
        return each.flatten(1).mean(1)

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect, for each image, its latents (L,), squared error, and the parts of the loss.

        `squared_error` is the mean over the pixels of the best reconstruction, which for a VAE is
        that of the posterior's mean; the penalties are those of the batch.
        """
        images, classes = batch
        return self.collect(_autoencoder(model), self.seen(images, None), images, classes)

    def collect(
        self, model: Autoencoder, seen: Tensor, images: Tensor, classes: Tensor
    ) -> dict[str, Tensor]:
        """Return what `outputs` collects of images of which the encoder is given what is `seen`."""
        drawn, penalties = self.encode(model, seen, classes, None)
        best = model.decode(model.encode(seen, classes), classes).float()
        return {
            "latents": model.encode(images, classes).float(),
            "squared_error": (best - images).square().flatten(1).mean(1),
            "reconstruction": self.errors(model, model.logits(drawn, classes), images),
            **{name: mean.float().expand(len(images)) for name, mean in penalties.items()},
        }

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the loss as in training, its parts, and the mean squared error of a pixel."""
        check_finite(outputs["squared_error"])
        parts = {
            name: outputs[name].double().mean().item()
            for name in ("reconstruction", *self.penalties)
        }
        mse = outputs["squared_error"].double().mean().item()
        return {"loss": sum(parts.values()), **parts, "mse": mse}


class Denoising(Reconstruction):
    """Give back the clean image from a noisy one (Vincent et al. 2008).

    The noise is drawn again each time in training, and is always the same in evaluation.
    """

    def __init__(self, loss: str, noise: Noise):
        super().__init__(loss)
        self._noise = noise

    def seen(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return noisy images; in evaluation with the 256 levels of grey that a file can hold."""
        noisy = self._noise(images, generator)
        return noisy if generator else (noisy * 255).round() / 255

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect also the noisy images, uint8 (C, H, W)."""
        images, classes = batch
        seen = self.seen(images, None)
        found = self.collect(_autoencoder(model), seen, images, classes)
        return {**found, "noisy": (seen * 255).round().to(torch.uint8)}


class Sparse(Reconstruction):
    """Give back the image from latents of which few are active.

    The penalty's kind is `l1`, or `kl` (Ng 2011, "Sparse autoencoder", section 3) of the target and
    each latent's activity: (mean of z)^2 / mean of z^2 over a batch, which for latents that are on
    or off is the share of images that they are on for (Treves and Rolls 1991, "What determines the
    capacity of autoassociative memories in the brain?"). In place of the mean activation, since the
    decoder does not heed the scale of its latents, so that any mean can be had without sparsity. A
    batch shares it: small ones give another penalty than large ones.
    """

    penalties = ("sparsity",)

    def __init__(self, loss: str, kind: str, weight: float, target: float):
        super().__init__(loss)
        self._kind, self._weight, self._target = kind, weight, target

    def encode(
        self, model: Autoencoder, images: Tensor, classes: Tensor, when: When | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the latents, and how far from sparse they are."""
        latents = model.encode(images, classes)
        return latents, {"sparsity": self._weight * self._penalty(latents.float())}

    def _penalty(self, latents: Tensor) -> Tensor:
        if self._kind == "l1":
            return latents.abs().mean()
        squares = latents.square().mean(0).clamp_min(_TINY)
        active = (latents.mean(0).square() / squares).clamp(1e-6, 1 - 1e-6)
        target = torch.full_like(active, self._target)
        return (
            target * (target / active).log() + (1 - target) * ((1 - target) / (1 - active)).log()
        ).mean()


class Contractive(Reconstruction):
    """Give back the image from latents that small changes of it hardly move (Rifai et al. 2011).

    The penalty is the squared Frobenius norm of the encoder's Jacobian, per latent, times the
    number of pixels: as if an image had an area of 1, so that its size does not matter. It is
    estimated by one random projection of the latents (Hoffman, Roberts and Yaida 2019, "Robust
    learning with Jacobian regularization", equation 9).
    """

    penalties = ("contraction",)

    def __init__(self, loss: str, weight: float):
        super().__init__(loss)
        self._weight = weight

    def encode(
        self, model: Autoencoder, images: Tensor, classes: Tensor, when: When | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the latents, and how much images move them."""
        generator = when.generator if when else None
        with torch.inference_mode(False), torch.enable_grad():
            images = images.clone().requires_grad_()
            latents = model.encode(images, classes.clone())
            drawn = torch.randn(latents.shape, generator=generator, device=latents.device)
            [slopes] = torch.autograd.grad(
                latents, images, drawn.to(latents.dtype), create_graph=when is not None
            )
        pixels = images[0].numel()
        norm = slopes.float().square().flatten(1).sum(1) * pixels / latents.shape[1]
        return latents, {"contraction": self._weight * norm.mean()}


class Variational(Reconstruction):
    """Bound the likelihood of images from below (Kingma and Welling 2014).

    `beta` weighs the divergence (Higgins et al. 2017, "beta-VAE"). In training it rises from 0 over
    `warmup` epochs (Bowman et al. 2016, section 3.1); validation always weighs it in full.
    """

    penalties = ("kl",)

    def __init__(self, loss: str, beta: float, warmup: float):
        super().__init__(loss)
        self._beta, self._warmup = beta, warmup

    def encode(
        self, model: Autoencoder, images: Tensor, classes: Tensor, when: When | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw latents from the posterior, and measure how far it is from the prior."""
        assert isinstance(model, VariationalAutoencoder)
        mean, log_variance = model.posterior(images, classes)
        generator = when.generator if when else None
        drawn = torch.randn(mean.shape, generator=generator, device=mean.device)
        latents = mean + (0.5 * log_variance).exp() * drawn.to(mean.dtype)
        share = min(1.0, when.epoch / self._warmup) if when and self._warmup else 1.0
        kl = divergence(mean.float(), log_variance.float()).sum(1).mean() / images[0].numel()
        return latents, {"kl": share * self._beta * kl}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect also the log variances (L) of the posterior."""
        assert isinstance(model, VariationalAutoencoder)
        images, classes = batch
        _, log_variance = model.posterior(images, classes)
        return {**super().outputs(model, batch), "log_variance": log_variance.float()}


def _autoencoder(model: nn.Module) -> Autoencoder:
    assert isinstance(model, Autoencoder)
    return model


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of N(mean, variance) from N(0, 1), in nats, for each number."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def build_model(config: AutoencoderConfig, card: ImageCard) -> Autoencoder:
    """Return the config's model for the data of a card; torch's generator draws the weights.

    Raises:
        ConfigError: the model cannot take such images.
    """
    size = augmentation(config, card).output_size(card.image_size)
    return models.build(
        config.model,
        architecture=config.architecture,
        channels=card.channels,
        image_size=size,
        classes=len(card.classes),
        latent_size=config.latent_size,
        depth=config.depth,
        width=config.width,
        code=_CODES.get(config.model, "none"),
    )


def build_task(config: AutoencoderConfig) -> Reconstruction:
    """Return the task of the config's model."""
    if config.model == "denoising":
        return Denoising(config.loss, parse(config.noise))
    if config.model == "sparse":
        return Sparse(config.loss, config.sparsity, config.sparsity_weight, config.sparsity_target)
    if config.model == "contractive":
        return Contractive(config.loss, config.contraction_weight)
    if config.model in VARIATIONAL:
        return Variational(config.loss, config.divergence_weight, config.kl_warmup)
    return Reconstruction(config.loss)


def augmentation(config: AutoencoderConfig, card: ImageCard) -> augment.Pipeline:
    """Return what happens to images on the device: random changes in training, and [0, 1]."""
    return load.pipeline(config, [0.0] * card.channels, [1.0] * card.channels)
