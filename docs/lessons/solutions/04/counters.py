"""Lesson 4, with counters of the standard library."""

from collections import Counter
from statistics import fmean


def measure(truth, said):
    """Return accuracy, balanced accuracy and macro F1."""
    true, answered = Counter(truth), Counter(said)
    right = Counter(a for a, b in zip(truth, said, strict=True) if a == b)
    return dict(
        accuracy=right.total() / true.total(),
        balanced_accuracy=fmean(right[each] / true[each] for each in true),
        macro_f1=fmean(2 * right[each] / (true[each] + answered[each]) for each in true),
    )
