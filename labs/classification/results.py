"""Figures with intervals, of the network and of the baselines, on the same images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from common import metrics
from common.images import ImageSet
from labs.classification import baselines

Array = npt.NDArray[Any]


def measure(
    outputs: Mapping[str, Tensor], splits: Mapping[str, ImageSet], numeric: bool
) -> dict[str, Any]:
    """Measure the network and the baselines.

    Args:
        outputs: what the network says of `validation` and `test`: logits (N, C), or numbers (N,).
        splits: `train`, `validation` and `test`.
        numeric: whether targets are numbers.

    Returns:
        `validation` and `test` with the network's figures; `baselines` with theirs on the test
        split, their headline figure on validation, and the network's lead over each with its 95 %
        interval.
    """
    targets = {name: splits[name].targets.numpy() for name in ("validation", "test")}
    found: dict[str, Any] = {
        name: figures(outputs[name], targets[name], numeric) for name in ("validation", "test")
    }
    headline = "mae" if numeric else "accuracy"
    network = scores(decide(outputs["test"], numeric), targets["test"], numeric)
    found["baselines"] = {}
    for name, guesses in baselines.predictions(splits, numeric).items():
        test = scores(guesses["test"], targets["test"], numeric)
        validation = scores(guesses["validation"], targets["validation"], numeric)
        lead = metrics.paired_difference(np.mean, network, test)
        found["baselines"][name] = {
            headline: abs(float(test.mean())),
            f"{headline}_interval": interval(test, numeric),
            f"validation_{headline}": abs(float(validation.mean())),
            "lead": lead.difference,
            "lead_interval": [lead.low, lead.high],
        }
    return found


def figures(outputs: Tensor, targets: Array, numeric: bool) -> dict[str, Any]:
    """Return the figures of a split, the headline's with its 95 % interval."""
    score = scores(decide(outputs, numeric), targets, numeric)
    if numeric:
        return {
            **metrics.regression(outputs.numpy(), targets),
            "mae_interval": interval(score, numeric),
        }
    known = metrics.classification(probabilities(outputs), targets)
    return {**known, "accuracy_interval": interval(score, numeric)}


def probabilities(logits: Tensor) -> Array:
    """Return the softmax of logits (N, C), in float64."""
    return logits.double().softmax(1).numpy()


def decide(outputs: Tensor, numeric: bool) -> Array:
    """Return the predictions (N,): the class with the largest logit, or the number itself."""
    return (outputs if numeric else outputs.argmax(1)).numpy()


def scores(predictions: Array, targets: Array, numeric: bool) -> npt.NDArray[np.float64]:
    """Return how good predictions are: 1 or 0 for classes, minus the error for numbers."""
    if numeric:
        return np.asarray(-np.abs(predictions - targets), np.float64)
    return np.asarray(predictions == targets, np.float64)


def interval(score: Array, numeric: bool) -> list[float]:
    """Return the 95 % interval of the headline: Wilson's for accuracy, a bootstrap for MAE."""
    if numeric:
        return list(metrics.bootstrap(np.mean, np.abs(score)))
    return list(metrics.wilson(int(score.sum()), len(score)))


def verdict(found: Mapping[str, Any], model: str, numeric: bool) -> str:
    """Say in two sentences what came out, and whether the network beats the best baseline."""
    headline = "mae" if numeric else "accuracy"
    test = found["test"]
    low, high = test[f"{headline}_interval"]
    lead = {name: values["lead"] for name, values in found["baselines"].items()}
    name = min(lead, key=lambda each: lead[each])
    best = found["baselines"][name]
    low_lead, high_lead = best["lead_interval"]
    what = "mean absolute error" if numeric else "accuracy"
    if low_lead > 0:
        judgment = f"{model} beats it"
    elif high_lead < 0:
        judgment = f"{model} does not beat it: it is worse"
    else:
        judgment = f"{model} does not beat it: the interval holds 0"
    return (
        f"{model} has a test {what} of {test[headline]:.4f} "
        f"(95 % interval {low:.4f} to {high:.4f}). "
        f"The best baseline, {name}, has {best[headline]:.4f}; "
        f"the lead over it is {best['lead']:+.4f} "
        f"({low_lead:+.4f} to {high_lead:+.4f}), so {judgment}."
    )
