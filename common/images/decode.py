"""Image files, decoded: to a square of one size, or as whole photos.

The content says what a file is, not its name. Files are only ever read. torch is imported where
pixels become tensors: who asks an exported file does without it.
"""

import contextlib
import functools
import itertools
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from common.errors import DataError
from common.io.folders import walk
from common.io.unpack import is_archive, unpacked
from common.steps import track
from common.threads import usable_cores

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")

SUFFIXES = (
    *(".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpe"),
    *(".jpeg", ".jpg", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff"),
    ".webp",
)
_OTHERS = (  # whose names say that they are no images; of all other files the content decides
    *(".cfg", ".cls", ".csv", ".db", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl"),
    *(".lnk", ".log", ".mat"),
    *(".md", ".npy", ".npz", ".py", ".toml", ".tsv", ".txt", ".url", ".xls", ".xlsx", ".xml"),
    *(".yaml", ".yml", ".zip"),
)
_RAW = (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".pef", ".raf", ".rw2", ".srw")
# Pillow also knows formats that other programs draw (EPS) and that hold no pictures.
_USUAL_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PPM", "PNG")  # that Pillow has without a search
_MORE_FORMATS = ("AVIF", "ICO", "JPEG2000", "PCX", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_SCALED = ("JPEG2000", "PPM")  # of which Pillow scales what is deeper to 16 bits, as the file says
DEEP_GREY_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
DEEPEST = 2**16 - 1
DARK = 2**14  # below which 16 bits hold what is dark, or of fewer bits
_FEW_HOT, _HOT = 2, 1e-4  # pixels of an image that may be hot, and share of many
_PHOTO_CHUNK = 32  # photos given to the threads at once
_CHUNK = 256  # images decoded at a time, of those that a network is given
_PIECE = 32  # files that a thread decodes at a time: bounds what waits in memory and Ctrl-C's delay


class White(NamedTuple):
    """The values that are white in files of more than 8 bits; None where none is known.

    What nobody knows of a single file is found for a set by `measure_depths`.
    """

    whole: float | None = None  # of whole numbers; 65535 when not known, unless a file is dark
    real: float | None = None  # of floating point; 1 when not known
    color: float | None = None
    """Of color, of which Pillow keeps the upper 8 of 16 bits: 65535, or not known."""


UNKNOWN = White()


class Crop(NamedTuple):
    """A part of an upright picture, in pixels."""

    left: float
    top: float
    width: float
    height: float

    def __str__(self) -> str:
        """Return it as its cells in a table, with commas between."""
        return ",".join(f"{side:g}" for side in self)

    def lies_in(self, height: int, width: int) -> bool:
        """Say whether it has pixels, and all of them are in a picture of that size."""
        inside = self.left + self.width <= width and self.top + self.height <= height
        return min(self.left, self.top) >= 0 and min(self.width, self.height) >= 1 and inside


def is_candidate(path: Path) -> bool:
    """Say whether a file may be an image, by its name; its content decides."""
    return path.suffix.lower() not in _OTHERS


def decode(
    path: Path,
    image_size: int,
    channels: int,
    fit: str = "crop",
    white: White = UNKNOWN,
    crop: Crop | None = None,
) -> "Tensor":
    """Decode an image file to a square, scaled with antialiased bilinear filtering.

    The content says what a file is, not its name. EXIF orientation is applied and transparency laid
    over white. Grey of more than 8 bits is scaled to 8. Of an animation the first picture is taken.

    Args:
        path: the file.
        image_size: height and width of the result in pixels.
        channels: 1 (grey) or 3 (RGB).
        fit: the square in the center (crop), the whole with black beside it (pad), or the whole,
            its sides made equal (stretch).
        white: what is white in deeper files.
        crop: the part that is taken; the whole when None.

    Returns:
        uint8 of shape (channels, image_size, image_size).

    Raises:
        DataError: the file is missing, damaged, not an image, larger than PIL's limit against
            decompression bombs, or has values that would turn into few levels, black or white.
    """
    import torch

    return torch.from_numpy(_read(square, path, image_size, channels, fit, white, crop))


def photo(path: Path) -> "Tensor":
    """Decode an image file as a whole to uint8 of shape (3, H, W), RGB; else as `decode`."""
    return _read(_whole, path)


def photo_size(path: Path) -> tuple[int, int] | str:
    """Return the height and width that `photo` gives, from the file's header alone.

    Or, as a text, the reason why it cannot be read.
    """
    found = photo_turn(path)
    return found if isinstance(found, str) else found[:2]


def photo_turn(path: Path) -> tuple[int, int, int] | str:
    """Return height and width of the upright photo, and its EXIF orientation; else `photo_size`.

    The orientation is 1 where the pixels are stored upright, and 5 to 8 where they lie on a side.
    """
    with quiet():
        return try_reading(_turn, path)


def photos(paths: Iterable[Path], change: Callable[["Tensor"], T]) -> Iterator[T | str]:
    """Decode image files in threads, each as `photo` does.

    Yields:
        In order, what `change` makes of each; or the reason why a file cannot be read.
    """

    def changed(path: Path) -> T | str:
        result = try_reading(_whole, path)
        return result if isinstance(result, str) else change(result)

    remaining = iter(paths)
    with ThreadPoolExecutor(usable_cores()) as pool:
        while chunk := list(itertools.islice(remaining, _PHOTO_CHUNK)):
            with quiet():  # The filters of warnings belong to the process, not to a thread.
                results = list(pool.map(changed, chunk))
            yield from results


def _read(read: Callable[..., T], path: Path, *options: Any) -> T:
    """Return what `read` makes of a file, or raise DataError."""
    with quiet():
        result = try_reading(read, path, *options)
    if isinstance(result, str):
        raise DataError(_complain(path, result))
    return result


def _complain(path: Path, reason: str) -> str:
    return f"cannot read the image {path}: {reason}; replace or remove the file"


def try_reading(read: Callable[..., T], path: Path, *options: Any) -> T | str:
    """Return what `read` makes of a file, or the reason why it cannot be read."""
    try:
        return read(path, *options)
    except Exception as error:  # PIL's decoders raise all kinds of errors over damaged files.
        return _reason(path, error)


def open_image(path: Path) -> ImageFile:
    """Open an image file of a format that is a picture by itself.

    Raises:
        DataError: it is no file, or a camera's raw file, or HEIC, which nothing here reads.
        UnidentifiedImageError: it is no image, or of an unknown format.
    """
    if path.exists() and not path.is_file():  # nobody may ever write into a pipe
        raise DataError("a folder, a pipe or a device, and no file")
    if path.suffix.lower() in _RAW:
        raise DataError("a camera's raw file, of which only a preview could be read")
    with contextlib.suppress(UnidentifiedImageError):
        return Image.open(path, formats=_USUAL_FORMATS)
    Image.init()
    try:
        file = Image.open(path, formats=[each for each in _MORE_FORMATS if each in Image.OPEN])
        file.filename = ""  # or PIL maps the pixels of a TIFF, and scrambles what is to be turned
        return file
    except UnidentifiedImageError:
        if not _is_heif(path):
            raise
    _read_heif_too()
    return Image.open(path, formats=["HEIF"])


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS


@functools.cache
def _read_heif_too() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise DataError(
            "HEIC, which needs pillow-heif: install it with pip install pillow-heif, or export the "
            "photo as JPEG"
        ) from error
    pillow_heif.register_heif_opener()


def _turn(path: Path) -> tuple[int, int, int]:
    with open_image(path) as file:
        # Of a PNG without it, getexif() would decode the whole.
        exif = file.getexif() if file.format != "PNG" or "exif" in file.info else {}
        turn = exif.get(ExifTags.Base.Orientation, 1)
        turn = turn if turn in range(1, 9) else 1
        # Of a TIFF, PIL gives the size as it is when turned.
        lying = file.format != "TIFF" and turn >= 5
        return (file.width, file.height, turn) if lying else (file.height, file.width, turn)


def _whole(path: Path) -> "Tensor":
    import torch

    with open_image(path) as file:
        upright = _upright(file, UNKNOWN)
    pixels = np.array(_flatten(upright).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def square(
    path: Path,
    image_size: int,
    channels: int,
    fit: str = "crop",
    white: White = UNKNOWN,
    crop: Crop | None = None,
) -> Pixels:
    """Do what `decode` does, for threads: raises whatever PIL raises."""
    with open_image(path) as file:
        # Decodes a JPEG at half, a quarter or an eighth of its size where that is still twice what
        # is needed: 7 times as fast for a photo of 12 megapixels. Sides that are not a multiple
        # of 8 shift the result by less than a quarter of its pixel.
        if crop is None:
            file.draft(None, (2 * image_size, 2 * image_size))
        upright = _cut(_upright(file, white), crop)
    flat = _flatten(upright).convert("L" if channels == 1 else "RGB")
    square = _FITS[fit](flat, (image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.array(square).reshape(image_size, image_size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


class Decoded(NamedTuple):
    """Some files in a row, decoded to squares."""

    pixels: Pixels  # (n, C, S, S); black where a file cannot be read
    reasons: list[str | None]  # for each file why it cannot be read; None if it can


def decode_squares(
    files: Sequence[tuple[Path, Crop | None]], options: tuple[int, int, str, White]
) -> Iterator[Decoded]:
    """Yield files, or parts of them, in order, some at a time; threads decode the next meanwhile.

    All is to be asked for: until then, warnings are off in all of the process.

    Args:
        files: the path and the part of each.
        options: size, channels, fit and white, see `decode`.
    """
    size, channels, _, _ = options

    def read(piece: Sequence[tuple[Path, Crop | None]]) -> Decoded:
        pixels = np.zeros((len(piece), channels, size, size), np.uint8)
        reasons: list[str | None] = [None] * len(piece)
        for row, (path, crop) in enumerate(piece):
            if ended.is_set():  # nobody asks for more, as after Ctrl-C
                break
            result = try_reading(square, path, *options, crop)
            if isinstance(result, str):
                reasons[row] = result
            else:
                pixels[row] = result
        return Decoded(pixels, reasons)

    ended, workers = threading.Event(), usable_cores()
    # The filters of warnings belong to the process, so they are set once around all threads.
    with quiet(), ThreadPoolExecutor(workers) as pool:
        pieces = (files[start : start + _PIECE] for start in range(0, len(files), _PIECE))
        begun = (pool.submit(read, piece) for piece in pieces)
        waiting = deque(itertools.islice(begun, 2 * workers))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(itertools.islice(begun, 1))
        finally:
            ended.set()


class Small(NamedTuple):
    """A picture made small, and what its file is."""

    pixels: Pixels  # (S, S, 3), the whole, its sides made equal
    height: int  # of the upright picture, or of the part of it
    width: int
    mode: str  # as PIL calls it: RGB, L, RGBA, ...


def shrink(
    path: Path, side: int, less: int, white: White = UNKNOWN, crop: Crop | None = None
) -> Small:
    """Decode a file, or a part of it, to a small square, in threads: raises whatever PIL raises.

    Its sides are `less` pixels where one of the picture's own is smaller than `side`.
    """
    with open_image(path) as file:
        mode, (width, height) = file.mode, file.size
        if crop is not None:
            width, height = round(crop.width), round(crop.height)
        side = less if min(width, height) < side else side
        if crop is None:
            file.draft(None, (2 * side, 2 * side))
        upright = _cut(_upright(file, white), crop)
    if crop is None and (upright.width > upright.height) != (width > height):  # turned
        width, height = height, width
    flat = _flatten(upright).convert("RGB")
    square = flat.resize((side, side), Image.Resampling.BILINEAR)
    return Small(np.asarray(square), height, width, mode)


_FITS: dict[str, Callable[..., Image.Image]] = {
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
    "stretch": Image.Image.resize,
}


class Depth(NamedTuple):
    """How a file keeps its values."""

    kind: str = ""  # the field of `White` that it goes by; "" for 8 bits and fewer
    bits: int = 0  # of a whole number, as the file says; 0 where it does not
    inverted: bool = False  # whether 0 is white


def find_depth(file: ImageFile) -> Depth:
    """Say how a file that was opened, and not loaded, keeps its values."""
    tags = getattr(file, "tag_v2", {})  # of TIFF
    inverted = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    if file.mode == "F":
        return Depth("real", 0, inverted)
    if file.mode in DEEP_GREY_MODES:
        if file.format in _SCALED:
            return Depth("whole", 16)
        bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (0,)))
        return Depth("whole", bits if bits < 16 else 0, inverted)
    raw = next((tile.args for tile in file.tile), "")  # what the decoder reads
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    return Depth("color") if ";16" in str(raw) else Depth()


def _upright(file: ImageFile, white: White) -> Image.Image:
    """Return a file's picture, turned as EXIF says, with deeper values scaled to 8 bits.

    PIL's own conversion would clip or cut them.
    """
    depth = find_depth(file)
    image = ImageOps.exif_transpose(file)
    if not depth.kind:
        return image
    values = np.asarray(image).astype(np.float64)
    scale = _scale(depth, values, white)
    if depth.kind == "color":
        return image
    levels = np.rint(np.minimum(values, scale) * (255 / scale)).astype(np.uint8)
    return Image.fromarray(255 - levels if depth.inverted else levels)


def _cut(upright: Image.Image, crop: Crop | None) -> Image.Image:
    """Return a part of a picture, at least a pixel of it; the whole when None."""
    if crop is None:
        return upright
    left, top = round(crop.left), round(crop.top)
    right, bottom = round(crop.left + crop.width), round(crop.top + crop.height)
    return upright.crop((left, top, max(left + 1, right), max(top + 1, bottom)))


def _scale(depth: Depth, values: npt.NDArray[np.float64], white: White) -> float:
    """Return the value that is white; refuse what would turn into few levels, or none."""
    if bad := int((~np.isfinite(values)).sum()):
        raise DataError(f"{bad:,} of {values.size:,} pixels are NaN or infinite")
    low, high = values.min(), values.max()
    kind = depth.kind
    known: float | None = 2**depth.bits - 1 if depth.bits else getattr(white, kind)
    if kind == "color":
        if known is None and 0 < high < DARK / 256:
            raise DataError(
                f"16-bit color of at most {high / 255:.0%} of white: dark, or of fewer bits, of "
                "which 8 would be lost; save it as 8-bit color, scaled"
            )
        return 255
    most = known or (1 if kind == "real" else DEEPEST)
    hot = known is not None and kind == "whole" and (values > most).sum() <= most_hot(values.size)
    if not (low >= 0 and (hot or high <= most)):
        raise DataError(f"grey values from {low:g} to {high:g}, expected 0 to {most:g}")
    if known is None and kind == "whole" and 0 < high < DARK:
        raise DataError(
            f"16-bit grey of at most {high:,.0f}, all black or nearly if {most:,} is white, and "
            "nothing says what is; save it as 8 bits, scaled"
        )
    return most


def most_hot(size: int) -> int:
    """Return how many of a file's values may be beyond what is white: pixels that are stuck."""
    return max(_FEW_HOT, int(_HOT * size))


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
def quiet() -> Iterator[None]:
    """Silence PIL's warnings; the one about decompression bombs becomes an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


# What a trained network is given


def printable(path: Path | str) -> str:
    """Return a path that can be printed: bytes of an old encoding become replacement marks."""
    return os.fsencode(path).decode("utf-8", "replace")


class Given(NamedTuple):
    """An image file, or a part of it, that a network is asked about."""

    name: str  # as it is told
    path: Path
    crop: Crop | None = None


def list_inputs(paths: Sequence[Path]) -> list[Given]:
    """Return the files that may be images: those named, and those in folders and archives.

    Raises:
        DataError: a path is missing, or a folder has none.
    """
    missing = [printable(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"no such file or folder: {', '.join(missing)}")
    found: list[Given] = []
    for path in paths:
        root = unpacked(path) if is_archive(path) else path
        images = sorted(filter(is_candidate, walk(root))) if root.is_dir() else [path]
        if not images:
            raise DataError(f"no images in {path}; expected files such as .jpg and .png")
        found += [Given(printable(file), file) for file in images]
    return found


def read_squares(
    files: Sequence[Given],
    image_size: int,
    channels: int,
    say: Callable[[str], None],
    fit: str = "crop",
    white: White = UNKNOWN,
) -> Iterator[tuple[list[str], Pixels]]:
    """Yield names and images, uint8 (n, C, S, S), some at a time.

    Args:
        files: what is read.
        image_size: height and width of the result in pixels; see `decode`.
        channels: 1 (grey) or 3 (RGB).
        say: called with a line for each unreadable image.
        fit: as the run fits images into squares, see `decode`.
        white: as the run scaled deeper files, likewise.

    Raises:
        DataError: no image can be read.
    """
    any_found = False
    for start in track(range(0, len(files), _CHUNK), f"reading {len(files):,} images"):
        chunk = files[start : start + _CHUNK]
        found = decode_squares(
            [(each.path, each.crop) for each in chunk], (image_size, channels, fit, white)
        )
        parts, reasons = zip(*list(found), strict=True)
        pixels, why = np.concatenate(parts), list(itertools.chain(*reasons))
        for each, reason in zip(chunk, why, strict=True):
            if reason is not None:
                say(f"skipped: {_complain(each.path, reason)}")
        kept = [row for row, reason in enumerate(why) if reason is None]
        if kept:
            any_found = True
            yield [chunk[row].name for row in kept], pixels[kept]
    if not any_found:
        raise DataError(f"none of the {len(files)} file(s) is an image that can be read")
