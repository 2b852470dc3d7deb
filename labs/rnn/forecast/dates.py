"""Dates as people write them, how far they lie apart, and which come next."""

import itertools
import re
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

_DAYS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y. %m. %d.",
    "%Y년 %m월 %d일",
    "%d.%m.%Y",
    "%b-%d-%Y",
    "%d-%b-%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S")
_MONTHS = ("%Y-%m", "%Y/%m", "%Y.%m", "%Y년 %m월", "%b %Y", "%Y")
_FORMATS = (*(day + time for day, time in itertools.product(_DAYS, _TIMES)), *_MONTHS)

_QUARTER = re.compile(r"(?P<year>\d{4})(?: ?-? ?Q|년 ?)(?P<quarter>[1-4])(?:분기)?", re.IGNORECASE)
_QUARTER_FIRST = re.compile(r"Q(?P<quarter>[1-4])[ -]?(?P<year>\d{4})", re.IGNORECASE)

_DAY = 24 * 3600  # seconds
_WEEK = 7  # days


class Unreadable(ValueError):
    """A text that is no date, its place `row` among the texts, and the reason why not."""

    def __init__(self, row: int, reason: str):
        self.row, self.reason = row, reason
        super().__init__(f"row {row}: {reason}")


class Spacing(NamedTuple):
    """How far neighboring dates lie apart."""

    unit: str  # month, business day, day, second, or irregular (then the step is the usual one, s)
    step: int  # in units
    anchor: int = 0  # of months: the day, or the last one of a shorter month

    def __str__(self) -> str:
        """Return it for a person, such as `every 5 minutes`."""
        if self.unit == "irregular":
            return "at irregular dates"
        count, unit = self.step, self.unit
        for name, size in (("day", _DAY), ("hour", 3600), ("minute", 60)):
            if unit == "second" and count % size == 0:
                count, unit = count // size, name
        return f"every {unit}" if count == 1 else f"every {count} {unit}s"

    def steps(self, dates: Array) -> Array:
        """Return the steps between neighbors of rising dates (T,), (T - 1,); 1: nothing is missing.

        Holidays are no gap in business days, and irregular dates have none.
        """
        match self.unit:
            case "month":
                return np.asarray(np.diff(dates.astype("datetime64[M]")).astype(int) // self.step)
            case "business day":
                days = dates.astype("datetime64[D]")
                return np.asarray(np.busday_count(days[:-1], days[1:]))
            case "irregular":
                return np.ones(len(dates) - 1, int)
        size = self.step * (_DAY if self.unit == "day" else 1)
        return np.asarray(np.diff(dates).astype(int) // size)

    def after(self, date: np.datetime64, count: int) -> Array:
        """Return the `count` dates that follow a date, datetime64[s] (count,)."""
        steps = np.arange(1, count + 1)
        date = date.astype("datetime64[s]")
        clock = date - date.astype("datetime64[D]")
        match self.unit:
            case "month":
                days = [
                    _day_of_month(month, self.anchor)
                    for month in date.astype("datetime64[M]") + self.step * steps
                ]
                return np.asarray(np.array(days, "datetime64[s]") + clock)
            case "business day":
                following = np.busday_offset(date.astype("datetime64[D]"), steps, "backward")
                return np.asarray(following.astype("datetime64[s]") + clock)
        size = self.step * (_DAY if self.unit == "day" else 1)
        return np.asarray(date + size * steps)


def read(texts: Sequence[str]) -> Array:
    """Read a column of dates, all written in one way; datetime64[s] (T,).

    ISO 8601 with or without time (a zone is turned into UTC), and the ways of `_FORMATS`, Korean
    ones among them.

    Raises:
        Unreadable: a text is no date, or is written in another way than those before, or the
            whole column could be read day first as well as month first.
    """
    texts = [unicodedata.normalize("NFC", text).strip() for text in texts]
    readers: list[Callable[[str], datetime]] = [datetime.fromisoformat]
    readers += [partial(_strptime, form) for form in _FORMATS]
    readers.append(_quarter)
    furthest, found = Unreadable(0, f"expected a date, given {texts[0]!r}"), []
    for reader in readers:
        try:
            found.append(_all(texts, reader))
        except Unreadable as error:
            furthest = max(furthest, error, key=lambda each: each.row)
    if not found:
        raise furthest
    if any((other != found[0]).any() for other in found):
        raise Unreadable(0, f"{texts[0]!r} may be day first or month first; write it as YYYY-MM-DD")
    return found[0]


def _strptime(form: str, text: str) -> datetime:
    return datetime.strptime(text, form)


def _quarter(text: str) -> datetime:
    """Read `2024Q1`, `2024-Q1`, `Q1 2024` or `2024년 1분기` as the first day of the quarter."""
    found = _QUARTER.fullmatch(text) or _QUARTER_FIRST.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return datetime(int(found["year"]), 3 * int(found["quarter"]) - 2, 1)


def _all(texts: Sequence[str], reader: Callable[[str], datetime]) -> Array:
    dates = []
    for row, text in enumerate(texts):
        try:
            date = reader(text)
        except ValueError:
            usual = f", in the way of {texts[0]!r}" if row else ""
            raise Unreadable(row, f"expected a date{usual}, given {text!r}") from None
        dates.append(date.astimezone(UTC).replace(tzinfo=None) if date.tzinfo else date)
    return np.array(dates, "datetime64[s]")


def infer(dates: Array) -> Spacing:
    """Find how far rising dates (T >= 2,) lie apart, though up to half of them may be missing."""
    seconds = np.diff(dates).astype(int)
    days = dates.astype("datetime64[D]")
    if len(np.unique(dates - days)) == 1:  # one time of day
        found = _months(days) or _business_days(days)
        if found is not None:
            return found
    values, counts = np.unique(seconds, return_counts=True)
    usual = int(values[counts.argmax()])
    if (seconds % usual).any() or seconds.mean() > 2 * usual:
        return Spacing("irregular", int(np.median(seconds)))
    return Spacing("day", usual // _DAY) if usual % _DAY == 0 else Spacing("second", usual)


def _months(days: Array) -> Spacing | None:
    """Return a spacing of months, if every date is on the same day of its month."""
    months = days.astype("datetime64[M]")
    anchor = int((days - months).astype(int).max()) + 1
    apart = np.diff(months).astype(int)
    if apart.min() == 0 or any(
        day != _day_of_month(month, anchor) for day, month in zip(days, months, strict=True)
    ):
        return None
    return Spacing("month", int(np.gcd.reduce(apart)), anchor)


def _day_of_month(month: np.datetime64, day: int) -> np.datetime64:
    """Return a day of a month, or the last one where the month is shorter."""
    first = month.astype("datetime64[D]")
    date = first.astype(object)
    return np.datetime64(first + (min(day, monthrange(date.year, date.month)[1]) - 1))


def _business_days(days: Array) -> Spacing | None:
    """Return business days, if mostly neighbors of them occur, and no weekend in over a week."""
    if days[-1] - days[0] < _WEEK or not np.is_busday(days).all():
        return None
    apart = np.busday_count(days[:-1], days[1:])
    return Spacing("business day", 1) if np.mean(apart == 1) > 0.5 else None


def to_iso(dates: Array) -> list[str]:
    """Write dates as ISO 8601, without a time where all are at midnight."""
    days = dates.astype("datetime64[D]")
    return [str(date) for date in (days if (dates == days).all() else dates)]
