"""Columns of numbers that measure nothing, in tables as they are handed out."""

from datetime import date, datetime, timedelta

import pytest

from common.errors import DataError
from labs.rnn.forecast.series.table import read


def rents(count, step):
    """Rows of bicycles that were rented, with all that stands beside them."""
    for n in range(count):
        at = datetime(2011, 1, 1) + n * step
        flags = (int(n % 50 == 0), (at.weekday() + 1) % 7, int(at.weekday() < 5))
        season = at.month % 12 // 3 + 1
        yield (n + 1, at.date(), season, at.year - 2011, at.month, at.hour, *flags, n % 17, n % 23)


HEADER = "instant,dteday,season,yr,mnth,hr,holiday,weekday,workingday,hum,cnt"


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(hours=1)])
def test_numbers_of_rows_parts_of_dates_and_flags_are_left_out(table, make, step):
    rows = list(rents(500, step))
    text = "\n".join(",".join(map(str, row)) for row in rows)
    panel = read(table(f"{HEADER}\n{text}\n"), make())
    assert panel.names == ("hum", "cnt")
    assert panel.values[:, 1].tolist() == [row[-1] for row in rows]
    [said] = [each for each in panel.said if "measure nothing" in each]
    assert "numbers of rows in column 'instant'" in said
    assert "0 and 1, a flag in columns 'holiday', 'workingday'" in said
    for name in ("season", "yr", "mnth", "weekday"):
        assert repr(name) in said
    asked = read(table(f"{HEADER}\n{text}\n"), make(value_columns="instant,cnt"))
    assert asked.names == ("instant", "cnt")


@pytest.mark.parametrize(
    ("name", "cell", "what"),
    [
        ("CustomerID", lambda n, day: 17850 + n * 31 % 90, "codes"),
        ("Postal Code", lambda n, day: 42420 + n % 3, "codes"),
        ("InvoiceNo", lambda n, day: 536365 + n // 3, "codes"),
        ("종목코드", lambda n, day: 5930 + n % 2, "codes"),
        ("No", lambda n, day: 300 - n, "numbers of rows"),
        ("Day_Index", lambda n, day: n + 1, "numbers of rows"),
        ("등록일자", lambda n, day: f"{day + timedelta(3):%Y%m%d}", "dates"),
        ("updated", lambda n, day: 1577836800 + 86400 * n + 3600, "dates"),
        ("DayOfWeek", lambda n, day: day.isoweekday(), "a part of the date"),
        ("요일", lambda n, day: day.weekday(), "a part of the date"),
        ("week_of_year", lambda n, day: day.isocalendar()[1], "a part of the date"),
        ("IsHoliday", lambda n, day: int(n % 9 == 0), "0 and 1, a flag"),
        ("공휴일여부", lambda n, day: int(n % 9 == 0), "0 and 1, a flag"),
    ],
)
def test_codes_dates_and_flags_beside_values(table, make, name, cell, what):
    days = [date(2020, 1, 1) + timedelta(n) for n in range(300)]
    rows = "".join(f"{day},{cell(n, day)},{n * n % 37}\n" for n, day in enumerate(days))
    panel = read(table(f"date,{name},sales\n{rows}"), make())
    assert panel.names == ("sales",)
    assert any(f"{what} in column {name!r}" in each for each in panel.said)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("week", lambda n: n * 7 % 31),  # not that of the date
        ("NO", lambda n: 20 + n * 7 % 5),  # a gas
        ("humid", lambda n: 40 + n % 9),
        ("open", lambda n: 100 + n % 9),  # a price
        ("price index", lambda n: 100 + n),
        ("visits", lambda n: n % 2),
        ("cap", lambda n: 1577836800 + n * 7919 % 3000),
        ("year", lambda n: n * n % 11),
    ],
)
def test_measurements_with_such_names_stay(table, make, name, cell):
    days = [date(2020, 1, 1) + timedelta(n) for n in range(300)]
    rows = "".join(f"{day},{cell(n)},{n * n % 37}\n" for n, day in enumerate(days))
    panel = read(table(f"date,{name},sales\n{rows}"), make())
    assert panel.names == (name, "sales")


def test_a_table_without_measurements_is_refused(table, make):
    days = [date(2020, 1, 1) + timedelta(n) for n in range(60)]
    rows = "".join(f"{n + 1},{day},{n % 2}\n" for n, day in enumerate(days))
    with pytest.raises(DataError, match=r"no column measures anything.*'Id'.*--value-columns"):
        read(table(f"Id,Date,Open\n{rows}"), make())


def test_sums_beside_months_are_no_names_where_some_are_missing(table, make):
    months = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec"
    rows = "".join(
        f"{1880 + y},{','.join(str((12 * y + m) % 17) for m in range(12))},{y},{y or '***'}\n"
        for y in range(20)
    )
    panel = read(table(f"Land: Means\nYear,{months},J-D,D-N\n{rows}"), make())
    assert panel.names == ("value",)
    assert panel.values[:, 0].tolist() == [n % 17 for n in range(240)]


def test_series_are_called_by_words_and_their_codes_left_out(table, make):
    days = [date(2020, 1, 1) + timedelta(n) for n in range(60)]
    rows = "".join(
        f"{code},{name},{day},{n * n % 37},{lat}\n"
        for code, name, lat in ((108, "서울", 37.57), (159, "부산", 35.1))
        for n, day in enumerate(days)
    )
    panel = read(table(f"지점,지점명,일시,기온,위도\n{rows}"), make())
    assert panel.names == ("서울", "부산")
    assert any("one number for each series in columns '지점', '위도'" in s for s in panel.said)


def test_a_column_without_any_cell_is_no_flag(table, make):
    rows = "".join(f"2020-01-{n:02},,{n * n % 7}\n" for n in range(1, 32))
    panel = read(table(f"date,event,sales\n{rows}"), make())
    assert panel.names == ("sales",)
    assert "flag" not in " ".join(panel.said)
