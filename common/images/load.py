"""A config's images, split, with a card that says what they are, for the labs that take images."""

import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from common.card import DataCard, class_numbers, say_skipped
from common.errors import ConfigError, DataError
from common.images import augment, known, policies
from common.images.alike import find_alike
from common.images.arrays import holds_arrays
from common.images.copies import find_bursts, number_copies
from common.images.decode import Given, White, list_inputs, read_squares
from common.images.files import Decoding, ImageFiles
from common.images.folders import list_folder
from common.images.listed import ListedFile, ListedImages, decode_listed
from common.images.sets import Classes, FoundImages, ImageSet, find_strata, fingerprint
from common.images.tables.crops import take_boxes
from common.images.tables.listing import (
    list_table,
)
from common.images.tables.locate import locate
from common.images.tables.pixels import describe_pixels
from common.io.naming import group_of_name
from common.io.tables import is_table, read_names
from common.io.unpack import is_archive, unpacked
from common.options.config import IMAGE_SETS, IN_DATA, NONE, ImageConfig, Kind, flag
from common.reuse import reusable
from common.suggest import suggest
from common.training.batches import Batches, choose_batching
from common.training.compute import Compute
from common.training.splits import number_groups, sample_rows, split_as

C = TypeVar("C", bound=ImageConfig)

_DEFAULT_SIZE = 64  # pixels: of a user's images, and of any image that was made a color image
_CHUNK = 256  # images computed at a time
_EVALUATED = 256 * 64**2  # pixels of a side, squared, that are evaluated at a time
FRACTIONS = {"validation": 0.1, "test": 0.2}  # that are cut from what there is
_STATISTICS_SAMPLE = 2000  # images whose pixels give the mean and the standard deviation


