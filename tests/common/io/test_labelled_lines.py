import pytest

from common.errors import DataError
from common.io.tables import read_table

COLUMNS = ["label", "text"]


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("name", ["train.txt", "train.csv", "train.ft.txt"])
def test_fasttext(tmp_path, name):
    lines = ["__label__2 Great CD: my lovely, lovely Pat", "__label__1 좋지 않다", "__label__2"]
    table = read_table(write(tmp_path / name, lines), COLUMNS)
    assert table.columns == (["2", "1"], ["Great CD: my lovely, lovely Pat", "좋지 않다"])
    assert table.skipped == ((f"{name}:3", "there is nothing behind its label"),)
    assert table.notes == (f"the lines of {name} begin with their label",)


def test_a_table_whose_labels_are_written_so_stays_a_table(tmp_path):
    path = write(tmp_path / "a.csv", ['__label__a,"great, or so"', "__label__b,bad"])
    assert read_table(path, [1, 2]).columns == (
        ["__label__a", "__label__b"],
        ["great, or so", "bad"],
    )
    path = write(tmp_path / "a.txt", ["__label__a\tgreat", "__label__b\tbad"])
    assert read_table(path, COLUMNS).columns == (["a", "b"], ["great", "bad"])


def test_several_labels_in_a_line_are_refused(tmp_path):
    path = write(tmp_path / "a.txt", ["__label__a x", "__label__a __label__b y"])
    with pytest.raises(DataError, match="a.txt:2: a line has several labels"):
        read_table(path, COLUMNS)


@pytest.mark.parametrize(
    "labels", [("0", "1"), ("-1", "+1"), ("긍정", "부정"), ("NUM:date", "HUM:ind")]
)
def test_lines_that_begin_with_few_labels(tmp_path, labels):
    lines = [f"{label} a film, and  a good one {n}" for n in range(10) for label in labels]
    table = read_table(write(tmp_path / "a.txt", lines), COLUMNS)
    assert table.columns[0] == [*labels] * 10
    assert table.columns[1][2] == "a film, and  a good one 1"
    assert table.lines == list(range(1, 21))


@pytest.mark.parametrize(
    "lines",
    [
        ["What is it now?", "Who was it then?"] * 20,  # words may begin anything
        ["1 2", "0 3"] * 20,  # no texts
        ["0 a good film", "1 a bad film"] * 9,  # too few to be sure
        [f"{n} a good film" for n in range(40)],  # numbers of the lines
        ["0\ta good film", "1\ta bad film"] * 20,  # a table
        ["0 , 0.892 , 0.422 , 3", "1 , 0.1 , 0.2 , 4"] * 20,
    ],
)
def test_other_lines_are_none(tmp_path, lines):
    assert "begin with" not in str(read_table(write(tmp_path / "a.txt", lines), [1]).notes)


def test_objects_in_objects_are_columns(tmp_path):
    lines = ['{"review": {"text": "좋다", "by": {"id": 7}}, "stars": 5}', '{"stars": 1}']
    names = ["review.text", "review.by.id", "stars"]
    table = read_table(write(tmp_path / "a.jsonl", lines), names, gaps=names)
    assert table.columns == (["좋다", ""], ["7", ""], ["5", "1"])


def test_images_with_their_labels_behind(tmp_path):
    table = read_table(
        write(tmp_path / "a.txt", ["my cats/1.jpg 0", "b.PNG 고양이"]), ["path", "label"]
    )
    assert table.columns == (["my cats/1.jpg", "b.PNG"], ["0", "고양이"])


def test_objects_whose_names_are_there_already_stay(tmp_path):
    path = write(tmp_path / "a.jsonl", ['{"meta.stars": 1, "meta": {"stars": 5}}'])
    assert read_table(path, ["meta.stars"]).columns == (["1"],)


def test_lines_that_end_with_their_label(tmp_path):
    path = tmp_path / "Sentences_50Agree.txt"
    labels = ["positive", "neutral", "negative"]
    texts = [f"Sales of a@b.com, {n} in all; rose {n} %" for n in range(30)]
    lines = [f"{text}@{labels[n % 3]}\n" for n, text in enumerate(texts)]
    path.write_text("".join(lines), "utf-8")
    found = read_table(path, ["text", "label"])
    assert found.columns == (texts, labels * 10)
    assert found.notes == ("the lines of Sentences_50Agree.txt end with their label, behind @",)
    path.write_text("".join([*lines, "nobody knows@someone\n"]), "utf-8")
    assert not any("behind @" in note for note in read_table(path, [1]).notes)
