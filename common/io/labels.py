"""Labels as people write them in tables: words, numbers, and marks of missing values."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

_LARGEST = 10**18  # of labels that are taken as numbers
MISSING = {"nan", "n/a", "na", "<na>", "null", "none", "nat", "-", "?", "."}
"""Marks of a missing label, in lower case."""


class Labels(NamedTuple):
    """Labels as names of classes."""

    names: list[str | None]  # of each row; None where the label is missing
    numeric: bool  # whether all of them are whole numbers
    notes: list[str]  # sentences on what was not certain
    fractions: frozenset[str]  # labels that are no whole numbers, where all are numbers


def read_labels(labels: Sequence[str]) -> Labels:
    """Read labels as names of classes: words, or whole numbers without a point.

    Where all others are numbers, nan, N/A and their like are missing labels; beside words they are
    a class of their own. 1 and 1.0 are one class.

    Args:
        labels: as they are written.
    """
    values = {label: _number(label) for label in dict.fromkeys(labels)}
    words = [label for label, value in values.items() if value is None]
    missing = [label for label in words if label.casefold() in MISSING]
    numeric = len(missing) == len(words)
    written: dict[Decimal, list[str]] = {}
    for label, value in values.items():
        if value is not None:
            written.setdefault(value, []).append(label)
    names: dict[str, str | None] = {label: label for label in words}
    notes = []
    for value, same in written.items():
        name = f"{value:.0f}" if value == value.to_integral_value() else same[0]
        names |= dict.fromkeys(same, name if numeric or len(same) > 1 else same[0])
        if len(same) > 1:
            notes.append(f"the labels {' and '.join(same)} are one class, {name}")
    if missing and numeric:
        names |= dict.fromkeys(missing)
        number = sum(labels.count(label) for label in missing)
        notes.append(f"{number:,} labels are missing ({', '.join(missing)})")
    elif missing:
        notes.append(f"the label {', '.join(missing)} is a class as others are: they are words")
    notes += _alike([word for word in words if names[word] is not None])
    fractions = frozenset(
        label
        for value, same in written.items()
        for label in same
        if numeric and value != value.to_integral_value()
    )
    return Labels([names[label] for label in labels], numeric, notes, fractions)


def _alike(words: Sequence[str]) -> list[str]:
    """Return a sentence for the words that differ in capitals or spaces only."""
    spellings: dict[str, list[str]] = {}
    for word in words:
        spellings.setdefault(" ".join(word.casefold().split()), []).append(word)
    return [
        f"the labels {' and '.join(same)} differ in capitals or spaces only, and are a class each: "
        "write them alike if they mean the same"
        for same in spellings.values()
        if len(same) > 1
    ]


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < _LARGEST else None
