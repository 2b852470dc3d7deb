"""Exported files of the lab, asked as a run is: without torch."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from common.export.file import Exported
from common.metrics.metrics import Array
from common.options.config import TrainingConfig
from common.steps import track
from labs.rnn.forecast import ahead
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.scaling import Card
from labs.rnn.grams import hash_grams
from labs.rnn.said import describe_ratings, describe_texts, translate_texts
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.translate.config import TranslateConfig
from labs.rnn.words import BOS, EOS, PAD, UNKNOWN, Words

Say = Callable[[str], None]

_STATE = ("hidden", "cell")  # of a decoder
_AT_ONCE = 64  # texts: bounds the memory


class _Place(NamedTuple):
    """Where a file is, as a run would say it."""

    path: Path
    config: Path


class Asked:
    """A file in the place of the job of a run, as far as `predict` asks.

    Attributes:
        verb: the command that trained it.
        config: of the run, without its paths.
        run: where it is.
    """

    config_type: ClassVar[type[TrainingConfig]]

    def __init__(self, exported: Exported):
        self.exported, self.about = exported, exported.about
        self.verb = str(self.about["job"])
        self.config: Any = exported.config(self.config_type)
        self.run = _Place(exported.path, exported.path)

    @property
    def networks(self) -> list["Asked"]:
        """What answers."""
        return [self]


class AskedTexts(Asked):
    """A classifier of texts."""

    config_type = SentimentConfig

    def predict(self, texts: Sequence[str], say: Say) -> list[dict[str, Any]]:
        """Classify or rate texts; see `describe_texts` and `describe_ratings`."""
        words = Words.from_dict(self.about["words"])
        most = self.about["max_length"]
        tokens = [row[:most] for row in words.numbers(texts)]
        given: dict[str, Sequence[Array]] = {"tokens": tokens}
        if "grams" in self.about["reads"]:
            numbers, starts = hash_grams(texts)
            given["grams"] = np.split(numbers, starts[1:-1])
        parts = [
            self._said({name: x[row : row + _AT_ONCE] for name, x in given.items()})
            for row in track(range(0, len(texts), _AT_ONCE), f"{len(texts):,} texts")
        ]
        unknown = [float((row == UNKNOWN).mean()) if len(row) else 1.0 for row in tokens]
        empty = [not len(row) for row in tokens]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if not self.config.numeric:
            classes = self.about["classes"]
            return describe_texts(texts, found["probabilities"], unknown, empty, classes, say)
        ratings, shares, levels = found["rating"], found.get("levels"), self.about["levels"]
        return describe_ratings(texts, ratings, shares, unknown, empty, levels, say)

    def _said(self, given: Mapping[str, Sequence[Array]]) -> Mapping[str, Array]:
        """Return what the file says of some texts."""
        inputs = {name: _padded(rows) for name, rows in given.items()}
        inputs["lengths"] = np.array([len(row) for row in given["tokens"]], np.int64)
        return self.exported.run(**{name: inputs[name] for name in self.about["reads"]})


class AskedSeries(Asked):
    """A forecast."""

    config_type = ForecastConfig

    @cached_property
    def card(self) -> Card:
        """What is known of the run's own series."""
        return Card.from_dict(self.about["series"])

    @property
    def handed_out(self) -> str:
        """What makes the forecasts."""
        return str(self.about["by"])

    def forecast(self, windows: Array, centers: Array, factors: Array) -> Array:
        """Return forecasts (N, H, outputs) of windows (N, W); see `Forecast.forecast`."""
        given = {"windows": windows.astype(np.float64), "factors": factors}
        if not self.config.difference:
            given["centers"] = centers
        [found] = self.exported.run_rows(**given).values()
        return found

    def predict(self, table: Path | None, say: Say, **written: Any) -> list[dict[str, Any]]:
        """Forecast what follows; see `ahead.predict`."""
        return ahead.predict(self, table, say, **written)


class AskedPairs(Asked):
    """A translator."""

    config_type = TranslateConfig

    @cached_property
    def source_words(self) -> Words:
        """The tokenizer and vocabulary of the sources."""
        return Words.from_dict(self.about["source_words"])

    @cached_property
    def target_words(self) -> Words:
        """The tokenizer and vocabulary of the targets."""
        return Words.from_dict(self.about["target_words"])

    def predict(
        self, texts: Sequence[str], say: Say, beam: int | None = None
    ) -> list[dict[str, Any]]:
        """Translate texts; see `said.translate_texts`."""
        return translate_texts(self, texts, say, beam)

    def write(self, texts: Sequence[str], beam: int | None = None) -> tuple[list[str], list[float]]:
        """Return the translations of texts, and their log-probabilities."""
        reverse = self.config.reverse
        read, wrote = (-1 if reverse in (side, "both") else 1 for side in ("source", "target"))
        found = [
            self._search([*row.tolist()[::read], EOS], beam or self.config.beam)
            for row in track(self.source_words.numbers(texts), f"{len(texts):,} texts")
        ]
        texts = [self.target_words.text(tokens[::wrote]) for tokens, _ in found]
        return texts, [likely for _, likely in found]

    def _search(self, source: list[int], beam: int) -> tuple[list[int], float]:
        """Do what `decoding.search` does, for one text."""
        state = self.exported.run("encoder", source=np.array([source], np.int64))
        axes = {name: 1 if name in _STATE else 0 for name in state}
        state = {name: x.repeat(beam, axes[name]) for name, x in state.items()}
        tokens = np.full((beam, 1), BOS)
        # All beginnings are the same at first, so all but one are out.
        totals = np.where(np.arange(beam) == 0, 0, -np.inf).astype(np.float32)
        lengths = np.zeros(beam, np.float32)
        for _ in range(self.about["longest"]):
            ended = np.isin(tokens[:, -1], (EOS, PAD))
            if ended.all():
                break
            found = self.exported.run("decoder", tokens=tokens[:, -1], **state)
            following = found["log_probabilities"]
            following[:, [PAD, UNKNOWN, BOS]] = -np.inf
            following[ended] = -np.inf
            following[ended, PAD] = 0
            every = totals[:, None] + following
            longer = lengths + ~ended
            scores = every / ((5 + longer[:, None]) / 6) ** self.config.length_penalty
            best = (-scores).ravel().argsort(kind="stable")[:beam]
            rows, token = np.divmod(best, following.shape[1])
            totals, lengths = every.ravel()[best], longer[rows]
            tokens = np.concatenate([tokens[rows], token[:, None]], 1)
            after = {name.removeprefix("next_"): x for name, x in found.items()}
            state |= {name: x[:, rows] for name, x in after.items() if name in _STATE}
        return [x for x in tokens[0, 1:].tolist() if x not in (PAD, EOS)], float(totals[0])


_KINDS: dict[str, type[Asked]] = {
    "sentiment": AskedTexts,
    "forecast": AskedSeries,
    "translate": AskedPairs,
}


def open_file(path: Path) -> Any:
    """Return what a file says in the place of its run.

    Raises:
        DataError: it is no such file.
    """
    exported = Exported(path, "rnn", *_KINDS)
    return _KINDS[exported.about["job"]](exported)


def _padded(rows: Sequence[Array]) -> Array:
    """Return sequences of numbers as one array, int64 (N, T), T at least 1."""
    found = np.full((len(rows), max(1, *map(len, rows))), PAD, np.int64)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found
