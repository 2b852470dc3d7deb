"""Figures of translations, against sacrebleu and by hand."""

import numpy as np
import pytest
import sacrebleu

from labs.rnn.translate import measures
from labs.rnn.translate.measures import CHRF, EXACT_MATCH

ENGLISH = (
    ["the cat sat on the mat", "a dog", "nothing at all here", ""],
    ["the cat sat on a mat", "a dog", "something was here", "no"],
)
KOREAN = (
    ["파일 삭제하기", "새 노트북을 엽니다", "커널 다시 시작"],
    ["파일 삭제", "새 노트북을 엽니다", "커널을 재시작"],
)


@pytest.mark.parametrize(("pairs", "tokenize"), [(ENGLISH, "13a"), (KOREAN, "char")])
def test_corpus_figures_are_sacrebleus(pairs, tokenize):
    found = measures.figures(*pairs)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(pairs[0], [pairs[1]]).score)
    expected = sacrebleu.corpus_bleu(pairs[0], [pairs[1]], tokenize=tokenize).score
    assert found["bleu"] == pytest.approx(expected)
    assert found["bleu"] > 0


@pytest.mark.parametrize("pairs", [ENGLISH, KOREAN])
def test_chrf_of_any_rows_is_sacrebleus(pairs):
    statistics = CHRF.statistics(*(np.array(side, object) for side in pairs))
    for rows in ([0], [0, 0, 1], [2, 1]):
        sides = [[side[row] for row in rows] for side in pairs]
        expected = sacrebleu.corpus_chrf(sides[0], [sides[1]]).score
        assert CHRF.compute(statistics[rows]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("translation", "target", "share"),
    [("123", "123", 1), ("124", "123", 2 / 3), ("12", "123", 2 / 3), ("1234", "123", 3 / 4)]
    + [("", "12", 0), ("23", "123", 0), ("", "", 0)],
)
def test_character_accuracy_by_place(translation, target, share):
    found = measures.figures([translation, ""], [target, ""])
    assert found["character_accuracy"] == pytest.approx(share)


def test_character_accuracy_is_over_all_characters():
    found = measures.figures(["1", "999999999"], ["1", "123456789"])
    assert found["character_accuracy"] == pytest.approx(2 / 10)


def test_exact_match_has_wilsons_interval():
    translations = np.array(["가", "나", "다", "라"], object)
    targets = np.array(["가", "나", "다", "마"], object)
    found = EXACT_MATCH.measure(translations, targets)
    assert found["exact_match"] == 0.75
    low, high = found["exact_match_interval"]
    assert (low, high) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_tokenization_follows_the_script():
    assert measures.bleu_tokenization(["hello", "세계"]) == "char"
    assert measures.bleu_tokenization(["日本"]) == "char"
    assert measures.bleu_tokenization(["hello", "monde é"]) == "13a"


def test_badly_written_sentences_are_no_reason_to_warn(caplog):
    translations = [f"a sentence {number} ." for number in range(200)]
    measures.figures(translations, translations)
    assert not caplog.records
