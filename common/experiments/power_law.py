"""The power law of learning: errors fall with the data as a power of its size, within limits.

Hestness et al. 2017, "Deep learning scaling is predictable, empirically": over a range of sizes,
error = a n^-b. On logarithms that is a line, so a fit is a regression, and what it foretells has
the prediction interval of one (Draper and Smith 1998, "Applied regression analysis", section 3.1).
"""

from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

_FEWEST = 3  # points of a line whose spread can be told


class Forecast(NamedTuple):
    """An error that is expected, with the 95 % interval in which a single run should lie."""

    value: float
    low: float
    high: float


class PowerLaw(NamedTuple):
    """error = factor * size ** -exponent."""

    factor: float
    exponent: float
    exponent_interval: tuple[float, float]  # 95 %
    deviation: float  # of single runs around it, on the scale of natural logarithms
    sizes: Array  # (N,) natural logarithms, of what it was fitted to

    def foretell(self, size: float) -> Forecast:
        """Return the error that a run with so much data is expected to have."""
        value, where = self.factor * size**-self.exponent, np.log(size)
        spread = ((self.sizes - self.sizes.mean()) ** 2).sum()
        number = len(self.sizes)
        away = (where - self.sizes.mean()) ** 2 / spread
        margin = _student(number - 2) * self.deviation * np.sqrt(1 + 1 / number + away)
        return Forecast(value, float(value * np.exp(-margin)), float(value * np.exp(margin)))


def fit_power_law(sizes: Array, errors: Array) -> PowerLaw | None:
    """Fit a power law; None where there are too few sizes, or an error is 0.

    Args:
        sizes: (N,) training samples of each run.
        errors: (N,) what each run gets wrong, above 0.
    """
    if len(np.unique(sizes)) < _FEWEST or not (np.asarray(errors) > 0).all():
        return None
    x, y = np.log(sizes), np.log(errors)
    slope, intercept = np.polyfit(x, y, 1)
    left = y - intercept - slope * x
    deviation = float(np.sqrt((left**2).sum() / (len(x) - 2)))
    margin = _student(len(x) - 2) * deviation / np.sqrt(((x - x.mean()) ** 2).sum())
    return PowerLaw(
        float(np.exp(intercept)), -float(slope), (-slope - margin, -slope + margin), deviation, x
    )


def _student(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's distribution."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))
