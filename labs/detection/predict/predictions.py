"""What a trained run finds in a user's photos and videos: drawn, and as JSON, CSV and YOLO txt."""

import contextlib
import csv
import io
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from common.errors import DataError
from common.files import fold_name, write_bytes, write_json, write_text
from common.images import decode
from common.images.decode import printable
from common.runs.commands import defuse
from labs.detection import masks
from labs.detection.data.formats.folders import walk
from labs.detection.job import Detector
from labs.detection.letterbox import Letterbox
from labs.detection.masks import Polygons
from labs.detection.metrics import BOX
from labs.detection.predict import video
from labs.detection.predict.drawing import draw
from labs.detection.predict.fusion import fuse_outputs

FORMATS = ("drawn", "json", "csv", "yolo")

_BATCH = 8  # photos at a time, each in memory as a whole
_QUALITY = 92  # of a drawn JPEG


class Shot(NamedTuple):
    """A photo, or a frame of a video."""

    file: Path
    name: str  # in the output folder, without a suffix
    pixels: Tensor  # uint8 (3, H, W), RGB
    frame: int | None = None  # its number, from 0
    seconds: float | None = None  # since the beginning of the video


class Found(NamedTuple):
    """What is found in a photo, highest score first."""

    boxes: Tensor  # (n, 6): x1, y1, x2, y2 in pixels of the photo, inside it, score, class
    masks: Tensor | None  # bool (n, H, W); None where only boxes are found


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in a photo, or in a frame of a video."""

    file: Path  # the photo or the video
    name: str  # what it is called in the output folder, without a suffix
    size: tuple[int, int]  # height and width in pixels
    boxes: Tensor  # (n, 6): x1, y1, x2, y2 in its pixels, score, class; highest score first
    # of each box's mask, in pixels of the photo; None where only boxes are found
    outlines: list[Polygons] | None
    frame: int | None  # the number of the frame, from 0; None for a photo
    seconds: float | None  # since the beginning of the video; None for a photo

    @classmethod
    def of(cls, shot: Shot, found: Found) -> "Prediction":
        """Keep what was found in a shot, without its pixels."""
        height, width = shot.pixels.shape[1:]
        outlines = None if found.masks is None else [masks.polygons(mask) for mask in found.masks]
        return cls(
            shot.file, shot.name, (height, width), found.boxes, outlines, shot.frame, shot.seconds
        )


def predict(
    job: Detector,
    paths: Sequence[Path],
    output: Path,
    formats: Collection[str],
    score: float | None,
    say: Callable[[str], None],
) -> list[Prediction]:
    """Find objects in files, and in the photos and videos in folders; write what was found.

    Args:
        job: a run with its weights.
        paths: files and folders.
        output: a folder, in which pictures go to `drawn/`, YOLO's texts to `yolo/`, and the rest
            to `predictions.json` and `predictions.csv`.
        formats: some of `FORMATS`.
        score: the least score of what is told; the one chosen on validation when None.
        say: called with a line for each file that is left out.

    Raises:
        DataError: a path is missing, or nothing can be read.
        SaveError: something cannot be written.
    """
    least = job.score if score is None else score
    drawn = output / "drawn"
    named = name_each(files_in(paths, drawn))
    photos = {name: file for name, file in named.items() if not is_video(file)}
    videos = {name: file for name, file in named.items() if is_video(file)}
    found: list[Prediction] = []
    for shot, each in detect(job, read_photos(photos, say), least):
        found.append(Prediction.of(shot, each))
        if "drawn" in formats:
            picture = draw(shot.pixels, each.boxes, job.card.classes, each.masks)
            write_bytes(drawn / f"{shot.name}.jpg", jpeg(picture))
    for name, file in videos.items():
        target = drawn / f"{name}.mp4" if "drawn" in formats else None
        try:
            found += _predict_video(job, file, name, target, least, say)
        except DataError as error:
            say(f"skipped: {error}")
    if not found:
        raise DataError(f"none of the {len(named)} file(s) is a photo or video that can be read")
    _write(found, job.card.classes, output, formats)
    return found


def detect(
    job: Detector, shots: Iterable[Shot], score: float, others: Sequence[Detector] = ()
) -> Iterator[tuple[Shot, Found]]:
    """Yield shots of any size with what is found in them from a score on.

    Args:
        job: a run with its weights.
        shots: photos and frames.
        score: the least one.
        others: runs whose boxes are fused with its own; masks are left out.
    """
    size, remaining = job.card.image_size, iter(shots)
    while batch := list(itertools.islice(remaining, _BATCH)):
        photos = [shot.pixels for shot in batch]
        outputs = fuse_outputs([each.find(photos) for each in (job, *others)])
        prototypes = outputs.get("prototypes", [None] * len(batch))
        columns = batch, outputs["detections"], prototypes
        for shot, rows, prototype in zip(*columns, strict=True):
            height, width = shot.pixels.shape[1:]
            told = rows[(rows[:, 5] >= 0) & (rows[:, 4] >= score)]
            boxes, coefficients = told[:, :BOX], told[:, BOX:]
            found = None
            if prototype is not None:
                fit = Letterbox.fit(height, width, size)
                inside = masks.assemble(fit.into(boxes), coefficients, prototype, size)
                found = masks.back(inside, fit, height, width)
            yield shot, Found(boxes, found)


def table(
    found: Sequence[Prediction], classes: Sequence[str]
) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table with a line per photo or video."""
    by_file: dict[Path, list[Prediction]] = {}
    for each in found:
        by_file.setdefault(each.file, []).append(each)
    rows = []
    for file, parts in by_file.items():
        counts = Counter(int(label) for each in parts for label in each.boxes[:, 5])
        listed = ", ".join(f"{classes[label]} ({count:,})" for label, count in counts.most_common())
        frames = "" if parts[0].frame is None else f" ({len(parts):,} frames)"
        rows.append([printable(file) + frames, f"{counts.total():,}", listed])
    return f"{len(rows):,} file(s)", ["file", "boxes", "classes"], rows


