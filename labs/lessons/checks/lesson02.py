"""Lesson 2: what a network has to learn, counted."""

from typing import Any

import torch
from torch import nn

from labs.lessons.student import Student, expect


class _Tied(nn.Module):
    """A network whose last layer is its first one, turned round: one tensor under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(6, 4, bias=False)
        self.hidden = nn.Linear(4, 4)
        self.again = nn.Linear(4, 4)
        self.again.weight = self.hidden.weight


def _frozen() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    model[0].requires_grad_(False)
    return model


def check(student: Student) -> None:
    """Count the parameters of networks that have biases, buffers, frozen and shared weights."""
    count = student.function("count_parameters")
    _compare(count, nn.Linear(5, 3), "a linear layer of 5 inputs and 3 outputs", (18, 18))
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8, bias=False))
    _compare(count, plain, "two convolutions", (296, 296))
    _compare(
        count,
        nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6)),
        "a linear layer and batch norm, whose running mean and variance no gradient trains,",
        (42, 42),
    )
    _compare(count, _frozen(), "a network whose convolution is frozen", (51, 91))
    _compare(count, _Tied(), "a network of which two layers share one weight", (48, 48))
    model = _frozen()
    count(model)
    still = [each.requires_grad for each in model.parameters()]
    expect(still == [False, False, True, True], "counting has changed which parameters train")


def _compare(count: Any, model: nn.Module, what: str, known: tuple[int, int]) -> None:
    found = count(model)
    expect(
        isinstance(found, tuple | list) and len(found) == 2,
        "`count_parameters` is to return two numbers: of those that train, and of all",
    )
    numbers = tuple(int(each) if isinstance(each, torch.Tensor) else each for each in found)
    expect(
        numbers == known,
        f"of {what} your function counts {numbers[0]} that train and {numbers[1]} in all; there "
        f"are {known[0]} and {known[1]}",
    )
