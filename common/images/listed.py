"""The files of a set, listed with their labels before any is opened, and decoded."""

import contextlib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.errors import DataError
from common.images.decode import Crop, White
from common.images.files import Decoding, ImageFiles, read_files
from common.images.sets import FoundImages, ImageSet
from common.io.folders import normalize_name
from common.suggest import suggest
from common.training.splits import number_groups

TOGETHER = "all together"  # stands for the class where there are none
NEAR = " Did you mean {!r}?"  # after a full stop

Label = str | float | tuple[str, ...] | frozenset[str] | None
"""A class, a number, a class of each of several columns, or any number of labels; None where there
are no classes."""

LEAST = 3  # images of a class: for train, validation and test
_MOST_COMBINATIONS = 1000  # of the classes of several columns


class ListedFile(NamedTuple):
    """An image file, and what it shows."""

    part: str
    name: str  # relative, in NFC: for people, and the same on every system
    path: Path  # as the file system spells it
    label: Label
    group: str | None = None  # what it belongs to, where the user said so
    crop: Crop | None = None  # the part of the file that it is; the whole when None
    cells: tuple[str, ...] = ()  # of `ListedImages.beside`

    @property
    def photo(self) -> str:
        """The name of the whole."""
        return self.name if self.crop is None else self.name.removesuffix(f" {self.crop}")


