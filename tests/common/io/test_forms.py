"""The forms of tables: delimiters, quotes, workbooks, JSON, Parquet, and what is packed."""

import gzip
import io
import json
import zipfile
from decimal import Decimal

import pytest

from common.errors import DataError
from common.io.tables import TableForm, read_cells, read_names, read_table


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns_of(table):
    return [list(row) for row in zip(*table.columns, strict=True)]


@pytest.mark.parametrize(
    ("name", "content", "rows", "note"),
    [
        ("a.csv", "text;label\nÄ, 1,5;x\nb, c;y\n", [["Ä, 1,5", "x"], ["b, c", "y"]], "semicolons"),
        ("a.csv", "text\tlabel\na, b\t1\n", [["a, b", "1"]], "tabs"),
        ("a.csv", "text|label\na, b|1\nc|0\n", [["a, b", "1"], ["c", "0"]], "bars"),
        ("a.txt", "text,label\na,1\nb,0\n", [["a", "1"], ["b", "0"]], "commas"),
        ("a.csv", "sep=;\r\ntext;label\r\na,1;1\r\n", [["a,1", "1"]], "semicolons"),
        ("a.csv", "text,label\na;b;c,1\nd;e;f,0\n", [["a;b;c", "1"], ["d;e;f", "0"]], None),
        ("a.csv", "label,text\n1,x; y\n0,z; w\n", [["x; y", "1"], ["z; w", "0"]], None),
        ("a.csv", '"text";"label"\n"a;""b""";"1"\n', [['a;"b"', "1"]], "semicolons"),
        ("a.csv", "\n \n\ntext,label\na,1\n", [["a", "1"]], None),
    ],
)  # fmt: skip
def test_the_delimiter_is_found_and_said(tmp_path, name, content, rows, note):
    table = read_table(write(tmp_path / name, content), ["text", "label"])
    assert columns_of(table) == rows
    said = (f"{name} is cut at {note} (--delimiter names another)",) if note else ()
    assert table.notes == said


@pytest.mark.parametrize("given", [";", "semicolon"])
def test_the_delimiter_can_be_given(tmp_path, given):
    path = write(tmp_path / "a.csv", "a,b;c,d\n1,2;3,4\n")
    table = read_table(path, ["a,b"], form=TableForm(delimiter=given))
    assert (columns_of(table), table.notes) == ([["1,2"]], ())
    with pytest.raises(DataError, match="--delimiter xx: expected one character, or one of comma"):
        read_table(path, ["a"], form=TableForm(delimiter="xx"))


@pytest.mark.parametrize(
    ("body", "texts", "whole"),
    [
        ('"two\nlines"\t1\nb\t0\n', ["two\nlines", "b"], True),  # as pandas writes them
        ('"a\ttab"\t1\nb\t0\n', ["a\ttab", "b"], True),
        ('"He said ""hi"""\t1\nb\t0\n', ['He said "hi"', "b"], True),
        ('"all"\t1\n"of them"\t0\n', ["all", "of them"], True),
        ('"some"\t1\nb\t0\n', ['"some"', "b"], False),
        ('"not closed\t1\nb\t0\n', ['"not closed', "b"], False),
        ('"two" words\t1\nb\t0\n', ['"two" words', "b"], False),
        ('"closed\t1\nb\t0\nlater"\t1\n', ['"closed', "b", 'later"'], False),
    ],
)
def test_quotes_around_the_cells_of_a_tsv(tmp_path, body, texts, whole):
    table = read_table(write(tmp_path / "a.tsv", f"text\tlabel\n{body}"), ["text", "label"])
    assert table.columns[0] == texts
    meaning = "stand around whole cells" if whole else "are ordinary characters"
    assert table.notes == (f"quotes in a.tsv {meaning}",)


@pytest.mark.parametrize(
    "lines",
    [
        ["text,label", '"good,1', "bad,0", "good,1", 'fine",0', "x,1", "y,0", "z,1"],
        ["label,text", '1,"good', "0,bad", "1,good", '0,fine"', "1,x", "0,y", "1,z"],
    ],
)
def test_a_quote_that_closes_over_other_rows_is_named(tmp_path, lines):
    table = read_table(write(tmp_path / "a.csv", "\n".join(lines)), ["text", "label"])
    assert columns_of(table) == [["x", "1"], ["y", "0"], ["z", "1"]]
    [(place, reason)] = table.skipped
    assert place == "a.csv:2"
    assert "closes lines later" in reason


def test_texts_over_lines_with_commas_are_whole(tmp_path):
    body = '"First line, of 0\nOur flight was, bad",0\n"a\n\nb",1\nc,0\nd,1\n'
    table = read_table(write(tmp_path / "a.csv", f"text,label\n{body}"), ["text", "label"])
    assert table.columns[0] == ["First line, of 0\nOur flight was, bad", "a\n\nb", "c", "d"]
    assert (table.lines, table.skipped) == ([2, 4, 7, 8], ())


