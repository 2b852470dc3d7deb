"""A user's images with captions: a folder with a table that names images and tells them."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from common.errors import DataError
from common.images.copies import number_copies
from common.images.files import read_files
from common.images.listed import shorten
from common.images.sets import ImageSet
from common.images.tables.finder import Finder
from common.io.folders import is_hidden, relative_name
from common.io.tables import OpenTable, is_table, read_table
from common.options import budget
from common.options.config import TableForm
from common.reuse import reusable
from common.runs.job import Suited
from common.steps import step
from common.training.splits import number_groups, split_rows
from labs.classification.contrastive import data
from labs.classification.contrastive.config import SCENES, ContrastConfig
from labs.classification.contrastive.data import ContrastCard, Pairs

FIT = "pad"  # captions tell the whole of a picture, so that no side is cut
_USUAL = ("captions", "results")  # names of the table, where a folder has several
_CAPTIONS = ("caption", "captions", "comment", "description", "text", "sentence", "설명", "캡션")
_NUMBER = re.compile(r"#\d+$")  # of a caption, behind the name of its image
_LEAST = 30  # images
_SAMPLE = 200  # different cells of a column, of which most have to be names of images
_RARE = 2  # captions with a word, without which nothing can be learned of it
_SMALLEST_BATCH = 32  # each caption is told from the others of its batch
_TRAINING = 0.7  # of the images
_UPDATES = 900  # as the drawn scenes have
_SAMPLES_PER_SECOND = 450  # of 48 x 48 pixels, on two cores
_MOST_SAMPLES = 600 * _SAMPLES_PER_SECOND
_MOST_WORDS = 10_000
_MOST_BYTES = 2**31  # of the pixels of all pairs


class _Told(NamedTuple):
    """What a table says."""

    captions: dict[Path, list[str]]  # of each image, in the order of the table
    skipped: list[tuple[str, str]]
    notes: list[str]


def suit(config: ContrastConfig) -> Suited[ContrastConfig]:
    """Choose batches and updates for a user's captions.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    told = _read(_find_table(Path(config.data).expanduser()), config.form)
    samples = max(1, round(_TRAINING * sum(map(len, told.captions.values()))))
    chosen = budget.Choices(config)
    chosen.reasons += told.notes
    chosen.train_for(
        samples, budget.Needs(_UPDATES, _MOST_SAMPLES, _SAMPLES_PER_SECOND, _SMALLEST_BATCH)
    )
    return Suited(chosen.config, chosen.reasons)


def load(config: ContrastConfig) -> tuple[dict[str, Pairs], ContrastCard]:
    """Read images with their captions, split by image, with their card.

    Copies of an image, and nearly equal ones, are on one side. Training has all captions of an
    image, each as a pair; of validation and test each image is asked with one caption, which no
    other of the split has.

    Raises:
        DataError: there are no captions, or too few images, or they cannot be read.
    """
    table = _find_table(Path(config.data).expanduser())
    root = table.parent
    told = _read(table, config.form)
    paths = [*told.captions]
    names = [relative_name(path, root) for path in paths]
    with step(f"reading {len(paths):,} images"):
        read = read_files(names, paths, config.image_size, 3, "memory", FIT)
    skipped = told.skipped + [
        (name, why) for name, why in zip(names, read.reasons, strict=True) if why is not None
    ]
    kept = [row for row, why in enumerate(read.reasons) if why is None]
    captions = [told.captions[paths[row]] for row in kept]
    if len(kept) < _LEAST:
        raise DataError(
            f"--data {config.data}: {len(kept)} images with captions can be read, of which at "
            f"least {_LEAST} are needed{_example(skipped)}"
        )
    images = read.images
    assert isinstance(images, Tensor)
    rows = _split(images, [names[row] for row in kept], config.split_seed)
    words = _learn_words([caption for row in rows["train"] for caption in captions[row]])
    splits = {
        name: _pairs(images, captions, some, words, every=name == "train")
        for name, some in rows.items()
    }
    if min(map(len, splits.values())) < 2:
        raise DataError(
            f"{table}: images have the same captions, so that none can be told by its own; give "
            "captions that tell each image"
        )
    digest = hashlib.sha256(images.numpy().tobytes())
    digest.update("\n".join(caption for each in captions for caption in each).encode())
    left_out = f", {len(skipped):,} rows or images left out" if skipped else ""
    source = (
        f"captions of {table.name}: {len(kept):,} images with {sum(map(len, captions)):,} captions"
        f"{left_out}; split by image"
    )
    counts = {name: len(split) for name, split in splits.items()}
    card = ContrastCard(
        source, counts, tuple(skipped), digest.hexdigest(), words, config.image_size
    )
    return splits, card


def _find_table(path: Path) -> Path:
    """Return the table of captions that a path means.

    Raises:
        DataError: there is none, or nobody can tell which one it is.
    """
    if path.is_file() and is_table(path):
        return path
    if not path.is_dir():
        raise DataError(
            f"--data {path}: no such folder, and no table; give {SCENES}, or a folder of "
            "images with a table of captions"
        )
    found = sorted(
        each
        for each in path.iterdir()
        if each.is_file() and is_table(each) and not is_hidden(each.name)
    )
    usual = [each for each in found if each.name.casefold().startswith(_USUAL)]
    if len(found) == 1 or len(usual) == 1:
        return (usual or found)[0]
    if not found:
        raise DataError(
            f"--data {path}: no table of captions in it; put one there, such as captions.csv with "
            "the columns image and caption"
        )
    raise DataError(
        f"--data {path}: which table has the captions? there are "
        f"{shorten([each.name for each in found])}; give --data that table"
    )


