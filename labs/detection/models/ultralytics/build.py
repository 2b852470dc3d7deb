"""Ultralytics' networks, by their names or from a user's file.

Its model files may hold code; they are read so that nothing of them is ever run.
"""

import re
import reprlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torchvision
import yaml
from torch import nn

from common.errors import ConfigError
from labs.detection.models.ultralytics.decode import get_head
from labs.detection.models.ultralytics.library import MISTAKES, ROOT, tasks

_HEADS = {"detect": ("Detect", "v10Detect"), "segment": ("Segment", "Segment26")}
_ACTIVATION = re.compile(r"(torch\.)?nn\.\w+\([\w\s.,=-]*\)")  # no call inside the call
_REPEATS = 100  # the most of a layer


@cache
def descriptions(task: str = "detect") -> dict[str, tuple[Path, str]]:
    """Return the file and the size (or "") of every model of a task that the library describes."""
    found = {}
    for path in sorted((ROOT / "cfg" / "models").glob("*/*.yaml")):
        content = yaml.safe_load(path.read_text("utf-8"))
        if content["head"][-1][2] not in _HEADS[task]:
            continue
        sizes = list(content.get("scales", ()))
        if len(sizes) < 2:  # the size, if any, is in the file's name
            found[path.stem] = (path, "".join(sizes))
        else:
            for size in sizes:
                found[re.sub(r"(\d+)", rf"\g<1>{size}", path.stem, count=1)] = (path, size)
    return found


def build(name: str, classes: Sequence[str], image_size: int, task: str = "detect") -> nn.Module:
    """Return a detector with random weights, which torch's generator draws.

    The name is of a model that the library describes, such as `yolo11n`, or a YAML file like those.

    Raises:
        ConfigError: there is no such model of the task, its file cannot be used, or the images do
            not fit it.
    """
    content = _description(name, task)
    kind = tasks.SegmentationModel if task == "segment" else tasks.DetectionModel
    try:
        model = kind(content, nc=len(classes), verbose=False)
    except MISTAKES as error:
        raise ConfigError(f"--model {name}: no network can be built from it: {error}") from error
    stride = int(model.stride.max())
    if image_size % stride:
        nearest = stride * max(1, round(image_size / stride))
        raise ConfigError(
            f"--image-size {image_size}: {name} needs a multiple of {stride}, such as {nearest}"
        )
    model.names = dict(enumerate(classes))
    detector: nn.Module = model
    head = get_head(detector)
    head.dynamic = True  # else it would keep its grid from one batch to the next
    head.end2end = hasattr(head, "one2one_cv2")  # not the head that needs suppression
    return detector


def _description(name: str, task: str) -> dict[str, Any]:
    """Return what the library builds a model from."""
    if Path(name).suffix in (".yaml", ".yml"):
        return _from_file(Path(name), task)
    known = descriptions(task)
    if name not in known:
        raise ConfigError(f"--model {name}: the installed ultralytics does not describe it")
    path, size = known[name]
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content | {"scale": size, "yaml_file": path.name}


def _from_file(path: Path, task: str) -> dict[str, Any]:
    """Read a user's model file, of which nothing is run.

    Raises:
        ConfigError: it is missing, no YAML, or does not describe a model of the task.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"--model {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--model {path}: not a text in UTF-8") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--model {path}: not plain YAML: {reason}") from error
    if problems := _problems(content, _HEADS[task]):
        raise ConfigError([f"--model {path}: {problem}" for problem in problems])
    sizes = content.get("scales") or {"": None}
    named = tasks.guess_model_scale(path)
    size = named if named in sizes else next(iter(sizes))
    return {**content, "scale": size, "nc": 1}


def _problems(content: Any, heads: Sequence[str]) -> list[str]:
    """Say what is wrong with a model file, before the library sees it."""
    if not isinstance(content, dict):
        return ["expected keys such as backbone and head"]
    problems = [
        f"{key}: expected a list of rows [from, repeats, module, arguments]"
        for key in ("backbone", "head")
        if not (isinstance(content.get(key), list) and content[key])
    ]
    activation = content.get("activation", "nn.SiLU()")
    if not (isinstance(activation, str) and _ACTIVATION.fullmatch(activation)):
        given = reprlib.repr(activation)
        problems.append(f"activation: expected one of torch such as nn.SiLU(), not {given}")
    if not isinstance(content.get("scales", {}), dict):
        problems.append("scales: expected sizes such as n: [0.5, 0.25, 1024]")
    if problems:
        return problems
    for key in ("backbone", "head"):
        for number, row in enumerate(content[key], 1):
            problems += [f"{key}, row {number}: {problem}" for problem in _row_problems(row)]
    if not problems and content["head"][-1][2] not in heads:
        problems.append(f"head: the last row must be a {' or '.join(heads)}")
    return problems


def _row_problems(row: Any) -> list[str]:
    match row:
        case [int() | list(), int(repeats), str(module), list()]:
            problems = [] if 1 <= repeats <= _REPEATS else [f"repeats {repeats}: 1 to {_REPEATS}"]
            return problems if _is_layer(module) else [*problems, f"{module} is no layer of it"]
        case _:
            # repr() could be endless: a few lines of YAML can stand for a billion.
            return [f"expected [from, repeats, module, arguments], not {reprlib.repr(row)}"]


def _is_layer(name: str) -> bool:
    """Say whether a name is that of a layer which builds without reading or fetching anything."""
    if name.startswith("nn."):
        layer = getattr(nn, name[3:], None)
    elif name.startswith("torchvision.ops."):
        layer = getattr(torchvision.ops, name[16:], None)
    else:
        layer = getattr(tasks, name, None)
        if not getattr(layer, "__module__", "").startswith("ultralytics.nn.modules."):
            return False  # such as whole models, which take files and addresses
    of_torch = isinstance(layer, type) and issubclass(layer, nn.Module)
    return of_torch and layer is not tasks.TorchVision  # which downloads weights
