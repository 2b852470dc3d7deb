"""Dates as people write them: a whole column, in one way.

A text is a date, perhaps a time of day, perhaps a zone. The zone changes nothing: what is read is
the clock that people saw, so a business day stays one. Where the offset itself changes (summer
time) and there are several times in a day, all are told in the first offset, and that is said.
Numbers are whole microseconds throughout, so no part of a second is lost.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array
from labs.rnn.forecast.series import counted
from labs.rnn.forecast.series.spacing import infer

_SECOND = 1_000_000  # microseconds
_DAY = 24 * 3600 * _SECOND
_EPOCH = date(1970, 1, 1).toordinal()
_CENTURY = 69  # years of two digits from here on are of the last century, as in POSIX

ORDERS = ("ymd", "dmy", "mdy")
_WAYS = {
    "ymd": "year, month, day",
    "dmy": "day, month, year",
    "mdy": "month, day, year",
    "ym": "years and months",
    "my": "months and years",
    "quarter": "quarters",
    "half": "half-years",
    "week": "ISO weeks, each at its Monday",
    "ordinal": "years and days of the year",
    "year": "years",
    "span": "spans of days, each at its first",
}
_ENOUGH = 5  # dates that show by their rhythm how they are written


class Unreadable(ValueError):
    """A text that is no date, its place `row` among the texts, and the reason why not."""

    def __init__(self, row: int, reason: str, *, telling: bool = True):
        self.row, self.reason, self.telling = row, reason, telling
        super().__init__(f"row {row}: {reason}")


class Dates(NamedTuple):
    """A column of dates that was read."""

    values: Array  # (T,) datetime64[s], or [us] where there are parts of seconds
    way: str  # how they are written, for a person
    order: str | None = None  # of ORDERS, where it cannot be seen from one date alone

    @property
    def of_months(self) -> bool:
        """Whether they are months, without days."""
        return self.way.startswith((_WAYS["ym"], _WAYS["my"]))


# --- the ways -----------------------------------------------------------------------------------

_WEEKDAY = (
    "(?:Mon(?:day)?|Tue(?:s(?:day)?)?|Wed(?:nesday)?|Thu(?:r(?:s(?:day)?)?)?|Fri(?:day)?|"
    "Sat(?:urday)?|Sun(?:day)?|[월화수목금토일](?:요일)?)"
)
_ZONE = r"Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|UTC|GMT|[A-Z]{3,4}"
_CLOCK = (
    r"(?:(?P<before>오전|오후|[AP]M)\s*)?"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?"
    r"|(?P<hour_>\d{1,2})시(?:\s*(?P<minute_>\d{1,2})분)?(?:\s*(?P<second_>\d{1,2})초)?"
    r"|(?P<hour__>\d{1,2})\.(?P<minute__>\d{2})\.(?P<second__>\d{2}))"
    r"(?:\s*(?P<after>[AP]\.?M\.?))?"
    rf"(?:\s*(?P<zone>{_ZONE}))?(?:\s*(?P<place>\[[\w/+-]+\]))?"
)
_TEXT = re.compile(
    rf"(?:{_WEEKDAY}[,.]?\s+)?(?P<date>.*?\S)(?:\s*\({_WEEKDAY}\)|,?\s{_WEEKDAY})?"
    rf"(?:(?:T|\s+|,\s*|:|(?<=일)){_CLOCK}|(?P<behind>Z|[+-]\d{{2}}:\d{{2}}))?",
    re.IGNORECASE,
)
_USUAL = re.compile(r"([\d./-]+)[ T](\d{1,2}:\d{2}.*)")
_AT = r"(?:\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[AP]M)?|\d{1,2}시(?:\s*\d{1,2}분)?)"
_TO = r"(?P<to>\s+-\s+|\s*[~–—/]\s*|\s+(?:to|until|bis)\s+|\s*부터\s*|\s?-)"
_SPAN = re.compile(
    rf"(?P<start>\D*\d.*?(?P<at>{_AT})(?:Z|[+-]\d\d:\d\d)?){_TO}"
    rf"(?P<end>(?P<day>\d.*?[\sT])?(?P<until>{_AT})(?:Z|[+-]\d\d:\d\d)?|P[\dTDHM]+)(?:\s*까지)?",
    re.IGNORECASE,
)
_SPAN_OF_DAYS = re.compile(
    r"(?P<start>\d.*?\S)(?:\s+-\s+|\s*[~–—]\s*|\s+(?:to|until|bis)\s+)(?P<end>\d[\d./\-\s년월일]*)"
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?")
_ISO_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")

_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_Y, _M, _D = r"(?P<y>\d{4})", r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})"
_SHORT, _EITHER = r"(?P<y>\d{2})", r"(?P<y>\d{4}|\d{2})"
_FULL = r"(?P<y>(?:1[5-9]|20|21)\d{2})"
_NAME = rf"(?P<name>{'|'.join((*_MONTH_NAMES, 'sept', *(n[:3] for n in _MONTH_NAMES)))})\.?"
_Q, _W = r"(?P<q>[1-4])", r"(?P<w>\d{1,2})"
_Form = tuple[str, re.Pattern[str]]  # an order of _WAYS, and how it is written
_FORMS: tuple[_Form, ...] = tuple(
    (order, re.compile(pattern, re.IGNORECASE))
    for order, pattern in (
        ("ymd", rf"{_Y}-{_M}-{_D}(?:[T ](?P<H>\d\d))?"),
        ("ymd", rf"{_Y}- {_M}- {_D}"),
        ("ymd", rf"{_Y}/{_M}/{_D}"),
        ("ymd", rf"{_Y}\.\s*{_M}\.\s*{_D}\.?"),
        ("ymd", rf"{_Y}년\s*{_M}월\s*{_D}일"),
        ("ymd", rf"{_Y} {_M} {_D}"),
        ("ymd", rf"{_Y}[- /]{_NAME}[- /]{_D}"),
        ("ymd", rf"{_FULL}(?P<m>\d\d)(?P<d>\d\d)(?:[T ]?(?P<H>\d\d)(?:(?P<M>\d\d)(?P<S>\d\d)?)?)?"),
        ("ymd", rf"{_SHORT}-{_M}-{_D}"),
        ("ymd", rf"{_SHORT}/{_M}/{_D}"),
        ("ymd", rf"'?{_SHORT}\.\s*{_M}\.\s*{_D}\.?"),
        ("ymd", rf"{_SHORT}년\s*{_M}월\s*{_D}일"),
        ("ymd", r"(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)"),
        ("dmy", r"(?P<d>\d\d)(?P<m>\d\d)(?P<y>\d\d)"),
        ("mdy", r"(?P<m>\d\d)(?P<d>\d\d)(?P<y>\d\d)"),
        ("dmy", rf"{_D}/{_M}/{_EITHER}"),
        ("dmy", rf"{_D}-{_M}-{_EITHER}"),
        ("dmy", rf"{_D}\.\s*{_M}\.\s*{_EITHER}\.?"),
        ("dmy", rf"{_D} {_M} {_Y}"),
        ("dmy", rf"{_D}(?:st|nd|rd|th)?[- ./]?\s*{_NAME}[- ,./]?\s*{_EITHER}"),
        ("dmy", r"(?P<d>\d\d)(?P<m>\d\d)(?P<y>(?:19|20)\d\d)"),
        ("mdy", rf"{_M}/{_D}/{_EITHER}"),
        ("mdy", rf"{_M}-{_D}-{_EITHER}"),
        ("mdy", rf"{_M} {_D} {_Y}"),
        ("mdy", rf"{_NAME}[- ./]?\s*{_D}(?:st|nd|rd|th)?(?:,\s*|[- ./]\s*){_Y}"),
        ("mdy", r"(?P<m>\d\d)(?P<d>\d\d)(?P<y>(?:19|20)\d\d)"),
        ("ym", rf"{_Y}[-/.]{_M}"),
        ("ym", rf"{_Y}\.\s*{_M}\."),
        ("ym", rf"{_Y}년\s*{_M}월"),
        ("ym", rf"{_Y}[- ]?M{_M}"),
        ("ym", rf"{_FULL}(?P<m>\d\d)"),
        ("ym", rf"{_Y}[- ./]?\s*{_NAME}"),
        ("my", rf"{_M}[-/.]{_Y}"),
        ("my", rf"{_NAME}[- ,./]*'?{_Y}"),
        ("my", rf"{_NAME}[- /]*'?{_SHORT}"),
        ("quarter", rf"{_Y}[- ./]*Q{_Q}"),
        ("quarter", rf"{_Y}[- ./]*{_Q}Q"),
        ("quarter", rf"{_Y}[- ./]+{_Q}/4"),
        ("quarter", rf"{_Y}년?\s*{_Q}\s*분기"),
        ("quarter", rf"Q{_Q}[- ./]*{_Y}"),
        ("quarter", rf"{_Q}Q[- ./]*{_Y}"),
        ("quarter", rf"(?:{_Q}Q|Q(?P<q_>[1-4]))[- ./]*'?{_SHORT}"),
        ("quarter", rf"'?{_SHORT}[- ./]*(?:{_Q}Q|Q(?P<q_>[1-4]))"),
        ("half", rf"{_Y}[- ./]*H(?P<half>[12])"),
        ("half", rf"H(?P<half>[12])[- ./]*{_Y}"),
        ("half", rf"{_Y}년?\s*(?P<half>[상하])반기"),
        ("week", rf"{_Y}[- ]?W{_W}(?:-?(?P<weekday>[1-7]))?"),
        ("week", rf"{_Y}년\s*{_W}주차?"),
        ("ordinal", rf"{_Y}-(?P<j>\d{{3}})"),
        ("span", rf"{_Y}-{_M}-{_D}(?:/| ~ ?|~)\d{{4}}-\d{{1,2}}-\d{{1,2}}"),
        ("year", r"(?P<y>[12]\d{3})(?:년|\.0)?"),
    )
)
# Ways that leave open which number is what, unless other rows show it, or `order` says it.
_OPEN = frozenset(
    pattern.pattern
    for order, pattern in _FORMS
    if order in ORDERS and not pattern.pattern.startswith((_Y, _FULL))
    if _NAME not in pattern.pattern
)
_LOOSE_MONTH = rf"{_Y}[-/.]{_M}"  # 2020.1: January, October without its 0, or a quarter
_MINUTES: _Form = (
    "ymd",
    re.compile(r"(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)(?P<M>\d\d)"),
)
_LOOSE_YEAR = rf"{_NAME}[- /]*'?{_SHORT}"  # Jan-20: 2020, or a day


def read(texts: Sequence[str], order: str | None = None) -> Dates:
    """Read a column of dates, all written in one way.

    Args:
        texts: ISO 8601 with or without time and zone, the ways of `_FORMS` (Korean ones among
            them) with or without a time, or seconds since 1970, also in smaller units.
        order: one of ORDERS, where days, months and years are numbers; found out when None.

    Raises:
        Unreadable: a text is no date, or is written in another way than those before, or the
            whole column could be read in several ways.
    """
    texts = [unicodedata.normalize("NFC", text).strip() for text in texts]
    if any(text.endswith(")") for text in texts):  # 2020.12 p), which is provisional
        texts = [re.sub(r"(?<=\d)\s*[pe]\)$", "", text) for text in texts]
    if (starts := _starts(texts)) is not None:
        found = read(starts, order)
        return found._replace(way=f"{found.way}; spans such as {texts[0]!r}, each at its start")
    return _read_iso(texts) or _read_any(texts, order)


def _starts(texts: list[str]) -> list[str] | None:
    """Return where spans of time begin, such as 2020-01-01 00:00 - 01:00; None for other texts.

    Raises:
        Unreadable: the first is a span, and another is not.
    """
    for pattern in (_SPAN, _SPAN_OF_DAYS):
        first = pattern.fullmatch(texts[0])
        if first is None or (pattern is _SPAN_OF_DAYS and not _is_span_of_days(first)):
            continue
        found = [pattern.fullmatch(text) for text in texts]
        may_be_zone = pattern is _SPAN and first["to"].lstrip() == "-" and not first["day"]
        if may_be_zone and not _go_on(found):  # -01:00
            continue
        for row, each in enumerate(found):
            if each is None or _is_half_told(each):  # 1:00 - 2:00 PM
                reason = f"expected a span in the way of {texts[0]!r}, given {texts[row]!r}"
                raise Unreadable(row, reason)
        return [each["start"] for each in found if each is not None]
    return None


def _is_half_told(found: re.Match[str]) -> bool:
    """Say whether AM or PM stands behind the end alone."""
    texts = found.groupdict()
    half = re.compile(r"[AP]M$", re.IGNORECASE)
    return bool(half.search(texts.get("until") or "") and not half.search(texts["at"] or ""))


def _is_span_of_days(found: re.Match[str]) -> bool:
    """Say whether both ends are days or months; 2020 - 01 - 01 is a day, and 2020 - 2021 none."""
    first, last = (re.findall(r"\d+", found[end]) for end in ("start", "end"))
    return len(first) == 3 or len(first) == len(last) == 2


def _go_on(found: Sequence[re.Match[str] | None]) -> bool:
    """Say whether what may be a clock or an offset is as long after each start, so no offset."""
    both = {(each["at"], each["until"]) for each in found if each is not None and each["until"]}
    if len({until for _, until in both}) < 2:
        return False
    lengths = [(_minutes(until) - _minutes(at)) % (24 * 60) for at, until in both]
    return max(map(lengths.count, lengths)) > len(lengths) / 2


def _minutes(clock: str) -> int:
    hour, minute, *_ = (*map(int, re.findall(r"\d+", clock)), 0)
    return 60 * hour + minute


def _read_iso(texts: list[str]) -> Dates | None:
    """Read what is all ISO 8601 with one zone or none, quickly; None where it is not."""
    zone = _ISO_ZONE.search(texts[0][16:])
    same = zone[0] if zone else ""
    if same and not all(text.endswith(same) for text in texts):
        return None
    bare = [text.removesuffix(same).rstrip() for text in texts] if same else texts
    if not all(map(_ISO.fullmatch, bare)):
        return None
    try:
        values = np.array(bare, "datetime64[us]")
    except ValueError:  # no such day; the row is named where each is looked at
        return None
    return Dates(_whole(values), _say("ymd", texts[0], same))


def _whole(values: Array) -> Array:
    """Return datetime64[us] as [s], where no part of a second is lost."""
    seconds = values.astype("datetime64[s]")
    return np.asarray(seconds if (seconds == values).all() else values)


def _say(order: str, text: str, zone: str = "") -> str:
    where = f", in the zone {zone} as it is" if zone else ""
    return f"{_WAYS[order]}, such as {text!r}{where}"


# --- any way ------------------------------------------------------------------------------------


class _Parts(NamedTuple):
    """A text, taken apart."""

    date: str
    clock: int  # microseconds since midnight
    zone: str | None


def _read_any(texts: list[str], order: str | None) -> Dates:
    rows: dict[str, int] = {}  # of each text where it is first
    for row, text in enumerate(texts):
        rows.setdefault(text, row)
    clocks: dict[str, tuple[int, str | None]] = {}
    parts = [_take_apart(text, row, clocks) for text, row in rows.items()]
    numbers = {text: number for number, text in enumerate(rows)}
    days: dict[str, int] = {}  # of each date without its clock the row where it is first
    for part, row in zip(parts, rows.values(), strict=True):
        days.setdefault(part.date, row)
    furthest, found = _no_date(texts), dict[bytes, tuple[_Form, Array]]()
    for form in _FORMS:
        if order not in (None, form[0]) and form[1].pattern in _OPEN:
            continue
        try:
            moments = _moments(form, days)
        except Unreadable as error:
            furthest = max(furthest, error, key=lambda each: (each.row, each.telling))
        else:
            found.setdefault(moments.tobytes(), (form, moments))
    if not found:
        if (epoch := counted.read(list(rows))) is None:
            raise furthest
        values, way = epoch
        if (minutes := _with_minutes(rows, values)) is not None:
            values, way = minutes, _say("ymd", texts[0])
        return Dates(_whole(_spread(values, texts, numbers)), way)
    clock = np.array([part.clock for part in parts])
    places = {day: place for place, day in enumerate(days)}
    of_day = [places[part.date] for part in parts]
    read = [(form, moments[of_day] + clock) for form, moments in found.values()]
    form, values = read[0] if len(read) == 1 else _by_rhythm(read, texts[0])
    values, zone = _in_one_zone(values, [part.zone for part in parts], list(rows.values()))
    dates = _whole(_spread(values, texts, numbers))
    order = form[0] if form[1].pattern in _OPEN else None
    return Dates(dates, _say(form[0], texts[0]) + zone, order)


def _with_minutes(rows: dict[str, int], since_1970: Array) -> Array | None:
    """Read 2001312345 as 2020-01-31 23:45, where all are so, and not a rhythm since 1970.

    Raises:
        Unreadable: they have a rhythm both ways, or in neither.
    """
    try:
        moments = _moments(_MINUTES, rows)
    except Unreadable:
        return None
    steady = [
        _is_steady(np.unique(each).astype("datetime64[us]")) for each in (moments, since_1970)
    ]
    if steady[0] == steady[1]:
        what = f"{next(iter(rows))!r} may be seconds since 1970, or YYMMDDHHMM"
        raise Unreadable(0, f"{what}; write YYYY-MM-DD HH:MM")
    return moments if steady[0] else None


def _spread(values: Array, texts: Sequence[str], numbers: dict[str, int]) -> Array:
    """Return the microseconds of each text from those of the different ones, datetime64[us]."""
    return np.asarray(values[[numbers[text] for text in texts]].astype("datetime64[us]"))


def _take_apart(text: str, row: int, clocks: dict[str, tuple[int, str | None]]) -> _Parts:
    """Return a text's parts; `clocks` keeps what each time of day came to, for speed."""
    usual = _USUAL.fullmatch(text)
    if usual is None:
        return _take_apart_slowly(text, row)
    if usual[2] not in clocks:
        slowly = _take_apart_slowly(text, row)
        if slowly.date != usual[1]:  # more than a clock stands behind it
            return slowly
        clocks[usual[2]] = (slowly.clock, slowly.zone)
    return _Parts(usual[1], *clocks[usual[2]])


