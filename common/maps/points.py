"""The points of a map: which samples, and what is shown of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.maps.page import Fact, Groups, Mark, Pictures, Shades
from common.maps.trust import sample
from common.maps.words import Words
from common.metrics.metrics import Array
from common.training.splits import sample_rows

_FURTHEST = 10  # percent of numbers that are marked

Way = Groups | Shades


class Shown(NamedTuple):
    """What a map shows of answers."""

    ways: list[Way]  # to color points; the first is that of pictures
    facts: list[Fact]  # what is known of each
    mark: Mark  # those that have a shape of their own: mistakes


@dataclass(frozen=True)
class Points:
    """Samples as a map of their last features shows them; all have N rows.

    Attributes:
        features: (N, F) what the last layer gets.
        source: what they are, such as "the 84 inputs of the last layer".
        shown: what is known of them.
        truth: (N,) the true classes, where there are such.
        pictures: of each.
        pixels: (N, P) its images, small, as vectors.
        texts: of each, where they are texts.
        remark: what else is to be known, as a sentence.
    """

    features: Array
    source: str
    shown: Shown
    truth: Array | None
    pictures: Pictures | None = None
    pixels: Array | None = None
    texts: Sequence[str] = ()
    remark: Words | None = None


def choose_rows(total: int, most: int, strata: Tensor | None = None) -> Tensor:
    """Return rows of a map of at most about so many points, always the same ones, in order.

    Args:
        total: rows that there are.
        most: points of the map.
        strata: (N,) classes, of each of which it has its share; at random where there are none.
    """
    if total <= most:
        return torch.arange(total)
    if strata is None:
        return torch.from_numpy(sample(total, most))
    return sample_rows(strata, most, seed=0)


def describe_classes(names: Sequence[str], true: Array, said: Array, shares: Array) -> Shown:
    """Return what a map shows of classes.

    Args:
        names: of the classes.
        true: (N,) their numbers.
        said: (N,) those that the network gives.
        shares: (N, C) probabilities.
    """
    label, answer = Words("true class", "실제 클래스"), Words("said class", "답한 클래스")
    probability = Words("probability of the said class", "답한 클래스의 확률")
    sure = shares[np.arange(len(said)), said]
    return Shown(
        [Groups(label, true, names), Groups(answer, said, names), Shades(probability, sure)],
        [
            Fact(label, [names[each] for each in true]),
            Fact(answer, [names[each] for each in said]),
            Fact(probability, [f"{share:.3f}" for share in sure]),
        ],
        Mark(Words("mistake", "틀림"), Words("right", "맞음"), said != true),
    )


def describe_numbers(true: Array, said: Array) -> Shown:
    """Return what a map shows of numbers (N,); the tenth that is furthest off is marked."""
    off = np.abs(said - true)
    furthest = np.zeros(len(off), bool)
    furthest[np.argsort(-off, kind="stable")[: len(off) * _FURTHEST // 100]] = True
    known = (
        (Words("true number", "실제 값"), true),
        (Words("said number", "답한 값"), said),
        (Words("absolute error", "절대 오차"), off),
    )
    return Shown(
        [Shades(label, values) for label, values in known],
        [Fact(label, [f"{value:.4g}" for value in values]) for label, values in known],
        Mark(
            Words("furthest off (a tenth)", "가장 많이 벗어난 10 %"),
            Words("all others", "나머지"),
            furthest,
        ),
    )
