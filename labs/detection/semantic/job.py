"""The job of `--task semantic`: to name the class of each pixel."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common import training
from common.errors import RunError
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Say, Splits, Suited
from common.training.batches import Batches, choose_batching
from common.training.summary import summarize
from labs.detection.config import DetectionConfig
from labs.detection.letterbox import letterbox
from labs.detection.models import pixel_models, weights
from labs.detection.semantic import augment, data, metrics
from labs.detection.semantic.data import PixelCard, PixelSet
from labs.detection.semantic.task import PixelAnswers, PixelTask

_EVALUATION_BATCH = 32


class PixelClassifier(Job[DetectionConfig, PixelCard]):
    """A network that names the class of each pixel; splits are `PixelSet`s."""

    lab = "detection"
    config_type = DetectionConfig
    card_type = PixelCard
    conclusion = "labs.detection.semantic.results:PixelResults"
    optimizer_options = ("layer_decay",)

    @classmethod
    def suited(cls, config: DetectionConfig) -> Suited[DetectionConfig]:
        """Return the config with what suits a user's images."""
        from labs.detection.semantic import suited

        return suited.suited(config)

    @classmethod
    def load(
        cls, config: DetectionConfig, card: PixelCard | None = None
    ) -> tuple[Splits, PixelCard]:
        """Load the config's images with the classes of their pixels, split."""
        return data.load(config)

    def build_model(self) -> nn.Module:
        """Return the config's network."""
        return pixel_models.build(self.config.model, len(self.card.classes))

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Load the weights that the config names, where they fit."""
        if self.config.weights is not None:
            say(weights.load(self.model, self.config.model, self.config.weights))

    def task(self, splits: Splits) -> training.Task:
        """Return the task, which knows the classes' shares of the training pixels."""
        card, config = self.card, self.config
        shares = self.compute.move(torch.tensor(card.shares))
        return PixelTask(len(card.classes), config.loss, shares, config.epochs)

    def batches(self, split: PixelSet, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        config = self.config
        return Batches(
            split.columns,
            prepare=augment.pipeline(config),
            compute=self.compute,
            workers=config.workers,
            **choose_batching(config, _EVALUATION_BATCH, training=training),
        )

    def work(self) -> int:
        """Count one forward pass over a batch."""
        shape = (3, self.card.image_size, self.card.image_size)
        each = summarize(self.model, shape).multiply_adds
        return each * (self.config.micro_batch or self.config.batch_size)

    @cached_property
    def main_metric(self) -> MainMetric:
        """Mean IoU over the classes."""
        return metrics.main_metric(len(self.card.classes))

    def decide(self, outputs: Outputs) -> Array:
        """Return the classes that are said, uint8 (N, S, S)."""
        found: Array = outputs["said"].numpy()
        return found

    def targets(self, split: PixelSet) -> Array:
        """Return the true classes, uint8 (N, S, S)."""
        return np.stack([split.truth(row) for row in range(len(split))])

    def choose_copies(self, spec: str) -> tuple[()]:
        """Refuse `--tta`.

        Raises:
            RunError: always.
        """
        raise RunError(f"--tta: {self.run.path} names classes of pixels, and boxes alone are fused")

    def answers(self, inputs: Tensor) -> Outputs:
        """Return the classes of unknown images, letterboxed uint8 (B, 3, S, S), as `said`."""
        batches = Batches(
            (inputs,),
            _EVALUATION_BATCH,
            prepare=augment.plain(),
            compute=self.compute,
        )
        return training.infer(self.model, PixelAnswers(), batches, self.compute)

    def name_pixels(self, photos: Sequence[Tensor]) -> list[Array]:
        """Return the classes of photos of any size, uint8 (3, H, W): each uint8 (H, W)."""
        size = self.card.image_size
        squares, fits = zip(*(letterbox(photo, size) for photo in photos), strict=True)
        said = self.answers(torch.stack(squares))["said"]
        return [
            fit.enlarge(each, *photo.shape[1:]).numpy()
            for each, fit, photo in zip(said, fits, photos, strict=True)
        ]

    def labelled(self, path: Path, say: Say, **written: Any) -> PixelSet:
        """Return all images of a user's, of whichever splits, in the run's classes."""
        elsewhere = {"mask_dir": None, **written}  # the run's own masks are of other images
        return data.labelled(self.config.of_file(path, **elsewhere), self.card, say)
