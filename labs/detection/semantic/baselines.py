"""Honest baselines: what tells the classes of pixels without a network.

`nearest color` knows the mean color of each class, and names each pixel after the nearest one. The
other is a classifier of single pixels, logistic regression or trees, on what classic filters see
around them: colors, smoothed colors, edges and ridges at several scales.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from common.metrics.metrics import Array
from common.steps import track
from common.training.compute import one_thread
from labs.detection.semantic.data import PixelSet
from labs.detection.semantic.losses import VOID

COLOR, FILTERS = "nearest color", "random forest on filters of pixels"

IMAGES = 400  # of training, at most, of which pixels are seen
_PIXELS = 60_000  # of training in all; of each class as many as of the next, where it has them
_SIGMAS = (1.0, 2.0, 4.0)  # pixels, of the Gaussians
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_TREES, _DEPTH, _LEAF = 12, 14, 4

ABOUT = (
    f"The baselines learn from {_PIXELS:,} pixels at most of up to {IMAGES} training images, as "
    "many of each class as there are: the mean color of each class, and a random forest on what "
    "classic filters see around a pixel (colors, also smoothed; slopes and ridges of brightness, "
    f"at {', '.join(f'{sigma:g}' for sigma in _SIGMAS)} pixels)."
)


def predictions(
    splits: Mapping[str, PixelSet], classes: int, seed: int
) -> dict[str, dict[str, Array]]:
    """Name the pixels of `validation` and `test` without a network.

    Returns:
        For each baseline's name, class maps uint8 (N, S, S) of both.
    """
    from sklearn.ensemble import RandomForestClassifier

    with one_thread():  # each step is too small to share
        features, labels = _examples(splits["train"], classes, seed)
        present = np.unique(labels)
        means = np.stack([features[labels == label, :3].mean(0) for label in present])
        forest = RandomForestClassifier(
            _TREES, max_depth=_DEPTH, min_samples_leaf=_LEAF, random_state=seed
        ).fit(features, labels)
        found: dict[str, dict[str, Array]] = {COLOR: {}, FILTERS: {}}
        for name in ("validation", "test"):
            split = splits[name]
            said: tuple[list[Array], list[Array]] = ([], [])
            for row in track(range(len(split)), f"pixels of {len(split):,} images"):
                seen = filtered(split.image(row))
                flat = seen.reshape(-1, seen.shape[-1])
                nearest = ((flat[:, None, :3] - means) ** 2).sum(-1).argmin(1)
                for place, each in zip(said, (present[nearest], forest.predict(flat)), strict=True):
                    place.append(each.reshape(seen.shape[:2]).astype(np.uint8))
            found[COLOR][name], found[FILTERS][name] = map(np.stack, said)
    return found


def filtered(image: Tensor) -> Array:
    """Return what filters see at each pixel of an image, uint8 (3, H, W): (H, W, F) float32.

    The colors, and of each scale the smoothed colors and, of the brightness, the length of the
    slope, and the larger and the smaller curvature (eigenvalues of the Hessian).
    """
    from scipy import ndimage

    pixels = image.numpy().astype(np.float32) / 255
    grey = np.tensordot(_LUMA, pixels, 1)
    seen: list[Array] = list(pixels)
    for sigma in _SIGMAS:
        seen += [ndimage.gaussian_filter(channel, sigma) for channel in pixels]
        seen.append(ndimage.gaussian_gradient_magnitude(grey, sigma))
        yy, yx, xx = (
            ndimage.gaussian_filter(grey, sigma, order=order) for order in ((2, 0), (1, 1), (0, 2))
        )
        middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
        seen += [middle + spread, middle - spread]
    return np.stack(seen, -1)


def _examples(train: PixelSet, classes: int, seed: int) -> tuple[Array, Array]:
    """Return filtered pixels of training images (n, F), and their classes (n,)."""
    generator = np.random.default_rng(seed)
    rows = np.unique(np.linspace(0, len(train) - 1, min(IMAGES, len(train))).astype(int)).tolist()
    truths = np.stack([train.truth(row) for row in rows])
    counts = np.bincount(truths.ravel(), minlength=VOID + 1)[:classes]
    wanted = _PIXELS // max(1, int(np.count_nonzero(counts)))
    chances = np.append(np.minimum(1, wanted / np.maximum(counts, 1)), np.zeros(VOID + 1 - classes))
    features, labels = [], []
    for row, truth in zip(track(rows, "pixels of training images"), truths, strict=True):
        chosen = generator.random(truth.shape) < chances[truth]
        if chosen.any():
            features.append(filtered(train.image(row))[chosen])
            labels.append(truth[chosen])
    return np.concatenate(features), np.concatenate(labels)
