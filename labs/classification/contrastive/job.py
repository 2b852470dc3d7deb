"""The job that learns which caption belongs to which picture."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from torch import Tensor, nn

from common import training
from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Splits, Suited
from common.training.batches import Batches, choose_batching
from common.training.summary import summarize
from labs.classification.contrastive import data, own
from labs.classification.contrastive.config import ContrastConfig
from labs.classification.contrastive.models import Contrastive, ImageTower
from labs.classification.contrastive.task import Contrast, similarities

_EVALUATION_BATCH = 250

RECALL = MainMetric(
    "recall_at_1",
    "recall at 1 (mean of both ways)",
    lambda found, own: (found == own).astype(np.float64).mean(1),
    metrics.mean,
)


class _Sees:
    """Collects the unit vectors of images."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect those of a batch of (images,)."""
        return {"images": cast(Contrastive, model).see(batch[0]).float()}


class _Reads:
    """Collects the unit vectors of captions."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect those of a batch of (tokens,)."""
        return {"texts": cast(Contrastive, model).read(batch[0]).float()}


class ContrastScenes(Job[ContrastConfig, data.ContrastCard]):
    """Pictures and captions in one space; splits are `data.Pairs`."""

    lab, verb = "classification", "contrast"
    config_type, card_type = ContrastConfig, data.ContrastCard
    conclusion = "labs.classification.contrastive.results:ContrastResults"

    @classmethod
    def suited(cls, config: ContrastConfig) -> Suited[ContrastConfig]:
        """Choose batches and updates for a user's own images; scenes stay as they are."""
        return Suited(config) if config.drawn else own.suit(config)

    @classmethod
    def load(
        cls, config: ContrastConfig, card: data.ContrastCard | None = None
    ) -> tuple[Splits, data.ContrastCard]:
        """Draw the scenes, or read a user's images with captions."""
        return data.load(config) if config.drawn else own.load(config)

    def build_model(self) -> nn.Module:
        """Return both towers."""
        config = self.config
        return Contrastive(
            len(self.card.words),
            config.width,
            config.text_size,
            config.embedding_size,
            config.temperature,
        )

    def task(self, splits: Splits) -> training.Task:
        """Return the contrastive task."""
        return Contrast()

    def batches(self, split: data.Pairs, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        return self._batches((split.images, split.tokens, split.keys), training=training)

    def _batches(self, columns: Sequence[Tensor], *, training: bool = False) -> Batches:
        config = self.config
        return Batches(
            columns,
            compute=self.compute,
            **choose_batching(config, _EVALUATION_BATCH, training=training),
        )

    def work(self) -> int:
        """Count one forward pass of the images of a batch."""
        size = self.card.image_size
        tower = ImageTower(self.config.width, self.config.embedding_size)
        each = summarize(tower, (3, size, size)).multiply_adds
        return each * (self.config.micro_batch or self.config.batch_size)

    @property
    def main_metric(self) -> MainMetric:
        """How often the first that is found is the partner, mean of both ways."""
        return RECALL

    def decide(self, outputs: Outputs) -> Array:
        """Return which caption is nearest to each image, and image to each caption, (N, 2)."""
        return nearest(similarities(outputs))

    def targets(self, split: data.Pairs) -> Array:
        """Return the partners, (N, 2): pair i belongs together."""
        return np.repeat(np.arange(len(split))[:, None], 2, 1)

    def answers(self, inputs: Tensor) -> Outputs:
        """Return the unit vectors (N, size) of uint8 images (N, 3, S, S)."""
        return training.infer(self.model, _Sees(), self._batches((inputs,)), self.compute)

    def read(self, captions: Sequence[str]) -> Tensor:
        """Return the unit vectors (N, size) of captions.

        Raises:
            DataError: one has words that the run never saw, or none.
        """
        tokens = data.encode(captions, self.card.words)
        found = training.infer(self.model, _Reads(), self._batches((tokens,)), self.compute)
        return found["texts"]

    @property
    def scale(self) -> float:
        """What similarities are multiplied by."""
        return float(cast(Contrastive, self.model).scale.detach())


def nearest(scores: Array) -> Array:
    """Return the best caption of each image, and image of each caption, (N, 2), of (N, N)."""
    return np.stack([scores.argmax(1), scores.argmax(0)], 1)
