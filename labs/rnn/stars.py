"""Ratings as people write them: 4, 4.5, 4,5, 4/5, ★★★★☆, 별점 4."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common.errors import DataError
from common.io.labels import MISSING

_VALUE = r"[+-]?\d+(?:[.,]\d+)?"
_WORD = r"(?:별점|평점|점수|별|rating|score|stars?|[★⭐])"
_UNIT = r"(?:점|개|stars?|points?|[★⭐])"
_NUMBER = re.compile(_VALUE)
_NAMED = re.compile(rf"(?:{_WORD}\s*[:=]?\s*)?({_VALUE})\s*{_UNIT}?", re.IGNORECASE)
_OUT_OF = re.compile(
    rf"(?:{_WORD}\s*[:=]?\s*)?({_VALUE})\s*점?\s*(?:/|out of)\s*({_VALUE})\s*{_UNIT}?",
    re.IGNORECASE,
)
_STARS = re.compile(r"([★⭐]+)(½?)([☆✩]*)")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_LARGEST = 1e6
_SHOWN = 5


class _Read(NamedTuple):
    """A cell that was read."""

    value: float
    most: float | None = None  # what it is out of, where it says so


class Ratings(NamedTuple):
    """Ratings that were read."""

    values: list[float | None]  # of each cell; None where it is missing or cannot be read
    reasons: dict[int, str]  # why not, by the row
    notes: list[str]  # sentences on what was not certain


def read_ratings(cells: Sequence[str], where: str) -> Ratings:
    """Read ratings; what can be read in several ways is left out, with the reason.

    A number may have a decimal comma, stand behind a word such as `별점`, before a unit such as
    `stars`, or be out of another (`4/5`); stars are counted, with open ones as what they are out
    of.

    Args:
        cells: as they are written.
        where: names the column, for a message.

    Raises:
        DataError: they are out of different numbers, or more than half of them cannot be read.
    """
    found = {cell: _read(cell) for cell in dict.fromkeys(cells)}
    out_of = {read.most: cell for cell, read in _known(found) if read.most is not None}
    if len(out_of) > 1:
        scales = " and ".join(f"out of {most:g} ({cell!r})" for most, cell in out_of.items())
        raise DataError(f"{where}: ratings are {scales}; write all of them on one scale")
    [most] = out_of or [None]
    if most is not None:
        found = {cell: _within(cell, read, most) for cell, read in found.items()}
    reasons = {
        row: found_reason
        for row, cell in enumerate(cells)
        if isinstance(found_reason := found[cell], str)
    }
    _refuse_unread(cells, reasons, where)
    values = [None if isinstance(read := found[cell], str) else read.value for cell in cells]
    return Ratings(values, reasons, _say(found))


def _known(found: dict[str, "_Read | str"]) -> Iterator[tuple[str, _Read]]:
    return ((cell, read) for cell, read in found.items() if isinstance(read, _Read))


def _read(cell: str) -> _Read | str:
    """Return the rating in a cell, or the reason why there is none."""
    text = unicodedata.normalize("NFKC", cell.replace("½", "\0")).replace("\ufe0f", "").strip()
    if text.casefold() in MISSING or not text:
        return f"the rating is {cell!r}, a missing value"
    if stars := _STARS.fullmatch(text.replace("\0", "½").replace(" ", "")):
        full, half, rest = stars.groups()
        count = len(full) + len(half) / 2
        return _Read(count, len(full) + len(half) + len(rest) if rest else None)
    text = re.sub(r"(?<=\d)\0", ".5", text)
    if named := _NAMED.fullmatch(text):
        return _number(cell, named[1])
    if parts := _OUT_OF.fullmatch(text):
        value, most = (_number(cell, part) for part in parts.groups())
        if not isinstance(value, _Read):
            return value
        return most if not isinstance(most, _Read) else _Read(value.value, most.value)
    return f"{cell!r} is no rating that can be read"


def _number(cell: str, text: str) -> _Read | str:
    if _THOUSANDS.fullmatch(text):
        return f"{cell!r} may be {text.replace(',', '')} or {text.replace(',', '.')}"
    value = float(text.replace(",", "."))
    return _Read(value) if abs(value) <= _LARGEST else f"{cell!r} is too large for a rating"


def _within(cell: str, read: _Read | str, most: float) -> _Read | str:
    """Refuse what is more than all ratings are out of, or less than nothing."""
    if isinstance(read, _Read) and not 0 <= read.value <= most:
        return f"{cell!r} is not between 0 and {most:g}, which others are out of"
    return read


def _refuse_unread(cells: Sequence[str], reasons: dict[int, str], where: str) -> None:
    unread = [reason for reason in reasons.values() if "missing" not in reason]
    if 2 * len(unread) > len(cells) - (len(reasons) - len(unread)):
        some = "; ".join(dict.fromkeys(unread[:_SHOWN]))
        raise DataError(
            f"{where}: {len(unread):,} of {len(cells):,} labels are no ratings ({some}); write "
            "numbers, or leave out --target number to learn classes"
        )


def _say(found: dict[str, _Read | str]) -> list[str]:
    """Say by an example how cells were read that are no plain numbers."""
    for cell, read in _known(found):
        if not _NUMBER.fullmatch(cell.strip()) or "," in cell:
            out_of = "" if read.most is None else f", out of {read.most:g}"
            return [f"the rating {cell!r} is read as {read.value:g}{out_of}"]
    return []