@dataclass(frozen=True)
class ImageCard(DataCard):
    """What a run needs to know of its data without having it; kept as data.json."""

    classes: tuple[str, ...]  # names; () for numeric targets
    channels: int  # 1 (grey) or 3 (color)
    image_size: int  # height and width in pixels
    mean: tuple[float, ...]  # of the training split's pixels in [0, 1], for each channel
    std: tuple[float, ...]  # standard deviation likewise
    copies: int | None
    """Test images that are pixel for pixel also in the training split; None when not looked for."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """With several label columns, the classes of each; see `FoundImages.labels`."""
    target_mean: float = 0.0
    """Of the training split's numeric targets; a network gives a number's distance from it, in
    deviations."""
    target_std: float = 1.0  # standard deviation likewise
    white: tuple[float | None, ...] = ()  # as in `scale`

    @property
    def scale(self) -> White:
        """What was white in files of more than 8 bits."""
        return White(*self.white)

    def number(self, output: float) -> float:
        """Return the number that an output of a network stands for."""
        return self.target_mean + self.target_std * output


def load(
    config: ImageConfig,
    *,
    color: bool = False,
    kind: Kind = "class",
    classes: Classes = "required",
    choose: Callable[[Tensor, int], Tensor] | None = None,
    least: int = 1,
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Args:
        config: names the set.
        color: grey images are made color ones, and when no size is given, of at least 64 pixels.
        kind: what targets are.
        classes: whether a folder needs class folders, or images that lie in it will do.
        choose: returns the rows to train on, from the targets of all training images and the number
            of classes.
        least: pixels of a side to which smaller sets are scaled when no size is given.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    least = max(least, _DEFAULT_SIZE if color else 1)
    found = _find(config, 3 if color else None, kind, classes, least)
    if config.test is not None:
        found = _with_test(config, found, kind)
    parts = found.parts
    used = [f"{sum(map(len, parts.values())):,} of them used"] if config.limit is not None else []
    splits, copies = _split_apart(config, parts, combined=bool(found.labels) or kind == "labels")
    if choose is not None:
        kept = choose(splits["train"].targets, len(found.classes))
        splits["train"] = splits["train"].select(kept)
    train = splits["train"]
    drawn = () if config.all_rows else config.describe_drawn(train.names)
    mean, std = _statistics(train)
    target_mean, target_std = _spread(train.targets) if kind == "number" else (0.0, 1.0)
    card = ImageCard(
        source=", ".join([found.source, *used, *copies, *config.cut, *drawn]),
        classes=found.classes,
        labels=found.labels,
        channels=train.images.shape[1],
        image_size=train.images.shape[2],
        mean=mean,
        std=std,
        counts={name: len(part) for name, part in splits.items()},
        copies=_copies(train, splits["test"]),
        skipped=found.skipped,
        fingerprint=fingerprint(*splits.values()),
        target_mean=target_mean,
        target_std=target_std,
        white=found.white,
    )
    return splits, card


def _with_test(config: ImageConfig, found: FoundImages, kind: Kind) -> FoundImages:
    """Return a set with the images that the config names as its test split."""
    option, config = f"--test {config.test}", resolve_test(config)
    if "test" in found.parts:
        raise DataError(f"{option}: --data {config.data} has a test split already; drop one")
    assert config.test is not None
    if not Path(config.test).expanduser().exists():
        raise DataError(f"{option}: no such folder or file")
    images = (found.parts.get("all") or found.parts["train"]).images
    wanted = dataclasses.replace(config, data=config.test, image_size=images.shape[2], limit=None)
    classes: Classes = "required" if found.classes else "optional"
    try:
        given = _find(wanted, images.shape[1], kind, classes, 1, to_learn=False, white=found.white)
    except DataError as error:
        raise DataError(str(error).replace(f"--data {config.test}", option)) from error
    test = joined(list(given.parts.values()))
    if found.classes:
        for column, names in given.labels.items():
            class_numbers(names, found.labels[column], f"{option}, column {column!r}")
        numbers = torch.tensor(class_numbers(given.classes, found.classes, option))
        test = dataclasses.replace(test, targets=_renumber(test.targets, numbers, found.classes))
    elif kind != "number":
        test = dataclasses.replace(test, targets=torch.zeros_like(test.targets))
    train = {"train" if name == "all" else name: part for name, part in found.parts.items()}
    return dataclasses.replace(
        found,
        parts={**train, "test": test},
        skipped=(*found.skipped, *given.skipped),
        source=f"{found.source}, {len(test):,} of {Path(config.test).name} to test",
    )


def resolve_test(config: C) -> C:
    """Return a config whose test split is a path, also where it lies in its data."""
    if config.test is None or not config.test.startswith(IN_DATA):
        return config
    path = Path(config.data).expanduser()
    folder = unpacked(path) if is_archive(path) else path
    return dataclasses.replace(config, test=str(folder / config.test.removeprefix(IN_DATA)))


def labelled(
    config: ImageConfig,
    card: ImageCard,
    say: Callable[[str], None],
    *,
    kind: Kind = "class",
    classes: Classes = "required",
) -> ImageSet:
    """Load all of a config's images, of whichever parts, as a run sees images and classes.

    Args:
        config: names the set.
        card: of the run, which has the size, the channels and the classes.
        say: called with a line on how they are read, for each image that is left out, and for
            classes that are.
        kind: what targets are.
        classes: `required`, or `optional`: images without classes will do, and those of other
            classes are taken as if they had none.

    Raises:
        DataError: there is no such set, folder or table, it cannot be used, or it has classes that
            the run does not know.
    """
    config, source = (
        dataclasses.replace(config, image_size=card.image_size),
        f"--data {config.data}",
    )
    config = dataclasses.replace(config, limit=None)
    found = _find(config, card.channels, kind, classes, 1, to_learn=False, white=card.scale)
    path = Path(config.data).expanduser()
    if path.is_file() and not holds_arrays(path):
        say(found.source)
        if config.image_dir is not None:
            say(f"images are in {config.image_dir} (--image-dir names another folder)")
    say_skipped(found.skipped, say)
    whole = joined(list(found.parts.values()))
    if kind == "number":
        return whole
    if classes == "optional" and not (found.classes and {*found.classes} <= {*card.classes}):
        if found.classes and card.classes:
            say(f"{source}: its classes are not all the run's, so none are used")
        return dataclasses.replace(whole, targets=torch.zeros_like(whole.targets))
    if not found.classes:
        raise DataError(f"{source}: there are no labels, so nothing can be measured")
    for column, names in found.labels.items():
        class_numbers(names, card.labels[column], f"{source}, column {column!r}")
    numbers = torch.tensor(class_numbers(found.classes, card.classes, source))
    return dataclasses.replace(whole, targets=_renumber(whole.targets, numbers, card.classes))


@reusable(
    lambda config, path, card, decoding=None: (
        *(path, card.image_size, card.channels, card.scale),  # the rest differs in each fold
        *(decoding or config.decoding, config.path_column, config.whole_data),
    )
)
def find_unlabelled(
    config: ImageConfig, path: str, card: ImageCard, decoding: Decoding | None = None
) -> FoundImages:
    """Find images whose labels, if they have any, do not matter, as a run sees them.

    Args:
        config: of the run.
        path: a folder, a zip, a table or arrays; it may be written otherwise than the run's data.
        card: of the run, which has the size and the channels.
        decoding: where decoded images are kept; as the config says when not given.

    Returns:
        All of them as the part `all`.

    Raises:
        DataError: there are no such images, or they cannot be read.
    """
    plain = dataclasses.replace(
        _without_labels(config.of_file(Path(path))),
        image_size=card.image_size,
        limit=None,
        decoding=decoding or config.decoding,
    )
    place = Path(path).expanduser()
    if place.is_file() and is_table(place) and config.path_column not in read_names(place):
        plain = dataclasses.replace(plain, path_column=ImageConfig.path_column)
    try:
        options: Any = "class", "optional", 1, False, card.scale
        found = _find_anew(plain, card.channels, *options)
    except DataError as error:
        raise DataError(str(error).replace(f"--data {path}", path)) from error
    return dataclasses.replace(found, parts={"all": joined(list(found.parts.values()))})


def extend(split: ImageSet, more: ImageSet) -> ImageSet:
    """Return a split with more images behind its own, which are kept as its own are."""
    images: Tensor | ImageFiles
    if isinstance(split.images, Tensor):
        added = [more.images[row] for row in range(len(more))]
        images = torch.cat([split.images, torch.stack(added)])
    elif isinstance(more.images, Tensor):
        raise DataError("images in arrays do not join files; give --decoding memory")
    else:
        images = _joined([_as_plain_files(each) for each in (split.images, more.images)])
    targets = torch.cat([split.targets, more.targets])
    return ImageSet(images, targets, (*split.names, *more.names))


def _as_plain_files(images: ImageFiles) -> ImageFiles:
    """Return files that are decoded when they are asked for, with a part of each, or None."""
    crops = images.crops or (None,) * len(images)
    return dataclasses.replace(images, cache=None, rows=(), crops=crops)


def _renumber(targets: Tensor, numbers: Tensor, classes: Sequence[str]) -> Tensor:
    """Return targets with the numbers that classes have elsewhere."""
    if targets.ndim == 1:
        return numbers[targets]
    renumbered = torch.zeros(len(targets), len(classes))
    renumbered[:, numbers] = targets
    return renumbered


@reusable(lambda config, *how, **more: (config.whole_data, how, tuple(more.items())))
def _find(
    config: ImageConfig,
    channels: int | None,
    kind: Kind,
    classes: Classes,
    least: int,
    to_learn: bool = True,
    white: White | None = None,
) -> FoundImages:
    """Find a config's images, of which no more are decoded than it takes."""
    return _find_anew(config, channels, kind, classes, least, to_learn, white)


