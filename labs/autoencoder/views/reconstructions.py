"""What the network gives back: inputs beside outputs, the worst too, and each class's error."""

from typing import Any

import numpy as np

from common.metrics import metrics
from common.options.terminal import figure_text
from common.report.html import Section, Table
from common.report.plots import short
from labs.autoencoder import plots
from labs.autoencoder.views.material import Encoded, Material, View, choose_rows

_SHOWN = 24


def view(material: Material, split: str = "test", count: int = _SHOWN) -> View:
    """Show inputs and outputs of a split: `count` at random, the best and the worst."""
    encoded = material[split]
    order = np.argsort(encoded.errors, kind="stable")
    some = choose_rows(encoded, count, material.job.config.seed)[:count]
    pictures = [
        _picture(material, encoded, rows, f"reconstructions_{name}", caption)
        for rows, name, caption in (
            (some, "random", f"Images of the {split} split, chosen at random."),
            (order[-count:][::-1], "worst", "The worst reconstructions, the worst first."),
            (order[:count], "best", "The best reconstructions, the best first."),
        )
    ]
    records = _classes(encoded, material.job.card.classes)
    text = (
        "The error of an image is the mean over its pixels of the squared difference between "
        "output and input, with pixels from 0 to 1. "
        f"Half of the {len(encoded):,} {split} images have less than "
        f"{figure_text(float(np.median(encoded.errors)))}, the worst has "
        f"{figure_text(float(encoded.errors.max()))}."
    )
    section = Section("Reconstructions", text, Table.of(records), pictures)
    return View(section, records=records)


def _picture(material: Material, encoded: Encoded, rows: Any, name: str, caption: str) -> Any:
    shown = [int(row) for row in rows]
    strips = {"input": encoded.images(shown), "output": encoded.reconstructions(shown)}
    if material.job.denoises:
        strips = {
            "clean": strips["input"],
            "noisy": encoded.seen(shown),
            "denoised": strips["output"],
        }
    names = material.job.card.classes
    captions = [
        f"{short(names[encoded.classes[row]], 10)}: {text}" if names else text
        for row in shown
        for text in [figure_text(float(encoded.errors[row]))]
    ]
    return material.save_picture(
        name,
        caption,
        plots.strips(strips, captions, "class and squared error" if names else "squared error"),
    )


def _classes(encoded: Encoded, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the mean error of each class with its interval, the worst first, and of all."""
    groups = {
        name: encoded.errors[encoded.classes == number] for number, name in enumerate(classes)
    }
    groups = {name: errors for name, errors in groups.items() if len(errors)}
    found = sorted(groups.items(), key=lambda entry: -entry[1].mean())
    return [_row(name, errors) for name, errors in [*found, ("all", encoded.errors)]]


def _row(name: str, errors: Any) -> dict[str, Any]:
    low, high = metrics.bootstrap(metrics.mean, errors)
    return {
        "class": name,
        "images": len(errors),
        "mse": float(errors.mean()),
        "95 % from": low,
        "to": high,
        "worst": float(errors.max()),
    }
