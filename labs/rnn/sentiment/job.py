"""The job that tells what a text feels, or whichever classes its labels name."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

from common import training
from common.metrics.main_metric import BALANCED_ACCURACY, MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Prepared, Say, Splits, Suited
from common.training import losses
from common.training.batches import Batches, choose_batching
from common.training.sequences import Ragged
from common.training.task import Collects
from labs.rnn.sentiment import data, models, ngrams
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.suit import suit_texts
from labs.rnn.sentiment.task import Answers, Logits, Parts
from labs.rnn.vectors import Vectors, load_vectors
from labs.rnn.words import Words, cut

_EVALUATION_BATCH = 256
_RATINGS = "labs.rnn.sentiment.ratings.job:Ratings"  # derives from the class here


class Sentiment(Job[SentimentConfig, data.Card]):
    """A classifier of texts; splits are `data.Split`s."""

    lab = "rnn"
    verb = "sentiment"
    config_type = SentimentConfig
    card_type: ClassVar[type[data.Card]] = data.Card
    conclusion = "labs.rnn.sentiment.results:SentimentResults"
    submission = "labs.rnn.sentiment.predictions:TextSubmission"
    exporter = "labs.rnn.export.texts:TextExporter"
    page = "labs.rnn.live.sentiment.view:write"
    features = "labs.rnn.features:read"

    @classmethod
    def for_config(cls, config: SentimentConfig) -> type[Any]:
        """Return the class that tells ratings, where targets are numbers."""
        kind: type[Any] = resolve_name(_RATINGS) if config.numeric else cls
        return kind

    @classmethod
    def suited(cls, config: SentimentConfig) -> Suited[SentimentConfig]:
        """Choose columns, tokens, members and updates for a user's own table."""
        return suit_texts(config)

    @classmethod
    def load(
        cls, config: SentimentConfig, card: data.Card | None = None
    ) -> tuple[Splits, data.Card]:
        """Load the config's texts, cleaned, split and encoded."""
        return data.load(config)

    def build_model(self) -> nn.Module:
        """Return the config's classifier, over the vocabulary of the card."""
        return models.build(self.config, len(self.words), len(self.card.classes))

    @cached_property
    def words(self) -> Words:
        """The tokenizer and the vocabulary."""
        return Words.from_dict(self.card.words)

    @cached_property
    def vectors(self) -> Vectors | None:
        """The pretrained vectors of the vocabulary, where the config names any."""
        config = self.config
        if config.vectors is None:
            return None
        folder = None if config.data_dir is None else Path(config.data_dir)
        words = self.words.vocabulary
        return load_vectors(config.vectors, words, config.embedding_size, folder)

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Put pretrained vectors into the embeddings; unknown words keep their random ones."""
        if (found := self.vectors) is not None:
            for member in cast(Any, self.model).members:
                weight = member.embedding.weight.data
                weight[found.known] = found.values[found.known].to(weight)

    @contextlib.contextmanager
    def prepare(self, splits: Splits, say: Say) -> Iterator[Prepared]:
        """Fit the linear model on n-grams before the networks train, and weigh it afterwards."""
        if self.mixes:
            train, validation = (
                ngrams.Labelled(splits[name].grams, splits[name].targets)
                for name in ("train", "validation")
            )
            model: Any = self.model
            held = len(splits["validation"]) if self.config.all_rows else 0
            rarity, ratios = self.fit_grams(train, validation, splits, say, held)
            model.bag.put(*rarity)
            if model.ratios is not None:
                model.ratios.put(*ratios)
        with super().prepare(splits, say) as prepared:
            yield prepared
        if self.mixes and not self.config.all_rows:  # else it is that of other runs
            self._choose_share(splits)

    def fit_grams(
        self,
        train: ngrams.Labelled,
        validation: ngrams.Labelled,
        splits: Splits,
        say: Say,
        held: int,
    ) -> tuple[ngrams.Linear, ngrams.Linear]:
        """Return two linear models on n-grams; the arguments are those of `ngrams.fit`."""
        return ngrams.fit(train, validation, self._class_weights(splits), say, held=held)

    def loss_of_answer(self, answer: Tensor, splits: Splits) -> Tensor:
        """Return the loss of the answers of all parts, (N, outputs), on validation."""
        targets = splits["validation"].targets
        return functional.cross_entropy(answer, targets, self._class_weights(splits))

    def explained(self, logits: Tensor) -> Tensor:
        """Return probabilities (B, classes) that gradients explain, of networks' (B, parts, C)."""
        return logits.float().log_softmax(-1).mean(1).softmax(1)

    def _choose_share(self, splits: Splits) -> None:
        """Choose on validation how much the n-grams count beside the networks, and keep it."""
        validation, model = splits["validation"], cast(models.Classifier, self.model)
        logits = self.infer(Logits(), (validation.encoded, validation.grams))["outputs"]

        def loss(share: float) -> Tensor:
            model.share.fill_(share)
            return self.loss_of_answer(model.answer(logits), splits)

        share = ngrams.choose_share(loss)
        model.share.fill_(share)
        self.run.write("share", {"share": share})

    @property
    def mixes(self) -> bool:
        """Whether a linear model on n-grams stands beside networks."""
        model: Any = self.model
        return model.bag is not None and bool(len(model.members))

    def _class_weights(self, splits: Splits) -> Tensor | None:
        """Return how much a text of each class counts, (C,); without `train` all count the same."""
        if self.config.class_weights != "balanced" or "train" not in splits:
            return None
        return losses.balanced_class_weights(splits["train"].targets, len(self.card.classes))

    def task(self, splits: Splits) -> training.Task:
        """Return cross-entropy on the classes, which may weigh the same in all.

        The weights come from `train`; without it, for outputs alone, there are none.
        """
        weights = self._class_weights(splits)
        weights = None if weights is None else self.compute.move(weights)
        loss = losses.build("cross-entropy", weights, self.config.label_smoothing)
        return Parts(loss, weights, f"validation/{self.main_metric.name}")

    def batches(self, split: data.Split, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it: bucketed by words, which cost the most."""
        return self._batches((split.encoded, split.grams, split.targets), training=training)

    def _batches(self, columns: Sequence[Any], *, training: bool = False) -> Batches:
        return Batches(
            columns,
            compute=self.compute,
            lengths=columns[0].lengths if len(cast(Any, self.model).members) else None,
            **choose_batching(self.config, _EVALUATION_BATCH, training=training),
        )

    def work(self) -> int:
        """Count one step of a member over a batch; it waits for the step before."""
        members: Any = self.model.members
        layers = [p for member in members[:1] for p in member.recurrent.parameters() if p.ndim == 2]
        return int(sum(p.numel() for p in layers)) * self.config.batch_size

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

    def encode(self, texts: list[str]) -> Ragged:
        """Return texts as the model reads them, cut to its length."""
        return cut(self.words.encode(texts), self.config.max_length)[0]

    def answers(self, inputs: Sequence[str]) -> Outputs:
        """Return logits (N, C) of any texts."""
        grams = data.grams_of(self.config, list(inputs))
        return self.infer(Answers(), (self.encode(list(inputs)), grams))

    def infer(self, what: Collects, columns: Sequence[Any]) -> Outputs:
        """Return what is collected of encoded texts and their n-grams."""
        return training.infer(self.model, what, self._batches(columns), self.compute)

    def labelled(self, path: Path, say: Say, **written: Any) -> data.Split:
        """Return a user's table of texts as a split, in the run's classes and vocabulary."""
        config = self.config.of_file(path, **written)
        return data.labelled(config, self.card, self.words, say)
