"""The samples of data as people see them, by their names, and what each is known by."""

import io
from abc import ABC, abstractmethod

from PIL import Image
from torch import Tensor

from common.cleaning.patch import fingerprint
from common.errors import DataError
from common.images.decode import UNKNOWN, White, decode
from common.images.listed import ListedFile
from common.images.load import find_arrays, find_files
from common.options.config import ImageConfig, Kind
from common.report.html import data_url

_SIDE = 192  # pixels of a picture of a file


class Samples(ABC):
    """The samples of data by their names."""

    @abstractmethod
    def fingerprint(self, name: str) -> str:
        """Return what the content of a sample is known by; "" where its name is the content."""

    @abstractmethod
    def picture(self, name: str) -> str:
        """Return a picture of a sample as a `data:` URL; "" where its name says all."""


class Texts(Samples):
    """Texts, which are called what they are."""

    def fingerprint(self, name: str) -> str:
        """Return nothing."""
        return ""

    def picture(self, name: str) -> str:
        """Return nothing."""
        return ""


class Images(Samples):
    """The images of a config, in files or arrays.

    Args:
        config: names the set.
        kind: what an image shows.
        white: what is white in files of more than 8 bits.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """

    def __init__(self, config: ImageConfig, kind: Kind, white: White = UNKNOWN):
        self._data, self._white = config.data, white
        self._files: dict[str, ListedFile] = {}
        self._arrays: dict[str, Tensor] = {}
        listed = find_files(config, kind, "required")
        if listed is not None:
            self._files = {file.name: file for file in listed.files}
            return
        for part in find_arrays(config).parts.values():
            self._arrays |= {name: part.images[row] for row, name in enumerate(part.names)}

    def fingerprint(self, name: str) -> str:
        """Return that of the whole file, or of the pixels as an array has them."""
        if (file := self._files.get(name)) is not None:
            try:
                return fingerprint(file.path.read_bytes())
            except OSError as error:
                raise DataError(f"cannot read {file.path}: {error.strerror}") from error
        return fingerprint(self._pixels(name).numpy().tobytes())

    def picture(self, name: str) -> str:
        """Return the image, or the crop of it, as a whole; small ones pixel for pixel."""
        buffer = io.BytesIO()
        if (file := self._files.get(name)) is not None:
            pixels = decode(file.path, _SIDE, 3, "pad", self._white, file.crop)
            _as_picture(pixels).save(buffer, "jpeg", quality=85)
            return data_url("jpeg", buffer.getvalue())
        _as_picture(self._pixels(name)).save(buffer, "png")
        return data_url("png", buffer.getvalue())

    def _pixels(self, name: str) -> Tensor:
        if (pixels := self._arrays.get(name)) is None:
            raise DataError(
                f"--data {self._data} has no {name!r} any more: put it back, or cross-validate "
                "again"
            )
        return pixels


def _as_picture(pixels: Tensor) -> Image.Image:
    """Return uint8 (C, H, W), of one channel or three, as a picture."""
    array = pixels.permute(1, 2, 0).numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
