"""Cross-validation of a detector: every image is searched by one that had not seen it."""

from typing import Any

from common.experiments.crossval import Crossval
from common.runs.job import Outputs
from labs.detection.config import RECIPES
from labs.detection.data.load import BoxSet
from labs.detection.experiments.config import CrossvalConfig
from labs.detection.job import Detector


class CrossvalBoxes(Crossval):
    """A detector for each fold of the images."""

    lab = "detection"
    config_type = CrossvalConfig
    recipes = RECIPES
    member = Detector
    samples = "images"

    def describe_samples(
        self, job: Detector, split: BoxSet, outputs: Outputs
    ) -> list[dict[str, Any]]:
        """Return a record for each box that is found in an image, in pixels of what is seen."""
        classes, found = job.card.classes, job.decide(outputs)
        return [
            {
                "image": name,
                "class": classes[int(label)],
                "score": float(score),
                **dict(zip(("x1", "y1", "x2", "y2"), map(float, corners), strict=True)),
            }
            for name, boxes in zip(split.names, found, strict=True)
            for *corners, score, label in boxes[boxes[:, 4] > 0, :6]
        ]
