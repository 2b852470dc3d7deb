"""A network as a list of operations, which `engine.js` computes in a browser.

`torch.fx` (Reed et al. 2022, "torch.fx: Practical program capture and transformation") follows one
forward pass; each module of torch's that it meets becomes a step, and so does what was computed
between them. What the engine does not know is refused by name.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from common.errors import RunError

_MOST_FULL = 400_000  # weights that are kept with 32 bits; of more, 16 have to do
MOST_WEIGHTS = 6_000_000
"""Of a network of images in a page, which has 16 MB then."""

INPUT = -1  # the number that stands for what the program is given; a second input is -2


@dataclass
class Step:
    """An operation.

    Attributes:
        operation: its name in `engine.js`.
        name: of the module, as in the state dict, or of what was computed.
        inputs: the numbers of the steps that it takes.
        attributes: what it is told.
        weights: tensors, by the name that the operation gives them.
    """

    operation: str
    name: str
    inputs: list[int]
    attributes: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)


Described = tuple[str, Mapping[str, Any], Mapping[str, Tensor | None]]
Describe = Callable[[Any], Described]


def trace(model: nn.Module, known: Mapping[type[nn.Module], Describe] | None = None) -> list[Step]:
    """Return what a model computes for one sample, step by step.

    Args:
        model: in evaluation mode; it takes one tensor, (B, ...), and returns one.
        known: how modules of a lab's own are described: operation, attributes, weights.

    Raises:
        RunError: it computes something that the engine cannot.
    """
    return _Reader(model, {**_MODULES, **(known or {})}).steps


def dump(steps: Sequence[Step], fewest: int = 16) -> dict[str, Any]:
    """Return a program as JSON can hold it, its weights rounded to fewer bits where they are many.

    Then a matrix or a kernel has an integer for each number and a factor for each row, see
    `round_rows`; vectors, which are few, stay as they are. What steps share is there once.

    Args:
        steps: the program.
        fewest: bits of an integer, 16 or 12.
    """
    every = {_key(weight): weight for step in steps for weight in step.weights.values()}
    bits = 32 if sum(weight.numel() for weight in every.values()) <= _MOST_FULL else fewest
    floats: list[np.ndarray] = [np.zeros(0, "<f4")]
    integers: list[np.ndarray] = [np.zeros(0, "<i2")]
    start, described = 0, []
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for step in steps:
        places = {}
        for name, weight in step.weights.items():
            if _key(weight) in known:
                places[name] = known[_key(weight)]
                continue
            values = weight.detach().cpu().float().contiguous().numpy()
            if bits < 32 and values.ndim > 1:
                whole, factors = round_rows(values, bits)
                integers.append(whole.ravel())
                floats.append(factors.ravel())
            else:
                floats.append(values.astype("<f4").ravel())
            places[name] = known[_key(weight)] = {"shape": list(values.shape), "start": start}
            start += values.size
        described.append(
            {
                "operation": step.operation,
                "name": step.name,
                "inputs": step.inputs,
                "attributes": step.attributes,
                "weights": places,
            }
        )
    return {
        "steps": described,
        "bits": bits,
        "size": start,
        "weights": _encode(floats),
        "integers": _encode([_pack(np.concatenate(integers))] if bits == 12 else integers),
    }


def round_rows(values: np.ndarray, bits: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Return integers of so many bits (N, ...), and a factor for each row (N, 1, ...) in float32.

    Of 16 bits their product is within 1.6e-5 of the largest number of the row, of 12 within 2.5e-4;
    a float of 16 bits would be within 2.5e-4 of each number, which with many inputs adds up to
    twenty times as much as 16 bits here.
    """
    largest = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True)
    factors = np.maximum(largest, np.float32(1e-30)) / np.float32(2 ** (bits - 1) - 1)
    return (values / factors).round().astype("<i2"), factors.astype("<f4")


def _pack(whole: np.ndarray) -> np.ndarray:
    """Return integers of 12 bits, moved up by 2048, as bytes: two in three, the highest first."""
    even = np.append(whole, np.zeros(len(whole) % 2, "<i2")) + 2048
    first, second = even[::2], even[1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1)
    return packed.astype(np.uint8).ravel()


def _encode(parts: Sequence[np.ndarray]) -> str:
    return base64.b64encode(np.concatenate(parts).tobytes()).decode()


def _key(weight: Tensor) -> tuple[Any, ...]:
    """Say which memory a tensor looks at, and how."""
    return weight.data_ptr(), weight.shape, weight.stride()


class _Tracer(fx.Tracer):
    def __init__(self, leaves: tuple[type[nn.Module], ...]):
        super().__init__()
        self._leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self._leaves)


