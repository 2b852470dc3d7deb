"""Recurrent layers over padded batches, exact under any padding and as fast as plain ones.

A batch is x (B, T, input_size) with T >= 1; lengths (B,), int64 on the same device, say how many
steps of each sequence are real, 0 <= length <= T, and the padding comes after them. Without lengths
all steps are real. Padding may hold any finite numbers. It changes no answer, and gets no gradient.
An empty sequence leaves the state as it was: zeros, unless a state is given.

Nothing is packed. In a left-to-right network the padding comes after all that counts; so does it
from right to left when each sequence is reversed within its own length. Nothing waits for the
device either, so the lengths must be right: they are not checked.
"""

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import ConfigError
from common.suggest import suggest
from labs.rnn.cells import CELLS, Cell, LSTMCell, State

_FUSED: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def inside(lengths: Tensor, steps: int) -> Tensor:
    """Return which of the steps are real and no padding, bool (B, steps)."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def reverse_within(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Reverse each sequence of x (B, T, ...) within its length; the padding stays where it is.

    Doing it twice gives x again. Without lengths, all T steps are reversed.
    """
    if lengths is None:
        return x.flip(1)
    batch, steps = x.shape[:2]
    step = torch.arange(steps, device=x.device)
    source = torch.where(inside(lengths, steps), lengths[:, None] - 1 - step, step)
    rows = source + steps * torch.arange(batch, device=x.device)[:, None]
    return x.flatten(0, 1).index_select(0, rows.flatten()).view_as(x)


def last_valid(states: Tensor, lengths: Tensor, before: Tensor | None = None) -> Tensor:
    """Return the state at the last real step of each sequence, (B, H) of states (B, T, H).

    An empty sequence has none; it gets `before` (B, H), or zeros when None.
    """
    rows = torch.arange(states.shape[0], device=states.device)  # `len` would be traced as a number
    last = states[rows, (lengths - 1).clamp(min=0)]
    before = torch.zeros_like(last) if before is None else before
    return torch.where(lengths[:, None] > 0, last, before)


class Trace(NamedTuple):
    """What one direction of a layer did at each step, in the order of the sequence."""

    gates: dict[str, Tensor]  # each gate, hidden and cell state by name, (B, T, H); 0 in padding
    steps: list[State]  # the T states that the recurrence went through, as it went through them


class Direction(nn.Module):
    """One direction of one layer: a fused module of torch, or step by step the readable cell.

    It is named as in `CELLS`; leftward it reads each sequence from its last real step to the first.
    """

    def __init__(self, name: str, input_size: int, hidden_size: int, leftward: bool = False):
        super().__init__()
        self.name, self.leftward = name, leftward
        self.fused = _FUSED[name](input_size, hidden_size, batch_first=True)

    def forward(
        self, x: Tensor, lengths: Tensor | None, before: State | None, need_cell: bool
    ) -> tuple[Tensor, State]:
        """Run whole sequences at speed; returns the hidden states (B, T, H) and the final state.

        In padding the hidden states are anything. States are tensors (B, H).
        """
        x = reverse_within(x, lengths) if self.leftward else x
        states, after = self._run(x, before)
        if lengths is not None:
            after = (last_valid(states, lengths, before[0] if before else None),)
            if self.name == "lstm" and need_cell:
                after = *after, _last_cell(self.cell(), x, states, lengths, before)
        states = reverse_within(states, lengths) if self.leftward else states
        return states, after if need_cell else after[:1]

    def _run(self, x: Tensor, before: State | None) -> tuple[Tensor, State]:
        """Run the fused module, which has a tuple as its state only where there are two parts.

        In the precision of the weights also under autocast: rounding errors would add up over the
        steps, cuDNN's modules would take float16 for bfloat16, and a CPU has no float16 LSTM.
        """
        dtype = self.fused.get_parameter("weight_ih_l0").dtype
        start = before and tuple(part[None].to(dtype).contiguous() for part in before)
        with _without_autocast(x.device.type):
            if self.name == "lstm":
                states, after = self.fused(x.to(dtype), start)
                return states, tuple(part[0] for part in after)
            states, hidden = self.fused(x.to(dtype), start and start[0])
            return states, (hidden[0],)

    def trace(self, x: Tensor, lengths: Tensor | None, before: State | None) -> tuple[Trace, State]:
        """Run whole sequences step by step; in padding the state stays as it is."""
        cell, (batch, steps) = self.cell(), x.shape[:2]
        lengths = torch.full((batch,), steps, device=x.device) if lengths is None else lengths
        real = inside(lengths, steps)
        state = before or cell.zeros(x)
        seen: list[tuple[dict[str, Tensor], State]] = []
        for step in reversed(range(steps)) if self.leftward else range(steps):
            gates = cell.gates(x[:, step], state)
            pairs = zip(cell.next_state(gates, state), state, strict=True)
            state = tuple(torch.where(real[:, step, None], new, old) for new, old in pairs)
            seen.append((gates, state))
        in_order = seen[::-1] if self.leftward else seen
        named = [gates | dict(zip(cell.state_names, s, strict=True)) for gates, s in in_order]
        stacked = {name: torch.stack([values[name] for values in named], 1) for name in named[0]}
        shown = {name: _zero_padding(values, lengths) for name, values in stacked.items()}
        return Trace(shown, [s for _, s in in_order]), state

    def cell(self) -> Cell:
        """Return the readable cell, which shares the parameters of the fused module."""
        with torch.device("meta"):
            cell = CELLS[self.name](self.fused.input_size, self.fused.hidden_size)
        for name, _ in list(cell.named_parameters()):
            setattr(cell, name, getattr(self.fused, f"{name}_l0"))
        return cell


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()  # the meta device computes nothing


