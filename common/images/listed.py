"""The files of a set, listed with their labels before any is opened, and decoded."""

import contextlib
import itertools
import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.errors import DataError
from common.images.decode import White
from common.images.files import Decoding, read_files
from common.images.sets import FoundImages, ImageSet
from common.suggest import suggest

TOGETHER = "all together"  # stands for the class where there are none
NEAR = " Did you mean {!r}?"  # after a full stop

Label = str | float | tuple[str, ...] | None
"""A class, a number, or a class of each of several columns; None where there are no classes."""


class ListedFile(NamedTuple):
    """An image file, and what it shows."""

    part: str
    name: str  # relative, in NFC: for people, and the same on every system
    path: Path  # as the file system spells it
    label: Label


@dataclass(frozen=True)
class ListedImages:
    """The files of a set, of which none has been opened."""

    files: tuple[ListedFile, ...]
    skipped: tuple[tuple[str, str], ...]  # as in `FoundImages`
    source: str  # likewise
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)  # likewise

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a split that there are, or `all`."""
        return tuple(dict.fromkeys(file.part for file in self.files)) or ("all",)

    @property
    def numeric(self) -> bool:
        """Whether the labels are numbers."""
        return any(isinstance(file.label, float) for file in self.files)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by their numbers."""
        if self.labels:
            return combinations(self.labels)
        return tuple(sorted({file.label for file in self.files if isinstance(file.label, str)}))

    def targets(self, files: Sequence[ListedFile]) -> Tensor:
        """Return the class numbers, or the numbers, of some of the files."""
        known: Iterable[Label] = self.classes
        if self.labels:
            known = itertools.product(*self.labels.values())
        numbers: dict[Label, int] = {None: 0, **{label: row for row, label in enumerate(known)}}
        return torch.tensor(
            [numbers.get(file.label, file.label) for file in files],
            dtype=torch.float32 if self.numeric else torch.int64,
        )

    def chosen(self, choose: Callable[[Tensor, int], Tensor]) -> tuple[ListedFile, ...]:
        """Return some files of each part: the rows that `choose` gives, see `decode_listed`."""
        found: list[ListedFile] = []
        for part in self.parts:
            files = [file for file in self.files if file.part == part]
            places = choose(self.targets(files), len(self.files)).tolist()
            found += [files[place] for place in places]
        return tuple(found)


def decode_listed(
    listed: ListedImages,
    image_size: int,
    channels: int | None = None,
    decoding: Decoding = "auto",
    to_learn: bool = True,
    chosen: Callable[[Tensor, int], Tensor] | None = None,
    fit: str = "crop",
    white: White | None = None,
) -> FoundImages:
    """Decode the files of a set.

    Args:
        listed: the set.
        image_size: height and width of the result in pixels; see `common.images.decode.decode`.
        channels: 1 (grey), 3 (RGB), or None for what the images are.
        decoding: where pixels are kept; see `common.images.decode.read_files`.
        to_learn: see `list_folder`.
        chosen: returns the rows of a part to take, from its targets and the number of all files;
            None takes all.
        fit: how images become squares; see `common.images.decode.decode`.
        white: what is white in deeper files; see `common.images.files.read_files`.

    Raises:
        DataError: a class has too few readable images: 3 to be split, or 1 in each part.
        SaveError: the cache cannot be written.
    """
    files = listed.files if chosen is None else listed.chosen(chosen)
    names, paths = [file.name for file in files], [file.path for file in files]
    images, reasons, depths = read_files(names, paths, image_size, channels, decoding, fit, white)
    readable = [file for file, why in zip(files, reasons, strict=True) if why is None]
    unreadable = [(file.name, why) for file, why in zip(files, reasons, strict=True) if why]
    left_out = (*listed.skipped, *unreadable)
    parts, labels, classes = listed.parts, listed.labels, listed.classes
    kinds = sorted({kind for file in listed.files for kind in _kinds(file.label, labels)})
    kinds = kinds or [TOGETHER]
    counts = {part: dict.fromkeys(kinds, 0) for part in parts}
    for file in readable:
        for kind in _kinds(file.label, labels):
            counts[file.part][kind] += 1
    if problems := find_too_few(counts, "readable images", to_learn):
        problems = cut(problems) + [f"left out: {name}: {why}" for name, why in unreadable[:5]]
        summary = f"{listed.source} has too few images: add some or remove the class"
        if all(read_number(str(kind)) is not None for kind in kinds):
            summary += "; classification predicts numbers with --loss mse"
        raise DataError(join_problems(summary, problems))

    whole = ImageSet(images, listed.targets(readable), tuple(file.name for file in readable))
    sets = {parts[0]: whole}
    if len(parts) > 1:  # a single one needs no second copy of its images
        of_part = np.array([file.part for file in readable])
        rows = {part: torch.from_numpy(np.flatnonzero(of_part == part)) for part in parts}
        sets = {part: whole.select(rows[part]) for part in parts}
    source = f"{listed.source}: {len(listed.files) - len(unreadable):,} images"
    source += f" in {sizes_text(labels) or len(classes)} classes" if classes else ""
    source += f", {len(left_out):,} left out" if left_out else ""
    source = ", ".join([source, *depths.remarks])
    return FoundImages(sets, classes, left_out, source, dict(labels), depths.white)


