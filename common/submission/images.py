"""A competition's test images: which file is of which id of the sample submission."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from common.errors import DataError
from common.files import fold_name
from common.images.decode import SUFFIXES, Crop, Given, printable, read_squares
from common.images.folders import is_image
from common.images.load import ImageCard
from common.images.tables.finder import MISSING, Finder
from common.images.tables.listing import find_columns
from common.images.tables.locate import locate
from common.images.tables.pixels import form_of
from common.io.folders import relative_name, walk
from common.io.tables import is_table
from common.io.unpack import is_archive, unpacked
from common.options.config import ImageConfig
from common.runs.job import Say
from common.submission.kind import Found
from common.submission.sample import Sample, list_some
from common.submission.tables import read_test

Part = tuple[Path, Crop | None]  # a file, and the part of it that is the sample


def find_images(sample: Sample, test: Path, config: ImageConfig, say: Say) -> Found:
    """Return the image of each id: in a folder, a zip of one, or named by a table.

    Args:
        sample: with its column of ids, which may lack the suffixes of files.
        test: the test data.
        config: of the run, with what is known of how a table is written.
        say: called with a line for what was guessed.

    Raises:
        DataError: TEST is none of them, or has no such images.
    """
    if not test.exists():
        raise DataError(f"no such file or folder: {printable(test)}")
    if config.crop_column or config.crop_boxes:
        option = "--crop-boxes" if config.crop_boxes else "--crop-column"
        raise DataError(f"{test}: a submission for parts of images ({option}) is not written")
    if test.is_file() and is_table(test):
        return _find_in_table(sample, locate(test, "optional", config.form), config, say)
    root = unpacked(test) if is_archive(test) else test
    if not root.is_dir():
        raise DataError(f"{test}: expected a folder of images, a zip of one, or a table of them")
    return find_in_folder(sample.ids, root, test)


def find_in_folder(ids: Sequence[str], root: Path, test: Path) -> Found:
    """Return the image of each id below a folder; see `find_images`."""
    files = Finder(root).find(ids)
    samples: dict[str, Part] = {}
    problems = []
    for name, file in zip(ids, files, strict=True):
        if isinstance(file, Path):
            samples[name] = (file, None)
        elif not file.startswith(MISSING):
            problems.append(f"{name} ({file})")
    if problems:
        raise DataError(
            f"{test}: for {len(problems):,} ids it is not certain which image is meant: "
            f"{list_some(problems)}"
        )
    used = {file.resolve() for file, _ in samples.values()}
    images = [path for path in walk(root) if is_image(path)]
    others = [relative_name(path, root) for path in images if path.resolve() not in used]
    return Found(samples, {}, others)


def _find_in_table(sample: Sample, table: Path, config: ImageConfig, say: Say) -> Found:
    plain = dataclasses.replace(
        config, label_column=(), label_pattern=None, label_bands=(), label_order=()
    )
    columns, finder = find_columns(table, plain, "class", "optional")
    found = read_test(table, sample, [columns.path], form_of(table, config.form), KEYS)
    for line in filter(None, [columns.said, *found.notes]):
        say(line)
    names = [cells[0] for cells in found.cells.values()]
    samples: dict[str, Part] = {}
    unreadable = dict(found.unreadable)
    for name, file in zip(found.cells, finder.find(names), strict=True):
        if isinstance(file, Path):
            samples[name] = (file, None)
        else:
            unreadable[name] = file
    wanted = {*sample.ids}
    others = [name for name in (*samples, *unreadable) if name not in wanted]
    if not samples:
        raise DataError(
            f"{table}: none of its {len(names):,} images is there, such as {list_some(names)}; "
            "--image-dir names the folder that they are in"
        )
    return Found(samples, unreadable, others)


def read_chunks(
    samples: dict[str, Part], config: ImageConfig, card: ImageCard, say: Say
) -> Iterator[tuple[list[str], Any]]:
    """Yield ids and images, uint8 (n, C, S, S), some at a time, as a run sees them."""
    files = [Given(name, *part) for name, part in samples.items()]
    options = card.image_size, card.channels, say, config.fit, card.scale
    for ids, pixels in read_squares(files, *options):
        yield ids, torch.from_numpy(pixels)


def _without_suffix(name: str) -> str:
    """Return what ids of the same image have in common: the path, without the file's suffix."""
    path = PurePosixPath(fold_name(name.strip().replace("\\", "/")))
    return str(path.with_suffix("") if path.suffix in SUFFIXES else path)


def _without_folders(name: str) -> str:
    """Return what is left of that where one of them lacks folders: the name of the file."""
    return _without_suffix(name).rpartition("/")[2]


KEYS = (str, _without_suffix, _without_folders)  # by which ids are the same
