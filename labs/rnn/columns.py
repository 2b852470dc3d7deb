"""Which columns of a user's table hold what: by their names, else by what is in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.io.tables import read_cells

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

_MOST_CLASSES = 100  # of a column that no name tells to be of labels
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
    path: Path, text_column: str | None, label_column: str | None
) -> tuple[str, str, list[str]]:
    """Say which columns of a table hold texts and labels.

    Args:
        path: the table.
        text_column: the column of texts, if the user gave it.
        label_column: the column of labels, likewise.

    Returns:
        The two columns, and a sentence for each that was guessed.

    Raises:
        DataError: the table cannot be read, or its columns do not tell.
    """
    cells = _with_labels(read_cells(path), text_column, label_column)
    said = []
    if label_column is None:
        others = [name for name in cells.names if name != text_column]
        label_column, why = _labels(path, cells, others)
        if label_column != "label":
            said.append(f"column {label_column!r} of {path.name} holds the labels: {why}")
    if text_column is None:
        others = [name for name in cells.names if name != label_column]
        text_column, why = _texts(path, cells, others)
        if text_column != "text":
            said.insert(0, f"column {text_column!r} of {path.name} holds the texts: {why}")
    if not cells.named:
        said.append(f"the first row of {path.name} has data, so columns go by their numbers")
    return text_column, label_column, said


def guess_pairs(path: Path) -> tuple[str, str, list[str]]:
    """Say which columns of a table hold sources and targets, and how that was guessed.

    Raises:
        DataError: the table cannot be read, or has a single column.
    """
    rows = read_cells(path)
    header = rows[0] if rows else []
    if len(header) < 2:
        raise DataError(f"{path}: expected two columns or more, sources and their translations")
    source = _by_name(header, SOURCES)
    target = _by_name([name for name in header if name != source], TARGETS)
    if source and target:
        said = f"columns {source!r} and {target!r} of {path.name} hold sources and translations"
        return source, target, [f"{said}, by their names"]
    said = (
        f"the first two columns of {path.name} hold sources and translations, from the first row "
        "on: no names of columns are known in it (--source-column, --target-column)"
    )
    return "1", "2", [said]


def _with_labels(rows: Sequence[Sequence[str]], *given: str | None) -> Cells:
    """Tell whether the first row has names: in data, a label comes again in other rows."""
    header, *body = rows or [[]]
    columns = tuple(zip(*body, strict=True)) or tuple(() for _ in header)
    known = any(_by_name(header, names) for names in (TEXTS, LABELS))
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


def _labels(path: Path, cells: Cells, names: Sequence[str]) -> tuple[str, str]:
    if cells.named and (name := _by_name(names, LABELS)):
        return name, "its name says so"
    found = [name for name in names if _are_labels(cells.column(name))]
    if len(found) == 1:
        return found[0], f"it has {len(set(cells.column(found[0])))} different values"
    listed = ", ".join(found) if found else "none"
    raise DataError(
        f"{path}: which column holds the labels? Names do not tell, and of columns with few "
        f"different values there are {len(found)} ({listed}); name one with --label-column; "
        f"the table has {', '.join(cells.names)}"
    )


def _texts(path: Path, cells: Cells, names: Sequence[str]) -> tuple[str, str]:
    if cells.named and (name := _by_name(names, TEXTS)):
        return name, "its name says so"
    written = [name for name in names if _letters(cells.column(name)) > 0]
    if not written:
        raise DataError(
            f"{path}: no column has texts; name one with --text-column; the table has "
            f"{', '.join(cells.names)}"
        )
    return max(written, key=lambda name: _letters(cells.column(name))), "its texts are the longest"


def _by_name(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column with a known name, else one with a known word in its name."""
    for words in ([{name.casefold()} for name in names], list(map(_words, names))):
        for one in known:
            for name, has in zip(names, words, strict=True):
                if one in has or f"{one}s" in has:
                    return name
    return None


def _words(name: str) -> set[str]:
    """Return the words of a name such as `review_text` or `reviewText`."""
    return {word.casefold() for word in re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+", name)}


def _are_labels(column: Sequence[str]) -> bool:
    """Say whether a column's values are few, and come again and again."""
    different = len(set(filter(None, column)))
    return 2 <= different <= min(_MOST_CLASSES, len(column) // _MEMBERS)


def _letters(column: Sequence[str]) -> int:
    """Count the letters in a column, of a URL those of one word."""
    return sum(sum(map(str.isalpha, cell)) for cell in column if not cell.startswith("http"))
