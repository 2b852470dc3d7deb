"""The job of the lab: to classify images, or to read numbers off them."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from common import training
from common.errors import ConfigError
from common.images import load as image_data
from common.images import policies
from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.metrics.main_metric import ACCURACY, F1_MICRO, MAE, MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Prepared, Say, Splits, Suited
from common.runs.tta import copies as test_time
from common.training.batches import Updates
from common.training.summary import summarize
from common.training.task import Answers, Classification, probabilities
from labs.classification import distillation, task, thresholds
from labs.classification.config import HEAD_FIRST, ClassificationConfig
from labs.classification.data import labelled, load
from labs.classification.models import heads, suited
from labs.classification.transfer import frozen_features, source_runs
from labs.classification.transfer import weights as transfer

ReadImages = Callable[["ClassifyImages"], Iterable[tuple[Sequence[str], Tensor]]]


class ClassifyImages(Job[ClassificationConfig, ImageCard]):
    """A classifier of images, or a regression on them; splits are `ImageSet`s.

    Attributes:
        merging: what `answers` are made by, where there are copies.
        copies: changed copies of each image over which `answers` are a mean; () for none.
    """

    lab = "classification"
    config_type = ClassificationConfig
    card_type = ImageCard
    conclusion = "labs.classification.results:ClassificationResults"
    submission = "labs.classification.predictions:ImageSubmission"
    exporter: ClassVar[str | None] = "labs.classification.export.exporter:ImageExporter"
    page: ClassVar[str | None] = "labs.classification.live.view:write"
    features = "labs.classification.look.features:read"
    optimizer_options = ("layer_decay",)
    merging = "the mean over"
    copies: Sequence[test_time.Copy] = ()
    _thresholds: Array | None = None

    @classmethod
    def for_config(cls, config: ClassificationConfig) -> type[Any]:
        """Return what sees columns beside images, where the config names some."""
        if not config.with_:
            return cls
        found: type[Any] = resolve_name("labs.classification.senses.job:ClassifySenses")
        return found

    @classmethod
    def suited(cls, config: ClassificationConfig) -> Suited[ClassificationConfig]:
        """Choose the model, the size and the updates for a user's images."""
        return suited.suited(config)

    @classmethod
    def load(
        cls, config: ClassificationConfig, card: ImageCard | None = None
    ) -> tuple[Splits, ImageCard]:
        """Load the config's images, split, as its weights want them, or as a card says they did."""
        if card is None:
            return load(config, transfer.inputs(config))
        wanted = transfer.Inputs(card.channels == 3, card.image_size, card.mean, card.std)
        return load(config, wanted if config.weights else None)

    def build_model(self) -> nn.Module:
        """Return the config's classifier."""
        return task.build_model(self.config, self.card)

    def refuse(self, splits: Splits) -> None:
        """Refuse a wrong teacher or policy."""
        policies.check(self.config.augment, splits["train"])
        if self.config.teacher is not None:
            distillation.build_teacher(
                distillation.find(self.config, self.card), self.card, self.compute
            )

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Load the weights that the config names."""
        if self.config.weights is not None:
            taken = transfer.load(self.model, self.config)
            say(f"{taken}; {transfer.say_what_trains(self.model)}")
            if doubt := transfer.doubt(self.config, self.card):
                say(doubt)

    def _fit_head(self, splits: Splits, say: Say) -> None:
        """Fit the head to what the network makes of the images before all of it trains."""
        transfer.freeze(self.model, "feature-extraction")
        self.compute.place(self.model)
        head = self._head()
        if head is None:
            raise ConfigError(f"--transfer {HEAD_FIRST}: {self.config.model} has no last layer")
        say("the backbone runs once, and the head is fitted to its features; then all trains")
        plain = dataclasses.replace(self.config, mixup=0.0, cutmix=0.0)
        targets = splits["train"].targets
        of_head = task.build_task(plain, targets, self.card, self.compute)
        train, validation = (
            self._features(splits[name], head[0]).columns() for name in ("train", "validation")
        )
        with frozen_features.only(self.model, head[0], self._finish()):
            loss = frozen_features.fit_head(self.model, head[0], of_head, train, validation)
        say(f"the fitted head has a validation loss of {loss:.4f}")
        self.model.requires_grad_(True)

    def task(self, splits: Splits) -> training.Task:
        """Return the task that the loss asks for."""
        train = splits.get("train")
        targets = None if train is None else train.targets
        return task.build_task(self.config, targets, self.card, self.compute)

    def batches(self, split: ImageSet, *, training: bool = False) -> Updates:
        """Return a split as the loop takes it."""
        prepare = task.augmentation(self.config, self.card)
        drawn: dict[str, Any] = task.sampling(self.config, split.targets) if training else {}
        return image_data.batches(
            self.config, split, prepare, self.compute, training=training, **drawn
        )

    @contextlib.contextmanager
    def prepare(self, splits: Splits, say: Say) -> Iterator[Prepared]:
        """Have a teacher in the task; keep what a frozen backbone makes of unchanged images."""
        if self.config.transfer_mode == HEAD_FIRST and not self.run.history:
            self._fit_head(splits, say)
        head, network = self.keepable(len(splits["train"])), self.image_network
        if head is not None and network is not None:
            say(f"the backbone is frozen and runs once; its features are kept for {head}")
            train = self._features(splits["train"], head, training=True)
            validation = self._features(splits["validation"], head)
            with frozen_features.only(network, head, self._finish()):
                yield Prepared(self.task(splits), train, validation)
            return
        with super().prepare(splits, say) as prepared:
            yield prepared._replace(task=self._taught(prepared.task, say))

    def _features(
        self, split: ImageSet, head: str, *, training: bool = False
    ) -> frozen_features.Features:
        """Return the features that a frozen backbone makes of a split, for its head."""
        config = self.config
        images = image_data.batches(
            config, split, task.augmentation(config, self.card), self.compute
        )
        drawn: dict[str, Any] = task.sampling(config, split.targets) if training else {}
        options = {**image_data.batching(config, 1, training=training), **drawn}
        network = self.image_network
        assert network is not None
        return frozen_features.Features(network, head, images, self.compute, **options)

    @property
    def image_network(self) -> nn.Module | None:
        """The part of the model that sees images: all of it."""
        return self.model

    def _finish(self) -> Callable[[Any], Any]:
        """Return what becomes of the outputs of the last layer."""
        if self.config.with_ or not self.card.labels or self.config.heads != "shared":
            return lambda outputs: outputs
        return heads.side_by_side([len(names) for names in self.card.labels.values()])

    def _taught(self, plain: training.Task, say: Say) -> training.Task:
        """Return the task with the config's teacher, if it names one."""
        if self.config.teacher is None:
            return plain
        source = distillation.find(self.config, self.card)
        teacher = distillation.build_teacher(source, self.card, self.compute)
        say(f"{source.config.model} teaches: {source.run.path}")
        if doubt := source_runs.doubt("The teacher", source, self.config, self.card):
            say(doubt)
        assert isinstance(plain, Classification)
        config = self.config
        return distillation.Distillation(plain, teacher, config.temperature, config.teacher_weight)

    def keepable(self, samples: int) -> str | None:
        """Return the module that can train on kept features of so many samples, if there is one."""
        if self.config.teacher is not None or policies.parse(self.config.augment):
            return None  # they see images, not features
        pipeline = task.augmentation(self.config, self.card)
        if pipeline.columns or self.config.blends:  # no two epochs would see the same images
            return None
        found = self._head()
        if found is None or samples * found[1] * 4 > frozen_features.LARGEST:
            return None
        return found[0]

    def _head(self) -> tuple[str, int] | None:
        """Return the module behind what is frozen, and the size of its features; see `cut`."""
        if self.image_network is None:
            return None
        size = task.augmentation(self.config, self.card).output_size(self.card.image_size)
        return frozen_features.cut(self.image_network, (self.card.channels, size, size))

    def work(self) -> int:
        """Count one forward pass over a batch."""
        size = task.augmentation(self.config, self.card).output_size(self.card.image_size)
        each = summarize(self.model, (self.card.channels, size, size)).multiply_adds
        return each * (self.config.micro_batch or self.config.batch_size)

    @property
    def main_metric(self) -> MainMetric:
        """Accuracy, the micro F1 of several labels, or the mean absolute error of numbers."""
        return {"class": ACCURACY, "labels": F1_MICRO, "number": MAE}[self.config.kind]

    @property
    def thresholds(self) -> Array:
        """The probability of each label, (C,), from which on it is said: chosen on validation."""
        if self._thresholds is not None:
            return self._thresholds
        known = self.run.read("metrics")["thresholds"] if self.run.finished else {}
        return np.array([known.get(name, 0.5) for name in self.card.classes])

    def choose_thresholds(self, outputs: Outputs, validation: ImageSet) -> None:
        """Choose the thresholds by what the network says of the validation split."""
        shares = probabilities(outputs["outputs"], several=True)
        self._thresholds = thresholds.choose_thresholds(shares, self.targets(validation))

    def decide(self, outputs: Outputs) -> Array:
        """Return classes or numbers, (N,), or which labels are said, (N, C)."""
        if self.config.several:
            said: Array = probabilities(outputs["outputs"], several=True) >= self.thresholds
            return said
        return task.decide(outputs["outputs"], self.config.numeric)

    def targets(self, split: ImageSet) -> Array:
        """Return classes or numbers, (N,), or which labels are true, (N, C)."""
        targets: Array = split.targets.numpy()
        return targets > 0 if self.config.several else targets

    def only_images(self, verb: str) -> None:
        """Refuse a verb that knows images alone, where the network sees more."""

    def inputs(self, pixels: Tensor, cells: Mapping[str, Sequence[str]]) -> Any:
        """Return images, uint8 (n, C, S, S), with what goes with them, as `answers` takes them."""
        return pixels

    def say_unknown(self, cells: Mapping[str, Sequence[str]], say: Say) -> None:
        """Say which cells of rows, by the column, the network can make nothing of."""

    def choose_copies(self, spec: str) -> tuple[test_time.Copy, ...]:
        """Return the copies that `--tta` names, or that suit what the run was trained with."""
        trained = task.augmentation(self.config, self.card).transforms
        return test_time.parse(spec, trained, self.card.image_size)

    def answers(self, inputs: Tensor) -> Outputs:
        """Return logits (N, C), or numbers (N,), of uint8 images (N, C, S, S)."""
        merge = partial(test_time.average, self.config.kind)
        return test_time.answer(self._answer, inputs, self.copies, merge)

    def _answer(self, inputs: Tensor) -> Outputs:
        prepare = task.augmentation(self.config, self.card)
        batches = image_data.unlabelled(inputs, prepare, self.compute)
        answers = Answers(partial(task.numbers, self.card)) if self.config.numeric else Answers()
        return training.infer(self.model, answers, batches, self.compute)

    def answer_chunks(self, read: ReadImages) -> tuple[list[str], Tensor]:
        """Return the names of images with outputs for them, (N, ...).

        Args:
            read: yields names and images in chunks, as the run that it is handed takes them.
        """
        names: list[str] = []
        outputs: list[Tensor] = []
        for some, pixels in read(self):
            names += some
            outputs.append(self.answers(pixels)["outputs"])
        return names, torch.cat(outputs)

    def labelled(self, path: Path, say: Say, **written: Any) -> ImageSet:
        """Return a user's folder, table or arrays as a split, in the run's classes."""
        return labelled(self.config.of_file(path, **written), self.card, say)
