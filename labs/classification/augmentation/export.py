"""A copy of a set as a folder of class folders, with augmented copies of its training images.

Copies of an image are nearly that image. If one were trained on and another tested, the test would
be no test, so the folder has parts, and only training images get copies.
"""

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from PIL import Image
from torch import Tensor

from common.errors import ConfigError, DataError, Stopped
from common.files import new_folder
from common.images import policies
from common.images.decode import decode, photo
from common.images.files import ImageFiles
from common.images.glance import choose_split
from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.io.folders import relative_name
from common.options import terminal
from common.options.budget import Choices
from labs.classification.augmentation.preview import Feed
from labs.classification.config import ClassificationConfig
from labs.classification.data import load


class Written(NamedTuple):
    """How many images a part of an augmented copy has."""

    originals: int
    copies: int


def command(config: ClassificationConfig, out: Path, copies: int) -> None:
    """Write a set with augmented copies to a new folder, and say what is in it."""
    refuse(config, out)
    chosen = Choices(config)
    choose_split(chosen, config.kind)  # as `train` does, whose parts these are
    config = chosen.config
    splits, card = load(dataclasses.replace(config, decoding="stream"))
    policies.check(config.augment, splits["train"])
    for name, reason in card.skipped[:10]:
        terminal.note(f"skipped {name}: {reason}")
    more = copies * len(splits["train"])
    terminal.note(
        f"writing {sum(map(len, splits.values())):,} originals and {more:,} copies to {out}"
    )
    counts = write(config, card, splits, out, copies)
    rows = [[part, f"{each.originals:,}", f"{each.copies:,}"] for part, each in counts.items()]
    terminal.show_table(f"{out}, of {card.source}", ["part", "originals", "augmented copies"], rows)
    terminal.say(
        "Copies of one image must not fall on both sides of a split, so the folder has the parts "
        f"that train makes of {config.data} with --split-seed {config.split_seed}, and only "
        "training images have copies."
    )
    size = (
        "" if isinstance(splits["train"].images, ImageFiles) else f" --image-size {card.image_size}"
    )
    click.echo(f"Train with it: python -m labs.classification train --data {out}{size}")


def refuse(config: ClassificationConfig, out: Path) -> None:
    """Refuse what cannot be written, before anything is read.

    Raises:
        ConfigError: there is nothing to do to the images, or folders cannot say it.
        DataError: the folder is there already, or it lies in the data.
    """
    problems = []
    if not config.augment:
        problems.append("--write: needs --augment, such as affine,hflip")
    if config.kind != "class":
        problems.append(f"--loss {config.loss}: folders tell one class of each image")
    if len(config.label_column) > 1:
        problems.append("--label-column: folders tell one label; give one column")
    if config.crop_column or config.crop_boxes:
        option = "--crop-boxes" if config.crop_boxes else "--crop-column"
        problems.append(f"{option}: whole files are copied; write the crops as files")
    if config.blends:
        problems.append("--mixup, --cutmix: a blend has two classes, and lies in no folder of one")
    if problems:
        raise ConfigError(problems)
    data = Path(config.data).expanduser()
    if data.is_dir() and out.resolve().is_relative_to(data.resolve()):
        raise DataError(f"--write {out}: lies in the data itself; name a folder elsewhere")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f"--write {out}: is there already, and nothing is overwritten; name a new folder"
        )


def write(
    config: ClassificationConfig,
    card: ImageCard,
    splits: Mapping[str, ImageSet],
    out: Path,
    copies: int,
) -> dict[str, Written]:
    """Write the images of all splits, and augmented copies of those of the training split.

    The folder, whole when this returns and else not there, has the parts `train`, `validation` and
    `test`, each with a folder for each class. Files are copied as they are. Their augmented copies,
    `NAME-augK.png`, are made of the whole photo at its own size, or of what training sees of it
    where the config has an image size. Splits are of files that are not decoded, or of arrays.

    Returns:
        How many images each part has.

    Raises:
        DataError: a class cannot be a folder's name, or an image cannot be changed.
        SaveError: a file cannot be written.
        Stopped: a signal came; nothing is left.
    """
    for name in card.classes:
        if not name or name.startswith((".", "__MACOSX")) or "/" in name or "\\" in name:
            raise DataError(f"class {name!r} cannot be the name of a folder; rename it")
    try:
        with new_folder(out) as folder:
            return {
                part: _write_part(
                    config, card, split, folder / part, copies if part == "train" else 0
                )
                for part, split in splits.items()
            }
    except Stopped as stopped:
        raise Stopped(stopped.signum, f"stopped; nothing was written to {out}") from stopped


def _write_part(
    config: ClassificationConfig, card: ImageCard, split: ImageSet, folder: Path, copies: int
) -> Written:
    feed = Feed(config, card, len(split))
    taken: dict[str, set[str]] = {name: set() for name in card.classes}
    for name in card.classes:
        (folder / name).mkdir(parents=True)
    stems = []
    for row, (place, target) in enumerate(zip(split.names, split.targets.tolist(), strict=True)):
        label, images = card.classes[target], split.images
        if isinstance(images, ImageFiles):
            given = Path(relative_name(images.paths[row], images.paths[row].parent))
            target_file = folder / label / _free(given.stem, given.suffix, taken[label])
            shutil.copyfile(images.paths[row], target_file)
        else:
            given = Path(place)
            target_file = folder / label / _free(given.name, ".png", taken[label])
            _save(images[row], target_file)
        stems.append((label, target_file.stem))
    for row, (label, stem) in enumerate(stems):
        if not copies:
            break
        pixels = _pixels(config, card, split, row)
        for copy, picture in enumerate(_augmented(feed, pixels, split.names[row], row, copies), 1):
            _save(picture, folder / label / _free(f"{stem}-aug{copy}", ".png", taken[label]))
    return Written(len(split), copies * len(split))


def _pixels(config: ClassificationConfig, card: ImageCard, split: ImageSet, row: int) -> Tensor:
    """Return an image as it is augmented, uint8 (C, H, W)."""
    images = split.images
    if not isinstance(images, ImageFiles):
        return images[row]
    if config.image_size is not None:
        return decode(images.paths[row], config.image_size, card.channels, config.fit, card.scale)
    return photo(images.paths[row])[: card.channels]  # where all are grey, its channels are equal


def _augmented(feed: Feed, image: Tensor, name: str, row: int, copies: int) -> Iterator[Tensor]:
    try:
        for epoch in range(copies):
            yield feed.together(image, row, epoch)
    except (ConfigError, DataError) as error:
        raise DataError(f"{name}: {error}; --image-size gives all one size") from error


def _free(stem: str, suffix: str, taken: set[str]) -> str:
    """Return a name that no other file of a folder has, also where capitals do not count."""
    while f"{stem}{suffix}".casefold() in taken:
        stem += "_"
    taken.add(f"{stem}{suffix}".casefold())
    return f"{stem}{suffix}"


def _save(image: Tensor, path: Path) -> None:
    pixels = image.permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels if len(image) == 3 else pixels[:, :, 0])).save(path)
