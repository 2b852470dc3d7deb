"""Ensembles of detectors: what they find is fused."""

from collections.abc import Sequence
from functools import cached_property
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from common.ensembles.forms import GREEDY, SOFT, Form
from common.ensembles.members import Member
from common.ensembles.together import Together
from common.errors import RunError
from common.metrics.metrics import Array
from common.runs.job import Outputs, Splits
from labs.detection import metrics
from labs.detection.config import DetectionConfig
from labs.detection.data.load import Card
from labs.detection.job import Detector
from labs.detection.letterbox import Letterbox
from labs.detection.names import LOCALIZER
from labs.detection.predict.fusion import fuse, fuse_outputs

_DESCRIPTIONS = {
    SOFT: "the fusion of their boxes, in which each counts alike",
    GREEDY: "the fusion of their boxes, with weights that were chosen greedily",
}


class Boxes(Form):
    """Detections, (N, MOST, 6), in pixels of the squares that the first member sees.

    Args:
        job: the first member's.
    """

    methods = (SOFT, GREEDY)
    name = "boxes"
    rounds: ClassVar[int] = 10  # each tries as many fusions as there are members
    tolerance: ClassVar[float] = 0.02  # pixels: boxes of squares of two sizes are rounded

    def __init__(self, job: Detector):
        super().__init__(job.main_metric)
        self._size, self._classes = job.card.image_size, len(job.card.classes)
        self._score = 0.0  # from which precision and recall count, once `settle` has chosen it

    def values(self, job: Any, outputs: Outputs, split: Any = None) -> Array:
        """Return the detections; of squares of another size, the split says of which photos."""
        return self._resize(job, outputs["detections"].numpy(), split)

    def targets(self, job: Any, split: Any) -> Array:
        """Return what is true, (N, most, 6)."""
        return self._resize(job, job.targets(split), split)

    def _resize(self, job: Any, rows: Array, split: Any) -> Array:
        """Return rows (N, M, 6), boxes in the squares that a job sees, as those in the first's."""
        size = job.card.image_size
        if size == self._size:
            return rows
        assert split is not None, "folds see one size, as check_fit has seen"
        resized = [
            Letterbox.fit(height, width, self._size).into(
                Letterbox.fit(height, width, size).back(torch.from_numpy(each))
            )
            for each, (height, width) in zip(rows, split.sizes.tolist(), strict=True)
        ]
        return torch.stack(resized).numpy()

    def outputs(self, values: Array) -> Outputs:
        """Return the detections."""
        return {"detections": torch.from_numpy(values.astype(np.float32))}

    def decide(self, values: Array) -> Array:
        """Return the detections."""
        return values

    def mean(self, values: Sequence[Array] | Array, weights: Array | None = None) -> Array:
        """Return the detections of several, fused; those of a single one as they are."""
        return values[0] if len(values) == 1 else fuse(values, weights)

    def describe(self, method: str) -> str:
        """Return what the fusion counts."""
        return _DESCRIPTIONS[method]

    def settle(self, values: Array, targets: Array) -> None:
        """Choose the score from which boxes are shown."""
        self._score = metrics.score_threshold(values, targets, self._classes)

    def figures(self, values: Array, targets: Array) -> dict[str, Any]:
        """Return COCO's figures, and precision and recall at the score that was chosen."""
        return metrics.figures(values, targets, self._classes, self._score)

    def errors(self, values: Array, targets: Array) -> Array:
        """Return nothing, (N, 0): an image has any number of boxes, found or not."""
        return np.zeros((len(values), 0))


class BoxesTogether(Together[DetectionConfig, Card], Detector):
    """Detectors whose boxes are fused; each sees the photos at its own size."""

    kind = Detector

    @classmethod
    def form_of(cls, members: Sequence[Member]) -> Form:
        """Return the form of boxes.

        Raises:
            RunError: a member finds masks, or one object alone.
        """
        for member in members:
            if member.jobs[0].config.model == LOCALIZER:
                raise RunError(
                    f"{member.path} is a localizer, which says one box of an image: only those of "
                    "detectors are fused"
                )
            if member.jobs[0].config.task == "segment":
                raise RunError(f"{member.path} finds masks, and boxes alone can be fused")
        return Boxes(members[0].jobs[0])

    @classmethod
    def check_fit(cls, other: Detector, first: Detector) -> None:
        """Refuse a run that knows other classes, or is judged on other photos, or in other pixels.

        Raises:
            RunError: it does; answers out of fold are kept in pixels of what the network sees.
        """
        super().check_fit(other, first)
        theirs, mine = other.card.image_size, first.card.image_size
        if other.config.fold is not None and theirs != mine:
            raise RunError(
                f"{other.run.path} sees {theirs} pixels a side, and {first.run.path} {mine}: name "
                "cross-validations of one --image-size, or runs"
            )

    @cached_property
    def score(self) -> float:
        """The score from which boxes are shown: chosen together, or by each fold for itself."""
        found = self.run.read("metrics")
        if found["judged_on"] is None:
            return fmean(job.score for job in self.networks)
        chosen = found["out_of_fold" if self.of_folds else "validation"]
        return float(chosen["score_threshold"])

    def find(self, photos: Sequence[Tensor]) -> Outputs:
        """Return what is found in photos of any size, in their pixels; see `Detector.find`."""
        found = [fuse_outputs([job.find(photos) for job in member.jobs]) for member in self.members]
        return fuse_outputs(found, self.combination.weights)

    def predict_splits(
        self, splits: Splits, names: Sequence[str] = ("validation", "test")
    ) -> dict[str, dict[str, Tensor]]:
        """Return what is found in splits and what is true, by the split's name."""
        found = super().predict_splits(splits, names)
        return {
            name: {**each, "targets": torch.from_numpy(self.targets(splits[name]))}
            for name, each in found.items()
        }
