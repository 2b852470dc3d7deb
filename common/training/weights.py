"""Weights of a user's file: tensors by name, and nothing else that a file may hold is run or made.

What is believed of a file is bounded by its size: no entry is unpacked to more than it takes on the
disk, and no tensor is larger than the file that holds it.
"""

import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from common.errors import ConfigError, RunError

ENDINGS = (".safetensors", ".pt", ".pth")

_LARGEST = 16 * 2**30  # bytes of a file
_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_PREFIX = "module."  # of every name, where the model was wrapped for several devices
_OPTIONAL = "num_batches_tracked"  # of batch norm, which old files lack
_LISTED = 3  # names of each kind in an error
_REASONS = (  # where torch's long messages say what they are about
    r"WeightsUnpickler error:\s+([^\n]+?)(?: by default|$|\n)",
    r"trusted source\.\s+([^\n]+)",
    r"([^\n]+)",
)


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by their names, on the CPU.

    Args:
        path: ends in .safetensors, .pt or .pth; of the last two, the tensors may be in an entry
            `state_dict`, `model_state_dict` or `model`, and their names begin with `module.`.

    Raises:
        ConfigError: there is no such file, or it is of another kind.
        RunError: the file is damaged, holds no plain tensors by name, or would run code.
    """
    found = check(path)
    if path.suffix not in ENDINGS:
        expected = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise ConfigError(f"--weights {path}: expected a file that ends in {expected}")
    reader = _safetensors if path.suffix == ".safetensors" else _pickled
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says of files that it then refuses
        try:
            content = reader(path, found)
        except Exception as error:  # a hostile file can make a reader raise anything
            raise RunError(
                f"{path} is not read: {reason(error)}; expected a whole file of tensors by name, "
                "such as torch.save(model.state_dict(), FILE) or safetensors writes"
            ) from error
    tensors = _tensors(content)
    if not tensors:
        raise RunError(f"{path} holds no tensors by name")
    for name, tensor in tensors.items():
        problem = _problem(tensor, found)
        if problem:
            raise RunError(f"{path} is not read: {_shown(name)} {problem}")
    return tensors


def check(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises:
        ConfigError: there is no such file, or it is larger than any weights.
    """
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "no such file"
        raise ConfigError(f"--weights {path}: {kind}")
    size = path.stat().st_size
    if size > _LARGEST:
        raise ConfigError(f"--weights {path}: larger than {_LARGEST / 2**30:.0f} GiB")
    return size


def match(
    model: nn.Module, tensors: Mapping[str, Tensor], source: str, leave_out: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Return those of the tensors that the model takes, once it is known that they are its own.

    Args:
        model: what they must fit, name by name and shape by shape.
        tensors: by name.
        source: what the error calls them.
        leave_out: modules that keep the weights they have, such as the classifier.

    Raises:
        RunError: tensors are missing, unexpected, or of another shape; all of them are named.
    """
    prefixes = tuple(f"{name}." for name in leave_out)
    own = {k: v for k, v in model.state_dict().items() if not k.startswith(prefixes)}
    given = {k: v for k, v in tensors.items() if not k.startswith(prefixes)}
    missing = [k for k in own if k not in given and not k.endswith(_OPTIONAL)]
    unexpected = [k for k in given if k not in own]
    common = [k for k in given if k in own]
    differing = (k for k in common if given[k].shape != own[k].shape)
    reshaped = [f"{k} ({_shape(given[k])} for {_shape(own[k])})" for k in differing]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    if problems := [
        f"{len(names)} {kind}: {_list(names)}" for kind, names in kinds.items() if names
    ]:
        raise RunError(
            f"{source} is of another model, of {len(own)} tensors {len(own) - len(missing)} are "
            f"there; {'; '.join(problems)}; choose the --model and --image-size that it was made "
            "for"
        )
    for name in common:
        if not given[name].isfinite().all():
            raise RunError(f"{source} is not used: {name} holds NaN or infinite numbers")
    return {name: given[name] for name in common}


@torch.no_grad()
def put(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a model that has them all, by their names, whatever their precision."""
    own = model.state_dict()
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


def reason(error: BaseException) -> str:
    """Return in one line why a file was refused."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error) or type(error).__name__
    found = next(filter(None, (re.search(pattern, text) for pattern in _REASONS)), None)
    return (found[1] if found else text).partition(". ")[0].strip()[:200]


def _safetensors(path: Path, size: int) -> dict[str, Tensor]:
    return safetensors.torch.load(path.read_bytes())


def _pickled(path: Path, size: int) -> Any:
    if zipfile.is_zipfile(path):
        _check_archive(path, size)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=False)


def _check_archive(path: Path, size: int) -> None:
    """Refuse an archive that would swell: torch stores its entries as they are."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("its entries are compressed")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its entries are larger than the file")


def _tensors(content: Any) -> dict[str, Tensor]:
    """Return the tensors of what was read, where training scripts put them."""
    if not isinstance(content, Mapping):
        return {}
    nested = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), None)
    inside = content if nested is None else nested
    named = ((k, v) for k, v in inside.items() if isinstance(k, str) and isinstance(v, Tensor))
    found = dict(named)
    if found and all(name.startswith(_PREFIX) for name in found):
        return {name.removeprefix(_PREFIX): value for name, value in found.items()}
    return found


def _problem(tensor: Tensor, size: int) -> str | None:
    """Return why a tensor is none of weights, or None."""
    plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_nested)
    if not plain or tensor.device.type != "cpu" or tensor.is_complex():
        return "is no plain tensor of real numbers"
    if tensor.numel() * tensor.element_size() > size:
        return f"claims {_shape(tensor)} numbers, more than the file holds"
    return None


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _shown(name: str) -> str:
    """Return a name of a file for the terminal: without control characters, and not too long."""
    return repr(name[:80])[1:-1]


def _list(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(map(_shown, names[:_LISTED])) + (f" and {more} more" if more > 0 else "")
