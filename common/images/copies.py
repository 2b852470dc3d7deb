"""Images that are copies of one another, or nearly, or of one minute: they belong on one side.

Images in memory are compared by small grey pictures of them, which scaling and saving again as JPEG
hardly change. Files that are only decoded when they are asked for are compared byte by byte.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from PIL import ExifTags, Image
from torch import Tensor
from torch.nn import functional

from common.images.files import ImageFiles
from common.images.sets import ImageSet
from common.steps import step
from common.training.splits import number_linked

_SIDE = 16  # pixels of the small pictures
_ALIKE = 0.995  # their correlation, from which on they count as one picture
_FLAT = 4.0  # grey levels of deviation, below which a picture has nothing to compare
_MOST = 20_000  # images of which each is compared with each
_CHUNK = 2000  # images compared with all others at a time
_BURST = 60  # seconds between photos of one burst, at most
_SHRUNK = 128  # images shrunk at a time


def number_copies(images: ImageSet) -> list[int]:
    """Return for each image the number of the first that it is a copy of, or nearly; (N,).

    An image without a copy has its own number. A copy of a copy is one of the first, too.
    """
    with step(f"looking for copies among {len(images):,} images"):
        return _number_copies(images)


def _number_copies(images: ImageSet) -> list[int]:
    pixels = images.images
    if isinstance(pixels, ImageFiles):
        return _numbers_of_equal(_digest_files(pixels))
    equal = _numbers_of_equal(
        [hashlib.sha256(image.numpy().tobytes()).digest() for image in pixels]
    )
    if len(pixels) > _MOST:
        return equal
    links = [*enumerate(equal), *find_pairs(_thumbnails(pixels), _ALIKE, _CHUNK)]
    return _numbers_of_equal(number_linked(len(equal), links).tolist())


def find_bursts(paths: Sequence[Path]) -> list[str | None]:
    """Return for each photo the burst that it is of, None where it does not say when it was taken.

    Photos of one camera are of one burst where no minute passes between one and the next.
    """
    taken = sorted((*when, row) for row, path in enumerate(paths) if (when := _read_time(path)))
    found: list[str | None] = [None] * len(paths)
    begun, last = "", ("", float("-inf"))
    for camera, seconds, row in taken:
        if camera != last[0] or seconds - last[1] > _BURST:
            begun = f"{camera} {seconds}"
        last, found[row] = (camera, seconds), begun
    return found


def _read_time(path: Path) -> tuple[str, float] | None:
    """Return the camera, and when a photo was taken, in seconds."""
    with contextlib.suppress(OSError, ValueError, SyntaxError), Image.open(path) as file:
        exif = file.getexif() if file.format != "PNG" or "exif" in file.info else Image.Exif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        text = inner.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        when = datetime.strptime(str(text), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        return str(exif.get(ExifTags.Base.Model, "")), when.timestamp()
    return None


def _numbers_of_equal(keys: Sequence[Hashable]) -> list[int]:
    first: dict[Hashable, int] = {}
    return [first.setdefault(key, number) for number, key in enumerate(keys)]


def _digest_files(images: ImageFiles) -> list[Hashable]:
    """Return what tells files apart; only those that share their size are read."""
    sizes = [path.stat().st_size for path in images.paths]
    shared = {size for size, number in Counter(sizes).items() if number > 1}
    return [
        (size, hashlib.sha256(path.read_bytes()).digest() if size in shared else None)
        for size, path in zip(sizes, images.paths, strict=True)
    ]


def _thumbnails(pixels: Tensor) -> Tensor:
    """Return small grey pictures, (N, _SIDE * _SIDE), of mean 0 and length 1; flat ones are 0."""
    rows = []
    for piece in torch.split(pixels, _SHRUNK):
        grey = piece.float().mean(1, keepdim=True)
        small = functional.interpolate(grey, (_SIDE, _SIDE), mode="area").flatten(1)
        small = small - small.mean(1, keepdim=True)
        flat = small.std(1, keepdim=True) < _FLAT
        rows.append(functional.normalize(small).masked_fill(flat, 0.0))
    return torch.cat(rows)


def find_pairs(rows: Tensor, least: float, chunk: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of row numbers whose product is above a threshold, the smaller number first.

    Args:
        rows: (N, F), of length 1.
        least: the threshold, a cosine.
        chunk: rows compared with all others at a time.
    """
    for start in range(0, len(rows), chunk):
        first, second = (rows[start : start + chunk] @ rows.T > least).nonzero(as_tuple=True)
        for one, other in zip((first + start).tolist(), second.tolist(), strict=True):
            if one < other:
                yield one, other
