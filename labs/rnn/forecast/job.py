"""The job `forecast`: the next values of series, from a window of those before."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.metrics.main_metric import Array, MainMetric
from common.report.html import PictureSaver, Section
from common.runs.job import Job, Outputs, Splits
from common.training.batches import Batches
from labs.rnn.forecast import baselines, metrics, report, task
from labs.rnn.forecast.config import EMBEDDED, ForecastConfig
from labs.rnn.forecast.data import Card, Windows, by_origin, load
from labs.rnn.forecast.models import Forecaster


class Forecast(Job[ForecastConfig, Card]):
    """A forecaster; splits are `Windows`.

    Predictions and targets are held against each other as (origins, K series, H steps), each
    series divided by its naive error, so that their mean absolute difference is the MASE.
    """

    lab = "rnn"
    verb = "forecast"
    remark = "mended or left out"
    config_type = ForecastConfig
    card_type = Card
    paths = {"data": EMBEDDED}

    @classmethod
    def load(cls, config: ForecastConfig) -> tuple[Splits, Card]:
        """Load the config's series as windows."""
        return load(config)

    def build_model(self) -> Forecaster:
        """Return the config's forecaster."""
        self.initialize()
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
    def title(self) -> str:
        """The cell and the strategy."""
        return f"{self.config.cell}-{self.config.strategy}"

    @property
    def main_metric(self) -> MainMetric:
        """The mean absolute scaled error."""
        return metrics.main_metric(self.block)

    @property
    def block(self) -> int:
        """Neighboring origins that the bootstrap draws together."""
        origins = self.card.counts["test"] // len(self.card.names)
        return metrics.block_length(origins, self.config.horizon)

    def arranged(self, outputs: Outputs) -> dict[str, Array]:
        """Return what the task collected, (N, ...), as float64 (origins, K, ...)."""
        origins, series = outputs["place"].numpy().T
        return {
            name: by_origin(values.numpy(), origins, series, len(self.card.names))
            for name, values in outputs.items()
            if name != "place"
        }

    def decide(self, outputs: Outputs) -> Array:
        """Return the scaled forecasts (origins, K, H)."""
        found = self.arranged(outputs)
        return np.asarray(found["forecasts"][..., self.config.middle] / found["naive"])

    def targets(self, split: Windows) -> Array:
        """Return the scaled truth (origins, K, H)."""
        return split.by_origin(split.truth / split.naive[:, None])

    def figures(self, outputs: Outputs, split: Windows) -> dict[str, Any]:
        """Return MASE, MAE, RMSE and sMAPE, and how good the intervals are."""
        forecasts, truth = self.arranged(outputs)["forecasts"], split.by_origin(split.truth)
        naive = np.array(self.card.naive)
        found = metrics.figures(forecasts[..., self.config.middle], truth, naive, self.block)
        if self.config.levels:
            found |= metrics.intervals(forecasts, truth, naive, self.config.levels, self.block)
        return found

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return the scaled forecasts of each baseline, (origins, K, H)."""
        found = baselines.forecasts(splits, self.card.period)
        return {
            name: {
                part: splits[part].by_origin(values / splits[part].naive[:, None])
                for part, values in parts.items()
            }
            for name, parts in found.items()
        }

    def about_baselines(self) -> str:
        """Say what they know, and how the intervals are made."""
        return (
            "Persistence says that nothing changes; the seasonal one, that the last season comes "
            f"again (its {self.card.period} values were "
            f"{'given' if self.config.period else 'chosen on training'}); drift goes on along the "
            f"line from the first {'logarithm' if self.config.log else 'value'} to the last one "
            "known; the linear autoregression is a ridge regression on the same windows, its "
            "penalty chosen on validation. Forecasts are made at every origin of the test part. "
            "Their windows overlap, so the bootstrap draws blocks of "
            f"{self.block} neighboring origins."
        )

    def measure(self, outputs: Mapping[str, Outputs], splits: Splits) -> dict[str, Any]:
        """Return what `Job.measure` does, and the test figures of each step ahead.

        `steps` holds those of the network, `steps_mase` the MASE of the network and each baseline.
        """
        test, truth = self.arranged(outputs["test"]), splits["test"].by_origin(splits["test"].truth)
        middle, naive = test["forecasts"][..., self.config.middle], np.array(self.card.naive)
        steps = metrics.by_step(middle, truth, naive, self.block)
        scaled = self.targets(splits["test"])
        others = {
            name: np.nanmean(np.abs(parts["test"] - scaled), axis=(0, 1)).tolist()
            for name, parts in self.baselines(splits).items()
        }
        return {
            **super().measure(outputs, splits),
            "steps": steps,
            "steps_mase": {self.title: steps["mase"], **others},
        }

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, and plainly whether the network beats persistence."""
        return f"{super().verdict(figures)} {report.against_persistence(self, figures)}"

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return the forecasts, and where and when they err."""
        return report.sections(self, outputs, splits["test"], figures, save_picture)
