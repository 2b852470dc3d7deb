"""The last features of a network: what its last layer gets of each sample."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from common import training
from common.runs.job import Job, Outputs
from common.training.batches import close
from common.training.task import Collects


class WithFeatures:
    """Collects what a task collects, and beside it `features`, (B, F): what some layers get.

    Args:
        task: says what else to collect.
        layers: each is called once with vectors (B, F1); theirs stand side by side.
    """

    def __init__(self, task: Collects, layers: Sequence[nn.Module]):
        self._task, self._layers = task, layers

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect what the task does, and the features in float32."""
        taken: dict[nn.Module, Tensor] = {}
        with _heard(self._layers, taken.__setitem__):
            found = self._task.outputs(model, batch)
        vectors = [taken[layer].float() for layer in self._layers]
        return {**found, "features": torch.cat(vectors, 1)}


def collect(job: Job[Any, Any], split: Any, layers: Sequence[nn.Module] = ()) -> Outputs:
    """Return what a run's task collects of a split, and its last features beside it.

    Args:
        job: with its best weights.
        split: of the kind that the job takes.
        layers: see `WithFeatures`; without any there are no features.
    """
    batches = job.batches(split)
    task = job.task({"map": split})
    asked = WithFeatures(task, layers) if layers else task
    # A compiled model would not call those who listen to its layers.
    eager = torch.compiler.set_stance("force_eager") if job.compute.compile else nullcontext()
    with eager:
        found = training.infer(job.model, asked, batches, job.compute)
    close(batches)
    return found


def last_layer(network: nn.Module, ask: Callable[[], object]) -> nn.Linear | None:
    """Return the linear layer that a network runs last, of all modules that have weights.

    None where that is no linear layer, or gets no vectors.

    Args:
        network: that is called once.
        ask: asks it something.
    """
    own = [each for each in network.modules() if any(True for _ in each.parameters(recurse=False))]
    called: list[tuple[nn.Module, Any]] = []
    with _heard(own, lambda module, given: called.append((module, given))):
        ask()
    module, given = called[-1] if called else (network, None)
    fits = isinstance(module, nn.Linear) and isinstance(given, Tensor) and given.ndim == 2
    return module if fits and isinstance(module, nn.Linear) else None


@contextmanager
def _heard(
    modules: Sequence[nn.Module], hear: Callable[[nn.Module, Any], object]
) -> Iterator[None]:
    """Call a function with each of the modules that is called, and its first argument."""

    def before(module: nn.Module, given: tuple[Any, ...]) -> None:
        hear(module, given[0] if given else None)

    hooks = [module.register_forward_pre_hook(before) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
