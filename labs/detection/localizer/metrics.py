"""How well one object is named and found: its class, its box, and both at once."""

from typing import NamedTuple

import numpy as np
import torch

from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from labs.detection.boxes import paired_iou

OVERLAP = 0.5  # IoU from which a box counts, as in ILSVRC


class Judged(NamedTuple):
    """What is right of each image."""

    right: Array  # (N,) bool: the class
    iou: Array  # (N,) of the box with the true one, whatever the class

    @property
    def localized(self) -> Array:
        """Whether class and box are right, (N,)."""
        return np.asarray(self.right & (self.iou >= OVERLAP))


def judge(detections: Array, targets: Array) -> Judged:
    """Compare the first detection of each image, (N, M, 6), with its one target, (N, 1, 6)."""
    found, true = detections[:, 0], targets[:, 0]
    corners = (torch.from_numpy(rows[:, :4].astype(np.float64)) for rows in (found, true))
    return Judged(found[:, 5] == true[:, 4], paired_iou(*corners).numpy())


def figures(detections: Array, targets: Array) -> dict[str, float]:
    """Return the figures of a split, as in history.

    `localization_accuracy` is 1 - the localization error of ILSVRC (Russakovsky et al. 2015,
    section 4.2, with one guess): the share of images whose class is right and whose box has an IoU
    of at least 0.5 with the true one.
    """
    judged = judge(detections, targets)
    return {
        "localization_accuracy": float(judged.localized.mean()),
        "accuracy": float(judged.right.mean()),
        "mean_iou": float(judged.iou.mean()),
    }


def with_intervals(detections: Array, targets: Array) -> dict[str, object]:
    """Return the figures with 95 % intervals: Wilson's of shares, a bootstrap's of the mean IoU."""
    judged = judge(detections, targets)
    return {
        **figures(detections, targets),
        **LOCALIZED.measure(detections, targets),
        "accuracy_interval": list(metrics.wilson_of(judged.right)),
        "mean_iou_interval": list(metrics.bootstrap(metrics.mean, judged.iou)),
    }


class ByClass(NamedTuple):
    """The mean IoU where the class is right, and where it is wrong, with 95 % intervals."""

    right: float
    right_interval: metrics.Interval
    wrong: float  # NaN where all classes are right
    wrong_interval: metrics.Interval
    difference: float  # right - wrong
    difference_interval: metrics.Interval


def compare_classes(judged: Judged) -> ByClass:
    """Say how much better boxes are where the class is right; all is NaN where one side is empty.

    The interval of the difference is a bootstrap over the images, of both sides at once.
    """
    right, iou = judged.right, judged.iou
    sides = [iou[right], iou[~right]]
    means = [float(side.mean()) if len(side) else float("nan") for side in sides]
    nothing = (float("nan"), float("nan"))
    of_sides = [metrics.bootstrap(metrics.mean, side) if len(side) else nothing for side in sides]
    low_high = metrics.bootstrap(_DIFFERENCE, iou, right) if all(map(len, sides)) else nothing
    return ByClass(means[0], of_sides[0], means[1], of_sides[1], means[0] - means[1], low_high)


def _subtract_means(iou: Array, right: Array) -> Array:
    """Return mean IoU of right - of wrong classes, of each draw (R, N)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (iou * right).sum(-1) / right.sum(-1) - (iou * ~right).sum(-1) / (~right).sum(-1)
        )


_DIFFERENCE = metrics.OfDraws(_subtract_means)

LOCALIZED = MainMetric(
    "localization_accuracy",
    "localization accuracy",
    lambda found, true: judge(found, true).localized.astype(np.float64),
    metrics.mean,
    interval=metrics.wilson_of,
)
