"""The weighted means of an epoch's losses, kept without waiting for the device."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from common.errors import NonFiniteError


class Part(NamedTuple):
    """One part of a micro-batch's loss."""

    name: str
    mean: Tensor  # a scalar on the device
    weight: Tensor | float  # how many items (samples, tokens, class weights) the mean is over


def shares(weights: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each micro-batch's share of an update's items, by part; a single one has all, 1.0."""
    if len(weights) == 1:
        return [dict.fromkeys(weights[0], 1.0)]
    totals = {name: sum(weight[name] for weight in weights) for name in weights[0]}
    return [{name: weight[name] / totals[name] for name in totals} for weight in weights]


_MOST_SKIPS = 50  # in a row, after which no loss scale will help: it has been halved as often


class Means:
    """The weighted mean of each part of the loss over the epoch so far.

    What a step computed stays on the device until `fetch` asks for it. It is then added in the
    order of the steps, in float64, so the sums do not depend on when they were fetched.

    Args:
        sums: for each part, the sum of weighted means and the sum of weights so far; kept up to
            date in place.
        scaling: whether a skipped step is ordinary, because a loss scale adapts.
        look: says what is not finite in the batches of a place (epoch, update), both from 0; None
            where all of it is.
        alone: whether these are all batches, not those that one of several processes has.
    """

    def __init__(
        self,
        sums: dict[str, list[float]],
        scaling: bool = False,
        look: Callable[[int, int], str | None] = lambda epoch, update: None,
        *,
        alone: bool = True,
    ):
        self.sums = sums
        self._scaling, self._look, self._alone = scaling, look, alone
        self._skips = 0  # in a row
        self._waiting: list[tuple[tuple[int, int], list[Part], Tensor]] = []

    def add(self, epoch: int, update: int, parts: list[Part], skipped: Tensor) -> None:
        """Note what a step returned, and its place, both numbers from 0."""
        self._waiting.append(((epoch, update), parts, skipped))

    def fetch(self) -> dict[str, float]:
        """Wait for the device and return the means so far by name; `loss` is the sum of all parts.

        Raises:
            NonFiniteError: a step was not finite, and was not applied; names the first one.
        """
        waiting, self._waiting = self._waiting, []
        parts = [part for _, step_parts, _ in waiting for part in step_parts]
        skips = _numbers([skipped for *_, skipped in waiting])
        means, weights = _numbers([p.mean for p in parts]), _numbers([p.weight for p in parts])
        values = iter(zip(means, weights, strict=True))
        for (place, step_parts, _), skipped in zip(waiting, skips, strict=True):
            for part in step_parts:
                mean, weight = next(values)
                if mean - mean != 0:  # NaN or infinite
                    raise NonFiniteError(self._message(f"{part.name} is {mean}", place))
                pair = self.sums.setdefault(part.name, [0.0, 0.0])
                pair[0] += mean * weight
                pair[1] += weight
            self._skips = self._skips + 1 if skipped else 0
            if self._skips > (_MOST_SKIPS if self._scaling else 0):
                raise NonFiniteError(self._message("the gradient is not finite", place))
        by_name = {name: total / weight for name, (total, weight) in self.sums.items()}
        return {**by_name, "loss": sum(by_name.values())}

    def _message(self, what: str, place: tuple[int, int]) -> str:
        epoch, update = place
        where = f"{what} in epoch {epoch + 1}, batch {update + 1}; that step was not applied."
        if wrong := self._look(*place):
            return f"{where} The data is why: {wrong}"
        advice = f"{where} Try a lower --learning-rate, --clip 1, a --warmup, or --precision 32."
        if self._alone:
            return advice
        return f"{advice} The data may be why, too: of them, a process looks at its own part alone."


def _numbers(values: Sequence[Any]) -> list[float]:
    """Fetch scalars, some of which may be tensors on the device, with a single wait."""
    tensors = [value.float() for value in values if isinstance(value, Tensor)]
    fetched = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(fetched) if isinstance(value, Tensor) else value for value in values]
