"""Open Images, whose tables have codes such as `/m/01yrx` for classes.

Their names are in `class-descriptions-boxable.csv`, or FiftyOne's `classes.csv`: a code and a name
in a row.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.io.folders import walk
from common.io.tables import read_text

_CODE = re.compile(r"/[a-z]/[0-9a-z_]+")
_FILE = re.compile(r"(.*class-descriptions.*|classes)\.csv")


def read_names(root: Path, labels: Iterable[str], notes: list[str]) -> Mapping[str, str]:
    """Return the names of those labels that are codes, of the file below a folder that has most.

    What was found goes to the notes; without codes nothing is read.

    Raises:
        DataError: the file cannot be read.
    """
    codes = {label for label in labels if _CODE.fullmatch(label)}
    if not codes:
        return {}
    files = [file for file in walk(root) if _FILE.fullmatch(file.name.casefold())]
    found = {file: _names_in(file, codes) for file in files}
    best = max(found, key=lambda file: len(found[file]), default=None)
    if best is None or not found[best]:
        notes.append(
            "classes are codes of Open Images; class-descriptions-boxable.csv beside the table "
            "would give their names"
        )
        return {}
    rest = len(codes) - len(found[best])
    notes.append(
        f"the names of classes are those of {best.name}"
        f"{f', which lacks {rest:,} of {len(codes):,}' if rest else ''}"
    )
    return found[best]


def _names_in(file: Path, codes: set[str]) -> dict[str, str]:
    rows = csv.reader(read_text(file).splitlines())
    return {row[0]: row[1].strip() for row in rows if len(row) == 2 and row[0] in codes}
