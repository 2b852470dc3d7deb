"""Sets as they are handed out: folders and archives of tables, for training and for the test."""

import json
import tarfile
import zipfile

import pytest

from common.errors import DataError
from labs.rnn.explore.config import ExploreConfig, find_kind
from labs.rnn.parallel import as_table, open_pairs
from labs.rnn.published import open_set, part_of
from labs.rnn.sentiment import data
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.suit import suit_texts
from labs.rnn.translate.config import TranslateConfig
from labs.rnn.translate.data import labelled
from labs.rnn.translate.data import load as load_pairs
from labs.rnn.translate.suit import suit_pairs
from labs.rnn.words import learn


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))


def lay(root, files):
    """Write files of rows, with commas between cells or as their suffix says; return the folder."""
    for name, rows in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        between = "," if path.suffix == ".csv" else ";" if name.endswith("val.txt") else "\t"
        lines = rows if isinstance(rows, list) else [rows]
        text = [line if isinstance(line, str) else between.join(map(str, line)) for line in lines]
        path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return root


def rows(count, mark, header=("id", "text", "label"), row=None):
    row = row or (lambda n: [n, f"the film {mark} number {n}", n % 2])
    return [list(header)] * bool(header) + [row(n) for n in range(count)]


def load(path, **options):
    """Return the splits of a path with nothing but what is given, the card, and what was said."""
    suited = suit_texts(SentimentConfig(data=str(path), **options))
    splits, card = data.load(suited.config)
    return splits, card, "\n".join(suited.reasons)


def marks(splits):
    """Return which file each split's texts are of."""
    return {name: {text.split()[2] for text in split.texts} for name, split in splits.items()}


SUBMISSION = rows(9, "", ["id", "label"], lambda n: [n, 0])
SETS = [  # files, and whose texts validation and the test have
    (
        {"train.tsv": 60, "dev.tsv": 12, "test.tsv": 14},
        ("dev.tsv", "test.tsv"),
    ),
    (
        {"ratings.txt": 80, "ratings_train.txt": 60, "ratings_test.txt": 14, "README.md": "# x"},
        ("ratings_train.txt", "ratings_test.txt"),
    ),
    (
        {"a/raw/in_domain_train.tsv": 60, "a/raw/in_domain_dev.tsv": 12, "a/raw/out_dev.tsv": 12},
        ("in_domain_dev.tsv", "in_domain_train.tsv"),
    ),
    (
        {"labeled/train.tsv": 60, "labeled/dev.tsv": 12, "unlabeled/1.txt": "a b"},
        ("dev.tsv", "train.tsv"),
    ),
    (
        {"Corona_NLP_train.csv": 60, "Corona_NLP_test.csv": 14},
        ("Corona_NLP_train.csv", "Corona_NLP_test.csv"),
    ),
]


@pytest.mark.parametrize(("files", "held"), SETS)
@pytest.mark.parametrize("packed", [False, True])
def test_tables_are_for_what_their_names_say(tmp_path, files, held, packed):
    filled = {
        name: rows(count, name.rpartition("/")[2]) if isinstance(count, int) else count
        for name, count in files.items()
    }
    path = lay(tmp_path / "kit", filled)
    if packed:
        with zipfile.ZipFile(tmp_path / "kit.zip", "w") as archive:
            for name in files:
                archive.write(path / name, name)
        path = tmp_path / "kit.zip"
    splits, card, said = load(path)
    train = next(name.rpartition("/")[2] for name in files if "train" in name)
    assert marks(splits) == {
        "train": {train},
        "validation": {held[0]},
        "test": {held[1]},
    }
    assert card.classes == ("0", "1")
    assert f"of {path.name} {train} is read (--data names another)" in said
    assert find_kind(ExploreConfig(data=str(path))) == "texts"
    if held[1] != train:
        assert f"{held[1]} is for test (--test names another)" in said


