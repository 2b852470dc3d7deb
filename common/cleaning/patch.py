"""A patch: a table of labels that are put right, or samples that are dropped, when one trains.

It has a row for each sample: `sample` (a name or a text), `given` (the label it has), `label` (the
one it is to have), `action` (relabel, drop, or keep where somebody has seen that it is right), and
perhaps `fingerprint`, by which a file is known that was changed since. The data stay as they are:
only the rows of the training split change, and only in memory.
"""

import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from common import seeding
from common.errors import DataError
from common.files import write_text
from common.io.tables import read_names, read_table
from common.options.config import PLACEBO
from common.runs.commands import separated
from common.suggest import suggest

KEEP, RELABEL, DROP = ACTIONS = ("keep", "relabel", "drop")
_NEEDED = ("sample", "given", "label", "action")
_FINGERPRINT = "fingerprint"
_BOM = "\ufeff"  # by which Excel knows that a CSV is UTF-8


class Change(NamedTuple):
    """A row of a patch."""

    sample: str  # its name, or the text itself
    given: str
    label: str
    action: str  # of `ACTIONS`
    fingerprint: str = ""  # of its content; "" where there is none to compare
    line: int = 0  # of the file

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by: several samples may be the same text, and not all labelled alike."""
        return clean(self.sample), self.given


class Samples(NamedTuple):
    """The samples of one split."""

    names: Sequence[str]  # (N,) or the texts themselves
    targets: Tensor  # (N,) int64 classes


class Patched(NamedTuple):
    """What becomes of a training split."""

    rows: Tensor  # (n,) int64, those that stay
    targets: Tensor  # (n,) int64 classes of those
    said: str  # how many were changed, for the card


def clean(sample: str) -> str:
    """Return a sample as the cell of a table has it; systems change accents."""
    return unicodedata.normalize("NFC", sample).strip()


def normalize(sample: str) -> str:
    """Return a sample without what spreadsheets change: how much white space it has."""
    return " ".join(clean(sample).split())


def fingerprint(content: bytes) -> str:
    """Return what a sample's content is known by; no spreadsheet takes it for a number."""
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def write_patch(path: Path, changes: Sequence[Change]) -> None:
    """Write a patch as CSV, which Excel opens as well.

    Raises:
        SaveError: it cannot be written.
    """
    records = [{name: getattr(each, name) for name in (*_NEEDED, _FINGERPRINT)} for each in changes]
    write_text(path, _BOM + separated(records, ","))


def read_patch(path: Path) -> list[Change]:
    """Read a patch, of whichever kind of table; see `common.io.tables.read_table`.

    Raises:
        DataError: it cannot be read, lacks a column, has a row that says nothing that can be done,
            or two rows for one sample.
    """
    try:
        has_prints = _FINGERPRINT in read_names(path)
        columns = [*_NEEDED, *([_FINGERPRINT] if has_prints else [])]
        table = read_table(path, columns, gaps=("label", _FINGERPRINT))
    except DataError as error:
        raise DataError(f"--patch: {error}") from error
    if table.skipped:
        place, reason = table.skipped[0]
        raise DataError(f"--patch {path}: {place}: {reason}; put it right, or take the row out")
    prints = table.columns[len(_NEEDED)] if has_prints else [""] * len(table)
    changes = list(map(Change, *table.columns[: len(_NEEDED)], prints, table.lines))
    first: dict[tuple[str, str], int] = {}
    for change in changes:
        if problem := _find_problem(change):
            raise _refuse(path, change, problem)
        if first.setdefault(change.key, change.line) != change.line:
            raise _refuse(path, change, f"stands in line {first[change.key]} as well; keep one")
    return changes


def apply_patch(
    spec: str,
    splits: Mapping[str, Samples],
    classes: Sequence[str],
    read_fingerprint: Callable[[str], str] | None = None,
    *,
    all_rows: bool = False,
    partial: bool = False,
    seed: int = 0,
) -> Patched:
    """Return the training split as a patch has it; no other split is changed.

    Args:
        spec: the file; behind `placebo:`, as many rows are changed in the same way, drawn at
            random among those of the same labels.
        splits: all samples there are, by the split; `train` is changed.
        classes: their names.
        read_fingerprint: returns what the content of a sample has, by its name as its split has it;
            None where the name is the content.
        all_rows: whether `train` has the samples of the other splits, too.
        partial: whether there are samples beside those of the splits, as with --limit.
        seed: of the placebo.

    Raises:
        DataError: the patch cannot be read, or is for other data: it has a sample that is not
            there, with another label or other content, or a class that there is none of; or a class
            would have no sample left.
    """
    path = Path(spec.removeprefix(PLACEBO)).expanduser()
    changes = read_patch(path)
    if all_rows:
        splits = {"train": splits["train"]}
    places = _find_places(changes, splits, classes)
    _check(path, changes, places, splits, classes, partial)
    if read_fingerprint is not None:
        _check_content(path, changes, places, splits["train"].names, read_fingerprint)
    targets = splits["train"].targets.clone()
    rows, wanted, left = [], [], 0
    for change, found in zip(changes, places, strict=True):
        if change.action == KEEP:
            continue
        mine = found.get("train", [])
        left += sum(map(len, found.values())) - len(mine)
        rows += mine
        wanted += [classes.index(change.label) if change.action == RELABEL else -1] * len(mine)
    changed, labels = torch.tensor(rows, dtype=torch.int64), torch.tensor(wanted)
    if spec.startswith(PLACEBO):
        changed = _draw_placebo(targets, changed, seed)
    before = torch.unique(targets)
    targets[changed] = labels.to(targets)
    stay = (targets >= 0).nonzero().flatten()
    if lost := [classes[each] for each in before.tolist() if not (targets == each).any()]:
        raise DataError(f"--patch {path}: leaves no training sample of class {lost[0]!r}")
    dropped = int((labels < 0).sum())
    said = (
        f"{'a placebo of ' if spec.startswith(PLACEBO) else ''}patch {path.name} "
        f"({len(rows) - dropped:,} training samples relabelled and {dropped:,} dropped; "
        f"{left:,} of validation and test left as they are)"
    )
    return Patched(stay, targets[stay], said)


