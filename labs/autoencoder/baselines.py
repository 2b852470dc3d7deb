"""What an autoencoder is compared with: PCA, and for denoising the classic filters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from common.images.load import pixel_rows
from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.steps import step, track
from common.training.splits import sample_rows
from labs.autoencoder import filters
from labs.autoencoder.filters import Filter
from labs.autoencoder.results import psnr

PCA = "PCA"
CLIPPED = "clipped PCA"
MEAN = "mean image"
NOISY = "noisy image"
ABOUT_COMPRESSION = (
    "PCA has as many components as the network has latents, and is fitted on the same training "
    "images; clipped, its values below 0 and above 1 are made 0 and 1. The mean image is what one "
    "gives back without any latents."
)
ABOUT_DENOISING = (
    "All of them see the same noisy images. A filter's setting, which its name tells, is the one "
    "with the highest PSNR on a sample of the validation split. PCA is fitted on clean training "
    "images, keeps as many components as the network has latents, and its values below 0 and above "
    "1 are made 0 and 1."
)
_NUMBERS = 250_000_000  # pixels that PCA is fitted on, at most
_TRIED = 80_000  # pixels on which each setting of a filter is tried, about


def fit_pca(train: ImageSet, size: int, side: int | None = None) -> Any:
    """Fit PCA of `size` components, or as many as there can be, on the pixels of training images.

    Of many large images a sample is taken; those larger than `side` pixels are shrunk to it first.
    """
    from sklearn.decomposition import PCA as Decomposition

    train = sampled(train, size, side)
    components = min(size, len(train), _count_pixels(train, side))
    with step(f"PCA of {len(train):,} images"):
        return Decomposition(components, random_state=0).fit(pixel_rows(train, side))


def sampled(train: ImageSet, size: int, side: int | None = None) -> ImageSet:
    """Return the training images that PCA is fitted on; the arguments are those of `fit_pca`."""
    most = max(size, _NUMBERS // _count_pixels(train, side))
    if len(train) <= most:
        return train
    return train.select(sample_rows(train.targets, most, seed=0))


def _count_pixels(train: ImageSet, side: int | None) -> int:
    """Return how many numbers an image has when it is shrunk to `side` pixels."""
    channels, shown = train.images.shape[1:3]
    return int(channels * min(side or shown, shown) ** 2)


def compression(splits: Mapping[str, ImageSet], size: int) -> dict[str, dict[str, Array]]:
    """Return each image's squared error, (N,), by baseline and split; PCA has `size` components."""
    pca = fit_pca(splits["train"], size)
    found: dict[str, dict[str, Array]] = {PCA: {}, CLIPPED: {}, MEAN: {}}
    for name in ("validation", "test"):
        pixels = pixel_rows(splits[name])
        given_back = pca.inverse_transform(pca.transform(pixels))
        found[PCA][name] = errors(given_back, pixels)
        found[CLIPPED][name] = errors(given_back.clip(0, 1), pixels)
        found[MEAN][name] = errors(pca.mean_, pixels)
    return found


def errors(given_back: Array, pixels: Array) -> Array:
    """Return the mean squared error of each row, (N,), of (N, pixels)."""
    return np.asarray(((given_back - pixels) ** 2).mean(1, dtype=np.float64))


def denoising(
    splits: Mapping[str, ImageSet], noisy: Mapping[str, Tensor], size: int
) -> dict[str, dict[str, Array]]:
    """Return the squared error of each denoised image, (N,), by baseline and split.

    The name of a filter tells its setting, which has the highest mean signal-to-noise ratio on a
    sample of the validation split. `noisy` is uint8 (N, C, S, S), the splits are clean, and PCA has
    `size` components.
    """
    validation = splits["validation"]
    rows = _for_choice(validation.targets, noisy["validation"].shape[-1])
    tried, truth = noisy["validation"][rows], pixel_rows(validation.select(rows))

    def quality(candidate: Filter) -> float:
        return float(psnr(errors(filters.apply(candidate, tried), truth)).mean())

    chosen: dict[str, Filter] = {}
    for name, settings in track(filters.candidates().items(), "filters"):
        setting = max(settings, key=lambda each: quality(settings[each]))
        chosen[f"{name}, {setting}"] = settings[setting]
    pca = fit_pca(splits["train"], size)
    found: dict[str, dict[str, Array]] = {name: {} for name in (NOISY, *chosen, CLIPPED)}
    for split in track(("validation", "test"), "splits denoised"):
        clean = pixel_rows(splits[split])
        seen = noisy[split].flatten(1).numpy() / np.float32(255)
        found[NOISY][split] = errors(seen, clean)
        for name, candidate in chosen.items():
            found[name][split] = errors(filters.apply(candidate, noisy[split]), clean)
        given_back = pca.inverse_transform(pca.transform(seen))
        found[CLIPPED][split] = errors(given_back.clip(0, 1), clean)
    return found


def _for_choice(targets: Tensor, side: int) -> Tensor:
    """Return the rows on which settings are tried, of each class some: fewer of large images."""
    return sample_rows(targets, min(100, max(20, _TRIED // side**2)), seed=0)
