"""What a user's images show before anyone trains: one HTML page."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from common.errors import ConfigError, DataError, InputError
from common.explore import images, page, speed
from common.explore.copies import Pair, find_pairs
from common.explore.page import Part
from common.explore.pictures import Labels, Pictures, Source, of_sets, read_pictures
from common.explore.samples import spread
from common.images import decode, load
from common.images.listed import Label, ListedFile
from common.images.load import ImageCard
from common.images.sets import FoundImages, ImageSet
from common.options import terminal
from common.options.config import IMAGE_SETS, NONE
from common.report import plots
from common.report.html import Section
from common.threads import usable_cores
from labs.classification.augmentation import preview
from labs.classification.config import ClassificationConfig
from labs.classification.data import find_loss, refuse_data
from labs.classification.job import ClassifyImages

_AUGMENTED, _SIDE = 4, 96  # images that augmentation is shown on; pixels of a side at most
_TIMED = 256  # images that a model is timed on
_MOST_COMPARED = 100_000  # images among which copies are looked for


def command(config: ClassificationConfig, output: Path | None) -> None:
    """Look at a config's images and write the page.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be read.
        SaveError: the page cannot be written.
    """
    config = _with_labels(config)
    refuse_data(config)
    if config.numeric and load.find_files(config, "class", "optional", to_learn=False) is None:
        raise ConfigError(
            f"--loss {config.loss} predicts numbers; give a table with a column of them"
        )
    found, skipped, source = _find(config)
    if not len(found):
        raise DataError(
            f"--data {config.data}: none of the {len(found.unreadable):,} files is an image that "
            "can be read"
        )
    with terminal.progress_bar(f"looking for copies among {len(found):,} images") as bar:
        pairs = find_pairs(found.small[:_MOST_COMPARED], bar.move)
    crops = "" if len(found) <= 10_000 else " Of so many, cropped ones are not looked for."
    if found.photos:
        pairs = _of_two_photos(found, pairs)
        crops += " Parts of one photo, which may overlap, are not compared."
    parts: list[Part | None] = [
        images.show_numbers(found) if config.numeric else images.count_classes(found),
        images.measure(found),
    ]
    with terminal.busy("drawing, and comparing the parts"):
        parts += [
            images.show_samples(found),
            images.show_copies(found, pairs, crops),
            images.list_unreadable(found, skipped),
            _groups(config, found),
            images.compare_parts(found),
            _augmented(config, found),
        ]
    with terminal.busy("timing the reader and a model"):
        parts.append(_speed(config, found))
    what = f"crops of {found.photos:,} photos" if found.photos else "images"
    about = f"{len(found):,} {what}: {source}"
    page.write(config.data, about, parts, output)


def _of_two_photos(found: Pictures, pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that are not parts of one photo."""
    paths = [source.path for source in found.sources]
    return [pair for pair in pairs if paths[pair.first] != paths[pair.second]]


def _with_labels(config: ClassificationConfig) -> ClassificationConfig:
    """Take any number of labels an image, or numbers, where the table says so."""
    if "loss" in config.given or config.data in IMAGE_SETS or not (found := find_loss(config)):
        return config
    return replace(config, loss=found[0])


def _find(config: ClassificationConfig) -> tuple[Pictures, list[tuple[str, str]], str]:
    """Return the images, what was left out with the reason, and a line that says what they are."""
    listed = load.find_files(config, config.kind, "optional", to_learn=False)
    if listed is None:
        arrays = load.find_arrays(config, to_learn=False)
        return _of_arrays(arrays, config.limit), list(arrays.skipped), arrays.source
    files, skipped, source = list(listed.files), list(listed.skipped), listed.source
    if config.test is not None:
        other = replace(config, data=str(load.resolve_test(config).test))
        more = load.find_files(other, config.kind, "optional", to_learn=False)
        if more is None:
            raise DataError(f"--test {config.test}: expected files of images, as --data has")
        files = [file._replace(part="train" if file.part == "all" else file.part) for file in files]
        files += [file._replace(part="test") for file in more.files]
        skipped += more.skipped
    sources = [_source(file) for file in spread(files, config.limit)]
    with terminal.progress_bar(f"reading {len(sources):,} images") as bar:
        return read_pictures(sources, bar), skipped, source


def _source(file: ListedFile) -> Source:
    number = file.label if isinstance(file.label, float) else None
    return Source(file.name, file.part, _labels(file.label), file.path, number, file.crop)


