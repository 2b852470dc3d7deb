"""What there is time for: how many folds, and how long each rung of the ladder trains.

A rung is a model that is cross-validated, the cheapest first. What is planned follows from the data
and the time given, by what training takes on two cores. A slower machine is noticed after a rung,
and what is left gets less: fewer updates, or nothing, which is said.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import ConfigError
from common.options.times import write_time

FOLDS = 5, 3
SHARES = 1.0, 0.67, 0.5, 0.33  # of its updates, that a rung may be cut down to
_EACH = 10.0  # seconds of a fold beside its training: to load its samples, and to measure it
_KEPT = 45.0, 0.08  # seconds, and share of the time, for what comes before and after the rungs
_SLOW = 1.5  # times as long as planned, from which on a machine counts as slower


class Rung(NamedTuple):
    """A model that is cross-validated.

    Attributes:
        name: of it, and of its folder.
        values: of the config, over what the user gave.
        seconds: that one training takes on two cores, about.
    """

    name: str
    values: Mapping[str, Any]
    seconds: float

    def last(self, folds: int, share: float = 1.0) -> float:
        """Return about how many seconds its cross-validation takes, with a share of its updates."""
        return folds * (share * self.seconds + _EACH)


def spend(seconds: float) -> float:
    """Return what the rungs may take of the time given."""
    least, share = _KEPT
    return seconds - max(least, share * seconds)


def choose_folds(rungs: Sequence[Rung], seconds: float, most: int | None = None) -> int:
    """Return into how many folds the data is cut: as many as let the first two rungs train whole.

    Where even the fewest do not, these are taken, and the second rung is cut down.

    Args:
        rungs: of the ladder.
        seconds: that are given.
        most: the number that the user asks for.

    Raises:
        ConfigError: the first rung alone takes longer.
    """
    allowed, wanted = spend(seconds), FOLDS if most is None else (most,)
    fewest = rungs[0].last(wanted[-1])
    if fewest > allowed:
        least = next(each for each in range(60, 10**7, 60) if spend(each) >= fewest)
        raise ConfigError(
            f"--time {write_time(seconds)}: is too little: {wanted[-1]} folds of {rungs[0].name} "
            f"alone, and what comes before and after, take about {write_time(least)} on two cores"
        )
    needed = {folds: sum(rung.last(folds) for rung in rungs[:2]) for folds in wanted}
    return next((folds for folds, cost in needed.items() if cost <= allowed), wanted[-1])


def choose_share(rung: Rung, folds: int, left: float, pace: float = 1.0) -> float | None:
    """Return which share of its updates a rung can have in the time left; None where too few.

    Args:
        rung: that is to train.
        folds: of it.
        left: seconds.
        pace: times as long as planned that the rungs before took.
    """
    factor = be_careful(pace)
    return next((share for share in SHARES if factor * rung.last(folds, share) <= left), None)


def be_careful(pace: float) -> float:
    """Return how many times as long as planned to reckon with, where rungs took `pace` times.

    A little more or less is noise, and the next rung may be less quick than those before.
    """
    return pace if pace > _SLOW else min(1.0, _SLOW * pace)