class _Reader:
    """Reads a traced model node by node."""

    def __init__(self, model: nn.Module, known: Mapping[type[nn.Module], Describe]):
        self._known, self._modules = known, dict(model.named_modules())
        self.steps: list[Step] = []
        self._values: dict[fx.Node, Any] = {}  # the number of a step, or what is no tensor
        try:
            graph = _Tracer(tuple(known)).trace(model)
        except (fx.proxy.TraceError, TypeError) as error:
            raise RunError(f"what the network computes depends on its input: {error}") from error
        for node in graph.nodes:
            self._read(node)

    def _read(self, node: fx.Node) -> None:
        match node.op:
            case "placeholder":
                self._values[node] = INPUT
            case "call_module":
                module = self._modules[str(node.target)]
                operation, attributes, weights = self._known[type(module)](module)
                self._add(node, operation, str(node.target), [node.args[0]], attributes, weights)
            case "call_function" | "call_method":
                self._compute(node)
            case "output":
                last = self._values[node.args[0]]  # type: ignore[index]
                if last != len(self.steps) - 1:
                    raise RunError("the network returns something else than its last step")
            case _:
                raise RunError(f"{node.target}: a tensor of the network's own outside of a layer")

    def _add(
        self,
        node: fx.Node,
        operation: str,
        name: str,
        inputs: Sequence[Any],
        attributes: Mapping[str, Any],
        weights: Mapping[str, Tensor | None],
    ) -> None:
        numbers = [self._values[each] for each in inputs]
        if operation == "identity":
            self._values[node] = numbers[0]
            return
        kept = {name: weight for name, weight in weights.items() if weight is not None}
        self.steps.append(Step(operation, name, numbers, dict(attributes), kept))
        self._values[node] = len(self.steps) - 1

    def _compute(self, node: fx.Node) -> None:
        name = getattr(node.target, "__name__", str(node.target))
        if name not in _FUNCTIONS:
            raise RunError(f"{name}: the page cannot compute it")
        inputs, operations = _FUNCTIONS[name](*node.args, **node.kwargs)
        for operation, attributes in operations:
            self._add(node, operation, node.name, inputs, attributes, {})
            inputs = [node]
        if not operations:
            self._values[node] = self._values[inputs[0]]


def _pair(value: Any) -> list[int]:
    return [int(each) for each in value] if isinstance(value, tuple | list) else [int(value)] * 2


def _convolution(module: nn.Conv2d) -> Described:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise RunError(f"a padding of {module.padding} by {module.padding_mode}")
    attributes = {
        "stride": _pair(module.stride),
        "padding": _pair(module.padding),
        "dilation": _pair(module.dilation),
        "groups": module.groups,
    }
    return "conv2d", attributes, {"weight": module.weight, "bias": module.bias}


def _transposed(module: nn.ConvTranspose2d) -> Described:
    attributes = {
        "stride": _pair(module.stride),
        "padding": _pair(module.padding),
        "output_padding": _pair(module.output_padding),
        "dilation": _pair(module.dilation),
        "groups": module.groups,
    }
    return "conv_transpose2d", attributes, {"weight": module.weight, "bias": module.bias}


def _max_pool(module: nn.MaxPool2d) -> Described:
    if _pair(module.dilation) != [1, 1]:
        raise RunError("pooling with a dilation")
    return "max_pool2d", _windows(module), {}


def _avg_pool(module: nn.AvgPool2d) -> Described:
    return "avg_pool2d", {**_windows(module), "count_include_pad": module.count_include_pad}, {}


def _windows(module: Any) -> dict[str, Any]:
    return {
        "kernel": _pair(module.kernel_size),
        "stride": _pair(module.stride),
        "padding": _pair(module.padding),
        "ceil": module.ceil_mode,
    }


def _adaptive(module: nn.AdaptiveAvgPool2d) -> Described:
    size = module.output_size
    sides = list(size) if isinstance(size, tuple) else [size, size]
    return "adaptive_avg_pool2d", {"size": sides}, {}


def _batch_norm(module: nn.BatchNorm2d) -> Described:
    weights = {
        "mean": module.running_mean,
        "variance": module.running_var,
        "weight": module.weight,
        "bias": module.bias,
    }
    return "batch_norm", {"eps": module.eps}, weights


def _layer_norm(module: nn.LayerNorm) -> Described:
    size = int(np.prod(module.normalized_shape))
    weights = {"weight": module.weight, "bias": module.bias}
    return "layer_norm", {"size": size, "eps": module.eps}, weights


def _group_norm(module: nn.GroupNorm) -> Described:
    weights = {"weight": module.weight, "bias": module.bias}
    return "group_norm", {"groups": module.num_groups, "eps": module.eps}, weights


def _flatten(module: nn.Flatten) -> Described:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise RunError(f"flattening of the dimensions {module.start_dim} to {module.end_dim}")
    return "reshape", {"shape": [-1]}, {}


def _unflatten(module: nn.Unflatten) -> Described:
    if module.dim != 1:
        raise RunError(f"unflattening of dimension {module.dim}")
    return "reshape", {"shape": [int(size) for size in module.unflattened_size]}, {}


def _activation(kind: str, **names: str) -> Describe:
    """Return how an activation is described; `names` are attributes by the engine's name."""

    def describe(module: nn.Module) -> Described:
        values = {ours: float(getattr(module, theirs)) for ours, theirs in names.items()}
        return "activation", {"kind": kind, **values}, {}

    return describe