def _take_apart_slowly(text: str, row: int) -> _Parts:
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Unreadable(row, f"expected a date, given {text!r}")
    get = found.groupdict().get
    zone = "".join(filter(None, (get("zone"), get("place"), get("behind")))) or None
    if (hour := get("hour") or get("hour_") or get("hour__")) is None:
        return _Parts(found["date"], 0, zone)
    half = (get("before") or get("after") or "").upper().replace(".", "")
    hours, part = int(hour), get("part") or ""
    minutes, seconds = (
        int(get(name) or get(f"{name}_") or get(f"{name}__") or 0) for name in ("minute", "second")
    )
    if half:
        hours = hours % 12 + (12 if half in ("PM", "오후") else 0) if 1 <= hours <= 12 else 99
    clock = (hours * 3600 + minutes * 60 + seconds) * _SECOND + int(part[:6].ljust(6, "0"))
    if minutes > 59 or seconds > 59 or clock > _DAY:  # 24:00 is the end of a day
        raise Unreadable(row, f"expected a time of day, given {text!r}")
    if part[6:].strip("0"):
        raise Unreadable(row, f"{text!r} is finer than a microsecond; round it")
    return _Parts(found["date"], clock, zone)


def _moments(form: _Form, days: dict[str, int]) -> Array:
    """Return the microseconds since 1970 of dates that are all written in one form, (N,).

    Args:
        form: one of `_FORMS`.
        days: the texts, each with the row where it is first.

    Raises:
        Unreadable: one is written in another way.
    """
    _, pattern = form
    first = next(iter(days))
    moments, months = [], []
    for text, row in days.items():
        found = pattern.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            moments.append(_moment(found.groupdict()))
        except ValueError:
            usual = f", in the way of {first!r}" if row else ""
            reason = f"expected a date{usual}, given {text!r}"
            raise Unreadable(row, reason, telling=False) from None
        months.append(found.groupdict().get("m") or found.groupdict().get("name") or "")
    if pattern.pattern == _LOOSE_MONTH:
        _check_months(months, days)
        _check_seasons(months, days)
    if pattern.pattern == _LOOSE_YEAR and len(set(months)) == 1 < len(months):
        raise Unreadable(0, f"{first!r} may be a day without its year; write YYYY-MM-DD")
    return np.array(moments)


