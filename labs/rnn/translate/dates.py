"""Ways to write a date, in Korean and English; each says the whole date and can mean no other."""

from collections.abc import Callable
from datetime import date

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEKDAYS = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
_KOREAN_WEEKDAYS = "월화수목금토일"
_KOREAN_DIGITS = ("", *"일이삼사오육칠팔구")
_SMALL = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
_TENS = (
    "",
    "ten",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
)
_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def korean(number: int) -> str:
    """Return a number from 1 to 9999 in Sino-Korean words, such as 이천이십사 for 2024."""
    text = ""
    for place, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit = number // place % 10
        # Before a unit one says no 일: 천구백, not 일천구백.
        text += (_KOREAN_DIGITS[digit] if digit != 1 or place == 1 else "") + name * (digit > 0)
    return text


def korean_month(month: int) -> str:
    """Return a month in Korean words; June and October lose their last consonant."""
    return {6: "유월", 10: "시월"}.get(month, f"{korean(month)}월")


def english(number: int) -> str:
    """Return a number from 1 to 99 in English words."""
    tens, ones = divmod(number, 10)
    if number < 20:
        return _SMALL[number]
    return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]


def english_ordinal(number: int) -> str:
    """Return which one of 1 to 99 it is in English words, such as twenty-first."""
    head, dash, last = english(number).rpartition("-")
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return head + dash + _IRREGULAR.get(last, regular)


def english_year(year: int) -> str:
    """Return a year from 1900 to 2099 in English words, such as nineteen oh five."""
    century, rest = divmod(year, 100)
    if year // 10 == 200:
        return f"two thousand {english(rest)}" if rest else "two thousand"
    if rest == 0:
        return f"{english(century)} hundred"
    return f"{english(century)} {'oh ' if rest < 10 else ''}{english(rest)}"


def suffixed(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, ..."""
    teen = number // 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _month(day: date) -> str:
    return _MONTHS[day.month - 1]


def _weekday(day: date) -> str:
    return _WEEKDAYS[day.weekday()]


def _korean_weekday(day: date) -> str:
    return _KOREAN_WEEKDAYS[day.weekday()]


FORMS: tuple[Callable[[date], str], ...] = (
    # digits
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.year}{d.month:02}{d.day:02}",
    lambda d: f"{d.year}. {d.month}. {d.day}.",
    lambda d: f"{d.year}. {d.month}. {d.day}. ({_korean_weekday(d)})",
    # Korean
    lambda d: f"{d.year}년 {d.month}월 {d.day}일",
    lambda d: f"{d.year}년{d.month}월{d.day}일",
    lambda d: f"{d.year}년 {d.month:02}월 {d.day:02}일",
    lambda d: f"{d.year}년 {d.month}월 {d.day}일 {_korean_weekday(d)}요일",
    lambda d: f"서기 {d.year}년 {d.month}월 {d.day}일",
    lambda d: f"{korean(d.year)}년 {korean_month(d.month)} {korean(d.day)}일",
    lambda d: (
        f"{korean(d.year)}년 {korean_month(d.month)} {korean(d.day)}일 {_korean_weekday(d)}요일"
    ),
    lambda d: f"{korean(d.year)} 년 {d.month}월 {korean(d.day)} 일",
    # English
    lambda d: f"{_month(d)} {d.day}, {d.year}",
    lambda d: f"{_month(d)[:3]} {d.day}, {d.year}",
    lambda d: f"{_month(d)} {suffixed(d.day)}, {d.year}",
    lambda d: f"{d.day} {_month(d)} {d.year}",
    lambda d: f"{d.day} {_month(d)[:3]} {d.year}",
    lambda d: f"{d.day}-{_month(d)[:3].upper()}-{d.year}",
    lambda d: f"{d.day} {_month(d).lower()} {d.year}",
    lambda d: f"the {suffixed(d.day)} of {_month(d)}, {d.year}",
    lambda d: f"{_weekday(d)} {d.day} {_month(d)} {d.year}",
    lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}",
    lambda d: f"{_weekday(d)[:3]} {d.day} {_month(d)[:3]} {d.year}",
    lambda d: f"{_month(d)} {english_ordinal(d.day)}, {english_year(d.year)}",
    lambda d: f"the {english_ordinal(d.day)} of {_month(d)}, {english_year(d.year)}",
)
