"""Images in files of arrays: IDX (as MNIST comes), CIFAR-10's batches, NumPy's and MATLAB's files.

Nothing in them is run: no pickle is loaded, and CIFAR's Python batches, which are pickles, are only
searched for their strings and numbers. What a header announces is compared with the size of its
file before memory is taken for it.
"""

import contextlib
import gzip
import math
import pickletools
import re
import struct
import tokenize
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.errors import DataError
from common.io.unpack import ARCHIVE, most_unpacked, unpacked
from common.metrics.metrics import Array

CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)

_IDX_NAME = re.compile(r"(?:(.+)[-_.])?(images|labels)[-_.]idx\d[-_.]\w+(?:\.gz)?", re.IGNORECASE)
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BATCH_NAME = re.compile(r"(data|test)_batch(?:_\d+)?(\.bin)?")
_BINARY = "get it again, or the binary version, data_batch_1.bin and so on"
_IMAGE_BYTES = 3 * 32 * 32  # of CIFAR
_NUMBERS = ("BININT", "BININT1", "BININT2", "INT", "LONG1")  # a pickle's opcodes
_KINDS = {  # what arrays are called in an .npz, beside a part of a split: x_train, val_labels
    **dict.fromkeys(("x", "images", "image", "pixels", "data"), "images"),
    **dict.fromkeys(("y", "labels", "label", "targets", "target"), "labels"),
}

_CHUNK = 1 << 20  # bytes
_ROWS = 256  # images that are looked at together

_UNREADABLE = (
    *(gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError),
    *(SyntaxError, tokenize.TokenError),  # NumPy parses headers as Python's literals
)


class Part(NamedTuple):
    """A part of a split."""

    pixels: npt.NDArray[np.uint8]  # (N, C, S, S); C is 1 (grey) or 3 (RGB)
    labels: Array | None  # (N,) int64 or text; None where there are none


class Arrays(NamedTuple):
    """What a file or folder holds."""

    parts: dict[str, Part]
    """`all`, or `train` and whichever others there are; all with labels or all without."""
    names: tuple[str, ...] = ()  # of the classes, by their numbers; () where the files do not say
    skipped: tuple[tuple[str, str], ...] = ()  # (name, reason) of arrays that were left out


class _Found(NamedTuple):
    place: str
    values: Array


_Parts = dict[str, dict[str, _Found]]  # of each part, `images` and `labels`
_Contents = tuple[_Parts, tuple[str, ...], tuple[tuple[str, str], ...]]  # as in `Arrays`


def holds_arrays(path: Path) -> bool:
    """Say whether `read_arrays` is the way to read a file or folder, by its names alone."""
    if path.is_dir():
        return bool(find_arrays(path))
    return path.suffix.lower() in (".npy", ".npz", ".mat") or _named(path, ARCHIVE, _IDX_NAME)


def read_arrays(path: Path, parts: Mapping[str, str]) -> Arrays:
    """Read images, and their labels if there are any.

    A folder holds IDX files (`train-images-idx3-ubyte`, with dots or dashes, packed by gzip or not)
    or CIFAR-10's batches, of the binary or the Python version; also one level below, as torchvision
    keeps them (`MNIST/raw`), and in an archive, which is unpacked into the cache. An .npz holds
    arrays called `x_train` and `y_train`, `train_images` and `train_labels`, or `images` and
    `labels`, or one array of any name; an .npy images alone. A .mat (of MATLAB before 7.3) is as an
    .npz, and its images may also be numbered last: (H, W, C, N), as those of SVHN.

    Images are (N, H, W), (N, H, W, C) or (N, C, H, W): whole numbers from 0 to 255, booleans, or
    floats from 0 to 1 or from 0 to 255. Of those that are not square, the square in the centre is
    taken, as `common.images.decode.decode` does. Labels are (N,) or (N, 1), whole numbers or text.

    Args:
        path: the file, folder or archive.
        parts: what a part of a split may be called in names, and what it is.

    Raises:
        DataError: the path holds nothing of the kind, or what it holds is damaged or cannot be
            images and their labels.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist")
    with _readable(path):
        found, names, skipped = _read(path, parts)
    return Arrays(_checked(found, path), names, skipped)


def _read(path: Path, parts: Mapping[str, str]) -> _Contents:
    if path.is_dir():
        return _read_folder(path, parts)
    if path.suffix.lower() == ".npz":
        return _read_npz(path, parts)
    if path.suffix.lower() == ".mat":
        return _read_mat(path, parts)
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file:
            values = _read_npy(file, path.stat().st_size, str(path))
        return {"all": {"images": _Found(str(path), values)}}, (), ()
    if _named(path, ARCHIVE):
        return _read_folder(unpacked(path), parts, path)
    if _named(path, _IDX_NAME):
        raise DataError(f"{path} is one of several files; name the folder that they are in")
    raise DataError(
        f"{path}: expected .npz, .npy, .mat, an archive, or a folder with IDX files or CIFAR-10's "
        "batches"
    )


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged ({reason}); get it again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _named(path: Path, *patterns: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(path.name) for pattern in patterns)


# Folders


def find_arrays(root: Path) -> list[Path]:
    """Return the folder if it holds IDX files or CIFAR-10's batches, else those below that do."""
    if _array_files(root):
        return [root]
    below = {root / "raw", *root.glob("*/raw"), *root.glob("cifar-10-batches-*")}
    return sorted(place for place in below if _array_files(place))


