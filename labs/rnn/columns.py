"""Which columns of a user's table hold what: by their names, else by what is in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.io.numbers import is_number
from common.io.tables import AS_FOUND, TableForm, read_cells

TEXTS = (
    *("text", "texts", "sentence", "document", "review", "content", "comment", "tweet", "message"),
    *("body", "post", "utterance", "question", "phrase", "description", "headline", "title"),
    *(
        "텍스트",
        "문장",
        "글",
        "리뷰",
        "후기",
        "내용",
        "본문",
        "댓글",
        "문서",
        "질문",
        "발화",
        "제목",
    ),
)
LABELS = (
    *("label", "class", "category", "sentiment", "target", "emotion", "polarity"),
    *("topic", "intent", "stance", "rating", "stars", "score", "tag", "type"),
    *(
        "라벨",
        "레이블",
        "분류",
        "감성",
        "감정",
        "클래스",
        "범주",
        "카테고리",
        "종류",
        "주제",
        "의도",
    ),
    *("평점", "별점"),
)
SOURCES = ("source", "src", "원문", "en", "eng", "english", "영어", "question", "질문")
TARGETS = ("target", "tgt", "번역", "번역문", "ko", "kor", "korean", "한국어", "answer", "답변")

_IDS = {"id", "ids", "idx", "index", "uuid", "key", "url", "번호", "아이디", "순번"}  # in names
_ID = re.compile(r"[A-Za-z]{0,8}[-_]?[0-9a-f]*[0-9][0-9a-f.-]*")  # as a whole cell

_MOST_CLASSES = 100  # of a column that no name tells to be of labels
_WORDS = 4  # of a column's name, at the most
_SENTENCE = re.compile(r"[.!?。！？…]\s*$|[.,!?]\s|@")
_MEMBERS = 3  # rows of each of its values, at the least, on average


@dataclass(frozen=True)
class Cells:
    """A table with its columns, named by its first row, or numbered from 1 on."""

    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    named: bool  # whether the first row has names

    def column(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column."""
        return self.columns[self.names.index(name)]


def as_columns(names: Sequence[str]) -> Any:
    """Return columns as `read_table` takes them: numbers from 1 on, where all names are that."""
    return [int(name) for name in names] if all(map(str.isdecimal, names)) else list(names)


def guess_labelled(
    path: Path,
    text_column: str | None,
    label_column: str | None,
    form: TableForm = AS_FOUND,
    numeric: bool = False,
) -> tuple[str, str, list[str]]:
    """Say which columns of a table hold texts and labels.

    Args:
        path: the table.
        text_column: the column of texts, if the user gave it.
        label_column: the column of labels, likewise.
        form: what is known of how it is written.
        numeric: whether labels are numbers, which may all be different.

    Returns:
        The two columns, and a sentence for each that was guessed.

    Raises:
        DataError: the table cannot be read, or its columns do not tell.
    """
    rows = read_cells(path, form, as_wide=True)
    if not rows:
        raise DataError(f"{path} is empty: expected a table with texts and labels")
    cells = _with_labels(rows, form.header, text_column, label_column)
    said = []
    if label_column is None:
        others = [name for name in cells.names if name != text_column]
        label_column, why = _labels(path, cells, others, numeric)
        if label_column != "label":
            said.append(f"column {label_column!r} of {path.name} holds the labels: {why}")
    if text_column is None:
        others = [name for name in cells.names if name != label_column]
        text_column, why = _texts(path, cells, others)
        if text_column != "text":
            said.insert(0, f"column {text_column!r} of {path.name} holds the texts: {why}")
    if not cells.named and form.header is None:
        said.append(
            f"the first row of {path.name} has data, so columns go by their numbers (--header yes "
            "if it has their names)"
        )
    return text_column, label_column, said