def test_a_test_table_without_labels_is_not_the_test_and_that_is_said(tmp_path):
    unlabelled = rows(9, "test", ["id", "text"], lambda n: [n, f"the film test number {n}"])
    files = {"train.csv": rows(60, "train"), "test.csv": unlabelled}
    root = lay(tmp_path / "kit", {**files, "sample_submission.csv": SUBMISSION})
    splits, _, said = load(root)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 42,
        "validation": 6,
        "test": 12,
    }
    assert marks(splits)["test"] == {"train"}
    assert "test.csv is not used: it has no column 'label'" in said


@pytest.mark.parametrize("labels", [[-1], [0, 1, 2]])
def test_labels_that_training_lacks_are_said(tmp_path, labels):
    odd = rows(12, "test", row=lambda n: [n, f"the film test number {n}", labels[n % len(labels)]])
    root = lay(tmp_path / "kit", {"train.csv": rows(60, "train"), "test.csv": odd})
    splits, _, said = load(root)
    assert marks(splits)["test"] == {"train"}
    assert f"it has labels that training lacks: {labels[-1]}" in said


def test_what_was_given_goes_over_the_tables_of_a_set(tmp_path):
    files = {name: rows(20, name) for name in ("train.csv", "test.csv", "own.csv")}
    root = lay(tmp_path / "kit", files)
    assert marks(load(root, test=str(root / "own.csv"))[0])["test"] == {"own.csv"}
    found = load(root, text_column="id + text", label_column="label")[0]
    assert found["test"].texts[1] == "1\nthe film test.csv number 1"


def test_tables_without_names_of_columns(tmp_path):
    def row(part):
        return lambda n: [
            n % 3 + 1,
            f"a title of words {n}",
            f"the film {part} is long and it is number {n}",
        ]

    files = {f"{part}.csv": rows(30, "", (), row(part)) for part in ("train", "test")}
    root = lay(tmp_path / "kit", {**files, "classes.txt": ["World", "Sports", "Tech"]})
    splits, card, said = load(root)
    assert marks(splits) == {"train": {"train"}, "validation": {"train"}, "test": {"test"}}
    assert card.classes == ("1", "2", "3")
    assert '--text-column "2 + 3" reads both' in said


def test_tables_of_the_same_columns_are_a_class_each(tmp_path):
    header = ["title", "text", "subject"]
    files = {
        name: rows(20, name, header, lambda n, name=name: [n, f"the film {name} is {n}", name])
        for name in ("Fake.csv", "True.csv")
    }
    root = lay(tmp_path / "news", files)
    splits, card, said = load(root)
    assert card.classes == ("Fake", "True")
    assert all(
        text.split()[2] == f"{card.classes[int(target)]}.csv"
        for split in splits.values()
        for text, target in zip(split.texts, split.targets, strict=True)
    )
    assert "each table of news is a class: Fake, True" in said


def test_several_tables_that_could_be_meant_are_refused(tmp_path):
    files = {"Books.csv": rows(20, "books"), "Films.csv": rows(20, "films")}
    with pytest.raises(DataError, match=r"which table is meant\? It has Books.csv, Films.csv"):
        open_set(lay(tmp_path / "a", files))
    files = {"a_train.csv": rows(20, "a"), "b_train.csv": rows(20, "b")}
    with pytest.raises(DataError, match=r"a_train.csv, b_train.csv are all for training: name one"):
        open_set(lay(tmp_path / "b", files))
    files = {"s_50.txt": ["0 a b c", "1 d e f"] * 20, "s_66.txt": ["0 a b c", "1 d e f"] * 15}
    with pytest.raises(DataError, match=r"lines of s_50.txt, s_66.txt have their labels with them"):
        open_set(lay(tmp_path / "c", files))


def test_a_file_without_a_suffix_is_a_table(tmp_path):
    lines = rows(40, "", (), lambda n: ["ham" if n % 4 else "spam", f"the film is number {n}"])
    root = lay(tmp_path / "sms", {"SMSSpamCollection": lines, "readme": "About the collection"})
    for path in (root, root / "SMSSpamCollection"):
        splits, card, _ = load(path)
        assert (card.classes, sum(map(len, splits.values()))) == (("ham", "spam"), 40)


