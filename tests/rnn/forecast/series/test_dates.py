"""Dates as people write them, their spacing, and those to come."""

import unicodedata

import numpy as np
import pytest

from labs.rnn.forecast.series import dates, spacing
from labs.rnn.forecast.series.dates import Unreadable
from labs.rnn.forecast.series.spacing import Spacing


def axis(*texts):
    return np.array(texts, "datetime64[s]")


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-30", "2024-02-01"],
        ["20240130", "20240201"],
        ["2024/1/30", "2024/2/1"],
        ["2024.01.30", "2024.02.01"],
        ["2024. 1. 30.", "2024. 2. 1."],
        ["2024년 1월 30일", "2024년 2월 1일"],
        [unicodedata.normalize("NFD", "2024년 1월 30일"), "2024년 2월 1일"],
        ["1/30/2024", "2/1/2024"],
        ["30/1/2024", "1/2/2024"],
        ["30.01.2024", "01.02.2024"],
        ["Jan 30, 2024", "Feb 1, 2024"],
        ["Jan-30-2024", "Feb-1-2024"],
        ["30-Jan-2024", "01-Feb-2024"],
        ["30-01-2024", "01-02-2024"],
        ["2024-01-30 00:00", "2024-02-01 00:00"],
    ],
)
def test_the_same_dates_in_many_ways(texts):
    assert (dates.read(texts).values == axis("2024-01-30", "2024-02-01")).all()


def test_months_and_years():
    assert (dates.read(["2024-01", "2024-02"]).values == axis("2024-01-01", "2024-02-01")).all()
    assert (dates.read(["2023년 12월"]).values == axis("2023-12-01")).all()
    assert (dates.read(["1999", "2000"]).values == axis("1999-01-01", "2000-01-01")).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["2023Q4", "2024Q1"],
        ["2023-Q4", "2024-Q1"],
        ["Q4 2023", "Q1 2024"],
        ["2023년 4분기", "2024년 1분기"],
    ],
)
def test_quarters(texts):
    found = dates.read(texts).values
    assert (found == axis("2023-10-01", "2024-01-01")).all()
    assert spacing.infer(found) == Spacing("month", 3, 1)


@pytest.mark.parametrize(
    ("texts", "row", "match"),
    [
        (["tomorrow"], 0, "expected a date, given 'tomorrow'"),
        (["2024-01-01", "2024-02-30"], 1, "in the way of '2024-01-01', given '2024-02-30'"),
        (["2024-01-01", "2024-01-02", "02/01/2024"], 2, "given '02/01/2024'"),
        (["", "2024-01-01"], 0, "given ''"),
        (
            ["1/2/2024", "3/4/2024"],
            0,
            "may be written day, month, year or month, day, year; say which with",
        ),
    ],
)
def test_what_is_no_date_is_named_by_row(texts, row, match):
    with pytest.raises(Unreadable, match=match) as caught:
        dates.read(texts)
    assert caught.value.row == row


@pytest.mark.parametrize(
    ("known", "expected", "name", "following"),
    [
        (
            ["2024-01-01", "2024-01-02", "2024-01-03"],
            Spacing("day", 1),
            "every day",
            ["2024-01-04", "2024-01-05"],
        ),
        (
            ["2024-01-02", "2024-01-09", "2024-01-16"],
            Spacing("day", 7),
            "every 7 days",
            ["2024-01-23", "2024-01-30"],
        ),
        (
            ["2023-12-01", "2024-01-01", "2024-02-01"],
            Spacing("month", 1, 1),
            "every month",
            ["2024-03-01", "2024-04-01"],
        ),
        (  # the ends of months
            ["2023-12-31", "2024-01-31", "2024-02-29"],
            Spacing("month", 1, 31),
            "every month",
            ["2024-03-31", "2024-04-30"],
        ),
        (
            ["2023-06-30", "2023-09-30", "2023-12-30"],
            Spacing("month", 3, 30),
            "every 3 months",
            ["2024-03-30", "2024-06-30"],
        ),
        (
            ["2022-01-01", "2023-01-01", "2024-01-01"],
            Spacing("month", 12, 1),
            "every 12 months",
            ["2025-01-01", "2026-01-01"],
        ),
        (
            ["2024-01-01T22:00", "2024-01-01T22:30", "2024-01-01T23:00"],
            Spacing("second", 1800),
            "every 30 minutes",
            ["2024-01-01T23:30", "2024-01-02T00:00"],
        ),
        (  # a Monday to a Friday and the next Monday: the weekend is no gap
            [f"2024-01-{day:02}" for day in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12)],
            Spacing("business day", 1),
            "every business day",
            ["2024-01-15", "2024-01-16"],
        ),
        (
            ["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-11"],
            Spacing("irregular", 3 * 86400),
            "at irregular dates",
            ["2024-01-14", "2024-01-17"],
        ),
    ],
)
def test_spacing_and_what_follows(known, expected, name, following):
    found = spacing.infer(axis(*known))
    assert (found, str(found)) == (expected, name)
    assert (found.after(axis(*known)[-1], 2) == axis(*following)).all()
    assert (found.steps(axis(*known)) == 1).all()
    assert Spacing(*list(found)) == found  # as data.json keeps it


