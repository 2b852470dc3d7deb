import pytest

from common.errors import DataError
from common.io.tables import read_table
from labs.rnn.parallel import as_table, turn

EN, KO = ["Go.", 'He said, "no".', "Hi."], ["가.", "그는 아니라고 했다.", "안녕."]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))


def write(folder, files, end="\n", encoding="utf-8"):
    folder.mkdir()
    for name, lines in files.items():
        (folder / name).write_bytes((end.join(lines) + end).encode(encoding))
    return folder


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"train.en": EN, "train.ko": KO}, ""),
        ({"train.en": EN, "train.ko": KO, "README.md": ["x"]}, "train.ko"),
        ({"train.en": EN, "train.ko": KO, "valid.en": EN[:1], "valid.ko": KO[:1]}, ""),
        ({"en.txt": EN, "ko.txt": KO}, ""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_two_files_become_rows(tmp_path, files, name, end):
    root = write(tmp_path / "kit", files, end)
    table = as_table(root / name)
    assert as_table(root / name) == table
    assert read_table(table, ["en", "ko"]).columns == (EN, KO)


def test_the_encoding_of_the_files_is_found_out(tmp_path):
    root = write(tmp_path / "kit", {"a.en": EN * 20, "a.ko": KO * 20}, encoding="cp949")
    assert read_table(as_table(root), ["ko"]).columns == (KO * 20,)


def test_tables_are_what_they_are(tmp_path):
    root = write(tmp_path / "kit", {"pairs.csv": ["en,ko", "a,b"], "pairs.tsv": ["en\tko"]})
    assert as_table(root / "pairs.csv") == root / "pairs.csv"
    assert as_table(root / "missing") == root / "missing"


def test_files_that_are_no_pair_are_refused(tmp_path):
    root = write(tmp_path / "a", {"a.en": EN, "a.ko": KO[:2]})
    with pytest.raises(DataError, match="different numbers of lines: a.en 3 and a.ko 2"):
        as_table(root)
    root = write(tmp_path / "b", {"a.en": EN, "a.ko": KO, "a.fr": EN})
    with pytest.raises(DataError, match="there are 3 such pairs"):
        as_table(root)
    with pytest.raises(DataError, match="there are 0 such pairs"):
        as_table(write(tmp_path / "c", {"a.md": EN}))


def test_pairs_of_both_directions_all_go_in_one():
    pairs = [
        ("Go now.", "지금 가."),
        ("안녕 여러분.", "Hi all."),
        ("API 열쇠", "API key"),
        ("42", "42"),
    ]
    turned, [said] = turn(pairs)
    assert turned == [pairs[0], ("Hi all.", "안녕 여러분."), ("API key", "API 열쇠"), ("42", "42")]
    assert said.startswith("2 of 4 pairs stand the other way round")
    mostly = [("지금 가.", "Go now.")] * 9
    assert turn([*mostly, ("Hi.", "안녕.")])[0] == [*mostly, ("안녕.", "Hi.")]
    assert turn(mostly) == (mostly, [])
    talk = [("뭐 해?", "그냥 있어.")] * 9 + [("OK?", "그래."), ("그래?", "OK."), ("정말?", "Yes.")]
    assert turn(talk) == (talk, [])
    assert turn([("Go.", "Va."), ("Vite.", "Fast.")])[1] == []  # both in Latin script
