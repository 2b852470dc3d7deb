"""Small imitations of popular sets, laid out as they are downloaded, with values that are known."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from labs.rnn.forecast.series.table import read

COUNT = 240
VALUES = [(n * n % 37) + 1 for n in range(COUNT)]


def times(begin, **step):
    return [datetime.fromisoformat(begin) + n * timedelta(**step) for n in range(COUNT)]


def rows(header, begin, step, row):
    """Write a row for each time and value."""
    each = enumerate(zip(times(begin, **step), VALUES, strict=True))
    return header + "\n" + "".join(f"{row(n, at, value)}\n" for n, (at, value) in each)


def jena(n, at, value):
    return f"{at:%d.%m.%Y %H:%M:%S},{value}.5,{n % 7}.25"


def household(n, at, value):
    missing = n in (100, 101)
    return f"{at.day}/{at.month}/{at.year};{at:%H:%M:%S};" + (
        "?;?" if missing else f"{value}.0;{n % 5}.0"
    )


def air_quality(n, at, value):
    sensor = -200 if n % 50 == 7 else 1000 + value
    return f"{at:%d/%m/%Y};{at:%H.%M.%S};{value},5;{sensor};;"


def beijing(n, at, value):
    pm = "NA" if n in (50, 51) else value
    return f"{n + 1},{at.year},{at.month},{at.day},{at.hour},{pm},{-20 + n % 9},NW"


def electricity(n, at, value):
    return f'"{at:%Y-%m-%d %H:%M:%S}";{value},25;{n % 11},5'


def sales(n, at, value):
    day, there = f"{at.isoweekday()},{at:%Y-%m-%d}", int(at.weekday() < 6)  # not on Sundays
    return "\n".join(f"{store},{day},{there * store * value},{there}" for store in (1, 2))


def korean_prices(n, at, value):
    return (
        f'"{at.year}- {at.month:02}- {at.day:02}","{2000 + value:,}.50","{value}.25M","{n % 3}.10%"'
    )


def weather(n, at, value):
    return f"108,서울,{at:%Y-%m-%d},{value}.5,{'' if n % 3 else 4.5}"


@pytest.mark.parametrize(
    ("text", "encoding", "names", "spacing", "first", "expected"),
    [
        (
            rows('"Date Time",p (mbar),T (degC)', "2009-01-01T00:10", {"minutes": 10}, jena),
            *("utf-8", ("p (mbar)", "T (degC)"), "every 10 minutes", "2009-01-01T00:10"),
            [value + 0.5 for value in VALUES],
        ),
        (
            rows("Date;Time;Power;Sub_metering_1", "2006-12-16T17:24", {"minutes": 1}, household),
            *("utf-8", ("Power", "Sub_metering_1"), "every minute", "2006-12-16T17:24"),
            [*VALUES[:100], VALUES[99], VALUES[99], *VALUES[102:]],
        ),
        (
            rows("Date;Time;CO(GT);PT08.S1(CO);;", "2004-03-20T18:00", {"hours": 1}, air_quality),
            *("utf-8", ("CO(GT)", "PT08.S1(CO)"), "every hour", "2004-03-20T18:00"),
            [value + 0.5 for value in VALUES],
        ),
        (
            rows("No,year,month,day,hour,pm2.5,DEWP,cbwd", "2010-01-01", {"hours": 1}, beijing),
            *("utf-8", ("pm2.5", "DEWP"), "every hour", "2010-01-01"),
            [*VALUES[:50], VALUES[49], VALUES[49], *VALUES[52:]],
        ),
        (
            rows('"";"MT_001";"MT_002"', "2011-01-01T00:15", {"minutes": 15}, electricity),
            *("utf-8", ("MT_001", "MT_002"), "every 15 minutes", "2011-01-01T00:15"),
            [value + 0.25 for value in VALUES],
        ),
        (
            rows("Store,DayOfWeek,Date,Sales,Open", "2013-01-01", {"days": 1}, sales),
            *("utf-8", ("1", "2"), "every day", "2013-01-01"),
            [0 if n % 7 == 5 else value for n, value in enumerate(VALUES)],
        ),
        (
            rows('"날짜","종가","거래량","변동 %"', "2023-10-01", {"days": -1}, korean_prices),
            *("utf-8-sig", ("종가", "거래량", "변동 %"), "every day", "2023-02-04"),
            [2000.5 + value for value in VALUES[::-1]],
        ),
        (
            rows("지점,지점명,일시,평균기온(°C),일강수량(mm)", "2020-01-01", {"days": 1}, weather),
            *("cp949", ("지점", "평균기온(°C)"), "every day", "2020-01-01"),
            [value + 0.5 for value in VALUES],
        ),
    ],
)
def test_tables_as_they_are_downloaded(
    table, make, text, encoding, names, spacing, first, expected
):
    panel = read(table(text, encoding=encoding), make())
    assert panel.names == names
    assert str(panel.spacing) == spacing
    assert panel.dates[0] == np.datetime64(first)
    assert len(panel.dates) == COUNT
    column = names.index("평균기온(°C)") if "평균기온(°C)" in names else 0
    assert panel.values[:, column].tolist() == expected


def test_missing_sensors_of_air_quality_are_no_values(table, make):
    text = rows("Date;Time;CO(GT);PT08.S1(CO);;", "2004-03-20T18:00", {"hours": 1}, air_quality)
    panel = read(table(text), make())
    assert panel.values[:, 1].min() > 1000
    assert any("-200 is taken for a missing value, 5 times" in what for _, what in panel.notes)
