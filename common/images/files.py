"""Many image files: what all of them are scaled by, decoded by thousands, kept in a cache.

A set's files are all decoded once before anything else happens, so an unreadable one is found now
and not in epoch 7. Threads do it: PIL releases the interpreter lock, and on two cores 200 photos
took 0.25 s in threads, 0.61 s in new processes and 0.37 s one after another. Files are only ever
read.
"""

import contextlib
import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import PIL
import torch
from torch import Tensor

from common.errors import SaveError
from common.files import cache_dir, replacing, write_json
from common.images.decode import (
    DARK,
    DEEP_GREY_MODES,
    DEEPEST,
    UNKNOWN,
    Crop,
    Depth,
    Pixels,
    White,
    decode,
    decode_squares,
    find_depth,
    most_hot,
    open_image,
    quiet,
    square,
    try_reading,
)
from common.steps import step, track
from common.threads import usable_cores

Decoding = Literal["auto", "memory", "cache", "stream"]

_MEMORY_LIMIT = 2**30  # bytes of pixels that `auto` keeps in memory
_CHUNK = 256  # files given to the threads at once: bounds what waits in memory and Ctrl-C's delay
_CACHE_VERSION = 3  # to be raised when `decode` gives other pixels than before
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners have
_DIM = 16  # times as dark as white, from which on that is said
_HOT_FILES, _FEWEST_FILES = 0.1, 3  # share of files with hot pixels; files that tell what is usual
_LOOKED_AT = 16  # images that tell whether all are nearly black, where they stay in their files
_FEWEST = 2**4  # below which whole numbers are labels rather than pixels
_ANIMATED = ("AVIF", "GIF", "TIFF", "WEBP")
_PNG_BITS = 24  # where a PNG says how many bits a value has
_SHALLOW = (".bmp", ".dib", ".jfif", ".jpe", ".jpeg", ".jpg")  # of 8 bits, and one picture
_GREY_MODES = ("1", "L", "LA", "La", *DEEP_GREY_MODES)


# What a set is scaled by


class Depths(NamedTuple):
    """How the files of a set keep their values."""

    white: White = UNKNOWN
    remarks: tuple[str, ...] = ()  # what is done to files that are no plain 8-bit pictures


def _may_be_deeper(path: Path) -> bool:
    """Say whether a file has to be opened to know: of a PNG, its header has the bits."""
    suffix = path.suffix.lower()
    if suffix != ".png" or not path.is_file():
        return suffix not in _SHALLOW
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(_PNG_BITS + 1)[_PNG_BITS:] == b"\x10"
    return False


class _Measured(NamedTuple):
    depth: Depth
    low: float
    high: float
    pictures: bool  # whether the file holds several
    beyond: tuple[int, ...] = ()  # for each of `_DEPTHS` how many values need more
    size: int = 0  # values


def measure_depths(paths: Sequence[Path]) -> Depths:
    """Find what is white in the files of a set, of which the deeper ones are decoded.

    Files that say how many bits they have are scaled by these, all others alike, by the bits that
    the largest value of all needs. A few hot pixels of few files do not count: they become white.
    """
    deeper = [path for path in paths if _may_be_deeper(path)]
    found: list[_Measured] = []
    with quiet(), ThreadPoolExecutor(usable_cores()) as pool:
        for start in track(range(0, len(deeper), _CHUNK), f"measuring {len(deeper):,} images"):
            results = pool.map(
                lambda path: try_reading(_measure, path), deeper[start : start + _CHUNK]
            )
            found += [each for each in results if not isinstance(each, str)]
    white, remarks = {}, []
    if says := [each for each in found if each.depth.bits]:
        remarks.append(f"{len(says):,} files of deeper grey, scaled by the bits that they say")
    for kind, name in (("whole", "grey"), ("real", "floating-point grey"), ("color", "color")):
        usable = [e for e in found if 0 <= e.low <= e.high <= DEEPEST]
        files = [e for e in usable if e.depth.kind == kind and not e.depth.bits]
        low, high = (min(e.low for e in files), max(e.high for e in files)) if files else (0, 0)
        hot, clipped = _find_hot(files) if kind == "whole" else ((), 0.0)
        high = clipped or high
        white[kind] = most = _find_white(kind, high)
        if hot:
            pixels = f"{sum(hot):,} pixels of {len(hot):,} files are beyond {most:g}"
            remarks.append(f"{pixels}, which all others need, and become white")
        if high and kind != "color" and most:
            scaled = f"values {low:g} to {high:g} scaled so that {most:g} is white"
            remarks.append(f"{len(files):,} files of deeper {name}, {scaled}")
            if dark := sum(e.high <= most / _DIM for e in files):
                remarks.append(f"{dark:,} of them dark, or of fewer bits: at most {most / _DIM:g}")
    if several := sum(each.pictures for each in found):
        remarks.append(f"{several:,} files hold several pictures, of which the first is taken")
    return Depths(White(**white), tuple(remarks))


