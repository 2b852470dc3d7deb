"""What one gets without a network: colors of the parts of a picture, and words counted in pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from common.metrics.metrics import Array
from common.steps import step, track
from labs.classification.contrastive.data import Pairs, cut
from labs.classification.contrastive.job import nearest

RIDGE, CHANCE = "ridge from colors to words", "chance"
_CELLS = 3  # parts of a side
_LEVELS = 4  # of each color channel in a histogram
_SIDE = 12  # pixels of a side that are seen beside histograms
_MOST_COUNTED = 1000  # words and pairs of words, the most frequent
MOST_FITTED = 10_000
"""Pairs of images and captions that ridge learns from."""

_PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # scikit-learn's alpha


class Ridge:
    """Ridge regression from histograms of colors and small pictures to counts of words and pairs.

    The counts that it foretells for a picture, and those of a caption, both less the mean and at
    unit length, are its space. The penalty is the one with which most captions are found on
    validation.
    """

    def __init__(self, train: Pairs, validation: Pairs):
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import Ridge as Linear

        rows = np.linspace(0, len(train) - 1, min(len(train), MOST_FITTED)).astype(int)
        self._counter: Any = CountVectorizer(
            tokenizer=cut, token_pattern=None, ngram_range=(1, 2), max_features=_MOST_COUNTED
        )
        captions = [train.captions[row] for row in rows]
        counts = self._counter.fit_transform(captions).toarray().astype(np.float64)
        self._mean, self._spread = counts.mean(0), counts.std(0) + 1e-9
        inputs, targets = describe(train.images[rows]), (counts - self._mean) / self._spread
        self._center, self._scale = inputs.mean(0), inputs.std(0) + 1e-3
        best, found = -1.0, None
        for penalty in track(_PENALTIES, "ridge"):
            self._model = Linear(penalty).fit((inputs - self._center) / self._scale, targets)
            scores = self.see(validation.images) @ self.read(validation.captions).T
            share = float((nearest(scores) == np.arange(len(scores))[:, None]).mean())
            if share > best:
                best, found = share, self._model
        self._model = found

    def see(self, images: Tensor) -> Array:
        """Return what counts are foretold for images, as unit vectors (N, D)."""
        return _unit(self._model.predict((describe(images) - self._center) / self._scale))

    def read(self, captions: Sequence[str]) -> Array:
        """Return the counts of captions, as unit vectors (N, D)."""
        counts = self._counter.transform(captions).toarray()
        return _unit((counts - self._mean) / self._spread)


def describe(images: Tensor) -> Array:
    """Return the colors of parts of images, and the images at 12 x 12 pixels, (N, features)."""
    pixels = images.numpy().astype(np.int64) * _LEVELS // 256
    codes = (pixels[:, 0] * _LEVELS + pixels[:, 1]) * _LEVELS + pixels[:, 2]
    parts = []
    for rows in np.array_split(codes, _CELLS, 1):
        for cell in np.array_split(rows, _CELLS, 2):
            flat = cell.reshape(len(cell), -1)
            places = flat + _LEVELS**3 * np.arange(len(flat))[:, None]
            counts = np.bincount(places.ravel(), minlength=_LEVELS**3 * len(flat))
            parts.append(counts.reshape(len(flat), -1) / flat.shape[1])
    small = F.adaptive_avg_pool2d(images.float(), _SIDE).flatten(1).numpy() / 255
    return np.concatenate([*parts, small], 1)


def predictions(splits: Mapping[str, Pairs], ridge: Ridge) -> dict[str, dict[str, Array]]:
    """Return for `validation` and `test` what is found, (N, 2), see `nearest`, and by chance."""
    found: dict[str, dict[str, Array]] = {RIDGE: {}, CHANCE: {}}
    for name in ("validation", "test"):
        split = splits[name]
        with step(f"ridge on {name}"):
            found[RIDGE][name] = nearest(ridge.see(split.images) @ ridge.read(split.captions).T)
        drawn = np.random.default_rng(0)
        found[CHANCE][name] = drawn.integers(len(split), size=(len(split), 2))
    return found


def _unit(values: Array) -> Array:
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(lengths, 1e-12))
