"""Pictures of the classification lab: its mistakes, and what its first layer looks for."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from common.metrics.metrics import Array
from common.report.plots import figure_style, hide_frame, image_grid, message, short

_MOST_FILTERS = 64
_MOST_NUMBERS = 20  # classes up to which there is room for numbers
_MOST_LABELS = 40  # class names that fit along an axis
_NAME = 14  # letters of a class name that leave room for the rest of a caption


def mistakes(
    images: Any,
    targets: Array,
    predictions: Array,
    probabilities: Array,
    classes: Sequence[str],
    count: int = 24,
) -> Figure:
    """Draw so many of the mistakes of which the model was most certain.

    Targets and predictions are class numbers (N,), probabilities (N, C). `images[row]` is a uint8
    image (1 or 3 channels, H, W), array or tensor; only those drawn are read.
    """
    wrong = np.flatnonzero(predictions != targets)
    if not len(wrong):
        return message(f"No mistakes in {len(targets):,} images.")
    confidence = probabilities[wrong, predictions[wrong]]
    order = np.argsort(-confidence, kind="stable")[:count]
    names = [short(name, _NAME) for name in classes]
    captions = [
        f"true {names[targets[row]]} → {names[predictions[row]]} ({share:.2f})"
        for row, share in zip(wrong[order], confidence[order], strict=True)
    ]
    pictures = np.stack([picture(images[int(row)]) for row in wrong[order]])
    title = f"Most confident mistakes: {len(order)} of {len(wrong):,}, in {len(targets):,} images"
    return image_grid(pictures, captions, title=title)


def filters(weight: Array, classes: Sequence[str] = ()) -> Figure:
    """Draw what each output of a first layer looks for; the first 64 of them.

    Grey filters share one scale: blue is negative, white 0, red positive. Color filters have a
    scale of their own each: grey is 0. The weight is (outputs, 1 or 3 channels, H, W): a
    convolution's, or a linear model's reshaped to (classes, channels, H, W), which gives the
    templates of the classes, whose names are given.

    Raises:
        ValueError: the weight has another shape.
    """
    if weight.ndim != 4 or weight.shape[1] not in (1, 3):
        raise ValueError(
            f"expected a weight of shape (outputs, 1 or 3, H, W), given {weight.shape}: "
            "is it the first layer's?"
        )
    shown = weight[:_MOST_FILTERS].astype(np.float64)
    what = f"{len(shown)} of {len(weight)}" if len(weight) > len(shown) else f"{len(shown)}"
    if weight.shape[1] == 1:
        largest = np.abs(shown).max()
        colored = matplotlib.colormaps["RdBu_r"](_unit(shown[:, 0], largest))[..., :3]
        scale = f"blue −{largest:.2g}, white 0, red +{largest:.2g}"
    else:
        largest = np.abs(shown).max(axis=(1, 2, 3), keepdims=True)
        colored = _unit(shown, largest).transpose(0, 2, 3, 1)
        scale = "each scaled by its largest weight, grey 0"
    name = "templates" if classes else "filters"
    pictures = np.rint(255 * colored).astype(np.uint8)
    return image_grid(pictures, classes[: len(shown)], columns=8, title=f"{what} {name}: {scale}")


def _unit(values: Array, largest: Any) -> Array:
    """Map [-largest, largest] to [0, 1]."""
    return np.asarray(0.5 + 0.5 * values / np.maximum(largest, np.finfo(np.float64).tiny))


def picture(image: Any) -> Array:
    """Return an image (1 or 3, H, W) as matplotlib takes it."""
    pixels = np.asarray(image)
    return pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)


@figure_style()
def recalls(values: Array, classes: Sequence[str], strategies: Sequence[str]) -> Figure:
    """Draw the recall (C, strategies) of each class, top to bottom, under each strategy.

    It is in [0, 1]; NaN where a class has no samples. Numbers are left out above 20 classes.
    """
    height = 1.2 + min(8.0, 0.34 * len(classes))
    figure = Figure(figsize=(7.5, height), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, aspect=30).set_label("recall")
    if len(classes) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            color = "white" if value > 0.6 else "#222222"
            text = "-" if np.isnan(value) else f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=color)
    places = range(0, len(classes), math.ceil(len(classes) / _MOST_LABELS))
    axes.set_yticks(places, [short(classes[place], 24) for place in places])
    axes.set_xticks(range(len(strategies)), strategies)
    hide_frame(axes)
    return figure
