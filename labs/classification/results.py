"""Figures of a split, from logits or numbers."""

from typing import Any

from torch import Tensor

from common.metrics import metrics
from common.metrics.main_metric import Array, MainMetric
from common.training.task import probabilities


def figures(outputs: Tensor, targets: Array, main_metric: MainMetric) -> dict[str, Any]:
    """Return the figures of a split, the main metric's with its 95 % interval.

    Args:
        outputs: logits (N, C), or numbers (N,).
        targets: classes or numbers, (N,).
        main_metric: the accuracy of logits, or the error of numbers.
    """
    numeric = outputs.ndim == 1
    known = (
        metrics.regression(outputs.numpy(), targets)
        if numeric
        else metrics.classification(probabilities(outputs), targets)
    )
    return {**known, **main_metric.measure(decide(outputs, numeric), targets)}


def decide(outputs: Tensor, numeric: bool) -> Array:
    """Return the predictions (N,): the class with the largest logit, or the number itself."""
    return (outputs if numeric else outputs.argmax(1)).numpy()
