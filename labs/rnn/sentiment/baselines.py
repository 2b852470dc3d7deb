"""Honest baselines: what one gets without a network, on the same splits.

All see the same text, lower-case and NFC, and all classes weigh the same in what they minimize,
since balanced accuracy is what is compared. The strength of the penalty is chosen on the
validation split.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from common.errors import DataError
from common.metrics.metrics import Array
from common.steps import step, track
from common.training.splits import sample_rows
from labs.rnn.grams import TOKENS, normalize

CHARACTERS = 40_000_000  # of training texts that baselines read, at most: some minutes


def choose_rows(texts: Sequence[str], targets: Tensor) -> Tensor:
    """Return the rows of the training texts that the baselines read: all, if they are not long."""
    characters = sum(map(len, texts))
    if characters <= CHARACTERS:
        return torch.arange(len(texts))
    return sample_rows(targets, CHARACTERS * len(texts) // characters, seed=0)


def predictions(
    texts: Mapping[str, list[str]], targets: Mapping[str, npt.NDArray[np.int64]]
) -> dict[str, dict[str, npt.NDArray[np.int64]]]:
    """Fit each baseline, and return the classes (N,) that it predicts for `validation` and `test`.

    An empty text is classified by the bias alone. The training split has two classes or more.

    Raises:
        DataError: all texts of the training split are empty.
    """
    from sklearn.metrics import recall_score

    if not any(map(str.strip, texts["train"])):
        raise DataError("all texts of the training split are empty; check the text column")
    features: dict[str, dict[str, Any]] = {}
    for name, vectorizer in track(make_vectorizers().items(), "counting"):
        with step(name):
            vectorizer.fit(texts["train"])
        for split, part in texts.items():
            with step(f"{name} of {split}"):
                features.setdefault(name, {})[split] = vectorizer.transform(part)

    def quality(model: Any, inputs: Mapping[str, Any]) -> float:
        """Return the balanced accuracy on validation, over the classes that occur in it."""
        known = targets["validation"]
        guesses = model.predict(inputs["validation"])
        return float(
            recall_score(known, guesses, labels=np.unique(known), average="macro", zero_division=0)
        )

    found = {}
    for name, (seen, candidates) in track(_classifiers().items(), "baselines"):
        inputs = features[seen]
        fitted = [model.fit(inputs["train"], targets["train"]) for model in track(candidates, name)]
        best = max(fitted, key=lambda model: quality(model, inputs))
        found[name] = {split: best.predict(inputs[split]) for split in ("validation", "test")}
    return found


class NaiveBayesSVM:
    """A linear SVM on the words that occur, each weighed by naive Bayes' log-count ratio.

    NBSVM with bigrams of Wang and Manning 2012, "Baselines and bigrams: simple, good sentiment and
    topic classification", sections 2.1-2.3. In r = log((p / |p|) / (q / |q|)), p and q count, from
    `smoothing` on (alpha in the paper), the texts inside and outside the class that have the word.
    The SVM sees f r for the binary f, and its weights w are mixed with their mean size: (1 - beta)
    mean |w| + beta w, where beta is the `trust` in the SVM over naive Bayes. `strength` is
    scikit-learn's C. Each class is told from the rest.
    """

    def __init__(self, strength: float, smoothing: float = 1.0, trust: float = 0.25):
        self.strength, self.smoothing, self.trust = strength, smoothing, trust

    def fit(self, counts: Any, targets: Array) -> "NaiveBayesSVM":
        """Fit on binary counts, sparse (N, words), and classes (N,); returns itself."""
        self.classes = np.unique(targets)
        weights, biases = zip(
            *(self._against_the_rest(counts, targets == one) for one in self.classes), strict=True
        )
        self.weights, self.biases = np.stack(weights), np.array(biases)
        return self

    def predict(self, counts: Any) -> Array:
        """Return the class of the largest score, (N,)."""
        scores = counts @ self.weights.T + self.biases
        return np.asarray(self.classes[scores.argmax(1)])

    def _against_the_rest(self, counts: Any, inside: Array) -> tuple[Array, float]:
        from sklearn.svm import LinearSVC

        p, q = (
            self.smoothing + np.asarray(counts[rows].sum(0)).ravel() for rows in (inside, ~inside)
        )
        ratio = np.log((p / p.sum()) / (q / q.sum()))
        svm = LinearSVC(C=self.strength, class_weight="balanced", random_state=0)
        svm.fit(counts.multiply(ratio).tocsr(), inside)
        w = svm.coef_[0]
        mixed = (1 - self.trust) * np.abs(w).mean() + self.trust * w
        return ratio * mixed, float(svm.intercept_[0])


def _classifiers() -> dict[str, tuple[str, Iterator[Any]]]:
    """Return each baseline's features and its candidates."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    balanced: dict[str, Any] = {"class_weight": "balanced", "random_state": 0}
    # The strengths are scikit-learn's C, the inverse of the penalty.
    return {
        "majority class": ("occurring bigrams", iter([DummyClassifier(strategy="most_frequent")])),
        "TF-IDF bigrams + logistic regression": (
            "bigrams",
            (LogisticRegression(C=c, max_iter=1000, tol=1e-3, **balanced) for c in (1, 3, 10, 30)),
        ),
        "NB-SVM on bigrams": (
            "occurring bigrams",
            (NaiveBayesSVM(c) for c in (0.001, 0.003, 0.01, 0.03)),
        ),
        "words and characters + linear SVM": (
            "words and characters",
            (LinearSVC(C=c, **balanced) for c in (0.03, 0.1, 0.3, 1)),
        ),
    }


def make_vectorizers() -> dict[str, Any]:
    """Return what makes sparse features of texts; each is to be fitted on the training split."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.pipeline import make_union

    words: dict[str, Any] = {
        "preprocessor": normalize,
        "token_pattern": TOKENS,
        "ngram_range": (1, 2),
    }
    characters = TfidfVectorizer(
        preprocessor=normalize, analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True
    )
    return {
        "occurring bigrams": CountVectorizer(binary=True, **words),
        "bigrams": TfidfVectorizer(sublinear_tf=True, **words),
        "words and characters": make_union(TfidfVectorizer(sublinear_tf=True, **words), characters),
    }
