"""Metrics from collected outputs, with intervals: one vocabulary for all labs.

Numpy arrays go in, floats come out. Conventions are scikit-learn's, and scikit-learn or scipy does
the work where it has the function; both are imported inside the functions, so that importing this
module costs no more than numpy. Metrics lie in [0, 1] unless a docstring says otherwise.

Wrong input raises ValueError: no rows, different lengths, NaN or infinite values (the first such
row is named), classes out of range.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.steps import step

Array = NDArray[Any]
Interval = tuple[float, float]

_DRAWN = 100_000  # rows that a bootstrap draws in one call


class Reliability(NamedTuple):
    """A reliability diagram: three arrays of shape (bins,), from confidence 0 to confidence 1."""

    confidence: Array
    """Mean probability of the predicted class; NaN in an empty bin."""
    accuracy: Array
    """Share of the bin's predictions that are right; NaN in an empty bin."""
    counts: Array
    """Number of predictions in the bin."""


class Difference(NamedTuple):
    """A difference of two metrics with its interval."""

    difference: float
    low: float
    high: float


class Written:
    """How values of a metric are written for a person."""

    decimals: int = 4

    def text(self, value: float, sign: str = "") -> str:
        """Write a value of the metric; with `+` for a sign, also that of positive ones."""
        return "-" if value != value else f"{value + 0.0:{sign}.{self.decimals}f}"  # -0.0 is 0

    def interval_text(self, interval: Sequence[float], sign: str = "") -> str:
        """Write an interval of the metric, or of a lead."""
        if not is_known(interval):
            return "unknown"
        return " to ".join(self.text(end, sign) for end in interval)


# --- classification -----------------------------------------------------------------------------


def classification(
    probabilities: Array, targets: Array, top: Sequence[int] = (5,)
) -> dict[str, float]:
    """Return the metrics of a single-label classifier.

    - `accuracy`: of equal probabilities the first class is predicted, as argmax does. `f1_micro`
      is the same number (so are micro precision and recall) and stands under the name in which
      multi-class papers report it.
    - `top5_accuracy`, for each k of `top` below C: the true class is among the k most probable.
    - `balanced_accuracy`: the mean recall of the classes that occur in `targets`.
    - `precision`, `recall`, `f1`: macro means over the classes that occur in `targets` or among
      the predictions; a class never predicted has precision 0, one without samples recall 0.
    - `mrr`: the mean reciprocal rank of the true class.
    - `calibration_error`: see `calibration_error`, with 15 bins.
    - `log_loss`: the mean of -log p(true class) in nats, at least 0; p is clipped at 2e-16.

    In `mrr` and top-k a class tied with the true one stands before it, so a model that finds all
    classes equally probable earns top-k accuracy 0 and the worst rank.

    Args:
        probabilities: (N, C), C at least 2; each row sums to 1 (rounding is evened out).
        targets: (N,) class numbers in [0, C).
        top: the k of each top-k accuracy.

    Example:
        >>> probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
        >>> found = classification(probabilities, np.array([0, 1, 1]))
        >>> round(found["accuracy"], 3), found["balanced_accuracy"]
        (0.667, 0.75)
    """
    from sklearn.metrics import log_loss, precision_recall_fscore_support, recall_score

    probabilities, targets = checked_probabilities(probabilities, targets)
    classes = probabilities.shape[1]
    predictions = probabilities.argmax(axis=1)
    accuracy = float(np.mean(predictions == targets))
    ranks = first_rank(probabilities, targets[:, None] == np.arange(classes))
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predictions, average="macro", zero_division=0
    )
    # Not balanced_accuracy_score: it warns when a class is predicted that `targets` lacks.
    balanced = recall_score(
        targets, predictions, labels=np.unique(targets), average="macro", zero_division=0
    )
    return {
        "accuracy": accuracy,
        **{f"top{k}_accuracy": float(np.mean(ranks <= k)) for k in top if k < classes},
        "balanced_accuracy": float(balanced),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "f1_micro": accuracy,
        "mrr": float(np.mean(1 / ranks)),
        "calibration_error": calibration_error(probabilities, targets),
        "log_loss": float(log_loss(targets, probabilities, labels=np.arange(classes))),
    }


