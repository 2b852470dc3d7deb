import csv
import json
import os
import random
import subprocess
import sys
import unicodedata
import warnings
from collections import Counter
from pathlib import Path

import pytest
import torch

from labs.rnn import words
from labs.rnn.sentiment.data import tweets_file
from labs.rnn.words import TOKENIZERS, Words, cut, encode_splits, learn, unknown_rate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torchtext.data.utils import get_tokenizer
    from torchtext.vocab import Vocab

KOREAN = [
    "이 영화 정말 좋다!!! 'ㅋㅋㅋ' (강추)",
    '최악... "돈 아깝다";; 별점:0',
    "음악은 좋았지만, 이야기가 별로였다.",
    "뷁, 읽기 어려운 낱말이 없다?",
]
ENGLISH = [
    "It's great, isn't it?",
    'So-so: "fine"; <br />but <br/> <BR /> long.',
    "Ünïcode İ ΑΣ ΑΣΑ",
]


@pytest.fixture(scope="module")
def tweets():
    with tweets_file().open(encoding="latin-1", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path))
    return tmp_path


def basic_english(text):
    return words._basic_english([text])[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["basic_english", "torchtext"])
def test_basic_english_is_torchtexts_and_so_is_the_vocabulary(tweets, name):
    texts = [*tweets, *KOREAN, *ENGLISH, *(unicodedata.normalize("NFD", text) for text in KOREAN)]
    tokenizer = get_tokenizer("basic_english")
    tokens = [tokenizer(text) for text in texts]
    assert [basic_english(text) for text in texts] == tokens

    composed = [tokenizer(unicodedata.normalize("NFC", text)) for text in texts]
    counts = Counter(token for text in composed for token in text)
    theirs = Vocab(counts, min_freq=2, max_size=9000, specials=["<pad>", "<unk>"])
    learned, sequences = learn(texts, name, min_count=2, max_words=9000)
    assert list(learned.vocabulary) == theirs.itos
    assert sequences.values.tolist() == [theirs[token] for text in composed for token in text]
    assert sequences.lengths.tolist() == list(map(len, composed))


def test_basic_english_is_torchtexts_on_any_string():
    drawn = random.Random(0)
    pieces = [*"'\".,()!?;:<>/ \t\n\r\0", "<br />", "<br", "/>", "br", "END", "end", "Σ", "İ"]
    pieces += ["\x1c", "\x85", "\u2028", "\u3000", "\ufeff", "ẞ", "가", "ᄀ", "😀", "\ud800"]
    tokenizer = get_tokenizer("basic_english")
    for _ in range(2000):
        text = "".join(drawn.choices(pieces, k=drawn.randrange(12)))
        assert basic_english(text) == tokenizer(text)


def test_torchtext_cuts_korean_at_spaces_and_punctuation_alone():
    found = Words("torchtext", ()).tokens("영화가 좋다, 영화는 '별로'!")
    assert found == ["영화가", "좋다", ",", "영화는", "'", "별로", "'", "!"]


