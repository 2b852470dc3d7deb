"""Honest baselines: what one says of an image with one object without a network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.metrics.metrics import Array
from common.steps import step
from labs.detection import baselines as without_network
from labs.detection.boxes import to_centers, to_corners
from labs.detection.data.load import BoxSet
from labs.detection.localizer import metrics

MAJORITY, LINEAR = "majority class", "linear model on pixels"
IMAGES = 4000  # of training, at most, that the linear model learns from
SIDE = 32  # pixels to which it shrinks images

ABOUT = (
    "“Majority class” always says the most frequent class and the mean box of the training images. "
    f"The linear model sees {SIDE}x{SIDE} pixels in color of at most {IMAGES:,} training images: "
    "logistic regression says the class, ridge regression the box, each with the penalty that is "
    "best on validation. “Connected components” is the baseline of the detectors, of "
    f"{without_network.IMAGES:,} training images, of whose boxes the one with the highest score "
    "counts."
)
_PENALTIES = (1e-4, 1e-3, 1e-2)  # scikit-learn's C for logistic regression
_ALPHAS = (1e2, 1e3, 1e4, 1e5)  # of ridge regression

_Data = Mapping[str, Any]


def predictions(splits: Mapping[str, BoxSet], classes: int) -> dict[str, dict[str, Array]]:
    """Return what each baseline says of `validation` and `test`, detections (N, 1, 6).

    Args:
        splits: the data.
        classes: how many there are.
    """
    names = ("validation", "test")
    labels, centers = _labels(splits["train"]), to_centers(splits["train"].boxes.values[:, :4])
    common = np.bincount(labels).argmax()
    box = to_corners(centers.mean(0))[None].numpy()
    with step(LINEAR):
        linear = _fit_linear(splits)
    found = without_network.predictions(splits, classes)
    return {
        MAJORITY: {
            name: _rows(box.repeat(len(splits[name]), 0), np.full(len(splits[name]), common))
            for name in names
        },
        LINEAR: linear,
        **{key: {name: rows[name][:, :1] for name in names} for key, rows in found.items()},
    }


def _fit_linear(splits: Mapping[str, BoxSet]) -> dict[str, Array]:
    """Fit class and box, each with the penalty that is best on validation."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    train = splits["train"]
    rows = np.unique(np.linspace(0, len(train) - 1, min(IMAGES, len(train))).astype(int))
    scaler = StandardScaler()
    seen = scaler.fit_transform(_pixels(train, rows))
    labels, boxes = _labels(train)[rows], to_centers(train.boxes.values[rows, :4]).numpy()
    names = ("validation", "test")
    others = {
        name: scaler.transform(_pixels(splits[name], np.arange(len(splits[name]))))
        for name in names
    }
    known = splits["validation"]
    true = known.boxes.values[:, None].numpy()
    if len(set(labels.tolist())) > 1:
        fitted = [
            LogisticRegression(C=penalty, max_iter=200, tol=1e-2).fit(seen, labels)
            for penalty in _PENALTIES
        ]
        best = max(
            fitted, key=lambda each: (each.predict(others["validation"]) == _labels(known)).mean()
        )
        classes = {name: best.predict(others[name]) for name in names}
    else:
        classes = {name: np.full(len(splits[name]), labels[0]) for name in names}

    def place(model: Any, name: str) -> Array:
        centers = torch.from_numpy(model.predict(others[name]))
        centers[:, 2:] = centers[:, 2:].clamp(min=1)
        return to_corners(centers).numpy()

    def overlap(model: Any) -> float:
        found = _rows(place(model, "validation"), classes["validation"])
        return float(metrics.judge(found, true).iou.mean())

    ridge = max((Ridge(alpha).fit(seen, boxes) for alpha in _ALPHAS), key=overlap)
    return {name: _rows(place(ridge, name), classes[name]) for name in names}


def _labels(split: BoxSet) -> Array:
    return np.asarray(split.boxes.values[:, 4].long().numpy())


def _pixels(split: BoxSet, rows: Array) -> Array:
    """Return images as rows of shrunk pixels, (n, 3 * SIDE * SIDE)."""
    return np.stack([_shrunk(split.image(row)).numpy() for row in rows.tolist()])


def _shrunk(image: Tensor) -> Tensor:
    small: Tensor = functional.interpolate(image[None].float(), (SIDE, SIDE), mode="area")
    return small.flatten() / 255


def _rows(corners: Array, classes: Array) -> Array:
    """Return one detection of each image, (N, 1, 6), of which a baseline is always sure."""
    sure = np.ones(len(classes))
    return np.column_stack([corners, sure, classes])[:, None].astype(np.float32)