def test_missing_dates_are_counted():
    days = axis("2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06")
    assert spacing.infer(days).steps(days).tolist() == [1, 3, 1]
    months = axis("2024-01-31", "2024-02-29", "2024-05-31")
    assert spacing.infer(months).steps(months).tolist() == [1, 3]


def test_google_trades_on_business_days():
    from labs.rnn.forecast.config import ForecastConfig
    from labs.rnn.forecast.series.find import find

    panel = find(ForecastConfig())
    assert panel.spacing == Spacing("business day", 1)
    assert spacing.to_iso(panel.spacing.after(panel.dates[-1], 4)) == [
        "2008-10-15",
        "2008-10-16",
        "2008-10-17",
        "2008-10-20",
    ]


def test_times_are_written_only_where_there_are_any():
    assert spacing.to_iso(axis("2024-01-01")) == ["2024-01-01"]
    assert spacing.to_iso(axis("2024-01-01T00:00", "2024-01-01T06:00")) == [
        "2024-01-01T00:00:00",
        "2024-01-01T06:00:00",
    ]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        # zones: the clock on the wall
        (["2022-01-03 00:00:00+09:00", "2022-01-04 00:00:00+09:00"], ["2022-01-03", "2022-01-04"]),
        (["2022-01-03T00:00:00Z", "2022-01-04T00:00:00Z"], ["2022-01-03", "2022-01-04"]),
        (
            ["2022-01-03T00:00:00.000-0500", "2022-01-04T00:00:00.000-0500"],
            ["2022-01-03", "2022-01-04"],
        ),
        (["2022-01-03 00:00 KST", "2022-01-04 00:00 KST"], ["2022-01-03", "2022-01-04"]),
        (["2022-01-03+09:00", "2022-01-04+09:00"], ["2022-01-03", "2022-01-04"]),
        (
            ["2022-01-03T09:30+09:00[Asia/Seoul]", "2022-01-03T10:30+09:00[Asia/Seoul]"],
            ["2022-01-03T09:30", "2022-01-03T10:30"],
        ),
        # summer time
        (["2022-03-26 00:00+01:00", "2022-03-28 00:00+02:00"], ["2022-03-26", "2022-03-28"]),
        (["2022-03-26 00:00 CET", "2022-03-28 00:00 CEST"], ["2022-03-26", "2022-03-28"]),
        (
            ["2022-03-27 01:00+01:00", "2022-03-27 03:00+02:00"],
            ["2022-03-27T01:00", "2022-03-27T02:00"],
        ),
        # periods
        (["1987-Q1", "1987-Q2"], ["1987-01-01", "1987-04-01"]),
        (["2020 Q1", "2020 Q2"], ["2020-01-01", "2020-04-01"]),
        (["q1-2020", "q2-2020"], ["2020-01-01", "2020-04-01"]),
        (["1Q2020", "2Q2020"], ["2020-01-01", "2020-04-01"]),
        (["1Q05", "2Q05"], ["2005-01-01", "2005-04-01"]),
        (["Q1'05", "Q2'05"], ["2005-01-01", "2005-04-01"]),
        (["'21.3Q", "'21.4Q"], ["2021-07-01", "2021-10-01"]),
        (["2020.3/4", "2020.4/4 p)"], ["2020-07-01", "2020-10-01"]),
        (["2020.11", "2020.12 p)"], ["2020-11-01", "2020-12-01"]),
        (["98-Q4", "99-Q1"], ["1998-10-01", "1999-01-01"]),
        (["2020.1/4", "2020.2/4"], ["2020-01-01", "2020-04-01"]),
        (["2020H1", "2020H2"], ["2020-01-01", "2020-07-01"]),
        (["2020년 상반기", "2020년 하반기"], ["2020-01-01", "2020-07-01"]),
        (["2020-W05", "2020-W06"], ["2020-01-27", "2020-02-03"]),
        (["2020W53", "2021W01"], ["2020-12-28", "2021-01-04"]),
        (["2020년 5주", "2020년 6주"], ["2020-01-27", "2020-02-03"]),
        (["2020-W05-3", "2020-W06-3"], ["2020-01-29", "2020-02-05"]),
        (["2020-060", "2020-061"], ["2020-02-29", "2020-03-01"]),
        (["2020-01-06/2020-01-12", "2020-01-13/2020-01-19"], ["2020-01-06", "2020-01-13"]),
        (["2020년 3월", "2020년 4월"], ["2020-03-01", "2020-04-01"]),
        (["2020M03", "2020M04"], ["2020-03-01", "2020-04-01"]),
        (["202003", "202004"], ["2020-03-01", "2020-04-01"]),
        (["03/2020", "04/2020"], ["2020-03-01", "2020-04-01"]),
        (["March 2020", "April 2020"], ["2020-03-01", "2020-04-01"]),
        (["Mar-20", "Apr-20"], ["2020-03-01", "2020-04-01"]),
        # days
        (["2020. 3. 1.", "2020. 3. 13."], ["2020-03-01", "2020-03-13"]),
        (["'20.3.1", "'20.3.13"], ["2020-03-01", "2020-03-13"]),
        (["20년 3월 1일", "20년 3월 2일"], ["2020-03-01", "2020-03-02"]),
        (["2020-03-01 (일)", "2020-03-02 (월)"], ["2020-03-01", "2020-03-02"]),
        (["2020년 3월 1일 일요일", "2020년 3월 2일 월요일"], ["2020-03-01", "2020-03-02"]),
        (["Mon, 05 Mar 2022", "Tue, 06 Mar 2022"], ["2022-03-05", "2022-03-06"]),
        (["5th March 2022", "6th March 2022"], ["2022-03-05", "2022-03-06"]),
        (["March 5, 2022", "March 6, 2022"], ["2022-03-05", "2022-03-06"]),
        (["2023- 01- 31", "2023- 01- 30"], ["2023-01-31", "2023-01-30"]),
        (["2022-Mar-05", "2022-Mar-06"], ["2022-03-05", "2022-03-06"]),
        (["31/12/99", "01/01/00"], ["1999-12-31", "2000-01-01"]),
        (["05032022", "13032022"], ["2022-03-05", "2022-03-13"]),
        # times
        (
            ["2020. 3. 1. 오후 3:05:00", "2020. 3. 1. 오전 12:05:00"],
            ["2020-03-01T15:05", "2020-03-01T00:05"],
        ),
        (["3/1/2020 3:05 PM", "3/13/2020 12:05 AM"], ["2020-03-01T15:05", "2020-03-13T00:05"]),
        (
            ["2020년 3월 1일 13시", "2020년 3월 1일 14시 30분"],
            ["2020-03-01T13", "2020-03-01T14:30"],
        ),
        (["13/03/2020 18.00.00", "13/03/2020 18.30.05"], ["2020-03-13T18", "2020-03-13T18:30:05"]),
        (["2020-03-01 13", "2020-03-01 24"], ["2020-03-01T13", "2020-03-02"]),
        (["2020-03-01 24:00", "2020-03-02 01:00"], ["2020-03-02", "2020-03-02T01"]),
        (["20200301 13", "20200301 24"], ["2020-03-01T13", "2020-03-02"]),
        (["2020030113", "2020030124"], ["2020-03-01T13", "2020-03-02"]),
        (["202003011330", "202003011400"], ["2020-03-01T13:30", "2020-03-01T14:00"]),
        (["20200301T133000", "20200301T140000"], ["2020-03-01T13:30", "2020-03-01T14:00"]),
        (["05MAR2022:10:00:00", "05MAR2022:11:00:00"], ["2022-03-05T10", "2022-03-05T11"]),
        (["05/Mar/2022:10:00:00 +0900"] * 2, ["2022-03-05T10"] * 2),
        # seconds and their parts
        (["1577836800", "1577840400"], ["2020-01-01", "2020-01-01T01"]),
        (["1577836800000", "1577836800500"], ["2020-01-01", "2020-01-01T00:00:00.5"]),
        (["1577836800.25", "1577836800.75"], ["2020-01-01T00:00:00.25", "2020-01-01T00:00:00.75"]),
        (["1577836800123456000"], ["2020-01-01T00:00:00.123456"]),
        (
            ["2023-06-28 10:00:00", "2023-06-28 10:00:00.1"],
            ["2023-06-28T10", "2023-06-28T10:00:00.1"],
        ),
        (
            ["28.06.2023 10:00:00,25", "28.06.2023 10:00:00,5"],
            ["2023-06-28T10:00:00.25", "2023-06-28T10:00:00.5"],
        ),
    ],
)
def test_dates_as_people_have_them(texts, expected):
    assert (dates.read(texts).values == np.array(expected, "datetime64[us]")).all()


