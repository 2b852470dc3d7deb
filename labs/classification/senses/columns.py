"""What the columns beside images are, and their cells as numbers.

What a column is, its cells tell, unless somebody says it. Means, deviations, categories and pieces
of texts are those of the training split alone. They are kept with the run, so that a new table is
read as the first was.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import DataError
from common.images.sets import ImageSet
from common.io import numbers
from common.metrics.metrics import Array
from labs.classification.models import fusion
from labs.classification.senses import pieces

NUMBER, CATEGORY, TEXT = "number", "category", "text"
_MISSING = {"", "nan", "n/a", "<na>", "null", "nat", "결측", "결측치"}  # of what is no number
_DATE = re.compile(
    r"(\d{4}[-./년]\s?\d{1,2}[-./월]\s?\d{1,2}일?|\d{1,2}[-./]\d{1,2}[-./]\d{4})"
    r"([ T]\d{1,2}:\d{2}.*)?"
)
_UNIT = re.compile(r"[-+]?[\d.,]*\d\s?([^\W\d]{1,4})")
_LEADING = re.compile(r"0\d+")  # of codes, which are no numbers
_MOST = 0.9  # share of cells that shows what a column is
_ENOUGH = 20  # cells, so that it is no chance that all are different
_ROWS = 5  # rows that each category has, so that it is one and no text
_FEW = 20  # different cells that are always categories
_FREQUENT = 2000  # categories that are known at most
_LEAST = 2  # rows of a category, without which nothing can be learned of it
_SHOWN = 40  # letters of a cell in a message
_LINE = 0.99999  # correlation of what is the answer times a number
_FARTHEST = 20.0  # deviations from the mean: what lies farther out is taken to lie there


@dataclass(frozen=True)
class Column:
    """A column, and what is known of it from training."""

    name: str
    kind: str  # number, category or text
    said: str  # what was read, for a person
    decimal: str = "point"  # or comma, in numbers
    percent: bool | None = None  # whether numbers were written with %; None of older runs
    mean: float = 0.0
    std: float = 1.0
    known: tuple[str, ...] = ()  # categories, or pieces of texts
    size: int = 1  # numbers that a cell becomes
    doubt: str = ""  # why it may be worth less than it seems

    def encoder(self) -> nn.Module:
        """Return what makes a vector of its numbers."""
        if self.kind == NUMBER:
            return fusion.Number()
        return {CATEGORY: fusion.Category, TEXT: fusion.Text}[self.kind](len(self.known))

    def is_missing(self, cell: str) -> bool:
        """Say whether a cell says nothing."""
        return _is_missing(cell, self.kind)

    def values(self, cells: Sequence[str]) -> Array:
        """Return the numbers of cells, (N,), NaN where one is missing or none.

        Where training had 12 %, 0.12 is no such number: it may be 12 % or 0.12 %.
        """
        found = [
            numbers.read_cell(cell, self.decimal)
            if self.percent in (None, numbers.is_percent(cell))
            else None
            for cell in cells
        ]
        return np.array([np.nan if value is None else value for value in found], np.float64)

    def encode(self, cells: Sequence[str]) -> Tensor:
        """Return cells as the network takes them, (N, 1 + size): whether one is there, and what.

        A category that training had not, and a text without a piece that it had, are missing, too:
        nothing was learned of them, and of what is missing something was.
        """
        if self.kind == NUMBER:
            values = (self.values(cells) - self.mean) / self.std
            there = np.isfinite(values)
            values = np.where(there, values.clip(-_FARTHEST, _FARTHEST), 0)
            return torch.from_numpy(np.stack([there, values], 1).astype(np.float32))
        if self.kind == CATEGORY:
            places = {name: place for place, name in enumerate(self.known)}
            found = [[name in places, places.get(name, 0)] for name in cells]
            return torch.tensor(found, dtype=torch.float32).reshape(len(cells), 2)
        places = {piece: place for place, piece in enumerate(self.known, 1)}
        rows = torch.tensor([pieces.number(cell, places, self.size) for cell in cells])
        rows = rows.reshape(len(cells), self.size).float()
        return torch.cat([(rows[:, :1] > 0).float(), rows], 1)

    def describe_unknown(self, cells: Mapping[str, Sequence[str]]) -> str:
        """Say of which cells of rows nothing can be made; "" where there are none."""
        there = [cell for cell in cells.get(self.name, ()) if not self.is_missing(cell)]
        if not there:
            return f"{self.name} is missing in all rows; the network answers without it"
        known = self.encode(there)[:, 0] > 0
        unknown = [
            cell for cell, is_known in zip(there, known.tolist(), strict=True) if not is_known
        ]
        if not unknown:
            return ""
        as_known = f"no numbers{'' if self.percent is None else self._say_percent()}"
        what = {NUMBER: as_known, CATEGORY: "no categories of the training"}
        said = what.get(self.kind, "texts without a word or piece of the training")
        cell = unknown[0] if len(unknown[0]) < _SHOWN else f"{unknown[0][:_SHOWN]}..."
        return f"{self.name}: {len(unknown):,} cells such as {cell!r} are {said}: taken as missing"

    def _say_percent(self) -> str:
        return " with %, as the training's are" if self.percent else " without %, as the training's"


def from_card(columns: Mapping[str, Mapping[str, Any]]) -> list[Column]:
    """Return columns as a card keeps them."""
    return [Column(**values) for values in columns.values()]


def encode(columns: Sequence[Column], cells: Mapping[str, Sequence[str]], rows: int) -> Tensor:
    """Return the cells of rows side by side, (rows, D); columns that are not there are missing."""
    absent = [""] * rows
    return torch.cat([each.encode(cells.get(each.name, absent)) for each in columns], 1)


def read(
    kinds: Mapping[str, str | None], splits: Mapping[str, ImageSet], classes: Sequence[str]
) -> list[Column]:
    """Return what columns are.

    Args:
        kinds: number, category or text by the column's name; None for what its cells tell.
        splits: the rows; what is learned of a column comes from `train` alone.
        classes: the names of those that are to be told, by their numbers; () where there are none.

    Raises:
        DataError: a column says nothing, says too much, or cannot be read.
    """
    return [_read(name, kind, splits, classes) for name, kind in kinds.items()]


def _read(
    name: str, given: str | None, splits: Mapping[str, ImageSet], classes: Sequence[str]
) -> Column:
    every = [cell for split in splits.values() for cell in split.cells.get(name, ())]
    kind = given or _find_kind(name, every)
    there = [cell for cell in every if not _is_missing(cell, kind)]
    if len(set(there)) < 2:
        what = f"holds {there[0]!r} alone" if there else "is empty"
        raise DataError(f"--with {name}: this column {what}, which tells nothing; leave it out")
    train = splits["train"]
    cells = list(train.cells[name])
    if given is None:
        _refuse_ids(name, kind, there)
        _refuse_answers(name, cells, train.targets, classes)
    column = _learn(name, kind, every, cells)
    absent = sum(column.is_missing(cell) for cell in every)
    said = f"{column.said}, {absent:,} of {len(every):,} cells missing" if absent else column.said
    return dataclasses.replace(column, said=said, doubt=_find_doubt(column, cells, train, classes))


def _is_missing(cell: str, kind: str) -> bool:
    return numbers.is_missing(cell) if kind == NUMBER else cell.casefold() in _MISSING


# What it is


def _find_kind(name: str, cells: Sequence[str]) -> str:
    """Return what cells show a column to be.

    Raises:
        DataError: it is something that is none of the three.
    """
    there = [cell for cell in cells if cell.casefold() not in _MISSING]
    written = f"--with {name}: this column holds"
    if not there:
        return CATEGORY
    dates = [cell for cell in there if _DATE.fullmatch(cell)]
    if len(dates) >= _MOST * len(there):
        raise DataError(
            f"{written} dates such as {dates[0]}; make numbers of them, such as a year or days, or "
            f"say {name}:{CATEGORY}"
        )
    told = [cell for cell in there if not numbers.is_missing(cell)] or there
    wrong = [cell for cell in told if not numbers.is_number(cell)]
    codes = any(_LEADING.fullmatch(cell) for cell in there)
    if not wrong and not codes:
        return NUMBER
    if wrong and len(wrong) <= (1 - _MOST) * len(told) and not codes:
        raise DataError(
            f"{written} numbers, but for {len(wrong):,} cells such as {wrong[0]!r}; mend them, "
            f"leave them empty, or say {name}:{CATEGORY} or {name}:{TEXT}"
        )
    units = [match[1] for match in map(_UNIT.fullmatch, there) if match]
    if len(units) == len(there) and len(set(units)) == 1:
        raise DataError(
            f"{written} numbers with a unit, such as {there[0]!r}; write plain numbers, or say "
            f"{name}:{CATEGORY}"
        )
    different = len(set(there))
    return CATEGORY if different <= max(_FEW, len(there) // _ROWS) else TEXT


def _refuse_ids(name: str, kind: str, cells: Sequence[str]) -> None:
    """Refuse what merely numbers the rows: a network would learn them by heart.

    Raises:
        DataError: it does.
    """
    if len(cells) < _ENOUGH or len(set(cells)) < len(cells):
        return
    numbered = False
    if kind == NUMBER and all(cell.isdecimal() for cell in cells):
        values = [int(cell) for cell in cells]
        numbered = max(values) - min(values) < 2 * len(values)
    if kind == TEXT:
        numbered = all(re.search(r"\d", cell) and not re.search(r"\s", cell) for cell in cells)
    if numbered:
        raise DataError(
            f"--with {name}: each row of this column has another number or name, such as "
            f"{cells[0]!r}, as an id has; leave it out, or say {name}:{kind}"
        )


def _refuse_answers(
    name: str, cells: Sequence[str], targets: Tensor, classes: Sequence[str]
) -> None:
    """Refuse a column that is the answer in other words.

    Raises:
        DataError: it is.
    """
    tells = f"--with {name}: this column gives the answer away"
    leave = f"leave it out, or say {name}:{CATEGORY} or another kind if it is known beforehand"
    if targets.ndim > 1:
        return
    if not classes:
        values = [numbers.read_cell(cell, "point") for cell in cells]
        if None not in values and np.allclose(np.array(values, float), targets.numpy(), rtol=1e-6):
            raise DataError(f"{tells}: its numbers are those to be predicted; {leave}")
        return
    pairs = {*zip(cells, targets.tolist(), strict=True)}
    if len(pairs) == len({cell for cell, _ in pairs}) == len({target for _, target in pairs}):
        cell, target = sorted(pairs)[0]
        raise DataError(
            f"{tells}: each class has its own cell, as {classes[target]!r} has {cell!r}; {leave}"
        )


def _follows(values: Array, train: ImageSet) -> bool:
    """Say whether numbers (N,) lie on a line with the training's targets."""
    there = np.isfinite(values)
    if there.sum() < _ENOUGH:
        return False
    pair = np.stack([values[there], train.targets.numpy()[there].astype(np.float64)])
    return bool(pair.std(1).all() and abs(np.corrcoef(pair)[0, 1]) > _LINE)


