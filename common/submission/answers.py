"""What runs say of test samples, and how that fills the columns of a sample submission.

What a column wants is read off its name and off the cells that the sample has in it: the name or
the number of a class, a probability, several labels, a number.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import commonprefix
from typing import NamedTuple, Self

import numpy as np

from common.errors import DataError
from common.images.tables.columns import SEPARATORS, find_separator, split_labels
from common.io.labels import read_labels
from common.metrics.metrics import Array
from common.submission.sample import Sample, list_some

FORMS = ("names", "numbers", "probabilities")  # of classes in a sample's cells
_WRITTEN = {"0", "1", "0.0", "1.0"}
_NAMED = 4  # classes in a sentence


class Filled(NamedTuple):
    """Cells for the columns of a sample, and a sentence that says what was taken for what."""

    cells: dict[str, list[str]]
    said: str


@dataclass(frozen=True)
class Numbers:
    """A number for each sample."""

    values: Array  # (N,)

    @classmethod
    def mean(cls, members: Sequence[Self]) -> Self:
        """Return the mean of what several models say."""
        return cls(np.mean([each.values for each in members], 0))

    def fill(self, sample: Sample, form: str | None) -> Filled:
        """Return the numbers as cells.

        Raises:
            DataError: the sample has several columns of answers, or a form of classes was given.
        """
        refuse_form(form, (None,), "the run says numbers")
        if len(sample.answer_columns) != 1:
            raise _unfit(sample, "the run says one number", ())
        [column] = sample.answer_columns
        return Filled({column: [*map(number_text, self.values)]}, f"numbers into {column!r}")


@dataclass(frozen=True)
class Classes:
    """The probability of each class, for each sample."""

    names: tuple[str, ...]
    shares: Array  # (N, C)
    parts: Mapping[str, "Classes"] = field(default_factory=dict)
    """Of several label columns, the classes of each by itself."""

    @classmethod
    def mean(cls, members: Sequence[Self]) -> Self:
        """Return the mean of what several models say."""
        first = members[0]
        parts = {name: Classes.mean([each.parts[name] for each in members]) for name in first.parts}
        return cls(first.names, np.mean([each.shares for each in members], 0), parts)

    def fill(self, sample: Sample, form: str | None) -> Filled:
        """Return cells for the columns of answers.

        Args:
            sample: says which columns there are, and what is in them.
            form: one of `FORMS`; found out when None.

        Raises:
            DataError: the columns or their cells do not fit the classes.
        """
        columns = sample.answer_columns
        if len(columns) == 1:
            return self._fill_one(sample, columns[0], form)
        if self.parts and {*columns} == {*self.parts}:
            filled = [self.parts[column]._fill_one(sample, column, form) for column in columns]
            cells = {name: cells for each in filled for name, cells in each.cells.items()}
            return Filled(cells, "; ".join(each.said for each in filled))
        numbers = match_columns(columns, self.names)
        if numbers is None:
            raise _unfit(sample, "the run tells one class of", self.names)
        refuse_form(form, (None, "probabilities"), "the sample has a column for each class")
        cells = {
            column: [*map(number_text, self.shares[:, number])]
            for column, number in numbers.items()
        }
        return Filled(cells, f"the probability of each class into {len(cells)} columns")

    def _fill_one(self, sample: Sample, column: str, form: str | None) -> Filled:
        """Return the cells of a column that has an answer for each row."""
        written = sorted({*filter(None, sample.cells(column))})
        numbers = match_columns([column], self.names)
        form = form or self._find_form(sample, column, written)
        if form == "probabilities":
            if numbers is None and len(self.names) != 2:
                raise _unfit(
                    sample, f"{column!r} has room for the probability of one class of", self.names
                )
            number = 1 if numbers is None else numbers[column]
            said = f"the probability of {self.names[number]!r} into {column!r}"
            return Filled({column: [*map(number_text, self.shares[:, number])]}, said)
        best = self.shares.argmax(1).tolist()
        if form == "numbers":
            texts = [str(number) for number in range(len(self.names))]
            pairs = ", ".join(
                f"{text} is {name}" for text, name in zip(texts, self.names, strict=True)
            )
            shown = pairs if len(self.names) <= _NAMED else f"0 is {self.names[0]} and so on"
            said = f"the numbers of classes into {column!r}: {shown}"
        else:
            texts, said = [*self.names], f"names of classes into {column!r}"
        if _are_whole(texts) and written and all(text.endswith(".0") for text in written):
            texts = [f"{int(text)}.0" for text in texts]
        return Filled({column: [texts[number] for number in best]}, said)

    def _find_form(self, sample: Sample, column: str, written: Sequence[str]) -> str:
        """Return which of `FORMS` the cells of a column have.

        Raises:
            DataError: they are none of them.
        """
        named = {*written} <= {*self.names} or _spelled_alike(written, self.names)
        values = [_number(text) for text in written]
        shares = all(value is not None and 0 <= value <= 1 for value in values)
        whole = shares and {*written} <= {"0", "1"}
        if shares and written and match_columns([column], self.names) is not None:
            return "probabilities"
        if shares and not whole and len(self.names) == 2 and not {*written} <= {*self.names}:
            return "probabilities"
        numbers = all(value is not None and value.is_integer() for value in values)
        if named or (numbers and _are_whole(self.names)):
            return "names"
        if all(value is not None and value in range(len(self.names)) for value in values):
            return "numbers"
        known = {*self.names, *map(str, range(len(self.names)))}
        strange = [text for text in written if text not in known]
        raise DataError(
            f"{sample.path}: column {column!r} has {list_some(strange)}, which the run does not "
            f"know: its classes are {list_some(self.names)}; --answers names, numbers or "
            "probabilities says what is to be written"
        )


@dataclass(frozen=True)
class Labels:
    """The probability of each of any number of labels, for each sample."""

    names: tuple[str, ...]
    shares: Array  # (N, C)
    thresholds: Array  # (C,): from which on a label is said

    @classmethod
    def mean(cls, members: Sequence[Self]) -> Self:
        """Return the mean of what several models say, and of their thresholds."""
        return cls(
            members[0].names,
            np.mean([each.shares for each in members], 0),
            np.mean([each.thresholds for each in members], 0),
        )

    def fill(self, sample: Sample, form: str | None) -> Filled:
        """Return cells for the columns of answers; see `Classes.fill`."""
        columns = sample.answer_columns
        numbers = match_columns(columns, self.names)
        said = self.shares >= self.thresholds
        if numbers is None and len(columns) == 1:
            [column] = columns
            refuse_form(form, (None, "names"), "the sample has all labels in one column")
            separator = self._find_separator(sample.cells(column))
            joined = [separator.join(np.array(self.names)[row]) for row in said]
            return Filled(
                {column: joined}, f"labels with {separator!r} between them into {column!r}"
            )
        if numbers is None:
            raise _unfit(sample, "the run tells any of the labels", self.names)
        refuse_form(form, (None, "numbers", "probabilities"), "labels have columns of their own")
        written = {cell for column in columns for cell in sample.cells(column) if cell}
        shares = form == "probabilities" or (form is None and not written <= _WRITTEN)
        if shares:
            texts = {column: self.shares[:, number] for column, number in numbers.items()}
            return Filled(
                {column: [*map(number_text, values)] for column, values in texts.items()},
                f"the probability of each label into {len(columns)} columns",
            )
        one, zero = ("1.0", "0.0") if written & {"0.0", "1.0"} else ("1", "0")
        cells = {
            column: [one if each else zero for each in said[:, number]]
            for column, number in numbers.items()
        }
        return Filled(
            cells,
            f"{one} for each label that is said into {len(columns)} columns, else {zero} "
            "(--answers probabilities writes these)",
        )

    def _find_separator(self, cells: Sequence[str]) -> str:
        """Return what stands between labels: what cuts the cells into those that the run knows.

        It has the spaces that are beside it in most cells.
        """
        known = {*self.names}
        joined = {*filter(None, cells)} - known
        found = next(
            (
                separator
                for separator in SEPARATORS
                if joined and all({*split_labels(cell, separator)} <= known for cell in joined)
            ),
            find_separator(cells) or SEPARATORS[0],
        )
        spaced = re.compile(rf"\s*{re.escape(found)}\s*")
        [(written, _)] = Counter[str](
            each for cell in cells for each in spaced.findall(cell)
        ).most_common(1) or [(found, 0)]
        return written


Said = Numbers | Classes | Labels


def refuse_form(form: str | None, known: Sequence[str | None], why: str) -> None:
    """Refuse what `--answers` says where it cannot be written.

    Raises:
        DataError: it is none of those that are known.
    """
    if form not in known:
        raise DataError(f"--answers {form}: cannot be written here: {why}")


def match_columns(columns: Sequence[str], names: Sequence[str]) -> dict[str, int] | None:
    """Return the class that each column is of, by its name; None where they are not those.

    A column is called as a class, in any capitals, or so with the same letters before or behind all
    of them: `p_cat` and `p_dog`. Of a few classes each has to have its column; one column may be of
    one of them.
    """
    known = {name.casefold(): number for number, name in enumerate(names)}
    folded = [column.casefold() for column in columns]
    if len(columns) not in (1, len(names)) or len(known) < len(names):
        return None
    for texts in (folded, _strip_common(folded) if len(folded) > 1 else ()):
        if texts and len({*texts}) == len(texts) and {*texts} <= known.keys():
            return {column: known[text] for column, text in zip(columns, texts, strict=True)}
    return None


def number_text(value: float) -> str:
    """Write a number in as few digits as tell it from its neighbors, and never with an exponent."""
    text: str = np.format_float_positional(np.float32(value), trim="0")
    return text


def _strip_common(texts: Sequence[str]) -> list[str]:
    """Return texts without what all of them begin and end with, as far as no word is cut."""
    for _ in range(2):  # from the left, then turned round
        start = len(commonprefix(list(texts)))
        while start and texts[0][start - 1].isalnum():
            start -= 1
        texts = [text[start:][::-1] for text in texts]
    return list(texts)


def _spelled_alike(written: Sequence[str], names: Sequence[str]) -> bool:
    """Say whether cells are names of classes in another spelling of their numbers, as 1.0 for 1."""
    found = read_labels([*written, *names])
    return found.numeric and {*found.names[: len(written)]} <= {*found.names[len(written) :]}


def _are_whole(texts: Sequence[str]) -> bool:
    return all(text.lstrip("-").isdecimal() for text in texts)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _unfit(sample: Sample, said: str, names: Sequence[str]) -> DataError:
    listed = f" {list_some(names)}" if names else ""
    return DataError(
        f"{sample.path}: {said}{listed}, and the columns are {', '.join(sample.answer_columns)}; "
        "--answer-column names others"
    )