def guess_pairs(path: Path, form: TableForm = AS_FOUND) -> tuple[str, str, list[str]]:
    """Say which columns of a table hold sources and targets, and how that was guessed.

    Raises:
        DataError: the table cannot be read, or does not have two columns of texts.
    """
    header, *body = rows = read_cells(path, form, as_wide=True) or [[]]
    if len(header) < 2:
        raise DataError(f"{path}: expected two columns or more, sources and their translations")
    columns = list(zip(*body, strict=True)) or [() for _ in header]
    fits = [
        name for name, column in zip(header, columns, strict=True) if not _are_ids(name, column)
    ]
    source = _by_name(fits, SOURCES)
    target = _by_name([name for name in fits if name != source], TARGETS)
    if source and target:
        said = f"columns {source!r} and {target!r} of {path.name} hold sources and translations"
        return source, target, [f"{said}, by their names"]
    places = [place for place, column in enumerate(zip(*rows, strict=True)) if _are_texts(column)]
    if len(header) == 2:  # whatever they hold: there are no others
        places = [0, 1]
    if len(places) < 2:
        raise DataError(
            f"{path}: expected two columns of texts, sources and their translations; name them "
            f"with --source-column and --target-column; the first row has {', '.join(header)}"
        )
    first, second = places[:2]
    named = len(set(header)) == len(header) and any(map(_names_a_column, header, columns))
    named |= form.header is not None
    found = [header[first], header[second]] if named else [str(first + 1), str(second + 1)]
    where = "first two columns" if places[:2] == [0, 1] else "first two columns with texts"
    if named:
        said = f"the {where} of {path.name}, {' and '.join(map(repr, found))}, hold sources and "
        said += "translations (--source-column, --target-column)"
    else:
        said = f"the {where} of {path.name} hold sources and translations, from the first row on: "
        said += "no names of columns are known in it (--source-column, --target-column, --header)"
    return found[0], found[1], [said]


def _names_a_column(name: str, column: Sequence[str]) -> bool:
    """Say whether a cell is no value of its column: no number, or in another script."""
    if not column or not name:
        return False
    numeric = all(map(_ID.fullmatch, column)) and not _ID.fullmatch(name)
    foreign = sum(not cell.isascii() for cell in column) > 0.9 * len(column) and name.isascii()
    return bool(numeric or foreign)


def guess_texts(path: Path, rows: Sequence[Sequence[str]], column: str) -> tuple[str, list[str]]:
    """Say which column of a table holds texts: the one of that name, else by name or content.

    Args:
        path: of the table.
        rows: its cells, the first row first.
        column: the usual name of the column.

    Raises:
        DataError: its columns do not tell.
    """
    header, *body = rows or [[]]
    if column in header or column.isdecimal():
        return column, []
    columns = tuple(zip(*body, strict=True)) or tuple(() for _ in header)
    found, why = _texts(path, Cells(tuple(header), columns, named=True), header)
    return found, [
        f"column {found!r} of {path.name} holds the texts, there is no {column!r}: {why}"
    ]


def _with_labels(
    rows: Sequence[Sequence[str]], has_names: bool | None, *given: str | None
) -> Cells:
    """Tell whether the first row has names: in data, a label comes again in other rows."""
    header, *body = rows or [[]]
    columns = tuple(zip(*body, strict=True)) or tuple(() for _ in header)
    if has_names is not None:  # without names, the first row has the columns' numbers
        return Cells(tuple(header), columns, named=has_names)
    # Of names only whole ones: the first text may well have the word "description" in it.
    known = {*TEXTS, *LABELS} & {name.casefold().removesuffix("s") for name in header}
    numbered = any(name is not None and name.isdecimal() and name not in header for name in given)
    again = [
        cell
        for cell, column in zip(header, columns, strict=True)
        if _are_labels(column) and cell in column
    ]
    if numbered or (again and not known and not any(given)):
        numbers = tuple(str(number) for number, _ in enumerate(header, 1))
        return Cells(numbers, tuple(zip(*rows, strict=True)), named=False)
    return Cells(tuple(header), columns, named=True)


