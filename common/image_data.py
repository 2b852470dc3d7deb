"""A config's images, split, with a card that says what they are, for the labs that take images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from common import images, jobs
from common.config import ImageConfig, nearest
from common.data import sample_rows, split_rows
from common.errors import DataError
from common.images import ImageSet

_DEFAULT_SIZE = 64  # pixels: of a user's images, and of any image that was made a color image
_STATISTICS_SAMPLE = 2000  # images whose pixels give the mean and the standard deviation


@dataclass(frozen=True)
class ImageCard(jobs.Card):
    """What a run needs to know of its data without having it; kept as data.json.

    Attributes:
        classes: names; () for numeric targets.
        channels: 1 (grey) or 3 (color).
        image_size: height and width in pixels.
        mean: of the training split's pixels in [0, 1], for each channel.
        std: standard deviation likewise.
        copies: test images that are pixel for pixel also in the training split; None when not
            looked for.
    """

    classes: tuple[str, ...]
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    copies: int | None


def load(
    config: ImageConfig, *, color: bool = False, numeric: bool = False
) -> tuple[dict[str, ImageSet], ImageCard]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Args:
        config: names the set.
        color: grey images are made color ones, and when no size is given, of at least 64 pixels.
        numeric: targets are numbers, not classes, as only a table has them.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    found = _find(config, color, numeric)
    parts = found.parts
    if config.limit is not None:
        total = sum(map(len, parts.values()))
        parts = {
            name: part.select(
                sample_rows(part.targets, config.limit * len(part) // total, config.split_seed)
            )
            for name, part in parts.items()
        }
    total = sum(map(len, parts.values()))
    splits = _split(parts, config.split_seed)
    train = splits["train"]
    mean, std = _statistics(train)
    card = ImageCard(
        source=found.source if config.limit is None else f"{found.source}, {total:,} of them used",
        classes=found.classes,
        channels=train.images.shape[1],
        image_size=train.images.shape[2],
        mean=mean,
        std=std,
        counts={name: len(part) for name, part in splits.items()},
        copies=_copies(train, splits["test"]),
        skipped=found.skipped,
        fingerprint=images.fingerprint(*splits.values()),
    )
    return splits, card


def is_path(data: str) -> bool:
    """Say whether `--data` names a folder or file, not an embedded set."""
    return data not in images.EMBEDDED


def _find(config: ImageConfig, color: bool, numeric: bool) -> images.Images:
    if not is_path(config.data):
        return _embedded(config, color, numeric)
    path = Path(config.data).expanduser()
    size, channels = config.image_size or _DEFAULT_SIZE, 3 if color else None
    decoding: Any = config.decoding
    if not path.exists():
        raise DataError(
            f"--data {config.data}: no such folder or CSV file, and no embedded set; "
            f"embedded: {', '.join(images.EMBEDDED)}{nearest(config.data, images.EMBEDDED)}"
        )
    if path.is_dir():
        return images.load_folder(path, size, channels, decoding)
    return images.load_csv(
        path, size, channels, config.path_column, config.label_column, numeric, decoding
    )


def _embedded(config: ImageConfig, color: bool, numeric: bool) -> images.Images:
    """Load an embedded set, scaled and colored as asked; numeric losses take digits as numbers."""
    found = images.load_embedded(config.data)
    [part] = found.parts.values()
    pixels, targets = part.images, part.targets
    assert isinstance(pixels, Tensor)
    size = config.image_size or (max(_DEFAULT_SIZE, pixels.shape[2]) if color else pixels.shape[2])
    if size != pixels.shape[2]:
        scaled = functional.interpolate(
            pixels.float(), (size, size), mode="bilinear", antialias=True
        )
        pixels = scaled.round().clamp(0, 255).to(torch.uint8)
    if color:
        pixels = pixels.expand(-1, 3, -1, -1)
    part = ImageSet(pixels, targets.float() if numeric else targets, part.names)
    return images.Images({"all": part}, () if numeric else found.classes, (), found.source)


def _split(parts: dict[str, ImageSet], seed: int) -> dict[str, ImageSet]:
    """Cut the parts that are missing out of the one that there is."""
    whole = parts.get("all") or parts["train"]
    fractions = {"validation": 0.1, "test": 0.2}
    missing = {name: 0.0 if name in parts else fraction for name, fraction in fractions.items()}
    rows = split_rows(whole.targets, seed, **missing)
    cut = {
        name: whole.select(piece) for name, piece in zip(("train", *fractions), rows, strict=True)
    }
    return {name: parts[name] if name in fractions and name in parts else cut[name] for name in cut}


def _statistics(train: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, over a fixed sample of a large split."""
    step = max(1, len(train) // _STATISTICS_SAMPLE)
    pixels = torch.stack([train.images[row] for row in range(0, len(train), step)]).double() / 255
    std, mean = torch.std_mean(pixels, dim=(0, 2, 3), correction=0)
    return tuple(mean.tolist()), tuple(std.clamp(min=1 / 255).tolist())


def _copies(train: ImageSet, test: ImageSet) -> int | None:
    if not isinstance(train.images, Tensor) or not isinstance(test.images, Tensor):
        return None
    known = {image.numpy().tobytes() for image in train.images}
    return sum(image.numpy().tobytes() in known for image in test.images)


def pixel_rows(part: ImageSet, side: int | None = None) -> npt.NDArray[np.float32]:
    """Return the images as rows of numbers in [0, 1], (N, pixels), for models that take vectors.

    Args:
        part: the images.
        side: height and width to which larger images are shrunk.
    """
    return np.concatenate([_row(chunk, side) for chunk in _chunks(part)])


def _chunks(part: ImageSet, size: int = 256) -> Iterator[Tensor]:
    for start in range(0, len(part), size):
        rows = range(start, min(start + size, len(part)))
        yield torch.stack([part.images[row] for row in rows])


def _row(chunk: Tensor, side: int | None) -> npt.NDArray[np.float32]:
    pixels = chunk.float() / 255
    if side is not None and side < chunk.shape[2]:
        pixels = functional.adaptive_avg_pool2d(pixels, side)
    rows: npt.NDArray[np.float32] = pixels.flatten(1).numpy()
    return rows
