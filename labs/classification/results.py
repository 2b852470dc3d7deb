"""What is measured and reported of a classifier: figures, baselines, label columns, its teacher."""

from collections.abc import Mapping
from typing import Any

from common.images.sets import ImageSet
from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section, Table
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits, groups_of
from common.training.task import probabilities
from labs.classification import agreement, baselines, label_columns, report, several_labels
from labs.classification.job import ClassifyImages
from labs.classification.transfer import weights as transfer


class ClassificationResults(Conclusion[ClassifyImages]):
    """Classes or numbers of images, their label columns and teacher."""

    def figures(self, outputs: Outputs, split: ImageSet) -> dict[str, Any]:
        """Return all figures of a split."""
        job, collected = self.job, outputs["outputs"]
        targets, said = job.targets(split), job.decide(outputs)
        if job.config.several:
            shares = probabilities(collected, several=True)
            known = metrics.several_labels(shares, said, targets)
        elif collected.ndim == 1:  # numbers
            known = metrics.regression(collected.numpy(), targets)
        else:
            known = metrics.classification(probabilities(collected), targets)
        return {**known, **job.main_metric.measure(said, targets, groups_of(split))}

    def columns(
        self, outputs: Outputs, split: ImageSet, train: ImageSet | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the figures of each of several label columns, by its name.

        With the training split, they have each column's majority class.
        """
        job = self.job
        targets, known = job.targets(split), job.card.labels
        found = label_columns.figures(probabilities(outputs["outputs"]), targets, known)
        if train is not None:
            frequent = label_columns.majority(job.targets(train), targets, known)
            return {name: {**each, "majority": frequent[name]} for name, each in found.items()}
        return found

    def split_sections(
        self, outputs: Outputs, split: ImageSet, save_picture: PictureSaver
    ) -> list[Section]:
        """Return the figures of each label column, where there are several."""
        job = self.job
        if job.config.several:
            shares = probabilities(outputs["outputs"], several=True)
            found = several_labels.records(
                job.card.classes, shares, job.decide(outputs), job.targets(split), job.thresholds
            )
            return [Section("Each label", table=Table.of(found))]
        if not job.card.labels:
            return []
        table = label_columns.table(self.columns(outputs, split))
        return [Section("Each label column", table=table)]

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Return what metrics.json holds, with the teacher if there was one."""
        job = self.job
        if job.config.several:
            job.choose_thresholds(outputs["validation"], splits["validation"])
        found = super().measure(outputs, splits, baselines)
        if job.config.several:
            thresholds = job.thresholds.tolist()
            found["thresholds"] = dict(zip(job.card.classes, thresholds, strict=True))
        if job.card.labels:
            for name in ("validation", "test"):
                found[name]["labels"] = self.columns(outputs[name], splits[name], splits["train"])
        if job.config.teacher is not None:
            found["teacher"] = agreement.measure(job, outputs, splits)
        if doubt := transfer.doubt(job.config, job.card):
            found["doubt"] = doubt
        return found

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say how the network compares with the baselines, and with its teacher."""
        said = f"{super().verdict(figures)} {figures.get('doubt', '')}".rstrip()
        if "labels" in figures["test"]:
            said = f"{said} {label_columns.describe(figures['test']['labels'])}"
        if "teacher" not in figures:
            return said
        return f"{said} {agreement.verdict(figures['teacher'])}"

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what nearest neighbors and a linear model say of the pixels."""
        return baselines.predictions(splits, self.job.config.kind)

    def count_for_baselines(self, splits: Splits) -> int:
        """Return how many training images are within the memory and the time of baselines."""
        return len(baselines.sampled(splits))

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            f"Baselines see raw pixels, at most {baselines.SIDE} x {baselines.SIDE} of them, "
            "without augmentation."
        )

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return the teacher, label columns, where the network errs, and its first layer."""
        job, test = self.job, splits["test"]
        found = [*agreement.sections(job, figures)]
        if labels := job.card.labels:
            shares, of_columns = probabilities(outputs["outputs"]), figures["test"]["labels"]
            found.append(
                label_columns.section(of_columns, shares, job.targets(test), labels, save_picture)
            )
        return found + report.sections(job, outputs["outputs"], test, save_picture)