@pytest.mark.parametrize(
    ("texts", "row", "match"),
    [
        (["01/02/2022", "02/02/2022", "03/02/2022"], 0, "--date-order"),
        (["22.03.05", "22.03.13"], 0, "year, month, day or day, month, year"),
        (["43831", "43832"], 0, "a spreadsheet's number of a day"),  # too few
        (["20001", "20002", "20003"], 0, "expected a date"),  # 2020, days of the year
        (["1958.204", "1958.33", "1958.77", "1961.11"], 0, "a part of a year"),
        (["1.57784E+09", "1.57785E+09"], 0, "a spreadsheet has rounded it"),
        (["1958.204", "1958.287"], 0, "a part of a year"),
        (["2020.01", "2020.02", "2020.1"], 2, "have a 0 in other rows"),
        (["2020.1", "2020.2", "2020.3", "2020.4", "2021.1"], 0, "a month or a quarter"),
        (["Jan-05", "Jan-06"], 0, "a day without its year"),
        (["2020-01-01", "2020-01-02 00:00Z"], 1, "a zone stands among others without one"),
        (["2020-03-28 01:00 CET", "2020-03-30 02:00 CEST"], 1, "write offsets"),
        (["2020-01-01 00:00:00.123456789"], 0, "finer than a microsecond"),
        (["2020-01-01 25:00"], 0, "a time of day"),
        (["now"], 0, "expected a date"),
        (["NaT"], 0, "expected a date"),
        (["2022-02-29"], 0, "expected a date"),
        (["2021-W53"], 0, "expected a date"),
    ],
)
def test_what_may_be_several_dates_is_refused(texts, row, match):
    with pytest.raises(Unreadable, match=match) as caught:
        dates.read(texts)
    assert caught.value.row == row