def _array_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if _named(path, _IDX_NAME, _BATCH_NAME))
    return sorted(path for path in files if path.is_file())


def _read_folder(root: Path, parts: Mapping[str, str], archive: Path | None = None) -> _Contents:
    origin = archive or root
    folders = find_arrays(root)
    if not folders:
        raise DataError(
            f"{origin} has no files of arrays: expected IDX files such as train-images-idx3-ubyte "
            "and train-labels-idx1-ubyte, or CIFAR-10's data_batch_1.bin and so on"
        )
    if len(folders) > 1:
        names = ", ".join(folder.relative_to(root).as_posix() for folder in folders)
        raise DataError(f"{origin} holds several sets; name the folder of one of them: {names}")
    files = _array_files(folders[0])
    idx = [path for path in files if _named(path, _IDX_NAME)]
    if idx and len(idx) < len(files):
        raise DataError(f"{folders[0]} holds both IDX files and CIFAR-10's batches; separate them")
    if idx:
        return _read_idx_files(idx, parts), (), ()
    return _read_batches(files), CIFAR10, ()


# IDX (LeCun, Cortes and Burges, "The MNIST database of handwritten digits")


def _read_idx_files(paths: Sequence[Path], parts: Mapping[str, str]) -> _Parts:
    found: _Parts = {}
    sets = set()
    # Where a file stands there both packed and unpacked, as torchvision leaves them: unpacked.
    for path in sorted(paths, key=lambda path: path.suffix.lower() == ".gz"):
        match = _IDX_NAME.fullmatch(path.name)
        assert match
        front, _, last = (match[1] or "").lower().replace("_", "-").rpartition("-")
        part = {**parts, "t10k": "test"}.get(last)
        sets.add(front if part else f"{front}-{last}")
        kinds = found.setdefault(part or "all", {})
        if match[2].lower() not in kinds:
            kinds[match[2].lower()] = _Found(str(path), _read_idx(path))
    if len(sets) > 1:
        listed = ", ".join(path.name for path in paths)
        raise DataError(f"{paths[0].parent} holds several sets; move one elsewhere: {listed}")
    return found


def _read_idx(path: Path) -> Array:
    size = path.stat().st_size
    with _readable(path), path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream: Any = gzip.GzipFile(fileobj=file) if packed else file
        start = stream.read(4)
        number = start[3] if len(start) == 4 else 0
        if start[:2] != b"\0\0" or start[2] not in _IDX_TYPES or not 1 <= number <= 4:
            given = start.hex(" ") or "nothing"
            raise DataError(
                f"{path} begins with {given}, an IDX file with 00 00 08 03 (images) or 00 00 08 01 "
                "(labels); get it again"
            )
        dimensions = stream.read(4 * number)
        if len(dimensions) < 4 * number:
            raise DataError(f"{path} ends within its header; get it again")
        shape = struct.unpack(f">{number}I", dimensions)
        dtype = np.dtype(_IDX_TYPES[start[2]])
        wanted = math.prod(shape) * dtype.itemsize
        announced = f"{path} announces {_times(shape)} values in {wanted:,} bytes"
        if wanted > (most_unpacked(size) if packed else size):
            raise DataError(f"{announced}, more than its {size:,} bytes can hold; get it again")
        data = bytearray()
        while chunk := stream.read(min(_CHUNK, wanted + 1 - len(data))):
            data += chunk
    if len(data) != wanted:
        holds = f"only {len(data):,}" if len(data) < wanted else "more"
        raise DataError(f"{announced} and holds {holds}; get it again")
    return np.frombuffer(data, dtype).reshape(shape)


