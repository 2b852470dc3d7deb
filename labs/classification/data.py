"""The lab's data: a config's images, with classes or numbers to tell."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from common.errors import DataError
from common.images import load as image_data
from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.training.splits import thinned_rows
from labs.classification.config import ClassificationConfig
from labs.classification.models.catalogue import MODELS
from labs.classification.transfer.weights import Inputs


def load(
    config: ClassificationConfig, wanted: Inputs | None = None
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    What pretrained weights want may be given: color, size, and the mean and deviation by which they
    saw images normalized, which then take the place of the data's own on the card.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    _refuse_folder_of_numbers(config)
    family = MODELS[config.model]
    color = family.needs_color
    if wanted is not None:
        color = color or wanted.color
        config = replace(config, image_size=config.image_size or wanted.image_size)
    thinned = _thinned(config)
    choose = partial(
        thinned_rows, seed=config.split_seed, most=config.per_class, ratio=config.imbalanced
    )
    splits, card = image_data.load(
        config,
        color=color,
        kind=config.kind,
        choose=choose if thinned else None,
        least=family.smallest,
    )
    card = replace(card, source=", ".join([card.source, *thinned]))
    if wanted is not None and len(wanted.mean) == card.channels:
        card = replace(card, mean=wanted.mean, std=wanted.std)
    if not config.numeric and len(card.classes) < 2:
        known = f"only one class, {card.classes[0]!r}" if card.classes else "no classes"
        raise DataError(f"--data {config.data}: {known}; a classifier needs two")
    return splits, card


def labelled(config: ClassificationConfig, card: ImageCard, say: Callable[[str], None]) -> ImageSet:
    """Load all of a config's images as a run with that card sees them.

    `say` is called with a line for each image that is left out.

    Raises:
        DataError: they cannot be used, or have classes that the run does not know.
    """
    _refuse_folder_of_numbers(config)
    return image_data.labelled(config, card, say, kind=config.kind)


def _refuse_folder_of_numbers(config: ClassificationConfig) -> None:
    given = [config.data, *filter(None, [config.test])]
    if config.numeric and any(Path(data).expanduser().is_dir() for data in given):
        raise DataError(
            f"--loss {config.loss} predicts numbers; give a CSV with a column of them, not a folder"
        )


def _thinned(config: ClassificationConfig) -> list[str]:
    """Say how the training split is made smaller; nothing if it is not."""
    said = []
    if config.per_class is not None:
        said.append(f"at most {config.per_class:,} training images of each class")
    if config.imbalanced > 1:
        said.append(f"training images made rare, {config.imbalanced:g} to 1")
    return said