def test_jamo_are_what_a_hangul_syllable_is_made_of():
    assert Words("jamo", ()).tokens("한국 é ㅋ") == [
        "ᄒ",
        "ᅡ",
        "ᆫ",
        "ᄀ",
        "ᅮ",
        "ᆨ",
        " ",
        "é",
        " ",
        "ㅋ",
    ]
    assert Words("characters", ()).tokens("한국 é ㅋ") == list("한국 é ㅋ")


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_learning_and_encoding_agree_in_nfc_and_nfd(tokenizer):
    texts = [*KOREAN, *ENGLISH, "", " \t\n"]
    learned, sequences = learn(texts, tokenizer)
    again = learned.encode([unicodedata.normalize("NFD", text) for text in texts])
    assert torch.equal(sequences.values, again.values)
    assert torch.equal(sequences.starts, again.starts)
    assert sequences.values.dtype == torch.int32
    assert (sequences.values > 1).all()
    assert int(sequences.values.max()) < len(learned)
    for row, text in enumerate(texts):
        assert len(learned.tokens(text)) == len(sequences[row])
    assert Words.from_dict(json.loads(json.dumps(learned.as_dict()))) == learned


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_text_comes_back_from_its_numbers(tokenizer):
    texts = ["이 영화 정말 좋다! ㅋㅋ", "It's fine, (really).", ""]
    learned, sequences = learn(texts, tokenizer, specials=["<bos>", "<eos>"])
    assert learned.vocabulary[:4] == ("<pad>", "<unk>", "<bos>", "<eos>")
    back = [learned.text([2, *sequences[row].tolist(), 3, 0]) for row in range(3)]
    if tokenizer in ("basic_english", "torchtext"):
        assert back == ["이 영화 정말 좋다 ! ㅋㅋ", "it ' s fine , ( really ) .", ""]
    else:
        assert back == texts


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_what_the_vocabulary_lacks_is_unknown(tokenizer):
    learned, _ = learn(["a b b", "b"], tokenizer)
    found = learned.encode(["b", "ㅎ", "", "ㅎ\0ㅎ", "\ud800 b"])
    assert found.lengths[:3].tolist() == [len(learned.tokens("b")), len(learned.tokens("ㅎ")), 0]
    assert found[1][-1] == 1
    assert found[4][-1] == found[0][-1] > 1
    assert unknown_rate(learned.encode(["ㅎㅎ"])) > 0.4
    assert unknown_rate(learned.encode(["b"])) == unknown_rate(learned.encode([])) == 0


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_names_of_special_tokens_in_a_text_are_ordinary_text(tokenizer):
    texts = ["<pad> <unk> END <eos>"] * 3
    learned, sequences = learn(texts, tokenizer, specials=["<eos>"])
    assert sequences.values.min() > 2
    assert "".join(learned.tokens(texts[0])).replace(" ", "").lower() == "<pad><unk>end<eos>"


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_line_of_a_megabyte_among_others(tokenizer, monkeypatch):
    texts = ["가 나", "다 " * 350_000, "a" * 1_050_000, "나"]
    monkeypatch.setattr(words, "_CHUNK", 1_200_000)
    learned, sequences = learn(texts, tokenizer, max_words=50)
    whole, _ = learn([texts[0], texts[3]], tokenizer)
    assert whole.tokens("나") == learned.tokens("나")
    assert torch.equal(learned.encode(texts).values, sequences.values)
    assert len(learned.tokens(texts[1])) == len(sequences[1]) >= 350_000
    short, number = cut(sequences, 3)
    assert (number, short.lengths.max()) == (len([n for n in sequences.lengths if n > 3]), 3)


def test_few_words_and_rare_words():
    texts = ["b a c", "c b", "c"]
    assert learn(texts, "basic_english")[0].vocabulary == ("<pad>", "<unk>", "c", "b", "a")
    assert learn(texts, "basic_english", min_count=2)[0].vocabulary[2:] == ("c", "b")
    learned, sequences = learn(texts, "basic_english", max_words=1)
    assert learned.vocabulary[2:] == ("c",)
    assert sequences.values.tolist() == [1, 1, 2, 2, 1, 2]
    assert unknown_rate(sequences) == 0.5
    nothing, none = learn([], "characters")
    assert (len(nothing), len(none), nothing.encode(["a"])[0].tolist()) == (2, 0, [1])


def test_cutting_keeps_the_first_tokens():
    _, sequences = learn(["a b c d", "", "e", "f g h"], "basic_english")
    short, number = cut(sequences, 2)
    assert number == 2
    assert [short[row].tolist() for row in range(4)] == [
        sequences[0][:2].tolist(),
        [],
        sequences[2].tolist(),
        sequences[3][:2].tolist(),
    ]
    assert cut(sequences, 4) == (sequences, 0)
    assert cut(sequences, None) == (sequences, 0)


