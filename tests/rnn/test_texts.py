import unicodedata

import pytest

from common.errors import DataError
from common.io.labels import read_labels
from common.options.config import TableForm
from labs.rnn.texts import read_corpus, read_folder

MISSING = ["nan", "NaN", "NAN", "N/A", "n/a", "NA", "<NA>", "null", "NULL", "None", "NaT", "-"]


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("numbers", [["0", "1"], ["0.0", "1.0", "1", "0"], ["1", "2", "10"]])
def test_beside_numbers_a_label_is_missing_and_named(tmp_path, missing, numbers):
    labels = [*numbers * 3, missing]
    rows = [f"text {row},{label}" for row, label in enumerate(labels)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["text,label", *rows]), "utf-8")
    found = read_corpus(path)
    assert found.classes == tuple(sorted({str(int(float(label))) for label in numbers}, key=int))
    assert found.skipped == (
        (f"a.csv:{len(rows) + 1}", f"the label is {missing!r}, a missing value"),
    )
    assert any("1 labels are missing" in note for note in found.notes)
    assert len(found.parts["all"]) == len(labels) - 1


@pytest.mark.parametrize("missing", MISSING)
def test_beside_words_it_is_a_class_and_that_is_said(missing):
    found = read_labels(["good", missing, "bad"])
    assert found.names == ["good", missing, "bad"]
    assert found.notes == [f"the label {missing} is a class as others are: they are words"]


def test_missing_labels_that_are_written_in_two_ways_are_no_classes_that_look_alike():
    assert read_labels(["1", "2", "nan", "NaN"]).notes == ["2 labels are missing (nan, NaN)"]


def test_numbers_in_several_spellings_are_one_class_also_beside_words():
    assert read_labels(["1", "1.0", "01", "2"]).names == ["1", "1", "1", "2"]
    found = read_labels(["1", "1.0", "2.0", "other"])
    assert found.names == ["1", "1", "2.0", "other"]
    assert found.notes == ["the labels 1 and 1.0 are one class, 1"]


