"""Ensembles of classifiers of texts, and of forecasts."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.ensembles.forms import Classes, Form, Numbers, Truth
from common.ensembles.members import Member
from common.ensembles.together import Seen, Together
from common.errors import DataError, RunError
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options.terminal import once
from common.runs.job import Outputs, Say
from labs.rnn.forecast import metrics
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.scaling import Card as SeriesCard
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.data import Card
from labs.rnn.sentiment.job import Sentiment

_FOLDS = (5, 2)  # blocks of origins, tried one after the other
_LEAST = 2  # horizons in a block


class TextsTogether(Together[SentimentConfig, Card], Sentiment):
    """Classifiers of texts, or those that rate them, together; each has its own words."""

    kind = Sentiment

    @classmethod
    def form_of(cls, members: Sequence[Member]) -> Form:
        """Return the form of classes or numbers."""
        first = members[0].jobs[0]
        return (Numbers if first.config.numeric else Classes)(first.main_metric)

    @property
    def conclusion(self) -> str:  # type: ignore[override]
        """What measures them: that of the members."""
        found: str = self.members[0].jobs[0].conclusion
        return found

    @property
    def main_metric(self) -> MainMetric:
        """The metric of the members."""
        found: MainMetric = self.members[0].jobs[0].main_metric
        return found

    def decide(self, outputs: Outputs) -> Array:
        """Return classes or ratings, (N,)."""
        found: Array = self.members[0].jobs[0].decide(outputs)
        return found


class Forecasts(Form):
    """Forecasts of each origin, (origins, K series, H steps, Q), over the naive errors.

    Args:
        job: the first member's.
    """

    name = "forecasts"
    of_folds = False

    def __init__(self, job: Forecast):
        super().__init__(job.main_metric)
        self._config, self._naive = job.config, np.array(job.card.naive)
        self.overlap = job.config.horizon - 1

    def values(self, job: Any, outputs: Outputs, split: Any = None) -> Array:
        """Return the forecasts over the naive errors."""
        found = job.arrange(outputs)["forecasts"]
        return np.asarray(found / self._naive[:, None, None])

    def outputs(self, values: Array) -> Outputs:
        """Return them as they are; see `SeriesTogether.arrange`."""
        return {"forecasts": torch.from_numpy(values)}

    def decide(self, values: Array) -> Array:
        """Return the medians, or the only forecasts, (origins, K, H)."""
        return np.asarray(values[..., self._config.middle])

    def metric_of(self, samples: int) -> MainMetric:
        """Return the MASE, whose bootstrap draws blocks of so many origins."""
        return metrics.main_metric(self._block(samples))

    def figures(self, values: Array, targets: Array) -> dict[str, Any]:
        """Return MASE, MAE, RMSE and sMAPE, and how good the intervals are."""
        naive, levels, block = self._naive, self._config.levels, self._block(len(values))
        forecasts, truth = values * naive[:, None, None], targets * naive[:, None]
        found = metrics.figures(self.decide(forecasts), truth, naive, block)
        return found | (metrics.intervals(forecasts, truth, naive, levels, block) if levels else {})

    def details(self, values: Array, targets: Array) -> dict[str, list[float]]:
        """Return the MASE of each step ahead."""
        return {"steps": np.nanmean(np.abs(self.errors(values, targets)), (0, 1)).tolist()}

    def cut(self, truth: Truth, seed: int) -> Array | None:
        """Return the block of each origin, (origins,): neighbors share most of what is true."""
        origins = len(truth.targets)
        for folds in _FOLDS:
            if origins // folds >= _LEAST * self._config.horizon:
                return np.arange(origins) * folds // origins
        return None

    def _block(self, origins: int) -> int:
        return metrics.block_length(origins, self._config.horizon)


class SeriesTogether(Together[ForecastConfig, SeriesCard], Forecast):
    """Forecasts that are made together; each sees windows of its own length, at its own scale."""

    kind = Forecast

    @classmethod
    def form_of(cls, members: Sequence[Member]) -> Form:
        """Return the form of forecasts."""
        return Forecasts(members[0].jobs[0])

    @classmethod
    def check_fit(cls, other: Forecast, first: Forecast) -> None:
        """Refuse a run that foretells something else, or at other dates."""
        for what, mine, theirs in (
            ("--horizon", first.config.horizon, other.config.horizon),
            ("--quantiles", _write(first.config.levels), _write(other.config.levels)),
            ("the series", ", ".join(first.card.names), ", ".join(other.card.names)),
            ("the split", _describe_split(first.card.spans), _describe_split(other.card.spans)),
        ):
            if mine != theirs:
                raise RunError(
                    f"{other.run.path} does not foretell what {first.run.path} does: {what} "
                    f"{theirs} instead of {mine}"
                )
        if other.card.fingerprint != first.card.fingerprint:
            raise RunError(f"{other.run.path} was trained on other data than {first.run.path}")

    def arrange(self, outputs: Outputs) -> dict[str, Array]:
        """Return the forecasts (origins, K, H, Q) in units of the series."""
        naive = np.array(self.card.naive)[:, None, None]
        return {"forecasts": outputs["forecasts"].numpy() * naive}

    def decide(self, outputs: Outputs) -> Array:
        """Return the scaled forecasts (origins, K, H)."""
        return self.form.decide(outputs["forecasts"].numpy())

    def labelled(self, path: Path, say: Say, **written: Any) -> Any:
        """Return a user's series as each member sees them, at the origins that all can see."""
        say = once(say)
        views = [member.jobs[0].labelled(path, say, **written) for member in self.members]
        places = [view.origins * len(view.panel.names) + view.series for view in views]
        shared = functools.reduce(np.intersect1d, places)
        if not len(shared):
            raise DataError(f"--data {path}: has no origin at which all members have a window")
        return Seen(
            [view.select(np.isin(own, shared)) for view, own in zip(views, places, strict=True)]
        )


def _write(levels: Sequence[float]) -> str:
    return ",".join(f"{level:g}" for level in levels) or "none"


def _describe_split(spans: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} {begin} to {end}" for name, (begin, end) in spans.items())
