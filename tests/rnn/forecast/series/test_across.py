"""Tables whose dates run across the top, as statistics are handed out."""

from calendar import monthrange

import numpy as np
import pytest

from labs.rnn.forecast.series.table import read

MONTHS = [f"{month}월" for month in range(1, 13)]
HOURS = [f"{hour}시" for hour in range(1, 25)]


def lines(header, *rows):
    return "\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n"


@pytest.mark.parametrize(
    ("header", "first", "spacing"),
    [
        (["1960", "1961", "1962"], "1960-01-01", "every 12 months"),
        (["2018 [YR2018]", "2019 [YR2019]", "2020 [YR2020]"], "2018-01-01", "every 12 months"),
        (["X1960", "X1961", "X1962"], "1960-01-01", "every 12 months"),
        (["2012.11 월", "2012.12 월", "2013.01 p)"], "2012-11-01", "every month"),
        (["2012 년", "2013 년", "2014 년"], "2012-01-01", "every 12 months"),
        (["2012.3/4", "2012.4/4", "2013.1/4"], "2012-07-01", "every 3 months"),
        (["12/30/20", "12/31/20", "1/1/21"], "2020-12-30", "every day"),
        (["2020-02", "2020-01", "2019-12"], "2019-12-01", "every month"),
    ],
)
def test_columns_that_are_dates_become_rows(header, first, spacing, table, make):
    rows = [["Korea", "KOR", 37.5, 1, 2, 3], ["Japan", "JPN", 36.2, 4, 5, 6]]
    panel = read(table(lines(["Country", "Code", "Lat", *header], *rows)), make())
    assert panel.names == ("Korea", "Japan")
    falling = header[0] > header[1] and "-" in header[0]
    assert panel.values[:, :2].T.tolist() == (
        [[3, 2, 1], [6, 5, 4]] if falling else [[1, 2, 3], [4, 5, 6]]
    )
    assert str(panel.dates[0])[:10] == first
    assert str(panel.spacing) == spacing
    assert "its columns are dates" in panel.said[0]
    assert panel.said[0].endswith("left out beside them: 'Lat'")


def test_one_row_of_values_below_its_dates(table, make):
    panel = read(table("2020-01,2020-02,2020-03\n1,2,3\n"), make())
    assert panel.values[:, 0].tolist() == [1, 2, 3]
    assert panel.names == ("value",)


@pytest.mark.parametrize(
    ("names", "count", "spacing"),
    [
        (MONTHS, 12, "every month"),
        (
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
            12,
            "every month",
        ),
        ([str(month) for month in range(1, 13)], 12, "every month"),
        (["Q1", "Q2", "Q3", "Q4"], 4, "every 3 months"),
        (["1분기", "2분기", "3분기", "4분기"], 4, "every 3 months"),
    ],
)
def test_months_and_quarters_go_on_from_year_to_year(names, count, spacing, table, make):
    values = np.arange(3 * count).reshape(3, count)
    rows = [[2020 + n, *row, row.sum()] for n, row in enumerate(values)]
    panel = read(table(lines(["연도", *names, "합계"], *rows)), make())
    assert panel.values[:, 0].tolist() == list(range(3 * count))
    assert str(panel.spacing) == spacing
    assert "column '연도' goes on in" in panel.said[0]
    assert "left out beside them: '합계'" in panel.said[0]


def test_months_of_several_places(table, make):
    rows = [[city, year, *range(12)] for city in ("서울", "부산") for year in (2020, 2021)]
    panel = read(table(lines(["도시", "연도", *MONTHS], *rows)), make())
    assert panel.names == ("서울", "부산")
    assert panel.values.shape == (24, 2)


def test_months_that_are_not_there_yet_and_a_row_of_sums(table, make):
    rows = [[2020, *range(12)], [2021, *range(12, 21), "***", "***", "***"], ["합계", *[99] * 12]]
    panel = read(table(lines(["연도", *MONTHS], *rows)), make())
    assert panel.values[:, 0].tolist() == list(range(21))
    assert "'합계' is a total, and no date" in str(panel.notes)


def test_hours_go_on_from_day_to_day(table, make):
    rows = [[f"2024-01-{day:02}", *range(24 * day, 24 * day + 24)] for day in range(1, 4)]
    panel = read(table(lines(["날짜", *HOURS], *rows)), make())
    assert panel.values[:, 0].tolist() == list(range(24, 96))
    assert str(panel.dates[0]) == "2024-01-01T01:00:00"
    assert str(panel.spacing) == "every hour"


@pytest.mark.parametrize(
    "header",
    [
        ["date", *map(str, range(24))],  # numbers of anything
        ["date", "2019", "2020", "2021"],  # beside dates, names of something else
        ["year", *map(str, range(1, 14))],
        ["year", "1", "2", "3", "4"],
        ["year", "1990", "1991", "1992"],  # of those who were born then
    ],
)
def test_other_tables_stay_as_they_are(header, table, make):
    rows = [[2020 + n, *range(len(header) - 1)] for n in range(4)]
    panel = read(table(lines(header, *rows)), make())
    assert len(panel.dates) == 4
    assert len(panel.names) == len(header) - 1


def test_values_that_could_be_years_are_none_beside_dates(table, make):
    rows = [[f"2024-01-{day:02}", 1900 + day, 1, 2, 3, 4] for day in range(1, 9)]
    panel = read(table(lines(["date", "power", "Q1", "Q2", "Q3", "Q4"], *rows)), make())
    assert panel.names == ("power", "Q1", "Q2", "Q3", "Q4")


