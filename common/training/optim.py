"""Optimizers and schedules by name, parameter groups, and the moving average of weights.

A schedule is a pure function of where the run stands: `schedule(step, rows) -> factor` of the
learning rate. It keeps no state, so a resumed run needs none of it back.
"""

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import ConfigError
from common.history import Row, is_better
from common.training import layers
from common.training.limits import memory

Schedule = Callable[[int, Sequence[Row]], float]

# Devices for which torch has fused kernels: one call for all parameters, and a step that can skip
# itself.
_FUSED = ("cpu", "cuda", "mps")


class Together:
    """Several optimizers, each over its own parameters, used as one."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]):
        self.parts = list(parts)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all parts; a rate that is set here reaches the part."""
        return [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parts."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


AnyOptimizer = torch.optim.Optimizer | Together


def build(
    name: str,
    model: nn.Module,
    learning_rate: float = 1e-3,
    *,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    layer_decay: float = 1.0,
) -> AnyOptimizer:
    """Return the optimizer of that name over the parameters that train.

    Args:
        name: one of `sgd`, `adam`, `adamw`, `rmsprop`, `muon`.
        model: the module, already on its device.
        learning_rate: per update.
        weight_decay: on matrices and kernels only; biases and normalisation scales are left alone.
        momentum: for `sgd`, `rmsprop` and `muon`.
        nesterov: look ahead along the momentum, for `sgd`.
        layer_decay: rate of each layer over that of the layer behind it; see `layerwise_groups`.

    Raises:
        ConfigError: `muon` was asked for a model that has no hidden matrix, or for rates by layer.
    """
    if layer_decay == 1:
        groups = parameter_groups(model.parameters(), weight_decay)
    else:
        groups = layerwise_groups(model, learning_rate, weight_decay, layer_decay)
    fused = all(p.device.type in _FUSED for p in model.parameters())
    common: dict[str, Any] = {"lr": learning_rate}
    if name == "sgd":
        sgd = torch.optim.SGD(groups, momentum=momentum, nesterov=nesterov, fused=fused, **common)
        return _prefilled(sgd, ["momentum_buffer"] if momentum else [])
    if name == "adam":
        return torch.optim.Adam(groups, fused=fused, **common)
    if name == "adamw":
        return torch.optim.AdamW(groups, fused=fused, **common)
    if name == "rmsprop":
        rmsprop = torch.optim.RMSprop(groups, momentum=momentum, **common)
        buffers = ["square_avg", "momentum_buffer"] if momentum else ["square_avg"]
        return _prefilled(rmsprop, buffers, step=True)
    if name == "muon":
        if layer_decay != 1:
            raise ConfigError("--layer-decay: --optimizer muon has one rate; try adamw")
        return _muon(model, learning_rate, weight_decay, momentum, fused)
    raise ValueError(f"unknown optimizer {name!r}")


def parameter_groups(parameters: Iterable[Tensor], weight_decay: float) -> list[dict[str, Any]]:
    """Split what trains into matrices, which decay, and vectors (biases, scales), which do not."""
    trained = [p for p in parameters if p.requires_grad]
    if not weight_decay:  # one group, since each costs a step a call of its kernel
        return [{"params": trained, "weight_decay": 0.0}]
    matrices, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
    decays = ((matrices, weight_decay), (vectors, 0.0))
    groups = [{"params": params, "weight_decay": decay} for params, decay in decays]
    return [group for group in groups if group["params"]]


def layerwise_groups(
    model: nn.Module, learning_rate: float, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Return groups whose rate falls with each layer from the head towards the input.

    The head has the whole rate, the layer before it `layer_decay` times that, and so on (Howard and
    Ruder 2018, "Universal language model fine-tuning", section 3.2; there 1 / 2.6). The head's
    groups come first. Layers are those of `common.training.layers`, and frozen ones count.
    """
    groups = []
    for depth, parameters in enumerate(reversed(layers.layers(model).values())):
        rate = learning_rate * layer_decay**depth
        groups += [{**group, "lr": rate} for group in parameter_groups(parameters, weight_decay)]
    return [group for group in groups if group["params"]]


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """Return the 2-D weights between the first and the last layer: what Muon is for.

    Embeddings and the last linear layer are left out (Jordan et al. 2024, "Muon: An optimizer for
    hidden layers in neural networks"); torch's Muon takes no convolution kernels.
    """
    kinds = nn.Linear | nn.modules.conv._ConvNd | nn.Embedding
    first = next((m for m in model.modules() if isinstance(m, kinds)), None)
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return [m.weight for m in linears[:-1] if m.weight.requires_grad and m is not first]


def needs_closure(optimizer: AnyOptimizer | None) -> bool:
    """Say whether a step has to compute the loss again, as that of LBFGS."""
    parts = optimizer.parts if isinstance(optimizer, Together) else [optimizer]
    parameters = [p for part in parts if part for p in signature(part.step).parameters.values()]
    return any(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)


def step(optimizer: AnyOptimizer, found: Tensor) -> None:
    """Apply the gradients, unless `found` (a scalar on the device) is 1: then nothing changes.

    Nobody waits for a device: on the CPU `found` is there to be read, elsewhere the device decides.

    Raises:
        NoMemoryError: there is no memory for it; some weights may have changed, and others not.
    """
    with memory.must_do("the optimizer's step"):
        _step(optimizer, found)


def _step(optimizer: AnyOptimizer, found: Tensor) -> None:
    for part in optimizer.parts if isinstance(optimizer, Together) else (optimizer,):
        if not found.is_cpu:
            step_on_device(part, found)
        elif not found:
            part.step()


def step_on_device(optimizer: torch.optim.Optimizer, found: Tensor) -> None:
    """Apply the gradients, unless the device finds `found` to be 1.

    Fused optimizers skip by themselves; for the others, what they changed is put back.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.found_inf = found  # type: ignore[attr-defined]
        optimizer.step()
    else:
        _step_and_restore(optimizer, found)


def with_gradients(optimizer: AnyOptimizer) -> list[Tensor]:
    """Return the optimizer's parameters that have a gradient."""
    groups = optimizer.param_groups
    return [p for group in groups for p in group["params"] if p.grad is not None]


def set_rate(optimizer: AnyOptimizer, factor: float) -> None:
    """Set each group's learning rate to its first value times the factor."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def put_settings(state: Any, optimizer: AnyOptimizer) -> None:
    """Give the saved state of an optimizer the settings of another that is new, in place.

    A state holds the learning rate, decay and moments that it was saved with, and would go on with
    them.

    Raises:
        ValueError: the other has other groups of parameters.
    """
    groups = [group for part in state.get("parts", [state]) for group in part["param_groups"]]
    for group, new in zip(groups, optimizer.param_groups, strict=True):
        wanted = {"initial_lr": new["lr"], **{k: v for k, v in new.items() if k != "params"}}
        group |= {name: value for name, value in wanted.items() if name in group and name != "lr"}


class Average:
    """Exponential moving average of a model's weights, kept in a model of its own.

    The decay grows from 0.1 towards its full value as min(decay, (1 + step) / (10 + step)), so a
    short run is not an average over its random start; the decay, below 1, is the weight of the past
    at each update. Buffers (batch-norm statistics) are copied, not averaged. The model to follow
    is on its device.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> average = Average(model, decay=0.99)
        >>> with torch.no_grad():
        ...     _ = model.weight.add_(1)
        >>> average.update(0)
        >>> (model.weight - average.model.weight).allclose(torch.tensor(0.1))  # 0.9 of the way
        True
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):  # the copy's weights lie apart, cuDNN wants a block
                module.flatten_parameters()
        pairs = zip(self.model.parameters(), model.parameters(), strict=True)
        self._pairs = [(mine, theirs) for mine, theirs in pairs if theirs.requires_grad]
        self._buffers = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after update number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, weights = zip(*self._pairs, strict=True)
        torch._foreach_lerp_(averages, weights, 1 - decay)
        for average, buffer in self._buffers:
            average.copy_(buffer)


def schedule(
    name: str,
    *,
    steps_per_epoch: int,
    epochs: int,
    warmup: float = 0.0,
    period: int = 10,
    factor: float = 0.1,
    every: str = "step",
    monitor: str = "validation/loss",
    mode: str = "min",
) -> Schedule:
    """Return the schedule of that name.

    Args:
        name: `none`; `step` (times `factor` every `period` epochs); `cosine` (to zero at the end;
            Loshchilov and Hutter 2017, eq. 5, one cycle); `cosine-restarts` (the same, restarted
            every `period` epochs); `plateau` (times `factor` after `period` epochs without a better
            `monitor`); `onecycle` (Smith and Topin 2018: up over 30 % of the run from 1/25, then
            down to 1/250,000, both cosine-shaped, with torch's constants; the momentum stays).
        steps_per_epoch: updates in an epoch.
        epochs: length of the run.
        warmup: epochs of a linear rise from zero before the schedule begins, whichever it is; at
            most half the run.
        period: epochs, as said for each name.
        factor: as said for each name.
        every: `step` to move at each update, `epoch` to move at the first update of each epoch
            only.
        monitor: the metric that `plateau` watches.
        mode: `min` or `max`, the direction in which that metric is better.

    Example:
        >>> factor = schedule("cosine", steps_per_epoch=10, epochs=5, warmup=1)
        >>> [round(factor(step, []), 2) for step in (0, 5, 10, 30, 49)]
        [0.09, 0.55, 1.0, 0.5, 0.0]
    """
    warmup = min(warmup, epochs / 2)
    if name == "plateau":

        def shape(time: float, rows: Sequence[Row]) -> float:
            return factor ** drops(rows, monitor, mode, period)

    else:
        curve = _curve(name, epochs - warmup, period, factor)

        def shape(time: float, rows: Sequence[Row]) -> float:
            return curve(time)

    grain = steps_per_epoch if every == "epoch" else 1
    warmup_steps = round(warmup * steps_per_epoch)

    def at(step: int, rows: Sequence[Row]) -> float:
        step -= step % grain
        if step < warmup_steps:
            return (step + grain) / (warmup_steps + grain)
        return shape((step - warmup_steps) / steps_per_epoch, rows)

    return at


def drops(rows: Sequence[Row], monitor: str, mode: str, patience: int) -> int:
    """Count how often more than `patience` epochs in a row brought nothing better."""
    best, waited, count = math.nan, 0, 0
    for row in rows:
        if is_better(row[monitor], best, mode):
            best, waited = row[monitor], 0
        else:
            waited += 1
        if waited > patience:
            count, waited = count + 1, 0
    return count


def _curve(name: str, epochs: float, period: int, factor: float) -> Callable[[float], float]:
    """Return factor(t) for t in epochs since the end of the warm-up."""

    def cosine(fraction: float) -> float:
        return (1 + math.cos(math.pi * fraction)) / 2

    def onecycle(t: float) -> float:
        peak, first, last = 0.3 * epochs, 1 / 25, 1 / 25e4
        if t < peak:
            return 1 + (first - 1) * cosine(t / peak)
        return last + (1 - last) * cosine(min(1.0, (t - peak) / (epochs - peak)))

    curves: dict[str, Callable[[float], float]] = {
        "none": lambda t: 1.0,
        "step": lambda t: factor ** math.floor(t / period),
        "cosine": lambda t: cosine(min(1.0, t / epochs)),
        "cosine-restarts": lambda t: cosine(t % period / period),
        "onecycle": onecycle,
    }
    return curves[name]


def _muon(
    model: nn.Module, rate: float, weight_decay: float, momentum: float, fused: bool
) -> Together:
    hidden = hidden_matrices(model)
    if not hidden:
        raise ConfigError(
            "--optimizer muon: needs a linear layer between the first and the last, and this model "
            "has none; try adamw"
        )
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    # With this adjustment a rate that suits AdamW suits Muon too (Liu et al. 2025, "Muon is
    # scalable", section 2.2).
    muon = torch.optim.Muon(
        hidden,
        lr=rate,
        weight_decay=weight_decay,
        momentum=momentum,
        adjust_lr_fn="match_rms_adamw",
    )
    adamw = torch.optim.AdamW(parameter_groups(rest, weight_decay), lr=rate, fused=fused)
    return Together([muon, adamw])


def _prefilled(
    optimizer: torch.optim.Optimizer, buffers: Sequence[str], *, step: bool = False
) -> torch.optim.Optimizer:
    """Start the optimizer's buffers at zero now, as its first step would.

    A first step that is skipped must leave them so: torch's fused SGD leaves them uninitialised,
    and its RMSprop counts the step.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            state.update({name: torch.zeros_like(parameter) for name in buffers})
            if step:
                state["step"] = torch.zeros(())
    return optimizer


@torch.no_grad()
def _step_and_restore(optimizer: torch.optim.Optimizer, found: Tensor) -> None:
    parameters = with_gradients(optimizer)
    buffers = [b for p in parameters for b in optimizer.state[p].values()]
    tensors = [*parameters, *(b for b in buffers if b.device == found.device)]
    before = [tensor.clone() for tensor in tensors]
    bad = found > 0
    for p in parameters:  # a buffer that the step makes new has no value to go back to
        p.grad.masked_fill_(bad, 0.0)  # type: ignore[union-attr]
    optimizer.step()
    for tensor, old in zip(tensors, before, strict=True):
        tensor.copy_(torch.where(bad, old, tensor))
