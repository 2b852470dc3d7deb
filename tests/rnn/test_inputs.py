import pytest

from common.options.config import TableForm
from labs.rnn.inputs import read_texts


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_every_row_of_a_table_stays_with_a_text_or_without(tmp_path):
    jsonl = '{"document": "좋다"}\n{"id": 3}\n{}\n{"document": ""}\n{"document": null}\n'
    assert read_texts([], write(tmp_path / "a.jsonl", jsonl), "document") == [
        "좋다",
        "",
        "",
        "",
        "",
    ]
    csv = "id,document\n1,좋다\n2,\n3\n4,또\n"
    assert read_texts([], write(tmp_path / "a.csv", csv), "document") == ["좋다", "", "또"]


def test_a_run_s_text_column_is_found_in_a_txt_as_well(tmp_path):
    table = write(tmp_path / "a.txt", "id\tdocument\tlabel\n1\t좋다\t1\n2\t나쁘다\t0\n")
    assert read_texts([], table, "document") == ["좋다", "나쁘다"]
    pairs = write(tmp_path / "b.txt", "Go.\t가.\nHi.\t안녕.\n")
    assert read_texts([], pairs, "1") == ["Go.", "Hi."]
    tab = write(tmp_path / "d.txt", "a\ttab\tinside\nGo.\t가.\nHi.\t안녕.\n")
    assert read_texts([], tab, "1") == ["Go.", "Hi."]
    bare = write(tmp_path / "SMSSpamCollection", "ham\tGo, then.\nspam\tHi.\n")
    assert read_texts([], bare, "2") == ["Go, then.", "Hi."]
    plain = write(tmp_path / "lines", "Go, then.\nHi.\n")
    assert read_texts([], plain, "document") == ["Go, then.", "Hi."]
    lines = write(tmp_path / "c.txt", "Go, then.\nHi.\n")
    assert read_texts([], lines, "1") == read_texts([], lines, "document") == ["Go, then.", "Hi."]


def test_another_column_is_found_or_given(tmp_path, capsys):
    path = write(tmp_path / "a.csv", "id,comment,other\n1,좋은 영화,a\n2,나쁜 영화,b\n", "cp949")
    assert read_texts([], path, "document") == ["좋은 영화", "나쁜 영화"]
    said = capsys.readouterr().err
    assert "a.csv is read as cp949" in said
    assert "column 'comment' of a.csv holds the texts, there is no 'document'" in said
    assert read_texts([], path, "other", given=True) == ["a", "b"]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_the_encoding_of_lines_can_be_given(tmp_path, encoding):
    path = write(tmp_path / "a.txt", "хороший фильм\nплохой\n", encoding)
    form = TableForm(encoding=encoding)
    assert read_texts([], path, "text", form) == ["хороший фильм", "плохой"]
