"""Scenes of coloured shapes, and captions that tell them: no two splits have one scene in common.

A scene is a function of (version, seed, split, number). One combination of colour, shape and count
in five is never trained on: who has seen two red circles and three blue stars is asked about two
blue stars.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from common.metrics.metrics import Array

VERSION = 1
COLORS = {
    "red": (214, 45, 40),
    "green": (50, 150, 60),
    "blue": (45, 85, 210),
    "yellow": (235, 195, 30),
    "purple": (145, 60, 175),
}
SHAPES = ("circle", "square", "triangle", "star")
COUNTS = (1, 2, 3)

_FINER = 4  # pixels drawn for one of the picture, in both directions
_RADII = (0.07, 0.095)  # of a shape, in widths of the picture
_ALONE = 0.1  # share of the training scenes that have one group
_HELD = {"validation": 250, "test": 500}  # scenes of known groups in each
_UNSEEN = 500  # scenes of the test with a group that is never trained on
_NUMBERED = {"train": 0, "validation": 1, "test": 2, "alone": 3}
_TRIES = 200

_ENGLISH_COUNTS = ("a", "two", "three")
_ENGLISH_PLACES = {
    (False, False): "left of",
    (False, True): "right of",
    (True, False): "above",
    (True, True): "below",
}
_KOREAN_COLORS = ("빨간", "초록", "파란", "노란", "보라")
_KOREAN_SHAPES = ("원", "사각형", "삼각형", "별")
_KOREAN_COUNTS = ("한", "두", "세")
_KOREAN_PLACES = {
    (False, False): "왼쪽에",
    (False, True): "오른쪽에",
    (True, False): "위에",
    (True, True): "아래에",
}


class Group(NamedTuple):
    """Shapes of one kind, by their places in `COLORS`, `SHAPES` and `COUNTS`."""

    color: int
    shape: int
    number: int

    @property
    def unseen(self) -> bool:
        """Whether it is never trained on: of each shape and count one color."""
        return (self.color + self.shape + self.number) % len(COLORS) == 0


class Scene(NamedTuple):
    """One or two groups, and how the caption tells them.

    With two, the first is left of the second, or above it; told in reverse, the second is right of
    the first, or below it: that is the same picture.
    """

    first: Group
    second: Group | None = None
    vertical: bool = False
    reverse: bool = False

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that there are."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @property
    def unseen(self) -> bool:
        """Whether it has a group that is never trained on."""
        return any(group.unseen for group in self.groups)

    @property
    def key(self) -> int:
        """A number that scenes share which look the same, however they are told."""
        places = [0 if group is None else 1 + GROUPS.index(group) for group in self[:2]]
        return (places[0] * 100 + places[1]) * 2 + self.vertical


GROUPS = tuple(
    Group(color, shape, count)
    for color in range(len(COLORS))
    for shape in range(len(SHAPES))
    for count in range(len(COUNTS))
)


@cache
def pairs(unseen: bool) -> tuple[Scene, ...]:
    """Return all scenes of two groups, with one that is never trained on, or without."""
    every = (
        Scene(first, second, vertical)
        for first in GROUPS
        for second in GROUPS
        for vertical in (False, True)
        if first != second
    )
    return tuple(scene for scene in every if scene.unseen == unseen)


def choose(seed: int, split: str, number: int) -> list[Scene]:
    """Return the scenes of a split.

    Those of validation and test are all different; training has others, one or two of each, and
    scenes of a single group. The second half of the test has groups that are never trained on.

    Args:
        seed: names the split.
        split: train, validation, test; or alone: of each group by itself four.
        number: of scenes, for `train`.
    """
    drawn = _generator(seed, split)
    if split == "alone":
        return [Scene(group) for group in GROUPS for _ in range(4)]
    known = [pairs(False)[row] for row in _generator(seed, "split").permutation(len(pairs(False)))]
    first = 0 if split == "validation" else _HELD["validation"]
    if split == "train":
        left = known[sum(_HELD.values()) :]
        alone = [Scene(group) for group in GROUPS if not group.unseen]
        pools = (left, alone)
        which = drawn.random(number) < _ALONE
        taken = [pools[one][int(drawn.integers(len(pools[one])))] for one in which.astype(int)]
    else:
        taken = known[first : first + _HELD[split]]
        if split == "test":
            order = drawn.permutation(len(pairs(True)))[:_UNSEEN]
            taken += [pairs(True)[row] for row in order]
    told = drawn.random(len(taken)) < 0.5
    return [
        scene._replace(reverse=bool(reverse) and scene.second is not None)
        for scene, reverse in zip(taken, told, strict=True)
    ]


def _generator(*key: int | str) -> np.random.Generator:
    codes = [_NUMBERED.get(part, 9) if isinstance(part, str) else part for part in key]
    return np.random.default_rng([VERSION, *codes])


# --- captions -------------------------------------------------------------------------------------


def tell(scene: Scene, language: str) -> str:
    """Return the caption of a scene."""
    say = _korean if language == "korean" else _english
    first, second = scene.first, scene.second
    if second is None:
        return say(first)
    told, other = (second, first) if scene.reverse else (first, second)
    place = (scene.vertical, scene.reverse)
    if language == "korean":
        return f"{say(other)} {_KOREAN_PLACES[place]} {say(told)}"
    return f"{say(told)} {_ENGLISH_PLACES[place]} {say(other)}"


def _english(group: Group) -> str:
    color, shape = [*COLORS][group.color], SHAPES[group.shape]
    return f"{_ENGLISH_COUNTS[group.number]} {color} {shape}{'s' * (group.number > 0)}"


def _korean(group: Group) -> str:
    color, shape = _KOREAN_COLORS[group.color], _KOREAN_SHAPES[group.shape]
    return f"{color} {shape} {_KOREAN_COUNTS[group.number]} 개"


@cache
def vocabulary(language: str) -> tuple[str, ...]:
    """Return the words of all captions, in alphabetical order."""
    one, other = GROUPS[0], GROUPS[-1]
    scenes = [Scene(group) for group in GROUPS]
    scenes += [Scene(one, other, vertical, reverse) for vertical in (False, True)
               for reverse in (False, True)]  # fmt: skip
    return tuple(sorted({word for scene in scenes for word in tell(scene, language).split()}))


# --- pictures -------------------------------------------------------------------------------------


def draw_all(scenes: Sequence[Scene], size: int, seed: int, split: str) -> Array:
    """Draw scenes, uint8 (N, 3, size, size); each by its number alone."""
    found = np.empty((len(scenes), 3, size, size), np.uint8)
    for number, scene in enumerate(scenes):
        found[number] = draw(scene, size, _generator(seed, split, number))
    return found


def draw(scene: Scene, size: int, drawn: np.random.Generator) -> Array:
    """Draw a scene, uint8 (3, size, size), with places, sizes, turns and noise by chance."""
    whole = size * _FINER
    grey = drawn.integers(195, 250)
    picture = Image.new(
        "RGB", (whole, whole), tuple(int(grey + x) for x in drawn.integers(-5, 6, 3))
    )
    pen = ImageDraw.Draw(picture)
    for place, group in enumerate(scene.groups):
        low, high = np.zeros(2), np.ones(2)
        if scene.second is not None:
            axis = int(scene.vertical)
            low[axis], high[axis] = (0, 0.48) if place == 0 else (0.52, 1)
        radius = drawn.uniform(*_RADII)
        for center in _place(COUNTS[group.number], radius, low, high, drawn):
            _draw_shape(pen, group, center * whole, radius * whole, drawn)
    small = np.asarray(picture.reduce(_FINER), np.float64)
    noisy = small + drawn.normal(0, 6, small.shape)
    return np.moveaxis(noisy.clip(0, 255).astype(np.uint8), -1, 0)


def _place(
    count: int, radius: float, low: Array, high: Array, drawn: np.random.Generator
) -> list[Array]:
    """Return centers in a box that lie apart, in widths of the picture."""
    best: list[Array] = []
    for _ in range(_TRIES):
        found = drawn.uniform(low + radius * 1.1, high - radius * 1.1, (count, 2))
        apart = [np.hypot(*(a - b)) for row, a in enumerate(found) for b in found[:row]]
        best = [*found]
        if not apart or min(apart) > 2.2 * radius:
            break
    return best


def _draw_shape(
    pen: ImageDraw.ImageDraw, group: Group, center: Array, radius: float, drawn: np.random.Generator
) -> None:
    """Draw one shape."""
    base = np.array([*COLORS.values()][group.color])
    color = tuple(int(x) for x in (base + drawn.integers(-14, 15, 3)).clip(0, 255))
    kind, turn = SHAPES[group.shape], drawn.uniform(-0.3, 0.3)
    if kind == "circle":
        corners = [*(center - radius), *(center + radius)]
        pen.ellipse([float(x) for x in corners], fill=color)
        return
    sides = {"square": 4, "triangle": 3, "star": 10}[kind]
    angles = turn - np.pi / 2 + 2 * np.pi * np.arange(sides) / sides
    reach = np.full(sides, 1.15)
    if kind == "square":
        angles += np.pi / 4
    if kind == "star":
        reach[1::2] = 0.5
    points = center + radius * (reach * np.stack([np.cos(angles), np.sin(angles)])).T
    pen.polygon([(float(x), float(y)) for x, y in points], fill=color)
