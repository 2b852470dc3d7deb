"""What is chosen for a user's own texts and pairs, and that nothing goes over what is given."""

import dataclasses

import pytest

from common.errors import DataError
from common.options.config import build
from labs.rnn.sentiment import data
from labs.rnn.sentiment.config import RECIPES, SentimentConfig
from labs.rnn.sentiment.suit import estimate_seconds, suit_texts
from labs.rnn.translate.config import TranslateConfig
from labs.rnn.translate.suit import suit_pairs


def table(path, header, rows):
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return str(path)


def test_tokens_follow_the_script_and_updates_the_number_of_texts(tmp_path):
    korean = [f"영화가 {n}번 좋았다,{n % 2}" for n in range(400)]
    path = table(tmp_path / "a.csv", "내용,라벨", korean)
    config, reasons = suit_texts(build(SentimentConfig, ("options", {"data": path})))
    assert (config.text_column, config.label_column) == ("내용", "라벨")
    assert (config.tokenizer, config.batch_size, config.total_updates) == ("subwords", 16, 500)
    assert any(reason.startswith("subwords: 100%") for reason in reasons)

    given = {"data": path, "tokenizer": "jamo", "epochs": "2", "batch_size": "64"}
    config, _ = suit_texts(build(SentimentConfig, ("options", given)))
    assert (config.tokenizer, config.epochs, config.total_updates) == ("jamo", 2, None)
    assert config.batch_size == 64

    english = table(tmp_path / "b.csv", "text,label", [f"a film {n},{n % 2}" for n in range(9)])
    assert suit_texts(SentimentConfig(data=english)).config.tokenizer == "basic_english"


def test_a_quick_run_of_own_texts_is_shorter_and_has_its_n_grams(tmp_path):
    path = table(tmp_path / "a.csv", "text,label", [f"a film {n},{n % 2}" for n in range(3000)])
    own = ("options", {"data": path})
    quick = suit_texts(build(SentimentConfig, ("recipe quick", RECIPES["quick"]), own)).config
    usual = suit_texts(build(SentimentConfig, own)).config
    assert (quick.members, quick.n_grams) == (1, True)
    assert 2 * quick.total_updates == usual.total_updates
    asked = ("options", {"data": path, "n_grams": False})
    assert not suit_texts(build(SentimentConfig, asked)).config.n_grams


def test_many_long_texts_get_fewer_networks(tmp_path):
    rows = [f"{'word ' * 300}{n},{n % 2}" for n in range(9000)]
    path = table(tmp_path / "a.csv", "text,label", rows)
    config, reasons = suit_texts(SentimentConfig(data=path))
    assert config.members < SentimentConfig.members
    assert any("side by side" in reason for reason in reasons)


def test_pairs_without_names_of_columns_get_subwords(tmp_path):
    rows = [f"number {n}\tzahl {n}" for n in range(1, 2000)]
    path = table(tmp_path / "a.txt", "number 0\tzahl 0", rows)
    config, reasons = suit_pairs(TranslateConfig(data=path))
    assert (config.source_column, config.target_column) == ("1", "2")
    assert (config.tokenizer, config.max_words, config.batch_size) == ("subwords", 600, 32)
    assert config.total_updates == 2500
    assert any("first two columns" in reason for reason in reasons)


def test_what_is_known_by_name_stays_as_it_is():
    for suit, config in ((suit_texts, SentimentConfig()), (suit_pairs, TranslateConfig())):
        assert suit(config) == (config, ())


def test_a_folder_that_is_called_like_a_known_set_changes_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for label in ("bad", "good"):
        (tmp_path / "tweets" / label).mkdir(parents=True)
        for row in range(20):
            (tmp_path / "tweets" / label / f"{row}.txt").write_text(f"{label} text {row}")
    assert suit_texts(SentimentConfig()) == (SentimentConfig(), ())
    assert estimate_seconds(SentimentConfig()) == 0
    assert estimate_seconds(SentimentConfig(data=str(tmp_path / "tweets"))) > 0


@pytest.mark.parametrize("words", [("train", "dev", "TEST"), ("훈련", "검증", "테스트")])
def test_a_column_of_parts_splits_own_texts(tmp_path, words):
    train, validation, test = words
    told = [*[train] * 30, *[validation] * 10, *[test] * 10]
    rows = [f"a film {n} seen,{n % 2},{part}" for n, part in enumerate(told)]
    path = table(tmp_path / "a.csv", "text,label,set", rows)
    config, reasons = suit_texts(build(SentimentConfig, ("options", {"data": path})))
    assert config.split_column == "set"
    assert "column 'set' splits the texts: it holds nothing but names of parts" in reasons
    splits, _ = data.load(config)
    texts = {name: {text.split()[2] for text in split.texts} for name, split in splits.items()}
    assert texts["test"] == {str(n) for n in range(40, 50)}
    assert texts["validation"] == {str(n) for n in range(30, 40)}
    assert texts["train"] == {str(n) for n in range(30)}
    kept = build(SentimentConfig, ("options", {"data": path, "split_column": "none"}))
    assert suit_texts(kept).config.split_column is None
    fold = dataclasses.replace(config, folds=3, fold=1)  # of which each tests its own rows
    assert not {str(n) for n in range(40, 50)} & {
        text.split()[2] for text in data.load(fold)[0]["test"].texts
    }


def test_a_column_that_says_more_than_parts_splits_no_texts(tmp_path):
    rows = [f"a film {n} seen,{n % 2},{'train' if n else 'some'}" for n in range(30)]
    path = table(tmp_path / "a.csv", "text,label,set", rows)
    assert suit_texts(SentimentConfig(data=path)).config.split_column is None
    config = SentimentConfig(data=path, split_column="set")
    assert data.load(config)[1].skipped == (("a.csv:2", "'some' in 'set' is no part of a split"),)
    rows = [f"a film {n} seen,{n % 2},test" for n in range(30)]
    path = table(tmp_path / "b.csv", "text,label,set", rows)
    with pytest.raises(DataError, match="no row of .* is for train"):
        data.load(SentimentConfig(data=path, split_column="set"))


def test_columns_that_go_by_their_numbers_split_nothing(tmp_path):
    rows = [f"{1 + n % 2},a film {n},{'train' if n < 30 else 'test'}" for n in range(40)]
    path = table(tmp_path / "a.csv", rows[0], rows[1:])
    options = {"data": path, "text_column": "2", "label_column": "1"}
    config = suit_texts(build(SentimentConfig, ("options", options))).config
    assert config.split_column is None


def test_a_word_that_gives_a_class_away_is_said(tmp_path):
    def reports(agency):
        starts = ["WASHINGTON (Reuters) - " if agency else "", ""]
        return [f"{starts[n % 2]}the film {n} is {n % 7},{'np'[n % 2]}" for n in range(100)]

    path = table(tmp_path / "a.csv", "text,label", reports(agency=True))
    said = [
        reason for reason in suit_texts(SentimentConfig(data=path)).reasons if "figures" in reason
    ]
    assert len(said) == 1
    assert "stands in 100% of n, and hardly in other texts" in said[0]
    path = table(tmp_path / "b.csv", "text,label", reports(agency=False))
    assert not any("figures" in reason for reason in suit_texts(SentimentConfig(data=path)).reasons)


def test_a_column_of_parts_is_found_beside_texts_without_labels(tmp_path):
    parts = ["train", "train", "test"]
    rows = [
        f"{parts[n % 3]},a film {n},{'unsup' if n % 9 == 0 else 'np'[n % 2]}" for n in range(90)
    ]
    path = table(tmp_path / "imdb_master.csv", "type,review,label", rows)
    config = suit_texts(SentimentConfig(data=path)).config
    assert config.split_column == "type"
    splits, card = data.load(config)
    assert (card.classes, len(splits["test"])) == (("n", "p"), 30)
