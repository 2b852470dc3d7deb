"""Tasks that several labs have."""

from typing import Any

from torch import Tensor, nn

from common import losses, metrics
from common.errors import NonFiniteError
from common.results import Array
from common.training import Task, When


class Classification(Task):
    """One class per sample; the model gives logits.

    Args:
        loss: mean loss from (logits, targets).
        class_weights: (C,), on the device, when the loss weighs classes.
        monitor: the figure that picks the best epoch.
    """

    def __init__(
        self,
        loss: losses.Loss,
        class_weights: Tensor | None = None,
        monitor: str = "validation/accuracy",
    ):
        self._loss, self._class_weights, self.monitor = loss, class_weights, monitor

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its samples, or by the weights of their classes."""
        return {"loss": losses.weight_of(batch[1], self._class_weights)}

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss of a batch of (inputs, classes)."""
        inputs, targets = batch
        return {"loss": self._loss(model(inputs), targets)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect logits (B, C), float32, and targets (B,)."""
        inputs, targets = batch
        return {"outputs": model(inputs).float(), "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the classification figures; `loss` is the plain cross-entropy, whatever trains."""
        check_finite(outputs["outputs"])
        figures = metrics.classification(
            probabilities(outputs["outputs"]), outputs["targets"].numpy()
        )
        return {"loss": figures.pop("log_loss"), **figures}


def probabilities(logits: Tensor) -> Array:
    """Return the softmax of logits (N, C), in float64."""
    return logits.double().softmax(1).numpy()


def check_finite(outputs: Tensor) -> None:
    """Refuse outputs of which no figure can be made.

    Raises:
        NonFiniteError: one of them is NaN or infinite.
    """
    if not outputs.isfinite().all():
        raise NonFiniteError(
            "the model's outputs became NaN or infinite. "
            "Try a lower --learning-rate, --clip 1, a --warmup, or --precision 32."
        )
