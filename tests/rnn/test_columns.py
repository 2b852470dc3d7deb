import pytest

from common.errors import DataError
from labs.rnn.columns import guess_labelled, guess_pairs


def write(path, *rows, between=","):
    path.write_text("".join(f"{between.join(row)}\n" for row in rows), encoding="utf-8")
    return path


BODY = [
    [str(7 * row), f"what a film number {row}", "yes" if row % 2 else "no", f"m{row // 2}"]
    for row in range(20)
]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("id,text,label,movie", ("text", "label")),
        ("id,document,class,movie", ("document", "class")),
        ("id,review_text,Sentiment,movie", ("review_text", "Sentiment")),
        ("id,reviewText,sentimentLabel,movie", ("reviewText", "sentimentLabel")),
        ("번호,내용,감성,영화", ("내용", "감성")),
        ("a,b,c,d", ("b", "c")),  # by what is in them
    ],
)
def test_columns_are_known_by_name_and_else_by_what_is_in_them(tmp_path, header, found):
    path = write(tmp_path / "a.csv", header.split(","), *BODY)
    assert guess_labelled(path, None, None)[:2] == found


def test_what_was_guessed_is_said_and_what_is_usual_is_not(tmp_path):
    path = write(tmp_path / "a.csv", ["text", "b", "c", "d"], *[[r[1], *r[1:]] for r in BODY])
    text, label, said = guess_labelled(path, None, None)
    assert (text, label) == ("text", "c")
    assert [line.split(":")[0] for line in said] == ["column 'c' of a.csv holds the labels"]


def test_a_table_without_names_is_read_by_numbers(tmp_path):
    path = write(tmp_path / "a.tsv", *[[row[2], row[1]] for row in BODY], between="\t")
    text, label, said = guess_labelled(path, None, None)
    assert (text, label) == ("2", "1")
    assert any("first row" in line for line in said)


def test_two_columns_that_could_be_labels_are_not_guessed_between(tmp_path):
    rows = [[*row[1:3], str(number % 3)] for number, row in enumerate(BODY)]
    path = write(tmp_path / "a.csv", ["said", "yesno", "third"], *rows)
    with pytest.raises(DataError, match=r"2 \(yesno, third\).*--label-column"):
        guess_labelled(path, None, None)
    assert guess_labelled(path, None, "third")[:2] == ("said", "third")


def test_pairs_are_known_by_name_or_are_the_first_two_columns(tmp_path):
    named = write(tmp_path / "a.csv", ["no", "ko", "en"], ["1", "안녕", "hello"])
    assert guess_pairs(named)[:2] == ("en", "ko")
    bare = write(tmp_path / "b.txt", ["Go.", "가.", "by somebody"], between="\t")
    source, target, [said] = guess_pairs(bare)
    assert (source, target) == ("1", "2")
    assert "first row" in said
    with pytest.raises(DataError, match="two columns"):
        guess_pairs(write(tmp_path / "c.txt", ["alone"]))
