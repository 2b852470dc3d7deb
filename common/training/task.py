"""What the loop cannot know about a job, and the task that several labs have: classification."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from common.errors import NonFiniteError
from common.metrics import metrics
from common.metrics.metrics import Array
from common.training import layers, losses
from common.training.batches import batch_size
from common.training.mixing import Mixing, partners


class When(NamedTuple):
    """The moment of a loss: for teacher forcing, a KL warm-up, or noise."""

    epoch: int  # from 0
    step: int  # updates since the beginning of training, from 0
    generator: torch.Generator  # on the device, keyed by (seed, step, micro-batch, process)


class Collects(Protocol):
    """What `infer` needs to know: a `Task`, or what asks a model about inputs alone."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Return what is collected from a batch: tensors with a row per sample."""


class Task(ABC):
    """What the loop cannot know about a job.

    Example:
        >>> from torch.nn.functional import mse_loss
        >>> class Regression(Task):
        ...     def loss(self, model, batch, when):
        ...         return {"loss": mse_loss(model(batch[0]), batch[1])}
        ...
        ...     def outputs(self, model, batch):
        ...         return {"outputs": model(batch[0]), "targets": batch[1]}
        ...
        ...     def figures(self, outputs):
        ...         return {"loss": mse_loss(outputs["outputs"], outputs["targets"]).item()}
        >>> from common.training import evaluate
        >>> evaluate(nn.Identity(), Regression(), [(torch.zeros(4, 1), torch.ones(4, 1))])
        {'loss': 1.0}
    """

    monitor = "validation/loss"  # picks the best epoch, unless the user names another metric

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return a batch's loss in parts, each a mean over its items; their sum is minimized."""

    @abstractmethod
    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Return what evaluation collects from a batch: tensors with a row per sample."""

    @abstractmethod
    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Turn what was collected from a whole split, on the CPU, into metrics by name."""

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Return how many items (samples, tokens, class weights) each part's mean is over.

        Positive, and known before the forward pass, so that micro-batches add up to the mean over
        all their items.
        """
        return {"loss": batch_size(batch)}

    def training_mode(self, model: nn.Module, epoch: int) -> None:
        """Put what trains in an epoch (from 0) into training mode; what is frozen stays in eval."""
        layers.train(model)


class Answers:
    """Collects what a model says of inputs alone; `finish` changes its float32 outputs."""

    def __init__(self, finish: Callable[[Tensor], Tensor] = lambda outputs: outputs):
        self._finish = finish

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the outputs for a batch of (inputs,)."""
        return {"outputs": self._finish(model(*batch).float())}


class Classification(Task):
    """One class per sample; the model gives logits.

    In training it may give a tuple: the logits, then those of auxiliary classifiers.

    Args:
        loss: mean loss from (logits, targets).
        class_weights: (C,), on the device, when the loss weighs classes.
        monitor: the metric that picks the best epoch.
        auxiliary: factor of the losses of auxiliary classifiers, when the model has any.
        mixing: blends the inputs in training; None to leave them.
    """

    def __init__(
        self,
        loss: losses.Loss,
        class_weights: Tensor | None = None,
        monitor: str = "validation/accuracy",
        auxiliary: float = 0.0,
        mixing: Mixing | None = None,
    ):
        self._loss, self._class_weights, self.monitor = loss, class_weights, monitor
        self._auxiliary, self._mixing = auxiliary, mixing

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its samples, or by the weights of their classes."""
        parts = ("loss", "auxiliary") if self._auxiliary else ("loss",)
        return dict.fromkeys(parts, losses.weight_of(batch[1], self._class_weights))

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss of a batch of (inputs, classes), and of auxiliary classifiers."""
        inputs, targets = batch
        inputs, share = self.mixed(inputs, when)
        return self.parts(model(inputs), targets, share)

    def mixed(self, inputs: Tensor, when: When) -> tuple[Tensor, float]:
        """Return inputs as the model is given them, blended or not, and the share of each in it."""
        return (inputs, 1.0) if self._mixing is None else self._mixing(inputs, when.generator)

    def parts(self, outputs: Any, targets: Tensor, share: float = 1.0) -> dict[str, Tensor]:
        """Return the parts of the loss of what the model says of blended inputs.

        Args:
            outputs: logits (B, C), or a tuple with those of auxiliary classifiers behind.
            targets: (B,) classes.
            share: of each sample in its input; the rest is its partner's.
        """
        logits, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = self._of_pairs(logits, targets, share)
        if not others:
            return {"loss": loss}
        auxiliary = torch.stack([self._of_pairs(each, targets, share) for each in others]).sum()
        return {"loss": loss, "auxiliary": self._auxiliary * auxiliary}

    def _of_pairs(self, logits: Tensor, targets: Tensor, share: float) -> Tensor:
        """Return the mean loss; both of a pair are divided by the same sum of class weights."""
        own = self._loss(logits, targets)
        if self._mixing is None:
            return own
        return share * own + (1 - share) * self._loss(logits, partners(targets))

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect logits (B, C), float32, and targets (B,)."""
        inputs, targets = batch
        return {"outputs": model(inputs).float(), "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return a classifier's metrics; `loss` is the plain cross-entropy, whatever trains."""
        check_finite(outputs["outputs"])
        answers, targets = probabilities(outputs["outputs"]), outputs["targets"].numpy()
        found = metrics.classification(answers, targets)
        return {"loss": found.pop("log_loss"), **found}


def probabilities(logits: Tensor, several: bool = False) -> Array:
    """Return the softmax of logits (N, C), in float64; of several labels, each by itself."""
    values = logits.double()
    return (values.sigmoid() if several else values.softmax(1)).numpy()


def check_finite(outputs: Tensor) -> None:
    """Refuse outputs of which no metric can be made.

    Raises:
        NonFiniteError: one of them is NaN or infinite.
    """
    if not outputs.isfinite().all():
        raise NonFiniteError(
            "the model's outputs became NaN or infinite. "
            "Try a lower --learning-rate, --clip 1, a --warmup, or --precision 32."
        )
