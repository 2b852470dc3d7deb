"""Which columns of a user's table hold what: by their names, else by what is in them."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from common.errors import DataError
from common.explore.groups import find_group_columns
from common.io.numbers import is_number
from common.io.tables import AS_FOUND, TableForm, read_cells

BODIES = (
    *("text", "texts", "sentence", "document", "review", "content", "comment", "tweet", "message"),
    *("body", "post", "utterance", "phrase", "article", "abstract", "question"),
    *("텍스트", "문장", "글", "리뷰", "후기", "내용", "본문", "댓글", "문서", "발화", "질문"),
)
HEADINGS = ("title", "headline", "summary", "description", "제목")  # a text may have a body, too
TEXTS = (*BODIES, *HEADINGS)
LABELS = (
    *("label", "class", "sentiment", "target", "emotion", "polarity", "stance"),
    *("rating", "stars", "score", "overall", "category", "topic", "intent", "tag", "type"),
    *("라벨", "레이블", "감성", "감정", "클래스", "평점", "별점"),
    *("분류", "범주", "카테고리", "종류", "주제", "의도"),
)
SOURCES = (*("source", "src", "원문", "en", "eng", "english", "영어", "영문", "question", "질문"),)
LANGUAGES = (
    *(
        "ko",
        "kor",
        "korean",
        "한국어",
        "한글",
        "국문",
        "fr",
        "fra",
        "french",
        "de",
        "deu",
        "german",
    ),
    *("es", "spa", "spanish", "ja", "jpn", "japanese", "일본어", "zh", "chinese", "중국어"),
    *("ru", "russian", "pt", "portuguese", "vi", "vietnamese", "italian", "arabic", "hindi"),
)
TARGETS = (
    *("target", "tgt", "trg", "번역", "번역문", *LANGUAGES, "answer", "답변"),
    *("reference", "translation"),
)

_IDS = {"id", "ids", "idx", "index", "uuid", "key", "url", "번호", "아이디", "순번"}  # in names
_NUMBERED = re.compile(r"(.*\D)\d+")
_PLAIN_WORD = re.compile(r"(?<!\S)[^\W\d_][^\s\d]*")
_ADDRESS = re.compile(r"(https?://|www\.)\S+$|\S+\.[a-z]{2,}(/\S*)?$")
_ID = re.compile(r"[A-Za-z]{0,8}[-_]?[0-9a-f]*[0-9][0-9a-f.-]*")  # as a whole cell

_MOST_CLASSES = 100  # of a column that no name tells to be of labels
_WORDS = 4  # of a column's name, at the most
_POLARITIES = {"positive", "negative", "neutral", "pos", "neg", "긍정", "부정", "중립"}
_SCORES = {"score", "scores", "rating", "overall"}  # in names of columns that may count
_SURENESS = {"confidence", "probability", "신뢰도"}  # in names of columns that speak of a label
# Whose words nobody rates; SS01 beside HS01 is a system's sentence beside a human's.
_MACHINES = {"system", "bot", "chatbot", "assistant", "ss", "시스템", "챗봇"}
_TRANSLATORS = {"mt", "machine", "google", "papago", "기계", "초벌"}  # in names of columns
_FEW_ROWS = 10  # of which the values tell nothing
_COMPARED = 500  # values, or groups of texts, that are looked at
_ALIKE = 0.5  # share of the words that pieces of one text have in common
_LOOKED_AT = 5000  # rows that tell whether a column has texts
_LINE = 4  # words of a text, on average; names and places have fewer
_JOINT = " + "  # between the names of columns that are one text
_HALVES = ({"premise", "hypothesis"},)  # columns whose texts are judged together
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


def text_columns(name: str) -> list[str]:
    """Return the columns that a text is made of: one, or several, such as `title + text`."""
    return name.split(_JOINT)


def join_texts(cells: Sequence[str]) -> str:
    """Return the cells of one row as one text, a line for each that is not empty."""
    return "\n".join(filter(None, cells))


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
        others = [name for name in cells.names if name not in text_columns(text_column or "")]
        label_column, why = _labels(path, cells, others, numeric)
        if label_column != "label":
            said.append(f"column {label_column!r} of {path.name} holds the labels: {why}")
    if text_column is None:
        others = [name for name in cells.names if name != label_column]
        text_column, why = _texts(path, cells, others)
        more = _say_rivals(cells, others, text_column)
        if text_column != "text" or more:
            said.insert(0, f"column {text_column!r} of {path.name} holds the texts: {why}{more}")
    if not cells.named and form.header is None:
        said.append(
            f"the first row of {path.name} has data, so columns go by their numbers (--header yes "
            "if it has their names)"
        )
    return text_column, label_column, said


def find_pieces(names: Sequence[str], rows: Sequence[Sequence[str]], *used: str) -> str | None:
    """Return the column that says which texts are pieces of one, such as phrases of a sentence.

    Rows with the same value in it share most of their words, and those of different values do not.

    Args:
        names: of the columns.
        rows: their cells.
        used: the columns of texts, and of labels, the texts first.
    """
    texts = [names.index(name) for name in text_columns(used[0])]
    taken = {*used, *text_columns(used[0])}

    def words(row: int) -> set[str]:
        return {*" ".join(rows[row][at] for at in texts).casefold().split()}

    for name in itertools.chain.from_iterable(find_group_columns([names, *rows], taken, _FEW_ROWS)):
        members: dict[str, list[int]] = {}
        for row, cells in enumerate(rows):
            members.setdefault(cells[names.index(name)], []).append(row)
        pairs = [each[:2] for each in members.values() if len(each) > 1][:_COMPARED]
        bags = [(words(one), words(other)) for one, other in pairs]
        inside = [_share(one, other) for one, other in bags]
        apart = [_share(one[0], other[0]) for one, other in itertools.pairwise(bags)]
        if len(bags) >= _FEW_ROWS and fmean(inside) > _ALIKE > 2 * fmean(apart):
            return name
    return None


def _share(one: set[str], other: set[str]) -> float:
    """Return the share of the words of the shorter text that the other has, too."""
    return len(one & other) / max(1, min(len(one), len(other)))


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
        name
        for name, column in zip(header, columns, strict=True)
        if not _are_ids(name, column) and _vary(column)
    ]
    by_people = [name for name in fits if not any(map(_is_of(name), _TRANSLATORS))]
    fits = by_people if len(by_people) > 1 else fits
    source = _by_name(fits, SOURCES) or _by_name(fits, LANGUAGES)
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
    if all(name in header or name.isdecimal() for name in text_columns(column)):
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
    names = [name for name in names if not words_of(name) & _SURENESS]
    come_again = [
        name
        for name in names
        if (_come_again(cells.column(name)) and not _are_counts(name, cells.column(name)))
        or (numeric and _are_numbers(cells.column(name)))
    ]
    several = [name for name in come_again if len(set(filter(None, cells.column(name)))) > 1]
    if cells.named and (name := _by_name(several, LABELS) or _by_name(come_again, LABELS)):
        others = [one for one in several if one != name and _by_name([one], LABELS)]
        could = f"; {', '.join(map(repr, others))} could, too (--label-column)" if others else ""
        return name, f"its name says so{could}"
    found = [name for name in names if _are_labels(cells.column(name)) and not _has_id(name)]
    if len(found) == 1:
        return found[0], f"it has {len(set(cells.column(found[0])))} different values"
    polar = [
        name
        for name in found
        if len({cell.casefold() for cell in cells.column(name)} & _POLARITIES) > 1
    ]
    if len(polar) == 1:
        return polar[0], "it says what is positive and what negative (--label-column names another)"
    values = {name: list(dict.fromkeys(filter(None, cells.column(name)))) for name in found}
    shown = [f"{name}, such as {' or '.join(some[:2])}" for name, some in values.items()]
    listed = "; ".join(shown) if found else "none"
    flags = found and all({*some} == {"0", "1"} for some in values.values())
    hint = "; each is 0 or 1, and one at a time can be learned" if flags else ""
    raise DataError(
        f"{path}: which column holds the labels? Names do not tell, and of columns with few "
        f"different values there are {len(found)} ({listed}); name one with --label-column{hint}; "
        f"the table has {', '.join(cells.names)}"
    )


def _texts(path: Path, cells: Cells, names: Sequence[str]) -> tuple[str, str]:
    names = [name for name in names if not _are_ids(name, cells.column(name))]
    written = [name for name in names if _letters(cells.column(name)) > 0]
    if not written:
        raise DataError(
            f"{path}: no column has texts; name one with --text-column; the table has "
            f"{', '.join(cells.names)}"
        )
    if cells.named and (name := _named_body(cells, written)):
        return _with_halves(cells, written, name), "its name says so"
    varied = [
        name for name in written if len(set(cells.column(name))) > len(cells.column(name)) / 10
    ]
    longest = max(varied or written, key=lambda name: _letters(cells.column(name)))
    by_name = cells.named and _by_name([longest], HEADINGS)
    why = "its name says so" if by_name else "its texts are the longest"
    return _with_halves(cells, written, longest), why


def _named_body(cells: Cells, names: Sequence[str]) -> str | None:
    """Return the column whose name is known, or of those with a known word in it the longest.

    A column of which most cells are empty is left to others; so are the words of a machine.
    """
    full = [
        name for name in names if 2 * _count_filled(cells.column(name)) >= len(cells.columns[0])
    ]
    plain = {name: name.casefold().rstrip("0123456789_ ") for name in full or names}
    for one in BODIES:
        if exact := [name for name, stem in plain.items() if stem in (one, f"{one}s")]:
            return exact[0]
    found = [name for name in plain if any(map(_is_of(name), BODIES))]
    of_people = [name for name in found if not any(map(_is_of(name), _MACHINES))]
    return max(of_people or found, key=lambda name: _letters(cells.column(name)), default=None)


def _is_of(name: str) -> Callable[[str], bool]:
    """Return what says whether a word is in a column's name; Korean ones may be joined."""
    words = words_of(name)
    return lambda one: (
        one in words
        or f"{one}s" in words
        or (len(one) > 1 and not one.isascii() and any(one in word for word in words))
    )