def test_the_order_is_found_by_rhythm_or_given():
    months = [f"01/{month:02}/{year}" for year in (2020, 2021) for month in range(1, 13)]
    assert dates.read(months).order == "dmy"
    assert dates.read([f"{text[3:5]}/01/{text[6:]}" for text in months]).order == "mdy"
    for order, expected in (("dmy", "2022-02-01"), ("mdy", "2022-01-02")):
        found = dates.read(["01/02/2022"], order)
        assert (found.order, found.values[0]) == (order, np.datetime64(expected))
    assert dates.read(["2022-02-01"], "dmy").values[0] == np.datetime64("2022-02-01")
    with pytest.raises(Unreadable, match="given '01/13/2022'"):
        dates.read(["01/12/2022", "01/13/2022"], "dmy")


def weekdays(*days, begin="2024-01-01", weeks=8):
    """Return the dates of some days of the week, 0 for Monday."""
    every = np.datetime64(begin) + np.arange(7 * weeks)
    return every[np.isin((every.astype(int) + 3) % 7, days)].astype("datetime64[s]")


@pytest.mark.parametrize(
    ("known", "name", "following"),
    [
        (weekdays(0, 1, 2, 3, 4), "every business day", ["2024-02-26", "2024-02-27"]),
        (
            weekdays(6, 0, 1, 2, 3),
            "every Monday, Tuesday, Wednesday, Thursday, Sunday",
            ["2024-02-26", "2024-02-27"],
        ),
        (
            weekdays(0, 1, 2, 3, 4, 5),
            "every Monday, Tuesday, Wednesday, Thursday, Friday, Saturday",
            ["2024-02-26", "2024-02-27"],
        ),
        (weekdays(1, 4), "every Tuesday, Friday", ["2024-02-27", "2024-03-01"]),
        (
            axis("2022-01-31", "2022-02-28", "2022-03-31", "2022-04-29", "2022-05-31"),
            "every month",
            ["2022-06-30", "2022-07-29"],
        ),
        (
            axis("2022-04-01", "2022-05-02", "2022-06-01"),
            "every month",
            ["2022-07-01", "2022-08-01"],
        ),
        (
            np.array(["2023-06-28T10:00:00.0", "2023-06-28T10:00:00.5"], "datetime64[us]"),
            "every 500 milliseconds",
            ["2023-06-28T10:00:01", "2023-06-28T10:00:01.5"],
        ),
    ],
)
def test_days_of_the_week_months_and_parts_of_seconds(known, name, following):
    found = spacing.infer(known)
    assert str(found) == name
    assert (found.after(known[-1], 2) == np.array(following, "datetime64[us]")).all()
    assert (found.steps(known) == 1).all()
    assert Spacing(*list(found)) == found


