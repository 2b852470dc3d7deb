"""Tables as people have them: what is mended and said, and what is one clear error."""

import numpy as np
import pytest

from common.errors import DataError
from labs.rnn.forecast.series.embedded import seasonal
from labs.rnn.forecast.series.find import find
from labs.rnn.forecast.series.table import read

DAYS = [f"2024-01-{day:02}" for day in range(1, 11)]


def rows(*values, dates=DAYS, header="date,x"):
    return "\n".join([header, *(f"{d},{v}" for d, v in zip(dates, values, strict=False))]) + "\n"


def test_a_plain_table(table, make):
    panel = read(table(rows(1, 2.5, "3e0", 4)), make())
    assert panel.names == ("x",)
    assert panel.values[:, 0].tolist() == [1, 2.5, 3, 4]
    assert str(panel.spacing) == "every day"
    assert panel.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_korean_tables_in_any_encoding(table, make, encoding):
    text = '일자,매출,비고\n2024년 1월 1일,"1,200",맑음\n2024년 1월 2일,1300.5,비\n'
    panel = read(table(text, encoding=encoding), make())
    assert panel.names == ("매출",)
    assert panel.values[:, 0].tolist() == [1200, 1300.5]
    assert panel.notes == (("column 비고", "left out: it holds no numbers"),)


def test_columns_are_chosen(table, make):
    path = table("a,when,b\n1,2024-01-01,5\n2,2024-01-02,6\n")
    config = make(date_column="when", value_columns="b")
    assert read(path, config).names == ("b",)
    assert read(path, make(date_column="when")).names == ("a", "b")
    with pytest.raises(DataError, match="no column 'c'"):
        read(path, make(date_column="when", value_columns="c"))
    assert read(path, make(value_columns="b")).said[0].startswith("dates are column 'when': year,")
    with pytest.raises(DataError, match="series.csv:2: column 'a': expected a date"):
        read(path, make(date_column="a"))


def test_rows_in_any_order_and_twice(table, make):
    text = rows(3, 1, 2, 2, dates=[DAYS[2], DAYS[0], DAYS[1], DAYS[1]])
    panel = read(table(text), make())
    assert panel.values[:, 0].tolist() == [1, 2, 3]
    (place, what), (copy, why) = panel.notes
    assert place.endswith("series.csv:3")
    assert "sorted" in what
    assert copy.endswith("series.csv:5")
    assert "the same date and values as" in why


def test_one_date_with_two_values_is_refused(table, make):
    text = rows(1, 2, 3, dates=[DAYS[0], DAYS[1], DAYS[1]])
    with pytest.raises(DataError, match=r"series.csv:4: the date 2024-01-02 again.*series.csv:3"):
        read(table(text), make())


@pytest.mark.parametrize("missing", ["", "NaN", "NA", "-", "null", "결측"])
def test_missing_values_take_the_one_before(table, make, missing):
    panel = read(table(rows(1, missing, missing, 4, 5)), make())
    assert panel.values[:, 0].tolist() == [1, 1, 1, 4, 5]
    [(place, what)] = panel.notes
    assert place.endswith("series.csv:3")
    assert "2 missing values" in what


def test_a_series_of_which_most_is_missing_is_left_out(table, make):
    rain = [str(n) if n % 3 == 0 else "" for n in range(60)]
    rows = [(date, n, each) for n, (date, each) in enumerate(zip(TWO_MONTHS, rain, strict=True))]
    path = table(lines("날짜,기온,강수량", rows))
    panel = read(path, make())
    assert panel.names == ("기온",)
    [what] = [what for place, what in panel.notes if place == "column 강수량" and "left" in what]
    assert "38 of 58 values missing" in what
    assert "write 0" in what
    with pytest.raises(DataError, match="--fill 2"):
        read(path, make(value_columns="강수량"))
    assert read(path, make(fill=2)).values[2, 1] == 0


def test_a_filled_value_never_comes_from_the_future(table, make):
    one = read(table(rows(1, "", 7, 8)), make()).values[:2]
    other = read(table(rows(1, "", 900, 8)), make()).values[:2]
    assert (one == other).all()


