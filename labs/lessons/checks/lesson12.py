"""Lesson 12: answers out of fold."""

from typing import Any

import numpy as np

from labs.lessons.student import Problem, Student, expect

_FOLDS = np.array([3, 9, 4, 4, 3, 9, 4, 3, 9, 4, 4])  # neither from 0 on, nor of one size


class _Line:
    """Least squares, which remembers what it was fitted on and by whom it is asked."""

    def __init__(self, made: list["_Line"]):
        self.rows: set[int] | None = None
        self.targets: set[float] = set()
        made.append(self)

    def fit(self, inputs: Any, targets: Any) -> "_Line":
        expect(
            self.rows is None,
            "a model is fitted a second time: what it learned at first may still be in it",
        )
        expect(len(inputs) == len(targets), "a model is fitted on other inputs than targets")
        expect(len(inputs) > 0, "a model is fitted on no rows")
        self.rows = _numbers(inputs)
        wide = np.column_stack([inputs, np.ones(len(inputs))])
        self._weights = np.linalg.lstsq(wide, np.asarray(targets, float), rcond=None)[0]
        return self

    def predict(self, inputs: Any) -> np.ndarray:
        if self.rows is None:
            raise Problem("a model is asked that was not fitted")
        expect(len(inputs) > 0, "a model is asked for the answers of no rows")
        seen = sorted(self.rows & _numbers(inputs))
        expect(
            not seen,
            f"a model answers row {seen[0] if seen else ''}, on which it was fitted",
        )
        wide = np.column_stack([inputs, np.ones(len(inputs))])
        return np.asarray(wide @ self._weights)


def check(student: Student) -> None:
    """Watch models as they are fitted and asked, and compare their answers."""
    answer = student.function("out_of_fold")
    generator = np.random.default_rng(0)
    count = len(_FOLDS)
    inputs = np.column_stack([np.arange(count), generator.normal(size=count)])
    targets = generator.integers(0, 10, count)
    tests = np.column_stack([np.arange(100, 104), generator.normal(size=4)])
    made: list[_Line] = []
    given = inputs, targets, tests, _FOLDS
    copies = [each.copy() for each in given]
    found = answer(lambda: _Line(made), *copies)
    expect(
        all(map(np.array_equal, given, copies)),
        "the inputs, targets or folds that were given have been changed",
    )
    expect(
        isinstance(found, tuple | list) and len(found) == 2,
        "`out_of_fold` is to return two arrays: answers of the rows, and of the test rows",
    )
    rows, test = (np.asarray(each, float) for each in found)
    expect(rows.shape == (count,), f"the answers of {count} rows have the shape {rows.shape}")
    expect(test.shape == (4,), f"the answers of 4 test rows have the shape {test.shape}")
    _compare_fits([each.rows for each in made if each.rows is not None])
    known, of_folds = _answer(inputs, targets, tests)
    _compare_rows(rows, known)
    _compare_test(test, of_folds, inputs, targets, tests)


def _compare_fits(fitted: list[set[int]]) -> None:
    for fold in np.unique(_FOLDS):
        others = {*map(int, np.flatnonzero(fold != _FOLDS))}
        expect(
            others in fitted,
            f"no model is fitted on all {len(others)} rows that are not in fold {fold}; models are "
            f"fitted on {', '.join(str(len(each)) for each in fitted) or 'no'} rows",
        )


def _compare_rows(found: np.ndarray, known: np.ndarray) -> None:
    if np.allclose(found, known):
        return
    expect(
        not np.allclose(found, np.trunc(known)),
        "the answers of the rows are whole numbers, though the models' answers are not",
    )
    by_fold = known[np.argsort(_FOLDS, kind="stable")]
    expect(
        not np.allclose(found, by_fold),
        "the answers stand in the order of the folds, not in that of the rows",
    )
    row = int(np.flatnonzero(~np.isclose(found, known))[0])
    expect(
        False,
        f"the answer of row {row} is {found[row]:.4f}; the model that has not seen it says "
        f"{known[row]:.4f}",
    )


def _compare_test(
    found: np.ndarray, folds: np.ndarray, inputs: np.ndarray, targets: np.ndarray, tests: np.ndarray
) -> None:
    known = folds.mean(0)
    if np.allclose(found, known):
        return
    for number, answers in enumerate(folds):
        expect(
            not np.allclose(found, answers),
            f"the test rows are answered by the model of fold {np.unique(_FOLDS)[number]} alone",
        )
    expect(not np.allclose(found, folds.sum(0)), "the answers of the test rows are sums, not means")
    shares = [np.mean(fold == _FOLDS) for fold in np.unique(_FOLDS)]
    expect(
        not np.allclose(found, shares @ folds),
        "for the test rows a fold of more rows counts more; each is to count alike",
    )
    whole = _Line([]).fit(inputs, targets).predict(tests)
    expect(
        not np.allclose(found, whole),
        "the test rows are answered by a model of all rows, not by those of the folds",
    )
    expect(
        False,
        f"the first test row is answered {found[0]:.4f}; the mean of the folds' models is "
        f"{known[0]:.4f}",
    )


def _answer(
    inputs: np.ndarray, targets: np.ndarray, tests: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers of the rows, and those of each fold's model for the test rows."""
    rows, test = np.zeros(len(inputs)), []
    for fold in np.unique(_FOLDS):
        model = _Line([]).fit(inputs[fold != _FOLDS], targets[fold != _FOLDS])
        rows[fold == _FOLDS] = model.predict(inputs[fold == _FOLDS])
        test.append(model.predict(tests))
    return rows, np.stack(test)


def _numbers(inputs: Any) -> set[int]:
    return {int(row[0]) for row in inputs}
