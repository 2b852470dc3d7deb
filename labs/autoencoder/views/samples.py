"""Samples from the prior of a VAE, compared with real images: neither copies of them nor noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from common.errors import ConfigError
from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import Section, Table
from labs.autoencoder.job import Compression, to_uint8
from labs.autoencoder.views.material import Material, View
from labs.autoencoder.views.plots import traversal_plots
from labs.autoencoder.views.training_distance import Nearest, TrainingImages, flat
from labs.autoencoder.views.traversals import Judged

_MEASURED = 500  # samples that are compared with real images, beside those that are shown
_ACROSS = 10  # samples in a row
_RESAMPLES = 1000
_HEEDED = 0.8  # share of the test images' accuracy below which samples are not as they were wished

SAMPLES, RECONSTRUCTIONS, IMAGES = "samples", "reconstructions", "test images"


def view(material: Material, count: int = 64, seed: int = 0, classes: Sequence[str] = ()) -> View:
    """Draw latents from the prior of a VAE, and decode them to `count` pictures.

    Of a conditional VAE they are of the classes of these names, or of all when none is given.

    Raises:
        ConfigError: the model has no prior, or takes no classes, or there is no such class.
    """
    job = material.job
    wished = _wished(material, classes)
    each = max(1, count // len(wished)) if wished else count
    told = torch.tensor(wished).repeat_interleave(each) if wished else None
    pictures = draw(job, each * max(1, len(wished)), seed, told)
    rows = ", a row for each class" if job.model.conditional else ""
    caption = f"Samples from the prior (seed {seed}){rows}."
    drawn = [material.save_picture("sample", caption, _samples_figure(job, pictures, wished, each))]
    known = TrainingImages(material)
    measured = None
    if wished:
        measured = torch.tensor(wished).repeat_interleave(-(-_MEASURED // len(wished)))
    made = draw(job, _MEASURED if measured is None else len(measured), seed + 1, measured)
    groups = _groups(material, made)
    nearest = {name: known.nearest(pixels) for name, pixels in groups.items()}
    drawn.append(
        material.save_picture(
            "sample_distances",
            f"How far {len(made)} samples are from the nearest of {len(known):,} training images, "
            "and how far other pictures are.",
            traversal_plots.distributions({name: found.errors for name, found in nearest.items()}),
        )
    )
    records = [_group_record(name, groups[name], found.errors) for name, found in nearest.items()]
    verdict, figures = _judge_samples(records, nearest)
    text = (
        "Latents drawn from the standard normal prior, decoded. Samples should be about as far "
        "from the nearest training image as test images are: much nearer would be copies, much "
        "farther would be noise. Decoders blur, and blurred pictures are nearer to everything, so "
        "look at the reconstructions of test images too. The normal distribution in PCA's "
        "components, of the same size, is what one can have without a network. `apart` is the mean "
        "squared difference of two pictures of a group: where it is small, all samples are alike."
    )
    if measured is not None:
        obeyed, more = _judge_classes(material, known, nearest[SAMPLES], measured)
        verdict, figures = f"{verdict} {obeyed}", {**figures, **more}
    section = Section("Samples", text, Table.of(records), drawn)
    return View(section, verdict, records, figures)


def draw(job: Compression, count: int, seed: int, classes: Tensor | None = None) -> Tensor:
    """Decode latents drawn from the standard normal prior of a VAE, float32 (count, C, S, S).

    The same seed gives the same latents; classes (count,) are for a conditional VAE.
    """
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(count, job.config.latent_size, generator=generator)
    return job.decode(latents, classes)


def _wished(material: Material, classes: Sequence[str]) -> list[int]:
    """Return the numbers of the classes to draw; none for a model that takes none."""
    job = material.job
    model = job.config.model
    if not job.model.variational:
        raise ConfigError(
            f"sample: {model} has no prior to draw from; train with --model vae, beta-vae or "
            "conditional-vae"
        )
    if not job.model.conditional:
        if classes:
            raise ConfigError(
                f"--class {', '.join(classes)}: {model} is not told classes; train with --model "
                "conditional-vae"
            )
        return []
    seen = sorted(set(material.splits["train"].targets.tolist()))
    names = [job.card.classes[number] for number in seen]
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise ConfigError(
            f"--class {', '.join(unknown)}: no such class in training; there are: "
            f"{', '.join(names[:20])}"
        )
    return [job.card.classes.index(name) for name in classes or names]


def _samples_figure(job: Compression, pictures: Tensor, wished: Sequence[int], each: int) -> Figure:
    names = [job.card.classes[number] for number in wished] or ["samples"]
    images: list[Tensor] = []
    labels: list[str] = []
    for name, group in zip(names, torch.split(to_uint8(pictures), each), strict=True):
        parts = torch.split(group, _ACROSS)
        images += parts
        labels += [name, *[""] * (len(parts) - 1)]
    return traversal_plots.rows(images, labels)


def _groups(material: Material, made: Tensor) -> dict[str, Array]:
    """Return pictures to compare samples with, each group as rows of pixels."""
    job, test = material.job, material["test"]
    rows = [int(row) for row in np.random.default_rng(0).permutation(len(test))[: len(made)]]
    images = job.prepared(test.images(rows))
    back = job.decode(torch.from_numpy(test.latents[rows]), test.split.targets[rows])
    return {
        SAMPLES: flat(made),
        RECONSTRUCTIONS: flat(back),
        IMAGES: flat(images),
        "normal in PCA": _normal(material, len(made)),
    }


def _normal(material: Material, count: int) -> Array:
    """Draw pictures from the normal distribution in PCA's components."""
    pca = material.pca
    scores = np.random.default_rng(0).normal(size=(count, pca.n_components_))
    pictures: Array = pca.inverse_transform(scores * np.sqrt(pca.explained_variance_)).clip(0, 1)
    return pictures.astype(np.float32)