def _find_problem(change: Change) -> str | None:
    """Say what is wrong with a row by itself."""
    if change.action not in ACTIONS:
        near = suggest(change.action, ACTIONS)
        return f"action {change.action!r}: expected one of {', '.join(ACTIONS)}{near}"
    if change.action == RELABEL and not change.label:
        return "a label is missing; relabel needs one"
    if change.action == RELABEL and change.label == change.given:
        return f"is to be relabelled, and has its label {change.given!r} already; say keep"
    if change.action == KEEP and change.label not in ("", change.given):
        return f"keeps its label {change.given!r}, and has another, {change.label!r}; say relabel"
    return None


def _refuse(path: Path, change: Change, problem: str) -> DataError:
    shown = change.sample if len(change.sample) <= 60 else f"{change.sample[:59]}…"
    return DataError(f"--patch {path}, line {change.line}, {shown!r}: {problem}")


_Places = Sequence[Mapping[str, list[int]]]  # of each change, the rows by their split


def _find_places(
    changes: Sequence[Change], splits: Mapping[str, Samples], classes: Sequence[str]
) -> _Places:
    """Return the rows of each change: those of its name; if there are none, but for white space."""
    exact: dict[tuple[str, str], dict[str, list[int]]] = {}
    squeezed: dict[tuple[str, str], dict[str, list[int]]] = {}
    known = {clean(sample) for samples, _ in splits.values() for sample in samples}
    places = [
        exact.setdefault(change.key, {})
        if clean(change.sample) in known
        else squeezed.setdefault((normalize(change.sample), change.given), {})
        for change in changes
    ]
    for name, (samples, targets) in splits.items():
        for row, (sample, target) in enumerate(zip(samples, targets.tolist(), strict=True)):
            label = classes[target]
            for found in (
                exact.get((clean(sample), label)),
                squeezed.get((normalize(sample), label)),
            ):
                if found is not None:
                    found.setdefault(name, []).append(row)
    return places


def _check(
    path: Path,
    changes: Sequence[Change],
    places: _Places,
    splits: Mapping[str, Samples],
    classes: Sequence[str],
    partial: bool,
) -> None:
    """Refuse a patch for other data."""
    for change in changes:
        for named in filter(None, (change.given, change.label)):
            if named not in classes:
                near = suggest(named, classes)
                raise _refuse(path, change, f"the data have no class {named!r}{near}")
    first: dict[tuple[str, int], int] = {}
    for change, found in zip(changes, places, strict=True):
        for place in ((name, row) for name, rows in found.items() for row in rows):
            if (line := first.setdefault(place, change.line)) != change.line:
                raise _refuse(path, change, f"stands in line {line} as well; keep one")
    missing = [change for change, found in zip(changes, places, strict=True) if not found]
    if not missing:
        return
    given = {
        called(sample): classes[target]
        for called in (normalize, clean)  # the name itself goes over one but for white space
        for samples, targets in splits.values()
        for sample, target in zip(samples, targets.tolist(), strict=True)
    }
    for change in missing:
        label = given.get(clean(change.sample), given.get(normalize(change.sample)))
        if label is not None:
            raise _refuse(
                path, change, f"is labelled {label!r} in these data, not {change.given!r}"
            )
    if not partial:
        raise _refuse(path, missing[0], "these data have no such sample; the patch is for others")
    if len(missing) == len(changes):
        raise _refuse(path, missing[0], "neither it nor any other row is among the samples in use")


def _check_content(
    path: Path,
    changes: Sequence[Change],
    places: _Places,
    names: Sequence[str],
    read_fingerprint: Callable[[str], str],
) -> None:
    """Refuse a patch of which a training sample could be another one than was meant.

    The names of samples whose content is elsewhere tell them apart, also by white space.
    """
    for change, found in zip(changes, places, strict=True):
        mine = sorted({names[row] for row in found.get("train", [])})
        if change.action == KEEP or not mine:
            continue
        if len(mine) > 1:
            listed = " or ".join(map(repr, mine))
            raise _refuse(path, change, f"could be {listed}; write the name of the one")
        if change.fingerprint and change.fingerprint != read_fingerprint(mine[0]):
            raise _refuse(path, change, "its content has changed since the patch was made")


def _draw_placebo(targets: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Return rows, (n,), in place of those to be changed: at random, each of the same label."""
    generator = seeding.generator(seed, seeding.SAMPLE)
    drawn = rows.clone()
    for label in torch.unique(targets[rows]):
        mine = (targets[rows] == label).nonzero().flatten()
        pool = (targets == label).nonzero().flatten()
        order = torch.randperm(len(pool), generator=generator)
        drawn[mine] = pool[order[: len(mine)]]
    return drawn