def test_lines_of_a_text_that_could_be_rows_are_said_and_kept(tmp_path):
    body = '"Overall, good\nand, fine",good\n"It was\nbad, and dull",bad\nx,good\ny,bad\n'
    table = read_table(write(tmp_path / "a.csv", f"text,label\n{body}"), ["text", "label"])
    assert table.columns[0] == ["Overall, good\nand, fine", "It was\nbad, and dull", "x", "y"]
    assert table.skipped == ()
    swapped = 'good,"Overall\nand, fine"\nbad,"It was\ndull"\ngood,x\n'
    table = read_table(write(tmp_path / "b.csv", f"label,text\n{swapped}"), ["text", "label"])
    assert table.columns[0] == ["Overall\nand, fine", "It was\ndull", "x"]
    [note] = table.notes
    assert note.startswith("b.csv:2: the lines of a text in quotes could be rows themselves")


@pytest.mark.parametrize(
    ("name", "rows", "wrong"),
    [
        ("a.csv", ["Hi, you,안녕", "Go,가", "No,아니"], 1),
        ("a.txt", ["Go\t가", "see\tpage 3\t3쪽", "No\t아니", "Yes\t예"], 2),
        ("a.tsv", ["Go\t가\tby me", "see\tit\t보다\tby me", "No\t아니\tby you"], 2),
        ("a.csv", ["Go,가", "No,아니, 아니", "Yes,예"], 2),
    ],
)
def test_pairs_by_number_are_never_shifted(tmp_path, name, rows, wrong):
    table = read_table(write(tmp_path / name, "\n".join(rows)), [1, 2])
    width = 3 if "by me" in rows[0] else 2
    assert table.skipped == ((f"{name}:{wrong}", f"{width + 1} cells, expected {width}"),)
    assert len(table) == len(rows) - 1
    assert len(read_cells(tmp_path / name)) == len(rows) - 1


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "가", "label": 1}, {"text": "b", "label": "x"}],
        {"version": 2, "data": [{"text": "가", "label": 1}, {"text": "b", "label": "x"}]},
        {"text": {"0": "가", "1": "b"}, "label": {"0": 1, "1": "x"}},
        {"text": ["가", "b"], "label": [1, "x"]},
    ],
)
def test_json_arrays(tmp_path, content):
    path = write(tmp_path / "a.json", json.dumps(content, ensure_ascii=False, indent=1))
    assert columns_of(read_table(path, ["text", "label"])) == [["가", "1"], ["b", "x"]]


def test_json_rows_that_cannot_be_used_are_named(tmp_path):
    content = '[{"text": "a", "label": 1.50}, {"text": "b"}, 5, {"text": [1], "label": 1}]'
    table = read_table(write(tmp_path / "a.json", content), ["text", "label"])
    assert columns_of(table) == [["a", "1.50"]]
    assert table.skipped == (
        ("a.json:2", "'label' is empty"),
        ("a.json:3", "not a JSON object"),
        ("a.json:4", "'text' is neither text nor a number"),
    )
    lines = write(tmp_path / "b.json", '{"text": "a"}\n{"text": "b"}\n')
    assert read_table(lines, ["text"]).columns == (["a", "b"],)
    for number, wrong in enumerate(['"x"', '{"a": 1}', "[1]", "[]"]):
        with pytest.raises(DataError, match="expected an array of objects"):
            read_table(write(tmp_path / f"{number}.json", wrong), ["text"])
    with pytest.raises(DataError, match="is not JSON"):
        read_table(write(tmp_path / "c.json", "{broken"), ["text"])


def workbook(sheets):
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def test_workbooks(tmp_path):
    from datetime import date, datetime

    rows = [
        [],
        ["text", "label", "day", "time", "value"],
        ["가", 1, date(2020, 1, 1), datetime(2020, 1, 1), 1.5],
        ["0123", 2.0, date(2020, 1, 2), datetime(2020, 1, 1, 0, 30), None],
        [None, 3, None, None, 2],
        ["NA", True, date(2020, 1, 3), datetime(2020, 1, 1, 1), 1e20],
    ]
    data = workbook({"첫째": rows, "second": [["x"], [7]]})
    path = write(tmp_path / "a.xlsx", data)
    table = read_table(path, ["text", "label", "day", "time", "value"], gaps=["value"])
    assert columns_of(table) == [
        ["가", "1", "2020-01-01", "2020-01-01 00:00:00", "1.5"],
        ["0123", "2", "2020-01-02", "2020-01-01 00:30:00", ""],
        ["NA", "true", "2020-01-03", "2020-01-01 01:00:00", "100000000000000000000"],
    ]
    assert (table.lines, table.skipped) == ([3, 4, 6], (("a.xlsx:5", "'text' is empty"),))
    assert table.notes == (
        "of a.xlsx the first sheet of 2 is read, '첫째' (--sheet names another)",
    )
    for given in ("second", "2"):
        assert read_table(path, ["x"], form=TableForm(sheet=given)).columns == (["7"],)
    with pytest.raises(DataError, match="no sheet 'secnd'; did you mean second"):
        read_table(path, ["x"], form=TableForm(sheet="secnd"))
    with pytest.raises(DataError, match="not a workbook that can be read"):
        read_table(write(tmp_path / "b.xlsx", "text,label\n"), ["text"])


