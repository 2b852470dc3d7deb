"""The job of the lab: to classify images, or to read numbers off them."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from torch import nn

from common import training
from common.images import load as image_data
from common.images import policies
from common.images.folders import ImageSet
from common.images.load import PATHS, ImageCard
from common.metrics.main_metric import ACCURACY, MAE, Array, MainMetric
from common.options import terminal
from common.report.html import PictureSaver, Section
from common.runs.job import Job, Outputs, Splits
from common.training import optim
from common.training.batches import Updates
from common.training.summary import summarize
from common.training.task import Classification, probabilities
from labs.classification import baselines, distillation, label_columns, report, results, task
from labs.classification.config import ClassificationConfig
from labs.classification.data import load
from labs.classification.models import heads
from labs.classification.transfer import frozen_features, source_runs
from labs.classification.transfer import weights as transfer


class ClassifyImages(Job[ClassificationConfig, ImageCard]):
    """A classifier of images, or a regression on them; splits are `ImageSet`s."""

    lab = "classification"
    config_type = ClassificationConfig
    card_type = ImageCard
    paths: ClassVar = {**PATHS, "teacher": ()}
    _head: str | None = None  # what trains on features, while it does
    _teacher: distillation.Teacher | None = None  # while it teaches

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
        """Make the paths of the weights and of policies absolute, too."""
        weights, augment = transfer.located(config), policies.located(config.augment)
        return dataclasses.replace(super().located(config), weights=weights, augment=augment)

    def warm_start(self, splits: Splits) -> None:
        """Load the weights that the config names."""
        if self.config.weights is None:
            return
        taken = transfer.load(self.model, self.config)
        if hasattr(self, "run"):  # not when it is only tried
            terminal.note(f"{taken}; {transfer.trains(self.model)}")
            if doubt := transfer.doubt(self.config, self.card):
                terminal.note(doubt)

    def check(self, splits: Splits) -> None:
        """Refuse what training would stumble over, a wrong teacher or policy too."""
        super().check(splits)
        policies.check(self.config.augment, splits["train"])
        if self.config.teacher is not None:
            distillation.build_teacher(distillation.find(self.config, self.card), self)

    def optimizer(self, **options: Any) -> optim.AnyOptimizer:
        """Return the config's optimizer, with lower rates for earlier layers where asked."""
        return super().optimizer(layer_decay=self.config.layer_decay, **options)

    def build_model(self) -> nn.Module:
        """Return the config's classifier."""
        return task.build_model(self.config, self.card)

    def task(self, splits: Splits) -> training.Task:
        """Return the task that the loss asks for, with the teacher while it teaches."""
        config = self.config
        built = task.build_task(config, splits["train"].targets, self.card, self.compute)
        if self._teacher is None:
            return built
        assert isinstance(built, Classification)
        return distillation.Distillation(
            built, self._teacher, config.temperature, config.teacher_weight
        )

    def batches(self, split: ImageSet, *, training: bool = False) -> Updates:
        """Return a split as the loop takes it: images, or features of a frozen backbone."""
        config, compute = self.config, self.compute
        prepare = task.augmentation(config, self.card)
        drawn = task.sampling(config, split.targets) if training else {}
        if self._head is None:
            return image_data.batches(config, split, prepare, compute, training=training, **drawn)
        images = image_data.batches(config, split, prepare, compute)
        options = {**image_data.batching(config, training=training), **drawn}
        return frozen_features.Features(self.model, self._head, images, compute, **options)

    def train(self, splits: Splits, display: terminal.Display, say: Callable[[str], None]) -> None:
        """Train; what a frozen backbone makes of images that are not augmented is kept."""
        self._head = self.keepable(len(splits["train"]))
        if self._head is None:
            with self._taught(say):
                super().train(splits, display, say)
            return
        say(f"the backbone is frozen and runs once; its features are kept for {self._head}")
        try:
            with frozen_features.only(self.model, self._head, self._finish()):
                super().train(splits, display, say)
        finally:
            self._head = None

    def _finish(self) -> Callable[[Any], Any]:
        """Return what becomes of the outputs of the last layer."""
        if not self.card.labels or self.config.heads != "shared":
            return lambda outputs: outputs
        return heads.side_by_side([len(names) for names in self.card.labels.values()])

    @contextlib.contextmanager
    def _taught(self, say: Callable[[str], None]) -> Iterator[None]:
        """Have the teacher, if there is one, in the task inside the block."""
        if self.config.teacher is None:
            yield
            return
        source = distillation.find(self.config, self.card)
        self._teacher = distillation.build_teacher(source, self)
        say(f"{source.config.model} teaches: {source.run.path}")
        if doubt := source_runs.doubt("The teacher", source, self.config, self.card):
            say(doubt)
        try:
            yield
        finally:
            self._teacher = None

    def keepable(self, samples: int) -> str | None:
        """Return the module that can train on kept features of so many samples, if there is one."""
        if self.config.teacher is not None or policies.parse(self.config.augment):
            return None  # they see images, not features
        pipeline = task.augmentation(self.config, self.card)
        if pipeline.columns or self.config.blends:  # no two epochs would see the same images
            return None
        size = pipeline.output_size(self.card.image_size)
        found = frozen_features.cut(self.model, (self.card.channels, size, size))
        if found is None or samples * found[1] * 4 > frozen_features.LARGEST:
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
    def main_metric(self) -> MainMetric:
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
        return results.figures(outputs["outputs"], self.targets(split), self.main_metric)

    def columns(
        self, outputs: Outputs, split: ImageSet, train: ImageSet | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the figures of each of several label columns, by its name.

        Args:
            outputs: what the task collects of a split.
            split: the split.
            train: the training split, for each column's majority class; None to leave it out.
        """
        targets, known = self.targets(split), self.card.labels
        found = label_columns.figures(probabilities(outputs["outputs"]), targets, known)
        if train is not None:
            frequent = label_columns.majority(self.targets(train), targets, known)
            return {name: {**each, "majority": frequent[name]} for name, each in found.items()}
        return found

    def measure(self, outputs: Mapping[str, Outputs], splits: Splits) -> dict[str, Any]:
        """Return what metrics.json holds, with the teacher if there was one."""
        found = super().measure(outputs, splits)
        if self.card.labels:
            for name in ("validation", "test"):
                found[name]["labels"] = self.columns(outputs[name], splits[name], splits["train"])
        if self.config.teacher is not None:
            found["teacher"] = distillation.measure(self, outputs, splits)
        if doubt := transfer.doubt(self.config, self.card):
            found["doubt"] = doubt
        return found

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say how the network compares with the baselines, and with its teacher."""
        said = f"{super().verdict(figures)} {figures.get('doubt', '')}".rstrip()
        if "labels" in figures["test"]:
            said = f"{said} {label_columns.said(figures['test']['labels'])}"
        if "teacher" not in figures:
            return said
        return f"{said} {distillation.verdict(figures['teacher'])}"

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
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return the teacher, label columns, where the network errs, and its first layer."""
        found = report.sections(self, outputs["outputs"], splits["test"], save_picture)
        return [
            *distillation.sections(self, figures),
            *self._columns_sections(outputs, splits, figures, save_picture),
            *found,
        ]

    def _columns_sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> Iterator[Section]:
        if self.card.labels:
            chances, targets = probabilities(outputs["outputs"]), self.targets(splits["test"])
            found = figures["test"]["labels"]
            yield label_columns.section(found, chances, targets, self.card.labels, save_picture)