def _find_anew(
    config: ImageConfig,
    channels: int | None,
    kind: Kind,
    classes: Classes,
    least: int,
    to_learn: bool,
    white: White | None,
) -> FoundImages:
    """Do what `_find` does, which keeps what it found."""
    listed = find_files(config, kind, classes, to_learn)
    if listed is None:
        found = find_arrays(config, to_learn)
        if config.limit is not None:
            total = sum(map(len, found.parts.values()))
            rows = {
                name: _limited(config, part.targets, total) for name, part in found.parts.items()
            }
            parts = {name: part.select(rows[name]) for name, part in found.parts.items()}
            found = dataclasses.replace(found, parts=parts)
        return _fitted(found, config, channels, kind == "number", least)
    size = config.image_size or max(_DEFAULT_SIZE, least)
    decoding: Any = config.decoding
    chosen = None if config.limit is None else partial(_limited, config)
    return decode_listed(listed, size, channels, decoding, to_learn, chosen, config.fit, white)


def _limited(config: ImageConfig, targets: Tensor, total: int) -> Tensor:
    """Return the rows of a part that `limit` takes, of so many images in all parts."""
    assert config.limit is not None
    return sample_rows(
        find_strata(targets), config.limit * len(targets) // total, config.split_seed
    )


def find_files(
    config: ImageConfig, kind: Kind, classes: Classes, to_learn: bool = True
) -> ListedImages | None:
    """List the files that a config names; None where its images are in no files of their own.

    The arguments are those of `load` and `common.images.folders.list_folder`.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    path = Path(config.data).expanduser()
    named = config.data in IMAGE_SETS
    if not named and not path.exists():
        raise DataError(
            f"--data {config.data}: no such folder or file, and no set of that name; embedded: "
            f"{', '.join(known.EMBEDDED)}; to download: {', '.join(known.DOWNLOADS)}"
            f"{suggest(config.data, IMAGE_SETS)}"
        )
    found = path if named else locate(path, classes, config.form)
    arrays = named or holds_arrays(found)
    if len(config.label_column) > 1 and (arrays or found.is_dir()):
        raise DataError(
            f"--label-column {','.join(config.label_column)}: only a table has several columns of "
            f"labels, and --data {config.data} is none"
        )
    if config.columns_beside and to_learn and (arrays or found.is_dir()):
        what = "is a folder" if found.is_dir() else "holds arrays"
        raise DataError(
            f"--with {','.join(config.columns_beside)}: names columns of a table, and --data "
            f"{config.data} {what}; give a table that names the images, or drop it"
        )
    rules = config.rules_given if to_learn else config.crops_in_table and ("crop_column",)
    if rules and (arrays or found.is_dir()):
        raise DataError(f"{flag(rules[0])}: goes with a table, and --data {config.data} is none")
    if arrays:
        if config.crop_boxes:
            raise DataError(f"--crop-boxes: --data {config.data} is no files of images")
        if config.groups_given and to_learn and not named:
            raise DataError(
                f"--group-column {config.group_column}: --data {config.data} holds arrays, which "
                "have no columns; drop it"
            )
        return None
    if found.is_dir():
        nested = config.groups_given
        if config.groups_given and to_learn and config.group_column != "folder":
            raise DataError(
                f"--group-column {config.group_column}: --data {config.data} is a folder, which "
                "has no columns; give folder for the images of one folder to stay together"
            )
        listed = list_folder(found, classes, to_learn, nested=nested)
    else:
        listed = list_table(found, config, kind, classes, to_learn)
    if config.crop_boxes:
        listed = take_boxes(config, listed, found if found.is_dir() else found.parent)
    if any(file.crop is not None for file in listed.files):
        listed = _link(listed, [file.path.resolve() for file in listed.files])
    if to_learn and config.group_by != NONE:
        listed = _group_files(config, listed)
    if found.is_relative_to(path):
        return listed
    said = f"{path.name}{describe_pixels(found)}, unpacked to {found}: {listed.source}"
    return dataclasses.replace(listed, source=said)


def _group_files(config: ImageConfig, listed: ListedImages) -> ListedImages:
    """Return files with the groups that their names or times tell, beside those they have."""
    keys = find_keys(config.group_by, listed)
    sizes = Counter(key for key in keys if key is not None)
    linked = sum(size for size in sizes.values() if size > 1)
    source = f"{listed.source}, groups by {config.group_by} ({linked:,} of {len(keys):,} linked)"
    return dataclasses.replace(_link(listed, keys), source=source)


def _link(listed: ListedImages, keys: Sequence[Hashable]) -> ListedImages:
    """Return files of which those that share a key are of one group, beside the groups they have.

    The parts of a photo share its path: they stay together, whatever a table calls the photo, and
    whosever parts they are.
    """
    numbers = number_groups([file.group for file in listed.files], keys).tolist()
    files = [
        file._replace(group=str(number)) for file, number in zip(listed.files, numbers, strict=True)
    ]
    return dataclasses.replace(listed, files=tuple(files))


def find_keys(rule: str, listed: ListedImages) -> list[str | None]:
    """Return what each file belongs to by one of `GROUP_RULES`; None where it tells nothing."""
    if rule == "features":
        return find_alike([(file.path, file.crop) for file in listed.files])
    if rule == "time":
        return find_bursts([file.path for file in listed.files])
    return [group_of_name(rule, file.photo) for file in listed.files]


def read_inputs(
    config: ImageConfig, card: ImageCard, paths: Sequence[Path], say: Callable[[str], None]
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield names and images, uint8 (n, C, S, S), some at a time; see `read_rows`."""
    for names, pixels, _ in read_rows(config, card, paths, say):
        yield names, pixels


