"""What a user's images and boxes show before anyone trains: one HTML page."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.errors import DataError, InputError
from common.explore import images, page, speed
from common.explore.copies import find_pairs
from common.explore.page import Part
from common.explore.pictures import Pictures, Source, of_sets, read_pictures
from common.explore.samples import spread
from common.images import decode
from common.images.sets import ImageSet
from common.options import terminal
from common.report import plots
from common.report.html import Section
from labs.detection import plots as lab_plots
from labs.detection.config import DetectionConfig
from labs.detection.data import formats, load
from labs.detection.data.load import SCENES
from labs.detection.inspect import boxes
from labs.detection.inspect.boxes import Objects
from labs.detection.job import Detector
from labs.detection.letterbox import letterbox
from labs.detection.records import Picture
from labs.detection.task import filled

_TIMED = 40  # images that a model is timed on
_DRAWN = 8  # images as training draws them
_SCENES = 2000  # that are looked at when no limit is given


def command(config: DetectionConfig, output: Path | None) -> None:
    """Look at a config's images and boxes, and write the page.

    Raises:
        DataError: there is no such data, or it cannot be read.
        SaveError: the page cannot be written.
    """
    found, objects, problems, source = _find(config)
    if not len(found):
        raise DataError(f"DATA {config.data}: no image can be read")
    with terminal.progress_bar(f"looking for copies among {len(found):,} images") as bar:
        pairs = find_pairs(found.small, bar.move)
    per_image = np.bincount(objects.rows, minlength=len(found)).astype(float)
    with terminal.busy("drawing, and comparing the parts"):
        parts = [
            boxes.count_classes(found, objects),
            boxes.measure(found, objects),
            boxes.show_samples(found, objects),
            boxes.find_doubles(found, objects),
            images.measure(found, shapes="they are letterboxed, with bars beside them"),
            images.show_copies(found, pairs),
            images.list_unreadable(found, problems),
            images.compare_parts(
                replace(found, columns={**found.columns, "boxes of an image": per_image})
            ),
        ]
    with terminal.busy("augmenting, and timing the reader and a model"):
        parts += _trained(config, found)
    page.write(config.data, source, parts, output)


def _find(
    config: DetectionConfig,
) -> tuple[Pictures, Objects, list[tuple[str, str]], str]:
    """Return images, boxes, what is wrong, and a line that says what they are."""
    if config.data == SCENES:
        return _scenes(config)
    path = Path(config.data).expanduser()
    if not path.exists():
        load.read(config)  # says what there is
    found = formats.read(path, config.reading)
    pictures = [(part, picture) for part, each in found.parts.items() for picture in each]
    if config.test is not None:
        other, _, _ = load.test_pictures(config, found.classes)
        pictures = [("train" if part == "all" else part, each) for part, each in pictures]
        pictures += [("test", picture) for picture in other]
    pictures = spread(pictures, config.limit)
    sources = [_source(part, picture, found.classes) for part, picture in pictures]
    with terminal.progress_bar(f"reading {len(sources):,} images") as bar:
        read = read_pictures(sources, bar)
    places = {id(source): row for row, source in enumerate(read.sources)}
    rows = [
        (places[id(source)], *box[:4], box.label)
        for source, (_, picture) in zip(sources, pictures, strict=True)
        if id(source) in places
        for box in picture.boxes
    ]
    problems = [(each.place, f"{each.kind}: {each.detail}") for each in found.problems]
    about = f"{found.form} {path.name}: {len(read):,} images, {len(rows):,} boxes"
    return read, _objects(rows, found.classes), problems, "; ".join([about, *found.notes])


def _source(part: str, picture: Picture, classes: tuple[str, ...]) -> Source:
    labels = tuple(sorted({classes[box.label] for box in picture.boxes}))
    return Source(picture.name, part, labels, picture.path)


def _objects(rows: list[Any], classes: tuple[str, ...]) -> Objects:
    values = np.array(rows, np.float64).reshape(-1, 6)
    return Objects(values[:, 0].astype(int), values[:, 1:5], values[:, 5].astype(int), classes)


def _scenes(config: DetectionConfig) -> tuple[Pictures, Objects, list[tuple[str, str]], str]:
    splits, card = load.load(replace(config, limit=config.limit or _SCENES))
    sets, labels, rows = {}, {}, []
    first = 0
    for part, split in splits.items():
        sets[part] = ImageSet(torch.as_tensor(split.images), torch.zeros(len(split)), split.names)
        own = [split.boxes[row] for row in range(len(split))]
        labels[part] = [
            tuple(sorted({card.classes[int(label)] for label in each[:, 4]})) for each in own
        ]
        rows += [(first + row, *box[:5].tolist()) for row, each in enumerate(own) for box in each]
        first += len(split)
    return of_sets(sets, labels), _objects(rows, card.classes), list(card.skipped), card.source


# --- as training would have them ----------------------------------------------------------------


def _trained(config: DetectionConfig, found: Pictures) -> Iterator[Part]:
    """Yield what augmentation makes of images, and how fast reader and model are."""
    try:
        job, splits = Detector.check(_few(config))
    except InputError as error:
        yield speed.without(error)
        return
    yield _augmented(job, splits)
    yield _speed(job, splits, found)


def _few(config: DetectionConfig) -> DetectionConfig:
    """Return the config that training would choose, for a few images."""
    chosen = Detector.suited(config).config
    few = min(_TIMED, config.limit or _TIMED)
    batch = min(8, chosen.batch_size)
    return speed.settled(chosen, limit=few, batch_size=batch)


def _augmented(job: Detector, splits: Mapping[str, Any]) -> Part:
    updates = job.batches(splits["train"], training=True)
    panels = []
    for epoch in range(2):
        [[pixels, targets, *_], *_] = next(iter(updates.updates(epoch)))
        each = filled(targets, splits["train"].most).numpy()
        for image, own in zip(pixels[: _DRAWN // 2], each, strict=False):
            shown = (image.float() * 255).round().clamp(0, 255).byte().numpy()
            panels.append(boxes.panel_of(shown, own[own[:, 4] >= 0], f"epoch {epoch + 1}"))
    updates.close()
    specs = ", ".join(job.config.augment) or "none"
    drawn = plots.png(lab_plots.pictures(panels, job.card.classes, truth_alone=True))
    text = (
        f"As training would draw them, with --augment {specs}. Do boxes still hold their objects?"
    )
    return Part(Section("What augmentation makes of them", text, pictures=[("Batches.", drawn)]))


def _speed(job: Detector, splits: Mapping[str, Any], found: Pictures) -> Part:
    size = job.card.image_size
    figures = {}
    paths = [source.path for source in found.sources if source.path is not None]
    if paths:
        photos = decode.photos(spread(paths, speed.TIMED), lambda photo: letterbox(photo, size))
        figures["decoding the files"] = speed.time_items(photos)
    figures["batches and augmentation"] = speed.time_batches(job, splits)
    figures[f"{job.config.model} learns"] = speed.time_model(job, splits)
    kept = len(found) * 3 * size**2 <= 2**30 and not job.config.augment
    advice = "--workers reads in the background; smaller files and fewer changes take less"
    slow = "fewer pixels (--image-size), a smaller model, or a GPU"
    what = f"{job.config.model} on images of {size} pixels, {job.compute}"
    return speed.report(figures, what, "decoding the files" if kept else "", advice, slow)
