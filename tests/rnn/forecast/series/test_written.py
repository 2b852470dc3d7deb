"""What is read of a table equals what was written, or one sentence says why it cannot be read."""

import csv
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from common.errors import DataError
from labs.rnn.forecast.series.spacing import infer
from labs.rnn.forecast.series.table import read

_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905 - shorter so

# How a day is written, and whether one day alone says which number is what.
DAYS = {
    "2020-03-05": (lambda d: f"{d:%Y-%m-%d}", True),
    "2020/3/5": (lambda d: f"{d.year}/{d.month}/{d.day}", True),
    "2020.03.05": (lambda d: f"{d:%Y.%m.%d}", True),
    "2020. 3. 5.": (lambda d: f"{d.year}. {d.month}. {d.day}.", True),
    "2020년 3월 5일": (lambda d: f"{d.year}년 {d.month}월 {d.day}일", True),
    "20200305": (lambda d: f"{d:%Y%m%d}", True),
    "5 Mar 2020": (lambda d: f"{d.day} {_NAMES[d.month - 1]} {d.year}", True),
    "05-MAR-2020": (lambda d: f"{d.day:02}-{_NAMES[d.month - 1].upper()}-{d.year}", True),
    "Mar 5, 2020": (lambda d: f"{_NAMES[d.month - 1]} {d.day}, {d.year}", True),
    "05.03.2020": (lambda d: f"{d:%d.%m.%Y}", True),
    "05/03/2020": (lambda d: f"{d:%d/%m/%Y}", False),
    "3/5/2020": (lambda d: f"{d.month}/{d.day}/{d.year}", False),
    "05-03-2020": (lambda d: f"{d:%d-%m-%Y}", False),
    "03-05-20": (lambda d: f"{d:%m-%d-%y}", False),
    "05.03.20": (lambda d: f"{d:%d.%m.%y}", False),
    "20.03.05": (lambda d: f"{d:%y.%m.%d}", False),
}
CLOCKS = {
    "": None,
    " 13:05": lambda d: f" {d:%H:%M}",
    "T13:05:07": lambda d: f"T{d:%H:%M:%S}",
    " 13:05:07.5": lambda d: f" {d:%H:%M:%S}.{d.microsecond:06}",
    " 1:05 PM": lambda d: f" {d.hour % 12 or 12}:{d:%M} {'PM' if d.hour > 11 else 'AM'}",
    " 오후 1:05": lambda d: f" {'오후' if d.hour > 11 else '오전'} {d.hour % 12 or 12}:{d:%M}",
}
STEPS = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "hour": timedelta(hours=1),
    "15 minutes": timedelta(minutes=15),
    "half a second": timedelta(seconds=0.5),
}


