"""Images that a user points at: rows of the test split, and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from common.errors import ConfigError, DataError
from common.images.decode import decode, printable
from common.images.load import ImageCard
from common.images.sets import ImageSet
from labs.autoencoder.views.material import Material

_UNKNOWN = -1  # for the number of a class


class Referred(NamedTuple):
    """Images that were pointed at."""

    names: tuple[str, ...]  # n of them: of the test split its own, of files their paths
    images: Tensor  # uint8 (n, C, S, S)
    classes: Tensor  # int64 (n,), -1 where none is known, as of files


def resolve(material: Material, references: Sequence[str]) -> Referred:
    """Return the images that are pointed at, in that order.

    Digits alone are a row of the test split, counted from 0; all else is the path of an image file
    (`./12` is one too).

    Raises:
        ConfigError: there is no such row, or a conditional model is given a file, of which it
            would have to know the class.
        DataError: there is no such file, or it is no image.
    """
    test = material.splits["test"]
    rows = [int(text) if text.isdecimal() else None for text in references]
    _check(material, references, rows)
    card, fit = material.job.card, material.job.config.fit
    found = [
        _file(text, card, fit) if row is None else _row(test, row, card)
        for text, row in zip(references, rows, strict=True)
    ]
    names, images, classes = zip(*found, strict=True)
    return Referred(names, torch.stack(images), torch.tensor(classes))


def _file(text: str, card: ImageCard, fit: str) -> tuple[str, Tensor, int]:
    image = decode(Path(text), card.image_size, card.channels, fit, card.scale)
    return printable(text), image, _UNKNOWN


def _row(test: ImageSet, row: int, card: ImageCard) -> tuple[str, Tensor, int]:
    image, target = test[row]
    return test.names[row], image, int(target) if card.classes else _UNKNOWN


def _check(material: Material, references: Sequence[str], rows: Sequence[int | None]) -> None:
    """Raise if one of the references leads nowhere."""
    count = len(material.splits["test"])
    out = [str(row) for row in rows if row is not None and row >= count]
    if out:
        raise ConfigError(
            f"no row {', '.join(out)} in the test split; its {count:,} rows are 0 to {count - 1}"
        )
    files = [text for text, row in zip(references, rows, strict=True) if row is None]
    missing = [printable(text) for text in files if not Path(text).is_file()]
    if missing:
        raise DataError(
            f"no such file: {', '.join(missing)}; expected an image file, or a row of the test "
            f"split, 0 to {count - 1}"
        )
    if files and material.job.model.conditional:
        raise ConfigError(
            f"{printable(files[0])}: a {material.job.config.model} has to know the class of an "
            f"image; give rows of the test split, 0 to {count - 1}"
        )
