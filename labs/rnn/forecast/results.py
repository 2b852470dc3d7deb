"""What is measured and reported of a trained forecaster."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits
from labs.rnn.forecast import baselines, metrics, report
from labs.rnn.forecast.baselines import LINE
from labs.rnn.forecast.data import Windows
from labs.rnn.forecast.job import Forecast


class ForecastResults(Conclusion[Forecast]):
    """Scaled errors, step by step, beside persistence and others that know no network."""

    def figures(self, outputs: Outputs, split: Windows) -> dict[str, Any]:
        """Return MASE, MAE, RMSE and sMAPE, and how good the intervals are."""
        job = self.job
        config, naive = job.config, np.array(job.card.naive)
        forecasts, truth = job.arrange(outputs)["forecasts"], split.by_origin(split.truth)
        found = metrics.figures(forecasts[..., config.middle], truth, naive, job.block)
        if config.levels:
            found |= metrics.intervals(forecasts, truth, naive, config.levels, job.block)
        return found

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return the scaled forecasts of each baseline, (origins, K, H)."""
        job = self.job
        found = baselines.forecasts(splits, job.card.period)
        return {
            name: {
                part: splits[part].by_origin(values / splits[part].naive[:, None])
                for part, values in parts.items()
            }
            for name, parts in found.items()
        }

    def about_baselines(self) -> str:
        """Say what they know, and how the intervals are made."""
        job, config = self.job, self.job.config
        return (
            "Persistence says that nothing changes; the seasonal one, that the last season comes "
            f"again (of {job.card.period} values"
            f"{'' if config.period else ', chosen on training'}); drift goes on along the "
            f"line from the first {'logarithm' if config.log else 'value'} to the last one "
            "known; the linear autoregression is a ridge regression on the same windows, its "
            "penalty chosen on validation. Forecasts are made at every origin of the test part. "
            "Their windows overlap, so the bootstrap draws blocks of "
            f"{job.block} neighboring origins."
        )

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Return what `Conclusion.measure` does, and the test figures of each step ahead.

        `steps` holds those of the network, `steps_mase` the MASE of the network and each baseline.
        """
        job = self.job
        if job.handed_out == LINE:  # of a run made before: to the bit, in float32
            itself = {name: job.decide(outputs[name]) for name in ("validation", "test")}
            baselines = {**baselines, LINE: itself}
        test, truth = job.arrange(outputs["test"]), splits["test"].by_origin(splits["test"].truth)
        middle, naive = test["forecasts"][..., job.config.middle], np.array(job.card.naive)
        steps = metrics.by_step(middle, truth, naive, job.block)
        scaled = job.targets(splits["test"])
        others = {
            name: np.nanmean(np.abs(parts["test"] - scaled), axis=(0, 1)).tolist()
            for name, parts in baselines.items()
        }
        return {
            **super().measure(outputs, splits, baselines),
            **({"handed_out": job.handed_out, "choice": job.choice} if job.config.linear else {}),
            "steps": steps,
            "steps_mase": {job.config.title: steps["mase"], **others},
        }

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what is handed out, what came out, and plainly whether it beats persistence."""
        against_persistence = report.against_persistence(self.job, figures)
        if not self.job.config.linear:
            return f"{super().verdict(figures)} {against_persistence}"
        name = figures["handed_out"]
        if name == LINE:
            others = {key: each for key, each in figures["baselines"].items() if key != LINE}
            figures = {**figures, "baselines": others}
        verdict = self.job.main_metric.verdict(figures, f"the {name}")
        return (
            f"{report.handed_out(figures)} {verdict[0].upper()}{verdict[1:]} {against_persistence}"
        )

    def table(self, figures: Mapping[str, Any]) -> list[list[str]]:
        """Return the rows of `Conclusion.table`; the first says what is handed out."""
        first, *others = super().table(figures)
        if self.job.config.linear:
            first = [f"handed out: {figures['handed_out']}", *first[1:]]
        return [first, *others]

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return the forecasts, and where and when they err."""
        return report.sections(self.job, outputs, splits["test"], figures, save_picture)