def test_a_long_gap_is_refused_by_file_and_line(table, make):
    text = rows(1, "", "", "", 5, 6)
    with pytest.raises(DataError, match=r"series.csv:3: column 'x' has 3 values missing in a row"):
        read(table(text), make(fill="2"))
    assert read(table(text), make(fill="3")).values[3, 0] == 1


def test_missing_dates(table, make):
    text = rows(1, 2, 3, 7, 8, dates=[*DAYS[:3], *DAYS[6:8]])
    panel = read(table(text), make(fill="3"))
    assert panel.values[:, 0].tolist() == [1, 2, 3, 3, 3, 3, 7, 8]
    assert np.unique(np.diff(panel.dates)).size == 1
    assert "3 dates have no row" in panel.notes[0][1]
    with pytest.raises(
        DataError, match=r"series.csv:5: 3 dates are missing between 2024-01-03 and"
    ):
        read(table(text), make(fill="2"))
    assert len(read(table(text), make(fill="2", steps="rows")).dates) == 5


def test_series_that_begin_late_and_end_early(table, make):
    text = rows("1,", "2,5", "3,6", ",7", header="date,x,y")
    panel = read(table(text), make())
    assert [panel.span(series) for series in (0, 1)] == [(0, 3), (1, 4)]
    assert [place for place, _ in panel.notes] == ["column x", "column y"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (rows(1, "many", 3), r"series.csv:3: column 'x': expected a finite number, given 'many'"),
        (rows(1, "inf", 3), "expected a finite number, given 'inf'"),
        (rows(1, 2, dates=["2024-01-01", "January"]), r"series.csv:3: column 'date': .*'January'"),
        (rows("a", "b"), "no column beside 'date' holds numbers"),
        (rows("", ""), "no column beside 'date' holds numbers"),
        (rows(1), "expected at least two dates, given 1"),
        ("date,x\n", "no row that can be used"),
        ("date\n2024-01-01\n", "expected a header"),
        ("", "expected a header"),
    ],
)
def test_one_clear_error(table, make, text, match):
    with pytest.raises(DataError, match=match):
        read(table(text), make())


def test_dates_without_any_value_at_the_ends_do_not_count(table, make):
    panel = read(table(rows("", 1, 2, 3, "", "")), make())
    assert [str(date) for date in panel.dates.astype("datetime64[D]")] == DAYS[1:4]
    assert panel.span(0) == (0, 3)


def test_rows_that_cannot_be_used_are_named(table, make):
    panel = read(table(rows(1, 2, 3) + "2024-01-04\n\0,5\n"), make())
    assert len(panel.dates) == 3
    assert [place for place, _ in panel.notes] == ["series.csv:5", "series.csv:6"]


def test_no_such_data(make):
    with pytest.raises(
        DataError, match="no such file, and no embedded series.*did you mean google"
    ):
        find(make(data="gogle"))


def test_embedded_series(make):
    google, stocks = find(make()), find(make(data="stocks"))
    assert google.values.shape == (1047, 1)
    assert stocks.values.shape == (390, 10)
    assert str(stocks.spacing) == "every month"
    assert stocks.span(stocks.names.index("DELL"))[0] == 320
    for panel in (google, stocks):
        for series in range(len(panel.names)):  # no holes inside
            begin, end = panel.span(series)
            assert np.isfinite(panel.values[begin:end, series]).all()


def test_the_seasonal_series_repeats_by_its_seed():
    assert (seasonal(1).values == seasonal(1).values).all()
    assert (seasonal(1).values != seasonal(2).values).any()
    assert (seasonal(1).values > 0).all()


def test_longer_gaps_are_filled_in_longer_tables(make, table):
    """One in a hundred dates, where --fill is not given."""
    cells = [str(row % 7) for row in range(800)]
    cells[100:108] = [""] * 8
    dates = np.datetime64("2020-01-01") + np.arange(800)
    rows = [f"{date},{cell}" for date, cell in zip(dates, cells, strict=True)]
    path = table("\n".join(["date,x", *rows]))
    assert "8 missing values" in read(path, make()).notes[0][1]
    with pytest.raises(DataError, match="8 values missing"):
        read(path, make(fill="5"))
    with pytest.raises(DataError, match="8 values missing"):
        read(table("\n".join(["date,x", *rows[:300]])), make())


