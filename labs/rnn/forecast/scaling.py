"""How series are brought to one size, and what a run keeps of them; without torch."""

from dataclasses import dataclass

import numpy as np

from common.card import DataCard
from common.metrics.metrics import Array
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.series.panel import Panel


@dataclass(frozen=True)
class Card(DataCard):
    """What a run needs to know of its series without having them; kept as data.json."""

    names: tuple[str, ...]  # of the K series
    spacing: tuple[str, int, int]  # of the dates; see `dates.Spacing`
    centers: tuple[float, ...]  # of each series, for `Scaling`
    factors: tuple[float, ...]  # of each series, for `Scaling`
    naive: tuple[float, ...]  # mean absolute change from one training value to the next, of each
    ends: tuple[str, ...]  # the last date of each series
    tails: tuple[tuple[float, ...], ...]  # the last window of each series
    period: int  # values in a season, for the seasonal baseline
    spans: dict[str, tuple[str, str]]  # first and last date of training, validation and test


@dataclass(frozen=True)
class Scaling:
    """Brings windows to one size: (g(value) - offset) / factor, where g is log or nothing.

    With `difference` the offset is the last value of the window itself, so that 0 says "as it is
    now"; else it is the mean of the series' training values. The factor is the root mean square of
    what is left of the training targets (with `difference`), or of the training values.
    """

    log: bool  # whether g is the logarithm
    difference: bool  # what the offset is
    centers: Array  # the mean of g of the training values, (K,)
    factors: Array  # (K,)

    @classmethod
    def fit(cls, panel: Panel, end: int, config: ForecastConfig) -> "Scaling":
        """Fit centers and factors on the values before a place, one series after the other."""
        centers, factors = [], []
        for series in range(len(panel.names)):
            begin, stop = panel.span(series)
            values = panel.values[begin : min(stop, end), series]
            values = np.log(values) if config.log else values
            last = np.arange(config.window - 1, len(values) - config.horizon)
            ahead = last[:, None] + np.arange(1, config.horizon + 1)
            left = (
                values[ahead] - values[last, None] if config.difference else values - values.mean()
            )
            centers.append(values.mean())
            factors.append(np.sqrt(np.mean(left**2)))
        return cls(config.log, config.difference, np.array(centers), np.array(factors))

    def offsets(self, windows: Array, series: Array) -> Array:
        """Return what is subtracted from windows (N, W) of series (N,), in units of g."""
        if not self.difference:
            return np.asarray(self.centers[series])
        return np.asarray(np.log(windows[:, -1]) if self.log else windows[:, -1])


def scale(values: Array, offsets: Array, factors: Array, log: bool) -> Array:
    """Scale values (N, steps); float32."""
    values = np.log(values) if log else values
    return np.asarray((values - offsets[:, None]) / factors[:, None], np.float32)


def unscale(scaled: Array, offsets: Array, factors: Array, log: bool) -> Array:
    """Undo `scale`; scaled is (N, ...), the result float64."""
    shape = (-1,) + (1,) * (scaled.ndim - 1)
    values = scaled.astype(np.float64) * factors.reshape(shape) + offsets.reshape(shape)
    return np.asarray(np.exp(values) if log else values)
