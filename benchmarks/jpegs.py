"""How fast epochs of JPEG files are read: by the labs, and by a plain DataLoader that decodes them.

    python benchmarks/jpegs.py [FILES]

5,000 JPEGs of 224 x 224 pixels are cut at random from scikit-learn's two photos. All sides decode
with the same function, to the same pixels, in shuffled batches of 64, on all cores: the DataLoader
in a worker for each. The labs read once before the first epoch, as they verify each file, and keep
what they read in memory (`--decoding auto`, up to 1 GiB) or in a file (`--decoding cache`): the
first epoch is both. Nothing is trained. The sides take turns, in another order each round.
"""

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from machine import describe
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from common.allocator import keep_freed_blocks
from common.images.decode import decode
from common.images.files import Decoding, read_files
from common.images.sets import ImageSet
from common.training.batches import Batches

FILES, SIDE, BATCH, ROUNDS = 5000, 224, 64, 5
LATER = 2  # epochs after the first


class Plain(Dataset[Tensor]):
    """What one would write by hand."""

    def __init__(self, paths: list[Path]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        return decode(self.paths[row], SIDE, 3)


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_blocks()  # as the commands do; workers inherit it
    print(describe(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else FILES)
        sides = {
            "a plain DataLoader": by_hand,
            "the labs, in memory": lambda paths: by_labs(paths, "memory"),
            "the labs, from the cache": lambda paths: by_labs(paths, "cache"),
        }
        rounds = [take_turns(sides, paths, number) for number in range(ROUNDS)]
    first = next(iter(sides))
    for name in sides:
        for place, epoch in enumerate(("first epoch", "later epochs")):
            seconds = statistics.median(each[name][place] for each in rounds)
            ratio = statistics.median(each[name][place] / each[first][place] for each in rounds)
            print(f"{name:26}{epoch:14}{seconds:7.2f} s {ratio:6.3f} of the DataLoader's")


def write(folder: Path, count: int) -> list[Path]:
    """Write JPEG files, cut at random from photos."""
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    paths = []
    for number, photo in zip(range(count), itertools.cycle(photos), strict=False):
        top, left = (int(rng.integers(0, side - SIDE)) for side in photo.shape[:2])
        paths.append(folder / f"{number:05}.jpg")
        Image.fromarray(photo[top : top + SIDE, left : left + SIDE]).save(paths[-1], quality=90)
    return paths


def take_turns(
    sides: dict[str, Callable[[list[Path]], Iterator[float]]], paths: list[Path], number: int
) -> dict[str, tuple[float, float]]:
    """Let every side read; return its seconds of the first epoch, and of a later one."""
    order = list(sides)[number % len(sides) :] + list(sides)[: number % len(sides)]
    taken = {}
    for name in order:
        first, *later = sides[name](paths)
        taken[name] = first, statistics.median(later)
        print(f"round {number + 1}: {name} {first:.2f} s, {later}", flush=True)
    return taken


def by_hand(paths: list[Path]) -> Iterator[float]:
    """Yield the seconds of each epoch."""
    loader = DataLoader(
        Plain(paths),
        batch_size=BATCH,
        shuffle=True,
        num_workers=os.cpu_count() or 1,
        persistent_workers=True,
    )
    for _ in range(1 + LATER):
        begun = time.perf_counter()
        seen = sum(len(batch) for batch in loader)
        yield time.perf_counter() - begun
        assert seen == len(paths)


def by_labs(paths: list[Path], decoding: Decoding) -> Iterator[float]:
    """Yield the seconds of each epoch, of the first with all that comes before it."""
    names = [path.name for path in paths]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LABS_CACHE"] = cache
        begun = time.perf_counter()
        images = read_files(names, paths, SIDE, decoding=decoding).images
        targets = torch.zeros(len(paths), dtype=torch.int64)
        data = (images, targets) if isinstance(images, Tensor) else None
        split = Batches(data or ImageSet(images, targets, tuple(names)), BATCH, training=True)
        for epoch in range(1 + LATER):
            seen = sum(len(batch[0]) for [batch] in split.updates(epoch))
            yield time.perf_counter() - begun
            assert seen == len(paths)
            begun = time.perf_counter()


if __name__ == "__main__":
    main()
