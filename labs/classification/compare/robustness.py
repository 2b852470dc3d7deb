"""How right a classifier stays when the images are shifted, scaled and rotated."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.images.augment import Affine
from common.images.sets import ImageSet
from common.metrics import metrics
from common.metrics.metrics import Array
from common.training.splits import sample_rows

CHANGES: dict[str, tuple[float, ...]] = {
    "shift": tuple(pixels / 28 for pixels in range(7)),
    "scale": (0.6, 0.8, 1.0, 1.2, 1.4),
    "rotation": (0.0, 15.0, 30.0, 45.0),
}
"""Amounts of each kind of change: fractions of a side, factors, and degrees."""

AS_IS = {"shift": 0.0, "scale": 1.0, "rotation": 0.0}
"""The amount that changes nothing."""

_MOST = 2000  # test images that are changed
_CHUNK = 256  # images changed at a time

Right = Callable[[ImageSet], Array]


def rows(part: ImageSet) -> Array:
    """Return which images of a test split are changed: all, or a sample of a large one."""
    if len(part) <= _MOST:
        return np.arange(len(part))
    chosen: Array = np.asarray(sample_rows(part.targets, _MOST, seed=0))
    return chosen


def changed(part: ImageSet, kind: str, amount: float) -> ImageSet:
    """Return images shifted, scaled or rotated about the center, with black where nothing was.

    One after the other they are shifted right, down, left and up, and rotated to the right and to
    the left. The images are warped as `common.images.augment.Affine` does in training, and rounded.

    Args:
        part: the images.
        kind: of `CHANGES`.
        amount: of the change.
    """
    warp, numbers = _warp(kind, amount), _numbers(kind, amount, len(part))
    pieces = []
    for start in range(0, len(part), _CHUNK):
        stop = min(start + _CHUNK, len(part))
        images = torch.stack([part.images[row] for row in range(start, stop)]).float() / 255
        pieces.append((warp(images, numbers[start:stop]) * 255).round().clamp(0, 255).byte())
    return ImageSet(torch.cat(pieces), part.targets, part.names)


def _warp(kind: str, amount: float) -> Affine:
    """Return the change of which `_numbers` gives the ends."""
    degrees = amount if kind == "rotation" else 0.0
    translate = amount if kind == "shift" else 0.0
    scale = abs(amount - 1) if kind == "scale" else 0.0
    return Affine(degrees, translate, scale, 0.0)


def _numbers(kind: str, amount: float, count: int) -> Tensor:
    """Return where between its ends a change is: 0 and 1 are the ends, one half changes nothing."""
    numbers, order = torch.full((count, Affine.columns), 0.5), torch.arange(count)
    if kind == "shift":
        numbers[order, 1 + order % 2] = (order % 4 < 2).float()
    elif kind == "scale":
        numbers[:, 3] = float(amount > 1)
    else:
        numbers[:, 0] = (order % 2 == 0).float()
    return numbers


def outcomes(right: Right, part: ImageSet, plain: Array) -> dict[str, Array]:
    """Say which changed images are told right, by the kind of change.

    Args:
        right: says which images of a set each run tells right, (runs, N).
        part: the test split, of which `rows` are changed.
        plain: what `right` says of the whole test split as it is.

    Returns:
        For each kind (runs, N, amounts).
    """
    chosen = rows(part)
    sample = part if len(chosen) == len(part) else part.select(torch.as_tensor(chosen))

    def of(kind: str, amount: float) -> Array:
        if amount == AS_IS[kind]:
            return plain[:, chosen]
        return right(changed(sample, kind, amount))

    return {
        kind: np.stack([of(kind, amount) for amount in amounts], axis=2).astype(np.float64)
        for kind, amounts in CHANGES.items()
    }


def figures(found: dict[str, Array]) -> dict[str, Any]:
    """Return the accuracy at each amount, with intervals of 95 % over images and seeds.

    Args:
        found: what `outcomes` returns.
    """
    return {
        kind: {
            "amounts": list(CHANGES[kind]),
            "accuracy": values.mean((0, 1)).tolist(),
            "interval": [
                list(metrics.seeds_interval(values[..., place])) for place in range(values.shape[2])
            ],
        }
        for kind, values in found.items()
    }


def difference(one: dict[str, Array], other: dict[str, Array]) -> dict[str, Any]:
    """Return how much more of the changed images one tells right than another, by the kind.

    Args:
        one: what `outcomes` returns; the mean is over all amounts that change something.
        other: likewise.
    """
    found = {}
    for kind, amounts in CHANGES.items():
        changing = np.array(amounts) != AS_IS[kind]
        values = (one[kind] - other[kind])[..., changing].mean(2)
        interval = list(metrics.seeds_interval(values))
        found[kind] = {"difference": float(values.mean()), "interval": interval}
    return found
