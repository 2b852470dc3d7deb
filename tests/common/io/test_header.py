"""The header of a table: given, or below lines that are no part of it; options that fit no file."""

import bz2
import gzip
import io
import lzma
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError
from common.io import unpack
from common.io.tables import OpenTable, TableForm, read_cells, read_names, read_table, refuse_unfit
from common.options.config import ImageConfig
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.sentiment.config import SentimentConfig

ROWS = "2024-01-01,5\n2024-01-02,6\n2024-01-03,7\n"
NO, YES = TableForm(header=False), TableForm(header=True)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def sheet(*rows):
    import pandas as pd

    content = io.BytesIO()
    pd.DataFrame(rows).to_excel(content, header=False, index=False)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "good,pos\nbad,neg\n"),
        ("a.txt", "\ngood\tpos\nbad\tneg\n"),
        ("a.xlsx", sheet(["good", "pos"], ["bad", "neg"])),
    ],
)
def test_without_a_header_columns_go_by_their_numbers(tmp_path, name, content):
    path = write(tmp_path / name, content)
    assert read_names(path, NO) == ["1", "2"]
    assert read_cells(path, NO) == [["1", "2"], ["good", "pos"], ["bad", "neg"]]
    for columns in (["1", "2"], [1, 2]):
        table = read_table(path, columns, form=NO)
        assert table.columns == (["good", "bad"], ["pos", "neg"])
    with pytest.raises(DataError, match=r"has these columns: 1, 2\n  no column 'text'"):
        read_table(path, ["text"], form=NO)
    table = read_table(path, [2, 1], form=YES)
    assert table.columns == (["neg"], ["bad"])


def test_gaps_are_those_of_numbered_columns(tmp_path):
    path = write(tmp_path / "a.csv", "good,pos\nbad,\n,neg\n")
    table = read_table(path, [1, 2], gaps=[2], form=NO)
    assert table.columns == (["good", "bad"], ["pos", ""])
    assert table.skipped == (("a.csv:3", "column 1 is empty"),)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", f"Sales\n\ndate,value\n{ROWS}", "2 lines above the names of the columns are"),
        ("a.csv", f"Sales of 2024\ndate,value\n{ROWS}", "the first line is"),
        ("a.csv", f"매출,\n단위: 원,\n,\ndate,value\n{ROWS}", "3 lines above"),
        ("a.csv", f"Sales\ndate;value\n{ROWS}".replace(",", ";"), "the first line is"),
        ("a.tsv", f"Sales\n\ndate\tvalue\n{ROWS}".replace(",", "\t"), "2 lines above"),
        ("a.csv", "Sales\n\ndate,value\na,x\nb,y\n", "2 lines above"),
        (
            "a.xlsx",
            sheet(["Sales", None], [None, None], ["date", "value"], ["a", 5], ["b", 6]),
            "2 lines above",
        ),
    ],
)
def test_lines_above_the_names_are_left_out_and_said(tmp_path, name, content, said):
    path = write(tmp_path / name, content)
    assert read_names(path) == ["date", "value"]
    table = read_table(path, ["date", "value"])
    assert len(table) == len(read_cells(path)) - 1 >= 2
    [note] = [note for note in table.notes if "left out" in note]
    assert said in note
    assert "(--header yes keeps them)" in note
    assert read_names(path, YES)[0] != "date"


@pytest.mark.parametrize(
    "content",
    [
        f"date,\n{ROWS}",  # the values have no name
        ",0\na,5\nb,6\nc,7\n",  # as pandas writes a series
        "text\ngood film,pos\nbad film,neg\nx,pos\n",  # the labels have no name
        "text,,\ngood,pos,x\nbad,neg,y\n",
        "name,,\nkim,3,4\nlee,5,6\npark,7,8\n",
        ",sales,,\ndate,a,b,c\nx,1,2,3\ny,4,5,6\n",  # two rows of names
        "Sales\na,a\n1,2\n3,4\n",  # names that are alike
        "Sales\nplace,2019\nx,5\ny,6\nz,7\n",  # a year could be data
    ],
)
def test_what_could_be_a_header_is_kept(tmp_path, content):
    path = write(tmp_path / "a.csv", content)
    assert read_names(path) == content.split("\n")[0].split(",")


CELLS = st.text("abc 가나-", min_size=1, max_size=4).filter(str.strip)


@settings(max_examples=40, derandomize=True, deadline=None, database=None)
@given(st.data(), st.integers(2, 4), st.integers(2, 6))
def test_no_header_that_is_there_is_ever_left_out(tmp_path_factory, data, width, length):
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    names = data.draw(st.lists(CELLS, min_size=width, max_size=width))
    values = st.one_of(CELLS, st.integers(0, 99).map(str), st.just(""))
    rows = data.draw(st.lists(st.lists(values, min_size=width, max_size=width), min_size=length))
    path.write_text("\n".join(map(",".join, [names, *rows])), "utf-8")
    assert read_names(path) == [name.strip() for name in names]