def read_rows(
    config: ImageConfig, card: ImageCard, paths: Sequence[Path], say: Callable[[str], None]
) -> Iterator[tuple[list[str], Tensor, dict[str, tuple[str, ...]]]]:
    """Yield names, images and what goes with them, some at a time, as a run sees them.

    Images are uint8 (n, C, S, S); with them go the cells of `columns_beside`, n of each column,
    where a table has them.

    Args:
        config: of the run, with what is known of how a table is written.
        card: of the run.
        paths: files, folders and archives of images; or a single table, whose columns of labels,
            if it has any, do not matter.
        say: called with a line for each image that cannot be read.

    Raises:
        DataError: a path is missing, or no image can be read.
    """
    files, table = None, paths[0]
    beside: tuple[str, ...] = ()
    cells: dict[str, tuple[str, ...]] = {}
    if len(paths) == 1 and is_table(table) and table.is_file():
        listed = _list_unlabelled(config, locate(table, "optional", config.form))
    elif config.crop_boxes:
        listed = _list_files(config, paths)
    else:
        files = list_inputs(paths)
    if files is None:
        say(listed.source)
        say_skipped(listed.skipped, say)
        files = [Given(file.name, file.path, file.crop) for file in listed.files]
        beside, cells = listed.beside, {file.name: file.cells for file in listed.files}
    options = card.image_size, card.channels, say, config.fit, card.scale
    for names, pixels in read_squares(files, *options):
        rows = [cells.get(name, ()) for name in names]
        columns = dict(zip(beside, zip(*rows, strict=True), strict=True)) if beside else {}
        yield names, torch.from_numpy(pixels), columns


