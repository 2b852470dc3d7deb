"""Lesson 11: one step of an LSTM."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from labs.lessons.student import Problem, Student, expect

_INPUTS, _UNITS = 3, 2
_GATES = ("input gate i", "forget gate f", "candidate g", "output gate o")
Weights = dict[str, Tensor]


def check(student: Student) -> None:
    """Open and close one gate after the other, then compare with torch's cell."""
    step = student.function("lstm_step")
    x, h, c = (torch.zeros(2, size) for size in (_INPUTS, _UNITS, _UNITS))
    c = c + torch.tensor([2.0, -1.0])
    for name in ("bias_ih", "bias_hh"):
        weights = _zeros()
        weights[name] = weights[name] + 0.7
        _compare(step, x, h, c, weights, f"with {name} 0.7, all other weights 0")
    for number, gate in enumerate(_GATES):
        weights = _zeros()
        weights["bias_ih"] = weights["bias_ih"].clone()
        weights["bias_ih"][number * _UNITS : (number + 1) * _UNITS] = 3
        _compare(step, x, h, c, weights, f"with a bias of 3 for the {gate} alone")
    torch.manual_seed(0)
    cell = nn.LSTMCell(_INPUTS, _UNITS)
    drawn = {name: value.detach() for name, value in cell.named_parameters()}
    for name, where in (("weight_ih", "x"), ("weight_hh", "h")):
        weights = {**_zeros(), name: drawn[name]}
        one = torch.randn(4, _INPUTS), torch.randn(4, _UNITS), torch.randn(4, _UNITS)
        _compare(step, *one, weights, f"with {name}, which {where} is multiplied by, alone")
    for _ in range(3):
        x, h, c = torch.randn(4, _INPUTS), torch.randn(4, _UNITS), torch.randn(4, _UNITS)
        _compare(step, x, h, c, drawn, "with weights as torch draws them")


def _zeros() -> Weights:
    return {
        "weight_ih": torch.zeros(4 * _UNITS, _INPUTS),
        "weight_hh": torch.zeros(4 * _UNITS, _UNITS),
        "bias_ih": torch.zeros(4 * _UNITS),
        "bias_hh": torch.zeros(4 * _UNITS),
    }


def _compare(step: Any, x: Tensor, h: Tensor, c: Tensor, weights: Weights, what: str) -> None:
    known = _step(x, h, c, weights)
    given = [x, h, c, *weights.values()]
    before = [each.clone() for each in given]
    with _without_torchs():
        found = step(x, h, c, weights)
    expect(
        all(map(torch.equal, given, before)),
        "the state, the input or the weights that were given have been changed",
    )
    expect(
        isinstance(found, tuple | list) and len(found) == 2,
        "`lstm_step` is to return two tensors: the new h and the new c",
    )
    for name, one, right in zip("hc", found, known, strict=True):
        shape = tuple(one.shape)
        expect(
            shape == tuple(right.shape),
            f"the new {name} of {len(x)} sequences and {_UNITS} units has the shape {shape}",
        )
    new_h, new_c = (each.detach() for each in found)
    if _same(new_c, known[0]) and _same(new_h, known[1]):
        expect(False, "what is returned is c and h; it is to be h and c")
    for name, one, right in (("c", new_c, known[1]), ("h", new_h, known[0])):
        beside = ", though the new c is right" if name == "h" else ""
        expect(
            _same(one, right),
            f"{what}, the new {name} of the first sequence is {_numbers(one)}{beside}; torch's "
            f"cell has {_numbers(right)} (c was {_numbers(c)})",
        )


@contextlib.contextmanager
def _without_torchs() -> Iterator[None]:
    """Refuse torch's own cell, with which there would be nothing to compare."""

    def refuse(*args: Any, **options: Any) -> None:
        raise Problem("`lstm_step` calls torch's own LSTM; the gates are to be computed in it")

    with patch.object(nn.LSTMCell, "forward", refuse), patch.object(nn.LSTM, "forward", refuse):
        yield


def _step(x: Tensor, h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    cell = nn.LSTMCell(_INPUTS, _UNITS)
    cell.load_state_dict(weights)
    with torch.no_grad():
        new_h, new_c = cell(x, (h, c))
    return new_h, new_c


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-5)


def _numbers(values: Tensor) -> str:
    return "(" + ", ".join(f"{each:.3f}" for each in values[0].tolist()) + ")"
