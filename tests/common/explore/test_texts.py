"""What is said of texts: words of classes, copies, parts."""

import numpy as np
import pytest

from common.explore import texts
from common.explore.texts import Sample


def sample_of(lines, labels=None, parts=None):
    number = len(lines)
    return Sample(lines, labels or ["a"] * number, parts or ["all"] * number)


def test_log_odds_are_those_of_the_formula():
    inside, outside = np.array([30, 10, 60]), np.array([10, 10, 180])
    prior = 500 * (inside + outside) / 300
    first, second = inside + prior, outside + prior
    difference = np.log(first / (100 + 500 - first)) - np.log(second / (200 + 500 - second))
    expected = difference / np.sqrt(1 / first + 1 / second)
    assert texts.log_odds(inside, outside) == pytest.approx(expected)


def test_log_odds_of_two_equal_corpora_are_nothing():
    counts = np.array([5, 0, 7])
    assert texts.log_odds(counts, counts)[[0, 2]] == pytest.approx(0)


def test_words_that_go_with_a_class_are_named_in_korean_too():
    lines = ["정말 재미있는 영화", "지루한 영화 별로"] * 20
    sample = sample_of(lines, ["좋음", "나쁨"] * 20)
    words = texts.count_words(sample.texts, str.lower)
    code = texts.show_words(sample, words).section.code
    bad, good = code.splitlines()
    assert bad.startswith("나쁨: ")
    assert "지루한" in bad
    assert "재미있는" in good
    assert "영화" not in good


def test_copies_and_near_copies_are_found_once():
    lines = [
        "the cat sat on the warm mat by the old door today",
        "THE cat  sat on the warm mat by the old door today",
        "the cat sat on the warm mat by the old door yesterday",
        "nothing at all in common with any other of these lines",
    ]
    sample = sample_of(lines, ["a", "b", "a", "a"], ["train", "train", "test", "test"])
    words = texts.count_words(sample.texts, str.lower)
    found = texts.find_copies(sample, words, lambda text: " ".join(text.lower().split()))
    assert found == {"same": [(0, 1)], "near": [(0, 2)]}
    part = texts.show_copies(sample, found)
    assert "1 of these pairs stand in two parts of the split: a leak." in part.findings
    assert "1 of these pairs have different labels: at least one of each is wrong." in part.findings


def test_parts_of_different_words_are_told_apart_by_them():
    lines = [f"common word number{row % 7} {'later' if row % 2 else 'before'}" for row in range(80)]
    sample = sample_of(lines, parts=["test" if row % 2 else "train" for row in range(80)])
    part = texts.compare_parts(sample, texts.count_words(sample.texts, str.lower))
    assert part.findings[0].startswith("A classifier tells test from train (AUC 1.000")
    more = {row[0]: row[1].split()[0] for row in part.section.table.rows}
    assert more == {"test, not train": "later", "train, not test": "before"}


def test_texts_without_words_have_none():
    sample = sample_of(["!!!", "..."])
    assert texts.count_words(sample.texts, str.lower) is None
    assert texts.show_words(sample, None).section.text == "There are no words."
    assert texts.measure(sample, None).section.table is not None
