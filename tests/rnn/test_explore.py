"""What `explore` says of texts and series, and which of the two a table holds."""

import re

import numpy as np
import pytest

from common.explore import speed
from labs.rnn.__main__ import lab

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture(autouse=True)
def at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def explore(command, tmp_path):
    def run(*words):
        result = command(lab, "explore", *words, "--output", tmp_path / "page.html")
        page = tmp_path / "page.html"
        return result, re.sub('data:[^"]*', "", page.read_text()) if page.exists() else ""

    return run


def write_series(path, values):
    days = np.datetime64("2020-01-01") + np.arange(len(values))
    rows = [f"{day},{value:.3f}" for day, value in zip(days, values, strict=True) if value == value]
    path.write_text("\n".join(["날짜,매출", *rows]))
    return path


def test_a_table_of_texts_is_taken_for_texts(explore, tmp_path):
    rows = [f"이 영화는 정말 재미있다 {row % 9},좋음" for row in range(20)]
    rows += [f"너무 지루한 영화 였다 {row % 9},나쁨" for row in range(20)]
    (tmp_path / "리뷰.csv").write_text("\n".join(["내용,라벨", *rows, ",좋음"]))
    result, page = explore(tmp_path / "리뷰.csv")
    assert result.code == 0
    assert "taken for texts" in result.err
    assert "2 classes of 40 texts" in page
    assert "재미있다" in page
    assert "Pairs of texts that are one" in result.out
    for title in ("Lengths", "Words", "Copies", "Left out"):
        assert f">{title}</h2>" in page


def test_a_table_of_dates_is_taken_for_series(explore, tmp_path):
    steps = np.arange(400)
    values = 50 + 10 * np.sin(2 * np.pi * steps / 7) + 0.1 * steps
    values[200:203] = np.nan
    result, page = explore(write_series(tmp_path / "s.csv", values))
    assert result.code == 0
    assert "taken for series" in result.err
    assert "3 dates have no row" in page
    assert "a season of 7" in page


def test_a_gap_too_long_for_training_is_shown_all_the_same(explore, tmp_path):
    values = np.random.default_rng(0).normal(size=300).cumsum() + 100
    values[100:150] = np.nan
    result, page = explore(write_series(tmp_path / "s.csv", values))
    assert result.code == 0
    assert "Training would be refused as the data are" in result.out
    assert "the same value 51 times in a row" in result.out


def test_texts_of_one_class_are_shown_all_the_same(explore, tmp_path):
    rows = ["a text of some five words,x"] * 3
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]))
    result, page = explore(tmp_path / "t.csv", "--as", "texts")
    assert result.code == 0
    assert "Training would be refused as the data are" in result.out


def test_texts_with_a_test_of_their_own_are_compared(explore, tmp_path):
    for name, word in (("train", "before"), ("test", "later")):
        rows = [f"some words of number{row % 5} {word} here,{'ab'[row % 2]}" for row in range(40)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    result, page = explore(tmp_path / "train.csv", "--test", tmp_path / "test.csv")
    assert result.code == 0
    assert "A classifier tells test from train (AUC 1.000" in result.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.csv"], "no such file or folder"),
        (["tweet"], "did you mean tweets?"),
        (["tweets", "--lmit", "9"], "no option --lmit"),
        (["tweets", "--as", "pictures"], "Invalid value for '--as'"),
    ],
)
def test_wrong_input_is_refused_and_leaves_nothing(words, message, explore, tmp_path):
    result, page = explore(*words)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []
