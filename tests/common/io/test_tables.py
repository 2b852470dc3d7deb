import json
import unicodedata

import pytest

from common.errors import DataError
from common.io.tables import read_table, read_text

NFD = unicodedata.normalize("NFD", "좋은 영화")


def write(path, content, encoding="utf-8"):
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_csv_with_quotes_in_every_encoding(tmp_path, encoding, end):
    rows = ["번호,text,label", '1,"좋은, ""영화""",긍정', "2, plain ,부정", ""]
    table = read_table(write(tmp_path / "a.csv", end.join(rows), encoding), ["text", "label"])
    assert table.columns == (['좋은, "영화"', "plain"], ["긍정", "부정"])
    assert (table.lines, table.skipped, len(table)) == ([2, 3], (), 2)


@pytest.mark.parametrize("suffix", [".tsv", ".tab", ".TXT"])
def test_quotes_in_a_tsv_are_ordinary_characters(tmp_path, suffix):
    text = 'id\tdocument\tlabel\n1\t"못 닫은 따옴표\t0\n2\t"둘" 이다\t1\n'
    table = read_table(write(tmp_path / f"a{suffix}", text), ["document", "label"])
    assert table.columns == (['"못 닫은 따옴표', '"둘" 이다'], ["0", "1"])


def test_columns_by_number_where_there_is_no_header(tmp_path):
    text = "Go.\t가.\tCC-BY\nHi.\t안녕.\nalone\n"
    table = read_table(write(tmp_path / "pairs.txt", text), [1, 2])
    assert table.columns == (["Go.", "Hi."], ["가.", "안녕."])
    assert table.skipped == (("pairs.txt:3", "1 cell, needed 2"),)


def test_json_lines_with_numbers_as_they_are_written(tmp_path):
    rows = [
        {"text": NFD, "label": 1},
        {"text": "a\u2028b", "label": True},
        {"label": 0.50, "text": 3, "more": [1]},
        {"text": "no label"},
        {"text": "null", "label": None},
        {"text": ["a", "list"], "label": 1},
        {"text": "half of a pair \ud83d", "label": 1},
    ]
    lines = [json.dumps(row, ensure_ascii=number > 1) for number, row in enumerate(rows)]
    lines[2] = '{"label": 0.50, "text": 3, "more": [1]}'
    lines += ["", "[1, 2]", "{broken", "[" * 100_000]
    table = read_table(write(tmp_path / "a.jsonl", "\n".join(lines)), ["text", "label"])
    assert table.columns == (["좋은 영화", "a\u2028b", "3"], ["1", "true", "0.50"])
    assert table.lines == [1, 2, 3]
    places, reasons = zip(*table.skipped, strict=True)
    assert places == tuple(f"a.jsonl:{line}" for line in (4, 5, 6, 7, 9, 10, 11))
    assert reasons[:5] == (
        "'label' is empty",
        "'label' is empty",
        "'text' is neither text nor a number",
        "'text' has bytes that are no character",
        "not a JSON object",
    )
    assert all(reason.startswith("not JSON: ") for reason in reasons[5:])


def test_nfd_is_read_as_nfc_in_cells_and_in_names(tmp_path):
    text = unicodedata.normalize("NFD", "글,라벨\n좋은 영화,긍정\n")
    table = read_table(
        write(tmp_path / "a.csv", text), [unicodedata.normalize("NFD", "글"), "라벨"]
    )
    assert table.columns == (["좋은 영화"], ["긍정"])


def test_rows_that_cannot_be_used_are_listed_with_their_place(tmp_path):
    lines = [
        "text,label,note",
        "good,1,",
        "",
        "too,many,cells,1",
        "no label here",
        ",1,",
        "nul\0inside,1,",
        '"two\nlines",0,',
        "short row,1",
        ",,,,",
        "trailing commas,0,,,,",
    ]
    table = read_table(write(tmp_path / "a.csv", "\n".join(lines)), ["text", "label"])
    assert table.columns[0] == ["good", "two\nlines", "short row", "trailing commas"]
    assert table.lines == [2, 8, 10, 12]
    assert table.skipped == (
        ("a.csv:4", "4 cells, expected 3"),
        ("a.csv:5", "1 cell, expected 3"),
        ("a.csv:6", "'text' is empty"),
        ("a.csv:7", "'text' has a NUL byte"),
    )