# --- files --------------------------------------------------------------------------------------


def files_in(paths: Sequence[Path], save_picture: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file, and where it stands in the folder that was given.

    Raises:
        DataError: a path is missing, or there is nothing in a folder.
    """
    missing = [printable(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(f"no such file or folder: {', '.join(missing)}")
    made = save_picture.resolve()
    for path in paths:
        if not path.is_dir():
            if path.resolve().is_relative_to(made):
                raise DataError(f"{printable(path)} may be drawn over; choose another --output")
            yield path, Path(path.name)
            continue
        seen = [file for file in walk(path) if file.suffix.lower() in _SUFFIXES and file.is_file()]
        # What an earlier call has drawn is no photo of the user's.
        files = [file for file in seen if not file.resolve().is_relative_to(made)]
        if not files:
            expected = "expected files such as .jpg, .png and .mp4"
            raise DataError(f"no photos or videos in {printable(path)}; {expected}")
        yield from ((file, file.relative_to(path)) for file in files)


_SUFFIXES = (*decode.SUFFIXES, *video.SUFFIXES)


def is_video(file: Path) -> bool:
    """Say whether a file is called as videos are."""
    return file.suffix.lower() in video.SUFFIXES


def name_each(files: Iterable[tuple[Path, Path]]) -> dict[str, Path]:
    """Give each file a name of its own, also where a disk knows no capitals or no NFD."""
    named: dict[str, Path] = {}
    taken = set()
    for file, place in files:
        stem = str(place.with_suffix(""))
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if fold_name(name) not in taken)
        taken.add(fold_name(name))
        named[name] = file
    return named


def read_photos(named: dict[str, Path], say: Callable[[str], None]) -> Iterator[Shot]:
    """Yield photos by their names; of those that cannot be read, `say` is told why."""
    for name, file in named.items():
        try:
            yield Shot(file, name, decode.photo(file))
        except DataError as error:
            say(f"skipped: {error}")


# --- photos and videos --------------------------------------------------------------------------


def png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def jpeg(picture: Image.Image) -> bytes:
    """Return a drawn picture as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "jpeg", quality=_QUALITY, subsampling=0)  # else small letters blur
    return buffer.getvalue()


