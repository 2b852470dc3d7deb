"""The spaces in which images are compared: latents, and what they are compared with."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from common.errors import DataError
from common.images.load import pixel_rows
from common.metrics.metrics import Array, Difference, Interval, bootstrap, difference_of
from labs.autoencoder.views.material import Material

_SIGNIFICANT = 0.05
LATENTS, PCA, PIXELS = "latents", "PCA", "pixels"
ABOUT = (
    "PCA has as many components as there are latents, or as many as there can be, fitted on the "
    "training images; pixels are those of the image, shrunk to 32x32 where there are more."
)


def class_names(material: Material, purpose: str) -> tuple[str, ...]:
    """Return the names of the classes.

    Raises:
        ConfigError: the data has none, and `purpose` needs them.
        DataError: all training images are of one class.
    """
    names = material.classes(purpose)
    numbers = np.unique(material.splits["train"].targets.numpy()).tolist()
    if len(numbers) < 2:
        raise DataError(
            f"{purpose} needs images of two classes or more, and all training images are of "
            f"{names[numbers[0]]!r}; give other --data, or leave fewer classes out"
        )
    return names


def vectors(material: Material, split: str, rows: Array) -> dict[str, Array]:
    """Return rows (n,) of a split's images as vectors of each space, (n, D) float32."""
    encoded = material[split]
    pixels = pixel_rows(encoded.split.select(torch.from_numpy(rows)), 32)
    return {LATENTS: encoded.latents[rows], PCA: material.pca.transform(pixels), PIXELS: pixels}


def compare(
    figure: Callable[[Array], float],
    statistics: Mapping[str, Array],
    *,
    interval: Callable[[Array], Interval] | None = None,
    resample: Callable[..., Interval] = bootstrap,
) -> tuple[dict[str, tuple[float, float, float]], dict[str, Difference]]:
    """Measure spaces, and the lead of the latents over each of the others.

    Args:
        figure: from the statistics of any rows; larger is better. `OfDraws` is fast.
        statistics: what each image adds, (N, ...), by space; the same images in each.
        interval: the 95 % interval from the statistics, where there is a better one than a
            bootstrap.
        resample: a bootstrap over the images, called with a function and its arrays.

    Returns:
        By space the figure with both ends of its interval; and by space the paired difference.
    """
    mine, lead = statistics[LATENTS], difference_of(figure)
    values = {
        name: (figure(rows), *(interval(rows) if interval else resample(figure, rows)))
        for name, rows in statistics.items()
    }
    leads = {
        name: Difference(lead(mine, rows), *resample(lead, mine, rows))
        for name, rows in statistics.items()
        if name != LATENTS
    }
    return values, leads


def record(
    name: str, value: tuple[float | None, ...], lead: Difference | None
) -> dict[str, float | None]:
    """Return the columns of a table for a figure with its interval, and the latents' lead."""
    figure, low, high = value
    difference, lead_low, lead_high = lead or (None, None, None)
    return {
        name: figure,
        "95 % from": low,
        "to": high,
        "latents' lead": difference,
        "lead from": lead_low,
        "lead to": lead_high,
    }


def list_records(
    label: str,
    values: Mapping[str, tuple[float | None, ...]],
    leads: Mapping[str, Difference],
) -> list[dict[str, Any]]:
    """Return the rows of a table for a metric of each space; see `record`."""
    return [
        {"figure": label, "space": space, **record("value", value, leads.get(space))}
        for space, value in values.items()
    ]


def flat(
    name: str,
    values: Mapping[str, tuple[float, float, float]],
    leads: Mapping[str, Difference],
) -> dict[str, float]:
    """Return what `compare` found as figures by name, such as `latents_accuracy_low`."""
    found: dict[str, tuple[float, float, float]] = {
        **{f"{space}_{name}": value for space, value in values.items()},
        **{f"lead_over_{space}_{name}": lead for space, lead in leads.items()},
    }
    return {
        f"{key.lower()}{end}": number
        for key, numbers in found.items()
        for end, number in zip(("", "_low", "_high"), numbers, strict=True)
    }


def judge_lead(lead: Difference, p: float = 0.0) -> str:
    """Say whether a lead is shown, by its interval and the p value of a test, if there is one.

    Of few images an interval from a bootstrap alone is too narrow.
    """
    if p >= _SIGNIFICANT or lead.low <= 0 <= lead.high:
        return "a difference is not shown"
    return f"the latents are {'better' if lead.low > 0 else 'worse'}"


def lead_text(lead: Difference) -> str:
    """Write a lead with its interval."""
    return f"{lead.difference:+.4f} (95 % interval {lead.low:+.4f} to {lead.high:+.4f})"


def warn_if_told(material: Material) -> str:
    """Return a warning where the encoder is told the class, else an empty text."""
    if not material.job.model.conditional:
        return ""
    return (
        f" The encoder of a {material.job.config.model} is told the class of each image, of test "
        "images too: what its latents know of classes may be no more than that."
    )