def _measure(path: Path) -> _Measured:
    with open_image(path) as file:
        pictures = file.format in _ANIMATED and getattr(file, "is_animated", False)
        depth = find_depth(file)
        values = np.asarray(file) if depth.kind else np.zeros(1)
        limits = 2 ** np.array(_DEPTHS)
        beyond = tuple(int((values >= limit).sum()) for limit in limits) if depth.kind else ()
        low, high = float(values.min()), float(values.max())
        return _Measured(depth, low, high, pictures, beyond, values.size)


def _find_hot(files: Sequence[_Measured]) -> tuple[tuple[int, ...], float]:
    """Return how many pixels of files are hot, and the largest value that is not; (), 0 without."""
    if len(files) < _FEWEST_FILES:
        return (), 0.0
    for at, depth in enumerate(_DEPTHS[:-1]):
        deeper = [each for each in files if each.beyond[at]]
        few = len(deeper) <= max(1, _HOT_FILES * len(files))
        if deeper and few and all(each.beyond[at] <= most_hot(each.size) for each in deeper):
            return tuple(each.beyond[at] for each in deeper), float(2**depth - 1)
        if not deeper:
            break
    return (), 0.0


def _find_white(kind: str, high: float) -> float | None:
    """Return what is white where so much is the largest value; None where none can be told."""
    if kind == "color":
        return float(DEEPEST) if high >= DARK / 256 else None
    if not 0 < high <= DEEPEST or (kind == "whole" and high < _FEWEST):
        return None
    if kind == "real" and high <= 1:
        return 1.0
    return next(float(2**depth - 1) for depth in _DEPTHS if high < 2**depth)


# Decoding


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay in their files until asked for; DataLoader workers can unpickle them."""

    paths: tuple[Path, ...]  # the files, each verified to be readable
    image_size: int  # height and width that they are decoded to, in pixels
    channels: int  # 1 (grey) or 3 (RGB)
    cache: Path | None = None  # a `.npy` file with decoded images, or None to decode the files
    rows: tuple[int, ...] = ()  # for each path its row in the cache; empty without a cache
    fit: str = "crop"  # see `decode`
    white: White = UNKNOWN  # likewise
    crops: tuple[Crop | None, ...] = ()  # for each path the part that is taken; empty: all whole

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
            crop = self.crops[row] if self.crops else None
            options = self.image_size, self.channels, self.fit, self.white, crop
            return decode(self.paths[row], *options)
        return torch.from_numpy(np.array(_open_cache(self.cache)[self.rows[row]]))

    def select(self, rows: Tensor) -> "ImageFiles":
        """Return the images of the given rows (int64), in that order."""
        order = rows.tolist()
        paths = tuple(self.paths[row] for row in order)
        kept = tuple(self.rows[row] for row in order) if self.rows else ()
        crops = tuple(self.crops[row] for row in order) if self.crops else ()
        return replace(self, paths=paths, rows=kept, crops=crops)


class _Report(NamedTuple):
    channels: int
    reasons: list[str | None]  # for each file why it cannot be read; None if it can
    depths: Depths


class ReadFiles(NamedTuple):
    """Files that were decoded."""

    images: Tensor | ImageFiles  # the readable ones
    reasons: list[str | None]  # for each file why it is not among them, or None
    depths: Depths


def read_files(
    names: Sequence[str],
    paths: Sequence[Path],
    image_size: int,
    channels: int | None = None,
    decoding: Decoding = "auto",
    fit: str = "crop",
    white: White | None = None,
    crops: Sequence[Crop | None] = (),
) -> ReadFiles:
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
        white: what is white in deeper files; None for what `measure_depths` finds.
        crops: for each file the part that is taken; empty where all are taken whole.

    Raises:
        SaveError: the cache cannot be written.
    """
    stem = cache_dir() / _key(names, paths, image_size, channels, fit, white, crops)
    manifest, cache = stem.with_suffix(".json"), stem.with_suffix(".npy")
    report = _recall(manifest, paths, image_size)
    actual = report.channels if report else channels or _common_channels(paths)
    depths = report.depths if report else measure_depths(paths)
    depths = depths._replace(white=white or depths.white)
    shape = (len(paths), actual, image_size, image_size)
    if decoding == "auto":
        decoding = "memory" if math.prod(shape) <= _MEMORY_LIMIT else "stream"

    options = _Options(image_size, actual, fit, depths.white)
    if decoding == "memory":
        pixels = np.empty(shape, np.uint8)
        reasons = _decode_all(paths, options, pixels.__setitem__, crops)
    elif report and (decoding == "stream" or _is_whole(cache, shape)):
        reasons = report.reasons
    elif decoding == "cache":
        reasons = _fill_cache(cache, paths, options, crops)
    else:
        reasons = _decode_all(paths, options, lambda rows, pixels: None, crops)

    kept = [row for row, why in enumerate(reasons) if why is None]
    readable = tuple(paths[row] for row in kept)
    if channels is None and len(kept) < len(paths) and actual != _common_channels(readable):
        # Only files that are left out had color.
        return read_files(names, paths, image_size, 1, decoding, fit, white, crops)
    _remember(manifest, _Report(actual, reasons, depths))
    if decoding == "memory":
        images = torch.from_numpy(pixels if len(kept) == len(paths) else pixels[kept])
        return ReadFiles(images, reasons, _with_black(depths, images))
    files = ImageFiles(readable, *options[:2], fit=fit, white=depths.white)
    if crops:
        files = replace(files, crops=tuple(crops[row] for row in kept))
    if decoding == "cache":
        files = replace(files, cache=cache, rows=tuple(kept))
    return ReadFiles(files, reasons, _with_black(depths, files))


