"""The nested gain of greedy ensembles beside the one where they chose, held against fresh digits.

python benchmarks/ensembles.py

Twelve small networks of scikit-learn learn from 2,000 digits of mnist5k and answer the other 3,000.
In each of 10 draws 600 of these choose and judge an ensemble as `ensemble --method greedy` does, in
five folds; the other 2,400 are fresh, and say what it gains. An interval holds where the gain on
fresh digits lies in it.
"""

import warnings

import numpy as np
from machine import describe
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from common.ensembles.combine import find_best, learn
from common.ensembles.forms import Classes, Truth
from common.ensembles.judge import compare, judge_nested
from common.images.load import find_arrays
from common.metrics.main_metric import ACCURACY
from common.metrics.metrics import Array
from labs.classification.config import ClassificationConfig

MEMBERS, LEARNED, CHOOSING, DRAWS, FOLDS = 12, 2000, 600, 10, 5
FORM = Classes(ACCURACY)


def main() -> None:
    print(describe())
    images, targets = load()
    shares, truth = answer(images, targets)
    alone = (shares.argmax(2) == truth).mean(1)
    print(f"{MEMBERS} members: accuracy {alone.min():.4f} to {alone.max():.4f}")
    print("draw  nested gain (95 %)            where it chose (95 %)         fresh    nested holds")
    held = {"nested": 0, "seen": 0}
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(truth))
        mine, fresh = order[:CHOOSING], order[CHOOSING:]
        known = Truth(truth[mine])
        folds = np.arange(CHOOSING) % FOLDS
        nested, _ = judge_nested("greedy", shares[:, mine], known, folds, FORM)
        gain = gain_on_fresh(shares, truth, mine, fresh)
        for name, found in (("nested", nested), ("seen", nested["seen"])):
            low, high = found["gain_interval"]
            held[name] += low <= gain <= high
        low, high = nested["gain_interval"]
        print(
            f"{draw:>4}  {tell(nested)}    {tell(nested['seen'])}    {gain:+.4f}  "
            f"{'yes' if low <= gain <= high else 'no'}"
        )
    print(f"of {DRAWS} intervals hold: nested {held['nested']}, where it chose {held['seen']}")


def load() -> tuple[Array, Array]:
    """Return digits as rows of pixels from 0 to 1, and their classes."""
    parts = find_arrays(ClassificationConfig()).parts.values()
    images = np.concatenate([part.images.flatten(1).numpy() for part in parts]) / 255
    return images, np.concatenate([part.targets.numpy() for part in parts])


def answer(images: Array, targets: Array) -> tuple[Array, Array]:
    """Return the probabilities (M, N, C) of all members for what they did not learn from."""
    order = np.random.default_rng(0).permutation(len(targets))
    learned, held = order[:LEARNED], order[LEARNED:]
    every = []
    for number in range(MEMBERS):
        rows = learned[np.random.default_rng(number).integers(0, LEARNED, LEARNED)]
        size = (4, 8, 16)[number % 3]
        network = MLPClassifier((size,), max_iter=20, random_state=number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(images[rows], targets[rows])
        every.append(network.predict_proba(images[held]))
    return np.stack(every), targets[held]


def gain_on_fresh(shares: Array, truth: Array, mine: Array, fresh: Array) -> float:
    """Return what an ensemble that some rows chose gains on others over the member they chose."""
    chosen = learn("greedy", shares[:, mine], truth[mine], FORM)
    best = find_best(shares[:, mine], truth[mine], FORM)
    together, alone = chosen.answer(shares[:, fresh], FORM), shares[best][fresh]
    found = compare(together, alone, Truth(truth[fresh]), FORM)
    return float(found["gain"])


def tell(found: dict) -> str:
    low, high = found["gain_interval"]
    return f"{found['gain']:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
