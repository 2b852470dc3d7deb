"""A table of samples that join a training split: what each is called, and the label it was given.

The table is `sample,label,probability`; a sample is its name, or the text itself.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from common.errors import DataError
from common.files import replace_surrogates, write_text
from common.io.delimited import read_records
from common.runs.commands import separated
from common.suggest import suggest

_COLUMNS = SAMPLE, LABEL, PROBABILITY = "sample", "label", "probability"


class Given(NamedTuple):
    """Samples, with the labels that they are to have."""

    names: Sequence[str]  # (N,) or the texts themselves
    targets: Tensor  # (N,) int64 classes


def write_rows(
    path: Path, names: Sequence[str], labels: Sequence[str], shares: Sequence[float]
) -> None:
    """Write samples, the labels that they are given, and how probable these are.

    Raises:
        SaveError: it cannot be written.
    """
    rows = zip(names, labels, shares, strict=True)
    records = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    write_text(path, replace_surrogates(separated(records, ",")))


def read_rows(path: str, classes: Sequence[str]) -> Given:
    """Read what `write_rows` wrote; the probabilities need not be there.

    Args:
        path: the table, as --pseudo names it.
        classes: those that labels may be.

    Raises:
        DataError: it cannot be read, has no row, or a label that is no class of the data.
    """
    said = f"--pseudo {path}"
    try:
        records = read_records(Path(path).expanduser().read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{said}: no such file") from error
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{said}: no table in UTF-8 with commas: {error}") from error
    if not records or not {SAMPLE, LABEL} <= records[0].keys():
        raise DataError(f"{said}: expected rows with the columns {SAMPLE} and {LABEL}")
    numbers = {name: number for number, name in enumerate(classes)}
    for record in records:
        if (label := record.get(LABEL, "")) not in numbers:
            near = suggest(label, classes)
            raise DataError(f"{said}, {record[SAMPLE]!r}: the data have no class {label!r}{near}")
    targets = torch.tensor([numbers[record[LABEL]] for record in records])
    return Given([record[SAMPLE] for record in records], targets)


def describe(number: int) -> str:
    """Say of how many such samples a card is."""
    return f"{number:,} pseudo-labelled samples to train"
