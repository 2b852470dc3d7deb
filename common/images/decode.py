"""Image files, decoded: to squares of one size, as whole photos, or by thousands.

A set's files are all decoded once before anything else happens, so an unreadable one is found now
and not in epoch 7. Threads do it: PIL releases the interpreter lock, and on two cores 200 photos
took 0.25 s in threads, 0.61 s in new processes and 0.37 s one after another. Files are only ever
read.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from common.errors import DataError, SaveError
from common.files import cache_dir, replacing, write_json

Pixels = npt.NDArray[np.uint8]
Decoding = Literal["auto", "memory", "cache", "stream"]
T = TypeVar("T")

# HEIC cannot be read without a plug-in; it is listed so that a phone's photos are reported as
# left out, not overlooked.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)

_MEMORY_LIMIT = 2**30  # bytes of pixels that `auto` keeps in memory
_DEEP_GREY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_GREY_MODES = ("1", "L", "LA", "La", *_DEEP_GREY_MODES)
_CHUNK = 256  # files given to the threads at once: bounds what waits in memory and Ctrl-C's delay
_PHOTO_CHUNK = 32  # likewise, of whole photos
_CACHE_VERSION = 1  # to be raised when `decode` gives other pixels than before


def decode(path: Path, image_size: int, channels: int, fit: str = "crop") -> Tensor:
    """Decode an image file to a square, scaled with antialiased bilinear filtering.

    EXIF orientation is applied and transparency laid over white. 16-bit grey is scaled to 8 bits
    (65535 is white), as is floating point from 0 to 1. Of an animation the first picture is taken.

    Args:
        path: the file.
        image_size: height and width of the result in pixels.
        channels: 1 (grey) or 3 (RGB).
        fit: the square in the center (crop), the whole with black beside it (pad), or the whole,
            its sides made equal (stretch).

    Returns:
        uint8 of shape (channels, image_size, image_size).

    Raises:
        DataError: the file is missing, damaged, not an image, larger than PIL's limit against
            decompression bombs, or has values that would turn into plain black or white.
    """
    return torch.from_numpy(_read(_square, path, image_size, channels, fit))


def photo(path: Path) -> Tensor:
    """Decode an image file as a whole to uint8 of shape (3, H, W), RGB; else as `decode`."""
    return _read(_whole, path)


def photo_size(path: Path) -> tuple[int, int] | str:
    """Return the height and width that `photo` gives, from the file's header alone.

    Or, as a text, the reason why it cannot be read.
    """
    with _quiet():
        return _try(_size, path)


def photos(paths: Iterable[Path], change: Callable[[Tensor], T]) -> Iterator[T | str]:
    """Decode image files in threads, each as `photo` does.

    Yields:
        In order, what `change` makes of each; or the reason why a file cannot be read.
    """

    def changed(path: Path) -> T | str:
        result = _try(_whole, path)
        return result if isinstance(result, str) else change(result)

    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(itertools.islice(remaining, _PHOTO_CHUNK)):
            with _quiet():  # The filters of warnings belong to the process, not to a thread.
                results = list(pool.map(changed, chunk))
            yield from results


def _read(read: Callable[..., T], path: Path, *options: int | str) -> T:
    """Return what `read` makes of a file, or raise DataError."""
    with _quiet():
        result = _try(read, path, *options)
    if isinstance(result, str):
        raise DataError(f"cannot read the image {path}: {result}; replace or remove the file")
    return result


def _try(read: Callable[..., T], path: Path, *options: int | str) -> T | str:
    """Return what `read` makes of a file, or the reason why it cannot be read."""
    try:
        return read(path, *options)
    except Exception as error:  # PIL's decoders raise all kinds of errors over damaged files.
        return _reason(path, error)


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as file:
        # Of a PNG without it, getexif() would decode the whole.
        exif = file.getexif() if file.format != "PNG" or "exif" in file.info else {}
        turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        return (file.width, file.height) if turned else (file.height, file.width)


def _whole(path: Path) -> Tensor:
    with Image.open(path) as file:
        upright = ImageOps.exif_transpose(file)
    pixels = np.array(_flatten(_eight_bits(upright)).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _square(path: Path, image_size: int, channels: int, fit: str = "crop") -> Pixels:
    with Image.open(path) as file:
        # Decodes a JPEG at half, a quarter or an eighth of its size where that is still twice what
        # is needed: 7 times as fast for a photo of 12 megapixels. Sides that are not a multiple
        # of 8 shift the result by less than a quarter of its pixel.
        file.draft(None, (2 * image_size, 2 * image_size))
        upright = ImageOps.exif_transpose(file)
    flat = _flatten(_eight_bits(upright)).convert("L" if channels == 1 else "RGB")
    square = _FITS[fit](flat, (image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.array(square).reshape(image_size, image_size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


_FITS: dict[str, Callable[..., Image.Image]] = {
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
    "stretch": Image.Image.resize,
}


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale deeper grey to 8 bits; PIL's own conversion would clip it."""
    if image.mode not in _DEEP_GREY_MODES:
        return image
    values = np.asarray(image).astype(np.float64)
    if bad := int((~np.isfinite(values)).sum()):
        raise DataError(f"{bad:,} of {values.size:,} pixels are NaN or infinite")
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


