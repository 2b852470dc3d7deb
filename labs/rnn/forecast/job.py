"""The job `forecast`: the next values of series, from a window of those before."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common import training
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array, paired_difference
from common.runs.job import Job, Outputs, Prepared, Say, Splits, Suited
from common.training.batches import Batches
from labs.rnn.forecast import metrics, task
from labs.rnn.forecast.baselines import LINE, Line, mix_lines
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.data import Windows, by_origin, labelled, levels, load
from labs.rnn.forecast.models import AfterLine, Forecaster
from labs.rnn.forecast.scaling import Card, Scaling, scale, unscale
from labs.rnn.forecast.series.find import find, is_path
from labs.rnn.forecast.suited import suit

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the network, the smallest first
MIX = "mean of linear forecasts"
_CHOICE = "share"
_DAY = 24 * 3600  # seconds


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
    submission = "labs.rnn.forecast.predictions:SeriesSubmission"
    exporter = "labs.rnn.export.series:SeriesExporter"
    page = "labs.rnn.live.forecast.view:write"
    _line: Line | None = None  # that the model begins from, once it is fitted

    @classmethod
    def load(cls, config: ForecastConfig, card: Card | None = None) -> tuple[Splits, Card]:
        """Load the config's series as windows; of a run that is there, split as they were."""
        return load(config, card)

    @classmethod
    def suited(cls, config: ForecastConfig) -> Suited[ForecastConfig]:
        """Choose season, window, horizon, scale, model and budget for a user's own series."""
        if not is_path(config.data):
            return Suited(config)
        return Suited(*suit(config, find(config)))

    def build_model(self) -> Forecaster | AfterLine:
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

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Give the model its line, where it begins from one."""
        if isinstance(self.model, AfterLine):
            self._line = self._line or mix_lines(splits, self.seasons)
            self.model.draw(self._line.weight, self._line.bias)

    @contextlib.contextmanager
    def prepare(self, splits: Splits, say: Say) -> Iterator[Prepared]:
        """Yield what the model trains with; then choose how much of the network is handed out."""
        with super().prepare(splits, say) as prepared:
            yield prepared
        if isinstance(self.model, AfterLine):
            self._choose_share(self.model, splits["validation"])
            say(f"handed out, as chosen on validation: {self.handed_out}")

    @property
    def choice(self) -> dict[str, Any]:
        """What `train` found of each share of the network, and took."""
        found: dict[str, Any] = self.run.read(_CHOICE)
        return found

    @property
    def seasons(self) -> list[int]:
        """How many values the seasons have: that of the card, and of hours in a day a week."""
        period = self.card.period
        of_a_day = self.card.spacing[0] == "second" and period * self.card.spacing[1] == _DAY
        return [period, 7 * period] if of_a_day else [period]

    @property
    def is_line(self) -> bool:
        """Whether the line alone makes the forecasts."""
        return isinstance(self.model, AfterLine) and float(self.model.share) == 0

    @property
    def line(self) -> str:
        """What the network begins from; of runs made before, the linear autoregression alone."""
        return MIX if "line" in self.choice else LINE

    @property
    def handed_out(self) -> str:
        """What makes the forecasts: the network, the line that it begins from, or both."""
        if not isinstance(self.model, AfterLine):
            return self.config.title
        if self.is_line:
            return self.line
        share = float(self.model.share)
        part = "" if share == 1 else f"{share:g} of "
        return f"{self.line} + {part}{self.config.cell}-{self.config.strategy}"

    def _choose_share(self, model: AfterLine, validation: Windows) -> None:
        """Take the share with the least MASE on validation; 0 where that may be chance.

        It may be where the 95 % interval of the lead over the line alone holds 0, or is not known.
        """
        targets, errors = self.targets(validation), dict[float, Array]()
        for share in SHARES:
            model.share.fill_(share)
            outputs = self.predict_splits({"validation": validation}, ["validation"])
            errors[share] = self.main_metric.statistics(self.decide(outputs["validation"]), targets)
        mase = {share: self.main_metric.compute(rows) for share, rows in errors.items()}
        best = min(mase, key=mase.__getitem__)
        lead = paired_difference(
            self.main_metric.compute,
            errors[0],
            errors[best],
            block=metrics.block_length(len(targets), self.config.horizon),
        )
        share = best if lead.low > 0 else 0.0
        model.share.fill_(share)
        choice = {
            "share": share,
            "line": self._line.shares if self._line else {},
            "best": best,
            "lead": lead.difference,
            "lead_interval": [lead.low, lead.high],
            "validation_mase": {f"{each:g}": value for each, value in mase.items()},
        }
        self.run.write(_CHOICE, choice)

    @property
    def main_metric(self) -> MainMetric:
        """The mean absolute scaled error."""
        return metrics.main_metric(self.block)

    @property
    def _levels(self) -> Array:
        """What the task's forecasts and truth of each series are relative to, (K,)."""
        return levels(np.array(self.card.centers), np.array(self.card.naive), self.config.log)

    @property
    def block(self) -> int:
        """Neighboring origins that the bootstrap draws together."""
        origins = self.card.counts["test"] // len(self.card.names)
        return metrics.block_length(origins, self.config.horizon)

    def arrange(self, outputs: Outputs) -> dict[str, Array]:
        """Return what the task collected, (N, ...), as float64 (origins, K, ...).

        Forecasts and truth are then in units of the series.
        """
        origins, series = outputs["place"].numpy().T
        found = {
            name: by_origin(values.numpy(), origins, series, len(self.card.names))
            for name, values in outputs.items()
            if name != "place"
        }
        found["truth"] += self._levels[:, None]
        found["forecasts"] += self._levels[:, None, None]
        return found

    def decide(self, outputs: Outputs) -> Array:
        """Return the scaled forecasts (origins, K, H)."""
        found = self.arrange(outputs)
        level = self._levels[:, None]
        moved = found["forecasts"][..., self.config.middle] - level
        return np.asarray(moved / found["naive"] + level / np.array(self.card.naive)[:, None])

    def targets(self, split: Windows) -> Array:
        """Return the scaled truth (origins, K, H)."""
        return split.by_origin(split.truth / split.naive[:, None])

    def answers(self, inputs: Tensor) -> Outputs:
        """Return scaled forecasts (N, H, outputs) of scaled windows (N, W)."""
        batches = Batches((inputs,), task.EVALUATION_BATCH, compute=self.compute)
        return training.infer(self.model, task.Answers(), batches, self.compute)

    def forecast(self, windows: Array, centers: Array, factors: Array) -> Array:
        """Return forecasts (N, H, outputs), float64, of windows (N, W), in the series' own units.

        Centers and factors (N,) are those of `Scaling`.
        """
        config = self.config
        scaling = Scaling(config.log, config.difference, centers, factors)
        offsets = scaling.offsets(windows, np.arange(len(windows)))
        inputs = torch.from_numpy(scale(windows, offsets, factors, config.log))
        scaled = self.answers(inputs)["forecasts"].numpy()
        return unscale(scaled, offsets, factors, config.log)

    def labelled(self, path: Path, say: Say, **written: Any) -> Windows:
        """Return all windows of the run's series in a user's table, scaled as in training."""
        return labelled(self.config.of_file(path, **written), self.card, say)
