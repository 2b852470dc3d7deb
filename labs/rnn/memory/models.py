"""One recurrent layer with a linear readout, and the start that lets it remember."""

from typing import cast

import torch
from torch import Tensor, nn

from labs.rnn.cells import Cell
from labs.rnn.recurrent import Direction, Recurrent, Trace

# The gate that keeps the state, and the one that writes where the two are apart.
_KEEPING = {"lstm": ("forget", "input"), "gru": ("update", None)}


class Rememberer(nn.Module):
    """A recurrent layer whose hidden state is read out linearly at every step.

    Args:
        cell: one of `CELLS`: rnn, lstm, gru.
        input_size: features of a step.
        hidden_size: units.
        output_size: numbers read out of a step.
        orthogonal: as in `Recurrent`.
        chrono: start with biases that keep the state for up to so many steps; None to leave them.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        orthogonal: bool = False,
        chrono: int | None = None,
    ):
        super().__init__()
        self.recurrent = Recurrent(cell, input_size, hidden_size, orthogonal=orthogonal)
        self.readout = nn.Linear(hidden_size, output_size)
        if chrono is not None and cell in _KEEPING:
            direction = self.recurrent.get_submodule("layers.0.0")
            _start_chrono(cast(Direction, direction).cell(), chrono, *_KEEPING[cell])

    def forward(self, x: Tensor) -> Tensor:
        """Return what is read out of each step, (B, T, output_size), of x (B, T, input_size)."""
        states, _ = self.recurrent(x)
        read: Tensor = self.readout(states)
        return read

    def trace(self, x: Tensor) -> tuple[Tensor, Trace]:
        """Return the same, step by step through the readable cell, and all there was to see."""
        states, _, [[trace]] = self.recurrent.trace(x)
        return self.readout(states), trace


@torch.no_grad()
def _start_chrono(cell: Cell, steps: int, keep: str, write: str | None) -> None:
    """Draw a cell's gate biases so that its units forget after 1 to `steps` steps.

    A gate of sigmoid(b) keeps a state for about 1 + exp(b) steps, so b = log(u) with u uniform in
    [1, steps - 1]; where another gate writes, its bias is -b (Tallec and Ollivier 2018, "Can
    recurrent neural networks warp time?").
    """
    parts = len(cell.gate_names)
    biases = zip(cell.bias_ih.chunk(parts), cell.bias_hh.chunk(parts), strict=True)
    of_gate = dict(zip(cell.gate_names, biases, strict=True))
    kept = torch.empty(cell.hidden_size).uniform_(1, max(1, steps - 1)).log()
    for gate, value in ((keep, kept), (write, -kept)):
        if gate is not None:
            of_input, of_hidden = of_gate[gate]  # they are added
            of_input.copy_(value)
            of_hidden.zero_()