@pytest.mark.parametrize("hour", [-1, 1])
def test_a_day_stays_a_day_where_clocks_change(hour):
    days = np.datetime64("2022-03-01T23", "s") + 86400 * np.arange(60)
    known = np.where(np.arange(60) < 25, days, days + 3600 * hour)
    assert (spacing.steady_clock(known) == days).all()
    assert (spacing.steady_clock(days) == days).all()
    hours = np.datetime64("2022-03-01T23", "s") + 3600 * np.arange(60)
    assert (spacing.steady_clock(hours) == hours).all()


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("hour", axis("2024-01-01T00", "2024-01-01T05"), Spacing("second", 3600)),
        ("15 minutes", axis("2024-01-01T00", "2024-01-01T05"), Spacing("second", 900)),
        ("every 2 days", axis("2024-01-01", "2024-01-09"), Spacing("day", 2)),
        ("week", axis("2024-01-01", "2024-01-22"), Spacing("day", 7)),
        ("business day", axis("2024-01-01", "2024-01-22"), Spacing("business day", 1)),
        ("month", axis("2024-01-31", "2024-02-29", "2024-06-30"), Spacing("month", 1, 31)),
        ("quarter", axis("2024-01-01", "2024-10-01"), Spacing("month", 3, 1)),
        (
            "500 milliseconds",
            axis("2024-01-01T00", "2024-01-01T05"),
            Spacing("microsecond", 500_000),
        ),
    ],
)
def test_the_spacing_can_be_given(text, known, expected):
    assert spacing.given(text, known) == expected


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("fortnight", "expected a number and one of month"),
        ("0 days", "expected a number"),
        ("2 days", "2024-01-02 is not every 2 days from 2024-01-01"),
        ("month", "2024-01-01 is not every month"),
        ("business day", "2024-01-06 is not every business day"),
    ],
)
def test_a_spacing_that_does_not_fit_is_refused(text, match):
    with pytest.raises(ValueError, match=match):
        spacing.given(text, axis("2024-01-01", "2024-01-02", "2024-01-06"))


def test_holidays_are_no_gap_and_months_are():
    days = weekdays(0, 1, 2, 3, 4, weeks=40)
    found = spacing.infer(days)
    holidays, gap = np.delete(days, np.s_[20:29]), np.delete(days, np.s_[20:60])
    assert (found.steps(holidays) == 1).all()
    assert found.holidays(holidays).max() == 9
    assert found.steps(gap).max() == 41
    assert found.holidays(gap).max() == 0


HOURS = np.datetime64("2020-01-01T00:00", "m") + np.arange(50) * np.timedelta64(60, "m")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("%d.%m.%Y %H:%M - ", "%d.%m.%Y %H:%M"),
        ("%d/%m/%Y %H:%M:%S - ", "%d/%m/%Y %H:%M:%S"),
        ("%Y-%m-%d %H:%M - ", "%H:%M"),
        ("%Y-%m-%d %H:%M-", "%H:%M"),
        ("%Y-%m-%d %H:%M~", "%H:%M"),
        ("%Y-%m-%dT%H:%MZ/", "%Y-%m-%dT%H:%MZ"),
        ("%Y년 %m월 %d일 %H시 ~ ", "%H시"),
        ("%m/%d/%Y %I:%M %p - ", "%m/%d/%Y %I:%M %p"),
    ],
)
def test_spans_of_hours_are_read_at_their_starts(start, end):
    hours = HOURS.tolist()
    texts = [
        a.strftime(start) + b.strftime(end) for a, b in zip(hours[:-1], hours[1:], strict=True)
    ]
    found = dates.read(texts)
    assert (found.values == HOURS[:-1]).all()
    assert found.way.endswith("each at its start")
    with pytest.raises(Unreadable, match="row 49: expected a span in the way of"):
        dates.read([*texts, "2020-01-09"])