class Recurrent(nn.Module):
    """Recurrent layers; each has one direction, or two that do not see each other.

    The second direction reads each sequence from its last real step to its first. The layer above
    reads the hidden states of both, side by side.

    Weights are torch's: uniform within 1/sqrt(hidden_size). With `orthogonal`, each gate's
    recurrent matrix is orthogonal instead, so that it keeps the length of what passes through it
    (Saxe, McClelland and Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks"), and an LSTM's forget gates start with a bias of 1, so that it
    remembers before it has learned to (Jozefowicz, Zaremba and Sutskever 2015, "An empirical
    exploration of recurrent network architectures").

    Args:
        name: one of `CELLS`: rnn, lstm, gru.
        input_size: features of a step.
        hidden_size: units of a layer, per direction.
        layers: layers on top of each other.
        bidirectional: also read from right to left.
        dropout: share of a layer's hidden states that the layer above does not see in training; it
            is drawn from torch's default generator. A single layer has none.
        orthogonal: the initialization above.

    Raises:
        ConfigError: the name is unknown.

    Example:
        >>> network = Recurrent("lstm", 8, 16, layers=2, bidirectional=True)
        >>> states, (hidden, cell) = network(torch.rand(3, 5, 8), lengths=torch.tensor([5, 2, 4]))
        >>> states.shape, hidden.shape
        (torch.Size([3, 5, 32]), torch.Size([2, 3, 32]))
    """

    def __init__(
        self,
        name: str,
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        orthogonal: bool = False,
    ):
        super().__init__()
        if name not in CELLS:
            known = suggest(name, CELLS, "{}") or " or ".join(CELLS)
            raise ConfigError(f"unknown cell {name!r}; give {known}")
        self.dropout, self.directions = dropout, 2 if bidirectional else 1
        self.output_size = hidden_size * self.directions
        sizes = [input_size] + [self.output_size] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                Direction(name, size, hidden_size, leftward)
                for leftward in (False, True)[: self.directions]
            )
            for size in sizes
        )
        if orthogonal:
            for direction in itertools.chain(*self._layers()):
                _initialize_orthogonal(direction.cell())

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        state: State | None = None,
        *,
        need_cell: bool = True,
    ) -> tuple[Tensor, State]:
        """Run whole sequences.

        Args:
            x: (B, T, input_size).
            lengths: (B,); all T when None.
            state: what each direction starts from, in the form of the final state; zeros when None.
            need_cell: whether an LSTM's final cell state is wanted. With lengths it takes a second
                pass over all gates; when False, the final state is the hidden state alone.

        Returns:
            The hidden states of the top layer, (B, T, output_size), 0 in padding, and the final
            state: tensors (layers, B, output_size), the hidden one first and in an LSTM the cell
            one second. Each direction's is the state after the last step that it read, so from
            right to left it is that at the first step.
        """
        return self._up(
            x, lengths, state, lambda run, x, before: run(x, lengths, before, need_cell)
        )

    def trace(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State, list[list[Trace]]]:
        """Run whole sequences step by step through the readable cells, keeping all there is to see.

        The weights are the same, and so are the answers, but for rounding. The states in `steps`
        are those that gradients pass through, so `torch.autograd.grad(loss, hidden)`, for the
        hidden states of all steps, tells how far back the gradient of a later loss reaches.

        Returns:
            What `forward` does, of the same arguments, and the trace of each direction of each
            layer.
        """
        traces: list[Trace] = []

        def run(direction: Direction, x: Tensor, before: State | None) -> tuple[Tensor, State]:
            trace, after = direction.trace(x, lengths, before)
            traces.append(trace)
            return trace.gates["hidden"], after

        states, final = self._up(x, lengths, state, run)
        starts = range(0, len(traces), self.directions)
        return states, final, [traces[start : start + self.directions] for start in starts]

    def _up(
        self,
        x: Tensor,
        lengths: Tensor | None,
        state: State | None,
        run: Callable[[Direction, Tensor, State | None], tuple[Tensor, State]],
    ) -> tuple[Tensor, State]:
        """Go up the layers, each direction of which `run` runs."""
        finals: list[State] = []
        for number, layer in enumerate(self._layers()):
            x = F.dropout(x, self.dropout, self.training and number > 0)
            befores = self._split(state, number)
            results = [run(*args) for args in zip(layer, [x] * len(layer), befores, strict=True)]
            x = torch.cat([states for states, _ in results], -1)
            parts = zip(*(after for _, after in results), strict=True)
            finals.append(tuple(torch.cat(part, -1) for part in parts))
        states = x if lengths is None else _zero_padding(x, lengths)
        return states, tuple(torch.stack(part) for part in zip(*finals, strict=True))

    def _split(self, state: State | None, layer: int) -> list[State] | list[None]:
        """Return what each direction of a layer starts from."""
        if state is None:
            return [None] * self.directions
        parts = (part[layer].chunk(self.directions, -1) for part in state)
        return list(zip(*parts, strict=True))

    def _layers(self) -> list[list[Direction]]:
        return cast(list[list[Direction]], self.layers)