def month_of(name: str) -> int:
    """Return the number of a month by its English name, 0 where it is none."""
    if re.fullmatch(_NAME, name, re.IGNORECASE) is None:
        return 0
    return 1 + [each[:3] for each in _MONTH_NAMES].index(name[:3].lower())


def _moment(found: dict[str, str | None]) -> int:
    """Return the microseconds since 1970 of what a form's pattern has found.

    Raises:
        ValueError: there is no such day or hour.
    """
    numbers = {name: int(text) for name, text in found.items() if text and text.isdecimal()}
    year, day = numbers["y"], numbers.get("d", 1)
    if len(found["y"] or "") == 2:
        year += 1900 if year >= _CENTURY else 2000
    month = numbers.get("m", 1)
    if name := found.get("name"):
        month = month_of(name)
    if quarter := numbers.get("q") or numbers.get("q_"):
        month = 3 * quarter - 2
    if half := found.get("half"):
        month = 1 if half in "1상" else 7
    if "w" in numbers:
        on = date.fromisocalendar(year, numbers["w"], numbers.get("weekday", 1))
    else:
        on = date(year, month, day) + timedelta(days=numbers.get("j", 1) - 1)
    if on.year != year and "j" in numbers:
        raise ValueError
    hours, minutes, seconds = (numbers.get(name, 0) for name in "HMS")
    if minutes > 59 or seconds > 59 or hours * 60 + minutes > 24 * 60:
        raise ValueError
    clock = (hours * 3600 + minutes * 60 + seconds) * _SECOND
    return (on.toordinal() - _EPOCH) * _DAY + clock