def _times(shape: Sequence[int]) -> str:
    return " x ".join(f"{side:,}" for side in shape)


# CIFAR-10 (Krizhevsky 2009, "Learning multiple layers of features from tiny images")


def _read_batches(paths: Sequence[Path]) -> _Parts:
    if len({path.suffix for path in paths}) > 1:
        raise DataError(
            f"{paths[0].parent} holds CIFAR-10's binary and Python batches; separate them"
        )
    batches: dict[str, list[tuple[Array, Array]]] = {}
    for path in paths:
        read = _read_binary_batch if path.suffix == ".bin" else _read_python_batch
        part = "test" if path.name.startswith("test") else "train"
        pixels, labels = read(path)
        if labels.max() >= len(CIFAR10):
            row = int(labels.argmax())
            raise DataError(f"{path}: image {row} has the label {labels[row]}, expected 0 to 9")
        batches.setdefault(part, []).append((pixels, labels))
    found = {}
    for part, each in batches.items():
        pixels, labels = (np.concatenate(values) for values in zip(*each, strict=True))
        place = f"{paths[0].parent}, {part}"
        images = _Found(place, pixels.reshape(-1, 3, 32, 32))
        found[part] = {"images": images, "labels": _Found(place, labels)}
    return found


def _read_binary_batch(path: Path) -> tuple[Array, Array]:
    data, size = np.frombuffer(path.read_bytes(), np.uint8), 1 + _IMAGE_BYTES
    if not len(data) or len(data) % size:
        given = f"{len(data):,} bytes, expected {size:,} for each image"
        raise DataError(f"{path} has {given}; get it again")
    rows = data.reshape(-1, size)
    return rows[:, 1:], rows[:, 0]


def _read_python_batch(path: Path) -> tuple[Array, Array]:
    """Read a batch as its opcodes say, without unpickling it.

    A batch is a dict; the text after the key `data` has the pixels, and the numbers after the key
    `labels` the classes.
    """
    pixels, labels, key = b"", list[int](), ""
    try:
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if isinstance(argument, str | bytes | bytearray) and opcode.name != "GLOBAL":
                if key == "data" and len(argument) >= _IMAGE_BYTES:
                    raw = argument.encode("latin-1") if isinstance(argument, str) else argument
                    pixels, key = bytes(raw), ""
                elif argument in ("data", "labels", b"data", b"labels"):
                    key = argument if isinstance(argument, str) else bytes(argument).decode()
                elif key == "labels" and labels:
                    key = ""
            elif key == "labels" and isinstance(argument, int) and opcode.name in _NUMBERS:
                labels.append(argument)
    except ValueError as error:
        problem = f"is not one of CIFAR-10's Python batches ({error})"
        raise DataError(f"{path} {problem}; {_BINARY}") from error
    if not pixels or len(pixels) != _IMAGE_BYTES * len(labels) or min(labels) < 0:
        given = f"{len(pixels):,} bytes of pixels and {len(labels):,} labels"
        raise DataError(f"{path} has {given}, expected {_IMAGE_BYTES:,} for each; {_BINARY}")
    return np.frombuffer(pixels, np.uint8).reshape(-1, _IMAGE_BYTES), np.array(labels)


# NumPy


def _read_npz(path: Path, parts: Mapping[str, str]) -> _Contents:
    found: _Parts = {}
    skipped = []
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        for name, info in members.items():
            part, kind = _part_and_kind(name, parts) if len(members) > 1 else ("all", "images")
            if not kind:
                skipped.append((name, "neither images nor labels, by its name"))
                continue
            place = f"{path}, {name}"
            if kind in found.get(part, {}):
                raise DataError(f"{place}: these are the {kind} of {part}, as are others; keep one")
            # zipfile reads the others without a bound on what a chunk of them swells to.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{place} is not packed by deflate; save it again")
            if info.file_size > most_unpacked(info.compress_size):
                raise DataError(f"{place} unpacks to {info.file_size:,} bytes, beyond reason")
            with archive.open(info) as file:
                found.setdefault(part, {})[kind] = _Found(
                    place, _read_npy(file, info.file_size, place)
                )
    if not any("images" in kinds for kinds in found.values()):
        raise DataError(
            f"{path} has no images under a name that says so; it has {', '.join(members) or 'none'}"
            ", expected x_train and y_train, train_images and train_labels, or images and labels"
        )
    return found, (), tuple(skipped)


