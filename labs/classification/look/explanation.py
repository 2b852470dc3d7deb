"""What is found out about a network and one image: what `explain` makes, and its pictures show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.metrics.metrics import Array
from labs.classification.look.rollout import Rollout

_TOLERANCE = 0.01  # of the difference that integrated gradients are to add up to
_NEAR = 0.005  # of a logit: near enough, where the difference is small


def adds_up(total: float, difference: float) -> bool:
    """Say whether a sum is a difference of logits, within 1 % of it or 0.005."""
    return abs(total - difference) <= max(_TOLERANCE * abs(difference), _NEAR)


@dataclass(frozen=True, eq=False)
class Reading:
    """What speaks for a class, or for a number; maps are (S, S) and in units of the logit."""

    title: str  # whose reading it is
    grad_cam: Array | None  # at least 0, without unit; None for a network without convolutions
    gradients: Array  # integrated gradients, summed over the channels
    difference: float  # of the logits of the image and of a black one
    steps: int  # of the path
    occlusion: Array  # how far the logit falls when a place is hidden

    @property
    def total(self) -> float:
        """The sum of the integrated gradients; complete ones add up to the difference."""
        return float(self.gradients.sum(dtype=np.float64))

    @property
    def complete(self) -> bool:
        """Whether they add up to the difference, within 1 % of it and of a logit of one."""
        return adds_up(self.total, self.difference)


@dataclass(frozen=True, eq=False)
class Filters:
    """Kernels and what they make of an image."""

    kernels: Array  # (n, C, k, k)
    names: Sequence[str]
    responses: Array  # (n, h, w)


@dataclass(frozen=True, eq=False)
class Maps:
    """The strongest maps of a stage."""

    name: str  # of the layer
    count: int  # how many maps there are
    values: Array  # (n, h, w) of those that are largest in the mean


@dataclass(frozen=True, eq=False)
class Explanation:
    """All that is shown of one image."""

    name: str
    picture: Array  # as the network sees it, in [0, 1]: (S, S), or (S, S, 3) in color
    true: str  # its class or number; empty when it is not known
    guess: str  # of the network
    chance: float | None  # the probability of the guess; None for a number
    layer: tuple[str, int] | None  # whose maps Grad-CAM weighs, and their side; None without any
    readings: Sequence[Reading]  # of the guess, and of the right class when that is another
    maps: Sequence[Maps]  # of the stages
    filters: Filters | None  # of the first convolution, if there is one
    rollout: Rollout | None  # of a network with attention from all patches to all
    classic: Filters  # kernels of image processing