def _check_months(months: Sequence[str], days: dict[str, int]) -> None:
    """Refuse 2020.1 where it may be October, which lost its 0, or a quarter."""
    padded = any(month.startswith("0") for month in months)
    for month, (text, row) in zip(months, days.items(), strict=True):
        if padded and len(month) == 1:
            raise Unreadable(row, f"{text!r}: January to September have a 0 in other rows")
    if len(months) > 2 and set(months) == {"5"}:
        raise Unreadable(0, f"{next(iter(days))!r} may be the middle of a year", telling=False)
    if set(months) == set("1234"):
        text = next(iter(days))
        raise Unreadable(0, f"{text!r} may be a month or a quarter; write 2020-01 or 2020-Q1")


def _check_seasons(months: Sequence[str], days: dict[str, int]) -> None:
    """Refuse 2000-01, 2001-02 and so on, which are seasons."""
    if len(days) > 1 and all(
        int(month) == int(text[:4]) % 100 + 1 for month, text in zip(months, days, strict=True)
    ):
        text = next(iter(days))
        reason = f"{text!r} may be a month, or a season of two years; write 2000-01-01, or 2000"
        raise Unreadable(0, reason)


def _of_six_digits(read: Sequence[tuple[_Form, Array]]) -> Sequence[tuple[_Form, Array]]:
    """Return the readings of 200131 by which dates rise or fall, and are not one day of each year.

    One date alone is taken as year, month and day.
    """
    if len(read[0][1]) == 1:
        return read[:1]
    days = [(each, each[1].astype("datetime64[us]").astype("datetime64[D]")) for each in read]
    kept = [each for each, day in days if not _is_one_day_of_years(day)] or list(read)
    steps = [np.diff(values) for _, values in kept]
    rising = [
        each for each, step in zip(kept, steps, strict=True) if (step > 0).all() or (step < 0).all()
    ]
    return rising or kept


