"""Lines that begin with their label, as fastText and the files of many benchmarks have them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from common.errors import DataError

LABEL, TEXT = "label", "text"  # the columns that are made of them

_FASTTEXT = "__label__"
_LINE = re.compile(r"(\S+)[ ]+(\S.*)")
# What can only be a label: a small number, a polarity, or a code such as ABBR:exp.
_PLAIN = re.compile(
    r"[+-]?\d{1,2}|pos|neg|neu|positive|negative|neutral|긍정|부정|중립|[A-Z]{2,}(?::\w+)?",
)
_FEWEST = 20  # lines that show that it is no chance
_LINES_OF_CLASS = 10  # on average
_WORDS = 3  # behind the label, in half of the lines or more


def split(text: str, name: str, suffix: str) -> Iterator[tuple[int, list[str] | str]] | None:
    """Return the names of the columns and the rows of lines that begin with their label, or None.

    Taken are fastText's `__label__2 text`, and in a `.txt` lines such as `0 text` or `NUM:date
    text` where all begin with one of few small numbers, polarities or codes.

    Args:
        text: of the file.
        name: what the file is called.
        suffix: of its name.

    Raises:
        DataError: a line of fastText's has several labels.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if lines and all(line.startswith(_FASTTEXT) for _, line in lines):
        return _of_fasttext(lines, name)
    if suffix == ".txt" and _begin_with_labels([line for _, line in lines]):
        return _rows(lines)
    return None


def _of_fasttext(
    lines: Sequence[tuple[int, str]], name: str
) -> Iterator[tuple[int, list[str] | str]]:
    for number, line in lines:
        if line.split()[1:2] and line.split()[1].startswith(_FASTTEXT):
            raise DataError(
                f"{name}:{number}: a line has several labels; give each line one, or write a table "
                "with a column of labels"
            )
    return _rows([(number, line.removeprefix(_FASTTEXT)) for number, line in lines])


def _begin_with_labels(lines: Sequence[str]) -> bool:
    found = [_LINE.fullmatch(line) for line in lines]
    if len(found) < _FEWEST or not all(found):
        return False
    labels = Counter(each[1] for each in found if each)
    words = sorted(len(each[2].split()) for each in found if each)
    return (
        all(map(_PLAIN.fullmatch, labels))
        and 2 <= len(labels) <= len(lines) / _LINES_OF_CLASS
        and words[len(words) // 2] >= _WORDS
    )


def _rows(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, list[str] | str]]:
    yield 0, [LABEL, TEXT]
    for number, line in lines:
        found = _LINE.fullmatch(line)
        yield number, [found[1], found[2]] if found else "there is no text behind its label"
