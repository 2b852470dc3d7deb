"""Texts without labels that networks label, for other networks to learn from."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from common.errors import DataError
from common.explore.groups import share_sentences
from common.explore.texts import Sample, count_words, find_copies
from common.files import replace_surrogates
from common.io.tables import is_table, read_names
from common.options import terminal
from common.pseudo.label import Unlabelled
from common.pseudo.run import PseudoLabels
from common.runs.job import Say
from common.training.splits import number_groups, number_linked
from labs.rnn.experiments.config import PseudoLabelConfig
from labs.rnn.experiments.crossval import CrossvalTexts
from labs.rnn.inputs import read_texts
from labs.rnn.sentiment.config import SENTENCES
from labs.rnn.sentiment.data import Split, same_text
from labs.rnn.sentiment.job import Sentiment


class PseudoTexts(PseudoLabels, CrossvalTexts):
    """Networks that learn from labelled and pseudo-labelled texts."""

    config_type: ClassVar[type[Any]] = PseudoLabelConfig
    recipes = {}
    crossval = CrossvalTexts

    @classmethod
    def find(cls, job: Sentiment, path: str, say: Say) -> Unlabelled:
        """Read a column of a table, or the lines of another file, each text once."""
        file = Path(path).expanduser()
        if not file.is_file():
            raise DataError(f"{path}: expected a table of texts, or a file with one in each line")
        config = job.config.of_file(file)
        if is_table(file) and config.label_column in read_names(file, config.form):
            say(f"{path}: its labels (column {config.label_column!r}) are not used")
        found = read_texts([], file, config.text_column, config.form)
        plain = [unicodedata.normalize("NFC", replace_surrogates(text)).strip() for text in found]
        texts = [*dict.fromkeys(filter(None, plain))]
        if not texts:
            raise DataError(f"{path}: has no text")
        if gone := len(found) - len(texts):
            say(f"{path}: {gone:,} of its {len(found):,} texts are empty, or there already")
        return Unlabelled(texts, texts, lambda rows: [texts[row] for row in rows])

    @classmethod
    def sketch(cls, items: Split | list[str]) -> list[str]:
        """Return the texts."""
        return items.texts if isinstance(items, Split) else items

    @classmethod
    def number_copies(cls, config: Any, sketches: Sequence[list[str]]) -> list[int]:
        """Number texts by what explore takes for one, and by sentences where folds go by them."""
        texts = [text for each in sketches for text in each]
        plain = [same_text(text) or None for text in texts]
        sentences = config.group_by == SENTENCES
        shared = share_sentences(texts) if sentences else [None] * len(texts)
        with terminal.busy(f"looking for copies among {len(texts):,} texts"):
            sample = Sample(texts, [""] * len(texts), ["all"] * len(texts))
            near = find_copies(sample, count_words(texts, same_text), same_text)["near"]
        linked = number_linked(len(texts), near).tolist()
        return number_groups(plain, shared, linked).tolist()
