"""Metrics by their names, and metrics of one's own: what one judges by is an option.

    metric = find_metric("f1")  # or "my_metrics.py:score"
    metric.measure(truth, classes, groups)  # Measured(value=0.81, low=0.78, high=0.84)

A metric is a function of how often each row counts. The bootstrap draws such counts, many draws at
a time, so no draw copies a row: of classes, rows that are alike are drawn together, as cells of a
table; areas and ranks are computed from the counts along an order that is sorted once.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from common.errors import ConfigError
from common.metrics import metrics, own
from common.metrics.metrics import (
    Array,
    Difference,
    Interval,
    Written,
    check_same,
    checked,
    checked_classes,
    checked_probabilities,
    first_rank,
)
from common.suggest import suggest

Needs = Literal["classes", "probabilities", "numbers"]
OfCounts = Callable[[Array], Array]
"""From counts (R, N), how often each of N rows is drawn, the metric of each of R draws, (R,)."""

_DRAWN = 2_000_000  # counts that are drawn in one call
_SORTED = 5_000_000  # counts that are drawn in all for a metric that depends on an order, and
_FEWEST = 300  # draws at the least
_UNDEFINED = 0.05  # largest share of draws that may leave a metric undefined, as of one class only


class TooFewClasses(ConfigError, ValueError):
    """A metric is of more classes than there are."""


class Measured(NamedTuple):
    """A metric with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class NamedMetric(Written):
    """A metric of answers, by its name."""

    name: str  # as in metrics.json, such as `balanced_accuracy`
    label: str  # the same for a person
    needs: Needs
    """What its answers are: class numbers (N,), probabilities (N, C), or numbers (N,)."""
    of_rows: Callable[[Array, Array], OfCounts]  # from truth and answers
    larger_is_better: bool = True
    proportion: bool = False  # of rows that are right, whose interval is Wilson's
    merged: bool = False  # whether rows of the same truth and answer may be counted together
    sorted: bool = False  # whether it depends on an order of all rows, which takes long
    resamples: int = 2000
    smallest: int = 2  # classes that it needs

    def measure(
        self, truth: ArrayLike, answers: ArrayLike, groups: ArrayLike | None = None
    ) -> Measured:
        """Return the metric with the 95 % interval of a bootstrap; the same for the same rows.

        Args:
            truth: (N,) class numbers, or numbers.
            answers: what the metric `needs`.
            groups: (N,) names of what rows belong to, such as persons: whole groups are then drawn
                (the cluster bootstrap, Davison and Hinkley 1997, section 3.8).

        Returns:
            NaN for the value where the metric is undefined, such as an area under the curve where
            there is one class only. The interval is NaN where there is one row or group, or where
            more than 1 in 20 draws leave the metric undefined.

        Raises:
            ValueError: lengths differ, or these are no such answers.
            ConfigError: it is one's own, and raises, or returns no finite number.
        """
        truth, [answers] = self._checked(truth, [answers])
        [value], draws = self._draw(truth, [answers], groups)
        if self.proportion and groups is None:
            return Measured(value, *metrics.wilson(round(value * len(truth)), len(truth)))
        return Measured(value, *_interval([drawn for [drawn] in draws]))

    def value(self, truth: ArrayLike, answers: ArrayLike) -> float:
        """Return the metric without an interval; the arguments are those of `measure`."""
        of_counts = self.counted(truth, answers)
        return float(of_counts(np.ones((1, len(np.asarray(truth))), np.int64))[0])

    def counted(self, truth: ArrayLike, answers: ArrayLike) -> OfCounts:
        """Return the metric as a function of how often each row counts; see `OfCounts`.

        The arguments, and what is raised, are those of `measure`.
        """
        truth, [answers] = self._checked(truth, [answers])
        return self.of_rows(truth, answers)

    def compare(
        self, truth: ArrayLike, a: ArrayLike, b: ArrayLike, groups: ArrayLike | None = None
    ) -> Difference:
        """Return the metric of answers a minus that of b, with the interval of a paired bootstrap.

        The arguments, and what is raised, are those of `measure`.
        """
        truth, answers = self._checked(truth, [a, b])
        [of_a, of_b], draws = self._draw(truth, answers, groups)
        return Difference(of_a - of_b, *_interval([drawn - other for drawn, other in draws]))

    def _checked(self, truth: ArrayLike, answers: Sequence[ArrayLike]) -> tuple[Array, list[Array]]:
        check = _CHECKS[self.needs]
        pairs = [check(np.asarray(each), np.asarray(truth)) for each in answers]
        classes = pairs[0][0].shape[-1]
        if self.needs == "probabilities" and classes < self.smallest:
            raise TooFewClasses(
                f"{self.name} needs at least {self.smallest} classes, given {classes}"
            )
        return pairs[0][1], [given for given, _ in pairs]

    def _draw(
        self, truth: Array, answers: Sequence[Array], groups: ArrayLike | None
    ) -> tuple[list[float], Iterator[list[Array]]]:
        """Return the metric of each of the answers, and then of each of them in many draws."""
        number, counts = np.arange(len(truth)), np.ones(len(truth), np.int64)
        if groups is not None:
            names = np.asarray(groups)
            check_same("truth", len(truth), "groups", len(names))
            number = np.unique(names, return_inverse=True)[1]
        if self.merged:
            columns = [truth, *answers] + ([] if groups is None else [number])
            table, counts = np.unique(np.stack(columns, 1), axis=0, return_counts=True)
            truth, *answers = table.T[: 1 + len(answers)]
            number = table[:, -1]
        found = [self.of_rows(truth, each) for each in answers]
        whole = [float(of_counts(counts[None])[0]) for of_counts in found]
        if self.merged and groups is None:
            draws = _draw_rows(counts, self.resamples)
        else:
            most = max(_FEWEST, _SORTED // len(counts)) if self.sorted else self.resamples
            draws = _draw_groups(number, counts, min(most, self.resamples))
        return whole, ([of_counts(drawn) for of_counts in found] for drawn in draws)


def _draw_rows(counts: Array, draws: int) -> Iterator[Array]:
    """Draw as many rows as there are, where (N,) counts say how many are alike; yields (R, N)."""
    generator, rows = np.random.default_rng(0), int(counts.sum())
    for size in _sizes(len(counts), draws if rows > 1 else 0):
        yield generator.multinomial(rows, counts / rows, size)


def _draw_groups(number: Array, counts: Array, draws: int) -> Iterator[Array]:
    """Draw as many groups as there are; yields how often each row is drawn, (R, N).

    Args:
        number: (N,) of each row's group, from 0.
        counts: (N,) how many rows each stands for.
        draws: how many in all.
    """
    generator, groups = np.random.default_rng(0), int(number.max()) + 1
    for size in _sizes(len(counts), draws if groups > 1 else 0):
        drawn = generator.integers(groups, size=(size, groups))
        drawn += groups * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups)
        yield times[:, number] * counts