# Many files


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay in their files until asked for; DataLoader workers can unpickle them."""

    paths: tuple[Path, ...]  # the files, each verified to be readable
    image_size: int  # height and width that they are decoded to, in pixels
    channels: int  # 1 (grey) or 3 (RGB)
    cache: Path | None = None  # a `.npy` file with decoded images, or None to decode the files
    rows: tuple[int, ...] = ()  # for each path its row in the cache; empty without a cache
    fit: str = "crop"  # see `decode`

    @property
    def shape(self) -> torch.Size:
        """(N, C, H, W), as that of a tensor."""
        return torch.Size((len(self.paths), self.channels, self.image_size, self.image_size))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        """Return one image: uint8 of shape (C, H, W).

        Raises:
            DataError: the file can no longer be read.
        """
        if self.cache is None:
            return decode(self.paths[row], self.image_size, self.channels, self.fit)
        return torch.from_numpy(np.array(_open_cache(self.cache)[self.rows[row]]))

    def select(self, rows: Tensor) -> "ImageFiles":
        """Return the images of the given rows (int64), in that order."""
        order = rows.tolist()
        paths = tuple(self.paths[row] for row in order)
        kept = tuple(self.rows[row] for row in order) if self.rows else ()
        return replace(self, paths=paths, rows=kept)


class _Report(NamedTuple):
    channels: int
    reasons: list[str | None]  # for each file why it cannot be read; None if it can


def read_files(
    names: Sequence[str],
    paths: Sequence[Path],
    image_size: int,
    channels: int | None = None,
    decoding: Decoding = "auto",
    fit: str = "crop",
) -> tuple[Tensor | ImageFiles, list[str | None]]:
    """Decode many files, each as `decode` does.

    Args:
        names: of the files, the same wherever their folder is; a cache knows them by these.
        paths: the files.
        image_size: height and width of the result in pixels.
        channels: 1 (grey), 3 (RGB), or None for 1 if every readable image is grey and else 3.
        decoding: `memory` keeps all pixels; `cache` keeps them in a file in `cache_dir()`, reused
            as long as the images do not change; `stream` decodes again in every epoch; `auto` is
            `memory` up to 1 GiB of pixels and `stream` above.
        fit: see `decode`.

    Returns:
        The readable images; and for each file the reason why it is not among them, or None.

    Raises:
        SaveError: the cache cannot be written.
    """
    stem = cache_dir() / _key(names, paths, image_size, channels, fit)
    manifest, cache = stem.with_suffix(".json"), stem.with_suffix(".npy")
    report = _recall(manifest, paths, image_size)
    actual = report.channels if report else channels or _common_channels(paths)
    shape = (len(paths), actual, image_size, image_size)
    if decoding == "auto":
        decoding = "memory" if math.prod(shape) <= _MEMORY_LIMIT else "stream"

    options = image_size, actual, fit
    if decoding == "memory":
        pixels = np.empty(shape, np.uint8)
        reasons = _decode_all(paths, options, pixels.__setitem__)
    elif report and (decoding == "stream" or _is_whole(cache, shape)):
        reasons = report.reasons
    elif decoding == "cache":
        reasons = _fill_cache(cache, paths, options)
    else:
        reasons = _decode_all(paths, options, lambda row, picture: None)

    kept = [row for row, why in enumerate(reasons) if why is None]
    readable = tuple(paths[row] for row in kept)
    if channels is None and len(kept) < len(paths) and actual != _common_channels(readable):
        # Only files that are left out had color.
        return read_files(names, paths, image_size, 1, decoding, fit)
    _remember(manifest, _Report(actual, reasons))
    if decoding == "memory":
        return torch.from_numpy(pixels if len(kept) == len(paths) else pixels[kept]), reasons
    if decoding == "cache":
        return ImageFiles(readable, image_size, actual, cache, tuple(kept), fit), reasons
    return ImageFiles(readable, image_size, actual, fit=fit), reasons


_Options = tuple[int, int, str]  # of `decode`: image_size, channels, fit


def _decode_all(
    paths: Sequence[Path], options: _Options, put: Callable[[int, Pixels], Any]
) -> list[str | None]:
    """Give every decoded file, or black in place of an unreadable one, to `put`, in order."""
    image_size, channels, _ = options
    black = np.zeros((channels, image_size, image_size), np.uint8)
    reasons: list[str | None] = []
    # The filters of warnings belong to the process, so they are set once around all threads.
    with _quiet(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            for result in pool.map(lambda path: _try(_square, path, *options), chunk):
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


def _fill_cache(cache: Path, paths: Sequence[Path], options: _Options) -> list[str | None]:
    image_size, channels, _ = options
    shape = len(paths), channels, image_size, image_size
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    try:
        # Not written through a memory map: on a full disk that would kill the process.
        with replacing(cache) as file:
            np.lib.format.write_array_header_1_0(file, header)
            reasons = _decode_all(
                paths, options, lambda row, picture: file.write(picture.tobytes())
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


def _key(
    names: Sequence[str], paths: Sequence[Path], image_size: int, channels: int | None, fit: str
) -> str:
    """Name what the decoded pixels depend on: the files, the size, the channels, the decoder."""
    stats = []
    for name, path in zip(names, paths, strict=True):
        with contextlib.suppress(OSError):
            stat = path.stat()
            stats.append((name, stat.st_size, stat.st_mtime_ns))
    cut = [] if fit == "crop" else [fit]  # the key of a crop is that of before there were others
    key = [_CACHE_VERSION, PIL.__version__, image_size, channels, *cut, len(paths), stats]
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
        again = [_try(_square, path, image_size, channels) for path in unreadable]
    return _Report(channels, reasons) if all(isinstance(why, str) for why in again) else None
