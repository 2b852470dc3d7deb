"""The recurrent cells, one step at a time, with every gate visible.

A state is a tuple of tensors, each (B, hidden_size): the hidden state first, and in an LSTM the
cell state after it. Weights have torch's names and layout (the gates stacked along the rows), so
the state dict of `nn.LSTMCell` and its kin loads as it is. `labs.rnn.recurrent` runs whole
sequences, at speed, through torch's fused modules, and through these cells where one wants to look.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Cell(nn.Module, ABC):
    """One step of a recurrent network: an input and a state give gates, and these the next state.

    All weights and biases are drawn uniformly within 1/sqrt(hidden_size), as torch's are. Inputs
    have `input_size` features, states `hidden_size` units.
    """

    gate_names: ClassVar[tuple[str, ...]]  # in the order of their blocks in the weights
    state_names: ClassVar[tuple[str, ...]] = ("hidden",)

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = len(self.gate_names) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """Return the state after inputs x (B, input_size); the one before is zeros when None."""
        state = self.zeros(x) if state is None else state
        return self.next_state(self.gates(x, state), state)

    def zeros(self, x: Tensor) -> State:
        """Return the state before the first of the inputs x (B, ...)."""
        return tuple(x.new_zeros(len(x), self.hidden_size) for _ in self.state_names)

    @abstractmethod
    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return what the step decides, by name, each (..., hidden_size) for x (..., input_size).

        Where the states are known already, many steps at once can be asked for.
        """

    @abstractmethod
    def next_state(self, gates: dict[str, Tensor], state: State) -> State:
        """Return the state that the gates make of the one before."""

    def _from_input(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias_ih)

    def _from_hidden(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.weight_hh, self.bias_hh)


class RNNCell(Cell):
    """The simple recurrent network (Elman 1990, "Finding structure in time").

        h' = n, where n = tanh(W x + b + U h + c)

    Nothing gates it: the candidate n becomes the hidden state, and all of the past goes through U
    and tanh again at every step. So gradients vanish or explode with distance (Bengio, Simard and
    Frasconi 1994, "Learning long-term dependencies with gradient descent is difficult").
    """

    gate_names = ("candidate",)

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return the candidate."""
        return {"candidate": torch.tanh(self._from_input(x) + self._from_hidden(state[0]))}

    def next_state(self, gates: dict[str, Tensor], state: State) -> State:
        """Return the candidate as the hidden state."""
        return (gates["candidate"],)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with a forget gate (Gers 2000).

        i = sigmoid(W_i x + b_i + U_i h + c_i)    input: how much of the candidate is written
        f = sigmoid(W_f x + b_f + U_f h + c_f)    forget: how much of the cell state is kept
        g =    tanh(W_g x + b_g + U_g h + c_g)    candidate
        o = sigmoid(W_o x + b_o + U_o h + c_o)    output: how much of the cell state is shown
        c' = f c + i g                            cell state
        h' = o tanh(c')                           hidden state

    From step to step the cell state is only multiplied by f, which is 1 where nothing is forgotten,
    so a gradient along it does not vanish. Hochreiter and Schmidhuber 1997, "Long short-term
    memory", section 4, have f = 1 throughout; the forget gate is from Gers, Schmidhuber and Cummins
    2000, "Learning to forget: continual prediction with LSTM". There are no peepholes.
    """

    gate_names = ("input", "forget", "candidate", "output")
    state_names = ("hidden", "cell")

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return input, forget, candidate and output."""
        i, f, g, o = (self._from_input(x) + self._from_hidden(state[0])).chunk(4, -1)
        return {
            "input": torch.sigmoid(i),
            "forget": torch.sigmoid(f),
            "candidate": torch.tanh(g),
            "output": torch.sigmoid(o),
        }

    def next_state(self, gates: dict[str, Tensor], state: State) -> State:
        """Return the hidden state and the cell state."""
        cell = gates["forget"] * state[1] + gates["input"] * gates["candidate"]
        return gates["output"] * torch.tanh(cell), cell


class GRUCell(Cell):
    """The gated recurrent unit (Cho et al. 2014), the reset gate placed as in torch and cuDNN.

        r = sigmoid(W_r x + b_r + U_r h + c_r)        reset: how much of the past the candidate sees
        z = sigmoid(W_z x + b_z + U_z h + c_z)        update: how much of the hidden state is kept
        n =    tanh(W_n x + b_n + r (U_n h + c_n))    candidate
        h' = (1 - z) n + z h                          hidden state

    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", section 2.3, reset the hidden state before it is multiplied, U_n (r h);
    here the product is reset, which needs only one multiplication by U for all three gates.
    """

    gate_names = ("reset", "update", "candidate")

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return reset, update and candidate."""
        input_r, input_z, input_n = self._from_input(x).chunk(3, -1)
        hidden_r, hidden_z, hidden_n = self._from_hidden(state[0]).chunk(3, -1)
        reset = torch.sigmoid(input_r + hidden_r)
        return {
            "reset": reset,
            "update": torch.sigmoid(input_z + hidden_z),
            "candidate": torch.tanh(input_n + reset * hidden_n),
        }

    def next_state(self, gates: dict[str, Tensor], state: State) -> State:
        """Return the hidden state, between the candidate and the one before."""
        kept = gates["update"]
        return ((1 - kept) * gates["candidate"] + kept * state[0],)


CELLS: dict[str, type[Cell]] = {"rnn": RNNCell, "lstm": LSTMCell, "gru": GRUCell}