def _labels(
    path: Path, cells: Cells, names: Sequence[str], numeric: bool = False
) -> tuple[str, str]:
    come_again = [
        name
        for name in names
        if _come_again(cells.column(name)) or (numeric and _are_numbers(cells.column(name)))
    ]
    if cells.named and (name := _by_name(come_again, LABELS)):
        return name, "its name says so"
    found = [name for name in names if _are_labels(cells.column(name)) and not _has_id(name)]
    if len(found) == 1:
        return found[0], f"it has {len(set(cells.column(found[0])))} different values"
    listed = ", ".join(found) if found else "none"
    raise DataError(
        f"{path}: which column holds the labels? Names do not tell, and of columns with few "
        f"different values there are {len(found)} ({listed}); name one with --label-column; "
        f"the table has {', '.join(cells.names)}"
    )


def _texts(path: Path, cells: Cells, names: Sequence[str]) -> tuple[str, str]:
    names = [name for name in names if not _are_ids(name, cells.column(name))]
    if cells.named and (name := _by_name(names, TEXTS)):
        return name, "its name says so"
    written = [name for name in names if _letters(cells.column(name)) > 0]
    if not written:
        raise DataError(
            f"{path}: no column has texts; name one with --text-column; the table has "
            f"{', '.join(cells.names)}"
        )
    varied = [
        name for name in written if len(set(cells.column(name))) > len(cells.column(name)) / 10
    ]
    longest = max(varied or written, key=lambda name: _letters(cells.column(name)))
    return longest, "its texts are the longest"


def _has_id(name: str) -> bool:
    return bool(_words(name) & _IDS)


def _are_ids(name: str, column: Sequence[str]) -> bool:
    """Say whether a column numbers its rows, or names them, rather than holding texts."""
    cells = [cell for cell in column if cell]
    coded = sum(bool(_ID.fullmatch(cell)) for cell in cells) > 0.9 * len(cells)
    return bool(cells) and (coded or (_has_id(name) and not any(" " in cell for cell in cells)))


def _are_texts(column: Sequence[str]) -> bool:
    """Say whether most cells are texts, no numbers and names of rows."""
    cells = [cell for cell in column if cell]
    written = sum(any(map(str.isalpha, cell)) for cell in cells)
    return not _are_ids("", column) and written > 0.5 * len(cells)


def _come_again(column: Sequence[str]) -> bool:
    """Say whether values come more than once, as those of classes do; of few rows, any may."""
    cells = [cell for cell in column if cell]
    return len(cells) < 2 * _MEMBERS or len(set(cells)) <= len(cells) // 2


def _are_numbers(column: Sequence[str]) -> bool:
    """Say whether most cells are numbers, as those of ratings are."""
    cells = [cell for cell in column if cell]
    return bool(cells) and sum(map(is_number, cells)) > 0.5 * len(cells)


def _by_name(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column with a known name, else one with a known word in its name."""
    for words in ([{name.casefold()} for name in names], list(map(_words, names))):
        for one in known:
            for name, has in zip(names, words, strict=True):
                if one in has or f"{one}s" in has:
                    return name
    return None


def _words(name: str) -> set[str]:
    """Return the words of a name such as `review_text` or `reviewText`; a sentence is no name."""
    if len(name.split()) > _WORDS or _SENTENCE.search(name):
        return set()
    return {word.casefold() for word in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+", name)}


def _are_labels(column: Sequence[str]) -> bool:
    """Say whether a column's values are few, and come again and again."""
    different = len(set(filter(None, column)))
    return 2 <= different <= min(_MOST_CLASSES, len(column) // _MEMBERS)


def _letters(column: Sequence[str]) -> int:
    """Count the letters in a column, of a URL those of one word."""
    return sum(sum(map(str.isalpha, cell)) for cell in column if not cell.startswith("http"))