def _sizes(rows: int, draws: int) -> Iterator[int]:
    """Split draws into parts that fit the memory."""
    together = max(1, _DRAWN // rows)
    return (min(together, draws - first) for first in range(0, draws, together))


def _interval(draws: Sequence[Array]) -> Interval:
    values = np.concatenate(draws) if draws else np.empty(0)
    known = values[~np.isnan(values)]
    if len(known) < (1 - _UNDEFINED) * max(1, len(values)):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


# --- what the answers may be --------------------------------------------------------------------


def _check_classes(answers: Array, truth: Array) -> tuple[Array, Array]:
    largest = [
        int(each.max()) for each in (answers, truth) if each.size and each.dtype.kind in "iub"
    ]
    return checked_classes(answers, truth, max(largest, default=0) + 1)


def _check_numbers(answers: Array, truth: Array) -> tuple[Array, Array]:
    answers, truth = checked("answers", answers), checked("truth", truth)
    check_same("answers", answers.shape, "truth", truth.shape)
    return answers.astype(np.float64), truth.astype(np.float64)


_CHECKS: dict[Needs, Callable[[Array, Array], tuple[Array, Array]]] = {
    "classes": _check_classes,
    "probabilities": checked_probabilities,
    "numbers": _check_numbers,
}


# --- from counts of rows to a metric ------------------------------------------------------------


class _OfClasses(NamedTuple):
    """What classes come to in each of R draws, (R, C)."""

    right: Array  # rows of a class that are said to be of it
    true: Array  # rows of it
    said: Array  # rows that are said to be of it


def _by_class(measure: Callable[[_OfClasses], Array]) -> Callable[[Array, Array], OfCounts]:
    """Return a metric of truth and classes that depends on how many rows of each are right."""

    def of_rows(truth: Array, classes: Array) -> OfCounts:
        from scipy.sparse import csr_matrix

        size, rows = int(max(truth.max(), classes.max())) + 1, np.arange(len(truth))
        right = truth == classes
        sums = [
            csr_matrix((values, (names, rows)), (size, len(rows)))
            for values, names in (
                (right, truth),
                (np.ones_like(right), truth),
                (np.ones_like(right), classes),
            )
        ]
        return lambda counts: measure(_OfClasses(*((each @ counts.T).T for each in sums)))

    return of_rows


def _divide(top: Array, whole: Array) -> Array:
    """Divide, NaN where the whole is 0."""
    out = np.full(np.broadcast(top, whole).shape, np.nan)
    return np.asarray(np.divide(top, whole, out=out, where=whole != 0))


def _mean_known(values: Array) -> Array:
    """Return the means of rows (R, C) without what is NaN in them; NaN of a row without any."""
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0).sum(1), known.sum(1))