def test_archives_of_classes_go_by_their_own_name(tmp_path):
    lists = {
        f"rt/rt-polarity.{c}": [f"{c} the film caf\u00e9 {n}" for n in range(9)]
        for c in ("pos", "neg")
    }
    root = lay(tmp_path / "rt", {**lists, "rt-polaritydata.README.1.0.txt": "About\nthe\ndata"})
    with tarfile.open(tmp_path / "rt.tar.gz", "w:gz") as archive:
        archive.add(root, ".")
    for path in (root, tmp_path / "rt.tar.gz"):
        _, card, said = load(path)
        assert card.classes == ("neg", "pos")
        assert card.source.startswith(f"folder {path.name}: 18 texts in 2 classes")
        assert f"each file in {path.name} is a class" in said


def test_folders_of_tables_that_are_not_told_apart_are_named(tmp_path):
    files = {f"{kind}/dev.tsv": rows(9, kind) for kind in ("raw", "tokenized")}
    with pytest.raises(DataError, match="has tables and no texts: name one .* raw/dev.tsv, tok"):
        load(lay(tmp_path / "cola", files))


def test_options_of_tables_do_not_go_with_folders_of_classes(tmp_path):
    root = lay(tmp_path / "kit", {f"{c}/{n}.txt": f"a b {n}" for c in "xy" for n in range(5)})
    with pytest.raises(DataError, match="--label-column: goes with a table, and .*kit has none"):
        load(root, label_column="stars")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ratings_train", "train"),
        ("test-00000-of-00001", "test"),
        ("testdata.manual.2009", "test"),
        ("ynat-v1.1_dev", "validation"),
        ("감성대화_Training", "train"),
        ("말뭉치_검증", "validation"),
        ("학습데이터", "train"),
        ("devset", "validation"),
        ("developers", None),
        ("trains", None),
        ("latest", None),
    ],
)
def test_a_word_of_a_name_tells_the_part(name, part):
    assert part_of(name) == part


# --- pairs ----------------------------------------------------------------------------------------


def speak(count, mark):
    return {
        "en": [f"hello {mark} my friend {n}" for n in range(count)],
        "ko": [f"안녕 {mark} 내 친구 {n}" for n in range(count)],
    }


def as_lines(form, part, texts):
    """Return files of pairs as they are handed out."""
    if form == "jsonl":
        pairs = zip(texts["en"], texts["ko"], strict=True)
        return {
            f"{part}.jsonl": [json.dumps({"translation": {"en": e, "ko": k}}) for e, k in pairs]
        }
    if form == "tsv":
        return {f"{part}.tsv": [["en", "ko"], *zip(texts["en"], texts["ko"], strict=True)]}
    names = {"park": "park.{}.{}", "txt": "{}_{}.txt"}[form]
    return {names.format(part, language): lines for language, lines in texts.items()}


@pytest.mark.parametrize("form", ["jsonl", "tsv", "park", "txt"])
def test_pairs_for_each_part(tmp_path, form):
    sizes = {"train": 40, "dev": 8, "test": 9}
    files = [as_lines(form, part, speak(size, part)) for part, size in sizes.items()]
    root = lay(tmp_path / "kit", {name: lines for each in files for name, lines in each.items()})
    suited = suit_pairs(TranslateConfig(data=str(root)))
    splits, _ = load_pairs(suited.config)
    found = {name: {text.split()[1] for text in split.sources} for name, split in splits.items()}
    assert found == {"train": {"train"}, "validation": {"dev"}, "test": {"test"}}
    assert splits["test"].sources[0].startswith("hello")
    assert sum("names another" in reason for reason in suited.reasons) >= 3


def test_pairs_that_are_not_read_are_said(tmp_path):
    names = ("train", "val", "test_2016_flickr", "test_2017_mscoco")
    files = {f"{n}.{lang}": lines for n in names for lang, lines in speak(12, n).items()}
    root = lay(tmp_path / "multi30k", files)
    found = open_pairs(root)
    assert (found.train, found.validation, found.test) == (root / "train.en", root / "val.en", None)
    assert found.notes[0].endswith("; not read: test_2016_flickr.en, test_2017_mscoco.en")


