"""The user's tables of image files and their labels."""

import contextlib
import math
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from common.errors import DataError
from common.images.files import Decoding
from common.images.listed import (
    Label,
    ListedFile,
    ListedImages,
    combinations,
    decode_listed,
    find_existing,
    join_problems,
    read_number,
    shorten,
    sizes_text,
)
from common.images.sets import FoundImages
from common.io.tables import read_table

_MOST_COMBINATIONS = 1000  # of the classes of several columns


def load_csv(
    path: Path | str,
    image_size: int,
    channels: int | None = None,
    path_column: str = "path",
    label_columns: Sequence[str] = ("label",),
    numeric: bool = False,
    decoding: Decoding = "auto",
    to_learn: bool = True,
) -> FoundImages:
    """Load the images that a table names, see `list_csv` and `decode_listed`."""
    listed = list_csv(path, path_column, label_columns, numeric, to_learn)
    return decode_listed(listed, image_size, channels, decoding, to_learn)


def list_csv(
    path: Path | str,
    path_column: str = "path",
    label_columns: Sequence[str] = ("label",),
    numeric: bool = False,
    to_learn: bool = True,
) -> ListedImages:
    """Find the images that a table names, one per row.

    Args:
        path: a CSV, TSV or JSONL (see `common.io.tables.read_table`) whose first row names the
            columns; image paths are relative to its folder.
        path_column: the column with the image's path.
        label_columns: the column with the class or the number; or several with classes, whose
            combinations are then the classes, see `FoundImages.labels`.
        numeric: labels are numbers to be predicted, not classes.
        to_learn: see `list_folder`.

    Raises:
        DataError: the file or a column is missing, rows lack a label or an image file, a number is
            not finite, or an image has two labels (all bad rows are counted at once). Of several
            columns, one has a single class, or there are more than 1,000 combinations.
    """
    table = find_existing(Path(path), Path.is_file, "CSV file")
    problems: dict[str, list[str]] = defaultdict(list)
    first: dict[Path, tuple[int, Label]] = {}
    files: list[ListedFile] = []
    skipped = []
    columns = [unicodedata.normalize("NFC", name) for name in (path_column, *label_columns)]
    several = columns[1:] if len(label_columns) > 1 else []
    rows = read_table(table, columns, gaps=columns)
    for place, reason in rows.skipped:
        problems[reason].append(f"line {place.rpartition(':')[2]}")
    for line, image, *texts in zip(rows.lines, *rows.columns, strict=True):
        file = _find_file(table.parent, image)
        label: Label = tuple(texts) if several else texts[0]
        for name in (name for name, text in zip(columns[1:], texts, strict=True) if not text):
            problems[f"no label in {name!r}" if several else "no label"].append(f"line {line}")
        if numeric and texts[0]:
            label = read_number(texts[0])
        if label is None:
            problems["a label that is not a finite number"].append(f"line {line} ({texts[0]})")
        if file is None:
            problems["no such image file"].append(f"line {line} ({image})")
        if file is None or label is None or not all(texts):
            continue
        earlier, before = first.setdefault(file.resolve(), (line, label))
        if before != label:
            problems["another label than before"].append(
                f"line {line} ({image}, see line {earlier})"
            )
        elif earlier != line:
            skipped.append((image, f"listed twice, in lines {earlier} and {line}"))
        else:
            files.append(ListedFile("all", image, file, label))
    if problems:
        listed = [f"{len(lines)} x {what}: {shorten(lines)}" for what, lines in problems.items()]
        summary = f"{table} has rows that cannot be used; correct or remove them"
        raise DataError(join_problems(summary, listed))
    labels = _columns_classes(table, files, several, to_learn) if several else {}
    return ListedImages(tuple(files), tuple(skipped), f"table {table.name}", labels)


def _columns_classes(
    table: Path, files: Sequence[ListedFile], columns: Sequence[str], to_learn: bool
) -> dict[str, tuple[str, ...]]:
    """Return the classes of each of several label columns."""
    rows = [file.label for file in files if isinstance(file.label, tuple)]
    found = {
        column: tuple(sorted({row[place] for row in rows})) for place, column in enumerate(columns)
    }
    problems = [
        f"column {column!r} has only one class, {names[0]!r}: leave it out"
        for column, names in found.items()
        if to_learn and len(names) == 1
    ]
    number = math.prod(map(len, found.values()))
    if number > _MOST_COMBINATIONS:
        problems.append(
            f"{sizes_text(found)} classes make {number:,} combinations, at most "
            f"{_MOST_COMBINATIONS:,} are learned: name fewer columns, or put rare labels together"
        )
    elif len(set(combinations(found))) < number:
        problems.append("two combinations would have one name: write labels without a slash")
    if problems:
        raise DataError(
            join_problems(f"{table} has label columns that cannot be learned", problems)
        )
    return found


def _find_file(folder: Path, text: str) -> Path | None:
    """Find the file that a table means, with slashes of either kind, in NFC here and NFD there."""
    slashed = text.replace("\\", "/")
    composed, decomposed = (unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))
    for spelling in (text, slashed, composed, decomposed):
        with contextlib.suppress(OSError, ValueError):  # too long for a name, or with a NUL inside
            if (folder / spelling).is_file():
                return folder / spelling
    return None