def _with_halves(cells: Cells, names: Sequence[str], name: str) -> str:
    """Return a column with those that are one text with it: `question1 + question2`."""
    if not cells.named:
        return name
    stem = _NUMBERED.fullmatch(name)
    found = [
        one for one in names if stem and (other := _NUMBERED.fullmatch(one)) and other[1] == stem[1]
    ]
    for halves in _HALVES:
        if name.casefold() in halves:
            found = [one for one in names if one.casefold() in halves]
    return _JOINT.join(found or [name])


def _say_rivals(cells: Cells, names: Sequence[str], name: str) -> str:
    """Say which other columns have texts, and how they are read, too; "" of none."""
    taken = text_columns(name)
    texts = [cells.column(one) for one in taken]
    rivals = [
        one
        for one in names
        if one not in taken
        and not _has_id(one)
        and _are_sentences(cells.column(one))
        and cells.column(one) not in texts
    ]
    if not rivals:
        return ""
    listed = f"{', '.join(map(repr, rivals))} ha{'ve' if len(rivals) > 1 else 's'}"
    both = _JOINT.join(one for one in names if one in (*taken, rivals[0]))
    return f'; {listed} texts, too: --text-column "{both}" reads both'


def _are_sentences(column: Sequence[str]) -> bool:
    """Say whether most cells are different texts of some words; dates and addresses are none."""
    some = column[:_LOOKED_AT]
    filled = [cell for cell in some if cell and not _ADDRESS.match(cell)]
    words = sum(len(_PLAIN_WORD.findall(cell)) for cell in filled)
    return len(set(filled)) > len(some) / 10 and words >= _LINE * len(some)


