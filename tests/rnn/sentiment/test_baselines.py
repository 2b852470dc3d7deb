import unicodedata

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from common.errors import DataError
from labs.rnn.sentiment import baselines

NAMES = [
    "majority class",
    "TF-IDF bigrams + logistic regression",
    "NB-SVM on bigrams",
    "words and characters + linear SVM",
]
ENGLISH = (
    ["what a good day", "good, thanks!", "so good"],
    ["what a bad day", "bad! bad", "so bad"],
)


def splits(*classes: list[str], repeats: int = 4) -> tuple[dict, dict]:
    """Return texts and targets, the same in each split; the first class has one text more."""
    texts = [text for of_class in classes for text in of_class] * repeats + [classes[0][0]]
    targets = [label for label, of_class in enumerate(classes) for _ in of_class] * repeats + [0]
    names = ("train", "validation", "test")
    return {name: texts for name in names}, {name: np.array(targets) for name in names}


def right(classes: tuple[list[str], ...], name: str, test: list[str]) -> list[int]:
    texts, targets = splits(*classes)
    return baselines.predictions({**texts, "test": test}, targets)[name]["test"].tolist()


def test_every_baseline_predicts_both_splits() -> None:
    texts, targets = splits(*ENGLISH)
    found = baselines.predictions(texts, targets)
    assert list(found) == NAMES
    assert set(found["majority class"]["test"]) == {0}
    for name in NAMES[1:]:
        for split in ("validation", "test"):
            assert found[name][split].tolist() == targets[split].tolist()


@pytest.mark.parametrize("name", NAMES[1:])
def test_korean_of_one_syllable_and_decomposed(name: str) -> None:
    korean = (["참 좋 다", "정말 좋 네"], ["참 싫 다", "정말 싫 네"])
    assert right(korean, name, [unicodedata.normalize("NFD", "싫 어"), "좋 아"]) == [1, 0]


def test_characters_see_through_endings_and_misspellings() -> None:
    korean = (["재미있었다", "재미있네요"], ["지루했다", "지루하네요"])
    found = right(korean, "words and characters + linear SVM", ["지루합니다", "재미있습니다"])
    assert found == [1, 0]


@pytest.mark.parametrize("name", NAMES[1:])
def test_three_classes(name: str) -> None:
    classes = (*ENGLISH, ["flight at noon", "gate four", "the gate at noon"])
    assert right(classes, name, ["good", "bad", "noon"]) == [0, 1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_unseen_texts_have_an_answer(name: str) -> None:
    assert set(right((["good", ""], ["bad", "  "]), name, ["", " ", "\x00", "안녕"])) <= {0, 1}


def test_two_texts_are_enough() -> None:
    texts, targets = splits(["yes"], ["no"], repeats=1)
    assert set(baselines.predictions(texts, targets)) == set(NAMES)


def test_a_class_that_validation_lacks() -> None:
    texts, targets = splits(*ENGLISH)
    texts["validation"], targets["validation"] = ["so good"], np.array([0])
    found = baselines.predictions(texts, targets)
    assert all(found[name]["validation"].tolist() == [0] for name in NAMES)


def test_no_words_at_all() -> None:
    texts, targets = splits(["", " "], ["\n"])
    with pytest.raises(DataError, match="empty"):
        baselines.predictions(texts, targets)


def test_strength_is_chosen_on_validation_only() -> None:
    texts, targets = splits(*ENGLISH)
    found = baselines.predictions(texts, targets)
    targets["test"] = 1 - targets["test"]
    again = baselines.predictions(texts, targets)
    for name in NAMES:
        assert np.array_equal(found[name]["test"], again[name]["test"])


def test_nb_svm_without_trust_is_naive_bayes() -> None:
    """With beta at 0, all weights have one size and the log-count ratio decides alone."""
    from sklearn.naive_bayes import MultinomialNB

    counts = csr_matrix(np.random.default_rng(0).integers(0, 2, (30, 8)))
    targets = np.arange(30) % 2
    model = baselines.NaiveBayesSVM(1.0, trust=0.0).fit(counts, targets)
    reference = MultinomialNB(alpha=1.0).fit(counts, targets).feature_log_prob_
    direction = model.weights[1] / np.abs(model.weights[1]).max()
    expected = reference[1] - reference[0]
    assert np.allclose(direction, expected / np.abs(expected).max())
