"""Lesson 1: one update of the weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from labs.lessons.student import Student, expect

_STEPS = 3


class _Watched(torch.optim.SGD):
    """Plain gradient descent that remembers the gradients that it was given."""

    def __init__(self, model: nn.Module):
        super().__init__(model.parameters(), lr=0.1)
        self.seen: list[list[Tensor | None]] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update the weights."""
        parameters = [each for group in self.param_groups for each in group["params"]]
        self.seen.append([None if p.grad is None else p.grad.clone() for p in parameters])
        super().step()


def check(student: Student) -> None:
    """Take three steps beside those of a reference, and say what differs."""
    train_step = student.function("train_step")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    expected = copy.deepcopy(model)
    start = copy.deepcopy(model.state_dict())
    batches = [(torch.randn(5, 4), torch.randint(2, (5,))) for _ in range(_STEPS)]
    loss_function = nn.CrossEntropyLoss()
    optimizer = _Watched(model)
    known = torch.optim.SGD(expected.parameters(), lr=0.1)
    for number, (inputs, targets) in enumerate(batches, 1):
        known.zero_grad()
        loss = loss_function(expected(inputs), targets)
        loss.backward()
        gradients = [p.grad for p in expected.parameters()]
        found = train_step(model, loss_function, optimizer, inputs, targets)
        _compare(found, loss, number)
        expect(
            len(optimizer.seen) >= number,
            "after a call the weights are what they were: the optimizer made no step",
        )
        expect(
            len(optimizer.seen) == number,
            f"the optimizer made {len(optimizer.seen) - number + 1} steps in one call",
        )
        _compare_gradients(optimizer.seen[-1], gradients, number)
        known.step()
    same = all(
        torch.allclose(mine, theirs, atol=1e-6)
        for mine, theirs in zip(model.parameters(), expected.parameters(), strict=True)
    )
    moved = any(not torch.equal(value, start[name]) for name, value in model.state_dict().items())
    expect(moved, "after three calls the weights are what they were")
    expect(same, "after three calls the weights are not those of three updates")


def _compare(found: Any, loss: Tensor, number: int) -> None:
    expect(
        not isinstance(found, Tensor),
        "the loss that is returned is a tensor, which keeps the whole computation in memory; "
        "return a plain number",
    )
    expect(
        abs(float(found) - loss.item()) < 1e-5,
        f"the loss that call {number} returns is {float(found):.4f}; before the update of that "
        f"call it is {loss.item():.4f}",
    )


def _compare_gradients(seen: list[Tensor | None], known: list[Tensor | None], number: int) -> None:
    empty = all(each is None or not each.any() for each in seen)
    expect(
        not empty,
        "when the optimizer made its step, no parameter had a gradient: was there a backward pass, "
        "and what happened to its gradients before the step?",
    )
    right = all(
        each is not None and other is not None and torch.allclose(each, other, atol=1e-6)
        for each, other in zip(seen, known, strict=True)
    )
    expect(
        right or number == 1,
        f"in call {number} the gradients are not those of this batch alone: gradients of earlier "
        "calls are still in them",
    )
    expect(right, "the gradients are not those of the loss on this batch")