def _zero_padding(x: Tensor, lengths: Tensor) -> Tensor:
    return x.masked_fill(~inside(lengths, x.shape[1])[..., None], 0)


def _initialize_orthogonal(cell: Cell) -> None:
    for block in cell.weight_hh.detach().chunk(len(cell.gate_names)):
        nn.init.orthogonal_(block)
    if isinstance(cell, LSTMCell):
        for bias, value in ((cell.bias_ih, 1.0), (cell.bias_hh, 0.0)):  # they are added
            nn.init.constant_(bias.detach().chunk(4)[1], value)


def _last_cell(
    cell: Cell, x: Tensor, states: Tensor, lengths: Tensor, before: State | None
) -> Tensor:
    """Return an LSTM's cell state after the last real step of each sequence, (B, H).

    torch's module tells it only after the padding. But where all hidden states are known, all gates
    are, for all steps at once; what is left to do step by step is c' = f c + i g.
    """
    hidden, memory = before or cell.zeros(x)
    gates = cell.gates(x, (torch.cat([hidden[:, None], states[:, :-1]], 1),))
    written = _zero_padding(gates["input"] * gates["candidate"], lengths)
    kept = torch.where(inside(lengths, x.shape[1])[..., None], gates["forget"], 1)
    for add, keep in zip(written.unbind(1), kept.unbind(1), strict=True):
        memory = keep * memory + add
    return memory


def detach(state: State | None) -> State | None:
    """Return the state without the graph behind it, so that no gradient goes further back."""
    return None if state is None else tuple(part.detach() for part in state)