def _labels(label: Label) -> Labels:
    if isinstance(label, frozenset):
        return tuple(sorted(label))
    if isinstance(label, tuple):
        return ("/".join(label),)
    return (label,) if isinstance(label, str) else ()


def _of_arrays(found: FoundImages, limit: int | None) -> Pictures:
    total = sum(map(len, found.parts.values()))
    step = 1 if limit is None else -(-total // limit)
    parts = {
        name: part.select(torch.arange(0, len(part), step)) for name, part in found.parts.items()
    }
    labels: dict[str, list[Labels]] = {
        name: [(found.classes[int(target)],) if found.classes else () for target in part.targets]
        for name, part in parts.items()
    }
    return of_sets(parts, labels)


def _groups(config: ClassificationConfig, found: Pictures) -> Part | None:
    """Show the groups; they are read as training reads them, which may be refused."""
    path = Path(config.data).expanduser()
    grouped = config.groups_given or found.photos or config.group_by != NONE
    if config.data in IMAGE_SETS or (path.is_dir() and not grouped):
        return None
    try:
        listed = load.find_files(config, config.kind, "optional")
    except DataError:
        return None
    files = listed.files if listed else ()
    known: dict[Any, str | None] = {(file.path, file.crop): file.group for file in files}
    of_each = [known.get((source.path, source.crop)) for source in found.sources]
    rows = [row for row, group in enumerate(of_each) if group]
    if not rows:
        return None
    name = "photo" if found.photos else "row of the table"
    name = config.group_by if config.group_by != NONE else name
    name = config.group_column if config.groups_given else name
    return images.show_groups(found, rows, [of_each[row] for row in rows], name)


def _augmented(config: ClassificationConfig, found: Pictures) -> Part:
    """Show what augmentation makes of some images: the config's, or all that there are."""
    side = min(_SIDE, max(8, int(min(found.columns["height"].min(), found.columns["width"].min()))))
    side = config.image_size or max(side, 24)
    rows = spread(range(len(found)), _AUGMENTED)
    pixels = [torch.from_numpy(found.square(row, side).copy()).permute(2, 0, 1) for row in rows]
    names = tuple(found.sources[row].name for row in rows)
    train = ImageSet(torch.stack(pixels), torch.zeros(len(rows), dtype=torch.int64), names)
    zeros = (0.0, 0.0, 0.0)
    card = ImageCard("", {"train": len(rows)}, (), "", ("",), 3, side, zeros, (1.0, 1.0, 1.0), None)
    specs = config.augment or preview.examples(train.images.shape[2])
    config = replace(config, augment=specs, mixup=0.0, cutmix=0.0)
    together = len(specs) < 4
    order, columns = preview.columns(config, card, train, len(rows), 2, together=together)
    labels = [", ".join(found.sources[rows[row]].labels) for row in order]
    drawn = plots.png(preview.draw(columns, labels, "As training would draw them, two epochs"))
    text = "Do the changes keep what an image shows? A six that is flipped is no six."
    return Part(Section("What augmentation makes of them", text, pictures=[("Changes.", drawn)]))


def _speed(config: ClassificationConfig, found: Pictures) -> Part:
    """Time decoding and augmentation, and the model that training would choose."""
    limit = min(config.limit or _TIMED, max(_TIMED, 10 * len({s.labels for s in found.sources})))
    try:
        chosen = ClassifyImages.suited(replace(config, model="auto")).config
        job, splits = ClassifyImages.check(speed.settled(chosen, limit=limit))
    except InputError as error:
        return speed.without(error)
    side, channels = job.card.image_size, job.card.channels
    figures = {}
    files = [source for source in found.sources if source.path is not None]
    if files:
        with decode.quiet(), ThreadPoolExecutor(usable_cores()) as pool:
            read = pool.map(
                lambda file: decode.square(file.path, side, channels, chosen.fit, crop=file.crop),
                spread(files, speed.TIMED),
            )
            figures["decoding the files"] = speed.time_items(read)
    figures["batches and augmentation"] = speed.time_batches(job, splits)
    figures[f"{job.config.model} learns"] = speed.time_model(job, splits)
    kept = len(found) * channels * side**2 < 2**30
    slow = "fewer pixels (--image-size), a smaller model, or a GPU"
    advice = (
        "--decoding cache keeps decoded images on the disk, and --workers reads in the background"
    )
    what = f"{job.config.model} on images of {side} pixels, {job.compute}"
    return speed.report(figures, what, "decoding the files" if kept else "", advice, slow)