def _list_unlabelled(config: ImageConfig, table: Path) -> ListedImages:
    """Return the images of a table, whatever labels it has."""
    plain = _without_labels(config)
    listed = list_table(table, plain, "class", "optional", to_learn=False)
    return take_boxes(config, listed, table.parent) if config.crop_boxes else listed


def _without_labels(config: C) -> C:
    """Return a config by which no table has labels."""
    return dataclasses.replace(
        config, label_column=(), label_pattern=None, label_bands=(), label_order=()
    )


def _list_files(config: ImageConfig, paths: Sequence[Path]) -> ListedImages:
    """Return the parts of files that --crop-boxes names, in the folder that all of them lie in."""
    files = [ListedFile("all", each.name, each.path, None) for each in list_inputs(paths)]
    folder = Path(os.path.commonpath([file.path.resolve().parent for file in files]))
    listed = ListedImages(tuple(files), (), f"{len(files):,} files")
    return take_boxes(dataclasses.replace(config, data=str(paths[0])), listed, folder)


def find_arrays(config: ImageConfig, to_learn: bool = True) -> FoundImages:
    """Load a config's images that are in no files of their own: a known set, or arrays."""
    if config.data in IMAGE_SETS:
        return _load_named(config)
    return known.load_arrays(locate(Path(config.data).expanduser(), form=config.form), to_learn)


