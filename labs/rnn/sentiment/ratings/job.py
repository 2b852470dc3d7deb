"""The job that tells the rating of a text as a number."""

from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from common import training
from common.errors import DataError
from common.metrics.main_metric import MAE, MainMetric
from common.metrics.metrics import Array
from common.runs.job import Outputs, Say, Splits
from labs.rnn.sentiment import data
from labs.rnn.sentiment.config import ORDINAL, SentimentConfig
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.sentiment.ngrams import Labelled, Linear
from labs.rnn.sentiment.ratings import models, ngrams
from labs.rnn.sentiment.ratings.levels import MOST_LEVELS, find_levels
from labs.rnn.sentiment.ratings.task import Rates, Rating, RatingCard, Scale


class Ratings(Sentiment):
    """A regression, or an ordinal regression, of texts; splits are `data.Split`s."""

    card_type = RatingCard
    conclusion = "labs.rnn.sentiment.ratings.results:RatingResults"
    exporter = "labs.rnn.export.ratings:RatingExporter"
    card: RatingCard

    @classmethod
    def for_config(cls, config: SentimentConfig) -> type[Any]:
        """Return the class itself: it has been chosen already."""
        return cls

    @classmethod
    def load(
        cls, config: SentimentConfig, card: data.Card | None = None
    ) -> tuple[Splits, RatingCard]:
        """Load the config's texts, with what ratings there are in training."""
        splits, plain = data.load(config)
        ratings = splits["train"].targets
        levels = find_levels(ratings)
        if config.loss == ORDINAL and not levels:
            different = len(torch.unique(ratings))
            raise DataError(
                f"--loss {ORDINAL}: the training ratings have {different:,} different values, and "
                f"it takes up to {MOST_LEVELS}; give --loss mse"
            )
        if ratings.min() == ratings.max():
            raise DataError(
                f"--data {config.data}: all training ratings are {ratings[0]:g}; nothing can be "
                "learned from them"
            )
        known = {each.name: getattr(plain, each.name) for each in fields(plain)}
        std, mean = torch.std_mean(ratings.double(), correction=0)
        return splits, RatingCard(
            **known,
            levels=levels,
            low=float(ratings.min()),
            high=float(ratings.max()),
            mean=float(mean),
            std=float(std),
        )

    @cached_property
    def scale(self) -> Scale:
        """What the outputs of the model mean."""
        return Scale(self.card, self.config.loss)

    def build_model(self) -> nn.Module:
        """Return the config's model, over the vocabulary of the card."""
        return models.build(self.config, len(self.words), len(self.scale.levels))

    def fit_grams(
        self, train: Labelled, validation: Labelled, splits: Splits, say: Say, held: int
    ) -> tuple[Linear, Linear]:
        """Return two linear models on n-grams."""
        train, validation = (
            each._replace(targets=self.scale.targets(each.targets)) for each in (train, validation)
        )
        return ngrams.fit(train, validation, say, ordinal=bool(self.scale.levels), held=held)

    def loss_of_answer(self, answer: Tensor, splits: Splits) -> Tensor:
        """Return the loss of the answers of all parts, (N, outputs), on validation."""
        return self.scale.loss(answer, splits["validation"].targets)

    def explained(self, logits: Tensor) -> Tensor:
        """Return ratings (B, 1) that gradients explain, of a distribution the mean."""
        return self.scale.mean(logits.float().mean(1))[:, None]

    def task(self, splits: Splits) -> training.Task:
        """Return the loss that the config names."""
        return Rating(Scale(self.card, self.config.loss, self.compute.device), self.card)

    @property
    def main_metric(self) -> MainMetric:
        """The mean absolute error, in units of the ratings."""
        return MAE

    def decide(self, outputs: Outputs) -> Array:
        """Return the rating of each text, (N,)."""
        numbers: Array = outputs["outputs"].numpy()
        return numbers

    def answers(self, inputs: Sequence[str]) -> Outputs:
        """Return ratings (N,) of any texts, and with ordinal loss of each level the probability."""
        grams = data.grams_of(self.config, list(inputs))
        return self.infer(Rates(self.scale), (self.encode(list(inputs)), grams))
