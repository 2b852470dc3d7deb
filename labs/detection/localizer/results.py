"""What is measured and reported of a trained localizer."""

from collections.abc import Mapping
from typing import Any

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion
from common.runs.job import Outputs, Splits
from labs.detection.data.load import BoxSet
from labs.detection.localizer import baselines, metrics, report
from labs.detection.localizer.job import Localizer


class LocalizerResults(Conclusion[Localizer]):
    """Class and box, each by itself and together."""

    def figures(self, outputs: Outputs, split: BoxSet) -> dict[str, Any]:
        """Return all figures of a split."""
        return metrics.with_intervals(self.job.decide(outputs), self.job.targets(split))

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what needs no network to name and find an object."""
        return baselines.predictions(splits, len(self.job.card.classes))

    def count_for_baselines(self, splits: Splits) -> int:
        """Return how many training images they learn from."""
        return min(baselines.IMAGES, super().count_for_baselines(splits))

    def about_baselines(self) -> str:
        """Say how they were made."""
        return baselines.ABOUT

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, and of class and box alone."""
        test = figures["test"]
        (low, high), (low_iou, high_iou) = test["accuracy_interval"], test["mean_iou_interval"]
        return (
            f"{super().verdict(figures)} Its accuracy of the class alone is {test['accuracy']:.4f} "
            f"({low:.4f} to {high:.4f}), the mean IoU of its boxes {test['mean_iou']:.4f} "
            f"({low_iou:.4f} to {high_iou:.4f})."
        )

    def split_sections(
        self, outputs: Outputs, split: BoxSet, save_picture: PictureSaver
    ) -> list[Section]:
        """Return what it says of a split, and where it is wrong."""
        return report.says(self.job, outputs, split, save_picture)

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what it says, where it is wrong, and what the data is."""
        return report.sections(self.job, outputs, splits, figures, save_picture)
