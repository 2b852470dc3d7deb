"""What a trained run says of a user's images."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from common import training
from common.images import ImageSet
from common.tasks import probabilities
from common.user_images import read_images
from labs.classification import task
from labs.classification.job import Images


@dataclass(frozen=True)
class Prediction:
    """What is said of one image.

    Attributes:
        path: the file.
        guesses: (class, probability), most probable first; for a number, ("", the number).
    """

    path: str
    guesses: tuple[tuple[str, float], ...]


def predict(
    job: Images, paths: Sequence[Path], top: int, say: Callable[[str], None]
) -> list[Prediction]:
    """Predict files, and the images in folders.

    Args:
        job: a run with its weights.
        paths: files and folders.
        top: classes to name for each image.
        say: called with a line for each unreadable image.

    Raises:
        DataError: a path is missing, or no image can be read.
    """
    size, channels = job.card.image_size, job.card.channels
    chunks = read_images(paths, size, channels, say)
    return [each for names, pixels in chunks for each in _predict(job, names, pixels, top)]


def render(found: Sequence[Prediction], form: str) -> str:
    """Write predictions as `csv` (a line per guess), `json`, or plain text."""
    if form == "json":
        rows = [
            {"path": each.path, "guesses": [_guess(*guess) for guess in each.guesses]}
            for each in found
        ]
        return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", delimiter="," if form == "csv" else "\t")
    writer.writerow(["path", "rank", "class", "probability" if found[0].guesses[0][0] else "value"])
    for each in found:
        writer.writerows(
            [each.path, rank, name, f"{value:.6g}"]
            for rank, (name, value) in enumerate(each.guesses, 1)
        )
    return text.getvalue()


def table(found: Sequence[Prediction]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table with a line per image."""
    columns = ["image", *(f"{rank}." for rank in range(1, len(found[0].guesses) + 1))]
    rows = [
        [each.path, *(f"{name} {value:.3f}".strip() for name, value in each.guesses)]
        for each in found
    ]
    return f"{len(found):,} image(s)", columns, rows


def _guess(name: str, value: float) -> dict[str, str | float]:
    return {"class": name, "probability": value} if name else {"value": value}


def _predict(job: Images, names: Sequence[str], pixels: torch.Tensor, top: int) -> list[Prediction]:
    unknown = torch.zeros(len(names), dtype=torch.float32 if job.config.numeric else torch.int64)
    the_task = task.build_task(job.config, unknown, job.card, job.compute)
    split = ImageSet(pixels, unknown, tuple(names))
    outputs = training.infer(job.model, the_task, job.batches(split), job.compute)["outputs"]
    if job.config.numeric:
        return [
            Prediction(name, (("", value),))
            for name, value in zip(names, outputs.tolist(), strict=True)
        ]
    chances = torch.from_numpy(probabilities(outputs))
    values, classes = chances.topk(min(top, len(job.card.classes)))
    return [
        Prediction(
            name,
            tuple(
                (job.card.classes[index], value) for index, value in zip(row, chance, strict=True)
            ),
        )
        for name, row, chance in zip(names, classes.tolist(), values.tolist(), strict=True)
    ]
