"""What a network does inside: units that are always the same, and gradients that fade."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from common.training import Task, When
from common.training.compute import Compute

_RECTIFIERS = (nn.ReLU, nn.ReLU6)
_BOUNDED = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid)
_SAME = 1e-3  # range of a bounded unit's outputs, below which it says the same of everything
_WEIGHED = (nn.Linear, nn.modules.conv._ConvNd)
_FEWEST = 4  # units of a layer, below which a share says little


class Dead(NamedTuple):
    """The layer with the largest share of dead units."""

    layer: str
    dead: int
    units: int

    @property
    def share(self) -> float:
        """Of its units."""
        return self.dead / self.units


class Fading(NamedTuple):
    """How much weaker a gradient is far from the loss than near to it."""

    where: str
    ratio: float


def find_dead(
    model: nn.Module, task: Task, batches: Sequence[Any], compute: Compute
) -> Dead | None:
    """Return the layer with the largest share of units whose output no sample changes.

    A rectified unit is dead where it is 0 for every sample and position, a bounded one where it is
    always the same. Without such layers there is None.
    """
    lows: dict[str, Tensor] = {}
    highs: dict[str, Tensor] = {}
    kinds: dict[str, bool] = {}
    calls: dict[str, int] = defaultdict(int)  # a module may be used several times in a pass

    def note(name: str, module: nn.Module, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        name = f"{name}#{calls[name]}" if calls[name] else name
        calls[name.partition("#")[0]] += 1
        units = states.detach().float()
        if isinstance(module, nn.RNNBase):
            units = units.flatten(0, -2)
        elif units.ndim > 2:
            units = units.transpose(0, 1).flatten(1).T
        low, high = units.amin(0), units.amax(0)
        kinds[name] = isinstance(module, _RECTIFIERS)
        lows[name] = torch.minimum(lows.get(name, low), low)
        highs[name] = torch.maximum(highs.get(name, high), high)

    kept = (*_RECTIFIERS, *_BOUNDED, nn.RNNBase)
    with contextlib.ExitStack() as stack, torch.no_grad(), compute.autocast():
        for name, module in model.named_modules():
            if isinstance(module, kept):
                hook = module.register_forward_hook(
                    lambda module, inputs, output, name=name: note(name, module, output)
                )
                stack.callback(hook.remove)
        model.eval()
        for batch in batches:
            calls.clear()
            task.outputs(model, batch)
    found = [
        Dead(name, int(dead.sum()), len(dead))
        for name in lows
        for dead in [
            highs[name] <= 0 if kinds[name] else (highs[name] - lows[name]) < _SAME,
        ]
        if len(dead) >= _FEWEST
    ]
    return max(found, key=lambda each: each.share, default=None)


def measure_fading(
    model: nn.Module, task: Task, batches: Sequence[Any], compute: Compute
) -> list[Fading]:
    """Return how a gradient fades through layers, and through the steps of recurrent ones.

    Through layers: the norm of the gradient of the loss by what the first layer with weights says,
    over the largest of the other layers'. Through steps: that by the first tenth of the inputs of a
    recurrent layer, over the largest of all steps; the model is in evaluation mode but for what its
    kernels need.
    """
    depths: dict[str, float] = defaultdict(float)
    steps: dict[str, Tensor] = {}
    order: list[str] = []
    watched: list[tuple[str, Tensor, bool]] = []

    def note_layer(name: str, output: Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
            watched.append((name, output, False))
            if name not in order:
                order.append(name)

    def note_steps(name: str, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        given, *others = inputs
        given = given if given.requires_grad else given.detach().clone().requires_grad_()
        given.retain_grad()
        watched.append((name, given, True))
        return (given, *others)

    with _hooks(model, note_layer, note_steps):
        for number, batch in enumerate(batches):
            generator = compute.seed(0, number)
            with compute.autocast():
                parts = task.loss(model, batch, When(0, 0, generator))
            model.zero_grad(set_to_none=True)
            torch.autograd.backward(list(parts.values()))
            for name, tensor, stepped in watched:
                if tensor.grad is None:
                    continue
                if stepped:
                    each = tensor.grad.float().square().sum((0, 2)).sqrt().cpu()
                    if name not in steps or len(steps[name]) < len(each):
                        steps[name] = each
                else:
                    depths[name] += float(tensor.grad.float().norm())
            watched.clear()
    model.zero_grad(set_to_none=True)
    found = []
    if len(order) > 2 and (largest := max(depths.values())) > 0:
        found.append(
            Fading(f"from the last layer to the first ({order[0]})", depths[order[0]] / largest)
        )
    for name, each in steps.items():
        early = each[: max(1, len(each) // 10)].mean()
        if len(each) >= 20 and each.max() > 0:
            where = f"over the {len(each)} steps of {name}"
            found.append(Fading(where, float(early / each.max())))
    return found


@contextlib.contextmanager
def _hooks(model: nn.Module, note_layer: Any, note_steps: Any) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name, module in model.named_modules():
            hook = None
            if isinstance(module, _WEIGHED):
                hook = module.register_forward_hook(
                    lambda module, inputs, output, name=name: note_layer(name, output)
                )
            elif isinstance(module, nn.RNNBase):
                hook = module.register_forward_pre_hook(
                    lambda module, inputs, name=name: note_steps(name, inputs)
                )
            if hook is not None:
                stack.callback(hook.remove)
        yield
