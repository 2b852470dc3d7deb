"""What is said of images, whoever says it: a run, or a file that was exported from one."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from common.metrics.metrics import Array
from common.runs.commands import defuse
from labs.classification.label_columns import marginals


class Guess(NamedTuple):
    """A class with its probability and its number; or no class, and the number that is told."""

    name: str
    value: float
    number: int | None = None


@dataclass(frozen=True)
class Prediction:
    """What is said of one image.

    With several label columns `guesses` are combinations, and `labels` the most probable class of
    each by itself, with its probability. Of any number of labels, `guesses` are those that are
    said, and may be none.
    """

    path: str
    guesses: tuple[Guess, ...]  # the highest probability first
    labels: Mapping[str, Guess] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What outputs of a network mean.

    Attributes:
        kind: what is predicted: `class`, `labels` (any number of them) or `number`.
        classes: their names; () for numbers.
        labels: with several label columns, the classes of each.
        thresholds: of any number of labels, the probability of each from which on it is said.
    """

    kind: str
    classes: Sequence[str]
    labels: Mapping[str, Sequence[str]]
    thresholds: Sequence[float] = ()

    def describe(self, names: Sequence[str], values: Array, top: int) -> list[Prediction]:
        """Return what is said of images; of each so many classes at most.

        Args:
            names: of the images.
            values: probabilities (N, C), or numbers (N,).
            top: the most classes to name.
        """
        if self.kind == "number":
            pairs = zip(names, values.tolist(), strict=True)
            return [Prediction(name, (Guess("", value),)) for name, value in pairs]
        if self.kind == "labels":
            return self._said(names, values)
        guesses = _best(values, self.classes, top)
        columns = {
            column: [first for [first] in _best(mine, self.labels[column], 1)]
            for column, mine in (marginals(values, self.labels) if self.labels else {}).items()
        }
        return [
            Prediction(name, guesses[row], {column: best[row] for column, best in columns.items()})
            for row, name in enumerate(names)
        ]

    def _said(self, names: Sequence[str], shares: Array) -> list[Prediction]:
        """Return the labels from their thresholds on, the most probable first."""
        found = []
        for name, row, said in zip(names, shares, shares >= self.thresholds, strict=True):
            order = [label for label in (-row).argsort(kind="stable").tolist() if said[label]]
            guesses = (Guess(self.classes[each], float(row[each]), each) for each in order)
            found.append(Prediction(name, tuple(guesses)))
        return found


def _best(shares: Array, classes: Sequence[str], top: int) -> list[tuple[Guess, ...]]:
    """Return the most probable classes of each row of probabilities (N, C), with them."""
    return [
        tuple(Guess(classes[number], float(row[number]), number) for number in order)
        for row, order in zip(
            shares, (-shares).argsort(1, kind="stable")[:, :top].tolist(), strict=True
        )
    ]


def render(found: Sequence[Prediction], form: str) -> str:
    """Write predictions as `csv` (a line per guess), `json`, or plain text.

    With several label columns, each line has also the image's class in each, with its probability.
    """
    if form == "json":
        rows = [
            {
                "path": each.path,
                "guesses": [_as_record(guess) for guess in each.guesses],
                **({"labels": labels} if labels else {}),
            }
            for each in found
            for labels in [{column: _as_record(guess) for column, guess in each.labels.items()}]
        ]
        return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", delimiter="," if form == "csv" else "\t")
    numeric = bool(found[0].guesses) and not found[0].guesses[0].name
    told = ["class", "value"] if numeric else ["class", "number", "probability"]
    columns = [name for column in found[0].labels for name in (column, f"{column} probability")]
    writer.writerow(["path", "rank", *told, *columns])
    for each in found:
        own = [cell for best in each.labels.values() for cell in (best.name, f"{best.value:.6g}")]
        for rank, (name, value, number) in enumerate(each.guesses, 1):
            which = [] if number is None else [number]
            cells = [each.path, rank, name, *which, f"{value:.6g}", *own]
            writer.writerow(map(defuse, cells))
        if not each.guesses:  # no label is said
            writer.writerow([defuse(each.path), 0, "", "", ""])
    return text.getvalue()


def table(found: Sequence[Prediction]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table with a line per image."""
    columns = ["image", *found[0].labels]
    most = max(1, *(len(each.guesses) for each in found))
    columns += [f"{rank}." for rank in range(1, most + 1)]
    rows = [
        [
            each.path,
            *(f"{name} {value:.3f}".strip() for name, value, _ in each.labels.values()),
            *(f"{name} {value:.3f}".strip() for name, value, _ in each.guesses),
            *["none" if not each.guesses and not rank else "" for rank in range(most)][
                len(each.guesses) :
            ],
        ]
        for each in found
    ]
    return f"{len(found):,} image(s)", columns, rows


def _as_record(guess: Guess) -> dict[str, str | float]:
    if guess.number is None:
        return {"value": guess.value}
    return {"class": guess.name, "number": guess.number, "probability": guess.value}
