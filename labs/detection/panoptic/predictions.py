"""What a trained run says of the segments of a user's photos: drawn, as COCO's panoptic PNGs."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from common.files import write_bytes, write_json
from common.images.decode import printable
from common.metrics.metrics import Array
from labs.detection.panoptic import segments
from labs.detection.panoptic.job import PanopticSegmenter, Segmented
from labs.detection.predict.predictions import jpeg, png
from labs.detection.semantic import plots
from labs.detection.semantic.data import BACKGROUND
from labs.detection.semantic.predictions import FORMATS, USUAL, add_key, read_shots, write_records

__all__ = ["FORMATS", "USUAL", "predict", "table"]

_BOX = ("x1", "y1", "x2", "y2")


class Segment(NamedTuple):
    """A segment of a photo."""

    code: int  # of its pixels, see `labs.detection.panoptic.segments`
    label: int  # its class: 0 is the background, things are from 1 on
    score: float | None  # of a thing
    area: int  # in pixels
    box: tuple[int, int, int, int]  # left, upper, right and lower edge, in pixels


class Prediction(NamedTuple):
    """What was said of a photo."""

    file: Path
    name: str  # what it is called in the output folder, without a suffix
    size: tuple[int, int]  # height and width in pixels
    segments: list[Segment]


def predict(
    job: PanopticSegmenter,
    paths: Sequence[Path],
    output: Path,
    formats: Collection[str],
    say: Callable[[str], None],
) -> list[Prediction]:
    """Find the segments of photos, files or in folders; write what was said.

    Args:
        job: a run with its weights.
        paths: files and folders.
        output: a folder, in which pictures go to `drawn/`, segments as COCO has them to
            `panoptic/` and `panoptic.json`, and what they are to `predictions.json` and
            `predictions.csv`.
        formats: some of `FORMATS`; `masks` are the segments.
        say: called with a line for each file that is left out.

    Raises:
        DataError: a path is missing, or nothing can be read.
        SaveError: something cannot be written.
    """
    classes, drawn, found = (BACKGROUND, *job.card.classes), output / "drawn", list[Prediction]()
    for shot in read_shots(paths, drawn, say):
        [said] = job.find_segments([shot.pixels])
        found.append(Prediction(shot.file, shot.name, said.codes.shape, list_segments(said)))
        if "drawn" in formats:
            picture = draw(shot.pixels.numpy(), said.codes, classes)
            write_bytes(drawn / f"{shot.name}.jpg", jpeg(picture))
        if "masks" in formats:
            write_bytes(output / "panoptic" / f"{shot.name}.png", to_png(said.codes))
    if "masks" in formats:
        write_json(output / "panoptic.json", to_coco(found, classes))
    records = [record(each, classes) for each in found]
    write_records(output, formats, records, _rows(records))
    return found


def list_segments(said: Segmented) -> list[Segment]:
    """Return the segments of a photo, the background first and then by their scores."""
    found = []
    for code in np.unique(said.codes[said.codes > 0]).tolist():
        rows, columns = np.nonzero(said.codes == code)
        number, label = code // 256, code % 256 - 1
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        x1, y1, x2, y2 = (int(edge) for edge in edges)
        score = said.scores[number - 1] if number else None
        found.append(Segment(code, label, score, len(rows), (x1, y1, x2, y2)))
    return found


def draw(pixels: Array, codes: Array, classes: Sequence[str]) -> Image.Image:
    """Lay the colors of segments over a photo, uint8 (3, H, W), with white between things."""
    labels = segments.classes_in(codes)
    painted = plots.lay_over(pixels, labels, classes)
    segments.paint_borders(painted, codes)
    return add_key(painted, labels, classes)


def to_png(codes: Array) -> bytes:
    """Return segments (H, W) as COCO's PNG: a segment is red + 256 green + 65536 blue."""
    colors = np.stack([codes, codes >> 8, codes >> 16], -1) & 255
    return png(Image.fromarray(colors.astype(np.uint8)))


def to_coco(found: Iterable[Prediction], classes: Sequence[str]) -> dict[str, Any]:
    """Return COCO's panoptic JSON, in which a category is the number of a class."""
    images, annotations = [], []
    for number, each in enumerate(found):
        height, width = each.size
        name = printable(each.file)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        said = [
            {
                "id": one.code,
                "category_id": one.label,
                "area": one.area,
                "bbox": [*one.box[:2], one.box[2] - one.box[0], one.box[3] - one.box[1]],
                "iscrowd": 0,
            }
            for one in each.segments
        ]
        file = f"{Path(each.name).as_posix()}.png"
        annotations.append({"image_id": number, "file_name": file, "segments_info": said})
    categories = [
        {"id": label, "name": name, "isthing": int(label > 0)} for label, name in enumerate(classes)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def record(each: Prediction, classes: Sequence[str]) -> dict[str, Any]:
    """Return a prediction for JSON; `id` is the segment's in COCO's PNG."""
    height, width = each.size
    said = [
        {
            "id": one.code,
            "class": classes[one.label],
            "score": None if one.score is None else round(one.score, 6),
            "area": one.area,
            "xyxy": list(one.box),
        }
        for one in each.segments
    ]
    return {"file": printable(each.file), "width": width, "height": height, "segments": said}


def _rows(records: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield a row of a CSV for each segment."""
    for whole in records:
        for one in whole["segments"]:
            cells = {key: value for key, value in one.items() if key != "xyxy"}
            yield {"file": whole["file"], **cells, **dict(zip(_BOX, one["xyxy"], strict=True))}


def table(
    found: Iterable[Prediction], classes: Sequence[str]
) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table with a line for each photo.

    Args:
        found: what was said.
        classes: of the things.
    """
    names, rows = (BACKGROUND, *classes), []
    for each in found:
        things = Counter(one.label for one in each.segments if one.label)
        stuff = sum(one.area for one in each.segments if not one.label)
        listed = [f"{names[label]} ({count:,})" for label, count in things.most_common()]
        share = stuff / (each.size[0] * each.size[1])
        shares = [f"{BACKGROUND} {share:.1%}"] if stuff else []
        rows.append([printable(each.file), f"{things.total():,}", ", ".join([*listed, *shares])])
    return f"{len(rows):,} file(s)", ["file", "things", "segments"], rows