def _is_one_day_of_years(days: Array) -> bool:
    """Say whether all dates are the same day of years, neither a month's first nor its last."""
    texts = {str(day)[5:] for day in days}
    [text, *others] = texts
    return not others and 1 < int(text[3:]) < 28


def _by_rhythm(read: Sequence[tuple[_Form, Array]], text: str) -> tuple[_Form, Array]:
    """Return the one of several readings by which the dates have a rhythm without gaps.

    Raises:
        Unreadable: there is not exactly one.
    """
    if re.fullmatch(r"\d{6}", text):
        read = _of_six_digits(read)
        if len(read) == 1:
            return read[0]
    steady = [each for each in read if _is_steady(np.unique(each[1]).astype("datetime64[us]"))]
    if len(steady) == 1:
        return steady[0]
    ways = [_WAYS[order] for (order, _), _ in read]
    known = all(order in ORDERS for (order, _), _ in read)
    say = "; say which with --date-order" if known else ""
    raise Unreadable(0, f"{text!r} may be written {' or '.join(ways)}{say}, or write YYYY-MM-DD")


def _is_steady(dates: Array) -> bool:
    if len(dates) < _ENOUGH:
        return False
    spacing = infer(dates)
    return spacing.unit != "irregular" and bool((spacing.steps(dates) == 1).all())


