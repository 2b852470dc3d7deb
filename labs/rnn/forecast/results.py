"""What is measured and reported of a trained forecaster."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits
from labs.rnn.forecast import baselines, metrics, report
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
            f"again (its {job.card.period} values were "
            f"{'given' if config.period else 'chosen on training'}); drift goes on along the "
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
            "steps": steps,
            "steps_mase": {job.config.title: steps["mase"], **others},
        }

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, and plainly whether the network beats persistence."""
        return f"{super().verdict(figures)} {report.against_persistence(self.job, figures)}"

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return the forecasts, and where and when they err."""
        return report.sections(self.job, outputs, splits["test"], figures, save_picture)
