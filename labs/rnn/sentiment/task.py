"""What the loop cannot know about texts: each part of a model learns, and all of them answer."""

from typing import Any

from torch import Tensor, nn

from common.tasks import Classification
from common.training import When
from labs.rnn.sentiment.models import Text


class Parts(Classification):
    """One class per text; the model gives logits of several parts, (B, parts, classes)."""

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean over the parts of each one's mean loss over a batch."""
        tokens, grams, targets = batch
        logits = model(Text(tokens, grams))
        every = targets.repeat_interleave(logits.shape[1])
        return {"loss": self._loss(logits.flatten(0, 1), every)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the mean logits (B, C), float32, and targets (B,)."""
        tokens, grams, targets = batch
        return {"outputs": answer(model(Text(tokens, grams))), "targets": targets}

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its texts, or by the weights of their classes."""
        tokens, _, targets = batch
        return super().weights((tokens.values, targets))


def answer(logits: Tensor) -> Tensor:
    """Return the logits of all parts together, (B, C): the mean of their log-probabilities."""
    return logits.float().log_softmax(-1).mean(1)
