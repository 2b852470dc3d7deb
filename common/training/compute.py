"""Where and how a model computes: device, precision, memory format, compilation.

`Compute` reaches the training loop as one object whose parts do nothing when they are off, so the
loop has one path for every device and precision.
"""

import contextlib
import copy
import dataclasses
import os
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from common import seeding
from common.errors import ConfigError
from common.torchrun import launched
from common.training.distributed import processes

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}

_LITTLE = 10**8  # multiply-adds of a batch that one thread had better do alone

# Dynamic loss scaling, with torch.amp.GradScaler's constants.
_FIRST_SCALE, _GROWTH, _BACKOFF, _INTERVAL = 65536.0, 2.0, 0.5, 2000


class Compute:
    """The device and its settings, as the training loop needs them.

    Args:
        device: `auto` (CUDA, then MPS, then CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` (bf16 on a GPU that has it, 16 on an older GPU with tensor cores, else
            32), `32` (float32, with TF32 matrix products where a GPU has them), `bf16` or `16`
            (float16 with loss scaling).
        compile: compile the model with `torch.compile`.
        channels_last: keep images and convolution weights with the channels innermost in memory.
        deterministic: on a GPU, choose deterministic kernels, which exact repeats and resumes need.

    Raises:
        ConfigError: the device is not here, or cannot compute with that precision.
    """

    def __init__(
        self,
        device: str = "cpu",
        precision: str = "32",
        *,
        compile: bool = False,  # noqa: A002 - torch's own word for it
        channels_last: bool = False,
        deterministic: bool = True,
    ):
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.dtype = DTYPES[self.precision]
        self.compile = compile
        self.memory_format = torch.channels_last if channels_last else torch.preserve_format
        self.scaling = self.precision == "16"
        self._generators = _default_generators(self.device)
        if self.device.type == "cuda":
            _set_up_cuda(deterministic)
        self.reset()

    @property
    def processes(self) -> processes.Alone:
        """What this process is among several that train together, or alone."""
        return processes.current()

    def reset(self) -> None:
        """Begin a run: with the first loss scale, and no step yet that was not finite."""
        self.scale = torch.tensor(_FIRST_SCALE if self.scaling else 1.0, device=self.device)
        self._good_steps = torch.zeros((), dtype=torch.int32, device=self.device)
        self._found = torch.zeros((), device=self.device)

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, in the memory format, compiled if asked; returns it."""
        model.to(self.device)
        if self.memory_format is torch.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.compile:
            model.compile()
        return model

    def move(self, batch: Any) -> Any:
        """Move a batch to the device.

        A tensor, what has a `to` of its own, or (named) tuples, lists, mappings and dataclasses of
        such; all else stays as it is.
        """
        if isinstance(batch, Tensor):
            images = batch.ndim == 4 and self.memory_format is torch.channels_last
            layout = torch.channels_last if images else torch.preserve_format
            return batch.to(self.device, non_blocking=True, memory_format=layout)
        if isinstance(batch, dict):
            return {key: self.move(value) for key, value in batch.items()}
        if isinstance(batch, tuple | list):
            values = [self.move(value) for value in batch]
            return type(batch)(*values) if hasattr(batch, "_fields") else type(batch)(values)
        if hasattr(batch, "to"):
            return batch.to(self.device)
        if isinstance(batch, MutableMapping):
            moved = copy.copy(batch)
            moved.update({key: self.move(value) for key, value in batch.items()})
            return moved
        if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
            same = copy.copy(batch)
            for field in dataclasses.fields(batch):  # also of a frozen one
                object.__setattr__(same, field.name, self.move(getattr(batch, field.name)))
            return same
        return batch

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a forward pass and its loss compute.

        A new one each time: torch's own keeps what was before in itself, and would leave autocast
        on for good where the same one is entered within itself.
        """
        if self.dtype is torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def gradient(self, share: Tensor | float) -> Tensor | None:
        """Return where the backward pass of a loss begins: its share of the update, scaled.

        None stands for exactly 1, which is where autograd begins by itself.
        """
        if not self.scaling and isinstance(share, float) and share == 1.0:
            return None
        return self.scale * share

    def seed(self, *keys: int) -> torch.Generator:
        """Key what is drawn next, such as dropout masks; returns the device's generator."""
        value = seeding.derive(*keys, 0)  # the same in all processes
        for generator in self._generators:
            generator.manual_seed(value)
        return self._generators[-1]

    @contextlib.contextmanager
    def seeded(self, *keys: int) -> Iterator[None]:
        """Key what is drawn inside the block, the same each time; the caller's stream goes on."""
        states = [generator.get_state() for generator in self._generators]
        self.seed(*keys)
        try:
            yield
        finally:
            for generator, state in zip(self._generators, states, strict=True):
                generator.set_state(state)

    def unscale(self, parameters: Sequence[Tensor], losses: Sequence[Tensor]) -> Tensor:
        """Divide the gradients by the loss scale, in place, and look whether all is finite.

        Raises:
            ConfigError: a gradient is sparse.

        Returns:
            A scalar on the device: 1.0 if any gradient or loss is NaN or infinite (the step must
            not be applied), else 0.0. Nothing waits for it. Where no loss scale can adapt, 1.0
            stays until `reset`: the weights rest as they are until someone looks.
        """
        found = torch.zeros_like(self._found) if self.scaling else self._found
        inverse = self.scale.reciprocal() if self.scaling else self.scale
        # The kernel behind torch.amp.GradScaler: one call over all tensors, where the scaler costs
        # ten times this.
        tensors = [p.grad for p in parameters if p.grad is not None]
        # In float32, as gradients are: the GPU's kernel takes tensors of one type alone.
        tensors += [loss.clone().float() if self.scaling else loss.float() for loss in losses]
        try:
            torch._amp_foreach_non_finite_check_and_unscale_(tensors, found, inverse)
        except NotImplementedError:  # by torch: the kernel has no code for these tensors
            if not any(tensor.is_sparse for tensor in tensors):
                raise
            raise ConfigError(
                "the gradient of a parameter is sparse, which this loop does not take; make the "
                "embedding with sparse=False"
            ) from None
        return found.clone()

    def adjust(self, found: Tensor) -> None:
        """Halve the loss scale after an overflow, double it after 2,000 good steps."""
        if self.scaling:
            factors = _GROWTH, _BACKOFF, _INTERVAL
            torch._amp_update_scale_(self.scale, self._good_steps, found, *factors)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the loss scale and its count of good steps."""
        return {"scale": self.scale, "good_steps": self._good_steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave."""
        self.scale.copy_(state["scale"])
        self._good_steps.copy_(state["good_steps"])

    def __str__(self) -> str:
        """Name the device and the precision for a person."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""
        bits = "bf16" if self.precision == "bf16" else f"{self.precision}-bit"
        together = f"in {self.processes.size} processes" if self.processes.size > 1 else ""
        return " ".join(filter(None, (str(self.device), name, f"({bits})", together)))


def set_threads(threads: int | None, multiply_adds: int) -> None:
    """Set the number of CPU threads: the one given, or 1 where there is little to share.

    Where there is little to share, threads wait for one another most of the time. On 2 quiet cores
    an epoch of LeNet-5 at batch 64 took 0.7 times as long with two threads as with one, but 3 to 9
    times as long where anything else ran; that was before `common.threads` let them wait briefly.
    One thread also gives the same weights on any number of cores.

    Args:
        threads: the user's choice; None to choose here.
        multiply_adds: of one forward pass over a batch.
    """
    if threads is not None or multiply_adds < _LITTLE:
        torch.set_num_threads(threads or 1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one CPU thread inside the block, so that results do not depend on the cores.

    An orthogonal matrix, such as recurrent layers start from, is rounded otherwise by two threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def choose_device(name: str) -> torch.device:
    """Return the device that a name of `--device` means.

    Raises:
        ConfigError: the name is unknown, or the machine has no such device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if launched().size > 1:
        return _choose_own_device(name, launched().local_rank)
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdecimal())):
        raise ConfigError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and not cuda:
        raise ConfigError(
            f"--device {name}: torch sees no CUDA GPU; use --device cpu, or install a CUDA torch"
        )
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise ConfigError(
            f"--device {name}: there are {torch.cuda.device_count()} CUDA GPU(s), from cuda:0 on"
        )
    if kind == "mps" and not mps:
        raise ConfigError(f"--device {name}: torch sees no Apple GPU here; use --device cpu")
    return torch.device(name)


