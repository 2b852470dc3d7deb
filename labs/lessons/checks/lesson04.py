"""Lesson 4: figures of a classifier on classes that are not equally frequent."""

import math
from typing import Any

from sklearn import metrics

from labs.lessons.student import Student, expect

_NAMES = {"accuracy", "balanced_accuracy", "macro_f1"}


def check(student: Student) -> None:
    """Measure answers whose figures differ."""
    measure = student.function("measure")
    easy = [0, 1, 1, 2, 2, 2], [0, 1, 1, 2, 2, 2]
    found = _ask(measure, *easy)
    expect(
        all(math.isclose(value, 1, abs_tol=1e-9) for value in found.values()),
        "where all is right, a figure is not 1",
    )
    # 95 of a class, 5 of the other, of which a classifier that always says the first finds none.
    _compare(measure, [0] * 95 + [1] * 5, [0] * 100, "where the rare class is never said")
    _compare(
        measure,
        [0] * 90 + [1] * 10,
        [0] * 80 + [1] * 10 + [0] * 4 + [1] * 6,
        "of 90 samples of a class and 10 of another, of which 80 and 6 are right",
    )
    _compare(
        measure,
        [0, 0, 0, 1, 1, 2],
        [0, 0, 1, 1, 3, 2],
        "where a class is said that is never true",
    )


def _ask(measure: Any, truth: list[int], said: list[int]) -> dict[str, float]:
    found = measure(truth, said)
    expect(isinstance(found, dict), "`measure` is to return a dictionary of three figures")
    missing = _NAMES - found.keys()
    expect(not missing, f"the dictionary has no {', '.join(sorted(missing))}")
    return {name: float(found[name]) for name in sorted(_NAMES)}


def _compare(measure: Any, truth: list[int], said: list[int], what: str) -> None:
    found = _ask(measure, truth, said)
    classes = sorted({*truth})
    known = {
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.recall_score(
            truth, said, labels=classes, average="macro", zero_division=0
        ),
        "macro_f1": metrics.f1_score(truth, said, labels=classes, average="macro", zero_division=0),
    }
    for name, value in known.items():
        expect(
            math.isclose(found[name], value, abs_tol=1e-6),
            f"{what}, {name} is {value:.3f}; your function says {found[name]:.3f}",
        )