@pytest.mark.slow
def test_subwords_are_the_same_in_every_process(tweets):
    program = (
        "import sys\n"
        "from labs.rnn.words import learn\n"
        "words, encoded = learn(sys.stdin.read().split('\\n'), 'subwords', max_words=600)\n"
        "print(words.model, encoded.values.tolist())"
    )
    texts = [text.replace("\n", " ") for text in [*tweets[:1000], *KOREAN * 20]]
    other = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(texts),
        env={**os.environ, "RAYON_NUM_THREADS": "3", "PYTHONHASHSEED": "3", "PYTHONUTF8": "1"},
        cwd=Path(words.__file__).parents[2],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    learned, encoded = learn(texts, "subwords", max_words=600)
    assert other.stdout == f"{learned.model} {encoded.values.tolist()}\n"


# The cache


SPLITS = {"train": KOREAN, "validation": ["영화 좋다"], "test": ["", "music"]}


def same_as_learned(found, tokenizer="basic_english"):
    learned, train = learn(KOREAN, tokenizer)
    expected = {"train": train, **{name: learned.encode(SPLITS[name]) for name in SPLITS}}
    return found[0] == learned and all(
        torch.equal(found[1][name].values, expected[name].values)
        and torch.equal(found[1][name].starts, expected[name].starts)
        and list(found[1]) == list(SPLITS)
        for name in SPLITS
    )


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_what_is_encoded_once_is_read_the_next_time(cache, monkeypatch, tokenizer, capsys):
    assert same_as_learned(encode_splits(SPLITS, tokenizer), tokenizer)
    [_] = cache.iterdir()
    learned = learn
    monkeypatch.setattr(words, "learn", None)
    found = encode_splits(SPLITS, tokenizer)
    monkeypatch.setattr(words, "learn", learned)
    assert same_as_learned(found, tokenizer)
    assert found[0].tokens("영화 좋다")
    assert capsys.readouterr().err == ""


def test_everything_that_matters_names_another_cache(cache):
    moved = {"train": [*KOREAN[:-1], KOREAN[-1] + "영화"], "validation": [" 좋다"], "test": ["x"]}
    for number, (splits, settings) in enumerate(
        [
            (SPLITS, {"tokenizer": "basic_english"}),
            (SPLITS, {"tokenizer": "jamo"}),
            (SPLITS, {"tokenizer": "jamo", "min_count": 2}),
            (SPLITS, {"tokenizer": "jamo", "max_words": 5}),
            (SPLITS, {"tokenizer": "jamo", "specials": ["<bos>"]}),
            (moved, {"tokenizer": "jamo"}),
        ],
        1,
    ):
        encode_splits(splits, **settings)
        assert len(list(cache.iterdir())) == number


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty", "other"])
def test_a_damaged_cache_is_made_anew_and_the_user_told(cache, capsys, harm):
    encode_splits(SPLITS, "basic_english")
    [path] = cache.iterdir()
    data = bytearray(path.read_bytes())
    whole = bytes(data)
    place = data.index(b"vocabulary")
    data[place] ^= 1
    harmed = {"truncate": whole[:-30], "flip": bytes(data), "empty": b"", "other": b"{}"}
    path.write_bytes(harmed[harm])
    assert same_as_learned(encode_splits(SPLITS, "basic_english"))
    assert f"the cache {path} is damaged" in capsys.readouterr().err
    assert same_as_learned(encode_splits(SPLITS, "basic_english"))
    assert capsys.readouterr().err == ""


def test_without_room_for_the_cache_the_numbers_are_there_all_the_same(cache, small_files):
    with small_files():
        many = {**SPLITS, "train": KOREAN * 100}
        assert len(encode_splits(many, "characters")[1]["train"]) == 400
    assert not list(cache.iterdir())


def test_of_many_equally_rare_characters_the_same_are_kept_each_time():
    texts = [f"{chr(0xAC00 + row)} 좋은 영화 {row % 3}" for row in range(300)]
    first, *others = [learn(texts, "subwords", max_words=60)[0] for _ in range(6)]
    assert all(other == first for other in others)
    kept = [token for token in first.vocabulary if len(token) == 1]
    assert len(kept) == 30
    assert {"좋", "은", "영", "화", "\u2581"} <= {*kept}
