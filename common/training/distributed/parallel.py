"""The loss of a task, whose gradients are those of all processes."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


class Learns(Protocol):
    """What a step of training asks of a `Task`."""

    def loss(self, model: nn.Module, batch: Any, when: Any, /) -> dict[str, Tensor]:
        """Return a batch's loss in parts."""

    def weights(self, batch: Any, /) -> Mapping[str, Tensor | float]:
        """Return how many items each part is a mean over."""


class Parallel:
    """A task whose loss goes through DistributedDataParallel.

    What is wrapped is a module whose forward pass is the task's loss, so a task may call any method
    of its model. The buffers are those of the first process, which are sent to the others before
    each update: the running statistics of batch norm follow its micro-batches.

    Attributes:
        weighed: the names of the task's weights, once they are known.
        parts: the names of the parts of its loss, once they are known.
        device: that of the model.
    """

    def __init__(self, model: nn.Module, task: Learns):
        self._model, self._task, self._trained = model, task, _trained(model)
        self.weighed, self.parts = list[str](), list[str]()
        # Not every loss uses every parameter, and a process may have nothing to compute.
        self._wrapped = DistributedDataParallel(_Loss(model, task), find_unused_parameters=True)
        self.device = next(model.parameters()).device

    def fits(self, model: nn.Module, task: Learns) -> bool:
        """Say whether it is of that model and task, and the same parameters train."""
        return model is self._model and task is self._task and _trained(model) == self._trained

    def loss(self, model: nn.Module, batch: Any, when: Any) -> dict[str, Tensor]:
        """Return the loss of the task."""
        assert model is self._model
        parts: dict[str, Tensor] = self._wrapped(batch, when)
        return parts

    def weights(self, batch: Any) -> Mapping[str, Tensor | float]:
        """Return the weights of the task."""
        return self._task.weights(batch)

    @contextlib.contextmanager
    def exchanging(self, *, last: bool) -> Iterator[None]:
        """Let gradients add up here; those of the last micro-batch of an update are exchanged."""
        with contextlib.nullcontext() if last else self._wrapped.no_sync():
            yield

    def take_part(self) -> None:
        """Exchange gradients where there is no micro-batch to compute: they are 0."""
        torch.autograd.backward(list(self._wrapped(None, None).values()))


class _Loss(nn.Module):
    """A module whose forward pass is the loss of a task."""

    def __init__(self, model: nn.Module, task: Learns):
        super().__init__()
        self.model, self._loss = model, task.loss

    def forward(self, batch: Any, when: Any) -> dict[str, Tensor]:
        if batch is None:
            trained = next(p for p in self.model.parameters() if p.requires_grad)
            return {"nothing": 0 * trained.sum()}
        return self._loss(self.model, batch, when)


def _trained(model: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in model.parameters()]
