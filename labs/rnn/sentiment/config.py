"""The options of `sentiment`, and its recipes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from common.options.config import (
    FORM,
    NONE,
    PatchConfig,
    data_option,
    flag,
    model_option,
    option,
    same_items_option,
    shared,
    training_option,
)

SENTENCES = "sentences"  # --group-by: texts that share one are a group
EMBEDDED = ("tweets",)
DOWNLOADS = ("imdb", "nsmc")
TOKENIZERS = ("basic_english", "torchtext", "characters", "jamo", "subwords")
CELLS = ("rnn", "lstm", "gru")
POOLS = ("attention", "mean", "max", "last")
ENCODINGS = ("embedding", "one-hot", "n-gram-bag")
TARGETS = ("class", "number")
ORDINAL = "ordinal"
LOSSES = (ORDINAL, "mse", "mae")


@dataclass(frozen=True)
class SentimentConfig(PatchConfig):
    """What `python -m labs.rnn sentiment` takes."""

    data: str = data_option(
        "tweets",
        "an embedded set (tweets), a download (imdb, nsmc), a table of your own, a folder of .txt "
        "files for each class, or a folder or archive of tables for training and the test",
    )
    data_dir: str | None = same_items_option(
        None, "folder with a download's files, where they are there already"
    )
    validation: str | None = data_option(
        None, "a table of its own for validation; a tenth of the texts when not given"
    )
    test: str | None = data_option(
        None, "a table of its own for the test, as published; a fifth of the texts when not given"
    )
    text_column: str = data_option(
        "text",
        "column of a table that holds the texts: its name, or its number from 1 on where the first "
        'row has data already; several that are one text as "title + text"; guessed when not given',
    )
    label_column: str = data_option(
        "label", "column of a table that holds the labels, likewise; guessed when not given"
    )
    group_column: str | None = data_option(
        None,
        "column of a table that says what a text belongs to, such as a person or a movie: what "
        "belongs together stays in one split",
    )
    split_column: str | None = data_option(
        None,
        "column of a table that says which rows are for train, validation and test; one that says "
        "nothing else is used when not given. none: the lab splits",
    )
    group_by: str = data_option(
        NONE,
        "what else says which texts belong together: sentences that they have in common, of five "
        "words or 24 letters; see `leaks-sentiment`",
        choices=(NONE, SENTENCES),
    )
    classes: int = data_option(
        2, "of the tweets: 2 (negative, positive) or 3 (neutral too)", at_least=2, at_most=3
    )
    limit: int | None = data_option(
        None, "samples to use of the whole set, for a short trial", at_least=10
    )
    tokenizer: str = same_items_option(
        "basic_english",
        "what a text is cut into; basic_english makes words in lower case, torchtext the same with "
        "that library's own code, in three times the time: both cut Korean at spaces alone, so "
        "that a noun is another word with each particle; jamo are the letters of Hangul",
        choices=TOKENIZERS,
    )
    min_count: int = same_items_option(
        2, "times that a word occurs in the training texts for it to be known", at_least=1
    )
    max_words: int | None = same_items_option(
        None, "most words, or subwords, in the vocabulary", at_least=1
    )
    max_length: int = same_items_option(400, "tokens of a text that networks read", at_least=1)

    target: str = model_option(
        "class",
        "what a label is: a class, or a number, such as stars: mistakes then count by their size; "
        "the tweets are -1, 0 and 1",
        choices=TARGETS,
    )
    loss: str = model_option(
        ORDINAL,
        "of --target number: ordinal (which of a few levels a rating is above), or mse or mae of "
        "the number itself",
        choices=LOSSES,
    )
    encoding: str = model_option(
        "embedding",
        "how words become numbers; n-gram-bag has no recurrent layer, and no words but n-grams "
        "(the encoding of a file is --file-encoding)",
        choices=ENCODINGS,
    )
    vectors: str | None = model_option(
        None, "a file of pretrained word vectors (GloVe's text), or glove, a download"
    )
    freeze_vectors: bool = model_option(False, "keep pretrained vectors as they are")
    embedding_size: int = model_option(64, "numbers that stand for a word", at_least=1)
    cell: str = model_option("lstm", "the recurrent cell", choices=CELLS)
    hidden_size: int = model_option(64, "units of a layer, per direction", at_least=1)
    layers: int = model_option(1, "layers on top of each other", at_least=1)
    bidirectional: bool = model_option(True, "read from right to left too")
    pool: str = model_option("max", "how the states of a text become one", choices=POOLS)
    dropout: float = model_option(
        0.5, "share of numbers that the next layer does not see", at_least=0, below=1
    )
    members: int = model_option(
        4,
        "networks side by side, with first weights and dropout of their own, whose answers are "
        "averaged",
        at_least=1,
    )
    n_grams: bool = model_option(
        True,
        "beside them, a linear model on hashed n-grams of words and characters, fitted as a whole; "
        "validation chooses how much it counts",
    )
    word_dropout: float = model_option(
        0.2, "share of words that are taken as unknown", at_least=0, below=1
    )
    gram_dropout: float = model_option(
        0.3, "of --encoding n-gram-bag: share of n-grams that are left out", at_least=0, below=1
    )
    orthogonal: bool = model_option(
        True, "start from orthogonal recurrent matrices, and forget gates that are open"
    )
    label_smoothing: float = model_option(
        0.1, "share of a target spread over all classes", at_least=0, below=1
    )
    class_weights: str = model_option(
        "balanced", "balanced: rare classes count more in the loss", choices=("none", "balanced")
    )

    epochs: int = shared("epochs", 6)
    batch_size: int = shared("batch_size", 128)
    learning_rate: float = shared("learning_rate", 3e-3)
    clip: float | None = shared("clip", 1.0)
    ema: float | None = shared("ema", 0.995)
    schedule: str = shared("schedule", "cosine")
    warmup: float = shared("warmup", 1.0)
    truncate: int | None = training_option(
        None,
        "steps that a gradient reaches back; all when not given (needs --no-bidirectional)",
        at_least=1,
    )

    @property
    def numeric(self) -> bool:
        """Whether the targets are numbers, not classes."""
        return self.target == "number"

    @property
    def reads_grams(self) -> bool:
        """Whether the model sees n-grams."""
        return self.n_grams or self.encoding == "n-gram-bag"

    of_files: ClassVar = (*FORM, "text_column", "label_column")
    of_folders: ClassVar = (*FORM, "text_column", "label_column")  # which may hold tables
    paths: ClassVar = {
        "data": (*EMBEDDED, *DOWNLOADS),
        "data_dir": (),
        "validation": (),
        "test": (),
        "vectors": ("glove",),
    }

    @property
    def title(self) -> str:
        """The cell with its directions, how many of them, and the n-grams."""
        if self.encoding == "n-gram-bag":
            return self.stem
        several = f"{self.stem} x{self.members}" if self.members > 1 else self.stem
        return f"{several} + n-grams" if self.n_grams else several

    @property
    def stem(self) -> str:
        """The cell with its directions, or the bag."""
        if self.encoding == "n-gram-bag":
            return "n-gram-bag"
        return f"bi{self.cell}" if self.bidirectional else self.cell

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.truncate is not None and self.bidirectional:
            yield (
                "--truncate: needs --no-bidirectional; from right to left, a text's "
                "beginning depends on all that follows"
            )
        if self.vectors is not None and self.encoding != "embedding":
            yield f"--vectors: needs --encoding embedding, not {self.encoding}"
        if self.encoding == "one-hot" and self.max_words is None:
            yield (
                "--encoding one-hot: needs --max-words, such as 2000: each word is a vector as "
                "long as the vocabulary"
            )
        if self.freeze_vectors and self.vectors is None:
            yield "--freeze-vectors: needs --vectors FILE"
        if self.vectors is not None and self.tokenizer in ("characters", "jamo", "subwords"):
            yield f"--vectors: are of words; --tokenizer {self.tokenizer} makes none"
        yield from self._target_problems()

    def _target_problems(self) -> Iterator[str]:
        if not self.numeric:
            if self.loss != SentimentConfig.loss:
                yield f"--loss {self.loss}: is of numbers; give --target number, or drop it"
            return
        for name in ("label_smoothing", "class_weights", "patch", "pseudo"):
            if getattr(self, name) != getattr(SentimentConfig, name):
                yield f"{flag(name)}: numbers have no classes; drop it, or --target number"


# Each was run as `sentiment --recipe NAME` (seed 0) on 2 cores of an AMD EPYC: test balanced
# accuracy on the tweets, and the time of training. The best linear baseline has 0.849.
RECIPES: dict[str, dict[str, Any]] = {
    # 0.834 in 16 s: one LSTM on words, worse than linear models, and the report says so.
    "quick": {"members": 1, "n_grams": False, "epochs": 3},
    # 0.851 in 8 s: the linear part alone, without any recurrence.
    "n-grams": {"encoding": "n-gram-bag"},
}

_ALONE = {"members": 1, "n_grams": False}
_LEARNED = {"vectors": None, "freeze_vectors": False}

# What the commands of that name train: values over the config that they are given.
COMPARED: dict[str, dict[str, dict[str, Any]]] = {
    "compare-encodings": {
        "one-hot": {"encoding": "one-hot", "max_words": 2000, **_LEARNED, **_ALONE},
        "n-gram-bag": {"encoding": "n-gram-bag", **_LEARNED},
        "words": {"encoding": "embedding", **_LEARNED, **_ALONE},
        "characters": {
            "encoding": "embedding",
            "tokenizer": "characters",
            **_LEARNED,
            **_ALONE,
        },
        "subwords": {"encoding": "embedding", "tokenizer": "subwords", **_LEARNED, **_ALONE},
        "pretrained": {"freeze_vectors": False, **_ALONE},
        "pretrained-frozen": {"freeze_vectors": True, **_ALONE},
    },
    "compare-cells": {cell: {"cell": cell, **_ALONE} for cell in CELLS},
}


@dataclass(frozen=True)
class CompareConfig(SentimentConfig):
    """What `compare-encodings` and `compare-cells` take."""

    seeds: int = option(3, "how often each is trained, each time with another seed", at_least=1)

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.numeric:
            yield "--target number: what is compared here are classifiers; drop it"
