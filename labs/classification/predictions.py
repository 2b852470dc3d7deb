"""What a trained run says of a user's images, and of a competition's."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from common.images.load import read_inputs
from common.metrics.metrics import Array
from common.options import terminal
from common.runs.commands import defuse
from common.submission.answers import Classes, Labels, Numbers, Said
from common.submission.images import find_images, read_chunks
from common.submission.kind import Found, RowByRow
from common.submission.sample import Sample
from common.training.task import probabilities
from labs.classification.job import ClassifyImages
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


def predict(
    job: ClassifyImages,
    paths: Sequence[Path],
    top: int,
    say: Callable[[str], None],
    **written: Any,
) -> list[Prediction]:
    """Predict files, the images in folders, or those of one table; name so many classes of each.

    `say` is called with a line for each unreadable image. The images of a table lie in its own
    folder, unless `written`, values of the config, has another one.

    Raises:
        DataError: a path is missing, or no image can be read.
    """
    say = terminal.once(say)

    def read(one: ClassifyImages) -> Iterator[tuple[Sequence[str], Tensor]]:
        config = one.config.of_file(paths[0], **{"image_dir": None, **written})
        return read_inputs(config, one.card, paths, say)

    names, outputs = job.answer_chunks(read)
    return _describe(job, names, outputs, top)


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


def _describe(
    job: ClassifyImages, names: Sequence[str], outputs: Tensor, top: int
) -> list[Prediction]:
    """Return what outputs for images mean."""
    if job.config.numeric:
        return [
            Prediction(name, (Guess("", value),))
            for name, value in zip(names, outputs.tolist(), strict=True)
        ]
    if job.config.several:
        return _said(job, names, probabilities(outputs, several=True))
    shares, known = probabilities(outputs), job.card.labels
    guesses = _best(shares, job.card.classes, top)
    columns = {
        column: [first for [first] in _best(mine, known[column], 1)]
        for column, mine in (marginals(shares, known) if known else {}).items()
    }
    return [
        Prediction(name, guesses[row], {column: best[row] for column, best in columns.items()})
        for row, name in enumerate(names)
    ]


def _said(job: ClassifyImages, names: Sequence[str], shares: Array) -> list[Prediction]:
    """Return the labels from their thresholds on, the most probable first."""
    said, classes = shares >= job.thresholds, job.card.classes
    found = []
    for name, row, mine in zip(names, shares, said, strict=True):
        order = [label for label in (-row).argsort(kind="stable").tolist() if mine[label]]
        guesses = (Guess(classes[each], float(row[each]), each) for each in order)
        found.append(Prediction(name, tuple(guesses)))
    return found


def _best(shares: Array, classes: Sequence[str], top: int) -> list[tuple[Guess, ...]]:
    """Return the most probable classes of each row of probabilities (N, C), with them."""
    values, numbers = torch.from_numpy(shares).topk(min(top, len(classes)))
    return [
        tuple(
            Guess(classes[number], value, number) for number, value in zip(row, share, strict=True)
        )
        for row, share in zip(numbers.tolist(), values.tolist(), strict=True)
    ]


class ImageSubmission(RowByRow[ClassifyImages]):
    """Answers for test images."""

    def find(self, sample: Sample, test: Path, written: Mapping[str, Any]) -> Found:
        """Return the files of the images; those of a table lie in its own folder."""
        config = self.jobs[0].config.of_file(test, **{"image_dir": None, **written})
        return find_images(sample, test, config, self.say)

    def answer(
        self, job: ClassifyImages, samples: Mapping[str, Any], move: Callable[[float], None]
    ) -> tuple[list[str], Tensor]:
        """Return what a run says of images."""
        networks, done = len(job.networks), 0

        def read(one: ClassifyImages) -> Iterator[tuple[Sequence[str], Tensor]]:
            nonlocal done
            for names, pixels in read_chunks(dict(samples), one.config, one.card, self.say):
                yield names, pixels
                done += len(names)
                move(done / len(samples) / networks)

        return job.answer_chunks(read)

    def interpret(self, job: ClassifyImages, outputs: Tensor) -> Said:
        """Return what outputs mean: classes, labels, or numbers."""
        if job.config.numeric:
            return Numbers(outputs.numpy())
        names = job.card.classes
        if job.config.several:
            return Labels(names, probabilities(outputs, several=True), job.thresholds)
        shares, known = probabilities(outputs), job.card.labels
        parts = marginals(shares, known) if known else {}
        return Classes(
            names, shares, {name: Classes(tuple(known[name]), each) for name, each in parts.items()}
        )