@pytest.mark.parametrize(
    ("config", "file", "wrong"),
    [
        (ForecastConfig(sheet="2"), "a.csv", "--sheet: goes with a workbook, and .*a.csv is none"),
        (ForecastConfig(delimiter=";"), "a.xlsx", "--delimiter: goes with a table of text"),
        (ForecastConfig(delimiter=";"), "a.json.gz", "--delimiter: goes with a table of text"),
        (ForecastConfig(header="no"), "a.jsonl", "--header: goes with a table whose first row"),
        (ForecastConfig(file_encoding="cp949"), "a.parquet", "--file-encoding: goes with a table"),
        (ForecastConfig(date_column="d"), "google", "--date-column: goes with a table, and google"),
        (SentimentConfig(delimiter=";"), "folder", None),  # likewise
        (ImageConfig(image_dir="x"), "folder", "--image-dir: goes with a table"),
        (ImageConfig(header="yes"), "a.npz", "--header: goes with"),
        (SentimentConfig(file_encoding="cp949"), "folder", None),
        (ImageConfig(image_dir="x", header="no"), "a.csv", None),
        (ImageConfig(delimiter=";"), "a.zip", None),  # which may hold a table
        (ForecastConfig(sheet="2", test="a.xlsx"), "a.csv", None),  # it is for the other
        (ForecastConfig(sheet="2"), "not there.csv", None),  # of which more is said elsewhere
        (ForecastConfig(), "google", None),
    ],
)
def test_an_option_that_fits_no_file_is_refused(tmp_path, monkeypatch, config, file, wrong):
    import dataclasses

    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("a.csv", "a.xlsx", "a.json.gz", "a.jsonl", "a.parquet", "a.npz", "a.zip"):
        write(tmp_path / name, "")
    config = dataclasses.replace(config, data=file)
    if wrong is None:
        refuse_unfit(config)
    else:
        with pytest.raises(DataError, match=wrong):
            refuse_unfit(config)


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz", ".zip"])
def test_a_table_that_swells_beyond_reason_is_refused(tmp_path, monkeypatch, packing):
    content = b"text,label\n" + b"a,1\n" * 5000
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    data = pack[packing](content) if packing in pack else packed.getvalue()
    path = write(tmp_path / f"a.csv{packing}", data)
    assert len(read_table(path, ["text"])) == 5000
    monkeypatch.setattr(unpack, "_SMALL", 1000)
    monkeypatch.setattr(unpack, "_RATIO", 2)
    with pytest.raises(DataError, match="unpacks to more than .* bytes, from .*unpack it yourself"):
        read_table(path, ["text"])


def join(text, tmp_path):
    opened = OpenTable(write(tmp_path / "a.csv", text), join=True)
    return opened.names, opened.read(opened.names, gaps=opened.names)


@pytest.mark.parametrize(
    ("heads", "names"),
    [
        ("Price,Close,High\nTicker,A,A\nDate,,\n", ["Date", "Close", "High"]),
        ("Price,Close,Close\nTicker,005930.KS,B\nDate,,\n", ["Date", "005930.KS", "B"]),
        (",Close,Volume\n,A,B\nDate,,\n", ["Date", "Close A", "Volume B"]),
        ("시점,전국,\n시점,취업자,실업률\n", ["시점", "취업자", "실업률"]),
        ("시점,전국,서울\n시점,취업자,취업자\n", ["시점", "전국", "서울"]),
        ("Date,Temp,Rain\n,°C,mm\n", ["Date", "Temp °C", "Rain mm"]),
        ("Date,x,x\n,°C,mm\n", ["Date", "°C", "mm"]),
    ],
)
def test_names_in_several_rows_are_put_together(tmp_path, heads, names):
    found, table = join(f"{heads}2024-01-01,5,6\n2024-01-02,7,8\n", tmp_path)
    assert found == names
    assert table.columns[1:] == (["5", "7"], ["6", "8"])
    assert table.lines[0] == heads.count("\n") + 1
    assert f"are in {heads.count(chr(10))} rows, put together as {names[1]!r}" in table.notes[0]
    first = OpenTable(tmp_path / "a.csv", YES, join=True)
    assert first.names == heads.splitlines()[0].split(",")


@pytest.mark.parametrize(
    "text",
    [
        "date,x\n2024-01-01,5\n2024-01-02,6\n",
        "date,x\nJan-24,NA\nFeb-24,6\n",
        "date,x\n2024년 1월,\n2024년 2월,6\n",
        "date,x,x\n,a,a\n2024-01-01,5,6\n",
        "month,x\nJan,5\nFeb,6\n",
        "a,b\nc,d\n",
        "a,b\nc,d\ne,f\ng,h\ni,j\n",
    ],
)
def test_other_rows_stay_below_their_names(tmp_path, text):
    path = write(tmp_path / "a.csv", text)
    opened = OpenTable(path, join=True)
    assert opened.names == text.split("\n")[0].split(",")
    assert len(list(opened.rows())) == text.count("\n") - 1


def test_years_are_names_below_lines_of_a_title(tmp_path):
    years = ",".join(f'"{year}"' for year in range(1960, 1970))
    text = f'"Data Source","Indicators",\n\n"Updated","2024-06-28",\n\n"Country","Code",{years},\n'
    text += "".join(f'"{name}","{name[:3]}",{",".join("5" * 10)},\n' for name in ("Aruba", "World"))
    assert read_names(write(tmp_path / "a.csv", text))[:3] == ["Country", "Code", "1960"]


def test_many_comments_above_a_table_are_left_out(tmp_path):
    comments = '# terms of use\n#\n# "quoted", text\n' * 15
    path = write(tmp_path / "a.csv", f"{comments}year,month,x,y\n1958,3,315,1\n1958,4,317,2\n")
    assert read_names(path) == ["year", "month", "x", "y"]
    table = OpenTable(path).read(["x"])
    assert table.columns == (["315", "317"],)
    assert table.lines == [47, 48]
    named = write(tmp_path / "b.csv", "# a\n# b\n# year,x\n1958,3\n1959,4\n")
    assert read_names(named) == ["# year", "x"]
    texts = write(tmp_path / "c.csv", "#good day,1\n#bad day,0\nno day,0\n")
    assert read_cells(texts)[0] == ["#good day", "1"]
    lines = write(tmp_path / "d.txt", "#good day\n#bad day\nno day\n")
    assert read_cells(lines)[0] == ["#good day"]
