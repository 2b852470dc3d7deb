"""A competition's table of test data: which row is of which id of the sample submission."""

from collections.abc import Callable, Iterable, Sequence
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
    keys: Sequence[Callable[[str], str]] = (str,),
) -> TestTable:
    """Read columns of a test table, whose ids are those of a sample where they agree.

    Without a column of ids its rows are the sample's in their order, if these are numbered and as
    many.

    Args:
        table: the file.
        sample: with its column of ids.
        columns: what is asked for of each row; cells may be empty.
        form: what is known of how the table is written.
        keys: what ids have to have in common to be the same, the strictest first; one is taken for
            another only where no third has that, too.

    Raises:
        DataError: the table cannot be read, has no column of ids, or an id twice.
    """
    id_column = _find_ids(table, sample, form, keys[-1])
    if id_column is None:
        return _read_in_order(table, sample, columns, form)
    # A row with too many cells has an id, too, and so the sample's own answer.
    names = read_table(table, [id_column], gaps=[id_column], form=form, longer=True)
    if id_column in columns:
        whole = read_table(table, columns, gaps=columns, form=form)
    else:
        whole = read_table(table, [*columns, id_column], gaps=[*columns, id_column], form=form)
    called = match_names(names.columns[0], sample.ids, keys)
    ids = [called.get(name, name) for name in names.columns[0]]
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


def _read_in_order(
    table: Path, sample: Sample, columns: Sequence[str], form: TableForm
) -> TestTable:
    """Read a table that has no ids."""
    whole = read_table(table, columns, gaps=columns, form=form)
    if whole.skipped or len(whole) != len(sample.ids):
        first = f", such as {': '.join(whole.skipped[0])}" if whole.skipped else ""
        raise DataError(
            f"{table} has no column of ids, and {len(whole):,} rows that can be read{first}; "
            f"{sample.path} has {len(sample.ids):,}"
        )
    said = f"{table.name} has no column of ids: its rows are those of {sample.path.name} in order"
    cells = dict(zip(sample.ids, zip(*whole.columns, strict=True), strict=True))
    return TestTable(cells, {}, (*whole.notes, said))


def match_names(
    names: Sequence[str], ids: Sequence[str], keys: Sequence[Callable[[str], str]]
) -> dict[str, str]:
    """Return the id that each name stands for, as far as that is certain; see `read_test`."""
    found: dict[str, str] = {}
    for key in keys:
        ours, theirs = (
            _group(key, {*each} - done)
            for each, done in ((ids, {*found.values()}), (names, found.keys()))
        )
        found |= {
            theirs[common][0]: ours[common][0]
            for common in ours.keys() & theirs.keys()
            if len(ours[common]) == len(theirs[common]) == 1
        }
    return found


def _group(key: Callable[[str], str], names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by what they have in common."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups


def _find_ids(
    table: Path, sample: Sample, form: TableForm, key: Callable[[str], str]
) -> str | None:
    """Return the column of ids: the one that is called as the sample's, or has its ids.

    It is None where the sample numbers its rows, as many as the table has, and no column has any of
    the numbers.
    """
    header, *rows = read_cells(table, form) or [[]]
    if sample.id_column in header:
        return sample.id_column
    known = {*map(key, sample.ids)}
    shares = {
        name: len(known & {*map(key, column)}) / len(known)
        for name, column in zip(header, zip(*rows, strict=True), strict=False)
        if 2 * len({*column}) > len(column)  # classes are no ids
    }
    best = max(shares, key=shares.__getitem__, default="")
    numbered = sample.ids in (
        [str(first + row) for row in range(len(sample.ids))] for first in (0, 1)
    )
    if numbered and len(rows) == len(sample.ids) and not any(shares.values()):
        return None
    if shares.get(best, 0) < _MOST:
        raise DataError(
            f"{table}: no column has the ids of {sample.path}, such as {list_some(sample.ids)}; "
            f"the columns are {', '.join(header)}"
        )
    return best
