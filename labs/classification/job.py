"""The job of the lab: to classify images, or to read numbers off them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from common import cli, image_data, optim, training
from common.data import Updates
from common.image_data import PATHS, ImageCard
from common.images import ImageSet
from common.jobs import Job, Outputs, Splits
from common.report import Section
from common.results import ACCURACY, MAE, Array, Headline
from common.sections import Drawn
from common.summary import summarize
from labs.classification import baselines, features, report, results, task, transfer
from labs.classification.config import ClassificationConfig
from labs.classification.data import load


class Images(Job[ClassificationConfig, ImageCard]):
    """A classifier of images, or a regression on them; splits are `ImageSet`s."""

    lab = "classification"
    config_type = ClassificationConfig
    card_type = ImageCard
    paths = PATHS
    _head: str | None = None  # what trains on features, while it does

    @classmethod
    def load(cls, config: ClassificationConfig) -> tuple[Splits, ImageCard]:
        """Load the config's images, split, as its weights want them."""
        return load(config, transfer.inputs(config))

    def load_again(self) -> tuple[Splits, ImageCard]:
        """Load the run's images; what its weights wanted is on its card."""
        card = self.card
        wanted = transfer.Inputs(card.channels == 3, card.image_size, card.mean, card.std)
        return load(self.config, wanted if self.config.weights else None)

    @classmethod
    def located(cls, config: ClassificationConfig) -> ClassificationConfig:
        """Make the path of the weights absolute, too."""
        return dataclasses.replace(super().located(config), weights=transfer.located(config))

    def warm_start(self, splits: Splits) -> None:
        """Load the weights that the config names."""
        if self.config.weights is None:
            return
        taken = transfer.load(self.model, self.config)
        if hasattr(self, "run"):  # not when it is only tried
            cli.note(f"{taken}; {transfer.trains(self.model)}")

    def optimizer(self, **options: Any) -> optim.AnyOptimizer:
        """Return the config's optimizer, with lower rates for earlier layers where asked."""
        return super().optimizer(layer_decay=self.config.layer_decay, **options)

    def build_model(self) -> nn.Module:
        """Return the config's classifier."""
        return task.build_model(self.config, self.card)

    def task(self, splits: Splits) -> training.Task:
        """Return the task that the loss asks for."""
        return task.build_task(self.config, splits["train"].targets, self.card, self.compute)

    def batches(self, split: ImageSet, *, training: bool = False) -> Updates:
        """Return a split as the loop takes it: images, or features of a frozen backbone."""
        config, compute = self.config, self.compute
        prepare = task.augmentation(config, self.card)
        if self._head is None:
            return image_data.batches(config, split, prepare, compute, training=training)
        images = image_data.batches(config, split, prepare, compute)
        options = image_data.batching(config, training=training)
        return features.Features(self.model, self._head, images, compute, **options)

    def train(self, splits: Splits, display: cli.Display, say: Callable[[str], None]) -> None:
        """Train; what a frozen backbone makes of images that are not augmented is kept."""
        self._head = self.keepable(len(splits["train"]))
        if self._head is None:
            super().train(splits, display, say)
            return
        say(f"the backbone is frozen and runs once; its features are kept for {self._head}")
        try:
            with features.only(self.model, self._head):
                super().train(splits, display, say)
        finally:
            self._head = None

    def keepable(self, samples: int) -> str | None:
        """Return the module that can train on kept features of so many samples, if there is one."""
        pipeline = task.augmentation(self.config, self.card)
        if pipeline.columns:  # no two epochs would see the same images
            return None
        size = pipeline.output_size(self.card.image_size)
        found = features.cut(self.model, (self.card.channels, size, size))
        if found is None or samples * found[1] * 4 > features.LARGEST:
            return None
        return found[0]

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
