"""How far forecasts are from what came, for each step ahead, with intervals.

Forecasts are compared with the truth at every origin of a split (rolling origin: one step further
each time). Their windows overlap, so neighboring origins err alike; intervals come from a bootstrap
of blocks of neighboring origins. Arrays are (origins, K series, H steps), NaN where a series lacks
an origin.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array

_TOO_FEW = 4  # origins, to say how much figures of others would differ


def _means(rows: Array) -> Array:
    totals, counts = rows.sum(1).T
    return np.asarray(totals / counts)


_mean = metrics.OfDraws(_means)


def errors(
    forecasts: Array, truth: Array, naive: Array, level: Array | float = 0.0
) -> dict[str, Array]:
    """Return what each forecast adds to each figure, all of one shape, such as (N, H).

    Forecasts and truth are in units of the series, relative to a level; `naive` and `level`
    broadcast to their shape.

    - `mae`: the absolute error, in units of the series.
    - `mse`: its square.
    - `mase`: the absolute error over the mean absolute change from one training value to the next
      (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy", section 2.4);
      below 1 a forecast is nearer than the forecast "no change" of a single step was in training.
    - `smape`: 200 |forecast - truth| / (|forecast| + |truth|), in percent, at most 200; 0 where
      both are 0.
    """
    error = np.abs(forecasts - truth)
    size = np.abs(forecasts + level) + np.abs(truth + level)
    smape = 200 * np.divide(error, size, out=np.zeros_like(error), where=size != 0)
    return {"mae": error, "mse": error**2, "mase": error / naive, "smape": smape}


def figures(forecasts: Array, truth: Array, naive: Array, block: int = 1) -> dict[str, Any]:
    """Return `mae`, `rmse`, `mase` and `smape`, each with its 95 % interval.

    Forecasts and truth are (origins, K, H) in units of the series, `naive` is (K,), see `errors`;
    `block` origins are drawn together by the bootstrap.
    """
    parts = errors(forecasts, truth, naive[:, None])
    found: dict[str, Any] = {}
    for name, values in parts.items():
        rows = _sums(values)
        low, high = metrics.bootstrap(_mean, rows, block=block)
        root = math.sqrt if name == "mse" else float
        label = "rmse" if name == "mse" else name
        found |= {label: root(_mean(rows)), f"{label}_interval": [root(low), root(high)]}
    return found


def by_step(forecasts: Array, truth: Array, naive: Array, block: int = 1) -> dict[str, list[Any]]:
    """Return `mae`, `rmse`, `mase`, `mase_interval` and `smape` of each step ahead.

    The arguments are those of `figures`.
    """
    parts = errors(forecasts, truth, naive[:, None])
    means = {name: np.nanmean(values, axis=(0, 1)) for name, values in parts.items()}
    means["rmse"] = np.sqrt(means.pop("mse"))
    steps = np.split(parts["mase"], truth.shape[2], axis=2)
    intervals = [list(metrics.bootstrap(_mean, _sums(step), block=block)) for step in steps]
    return {**{name: mean.tolist() for name, mean in means.items()}, "mase_interval": intervals}


def block_length(origins: int, horizon: int) -> int:
    """Return how many neighboring origins to draw together.

    Forecasts of H steps from neighboring origins share targets over H - 1 origins, so a block must
    be longer than that; and it grows with the third root of the sample (Künsch 1989, "The jackknife
    and the bootstrap for general stationary observations"). At most a third of the origins: fewer
    blocks say nothing about the spread. Where all windows share targets, or there are hardly any,
    they are a single block, of which the bootstrap knows no interval.
    """
    if origins <= max(horizon, _TOO_FEW):
        return origins
    return max(1, min(max(2 * horizon, round(math.cbrt(origins))), origins // 3))


def _scaled_error(predictions: Array, targets: Array) -> Array:
    return _sums(np.abs(predictions - targets))


def _sums(values: Array) -> Array:
    """Return the sum and the number of what there is at each origin, (origins, 2)."""
    axes = tuple(range(1, values.ndim))
    return np.stack([np.nansum(values, axes), np.isfinite(values).sum(axes)], 1)


_MASE = MainMetric("mase", "MASE", _scaled_error, _mean, larger_is_better=False)


def main_metric(block: int) -> MainMetric:
    """Return MASE as a main metric over (origins, K, H) of values divided by the naive error."""
    return replace(_MASE, block=block)


# --- quantiles ----------------------------------------------------------------------------------


def intervals(
    quantiles: Array, truth: Array, naive: Array, levels: Sequence[float], block: int = 1
) -> dict[str, Any]:
    """Return the figures of the interval between the outermost quantiles.

    - `coverage`: the share of the truth inside, with its 95 % interval.
    - `width`: the mean width, over the naive error.
    - `pinball`: the mean pinball loss of all quantiles, over the naive error.

    Quantiles (origins, K, H, Q), of these levels (Q,), and truth (origins, K, H) are in units of
    the series; the others are those of `figures`.
    """
    low, high = quantiles[..., 0], quantiles[..., -1]
    rows = _sums(np.where(np.isfinite(truth), (low <= truth) & (truth <= high), np.nan))
    loss = pinball(quantiles, truth, levels) / naive[:, None, None]
    return {
        "coverage": _mean(rows),
        "coverage_interval": list(metrics.bootstrap(_mean, rows, block=block)),
        "width": float(np.nanmean((high - low) / naive[:, None])),
        "pinball": float(np.nanmean(loss)),
    }


def pinball(quantiles: Array, truth: Array, levels: Sequence[float]) -> Array:
    """Return the pinball loss (..., Q) of quantiles (..., Q) of truth (...).

    max(p d, (p - 1) d) with d = truth - quantile for level p; in the mean it is least at the true
    quantile (Koenker and Bassett 1978, "Regression quantiles").
    """
    left, level = truth[..., None] - quantiles, np.asarray(levels)
    return np.asarray(np.maximum(level * left, (level - 1) * left))


def shares_below(quantiles: Array, truth: Array) -> Array:
    """Return the share of the truth at or below each quantile, by step, (H, Q).

    Of quantiles (origins, K, H, Q) and truth (origins, K, H); a calibrated one of level p has p.
    """
    below = np.where(np.isfinite(quantiles), truth[..., None] <= quantiles, np.nan)
    return np.asarray(np.nanmean(below, axis=(0, 1)))