def _load_named(config: ImageConfig) -> FoundImages:
    if config.data in known.EMBEDDED:
        return known.load_embedded(config.data)
    return known.load_download(config.data, Path(config.data_dir) if config.data_dir else None)


def _fitted(
    found: FoundImages,
    config: ImageConfig,
    channels: int | None,
    numeric: bool,
    least: int,
) -> FoundImages:
    """Return a set of tensors scaled and colored as asked, numeric where classes are numbers."""
    values = _numbers(found.classes) if numeric else None
    parts = {}
    for name, part in found.parts.items():
        pixels = part.images
        assert isinstance(pixels, Tensor)
        own = pixels.shape[2]
        size = config.image_size or max(own, least)
        pixels = pixels if size == own else scale_pixels(pixels, size)
        if channels == 3:
            pixels = pixels.expand(-1, 3, -1, -1)
        elif channels == 1 and pixels.shape[1] == 3:
            pixels = _grey(pixels)
        targets = part.targets if values is None else values[part.targets]
        parts[name] = ImageSet(pixels, targets, part.names)
    classes = () if numeric else found.classes
    return dataclasses.replace(found, parts=parts, classes=classes)


def scale_pixels(pixels: Tensor, size: int) -> Tensor:
    """Scale uint8 images (N, C, S, S), some at a time: as floats they take four times the room."""
    pieces = (
        functional.interpolate(piece.float(), (size, size), mode="bilinear", antialias=True)
        for piece in torch.split(pixels, _CHUNK)
    )
    return torch.cat([piece.round().clamp(0, 255).to(torch.uint8) for piece in pieces])


def _grey(pixels: Tensor) -> Tensor:
    """Return uint8 RGB images (N, 3, S, S) as grey ones (N, 1, S, S), with PIL's weights."""
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32).reshape(3, 1, 1)
    pieces = ((piece * weights).sum(1, keepdim=True) for piece in torch.split(pixels, _CHUNK))
    return torch.cat([(piece + 0x8000 >> 16).to(torch.uint8) for piece in pieces])


def _numbers(classes: Sequence[str]) -> Tensor:
    """Return the numbers that classes are called."""
    if not classes:
        raise DataError("there are no labels, and so no numbers to predict")
    try:
        return torch.tensor([float(name) for name in classes])
    except ValueError as error:
        raise DataError(
            f"classes such as {classes[0]!r} are no numbers to predict; give a CSV with a column "
            "of numbers"
        ) from error


def _split_apart(
    config: ImageConfig, parts: dict[str, ImageSet], combined: bool
) -> tuple[dict[str, ImageSet], list[str]]:
    """Split images so that groups and copies stay on one side, and say how many copies there are.

    Sets that are known by name have neither.
    """
    name = "all" if "all" in parts else "train"
    whole = parts[name]
    if config.data in IMAGE_SETS:
        return _split(parts, config, combined, torch.arange(len(whole))), []
    numbers = _number_copies(config, parts)
    copies, of_test = numbers[: len(whole)], numbers[len(whole) :]
    repeated = sum(first != row for row, first in enumerate(copies))
    shared = sum(first < len(whole) for first in of_test)
    between = [f"{shared:,} test images copies of training images, or nearly"] if shared else []
    keys: list[Sequence[Hashable]] = [copies]
    if whole.groups is not None:
        keys.append(whole.groups.tolist())
        groups = number_groups(*keys)
        parts = {**parts, name: dataclasses.replace(whole, groups=groups)}
    else:
        groups = number_groups(*keys)
    try:
        splits, where = _split(parts, config, combined, groups), "stay on one side"
    except DataError:
        if whole.groups is not None or not repeated:
            raise
        # A class that is little but copies is rather split than refused.
        alone = torch.arange(len(whole))
        splits, where = _split(parts, config, combined, alone), "stand on both sides"
    within = (
        [f"{repeated:,} of them copies of others, or nearly, which {where}"] if repeated else []
    )
    return splits, [*within, *between]