# What is learned of it


def _learn(name: str, kind: str, every: Sequence[str], train: Sequence[str]) -> Column:
    """Return a column with what its training cells say of it.

    Raises:
        DataError: they cannot be read as that.
    """
    if kind == NUMBER:
        return _learn_number(name, every, train)
    told = [cell for cell in train if not _is_missing(cell, kind)]
    if kind == CATEGORY:
        counts = Counter(told)
        often = sorted(counts, key=lambda cell: (-counts[cell], cell))[:_FREQUENT]
        known = tuple(sorted(cell for cell in often if counts[cell] >= _LEAST))
        if not known:
            raise DataError(f"--with {name}: no category is in two training rows; leave it out")
        left = len(counts) - len(known)
        rare = f", {left:,} rare ones taken as missing" if left else ""
        return Column(name, kind, f"one of {len(known):,} categories{rare}", known=known)
    known = pieces.choose(told)
    if not known:
        raise DataError(
            f"--with {name}: no two training texts have a word or a piece in common; leave it out"
        )
    size = pieces.longest(told, known)
    said = f"a short text in {len(known):,} known words and pieces of words"
    if size == pieces.LONGEST:
        said += f", of each text the first {size}"
    return Column(name, kind, said, known=known, size=size)


def _learn_number(name: str, every: Sequence[str], train: Sequence[str]) -> Column:
    try:
        found = numbers.read({name: every}, asked=True)
    except numbers.Wrong as error:
        raise DataError(
            f"--with {name}: {error.reason}; write all cells as 1234.5 or leave them empty, or say "
            f"{name}:{CATEGORY}"
        ) from error
    percent = any(map(numbers.is_percent, every))
    column = Column(name, NUMBER, "a number", decimal=found.mark or "point", percent=percent)
    values = column.values(train)
    values = values[np.isfinite(values)]
    if not len(values):
        raise DataError(f"--with {name}: no training row has a number there; leave it out")
    mean, std = float(values.mean()), float(values.std()) or 1.0
    said = ", ".join([f"a number, {mean:.4g} ± {std:.4g}", *found.said])
    return dataclasses.replace(column, mean=mean, std=std, said=said)


def _find_doubt(
    column: Column, cells: Sequence[str], train: ImageSet, classes: Sequence[str]
) -> str:
    """Say why a column may be worth less than it seems; "" for no reason."""
    if column.kind == NUMBER:
        _, doubt = numbers.without_stand_ins(column.values(cells))
        if doubt:
            return f"{doubt.replace('is taken for', 'may stand for')}: leave such cells empty"
        if not classes and train.targets.ndim == 1 and _follows(column.values(cells), train):
            return (
                "the number to be predicted is this one times another, and plus one: ask whether "
                "it is known before that is"
            )
    if column.kind != CATEGORY or not classes or train.targets.ndim > 1:
        return ""
    pairs = Counter(zip(cells, train.targets.tolist(), strict=True))
    known = set(column.known)
    rows = sum(count for (cell, _), count in pairs.items() if cell in known)
    best: Counter[str] = Counter()
    for (cell, _), count in pairs.items():
        best[cell] = max(best[cell], count)
    right = sum(count for cell, count in best.items() if cell in known)
    if right == rows:
        return (
            "each of its categories goes with one class alone: ask whether it is known before the "
            "class is"
        )
    return ""
