"""Submissions of forecasts: the rows of a sample by their dates and series."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import DataError
from common.submission.sample import Sample
from labs.rnn.forecast.predictions import SeriesSubmission

SERIES = ("강남", "부산")
SMALL = (
    *("--window", 7, "--horizon", 3, "--epochs", 1, "--hidden-size", 4, "--no-linear"),
    *("--threads", 1),
)


def days(begin, end, form="{}"):
    return [form.format(np.datetime64("2024-01-01") + day) for day in range(begin, end)]


@pytest.fixture(scope="module")
def run(lab, tmp_path_factory):
    """Return the folder of a run on two series below one another, of 120 days each."""
    folder = tmp_path_factory.mktemp("매장")
    rows = [
        f"{day},{name},{10 + n + np.sin(number):.3f}"
        for n, name in enumerate(SERIES)
        for number, day in enumerate(days(0, 120))
    ]
    (folder / "sales.csv").write_text("\n".join(["날짜,매장,판매량", *rows]) + "\n")
    words = ("--data", folder / "sales.csv", "--run-dir", folder, "--name", "run")
    result = lab("forecast", *words, *SMALL)
    assert result.code == 0, result.err
    return folder / "rnn/run"


@pytest.fixture
def submit(lab, run, tmp_path):
    """Return a function that submits for the lines of a sample; the result and the lines."""

    def call(lines, *before):
        sample, out = tmp_path / "sample.csv", tmp_path / "out.csv"
        sample.write_text("\n".join(lines) + "\n")
        result = lab("submit", run, *before, sample, "--out", out)
        return result, out.read_text().splitlines() if out.exists() else None

    return call


def test_rows_are_answered_by_date_and_series(submit, lab, run):
    known = lab("predict", run, "--format", "csv").out.splitlines()[1:]
    forecasts = {tuple(line.split(",")[:2]): float(line.split(",")[2]) for line in known}
    asked = [(day, name) for day in days(120, 122) for name in reversed(SERIES)]
    written = [f"{day.replace('-', '/')},{name},0" for day, name in asked]
    result, lines = submit(["날짜,매장,판매량", *written])
    assert result.code == 0, result.err
    assert "2 of the 6 forecasts are of dates that no row has" in result.err
    assert [line.rpartition(",")[0] for line in lines[1:]] == [w[:-2] for w in written]
    values = [float(line.rpartition(",")[2]) for line in lines[1:]]
    assert values == pytest.approx([forecasts[each] for each in asked], rel=1e-4)

    wide, table = submit(["date,부산,강남", *(f"{day},0,0" for day in days(120, 122))])
    assert wide.code == 0, wide.err
    assert [cell for line in table[1:] for cell in line.split(",")[1:]] == [
        line.rpartition(",")[2] for line in lines[1:]
    ]


def test_a_table_may_go_on(submit, run):
    table = run.parents[1] / "later.csv"
    later = [f"{day},{name},{n}" for name in SERIES for n, day in enumerate(days(110, 130))]
    table.write_text("\n".join(["날짜,매장,판매량", *later]) + "\n")
    rows = [f"{day},{name},0" for day in days(130, 133) for name in SERIES]
    result, lines = submit(["날짜,매장,판매량", *rows], table)
    assert result.code == 0, result.err
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["날짜,매장,y", *days(122, 124, "{},강남,0")], "1 of the 2 answers .*: 2024-05-03 강남;"),
        (["날짜,매장,y", *days(120, 122, "{},대구,0")], "which series do its rows ask for"),
        (["날짜,y", *days(120, 122, "{},0")], "which series do its rows ask for"),
        (["날짜,매장,y", *[*days(120, 121, "{},강남,0")] * 2], "several rows ask for the same"),
        (["id,y", "a,0", "b,0"], "no column is written as dates are, of 'id', 'y'; --id-column"),
    ],
)
def test_what_is_not_forecast_is_one_error(submit, lines, problem):
    result, written = submit(lines)
    assert (result.code, written) == (2, None)
    assert re.search(problem, result.err)
    assert result.err.count("Error: ") == 1


@pytest.mark.parametrize(
    ("names", "keys", "header", "row", "series"),
    [
        (("A",), ("store",), "date,store,sales", "2024-05-01,A,0", "A"),
        (("A",), ("store",), "date,store,sales", "2024-05-01,B,0", None),
        (("A",), ("store",), "date,sales", "2024-05-01,0", "A"),
        (("A", "B"), ("store",), "id,date,store,sales", "7,2024-05-01,B,0", "B"),
        (("A x", "B x"), ("store", "item"), "item,date,store,sales", "x,2024-05-01,B,0", "B x"),
        (("A x",), ("store", "item"), "date,store,sales", "2024-05-01,A,0", None),
    ],
)
def test_the_columns_of_series_say_which_is_meant(tmp_path, names, keys, header, row, series):
    job = SimpleNamespace(
        config=SimpleNamespace(series_column=keys), card=SimpleNamespace(names=names)
    )
    sample = Sample.parse(f"{header}\n{row}\n".encode(), tmp_path / "sample.csv")
    sample = replace(sample, id_column="date", answer_columns=("sales",))
    submission = SeriesSubmission([job], print)
    if series is None:
        with pytest.raises(DataError, match="which series do its rows ask for"):
            submission._series_of(sample, names, keys)
    else:
        assert submission._series_of(sample, names, keys) == {"sales": [series]}
