"""Three ways from a window to several steps ahead, over one recurrent core.

A model takes scaled windows (B, W) and returns forecasts (B, H, outputs): one output is the
forecast itself, several are its quantiles. Each is the value before and a change, and heads begin
at no change, so a model that has learned nothing yet says that all stays as it is, give or take the
quantiles of a normal distribution.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from common.metrics.metrics import Array
from labs.rnn.cells import State
from labs.rnn.recurrent import Recurrent, truncated


class Forecaster(nn.Module, ABC):
    """A recurrent network that reads a window, and a linear head.

    Args:
        cell: rnn, lstm or gru.
        hidden_size: units of a layer.
        horizon: steps ahead, H.
        layers: layers on top of each other.
        dropout: between them.
        levels: of the quantiles, rising, 0.5 among them: that is the forecast, and fed back; ()
            for one output.
        truncate: steps that a gradient reaches back within the window; all when None.
    """

    at_once: ClassVar[bool] = False  # whether the head tells all steps, or one

    def __init__(
        self,
        cell: str,
        hidden_size: int,
        horizon: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        levels: Sequence[float] = (),
        truncate: int | None = None,
    ):
        super().__init__()
        self.horizon, self.truncate = horizon, truncate
        levels = levels or (0.5,)
        self.outputs, self.middle = len(levels), levels.index(0.5)
        self.recurrent = Recurrent(cell, 1, hidden_size, layers=layers, dropout=dropout)
        steps = horizon if self.at_once else 1
        self.head = nn.Linear(hidden_size, steps * self.outputs)
        nn.init.zeros_(self.head.weight)
        around = torch.tensor([NormalDist().inv_cdf(level) for level in levels])
        self.head.bias.data.copy_(around.repeat(steps))

    @abstractmethod
    def forward(self, windows: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return forecasts (B, H, outputs) of windows (B, W).

        Targets (B, H) are there in training, for the strategy that may look at them.
        """

    def read(self, windows: Tensor) -> tuple[Tensor, State]:
        """Return the last hidden state of the top layer (B, hidden_size), and the final state."""
        steps = windows[..., None]
        if self.truncate is None:
            states, state = self.recurrent(steps)
        else:
            states, state = truncated(self.recurrent, steps, self.truncate)
        return states[:, -1], state

    def roll(self, recurrent: Recurrent, hidden: Tensor, state: State, value: Tensor) -> Tensor:
        """Foretell a step, read it, and so on; returns forecasts (B, H, outputs).

        `hidden` (B, hidden_size) foretells the first step from the last value known, (B,); from
        `state` on, the recurrent network reads the forecasts.
        """
        steps = [self.add_change(value, hidden)]
        while len(steps) < self.horizon:
            value = steps[-1][:, self.middle]
            states, state = recurrent(value[:, None, None], state=state)
            steps.append(self.add_change(value, states[:, 0]))
        return torch.stack(steps, 1)

    def add_change(self, value: Tensor, hidden: Tensor) -> Tensor:
        """Return values (...) plus what the head makes of hidden states (..., hidden_size)."""
        forecasts: Tensor = value[..., None] + self.head(hidden)
        return forecasts


class Direct(Forecaster):
    """All steps at once from the last hidden state: their errors do not add up."""

    at_once = True

    def forward(self, windows: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return forecasts (B, H, outputs)."""
        hidden, _ = self.read(windows)
        forecasts = self.add_change(windows[:, -1], hidden)
        return forecasts.view(-1, self.horizon, self.outputs)


class Recursive(Forecaster):
    """One step ahead, again and again, each forecast read as if it were the truth.

    In training it reads the truth itself (teacher forcing; Williams and Zipser 1989, "A learning
    algorithm for continually running fully recurrent neural networks"), so it learns to foretell
    one step; in use, errors add up.
    """

    def forward(self, windows: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return forecasts (B, H, outputs), each from the true value before where it is given."""
        hidden, state = self.read(windows)
        if targets is None:
            return self.roll(self.recurrent, hidden, state, windows[:, -1])
        states, before = hidden[:, None], torch.cat([windows[:, -1:], targets[:, :-1]], 1)
        if self.horizon > 1:
            following, _ = self.recurrent(before[:, 1:, None], state=state)
            states = torch.cat([states, following], 1)
        return self.add_change(before, states)


class EncoderDecoder(Forecaster):
    """One network reads the window, and another one goes on from its final state.

    (Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation".) The decoder reads its own forecasts in training too, and so learns to
    live with their errors.
    """

    def __init__(
        self,
        cell: str,
        hidden_size: int,
        horizon: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        **others: Any,
    ):
        super().__init__(cell, hidden_size, horizon, layers=layers, dropout=dropout, **others)
        self.decoder = Recurrent(cell, 1, hidden_size, layers=layers, dropout=dropout)

    def forward(self, windows: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return forecasts (B, H, outputs)."""
        _, state = self.read(windows)
        states, state = self.decoder(windows[:, -1:, None], state=state)
        return self.roll(self.decoder, states[:, 0], state, windows[:, -1])


class AfterLine(nn.Module):
    """A line, and a share of what a network adds to it.

    forecast = line(window) + share * (network(window) - last value)

    Of several outputs, the share is that of the median's change; the other quantiles keep their
    distance from the median. The network's change begins at 0, and with it the forecast at the
    line, which training leaves as it is.

    Args:
        network: foretells all steps at once.
        window: values that it sees, W.
    """

    weight: Tensor  # (H, W)
    bias: Tensor  # (H,)
    share: Tensor  # (), from 0 to 1

    def __init__(self, network: Forecaster, window: int):
        super().__init__()
        self.network = network
        self.register_buffer("weight", torch.zeros(network.horizon, window))
        self.register_buffer("bias", torch.zeros(network.horizon))
        self.register_buffer("share", torch.ones(()), persistent=False)

    def draw(self, weight: Array, bias: Array) -> None:
        """Take over the weight (H, W) and the bias (H,) of a line from scaled windows."""
        self.weight.copy_(torch.from_numpy(weight))
        self.bias.copy_(torch.from_numpy(bias))

    def forward(self, windows: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return forecasts (B, H, outputs) of windows (B, W)."""
        line = nn.functional.linear(windows, self.weight, self.bias)[..., None]
        change = self.network(windows, targets) - windows[:, -1, None, None]
        middle = change[..., self.network.middle, None]
        forecasts: Tensor = line + self.share * middle + (change - middle)
        return forecasts


MODELS: dict[str, type[Forecaster]] = {
    "direct": Direct,
    "recursive": Recursive,
    "encoder-decoder": EncoderDecoder,
}
