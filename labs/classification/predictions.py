"""What a trained run says of a user's images."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from common import training
from common.errors import DataError
from common.images import SUFFIXES, ImageSet, decode
from common.tasks import probabilities
from labs.classification import task
from labs.classification.job import Images

_CHUNK = 256  # images decoded at a time


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
    files = list(_files(paths))
    found: list[Prediction] = []
    for start in range(0, len(files), _CHUNK):
        readable, pixels = [], []
        for file in files[start : start + _CHUNK]:
            try:
                pixels.append(decode(file, job.card.image_size, job.card.channels))
                readable.append(file)
            except DataError as error:
                say(f"skipped: {error}")
        if readable:
            found += _predict(job, readable, torch.stack(pixels), top)
    if not found:
        raise DataError(f"none of the {len(files)} file(s) is an image that can be read")
    return found


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


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"no such file or folder: {', '.join(missing)}")
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        images = [file for file in inside if file.suffix.lower() in SUFFIXES and file.is_file()]
        if path.is_dir() and not images:
            raise DataError(f"no images in {path}; expected files such as .jpg and .png")
        yield from images if path.is_dir() else [path]


def _text(file: Path) -> str:
    """Return a path that can be printed: bytes of an old encoding become replacement marks."""
    return os.fsencode(file).decode("utf-8", "replace")


def _predict(
    job: Images, files: Sequence[Path], pixels: torch.Tensor, top: int
) -> list[Prediction]:
    unknown = torch.zeros(len(files), dtype=torch.float32 if job.config.numeric else torch.int64)
    the_task = task.build_task(job.config, unknown, job.card, job.compute)
    split = ImageSet(pixels, unknown, tuple(map(str, files)))
    outputs = training.infer(job.model, the_task, job.batches(split), job.compute)["outputs"]
    if job.config.numeric:
        return [
            Prediction(_text(file), (("", value),))
            for file, value in zip(files, outputs.tolist(), strict=True)
        ]
    chances = torch.from_numpy(probabilities(outputs))
    values, classes = chances.topk(min(top, len(job.card.classes)))
    return [
        Prediction(
            _text(file),
            tuple(
                (job.card.classes[index], value) for index, value in zip(row, chance, strict=True)
            ),
        )
        for file, row, chance in zip(files, classes.tolist(), values.tolist(), strict=True)
    ]