def _predict_video(
    job: Detector,
    file: Path,
    name: str,
    target: Path | None,
    score: float,
    say: Callable[[str], None],
) -> list[Prediction]:
    """Find objects in each frame; draw them into a video of the same speed, without its sound."""
    found = []
    with contextlib.ExitStack() as stack:
        film = stack.enter_context(video.open_video(file))
        writer = stack.enter_context(video.write_video(target, film.rate)) if target else None
        shots = (Shot(file, name, each.pixels, each.number, each.seconds) for each in film.frames)
        for shot, each in detect(job, shots, score):
            found.append(Prediction.of(shot, each))
            if writer:
                picture = draw(shot.pixels, each.boxes, job.card.classes, each.masks)
                writer.add(np.asarray(picture))
    if len(found) < film.announced:
        say(f"{printable(file)}: {len(found):,} of the {film.announced:,} frames can be read")
    return found


# --- records ------------------------------------------------------------------------------------


def _write(
    found: Sequence[Prediction], classes: Sequence[str], output: Path, formats: Collection[str]
) -> None:
    if "json" in formats:
        write_json(output / "predictions.json", [record(each, classes) for each in found])
    if "csv" in formats:
        write_text(output / "predictions.csv", table_of_boxes(found, classes))
    if "yolo" in formats:
        for each in found:
            frame = "" if each.frame is None else f"/{each.frame:06}"
            # Not to `labels`: where the output is a data set, its own labels are there.
            write_text(output / "yolo" / f"{each.name}{frame}.txt", yolo_lines(each))


def record(each: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    """Return a prediction for JSON."""
    moment = {} if each.frame is None else {"frame": each.frame, "seconds": each.seconds}
    height, width = each.size
    boxes: list[dict[str, Any]] = [
        {
            "class": classes[int(number)],
            "number": int(number),
            "score": round(score, 6),
            "xyxy": [round(value, 2) for value in corners],
        }
        for *corners, score, number in each.boxes.tolist()
    ]
    for box, outlines in zip(boxes, each.outlines or (), strict=False):
        box["polygons"] = outlines
    return {
        "file": printable(each.file),
        **moment,
        "width": width,
        "height": height,
        "boxes": boxes,
    }


def table_of_boxes(found: Sequence[Prediction], classes: Sequence[str]) -> str:
    """Return a CSV with a line per box."""
    corners = ("x1", "y1", "x2", "y2")
    columns = ["file", "frame", "seconds", "class", "number", "score", *corners]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in (record(each, classes) for each in found):
        for box in row["boxes"]:
            cells = {**row, **box, **dict(zip(corners, box["xyxy"], strict=True))}
            writer.writerow({name: defuse(cell) for name, cell in cells.items()})
    return text.getvalue()


def yolo_lines(each: Prediction) -> str:
    """Return a line per box as YOLO writes it: class, center x, center y, width, height, score.

    Of a mask: class, x, y, x, y, ..., the outline of its largest piece, and the score; a box whose
    mask is empty is left out. All but class and score are shares of the photo's width and height.
    """
    rows = each.boxes.tolist()
    shapes: list[tuple[float, ...]]
    if each.outlines is None:
        shapes = [((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) for x1, y1, x2, y2, *_ in rows]
    else:
        shapes = [pieces[0] if pieces else () for pieces in each.outlines]
    lines = []
    for shape, (*_, score, number) in zip(shapes, rows, strict=True):
        if shape:
            shares = (np.reshape(shape, (-1, 2)) / each.size[::-1]).ravel().tolist()
            values = " ".join(f"{value:.6f}" for value in (*shares, score))
            lines.append(f"{int(number)} {values}\n")
    return "".join(lines)
