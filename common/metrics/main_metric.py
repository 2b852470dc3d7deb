"""The network compared with baselines on the same samples, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.metrics import metrics
from common.metrics.metrics import Array, Interval, OfDraws, Written


@dataclass(frozen=True)
class MainMetric(Written):
    """The metric by which a network is compared with baselines.

    Example:
        >>> accuracy = MainMetric(
        ...     "accuracy", "accuracy", lambda said, true: said == true, np.mean,
        ...     interval=metrics.wilson_of, classes=True,
        ... )
        >>> found = accuracy.measure(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]))
        >>> found["accuracy"], [round(end, 2) for end in found["accuracy_interval"]]
        (0.75, [0.3, 0.95])
    """

    name: str  # as in metrics.json and history, such as `balanced_accuracy`
    label: str  # the same for a person, with its unit where it has one
    statistics: Callable[[Array, Array], Array]
    """What each sample adds to the metric, (N, ...), from (predictions, targets)."""
    compute: Callable[[Array], float]  # the metric from the statistics of any rows
    larger_is_better: bool = True
    interval: Callable[[Array], Interval] | None = None
    """The 95 % interval of the metric from its statistics; a bootstrap when None."""
    block: int = 1  # neighboring rows that are drawn together, where they overlap in time
    classes: bool = False
    """Whether predictions are classes, right or wrong, to which McNemar's test applies."""
    resamples: int = 2000  # of each bootstrap; fewer where the metric takes long
    decimals: int = 4  # with which it is shown

    def value(self, predictions: Array, targets: Array) -> float:
        """Return the metric of some predictions without an interval."""
        return float(self.compute(self.statistics(predictions, targets)))

    def measure(
        self, predictions: Array, targets: Array, groups: Array | None = None
    ) -> dict[str, Any]:
        """Return the metric of some predictions, and under `NAME_interval` its interval.

        Args:
            predictions: (N, ...), as the metric takes them.
            targets: what is true, (N, ...).
            groups: (N,) what each sample belongs to, which is drawn as a whole.
        """
        return self._measured(self.statistics(predictions, targets), groups)

    def compare(
        self,
        network: Mapping[str, Array],
        baselines: Mapping[str, Mapping[str, Array]],
        targets: Mapping[str, Array],
        groups: Array | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Measure baselines, and the network's lead over each.

        Args:
            network: its predictions for `validation` and `test`.
            baselines: likewise, by the baseline's name.
            targets: what is true.
            groups: of the test split, as in `measure`.

        Returns:
            For each baseline its metric on the test split with the interval, the metric on
            validation, and the network's lead, positive where the network is better, with the
            interval of a paired bootstrap. Of classes without groups also the p value of McNemar's
            test, and how many samples the network alone and the baseline alone get right.
        """
        mine = self.statistics(network["test"], targets["test"])
        sign = 1 if self.larger_is_better else -1
        found = {}
        for name, guesses in baselines.items():
            theirs = self.statistics(guesses["test"], targets["test"])
            validation = self.statistics(guesses["validation"], targets["validation"])
            lead = metrics.paired_difference(
                self.compute,
                mine,
                theirs,
                block=self.block,
                groups=groups,
                resamples=self.resamples,
            )
            found[name] = {
                **self._measured(theirs, groups),
                f"validation_{self.name}": float(self.compute(validation)),
                "lead": sign * lead.difference,
                "lead_interval": sorted([sign * lead.low, sign * lead.high]),
            }
            if self.classes and groups is None:  # the test takes samples as independent
                right, other = (each["test"] == targets["test"] for each in (network, guesses))
                alone = [int((right & ~other).sum()), int((other & ~right).sum())]
                found[name] |= {"mcnemar_p": metrics.mcnemar(right, other), "right_alone": alone}
        return found

    def measure_runs(self, runs: Sequence[Array], groups: Array | None = None) -> dict[str, Any]:
        """Return the mean metric of runs that differ in their seeds, its interval, and of each run.

        Args:
            runs: the statistics of each.
            groups: as in `measure`.
        """
        each = [float(self.compute(rows)) for rows in runs]
        return {
            self.name: float(np.mean(each)),
            f"{self.name}_interval": list(self._seeds_interval(runs, None, groups)),
            f"{self.name}_of_seeds": each,
        }

    def compare_runs(
        self, runs: Sequence[Array], others: Sequence[Array], groups: Array | None = None
    ) -> dict[str, Any]:
        """Return how much better runs are than others, positive where they are, and the interval.

        Args:
            runs: the statistics of each.
            others: likewise, of the same samples: runs with the same seeds, or a single one.
            groups: as in `measure`.
        """
        sign = 1 if self.larger_is_better else -1
        ours, theirs = (np.array([self.compute(rows) for rows in each]) for each in (runs, others))
        found = (float((ours - theirs).mean()), *self._seeds_interval(runs, others, groups))
        difference, *ends = (sign * value + 0.0 for value in found)  # of -0.0 that is 0.0
        return {"difference": difference, "difference_interval": sorted(ends)}

    def _seeds_interval(
        self, runs: Sequence[Array], others: Sequence[Array] | None, groups: Array | None
    ) -> Interval:
        return metrics.seeds_interval(
            runs,
            others,
            metric=self.compute,
            resamples=self.resamples,
            block=self.block,
            groups=groups,
        )

    def _measured(self, statistics: Array, groups: Array | None = None) -> dict[str, Any]:
        if self.interval is not None and groups is None:
            low, high = self.interval(statistics)
        else:
            low, high = metrics.bootstrap(
                self.compute,
                statistics,
                block=self.block,
                groups=groups,
                resamples=self.resamples,
            )
        return {self.name: float(self.compute(statistics)), f"{self.name}_interval": [low, high]}

    def verdict(self, found: Mapping[str, Any], model: str) -> str:
        """Say in two sentences what came out, and whether the network beats the best baseline.

        Args:
            found: what metrics.json holds.
            model: its name.
        """
        test = found["test"]
        interval = self.interval_text(test[f"{self.name}_interval"])
        figure = (
            f"{model} has a test {self.label} of {self.text(test[self.name])} "
            f"(95 % interval {interval})."
        )
        if not found["baselines"]:  # a member of a comparison is compared with the others
            return figure
        best_name, best = min(found["baselines"].items(), key=lambda entry: entry[1]["lead"])
        lead, interval = self.text(best["lead"], "+"), best["lead_interval"]
        of_both = self._mcnemar(best, best_name, model) if "mcnemar_p" in best else ""
        return (
            f"{figure} "
            f"The best baseline, {best_name}, has {self.text(best[self.name])}; "
            f"the lead over it is {lead} ({self.interval_text(interval, '+')}), so "
            f"{_judgment(interval, model)}.{of_both}"
        )

    def _mcnemar(self, best: Mapping[str, Any], name: str, model: str) -> str:
        """Say what McNemar's test says, of which figure it is, and which way it points."""
        mine, theirs = best["right_alone"]
        points = "shows no difference"
        if shown := best["mcnemar_p"] < 0.05:
            points = f"speaks for {model if mine > theirs else name}"
        said = (
            f" By plain accuracy, {mine:,} samples are right with {model} alone, {theirs:,} with "
            f"{name} alone: McNemar's test gives p = {best['mcnemar_p']:.2g}, which {points}."
        )
        low, high = best["lead_interval"]
        agrees = not shown or (low > 0 if mine > theirs else high < 0)
        if not agrees and self.name != "accuracy":
            said += (
                f" The two disagree: {self.label} weighs each class alike, accuracy each sample."
            )
        return said


def _judgment(interval: Sequence[float], model: str) -> str:
    """Say what the interval of a model's lead shows."""
    if not metrics.is_known(interval):
        return f"whether {model} beats it is not known: the test split is too small to tell"
    low, high = interval
    if low > 0:
        return f"{model} beats it"
    if high < 0:
        return f"{model} does not beat it: it is worse"
    return f"{model} does not beat it: the interval holds 0"


def _correct(predictions: Array, targets: Array) -> Array:
    return np.asarray(predictions == targets, np.float64)


def _absolute_error(predictions: Array, targets: Array) -> Array:
    return np.asarray(np.abs(predictions - targets))


def _class_and_correct(predictions: Array, targets: Array) -> Array:
    return np.stack([targets, predictions == targets], 1).astype(np.int64)


def _mean_recall(rows: Array) -> Array:
    classes = int(rows[..., 0].max()) + 1
    places = 2 * (rows[..., 0] + classes * np.arange(len(rows))[:, None]) + rows[..., 1]
    counts = np.bincount(places.ravel(), minlength=2 * classes * len(rows))
    wrong, right = np.moveaxis(counts.reshape(len(rows), classes, 2), 2, 0)
    return _mean_share(right, wrong + right)


ACCURACY = MainMetric(
    "accuracy", "accuracy", _correct, metrics.mean, interval=metrics.wilson_of, classes=True
)
BALANCED_ACCURACY = MainMetric(
    "balanced_accuracy",
    "balanced accuracy",
    _class_and_correct,
    OfDraws(_mean_recall),
    classes=True,
)


def _mean_share(right: Array, total: Array) -> Array:
    """Return the mean over classes (..., C) of the share that is right, without absent ones."""
    recalls = np.divide(right, total, out=np.zeros(total.shape), where=total > 0)
    return np.asarray(recalls.sum(-1) / (total > 0).sum(-1))


def _hits(predictions: Array, targets: Array) -> Array:
    """Return how many labels of each sample are said and true, said, and true, (N, 3)."""
    return np.stack([(predictions & targets).sum(1), predictions.sum(1), targets.sum(1)], 1).astype(
        np.int64
    )


def _f1_of_hits(rows: Array) -> Array:
    return metrics.f1_of_counts(*np.moveaxis(rows.sum(-2), -1, 0))


F1_MICRO = MainMetric("f1_micro", "micro F1", _hits, OfDraws(_f1_of_hits))

MAE = MainMetric(
    "mae", "mean absolute error", _absolute_error, metrics.mean, larger_is_better=False
)
