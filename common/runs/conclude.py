"""What becomes of a trained run: it is measured, compared with baselines, and reported.

Each kind of job names a `Conclusion` of its own as a string, so that to train or to ask a run loads
nothing of this.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

from common.errors import RunError
from common.history import best_row
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs import views
from common.runs.doubts import list_doubts
from common.runs.job import Job, Outputs, Splits, groups_of
from common.runs.proof import receipt
from common.steps import step
from common.tracking.trackers import log_result

J = TypeVar("J", bound=Job[Any, Any])
Predictions = Mapping[str, Mapping[str, Array]]  # by the baseline's name and the split's


class Conclusion(ABC, Generic[J]):
    """Measures and reports a trained run.

    Attributes:
        job: with the best weights in the model.
    """

    def __init__(self, job: J):
        self.job = job

    # --- what a kind of job says ----------------------------------------------------------------

    @abstractmethod
    def figures(self, outputs: Outputs, split: Any) -> dict[str, Any]:
        """Return the figures of a split for metrics.json, the main metric's with its interval."""

    @abstractmethod
    def baselines(self, splits: Splits) -> Predictions:
        """Return what each baseline predicts for `validation` and `test`, by its name."""

    def about_baselines(self) -> str:
        """Return what the report says of how the baselines were made."""
        return ""

    def count_for_baselines(self, splits: Splits) -> int:
        """Return how many training samples the baselines learn from: all, or their budget's."""
        return int(self.job.card.counts.get("train", 0))

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Return `validation`, `test` and `baselines` of metrics.json.

        Args:
            outputs: what the task collects of `validation` and `test`.
            splits: the data.
            baselines: what they predict.
        """
        job, names = self.job, ("validation", "test")
        network = {name: job.decide(outputs[name]) for name in names}
        targets = {name: job.targets(splits[name]) for name in names}
        return {
            **{name: self.figures(outputs[name], splits[name]) for name in names},
            "baselines": job.main_metric.compare(
                network, baselines, targets, groups_of(splits["test"])
            ),
        }

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, and whether the network beats the baselines."""
        return self.job.main_metric.verdict(figures, self.job.config.title)

    @abstractmethod
    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what the report says of this kind of job alone.

        Args:
            outputs: what the task collects of the test split.
            splits: the data.
            figures: what metrics.json holds.
            save_picture: saves a figure, and returns it for a section.
        """

    def split_sections(
        self, outputs: Outputs, split: Any, save_picture: PictureSaver
    ) -> list[Section]:
        """Return what `evaluate` shows of a split beside its figures; the texts are left out."""
        return []

    # --- what all of them do --------------------------------------------------------------------

    def seen_by_baselines(self) -> int | None:
        """Return how many training samples the baselines learned from; None: it was not noted."""
        if not (self.job.run.path / "baselines.json").is_file():
            return None
        [seen] = self.job.run.read("baselines").values()  # by whatever name
        return int(seen)

    def of_baselines(self) -> str:
        """Say from how many samples the baselines learned, where not from all; else nothing."""
        learned, seen = self.job.card.counts.get("train", 0), self.seen_by_baselines()
        if seen is None or seen >= learned:
            return ""
        return f"The baselines learned from {seen:,} of the {learned:,} training samples."

    def conclude(self, splits: Splits, prepared: float) -> dict[str, Any]:
        """Measure a trained run on validation and, this once, on test; write report and figures.

        Args:
            splits: the data.
            prepared: seconds that the command took before it trained.

        Returns:
            What metrics.json holds.
        """
        begun = time.perf_counter()
        outputs, figures = self._measure(splits, with_baselines=True)
        self.write_report(outputs["test"], splits, figures)
        return self._write(figures, prepared, begun, outputs)

    def conclude_member(
        self,
        splits: Splits,
        baselines: bool = False,
        keep: Callable[[Mapping[str, Outputs]], None] | None = None,
    ) -> dict[str, Any]:
        """Measure a run of a comparison, which is compared with the others and reported there.

        Args:
            splits: the data.
            baselines: whether it has baselines of its own to be compared with.
            keep: called with what the task collects of `validation` and `test`.
        """
        begun = time.perf_counter()
        outputs, figures = self._measure(splits, with_baselines=baselines)
        if keep is not None:
            keep(outputs)
        return self._write(figures, 0.0, begun, outputs)

    def conclude_unmeasured(self, prepared: float) -> dict[str, Any]:
        """Finish a run that trained on all rows: none is left to measure it on.

        Its metrics.json has what `carried.json` has: what held-out rows said to other runs.
        """
        begun, run = time.perf_counter(), self.job.run
        carried = run.read("carried") if (run.path / "carried.json").is_file() else {}
        trained = sum(row["seconds"] for row in run.history)
        seconds = {"train": trained, "total": 0.0}
        figures = {"best_epoch": len(run.history), **carried, "seconds": seconds}
        return self._write(figures, prepared, begun, {})

    def report_again(self, splits: Splits) -> None:
        """Write the report of a finished run again."""
        outputs = self.job.predict_splits(splits, ["test"])["test"]
        self.write_report(outputs, splits, self.job.run.read("metrics"))

    def write_report(self, outputs: Outputs, splits: Splits, figures: Mapping[str, Any]) -> None:
        """Draw the run's figures and write its report; the arguments are those of `sections`."""
        with step("the report"):
            self._write_report(outputs, splits, figures)

    def _write_report(self, outputs: Outputs, splits: Splits, figures: Mapping[str, Any]) -> None:
        from common.runs import sections
        from common.runs.proof import branch

        job, save_picture = self.job, PictureSaver(self.job.run.figures)
        about = [self.about_baselines(), self.of_baselines()]
        if groups_of(splits["test"]) is not None:
            about.append("Intervals are drawn over groups.")
        parts = [
            sections.result(
                job, figures, self.table(figures), " ".join(filter(None, about)), save_picture
            ),
            sections.learning(job, figures, save_picture),
            *branch.sections(job, figures, save_picture),
            *self.sections(outputs, splits, figures, save_picture),
            *filter(None, [views.recall(job.run, views.MAP)]),
            *sections.repeat(job),
        ]
        title = f"{job.config.title} on {job.card.source}"
        verdict = " ".join([self.verdict(figures), *list_doubts(job, figures)])
        sections.write_report(job.run, title, verdict, parts)

    def table(self, figures: Mapping[str, Any]) -> list[list[str]]:
        """Return a row for the network and each baseline: name, validation, test, interval."""
        metric = self.job.main_metric
        name, text = metric.name, metric.text
        network = f"{self.job.config.title} (epoch {figures['best_epoch']})"
        entries = [
            (network, figures["validation"][name], figures["test"]),
            *(
                (baseline, values[f"validation_{name}"], values)
                for baseline, values in figures["baselines"].items()
            ),
        ]
        return [
            [title, text(validation), text(values[name]), metric.interval_text(interval)]
            for title, validation, values in entries
            for interval in [values[f"{name}_interval"]]
        ]

    def _measure(
        self, splits: Splits, *, with_baselines: bool
    ) -> tuple[Mapping[str, Outputs], dict[str, Any]]:
        job = self.job
        monitor, mode = job.monitored(job.task(splits))
        best = best_row(job.run.history, monitor, mode)
        if best is None:
            raise RunError(
                f"no epoch of {job.run.path} has a number for {monitor}; choose another --monitor"
            )
        baselines: Predictions = {}
        if with_baselines:
            with step("baselines"):
                baselines = self.baselines(splits)
                job.run.write("baselines", {"samples": self.count_for_baselines(splits)})
        outputs = job.predict_splits(splits)
        with step("figures and their intervals"):
            measured = self.measure(outputs, splits, baselines)
        trained = sum(row["seconds"] for row in job.run.history)
        seconds = {"train": trained, "total": 0.0}
        return outputs, {"best_epoch": best["epoch"], **measured, "seconds": seconds}

    def _write(
        self,
        figures: dict[str, Any],
        prepared: float,
        begun: float,
        outputs: Mapping[str, Outputs],
    ) -> dict[str, Any]:
        """Write the receipt and, as the last file of a run, metrics.json."""
        job, seconds = self.job, figures["seconds"]
        seconds["total"] = prepared + seconds["train"] + time.perf_counter() - begun
        fingerprint, device = job.card.fingerprint, str(job.compute)
        receipt.write(job.run, job.config, fingerprint, device, outputs, figures)
        job.run.write("metrics", figures)
        log_result(job.config.track, job.run.path, job.lab, figures, job.run.history)
        return figures


def conclusion_of(job: Job[Any, Any]) -> Conclusion[Any]:
    """Return what measures and reports a job."""
    found: Conclusion[Any] = resolve_name(job.conclusion)(job)
    return found
