"""A competition's table of test data: which row is of which id of the sample submission."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.io.tables import TableForm, read_cells, read_table
from common.submission.sample import Sample, find_twice, list_some

_MOST = 0.5  # share of the ids that a column of another name has to have


class TestTable(NamedTuple):
    """The rows of a test table, by their ids."""

    cells: dict[str, tuple[str, ...]]  # of the columns that were asked for
    unreadable: dict[str, str]  # why, by the id
    notes: tuple[str, ...]  # on what was guessed


def read_test(
    table: Path,
    sample: Sample,
    columns: Sequence[str],
    form: TableForm,
    key: Callable[[str], str] = lambda text: text,
) -> TestTable:
    """Read columns of a test table, whose ids are those of a sample where they agree.

    Args:
        table: the file.
        sample: with its column of ids.
        columns: what is asked for of each row; cells may be empty.
        form: what is known of how the table is written.
        key: what ids have to have in common to be the same.

    Raises:
        DataError: the table cannot be read, has no column of ids, or an id twice.
    """
    known = {key(name): name for name in sample.ids}
    id_column = _find_ids(table, sample, form, known, key)
    names = read_table(table, [id_column], gaps=[id_column], form=form)
    if id_column in columns:
        whole = read_table(table, columns, gaps=columns, form=form)
    else:
        whole = read_table(table, [*columns, id_column], gaps=[*columns, id_column], form=form)
    ids = [known.get(key(name), name) for name in names.columns[0]]
    if twice := find_twice(ids):
        raise DataError(
            f"{table}: {len(twice):,} ids stand in several rows of column {id_column!r}: "
            f"{list_some(twice)}"
        )
    rows = zip(*whole.columns[: len(columns)], strict=True)
    of_lines = dict(zip(whole.lines, rows, strict=True))
    reasons = {place: why for place, why in whole.skipped}
    cells, unreadable = {}, {}
    for line, name in zip(names.lines, ids, strict=True):
        if line in of_lines:
            cells[name] = of_lines[line]
        else:
            unreadable[name] = reasons.get(f"{table.name}:{line}", "cannot be read")
    notes = list(whole.notes)
    if id_column != sample.id_column:
        notes.append(f"ids of {table.name} from column {id_column!r}")
    return TestTable(cells, unreadable, tuple(notes))


def _find_ids(
    table: Path,
    sample: Sample,
    form: TableForm,
    known: Collection[str],
    key: Callable[[str], str],
) -> str:
    """Return the column of ids: the one that is called as the sample's, or has its ids."""
    header, *rows = read_cells(table, form) or [[]]
    if sample.id_column in header:
        return sample.id_column
    shares = {
        name: sum(key(cell) in known for cell in column) / max(1, len(known))
        for name, column in zip(header, zip(*rows, strict=True), strict=False)
    }
    best = max(shares, key=shares.__getitem__, default="")
    if shares.get(best, 0) < _MOST:
        raise DataError(
            f"{table}: no column has the ids of {sample.path}, such as {list_some(sample.ids)}; "
            f"the columns are {', '.join(header)}"
        )
    return best
