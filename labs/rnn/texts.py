"""The texts with labels that a user has: a table, or a folder with a folder for each class."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from common.errors import DataError
from common.io.encodings import decode, decode_certain
from common.io.folders import (
    find_part,
    list_folders,
    list_visible,
    normalize_name,
    read_part,
    relative_name,
    walk,
)
from common.io.labels import Labels, read_labels
from common.io.parts import find_parts
from common.io.tables import AS_FOUND, TableForm, is_table, read_bytes, read_table
from common.reuse import reusable
from labs.rnn.columns import as_columns, join_texts, text_columns, words_of
from labs.rnn.published import ABOUT, UNLABELLED, is_about
from labs.rnn.stars import read_ratings

_SHOWN = 5  # files in a message
_FEWEST = 3  # texts of a class, one for each split
_POLARITIES = (".pos", ".neg")  # suffixes of files that are a class each
_OF_TEXTS = re.compile(r"\.txt|\.pos|\.neg|\.eml|\.\d+|\.[0-9a-f]{16,}", re.IGNORECASE)  # suffixes
_SEVERAL = re.compile(r"\s*[,;|]\s*")  # between labels of one text
_READ_FIRST = {"readme", "license", "licence"}  # in names of files about others
_MISSING_TEXTS = {"nan", "NaN", "<NA>"}  # which pandas writes in place of a text


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts with their classes or ratings."""

    texts: list[str]  # in NFC
    targets: Tensor  # int64 class numbers, or float32 ratings, of shape (N,)
    groups: list[Any] | None = None  # what each belongs to, such as a person; None is nothing

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def select(self, rows: Tensor) -> "Texts":
        """Return the given rows (int64), in that order."""
        texts = [self.texts[row] for row in rows.tolist()]
        groups = self.groups and [self.groups[row] for row in rows.tolist()]
        return Texts(texts, self.targets[rows], groups)