def chunks(
    steps: int, size: int, lengths: Tensor | None = None
) -> Iterator[tuple[slice, Tensor | None]]:
    """Cut sequences into chunks of `size` steps for truncated back-propagation through time.

    Yields the span of each chunk, the last of which may be shorter, and how many of its steps are
    real in each sequence, (B,), or None where there are no lengths. A sequence that has ended has
    none, and its state stays as it was.

        state = None
        for span, within in chunks(x.shape[1], 100, lengths):
            states, state = recurrent(x[:, span], within, detach(state))
            loss(states, targets[:, span]).backward()

    The values are those of the whole sequences; gradients end where the state was detached
    (Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of
    recurrent network trajectories"). The network must read from left to right only: from right to
    left, what a chunk starts from lies in the chunks after it.
    """
    for start in range(0, steps, size):
        stop = min(start + size, steps)
        within = None if lengths is None else (lengths - start).clamp(0, stop - start)
        yield slice(start, stop), within


def truncated(
    recurrent: Recurrent, x: Tensor, size: int, lengths: Tensor | None = None
) -> tuple[Tensor, State]:
    """Return what `Recurrent.forward` does, with gradients that stay within chunks of `size` steps.

    It is for a loss over whole sequences with a single backward pass, and keeps all they computed;
    a backward pass per chunk, as in `chunks`, needs the memory of one chunk only.

    Raises:
        ConfigError: the network is bidirectional.
    """
    if recurrent.directions > 1:
        raise ConfigError(
            "truncated back-propagation needs a network that reads from left to right only, this "
            "one is bidirectional; turn that off, or train on whole sequences"
        )
    parts: list[Tensor] = []
    state: State | None = None
    for span, within in chunks(x.shape[1], size, lengths):
        states, state = recurrent(x[:, span], within, detach(state))
        parts.append(states)
    return torch.cat(parts, 1), cast(State, state)


class Pool(nn.Module, ABC):
    """Makes one vector of the hidden states of a sequence; that of an empty one is zero.

    A state has `size` features, H, of so many directions side by side; see `Recurrent`.
    """

    def __init__(self, size: int, directions: int = 1):
        super().__init__()
        self.size, self.directions = size, directions

    @abstractmethod
    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, H) of states (B, T, H) and lengths (B,)."""


class AttentionPool(Pool):
    """The mean of the states, weighed by how much each matters.

    Additive attention (Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly
    learning to align and translate", section 3.1 and appendix A.1.2) with one learned query for all
    sequences, as Yang et al. 2016, "Hierarchical attention networks for document classification",
    section 2.2, attend to words:

        weight_t = softmax over t of q . tanh(W h_t + b)
    """

    def __init__(self, size: int, directions: int = 1):
        super().__init__(size, directions)
        self.hidden = nn.Linear(size, size)
        self.query = nn.Linear(size, 1, bias=False)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the weight of each step, (B, T): sums to 1, exactly 0 in padding."""
        padding = ~inside(lengths, states.shape[1])
        scores: Tensor = self.query(torch.tanh(self.hidden(states)))[..., 0]
        # Not -inf: the softmax of an empty sequence would be 0 / 0.
        scores = scores.masked_fill(padding, torch.finfo(scores.dtype).min)
        return scores.softmax(1).masked_fill(padding, 0)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the weighted mean, (B, H)."""
        pooled: Tensor = torch.einsum("bt,bth->bh", self.weights(states, lengths), states)
        return pooled


class MeanPool(Pool):
    """The mean over the real steps."""

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean, (B, H)."""
        return _zero_padding(states, lengths).sum(1).div(lengths.clamp(min=1)[:, None])


class MaxPool(Pool):
    """The largest value of each feature over the real steps."""

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the maximum, (B, H)."""
        padding = ~inside(lengths, states.shape[1])[..., None]
        largest = states.masked_fill(padding, torch.finfo(states.dtype).min).amax(1)
        return largest.masked_fill(lengths[:, None] == 0, 0)


class LastPool(Pool):
    """The state that each direction ends with: at the last real step, and leftward at the first."""

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the final states side by side, (B, H)."""
        rightward, *leftward = states.chunk(self.directions, -1)
        ends = [last_valid(part, lengths.clamp(max=1)) for part in leftward]
        return torch.cat([last_valid(rightward, lengths), *ends], -1)


POOLS: dict[str, type[Pool]] = {
    "attention": AttentionPool,
    "mean": MeanPool,
    "max": MaxPool,
    "last": LastPool,
}
