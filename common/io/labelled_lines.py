"""Lines with their label in front, or images with theirs behind, as many benchmarks have them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common.errors import DataError

LABEL, TEXT, PATH = "label", "text", "path"  # the columns that are made of them

_FASTTEXT = "__label__"
_IMAGE = re.compile(r"(.+\.(?:jpe?g|png|bmp|gif|webp|tiff?))[ ]+(\S.*)", re.IGNORECASE)
_LINE = re.compile(r"(\S+)\s+(\S.*)")
_BEHIND = re.compile(r"(.*\S)\s*@(positive|negative|neutral)")
# What can only be a label: a small number, a polarity, or a code such as ABBR:exp.
_PLAIN = re.compile(
    r"[+-]?\d{1,2}|pos|neg|neu|positive|negative|neutral|긍정|부정|중립|[A-Z]{2,}(?::\w+)?",
)
_FEWEST = 20  # lines that show that it is no chance
_LINES_OF_CLASS = 10  # on average
_WORDS = 3  # behind the label, in half of the lines or more


class Lines(NamedTuple):
    """A table that was made of lines."""

    rows: Iterator[tuple[int, list[str] | str]]  # the names of the columns first
    said: str  # what was taken for what


def split(text: str, name: str, suffix: str) -> Lines | None:
    """Return lines as a table of labels with texts or images, None where they are something else.

    Taken are fastText's `__label__2 text`; and in a `.txt` lines such as `0 text` or `NUM:date
    text` where all begin with one of few small numbers, polarities or codes, `text@positive` and
    `cats/1.jpg 0`.

    Args:
        text: of the file.
        name: what the file is called.
        suffix: of its name.

    Raises:
        DataError: a line of fastText's has several labels.
    """
    if suffix != ".txt" and not text.lstrip().startswith(_FASTTEXT):
        return None  # without a look at each line of a large table
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    in_front = f"the lines of {name} begin with their label"
    if lines and all(re.match(_FASTTEXT + r"[^,;|\s]+(\s|$)", line) for _, line in lines):
        _refuse_several(lines, name)
        plain = [(number, line.removeprefix(_FASTTEXT)) for number, line in lines]
        return Lines(_rows(plain, _LINE, [LABEL, TEXT]), in_front)
    if suffix == ".txt" and len(lines) >= _FEWEST and all(_BEHIND.fullmatch(x) for _, x in lines):
        behind = f"the lines of {name} end with their label, behind @"
        return Lines(_rows(lines, _BEHIND, [TEXT, LABEL]), behind)
    if suffix != ".txt" or _are_cut([line for _, line in lines]):
        return None
    if lines and all(_IMAGE.fullmatch(line) for _, line in lines):
        behind = f"the lines of {name} are images with their labels behind"
        return Lines(_rows(lines, _IMAGE, [PATH, LABEL]), behind)
    if _begin_with_labels([line for _, line in lines]):
        return Lines(_rows(lines, _LINE, [LABEL, TEXT]), in_front)
    return None


def _are_cut(lines: Sequence[str]) -> bool:
    """Say whether lines are rows of a table: in all a tab stands, or a delimiter behind a word."""
    return all(re.match(r"\S+\s*[,;|]|.*\t", line) for line in lines)


def _refuse_several(lines: Sequence[tuple[int, str]], name: str) -> None:
    for number, line in lines:
        if line.split()[1:2] and line.split()[1].startswith(_FASTTEXT):
            raise DataError(
                f"{name}:{number}: a line has several labels; give each line one, or write a table "
                "with a column of labels"
            )


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


def _rows(
    lines: Sequence[tuple[int, str]], pattern: re.Pattern[str], names: list[str]
) -> Iterator[tuple[int, list[str] | str]]:
    yield 0, names
    for number, line in lines:
        found = pattern.fullmatch(line)
        yield number, [found[1], found[2]] if found else "there is nothing behind its label"