def per_class(
    predictions: Array, targets: Array, classes: Sequence[str]
) -> list[dict[str, str | float | int]]:
    """Return one row per class: class (its name), precision, recall, f1, support (samples).

    Predictions and targets are class numbers, (N,). What is undefined is NaN, for a report to print
    as a dash: the precision of a class never predicted, the recall of a class without samples, the
    f1 of a class with neither.
    """
    from sklearn.metrics import precision_recall_fscore_support

    predictions, targets = checked_classes(predictions, targets, len(classes))
    columns = precision_recall_fscore_support(
        targets, predictions, labels=np.arange(len(classes)), zero_division=np.nan
    )
    return [
        {
            "class": name,
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "support": int(support),
        }
        for name, precision, recall, f1, support in zip(classes, *columns, strict=True)
    ]


def several_labels(probabilities: Array, decided: Array, targets: Array) -> dict[str, float]:
    """Return the metrics of a classifier that gives any number of labels.

    - `f1_micro`: 2 hits / (labels said + true labels), over all samples and classes.
    - `f1`, `precision`, `recall`: macro means over the classes that occur in `targets`.
    - `map`: the mean of their average precisions, which no threshold has a part in.
    - `exact_match`: the share of samples whose labels are all right.
    - `log_loss`: the mean binary cross-entropy in nats, of samples and classes.

    Args:
        probabilities: (N, C), each in [0, 1].
        decided: (N,) rows of truth values, (N, C): which labels are said.
        targets: likewise, which are true.
    """
    from sklearn.metrics import average_precision_score

    decided, targets = decided.astype(bool), targets.astype(bool)
    there = targets.any(0)
    hits, said, true = (decided & targets).sum(0), decided.sum(0), targets.sum(0)
    clipped = probabilities.clip(2e-16, 1 - 2e-16)
    loss = -np.where(targets, np.log(clipped), np.log1p(-clipped)).mean()
    average = [
        average_precision_score(targets[:, each], probabilities[:, each])
        for each in np.flatnonzero(there)
    ]
    shares = {
        "f1": f1_of_counts(hits, said, true),
        "precision": hits / np.maximum(1, said),
        "recall": hits / np.maximum(1, true),
    }
    return {
        "f1_micro": float(f1_of_counts(hits.sum(), said.sum(), true.sum())),
        **{
            name: float(each[there].mean()) if there.any() else math.nan
            for name, each in shares.items()
        },
        "map": float(np.mean(average)) if average else math.nan,
        "exact_match": float((decided == targets).all(1).mean()),
        "log_loss": float(loss),
    }


def f1_of_counts(hits: Array, said: Array, true: Array) -> Array:
    """Return F1, of any shape: 2 hits / (said + true); 0 where nothing is said and nothing true.

    Args:
        hits: how many labels are said and true.
        said: how many are said.
        true: how many are true.
    """
    return np.asarray(2 * hits / np.maximum(1, said + true))


def confusion(predictions: Array, targets: Array, classes: int) -> Array:
    """Return the (C, C) table of counts: rows are true classes, columns predicted ones.

    Example:
        >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), classes=2)
        array([[1, 1],
               [0, 1]])
    """
    from sklearn.metrics import confusion_matrix

    predictions, targets = checked_classes(predictions, targets, classes)
    return np.asarray(confusion_matrix(targets, predictions, labels=np.arange(classes)))


def reliability(probabilities: Array, targets: Array, bins: int = 15) -> Reliability:
    """Return confidence, accuracy and counts in bins of equal width (Guo et al. 2017, section 2).

    "On Calibration of Modern Neural Networks": bin m of M holds the predictions whose confidence,
    the probability of the predicted class, lies in ((m - 1) / M, m / M]. Probabilities are (N, C),
    targets (N,) class numbers.
    """
    probabilities, targets = checked_probabilities(probabilities, targets)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    place = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    counts = np.bincount(place, minlength=bins)
    size = np.where(counts > 0, counts, np.nan)
    return Reliability(
        confidence=np.bincount(place, weights=confidence, minlength=bins) / size,
        accuracy=np.bincount(place, weights=right, minlength=bins) / size,
        counts=counts,
    )


