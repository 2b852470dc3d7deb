"""The job that sees more than images: the columns of a table beside them."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from common import training
from common.errors import RunError
from common.images import load as image_data
from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.runs.job import Outputs, Prepared, Say, Splits, Suited
from common.runs.tta.copies import Copy
from common.training.batches import Batches
from common.training.task import Answers
from labs.classification import task
from labs.classification.config import HEAD_FIRST, ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.models.fusion import LateFusion
from labs.classification.senses import columns
from labs.classification.senses.columns import Column
from labs.classification.transfer import frozen_features


@dataclass(frozen=True)
class SensesCard(ImageCard):
    """What a run needs to know of images and of the columns beside them."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of each, by its name, the fields of a `columns.Column`."""


@dataclass(frozen=True)
class Seen:
    """Images with the cells of the same rows, as users give them."""

    images: Tensor  # uint8 (N, C, S, S)
    cells: Mapping[str, Sequence[str]]  # of each column N; columns may be missing

    def __len__(self) -> int:
        return len(self.images)


class Together(Batches):
    """Batches of ((images, numbers of the columns), targets), or of inputs alone."""

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield the updates of an epoch; see `Batches`."""
        for update in super().updates(epoch, start):
            yield [((images, beside), *others) for images, beside, *others in update]


class ClassifySenses(ClassifyImages):
    """A classifier of images with columns beside them, or a regression on them."""

    card_type = SensesCard
    conclusion = "labs.classification.senses.results:SensesResults"
    exporter = None
    page = None
    card: SensesCard

    def __init__(self, config: ClassificationConfig, compute: Any, card: SensesCard):
        self.columns: list[Column] = columns.from_card(card.columns)
        super().__init__(config, compute, card)

    @classmethod
    def for_config(cls, config: ClassificationConfig) -> type[Any]:
        """Return what sees images alone, where the config names no columns."""
        return cls if config.with_ else ClassifyImages

    @classmethod
    def suited(cls, config: ClassificationConfig) -> Suited[ClassificationConfig]:
        """Choose as for images alone; but the new classifier of photos is not fitted first."""
        chosen, reasons = super().suited(config)
        if chosen.transfer == HEAD_FIRST:
            chosen = dataclasses.replace(chosen, transfer="fine-tune")
            reasons = [
                *(each for each in reasons if "is fitted first" not in each),
                "all of it trains from the start: a classifier of several senses is not fitted "
                "first",
            ]
        return Suited(chosen, reasons)

    @classmethod
    def load(
        cls, config: ClassificationConfig, card: ImageCard | None = None
    ) -> tuple[Splits, SensesCard]:
        """Load images with their cells, and find out what the columns are."""
        splits, plain = super().load(config, card)
        read = columns.read(config.column_kinds, splits, plain.classes)
        kinds = ", ".join(f"{each.name} ({each.kind})" for each in read)
        values = {each.name: getattr(plain, each.name) for each in dataclasses.fields(plain)}
        values["source"] = f"{plain.source}, with {kinds}"
        found = {each.name: dataclasses.asdict(each) for each in read}
        return splits, cls.card_type(**values, columns=found)

    def build_model(self) -> nn.Module:
        """Return the config's network of images, fused with encoders of the columns."""
        return task.build_fusion(self.config, self.card, self.columns)

    @property
    def fusion(self) -> LateFusion:
        """The model."""
        return cast(LateFusion, self.model)

    @property
    def image_network(self) -> nn.Module | None:
        """The part of the model that sees images, where one does."""
        return self.fusion.image

    @property
    def senses(self) -> list[str]:
        """The senses that the network gets: the image, and columns by their names."""
        return self.fusion.names

    def encode(self, split: ImageSet) -> Tensor:
        """Return the cells of a split as the network takes them, (N, D)."""
        return columns.encode(self.columns, split.cells, len(split))

    def batches(self, split: ImageSet, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it: ((images, numbers of the columns), targets)."""
        prepare = task.augmentation(self.config, self.card)
        drawn = task.sampling(self.config, split.targets) if training else {}
        return image_data.batches(
            self.config,
            split,
            prepare,
            self.compute,
            training=training,
            beside=self.encode(split),
            kind=Together,
            **drawn,
        )

    @contextlib.contextmanager
    def prepare(self, splits: Splits, say: Say) -> Iterator[Prepared]:
        """Say what the columns are, and what is to be doubted; then as for images alone."""
        for column in self.columns:
            say(f"{column.name}: {column.said}")
            if column.doubt:
                say(f"{column.name}: {column.doubt}")
        with super().prepare(splits, say) as prepared:
            yield prepared

    def _features(
        self, split: ImageSet, head: str, *, training: bool = False
    ) -> frozen_features.Features:
        """Return the features that a frozen backbone makes of a split, beside the columns."""
        found = super()._features(split, head, training=training)
        found.beside, found.kind = self.encode(split), Together
        return found

    def hide(self, names: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        """Let senses be missing in all that is asked, inside the block."""
        return self.fusion.hidden(names)

    def only_images(self, verb: str) -> None:
        """Refuse a verb that knows images alone.

        Raises:
            RunError: always.
        """
        raise RunError(
            f"{self.run.path} sees columns beside its images (--with "
            f"{','.join(self.config.columns_beside)}), and `{verb}` knows images alone; train a "
            "run without --with"
        )

    def choose_copies(self, spec: str) -> tuple[Copy, ...]:
        """Refuse copies, of which only the images would be changed.

        Raises:
            RunError: always.
        """
        raise RunError(f"--tta: {self.run.path} sees columns beside its images; leave it out")

    def inputs(self, pixels: Tensor, cells: Mapping[str, Sequence[str]]) -> Seen:
        """Return images, uint8 (n, C, S, S), with what goes with them, as `answers` takes them."""
        return Seen(pixels, cells)

    def say_unknown(self, cells: Mapping[str, Sequence[str]], say: Say) -> None:
        """Say which cells of rows, by the column, the network can make nothing of."""
        for column in self.columns:
            if column.name in self.senses and (line := column.describe_unknown(cells)):
                say(line)

    def answers(self, inputs: Seen | Tensor) -> Outputs:
        """Return logits (N, C), or numbers (N,), of rows; of images alone the rest is missing."""
        seen = inputs if isinstance(inputs, Seen) else Seen(inputs, {})
        prepare = task.augmentation(self.config, self.card)
        beside = columns.encode(self.columns, seen.cells, len(seen.images))
        batches = image_data.unlabelled(seen.images, prepare, self.compute, beside, Together)
        answers = Answers(partial(task.numbers, self.card)) if self.config.numeric else Answers()
        return training.infer(self.model, answers, batches, self.compute)

    def labelled(self, path: Path, say: Say, **written: Any) -> ImageSet:
        """Return a user's table as a split, and say which senses it lacks."""
        split = super().labelled(path, say, **written)
        self.say_unknown(split.cells, say)
        return split
