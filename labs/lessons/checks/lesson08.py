"""Lesson 8: flips and shifts."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from labs.lessons.student import Student, expect

_REACH = 2  # pixels
_IMAGES = 1000
_STEPS = range(-_REACH, _REACH + 1)
_CHANGES = [(flip, down, right) for flip in (0, 1) for down in _STEPS for right in _STEPS]


def check(student: Student) -> None:
    """Augment many small images, find out how each was changed, and count."""
    augment = student.function("augment")
    torch.manual_seed(0)
    images = torch.randint(1, 256, (_IMAGES, 2, 6, 7)).to(torch.uint8)
    _compare_kind(augment, images[:5])
    _compare_kind(augment, images[:1] / 256)
    _compare_randomness(augment, images[:50])
    found = augment(images, torch.Generator().manual_seed(1))
    _count(_find_changes(images, found))


def _compare_kind(augment: Any, images: Tensor) -> None:
    before = images.clone()
    found = augment(images, torch.Generator().manual_seed(2))
    expect(torch.equal(images, before), "the images that were given have been changed")
    expect(isinstance(found, Tensor), "`augment` is to return a tensor")
    expect(
        found.shape == images.shape,
        f"images of shape {tuple(images.shape)} come back as {tuple(found.shape)}",
    )
    expect(found.dtype == images.dtype, f"images of {images.dtype} come back as {found.dtype}")


def _compare_randomness(augment: Any, images: Tensor) -> None:
    generator = torch.Generator().manual_seed(3)
    first = augment(images, generator)
    other = augment(images, generator)
    _seed_all(5)
    again = augment(images, torch.Generator().manual_seed(3))
    expect(
        torch.equal(first, again),
        "generators in the same state give different images: chance comes from elsewhere, too",
    )
    expect(
        not torch.equal(first, other),
        "two calls with one generator, which goes on, give the same images",
    )
    expect(not torch.equal(first, images), "all images come back as they were")


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _find_changes(images: Tensor, found: Tensor) -> Tensor:
    """Return of each image whether it was flipped, and how far it went down and to the right."""
    fits = torch.stack([_same(_change(images, *each), found) for each in _CHANGES])
    known = fits.any(0)
    if not known.all():
        images, found = images[~known], found[~known]
        _name_change(images, found, f"{len(images)} of {_IMAGES} images")
    return torch.tensor(_CHANGES)[fits.int().argmax(0)]


def _name_change(images: Tensor, found: Tensor, what: str) -> None:
    """Say what was done to images that was not to be done."""
    seen = {
        "come in again at the edge at which they went out": [
            _flip(images, flip).roll((down, right), (2, 3)) for flip, down, right in _CHANGES
        ],
        "repeat their edge where zeros are to come in": [
            _change(images, *each, mode="replicate") for each in _CHANGES
        ],
        "stand on their heads": [
            _change(turned, *each)
            for turned in (images.flip(2), images.flip(2, 3))
            for each in _CHANGES
        ],
        f"are moved by more than {_REACH} pixels": [
            _change(images, flip, down, right, reach=4)
            for flip in (0, 1)
            for down in range(-4, 5)
            for right in range(-4, 5)
        ],
    }
    for problem, candidates in seen.items():
        fits = torch.stack([_same(each, found) for each in candidates]).any(0)
        expect(not fits.any(), f"{what} are not flipped and moved alone: some {problem}")
    channels = [
        torch.stack(
            [_same(_change(one[:, None], *each), other[:, None]) for each in _CHANGES]
        ).any()
        for one, other in zip(images.unbind(1), found.unbind(1), strict=True)
    ]
    expect(not all(channels), f"of {what} the channels are changed in different ways")
    expect(False, f"{what} are no flipped and moved copies of what they were")


def _count(changes: Tensor) -> None:
    for column, what in enumerate(("flipped", "moved down", "moved to the right")):
        expect(
            len({*changes[:, column].tolist()}) > 1,
            f"all images of a batch are {what} alike: each is to have a chance of its own",
        )
    share = (changes[:, 0] == 1).double().mean()
    expect(
        abs(share - 0.5) < 0.08,
        f"{share:.0%} of {_IMAGES} images are flipped; it should be about half of them",
    )
    for column, what in ((1, "down"), (2, "to the right")):
        for pixels in _STEPS:
            share = (changes[:, column] == pixels).double().mean()
            expect(
                abs(share - 0.2) < 0.065,
                f"{share:.0%} of {_IMAGES} images are moved {what} by {pixels} pixels; each of -2, "
                "-1, 0, 1 and 2 should have about a fifth",
            )
    related = torch.corrcoef(changes.T.double()).triu(1).abs()
    expect(
        related.max() < 0.16,
        "how far an image goes down, how far to the right and whether it is flipped hang together; "
        "each is to be drawn by itself",
    )


def _change(
    images: Tensor, flip: int, down: int, right: int, mode: str = "constant", reach: int = _REACH
) -> Tensor:
    height, width = images.shape[2:]
    padded = functional.pad(_flip(images, flip).float(), [reach] * 4, mode=mode)
    top, left = reach - down, reach - right
    return padded[:, :, top : top + height, left : left + width].to(images.dtype)


def _flip(images: Tensor, flip: int) -> Tensor:
    return images.flip(3) if flip else images


def _same(one: Tensor, other: Tensor) -> Tensor:
    return (one == other).flatten(1).all(1)
