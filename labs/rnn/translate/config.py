"""The options of `translate`, and its recipes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from common.options.config import (
    FORM,
    TableConfig,
    data_option,
    flag,
    model_option,
    same_items_option,
    shared,
    training_option,
)

DATA = ("dates", "addition", "interface-ko", "interface-fr", "multi30k")
CELLS = ("rnn", "lstm", "gru")
ATTENTIONS = ("none", "bahdanau", "luong")
TOKENIZERS = ("characters", "jamo", "subwords", "basic_english", "torchtext")
REVERSALS = ("none", "source", "target", "both")


@dataclass(frozen=True)
class TranslateConfig(TableConfig):
    """What `python -m labs.rnn translate` takes."""

    data: str = data_option(
        "dates",
        "dates, addition, interface-ko, interface-fr, multi30k (a download), or a table of pairs "
        "(.tsv, .txt, .csv, .jsonl, .json, .xlsx, .parquet)",
    )
    source_column: str = data_option(
        "source",
        "column of a table that holds what is translated: its name, or its number from 1 on where "
        "the first row has data already; guessed when not given",
    )
    target_column: str = data_option(
        "target", "column of a table that holds the translations, likewise"
    )
    validation: str | None = data_option(
        None, "a table of its own for validation; a tenth of the pairs when not given"
    )
    test: str | None = data_option(
        None, "a table of its own for the test, as published; a fifth of the pairs when not given"
    )
    group_column: str | None = data_option(
        None,
        "column of a table that says what a pair belongs to, such as a document: what belongs "
        "together stays in one split",
    )
    data_dir: str | None = same_items_option(
        None, "folder of files downloaded before; the cache when not given"
    )
    limit: int | None = data_option(
        None, "pairs to use of the whole set, for a short trial", at_least=10
    )
    tokenizer: str = same_items_option(
        "characters",
        "what both texts are cut into; basic_english makes words in lower case, torchtext the same "
        "with that library's own code, in three times the time: both cut Korean at spaces alone; "
        "jamo are the letters of Hangul",
        choices=TOKENIZERS,
    )
    max_words: int | None = same_items_option(
        None, "most tokens to know of each side; all, or 8000 subwords", at_least=1
    )
    min_count: int = same_items_option(
        1, "times a token must occur in the training texts to be known", at_least=1
    )
    max_length: int = same_items_option(
        150, "characters of a source or a target; longer pairs are left out", at_least=1
    )
    reverse: str = same_items_option(
        "none",
        "which side is read or written from its end (the figures are of the text as it is)",
        choices=REVERSALS,
    )

    cell: str = model_option("gru", "of encoder and decoder", choices=CELLS)
    attention: str = model_option(
        "luong",
        "how the decoder looks at the source; bahdanau does so before each step, and is slower",
        choices=ATTENTIONS,
    )
    embedding_size: int = model_option(64, "features of a token", at_least=1)
    hidden_size: int = model_option(
        128, "units of a layer; of the encoder, in each direction", at_least=1
    )
    layers: int = model_option(1, "of the encoder, and of the decoder", at_least=1)
    bidirectional: bool = model_option(True, "let the encoder read from right to left too")
    dropout: float = model_option(
        0.0,
        "share of embeddings, of states between layers and of features before the output that "
        "training does not see",
        at_least=0,
        below=1,
    )

    epochs: int = shared("epochs", 10)
    learning_rate: float = shared("learning_rate", 2e-3)
    schedule: str = shared("schedule", "cosine")
    warmup: float = shared("warmup", 0.5)
    clip: float | None = shared("clip", 1.0)
    teacher_forcing: float = training_option(
        1.0,
        "share of target tokens that the decoder is given in the first epoch; in place of the "
        "others it reads what it wrote itself",
        at_least=0,
        at_most=1,
    )
    teacher_forcing_end: float = training_option(
        1.0, "the share in the last epoch; it moves in a straight line", at_least=0, at_most=1
    )

    beam: int = model_option(
        1, "beginnings kept in search of the best translation; 1 is greedy", at_least=1
    )
    length_penalty: float = model_option(
        0.6,
        "how much longer translations are favored in beam search (Wu et al. 2016); 0 is not at all",
        at_least=0,
    )

    of_files: ClassVar = (*FORM, "source_column", "target_column")
    paths: ClassVar = {"data": DATA, "data_dir": (), "validation": (), "test": ()}

    @property
    def title(self) -> str:
        """The cell, and the attention if there is one."""
        return self.cell if self.attention == "none" else f"{self.cell}-{self.attention}"

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.data in DATA and (self.validation or self.test):
            yield f"--validation, --test: go with a table of your own, not with --data {self.data}"
        for name in ("folds", "fold", "share"):
            if getattr(self, name) != getattr(TranslateConfig, name):
                yield f"{flag(name)}: pairs are split once, and all of the training part is used"
        columns = (self.source_column, self.target_column)
        given = f"--source-column {columns[0]}, --target-column {columns[1]}"
        if columns[0] == columns[1]:
            yield f"{given}: expected two columns"
        if columns[0].isdecimal() != columns[1].isdecimal():
            yield f"{given}: expected two names, or two numbers from 1 on"
        if "0" in columns:
            yield f"{given}: columns are numbered from 1 on"


# Each was run as `translate --recipe NAME` (seed 0) with one thread of an AMD EPYC; the time is CPU
# time of the whole command. The default has a test exact match of 0.9980 in 98 s.
RECIPES: dict[str, dict[str, Any]] = {
    # Exact match 0.779 in 15 s: a small network on 3,000 of the dates.
    "quick": {"limit": 3000, "epochs": 6, "hidden_size": 64, "learning_rate": 5e-3},
    # 0.9971 of the characters right, exact match 0.9927, in 83 s: sums from the right, as on paper.
    "addition": {
        "data": "addition",
        "reverse": "both",
        "embedding_size": 32,
        "epochs": 30,
        "learning_rate": 3e-3,
    },
    # chrF 13.0 in about a minute; the nearest source has 27.5, and the report says so.
    "interface-ko": {
        "data": "interface-ko",
        "tokenizer": "subwords",
        "max_words": 1000,
        "dropout": 0.3,
        "batch_size": 32,
        "epochs": 30,
    },
}
