"""Pairs: none on two sides, all kept or accounted for, tokens that give the text back."""

import gzip
import hashlib
import json
import unicodedata
from datetime import date

import pytest

from common.errors import DataError
from common.io.fetch import DownloadError, Remote
from labs.rnn.translate import data
from labs.rnn.translate.config import TranslateConfig
from labs.rnn.translate.data import Card, decode, encode, load, same_text
from labs.rnn.words import EOS, UNKNOWN, Words, learn


def texts(splits, name):
    return list(zip(splits[name].sources, splits[name].targets, strict=True))


def write(path, lines, encoding="utf-8"):
    path.write_bytes("\n".join(lines).encode(encoding))
    return str(path)


# --- dates ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dates():
    return load(TranslateConfig())


def test_no_test_date_is_in_training_in_any_form(dates):
    splits, card = dates
    days = {name: set(split.targets) for name, split in splits.items()}
    assert card.counts == {"train": 10_000, "validation": 1_000, "test": 2_000}
    assert {name: len(found) for name, found in days.items()} == card.counts
    assert not days["train"] & days["test"]
    assert not days["validation"] & (days["train"] | days["test"])
    assert all(date.fromisoformat(day) for found in days.values() for day in found)


def test_dates_are_korean_and_english(dates):
    sources = dates[0]["test"].sources
    korean = [text for text in sources if "년" in text]
    english = [text for text in sources if text.isascii() and any(map(str.isalpha, text))]
    assert len(korean) > 500
    assert len(english) > 500


@pytest.mark.slow
def test_the_split_seed_alone_names_the_split(dates):
    again, card = load(TranslateConfig(seed=1))
    assert texts(again, "test") == texts(dates[0], "test")
    assert card.fingerprint == dates[1].fingerprint
    other, card = load(TranslateConfig(split_seed=1))
    assert texts(other, "test") != texts(dates[0], "test")
    assert card.fingerprint != dates[1].fingerprint


# --- addition -------------------------------------------------------------------------------------


def test_sums_are_right_and_have_no_twins():
    splits, card = load(TranslateConfig(data="addition"))
    terms = {
        name: [tuple(map(int, source.split("+"))) for source in split.sources]
        for name, split in splits.items()
    }
    for name, split in splits.items():
        assert [str(a + b) for a, b in terms[name]] == split.targets
    unordered = {name: {tuple(sorted(pair)) for pair in pairs} for name, pairs in terms.items()}
    sizes = {name: len(pairs) for name, pairs in unordered.items()}
    assert sizes == {"train": 4_050, "validation": 450, "test": 550}  # the first two make 4,500
    assert len(unordered["train"] | unordered["validation"] | unordered["test"]) == 5_050
    assert len(set(terms["train"])) == len(terms["train"]) == card.counts["train"]
    assert {(b, a) for a, b in terms["train"]} == set(terms["train"])
    assert len(terms["test"]) == 550


