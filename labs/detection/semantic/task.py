"""What the loop cannot know about naming the class of each pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import NonFiniteError
from common.training import Task, When
from labs.detection.semantic import metrics
from labs.detection.semantic.losses import LOSSES, VOID, balance, cross_entropy

_WEIGHED = "cross-entropy"  # the loss in which classes have weights
_COARSE = "coarse"  # the part of the loss of coarse pixels
_SHARE = 0.5  # what it is multiplied by


class PixelTask(Task):
    """A class for each pixel; a batch is (squares,): (B, 4, S, S) of colors and classes over 255.

    Args:
        classes: how many there are.
        losses: names of `losses.LOSSES`; each is a part of the loss.
        shares: (C,) of the classes among the training pixels, on the device, by which
            cross-entropy weighs them, see `losses.balance`; all alike when None.
        epochs: how long training is.
    """

    monitor = "validation/mean_iou"

    def __init__(
        self,
        classes: int,
        losses: Sequence[str],
        shares: Tensor | None = None,
        epochs: int = 1,
    ):
        self.classes, self.losses = classes, tuple(losses)
        self._shares, self._epochs = shares, epochs

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh every part by the labelled pixels, or by one where there are none."""
        labelled = (_split(batch)[1] != VOID).sum().clamp(min=1)
        return dict.fromkeys([*map(_part, self.losses), _COARSE], labelled)

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss; see `losses` for which add up exactly.

        Where the model gives logits of coarse pixels, too, their cross-entropy with all pixels that
        they stand for is a part.
        """
        images, true = _split(batch)
        found = model(images)
        logits, *coarser = found if isinstance(found, tuple) else (found,)
        weights = None
        if self._shares is not None:
            weights = balance(self._shares, when.epoch / self._epochs)
        parts = {
            _part(name): cross_entropy(logits.float(), true, weights)
            if name == _WEIGHED
            else LOSSES[name](logits.float(), true)
            for name in self.losses
        }
        for each in coarser:
            larger = functional.interpolate(each.float(), true.shape[1:], mode="nearest")
            parts[_COARSE] = _SHARE * cross_entropy(larger, true, weights)
        return parts

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect what is said, uint8 (B, S, S), what is true, and each image's cross-entropy.

        `nats` (B,) is its sum over labelled pixels.
        """
        images, true = _split(batch)
        logits = model(images).float()
        nats = functional.cross_entropy(logits, true, ignore_index=VOID, reduction="none")
        return {
            "said": logits.argmax(1).to(torch.uint8),
            "true": true.to(torch.uint8),
            "nats": nats.sum((1, 2)),
        }

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the mean cross-entropy of a pixel in nats, mean IoU and Dice, and accuracy.

        Raises:
            NonFiniteError: the model's outputs are NaN or infinite.
        """
        if not outputs["nats"].isfinite().all():
            raise NonFiniteError(
                "the model's outputs became NaN or infinite. "
                "Try a lower --learning-rate, --clip 1, a --warmup, or --precision 32."
            )
        said, true = outputs["said"].numpy(), outputs["true"].numpy()
        rows = metrics.counts(said, true, self.classes)
        labelled = max(1, int(np.count_nonzero(true != VOID)))
        return {
            "loss": float(outputs["nats"].double().sum()) / labelled,
            "mean_iou": metrics.mean_iou(rows),
            "mean_dice": metrics.mean_dice(rows),
            "pixel_accuracy": metrics.pixel_accuracy(rows),
        }


class PixelAnswers:
    """Collects what a model says of images alone; a batch is (images,), (B, 3, S, S)."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect what is said, uint8 (B, S, S)."""
        return {"said": model(batch[0][:, :3]).argmax(1).to(torch.uint8)}


def _split(batch: Any) -> tuple[Tensor, Tensor]:
    """Return images, (B, 3, S, S) in [0, 1], and true classes, int64 (B, S, S)."""
    (squares,) = batch
    return squares[:, :3], (squares[:, 3] * VOID).round().long()


def _part(name: str) -> str:
    """Return how history calls a part of the loss."""
    return name.replace("-", "_")
