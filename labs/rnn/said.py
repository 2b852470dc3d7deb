"""What is said of texts, whoever says it: a run, or a file that was exported from one."""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from common.files import replace_surrogates
from common.metrics.metrics import Array
from common.report.plots import short
from labs.rnn.words import UNKNOWN

CELLS = 40  # of a text that stands in a note


def describe_texts(
    texts: Sequence[str],
    shares: Array,
    unknown: Sequence[float],
    empty: Sequence[bool],
    classes: Sequence[str],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return a record for each text, and say of which no word is known.

    Args:
        texts: as they were given.
        shares: the probabilities of the classes, (N, C).
        unknown: of each text the share of its tokens that the network does not know.
        empty: of each whether it has no token at all.
        classes: their names.
        say: called with a line for each text without a known word.
    """
    _say_unknown(unknown, empty, say)
    records = []
    for row, (text, probabilities) in enumerate(zip(texts, shares.tolist(), strict=True)):
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        records.append(
            {
                "text": replace_surrogates(text),
                "class": classes[best],
                "probability": probabilities[best],
                "unknown": unknown[row],
                **{
                    f"p({name})": probability
                    for name, probability in zip(classes, probabilities, strict=True)
                },
            }
        )
    return records


def describe_ratings(
    texts: Sequence[str],
    ratings: Array,
    shares: Array | None,
    unknown: Sequence[float],
    empty: Sequence[bool],
    levels: Sequence[float],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return a record for each text, as `describe_texts` does, of ratings.

    Args:
        texts: as they were given.
        ratings: (N,).
        shares: the probabilities of the levels, (N, levels), where there are any.
        unknown: see `describe_texts`.
        empty: see `describe_texts`.
        levels: the ratings that shares are of.
        say: see `describe_texts`.
    """
    _say_unknown(unknown, empty, say)
    each = [{}] * len(texts) if shares is None else _name_levels(shares, levels)
    return [
        {"text": replace_surrogates(text), "rating": rating, **each[row], "unknown": unknown[row]}
        for row, (text, rating) in enumerate(zip(texts, ratings.tolist(), strict=True))
    ]


def _name_levels(shares: Array, levels: Sequence[float]) -> list[dict[str, float]]:
    """Return the mean of each distribution, and the probability of each level."""
    names = ["mean", *(f"p({level:g})" for level in levels)]
    means = (shares @ np.asarray(levels)).tolist()
    rows = zip(means, shares.tolist(), strict=True)
    return [dict(zip(names, [mean, *row], strict=True)) for mean, row in rows]


def _say_unknown(
    unknown: Sequence[float], empty: Sequence[bool], say: Callable[[str], None]
) -> None:
    for row, share in enumerate(unknown):
        if share == 1:
            what = "no word" if empty[row] else "no known word"
            say(f"text {row + 1} has {what}; do not rely on what is said of it")


def translate_texts(
    job: Any, texts: Sequence[str], say: Callable[[str], None], beam: int | None = None
) -> list[dict[str, Any]]:
    """Translate texts, of which more characters than `--max-length` are not read.

    The job is a `Translate` with its weights, or a file that was exported from one.

    `say` is called with a line about each text that is empty, too long, or not all known. The
    search keeps `beam` beginnings, or the run's own number when None.

    Returns:
        For each text a record: text, translation, and log_probability: the natural logarithm of the
        translation's probability, its end included unless it was cut off. An empty text has the
        translation "" and the log-probability None.
    """
    printable = [*map(replace_surrogates, texts)]
    read = [readable(job, text, say) for text in printable]
    records: list[dict[str, Any]] = [
        {"text": text, "translation": "", "log_probability": None} for text in printable
    ]
    full = [row for row, text in enumerate(read) if text]
    if full:
        translations, likely = job.write([read[row] for row in full], beam)
        for row, text, log_probability in zip(full, translations, likely, strict=True):
            records[row] |= {"translation": text, "log_probability": log_probability}
    return records


def readable(job: Any, text: str, say: Callable[[str], None]) -> str:
    """Return what the model reads of a text, and say where that is not all of it."""
    words, most = job.source_words, job.config.max_length
    read = unicodedata.normalize("NFC", text).strip()
    if not read:
        say(f"{text[:CELLS]!r}: an empty text, nothing to translate")
    if len(read) > most:
        say(
            f"{short(read[:CELLS], CELLS)}: has {len(read):,} characters, and only the first "
            f"{most} are read; the model has learned from no longer texts"
        )
        read = read[:most]
    numbered = zip(words.tokens(read), words.numbers([read])[0].tolist(), strict=True)
    unknown = [token for token, number in numbered if number == UNKNOWN]
    if unknown:
        listed = ", ".join(map(repr, dict.fromkeys(unknown[:10])))
        say(f"{short(read, CELLS)}: {len(unknown)} token(s) not in the vocabulary: {listed}")
    return read