# --- interface texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "least"), [("interface-ko", 2_000), ("interface-fr", 2_800)])
def test_interface_texts_are_on_one_side(name, least):
    splits, card = load(TranslateConfig(data=name))
    assert sum(card.counts.values()) > least
    sources = {part: set(map(same_text, split.sources)) for part, split in splits.items()}
    assert not sources["train"] & sources["test"]
    assert not sources["validation"] & (sources["train"] | sources["test"])
    pairs = [pair for part in splits for pair in texts(splits, part)]
    assert len(set(pairs)) == len(pairs)
    assert all(source and target and source != target for source, target in pairs)
    assert not any("\x04" in source or "nplurals" in target for source, target in pairs)
    assert max(len(text) for pair in pairs for text in pair) <= 150
    reasons = [reason for _, reason in card.skipped]
    assert reasons == ["not translated", "repeated", "longer than 150 characters (--max-length)"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(data.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install jupyterlab-language-pack-ko-KR"):
        load(TranslateConfig(data="interface-ko"))


# --- tables ---------------------------------------------------------------------------------------

PAIRS = [(f"word {number}", f"이것은 낱말 {number}") for number in range(20)]


@pytest.mark.parametrize(
    ("encoding", "form"),
    [("utf-8", "NFC"), ("utf-8", "NFD"), ("utf-8-sig", "NFC"), ("cp949", "NFC")],
)
def test_a_table_by_header(tmp_path, encoding, form):
    lines = ["source\ttarget", *("\t".join(pair) for pair in PAIRS)]
    path = write(
        tmp_path / "p.tsv", [unicodedata.normalize(form, line) for line in lines], encoding
    )
    splits, card = load(TranslateConfig(data=path))
    assert card.counts == {"train": 14, "validation": 2, "test": 4}
    assert sorted(pair for name in splits for pair in texts(splits, name)) == sorted(PAIRS)


def test_a_table_by_number_without_a_header(tmp_path):
    lines = ["\t".join((target, "x", source)) for source, target in PAIRS]
    path = write(tmp_path / "p.txt", lines)
    splits, _ = load(TranslateConfig(data=path, source_column="3", target_column="1"))
    assert sorted(pair for name in splits for pair in texts(splits, name)) == sorted(PAIRS)


def test_sources_that_differ_in_case_and_punctuation_stay_together(tmp_path):
    twins = [(variant.format(n), f"t{n}") for n in range(30) for variant in ("Go {}", "go, {}!")]
    path = write(tmp_path / "p.tsv", ["source\ttarget", *("\t".join(pair) for pair in twins)])
    splits, card = load(TranslateConfig(data=path))
    sources = [set(map(same_text, split.sources)) for split in splits.values()]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 30
    assert sum(card.counts.values()) == 60


def test_repeated_pairs_are_dropped_and_other_translations_kept(tmp_path):
    rows = [*PAIRS, *PAIRS[:3], ("word 0", "다른 낱말")]
    path = write(tmp_path / "p.tsv", ["source\ttarget", *("\t".join(pair) for pair in rows)])
    splits, card = load(TranslateConfig(data=path))
    assert sum(card.counts.values()) == 21
    assert card.skipped == (("3 pairs", "repeated"),)


def test_bad_rows_are_left_out_and_named(tmp_path):
    rows = ["source\ttarget", *("\t".join(pair) for pair in PAIRS), "\tx", "a\0b\tc", "only one"]
    rows.append("long " * 300_000 + "\tlang")  # 1.5 MB
    splits, card = load(TranslateConfig(data=write(tmp_path / "p.tsv", rows)))
    assert sum(card.counts.values()) == len(PAIRS)
    assert [place for place, _ in card.skipped] == ["p.tsv:22", "p.tsv:23", "p.tsv:24", "1 pair"]


def test_too_few_sources_are_refused(tmp_path):
    path = write(tmp_path / "p.tsv", ["source\ttarget", "a\tb", "A!\tc", "b\td"])
    with pytest.raises(DataError, match="2 different source text"):
        load(TranslateConfig(data=path))


def test_nothing_left_after_the_longest_is_an_error(tmp_path):
    path = write(tmp_path / "p.tsv", ["source\ttarget", *("\t".join(pair) for pair in PAIRS)])
    with pytest.raises(DataError, match=r"(?s)no pairs are left for train.*--max-length"):
        load(TranslateConfig(data=path, max_length=2))


def test_a_missing_column_is_named(tmp_path):
    path = write(tmp_path / "p.tsv", ["english\tkorean", "a\tb"])
    with pytest.raises(DataError, match="english, korean"):
        load(TranslateConfig(data=path))


@pytest.mark.parametrize("name", ["interface-kr", "nothing.tsv", "date"])
def test_an_unknown_set_lists_the_known(name):
    with pytest.raises(DataError, match="dates, addition, interface-ko, interface-fr, multi30k"):
        load(TranslateConfig(data=name))


# --- Multi30k -------------------------------------------------------------------------------------


@pytest.fixture
def captions(tmp_path, monkeypatch):
    """Put small files in the place of Multi30k's, with their own checksums."""
    files = {}
    for name in data._MULTI30K_FILES:
        side = "a\u2028dog" if ".en" in name else "Hund"  # no end of a line, whatever Python says
        part = name.split(".")[0]
        content = gzip.compress("".join(f"{part} {side} {n}\n" for n in range(12)).encode())
        (tmp_path / name).write_bytes(content)
        files[name] = (hashlib.sha256(content).hexdigest(), len(content))
    monkeypatch.setattr(data, "_MULTI30K_FILES", files)
    return tmp_path


def test_multi30k_is_read_from_a_folder(captions):
    splits, card = load(TranslateConfig(data="multi30k", data_dir=str(captions)))
    assert card.counts == {"train": 12, "validation": 12, "test": 12}
    assert texts(splits, "test")[3] == ("test_2016_flickr a\u2028dog 3", "test_2016_flickr Hund 3")


def test_a_damaged_file_of_multi30k_is_refused(captions):
    (captions / "val.de.gz").write_bytes(b"x")
    with pytest.raises(DownloadError, match="val.de.gz"):
        load(TranslateConfig(data="multi30k", data_dir=str(captions)))


def test_multi30k_has_whole_checksums():
    for name, (sha256, size) in data._MULTI30K_FILES.items():
        remote = Remote(data._MULTI30K + name, sha256, size)
        assert len(remote.sha256) == 64
        assert remote.url.startswith("https://")


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("tokenizer", ["characters", "jamo", "subwords"])
def test_tokens_give_the_text_back(tokenizer, reverse):
    samples = ["파일 삭제", "Delete file %1", "닭 값", "3월 7일"]
    words, _ = learn(samples, tokenizer, specials=("<bos>", "<eos>"))
    encoded = encode(samples, words, reverse)
    assert [decode(encoded[row], words, reverse) for row in range(4)] == samples
    assert all(encoded[row][-1] == EOS for row in range(4))
    assert words.vocabulary[:4] == ("<pad>", "<unk>", "<bos>", "<eos>")


def test_reversed_tokens_are_the_same_from_behind():
    words, _ = learn(["12+34"], "characters", specials=("<bos>", "<eos>"))
    forward, backward = (encode(["12+34"], words, reverse)[0].tolist() for reverse in (False, True))
    assert forward[:-1] == backward[-2::-1]
    assert forward[-1] == backward[-1] == EOS


def test_an_empty_text_is_its_end():
    words, _ = learn(["a"], "characters", specials=("<bos>", "<eos>"))
    assert encode([""], words, False)[0].tolist() == [EOS]
    assert encode(["?"], words, False)[0].tolist() == [UNKNOWN, EOS]


def test_the_vocabulary_is_of_the_training_texts_alone(tmp_path):
    rows = [(f"{chr(0xAC00 + n)} {n}", f"{n}") for n in range(40)]
    path = write(tmp_path / "p.tsv", ["source\ttarget", *("\t".join(pair) for pair in rows)])
    splits, card = load(TranslateConfig(data=path))
    known = set(card.source_words["vocabulary"])
    assert set("".join(splits["train"].sources)) <= known
    assert not {source[0] for source in splits["test"].sources} & known
    assert card.unknown > 0


def test_a_limit_takes_a_share_of_each_split():
    splits, card = load(TranslateConfig(limit=130))
    assert card.counts == {"train": 100, "validation": 10, "test": 20}
    assert "130 of 13,000" in card.source
    whole, _ = load(TranslateConfig())
    assert texts(splits, "test") == texts(whole, "test")[:20]


def test_the_card_survives_json():
    _, card = load(TranslateConfig(data="addition", limit=100))
    again = Card.from_dict(json.loads(json.dumps(card.as_dict())))
    assert Words.from_dict(again.target_words) == Words.from_dict(card.target_words)
    assert (again.fingerprint, again.counts, again.longest) == (
        card.fingerprint,
        card.counts,
        card.longest,
    )
    assert card.longest == 4  # 198 and the end


# --- parts of the user's own ---------------------------------------------------------------------


def test_a_test_file_of_the_user_is_the_test_and_training_loses_its_sources(tmp_path):
    lines = ["source\ttarget", *(f"number {n}\tzahl {n}" for n in range(40))]
    path = write(tmp_path / "a.tsv", lines)
    test = write(tmp_path / "t.tsv", ["source\ttarget", "Number 3!\tdrei", "nothing\tnichts"])
    splits, card = load(TranslateConfig(data=path, test=test))
    assert texts(splits, "test") == [("Number 3!", "drei"), ("nothing", "nichts")]
    assert "number 3" not in [*splits["train"].sources, *splits["validation"].sources]
    assert len(splits["train"]) + len(splits["validation"]) == 39
    assert ("1 pair", "left out of train: validation or test has their like") in card.skipped
    assert card.source == "pairs of a.tsv; test: t.tsv, 2 pairs"


def test_pairs_of_a_document_stay_together(tmp_path):
    lines = ["source\ttarget\tbook", *(f"number {n}\tzahl {n}\tb{n % 10}" for n in range(60))]
    path = write(tmp_path / "a.tsv", lines)
    splits, _ = load(TranslateConfig(data=path, group_column="book"))
    books = [{int(source.split()[1]) % 10 for source in splits[name].sources} for name in splits]
    assert sorted(map(len, books)) == [1, 2, 7]
    assert set.union(*books) == set(range(10))
