"""Models of ratings: those of classes, with other answers."""

from typing import Any

import torch
from torch import Tensor, nn

from labs.rnn.sentiment import models
from labs.rnn.sentiment.config import SentimentConfig


class Rater(models.Classifier):
    """Recurrent networks and linear models on n-grams, each of which says numbers.

    Those are the standardized rating, or with ordinal loss the logits that it is above each level
    but the last.
    """

    def answer(self, logits: Tensor) -> Tensor:
        """Return the mean (B, outputs) of what all parts say; see `mix`."""
        return self.mix(logits.float())


class Cumulative(nn.Module):
    """Logits that a rating is above each level but the last: one score, and a bias for each.

    With one score for all, the levels that are reached are in order (Cao, Mirjalili and Raschka
    2020, "Rank consistent ordinal regression for neural networks", CORAL, section 3.3).
    """

    def __init__(self, size: int, levels: int):
        super().__init__()
        self.score = nn.Linear(size, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(levels - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, levels - 1) of (B, size)."""
        scores: Tensor = self.score(x)
        return scores + self.bias


def build(config: SentimentConfig, words: int, levels: int) -> Rater:
    """Return an untrained model over a vocabulary of so many words.

    Args:
        config: of the run.
        words: in the vocabulary.
        levels: of the ratings, for ordinal loss; 0 for a single number.
    """
    outputs = levels - 1 if levels else 1
    model: Any = models.build(config, words, outputs, Rater)
    if levels:
        for member in model.members:
            member.head = Cumulative(member.head.in_features, levels)
    rater: Rater = model
    return rater
