"""Pictures that a network sees as nearly one: a scene again, mirrored, cut, or from elsewhere.

The network is EfficientNet-Lite0 with its weights from ImageNet, which come with a package. What
it sees in two pictures has to be much more alike than in most pairs of the set.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from common.errors import SaveError
from common.files import cache_dir, write_json
from common.images.copies import find_pairs
from common.images.decode import Crop, quiet, square, try_reading
from common.images.efficientnet_lite import MEAN, STD, efficientnet_lite0, weights_file
from common.options import terminal
from common.threads import usable_cores
from common.training.splits import number_linked

_VERSION = 1  # of the numbers in the cache
_SIDE = 128  # pixels of the pictures that the network sees
_CHUNK, _COMPARED = 32, 500  # pictures at a time: seen, and compared with all others
_ALIKE = 0.8  # cosine of features, from which on pictures may be one
_SURE = 0.85  # from which on they are, unless most pairs are nearly as alike
_CHANCE, _SAMPLE = (
    0.9,
    1000,
)  # share of pairs that are alike by chance; pictures they are drawn from

File = tuple[Path, Crop | None]


def find_alike(files: Sequence[File]) -> list[str | None]:
    """Return what each picture is one with by the network's features; None where it is alone.

    It is the same for the same files, and kept in the cache.

    Args:
        files: the pictures, of each its file and the part of it.

    Raises:
        ConfigError: the package of the network is not installed.
    """
    if len(files) < 2:
        return [None] * len(files)
    kept = cache_dir() / f"alike-{_key(files)}.json"
    with contextlib.suppress(OSError, ValueError):
        known: list[str | None] = json.loads(kept.read_bytes())
        if len(known) == len(files):
            return known
    with terminal.progress_bar(f"seeing {len(files):,} images with EfficientNet-Lite0") as bar:
        rows = see(files, bar)
    links = [*link(rows)]
    linked = {row for link in links for row in link}
    numbers = number_linked(len(files), links).tolist()
    found = [str(number) if row in linked else None for row, number in enumerate(numbers)]
    with contextlib.suppress(SaveError):  # Without it only the next start is slower.
        write_json(kept, found)
    return found


@torch.no_grad()
def see(files: Sequence[File], bar: terminal.Bar) -> Tensor:
    """Return the features of pictures, (N, 1280), of length 1; 0 of those that cannot be read."""
    with torch.random.fork_rng(devices=[]):
        model: Any = efficientnet_lite0("efficientnet-lite0", 3, _SIDE, 1000)
    model.load_state_dict(torch.load(weights_file(), "cpu", weights_only=True))
    model.eval()
    black = torch.zeros(3, _SIDE, _SIDE, dtype=torch.uint8)
    rows = []
    with quiet(), ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(files), _CHUNK):
            read = [
                black if isinstance(each, str) else torch.from_numpy(each)
                for each in pool.map(_read, files[start : start + _CHUNK])
            ]
            pixels = torch.stack(read)
            seen = model.extract_features((pixels / 255 - MEAN) / STD).mean((2, 3))
            dark = pixels.flatten(1).amax(1, keepdim=True) == 0
            rows.append(functional.normalize(seen).masked_fill(dark, 0.0))
            bar.move(min(1.0, (start + _CHUNK) / len(files)))
    return torch.cat(rows)


def _read(file: File) -> object:
    path, crop = file
    return try_reading(lambda each: square(each, _SIDE, 3, "stretch", crop=crop), path)


def link(rows: Tensor) -> Iterator[tuple[int, int]]:
    """Yield pairs of pictures that are one, the smaller number first."""
    sample = rows[torch.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).long()]
    likeness = (sample @ sample.T)[torch.ones(len(sample), len(sample)).triu(1) > 0]
    usual, chance = (float(likeness.quantile(q)) for q in (0.5, _CHANCE))
    least = (1 + chance) / 2
    if chance > (1 + usual) / 2:  # of few scenes so many pairs are companions, not chance
        least = min(least, max(_SURE, (1 + usual) / 2))
    return find_pairs(rows, max(_ALIKE, least), _COMPARED)


def _key(files: Sequence[File]) -> str:
    """Name what features depend on: the files, and what sees them."""
    stats = []
    for path, crop in files:
        with contextlib.suppress(OSError):
            stat = path.stat()
            stamp = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
            stats.append((str(path.resolve()), *stamp, crop))
    key = [_VERSION, torch.__version__, len(files), stats]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()