# --- columns as people have them ----------------------------------------------------------------

TWO_MONTHS = [str(date) for date in np.datetime64("2022-01-03") + np.arange(60)]
WORKDAYS = [date for date in TWO_MONTHS if np.is_busday(date)]


def lines(header, rows):
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.mark.parametrize(
    ("header", "row", "names", "dates"),
    [
        (",visitors,sales", lambda n, date: (date, 1002 + n, n * n), ("visitors", "sales"), "''"),
        (",date,x", lambda n, date: (n, date, n * n), ("x",), "'date'"),
        ("store_id,day,x", lambda n, date: (1901 + n, date, n * n), ("x",), "'day'"),
        ("visitors,when", lambda n, date: (1500 + n, date), ("visitors",), "'when'"),
        ("x,Trade Date", lambda n, date: (n * n, date), ("x",), "'Trade Date'"),
        ("time,date,x", lambda n, date: (f"{n % 24}:00", date, n * n), ("x",), "'date'"),
        ("year,x", lambda n, date: (1950 + n, n * n), ("x",), "'year'"),
        ("연도,x", lambda n, date: (1950 + n, n * n), ("x",), "'연도'"),
        ("jar,x", lambda n, date: (1950 + n, n * n % 7), ("x",), "'jar'"),
        ("ym,x", lambda n, date: (f"{2000 + n // 12}{n % 12 + 1:02}", n * n), ("x",), "'ym'"),
        ("a,x", lambda n, date: (date.replace("-", ""), n * n), ("x",), "'a'"),
        ("a,x", lambda n, date: (1577836800 + 60 * n, n * n), ("x",), "'a'"),
        ("year,month,x", lambda n, _: (2000 + n // 12, n % 12 + 1, n), ("x",), "'year', 'month'"),
        ("year,q,x", lambda n, _: (2000 + n // 4, f"Q{n % 4 + 1}", n), ("x",), "'year', 'q'"),
        (
            "연도,월,일,x",
            lambda n, date: (*map(int, date.split("-")), n),
            ("x",),
            "'연도', '월', '일'",
        ),
        (
            "Date,Time,x",
            lambda n, _: (TWO_MONTHS[n // 24], f"{n % 24}:00:00", n),
            ("x",),
            "'Date', 'Time'",
        ),
        (
            "날짜,거래시각,x",
            lambda n, _: (TWO_MONTHS[n // 24], f"{n % 24:02}:00", n),
            ("x",),
            "'날짜', '거래시각'",
        ),
        (
            "날짜,시간,x",
            lambda n, _: (TWO_MONTHS[n // 24], n % 24 + 1, n),
            ("x",),
            "'날짜', '시간'",
        ),
    ],
)
def test_dates_are_found_by_name_and_content(table, make, header, row, names, dates):
    panel = read(table(lines(header, (row(n, date) for n, date in enumerate(TWO_MONTHS)))), make())
    assert panel.names == names
    assert len(panel.dates) == len(TWO_MONTHS)
    named = "the column without a name" if dates == "''" else dates
    assert named in panel.said[0]
    assert str(panel.spacing) in panel.said[0]


@pytest.mark.parametrize(
    ("header", "row", "match"),
    [
        ("store_id,visitors", lambda n, date: (1000 + n * n, n), "no column is written as dates"),
        ("a,b", lambda n, date: (1900 + n, 2000 + n), "which column holds the dates, 'a' or 'b'"),
        ("2022-01-02,seven", lambda n, date: (date, n), "the first row has data, '2022-01-02'"),
        (
            ",".join(["id", *(f"d_{n}" for n in range(1, 31))]),
            lambda n, date: (n, *range(30)),
            "'d_1' to 'd_30' count steps: put their dates, such as 2020-01-31, in their place",
        ),
        (
            "date,x",
            lambda n, date: (date if n < 59 else "closed", n),
            "series.csv:61.*given 'closed'",
        ),
        ("date,x", lambda n, date: (f"0{n % 9 + 1}/03/2022", n), "say which with --date-order"),
    ],
)
def test_what_may_be_no_dates_is_refused(table, make, header, row, match):
    text = lines(header, (row(n, date) for n, date in enumerate(TWO_MONTHS)))
    with pytest.raises(DataError, match=match):
        read(table(text), make())


def test_an_offset_changes_nothing(table, make):
    text = lines("Date,x", zip(WORKDAYS, range(99), strict=False))
    plain = read(table(text), make())
    for zone in ("+09:00", "-05:00", "Z", " KST"):
        stamps = [f"{date} 00:00:00{zone}" for date in WORKDAYS]
        text = lines("Date,x", zip(stamps, range(99), strict=False))
        panel = read(table(text), make())
        assert (panel.dates == plain.dates).all()
        assert panel.spacing == plain.spacing == ("business day", 1, 0)
        assert panel.notes == ()
        assert zone.strip() in panel.said[0]


def hours_in_berlin(begin, hours):
    """Return hours around a change of clocks on 27 March or 30 October 2022, with their offsets."""
    utc = np.datetime64(begin) + np.arange(hours)
    summer = (utc >= np.datetime64("2022-03-27T01")) & (utc < np.datetime64("2022-10-30T01"))
    offsets = np.where(summer, 2, 1)
    times = utc + offsets
    return [
        f"{str(t).replace('T', ' ')}:00:00+0{o}:00" for t, o in zip(times, offsets, strict=True)
    ]


@pytest.mark.parametrize("begin", ["2022-03-25T00", "2022-10-28T00"])
def test_summer_time_does_not_change_the_spacing(table, make, begin):
    times = hours_in_berlin(begin, 100)
    panel = read(table(lines("t,x", zip(times, range(100), strict=True))), make())
    assert str(panel.spacing) == "every hour"
    assert len(panel.dates) == 100
    assert "as offsets change" in panel.said[0]
    days = read(table(lines("t,x", zip(times[::24], range(5), strict=False))), make())
    assert str(days.spacing) == "every day"


def test_an_hour_that_clocks_show_twice_has_the_mean_of_both(table, make):
    times = [time[:19] for time in hours_in_berlin("2022-10-28T00", 100)]
    [twice] = {time for time in times if times.count(time) == 2}
    first = times.index(twice)
    rows = list(zip(times, range(100), strict=True))
    panel = read(table(lines("t,x", rows)), make())
    assert len(panel.dates) == 99
    assert panel.values[first - 1 : first + 2, 0].tolist() == [first - 1, first + 0.5, first + 2]
    assert any("a time comes twice" in what and "mean of both" in what for _, what in panel.notes)
    for again in ([(twice, 7)], [(times[5], 7)]):  # three times; on another day
        with pytest.raises(DataError, match="as clocks are put back needs its offset"):
            read(table(lines("t,x", rows + again)), make())
    days = [(f"2022-10-{day:02}", day) for day in range(1, 31)]
    with pytest.raises(DataError, match="again, with other values"):
        read(table(lines("t,x", [*days, ("2022-10-30", 7)])), make())


def test_months_without_a_row_are_a_gap_in_business_days(table, make):
    rows = [(date, n) for n, date in enumerate(WORKDAYS) if not 10 <= n < 30]
    with pytest.raises(DataError, match=r"20 dates are missing between 2022-01-14 and 2022-02-14"):
        read(table(lines("date,x", rows)), make())
    panel = read(table(lines("date,x", rows)), make(fill="20"))
    assert [str(date)[:10] for date in panel.dates] == WORKDAYS
    assert panel.values[10:30, 0].tolist() == 20 * [9]
    holidays = [row for row in rows if row[1] != 5]
    assert "count as holidays" in str(read(table(lines("date,x", holidays)), make(fill="20")).notes)


def test_days_without_business_are_no_gap(table, make):
    open_days = [date for date in TWO_MONTHS if np.datetime64(date).astype(int) % 7 != 3]  # Sundays
    panel = read(table(lines("date,x", zip(open_days, range(99), strict=False))), make())
    assert str(panel.spacing) == ("every Monday, Tuesday, Wednesday, Thursday, Friday, Saturday")
    assert len(panel.dates) == len(open_days)


def test_half_seconds_are_kept(table, make):
    times = [f"2023-06-28 10:00:{n // 2:02}.{n % 2 * 5}00" for n in range(60)]
    panel = read(table(lines("timestamp,x", zip(times, range(60), strict=True))), make())
    assert len(panel.dates) == 60
    assert str(panel.spacing) == "every 500 milliseconds"


# --- rows of one series after another -----------------------------------------------------------


@pytest.mark.parametrize("by_date", [False, True])
def test_a_series_for_each_store(table, make, by_date):
    rows = [(date, store, n) for store in ("A", "B") for n, date in enumerate(TWO_MONTHS)]
    rows = sorted(rows) if by_date else rows
    panel = read(table(lines("date,store,sales", rows)), make())
    assert panel.names == ("A", "B")
    assert (panel.values == np.arange(60)[:, None]).all()
    assert panel.options == (("series_column", ("store",)),)
    assert "series are told apart by column 'store': 2 of them" in panel.said


@pytest.mark.parametrize("key", ["num", "건물번호", "building"])
def test_buildings_with_numbers_by_the_hour(table, make, key):
    hours = [f"202206{n // 24 + 1:02} {n % 24:02}" for n in range(96)]
    rows = [(f"{k}_{hour}", k, hour, k * n) for k in (1, 2) for n, hour in enumerate(hours)]
    panel = read(table(lines(f"num_date_time,{key},일시,전력소비량(kWh)", rows)), make())
    assert panel.names == ("1", "2")
    assert str(panel.spacing) == "every hour"
    assert panel.values[:, 1].tolist() == [2 * n for n in range(96)]


def test_months_in_use_that_come_again(table, make):
    rows = [(f"{2020 + n // 12}{n % 12 + 1:02}", k, n) for n in range(36) for k in "가나"]
    panel = read(table(lines("사용년월,역명,승객수", rows)), make())
    assert panel.names == ("가", "나")
    assert str(panel.spacing) == "every month"


def test_several_keys_and_several_values(table, make):
    rows = [
        (date, store, item, n, 10 * n)
        for n, date in enumerate(TWO_MONTHS)
        for store in (1, 2)
        for item in (7, 8)
    ]
    panel = read(table(lines("date,store_id,item_id,sales,visits", rows)), make())
    assert panel.names[:2] == ("1 7 sales", "1 7 visits")
    assert len(panel.names) == 8
    one = read(
        table(lines("date,store_id,item_id,sales,visits", rows)), make(value_columns="sales")
    )
    assert one.names == ("1 7", "1 8", "2 7", "2 8")


def test_keys_that_may_be_two_are_asked_for(table, make):
    rows = [
        (date, store, "xyz"[(store + n // 30) % 3], n)
        for n, date in enumerate(TWO_MONTHS)
        for store in range(3)
    ]
    path = table(lines("date,store,kind,sales", rows))
    with pytest.raises(DataError, match=r"tells the series apart, 'store' or 'kind'.*--series-col"):
        read(path, make())
    assert read(path, make(series_column="store")).names == ("0", "1", "2")


def test_series_of_unequal_length_and_one_with_a_gap(table, make):
    rows = [(date, "A", n) for n, date in enumerate(TWO_MONTHS)]
    rows += [(date, "B", n) for n, date in enumerate(TWO_MONTHS[:30])]
    rows += [(date, "C", n) for n, date in enumerate(TWO_MONTHS) if not 20 < n < 40]
    panel = read(table(lines("date,store,sales", rows)), make())
    assert panel.names == ("A", "B")
    assert panel.span(1) == (0, 30)
    assert any(place == "column C" and "left out" in what for place, what in panel.notes)


@pytest.mark.parametrize("second", [30, 20])
def test_stores_whose_dates_follow_or_overlap_are_two_series(table, make, second):
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").tolist()
    rows = [(day, "A", n) for n, day in enumerate(days[:30])]
    rows += [(day, "B", 500 + n) for n, day in enumerate(days[second:])]
    panel = read(table(lines("date,store,sales", rows)), make())
    assert panel.names == ("A", "B")
    assert panel.span(0) == (0, 30)
    assert panel.span(1) == (second, 60)
    assert "series are told apart by column 'store': 2 of them" in panel.said


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("store", lambda n: "AB"[n * 7 % 5 % 2]),  # where somebody went, now here and now there
        ("month_name", lambda n: "January" if n < 31 else "February"),
        ("state", lambda n: "off" if n < 30 else "on"),
        ("weather code", lambda n: n // 20),
    ],
)
def test_one_series_with_words_beside_it_stays_one(table, make, name, cell):
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").tolist()
    rows = [(day, cell(n), n) for n, day in enumerate(days)]
    panel = read(table(lines(f"date,{name},sales", rows)), make())
    assert panel.names == ("sales",)


# --- numbers in tables --------------------------------------------------------------------------


def test_words_in_some_of_many_columns(table, make):
    cells = [[f"{row}.5" for _ in range(400)] for row in range(60)]
    cells[3][7], cells[5][9], cells[8][9] = "NM", "closed", "closed"
    header = ",".join(["date", *(f"c{n}" for n in range(400))])
    text = lines(header, ((date, *row) for date, row in zip(TWO_MONTHS, cells, strict=True)))
    panel = read(table(text), make())
    assert len(panel.names) == 399
    assert "c9" not in panel.names
    assert panel.values[3, 7] == 2.5
    what = "left out: series.csv:7: expected a finite number, given 'closed' (1 more such cells"
    assert panel.notes[0][0] == "column c9"
    assert panel.notes[0][1].startswith(what)


def test_decimal_commas(table, make):
    text = "Datum;Wert\n" + "".join(f"{day:02}.03.2022;0,{900 + day}\n" for day in range(1, 31))
    panel = read(table(text), make())
    assert panel.values[0, 0] == 0.901
    assert panel.options == (("date_order", "dmy"), ("decimal", "comma"))
    assert panel.said[-1] == "'0,901' in column 'Wert' is 0.901"
    text = "day,x\n" + "".join(f'{date},"1,{200 + n}"\n' for n, date in enumerate(TWO_MONTHS))
    with pytest.raises(DataError, match="'1,200' may be 1200 or 1.2; say which with --decimal"):
        read(table(text), make())
    assert read(table(text), make(decimal="comma")).values[1, 0] == 1.201
    assert read(table(text.replace("day,x", "날짜,매출")), make()).values[1, 0] == 1201


def test_a_number_for_missing_values_is_said(table, make):
    values = [-9999 if n % 20 == 7 else n for n in range(60)]
    panel = read(table(lines("date,x", zip(TWO_MONTHS, values, strict=True))), make())
    assert panel.values.min() == 0
    assert panel.notes[0] == (
        "column x",
        "-9999 is taken for a missing value, 3 times: others are 0 or more",
    )


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_objects_need_no_options(table, make, suffix):
    objects = [f'{{"date": "{date}", "x": {n}.5}}' for n, date in enumerate(TWO_MONTHS)]
    text = f"[{','.join(objects)}]" if suffix == "json" else "\n".join(objects)
    panel = read(table(text, f"series.{suffix}"), make())
    assert panel.values[:, 0].tolist() == [n + 0.5 for n in range(60)]


def _of_months(header, year, part, size=12):
    rows_ = [
        f"{year(y, n)},{part(n)},{100 * y + n - 199000}"
        for y in range(2015, 2020)
        for n in range(1, size + 1)
    ]
    return "\n".join([header, *rows_]) + "\n"


NAMES = "January February March April May June July August September October November December"


@pytest.mark.parametrize(
    ("header", "part", "size"),
    [
        ("year,month,x", lambda n: NAMES.split()[n - 1], 12),
        ("Year,Month,x", lambda n: NAMES.split()[n - 1][:3], 12),
        ("년도,월별,값", lambda n: f"{n}월", 12),
        ("Year,Period,x", lambda n: f"M{n:02}", 12),
        ("연도,분기,값", lambda n: f"{n}/4", 4),
        ("연도,분기,값", lambda n: f"{n}분기", 4),
        ("year,quarter,x", lambda n: f"Q{n}", 4),
    ],
)
def test_years_beside_months_or_quarters(table, make, header, part, size):
    text = _of_months(header, lambda y, n: y, part, size)
    panel = read(table(text), make())
    assert panel.values.shape == (5 * size, 1)
    assert str(panel.dates[-1])[:7] == ("2019-12" if size == 12 else "2019-10")
    merged = _of_months(header, lambda y, n: y if n == 1 else "", part, size)
    filled = read(table(merged), make())
    assert (filled.dates == panel.dates).all()
    assert any("each has the one above it" in what for what in filled.said)
    with_total = text + "2019,계,9999\n합계,,99\n자료: 통계청,,\n"
    again = read(table(with_total), make())
    assert (again.values == panel.values).all()
    assert "'계' in column" in again.notes[0][1]
    wrong = text.replace(f"2016,{part(2)},", "2016,?!,")
    with pytest.raises(DataError, match=r"expected a (month|quarter).*given '\?!'"):
        read(table(wrong), make())


def test_merged_years_whose_months_do_not_go_on_are_refused(table, make):
    text = _of_months("연도,월,값", lambda y, n: y if n == 1 and y != 2017 else "", str)
    with pytest.raises(DataError, match="series.csv:26.*'월' does not go on"):
        read(table(text), make())


def test_most_rows_without_a_date_are_refused(table, make):
    dates = [day if n % 5 == 0 else "" for n, day in enumerate(TWO_MONTHS)]
    text = lines("date,x", ((day, n) for n, day in enumerate(dates)))
    with pytest.raises(DataError, match="series.csv:3: column 'date' has no date here, nor in 47"):
        read(table(text), make())


@pytest.mark.parametrize("footer", ["합계,465", "Total,465", "자료: 통계청,", "Source: BLS,"])
def test_totals_and_sources_are_left_out_by_name(table, make, footer):
    text = lines("date,x", ((day, n) for n, day in enumerate(TWO_MONTHS))) + f"{footer}\n"
    panel = read(table(text), make())
    assert len(panel.values) == 60
    [(place, what)] = panel.notes
    assert place == "series.csv:62"
    assert footer.split(",")[0] in what


def test_six_digits_in_a_column_of_weeks(table, make):
    weeks = [f"{2018 + n // 52}{n % 52 + 1:02}" for n in range(104)]
    panel = read(table(lines("week,x", ((week, n) for n, week in enumerate(weeks)))), make())
    assert str(panel.spacing) == "every 7 days"
    assert str(panel.dates[0])[:10] == "2018-01-01"
    months = [f"{2010 + n // 12}{n % 12 + 1:02}" for n in range(48)]
    panel = read(table(lines("week,x", ((month, n) for n, month in enumerate(months)))), make())
    assert str(panel.spacing) == "every month"


def test_years_beside_weeks(table, make):
    weeks = [f"{2019 + n // 52},{n % 52 + 1}" for n in range(104)]
    panel = read(
        table(lines("year,week,x", ((week, n * n) for n, week in enumerate(weeks)))), make()
    )
    assert str(panel.spacing) == "every 7 days"
    assert [str(panel.dates[0])[:10], str(panel.dates[-1])[:10]] == ["2018-12-31", "2020-12-21"]
    assert panel.values[:, 0].tolist() == [n * n for n in range(104)]


@pytest.mark.parametrize("name", ["date", "날짜", "기준일자"])
def test_days_of_a_spreadsheet_in_a_column_of_dates(table, make, name):
    rows = [(43831 + n, n * n) for n in range(60)]
    panel = read(table(lines(f"{name},x", rows)), make())
    assert str(panel.dates[0])[:10] == "2020-01-01"
    assert "days of a spreadsheet, such as '43831'" in panel.said[0]
    with pytest.raises(DataError, match="no column is written as dates are"):
        read(table(lines("time,x", rows)), make())


def test_names_in_several_rows(table, make):
    rows = [(date, n, 2 * n, n * n) for n, date in enumerate(TWO_MONTHS)]
    heads = "Price,Close,Close,Volume\nTicker,AAPL,005930.KS,AAPL\nDate,,,\n"
    panel = read(table(heads + lines("", rows).lstrip("\n")), make())
    assert panel.names == ("Close AAPL", "Close 005930.KS", "Volume AAPL")
    assert panel.values[-1].tolist() == [59, 118, 59 * 59]
    assert "are in 3 rows" in panel.said[0]


def test_a_first_row_of_numbers_is_data(table, make):
    hours = [1672531200000 + 3600000 * n for n in range(100)]
    rows = [(hour, f"{n}.5", hour + 3599999, n * n % 7) for n, hour in enumerate(hours)]
    panel = read(table(lines("", rows).lstrip("\n")), make())
    assert panel.names == ("2", "4")
    assert panel.values[:2].tolist() == [[0.5, 0], [1.5, 1]]
    assert panel.values.shape == (100, 2)
    assert "the first row of series.csv has data" in panel.said[0]
    assert any("dates in column '3'" in each for each in panel.said)
    days = read(table(lines("2022-01-02,7", zip(TWO_MONTHS, range(60), strict=True))), make())
    assert days.values[:, 0].tolist() == [7, *range(60)]


@pytest.mark.parametrize(
    "below", ["* preliminary,", '"1) revised, see notes",', "Sales of a shop,"]
)
def test_notes_below_a_table_are_left_out(table, make, below):
    rows = lines("date,x", zip(TWO_MONTHS, range(60), strict=True))
    panel = read(table(f"{rows}{below}\n,\n{below}\n"), make())
    assert panel.values[:, 0].tolist() == list(range(60))
    assert [place for place, what in panel.notes if "note below" in what] == [
        "series.csv:62",
        "series.csv:64",
    ]


def test_months_of_two_digits_of_the_year(table, make):
    dates = [f"{year}{month:02}" for year in (20, 21) for month in range(1, 13)]
    panel = read(table(lines("년월,값", ((date, n) for n, date in enumerate(dates)))), make())
    assert str(panel.spacing) == "every month"
    assert str(panel.dates[-1])[:7] == "2021-12"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("년,월,일,시,값", lambda d, h: f"{d.year},{d.month},{d.day},{h}"),
        ("year,month,day,hour,x", lambda d, h: f"{d.year},{d.month},{d.day},{100 * h}"),
        ("date,hour,x", lambda d, h: f"{d},{100 * h}"),
        ("date,time,x", lambda d, h: f"{d},{h:02}:00"),
        ("Date,Time,x", lambda d, h: f"{d:%d.%m.%Y},{h:02}.00.00"),
        ("YYYYMMDD,HHMM,x", lambda d, h: f"{d:%Y%m%d},{h:02}00"),
        ("날짜,시간대,값", lambda d, h: f"{d},{h:02}시~{h + 1:02}시"),
        ("날짜,시간대구분,값", lambda d, h: f"{d},{h:02}-{h + 1:02}"),
        ("<DATE>,<TIME>,x", lambda d, h: f"{d:%Y%m%d},{h:02}0000"),
    ],
)
def test_hours_in_a_column_of_their_own(table, make, header, row):
    days = np.array(TWO_MONTHS[:5], "datetime64[D]").tolist()
    cells = [(row(day, hour), hour) for day in days for hour in range(24)]
    panel = read(table(lines(header, cells)), make())
    assert panel.values.shape == (120, 1)
    assert str(panel.spacing) == "every hour"
    assert panel.values[:, 0].tolist() == list(range(24)) * 5


@pytest.mark.parametrize("title", ["Category: All categories\n", "제목: 월별", "# by", "제목,"])
def test_lines_above_the_names_are_left_out_where_they_are_certain(table, make, title):
    text = lines("date,x", ((day, n) for n, day in enumerate(TWO_MONTHS)))
    panel = read(table(f"{title}\n{text}"), make())
    assert panel.values[:, 0].tolist() == list(range(len(TWO_MONTHS)))
    assert "left out: " in panel.said[0]
    with pytest.raises(DataError, match="lines stand above the names of the columns.*delete them"):
        read(table(f"{title}\n{text.replace('date,x', 'date,2019')}"), make())