def _read_mat(path: Path, parts: Mapping[str, str]) -> _Contents:
    from scipy import io

    found: _Parts = {}
    skipped = []
    try:
        announced = io.whosmat(path)
        size = sum(8 * math.prod(shape) for _, shape, _ in announced)
        if size > most_unpacked(path.stat().st_size):
            raise DataError(f"{path} announces {size:,} bytes, beyond reason; get it again")
        variables = io.loadmat(path)
    except NotImplementedError as error:  # by which SciPy refuses HDF5, in which 7.3 writes
        raise DataError(f"{path} is of MATLAB 7.3; save it with -v7") from error
    except (io.matlab.MatReadError, TypeError) as error:
        raise DataError(f"{path} is no file of MATLAB that can be read: {error}") from error
    for name, _, _ in announced:
        part, kind = _part_and_kind(name, parts) if len(announced) > 1 else ("all", "images")
        values = variables[name]
        if not kind or values.dtype.kind not in "buifU":
            skipped.append((name, "neither images nor labels"))
            continue
        if kind in found.get(part, {}):
            raise DataError(f"{path}, {name}: these are the {kind} of {part}, as are others")
        values = _number_first(values) if kind == "images" else values.reshape(-1)
        found.setdefault(part, {})[kind] = _Found(f"{path}, {name}", values)
    if not any("images" in kinds for kinds in found.values()):
        names = ", ".join(name for name, _, _ in announced) or "none"
        raise DataError(f"{path} has no images under a name such as X or images; it has {names}")
    return found, (), tuple(skipped)


def _number_first(values: Array) -> Array:
    """Return images that MATLAB numbers along the last axis by the first: those of equal sides."""
    last = values.ndim in (3, 4) and values.shape[0] == values.shape[1] != values.shape[-1]
    if last and (values.ndim == 3 or values.shape[2] in (1, 3)):
        return np.moveaxis(values, -1, 0)
    return values


def _part_and_kind(name: str, parts: Mapping[str, str]) -> tuple[str, str]:
    """Return what a name says: ("train", "images") for X_train; the kind is "" where it doesn't."""
    words = name.lower().split("_")
    part = next((parts[word] for word in words if word in parts), "all")
    rest = [word for word in words if word not in parts]
    known = len(rest) == 1 and len(words) <= 2
    return part, _KINDS.get(rest[0], "") if known else ""