def calibration_error(probabilities: Array, targets: Array, bins: int = 15) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 3).

    The mean distance of accuracy from confidence over the bins of `reliability`, each weighed by
    its predictions: 0 is calibrated, 1 is always certain and always wrong.
    """
    diagram = reliability(probabilities, targets, bins)
    gaps = np.abs(diagram.accuracy - diagram.confidence)
    return float(np.nansum(gaps * diagram.counts) / diagram.counts.sum())


def roc_auc(scores: Array, positive: Array) -> float:
    """Return how probably a positive row has a larger score than another; ties count half.

    The area under the ROC curve, as scikit-learn's `roc_auc_score`, but fast enough for a
    bootstrap: from the ranks (Mann and Whitney 1947). NaN when no row, or each, is positive.

    Args:
        scores: (N,).
        positive: (N,) truth values.
    """
    from scipy.stats import rankdata

    number = int(positive.sum())
    pairs = number * (len(positive) - number)
    if not pairs:
        return float("nan")
    return float((rankdata(scores)[positive].sum() - number * (number + 1) / 2) / pairs)


# --- regression ---------------------------------------------------------------------------------


def regression(predictions: Array, targets: Array) -> dict[str, float]:
    """Return `mae` and `rmse` in units of the targets, `mse` in their square, and `r2`.

    `r2` is at most 1 and may be negative. For constant targets it is scikit-learn's: 1 when every
    prediction is exact, else 0; for a single row it is NaN. With columns, (N, columns) instead of
    (N,) on both sides, each metric but `rmse` is the mean of the columns' metrics; `rmse` is the
    root of `mse`.

    Example:
        >>> found = regression(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
        >>> {name: round(value, 3) for name, value in found.items()}
        {'mae': 0.333, 'mse': 0.333, 'rmse': 0.577, 'r2': 0.5}
    """
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    predictions = checked("predictions", predictions).astype(np.float64)
    targets = checked("targets", targets).astype(np.float64)
    check_same("predictions", predictions.shape, "targets", targets.shape)
    mse = float(mean_squared_error(targets, predictions))
    return {
        "mae": float(mean_absolute_error(targets, predictions)),
        "mse": mse,
        "rmse": mse**0.5,
        "r2": float(r2_score(targets, predictions)) if len(targets) > 1 else float("nan"),
    }


# --- ranking ------------------------------------------------------------------------------------


def ranking(hits: Array, k: int = 10) -> Array:
    """Return average precision, reciprocal rank and NDCG of each query, (Q, 3).

    The reciprocal rank is that of the first relevant item. Of the NDCG gains are 0 or 1, discounts
    log2(rank + 1), and the first k items count.

    Args:
        hits: (Q, N), whether each item is relevant, the first rank at the left; some are in each
            query.
        k: how many items count in the NDCG.

    Example:
        >>> ranking(np.array([[True, False, True]]), k=3).round(3)
        array([[0.833, 1.   , 0.92 ]])
    """
    if hits.ndim != 2 or not hits.any(axis=1).all():
        raise ValueError(
            f"expected hits of shape (queries, items), some in each query; given {hits.shape}, "
            f"with hits in {hits.any(axis=-1).sum()} queries"
        )
    ranks = np.arange(1, hits.shape[1] + 1)
    relevant = hits.sum(1)
    precision = np.cumsum(hits, 1, dtype=np.int32) / ranks
    discounts = 1 / np.log2(ranks[:k] + 1)
    ideal = np.cumsum(discounts)[np.minimum(relevant, len(discounts)) - 1]
    return np.stack(
        [
            (precision * hits).sum(1) / relevant,
            1 / (hits.argmax(1) + 1),
            (hits[:, :k] * discounts).sum(1) / ideal,
        ],
        axis=1,
    )


# --- intervals and tests ------------------------------------------------------------------------


def is_known(interval: Sequence[float | None]) -> bool:
    """Say whether an interval has ends: NaN is none, nor is what JSON makes of it."""
    return all(end is not None and end == end for end in interval)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval (1927) of a proportion; NaN for both when trials is 0.

    Example:
        >>> low, high = wilson(98, 100)
        >>> round(low, 3), round(high, 3)
        (0.93, 0.994)
    """
    from scipy.stats import binomtest

    if trials == 0:
        return float("nan"), float("nan")
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def wilson_of(right: Array) -> Interval:
    """Return Wilson's interval of the share that is right, of (N,) truth values or 0 and 1."""
    return wilson(int(right.sum()), len(right))


class OfDraws:
    """A metric that is resampled many draws at a time, which is faster than one by one.

    mean = OfDraws(lambda values: values.mean(1))
    mean(values)  # a float, as of any metric
    """

    def __init__(self, compute: Callable[..., Array]):
        self.compute = compute  # takes rows of R draws, (R, N, ...) of each array; returns (R,)

    def __call__(self, *arrays: Array) -> float:
        """Return the metric of all rows of each array."""
        return float(self.compute(*(array[None] for array in arrays))[0])


mean = OfDraws(lambda values: values.reshape(len(values), -1).mean(1))


def bootstrap(
    metric: Callable[..., float],
    *arrays: Array,
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
    block: int = 1,
    groups: Array | None = None,
) -> Interval:
    """Return the percentile bootstrap interval of a metric (Efron and Tibshirani 1993, ch. 13).

    Rows are drawn with replacement, the same rows from each array. `metric` runs once per
    resample: where the metric is a mean, pass the rows' values and `mean`, which is fast. The
    interval is NaN when the metric is NaN on a resample, and of a single row or block, which can
    only be drawn again as it is. Rows that follow each other in time and
    depend on their neighbors are drawn in blocks (the moving block bootstrap, Künsch 1989, "The
    jackknife and the bootstrap for general stationary observations").

    Args:
        metric: called with the drawn rows of each array.
        arrays: at least one; the first dimension of each is N.
        seed: the same seed gives the same interval.
        resamples: how many times rows are drawn.
        confidence: the share of the resamples inside the interval.
        block: rows in a block.
        groups: (N,) what each row belongs to, such as a person: whole groups are drawn, since their
            rows depend on each other (the cluster bootstrap, Davison and Hinkley 1997, section
            3.8). None where no row depends on another but its neighbors.

    Example:
        >>> errors = np.random.default_rng(0).exponential(2.0, 400)
        >>> low, high = bootstrap(mean, errors)
        >>> bool(low < errors.mean() < high)
        True
    """
    values = resample(metric, *arrays, seed=seed, resamples=resamples, block=block, groups=groups)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def resample(
    metric: Callable[..., float],
    *arrays: Array,
    seed: int = 0,
    resamples: int = 2000,
    block: int = 1,
    groups: Array | None = None,
) -> Array:
    """Return a metric of each resample that `bootstrap` draws, (resamples,); see there.

    Where rows can only be drawn again as they are it is a single NaN.
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or lengths == {0}:
        given = [len(array) for array in arrays]
        raise ValueError(f"expected arrays of one length, at least 1; given lengths {given}")
    (rows,) = lengths
    if _is_undrawable(rows, block, groups):
        return np.array([math.nan])
    draws = draw_rows(rows, groups=groups, block=block, resamples=resamples, seed=seed)
    values: list[Array] = []
    with step("drawing samples for an interval", resamples) as shown:
        for drawn in draws:
            values.append(_of_draws(metric, arrays, drawn))
            shown.move(shown.done + len(drawn))
    return np.concatenate(values)


def draw_rows(
    rows: int,
    *,
    groups: Array | None = None,
    block: int = 1,
    resamples: int = 2000,
    seed: int | np.random.Generator = 0,
    together: int | None = None,
) -> Iterator[Array]:
    """Yield numbers of rows as `bootstrap` draws them, (R, rows) each; see there.

    Of rows without groups there are `together` draws in each, as many as fit when it is None.
    """
    generator = np.random.default_rng(seed)
    if groups is None:
        return _draws(generator, rows, block, together or max(1, _DRAWN // rows), resamples)
    return _draw_groups(generator, groups, resamples)


def _is_undrawable(rows: int, block: int, groups: Array | None) -> bool:
    """Say whether rows can only be drawn again as they are."""
    return rows <= block or groups is not None and len(np.unique(groups)) == 1


def of_draws(metric: Callable[..., float], array: Array, drawn: Array) -> Array:
    """Return a metric of each of several draws (R, n) of an array's rows, (R,)."""
    return _of_draws(metric, (array,), drawn)


def _of_draws(metric: Callable[..., float], arrays: Sequence[Array], drawn: Array) -> Array:
    if isinstance(metric, OfDraws):
        return metric.compute(*(array[drawn] for array in arrays))
    return np.array([metric(*(array[draw] for array in arrays)) for draw in drawn])


def _draws(
    generator: np.random.Generator, rows: int, block: int, together: int, times: int
) -> Iterator[Array]:
    """Draw as many row numbers as there are rows, in blocks of neighbors, so many times.

    Yields several draws from one call, (R, rows), in the order of a call for each: of few rows,
    that is the greater part of a bootstrap's time.
    """
    for first in range(0, times, together):
        size = min(together, times - first), -(-rows // block)
        starts = generator.integers(rows - block + 1, size=size)
        drawn = starts[:, :, None] + np.arange(block)
        yield drawn.reshape(len(starts), -1)[:, :rows]


def _draw_groups(generator: np.random.Generator, groups: Array, times: int) -> Iterator[Array]:
    """Yield draws of whole groups, (1, rows of them) each."""
    _, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    ordered, ends = np.argsort(numbers, kind="stable"), np.cumsum(sizes)
    for _ in range(times):
        drawn = generator.integers(len(sizes), size=len(sizes))
        number = sizes[drawn]
        # The place of a row among the drawn ones, plus how far its group is moved to there.
        moved = np.repeat(ends[drawn] - np.cumsum(number), number)
        yield ordered[np.arange(len(moved)) + moved][None]


def paired_difference(
    metric: Callable[..., float],
    a: Array,
    b: Array,
    *shared: Array,
    resamples: int = 2000,
    block: int = 1,
    groups: Array | None = None,
) -> Difference:
    """Return `metric(a, *shared) - metric(b, *shared)` with its paired bootstrap interval.

    For "is the network better than the baseline on these rows": an interval that holds 0 does not
    show a difference.

    Args:
        metric: called with rows of a, or of b, and the same rows of each shared array.
        a: outputs of the one, first dimension N.
        b: outputs of the other on the same rows.
        shared: what both are compared with, such as the targets.
        resamples: as in `bootstrap`.
        block: as in `bootstrap`.
        groups: as in `bootstrap`.

    Example:
        >>> right_a, right_b = np.array([1, 1, 1, 0] * 50), np.array([1, 0, 1, 0] * 50)
        >>> found = paired_difference(mean, right_a, right_b)
        >>> found.difference, found.low > 0  # the interval is above 0: a is better
        (0.25, True)
    """
    compared = difference_of(metric)
    low, high = bootstrap(compared, a, b, *shared, resamples=resamples, block=block, groups=groups)
    return Difference(float(compared(a, b, *shared)), low, high)


def difference_of(metric: Callable[..., float]) -> Callable[..., float]:
    """Return the metric of a minus that of b, of (a, b, *shared); `OfDraws` where the metric is."""
    measure = metric.compute if isinstance(metric, OfDraws) else metric

    def difference(a: Array, b: Array, *shared: Array) -> Any:
        return measure(a, *shared) - measure(b, *shared)

    return OfDraws(difference) if isinstance(metric, OfDraws) else difference


def seeds_interval(
    runs: Sequence[Array] | Array,
    others: Sequence[Array] | Array | None = None,
    *,
    metric: Callable[[Array], float] = mean,
    seed: int = 0,
    resamples: int = 2000,
    block: int = 1,
    groups: Array | None = None,
) -> Interval:
    """Return the 95 % bootstrap interval of a metric's mean over runs, or of a difference of two.

    Runs and samples are drawn independently with replacement (Owen 2007, "The pigeonhole
    bootstrap"), so the interval counts both which samples were there to test on and which seeds
    were drawn; of a single run, the samples alone. Of few runs it knows little: three of them show
    less than their spread. It is NaN of a single sample, group or block, as in `bootstrap`.

    Args:
        runs: of each run its rows, (N, ...), such as whether it is right on each sample.
        others: the same of other runs with the same seeds, or of one run, on the same samples, if
            the difference from them is asked for; the same runs and samples are drawn of both.
        metric: called with the drawn rows of a run; `mean`, the default, is fast.
        seed: the same seed gives the same interval.
        resamples: how many times runs and samples are drawn.
        block: as in `bootstrap`.
        groups: as in `bootstrap`.
    """
    number, samples = len(runs), len(runs[0])
    if _is_undrawable(samples, block, groups):
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    draws = draw_rows(
        samples, groups=groups, block=block, resamples=resamples, seed=generator, together=1
    )
    pairs = ((rows, generator.integers(number, size=number)) for rows in draws)
    together = max(1, _DRAWN // samples) if groups is None else 1  # groups are of several sizes
    means: list[float] = []
    while part := list(itertools.islice(pairs, together)):
        drawn, chosen = np.concatenate([rows for rows, _ in part]), np.array([of for _, of in part])
        of_runs = _of_runs(metric, runs, drawn)
        if others is not None:
            of_runs = of_runs - _of_runs(metric, others, drawn)
        means.extend(np.take_along_axis(of_runs, chosen, axis=1).mean(1))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _of_runs(
    metric: Callable[[Array], float], runs: Sequence[Array] | Array, drawn: Array
) -> Array:
    """Return a metric of drawn rows of each run, (R, runs)."""
    return np.stack([_of_draws(metric, (np.asarray(rows),), drawn) for rows in runs], axis=1)


def mcnemar(correct_a: Array, correct_b: Array) -> float:
    """Return the p value of McNemar's exact test (1947) that two classifiers are equally right.

    The two-sided binomial test on the rows, (N,) booleans, of which exactly one classifier is
    right; 1 when there are none.

    Example:
        >>> a, b = np.array([1] * 90 + [0] * 10), np.array([1] * 80 + [0] * 20)
        >>> round(mcnemar(a, b), 4)  # of the ten on which they differ a is right on each
        0.002
    """
    from scipy.stats import binomtest

    a, b = checked("correct_a", correct_a) > 0, checked("correct_b", correct_b) > 0
    check_same("correct_a", a.shape, "correct_b", b.shape)
    discordant = int(np.sum(a != b))
    return float(binomtest(int(np.sum(a & ~b)), discordant).pvalue) if discordant else 1.0


# --- shared pieces ------------------------------------------------------------------------------


def first_rank(scores: Array, relevant: Array) -> Array:
    """Return the rank from 1 of each row's best relevant item, behind irrelevant ones tied with it.

    Args:
        scores: (N, items).
        relevant: (N, items), truth values.
    """
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(1 + np.sum(~relevant & (scores >= best), axis=1))


def checked(name: str, values: ArrayLike) -> Array:
    """Return values as an array of rows.

    Raises:
        ValueError: there are none, or some are not finite.
    """
    array = np.asarray(values)
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(
            f"expected at least one row of {name}, given shape {array.shape}: is the split empty?"
        )
    wrong = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"expected finite {name}, given {array[row]} in row {row} ({wrong.sum()} such of"
            f" {len(array)}): has the training diverged?"
        )
    return array


def check_same(a: str, size_a: object, b: str, size_b: object) -> None:
    """Raise ValueError where two sizes differ."""
    if size_a != size_b:
        raise ValueError(f"expected {a} and {b} of one shape, given {size_a} and {size_b}")


def checked_targets(name: str, values: Array, classes: int) -> Array:
    """Return class numbers, (N,) in [0, classes), as int64; ValueError where they are none."""
    targets = checked(name, values)
    if targets.ndim != 1 or targets.dtype.kind not in "iub":
        raise ValueError(
            f"expected {name} as class numbers of shape (N,), given {targets.dtype} of shape"
            f" {targets.shape}"
        )
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"expected {name} in [0, {classes}), given {low} to {high}: were the classes counted"
            " from 0, and all of them?"
        )
    return targets.astype(np.int64)


def checked_classes(predictions: Array, targets: Array, classes: int) -> tuple[Array, Array]:
    """Return predictions and targets of as many rows, both as `checked_targets` does."""
    predictions = checked_targets("predictions", predictions, classes)
    targets = checked_targets("targets", targets, classes)
    check_same("predictions", predictions.shape, "targets", targets.shape)
    return predictions, targets


def checked_probabilities(probabilities: Array, targets: Array) -> tuple[Array, Array]:
    """Return probabilities (N, C) whose rows sum to 1, and targets; ValueError if they are none."""
    probabilities = checked("probabilities", probabilities).astype(np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            "expected probabilities of shape (N, C) with at least 2 classes, given"
            f" {probabilities.shape}: a binary model's p becomes the two columns 1 - p and p"
        )
    targets = checked_targets("targets", targets, probabilities.shape[1])
    check_same("probabilities", len(probabilities), "targets", len(targets))
    sums = probabilities.sum(axis=1, keepdims=True)
    wrong = (probabilities < 0).any(axis=1) | (np.abs(sums[:, 0] - 1) > 0.01)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"expected rows of probabilities, at least 0 and with sum 1; given {probabilities[row]}"
            f" in row {row}: apply softmax to logits first"
        )
    return probabilities / sums, targets
