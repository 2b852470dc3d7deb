"""How far dates lie apart, and which come next."""

import re
from calendar import monthrange
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

_SECOND = 1_000_000  # microseconds
_DAY = 24 * 3600  # seconds
_WEEK = 7  # days
_LONG = 4 * _WEEK  # that show on which days of the week there is nothing
_CLOCK_CHANGE = 3600 * _SECOND
_HOLIDAYS = 10  # business days in a row without a row that are no gap: the longest new year's

_UNITS = {  # that people name, each with one of `Spacing` and its size there
    "month": ("month", 1),
    "quarter": ("month", 3),
    "year": ("month", 12),
    "business day": ("business day", 1),
    "day": ("day", 1),
    "week": ("day", 7),
    "hour": ("second", 3600),
    "minute": ("second", 60),
    "second": ("second", 1),
    "millisecond": ("microsecond", 1000),
}

FIRST_BUSINESS_DAY, LAST_BUSINESS_DAY = 0, -1  # anchors of months
_WORKING = (0, 1, 2, 3, 4)  # from Monday
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Spacing(NamedTuple):
    """How far neighboring dates lie apart.

    - unit: month, business day, weekday (some days of the week), day, second, microsecond, or
      irregular (then the step is the usual one, in seconds).
    - step: in units.
    - anchor: of months the day, or the last one of a shorter month; or FIRST_BUSINESS_DAY,
      LAST_BUSINESS_DAY. Of weekdays the sum of 2 ** n of those that occur, n from 0, Monday.
    """

    unit: str
    step: int
    anchor: int = 0

    def __str__(self) -> str:
        """Return it for a person, such as `every 5 minutes`."""
        if self.unit == "irregular":
            return "at irregular dates"
        if self.unit == "weekday":
            return f"every {', '.join(_NAMES[day] for day in self.days)}"
        count, unit = self.step, self.unit
        sizes = (("day", _DAY), ("hour", 3600), ("minute", 60))
        for name, size in sizes:
            if unit == "second" and count % size == 0:
                count, unit = count // size, name
        if unit == "microsecond" and count % 1000 == 0:
            count, unit = count // 1000, "millisecond"
        return f"every {unit}" if count == 1 else f"every {count} {unit}s"

    @property
    def days(self) -> tuple[int, ...]:
        """The days of the week that occur, 0 for Monday; () where that does not matter."""
        if self.unit == "business day":
            return _WORKING
        if self.unit == "weekday":
            return tuple(day for day in range(_WEEK) if self.anchor >> day & 1)
        return ()

    @property
    def plural(self) -> str:
        """The unit of several days, for a person."""
        return "business days" if self.unit == "business day" else "days"

    @property
    def _week(self) -> list[bool]:
        return [day in self.days for day in range(_WEEK)]

    @property
    def _size(self) -> int:
        """Microseconds of a step of fixed length."""
        sizes = {"day": _DAY * _SECOND, "microsecond": 1}
        return self.step * sizes.get(self.unit, _SECOND)

    def steps(self, dates: Array) -> Array:
        """Return the steps between neighbors of rising dates (T,), (T - 1,); 1: nothing is missing.

        Holidays are no gap where some days of the week occur, and irregular dates have none.
        """
        if self.unit == "irregular":
            return np.ones(len(dates) - 1, int)
        if self.unit == "month":
            return np.asarray(np.diff(dates.astype("datetime64[M]")).astype(int) // self.step)
        if self.days:
            days = dates.astype("datetime64[D]")
            apart = np.busday_count(days[:-1], days[1:], self._week)
            return np.where(apart - 1 > _HOLIDAYS, apart, 1)
        return np.asarray(np.diff(dates.astype("datetime64[us]")).astype(int) // self._size)

    def holidays(self, dates: Array) -> Array:
        """Return how many days are missing between neighbors without being a gap, (T - 1,)."""
        if not self.days:
            return np.zeros(len(dates) - 1, int)
        days = dates.astype("datetime64[D]")
        apart = np.busday_count(days[:-1], days[1:], self._week)
        return np.where(apart - 1 > _HOLIDAYS, 0, np.maximum(apart - 1, 0))

    def after(self, date: np.datetime64, count: int) -> Array:
        """Return the `count` dates that follow a date, datetime64[s] or [us] (count,)."""
        steps = np.arange(1, count + 1)
        clock = date - date.astype("datetime64[D]")
        if self.unit == "month":
            months = date.astype("datetime64[M]") + self.step * steps
            days = np.array([_day_of_month(month, self.anchor) for month in months])
            return np.asarray(days + clock)
        if self.days:
            day = date.astype("datetime64[D]")
            return np.asarray(np.busday_offset(day, steps, "backward", self._week) + clock)
        unit = "us" if self.unit == "microsecond" else np.datetime_data(date.dtype)[0]
        following = date + np.timedelta64(self._size, "us") * steps
        return np.asarray(following.astype(f"datetime64[{unit}]"))


def given(text: str, dates: Array) -> Spacing:
    """Return the spacing that a text such as `15 minutes`, `business day` or `month` says.

    Args:
        text: a number, perhaps, and a unit.
        dates: rising, (T,).

    Raises:
        ValueError: the text is none, or a date does not fit; the reason.
    """
    found = re.fullmatch(rf"(?:every )?(?:(\d+) )?({'|'.join(_UNITS)})s?", text.strip())
    if found is None or found[1] == "0":
        raise ValueError(f"expected a number and one of {', '.join(_UNITS)}, such as 15 minutes")
    unit, size = _UNITS[found[2]]
    spacing = Spacing(unit, size * int(found[1] or 1))
    if unit == "month":
        days = dates.astype("datetime64[D]")
        anchor = int((days - days.astype("datetime64[M]")).astype(int).max()) + 1
        spacing = spacing._replace(anchor=anchor)
    on = _on(spacing, dates)
    if not on.all():
        raise ValueError(
            f"{to_iso(dates[~on][:1])[0]} is not {spacing} from {to_iso(dates[:1])[0]}"
        )
    return spacing


def _on(spacing: Spacing, dates: Array) -> Array:
    """Say which dates lie whole steps behind the first one, (T,)."""
    if spacing.days:
        return np.asarray(np.is_busday(dates.astype("datetime64[D]")))
    if spacing.unit == "month":
        months = dates.astype("datetime64[M]")
        clock = dates - dates.astype("datetime64[D]")
        right = np.array([_day_of_month(month, spacing.anchor) for month in months])
        whole = (months - months[0]).astype(int) % spacing.step == 0
        return np.asarray((right == dates.astype("datetime64[D]")) & whole & (clock == clock[0]))
    return np.asarray((dates - dates[0]).astype("timedelta64[us]").astype(int) % spacing._size == 0)


def infer(dates: Array) -> Spacing:
    """Find how far rising dates (T >= 2,) lie apart, though up to half of them may be missing."""
    apart = np.diff(dates.astype("datetime64[us]")).astype(int)
    days = dates.astype("datetime64[D]")
    if len(np.unique(dates - days)) == 1:  # one time of day
        found = _months(days) or _business_days(days) or _weekdays(days)
        if found is not None:
            return found
    values, counts = np.unique(apart, return_counts=True)
    usual = int(values[counts.argmax()])
    if (apart % usual).any() or apart.mean() > 2 * usual:
        return Spacing("irregular", max(1, int(np.median(apart)) // _SECOND))
    if usual % _SECOND:
        return Spacing("microsecond", usual)
    seconds = usual // _SECOND
    return Spacing("day", seconds // _DAY) if seconds % _DAY == 0 else Spacing("second", seconds)


def steady_clock(dates: Array) -> Array:
    """Put days that are an hour off, as clocks were changed, at the time of the first one.

    Where a zone is left out, a day in summer begins an hour earlier: 23:00, 22:00, 22:00 of UTC.
    Other dates are returned as they are.

    Args:
        dates: rising, (T,).
    """
    first = dates[0] - dates[0].astype("datetime64[D]")
    moved = dates - first
    days = (moved + np.timedelta64(12, "h")).astype("datetime64[D]")
    off = np.unique((moved - days).astype("timedelta64[us]").astype(int))
    by_an_hour = len(off) == 2 and abs(off).max() == _CLOCK_CHANGE and 0 in off
    if not by_an_hour or (np.diff(days).astype(int) < 1).any():
        return dates
    return np.asarray(days + first)


def _months(days: Array) -> Spacing | None:
    """Return a spacing of months, if there is one date in each, always at the same place in it."""
    months = days.astype("datetime64[M]")
    apart = np.diff(months).astype(int)
    if apart.min() == 0:
        return None
    step = int(np.gcd.reduce(apart))
    day = int((days - months).astype(int).max()) + 1
    for anchor in (day, FIRST_BUSINESS_DAY, LAST_BUSINESS_DAY):
        at = np.array([_day_of_month(month, anchor) for month in months])
        if (at == days).all():
            return Spacing("month", step, anchor)
    for anchor in (FIRST_BUSINESS_DAY, LAST_BUSINESS_DAY):  # but for holidays
        at = np.array([_day_of_month(month, anchor) for month in months])
        first, then = (at, days) if anchor == FIRST_BUSINESS_DAY else (days, at)
        off = np.busday_count(first, then)
        if len(days) > _WEEK and (apart == step).all() and off.min() >= 0 and off.max() < 5:
            return Spacing("month", step, anchor)
    return None


def _day_of_month(month: np.datetime64, anchor: int) -> np.datetime64:
    """Return the day of a month that an anchor means."""
    first = month.astype("datetime64[D]")
    if anchor == FIRST_BUSINESS_DAY:
        return np.datetime64(np.busday_offset(first, 0, "forward"))
    if anchor == LAST_BUSINESS_DAY:
        return np.datetime64(np.busday_offset((month + 1).astype("datetime64[D]"), -1, "forward"))
    date = first.astype(object)
    return np.datetime64(first + (min(anchor, monthrange(date.year, date.month)[1]) - 1))


def _business_days(days: Array) -> Spacing | None:
    """Return business days, if mostly neighbors of them occur, and no weekend in over a week."""
    if days[-1] - days[0] < _WEEK or not np.is_busday(days).all():
        return None
    apart = np.busday_count(days[:-1], days[1:])
    return Spacing("business day", 1) if np.mean(apart == 1) > 0.5 else None


def _weekdays(days: Array) -> Spacing | None:
    """Return the days of the week that occur, if others never do, and these mostly do."""
    there = np.unique((days.astype(int) + 3) % _WEEK)  # 1970-01-01 was a Thursday
    if days[-1] - days[0] < _LONG or not 1 < len(there) < _WEEK:
        return None
    spacing = Spacing("weekday", 1, int(sum(2**there)))
    apart = np.busday_count(days[:-1], days[1:], spacing._week)
    return spacing if np.mean(apart == 1) > 0.8 else None


def to_iso(dates: Array) -> list[str]:
    """Write dates as ISO 8601, without a time where all are at midnight."""
    days = dates.astype("datetime64[D]")
    return [str(date) for date in (days if (dates == days).all() else dates)]
