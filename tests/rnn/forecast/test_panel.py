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