def _read_npy(file: IO[bytes], size: int, place: str) -> Array:
    """Read an array of numbers or text from a file of `size` bytes."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise DataError(f"{place} is of the format's version {version}; save it again as numbers")
    shape, _, dtype = readers[version](file)
    if dtype.kind not in "buifU":
        objects = "Python objects, which are not read, since they could run code"
        raise DataError(
            f"{place} holds {objects if dtype.hasobject else dtype}; save one array of numbers, "
            "with all images of one size"
        )
    wanted, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if wanted != there:
        raise DataError(
            f"{place} announces {_times(shape)} values in {wanted:,} bytes and holds {there:,}; "
            "get it again"
        )
    file.seek(0)
    values: Array = np.lib.format.read_array(file, allow_pickle=False)
    return values


# Checks


def _checked(found: _Parts, path: Path) -> dict[str, Part]:
    """Return arrays as images and labels, or say what is wrong with them."""
    if len(found) > 1 and "train" not in found:
        raise DataError(f"{path} has {', '.join(found)}, and no train")
    if len(found) > 1 and "all" in found:
        extra = ", ".join(each.place for each in found["all"].values())
        raise DataError(f"{path} has parts, and what belongs to none: {extra}; remove it")
    for part, kinds in found.items():
        if "images" not in kinds:
            raise DataError(f"{path} has labels for {part}, and no images")
    images = [kinds["images"] for kinds in found.values()]
    pixels = _eight_bits([_Found(each.place, _squares(each)) for each in images])
    labels = _labels(found, path)
    order = [part for part in ("all", "train", "validation", "test") if part in found]
    by_part = dict(zip(found, map(Part, pixels, labels), strict=True))
    return {part: by_part[part] for part in order}


def _squares(found: _Found) -> Array:
    """Return images as (N, C, S, S): the square in the centre of each."""
    place, values = found
    if values.dtype.kind not in "buif":
        raise DataError(f"{place} holds text, expected the images' pixels")
    first, last = (values.ndim == 4 and values.shape[axis] in (1, 3) for axis in (1, 3))
    grey = values.ndim == 3 and values.shape[2] not in (1, 3)  # else it is a single image
    if not grey and first == last:
        raise DataError(
            f"{place} is of shape {values.shape}; expected (images, height, width), or the same "
            "with 1 or 3 channels at the end or after the images"
        )
    if not values.size:
        raise DataError(f"{place} is empty: it is of shape {values.shape}")
    pixels = values[:, None] if grey else values if first else np.moveaxis(values, 3, 1)
    side = min(pixels.shape[2:])
    top, left = ((length - side) // 2 for length in pixels.shape[2:])
    return pixels[:, :, top : top + side, left : left + side]


def _eight_bits(images: Sequence[_Found]) -> list[npt.NDArray[np.uint8]]:
    """Scale the images of all parts to uint8, all in the same way."""
    place, values = images[0]
    for each in images[1:]:
        if each.values.shape[1:] != values.shape[1:]:
            sizes = [_times(one.values.shape[1:]) for one in (images[0], each)]
            raise DataError(
                f"{each.place} has images of {sizes[1]} (channels, height, width), {place} of "
                f"{sizes[0]}; make them of one size"
            )
        if each.values.dtype.kind != values.dtype.kind:
            raise DataError(
                f"{each.place} holds {each.values.dtype}, {place} {values.dtype}; save both alike"
            )
    if values.dtype.kind == "f":  # before min and max, which NaN would pass through
        for each in images:
            _check_finite(each)
    low = float(min(each.values.min() for each in images))
    high = float(max(each.values.max() for each in images))
    scale = _scale(values.dtype.kind, low, high)
    if scale is None:
        raise DataError(
            f"{place} has {values.dtype} pixels from {low:g} to {high:g}; expected whole numbers "
            "or floats from 0 (black) to 255 (white), floats from 0 to 1, or booleans"
        )
    return [_to_eight_bits(each.values, scale) for each in images]


def _scale(kind: str, low: float, high: float) -> int | None:
    """Return the factor from pixels to 0..255; None where they would be out of it, or all black."""
    match kind:
        case "b":
            return 255
        case "u" | "i" if low >= 0 and high <= 255 and high != 1:
            return 1
        case "f" if low >= 0 and high <= 1:
            return 255
        case "f" if low >= 0 and 2 <= high <= 255:
            return 1
    return None


def _to_eight_bits(values: Array, scale: int) -> npt.NDArray[np.uint8]:
    pixels = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        exact = values.dtype == np.uint8 and scale == 1
        pixels[rows] = values[rows] if exact else np.rint(values[rows].astype(np.float64) * scale)
    return pixels


def _check_finite(found: _Found) -> None:
    place, values = found
    pieces = (values[start : start + _ROWS] for start in range(0, len(values), _ROWS))
    bad = np.concatenate([(~np.isfinite(piece)).sum(axis=(1, 2, 3)) for piece in pieces])
    if rows := np.flatnonzero(bad).tolist():
        listed = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        raise DataError(
            f"{place} has {bad.sum():,} pixels that are NaN or infinite, in {len(rows):,} of "
            f"{len(values):,} images (counted from 0: {listed}); correct or remove them"
        )


def _labels(found: _Parts, path: Path) -> list[Array | None]:
    given = {part: kinds.get("labels") for part, kinds in found.items()}
    if not any(given.values()):
        return [None] * len(found)
    labels: list[Array | None] = []
    for part, each in given.items():
        if each is None:
            raise DataError(
                f"{path} has labels, but none for {part}; add them or remove the others"
            )
        labels.append(_label_values(each, len(found[part]["images"].values)))
    if len({each.dtype.kind for each in labels if each is not None}) > 1:
        raise DataError(f"{path} has labels that are numbers and others that are text; use one")
    return labels


def _label_values(found: _Found, number: int) -> Array:
    place, values = found
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (number,):
        raise DataError(
            f"{place} has labels of shape {values.shape}, expected ({number},), one number or text "
            "for each image"
        )
    if values.dtype.kind == "U":
        return np.array([unicodedata.normalize("NFC", text.strip()) for text in values.tolist()])
    whole = (np.abs(values) < 2.0**53) & (values == np.rint(values))
    if values.dtype.kind == "f" and not whole.all():
        row = int(whole.argmin())
        raise DataError(f"{place}: label {row} is {values[row]}, expected whole numbers or text")
    return values.astype(np.int64)
