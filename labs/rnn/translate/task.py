"""What the loop cannot know about translating."""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.training import Task, When
from common.training.task import check_finite
from labs.rnn.translate import measures
from labs.rnn.translate.data import decode
from labs.rnn.translate.decoding import search
from labs.rnn.translate.models import Translator
from labs.rnn.words import BOS, PAD, Words


class Writing:
    """Collects the translations of sources, of `longest` tokens at most, their ends included."""

    def __init__(self, longest: int, beam: int, penalty: float):
        self._longest, self._beam, self._penalty = longest, beam, penalty

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect tokens (B, longest), padded, and log-probabilities (B,) of (sources, ...)."""
        found = search(cast(Translator, model), batch[0], self._longest, self._beam, self._penalty)
        tokens = F.pad(found.tokens, (0, self._longest - found.tokens.shape[1]))
        return {"tokens": tokens, "log_probabilities": found.log_probabilities}


class Translation(Task):
    """A sequence for a sequence; the loss is the mean cross-entropy of a target token, in nats.

    Batches are (sources, targets, numbers): `Padded` tokens, each with `EOS` behind it, and (B,)
    the places of the targets in `targets`.

    With teacher forcing the decoder reads the target as far as it goes; of a share of its tokens,
    drawn for each, it reads its own guess instead (Bengio et al. 2015, "Scheduled sampling for
    sequence prediction with recurrent neural networks"). What is drawn hangs on the micro-batch, so
    k of them equal one large batch where the share is 0, but not where it is not.

    Args:
        words: of the targets.
        targets: the texts of all splits.
        longest: the most tokens of a translation, its end included.
        reverse: whether targets are written from their end.
        monitor: the figure that picks the best epoch.
        forcing: share of target tokens that are given in the first epoch and in the last.
        epochs: how many there are.
        beam: for `search`.
        penalty: for `search`.
    """

    def __init__(
        self,
        words: Words,
        targets: Sequence[str],
        longest: int,
        *,
        reverse: bool = False,
        monitor: str = "validation/loss",
        forcing: tuple[float, float] = (1.0, 1.0),
        epochs: int = 1,
        beam: int = 1,
        penalty: float = 0.6,
    ):
        self.monitor = monitor
        self._words, self._targets, self._reverse = words, targets, reverse
        self._forcing, self._epochs = forcing, epochs
        self._writing = Writing(longest, beam, penalty)

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its target tokens."""
        return {"loss": batch[1].lengths.sum()}

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean cross-entropy of the target tokens, their ends included."""
        return {"loss": _cross_entropy(self._logits(model, batch, when), batch[1].values, "mean")}

    def given(self, epoch: int) -> float:
        """Return the share of target tokens that the decoder is given in an epoch, from 0 on."""
        first, last = self._forcing
        return first + (last - first) * epoch / max(1, self._epochs - 1)

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the tokens of the translations, and the loss on the targets as given."""
        source, target, numbers = batch
        losses = _cross_entropy(model(source, shift(target.values)), target.values, "none")
        return {
            **self._writing.outputs(model, batch),
            "losses": losses.sum(1),
            "lengths": target.lengths,
            "numbers": numbers,
        }

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the figures of the translations; `loss` is per token, with the targets given."""
        losses = outputs["losses"]
        check_finite(losses)
        targets = [self._targets[number] for number in outputs["numbers"].tolist()]
        loss = float(losses.double().sum() / outputs["lengths"].sum())
        return {"loss": loss, **measures.figures(self.texts(outputs), targets)}

    def texts(self, outputs: dict[str, Tensor]) -> list[str]:
        """Return the translations as texts."""
        return [decode(tokens, self._words, self._reverse) for tokens in outputs["tokens"]]

    def _logits(self, model: nn.Module, batch: Any, when: When) -> Tensor:
        source, target = batch[:2]
        tokens, given = shift(target.values), None
        share = self.given(when.epoch)
        if share < 1:
            draws = torch.rand(tokens.shape, generator=when.generator, device=tokens.device)
            given = draws < share
        logits: Tensor = model(source, tokens, given)
        return logits


def shift(target: Tensor) -> Tensor:
    """Return what the decoder reads as it writes targets (B, T): `BOS`, then all but the last."""
    return torch.cat([torch.full_like(target[:, :1], BOS), target[:, :-1]], 1)


def _cross_entropy(logits: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Return the cross-entropy of logits (B, T, V) at targets (B, T), without the padding.

    Of rows (B T, V): of (B, V, T) a GPU adds up the mean in an order that changes.
    """
    losses = F.cross_entropy(
        logits.flatten(0, 1), target.flatten(), ignore_index=PAD, reduction=reduction
    )
    return losses.view(target.shape) if reduction == "none" else losses