def _choose_own_device(name: str, local_rank: int) -> torch.device:
    """Return the device of one of several processes on this machine."""
    gpus = torch.cuda.device_count()
    if name == "cpu" or (name == "auto" and not gpus):
        return torch.device("cpu")
    if name not in ("auto", "cuda"):
        raise ConfigError(
            f"--device {name}: of several processes each has a CUDA GPU of its own, or the CPU; "
            "use --device cuda or --device cpu"
        )
    if local_rank >= gpus:
        raise ConfigError(
            f"--device {name}: there are {gpus} CUDA GPU(s), and process {local_rank + 1} of this "
            f"machine has none; use --nproc-per-node {max(1, gpus)}, or --device cpu"
        )
    return torch.device("cuda", local_rank)


def choose_precision(name: str, device: torch.device) -> str:
    """Return `32`, `bf16` or `16` for a name of `--precision` on a device.

    Raises:
        ConfigError: the name is unknown, or the device does not have that precision in hardware.
    """
    if name == "auto":
        return _automatic_precision(device)
    if name not in DTYPES:
        raise ConfigError(f"--precision {name}: expected auto, {', '.join(DTYPES)}")
    if name == "bf16" and not has_bf16(device):
        raise ConfigError(
            f"--precision bf16: this {device.type} does not compute in bfloat16; use --precision 32"
        )
    return name


def carry_precision(name: str, device: torch.device) -> str:
    """Return the precision of a run that goes to another device: its own, where that has it too."""
    if name == "16" and device.type == "cpu":  # which takes far longer with it than with 32
        return "auto"
    try:
        choose_precision(name, device)
    except ConfigError:
        return "auto"
    return name


def has_bf16(device: torch.device) -> bool:
    """Say whether a device computes in bfloat16 in hardware, where emulation would only be slow."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def _automatic_precision(device: torch.device) -> str:
    if device.type != "cuda":
        return "32"
    if has_bf16(device):
        return "bf16"
    return "16" if torch.cuda.get_device_capability(device) >= (7, 0) else "32"


def _set_up_cuda(deterministic: bool) -> None:
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = not deterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    # Else each new tensor is filled before it is written: a kernel more for most operations.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _default_generators(device: torch.device) -> list[torch.Generator]:
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        index = torch.cuda.current_device() if device.index is None else device.index
        return [torch.default_generator, torch.cuda.default_generators[index]]
    if device.type == "mps":
        return [torch.default_generator, torch.mps._get_default_mps_generator()]
    return [torch.default_generator]
