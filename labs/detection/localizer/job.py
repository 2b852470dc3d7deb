"""The job of `train --model localizer`: to say what the one object of an image is, and where."""

from functools import cached_property
from typing import Any

from torch import nn

from common import training
from common.errors import RunError
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Splits, Suited
from common.runs.tta import copies as test_time
from common.training.sequences import Padded
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet
from labs.detection.job import Detector
from labs.detection.localizer import metrics
from labs.detection.localizer.model import Localizer as Network
from labs.detection.localizer.task import LocalizerTask
from labs.detection.names import LITE0
from labs.detection.task import filled


class Localizer(Detector):
    """A localizer; its splits are `BoxSet`s of images with one box each.

    What it says has the form of detections, of which there is one in each image: so whatever takes
    the run of a detector takes its runs, too.
    """

    conclusion = "labs.detection.localizer.results:LocalizerResults"

    @classmethod
    def for_config(cls, config: DetectionConfig) -> type[Any]:
        """Return this class: whoever asks it has found it."""
        return cls

    @classmethod
    def suited(cls, config: DetectionConfig) -> Suited[DetectionConfig]:
        """Return the config with what suits a user's photos of one object."""
        from labs.detection.localizer import suited

        return suited.suited(config)

    def build_model(self) -> nn.Module:
        """Return a trunk, the lab's own or EfficientNet-Lite0's, with two heads."""
        card = self.card
        return Network(len(card.classes), card.image_size, lite0=self.config.weights == LITE0)

    def task(self, splits: Splits) -> training.Task:
        """Return the task, which needs to know nothing of the data."""
        return LocalizerTask()

    @cached_property
    def detection(self) -> Any:
        """The task."""
        return LocalizerTask()

    @property
    def main_metric(self) -> MainMetric:
        """The share of images whose class and box are right."""
        return metrics.LOCALIZED

    def targets(self, split: BoxSet) -> Array:
        """Return what is true, (N, 1, 6)."""
        found: Array = filled(Padded.of([split.boxes[row] for row in range(len(split))]), 1).numpy()
        return found

    def choose_copies(self, spec: str) -> tuple[test_time.Copy, ...]:
        """Refuse changed copies of images.

        Raises:
            RunError: always.
        """
        raise RunError(
            f"--tta: {self.run.path} is a localizer, whose one box is not fused with others; "
            "leave it out"
        )

    @cached_property
    def score(self) -> float:
        """The score from which on a detection is shown: it always says one, however unsure."""
        return 0.0
