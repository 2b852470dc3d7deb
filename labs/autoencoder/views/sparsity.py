"""What latents look like as a code: how sparse, how many dead, and how far noise moves them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from common.images.load import pixel_rows
from common.images.sets import ImageSet
from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import Section, Table
from labs.autoencoder import noise
from labs.autoencoder.job import to_uint8
from labs.autoencoder.views import representations as spaces
from labs.autoencoder.views.material import Material, View, choose_rows
from labs.autoencoder.views.plots import sparsity_plots
from labs.autoencoder.views.representations import ABOUT, LATENTS, PCA, PIXELS

DEAD = 0.01  # share of the largest spread below which a latent tells nothing
NOISES = (0.05, 0.1, 0.2, 0.4)  # standard deviations of the pixels' noise
NOISE = 0.1  # of them, the one that figures are told of
_MOST = 1000  # images


class Code(NamedTuple):
    """What some vectors look like."""

    zeros: float  # share of the numbers that are exactly 0
    size: float  # mean absolute value
    sparseness: float  # of a vector, the mean over them; see `sparseness`
    spreads: Array  # (D,) standard deviation over the vectors

    @property
    def dead(self) -> int:
        """How many numbers hardly change, by the spread of the one that changes most."""
        return int((self.spreads <= DEAD * self.spreads.max()).sum())


def measure(vectors: Array) -> Code:
    """Measure vectors (N, D)."""
    return Code(
        float((vectors == 0).mean()),
        float(np.abs(vectors).mean(dtype=np.float64)),
        float(sparseness(vectors).mean()),
        vectors.std(0, dtype=np.float64),
    )


def sparseness(vectors: Array) -> Array:
    """Return the sparseness of vectors (N, D), (N,), whatever their length.

    It is 0 where all numbers have the same size and 1 where at most one is not 0 (Hoyer 2004,
    "Non-negative matrix factorization with sparseness constraints", section 3.1). A single number
    has none: 0.
    """
    root = np.sqrt(vectors.shape[1])
    if root == 1:
        return np.zeros(len(vectors))
    sizes = np.abs(vectors).astype(np.float64)
    lengths = np.maximum(np.sqrt(np.square(sizes).sum(1)), np.finfo(np.float64).tiny)
    return np.asarray(np.minimum((root - sizes.sum(1) / lengths) / (root - 1), 1))


def squares(clean: Array, noisy: Array) -> Array:
    """Return, of each vector, its squared movement and its squared distance from the mean, (N, 2).

    Vectors are (N, D), of the same images without and with noise.
    """
    clean, noisy = clean.astype(np.float64), noisy.astype(np.float64)
    parts = (noisy - clean, clean - clean.mean(0))
    return np.stack([np.square(part).sum(1) for part in parts], 1)


def _movements(parts: Array) -> Array:
    moved, apart = np.moveaxis(parts.sum(1), 1, 0)
    shares = np.divide(moved, apart, out=np.full(len(parts), np.nan), where=apart > 0)
    return np.asarray(np.sqrt(shares))


def movement(parts: Array) -> float:
    """Return how far noise moves vectors, as a share of how far they are from their mean.

    Of `squares`, (N, 2). Both are root mean squares, so the scale of the vectors does not matter.
    NaN when all vectors are the same.
    """
    return float(_movements(parts[None])[0])


def view(material: Material) -> View:
    """Show how sparse the latents of test images are, and how far pixels' noise moves them."""
    rows = choose_rows(material["test"], _MOST)
    clean = spaces.vectors(material, "test", rows)
    codes = {name: measure(each) for name, each in clean.items()}
    part = material["test"].split.select(torch.from_numpy(rows))
    moved = {
        deviation: {name: squares(clean[name], each) for name, each in noisy.items()}
        for deviation in NOISES
        for noisy in [_noisy(material, part, deviation)]
    }
    intervals = {
        name: metrics.bootstrap(metrics.OfDraws(_movements), each)
        for name, each in moved[NOISE].items()
    }
    shares = {name: [movement(moved[each][name]) for each in NOISES] for name in codes}
    records = [
        {
            "space": name,
            "numbers": len(code.spreads),
            "zeros": code.zeros,
            "mean size": code.size,
            "sparseness": code.sparseness,
            "dead": code.dead,
            "moved": movement(moved[NOISE][name]),
            "95 % from": intervals[name][0],
            "to": intervals[name][1],
        }
        for name, code in codes.items()
    ]
    mine = codes[LATENTS]
    drawn = (
        material.save_picture(
            "codes",
            "The values of all latents; and the spread of each over the images, sorted.",
            sparsity_plots.activations(clean[LATENTS], np.sort(mine.spreads)[::-1], mine.zeros),
        ),
        material.save_picture(
            "code_noise",
            f"How far noise moves {len(rows):,} test images, as a share of how far they are from "
            "their mean.",
            sparsity_plots.movements(NOISES, shares),
        ),
    )
    verdict = _verdict(mine, records[0])
    section = Section("The latents as a code", _text(material, verdict), Table.of(records), drawn)
    return View(section, verdict, records, _figures(records))


def _noisy(material: Material, part: ImageSet, deviation: float) -> dict[str, Array]:
    """Return noisy images of a part as vectors of each space, (N, D)."""
    job = material.job
    images = torch.stack([part.images[row] for row in range(len(part))])
    generator = torch.Generator().manual_seed(0)
    noisy = to_uint8(noise.gaussian(images / 255, generator, deviation))
    pixels = pixel_rows(replace(part, images=noisy), 32)
    latents = job.encode(job.prepared(noisy), part.targets).numpy()
    return {LATENTS: latents, PCA: material.pca.transform(pixels), PIXELS: pixels}


def _verdict(code: Code, record: Mapping[str, Any]) -> str:
    dead = f"{code.dead} of {len(code.spreads)} latents {'is' if code.dead == 1 else 'are'} dead"
    return (
        f"{100 * code.zeros:.0f} % of the latents' values are exactly 0, their sparseness is "
        f"{code.sparseness:.2f}, and {dead}. Noise of {NOISE:g} moves an image's latents by "
        f"{100 * record['moved']:.1f} % of their distance from the mean "
        f"(95 % interval {100 * record['95 % from']:.1f} to {100 * record['to']:.1f})."
    )


def _text(material: Material, verdict: str) -> str:
    return (
        f"{verdict}\n\n"
        "Sparseness is 0 where all numbers of an image have the same size, and 1 where only one is "
        "not 0 (Hoyer 2004); the scale of the numbers does not matter to it, while one can make "
        "their mean size as small as one likes and the decoder's weights as large. A latent is "
        f"dead when its spread over the images is at most {DEAD:g} of the largest one's. Noise is "
        "normal, with its standard deviation in units of [0, 1] pixels; `moved` is the root mean "
        "square of how far it moves an image, by that of the images' distance from their mean, for "
        f"a standard deviation of {NOISE:g}. {ABOUT}{spaces.warn_if_told(material)}"
    )


def _figures(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the figures of each space by name, such as `latents_sparseness`."""
    names = {"zeros": "zeros", "mean size": "mean_size", "sparseness": "sparseness"}
    names |= {"dead": "dead", "moved": "moved", "95 % from": "moved_low", "to": "moved_high"}
    return {
        f"{record['space'].lower()}_{name}": record[column]
        for record in records
        for column, name in names.items()
    }
