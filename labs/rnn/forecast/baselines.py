"""Honest baselines: what one gets without a network, at the same origins.

The first three know a series from its beginning up to the origin. What is chosen is chosen on
training (the period of the season) or validation (the strength of the penalty). Where the network
works on logarithms, drift and the autoregression do too.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from common.metrics.metrics import Array
from common.steps import track
from labs.rnn.forecast.data import Windows, lags

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge

LINE = "linear autoregression"
PENALTIES = tuple(10.0**power for power in range(-4, 5))
_POWER = 8  # of a validation error, by whose inverse a line is weighed


def forecasts(splits: Mapping[str, Windows], period: int) -> dict[str, dict[str, Array]]:
    """Let each baseline forecast `validation` and `test`, (N, H) in units of the series."""
    parts = {name: splits[name] for name in ("validation", "test")}
    return {
        "persistence": {name: persistence(part) for name, part in parts.items()},
        f"seasonal naive ({period})": {
            name: seasonal_naive(part, period) for name, part in parts.items()
        },
        "drift": {name: drift(part) for name, part in parts.items()},
        LINE: autoregression(splits),
    }


def persistence(part: Windows) -> Array:
    """Foretell that nothing changes."""
    return np.repeat(_at(part, np.zeros(1, int)), part.truth.shape[1], 1)


def seasonal_naive(part: Windows, period: int) -> Array:
    """Foretell what was at the same place of the last season known."""
    return _at(part, _ahead(part) - lags(part.truth.shape[1], period))


def drift(part: Windows) -> Array:
    """Go on along the line from the first to the last value known: of logarithms, by percent."""
    begin = np.array([part.panel.span(series)[0] for series in part.series])
    first, last = part.panel.values[begin, part.series], _at(part, np.zeros(1, int))[:, 0]
    if part.log:
        first, last = np.log(first), np.log(last)
    slope = (last - first) / (part.origins - begin)
    ahead = last[:, None] + slope[:, None] * _ahead(part)
    return np.asarray(np.exp(ahead) if part.log else ahead)


def autoregression(splits: Mapping[str, Windows]) -> dict[str, Array]:
    """Foretell each step as a weighted sum of the window: ridge regression, over all series.

    It sees the windows as the network does, and the penalty is the one with the least MASE on
    validation.
    """
    line = fit_line(splits)
    return {name: _on(line, splits[name]) for name in ("validation", "test")}


def fit_line(splits: Mapping[str, Windows]) -> "Ridge":
    """Fit the ridge regression of `autoregression`, in scaled units."""
    from sklearn.linear_model import Ridge

    train, validation = splits["train"], splits["validation"]

    def error(line: Ridge) -> float:
        error = np.abs(_on(line, validation) - validation.truth) / validation.naive[:, None]
        return float(error.mean())

    inputs, targets = train.inputs.astype(float), train.targets.astype(float)
    lines = (Ridge(p, solver="svd").fit(inputs, targets) for p in track(PENALTIES, LINE))
    return min(lines, key=error)


def _on(line: "Ridge", part: Windows) -> Array:
    """Return a line's forecasts of a split, (N, H) in units of the series."""
    scaled = line.predict(part.inputs.astype(float))
    return part.unscale(scaled.reshape(part.truth.shape))


# --- what a network begins from -----------------------------------------------------------------


class Line(NamedTuple):
    """A forecast that is linear in the window, of scaled values."""

    weight: Array  # (H, W)
    bias: Array  # (H,)
    shares: dict[str, float]  # of what it is a mean of, by name


def mix_lines(splits: Mapping[str, Windows], periods: Sequence[int]) -> Line:
    """Return the weighted mean of the autoregression, of persistence, and of the last seasons.

    Each is weighed by its MASE on validation, raised to the power -8: so one that is clearly worse
    hardly counts, and where few windows say little, none decides alone (Bates and Granger 1969,
    "The combination of forecasts"; there the power is -2).

    Args:
        splits: `train` and `validation`.
        periods: values in seasons; those that a window does not hold are left out.
    """
    validation = splits["validation"]
    horizon, window = validation.targets.shape[1], validation.inputs.shape[1]
    ridge = fit_line(splits)
    lines = {LINE: (ridge.coef_.reshape(horizon, window), ridge.intercept_.reshape(horizon))}
    lines["persistence"] = _repeat(window, np.zeros(horizon, int))
    for period in periods:
        if period <= window:
            back = lags(horizon, period) - np.arange(1, horizon + 1)
            lines[f"the last season ({period})"] = _repeat(window, back)
    errors = {name: _error(weight, bias, validation) for name, (weight, bias) in lines.items()}
    least = min(errors.values())
    inverse = {name: (least / error) ** _POWER if error else 1.0 for name, error in errors.items()}
    shares = {name: value / sum(inverse.values()) for name, value in inverse.items()}
    return Line(
        np.asarray(sum(shares[name] * weight for name, (weight, _) in lines.items())),
        np.asarray(sum(shares[name] * bias for name, (_, bias) in lines.items())),
        shares,
    )


def _repeat(window: int, back: Array) -> tuple[Array, Array]:
    """Return the line that says for each step what was so many values before the last one, (H,)."""
    weight = np.zeros((len(back), window))
    weight[np.arange(len(back)), window - 1 - back] = 1
    return weight, np.zeros(len(back))


def _error(weight: Array, bias: Array, part: Windows) -> float:
    """Return the MASE of a line on a split."""
    forecasts = part.unscale(part.inputs.astype(float) @ weight.T + bias)
    return float(np.mean(np.abs(forecasts - part.truth) / part.naive[:, None]))


def _at(part: Windows, ahead: Array) -> Array:
    """Return the values so many steps after each origin (or before it), (N, steps)."""
    places = part.origins[:, None] + ahead
    return np.asarray(part.panel.values[places, part.series[:, None]])


def _ahead(part: Windows) -> Array:
    return np.arange(1, part.truth.shape[1] + 1)
