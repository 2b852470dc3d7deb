"""All pictures of a set, made small and measured, whether or not they could be split or learned."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.explore.copies import SIDE
from common.explore.samples import in_order
from common.images import decode
from common.images.decode import UNKNOWN, Crop, White
from common.images.files import measure_depths
from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.options.terminal import Bar
from common.threads import usable_cores

_CHUNK = 256  # files given to the threads at once
_LARGER = 64  # pixels of a side from which larger pictures are measured

Labels = tuple[str, ...]


class Source(NamedTuple):
    """A picture before it is opened."""

    name: str
    part: str  # train, validation, test, or all
    labels: Labels  # its class, or any number of labels; () for none
    path: Path | None = None
    number: float | None = None  # where it shows a number, in place of classes
    crop: Crop | None = None  # the part of the file that it is; the whole when None


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of a set, N of them that can be read."""

    sources: list[Source]
    small: Tensor  # uint8 (N, 3, 32, 32), each whole, its sides made equal
    columns: dict[str, Array]  # what was measured of each, (N,), by its name
    modes: list[str]
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # (name, why)
    pixels: Tensor | None = None  # uint8 (N, C, H, W) of those that are in no files

    def __len__(self) -> int:
        """Return their number."""
        return len(self.sources)

    @property
    def parts(self) -> list[str]:
        """The parts that there are, in the usual order."""
        return in_order({source.part for source in self.sources})

    def rows_of(self, part: str) -> Array:
        """Return the rows of a part."""
        return np.flatnonzero([source.part == part for source in self.sources])

    @property
    def photos(self) -> int:
        """The number of files that pictures are parts of; 0 where they are not parts."""
        return len({source.path for source in self.sources if source.crop is not None})

    def square(self, row: int, side: int) -> Array:
        """Return a picture as it is to be drawn, uint8 (S, S, 3), the whole with bars beside it."""
        source = self.sources[row]
        if source.path is not None:
            pixels = decode.square(source.path, side, 3, "pad", crop=source.crop)
            return pixels.transpose(1, 2, 0)
        assert self.pixels is not None
        picture = self.pixels[row].numpy()
        return np.broadcast_to(picture.transpose(1, 2, 0), (*picture.shape[1:], 3))


def read_pictures(sources: Sequence[Source], bar: Bar) -> Pictures:
    """Decode and measure the files of pictures in threads; what cannot be read is named."""
    white = measure_depths([Path(str(source.path)) for source in sources]).white
    small = torch.empty(len(sources), 3, SIDE, SIDE, dtype=torch.uint8)
    kept: list[Source] = []
    unreadable, modes, rows = [], [], []
    with decode.quiet(), ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(sources), _CHUNK):
            chunk = sources[start : start + _CHUNK]
            results = pool.map(
                lambda each: decode.try_reading(_measure, each.path, white, each.crop), chunk
            )
            for source, result in zip(chunk, results, strict=True):
                if isinstance(result, str):
                    unreadable.append((source.name, result))
                    continue
                small[len(kept)] = torch.from_numpy(result[0])
                kept.append(source)
                modes.append(result[1])
                rows.append(result[2])
            bar.move(min(1.0, (start + _CHUNK) / len(sources)))
    values = np.array(rows, np.float64).reshape(-1, len(_FILE_COLUMNS))
    columns = dict(zip(_FILE_COLUMNS, values.T, strict=True))
    if any(source.crop for source in kept):
        del columns["bytes"]  # of the whole file
    small = small[: len(kept)]
    found = Pictures(kept, small, columns, modes, unreadable)
    return _described(found) if kept else found


def of_sets(parts: dict[str, ImageSet], labels: dict[str, list[Labels]]) -> Pictures:
    """Measure pictures that are in memory, with the labels of each."""
    sets = [part for part in parts.values() if len(part)]
    pixels = torch.cat([torch.as_tensor(part.images) for part in sets])
    sources = [
        Source(name, part, label)
        for part in parts
        for name, label in zip(parts[part].names, labels[part], strict=True)
    ]
    small = torch.cat([shrink(piece) for piece in torch.split(pixels, 1024)])
    means = pixels.float().mean((2, 3)).expand(-1, 3).double().numpy()
    columns = {
        "height": np.full(len(pixels), float(pixels.shape[2])),
        "width": np.full(len(pixels), float(pixels.shape[3])),
        "mean": means.mean(1),
        "deviation": pixels.flatten(1).float().std(1, correction=0).double().numpy(),
        **{name: means[:, at] for at, name in enumerate(("red", "green", "blue"))},
    }
    modes = ["L" if pixels.shape[1] == 1 else "RGB"] * len(pixels)
    return _described(Pictures(sources, small, columns, modes, pixels=pixels))


_FILE_COLUMNS = ("height", "width", "bytes", "mean", "deviation", "red", "green", "blue")


def _measure(
    path: Path, white: White = UNKNOWN, crop: Crop | None = None
) -> tuple[Array, str, tuple[Any, ...]]:
    """Return the small picture (3, 32, 32), the mode, and a row of `_FILE_COLUMNS`."""
    found = decode.shrink(path, _LARGER, SIDE, white, crop)
    pixels = found.pixels
    channels = pixels.reshape(-1, 3).mean(0)
    row = (found.height, found.width, path.stat().st_size, channels.mean(), pixels.std(), *channels)
    if len(pixels) == _LARGER:
        halves = pixels.reshape(SIDE, 2, SIDE, 2, 3)
        pixels = ((halves.sum((1, 3), dtype=np.uint16) + 2) // 4).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), found.mode, row


def shrink(pixels: Tensor) -> Tensor:
    """Return pictures, uint8 (N, C, S, S), as small ones, uint8 (N, 3, 32, 32)."""
    values = functional.interpolate(pixels.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    return values.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)


def _described(found: Pictures) -> Pictures:
    """Add what follows from the small pictures: shape, sharpness and color."""
    columns = dict(found.columns)
    columns["aspect ratio"] = columns["width"] / columns["height"]
    sharp, colors = [], []
    for piece in torch.split(found.small, 1024):
        values = piece.float()
        grey = values.mean(1)
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        sharp.append((4 * grey[:, 1:-1, 1:-1] - around).flatten(1).std(1))
        colors.append((values.amax(1) - values.amin(1)).mean((1, 2)))
    columns["sharpness"] = torch.cat(sharp).double().numpy()
    columns["color"] = torch.cat(colors).double().numpy()
    return replace(found, columns=columns)