def test_columns_that_are_asked_for_are_not_turned(table, make):
    rows = [[2020 + n, *range(12)] for n in range(4)]
    path = table(lines(["연도", *MONTHS], *rows))
    assert read(path, make(value_columns="1월")).names == ("1월",)
    assert len(read(path, make(date_column="연도")).names) == 12


def test_a_title_above_years(table, make):
    header = ["Country Name", "Country Code", "Indicator", *map(str, range(1960, 2000)), ""]
    rows = [
        [name, name[:3], "Population", *(k + n for n in range(39)), "", ""]
        for k, name in enumerate(["Aruba", "Korea", "World"])
    ]
    text = "Data Source,World Development Indicators,\n\nLast Updated Date,2024-06-28,\n\n"
    panel = read(table(text + lines(header, *rows)), make())
    assert panel.names == ("Aruba", "Korea", "World")
    assert panel.values[:, 1].tolist() == [1 + n for n in range(39)]
    assert str(panel.dates[0])[:4] == "1960"
    assert "left out beside" not in " ".join(panel.said)


def test_several_columns_of_each_date(table, make):
    years = range(2015, 2021)
    header = ["시도별", *(str(year) for year in years for _ in range(2))]
    kinds = ["시도별", *["남자", "여자"] * len(years)]
    rows = [[place, *(100 * k + n for n in range(12))] for k, place in enumerate(["서울", "부산"])]
    panel = read(table(lines(header, kinds, *rows)), make())
    assert panel.names == ("서울 남자", "부산 남자", "서울 여자", "부산 여자")
    assert panel.values.T.tolist() == [
        [100 * k + 2 * n + kind for n in range(6)] for kind in range(2) for k in range(2)
    ]
    assert any("told apart by columns '시도별', 'kind'" in each for each in panel.said)


def test_months_behind_years_in_names_are_no_kinds(table, make):
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    header = ["place", *(f"{year} {month}" for year in (2019, 2020, 2021) for month in months)]
    panel = read(table(lines(header, ["Seoul", *range(36)], ["Busan", *range(36, 72)])), make())
    assert str(panel.spacing) == "every month"
    assert panel.values[:, 1].tolist() == list(range(36, 72))


def test_eurostats_flags_are_taken_off(table, make):
    months = [f"{2015 + n // 12}-{n % 12 + 1:02}" for n in range(36)]
    rows = []
    for k, place in enumerate(("AT", "BE")):
        cells = [f"{100 * k + n}.5{' p' if n > 33 else ''} " for n in range(36)]
        rows.append([f"M,PC,{place}", *([": ", *cells[1:]] if k else cells)])
    text = "\n".join("\t".join(row) for row in [["freq,unit,geo\\TIME_PERIOD", *months], *rows])
    panel = read(table(text, "series.tsv"), make())
    assert panel.names == ("M,PC,AT", "M,PC,BE")
    assert panel.values[-1].tolist() == [35.5, 135.5]
    assert np.isnan(panel.values[0, 1])
    assert any("letters behind numbers, as of '12.3 p', are taken off" in s for s in panel.said)


def test_numbers_of_regions_are_no_days(table, make):
    months = [str(np.datetime64("2000-01") + n + 1) + "-01" for n in range(40)]
    rows = [[102001 + k, k, name, *(100 * k + n for n in range(40))] for k, name in enumerate("AB")]
    panel = read(table(lines(["RegionID", "SizeRank", "RegionName", *months], *rows)), make())
    assert panel.names == ("A", "B")
    assert panel.values[:, 1].tolist() == [100 + n for n in range(40)]


@pytest.mark.parametrize(("step", "first"), [(30, 0), (30, 30), (15, 0), (15, 15), (5, 0)])
def test_times_go_on_from_day_to_day(step, first, table, make):
    times = [f"{at // 60:02}:{at % 60:02}" for at in range(first, first + 24 * 60, step)]
    count = len(times)
    rows = [[f"2020-03-{day:02}", *range(count * day, count * (day + 1))] for day in range(1, 11)]
    panel = read(table(lines(["date", *times], *rows)), make())
    assert str(panel.spacing) == f"every {step} minutes"
    assert panel.values[:, 0].tolist() == list(range(count, 11 * count))
    assert panel.dates[0] == np.datetime64("2020-03-01") + np.timedelta64(first, "m")


@pytest.mark.parametrize("suffix", ["", "일"])
@pytest.mark.parametrize("beside", ["Month", "year,month"])
def test_days_go_on_from_month_to_month(suffix, beside, table, make):
    header = [beside, *(f"{day}{suffix}" for day in range(1, 32)), "sum"]
    days = np.arange("2020-01", "2021-01", dtype="datetime64[M]").tolist()
    rows = []
    for month in days:
        length = monthrange(month.year, month.month)[1]
        name = (
            f"{month.year}-{month.month:02}" if beside == "Month" else f"{month:%Y},{month.month}"
        )
        rows.append([name, *range(length), *[""] * (31 - length), 999])
    panel = read(table(lines(header, *rows)), make())
    assert str(panel.spacing) == "every day"
    assert len(panel.dates) == 366
    assert panel.values[:31, 0].tolist() == list(range(31))
    assert panel.values[59, 0] == 28
    assert not panel.notes
