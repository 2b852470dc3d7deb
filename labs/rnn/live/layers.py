"""The lab's layers as operations of a page's engine, in the order of their computation."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from common.live.program import Step
from labs.rnn.recurrent import (
    AttentionPool,
    Direction,
    LastPool,
    MaxPool,
    MeanPool,
    Pool,
    Recurrent,
)


class Program:
    """A program that grows by a step at a time."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(
        self,
        operation: str,
        name: str,
        inputs: Sequence[int],
        attributes: Mapping[str, Any] | None = None,
        **weights: Tensor | None,
    ) -> int:
        """Add an operation; returns its number, see `Step`."""
        kept = {name: weight for name, weight in weights.items() if weight is not None}
        self.steps.append(Step(operation, name, [*inputs], dict(attributes or {}), kept))
        return len(self.steps) - 1

    def add_linear(self, layer: nn.Linear, name: str, x: int) -> int:
        """Add a linear layer."""
        return self.add("linear", name, [x], weight=layer.weight, bias=layer.bias)

    def add_recurrent(
        self, recurrent: Recurrent, name: str, x: int, before: Sequence[int] = ()
    ) -> tuple[int, list[list[int]]]:
        """Add recurrent layers.

        Args:
            recurrent: the layers.
            name: in the state dict.
            x: the step of their input.
            before: of a network that reads in one direction: the step of each layer from whose last
                state this one begins; none begins from zeros.

        Returns:
            The step of the hidden states of the top layer, and those of each direction of each
            layer.
        """
        found = []
        for number, layer in enumerate(recurrent.layers):
            directions = [
                self._add_direction(
                    cast(Direction, direction),
                    f"{name}.layers.{number}.{place}",
                    [x, *before[number : number + 1]],
                )
                for place, direction in enumerate(cast(nn.ModuleList, layer))
            ]
            found.append(directions)
            x = directions[0]
            if len(directions) > 1:
                x = self.add("concatenate", f"{name}.layers.{number}", directions, {"dimension": 1})
        return x, found

    def _add_direction(self, direction: Direction, name: str, inputs: Sequence[int]) -> int:
        weights = dict(direction.cell().named_parameters())
        return self.add(direction.name, name, inputs, {"leftward": direction.leftward}, **weights)

    def add_pool(self, pool: Pool, name: str, x: int) -> int:
        """Add what makes one vector of the states of a sequence."""
        match pool:
            case MeanPool():
                return self.add("mean_steps", name, [x])
            case MaxPool():
                return self.add("max_steps", name, [x])
            case LastPool():
                return self.add("last_step", name, [x], {"directions": pool.directions})
            case AttentionPool():
                hidden, query = pool.hidden, pool.query
                return self.add(
                    "attention_steps",
                    name,
                    [x],
                    hidden=hidden.weight,
                    bias=hidden.bias,
                    query=query.weight,
                )
        raise TypeError(f"no operation for {type(pool).__name__}")