def _accuracy(table: _OfClasses) -> Array:
    return np.asarray(table.right.sum(1) / table.true.sum(1))


def _balanced_accuracy(table: _OfClasses) -> Array:
    return _mean_known(_divide(table.right, table.true))


def _f1_of_each(table: _OfClasses) -> Array:
    return _divide(2 * table.right, table.true + table.said)


def _f1(table: _OfClasses) -> Array:
    return _mean_known(_f1_of_each(table))


def _weighted_f1(table: _OfClasses) -> Array:
    return np.asarray(np.nansum(_f1_of_each(table) * table.true, 1) / table.true.sum(1))


def _kappa(table: _OfClasses) -> Array:
    rows = table.true.sum(1)
    expected = (table.true * table.said).sum(1) / rows  # rows that are right by chance
    return _divide(table.right.sum(1) - expected, rows - expected)


def _quadratic_kappa(truth: Array, classes: Array) -> OfCounts:
    """Weigh each mistake by its squared distance (Cohen 1968, "Weighted kappa")."""
    truth, classes = truth.astype(np.float64), classes.astype(np.float64)
    apart, terms = (truth - classes) ** 2, np.stack([truth, truth**2, classes, classes**2], 1)

    def of_counts(counts: Array) -> Array:
        rows = counts.sum(1)
        true, squares, said, other_squares = (counts @ terms).T
        by_chance = squares + other_squares - 2 * true * said / rows
        return np.asarray(1 - _divide(counts @ apart, by_chance))

    return of_counts


def _mean(
    of_each: Callable[[Array, Array], Array], after: Callable[[Array], Array] = lambda mean: mean
) -> Callable[[Array, Array], OfCounts]:
    """Return a metric that is a mean over the rows, or follows from one."""

    def of_rows(truth: Array, answers: Array) -> OfCounts:
        values = of_each(truth, answers).astype(np.float64).reshape(len(truth), -1).mean(1)
        return lambda counts: after(counts @ values / counts.sum(1))

    return of_rows


def _log_losses(truth: Array, probabilities: Array) -> Array:
    return np.asarray(-np.log(probabilities[np.arange(len(truth)), truth].clip(2e-16)))


def _among(k: int) -> Callable[[Array, Array], Array]:
    def is_among(truth: Array, probabilities: Array) -> Array:
        relevant = truth[:, None] == np.arange(probabilities.shape[1])
        return np.asarray(first_rank(probabilities, relevant) <= k)

    return is_among


class _Order:
    """Rows sorted by a value, with what stands before each of them in a draw."""

    def __init__(self, values: Array):
        self.places = np.argsort(values, kind="stable")
        ordered = values[self.places]
        self.before = np.searchsorted(ordered, ordered, "left")
        self.through = np.searchsorted(ordered, ordered, "right")

    def sums(self, counts: Array) -> Array:
        """Return, of counts (R, N) in this order, the sums of the first 0, 1, ..., N of them."""
        sums = np.zeros((len(counts), counts.shape[1] + 1), np.int32)
        np.cumsum(counts, axis=1, out=sums[:, 1:])
        return sums

    def ranks(self, counts: Array) -> Array:
        """Return the mean rank of each row among those that are drawn, ties shared, (R, N)."""
        sums = self.sums(counts[:, self.places])
        ranks = np.empty(counts.shape)
        ranks[:, self.places] = (sums[:, self.before] + sums[:, self.through] + 1) / 2
        return ranks


def _area(truth: Array, probabilities: Array) -> OfCounts:
    """Return the mean area under the ROC curves of each class against all others.

    The area is the share of pairs, one row of the class and one of another, in which the first has
    the higher probability; ties count half.
    """
    classes = [(truth == each, _Order(probabilities[:, each])) for each in np.unique(truth)]

    def of_counts(counts: Array) -> Array:
        rows, areas = counts.sum(1), []
        counts = counts.astype(np.int32)  # half the memory to go through
        for mine, order in classes:
            drawn = counts[:, order.places]
            (places,) = np.nonzero(mine[order.places])
            mine_drawn = drawn[:, places]
            drawn[:, places] = 0
            below = order.sums(drawn)
            twice_below = below[:, order.before[places]] + below[:, order.through[places]]
            pairs = np.einsum("rn,rn->r", mine_drawn, twice_below, dtype=np.float64) / 2
            number = mine_drawn.sum(1)
            areas.append(_divide(pairs, number * (rows - number)))
        return _mean_known(np.stack(areas, 1))

    return of_counts


