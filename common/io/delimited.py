"""Rows of text with a delimiter between cells: which delimiter, and what quotes mean.

The csv module reads them, not pandas: a row with a cell too many or too few is to be named with its
line, where pandas knows no lines and takes cells over the header's for an index.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from common.io import numbers

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
NAMES = {"comma": ",", "tab": "\t", "\\t": "\t", "semicolon": ";", "bar": "|", "pipe": "|"}

_PEEK = 1 << 16  # characters in which the delimiter is looked for
_ROWS = 500  # of them, likewise
_EXCEL = re.compile(r"\ufeff?sep=(.)\r?\n")  # a first line with which Excel names the delimiter
_LINE_END = re.compile("\r\n|\r|\n")
_MOST_ABOVE = 10  # rows with text above the names of the columns
_DATA = re.compile(r"[-+(]?[.,]?\d")  # how numbers and dates begin
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_FEWEST_YEARS = 3  # that are names, as where each is a column
_MOST_HEADS = 3  # rows of names, one below the other
_DAY = re.compile(r"\d{1,4}[-/.년]\s*\d{1,2}.*")
_QUOTED = re.compile(r'(?:^|[\t\r\n])[ ]*"')


def rows(text: str, delimiter: str, *, quotes: bool) -> Iterator[list[str]]:
    """Return a csv reader, which has the number of lines read so far as `line_num`.

    With quotes it raises csv.Error at one that is never closed, or that has text behind it.
    """
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )


def read_records(data: bytes) -> list[dict[str, str]]:
    """Read a table that `common.runs.commands.separated` wrote, each row by its columns' names.

    Cells are what they were: texts may have any spaces, and ends of lines of any kind.
    """
    header, *cells = [*filter(None, rows(data.decode("utf-8-sig"), ",", quotes=True))] or [[]]
    return [dict(zip(header, row, strict=False)) for row in cells]


def without_hint(text: str) -> tuple[str, str | None]:
    """Return a text without Excel's `sep=;`, and the delimiter that it names."""
    found = _EXCEL.match(text)
    return (text, None) if found is None else ("\n" + text[found.end() :], found[1])


def find_delimiter(text: str, usual: str, names: Sequence[str] = ()) -> list[str]:
    """Return what stands between the cells: what cuts the most rows into the same number.

    Args:
        text: of the table.
        usual: what its suffix promises; it wins a draw, and where nothing cuts the first row.
        names: columns that the first row is known to have.

    Returns:
        The delimiter, and those that do as well.
    """
    shares = {}
    for delimiter in dict.fromkeys([usual, *DELIMITERS]):
        found = _first_rows(text, delimiter)
        header = [cell.strip() for cell in found[count_above(found)]] if found else []
        if len(header) < 2:
            continue
        width, often = Counter(map(len, found)).most_common(1)[0]
        if width > 1:
            shares[delimiter] = (set(names) <= set(header), often / len(found))
    best = max(shares.values(), default=None)
    return [delimiter for delimiter, share in shares.items() if share == best] or [usual]


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    """Return the first rows with any text in them, as far as they can be read."""
    found: list[list[str]] = []
    peek = text[:_PEEK]
    try:
        for row in rows(peek, delimiter, quotes=delimiter != "\t"):
            if any(map(str.strip, row)):
                found.append(row)
            if len(found) > _ROWS:
                break
    except csv.Error:  # the table's reader says where, or the cut went through a quoted cell
        pass
    return found[:-1] if len(text) > _PEEK and len(found) > 1 else found