def _with_black(depths: Depths, images: Tensor | ImageFiles) -> Depths:
    """Say where all images are nearly black, as those that hold numbers of classes are."""
    if isinstance(images, Tensor):
        most = int(images.max()) if len(images) else 255
    else:
        rows = range(0, len(images), max(1, -(-len(images) // _LOOKED_AT)))
        most = max((int(images[row].max()) for row in rows), default=255)
    if most > 255 // _DIM:
        return depths
    remark = f"all are nearly black, at most {most} of 255: masks of class numbers, or unscaled"
    return depths._replace(remarks=(*depths.remarks, remark))


class _Options(NamedTuple):
    """Of `decode`."""

    image_size: int
    channels: int
    fit: str
    white: White


def _decode_all(
    paths: Sequence[Path],
    options: _Options,
    put: Callable[[slice, Pixels], Any],
    crops: Sequence[Crop | None] = (),
) -> list[str | None]:
    """Give all files, decoded, or black where one is unreadable, to `put`, some rows at a time."""
    reasons: list[str | None] = []
    files = list(zip(paths, crops or [None] * len(paths), strict=True))
    with step(f"reading {len(files):,} images", len(files)) as shown:
        for found in decode_squares(files, options):
            put(slice(len(reasons), len(reasons) + len(found.reasons)), found.pixels)
            reasons += found.reasons
            shown.move(len(reasons))
    return reasons


def _common_channels(paths: Iterable[Path]) -> int:
    """Return 1 if every file with a readable header is grey, else 3."""
    with quiet():
        for path in paths:
            with contextlib.suppress(Exception), open_image(path) as image:
                if image.mode not in _GREY_MODES:
                    return 3
    return 1


def _fill_cache(
    cache: Path, paths: Sequence[Path], options: _Options, crops: Sequence[Crop | None]
) -> list[str | None]:
    shape = len(paths), options.channels, options.image_size, options.image_size
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    try:
        # Not written through a memory map: on a full disk that would kill the process.
        with replacing(cache) as file:
            np.lib.format.write_array_header_1_0(file, header)
            reasons = _decode_all(
                paths, options, lambda rows, pixels: file.write(pixels.data), crops
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
    names: Sequence[str],
    paths: Sequence[Path],
    image_size: int,
    channels: int | None,
    fit: str,
    white: White | None,
    crops: Sequence[Crop | None],
) -> str:
    """Name what the decoded pixels depend on: the files, the size, the channels, the decoder."""
    stats = []
    for name, path in zip(names, paths, strict=True):
        with contextlib.suppress(OSError):
            stat = path.stat()
            # Programs put the time of a change back (cp -p, exiftool -P); that of the entry stays.
            stats.append((name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    key = [_CACHE_VERSION, PIL.__version__, image_size, channels, fit, white, len(paths), stats]
    key += [list(crops)] if crops else []
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def _remember(manifest: Path, report: _Report) -> None:
    """Write down, after everything else, what was found; without it no cache is used."""
    unreadable = {row: why for row, why in enumerate(report.reasons) if why}
    with contextlib.suppress(SaveError):  # Without it only the next start is slower.
        write_json(
            manifest,
            {"channels": report.channels, "unreadable": unreadable, "depths": report.depths},
        )


def _recall(manifest: Path, paths: Sequence[Path], image_size: int) -> _Report | None:
    """Return what was found before; None if there is nothing, or if it no longer holds."""
    reasons: list[str | None] = [None] * len(paths)
    try:
        value = json.loads(manifest.read_bytes())
        channels = int(value["channels"])
        white, remarks = value["depths"]
        depths = Depths(White(*white), tuple(map(str, remarks)))
        for row, why in value["unreadable"].items():
            reasons[int(row)] = str(why)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    # A file may be readable by now though it looks the same: permissions, a disk that was away.
    unreadable = [path for path, why in zip(paths, reasons, strict=True) if why]
    with quiet():
        again = [
            try_reading(square, path, image_size, channels, "crop", depths.white)
            for path in unreadable
        ]
    usable = all(isinstance(why, str) for why in again)
    return _Report(channels, reasons, depths) if usable else None
