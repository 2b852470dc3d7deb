"""What the loop cannot know about texts: each part of a model learns, and all of them answer."""

from typing import Any, cast

from torch import Tensor, nn

from common.training import When
from common.training.task import Classification
from labs.rnn.sentiment.models import Classifier, Text


class Answers:
    """Collects what a model answers to texts."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the answer of all parts to a batch of (tokens, n-grams, ...), (B, C), float32."""
        logits = model(Text(*batch[:2]))
        return {"outputs": cast(Classifier, model).answer(logits)}


class Logits(Answers):
    """Collects what each part of a model answers."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the logits of each part, (B, parts, C)."""
        return {"outputs": model(Text(*batch[:2]))}


class Parts(Classification):
    """One class per text; the model gives logits of several parts, (B, parts, classes)."""

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean over the parts of each one's mean loss over a batch."""
        tokens, grams, targets = batch
        logits = model(Text(tokens, grams))
        every = targets.repeat_interleave(logits.shape[1])
        return {"loss": self._loss(logits.flatten(0, 1), every)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the answer of all parts, (B, C), float32, and targets (B,)."""
        return {**Answers().outputs(model, batch), "targets": batch[-1]}

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its texts, or by the weights of their classes."""
        tokens, _, targets = batch
        return super().weights((tokens.values, targets))
