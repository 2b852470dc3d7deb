"""What is measured and reported of a trained detector."""

from collections.abc import Mapping
from typing import Any

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits
from labs.detection import baselines, metrics, report
from labs.detection.data.load import BoxSet
from labs.detection.job import Detector


class DetectionResults(Conclusion[Detector]):
    """Average precision, at the score that validation chose."""

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Choose the score threshold on validation, then measure all."""
        job = self.job
        found, truth = job.decide(outputs["validation"]), job.targets(splits["validation"])
        job.score = metrics.score_threshold(found, truth, len(job.card.classes))
        return super().measure(outputs, splits, baselines)

    def figures(self, outputs: Outputs, split: BoxSet) -> dict[str, Any]:
        """Return all figures of a split."""
        job = self.job
        found, truth = job.decide(outputs), job.targets(split)
        return metrics.figures(found, truth, len(job.card.classes), job.score)

    def split_sections(
        self, outputs: Outputs, split: BoxSet, save_picture: PictureSaver
    ) -> list[Section]:
        """Return what it finds, how well, and the kinds of errors."""
        return report.detections(self.job, outputs, split, self.job.score, save_picture)

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what connected components and nearest neighbors find."""
        return baselines.predictions(splits, len(self.job.card.classes))

    def count_for_baselines(self, splits: Splits) -> int:
        """Return how many training images are searched."""
        return min(baselines.IMAGES, super().count_for_baselines(splits))

    def about_baselines(self) -> str:
        """Say how the baseline works."""
        return (
            "The baseline proposes connected components of the image cut at many levels of "
            "brightness, and names each after the nearest crops of such regions in training "
            "images, non-objects among them."
        )

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, also at the lenient IoU of 0.5."""
        test, lenient = figures["test"], self.job.lenient
        shape = "mask" if self.job.config.task == "segment" else "box"
        low, high = test[f"{lenient.name}_interval"]
        boxes = f" The mAP50-95 of its boxes is {test['map50_95']:.4f}."
        return (
            f"{super().verdict(figures)} At an IoU of 0.5, where a rough "
            f"{shape} is enough, its {lenient.label} is "
            f"{test[lenient.name]:.4f} ({low:.4f} to {high:.4f})."
            + (boxes if shape == "mask" else "")
        )

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what it finds, what it misses, and why."""
        return report.sections(self.job, outputs, splits, figures, save_picture)
