"""Cross-validation of a detector: every image is searched by one that had not seen it."""

from typing import Any

from common.experiments.crossval import Crossval
from common.runs.job import Outputs
from labs.detection.config import RECIPES
from labs.detection.experiments.config import CrossvalConfig
from labs.detection.job import Detector


class CrossvalBoxes(Crossval):
    """A detector for each fold of the images."""

    lab = "detection"
    config_type = CrossvalConfig
    recipes = RECIPES
    member = Detector
    samples = "images"

    def describe_samples(self, job: Any, split: Any, outputs: Outputs) -> list[dict[str, Any]]:
        """Return a record for each box that is found in an image, in pixels of what is seen.

        Of classes of pixels it is a record for each image, with its mean IoU.
        """
        if job.config.task == "semantic":
            metric, said, true = job.main_metric, job.decide(outputs), job.targets(split)
            rows = metric.statistics(said, true)
            return [
                {"image": name, metric.name: metric.compute(row[None])}
                for name, row in zip(split.names, rows, strict=True)
            ]
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