@pytest.mark.parametrize(
    "texts",
    [
        ["2020.01.01 ~ 2020.01.07", "2020.01.08 ~ 2020.01.14"],
        ["2020-01-01 - 2020-01-07", "2020-01-08 - 2020-01-14"],
        ["2020.01.01~01.07", "2020.01.08~01.14"],
        ["2020-01-01 to 2020-01-07", "2020-01-08 to 2020-01-14"],
    ],
)
def test_spans_of_days_are_read_at_their_starts(texts):
    assert (dates.read(texts).values == axis("2020-01-01", "2020-01-08")).all()


@pytest.mark.parametrize("zone", ["-05:00", " -05:00", "+09:00"])
def test_an_offset_is_no_span(zone):
    texts = [f"{day:%Y-%m-%d %H:%M}{zone}" for day in HOURS.tolist()]
    found = dates.read(texts)
    assert (found.values == HOURS).all()
    assert "zone" in found.way


@pytest.mark.parametrize("form", ["%d%m%y", "%m%d%y", "%y%m%d"])
@pytest.mark.parametrize("count", [31, 80])
def test_six_digits_in_any_order(form, count):
    days = np.datetime64("2020-01-01") + np.arange(count)
    assert (dates.read([day.strftime(form) for day in days.tolist()]).values == days).all()
    kept = days[days.astype(int) % 7 > 1]
    found = dates.read([day.strftime("%y%m%d") for day in kept.tolist()])
    assert (found.values == kept).all()


def test_ten_digits_with_minutes_are_not_seconds_since_1970():
    texts = [hour.strftime("%y%m%d%H%M") for hour in HOURS.tolist()]
    assert (dates.read(texts).values == HOURS).all()
    with pytest.raises(Unreadable, match="seconds since 1970, or YYMMDDHHMM"):
        dates.read(["2001010000", "2001010100"])


def test_seasons_are_no_months():
    with pytest.raises(Unreadable, match="a season of two years"):
        dates.read([f"{year}-{year % 100 + 1:02}" for year in range(2000, 2012)])


def test_a_span_with_am_or_pm_behind_its_end_alone_is_refused():
    with pytest.raises(Unreadable, match="expected a span"):
        dates.read(["2020-01-01 1:00 - 2:00 PM", "2020-01-01 2:00 - 3:00 PM"])


@pytest.mark.parametrize(
    ("texts", "first", "step"),
    [
        (lambda n: f"{1749 + (n + 0.5) / 12:.3f}", "1749-01", 1),
        (lambda n: f"{1949 + n / 12:.13f}", "1949-01", 1),
        (lambda n: f"{1958 + (2 * n + 1) / 24:.4f}", "1958-01", 1),
        (lambda n: f"{1950 + n / 4:.2f}", "1950-01", 3),
        (lambda n: f"{1700 + n}.5", "1700-01", 12),
        (lambda n: f"{1700 + n}.500", "1700-01", 12),
    ],
)
def test_parts_of_years(texts, first, step):
    found = dates.read([texts(n) for n in range(60)])
    expected = np.datetime64(first, "M") + step * np.arange(60)
    assert (found.values == expected.astype("datetime64[D]")).all()
    assert found.way.startswith("parts of years: ")


def test_parts_of_years_by_days():
    days = np.arange("1958-01-15", "1990-01-15", dtype="datetime64[M]") + np.timedelta64(0, "D")
    middle = days.astype("datetime64[M]").astype("datetime64[D]") + np.timedelta64(14, "D")
    years = middle.astype("datetime64[Y]")
    part = (middle - years).astype(int) / 365.25
    texts = [
        f"{year + 1970 + each:.4f}" for year, each in zip(years.astype(int), part, strict=True)
    ]
    assert (dates.read(texts).values == days.astype("datetime64[M]")).all()


def test_days_of_a_spreadsheet():
    found = dates.read(["43831", "43832", "43833"])
    assert spacing.to_iso(found.values) == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert found.way == "days of a spreadsheet, such as '43831'"
    hours = dates.read([f"{43831 + n / 24:.6f}" for n in range(48)])
    assert (hours.values == np.datetime64("2020-01-01T00", "h") + np.arange(48)).all()