@reusable(lambda config, parts: config.whole_data)
def _number_copies(config: ImageConfig, parts: dict[str, ImageSet]) -> list[int]:
    """Number the images that are split, and behind them those of a test split of their own."""
    whole = parts.get("all") or parts["train"]
    tested = [part for name, part in parts.items() if name == "test"]
    return number_copies(joined([whole, *tested]))


def _split(
    parts: dict[str, ImageSet], config: ImageConfig, combined: bool, groups: Tensor
) -> dict[str, ImageSet]:
    """Cut the parts that are missing out of the one that there is, no group in two.

    Classes that are combinations, or labels that are the rarest of few images, may be in too few
    groups for each part to have one; such images are split as if they were of the most frequent.

    Raises:
        DataError: there are too few images or groups.
    """
    whole = parts.get("all") or parts["train"]
    own = {name: part for name, part in parts.items() if name in config.own_splits}
    missing = {name: 0.0 if name in own else fraction for name, fraction in FRACTIONS.items()}
    targets = find_strata(whole.targets)
    if combined:
        rows = _split_combined(config, targets, groups, missing)
    else:
        rows = split_as(config, targets, groups, **missing)
    cut = {
        name: whole.select(piece) for name, piece in zip(("train", *FRACTIONS), rows, strict=True)
    }
    return {**cut, **own}


def _split_combined(
    config: ImageConfig, targets: Tensor, groups: Tensor, missing: dict[str, float]
) -> tuple[Tensor, ...]:
    """Split rows of which as few classes as may be are too rare to be in every part.

    Which they are is one answer for all folds, or a row might be in several of them.
    """
    in_groups = torch.unique(torch.stack([targets, groups]), dim=1)[0]
    counts = torch.bincount(in_groups, minlength=int(targets.max()) + 1)
    every = [config]
    if config.folds is not None and config.fold is not None:
        every = [dataclasses.replace(config, fold=1 + fold) for fold in range(config.folds)]
    for least in (config.least, 4 * config.least):
        frequent = torch.where(counts[targets] < least, counts.argmax(), targets)
        with contextlib.suppress(DataError):
            rows = {each.fold: split_as(each, frequent, groups, **missing) for each in every}
            return rows[config.fold]
    return split_as(config, torch.zeros_like(targets), groups, **missing)


