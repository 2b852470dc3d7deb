"""The lab's data: a config's images, with those of the classes left out kept apart."""

import dataclasses
import unicodedata
from collections.abc import Callable

import numpy as np
import torch

from common.errors import ConfigError, DataError
from common.images import load as image_data
from common.images.load import ImageCard
from common.images.sets import Classes, ImageSet
from common.suggest import suggest
from labs.autoencoder.config import AutoencoderConfig


def load(config: AutoencoderConfig) -> tuple[dict[str, ImageSet], ImageCard]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Of the classes that `without` names, nothing is in these three: their test images are
    `anomalies`, the others are not used.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
        ConfigError: a class to be left out is none of the data's, or none would be left.
    """
    splits, card = image_data.load(config, classes="optional")
    if len(card.classes) == 1:
        [name] = card.classes
        raise DataError(
            f"--data {config.data}: only one class, {name!r}, so nothing can be said of classes; "
            f"to train without classes give the folder of the images itself, {config.data}/{name}"
        )
    if not config.without:
        return splits, card
    names = tuple(unicodedata.normalize("NFC", name) for name in config.without)
    rows = _left_out(names, card.classes)
    out = {name: torch.isin(part.targets, rows) for name, part in splits.items()}
    kept = {name: part.select((~out[name]).nonzero()[:, 0]) for name, part in splits.items()}
    anomalies = splits["test"].select(out["test"].nonzero()[:, 0])
    splits = {**kept, "anomalies": anomalies}
    counts = {name: len(part) for name, part in splits.items()}
    source = f"{card.source}, without {', '.join(names)}"
    return splits, dataclasses.replace(card, counts=counts, source=source)


def labelled(config: AutoencoderConfig, card: ImageCard, say: Callable[[str], None]) -> ImageSet:
    """Load all of a config's images as a run with that card sees them, and say what is left out.

    Only a conditional model has to be told classes; for others they are what they can be.

    Raises:
        DataError: they cannot be used, or lack the classes that the model has to be told.
    """
    classes: Classes = "required" if config.model == "conditional-vae" else "optional"
    return image_data.labelled(config, card, say, classes=classes)


def _left_out(names: tuple[str, ...], classes: tuple[str, ...]) -> torch.Tensor:
    problems = [
        f"--without {name}: no such class; there are: {', '.join(classes[:20]) or 'none'}"
        f"{suggest(name, classes)}"
        for name in names
        if name not in classes
    ]
    if not problems and len(set(names)) == len(classes):
        problems = ["--without: names every class, so there is nothing left to train on"]
    if problems:
        raise ConfigError(problems)
    return torch.from_numpy(np.array([classes.index(name) for name in set(names)]))