def test_what_lies_beside_pairs_is_none(tmp_path):
    texts = speak(12, "x")
    beside = {"LICENSE": "Free", "README": "About", "QED.en-ko.xml": "<a/>", "QED.en-ko.ids": "1"}
    files = {f"QED.en-ko.{language}": lines for language, lines in texts.items()}
    root = lay(tmp_path / "opus", {**files, **beside})
    assert open_pairs(root).train == root / "QED.en-ko.en"
    assert as_table(root).name == "en-ko.csv"
    pairs = list(zip(texts["en"], texts["ko"], ["CC-BY 2.0 (tatoeba.org)"] * 12, strict=True))
    root = lay(tmp_path / "anki", {"kor.txt": pairs, "_about.txt": ["Check for news:", "www"]})
    assert open_pairs(root).train == root / "kor.txt"


def test_a_translation_memory_is_pairs(tmp_path):
    texts = speak(12, "x")
    unit = (
        '<tu><tuv xml:lang="ko"><seg>{}</seg></tuv><tuv xml:lang="en-GB"><seg>{}</seg></tuv></tu>'
    )
    units = [unit.format(ko, en) for en, ko in zip(*texts.values(), strict=True)]
    root = lay(tmp_path / "kit", {"ko-en.tmx": ["<tmx><body>", *units, "</body></tmx>"]})
    for path in (root, root / "ko-en.tmx"):
        splits, _ = load_pairs(suit_pairs(TranslateConfig(data=str(path))).config)
        pairs = [(e, k) for s in splits.values() for e, k in zip(s.sources, s.targets, strict=True)]
        assert sorted(pairs) == sorted(zip(*texts.values(), strict=True))


def test_pairs_in_an_encoding_that_was_given(tmp_path):
    root = tmp_path / "kit"
    root.mkdir()
    texts = speak(12, "x")
    for language, lines in texts.items():
        (root / f"a.{language}").write_bytes("\n".join(lines).encode("cp949"))
    config = TranslateConfig(data=str(root), file_encoding="cp949", delimiter=";", header="no")
    splits, _ = load_pairs(suit_pairs(config).config)
    pairs = [(e, k) for s in splits.values() for e, k in zip(s.sources, s.targets, strict=True)]
    assert sorted(pairs) == sorted(zip(*texts.values(), strict=True))


def test_shards_of_a_table_are_one(tmp_path):
    names = [f"train-0000{n}-of-00003.csv" for n in range(3)]
    files = {name: rows(20, name) for name in names}
    root = lay(tmp_path / "a", {**files, "test-00000-of-00001.csv": rows(9, "test")})
    splits, _, said = load(root)
    assert marks(splits) == {"train": {*names}, "validation": {*names}, "test": {"test"}}
    assert f"it is made of {', '.join(names)}" in said
    root = lay(tmp_path / "b", dict(list(files.items())[:2]))  # the third is missing
    with pytest.raises(DataError, match="are all for training"):
        open_set(root)


def test_folders_for_a_part_each_with_a_table(tmp_path):
    files = {
        "1.Training/라벨링데이터/감성.tsv": rows(40, "a"),
        "2.Validation/감성.tsv": rows(9, "b"),
    }
    for root in (lay(tmp_path / "a", files), lay(tmp_path / "b/01.데이터", files).parent):
        splits, _, said = load(root)
        assert marks(splits) == {"train": {"a"}, "validation": {"b"}, "test": {"a"}}
        assert f"of {root.name} 감성.tsv is read" in said


def test_a_table_about_notes_or_summaries_is_one(tmp_path):
    root = lay(tmp_path / "a", {"news_summary.csv": rows(30, "x"), "notes.txt": "about it"})
    assert open_set(root).train.name == "news_summary.csv"


def test_what_is_measured_again_of_a_set_is_said(tmp_path):
    sizes = {"train": 12, "test": 5}
    files = [as_lines("park", part, speak(size, part)) for part, size in sizes.items()]
    root = lay(tmp_path / "kit", {name: lines for each in files for name, lines in each.items()})
    words = [learn(side, "basic_english")[0] for side in speak(12, "train").values()]
    said = []
    config = TranslateConfig(data=str(root), source_column="en", target_column="ko")
    assert len(labelled(config, *words, said.append)) == 12
    assert "of kit park.train.en is read (--data names another)" in said
