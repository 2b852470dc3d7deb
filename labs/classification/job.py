"""The job of the lab: to classify images, or to read numbers off them."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from common import training
from common.data import Batches
from common.image_data import PATHS, ImageCard
from common.images import ImageSet
from common.jobs import Job, Outputs, Splits
from common.report import Section
from common.results import ACCURACY, MAE, Array, Headline
from common.sections import Drawn
from common.summary import summarize
from labs.classification import baselines, report, results, task
from labs.classification.config import ClassificationConfig
from labs.classification.data import load


class Images(Job[ClassificationConfig, ImageCard]):
    """A classifier of images, or a regression on them; splits are `ImageSet`s."""

    lab = "classification"
    config_type = ClassificationConfig
    card_type = ImageCard
    paths = PATHS

    @classmethod
    def load(cls, config: ClassificationConfig) -> tuple[Splits, ImageCard]:
        """Load the config's images, split."""
        return load(config)

    def build_model(self) -> nn.Module:
        """Return the config's classifier."""
        return task.build_model(self.config, self.card)

    def task(self, splits: Splits) -> training.Task:
        """Return the task that the loss asks for."""
        return task.build_task(self.config, splits["train"].targets, self.card, self.compute)

    def batches(self, split: ImageSet, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        return task.batches(self.config, self.card, split, self.compute, training=training)

    def work(self) -> int:
        """Count one forward pass over a batch."""
        size = task.augmentation(self.config, self.card).output_size(self.card.image_size)
        each = summarize(self.model, (self.card.channels, size, size)).multiply_adds
        return each * (self.config.micro_batch or self.config.batch_size)

    @property
    def title(self) -> str:
        """The model's name."""
        return self.config.model

    @property
    def headline(self) -> Headline:
        """Accuracy, or the mean absolute error of numbers."""
        return MAE if self.config.numeric else ACCURACY

    def decide(self, outputs: Outputs) -> Array:
        """Return classes or numbers, (N,)."""
        return results.decide(outputs["outputs"], self.config.numeric)

    def targets(self, split: ImageSet) -> Array:
        """Return classes or numbers, (N,)."""
        targets: Array = split.targets.numpy()
        return targets

    def figures(self, outputs: Outputs, split: ImageSet) -> dict[str, Any]:
        """Return all figures of a split."""
        return results.figures(outputs["outputs"], self.targets(split), self.headline)

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what nearest neighbors and a linear model say of the pixels."""
        return baselines.predictions(splits, self.config.numeric)

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            f"Baselines see raw pixels, at most {baselines.SIDE} x {baselines.SIDE} of them, of at "
            f"most {baselines.ROWS:,} training images, without augmentation."
        )

    def sections(
        self, outputs: Outputs, splits: Splits, figures: Mapping[str, Any], drawn: Drawn
    ) -> list[Section]:
        """Return where the network errs, and what its first layer looks for."""
        return report.sections(self, outputs["outputs"], splits["test"], drawn)
