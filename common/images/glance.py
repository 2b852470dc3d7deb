"""A look at a user's images before they are decoded: how many, how large, and what a table says."""

import contextlib
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from torch import Tensor

from common.errors import DataError
from common.images.decode import decode, photo_size
from common.images.listed import ListedFile
from common.images.load import FRACTIONS, find_arrays, find_files
from common.images.sets import Classes, FoundImages
from common.images.tables.listing import (
    find_group_column,
    find_number_labels,
    find_several_labels,
    find_split_column,
)
from common.images.tables.locate import find_table, find_test_file
from common.io.naming import are_variants
from common.options.budget import Choices
from common.options.config import IMAGE_SETS, IN_DATA, ImageConfig, Kind

_SAMPLE = 64  # images that are looked at
_SMALL = 32  # pixels of a side at which colors are looked for
_COLORFUL = 4.0  # levels of 255 between the channels of a pixel, on average; scanners give fewer
_LEAST_COLORFUL = 0.1  # share of images
_LITTLE = 0.1  # share of an image that may be lost
_ALIKE = 1.1  # the widest shape over the narrowest


@dataclass(frozen=True)
class Glance:
    """What a look at images shows."""

    parts: tuple[str, ...]  # of the split that the user brings, or `all`
    total: int  # images that are used, of all parts
    train: int  # about so many of them to learn from
    classes: int  # 0 for numbers, and where there are none
    arrays: bool  # whether they are in no files of their own, but in arrays of one size
    side: int  # pixels of the shorter side, of a typical image
    color: bool  # whether there are colors; grey photos may be kept as color ones
    lost: float  # share of a typical image that is outside the square in its center
    alike: bool  # whether all are about as wide for their height

    def fit(self) -> tuple[str, str]:
        """Return how such images become squares, and why."""
        lost = f"the square in the center would lose {100 * self.lost:.0f} % of a typical image"
        if self.lost <= _LITTLE:
            return "crop", f"the square in the center is taken: it loses {100 * self.lost:.0f} %"
        if self.alike:
            return "stretch", f"whole images, their sides made equal: {lost}, and all are as wide"
        return "pad", f"whole images with black beside them: {lost}, and their shapes differ"

    def split(self) -> list[str]:
        """Say how images are split that come in parts."""
        if self.parts == ("all",):
            return []
        missing = {"validation": "a tenth of train", "test": "a fifth of it"}
        cut = [f"{part} is {what}" for part, what in missing.items() if part not in self.parts]
        return [f"the split that the data has: {', '.join(self.parts)}" + "; ".join(["", *cut])]