def test_gaps_are_kept_where_they_mean_something(tmp_path):
    path = write(tmp_path / "a.csv", "date,price\n2004-08-19,50.1\n2004-08-20,\n,3\n")
    table = read_table(path, ["date", "price"], gaps=["price"])
    assert table.columns == (["2004-08-19", "2004-08-20"], ["50.1", ""])
    assert table.skipped == (("a.csv:4", "'date' is empty"),)


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_rows_with_bytes_of_no_encoding_are_left_out_and_the_others_kept(tmp_path, encoding):
    good = [f"{number}\t참 좋은 영화\t1".encode(encoding) for number in range(30)]
    bad = [b"30\tbroken \xff\xff here\t0", "31\t좋".encode(encoding) + b"\x80\n\t0"]
    data = b"\n".join([b"id\ttext\tlabel", *good, bad[0], b"\xff\tin another column\t1"])
    table = read_table(write(tmp_path / "a.tsv", data), ["text", "label"])
    assert table.columns[0] == ["참 좋은 영화"] * 30 + ["in another column"]
    assert table.skipped == (("a.tsv:32", "'text' has bytes that are no character"),)
    torn = read_table(write(tmp_path / "b.tsv", data + b"\n" + bad[1]), ["text", "label"])
    assert [place for place, _ in torn.skipped] == ["b.tsv:32", "b.tsv:34", "b.tsv:35"]


def test_a_line_of_a_megabyte_and_a_cell_longer_than_csv_reads_by_default(tmp_path):
    for name, text in [("a.csv", "영화 " * 350_000), ("a.tsv", "a" * 1_100_000)]:
        separator = "," if name == "a.csv" else "\t"
        path = write(tmp_path / name, f"text{separator}label\n{text}{separator}1\n")
        assert read_table(path, ["text", "label"]).columns == ([text.strip()], ["1"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"these columns: none, it is empty\n  no column 'text'"),
        ("a.csv", "texts,label\na,1\n", r"texts, label\n  no column 'text'; did you mean texts\?"),
        ("a.csv", ",label\na,1\n", r"\(no name\), label\n  no column 'text'"),
        ("a.csv", "text,text,label\na,b,1\n", r"a\.csv:1: two columns are called 'text'"),
        ("a.csv", "text,label\n", r"no row that can be used, it is empty"),
        ("a.csv", "text,label\n,1\n", r"1 were left out\n  a\.csv:2: 'text' is empty"),
        ("a.csv", 'text,label\na,1\n"never closed,0\nb,1\n', r"a\.csv:3: .*not CSV"),
        ("a.csv", 'text,label\n"in" the middle,0\n', r"a\.csv:2: .*not CSV"),
        ("a.jsonl", '{"document": "a", "label": 1}\n', r"document, label\n  no column 'text'"),
        ("a.jsonl", "{broken\n", r"a\.jsonl:1: not JSON"),
        ("a.jsonl", "\n", r"none, it is empty"),
        ("a.xls", "text,label\na,1\n", r"ends in \.csv, .*export it"),
        ("a.csv", b"\xff\xfet\0e\0x", r"begins as UTF-16, but is not"),
        (
            "a.csv",
            b"text,label\n" + b"caf\xe9 \xfe\x81,1\n" * 9,
            r"a\.csv:2: the encoding is not certain",
        ),
        ("a.csv", bytes(range(256)) * 40, r"expected text in UTF-8"),
    ],
)
def test_files_that_cannot_be_what_was_meant(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path / name, content), ["text", "label"])


def test_paths_that_are_no_files(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for path, why in [
        (tmp_path / "none.csv", "No such file"),
        (tmp_path / "folder.csv", "Is a directory"),
        (tmp_path / "nul\0.csv", "null"),
    ]:
        with pytest.raises(DataError, match=f"cannot read .*{why}"):
            read_table(path, ["text"])


def test_text_is_read_as_it_is(tmp_path):
    assert read_text(write(tmp_path / "a", "\ufeff가나\r\n다", "utf-16-be")) == "가나\r\n다"
    assert read_text(write(tmp_path / "b", "좋은 영화", "cp949")) == "좋은 영화"