def test_where_all_labels_are_missing_there_is_no_class(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,nan\nb,NaN\n", "utf-8")
    with pytest.raises(DataError, match=r"no text with a label; 2 texts were left out\n  a.csv:2"):
        read_corpus(path)


def test_texts_that_pandas_wrote_as_missing_are_named(tmp_path):
    path = tmp_path / "a.csv"
    rows = ["nan,1", "NaN,0", "<NA>,1", "none,1", "not nan,0", "a,0", "b,0", "c,1", "d,1"]
    path.write_text("\n".join(["text,label", *rows]), "utf-8")
    found = read_corpus(path)
    assert found.parts["all"].texts == ["none", "not nan", "a", "b", "c", "d"]
    assert [place for place, _ in found.skipped] == ["a.csv:2", "a.csv:3", "a.csv:4"]


def test_rare_classes_are_left_out_by_name_and_the_others_stay(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{row},{'yes' if row % 2 else 'no'}" for row in range(8)]
    path.write_text("\n".join(["text,label", *rows, "x,rare", "y,rare"]), "utf-8")
    found = read_corpus(path)
    assert (found.classes, len(found.parts["all"])) == (("no", "yes"), 8)
    reason = "of its class 'rare' there are only 2; 3 can be split"
    assert found.skipped == (("a.csv:10", reason), ("a.csv:11", reason))


def folder(root, files, encoding="utf-8"):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
    return root


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_a_folder_for_each_class(tmp_path, encoding):
    classes = ("긍정", "부정")
    texts = {f"{name}/{row}.txt": f"{name} 영화 {row}\n" for name in classes for row in range(3)}
    nfd = {unicodedata.normalize("NFD", name): text for name, text in texts.items()}
    root = folder(tmp_path / "reviews", nfd, encoding)
    folder(root, {"긍정/empty.txt": "", "긍정/notes.md": "x", "부정/._0.txt": "x", "a.txt": "x"})
    folder(root, {"긍정/@eaDir/0.txt@Syno": "x", "@eaDir/0.txt": "x", "부정/Thumbs.db": "x"})
    found = read_folder(root)
    part = found.parts["all"]
    names = [found.classes[number] for number in part.targets]
    read = set(zip(part.texts, names, strict=True))
    assert read == {(text.strip(), name.split("/")[0]) for name, text in texts.items()}
    assert found.classes == classes
    left_out = {"긍정/empty.txt": "it is empty", "긍정/notes.md": "it is no .txt"}
    assert dict(found.skipped) == left_out
    said = ("reviews is read as cp949 (--file-encoding names another)",)
    few = " (6 of its 7 texts, which are not in UTF-8)"  # the empty one is
    assert found.notes == (() if encoding != "cp949" else (said[0] + few,))


def test_the_encoding_that_was_given_for_a_folder_is_doubted_where_it_is(tmp_path):
    texts = {f"{name}/{row}.txt": f"영화 {row}" for name in ("a", "b") for row in range(3)}
    found = read_folder(folder(tmp_path / "a", texts, "cp949"), TableForm(encoding="cp949"))
    assert (found.notes, found.parts["all"].texts[0]) == ((), "영화 0")
    found = read_folder(folder(tmp_path / "b", texts), TableForm(encoding="iso8859-2"))
    first, more = found.notes
    assert first == "0.txt is read as iso8859-2, as --file-encoding says; it is valid UTF-8 too"
    assert more == "so are 5 more of its texts"


def test_folders_of_parts(tmp_path):
    names = ("Train/pos/1", "Train/pos/2", "Train/neg/1", "test/pos/1", "test/neg/1")
    root = folder(tmp_path / "a", {f"{name}.txt": name for name in names})
    found = read_folder(root)
    assert {name: part.texts for name, part in found.parts.items()} == {
        "test": ["test/neg/1", "test/pos/1"],
        "train": ["Train/neg/1", "Train/pos/1", "Train/pos/2"],
    }
    folder(root, {"test/odd/1.txt": "x"})
    with pytest.raises(DataError, match="test has classes that train lacks: odd"):
        read_folder(root)


@pytest.mark.parametrize(
    "names", [("pos.txt", "neg.txt"), ("rt.pos", "rt.neg"), ("긍정.txt", "부정.txt")]
)
def test_a_file_for_each_class(tmp_path, names):
    lists = {name: f"{name} 0\r\n\n {name} 1\n{name} 2" for name in names}
    found = read_folder(folder(tmp_path / "reviews", {**lists, "README.txt": "x"}))
    part = found.parts["all"]
    of = [found.classes[number] for number in part.targets]
    classes = [name.split(".")["rt" in name] for name in names]
    read = set(zip(part.texts, of, strict=True))
    assert read == {(f"{n} {i}", c) for n, c in zip(names, classes, strict=True) for i in range(3)}
    assert found.notes == ("each file in reviews is a class, and each of its lines a text",)


def test_a_file_for_each_part_is_no_class(tmp_path):
    with pytest.raises(DataError, match="or a file for each class, such as pos.txt"):
        read_folder(folder(tmp_path / "a", {"train.txt": "x", "test.txt": "y", "a.txt": "z"}))


@pytest.mark.parametrize("inside", ["", "news/"])
def test_folders_of_parts_as_archives_have_them(tmp_path, inside):
    for part in ("20news-bydate-train", "20news-bydate-test"):
        for label in ("sci.space", "rec.autos"):
            folder = tmp_path / "data" / inside / part / label
            folder.mkdir(parents=True)
            for number in range(3):
                (folder / f"{number}.txt").write_text(f"{part} {label} {number}")
    (tmp_path / "data" / "README.txt").write_text("news")
    found = read_folder(tmp_path / "data")
    assert {part: len(texts) for part, texts in found.parts.items()} == {"train": 6, "test": 6}
    assert found.classes == ("rec.autos", "sci.space")
    assert f"train from {inside}20news-bydate-train" in found.source


def test_folders_without_labels_are_left_out(tmp_path):
    texts = {f"train/{name}/{n}.txt": "x y" for name in ("pos", "neg", "unsup") for n in range(3)}
    found = read_folder(
        folder(tmp_path / "a", texts | {"test/pos/0.txt": "x", "test/neg/0.txt": "y"})
    )
    assert found.classes == ("neg", "pos")
    assert found.skipped == (("train/unsup", "it has no labels, as its name says"),)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"expected folders of \.txt files"):
        read_folder(folder(tmp_path / "a", {"1.txt": "x"}))
    with pytest.raises(DataError, match="only one class, 'pos', in its folders"):
        read_folder(folder(tmp_path / "b", {f"pos/{n}.txt": "x" for n in range(3)}))
    with pytest.raises(DataError, match=r"no text with a label; 1 texts were left out\n +a/1.png"):
        read_folder(folder(tmp_path / "e", {"a/1.png": "x"}))
    with pytest.raises(DataError, match="there is no train/"):
        read_folder(folder(tmp_path / "c", {"test/pos/1.txt": "x", "val/pos/1.txt": "x"}))
    odd = {f"{name}/{n}.txt": "щ это фильм" for name in "ab" for n in range(3)}
    with pytest.raises(DataError, match="the encoding is not certain"):
        read_folder(folder(tmp_path / "d", odd, "cp1251"))
    found = read_folder(tmp_path / "d", TableForm(encoding="cp1251"))
    assert set(found.parts["all"].texts) == {"щ это фильм"}


@pytest.mark.parametrize(
    "labels",
    [["True", "TRUE", "False"], ["Pos", "pos", "neg"], ["긍정 리뷰", "긍정  리뷰", "부정"]],
)
def test_labels_that_differ_in_capitals_or_spaces_are_kept_and_named(labels):
    found = read_labels(labels)
    assert found.names == labels
    [note] = found.notes
    assert note.startswith(f"the labels {labels[0]} and {labels[1]} differ in capitals")


def test_parts_whose_names_have_a_word_for_them_and_files_without_a_suffix(tmp_path):
    parts = {"train": "train", "test": "test"}
    names = [f"{c}/{n}" for c in ("sci.space", "alt.atheism") for n in (49960, 49961, 49962)]
    files = {f"20news-bydate-{part}/{name}": f"{part} {name}" for part in parts for name in names}
    found = read_folder(folder(tmp_path / "a", {f"20news/{k}": text for k, text in files.items()}))
    assert found.classes == ("alt.atheism", "sci.space")
    assert {name: sorted(part.texts) for name, part in found.parts.items()} == {
        name: sorted(text for text in files.values() if text.startswith(part))
        for part, name in parts.items()
    }
    assert found.skipped == ()


def test_mails_are_texts_and_what_lies_beside_them_is_none(tmp_path):
    mails = {f"{c}/{n:05}.{2**90 + n:x}": f"{c} {n}" for c in ("ham", "spam") for n in range(3)}
    beside = {"ham/cmds": "mv a b", "spam/0.png": "x", "spam/blob": "a\0b"}
    found = read_folder(folder(tmp_path / "mails", mails | beside | {"ham/9.eml": "ham 9"}))
    assert sorted(found.parts["all"].texts) == sorted([*mails.values(), "ham 9"])
    assert dict(found.skipped) == {
        "ham/cmds": "it is about the others, as its name says",
        "spam/0.png": "it is no .txt",
        "spam/blob": "it is no text",
    }


def test_a_readme_beside_a_file_for_each_class_is_none(tmp_path):
    lists = {f"rt-polarity.{name}": "a b\nc d\ne f" for name in ("pos", "neg")}
    readme = {"rt-polaritydata.README.1.0.txt": "About the data\nand more\nand more"}
    assert read_folder(folder(tmp_path / "a", lists | readme)).classes == ("neg", "pos")


def test_texts_with_several_labels_are_left_out_and_said(tmp_path):
    labels = ["3", "10", "27", "3,10", "10,27,3"]
    rows = [f"text {n}\t{labels[n % 5]}\tid{n}" for n in range(30)]
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(rows), "utf-8")
    found = read_corpus(path, "1", "2")
    assert found.classes == ("3", "10", "27")
    assert len(found.parts["all"]) == 18
    assert found.skipped[0] == ("train.tsv:4", "it has several labels: 3, 10")
    half = ["3", "4", "5", "3,5", "4,5"]
    stars = [f'text {n},"{half[n % 5]}"' for n in range(30)]
    path = tmp_path / "stars.csv"
    path.write_text("\n".join(["text,label", *stars]), "utf-8")
    assert read_corpus(path).classes == ("3", "3,5", "4", "4,5", "5")
    some = ["a", "b", "a, b", "a, c"]
    words = [f'text {n},"{some[n % 4]}"' for n in range(30)]
    path.write_text("\n".join(["text,label", *words]), "utf-8")
    assert read_corpus(path).classes == ("a", "a, c", "b")  # c is no label


def test_rows_without_a_label_as_their_label_says_are_left_out(tmp_path):
    rows = [f"text {n},{['neg', 'pos', 'unsup'][n % 3]}" for n in range(30)]
    path = tmp_path / "imdb_master.csv"
    path.write_text("\n".join(["review,label", *rows]), "latin-1")
    found = read_corpus(path, "review")
    assert (found.classes, len(found.parts["all"])) == (("neg", "pos"), 20)
    assert found.skipped[0] == ("imdb_master.csv:4", "its label is 'unsup': none")
