"""A device that computes on the CPU, and is as strict as a GPU: for machines that have none.

Its tensors hold real numbers, but say that they lie elsewhere (on torch's meta device, of which
nothing else is used here). As on a GPU, an operation refuses tensors of several devices; nothing
reads their memory but a copy; and a kernel that takes tensors of one type alone refuses others.
Inside `nothing_waits()`, whatever would make the program wait for the device is an error, as with
`torch.cuda.set_sync_debug_mode("error")`.

What it cannot show: cuDNN, CUDA's own kernels and generators, autocast, pinned memory.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from common.training import compute
from labs.rnn import recurrent

aten = torch.ops.aten

ELSEWHERE = torch.device("meta")
CPU = torch.device("cpu")

_COPIES = (aten._to_copy.default, aten.copy_.default, aten.copy.default)
_INDEXING = (
    aten.index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
)
_WAITING = (  # for a number, or for the size of what they return
    aten._local_scalar_dense.default,
    aten._unique2.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten.repeat_interleave.Tensor,
    aten.unique_dim.default,
)
_NO_GRAD = {True: torch.no_grad, False: contextlib.nullcontext}
_OF_ONE_TYPE = (aten._amp_foreach_non_finite_check_and_unscale_.default,)


class Waited(RuntimeError):
    """The program would have waited for the device."""


_forbidden = False


@contextlib.contextmanager
def nothing_waits() -> Iterator[None]:
    """Make an error of whatever waits for the device."""
    global _forbidden
    _forbidden = True
    try:
        yield
    finally:
        _forbidden = False


class There(torch.Tensor):
    """A tensor elsewhere, which holds one on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    is_meta = property(lambda self: False)  # modules load no weights into such

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        return torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=ELSEWHERE,
        )

    def __init__(self, held: Tensor):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})

    def __repr__(self) -> str:
        return f"There({self.held})"

    def tolist(self) -> Any:
        """Copy the numbers to the CPU, as torch does of a GPU's."""
        return self.cpu().tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        """Make a tensor here and copy it there, as torch does."""
        return torch.tensor(data, **{"dtype": self.dtype, "device": ELSEWHERE, **options})


class _Machine(TorchDispatchMode):
    """Runs what concerns tensors elsewhere, those that are made there among them."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        concerned = any(isinstance(each, There) for each in tree_leaves((args, kwargs)))
        if concerned or _is_there(kwargs.get("device")):
            return _run(operation, args, kwargs)
        return operation(*args, **kwargs)


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device) == ELSEWHERE


def _run(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU what is asked of tensors elsewhere, if a GPU would."""
    given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    there = {id(each.held): each for each in given if isinstance(each, There)}
    indices = [each for each in args[1] if each is not None] if operation in _INDEXING else []
    here = [each for each in given if each.ndim and not isinstance(each, There)]
    here = [each for each in here if not any(each is index for index in indices)]
    if there and here and operation not in _COPIES:
        raise RuntimeError(f"{operation}: tensors on several devices")
    if operation in _OF_ONE_TYPE and len({each.dtype for each in args[0]}) > 1:
        raise RuntimeError(f"{operation}: tensors of several types")

    goes_there = bool(there) if "device" not in kwargs else _is_there(kwargs["device"])
    waits = bool(there) and operation in _WAITING
    if operation in _COPIES:
        from_there = isinstance(args[0 if operation is _COPIES[0] else 1], There)
        if operation is not _COPIES[0]:
            goes_there = isinstance(args[0], There)
        blocking = not (kwargs.get("non_blocking") or args[2:3] == (True,))
        waits = from_there != goes_there and (blocking or not goes_there)
    elif there:
        waits |= any(index.dtype in (torch.bool, torch.uint8) for index in indices)
        waits |= any(index.ndim and not isinstance(index, There) for index in indices)
    if waits and _forbidden:
        raise Waited(str(operation))

    options = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    if "device" in options:
        options["device"] = CPU
    args, options = tree_map_only(There, lambda each: each.held, (args, options))

    def wrap(result: Any) -> Any:
        if not isinstance(result, Tensor) or not goes_there:
            return result
        return there.get(id(result)) if id(result) in there else There(result)

    return tree_map(wrap, operation(*args, **options))


def _run_steps(
    direction: recurrent.Direction, x: Tensor, before: recurrent.State | None
) -> tuple[Tensor, recurrent.State]:
    """Run a recurrent layer by its readable cell: torch's own turns tensors around in place."""
    cell, states = direction.cell(), []
    state = before or cell.zeros(x)
    for step in x.unbind(1):
        state = cell.next_state(cell.gates(step, state), state)
        states.append(state[0])
    return torch.stack(states, 1), state


@contextlib.contextmanager
def a_device_elsewhere(patch: Any) -> Iterator[None]:
    """Let `--device cuda` name the device elsewhere inside the block; `patch` is a MonkeyPatch."""
    tensor, choose = torch.tensor, compute.choose_device

    def make(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        made = tensor(data, **options)  # torch makes it here, where no mode sees it
        return made if device is None else made.to(device)

    _device_constructors()  # remembers the real torch.tensor, for the rest of the process
    patch.setattr(torch, "tensor", make)
    patch.setattr(
        compute, "choose_device", lambda name: ELSEWHERE if name == "cuda" else choose(name)
    )
    # Tensors of inference mode cannot be views of such as these are.
    patch.setattr(torch, "inference_mode", lambda mode=True: _NO_GRAD[mode]())
    patch.setattr(recurrent.Direction, "_run", _run_steps)
    with _Machine(), torch.autograd.set_multithreading_enabled(False):
        yield
