"""Autoencoders: plain modules from images to a few numbers, the latents, and back.

The encoder is a trunk (convolutions that halve the image, or nothing) and a perceptron from its
features to the latents; the decoder is the mirror. Between two layers stand a normalization of each
image by itself (layer norm, or group norm with one group) and GELU. Neither mixes the images of a
batch, and both have the second derivatives that a contractive penalty takes. Layers keep torch's
default initialization: weights and biases uniform within 1 / sqrt(fan in).
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from common.errors import ConfigError
from labs.autoencoder.names import VARIATIONAL

Shape = tuple[int, int, int]

CODES: dict[str, type[nn.Module]] = {"none": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
"""Activations of the latents, by name."""

# Where the depth is not given, images are halved down to this side, but not more often than this,
# so that large ones do not get thousands of channels.
_SIDE, _HALVINGS = 4, 4


class Encoder(nn.Module):
    """A trunk, images (N, C, S, S) -> features (N, F), and a perceptron from these to latents."""

    def __init__(self, trunk: nn.Module, perceptron: nn.Module):
        super().__init__()
        self.trunk, self.perceptron = trunk, perceptron

    def forward(self, images: Tensor, *given: Tensor) -> Tensor:
        """Return the latents of images, given further features (N, K) of each."""
        latents: Tensor = self.perceptron(torch.cat([self.trunk(images), *given], 1))
        return latents


class Autoencoder(nn.Module):
    """An encoder, images (N, C, S, S) in [0, 1] -> latents (N, L), and a decoder back to pixels.

    Args:
        encoder: images to latents before their activation.
        decoder: latents to logits, the pixels before the output function.
        code: activation of the latents; none when None.
        output: the output function, logits to pixels; the sigmoid when None.
    """

    conditional = False
    """Whether it is told the classes; others ignore them."""
    variational = False
    """Whether an image has a distribution of latents, `posterior`."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        code: nn.Module | None = None,
        output: nn.Module | None = None,
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.code, self.output = code or nn.Identity(), output or nn.Sigmoid()

    def encode(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return latents (N, L) of images (N, C, S, S); of a VAE, the posterior's mean."""
        latents: Tensor = self.code(self.encoder(images))
        return latents

    def logits(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the pixels (N, C, S, S) of latents (N, L), before the output function."""
        logits: Tensor = self.decoder(latents)
        return logits

    def decode(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the pixels (N, C, S, S) of latents (N, L): in [0, 1], but any of `linear`."""
        pixels: Tensor = self.output(self.logits(latents, classes))
        return pixels

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the encoder and the decoder: training calls `encode` and `logits`."""
        self.encoder.compile(*args, **kwargs)
        self.decoder.compile(*args, **kwargs)

    def forward(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the reconstruction of images (N, C, S, S)."""
        return self.decode(self.encode(images, classes), classes)


class VariationalAutoencoder(Autoencoder):
    """An autoencoder in which an image has a normal posterior (Kingma and Welling 2014, section 3).

    The encoder gives 2 L numbers: the means, then the log variances.
    """

    variational = True

    def posterior(self, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and the log variance, each (N, L), of the latents of each image."""
        mean, log_variance = self.encoder(images).chunk(2, 1)
        return mean, log_variance

    def encode(self, images: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the posterior's mean, (N, L), of each image."""
        return self.posterior(images, classes)[0]


class ConditionalAutoencoder(VariationalAutoencoder):
    """A VAE that is told the class of an image (Sohn, Lee and Yan 2015).

    The class, one-hot, stands beside the features of the image and beside the latents. Zeros tell
    of no class: where classes are None, or one of them is negative. The encoder makes 2 L numbers
    of images and classes.
    """

    conditional = True

    def __init__(self, classes: int, encoder: nn.Module, decoder: nn.Module):
        super().__init__(encoder, decoder)
        self.classes = classes

    def posterior(self, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean and the log variance, each (N, L), of images of given classes (N,)."""
        mean, log_variance = self.encoder(images, self._one_hot(classes, images)).chunk(2, 1)
        return mean, log_variance

    def logits(self, latents: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the pixels (N, C, S, S) of latents (N, L) and classes (N,), as logits."""
        return super().logits(torch.cat([latents, self._one_hot(classes, latents)], 1))

    def _one_hot(self, classes: Tensor | None, like: Tensor) -> Tensor:
        """Return (N, classes) beside N others, in their type and on their device."""
        if classes is None:
            return like.new_zeros(len(like), self.classes)
        known = torch.arange(self.classes, device=like.device)
        return (classes[:, None] == known).to(like.dtype)


class _Mirror(NamedTuple):
    """What encoder and decoder share, in the encoder's direction."""

    down: nn.Module  # images to features
    sizes: tuple[int, ...]  # of the features, and of the hidden layers between them and the latents
    up: nn.Module  # features to logits


def build(
    model: str,
    *,
    architecture: str,
    channels: int,
    image_size: int,
    classes: int,
    latent_size: int,
    depth: int | None,
    width: int,
    code: str = "none",
) -> Autoencoder:
    """Return an untrained autoencoder.

    Args:
        model: a name in `labs.autoencoder.names.MODELS`.
        architecture: `conv` or `dense`, for the models that are not named after theirs.
        channels: of the images.
        image_size: height and width of the images in pixels.
        classes: how many the images have, for `conditional-vae`.
        latent_size: numbers that an image becomes.
        depth: halvings of the image (conv) or hidden layers (dense); by the image size when None.
        width: channels of the first convolution, or a sixteenth of the first hidden layer of dense.
        code: activation of the latents, one of `CODES`; the latents of a VAE have none.

    Raises:
        ConfigError: the depth leaves nothing of such images, or there is no class to be told.

    Example:
        >>> model = build("conv", architecture="conv", channels=1, image_size=28, classes=10,
        ...               latent_size=8, depth=None, width=16)
        >>> images = torch.rand(2, 1, 28, 28)
        >>> model.encode(images).shape, model(images).shape
        (torch.Size([2, 8]), torch.Size([2, 1, 28, 28]))
    """
    if model == "conditional-vae" and not classes:
        raise ConfigError("--model conditional-vae: the images have no classes; give --model vae")
    shape = (channels, image_size, image_size)
    mirror = _MIRRORS.get(model, _MIRRORS[architecture])(shape, depth, width)
    variational, told = model in VARIATIONAL, classes if model == "conditional-vae" else 0
    features, *hidden = mirror.sizes
    encoder = Encoder(
        mirror.down,
        _perceptron([features + told, *hidden, 2 * latent_size if variational else latent_size]),
    )
    decoder = nn.Sequential(
        _perceptron([latent_size + told, *reversed(mirror.sizes)]),
        mirror.up,
    )
    if model == "conditional-vae":
        return ConditionalAutoencoder(classes, encoder, decoder)
    if variational:
        return VariationalAutoencoder(encoder, decoder)
    output = nn.Identity() if model == "linear" else nn.Sigmoid()
    return Autoencoder(encoder, decoder, CODES[code](), output)


def _linear(shape: Shape, depth: int | None, width: int) -> _Mirror:
    return _Mirror(nn.Flatten(), (math.prod(shape),), nn.Unflatten(1, shape))


def _dense(shape: Shape, depth: int | None, width: int) -> _Mirror:
    """Return hidden layers of 16 width units, each further one of half as many, at least 8."""
    units = 16 * width
    depth = _checked(depth, 2, (units // 8).bit_length(), "hidden layers")
    hidden = [units >> layer for layer in range(depth)]
    return _Mirror(nn.Flatten(), (math.prod(shape), *hidden), nn.Unflatten(1, shape))


def _conv(shape: Shape, depth: int | None, width: int) -> _Mirror:
    """Return convolutions of width channels, each further one of twice as many, and a perceptron.

    An even side is halved by 4x4 kernels and an odd one, to the greater half, by 3x3 ones: then a
    transposed convolution of the same kernel gives back exactly the side that it was.
    """
    sides = list(_halved(shape[1]))
    usual = min(_HALVINGS, sum(side > _SIDE for side in sides)) or 1
    depth = _checked(depth, usual, len(sides) - 1, "halvings of the images")
    channels = [shape[0], *(width << stage for stage in range(depth))]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for (outer, inner), side in zip(itertools.pairwise(channels), sides, strict=False):
        kernel = 3 if side % 2 else 4
        down += [nn.Conv2d(outer, inner, kernel, stride=2, padding=1), *_between(inner)]
        back = nn.ConvTranspose2d(inner, outer, kernel, stride=2, padding=1)
        up = [*_between(inner), back, *up]
    inmost = (channels[-1], sides[depth], sides[depth])
    return _Mirror(
        nn.Sequential(*down, nn.Flatten()),
        (math.prod(inmost), 8 * width),
        nn.Sequential(nn.Unflatten(1, inmost), *up),
    )


_MIRRORS: dict[str, Callable[[Shape, int | None, int], _Mirror]] = {
    "linear": _linear,
    "dense": _dense,
    "conv": _conv,
}


def _between(channels: int) -> tuple[nn.Module, nn.Module]:
    """Return what stands between two convolutions."""
    return nn.GroupNorm(1, channels), nn.GELU()


def _perceptron(sizes: Sequence[int]) -> nn.Module:
    """Return linear layers from the first size to the last, with what stands between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.GELU()]
    return nn.Sequential(*layers[:-2])


def _halved(side: int) -> Iterator[int]:
    """Yield a side, its greater half, and so on down to a single pixel."""
    while side > 1:
        yield side
        side = (side + 1) // 2
    yield side


def _checked(depth: int | None, usual: int, largest: int, what: str) -> int:
    """Return the depth, or the usual one where none is given; refuse one above the largest."""
    depth = usual if depth is None else depth
    if depth > largest:
        hint = (
            "; give --depth, a larger --image-size, or --architecture dense" if largest < 1 else ""
        )
        raise ConfigError(f"--depth {depth}: {what}, of which there can be {largest} at most{hint}")
    return depth
