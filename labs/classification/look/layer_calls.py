"""What the layers of a model give: its maps, in the order in which they are made; its stages."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module that returned a tensor."""

    place: int  # among all calls of a pass; the same place is the same call in every pass
    name: str  # of the module, as in the state dict
    module: nn.Module
    given: tuple[Any, int]  # its first argument, and the version of it that it saw
    output: Tensor  # what it returned
    version: int  # of the output, at the time; changes in place make it a later one

    @property
    def side(self) -> int:
        """The height and width of the maps; 0 where the output is not maps (N, C, H, W).

        Those of adaptive pooling do not count, which takes the whole picture together or spreads
        it, nor do maps with a border for the next layer.
        """
        square = self.output.ndim == 4 and self.output.shape[2] == self.output.shape[3]
        other = isinstance(self.module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d | nn.ZeroPad2d)
        return self.output.shape[3] if square and not other else 0

    @property
    def depth(self) -> int:
        """How deep in the module tree it is."""
        return self.name.count(".")


class _Enough(Exception):
    """Ends a forward pass when the last call that matters is done."""


def calls(model: nn.Module, inputs: Tensor, last: int | None = None) -> list[Call]:
    """Run a model, in evaluation mode, and return the calls of its modules as they end.

    The pass ends with the call at the place `last`; None for the whole model.
    """
    found: list[Call] = []
    seen: dict[str, list[tuple[Any, int]]] = {}

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        first = arguments[0] if arguments else None
        version = first._version if isinstance(first, Tensor) else 0
        seen.setdefault(name, []).append((first, version))

    def after(name: str, module: nn.Module, output: Any) -> None:
        given = seen[name].pop()
        if isinstance(output, Tensor):
            found.append(Call(len(found), name, module, given, output, output._version))
            if last is not None and len(found) > last:
                raise _Enough

    handles = []
    for name, module in model.named_modules():
        if name:
            handles += [
                module.register_forward_pre_hook(lambda _, x, name=name: before(name, x)),
                module.register_forward_hook(lambda m, _, y, name=name: after(name, m, y)),
            ]
    try:
        model.forward(inputs)  # not the compiled one, which hooks would compile again
    except _Enough:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found


def stages(found: Sequence[Call]) -> list[Call]:
    """Return the last call at each size of the maps: what a stage of the model hands on.

    Of several modules that end with the same maps, the outermost counts: a block, not the last
    convolution in it.
    """
    best: dict[int, Call] = {}
    for call in found:
        known = best.get(call.side)
        if call.side > 1 and (known is None or call.depth <= known.depth):
            best[call.side] = call
    return sorted(best.values(), key=lambda call: call.place)


def last_convolution(found: Sequence[Call]) -> Call | None:
    """Return the stage with the last maps that a convolution made; None where there are none.

    That is after the activation and the skip connection, where there are such, and before pooling.
    The convolution that cuts a picture into the patches of a transformer is none: what it makes is
    not what is decided upon.
    """
    made = [call for call in found if isinstance(call.module, nn.Conv2d) and call.side > 1]
    first = made[0].module if made else None
    if first is None or (len(made) == 1 and first.stride == first.kernel_size != (1, 1)):
        return None
    return next(stage for stage in reversed(stages(found)) if stage.side == made[-1].side)


def trace(
    model: nn.Module, channels: int, height: int, width: int | None = None, last: int | None = None
) -> list[Call]:
    """Return the calls of a pass over an image without numbers, on the meta device: shapes alone.

    The model is left as it is. Height and width are in pixels, the width is the height when None;
    see `calls` for `last`.

    Raises:
        RuntimeError: such an image does not go through.
    """
    shapes = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad():
        return calls(shapes, torch.empty(1, channels, height, width or height, device="meta"), last)
