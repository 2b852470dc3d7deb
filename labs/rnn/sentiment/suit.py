"""What suits a user's table of texts: its columns, the tokens, how many networks, how long."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from common.io.tables import read_table
from common.options import budget
from common.runs.job import Suited
from labs.rnn.columns import as_columns, guess_labelled
from labs.rnn.sentiment.config import DOWNLOADS, EMBEDDED, SentimentConfig

# Scripts whose words are not apart (Han, Kana, Thai), or carry their particles with them (Hangul).
_JOINED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_MOSTLY = 0.3  # share of such letters from which on words cut at spaces are not the same words
_LOOKED_AT = 5000  # texts, to measure how they are written

_UPDATES = 500
_EPOCHS = 3  # at least, of a large set, as far as the minutes go
_MINUTES = 8  # of training; preparing, the baselines and the report take about two
_TOKENS_PER_SECOND = 40_000  # of a network of the default size, on one core
_TRAINING = 0.7  # of the texts


def suit_texts(config: SentimentConfig) -> Suited[SentimentConfig]:
    """Choose what is not given; sets that are known by name stay as they are.

    Raises:
        DataError: the table cannot be read, or it does not tell which columns are meant.
    """
    path = Path(config.data).expanduser()
    if config.data in (*EMBEDDED, *DOWNLOADS) or not path.is_file():
        return Suited(config)
    given = {
        name: getattr(config, name) if name in config.given else None
        for name in ("text_column", "label_column")
    }
    text_column, label_column, reasons = guess_labelled(path, **given)
    changes: dict[str, Any] = {"text_column": text_column, "label_column": label_column}
    texts = read_table(path, as_columns([text_column])).columns[0]
    texts = texts[: config.limit]
    more, why = _suit_tokens(config, texts)
    changes |= more
    reasons += why
    config = dataclasses.replace(config, **changes)
    more, why = _suit_length(config, texts)
    return Suited(dataclasses.replace(config, **more), [*reasons, *why])


def _suit_tokens(config: SentimentConfig, texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Choose subwords where words are no units that come again."""
    if {"tokenizer", "vectors"} & config.given or config.encoding == "one-hot":
        return {}, []
    share = joined_share(texts[:: max(1, len(texts) // _LOOKED_AT)])
    if share < _MOSTLY:
        return {}, []
    changes: dict[str, Any] = {"tokenizer": "subwords"}
    if "max_words" not in config.given:
        changes["max_words"] = 2000
    return changes, [
        f"subwords: {share:.0%} of the letters are of a script such as Korean, where words cut at "
        "spaces differ with each particle"
    ]


def _suit_length(config: SentimentConfig, texts: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Choose batches, updates and how many networks there are time for."""
    samples = max(1, round(len(texts) * _TRAINING))
    changes: dict[str, Any] = {}
    reasons: list[str] = []
    if config.encoding == "n-gram-bag":
        speed = 2000.0
    else:
        tokens = max(1.0, _mean_tokens(config, texts))
        of_one = _TOKENS_PER_SECOND / tokens
        affordable = of_one * _MINUTES * 60 / (_EPOCHS * samples)
        if "members" not in config.given and affordable < config.members:
            changes["members"] = members = max(1, int(affordable))
            named = f"{members} networks" if members > 1 else "one network"
            reasons.append(
                f"{named} side by side, not {config.members}: more of them would not see "
                f"{samples:,} texts {_EPOCHS} times in {_MINUTES} minutes"
            )
        speed = of_one / changes.get("members", config.members)
    updates = max(_UPDATES, _EPOCHS * samples // config.batch_size)
    needs = budget.Needs(updates, int(speed * 60 * _MINUTES), speed)
    more, why = budget.suit(config, samples, needs)
    return changes | more, reasons + why


def joined_share(texts: Sequence[str]) -> float:
    """Return the share of letters whose script does not set words apart by spaces, as English."""
    letters = sum(sum(map(str.isalpha, text)) for text in texts)
    return sum(len(_JOINED.findall(text)) for text in texts) / max(1, letters)


def _mean_tokens(config: SentimentConfig, texts: Sequence[str]) -> float:
    """Return about how many tokens of a text the networks read."""
    per_character = {"characters": 1.0, "jamo": 2.2, "subwords": 0.5}.get(config.tokenizer, 0.22)
    return fmean(min(config.max_length, per_character * len(text)) for text in texts)
