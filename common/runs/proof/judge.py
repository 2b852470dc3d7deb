"""Whether what was computed again is what a run says: the same bits, nearly the same, or not.

Another machine rounds otherwise, and training carries that on. How far two computations may be
apart is measured by how far the weights moved meanwhile: see `TOLERANCE`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from torch import Tensor

from common.history import Row
from common.options.terminal import figure_text
from common.runs.folder import plain
from common.training.checkpoint import hash_tensors

TOLERANCE = 0.25
"""Largest distance between weights computed here and kept, as a share of their way meanwhile.

Between processors with other instructions it was 1e-7 to 1e-5 after a position of LeNet-5, and 0.13
from the beginning, where Adam turns the rounding of gradients that are next to nothing into steps.
Another seed is 0.7 to 1.1 away.
"""
_FIGURES = (
    1e-3  # relative distance of figures of the same weights; of others, as much as these more
)
_TIMES = ("seconds", "samples_per_second")


class Verdict(IntEnum):
    """What computing again comes to; the worst of several is the greatest."""

    SAME = 0
    NEAR = 1
    OTHER = 2

    def __str__(self) -> str:
        """Say it."""
        return ("same bits", "same within tolerance (another machine)", "not this run")[self]


class Check(NamedTuple):
    """A part of a run that was looked at.

    Attributes:
        what: the part.
        verdict: of it.
        remark: the first thing that differs, and how much.
    """

    what: str
    verdict: Verdict
    remark: str = ""


def judge_figures(
    what: str, again: Mapping[str, Any], known: Mapping[str, Any], drift: float | None
) -> Check:
    """Compare figures, of which both may have others besides.

    Args:
        what: they are of.
        again: as they were computed here.
        known: as the run has them.
        drift: how far apart the weights are; None where all bits are the same.
    """
    mine, theirs = dict(flatten(plain(dict(again)))), dict(flatten(plain(dict(known))))
    worst = Check(what, Verdict.SAME)
    for name in (name for name in mine if name in theirs and name not in _TIMES):
        one, other = mine[name], theirs[name]
        if one == other:
            continue
        remark = f"{name} is {_exact(one)}, the run says {_exact(other)}"
        near = drift is not None and _distance(one, other) <= _FIGURES + drift
        verdict = Verdict.NEAR if near else Verdict.OTHER
        if verdict > worst.verdict:
            worst = Check(what, verdict, remark)
    return worst


def judge_rows(again: Iterable[Row], known: Iterable[Row], drift: float | None) -> Iterator[Check]:
    """Compare rows of a history, but for times."""
    for one, other in zip(again, known, strict=True):
        if (one.keys() ^ other.keys()) - {*_TIMES}:
            yield Check(f"epoch {other['epoch']}", Verdict.OTHER, "it has other figures")
        yield judge_figures(f"epoch {other['epoch']}", one, other, drift)


def judge_stretch(what: str, rows: Iterable[Check], apart: Mapping[str, float]) -> Check:
    """Judge a part of a run by its rows, and by how far apart its weights are, by what they are."""
    found = [check for check in rows if check.verdict]
    for name, distance in apart.items():
        if distance:
            verdict = Verdict.NEAR if distance <= TOLERANCE else Verdict.OTHER
            remark = f"{name} {distance:.2g} of the way apart"
            found.append(Check(what, verdict, remark))
    if not found:
        return Check(what, Verdict.SAME)
    # The first row that differs tells when, the weights how much.
    said = dict.fromkeys(
        each.remark if each.what == what else f"{each.what}: {each.remark}"
        for each in (found[0], found[-1])
    )
    return Check(what, max(check.verdict for check in found), "; ".join(said))


def measure_drift(
    again: Mapping[str, Tensor], known: Mapping[str, Tensor], begin: Mapping[str, Tensor]
) -> float:
    """Return how far apart two states of a model are, as a share of the way from the beginning.

    Those of different models are infinitely far apart.

    Args:
        again: weights by name, as they were computed here.
        known: as the run has them.
        begin: where both came from.
    """
    if have_same_bits(again, known):
        return 0.0
    if len({tuple((n, each[n].shape) for n in sorted(each)) for each in (again, known, begin)}) > 1:
        return math.inf
    names = [name for name, tensor in known.items() if tensor.is_floating_point()]
    apart = _length(again[name] - known[name] for name in names)
    way = _length(known[name] - begin[name] for name in names)
    return apart / way if apart and way else math.inf


def have_same_bits(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    """Say whether two sets of tensors are the same."""
    return hash_tensors(mine) == hash_tensors(theirs)


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the single values of nested ones, by names such as `test/accuracy`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        label = f"{name}/{key}" if name else str(key)
        if isinstance(item, dict | list):
            yield from flatten(item, label)
        else:
            yield label, item


def _distance(one: Any, other: Any) -> float:
    numbers = [isinstance(each, int | float) for each in (one, other)]
    return abs(one - other) / max(abs(other), _FIGURES) if all(numbers) else math.inf


def _exact(value: Any) -> str:
    return repr(value) if isinstance(value, float) else figure_text(value)


def _length(tensors: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))
