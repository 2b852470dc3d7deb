"""What a trained run says of the pixels of a user's photos: drawn, as masks, and their shares."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common.errors import DataError
from common.files import write_bytes, write_json, write_text
from common.images.decode import printable
from common.metrics.metrics import Array
from common.report.plots import drawable, korean_font, short
from common.runs.commands import separated
from labs.detection.predict.predictions import (
    Shot,
    files_in,
    is_video,
    jpeg,
    name_each,
    png,
    read_photos,
)
from labs.detection.semantic import plots
from labs.detection.semantic.data import BACKGROUND
from labs.detection.semantic.job import PixelClassifier
from labs.detection.semantic.losses import VOID

FORMATS = ("drawn", "masks", "json", "csv")
USUAL = ("drawn", "masks", "json")

_LEAST_SIDE = 480  # pixels of a drawn picture's longer side; smaller photos are enlarged


class Prediction(NamedTuple):
    """What was said of a photo."""

    file: Path
    name: str  # what it is called in the output folder, without a suffix
    size: tuple[int, int]  # height and width in pixels
    shares: Array  # (C,) of the photo's pixels, of each class


def predict(
    job: PixelClassifier,
    paths: Sequence[Path],
    output: Path,
    formats: Collection[str],
    say: Callable[[str], None],
) -> list[Prediction]:
    """Name the classes of the pixels of photos, files or in folders; write what was said.

    Args:
        job: a run with its weights.
        paths: files and folders.
        output: a folder, in which pictures go to `drawn/`, masks and their `legend.json` to
            `masks/`, and the shares of classes to `predictions.json` and `predictions.csv`.
        formats: some of `FORMATS`.
        say: called with a line for each file that is left out.

    Raises:
        DataError: a path is missing, or nothing can be read.
        SaveError: something cannot be written.
    """
    classes, drawn, found = job.card.classes, output / "drawn", list[Prediction]()
    for shot in read_shots(paths, drawn, say):
        [said] = job.name_pixels([shot.pixels])
        counts = np.bincount(said.ravel(), minlength=len(classes))
        found.append(Prediction(shot.file, shot.name, said.shape, counts / said.size))
        if "drawn" in formats:
            write_bytes(drawn / f"{shot.name}.jpg", jpeg(draw(shot.pixels.numpy(), said, classes)))
        if "masks" in formats:
            write_bytes(output / "masks" / f"{shot.name}.png", mask(said, classes))
    records = [record(each, classes) for each in found]
    if "masks" in formats:
        write_json(output / "masks" / "legend.json", dict(enumerate(classes)))
    write_records(output, formats, records, map(_flat, records))
    return found


def write_records(
    output: Path,
    formats: Collection[str],
    records: Sequence[Mapping[str, object]],
    rows: Iterable[dict[str, object]],
) -> None:
    """Write what was said of each photo as JSON, and `rows` of it as CSV, where they are wanted."""
    if "json" in formats:
        write_json(output / "predictions.json", records)
    if "csv" in formats:
        write_text(output / "predictions.csv", separated(list(rows), ","))


def read_shots(paths: Sequence[Path], drawn: Path, say: Callable[[str], None]) -> Iterator[Shot]:
    """Yield the photos among files and in folders; `say` is told what is left out.

    Raises:
        DataError: a path is missing, or nothing can be read.
    """
    named = name_each(files_in(paths, drawn))
    for file in filter(is_video, named.values()):
        say(f"skipped: {printable(file)} is a video, and classes of pixels are told of photos")
    readable = False
    photos = {name: file for name, file in named.items() if not is_video(file)}
    for shot in read_photos(photos, say):
        readable = True
        yield shot
    if not readable:
        raise DataError(f"none of the {len(named)} file(s) is a photo that can be read")


def record(each: Prediction, classes: Sequence[str]) -> dict[str, object]:
    """Return a prediction for JSON."""
    height, width = each.size
    shares = {
        name: round(float(share), 6) for name, share in zip(classes, each.shares, strict=True)
    }
    return {"file": printable(each.file), "width": width, "height": height, "shares": shares}


def _flat(values: dict[str, object]) -> dict[str, object]:
    shares = values["shares"]
    assert isinstance(shares, dict)
    return {key: value for key, value in values.items() if key != "shares"} | shares


def table(
    found: Iterable[Prediction], classes: Sequence[str]
) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table with a line for each photo."""
    rows = []
    for each in found:
        order = np.argsort(-each.shares, kind="stable")
        listed = ", ".join(
            f"{classes[label]} {each.shares[label]:.1%}" for label in order if each.shares[label]
        )
        rows.append([printable(each.file), listed])
    return f"{len(rows):,} file(s)", ["file", "shares of its pixels"], rows


def mask(said: Array, classes: Sequence[str]) -> bytes:
    """Return a map of classes (H, W) as a palette PNG whose values are their numbers."""
    picture = Image.fromarray(said)
    picture.putpalette(plots.colors(classes).ravel().tolist())
    return png(picture)


def draw(pixels: Array, said: Array, classes: Sequence[str]) -> Image.Image:
    """Lay the colors of classes over a photo, uint8 (3, H, W), and name those that are there."""
    return add_key(plots.lay_over(pixels, said, classes), said, classes)


def add_key(painted: Array, said: Array, classes: Sequence[str]) -> Image.Image:
    """Write below a picture (H, W, 3) what the colors of the classes in it are."""
    picture = Image.fromarray(painted)
    factor = max(1, -(-_LEAST_SIDE // max(picture.size)))
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
    font = ImageFont.truetype(str(korean_font()), max(14, max(picture.size) // 45))
    names, height = {**dict(enumerate(classes)), VOID: "void"}, round(1.6 * font.size)
    table = plots.paint(np.arange(VOID + 1), plots.colors(classes))
    lines: list[list[int]] = [[]]
    used, widths = 0.0, {}
    shown = [label for label in np.unique(said).tolist() if label or classes[0] != BACKGROUND]
    for label in shown:
        name = short(drawable(names[label]), 24)
        widths[label] = width = height + font.getlength(name) + height / 2
        if lines[-1] and used + width > picture.width:
            lines.append([])
            used = 0.0
        lines[-1].append(label)
        used += width
    whole = Image.new("RGB", (picture.width, picture.height + height * len(lines)), "white")
    whole.paste(picture)
    canvas = ImageDraw.Draw(whole)
    for row, line in enumerate(lines):
        x, y = 0.0, picture.height + row * height
        for label in line:
            box = (x + height / 4, y + height / 4, x + 3 * height / 4, y + 3 * height / 4)
            canvas.rectangle(box, fill=tuple(table[label].tolist()), outline="#888888")
            text = short(drawable(names[label]), 24)
            canvas.text((x + height, y + height / 2), text, "black", font, anchor="lm")
            x += widths[label]
    return whole
