"""What is measured and reported of a network that names the class of each pixel."""

from collections.abc import Mapping
from typing import Any

from common.metrics.metrics import Array, is_known
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion
from common.runs.job import Outputs, Splits
from labs.detection.semantic import baselines, metrics, report
from labs.detection.semantic.data import PixelSet
from labs.detection.semantic.job import PixelClassifier


class PixelResults(Conclusion[PixelClassifier]):
    """Mean IoU, beside what tells classes without a network."""

    def figures(self, outputs: Outputs, split: PixelSet) -> dict[str, Any]:
        """Return all figures of a split."""
        job = self.job
        return metrics.figures(job.decide(outputs), job.targets(split), len(job.card.classes))

    def split_sections(
        self, outputs: Outputs, split: PixelSet, save_picture: PictureSaver
    ) -> list[Section]:
        """Return each class, the confusion of neighbors, and what it says."""
        return report.of_split(self.job, outputs, split, save_picture)

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what colors alone say, and a classifier of single pixels."""
        return baselines.predictions(splits, len(self.job.card.classes), self.job.config.seed)

    def count_for_baselines(self, splits: Splits) -> int:
        """Return of how many training images the baselines see pixels."""
        return min(baselines.IMAGES, super().count_for_baselines(splits))

    def about_baselines(self) -> str:
        """Say how the baselines work."""
        return baselines.ABOUT

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, also where classes meet."""
        test, metric = figures["test"], self.job.main_metric
        interval = metric.interval_text(test["mean_boundary_f1_interval"])
        boundary = (
            f" Where classes meet, its mean boundary F1 is {metric.text(test['mean_boundary_f1'])} "
            f"({interval})."
        )
        known = is_known([test["mean_boundary_f1"]])
        return (
            f"{super().verdict(figures)}{boundary if known else ''} "
            f"{test['pixel_accuracy']:.2%} of the pixels are right."
        )

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what it says of images, how well, and where it goes wrong."""
        return report.sections(self.job, outputs, splits, save_picture)