def count_above(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows stand above the names of the columns, such as a title.

    It is 0 where that is not certain: rows with little text from their first cell on, then a row of
    different names, one in each column, and below it numbers or dates in some column; or a row
    without any text between the title and the names.

    Args:
        rows: the first of a table.
    """
    if comments := _count_comments(rows):
        return comments
    filled = [place for place, row in enumerate(rows) if any(map(str.strip, row))]
    width = Counter(len(rows[place]) for place in filled).most_common(1)[0][0] if filled else 0
    first = next((place for place in filled if _are_names(rows[place], width)), 0)
    above = [rows[place] for place in filled if place < first]
    body = [rows[place] for place in filled if place > first]
    if not 0 < len(above) <= _MOST_ABOVE or len(body) < 2 or width < 2:
        return 0
    if not all(row[0].strip() and _count_text(row) <= max(1, width // 2) for row in above):
        return 0
    apart = not any(map(str.strip, rows[first - 1]))
    columns = zip(*(row for row in body if len(row) == width), strict=True)
    of_numbers = any(
        all(map(_DATA.match, filter(None, column))) and any(column) for column in columns
    )
    return first if apart or of_numbers else 0


def _count_comments(rows: Sequence[Sequence[str]]) -> int:
    """Return how many rows begin with # above all others, and are narrower or wider than these.

    The last of them may be the names of the columns, and then does not count.
    """
    begun = [bool(row) and row[0].lstrip().startswith("#") for row in rows]
    count = begun.index(False) if False in begun else 0
    width = Counter(len(row) for row in rows[count:] if any(row)).most_common(1)
    if count < 2 or not width or width[0][0] < 2:
        return 0
    other = [len(row) != width[0][0] for row in rows[:count]]
    return count - (not other[-1]) if all(other[:-1]) else 0


def _are_names(row: Sequence[str], width: int) -> bool:
    """Say whether cells could be the names of so many columns: different, and no numbers.

    Several may be years, behind a name, and then a delimiter may stand behind the last.
    """
    cells = [cell.strip() for cell in row]
    years = [cell for cell in cells if _YEAR.fullmatch(cell)]
    if len(years) >= _FEWEST_YEARS and cells[0] not in years:
        cells = cells[:-1] if not cells[-1] else cells
        named = not any(_DATA.match(cell) for cell in cells if cell not in years)
    else:
        named = not any(map(_DATA.match, cells))
    return len(row) == width and len(set(cells) - {""}) == len(cells) and named


def join_names(rows: Sequence[Sequence[str]]) -> tuple[list[str], int] | None:
    """Return one row of names for those that go over several rows, and how many these are.

    So are prices with their kind above their symbol, and statistics with their place above what is
    counted. Rows of names have no number, date or sign of a missing value; the next one has.

    Args:
        rows: the first of a table.

    Returns:
        None where the names are in one row, or joined would not be different.
    """
    heads = [[cell.strip() for cell in rows[0]]]
    for row in rows[1:]:
        if len(row) != len(heads[0]) or any(map(_is_value, row)):
            break
        heads.append([cell.strip() for cell in row])
    count = len(heads)
    if not 1 < count <= _MOST_HEADS or count == len(rows) or len(heads[0]) < 2:
        return None
    names = [_first_name(heads), *_other_names(heads)]
    return (names, count) if len(set(names) - {""}) == len(names) else None


def _is_value(cell: str) -> bool:
    text = cell.strip()
    return bool(text) and bool(
        numbers.is_number(text) or numbers.is_missing(text) or _DAY.fullmatch(text)
    )


def _first_name(heads: Sequence[Sequence[str]]) -> str:
    """Return the name of the first column: what stands alone in the last row, or else on top."""
    alone = heads[-1][0] and not any(heads[-1][1:])
    return heads[-1][0] if alone else next((row[0] for row in heads if row[0]), "")


def _other_names(heads: Sequence[Sequence[str]]) -> list[str]:
    """Return the other names; of a cell over several columns, the name is that of each."""
    levels: list[list[str]] = []
    for row in heads:
        level: list[str] = []
        for cell in row[1:]:
            level.append(cell or (level[-1] if level and row is not heads[-1] else ""))
        levels.append(level)
    telling = [level for level in levels if len(set(level) - {""}) > 1] or levels
    return [" ".join(dict.fromkeys(filter(None, parts))) for parts in zip(*telling, strict=True)]


def _count_text(row: Sequence[str]) -> int:
    return sum(map(bool, map(str.strip, row)))


def has_quotes(text: str, delimiter: str) -> bool | None:
    """Say whether quotes around cells are CSV's, so that a cell may hold lines and delimiters.

    In tables with tabs they are often ordinary characters (NSMC's reviews). They are CSV's where
    each cell that begins with one also ends with one, and needs it: for a tab, a comma, a line's
    end or a quote in it, or since its whole column has them.

    Returns:
        None where no cell begins with a quote.
    """
    if delimiter != "\t":
        return True
    if not _QUOTED.search(text):
        return None
    plain = Counter(map(len, filter(any, rows(text, delimiter, quotes=False))))
    try:
        quoted, several_lines = _count_rows(text, delimiter)
    except csv.Error:
        return False
    if several_lines or _share(quoted) != _share(plain):
        return _share(quoted) > _share(plain)
    return _all_need_quotes(rows(text, delimiter, quotes=False))


def _count_rows(text: str, delimiter: str) -> tuple[Counter[int], bool]:
    """Return how many rows have how many cells, and whether one spans lines."""
    counts: Counter[int] = Counter()
    several_lines, line = False, 0
    reader = rows(text, delimiter, quotes=True)
    for row in reader:
        number: int = reader.line_num  # type: ignore[attr-defined]
        counts[len(row)] += any(row)
        several_lines |= number > line + 1
        line = number
    return counts, several_lines


def _share(counts: Counter[int]) -> float:
    """Return the share of the most frequent number of cells."""
    return max(counts.values()) / max(1, counts.total())


def _all_need_quotes(plain: Iterable[list[str]]) -> bool:
    """Say whether each cell in quotes has to be, or its column has quotes from top to bottom."""
    total, quoted, needless = 0, Counter[int](), set[int]()
    for row in islice(plain, 1, None):
        total += any(row)
        for column, cell in enumerate(row):
            if cell.startswith('"'):
                quoted[column] += 1
                if not {'"', ","} & set(cell[1:-1]):
                    needless.add(column)
    return all(quoted[column] == total for column in needless)


def expected_width(text: str, delimiter: str, *, quotes: bool) -> int:
    """Return how many cells most rows have; of several such numbers, the largest."""
    counts = Counter(map(len, filter(any, rows(text, delimiter, quotes=quotes))))
    return max(counts, key=lambda width: (counts[width], width), default=0)


def covers_rows(
    row: Sequence[str], delimiter: str, usual: Mapping[int, Collection[str]], width: int
) -> str | None:
    """Say whether a cell over several lines looks as if its quote had closed too late.

    Then its lines are rows themselves: cut at the delimiter they have the width of a row, and a
    value that other rows have in that column.

    Args:
        row: its cells.
        delimiter: between cells.
        usual: for columns that have few values, again and again, these values.
        width: how many cells a row has.

    Returns:
        "certainly", "perhaps" where only some of it fits, or None.
    """
    answer = None
    for column, cell in enumerate(row):
        lines = [line.split(delimiter) for line in _LINE_END.split(cell)]
        if len(lines) == 1:
            continue
        first, *inner, last = lines
        whole = [dict(enumerate(pieces)) for pieces in inner if len(pieces) == width]
        begins, ends = column + len(first) == width, len(last) == column + 1
        begun = {column + place: piece for place, piece in enumerate(first) if place}
        like_others = any(_has_usual(pieces, usual) for pieces in [*whole, *[begun] * begins])
        complete = len(whole) == len(inner)
        many = len(inner) > (1 if width > 2 else 2)
        if begins and ends and complete and (like_others or many):
            return "certainly"
        if like_others or (complete and ((ends and column) or (begins and begun))):
            answer = "perhaps"
    return answer


def _has_usual(values: Mapping[int, str], usual: Mapping[int, Collection[str]]) -> bool:
    return any(values[at].strip('"') in known for at, known in usual.items() if at in values)