def _rank_correlation(truth: Array, answers: Array) -> OfCounts:
    """Return Spearman's correlation: Pearson's of the ranks."""
    if truth.ndim != 1:
        raise ValueError(f"expected one number a row for spearman, given shape {truth.shape}")
    orders = _Order(truth), _Order(answers)

    def of_counts(counts: Array) -> Array:
        middle = (counts.sum(1, keepdims=True) + 1) / 2
        x, y = (order.ranks(counts) - middle for order in orders)
        spread = np.sqrt((counts * x * x).sum(1) * (counts * y * y).sum(1))
        return _divide((counts * x * y).sum(1), spread)

    return of_counts


# --- by name ------------------------------------------------------------------------------------


def _top(k: int) -> NamedMetric:
    return NamedMetric(
        f"top{k}_accuracy",
        f"top-{k} accuracy",
        "probabilities",
        _mean(_among(k)),
        proportion=True,
        smallest=k + 1,
    )


def _of_classes(name: str, label: str, of_rows: Any, **more: Any) -> NamedMetric:
    return NamedMetric(name, label, "classes", of_rows, merged=True, **more)


def _error(name: str, label: str, of_rows: Any) -> NamedMetric:
    return NamedMetric(name, label, "numbers", of_rows, larger_is_better=False)


NAMED = {
    metric.name: metric
    for metric in (
        _of_classes("accuracy", "accuracy", _by_class(_accuracy), proportion=True),
        _of_classes("balanced_accuracy", "balanced accuracy", _by_class(_balanced_accuracy)),
        _of_classes("f1", "macro F1", _by_class(_f1)),
        _of_classes("weighted_f1", "weighted F1", _by_class(_weighted_f1)),
        _of_classes("kappa", "Cohen's kappa", _by_class(_kappa)),
        _of_classes("quadratic_kappa", "quadratic kappa", _quadratic_kappa),
        NamedMetric("roc_auc", "ROC AUC", "probabilities", _area, sorted=True),
        NamedMetric(
            "log_loss", "log loss", "probabilities", _mean(_log_losses), larger_is_better=False
        ),
        _top(3),
        _top(5),
        _error("mae", "mean absolute error", _mean(lambda truth, answers: np.abs(truth - answers))),
        _error(
            "rmse",
            "root mean squared error",
            _mean(lambda truth, answers: (truth - answers) ** 2, np.sqrt),
        ),
        NamedMetric("spearman", "rank correlation", "numbers", _rank_correlation, sorted=True),
    )
}

_OTHER_NAMES = {
    "auc": "roc_auc",
    "cohen_kappa": "kappa",
    "f1_macro": "f1",
    "f1_micro": "accuracy",  # the same number, where each row has one class
    "f1_weighted": "weighted_f1",
    "macro_f1": "f1",
    "qwk": "quadratic_kappa",
}


def find_metric(spec: str, answers: Needs = "classes") -> NamedMetric:
    """Return a metric by its name, or one's own as `FILE:function`.

    The function is called as `function(truth, answers)`, both numpy arrays, and returns a number.
    If it calls its second argument `probabilities` it gets these, (N, C). Larger is better, unless
    the file says `function.larger_is_better = False`.

    Args:
        spec: a name (`f1`, `top2_accuracy`; hyphens will do), or `my_metrics.py:score`.
        answers: what a function of one's own gets that does not ask for probabilities.

    Raises:
        ConfigError: there is no such metric, file or function, or the file cannot be run.
    """
    if ".py:" in spec or "/" in spec:
        return _own(spec, answers)
    name = spec.strip().lower().replace("-", "_")
    name = _OTHER_NAMES.get(name, name)
    if top := re.fullmatch(r"top_?(\d+)(_accuracy)?", name):
        return _top(max(1, int(top[1])))
    if name not in NAMED:
        raise ConfigError(
            f"metric {spec}: no such metric; there are {', '.join(NAMED)}, and your own as "
            f"FILE.py:function{suggest(name, [*NAMED, *_OTHER_NAMES])}"
        )
    return NAMED[name]


def _own(spec: str, answers: Needs) -> NamedMetric:
    metric = own.load(spec)

    def of_rows(truth: Array, given: Array) -> OfCounts:
        whole = metric.measure(truth, given)  # it must be a number
        rows = np.arange(len(truth))

        def of_draw(counts: Array) -> float:
            if (counts == 1).all():
                return whole
            drawn = np.repeat(rows, counts)
            return metric.measure_draw(truth[drawn], given[drawn])

        return lambda counts: np.array([of_draw(each) for each in counts])

    return NamedMetric(
        metric.name if metric.name not in NAMED else f"own_{metric.name}",
        metric.name.replace("_", " "),
        "probabilities" if metric.of_probabilities else answers,
        of_rows,
        larger_is_better=metric.larger_is_better,
        resamples=500,  # each a call
    )