def test_a_cover_is_passed_over_for_the_fullest_sheet(tmp_path):
    rows = [["text", "label"], *(["가", number] for number in range(30))]
    cover, few = [["안내"], ["이 파일은"]], [["text", "label"], ["나", 1]]
    path = write(tmp_path / "a.xlsx", workbook({"표지": cover, "few": few, "data": rows}))
    table = read_table(path, ["text", "label"])
    assert len(table.columns[0]) == 30
    assert table.notes == (
        "of a.xlsx the fullest sheet of 3 is read, 'data' (--sheet names another)",
    )
    for first in (rows, few):  # a table, if a short one; the other sheet is no fuller
        path = write(tmp_path / "b.xlsx", workbook({"first": first, "second": few}))
        assert "first sheet of 2" in read_table(path, ["text", "label"]).notes[0]
    longer = [["text", "label"], *(["다", number] for number in range(60))]
    path = write(tmp_path / "c.xlsx", workbook({"2023": rows, "2024": longer}))
    assert read_table(path, ["text", "label"]).columns[0][0] == "가"


def test_parquet(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    import pandas as pd

    data = io.BytesIO()
    frame = pd.DataFrame({"text": ["가", None, "b"], "label": [1, 2, None]})
    frame.to_parquet(data)
    path = write(tmp_path / "a.parquet", data.getvalue())
    table = read_table(path, ["text", "label"], gaps=["label"])
    assert columns_of(table) == [["가", "1"], ["b", ""]]
    assert table.skipped == (("a.parquet:2", "'text' is empty"),)
    with pytest.raises(DataError, match="not a Parquet file"):
        read_table(write(tmp_path / "b.parquet", "x"), ["text"])

    def missing(*given, **options):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(DataError, match=r"Parquet needs pyarrow.*pip install -e '.\[parquet\]'"):
        read_table(path, ["text"])


def test_parquet_with_decimals_and_an_index_of_dates_without_a_name(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    prices = [Decimal("1.50"), None, Decimal(20)]
    frame = pd.DataFrame({"price": prices}, index=pd.date_range("2020-01-01", periods=3))
    data = io.BytesIO()
    frame.to_parquet(data)
    table = read_table(
        write(tmp_path / "a.parquet", data.getvalue()), ["index", "price"], gaps=["price"]
    )
    assert list(table.columns) == [
        ["2020-01-01", "2020-01-02", "2020-01-03"],
        ["1.50", "", "20.00"],
    ]
    data = io.BytesIO()
    frame.reset_index(drop=True)[1:].to_parquet(data)  # numbers of rows are no column
    assert read_names(write(tmp_path / "b.parquet", data.getvalue())) == ["price"]


def archive(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in names:
            file.writestr(name, "text,label\n가,1\n")
    return data.getvalue()


def test_what_is_packed(tmp_path):
    packed = {
        "a.csv.gz": gzip.compress("text,label\n가,1\n".encode()),
        "a.csv.zip": archive("a.csv"),
        "b.zip": archive("folder/b.csv", "__MACOSX/folder/._b.csv", "readme.md"),
    }
    for name, data in packed.items():
        table = read_table(write(tmp_path / name, data), ["text", "label"])
        assert columns_of(table) == [["가", "1"]]
    for name, data, message in [
        ("c.csv.gz", b"text,label\n", "cannot be unpacked"),
        ("c.zip", b"PK", "cannot be unpacked"),
        ("d.zip", archive("a.csv", "b.csv"), r"expected one table in it, found 2: a\.csv, b\.csv"),
        ("e.zip", archive("a.md"), "expected one table in it, found 0"),
        ("f.gz", b"", r"ends in \.csv"),
    ]:
        with pytest.raises(DataError, match=message):
            read_table(write(tmp_path / name, data), ["text"])


@pytest.mark.parametrize("orient", ["records", "split", "columns", "index", "table"])
@pytest.mark.parametrize("rows", [2, 3])  # as many as there are columns, or more
def test_json_as_pandas_writes_it_in_any_way(tmp_path, orient, rows):
    import pandas as pd

    frame = pd.DataFrame({"text": ["a", "b", "c"][:rows], "label": ["x", "y", "x"][:rows]})
    path = write(tmp_path / "a.json", frame.to_json(orient=orient))
    assert columns_of(read_table(path, ["text", "label"])) == frame.to_numpy().tolist()


@pytest.mark.parametrize("orient", ["split", "columns"])
def test_an_index_that_is_no_number_is_a_column_of_json(tmp_path, orient):
    import pandas as pd

    frame = pd.DataFrame({"x": [5, 6]}, index=["2024-01-01", "2024-01-02"])
    path = write(tmp_path / "a.json", frame.to_json(orient=orient))
    rows = columns_of(read_table(path, ["index", "x"]))
    assert rows == [["2024-01-01", "5"], ["2024-01-02", "6"]]
