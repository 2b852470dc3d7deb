"""Honest baselines: what one gets without a network.

- `nearest source`: the target of the training source that is most like the one to translate, by
  the cosine of TF-IDF of character n-grams; how long these are is chosen on the validation split.
- `copy`: the source itself.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.steps import track
from common.training.splits import sample_rows
from labs.rnn.translate.data import Split

_LENGTHS = ((1, 3), (2, 5))  # fewest and most characters of an n-gram
_PAIRS = 3_000_000_000  # of a source to translate and one of training that are compared, at most
_LEAST = 10_000  # training sources that are looked among, also where those to translate are many
_CHUNK = 512  # sources compared with all others at a time: bounds the memory


def translations(
    splits: Mapping[str, Split], main_metric: MainMetric
) -> dict[str, dict[str, Array]]:
    """Return what each baseline, by its name, makes of `validation` and `test`.

    The main metric chooses the length of n-grams.
    """
    train = sampled(splits)
    parts = {name: splits[name] for name in ("validation", "test")}

    def quality(candidate: tuple[int, int]) -> float:
        guesses = nearest(train, parts["validation"].sources, candidate)
        targets = np.array(parts["validation"].targets, object)
        return main_metric.value(guesses, targets)

    best = max(_LENGTHS, key=quality)
    return {
        "nearest source": {
            name: nearest(train, part.sources, best) for name, part in parts.items()
        },
        "copy": {name: np.array(part.sources, object) for name, part in parts.items()},
    }


def sampled(splits: Mapping[str, Split]) -> Split:
    """Return the training pairs among which the nearest one is looked for."""
    train = splits["train"]
    most = count_seen({name: len(split) for name, split in splits.items()})
    if len(train) <= most:
        return train
    return train.select(sample_rows(torch.zeros(len(train)), most, seed=0).tolist())


def count_seen(counts: Mapping[str, int]) -> int:
    """Return among how many training sources the nearest one is looked for, by samples per split.

    Each of validation is looked for once for each length of n-grams, and once more by the best.
    """
    asked = (1 + len(_LENGTHS)) * counts["validation"] + counts["test"]
    return min(counts["train"], max(_LEAST, _PAIRS // max(1, asked)))


def nearest(train: Split, sources: Sequence[str], lengths: tuple[int, int]) -> Array:
    """Return for each source the target of the training source that is most like it.

    The lengths are the fewest and the most characters of an n-gram.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=lengths, sublinear_tf=True)
    known = vectorizer.fit_transform(train.sources).T.tocsr()
    asked = vectorizer.transform(sources)
    found: list[str] = []
    chunks = range(0, len(sources), _CHUNK)
    for start in track(chunks, f"nearest sources of {len(sources):,}"):
        similarity = asked[start : start + _CHUNK] @ known
        rows = np.asarray(similarity.argmax(axis=1)).ravel()
        found += [train.targets[row] for row in rows]
    return np.array(found, object)
