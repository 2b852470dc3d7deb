"""How a cascade is trained: stage by stage, each on what the ones before took for objects.

A stage is a vote of boosted stumps whose threshold is lowered until nearly all objects of the
validation images pass. Stumps are added until half of what is no object is turned away (Viola and
Jones 2004, section 4). Four of five windows are gone after the first two stages, which ask a few
features; the many of the later ones are asked of few windows. What a stage learns to turn away are
windows of training images that all stages before it let pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from common.errors import DataError
from common.metrics.metrics import Array
from common.steps import track
from labs.detection.cascade import windows
from labs.detection.cascade.features import WINDOW, Feature, values
from labs.detection.cascade.stumps import Booster, Stump, vote
from labs.detection.cascade.windows import APART, Level, Picture

LIMITS = (4, 8, 12, 18, 24, 32, 40, 48, 56)
"""The most stumps of each stage: as many stages as there are numbers, at most."""
PASS = 0.99
"""Share of the objects that reach a stage that it lets pass, of the validation images."""
TURN_AWAY = 0.5
"""Share of what is no object that a stage lets pass, at most, unless it has its most stumps."""

_NONE = 2000  # windows without an object that a stage learns from
_FEW = 2  # stumps of a stage, at least
_FEWEST = 60  # of them, below which there is nothing left to learn
_FEWEST_OBJECTS = 10  # of training and of validation images
_LOOKED_AT = 0.25  # share of the windows of an image that are tried for it
_OF_PICTURE = 40  # windows without an object of one image, at most


class Stage(NamedTuple):
    """A vote of stumps: a window passes whose sum reaches the threshold."""

    features: list[Feature]
    sizes: Array  # bool (F,) whether a stump asks how large its feature is, whatever its sign
    stumps: list[Stump]  # each of the feature at its own place
    threshold: float

    def votes(self, numbers: Array) -> Array:
        """Return the sums of windows less the threshold, (n,), of their features (n, F)."""
        asked = np.where(self.sizes, np.abs(numbers), numbers)
        return vote(self.stumps, asked) - self.threshold


class Line(NamedTuple):
    """What a stage does to windows of validation images, a row of the table of stages."""

    features: int
    detection: float  # share of the objects that reach it that pass
    false: float  # share of the windows without one that reach it that pass
    all_detection: float  # share of all objects that pass it and all before
    all_false: float  # likewise


@dataclass(frozen=True)
class Cascade:
    """Stages, in order.

    Attributes:
        stages: they.
        lines: what each does to validation windows.
        sides: the smallest and the largest side of an object that is looked for, in pixels.
    """

    stages: Sequence[Stage]
    lines: Sequence[Line]
    sides: tuple[float, float]

    def passes(self, shown: Array) -> Array:
        """Return how many stages windows pass, (n,), uint8 (n, side, side)."""
        passed, alive = np.zeros(len(shown), int), np.arange(len(shown))
        for stage in self.stages:
            alive = alive[stage.votes(values(stage.features, shown[alive])) >= 0]
            passed[alive] += 1
        return passed

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        stages = [
            {
                "threshold": stage.threshold,
                "sizes": stage.sizes.tolist(),
                "features": [asdict(feature) for feature in stage.features],
                "stumps": [stump._asdict() for stump in stage.stumps],
            }
            for stage in self.stages
        ]
        lines = [line._asdict() for line in self.lines]
        return {"sides": list(self.sides), "stages": stages, "lines": lines}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Cascade":
        """Read what `as_dict` gave."""
        stages = [
            Stage(
                [Feature(**each) for each in stage["features"]],
                np.array(stage["sizes"], bool),
                [Stump(**each) for each in stage["stumps"]],
                stage["threshold"],
            )
            for stage in found["stages"]
        ]
        low, high = found["sides"]
        return cls(stages, [Line(**line) for line in found["lines"]], (low, high))

    def search(self, level: Level, least: int, places: Array | None = None) -> tuple[Array, Array]:
        """Slide the window over an image at one size.

        Args:
            level: the image.
            least: stages that a window is to pass.
            places: some of the windows, (n, 2); all when None.

        Returns:
            Places (n, 2) of the windows that do, and their scores (n,): how many stages they pass,
            and less than 1 more by how clearly the last that was asked let them.
        """
        places = level.places if places is None else places
        score = np.zeros(len(places))
        alive = np.arange(len(places))
        for number, stage in enumerate(self.stages):
            votes = stage.votes(read(level, stage.features, places[alive]))
            score[alive] = number + _squash(votes)
            alive = alive[votes >= 0]
            score[alive] = number + 1 + (_squash(votes[votes >= 0]) - 0.5) * 2 * _UNDER_ONE
        kept = np.flatnonzero(score >= least)
        return places[kept], score[kept]


_UNDER_ONE = 0.999


def _squash(votes: Array) -> Array:
    """Return numbers from 0 to 1 in the order of votes."""
    return np.asarray(1 / (1 + np.exp(-votes)))


def read(level: Level, features: Sequence[Feature], places: Array) -> Array:
    """Return the features of windows at some places of an image, (n, F), as `features.values`."""
    width = level.sums.shape[1]
    flat, corner = level.sums.ravel(), places[:, 0] * width + places[:, 1]
    found = np.empty((len(places), len(features)), np.float32)
    for column, feature in enumerate(features):
        total = np.zeros(len(places))
        for row, offset, weight in feature.corners:
            total += weight * flat[corner + row * width + offset]
        found[:, column] = total / feature.area
    return found / level.spread[places[:, 0], places[:, 1]][:, None]


def train(
    learned: Sequence[Picture],
    judged: Sequence[Picture],
    pool: Sequence[Feature],
    sides: tuple[float, float],
    generator: np.random.Generator,
    say: Callable[[Line], None],
) -> Cascade:
    """Train a cascade.

    Args:
        learned: training images.
        judged: validation images, by which thresholds are set and stages end.
        pool: the features that stumps may ask.
        sides: see `Cascade`.
        generator: draws windows.
        say: called with the line of each stage.

    Raises:
        DataError: there is nothing but objects in the images.
    """
    shown, held = windows.objects(learned, generator), windows.objects(judged, None)
    wanted, numbers = len(held), values(list(pool), shown)
    cascade = Cascade((), (), sides)
    all_false = 1.0
    for most in LIMITS:
        none = _turned_down(cascade, learned, generator, _NONE)
        other = _turned_down(cascade, judged, generator, _NONE)
        if min(len(none), len(other)) < _FEWEST:
            break
        stage, false = _stage(numbers, held, values(list(pool), none), other, pool, most)
        passed = stage.votes(values(stage.features, held)) >= 0
        all_false *= false
        line = Line(
            len(stage.stumps),
            float(passed.mean()),
            false,
            float(passed.sum() / wanted),
            all_false,
        )
        cascade = Cascade((*cascade.stages, stage), (*cascade.lines, line), sides)
        held = held[passed]
        numbers = numbers[stage.votes(_asked(numbers, stage, pool)) >= 0]
        say(line)
    if not cascade.stages:
        raise DataError(
            "there are too few windows without an object: the boxes fill the images, and a cascade "
            "learns to tell objects from what is around them"
        )
    return cascade


def check(learned: Sequence[Picture], judged: Sequence[Picture]) -> None:
    """Refuse images with too few objects to train a cascade.

    Raises:
        DataError: there are too few.
    """
    shown, held = (len(windows.objects(pictures, None)) for pictures in (learned, judged))
    if min(shown, held) < _FEWEST_OBJECTS:
        raise DataError(
            f"{shown:,} objects to train with and {held:,} to choose by: a cascade needs at least "
            f"{_FEWEST_OBJECTS} of each"
        )


def _asked(numbers: Array, stage: Stage, pool: Sequence[Feature]) -> Array:
    """Return the columns of the features of a stage, of those of all (n, P)."""
    place = {feature: column for column, feature in enumerate(pool)}
    return numbers[:, [place[feature] for feature in stage.features]]


def _stage(
    objects: Array, held: Array, none: Array, other: Array, pool: Sequence[Feature], most: int
) -> tuple[Stage, float]:
    """Boost stumps until half of what is no object is turned away; return also what is not.

    Args:
        objects: features of the training objects, (n, P).
        held: windows of the validation objects.
        none: features of training windows without an object, (m, P).
        other: validation windows without an object.
        pool: the P features.
        most: stumps.
    """
    numbers = np.concatenate([objects, none])
    # An object may be lighter or darker than its ground: then the size of a feature tells it, not
    # its sign. Both are asked.
    booster = Booster(
        np.concatenate([numbers, np.abs(numbers)], 1),
        np.repeat([1, -1], [len(objects), len(none)]),
    )
    stage, false = Stage([], np.zeros(0, bool), [], 0.0), 1.0
    sums = [np.zeros(len(held)), np.zeros(len(other))]
    for _ in track(range(most), f"a stage of up to {most} features"):
        stump = booster.add()
        size, column = divmod(stump.feature, len(pool))
        alone = Stage([pool[column]], np.array([bool(size)]), [stump._replace(feature=0)], 0.0)
        for total, shown in zip(sums, (held, other), strict=True):
            total += alone.votes(values(alone.features, shown))
        stage = Stage(
            [*stage.features, pool[column]],
            np.append(stage.sizes, alone.sizes),
            [*stage.stumps, stump._replace(feature=len(stage.stumps))],
            float(np.quantile(sums[0], 1 - PASS, method="lower")),
        )
        false = float((sums[1] >= stage.threshold).mean())
        if false <= TURN_AWAY and len(stage.stumps) >= _FEW:
            break
    return stage, false


def _turned_down(
    cascade: Cascade, pictures: Sequence[Picture], generator: np.random.Generator, most: int
) -> Array:
    """Return windows without an object that pass all stages so far, uint8 (n, side, side)."""
    found: list[Array] = []
    for row in generator.permutation(len(pictures)).tolist():
        found.append(_of_picture(cascade, pictures[row], generator))
        if sum(map(len, found)) >= most:
            break
    return np.concatenate(found)[:most]


def _of_picture(cascade: Cascade, picture: Picture, generator: np.random.Generator) -> Array:
    """Return some windows of an image that pass, and have no object."""
    nothing = np.zeros((0, WINDOW, WINDOW), np.uint8)
    found = [nothing, *_false(cascade, picture, generator)]
    shown = np.concatenate(found)
    if len(shown) <= _OF_PICTURE:
        return shown
    return shown[generator.choice(len(shown), _OF_PICTURE, replace=False)]


def _false(cascade: Cascade, picture: Picture, generator: np.random.Generator) -> Iterator[Array]:
    for level in picture.levels:
        some = generator.random(len(level.places)) < _LOOKED_AT
        places, _ = cascade.search(level, len(cascade.stages), level.places[some])
        apart = picture.overlaps(level.squares(places)) < APART
        yield level.windows(places[apart])
