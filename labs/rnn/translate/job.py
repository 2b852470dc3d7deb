"""The job `translate`: an encoder-decoder on pairs of texts, compared with nearest sources."""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from common import training
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Say, Splits, Suited
from common.training.batches import Batches, choose_batching
from labs.rnn.cells import CELLS
from labs.rnn.translate import measures
from labs.rnn.translate.config import TranslateConfig
from labs.rnn.translate.data import Card, Split, encode, labelled, load
from labs.rnn.translate.models import Translator
from labs.rnn.translate.suit import suit_pairs
from labs.rnn.translate.task import Translation, Writing
from labs.rnn.words import Words

_EVALUATION_BATCH = 128


class Translate(Job[TranslateConfig, Card]):
    """A translator; splits are `Split`s."""

    lab = "rnn"
    verb = "translate"
    config_type = TranslateConfig
    card_type = Card
    conclusion = "labs.rnn.translate.results:TranslationResults"
    exporter = "labs.rnn.export.pairs:PairExporter"

    @classmethod
    def suited(cls, config: TranslateConfig) -> Suited[TranslateConfig]:
        """Choose columns, tokens and updates for a user's own table."""
        return suit_pairs(config)

    @classmethod
    def load(cls, config: TranslateConfig, card: Card | None = None) -> tuple[Splits, Card]:
        """Load the config's pairs, split and encoded."""
        return load(config)

    @cached_property
    def source_words(self) -> Words:
        """Return the tokenizer and vocabulary of the sources."""
        return Words.from_dict(self.card.source_words)

    @cached_property
    def target_words(self) -> Words:
        """Return the tokenizer and vocabulary of the targets."""
        return Words.from_dict(self.card.target_words)

    def reverses(self, side: str) -> bool:
        """Say whether `source` or `target` is read or written from its end."""
        return self.config.reverse in (side, "both")

    def build_model(self) -> nn.Module:
        """Return the config's encoder-decoder."""
        config = self.config
        return Translator(
            len(self.source_words),
            len(self.target_words),
            cell=config.cell,
            attention=config.attention,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    def task(self, splits: Splits) -> Translation:
        """Return what the loop cannot know."""
        targets = chain.from_iterable(split.targets for split in splits.values())
        return self.translation(tuple(targets))

    def translation(self, targets: Sequence[str] = (), beam: int | None = None) -> Translation:
        """Return the task; to translate without measuring, it needs no targets."""
        config = self.config
        return Translation(
            self.target_words,
            targets,
            self.card.longest,
            reverse=self.reverses("target"),
            monitor=self.monitor,
            forcing=(config.teacher_forcing, config.teacher_forcing_end),
            epochs=config.epochs,
            beam=beam or config.beam,
            penalty=config.length_penalty,
        )

    def batches(self, split: Split, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        return self._batches((split.source, split.target, split.numbers), training=training)

    def _batches(self, columns: Sequence[Any], *, training: bool = False) -> Batches:
        config = self.config
        return Batches(
            columns,
            compute=self.compute,
            **choose_batching(config, _EVALUATION_BATCH, training=training),
        )

    def work(self) -> int:
        """Count one step of one layer over a batch: steps come one after another."""
        config = self.config
        gates = len(CELLS[config.cell].gate_names) * config.hidden_size
        features = config.embedding_size + config.hidden_size
        return gates * features * (config.micro_batch or config.batch_size)

    @property
    def main_metric(self) -> MainMetric:
        """Exact match where there is but one right answer, chrF of sentences."""
        exact = self.config.data in ("dates", "addition")
        return measures.EXACT_MATCH if exact else measures.CHRF

    @property
    def monitor(self) -> str:
        """The figure that picks the best epoch: chrF, or the loss.

        Where there is one right answer, several epochs soon have all of them; the loss goes on to
        tell them apart.
        """
        return "validation/chrf" if self.main_metric is measures.CHRF else "validation/loss"

    def decide(self, outputs: Outputs) -> Array:
        """Return the translations as texts, (N,)."""
        return np.array(self.translation().texts(dict(outputs)), object)

    def targets(self, split: Split) -> Array:
        """Return the targets as texts, (N,)."""
        return np.array(split.targets, object)

    def answers(self, inputs: Sequence[str], beam: int | None = None) -> Outputs:
        """Return tokens of texts' translations (N, longest), padded, and log-probabilities (N,)."""
        batches = self._batches((encode(inputs, self.source_words, self.reverses("source")),))
        writing = Writing(self.card.longest, beam or self.config.beam, self.config.length_penalty)
        return training.infer(self.model, writing, batches, self.compute)

    def write(self, texts: Sequence[str], beam: int | None = None) -> tuple[list[str], list[float]]:
        """Return the translations of texts, and their log-probabilities."""
        outputs = self.answers(texts, beam)
        return self.translation().texts(dict(outputs)), outputs["log_probabilities"].tolist()

    def labelled(self, path: Path, say: Say, **written: Any) -> Split:
        """Return a user's table of pairs as a split, in the run's vocabularies."""
        config = self.config.of_file(path, **written)
        return labelled(config, self.source_words, self.target_words, say)