def _in_one_zone(
    values: Array, zones: Sequence[str | None], rows: Sequence[int]
) -> tuple[Array, str]:
    """Return times by one clock, and words about it.

    Raises:
        Unreadable: only some have a zone, or zones change that have names only.
    """
    if len(set(zones)) == 1:
        return values, f", in the zone {zones[0]} as it is" if zones[0] else ""
    other = next(n for n, zone in enumerate(zones) if zone != zones[0])
    if None in zones:
        raise Unreadable(rows[other], "a time with a zone stands among others without one")
    if len(np.unique(values % _DAY)) == 1:
        return values, ", at the time that clocks showed, in zones that change"
    offsets = [_offset(zone or "") for zone in zones]
    if None in offsets:
        both = f"{zones[0]} and {zones[other]}"
        raise Unreadable(rows[other], f"zones change ({both}); write offsets such as +01:00")
    moved = values - (np.array(offsets, int) - int(offsets[0] or 0)) * 60 * _SECOND
    return moved, f", all told in the zone {zones[0]} of the first, as offsets change"


def _offset(zone: str) -> int | None:
    """Return the minutes that a zone is before UTC, None where it is a name alone."""
    if zone.upper() in ("Z", "UTC", "GMT"):
        return 0
    found = re.search(r"([+-])(\d{2}):?(\d{2})?", zone)
    if found is None:
        return None
    minutes = 60 * int(found[2]) + int(found[3] or 0)
    return -minutes if found[1] == "-" else minutes


def _no_date(texts: Sequence[str]) -> Unreadable:
    """Say that the first text is no date, and what it may be."""
    text, hint = texts[0], ""
    if re.fullmatch(r"[2-7]\d{4}(?:\.\d+)?", text):
        hint = "; if it is a spreadsheet's number of a day, save the column as YYYY-MM-DD"
    elif re.fullmatch(r"[12]\d{3}\.\d+", text):
        hint = "; if it is a part of a year, write the days, or YYYY-MM"
    elif re.fullmatch(r"\d{1,4}", text):
        hint = "; if it counts steps, put dates in their place"
    elif re.fullmatch(r"\d(?:\.\d+)?[eE]\+?\d+", text):
        hint = "; a spreadsheet has rounded it: save the column as text"
    return Unreadable(0, f"expected a date, given {text!r}{hint}", telling=False)
