"""The images that a user gives to a trained run: files, and folders of them."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from common.errors import DataError
from common.images.decode import SUFFIXES, decode

_CHUNK = 256  # images decoded at a time


def read_images(
    paths: Sequence[Path],
    image_size: int,
    channels: int,
    say: Callable[[str], None],
    fit: str = "crop",
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield names and images, uint8 (n, C, S, S), some at a time.

    Args:
        paths: files and folders.
        image_size: height and width of the result in pixels; see `decode`.
        channels: 1 (grey) or 3 (RGB).
        say: called with a line for each unreadable image.
        fit: as the run fits images into squares, see `decode`.

    Raises:
        DataError: a path is missing, a folder has no images, or no image can be read.
    """
    files = list(_files(paths))
    found = 0
    for start in range(0, len(files), _CHUNK):
        names, pixels = [], []
        for file in files[start : start + _CHUNK]:
            try:
                pixels.append(decode(file, image_size, channels, fit))
                names.append(printable(file))
            except DataError as error:
                say(f"skipped: {error}")
        found += len(names)
        if names:
            yield names, torch.stack(pixels)
    if not found:
        raise DataError(f"none of the {len(files)} file(s) is an image that can be read")


def printable(path: Path | str) -> str:
    """Return a path that can be printed: bytes of an old encoding become replacement marks."""
    return os.fsencode(path).decode("utf-8", "replace")


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    missing = [printable(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"no such file or folder: {', '.join(missing)}")
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else []
        images = [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
        if path.is_dir() and not images:
            raise DataError(f"no images in {path}; expected files such as .jpg and .png")
        yield from images if path.is_dir() else [path]