@reusable(lambda table, form: (table, form))
def _read(table: Path, form: TableForm) -> _Told:
    """Return the captions of images: a column that names files, and one that tells them.

    Raises:
        DataError: no column names images, or none or several may be captions.
    """
    names = OpenTable(table, form).names
    if form.header is False:
        places = range(1, len(names) + 1)
        names = [str(place) for place in places]
        read = read_table(table, places, gaps=places, form=form)
    else:
        read = OpenTable(table, form).read(names, gaps=names)
    columns = dict(zip(names, read.columns, strict=True))
    finder = Finder(table.parent)
    image = _find_images(table, columns, finder)
    columns[image] = [_NUMBER.sub("", cell) for cell in columns[image]]
    caption = _find_captions(table, [name for name in names if name != image], columns)
    cells = dict.fromkeys(cell for cell in columns[image] if cell)
    files: dict[str, Any] = dict(zip(cells, finder.find([*cells]), strict=True))
    captions: dict[Path, list[str]] = {}
    skipped = list(read.skipped)
    for line, name, text in zip(read.lines, columns[image], columns[caption], strict=True):
        file = files.get(name, "no image is named")
        if isinstance(file, str):
            skipped.append((f"{table.name}:{line}", f"{name!r}: {file}"))
        elif not data.cut(text):
            skipped.append((f"{table.name}:{line}", f"{name!r}: the caption has no word"))
        else:
            captions.setdefault(file, []).append(text)
    notes = [f"images from column {image!r}, captions from {caption!r}", *read.notes]
    return _Told(captions, skipped, notes)


def _find_images(table: Path, columns: dict[str, list[str]], finder: Finder) -> str:
    for name, cells in columns.items():
        some = list(dict.fromkeys(_NUMBER.sub("", cell) for cell in cells if cell))[:_SAMPLE]
        found = sum(isinstance(each, Path) for each in finder.find(some))
        if found <= len(some) / 2:
            continue
        if isinstance(finder.find([_NUMBER.sub("", name)])[0], Path):
            raise DataError(
                f"{table}: its first row has an image already, {name!r}, and no names of columns; "
                "give --header no"
            )
        return name
    raise DataError(
        f"{table}: no column names images that lie in {table.parent}, or below it; its first row "
        f"is {shorten([*columns])}, which has to be the names of its columns, such as "
        "image,caption"
    )


def _find_captions(table: Path, names: Sequence[str], columns: dict[str, list[str]]) -> str:
    """Return the column of captions, by its name, or as the only one with several words."""
    known = [name for name in names if name.strip().casefold() in _CAPTIONS]
    told = [name for name in names if _median_words(columns[name]) > 1]
    found = known or told
    if len(found) != 1:
        what = f"may be {shorten(found)}" if found else f"are in none of {shorten(names)}"
        raise DataError(f"{table}: captions {what}; name one column caption")
    return found[0]


def _median_words(cells: Sequence[str]) -> int:
    counts = sorted(len(data.cut(cell)) for cell in cells)
    return counts[len(counts) // 2] if counts else 0


def _split(images: Tensor, names: Sequence[str], seed: int) -> dict[str, list[int]]:
    """Return the rows of images in each split; copies stay together."""
    groups = number_copies(ImageSet(images, torch.zeros(len(images)), tuple(names)))
    members = number_groups(groups)
    parts = split_rows(torch.zeros(int(members.max()) + 1, dtype=torch.int64), seed)
    return {
        name: torch.isin(members, part).nonzero()[:, 0].tolist()
        for name, part in zip(data.SPLITS, parts, strict=True)
    }


def _learn_words(captions: Sequence[str]) -> tuple[str, ...]:
    """Return the words of training captions, in alphabetical order; what is rare is one word.

    Raises:
        DataError: no word is in two captions.
    """
    counts = Counter(word for caption in captions for word in {*data.cut(caption)})
    often = sorted(counts, key=lambda word: (-counts[word], word))[:_MOST_WORDS]
    known = sorted(word for word in often if counts[word] >= _RARE)
    if not known:
        raise DataError("no two captions have a word in common, so that nothing can be learned")
    return (data.OTHER, *known)


def _pairs(
    images: Tensor,
    captions: Sequence[Sequence[str]],
    rows: Sequence[int],
    words: Sequence[str],
    *,
    every: bool,
) -> Pairs:
    """Return images with every caption, or with one that no other has."""
    if every:
        chosen = [(row, caption) for row in rows for caption in captions[row]]
    else:
        chosen, taken = [], set[tuple[str, ...]]()
        for row in rows:
            own = (each for each in captions[row] if tuple(data.cut(each)) not in taken)
            if (caption := next(own, None)) is not None:
                taken.add(tuple(data.cut(caption)))
                chosen.append((row, caption))
    size = len(chosen) * images[0].numel()
    if size > _MOST_BYTES:
        raise DataError(
            f"{len(chosen):,} pairs of {images.shape[-1]}x{images.shape[-1]} pixels take "
            f"{size / 2**30:.1f} GiB, of at most {_MOST_BYTES / 2**30:.0f}; give a smaller "
            "--image-size, or fewer captions"
        )
    told = [caption for _, caption in chosen]
    places = [row for row, _ in chosen]
    keys = number_groups(places, [tuple(data.cut(caption)) for caption in told])
    tokens = data.encode(told, words, strict=False)
    return Pairs(images[places], tokens, keys, (), told)


def _example(skipped: Sequence[tuple[str, str]]) -> str:
    return f"; left out was {skipped[0][0]}, {skipped[0][1]}" if skipped else ""
