"""The lab's data: a config's images, with classes or numbers to tell."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from common.card import say_skipped
from common.cleaning import patch
from common.cleaning.samples import Images
from common.errors import DataError
from common.files import replace_surrogates
from common.images import load as image_data
from common.images.arrays import holds_arrays
from common.images.files import Decoding
from common.images.glance import find_numbers, find_several
from common.images.load import ImageCard
from common.images.sets import ImageSet, find_strata, fingerprint
from common.images.tables.locate import locate
from common.io.tables import is_table, read_names
from common.options.config import IMAGE_SETS
from common.pseudo import rows
from common.training.splits import bootstrap_rows, thinned_rows
from labs.classification.config import SEVERAL, ClassificationConfig
from labs.classification.models.catalogue import find_family
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
    refuse_data(config)
    family = find_family(config.model)
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
    if config.all_rows:
        splits, card = _with_all_rows(config, splits, card)
    if config.patch is not None:
        splits, card = _patched(config, splits, card)
    if config.pseudo is not None:
        splits, card = _with_pseudo(config, splits, card)
    if wanted is not None and len(wanted.mean) == card.channels:
        card = replace(card, mean=wanted.mean, std=wanted.std)
    if not config.numeric and len(card.classes) < (1 if config.several else 2):
        known = f"only one class, {card.classes[0]!r}" if card.classes else "no classes"
        raise DataError(f"--data {config.data}: {known}; a classifier needs two")
    return splits, card


def _patched(
    config: ClassificationConfig, splits: dict[str, ImageSet], card: ImageCard
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Return the splits with the training split as the config's patch has it, and their card."""
    assert config.patch is not None
    found = patch.apply_patch(
        config.patch,
        {name: patch.Samples(split.names, split.targets) for name, split in splits.items()},
        card.classes,
        Images(config, config.kind).fingerprint,
        all_rows=config.all_rows,
        partial=config.partial or bool(_thinned(config)),
        seed=config.seed,
    )
    train = replace(splits["train"].select(found.rows), targets=found.targets)
    return _with_train(train, splits, card, found.said)


def _with_pseudo(
    config: ClassificationConfig, splits: dict[str, ImageSet], card: ImageCard
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Return splits whose training split has the config's pseudo-labelled images behind its own."""
    assert config.pseudo is not None
    assert config.unlabelled is not None
    given = rows.read_rows(config.pseudo, card.classes)
    train = splits["train"]
    decoding: Decoding = "auto" if isinstance(train.images, Tensor) else "stream"
    found = image_data.find_unlabelled(config, config.unlabelled, card, decoding).parts["all"]
    places = {replace_surrogates(name): row for row, name in enumerate(found.names)}
    if missing := [name for name in given.names if name not in places]:
        raise DataError(
            f"--pseudo {config.pseudo}: {len(missing):,} of its images are not in --unlabelled "
            f"{config.unlabelled}, such as {missing[0]!r}"
        )
    more = found.select(torch.tensor([places[name] for name in given.names]))
    train = image_data.extend(train, replace(more, targets=given.targets))
    return _with_train(train, splits, card, rows.describe(len(more)))


def find_unlabelled(
    config: ClassificationConfig, card: ImageCard, path: str, say: Callable[[str], None]
) -> ImageSet:
    """Load images as a run with that card sees them; labels that they have are not used.

    `say` is called with a line for each image that is left out, and for labels that are not used.

    Raises:
        DataError: they cannot be used.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"{path}: no such folder or file")
    found = image_data.find_unlabelled(config, path, card)
    say(found.source)
    say_skipped(found.skipped, say)
    in_table = place.is_file() and is_table(place)
    labels = [name for name in config.label_column if in_table and name in read_names(place)]
    if found.classes or labels:
        said = f"column {labels[0]!r}" if labels else f"folders such as {found.classes[0]!r}"
        say(f"{path}: its labels ({said}) are not used")
    return found.parts["all"]


def _with_all_rows(
    config: ClassificationConfig, splits: dict[str, ImageSet], card: ImageCard
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Return splits of which the one to train on has the rows of all, and their card."""
    train = image_data.joined([splits[name] for name in ("train", "test", "validation")])
    if config.bootstrap:
        every = torch.arange(len(train))
        train = train.select(bootstrap_rows(find_strata(train.targets), every, config.seed))
    said = ["all of them to train", *config.describe_drawn(train.names)]
    return _with_train(train, splits, card, ", ".join(said))


def _with_train(
    train: ImageSet, splits: dict[str, ImageSet], card: ImageCard, said: str
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Return splits with another one to train on, and the card that says what became of it."""
    splits = {**splits, "train": train}
    return splits, replace(
        card,
        source=f"{card.source}, {said}",
        counts={name: len(split) for name, split in splits.items()},
        fingerprint=fingerprint(*splits.values()),
    )


def labelled(config: ClassificationConfig, card: ImageCard, say: Callable[[str], None]) -> ImageSet:
    """Load all of a config's images as a run with that card sees them.

    `say` is called with a line for each image that is left out.

    Raises:
        DataError: they cannot be used, or have classes that the run does not know.
    """
    refuse_data(config)
    return image_data.labelled(config, card, say, kind=config.kind)


def find_loss(config: ClassificationConfig) -> tuple[str, str] | None:
    """Return the loss that fits labels which are not one class an image, and why; None for classes.

    Raises:
        DataError: the data cannot be read.
    """
    path = Path(config.data).expanduser()
    if why := find_several(path, config):
        return SEVERAL, why
    if why := find_numbers(path, config):
        return "mse", f"{why} (--loss cross-entropy takes each for a class)"
    return None


def refuse_data(config: ClassificationConfig) -> None:
    """Refuse data that cannot say numbers, or several labels, by what they are alone.

    Raises:
        DataError: they cannot.
    """
    given = [config.data, *filter(None, [config.test])]
    if config.kind == "class":
        return
    what = "numbers; give a CSV with a column of them"
    if config.several:
        what = "several labels; give a table with a column of them, or one of zeros and ones each"
    found = [Path(data).expanduser() for data in given]
    if any(each.is_dir() and locate(each).is_dir() for each in found):
        raise DataError(f"--loss {config.loss} predicts {what}, not a folder")
    if config.several and (config.data in IMAGE_SETS or any(map(holds_arrays, found))):
        raise DataError(f"--loss {config.loss} predicts {what}, not {config.data}")


def _thinned(config: ClassificationConfig) -> list[str]:
    """Say how the training split is made smaller; nothing if it is not."""
    said = []
    if config.per_class is not None:
        said.append(f"at most {config.per_class:,} training images of each class")
    if config.imbalanced > 1:
        said.append(f"training images made rare, {config.imbalanced:g} to 1")
    return said
