"""What is measured and reported of ratings."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.metrics.metrics import Array, is_known
from common.metrics.named import NAMED
from common.report.html import PictureSaver, Section
from common.runs.conclude import Predictions
from common.runs.job import Outputs, Splits, groups_of
from labs.rnn.sentiment import data
from labs.rnn.sentiment.baselines import choose_rows
from labs.rnn.sentiment.ratings import baselines, report
from labs.rnn.sentiment.ratings.job import Ratings
from labs.rnn.sentiment.ratings.levels import nearest_level
from labs.rnn.sentiment.ratings.task import choose_said, rate
from labs.rnn.sentiment.results import SentimentResults

BESIDE = ("rmse", "spearman", "quadratic_kappa")
"""Metrics beside the mean absolute error."""


class RatingResults(SentimentResults):
    """MAE, RMSE, rank correlation and quadratic kappa, beside ridge regression."""

    job: Ratings

    def figures(self, outputs: Outputs, split: data.Split) -> dict[str, Any]:
        """Return the figures of a split, those of `BESIDE` with their intervals."""
        truth, said, groups = self.job.targets(split), self.job.decide(outputs), groups_of(split)
        found: dict[str, Any] = rate(outputs, truth, self.job.card.levels)
        for name in self._beside():
            known, numbers = self._taken(name, truth, choose_said(outputs, name))
            measured = NAMED[name].measure(known, numbers, groups)
            found[f"{name}_interval"] = [measured.low, measured.high]
        return {**found, **self.job.main_metric.measure(said, truth, groups)}

    def _beside(self) -> list[str]:
        return [name for name in BESIDE if self.job.card.levels or name != "quadratic_kappa"]

    def _taken(self, name: str, *ratings: Array) -> list[Array]:
        """Return ratings (N,) as a metric takes them: for kappa the places of their levels."""
        if NAMED[name].needs != "classes":
            return list(ratings)
        return [nearest_level(each, self.job.card.levels) for each in ratings]

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what constants and ridge regression say."""
        texts = {name: split.texts for name, split in splits.items()}
        ratings = {name: self.job.targets(split) for name, split in splits.items()}
        rows = choose_rows(texts["train"], splits["train"].targets)
        texts["train"] = [texts["train"][row] for row in rows.tolist()]
        ratings["train"] = ratings["train"][rows.numpy()]
        return baselines.predictions(texts, ratings, self.job.card.levels)

    def about_baselines(self) -> str:
        """Say what they see, and what the network says where it has a distribution."""
        said = super().about_baselines()
        if self.job.scale.levels:
            said += (
                " The network says the median of its distribution, which is the answer with the "
                "smallest absolute error; so ridge is rounded to a level, too. Squared errors and "
                "rank correlation are of the mean, and of ridge as it is."
            )
        return said

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Add how the network does against each baseline by the metrics of `BESIDE`."""
        found = super().measure(outputs, splits, baselines)
        test = splits["test"]
        truth, groups = self.job.targets(test), groups_of(test)
        for title, guesses in baselines.items():
            for name in self._beside():
                said = choose_said(outputs["test"], name)
                known, mine, theirs = self._taken(name, truth, said, guesses["test"])
                found["baselines"][title] |= _compare(name, known, mine, theirs, groups)
        return found

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say also how the network does against ridge by the other metrics."""
        said = super().verdict(figures)
        if not figures["baselines"]:
            return said
        return f"{said} {self._of_ridge(figures['baselines'][baselines.RIDGE])}"

    def _of_ridge(self, ridge: Mapping[str, Any]) -> str:
        """Say by which metrics the network is better than ridge as it is."""
        judged: dict[str, list[str]] = {"better": [], "not told apart": [], "worse": []}
        for name in self._beside():
            lead = ridge[f"{name}_lead_interval"]
            low, high = lead if is_known(lead) else (-1, 1)
            judged["better" if low > 0 else "worse" if high < 0 else "not told apart"].append(
                NAMED[name].label
            )
        parts = [f"{how} by {', '.join(names)}" for how, names in judged.items() if names]
        return f"Against ridge as it is the network is {'; '.join(parts)}."

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return the other metrics, where the network errs, and what it reads."""
        return report.rating_sections(
            self.job, outputs, splits["test"], figures, self._beside(), save_picture
        )


def _compare(
    name: str, truth: Array, said: Array, other: Array, groups: Array | None
) -> dict[str, Any]:
    """Return a metric of a baseline with its interval, and the network's lead over it."""
    metric = NAMED[name]
    measured = metric.measure(truth, other, groups)
    lead = metric.compare(truth, said, other, groups)
    sign = 1 if metric.larger_is_better else -1
    ends = np.sort([sign * lead.low, sign * lead.high]).tolist()
    return {
        name: measured.value,
        f"{name}_interval": [measured.low, measured.high],
        f"{name}_lead": sign * lead.difference,
        f"{name}_lead_interval": ends,
    }