def joined(parts: Sequence[Texts]) -> Texts:
    """Return the parts of one set as one."""
    texts = [text for part in parts for text in part.texts]
    groups = [group for part in parts for group in part.groups or [None] * len(part)]
    targets = torch.cat([part.targets for part in parts])
    return Texts(texts, targets, groups if any(part.groups for part in parts) else None)


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a loader found."""

    parts: dict[str, Texts]
    """`{"all": ...}`, to be split; or `train` and those of `validation` and `test` there are."""
    classes: tuple[str, ...]  # the names of the classes; () of ratings
    source: str  # one line that says what this is
    removed: dict[str, int] = field(default_factory=dict)  # texts left out on purpose, by reason
    skipped: tuple[tuple[str, str], ...] = ()  # (place, reason) of each text that could not be used
    notes: tuple[str, ...] = ()  # sentences on how a user's file was read


@reusable(lambda *asked, **more: (asked, tuple(more.items())))
def read_corpus(
    path: Path,
    text_column: str = "text",
    label_column: str = "label",
    group_column: str | None = None,
    form: TableForm = AS_FOUND,
    to_learn: bool = True,
    split_column: str | None = None,
    numeric: bool = False,
) -> Corpus:
    """Read a table (see `common.io.tables.read_table`) with a text and a label in each row.

    Columns are named by the first row, or by their numbers from 1 on where that has data already.
    For labels see `read_labels`. To learn from it, there must be two classes and enough texts of
    each; else any will do.

    Args:
        path: the table.
        text_column: holds the texts, or several that are one text: `title + text`.
        label_column: holds the labels.
        group_column: holds what each text belongs to, such as a person; None for nothing.
        form: what is known of how it is written.
        to_learn: whether it is to be learned from.
        split_column: says which part each text is for, where it is to be learned from; None where
            they are to be split.
        numeric: whether labels are ratings, see `read_ratings`, not classes.

    Raises:
        DataError: the table cannot be read, no text is for train, its labels are fractions, there
            is only one class, or a class has too few texts to be split; or its ratings cannot be
            read, or are all the same.
    """
    split_column = split_column if to_learn else None
    more = [name for name in (group_column, split_column) if name]
    named = text_columns(text_column)
    columns = as_columns([*named, label_column, *more])
    several = columns[: len(named)] if len(named) > 1 else []
    table = read_table(path, columns, gaps=[*several, *columns[len(named) + 1 :]], form=form)
    texts = [*map(join_texts, zip(*table.columns[: len(named)], strict=True))]
    cells, *rest = table.columns[len(named) :]
    places = [f"{path.name}:{line}" for line in table.lines]
    if numeric:
        found = _as_ratings(cells, f"{path}, column {label_column!r}")
    else:
        found = _as_classes(cells, [f"{path}:{line}" for line in table.lines])
    told = [read_part(cell) for cell in rest[-1]] if split_column else ["all"] * len(table)
    skipped = list(table.skipped)
    rows, labels = [], []
    for row, (text, label) in enumerate(zip(texts, found.values, strict=True)):
        if not text:
            skipped.append((places[row], f"{' and '.join(map(repr, named))} are empty"))
        elif text in _MISSING_TEXTS:
            skipped.append((places[row], f"the text is {text!r}, a missing value"))
        elif label is None:
            skipped.append((places[row], found.reasons[row]))
        elif told[row] is None:
            written = rest[-1][row]
            skipped.append((places[row], f"{written!r} in {split_column!r} is no part of a split"))
        else:
            rows.append(row)
            labels.append(label)
    if to_learn and not numeric:
        rows, labels, rare = _without_rare(rows, labels)
        skipped += [(places[row], reason) for row, reason in rare]
    classes = tuple(sorted(set(labels), key=found.order))
    if len(classes) < (2 if to_learn else 1):
        raise _too_few(path, classes, f"its column {label_column!r}", skipped)
    kinds = f"in {len(classes)} classes"
    if numeric:
        kinds, classes = describe_ratings(classes), ()
        targets = torch.tensor(labels, dtype=torch.float32)
    else:
        numbers = {label: number for number, label in enumerate(classes)}
        targets = torch.tensor([numbers[label] for label in labels])
    groups = [rest[0][row] or None for row in rows] if group_column else None
    left_out = f", {len(skipped):,} left out" if skipped else ""
    of_groups = f" and {len(set(groups) - {None}):,} groups" if groups else ""
    whole = Texts([texts[row] for row in rows], targets, groups)
    parts = {"all": whole}
    if split_column:
        found_parts = [told[row] for row in rows]
        parts = {
            name: whole.select(torch.tensor([part == name for part in found_parts]).nonzero()[:, 0])
            for name in ("train", "validation", "test")
            if name in found_parts
        }
        if "train" not in parts:
            raise DataError(f"--split-column {split_column}: no row of {path} is for train")
    return Corpus(
        parts,
        classes,
        f"table {path.name}: {len(labels):,} texts {kinds}{of_groups}{left_out}",
        skipped=tuple(skipped),
        notes=(*table.notes, *found.notes),
    )


class _Told(NamedTuple):
    """The labels of a table."""

    values: Sequence[Any]  # of each row; None where there is none
    reasons: dict[int, str]  # why not, by the row
    notes: list[str]  # sentences on what was not certain
    order: Callable[[Any], Any]  # by which they are sorted


def _as_classes(cells: Sequence[str], places: Sequence[str]) -> _Told:
    """Read labels as classes."""
    found = read_labels(cells)
    _refuse_fractions(found, cells, places)
    reasons = {
        row: f"the label is {cells[row]!r}, a missing value"
        for row, name in enumerate(found.names)
        if name is None
    }
    unlabelled = [name and name.casefold() in UNLABELLED for name in found.names]
    reasons |= {
        row: f"its label is {cells[row]!r}: none" for row, no in enumerate(unlabelled) if no
    }
    several = _find_several(found.names)
    reasons |= {row: f"it has several labels: {', '.join(all_)}" for row, all_ in several.items()}
    names = [None if row in reasons else name for row, name in enumerate(found.names)]
    numeric = found.numeric or all(name is None or name.isdecimal() for name in names)
    return _Told(names, reasons, found.notes, int if numeric else str)


def _find_several(names: Sequence[str | None]) -> dict[int, list[str]]:
    """Return the rows whose labels are several that others have alone, such as `3,10`."""
    alone = {name for name in names if name is not None and not _SEVERAL.search(name)}
    cut = {row: _SEVERAL.split(name) for row, name in enumerate(names) if name is not None}
    found = {row: each for row, each in cut.items() if len(each) > 1 and alone.issuperset(each)}
    halves = all(len(each) == 2 and each[1] == "5" for each in found.values())
    return {} if halves else found  # 3,5 and 4,5 are stars with a decimal comma


def _as_ratings(cells: Sequence[str], where: str) -> _Told:
    """Read labels as ratings."""
    found = read_ratings(cells, where)
    return _Told(found.values, found.reasons, found.notes, float)


def describe_ratings(values: Sequence[float]) -> str:
    """Say from where to where ratings go, and how many different ones there are."""
    return f"rated {min(values):g} to {max(values):g} ({len(set(values)):,} different ratings)"


def _without_rare(
    rows: Sequence[Any], labels: Sequence[str]
) -> tuple[list[Any], list[str], list[tuple[Any, str]]]:
    """Leave out the classes with too few texts to be split.

    Returns:
        The rows and labels that stay, and the rows that do not, with the reason.
    """
    counts = Counter(labels)
    enough = [place for place, label in enumerate(labels) if counts[label] >= _FEWEST]
    rare = [
        (rows[place], f"of its class {label!r} there are only {counts[label]}; 3 can be split")
        for place, label in enumerate(labels)
        if counts[label] < _FEWEST
    ]
    return [rows[place] for place in enough], [labels[place] for place in enough], rare


def _too_few(
    path: Path, classes: Sequence[Any], where: str, skipped: Sequence[tuple[str, str]]
) -> DataError:
    listed = "".join(f"\n  {place}: {reason}" for place, reason in skipped[:5])
    left_out = f"; {len(skipped):,} texts were left out{listed}" if skipped else ""
    if not classes:
        return DataError(f"{path} has no text with a label{left_out}")
    if isinstance(classes[0], float):
        return DataError(
            f"{path} has only one rating, {classes[0]:g}, in {where}: nothing can be learned from "
            f"it{left_out}"
        )
    return DataError(
        f"{path} has only one class, {classes[0]!r}, in {where}; a classifier needs two{left_out}"
    )


def _refuse_fractions(found: Labels, labels: Sequence[str], places: Sequence[str]) -> None:
    for label, place in zip(labels, places, strict=True):
        if label in found.fractions:
            raise DataError(
                f"{place}: the label {label} is a fraction; sentiment learns classes: give "
                "--target number to learn numbers, or write names or whole numbers, such as 0 up "
                "to a threshold and 1 above it"
            )


# --- folders --------------------------------------------------------------------------------------


@reusable(lambda *asked, **more: (asked, tuple(more.items())))
def read_folder(
    root: Path, form: TableForm = AS_FOUND, to_learn: bool = True, called: Path | None = None
) -> Corpus:
    """Read a folder with a folder of .txt files for each class, perhaps under train/ and test/.

    Files without a suffix, or with a number in its place, are texts, too, as mails are kept.

    Or with a file for each class, such as pos.txt and neg.txt, in which each line is a text.
    Folders called unsup, as in the IMDb reviews, have no labels. To learn from it, there must be
    two classes; those with too few texts are left out.

    Args:
        root: the folder.
        form: what is known of how texts are written.
        to_learn: whether they are to be learned from.
        called: what it is called by its user, if it was unpacked from an archive.

    Raises:
        DataError: there are no such folders, test has a class that train lacks, or the encoding of
            the files is not certain.
    """
    called = called or root
    inside = list_folders(root)
    lists = _class_lists(inside[0]) if len(inside) == 1 else {}
    if lists and {path.suffix.lower() for path in lists} == {*_POLARITIES}:
        root = inside[0]
    places = find_parts(root, to_learn, _may_be_text)
    if places.problems:
        raise DataError(f"{root}: {'; '.join(places.problems)}")
    parts = places.parts
    files = {name: _class_files(folder) for name, folder in parts.items()}
    listed = {} if any(files.values()) else {n: _class_lists(folder) for n, folder in parts.items()}
    files = listed if any(listed.values()) else files
    paths = [path for part in files.values() for path in part]
    if not paths:
        raise DataError(
            f"{root}: expected folders of .txt files, one for each class, such as pos/1.txt, or a "
            "file for each class, such as pos.txt, with a text in each line"
        )
    texts, skipped, notes = _read_files(root, paths, form, called)
    tables = [relative_name(each, root) for each in paths if is_table(each) and each not in texts]
    if not texts and tables:
        raise DataError(
            f"{root}: has tables and no texts: name one of them with --data, such as "
            f"{', '.join(tables[:_SHOWN])}"
        )
    skipped += [*_unlabelled(root, parts.values()), *places.left_out]
    if listed:
        notes.append(f"each file in {called.name} is a class, and each of its lines a text")
        texts, files = _split_lines(texts, files)
    found = {
        name: [(path, label) for path, label in part.items() if path in texts]
        for name, part in files.items()
    }
    if found.get("all") and to_learn:
        rows, labels, rare = _without_rare(*map(list, zip(*found["all"], strict=True)))
        skipped += [(relative_name(path, root), reason) for path, reason in rare]
        found["all"] = list(zip(rows, labels, strict=True))
    whole = found.get("all", found.get("train", [])) if to_learn else sum(found.values(), [])
    classes = tuple(sorted({label for _, label in whole}))
    if len(classes) < (2 if to_learn else 1):
        raise _too_few(root, classes, "its folders", skipped)
    parted = {}
    for name, part in found.items():
        if more := sorted({label for _, label in part} - set(classes)):
            raise DataError(f"{root}: {name} has classes that train lacks: {', '.join(more)}")
        targets = torch.tensor([classes.index(label) for _, label in part], dtype=torch.int64)
        parted[name] = Texts([texts[path] for path, _ in part], targets)
    total = sum(map(len, parted.values()))
    source = f"folder {called.name}{places.said}: {total:,} texts in {len(classes)} classes"
    source += f", {len(skipped):,} left out" if skipped else ""
    return Corpus(parted, classes, source, skipped=tuple(skipped), notes=tuple(notes))


def _may_be_text(path: Path) -> bool:
    """Say whether a file may be one of texts, and not one about them."""
    suffixed = not path.suffix or _OF_TEXTS.fullmatch(path.suffix)
    words = words_of(path.stem)
    return bool(suffixed) and not (words & _READ_FIRST or path.stem.casefold() in ABOUT)


def _class_files(root: Path) -> dict[Path, str]:
    """Return the files in the class folders of a folder, each with its class."""
    return {
        path: normalize_name(folder.name)
        for folder in list_folders(root)
        if folder.name.casefold() not in UNLABELLED
        for path in walk(folder)
        if path.is_file()
    }


def _unlabelled(root: Path, folders: Iterable[Path]) -> list[tuple[str, str]]:
    return [
        (relative_name(folder, root), "it has no labels, as its name says")
        for part in folders
        for folder in list_folders(part)
        if folder.name.casefold() in UNLABELLED
    ]


def _class_lists(root: Path) -> dict[Path, str]:
    """Return the files of a folder that are a class each, with its name; {} where they are none.

    The name is that of the file, or in rt-polarity.pos its suffix.
    """
    found = {}
    for path in list_visible(root):
        stem, suffix = path.stem, path.suffix.lower()
        if is_about(stem):
            continue
        if suffix in _POLARITIES:
            found[path] = suffix[1:]
        elif suffix == ".txt" and find_part(stem) is None:
            found[path] = normalize_name(stem)
    return found if len(set(found.values())) == len(found) > 1 else {}


def _split_lines(
    texts: dict[Path, str], files: dict[str, dict[Path, str]]
) -> tuple[dict[Path, str], dict[str, dict[Path, str]]]:
    """Return each line that is no empty one as a file of its own: FILE/NUMBER, from 1 on."""
    lines = {
        path / str(number): line.strip()
        for path, text in texts.items()
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    }
    return lines, {
        part: {path: inside[path.parent] for path in lines if path.parent in inside}
        for part, inside in files.items()
    }


def _read_files(
    root: Path, paths: Sequence[Path], form: TableForm, called: Path
) -> tuple[dict[Path, str], list[tuple[str, str]], list[str]]:
    """Read files of texts, those that are not UTF-8 in an encoding that suits all of them.

    Returns:
        The texts, the files that are left out with the reasons, and notes on the encoding.
    """
    skipped = []
    data = {}
    for path in paths:
        if path.suffix and not _OF_TEXTS.fullmatch(path.suffix):
            skipped.append((relative_name(path, root), "it is no .txt"))
        elif not path.suffix and is_about(path.name):
            skipped.append((relative_name(path, root), "it is about the others, as its name says"))
        elif b"\0" in (found := read_bytes(path)) and path.suffix.lower() != ".txt":
            skipped.append((relative_name(path, root), "it is no text"))
        else:
            data[path] = found
    certain = {} if form.encoding else {p: decode_certain(d, p) for p, d in data.items()}
    unsure = {path: data[path] for path, found in certain.items() if found is None}
    together = decode(b"\n".join(unsure.values()), called) if unsure else None
    texts, notes = {}, []
    for path, each in data.items():
        guessed = together.encoding if together and path in unsure else None
        decoded = certain.get(path) or decode(each, path, form.encoding or guessed)
        if decoded.doubtful and (note := decoded.note(path)):
            notes.append(note)
        if text := unicodedata.normalize("NFC", decoded.text).strip():
            texts[path] = text
        else:
            skipped.append((relative_name(path, root), "it is empty"))
    if together and (note := together.note(called)):
        of_all = f" ({len(unsure):,} of its {len(data):,} texts, which are not in UTF-8)"
        notes.append(note + of_all * (len(unsure) < len(data)))
    if len(notes) > 1:
        notes = [notes[0], f"so are {len(notes) - 1:,} more of its texts"]
    return texts, skipped, notes
