"""The job `forecast`: the next values of series, from a window of those before."""

import dataclasses
from pathlib import Path

import numpy as np
from torch import Tensor

from common import training
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Say, Splits
from common.training.batches import Batches
from labs.rnn.forecast import metrics, task
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.data import Card, Windows, by_origin, labelled, load
from labs.rnn.forecast.models import Forecaster


class Forecast(Job[ForecastConfig, Card]):
    """A forecaster; splits are `Windows`.

    Predictions and targets are compared as (origins, K series, H steps), each
    series divided by its naive error, so that their mean absolute difference is the MASE.
    """

    lab = "rnn"
    verb = "forecast"
    remark = "mended or left out"
    config_type = ForecastConfig
    card_type = Card
    conclusion = "labs.rnn.forecast.results:ForecastResults"

    @classmethod
    def load(cls, config: ForecastConfig, card: Card | None = None) -> tuple[Splits, Card]:
        """Load the config's series as windows."""
        return load(config)

    def build_model(self) -> Forecaster:
        """Return the config's forecaster."""
        return task.build_model(self.config)

    def task(self, splits: Splits) -> task.Forecasting:
        """Return the task of the config."""
        return task.Forecasting(self.config)

    def batches(self, split: Windows, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        return task.batches(self.config, split, self.compute, training=training)

    def work(self) -> int:
        """Count one step of the recurrence over a batch; the steps wait for one another."""
        weights = sum(p.numel() for p in self.model.parameters() if p.ndim > 1)
        return weights * (self.config.micro_batch or self.config.batch_size)

    @property
    def main_metric(self) -> MainMetric:
        """The mean absolute scaled error."""
        return metrics.main_metric(self.block)

    @property
    def block(self) -> int:
        """Neighboring origins that the bootstrap draws together."""
        origins = self.card.counts["test"] // len(self.card.names)
        return metrics.block_length(origins, self.config.horizon)

    def arrange(self, outputs: Outputs) -> dict[str, Array]:
        """Return what the task collected, (N, ...), as float64 (origins, K, ...)."""
        origins, series = outputs["place"].numpy().T
        return {
            name: by_origin(values.numpy(), origins, series, len(self.card.names))
            for name, values in outputs.items()
            if name != "place"
        }

    def decide(self, outputs: Outputs) -> Array:
        """Return the scaled forecasts (origins, K, H)."""
        found = self.arrange(outputs)
        return np.asarray(found["forecasts"][..., self.config.middle] / found["naive"])

    def targets(self, split: Windows) -> Array:
        """Return the scaled truth (origins, K, H)."""
        return split.by_origin(split.truth / split.naive[:, None])

    def answers(self, inputs: Tensor) -> Outputs:
        """Return scaled forecasts (N, H, outputs) of scaled windows (N, W)."""
        batches = Batches((inputs,), task.EVALUATION_BATCH, compute=self.compute)
        return training.infer(self.model, task.Answers(), batches, self.compute)

    def labelled(self, path: Path, say: Say) -> Windows:
        """Return all windows of the run's series in a user's table, scaled as in training."""
        return labelled(dataclasses.replace(self.config, data=str(path)), self.card, say)
