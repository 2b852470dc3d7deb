"""What the loop cannot know about ratings: the loss of a number, and of the levels it reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.metrics import metrics
from common.metrics.metrics import Array
from common.metrics.named import NAMED
from common.training import Task, When, losses
from common.training.batches import batch_size
from common.training.task import check_finite
from labs.rnn.sentiment.config import ORDINAL
from labs.rnn.sentiment.data import Card
from labs.rnn.sentiment.models import Classifier, Text
from labs.rnn.sentiment.ratings.levels import cuts_between, nearest_level


@dataclass(frozen=True)
class RatingCard(Card):
    """The card of texts with ratings, by those of the training split."""

    levels: tuple[float, ...]  # the different ratings; () where they are too many
    low: float  # the lowest
    high: float  # the highest
    mean: float
    std: float


class Scale:
    """What the outputs of a model mean: a standardized number, or levels that are reached.

    Args:
        card: of the data.
        loss: the config's.
        device: where outputs are.
    """

    def __init__(self, card: RatingCard, loss: str, device: torch.device | str = "cpu"):
        self._card, self._plain = card, None if loss == ORDINAL else losses.build(loss)
        self.levels = () if self._plain else card.levels
        self.cuts = torch.from_numpy(cuts_between(self.levels)).to(device) if self.levels else None

    def targets(self, ratings: Tensor) -> Tensor:
        """Return what the outputs are to be for ratings (N,): standardized, or (N, levels - 1)."""
        if self.cuts is None:
            return (ratings - self._card.mean) / self._card.std
        return (ratings[:, None] > self.cuts).float()

    def loss(self, outputs: Tensor, ratings: Tensor) -> Tensor:
        """Return the mean loss of outputs (N, outputs) over texts with ratings (N,).

        Ordinal loss is the sum of the binary cross-entropies of all levels but the last (Cao et al.
        2020, equation 4, where all weigh the same).
        """
        targets = self.targets(ratings)
        if self._plain is not None:
            return self._plain(outputs, targets)
        each = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
        return each.sum(1).mean()

    def mean(self, answer: Tensor) -> Tensor:
        """Return ratings (N,) through which gradients flow; of a distribution its mean."""
        if self.cuts is None:
            return self._card.mean + self._card.std * answer.squeeze(1)
        steps = torch.tensor(self.levels, device=answer.device).diff()
        return self.levels[0] + answer.sigmoid() @ steps

    def read(self, answer: Tensor) -> dict[str, Tensor]:
        """Return ratings (N,); with levels also means (N,) and probabilities (N, levels).

        The rating is then the median of the distribution: it has the smallest absolute error, as
        the mean has the smallest squared one (Gneiting 2011, "Making and evaluating point
        forecasts"). Ratings are kept between the lowest and the highest in training.
        """
        card = self._card
        if self.cuts is None:
            numbers = card.mean + card.std * answer.squeeze(1)
            return {"outputs": numbers.clamp(card.low, card.high)}
        above = [torch.ones_like(answer[:, 0])]
        for each in answer.sigmoid().unbind(1):  # in order, also where parts disagree
            above.append(torch.minimum(above[-1], each))
        whole = torch.stack([*above, torch.zeros_like(above[0])], 1)
        shares = whole[:, :-1] - whole[:, 1:]
        means = shares @ torch.tensor(self.levels, device=shares.device)
        return {"outputs": self.take_median(shares), "means": means, "levels": shares}

    def take_median(self, shares: Tensor) -> Tensor:
        """Return the median of each distribution (N, levels), (N,): of all answers the least MAE.

        It is the last level of which half or more of the probability lies at it or above.
        """
        above = 1 - shares.cumsum(1)[:, :-1]
        steps = torch.tensor(self.levels, device=shares.device).diff()
        return self.levels[0] + (above > 0.5).float() @ steps


class Rates:
    """Collects the ratings that a model gives to texts."""

    def __init__(self, scale: Scale):
        self._scale = scale

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect what `Scale.read` returns of a batch of (tokens, n-grams, ...)."""
        answer = cast(Classifier, model).answer(model(Text(*batch[:2])))
        return self._scale.read(answer)


class Rating(Task):
    """One number per text; the model gives those of several parts, (B, parts, outputs)."""

    monitor = "validation/mae"

    def __init__(self, scale: Scale, card: RatingCard):
        self._scale, self._card = scale, card

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean over the parts of each one's mean loss over a batch."""
        tokens, grams, targets = batch
        outputs = model(Text(tokens, grams))
        every = targets.repeat_interleave(outputs.shape[1])
        return {"loss": self._scale.loss(outputs.flatten(0, 1), every)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect what all parts together say, and targets (B,)."""
        return {**Rates(self._scale).outputs(model, batch), "targets": batch[-1]}

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its texts."""
        tokens, _, targets = batch
        return {"loss": batch_size((tokens.values, targets))}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the figures of `rate`; `loss` is the MSE, whatever trains."""
        check_finite(outputs["outputs"])
        found = rate(outputs, outputs["targets"].numpy(), self._card.levels)
        return {"loss": found["mse"], **found}


def choose_said(outputs: Mapping[str, Any], name: str) -> Array:
    """Return the numbers (N,) that a metric is of: means where there are any, else ratings.

    Absolute errors and kappa are always of ratings.
    """
    of_means = "means" in outputs and name not in ("mae", "quadratic_kappa")
    return np.asarray(outputs["means" if of_means else "outputs"])


def rate(outputs: Mapping[str, Any], ratings: Array, levels: Sequence[float]) -> dict[str, float]:
    """Return MAE, MSE, RMSE, R^2, Spearman's correlation and the quadratic kappa.

    Args:
        outputs: what `Scale.read` returns.
        ratings: that are true, (N,).
        levels: to the nearest of which both are rounded for kappa; () for no kappa.
    """
    said, means = (choose_said(outputs, name) for name in ("mae", "rmse"))
    found = metrics.regression(means, ratings) | {"mae": metrics.regression(said, ratings)["mae"]}
    found["spearman"] = NAMED["spearman"].value(ratings, means)
    if levels:
        known, rounded = (nearest_level(each, levels) for each in (ratings, said))
        found["quadratic_kappa"] = NAMED["quadratic_kappa"].value(known, rounded)
    return found