def _group_record(name: str, pixels: Array, errors: Array) -> dict[str, Any]:
    median = metrics.OfDraws(lambda values: np.asarray(np.median(values, axis=1)))
    low, high = metrics.bootstrap(median, errors)
    return {
        "pictures": name,
        "number": len(errors),
        "median distance": float(np.median(errors)),
        "95 % from": low,
        "to": high,
        "apart": float(2 * pixels.var(0, dtype=np.float64).mean()),
    }


def _judge_samples(records: Sequence[dict[str, Any]], nearest: Mapping[str, Nearest]) -> Judged:
    """Say how near samples are to training images, as a share of how near other pictures are."""
    samples = nearest[SAMPLES].errors
    back, real = (
        _ratio_of_medians(samples, nearest[name].errors) for name in (RECONSTRUCTIONS, IMAGES)
    )
    apart = {record["pictures"]: record["apart"] for record in records}
    variety = apart[SAMPLES] / max(apart[IMAGES], 1e-12)
    verdict = (
        f"A sample is {real[0]:.2f} times as far from its nearest training image as a test image "
        f"is (medians; 95 % interval {real[1]:.2f} to {real[2]:.2f}), and {back[0]:.2f} times as "
        f"far as the reconstruction of one ({back[1]:.2f} to {back[2]:.2f}). Two samples differ "
        f"{variety:.2f} times as much as two test images."
    )
    names = ("", "_low", "_high")
    figures = {
        **{f"against_images{name}": value for name, value in zip(names, real, strict=True)},
        **{f"against_reconstructions{name}": x for name, x in zip(names, back, strict=True)},
        "variety": variety,
    }
    return verdict, figures


def _ratio_of_medians(one: Array, other: Array) -> tuple[float, float, float]:
    """Return the ratio of the medians of two groups, and its bootstrap interval."""
    generator = np.random.default_rng(0)
    drawn = [
        np.median(generator.choice(each, (_RESAMPLES, len(each))), axis=1) for each in (one, other)
    ]
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    return float(np.median(one) / np.median(other)), float(low), float(high)


def _judge_classes(
    material: Material, known: TrainingImages, samples: Nearest, wished: Tensor
) -> Judged:
    """Say how many samples the nearest training image takes for the class that was wished."""
    test = material.splits["test"]
    images = material.job.prepared(torch.stack([test.images[row] for row in range(len(test))]))
    right = known.nearest(flat(images)).classes == test.targets.numpy()
    obeyed = samples.classes == wished.numpy()
    low, high = metrics.wilson(int(obeyed.sum()), len(obeyed))
    verdict = (
        f"The nearest training image takes {obeyed.mean():.3f} of {len(obeyed)} samples for the "
        f"class that they were to be (95 % interval {low:.3f} to {high:.3f}), and "
        f"{right.mean():.3f} of the test images for their own."
    )
    if high < _HEEDED * right.mean():
        verdict += (
            " So the decoder hardly heeds the class that it is told, since the latents carry it "
            f"too; a larger --beta than {material.job.config.divergence_weight:g}, or more "
            "--epochs, drives it out of them."
        )
    figures = {
        "class_share": float(obeyed.mean()),
        "class_share_low": low,
        "class_share_high": high,
        "class_share_of_test_images": float(right.mean()),
    }
    return verdict, figures
