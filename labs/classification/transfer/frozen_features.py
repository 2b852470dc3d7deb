"""A frozen backbone runs once: its features are kept, and what trains behind it takes them.

Where everything that trains lies in one module at the end of a model (the head), what that module
gets of an image stays the same in every epoch. The model itself stays whole, with all its weights,
so checkpoints and runs are those of any other training; only its forward pass is cut short.
"""

import contextlib
import copy
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from common.training import layers
from common.training.batches import Batches
from common.training.compute import Compute
from common.training.task import Task, When

Batch = tuple[Tensor, Tensor]

LARGEST = 2**30  # bytes of features that are kept of a split
_PENALTIES = (0.0, 1e-4, 1e-3, 1e-2)  # of the squared weights of a head that is fitted
_STEPS = 100  # of L-BFGS


def cut(model: nn.Module, shape: tuple[int, ...]) -> tuple[str, int] | None:
    """Return the module behind a frozen backbone, and the size of the features that it takes.

    It is the innermost module that holds all that trains, is called once with one tensor, and
    whose result is the model's. Where nothing is frozen, or where there is no such module but the
    model itself, the answer is None. The model sees black images of the shape once, and changes
    nothing.
    """
    if all(parameter.requires_grad for parameter in model.parameters()):
        return None
    owners = [name.rpartition(".")[0] for name, p in model.named_parameters() if p.requires_grad]
    parts = [owner.split(".") for owner in owners]
    shared = next(
        (depth for depth, names in enumerate(zip(*parts, strict=False)) if len(set(names)) > 1),
        min(map(len, parts)),
    )
    device = next(model.parameters()).device
    images = torch.zeros(2, *shape, device=device)
    for depth in range(shared, 0, -1):
        name = ".".join(parts[0][:depth])
        found = _features(model, name, images) if name else None
        if found is not None:
            return name, found[0].numel()
    return None


def find_head(model: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Return the last linear layer if the model ends with it; it gets the last hidden features.

    The model sees black images of the shape once, and is left in eval mode.
    """
    names: list[str] = [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear)
    ]
    images = torch.zeros(2, *shape, device=next(model.parameters()).device)
    features = _features(model, names[-1], images) if names else None
    if features is None:
        return None
    with headless(model, names[-1]), torch.no_grad():
        answer = model(images)  # of some models, the answer is made of what the layer says
    return names[-1] if isinstance(answer, Tensor) and torch.equal(answer, features) else None


@contextlib.contextmanager
def headless(model: nn.Module, name: str) -> Iterator[None]:
    """Let a model answer with what its last layer, a module of that name, gets."""
    owner, _, last = name.rpartition(".")
    parent, head = model.get_submodule(owner), model.get_submodule(name)
    setattr(parent, last, nn.Identity())
    try:
        yield
    finally:
        setattr(parent, last, head)


@contextlib.contextmanager
def only(
    model: nn.Module, name: str, finish: Callable[[Any], Any] = lambda output: output
) -> Iterator[None]:
    """Let a model take features in place of images, and run one module of it on them.

    `finish` says what becomes of its result where the model has a way of its own to run, as with
    `heads.share`.
    """

    def forward(self: nn.Module, features: Tensor) -> Any:
        return finish(self.get_submodule(name)(features))

    own = vars(model).get("forward")
    # A method, which copies of the model (as the average of its weights is one) have as their own.
    model.forward = types.MethodType(forward, model)
    try:
        yield
    finally:
        del model.forward
        if own is not None:
            model.forward = own


class Features:
    """A split as the loop takes it, of features that are computed when they are first asked for.

    So their time counts as that of the first epoch, and the weights are those that a checkpoint
    has put into the model. The named module of it takes the features, see `only`; the images, in
    evaluation order with their targets, are closed afterwards. The options are of `Batches`.

    Attributes:
        beside: (N, ...), of which a batch has its rows between features and targets; None for none.
        kind: what makes the batches.
    """

    beside: Tensor | None = None
    kind: type[Batches] = Batches

    def __init__(
        self, model: nn.Module, name: str, images: Batches, compute: Compute, **options: Any
    ):
        self._model, self._name, self._images = model, name, images
        self._compute, self._options = compute, options
        self._batches: Batches | None = None
        self._length = len(Batches((torch.zeros(images.samples),), **options))

    def __len__(self) -> int:
        """Return the number of updates in an epoch."""
        return self._length

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield the updates of an epoch, from number `start` on."""
        if self._batches is None:
            features, targets = self.columns()
            between = () if self.beside is None else (self.beside,)
            data = (features, *between, targets)
            self._batches = self.kind(data, compute=self._compute, **self._options)
            self._images.close()
        return self._batches.updates(epoch, start)

    def columns(self) -> tuple[Tensor, Tensor]:
        """Return features and targets of all images, in order."""
        training, rows = self._model.training, []
        with self._compute.autocast():
            for update in self._images.updates(0):
                for images, targets in update:
                    found = _features(self._model, self._name, images)
                    assert found is not None
                    rows.append((found.float(), targets))  # which autocast may have made half ones
        if training:
            layers.train(self._model)
        features, targets = (torch.cat(column) for column in zip(*rows, strict=True))
        return features, targets


def fit_head(model: nn.Module, name: str, task: Task, train: Batch, validation: Batch) -> float:
    """Fit the module behind a frozen backbone to features of all samples, by L-BFGS.

    A network that is fine-tuned from there changes its features less than one whose head begins at
    random (Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform
    out-of-distribution"). The penalty of the weights is that of the lowest loss on validation.

    Args:
        model: takes features, see `only`.
        name: the module; its parameters alone change.
        task: whose loss it is.
        train: features (N, ...) and targets (N,).
        validation: likewise.

    Returns:
        The loss on validation.
    """
    head = model.get_submodule(name)
    when = When(0, 0, torch.Generator())
    start, best = copy.deepcopy(head.state_dict()), (float("inf"), head.state_dict())
    for penalty in _PENALTIES:
        head.load_state_dict(start)
        _minimize(head, lambda: sum(task.loss(model, train, when).values()), penalty)
        with torch.no_grad():
            loss = float(sum(task.loss(model, validation, when).values()))
        if loss < best[0]:
            best = loss, copy.deepcopy(head.state_dict())
    head.load_state_dict(best[1])
    return best[0]


def _minimize(head: nn.Module, loss: Callable[[], Any], penalty: float) -> None:
    """Move the parameters of a head to where a loss and their penalty are the lowest."""
    parameters = list(head.parameters())
    optimizer = torch.optim.LBFGS(parameters, max_iter=_STEPS, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimizer.zero_grad()
        total: Tensor = loss() + penalty * sum(each.square().sum() for each in parameters)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(step)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()


@torch.no_grad()
def _features(model: nn.Module, name: str, images: Tensor) -> Tensor | None:
    """Return what a module of the model gets of images, in eval mode; None if it does not end it.

    The model is left in eval mode.
    """
    taken: list[tuple[Any, ...]] = []
    given: list[Any] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        taken.append(inputs)
        given.append(output)

    model.eval()
    hook = model.get_submodule(name).register_forward_hook(keep)
    try:
        output = type(model).forward(model, images)
    finally:
        hook.remove()
    if len(taken) != 1 or len(taken[0]) != 1 or given[0] is not output:
        return None
    [features] = taken[0]
    return features if isinstance(features, Tensor) and len(features) == len(images) else None
