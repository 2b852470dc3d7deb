"""What a model is made of: modules, output shapes, parameters and multiply-adds."""

import copy
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]

_SAMPLE_SECONDS, _MULTIPLY_ADD_SECONDS = 1.5e-4, 4e-11  # forward, backward and step


@dataclass(frozen=True)
class ModuleSummary:
    """One module with numbers of its own, without the modules inside it: rows add up to totals."""

    name: str  # path from the model, as in its state dict; empty for the model itself
    depth: int  # 0 for the model, 1 for its children, and so on
    type: str  # name of the class
    output_shape: Shape | None
    """Of the first tensor that the last call returned, batch dimension included; None where the
    module was not called (`nn.ModuleList`) or returned no tensor."""
    parameters: int  # numbers in its parameters; a shared parameter counts where it comes first
    trainable_parameters: int  # those of them that require a gradient
    multiply_adds: int | None  # over all calls, for one sample; None where it was not called


@dataclass(frozen=True)
class Summary:
    """A model's modules, parents before children, and totals in which everything counts once."""

    rows: tuple[ModuleSummary, ...]  # a module used in several places has one, at the first
    parameters: int  # numbers in all parameters
    trainable_parameters: int  # those that require a gradient
    frozen_parameters: int  # the others
    buffers: int  # numbers in all buffers, such as the running means of batch norm
    multiply_adds: int  # for one sample
    parameter_megabytes: float  # size of the parameters in memory, in units of 10^6 bytes

    def folded(self, depth: int) -> "Summary":
        """Return the modules down to a depth, the deepest with the numbers of their inside."""
        rows: list[ModuleSummary] = []
        for row in self.rows:
            if row.depth <= depth:
                rows.append(row)
            else:
                rows[-1] = _with_inside(rows[-1], row)
        return replace(self, rows=tuple(rows))

    def as_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows."""
        return asdict(self)


def _with_inside(row: ModuleSummary, inner: ModuleSummary) -> ModuleSummary:
    known = [count for count in (row.multiply_adds, inner.multiply_adds) if count is not None]
    return replace(
        row,
        parameters=row.parameters + inner.parameters,
        trainable_parameters=row.trainable_parameters + inner.trainable_parameters,
        multiply_adds=sum(known) if known else None,
    )


def summarize(model: nn.Module, input_shape: Shape, *, meta: bool = True) -> Summary:
    """Summarize a model as it handles one sample in eval mode.

    A copy without weights does it on the meta device: it takes no memory and no arithmetic, and the
    model itself keeps its mode, weights, hooks and device. Multiply-adds are those of convolutions,
    matrix products and attention, half of what `torch.utils.flop_counter` counts; element-wise
    operations, normalization and pooling count as nothing, as in most published numbers. Where a
    module uses a child's weights without calling the child, as `nn.MultiheadAttention` does, the
    work is its own.

    Args:
        model: takes a float32 tensor of shape `(1, *input_shape)`.
        input_shape: shape of one sample, for images (channels, height, width).
        meta: False where shapes depend on what the model finds, as with torchvision's detectors:
            then a whole copy sees a black sample.

    Raises:
        RuntimeError: from torch, where a sample of this shape does not go through the model.

    Example:
        >>> found = summarize(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()), (1, 28, 28))
        >>> found.parameters, found.multiply_adds  # 6 (25 + 1); 25 for each of 6 x 24 x 24 outputs
        (156, 86400)
    """
    twin = _meta_copy(model) if meta else copy.deepcopy(model).cpu()
    shapes, multiply_adds = _trace(twin, input_shape, "meta" if meta else "cpu")
    counted: set[nn.Parameter] = set()
    rows = []
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if p not in counted]
        counted.update(own)
        rows.append(
            ModuleSummary(
                name=name,
                depth=name.count(".") + 1 if name else 0,
                type=type(module).__name__,
                output_shape=shapes.get(name),
                parameters=sum(p.numel() for p in own),
                trainable_parameters=sum(p.numel() for p in own if p.requires_grad),
                multiply_adds=multiply_adds[name] if name in shapes else None,
            )
        )
    parameters = sum(row.parameters for row in rows)
    trainable = sum(row.trainable_parameters for row in rows)
    return Summary(
        rows=tuple(rows),
        parameters=parameters,
        trainable_parameters=trainable,
        frozen_parameters=parameters - trainable,
        buffers=sum(buffer.numel() for buffer in model.buffers()),
        multiply_adds=multiply_adds.total(),
        parameter_megabytes=sum(p.numel() * p.element_size() for p in counted) / 1e6,
    )


def samples_per_second(model: nn.Module, input_shape: Shape) -> float:
    """Return about how many samples a model learns from in a second on two cores, by its work.

    From LeNet-5, ResNet-20 and VGG-11 on one core of an AMD EPYC; a rule of thumb, within a factor
    of two. Depthwise convolutions take up to ten times as long.
    """
    return 1 / (
        _SAMPLE_SECONDS + _MULTIPLY_ADD_SECONDS * summarize(model, input_shape).multiply_adds
    )


def _meta_copy(model: nn.Module) -> nn.Module:
    """Copy a model to the meta device without its weights; what was shared stays shared."""
    twins: dict[int, Any] = {}
    for parameter in model.parameters():
        twin = torch.empty_like(parameter, device="meta")
        twins[id(parameter)] = nn.Parameter(twin, requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        twins[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, twins)


def _trace(
    model: nn.Module, input_shape: Shape, device: str
) -> tuple[dict[str, Shape | None], Counter[str]]:
    """Run a sample through a model; return output shapes and multiply-adds by module name."""
    names = {module: name for name, module in model.named_modules()}
    shapes: dict[str, Shape | None] = {}
    multiply_adds: Counter[str] = Counter()
    running = [""]
    counter = FlopCounterMode(display=False)

    def charge() -> None:
        """Charge what was counted since the last time to the innermost running module."""
        multiply_adds[running[-1]] += counter.get_total_flops() // 2 - multiply_adds.total()

    def enter(module: nn.Module, inputs: Any) -> None:
        charge()
        running.append(names[module])

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        charge()
        shapes[running.pop()] = _first_shape(output)

    for module in names:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    model.eval()
    with torch.device(device), torch.no_grad(), counter:
        model(torch.zeros(1, *input_shape))
    return shapes, multiply_adds


def _first_shape(output: Any) -> Shape | None:
    """Return the shape of the first tensor in a tensor or in tuples, lists and dicts of them."""
    if isinstance(output, torch.Tensor):
        return tuple(output.shape)
    if isinstance(output, dict):
        output = list(output.values())
    if not isinstance(output, tuple | list):
        return None
    return next((shape for shape in map(_first_shape, output) if shape is not None), None)
