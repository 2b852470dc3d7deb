"""What is measured of a network of several senses: what it is worth without each of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Predictions
from common.runs.differences import describe_differences
from common.runs.job import Outputs, Splits, groups_of
from common.steps import track
from labs.classification.results import ClassificationResults
from labs.classification.senses import baselines, report
from labs.classification.senses.job import ClassifySenses


class SensesResults(ClassificationResults):
    """Classes or numbers of images with columns beside them."""

    job: ClassifySenses

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what is told from pixels alone, from each column alone, and from all columns."""
        of_columns = baselines.predictions(splits, self.job.columns, self.job.config.kind)
        return {**super().baselines(splits), **of_columns}

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            f"{super().about_baselines()} Those of columns see no image: a linear model or boosted "
            "trees, whichever is better on validation."
        )

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Return what metrics.json holds, with what each sense adds."""
        found = super().measure(outputs, splits, baselines)
        found["senses"] = self.measure_senses(outputs["test"], splits["test"])
        return found

    def measure_senses(self, outputs: Outputs, split: ImageSet) -> dict[str, dict[str, Any]]:
        """Return of each sense the main metric without it, and what it adds with its interval.

        The network is the same one: the sense is taken from it as it answers.
        """
        job, metric = self.job, self.job.main_metric
        targets, groups = job.targets(split), groups_of(split)
        every = metric.statistics(job.decide(outputs), targets)
        found = {}
        for sense in track(job.senses, "answering without each sense"):
            with job.hide([sense]):
                without = job.decide(job.predict_splits({"test": split}, ["test"])["test"])
            added = metric.compare_runs([every], [metric.statistics(without, targets)], groups)
            found[sense] = {
                **metric.measure(without, targets, groups),
                "adds": added["difference"],
                "adds_interval": added["difference_interval"],
            }
        return found

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say how the network compares with the baselines, and which senses add to it."""
        senses = figures.get("senses", {})
        if len(senses) < 2:
            return super().verdict(figures)
        label = self.job.main_metric.label
        return " ".join([super().verdict(figures), *describe_senses(senses, label)])

    def split_sections(
        self, outputs: Outputs, split: ImageSet, save_picture: PictureSaver
    ) -> list[Section]:
        """Return what each sense adds on a split, too."""
        senses = self.measure_senses(outputs, split)
        shown = report.senses_table(senses, self.job.main_metric)
        of_split = [Section("What each sense adds", table=shown)] if len(senses) > 1 else []
        return [*super().split_sections(outputs, split, save_picture), *of_split]

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what each sense adds, what the columns are, and rows with them; then the usual."""
        mine = report.sections(self.job, outputs, splits["test"], figures, save_picture)
        return [*mine, *super().sections(outputs, splits, figures, save_picture)]


def describe_senses(senses: Mapping[str, Mapping[str, Any]], label: str) -> Sequence[str]:
    """Return sentences: which senses add to what the network tells, and which do not."""
    added = {name: (each["adds"], each["adds_interval"]) for name, each in senses.items()}
    return list(
        describe_differences(
            added,
            f"What adds to its test {label}, measured by taking it away",
            "What adds nothing that shows",
            "What it answers better without",
        )
    )