def choose_split(chosen: Choices[Any], kind: Kind = "class", classes: Classes = "required") -> None:
    """Let a table say which rows are for what, and which belong together, also one of test images.

    The arguments are those of `common.images.load.load`.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    if split := find_split(chosen.config, kind, classes):
        why = f"column {split!r} splits the images: it holds nothing but names of parts"
        chosen.take(why, split_column=split)
    if test := find_test(chosen.config):
        why = f"{test.name} has the images to test on: it lies there, and is like it"
        why += "; what to validate on is a tenth of the others"
        chosen.take(f"{why} (--test none)", test=f"{IN_DATA}{test.name}")
    if group := find_groups(chosen.config, kind, classes):
        why = f"images with the same {group!r} stay together: the column's name says that they do"
        chosen.take(f"{why} (--group-column)", group_column=group)
    if find_variants(chosen.config, kind, classes):
        why = "variants of one picture stay together: the files are called as Roboflow calls them"
        chosen.take(f"{why} (--group-by)", group_by="name")


def find_several(path: Path, config: ImageConfig) -> str | None:
    """Say how data show that their images have several labels each; None where they do not.

    Raises:
        DataError: it cannot be read.
    """
    table = find_table(path, "required", config.form)
    return None if table is None else find_several_labels(table, config)


def find_numbers(path: Path, config: ImageConfig) -> str | None:
    """Say how data show that their images have numbers, not classes; None where they do not.

    Raises:
        DataError: it cannot be read.
    """
    table = find_table(path, "required", config.form)
    return None if table is None else find_number_labels(table, config)


def find_split(config: ImageConfig, kind: Kind, classes: Classes) -> str | None:
    """Return the column of a config's table that splits it; None where there is none, or a --test.

    Raises:
        DataError: the data cannot be read.
    """
    if config.data in IMAGE_SETS or config.test is not None:
        return None
    if (table := find_table(Path(config.data).expanduser(), classes, config.form)) is None:
        return None
    return find_split_column(table, config, kind, classes)


def find_test(config: ImageConfig) -> Path | None:
    """Return the file of labelled test images that lies in a config's folder, if there is one.

    There is none where folds are cut, each of which tests.

    Raises:
        DataError: the data cannot be read.
    """
    if config.data in IMAGE_SETS or config.test is not None or config.split_column or config.folds:
        return None
    return find_test_file(Path(config.data).expanduser(), config.form)


def find_variants(config: ImageConfig, kind: Kind, classes: Classes) -> bool:
    """Say whether a config's images are variants that a program made of fewer, by their names.

    Raises:
        DataError: the data cannot be read.
    """
    if config.data in IMAGE_SETS or not Path(config.data).expanduser().exists():
        return False
    listed = find_files(config, kind, classes)
    if listed is None or {"train", "validation", "test"} <= {*listed.parts}:
        return False
    return are_variants([PurePath(each.photo).stem for each in listed.files])


def find_groups(config: ImageConfig, kind: Kind, classes: Classes) -> str | None:
    """Return the column of a config's table that says which images belong together, if any does.

    Raises:
        DataError: the data cannot be read.
    """
    if config.data in IMAGE_SETS:
        return None
    table = find_table(Path(config.data).expanduser(), classes, config.form)
    return None if table is None else find_group_column(table, config, kind, classes)


def glance(config: ImageConfig, kind: Kind = "class", classes: Classes = "required") -> Glance:
    """Look at a sample of a config's images, the same one every time.

    The arguments are those of `common.images.load.load`.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    listed = find_files(config, kind, classes)
    if listed is None:
        return _of_arrays(find_arrays(config), config, kind == "number")
    counts = dict.fromkeys(listed.parts, 0)
    for file in listed.files:
        counts[file.part] += 1
    total, train = _counted(config, counts)
    files = [listed.files[row] for row in _spread(len(listed.files))]
    sizes = {file: size for file in files if not isinstance(size := _size(file), str)}
    # What is wrong with files is said when all are decoded.
    shapes = list(sizes.values()) or [(_SMALL, _SMALL)]
    widths = sorted(width / height for height, width in shapes)
    return Glance(
        parts=_parts(config, listed.parts),
        total=total,
        train=train,
        classes=len(listed.classes),
        arrays=False,
        side=round(statistics.median(map(min, shapes))),
        color=_has_color(_decoded(sizes)),
        lost=statistics.median(1 - min(shape) / max(shape) for shape in shapes),
        alike=widths[-1] <= _ALIKE * widths[0],
    )


def _of_arrays(found: FoundImages, config: ImageConfig, numeric: bool) -> Glance:
    counts = {name: len(part) for name, part in found.parts.items()}
    total, train = _counted(config, counts)
    images = next(iter(found.parts.values())).images
    return Glance(
        parts=_parts(config, counts),
        total=total,
        train=train,
        classes=0 if numeric else len(found.classes),
        arrays=True,
        side=images.shape[2],
        color=_has_color([images[row] for row in _spread(len(images))]),
        lost=0.0,
        alike=True,
    )


def _size(file: ListedFile) -> tuple[int, int] | str:
    """Return height and width of an image, or of the part of it; or why there are none."""
    size = photo_size(file.path)
    if file.crop is None or isinstance(size, str):
        return size
    return max(1, round(file.crop.height)), max(1, round(file.crop.width))


def _decoded(files: Iterable[ListedFile]) -> list[Tensor]:
    images = []
    for file in files:
        with contextlib.suppress(DataError):
            images.append(decode(file.path, _SMALL, 3, crop=file.crop))
    return images


def _has_color(images: Sequence[Tensor]) -> bool:
    """Say whether some of the images, (C, H, W), have more than greys."""
    spread = [(image.amax(0).int() - image.amin(0).int()).float().mean() for image in images]
    colorful = sum(float(levels) > _COLORFUL for levels in spread)
    return colorful > _LEAST_COLORFUL * len(images)


def _spread(number: int) -> list[int]:
    """Return at most `_SAMPLE` rows, from all over."""
    return list(range(0, number, -(-number // _SAMPLE)))


def _parts(config: ImageConfig, there: Iterable[str]) -> tuple[str, ...]:
    named = tuple(there)
    return (*named, "test") if config.test is not None and named != ("all",) else named


def _counted(config: ImageConfig, counts: dict[str, int]) -> tuple[int, int]:
    """Return how many images there are, and how many to learn from, about."""
    total = sum(counts.values())
    used = total if config.limit is None else min(total, config.limit)
    there = {*counts, *(() if config.test is None else ("test",))}
    share = 1 - sum(fraction for part, fraction in FRACTIONS.items() if part not in there)
    whole = counts.get("all") or counts.get("train", 0)
    return used, max(1, round(share * whole * used / total))
