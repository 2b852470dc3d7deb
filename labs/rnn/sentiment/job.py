"""The job that tells what a text feels, or whichever classes its labels name."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from common import training
from common.metrics import metrics
from common.metrics.main_metric import BALANCED_ACCURACY, Array, MainMetric
from common.report.html import PictureSaver, Section
from common.runs.job import Job, Outputs, Splits
from common.training import losses
from common.training.batches import Batches
from common.training.compute import Compute
from common.training.sequences import Ragged
from common.training.task import probabilities
from labs.rnn.sentiment import baselines, data, models, report
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.task import Parts
from labs.rnn.vectors import Vectors, load_vectors
from labs.rnn.words import Words, cut

_EVALUATION_BATCH = 256


class Sentiment(Job[SentimentConfig, data.Card]):
    """A classifier of texts; splits are `data.Split`s."""

    lab = "rnn"
    verb = "sentiment"
    config_type = SentimentConfig
    card_type = data.Card
    paths = {"data": data.NAMES, "data_dir": (), "vectors": ("glove",)}

    def __init__(self, config: SentimentConfig, compute: Compute, card: data.Card):
        self.words = Words.from_dict(card.words)
        super().__init__(config, compute, card)

    @classmethod
    def load(cls, config: SentimentConfig) -> tuple[Splits, data.Card]:
        """Load the config's texts, cleaned, split and encoded."""
        return data.load(config)

    def build_model(self) -> nn.Module:
        """Return the config's classifier, over the vocabulary of the card."""
        self.initialize()
        return models.build(self.config, len(self.words), len(self.card.classes))

    @cached_property
    def vectors(self) -> Vectors | None:
        """The pretrained vectors of the vocabulary, where the config names any."""
        config = self.config
        if config.vectors is None:
            return None
        folder = None if config.data_dir is None else Path(config.data_dir)
        words = self.words.vocabulary
        return load_vectors(config.vectors, words, config.embedding_size, folder)

    def warm_start(self, splits: Splits) -> None:
        """Put pretrained vectors into the embeddings; unknown words keep their random ones."""
        if (found := self.vectors) is not None:
            for member in cast(Any, self.model).members:
                weight = member.embedding.weight.data
                weight[found.known] = found.values[found.known].to(weight)

    def task(self, splits: Splits) -> training.Task:
        """Return cross-entropy on the classes, which may weigh the same in all."""
        weights = None
        if self.config.class_weights == "balanced":
            targets = splits["train"].targets
            weights = losses.balanced_class_weights(targets, len(self.card.classes))
            weights = self.compute.move(weights)
        loss = losses.build("cross-entropy", weights, self.config.label_smoothing)
        return Parts(loss, weights, f"validation/{self.main_metric.name}")

    def batches(self, split: data.Split, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it: bucketed by words, which cost the most."""
        return Batches(
            (split.encoded, split.grams, split.targets),
            self.config.batch_size if training else _EVALUATION_BATCH,
            training=training,
            micro_batch=self.config.micro_batch if training else None,
            seed=self.config.seed,
            compute=self.compute,
            lengths=split.encoded.lengths if len(cast(Any, self.model).members) else None,
        )

    def work(self) -> int:
        """Count one step of a member over a batch; it waits for the step before."""
        members: Any = self.model.members
        layers = [p for member in members[:1] for p in member.recurrent.parameters() if p.ndim == 2]
        return int(sum(p.numel() for p in layers)) * self.config.batch_size

    @property
    def title(self) -> str:
        """The cell with its directions, how many of them, and the n-grams."""
        config = self.config
        if config.encoding == "n-gram-bag":
            return self.stem
        several = f"{self.stem} x{config.members}" if config.members > 1 else self.stem
        return f"{several} + n-grams" if config.n_grams else several

    @property
    def stem(self) -> str:
        """The cell with its directions, or the bag."""
        config = self.config
        if config.encoding == "n-gram-bag":
            return "n-gram-bag"
        return f"bi{config.cell}" if config.bidirectional else config.cell

    @property
    def main_metric(self) -> MainMetric:
        """Balanced accuracy: each class counts the same, however rare."""
        return BALANCED_ACCURACY

    def decide(self, outputs: Outputs) -> Array:
        """Return the most probable class of each text, (N,)."""
        classes: Array = outputs["outputs"].argmax(1).numpy()
        return classes

    def targets(self, split: data.Split) -> Array:
        """Return the true classes, (N,)."""
        targets: Array = split.targets.numpy()
        return targets

    def figures(self, outputs: Outputs, split: data.Split) -> dict[str, Any]:
        """Return the figures of a split."""
        targets = self.targets(split)
        known = metrics.classification(probabilities(outputs["outputs"]), targets)
        return {**known, **self.main_metric.measure(self.decide(outputs), targets)}

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what linear models say that see words, bigrams and characters."""
        return baselines.predictions(
            {name: split.texts for name, split in splits.items()},
            {name: self.targets(split) for name, split in splits.items()},
        )

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            "Baselines see the same texts; the strength of their penalty was chosen on the "
            "validation split."
        )

    def measure(self, outputs: Mapping[str, Outputs], splits: Splits) -> dict[str, Any]:
        """Add how much of the texts pretrained vectors cover."""
        found = super().measure(outputs, splits)
        if self.vectors is not None:
            coverage = {
                name: asdict(self.vectors.coverage(split.encoded)) for name, split in splits.items()
            }
            found["vectors"] = {
                "source": self.vectors.source,
                "skipped": len(self.vectors.skipped),
                "coverage": coverage,
            }
        return found

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return where the network errs, and what it reads."""
        return report.sections(self, outputs["outputs"], splits["test"], figures, save_picture)

    def encode(self, texts: list[str]) -> Ragged:
        """Return texts as the model reads them, cut to its length."""
        return cut(self.words.encode(texts), self.config.max_length)[0]

    def chances(self, texts: list[str]) -> Array:
        """Return the probabilities of the classes of any texts, (N, C)."""
        nothing = torch.zeros(len(texts), dtype=torch.int64)
        grams = data.grams_of(self.config, texts)
        split = data.Split(texts, nothing, self.encode(texts), grams)
        task = Parts(losses.build("cross-entropy"))
        outputs = training.infer(self.model, task, self.batches(split), self.compute)
        return probabilities(outputs["outputs"])