def _gelu(module: nn.GELU) -> Described:
    if module.approximate != "none":
        raise RunError(f"a GELU that is approximated by {module.approximate}")
    return "activation", {"kind": "gelu"}, {}


def _upsample(module: nn.Upsample) -> Described:
    factor = module.scale_factor
    if module.mode != "nearest" or factor is None or float(_pair(factor)[0]) != factor:
        raise RunError(f"scaling by {factor} ({module.mode})")
    return "upsample_nearest", {"factor": int(factor)}, {}


def _softmax(module: nn.Softmax) -> Described:
    if module.dim not in (-1, 1):
        raise RunError(f"a softmax over dimension {module.dim}")
    return "softmax", {}, {}


def _nothing(module: nn.Module) -> Described:
    return "identity", {}, {}


_MODULES: Mapping[type[nn.Module], Describe] = {
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.Linear: lambda module: ("linear", {}, {"weight": module.weight, "bias": module.bias}),
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.Upsample: _upsample,
    nn.Softmax: _softmax,
    nn.ReLU: _activation("relu"),
    nn.ReLU6: _activation("relu6"),
    nn.LeakyReLU: _activation("leaky_relu", slope="negative_slope"),
    nn.ELU: _activation("elu", alpha="alpha"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.Tanh: _activation("tanh"),
    nn.SiLU: _activation("silu"),
    nn.GELU: _gelu,
    nn.Hardsigmoid: _activation("hardsigmoid"),
    nn.Hardswish: _activation("hardswish"),
    nn.Identity: _nothing,
    nn.Dropout: _nothing,
    nn.Dropout2d: _nothing,
}


Computed = tuple[
    list[Any], list[tuple[str, dict[str, Any]]]
]  # what is taken, and what becomes of it


def _combine(operation: str) -> Callable[..., Computed]:
    """Return how the sum or the product of two tensors, or of one and a number, is computed."""

    def compute(one: Any, other: Any, **options: Any) -> Computed:
        if isinstance(one, fx.Node) and isinstance(other, fx.Node):
            return [one, other], [(operation, {})]
        node, number = (one, other) if isinstance(one, fx.Node) else (other, one)
        return [node], [(operation, {"constant": float(number)})]

    return compute


def _apply(kind: str) -> Callable[..., Computed]:
    return lambda x, inplace=False: ([x], [("activation", {"kind": kind})])


def _cut(x: fx.Node, where: Any) -> Computed:
    """Compute `x[:, :, ::2]` and the like."""
    places = where if isinstance(where, tuple) else (where,)
    if any(not isinstance(place, slice) for place in places) or places[0] != slice(None):
        raise RunError(f"a part of a tensor, [{where}]")
    operations = [
        (
            "slice",
            {
                "dimension": dimension - 1,
                "start": place.start or 0,
                "stop": place.stop,
                "step": place.step or 1,
            },
        )
        for dimension, place in enumerate(places)
        if place != slice(None)
    ]
    return [x], operations


def _pad(
    x: fx.Node, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Computed:
    """Compute zeros around maps, given from the last dimension on."""
    if mode != "constant" or value:
        raise RunError(f"padding by {mode} {value}")
    pairs = zip(pad[::2], pad[1::2], strict=True)
    operations = [
        ("pad", {"dimension": 2 - number, "before": before, "after": after})
        for number, (before, after) in enumerate(pairs)
        if before or after
    ]
    return [x], operations


def _flat(x: fx.Node, start_dim: int = 0, end_dim: int = -1) -> Computed:
    if (start_dim, end_dim) != (1, -1):
        raise RunError(f"flattening of the dimensions {start_dim} to {end_dim}")
    return [x], [("reshape", {"shape": [-1]})]


def _join(tensors: Sequence[fx.Node], dim: int = 0) -> Computed:
    if dim < 1:
        raise RunError(f"tensors joined along dimension {dim}")
    return list(tensors), [("concatenate", {"dimension": dim - 1})]


def _mean(x: fx.Node, dim: Sequence[int], keepdim: bool = False) -> Computed:
    if keepdim or any(each < 1 for each in dim):
        raise RunError(f"a mean over the dimensions {list(dim)}")
    return [x], [("mean", {"dimensions": [each - 1 for each in dim]})]


def _shrink(x: fx.Node, output_size: Any) -> Computed:
    return [x], [("adaptive_avg_pool2d", {"size": _pair(output_size)})]


_FUNCTIONS: Mapping[str, Callable[..., Computed]] = {
    "add": _combine("add"),
    "mul": _combine("multiply"),
    "relu": _apply("relu"),
    "sigmoid": _apply("sigmoid"),
    "tanh": _apply("tanh"),
    "silu": _apply("silu"),
    "hardswish": _apply("hardswish"),
    "hardsigmoid": _apply("hardsigmoid"),
    "getitem": _cut,
    "pad": _pad,
    "flatten": _flat,
    "cat": _join,
    "mean": _mean,
    "adaptive_avg_pool2d": _shrink,
    "dropout": lambda x, *args, **kwargs: ([x], []),
    "contiguous": lambda x: ([x], []),
}