def _count_filled(column: Sequence[str]) -> int:
    return sum(map(bool, column))


def _has_id(name: str) -> bool:
    return bool(words_of(name) & _IDS)


def _are_ids(name: str, column: Sequence[str]) -> bool:
    """Say whether a column numbers its rows, or names them, rather than holding texts."""
    cells = [cell for cell in column if cell]
    coded = sum(bool(_ID.fullmatch(cell)) for cell in cells) > 0.9 * len(cells)
    return bool(cells) and (coded or (_has_id(name) and not any(" " in cell for cell in cells)))


def _are_texts(column: Sequence[str]) -> bool:
    """Say whether most cells are texts, no numbers and names of rows."""
    cells = [cell for cell in column if cell]
    written = sum(any(map(str.isalpha, cell)) for cell in cells)
    addresses = sum(bool(_ADDRESS.match(cell)) for cell in cells)
    of_texts = written > 0.5 * len(cells) and addresses < 0.5 * len(cells)
    return of_texts and not _are_ids("", column) and _vary(column)


def _vary(column: Sequence[str]) -> bool:
    """Say whether values are more than a few that come again and again, as names of sources do."""
    return len(column) < _FEW_ROWS or len(set(column)) > len(column) / 10


def _come_again(column: Sequence[str]) -> bool:
    """Say whether values come more than once, as those of classes do; of few rows, any may."""
    cells = [cell for cell in column if cell]
    return len(cells) < 2 * _MEMBERS or len(set(cells)) <= len(cells) // 2


def _are_counts(name: str, column: Sequence[str]) -> bool:
    """Say whether scores are numbers of too many kinds for classes, as those of upvotes are."""
    different = [*dict.fromkeys(column)] if words_of(name) & _SCORES else []
    return len(different) > _MOST_CLASSES and _are_numbers(different[:_COMPARED])


def _are_numbers(column: Sequence[str]) -> bool:
    """Say whether most cells are numbers, as those of ratings are."""
    cells = [cell for cell in column if cell]
    return bool(cells) and sum(map(is_number, cells)) > 0.5 * len(cells)


def _by_name(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column with a known name, else one with a known word in its name."""
    for one in known:
        for name in names:
            if name.casefold() in (one, f"{one}s"):
                return name
    tells = {name: _is_of(name) for name in names}
    return next((name for one in known for name in names if tells[name](one)), None)


def words_of(name: str) -> set[str]:
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