def _kinds(label: Label, columns: Iterable[str]) -> list[str]:
    """Return the classes that an image counts for."""
    if isinstance(label, tuple):
        return [f"{column} {name}" for column, name in zip(columns, label, strict=True)]
    return [label if isinstance(label, str) else TOGETHER]


def combinations(labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the names of the combined classes of columns; those of the last count fastest."""
    return tuple(map("/".join, itertools.product(*labels.values())))


def sizes_text(labels: Mapping[str, Sequence[str]]) -> str:
    """Return how many classes the columns have, such as `3 x 2 x 3`; empty without columns."""
    return " x ".join(f"{len(names)}" for names in labels.values())


def find_too_few(counts: Mapping[str, Mapping[str, int]], what: str, to_learn: bool) -> list[str]:
    """Return a line for each class that cannot be split, or that a part has no image of.

    What is not to be learned needs but one image.
    """
    if not to_learn:
        return [] if any(any(classes.values()) for classes in counts.values()) else [f"no {what}"]
    problems = []
    for part, classes in counts.items():
        needed, why = (3, "for train, validation and test") if part == "all" else (1, f"in {part}")
        problems += [
            f"{label}: {number or 'no'} {what}, at least {needed} needed {why}"
            for label, number in classes.items()
            if number < needed
        ]
    return problems


def read_number(text: str) -> float | None:
    """Return the number that a text says, None where it says none that float32 holds."""
    with contextlib.suppress(ValueError):
        value = float(text)
        return value if abs(value) <= torch.finfo(torch.float32).max else None
    return None


# Names and messages


def normalize_name(name: str) -> str:
    """Return a file's name in NFC, also where the disk has cp949 bytes (old Korean archives)."""
    data = os.fsencode(name)
    for encoding in ("utf-8", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            return unicodedata.normalize("NFC", data.decode(encoding))
    return data.decode("utf-8", "replace")


def find_existing(path: Path, check: Callable[[Path], bool], kind: str) -> Path:
    """Return a path with the home folder in place of `~`.

    Raises:
        DataError: it is not there, or not what `check` asks for, which is called `kind`.
    """
    path = path.expanduser()
    if check(path):
        return path
    if path.exists():
        raise DataError(f"{path} is {'a folder' if path.is_dir() else 'a file'}; expected a {kind}")
    place = next(parent for parent in path.absolute().parents if parent.is_dir())
    wanted = path.absolute().relative_to(place).parts[0]
    raise DataError(
        f"{kind} {path} does not exist: there is no {wanted!r} in {place}."
        + suggest(wanted, (normalize_name(entry.name) for entry in place.iterdir()), NEAR)
    )


def join_problems(summary: str, problems: Iterable[str]) -> str:
    """Return a message: the summary, and a line for each problem."""
    return "\n".join((summary, *(f"  - {problem}" for problem in problems)))


def shorten(items: Sequence[str]) -> str:
    """Return the first five items of a list as text."""
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")


def cut(found: Sequence[str]) -> list[str]:
    """Return the first ten problems, and how many more there are."""
    return [*found[:10], *([f"{len(found) - 10:,} more"] if len(found) > 10 else [])]
