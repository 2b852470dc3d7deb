"""A network written as ONNX or TorchScript, and run again from what was written.

Both come from tracing the network once on real inputs. torch's newer exporter (`dynamo=True`) needs
one package more, takes ten times as long, cannot follow what torchvision's detectors do, and is
wrong in silence where recurrent layers are: it fixes the number of steps where sequences are
reversed (github.com/pytorch/pytorch/issues/191855), and takes a GRU's reset gate to stand elsewhere
(github.com/pytorch/pytorch/issues/189225). Tracing fixes whatever Python computes from a shape, so
that each file is compared on batches and lengths other than those it was traced on.
"""

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import RunError
from common.export import file

Inputs = tuple[Tensor, ...]
Runner = Callable[..., Any]  # of the inputs of a graph, in their order; a tensor or several

_OPSET = 17


@dataclass(frozen=True)
class Graph:
    """A network, or a part of one, that becomes a file.

    Attributes:
        module: in evaluation mode; takes tensors, and returns one or several.
        inputs: what each is, by its name, in the order of the module's.
        outputs: what each is, by its name, in the order of the module's.
        example: real inputs, on which it is traced: of several samples, if it takes several.
        singles: real inputs of one sample each.
        axes: those that may be of any length, by the input's or the output's name: a name for each.
        part: what it is called, where the network has several.
    """

    module: nn.Module
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    example: Inputs
    singles: Sequence[Inputs]
    axes: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    part: str = ""

    def run(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Return what the network says."""
        return as_outputs(self.module(*inputs))


def as_outputs(found: Any) -> Sequence[Tensor]:
    """Return one output or several as a sequence."""
    return [found] if isinstance(found, Tensor) else list(found)


def each_alone(inputs: Inputs) -> Iterator[Inputs]:
    """Yield the inputs of each sample of a batch, as a batch of one."""
    for row in range(len(inputs[0])):
        yield tuple(each[row : row + 1] for each in inputs)


def to_onnx(graph: Graph, about: Mapping[str, Any]) -> bytes:
    """Return an ONNX file, with what is known about it as metadata (texts, or JSON).

    Raises:
        RunError: the network has a part that ONNX cannot hold.
    """
    import onnx

    model = onnx.load_model_from_string(_traced(graph))
    texts = {
        name: value if name in file.TEXTS else json.dumps(value, ensure_ascii=False)
        for name, value in about.items()
    }
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _traced(graph: Graph) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                graph.module,
                graph.example,
                stream,  # type: ignore[arg-type]
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_axes=dict(graph.axes),
                opset_version=_OPSET,
                dynamo=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise RunError(
                f"the network has a part that ONNX cannot hold ({reason}); the lab's own models "
                "can be exported"
            ) from error
    return stream.getvalue()


def load_onnx(data: bytes) -> Runner:
    """Return a function that runs an ONNX file by onnxruntime on the CPU, with torch's threads."""
    session = file.start(data, torch.get_num_threads())
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        given = dict(zip(names, (each.numpy() for each in inputs), strict=True))
        return [torch.from_numpy(output) for output in session.run(None, given)]

    return run


def to_torchscript(graph: Graph, about: Mapping[str, Any]) -> bytes:
    """Return a TorchScript file, with what is known about it in its `about.json`."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(graph.module, graph.example, check_trace=False)  # type: ignore[no-untyped-call]
        extra = {"about.json": json.dumps(about, ensure_ascii=False)}
        torch.jit.save(traced, stream, _extra_files=extra)
    return stream.getvalue()


def load_torchscript(data: bytes) -> Runner:
    """Return a function that runs a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Runner = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
    return loaded


FORMATS = {"onnx": (to_onnx, load_onnx), "torchscript": (to_torchscript, load_torchscript)}