def month_by_month(begin, count):
    months = [begin.year * 12 + begin.month - 1 + n for n in range(count)]
    return [datetime(month // 12, month % 12 + 1, 1) for month in months]


def business_days(begin, count):
    first = np.busday_offset(np.datetime64(begin, "D"), 0, "forward")
    return np.busday_offset(first, np.arange(count)).astype("datetime64[s]").tolist()


def point(text):
    return text


def comma(text):
    return text.replace(".", ",")


def grouped(text, between=",", mark="."):
    whole, _, part = text.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    parts = [digits[max(0, end - 3) : end] for end in range(len(digits), 0, -3)][::-1]
    return sign + between.join(parts) + (mark + part if part else "")


NUMBERS = {
    "point": point,
    "comma": comma,
    "1,234.5": grouped,
    "1.234,5": lambda text: grouped(text, ".", ","),
    "1 234,5": lambda text: grouped(text, " ", ","),
    "$": lambda text: f"-${text[1:]}" if text.startswith("-") else f"${text}",
    "%": lambda text: f"{text}%",
}


@st.composite
def tables(draw):
    """Draw how a table is written, and what it says."""
    year = draw(st.integers(1970, 2040))  # those of two digits are of 1969 to 2068
    begin = datetime(year, draw(st.integers(1, 12)), draw(st.integers(1, 28)))
    count = draw(st.integers(3, 30))
    step = draw(st.sampled_from([*STEPS, "month", "business day"]))
    clock = draw(st.sampled_from(list(CLOCKS)))
    fine = step in ("hour", "15 minutes", "half a second")
    if step == "half a second":
        clock = " 13:05:07.5"
    elif fine and not clock:
        clock = " 13:05"
    if step == "month":
        dates = month_by_month(begin, count)
    elif step == "business day":
        dates = business_days(begin, count)
    else:
        dates = [begin + n * STEPS[step] for n in range(count)]
    day = draw(st.sampled_from(list(DAYS)))
    zone = draw(st.sampled_from(["", "", "Z", "+09:00", "-0530"])) if ":" in clock else ""
    if "PM" in clock or "오후" in clock:
        zone = ""
    places = draw(st.integers(0, 4))  # of decimals
    value = st.decimals(-999_999, 9_999_999, places=places, allow_nan=False)
    missing = draw(st.sampled_from(["", "NA", "-", "NM", "null"]))
    values = [draw(value) for _ in range(count)]
    gaps = draw(st.sets(st.integers(1, count - 2), max_size=2))
    return {
        "dates": dates,
        "texts": [
            DAYS[day][0](date) + (CLOCKS[clock](date) if CLOCKS[clock] else "") + zone
            for date in dates
        ],
        "clear": DAYS[day][1],
        "values": values,
        "write": draw(st.sampled_from(list(NUMBERS))),
        "missing": missing,
        "gaps": gaps,
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "header": draw(st.sampled_from([("date", "x"), ("날짜", "매출"), ("", "Close")])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "shuffled": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }


def write(path: Path, table) -> None:
    rows = [
        [text, table["missing"] if row in table["gaps"] else NUMBERS[table["write"]](f"{value:f}")]
        for row, (text, value) in enumerate(zip(table["texts"], table["values"], strict=True))
    ]
    if table["shuffled"]:
        rows = [rows[row] for row in np.random.default_rng(table["seed"]).permutation(len(rows))]
    with path.open("w", encoding=table["encoding"], newline="") as file:
        writer = csv.writer(file, delimiter=table["delimiter"])
        writer.writerow(table["header"])
        writer.writerows(rows)


def expected_values(table):
    """Return the values, with the one before in the place of a missing one."""
    found = []
    for row, value in enumerate(table["values"]):
        found.append(found[-1] if row in table["gaps"] else float(Decimal(value)))
    return found


def is_said(panel, table):
    """Say whether the user was told how a number was read that may be another one, as `1.234`.

    Or `1,000`, which is a thousand where the names of the columns are Korean.
    """
    return table["write"] in ("1.234,5", "comma") and "is" in panel.said[-1].split()


def read_or_refuse(make, path):
    try:
        return read(path, make())
    except DataError as error:
        return str(error)


def check(make, path, table):
    write(path, table)
    dates = np.array(table["dates"], "datetime64[us]")
    panel = read_or_refuse(make, path)
    if isinstance(panel, str):
        event("refused")
        assert path.name in panel
        assert "\n" not in panel
        assert "may be" in panel or not table["clear"] or not table["header"][0]
        return
    if any("taken for a missing value" in each for each in (*panel.said, *map(str, panel.notes))):
        event("told")
        return
    event("read")
    if infer(dates).unit == "business day" or len(panel.dates) == len(dates):
        assert (panel.dates == dates).all()
        assert panel.values[:, 0].tolist() == expected_values(table) or is_said(panel, table)
    else:  # dates without a row were given one, and that is said
        places = np.searchsorted(panel.dates, dates)
        assert (panel.dates[places] == dates).all()
        assert panel.values[places, 0].tolist() == expected_values(table) or is_said(panel, table)
        assert any("no row" in what for _, what in panel.notes)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "series.csv"


SETTINGS = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=40, **SETTINGS)
@given(tables())
def test_some_tables_are_read_as_written(make, path, table):
    check(make, path, table)


@pytest.mark.slow
@settings(max_examples=3_000, **SETTINGS)
@given(tables())
def test_many_tables_are_read_as_written(make, path, table):
    check(make, path, table)
