"""Walks through the latent space: from image to image, and along its dimensions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from common.errors import ConfigError
from common.images.sets import ImageSet
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options.terminal import figure_text
from common.report.html import Section, Table
from labs.autoencoder.job import Compression, to_uint8
from labs.autoencoder.views import image_references
from labs.autoencoder.views.material import Material, View
from labs.autoencoder.views.plots import traversal_plots
from labs.autoencoder.views.training_distance import TrainingImages, flat

_SHOWN_PAIRS = 4
_MEASURED_PAIRS = 200
_SHARES = np.linspace(0, 1, 9)  # of the way, at which paths are measured
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_DEVIATIONS = (-3, -2, -1, 0, 1, 2, 3)  # of the prior
_SHOWN_DIMENSIONS = 10
_MEASURED_IMAGES = 32  # whose change says how much a dimension matters

LATENTS, PIXELS = "latents", "pixels"  # what an interpolation goes through

Judged = tuple[str, dict[str, float]]  # a verdict and its figures


class Pairs(NamedTuple):
    """Images to walk between."""

    starts: Tensor  # uint8 (n, C, S, S)
    ends: Tensor  # likewise
    classes: tuple[Tensor, Tensor] | None  # (n,) of the starts, and of the ends; None: not known
    names: list[tuple[str, str]]  # of both, n pairs


# --- from image to image ------------------------------------------------------------------------


def interpolate(
    material: Material, a: str | None = None, b: str | None = None, steps: int = 9
) -> View:
    """Walk from one image to another in a straight line, through latents and through pixels.

    Between `a` and `b`, rows of the test split or files, see `image_references.resolve`; when both
    are missing, pairs of test images are drawn. A walk has `steps` pictures, both ends included.

    Raises:
        ConfigError: only one image is given, or there is no such row.
        DataError: there is no such file.
    """
    job, test = material.job, material.splits["test"]
    drawn = _drawn_pairs(test, job.card.classes, _MEASURED_PAIRS, job.config.seed)
    if a is None and b is None:
        shown = _first(drawn, _SHOWN_PAIRS)
    elif a is None or b is None:
        raise ConfigError("interpolate: expected two images, such as RUN 3 12, or none")
    else:
        shown = _given_pair(material, a, b)
    errors = _measure_paths(material, drawn)
    curves = {name: _curve(found) for name, found in errors.items()}
    caption = "Upper rows: the decoded latents on the way. Lower rows: the blend of the pixels."
    pictures = [
        material.save_picture("interpolate", caption, _paths_figure(job, shown, steps)),
        material.save_picture(
            "interpolate_distances",
            f"How far the steps are from real images: means over {_MEASURED_PAIRS} pairs, with 95 "
            "% intervals.",
            traversal_plots.distances(_SHARES, curves),
        ),
    ]
    records = [
        {"way": float(share), **_step_record(curves, step)} for step, share in enumerate(_SHARES)
    ]
    text = (
        "Look at the middle of each walk: is it one image that could be, or two on top of each "
        "other? The lower row, a blend of the pixels, is always the latter; it begins and ends "
        "with the images themselves, the upper row with their reconstructions. "
        f"How far a step is from the nearest training image is measured over {_MEASURED_PAIRS} "
        "random pairs of test images"
        f"{' of different classes' if job.card.classes else ''}. Real images all the way would "
        "make a flat curve. But so does a decoder that gives the same picture for all images, and "
        "blurred pictures are nearer to everything: look at the ends of the curve, and at the "
        "pictures."
    )
    if job.model.conditional:
        text += " The class that the decoder is told changes halfway."
    section = Section("Interpolation", text, Table.of(records), pictures)
    verdict, figures = _judge_paths(errors)
    return View(section, verdict, records, figures)


def walk(job: Compression, pairs: Pairs, shares: Array) -> Tensor:
    """Return the decoded latents on the way between images, float32 (n, steps, C, S, S).

    Shares (steps,) are how far along the way, from 0 to 1. Where the decoder is told a class, it is
    that of the start up to 0.5.
    """
    first, last = pairs.classes or (None, None)
    start = job.encode(job.prepared(pairs.starts), first)
    end = job.encode(job.prepared(pairs.ends), last)
    latents = _blend(start, end, shares)
    classes = None
    if first is not None and last is not None:
        late = torch.from_numpy(shares > 0.5)
        classes = torch.where(late, last[:, None], first[:, None]).flatten()
    decoded = job.decode(latents.flatten(0, 1), classes)
    return decoded.reshape(*latents.shape[:2], *decoded.shape[1:])


def _blend(start: Tensor, end: Tensor, shares: Array) -> Tensor:
    """Return points (n, steps, ...) on the straight lines from (n, ...) to (n, ...)."""
    way = torch.from_numpy(shares).float().reshape(-1, *[1] * (start.ndim - 1))
    return torch.lerp(start[:, None], end[:, None], way)


def _drawn_pairs(test: ImageSet, classes: Sequence[str], count: int, seed: int) -> Pairs:
    """Draw pairs of test images, of different classes where there are some."""
    generator = np.random.default_rng(seed)
    targets = test.targets.numpy()
    starts = generator.integers(len(test), size=count)
    ends = []
    for start in starts:
        others = np.flatnonzero(targets != targets[start])
        ends.append(generator.choice(others if len(others) else len(test)))
    images = [torch.stack([test.images[row] for row in map(int, rows)]) for rows in (starts, ends)]
    names = [
        (classes[targets[pair[0]]], classes[targets[pair[1]]])
        if classes
        else (test.names[pair[0]], test.names[pair[1]])
        for pair in zip(starts, ends, strict=True)
    ]
    return Pairs(images[0], images[1], (test.targets[starts], test.targets[np.array(ends)]), names)


def _first(pairs: Pairs, count: int) -> Pairs:
    first, last = pairs.classes or (None, None)
    classes = None if first is None or last is None else (first[:count], last[:count])
    return Pairs(pairs.starts[:count], pairs.ends[:count], classes, pairs.names[:count])


def _given_pair(material: Material, a: str, b: str) -> Pairs:
    names, images, classes = image_references.resolve(material, (a, b))
    both = None if classes is None else (classes[:1], classes[1:])
    return Pairs(images[:1], images[1:], both, [(names[0], names[1])])


def _paths_figure(job: Compression, pairs: Pairs, steps: int) -> Figure:
    shares = np.linspace(0, 1, steps)
    decoded = walk(job, pairs, shares)
    blended = _blend(job.prepared(pairs.starts), job.prepared(pairs.ends), shares)
    images = [to_uint8(each) for pair in zip(decoded, blended, strict=True) for each in pair]
    labels = [text for start, end in pairs.names for text in (f"{start}\nto {end}", "pixels")]
    headers = [f"{100 * share:.0f} %" for share in shares]
    return traversal_plots.rows(images, labels, headers, together=2)


def _measure_paths(material: Material, pairs: Pairs) -> dict[str, Array]:
    """Return how far each step of both kinds of paths is from real images, (n, steps)."""
    job, known = material.job, TrainingImages(material)
    paths = {
        LATENTS: walk(job, pairs, _SHARES),
        PIXELS: _blend(job.prepared(pairs.starts), job.prepared(pairs.ends), _SHARES),
    }
    return {
        name: known.nearest(flat(path.flatten(0, 1))).errors.reshape(len(path), -1)
        for name, path in paths.items()
    }


def _curve(errors: Array) -> traversal_plots.Curve:
    intervals = [metrics.bootstrap(metrics.mean, column) for column in errors.T]
    return traversal_plots.Curve(errors.mean(0), *np.transpose(intervals))


def _step_record(curves: Mapping[str, traversal_plots.Curve], step: int) -> dict[str, float]:
    columns = ("", " from", " to")
    return {
        f"{name}{column}": float(values[step])
        for name, curve in curves.items()
        for column, values in zip(columns, curve, strict=True)
    }


def _humps(errors: Array) -> Array:
    """Return how much farther than its ends the middle of paths is, (R,), of (R, n, steps)."""
    return np.asarray(errors[..., len(_SHARES) // 2].mean(1) / errors[..., [0, -1]].mean((1, 2)))


def _judge_paths(errors: Mapping[str, Array]) -> Judged:
    """Say whether the way through the latents has less of a hump than that through the pixels."""
    ratio = metrics.OfDraws(lambda latents, pixels: _humps(latents) / _humps(pixels))
    humps = {name: float(_humps(found[None])[0]) for name, found in errors.items()}
    ends = {name: float(found[:, [0, -1]].mean()) for name, found in errors.items()}
    low, high = metrics.bootstrap(ratio, errors[LATENTS], errors[PIXELS])
    if ends[LATENTS] > ends[PIXELS]:
        judgment = "but already reconstructions look less real than images, and this says little"
    elif high < 1:
        judgment = "so the way through the latents leaves the real images less than a blend does"
    elif low > 1:
        judgment = "so the way through the latents leaves the real images more than a blend does"
    else:
        judgment = "so this shows no difference"
    verdict = (
        f"Halfway between two images the decoded latents are {humps[LATENTS]:.2f} times as far "
        f"from the nearest training image as at the ends, the blend of the pixels "
        f"{humps[PIXELS]:.2f} times; the ratio is {humps[LATENTS] / humps[PIXELS]:.2f} "
        f"(95 % interval {low:.2f} to {high:.2f}), {judgment}. At the ends reconstructions are "
        f"{figure_text(ends[LATENTS])} away, the images themselves {figure_text(ends[PIXELS])}."
    )
    figures = {
        **{f"hump_{name}": hump for name, hump in humps.items()},
        **{f"ends_{name}": distance for name, distance in ends.items()},
        "hump_ratio": humps[LATENTS] / humps[PIXELS],
        "hump_ratio_low": low,
        "hump_ratio_high": high,
    }
    return verdict, figures


# --- along a dimension --------------------------------------------------------------------------


def traverse(material: Material, image: str = "0", dimensions: Sequence[int] = ()) -> View:
    """Decode an image's latents while one dimension of them moves.

    The image is a row of the test split or a file, see `image_references.resolve`; dimensions are
    counted from 1, and when none is given, those are shown that change the picture most.

    Raises:
        ConfigError: there is no such dimension or row.
        DataError: there is no such file.
    """
    job = material.job
    values, headers = _range(material)
    wrong = [str(number) for number in dimensions if not 1 <= number <= len(values)]
    if wrong:
        raise ConfigError(
            f"--dimension {', '.join(wrong)}: expected 1 to {len(values)}, the latents of this run"
        )
    changes = _changes(material, values[:, [0, -1]])
    means = changes.mean(1)
    order = np.argsort(-means, kind="stable")
    shown = [number - 1 for number in dimensions] or order[:_SHOWN_DIMENSIONS].tolist()
    [name], given, classes = image_references.resolve(material, (image,))
    latents = job.encode(job.prepared(given), classes)[0]
    pictures = [
        to_uint8(move(job, latents, number, [float(latents[number]), *values[number]], classes))
        for number in shown
    ]
    labels = [f"dimension {number + 1}\n{figure_text(float(means[number]))}" for number in shown]
    spread = (
        "standard deviations of the prior"
        if job.model.variational
        else "quantiles of the training images' latents"
    )
    drawn = material.save_picture(
        "traverse",
        f"{name}: each row moves one dimension and keeps the others; columns are {spread}. Below "
        "the dimension's number its mean change of the pictures.",
        traversal_plots.rows(pictures, labels, ["own", *headers]),
    )
    records = [_change_record(int(number), changes[number], means.sum()) for number in order]
    text = (
        "The first column is the reconstruction, from the image's own latents; in the others one "
        f"dimension takes other values, {spread}. Look for what a row changes: slant, thickness, "
        "a loop that opens. Dimensions are sorted by the mean squared difference of the pixels "
        f"between the two ends of a row, over {changes.shape[1]} test images. Nothing makes one "
        "dimension stand for one thing, so most change several at once."
    )
    needed = _needed(means)
    verdict = (
        "No dimension changes the pictures: the decoder does not heed the latents."
        if not needed
        else f"{needed} of the {len(means)} dimensions make 90 % of all change of the pictures; "
        f"dimension {order[0] + 1} changes them most."
    )
    figures = {"dimensions_for_90_percent": needed, "largest_change": float(means[order[0]])}
    section = Section("Traversals", text, Table.of(records), (drawn,))
    return View(section, verdict, records, figures)


def move(
    job: Compression,
    latents: Tensor,
    dimension: int,
    values: Sequence[float],
    classes: Tensor | None = None,
) -> Tensor:
    """Return the pictures (n, C, S, S) of latents (L,) in which one dimension takes n other values.

    The class, (1,), is given where the decoder is told one.
    """
    moved = latents.repeat(len(values), 1)
    moved[:, dimension] = torch.tensor(values, dtype=moved.dtype)
    return job.decode(moved, None if classes is None else classes.expand(len(values)))


def _range(material: Material) -> tuple[Array, list[str]]:
    """Return the values that each dimension takes, (L, steps), and what the steps are called."""
    if material.job.model.variational:
        values = np.tile(np.array(_DEVIATIONS, np.float32), (material.job.config.latent_size, 1))
        return values, [f"{value:+d}" if value else "0" for value in _DEVIATIONS]
    quantiles = np.quantile(material["train"].latents, _QUANTILES, axis=0)
    return quantiles.T.astype(np.float32), [f"{100 * share:.0f} %" for share in _QUANTILES]


def _changes(material: Material, ends: Array) -> Array:
    """Return how much each dimension changes pictures between its two ends, (L, images)."""
    test = material["test"]
    rows = np.random.default_rng(0).permutation(len(test))[:_MEASURED_IMAGES]
    latents = torch.from_numpy(test.latents[rows])
    classes = test.split.targets[rows]
    found = []
    for dimension, pair in enumerate(ends):
        one, other = (_decoded_at(material.job, latents, dimension, end, classes) for end in pair)
        found.append((one - other).square().flatten(1).mean(1))
    changes: Array = torch.stack(found).double().numpy()
    return changes


def _decoded_at(
    job: Compression, latents: Tensor, dimension: int, value: float, classes: Tensor
) -> Tensor:
    moved = latents.clone()
    moved[:, dimension] = float(value)
    return job.decode(moved, classes)


def _change_record(dimension: int, changes: Array, total: float) -> dict[str, Any]:
    low, high = metrics.bootstrap(metrics.mean, changes, resamples=300)
    return {
        "dimension": dimension + 1,
        "change": float(changes.mean()),
        "95 % from": low,
        "to": high,
        "share": float(changes.mean() / total) if total else 0.0,
    }


def _needed(means: Array) -> int:
    """Return how many dimensions make 90 % of the sum; none where nothing changes."""
    if not means.any():
        return 0
    shares = np.cumsum(np.sort(means)[::-1])
    return int(np.searchsorted(shares, 0.9 * shares[-1])) + 1