def _statistics(train: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, over a fixed sample of a large split."""
    step = max(1, len(train) // _STATISTICS_SAMPLE)
    pixels = torch.stack([train.images[row] for row in range(0, len(train), step)]).double() / 255
    std, mean = torch.std_mean(pixels, dim=(0, 2, 3), correction=0)
    return tuple(mean.tolist()), tuple(std.clamp(min=1 / 255).tolist())


def _spread(targets: Tensor) -> tuple[float, float]:
    """Return mean and standard deviation of numeric targets; 1 where they are all the same."""
    std, mean = torch.std_mean(targets.double(), correction=0)
    return float(mean), float(std) or 1.0


def _copies(train: ImageSet, test: ImageSet) -> int | None:
    if not isinstance(train.images, Tensor) or not isinstance(test.images, Tensor):
        return None
    known = {image.numpy().tobytes() for image in train.images}
    return sum(image.numpy().tobytes() in known for image in test.images)


def pipeline(config: ImageConfig, mean: Sequence[float], std: Sequence[float]) -> augment.Pipeline:
    """Return what happens to images on the device; in evaluation, only what is not random of it.

    Policies are not among it: `batches` has them. The mean, a value per channel of images in
    [0, 1], is subtracted, and the rest divided by the standard deviation.

    Raises:
        ConfigError: an argument of a change is wrong.
    """
    try:
        transforms = augment.parse(policies.leave_out(config.augment))
    except ConfigError as error:
        raise ConfigError([f"--augment: {problem}" for problem in error.problems]) from error
    return augment.Pipeline(transforms, mean, std)


def batches(
    config: ImageConfig,
    split: ImageSet,
    prepare: augment.Pipeline,
    compute: Compute,
    *,
    training: bool = False,
    beside: Tensor | None = None,
    kind: type[Batches] = Batches,
    **options: Any,
) -> Batches:
    """Return a split as the loop takes it: (prepared images, targets).

    Args:
        config: says how it is cut, and how images are changed.
        split: the images.
        prepare: what happens to images on the device.
        compute: the device.
        training: whether it is to train on.
        beside: (N, ...), of which a batch has its rows between images and targets.
        kind: what makes the batches.
        options: of `Batches`.
    """
    between = () if beside is None else (beside,)
    in_memory = isinstance(split.images, Tensor)
    data: Any = (split.images, *between, split.targets) if in_memory else split
    if training and (changes := policies.parse(config.augment)):
        data = policies.Changed(split, changes)
    if beside is not None and not isinstance(data, tuple):
        data = Beside(data, beside)
    return kind(
        data,
        prepare=prepare,
        compute=compute,
        workers=config.workers,
        **batching(config, split.images.shape[2], training=training),
        **options,
    )


class Beside(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Images that are read one by one, with a row of numbers between each and its target."""

    def __init__(self, images: Any, numbers: Tensor):
        self._images, self._numbers = images, numbers
        self.draws = getattr(images, "draws", False)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, asked: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return one image, its row and its target; asked is a `Place`, where images draw."""
        image, target = self._images[asked]
        return image, self._numbers[asked.row if self.draws else asked], target


def unlabelled(
    images: Tensor,
    prepare: augment.Pipeline,
    compute: Compute,
    beside: Tensor | None = None,
    kind: type[Batches] = Batches,
) -> Batches:
    """Return uint8 images (N, C, S, S) of which nothing is known as the loop takes them."""
    size = _evaluation_batch(images.shape[2])
    columns = (images,) if beside is None else (images, beside)
    return kind(columns, size, prepare=prepare, compute=compute)


def _evaluation_batch(side: int) -> int:
    """Return how many images are evaluated at a time: fewer of large ones, to bound the memory."""
    return max(8, min(256, _EVALUATED // side**2))


def batching(config: ImageConfig, side: int, *, training: bool) -> dict[str, Any]:
    """Return how a split of images of a side in pixels is cut: options of `Batches`."""
    return choose_batching(config, _evaluation_batch(side), training=training)


def joined(parts: Sequence[ImageSet]) -> ImageSet:
    """Return the splits of one set as one again."""
    if len(parts) == 1:
        return parts[0]
    targets = torch.cat([part.targets for part in parts])
    names = tuple(name for part in parts for name in part.names)
    cells = {
        column: tuple(cell for part in parts for cell in part.cells[column])
        for column in parts[0].cells
    }
    images = _joined([part.images for part in parts])
    return ImageSet(images, targets, names, cells=cells)


def _joined(pixels: Sequence[Tensor | ImageFiles]) -> Tensor | ImageFiles:
    files = [each for each in pixels if isinstance(each, ImageFiles)]
    if not files:
        return torch.cat([each for each in pixels if isinstance(each, Tensor)])
    return dataclasses.replace(
        files[0],
        paths=tuple(path for each in files for path in each.paths),
        rows=tuple(row for each in files for row in each.rows),
        crops=tuple(crop for each in files for crop in each.crops),
    )


def pixel_rows(part: ImageSet, side: int | None = None) -> npt.NDArray[np.float32]:
    """Return the images as rows of numbers in [0, 1], (N, pixels), for models that take vectors.

    Images larger than `side`, a height and width in pixels, are shrunk to it.
    """
    rows = []
    for start in range(0, len(part), _CHUNK):
        places = range(start, min(start + _CHUNK, len(part)))
        pixels = torch.stack([part.images[row] for row in places]).float() / 255
        if side is not None and side < pixels.shape[2]:
            pixels = functional.adaptive_avg_pool2d(pixels, side)
        rows.append(pixels.flatten(1).numpy())
    return np.concatenate(rows)