@dataclass(frozen=True)
class ListedImages:
    """The files of a set, of which none has been opened."""

    files: tuple[ListedFile, ...]
    skipped: tuple[tuple[str, str], ...]  # as in `FoundImages`
    source: str  # likewise
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)  # likewise
    order: tuple[str, ...] = ()  # of the classes of one column, where that is given
    beside: tuple[str, ...] = ()  # columns whose cells go with the images

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
        if self.several:
            return tuple(sorted(self.learned_labels))
        found = {file.label for file in self.files if isinstance(file.label, str)}
        return tuple(name for name in self.order or sorted(found) if name in found)

    @property
    def several(self) -> bool:
        """Whether an image has any number of labels."""
        return any(isinstance(file.label, frozenset) for file in self.files)

    @property
    def learned_labels(self) -> set[str]:
        """The labels that enough images have."""
        return {name for name, number in self.count_labels().items() if number >= LEAST}

    def count_labels(self) -> Counter[str]:
        """Return how many images have each of several labels."""
        labels = (file.label for file in self.files if isinstance(file.label, frozenset))
        return Counter(itertools.chain.from_iterable(labels))

    def targets(self, files: Sequence[ListedFile]) -> Tensor:
        """Return the class numbers, or the numbers, of some of the files, (N,).

        Of several labels a row of zeros and ones for each file, (N, C).
        """
        known: Iterable[Label] = self.classes
        if self.several:
            labels = (file.label if isinstance(file.label, frozenset) else () for file in files)
            rows = [[name in each for name in self.classes] for each in labels]
            return torch.tensor(rows, dtype=torch.float32).reshape(len(files), -1)
        if self.labels:
            known = itertools.product(*self.labels.values())
        numbers: dict[Label, int] = {None: 0, **{label: row for row, label in enumerate(known)}}
        return torch.tensor(
            [numbers.get(file.label, file.label) for file in files],
            dtype=torch.float32 if self.numeric else torch.int64,
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be known of several labels."""
        if not self.several:
            return ()
        rare = sorted(self.count_labels().keys() - self.learned_labels)
        few = f"without {len(rare)} labels of fewer than {LEAST} images: {shorten(rare)}"
        none = sum(not file.label for file in self.files)
        return (*([few] if rare else []), *([f"{none:,} without any label"] if none else []))

    def without_rare(self, kept: Sequence[ListedFile]) -> "ListedImages":
        """Return only the files of the classes that some files have."""
        kinds = _known_kinds(kept, self.labels)
        files = [file for file in self.files if kinds.issuperset(_kinds(file.label, self.labels))]
        labels = {}
        for place, (column, names) in enumerate(self.labels.items()):
            left = {file.label[place] for file in files}  # type: ignore[index]
            labels[column] = tuple(name for name in names if name in left)
        return replace(self, files=tuple(files), labels=labels)

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
    total, files = len(listed.files), listed.files if chosen is None else listed.chosen(chosen)
    names, paths = [file.name for file in files], [file.path for file in files]
    crops = [file.crop for file in files]
    options = image_size, channels, decoding, fit, white, crops if any(crops) else ()
    images, reasons, depths = read_files(names, paths, *options)
    readable = [file for file, why in zip(files, reasons, strict=True) if why is None]
    unreadable = [(file.name, why) for file, why in zip(files, reasons, strict=True) if why]
    if to_learn:
        known = _known_kinds(listed.files, listed.labels)
        kept, rare = leave_out_rare(readable, listed.labels, known)
        if rare:
            left = set(kept)
            images = _select(images, [row for row, file in enumerate(readable) if file in left])
            listed, readable = listed.without_rare(kept), kept
            unreadable += rare
    left_out = (*listed.skipped, *unreadable)
    parts, labels, classes = listed.parts, listed.labels, listed.classes
    counts = _count(readable, labels, parts, _known_kinds(listed.files, labels) or {TOGETHER})
    if problems := find_too_few(counts, "readable images", to_learn):
        problems = cut(problems) + [f"left out: {name}: {why}" for name, why in left_out[:5]]
        summary = f"{listed.source} has too few images: add some or remove the class"
        if all(read_number(str(kind)) is not None for kind in counts[parts[0]]):
            summary += "; classification predicts numbers with --loss mse"
        raise DataError(join_problems(summary, problems))
    groups = None
    if any(file.group is not None for file in readable):
        groups = number_groups([file.group for file in readable])
    known_as = tuple(file.name for file in readable)
    columns = zip(*(file.cells for file in readable), strict=True)
    cells = dict(zip(listed.beside, columns, strict=True)) if listed.beside else {}
    whole = ImageSet(images, listed.targets(readable), known_as, groups, cells)
    sets = {parts[0]: whole}
    if len(parts) > 1:  # a single one needs no second copy of its images
        of_part = np.array([file.part for file in readable])
        rows_of = {part: torch.from_numpy(np.flatnonzero(of_part == part)) for part in parts}
        sets = {part: whole.select(rows_of[part]) for part in parts}
    source = f"{listed.source}: {total - len(unreadable):,} images"
    source += f" in {sizes_text(labels) or len(classes)} classes" if classes else ""
    source += f", {len(left_out):,} left out" if left_out else ""
    source = ", ".join([source, *listed.remarks, *depths.remarks])
    return FoundImages(sets, classes, left_out, source, dict(labels), depths.white)


def leave_out_rare(
    files: Sequence[ListedFile], columns: Collection[str], known: Iterable[str] = ()
) -> tuple[list[ListedFile], list[tuple[str, str]]]:
    """Leave out the files of classes that have too few, unless fewer than two classes remain.

    That is fewer than three to be split; or in train, where another part has none.

    Args:
        files: all of them.
        columns: the label columns, where there are several.
        known: classes of which there may be no file.

    Returns:
        The files that are kept, and (name, reason) of the others.
    """
    kept, left_out = list(files), list[tuple[str, str]]()
    kinds = {*known, *_known_kinds(files, columns)} - {TOGETHER}
    parts = dict.fromkeys(file.part for file in files) or ("all",)
    while kinds:
        counts = _count(kept, columns, parts, kinds)
        few = {kind: sum(each[kind] for each in counts.values()) for kind in _rare(counts)}
        kinds -= few.keys()
        groups = [f"{column} " for column in columns] or [""]
        if any(sum(kind.startswith(group) for kind in kinds) < 2 for group in groups):
            return list(files), []
        if not few:
            break
        left_out += [(kind, "a class without images") for kind in few if not few[kind]]
        for file in kept:
            for kind in few.keys() & {*_kinds(file.label, columns)}:
                left_out.append((file.name, f"class {kind!r} has too few images: {few[kind]}"))
        kept = [file for file in kept if not few.keys() & {*_kinds(file.label, columns)}]
    return kept, left_out


def _rare(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    if "all" in counts:
        return [kind for kind, number in counts["all"].items() if number < LEAST]
    totals = {
        kind: [each[kind] for each in counts.values()] for kind in next(iter(counts.values()))
    }
    return [kind for kind, each in totals.items() if sum(each) < LEAST and not all(each)]


def _known_kinds(files: Iterable[ListedFile], columns: Collection[str]) -> set[str]:
    return {kind for file in files for kind in _kinds(file.label, columns)}


def _count(
    files: Iterable[ListedFile],
    columns: Collection[str],
    parts: Iterable[str],
    kinds: Iterable[str],
) -> dict[str, dict[str, int]]:
    """Return how many files each part has of each class."""
    counts = {part: dict.fromkeys(sorted(kinds), 0) for part in parts}
    for file in files:
        for kind in _kinds(file.label, columns):
            if kind in counts[file.part]:
                counts[file.part][kind] += 1
    return counts


def _select(images: Tensor | ImageFiles, rows: Sequence[int]) -> Tensor | ImageFiles:
    chosen = torch.tensor(rows, dtype=torch.int64)
    return images.select(chosen) if isinstance(images, ImageFiles) else images[chosen]


def _kinds(label: Label, columns: Iterable[str]) -> list[str]:
    """Return the classes that an image counts for."""
    if isinstance(label, tuple):
        return [f"{column} {name}" for column, name in zip(columns, label, strict=True)]
    return [label if isinstance(label, str) else TOGETHER]


def combine_columns(
    table: Path,
    files: Sequence[ListedFile],
    columns: Mapping[str, Sequence[str]],
    to_learn: bool,
) -> dict[str, tuple[str, ...]]:
    """Return the classes of each of several label columns, which may have an order of their own.

    Raises:
        DataError: a column has a single class, or there are too many combinations.
    """
    rows = [file.label for file in files if isinstance(file.label, tuple)]
    found = {
        column: tuple(order or sorted({row[place] for row in rows}))
        for place, (column, order) in enumerate(columns.items())
    }
    problems = [
        f"column {column!r} has only one class, {names[0]!r}: leave it out"
        for column, names in found.items()
        if to_learn and len(names) == 1
    ]
    number = math.prod(map(len, found.values()))
    if number > _MOST_COMBINATIONS:
        problems.append(
            f"{sizes_text(found)} classes make {number:,} combinations, at most "
            f"{_MOST_COMBINATIONS:,} are learned: name fewer columns, or put rare labels together"
        )
    elif len(set(combinations(found))) < number:
        problems.append("two combinations would have one name: write labels without a slash")
    if problems:
        raise DataError(
            join_problems(f"{table} has label columns that cannot be learned", problems)
        )
    return found


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
        needed, why = (
            (LEAST, "for train, validation and test") if part == "all" else (1, f"in {part}")
        )
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
