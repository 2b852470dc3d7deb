"""The power law of learning: errors fall with the data as a power of its size, within limits.

Hestness et al. 2017, "Deep learning scaling is predictable, empirically": over a range of sizes,
error = a n^-b. On logarithms that is a line. Measured curves bend away from it: where the model
grows too weak for the data they become flatter (Viering and Loog 2022, "The shape of learning
curves", section 4). So a bend is fitted, too, which is supposed to be small: a regression with a
normal prior on that one coefficient (Gelman et al. 2013, "Bayesian data analysis", section 14.8).
"""

from typing import NamedTuple

import numpy as np

from common.metrics.metrics import Array

_FEWEST = 3  # sizes of a line whose spread can be told
_BEND = 0.06  # standard deviation of the prior, for logarithms: half of the second derivative
# error = a n^-b + c has b^2 / 8 where half of its error stays, and less elsewhere
_ROUGH = 0.04  # how far the mean of a size is off a smooth curve: its epochs and samples are others


class Forecast(NamedTuple):
    """An error that is expected, with the 95 % interval in which what is measured should lie."""

    value: float
    low: float
    high: float


class PowerLaw(NamedTuple):
    """A power of the size near the largest one; further away it may bend, but never upwards."""

    coefficients: Array  # (3,) of 1, x and x^2, where x = log(size / largest)
    covariance: Array  # (3, 3) of them
    largest: float  # of the sizes that it was fitted to
    deviation: float  # of single runs around it, on the scale of natural logarithms
    freedom: float  # degrees of freedom with which the noise is known (Welch and Satterthwaite)

    @property
    def exponent(self) -> float:
        """With which power the error falls at the largest size."""
        return -float(self.coefficients[1])

    @property
    def exponent_interval(self) -> tuple[float, float]:
        """The 95 % interval of the exponent."""
        margin = _student(self.freedom) * float(np.sqrt(self.covariance[1, 1]))
        return self.exponent - margin, self.exponent + margin

    @property
    def _lowest(self) -> float:
        """Beyond the largest size, where a bend would begin to make errors grow with the data."""
        _, slope, bend = self.coefficients
        return max(0.0, float(-slope / (2 * bend))) if bend > 0 else np.inf

    def foretell(self, size: float, runs: int = 1) -> Forecast:
        """Return the error that is expected with so much data.

        Args:
            size: training samples.
            runs: of how many the mean is foretold.
        """
        where = float(np.log(size / self.largest))
        terms = _terms(np.asarray(where))
        value = float(np.exp(_terms(np.asarray(min(where, self._lowest))) @ self.coefficients))
        variance = terms @ self.covariance @ terms + _ROUGH**2 + self.deviation**2 / runs
        margin = float(np.exp(_student(self.freedom) * np.sqrt(variance)))
        return Forecast(value, value / margin, value * margin)


def fit_power_law(sizes: Array, errors: Array) -> PowerLaw | None:
    """Fit a power law; None where there are too few sizes, or an error is 0.

    How much runs differ is read off those of the same size, where a size has several; else off a
    line through all.

    Args:
        sizes: (N,) training samples of each run.
        errors: (N,) what each run gets wrong, above 0.
    """
    distinct, where, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    if len(distinct) < _FEWEST or not (np.asarray(errors) > 0).all():
        return None
    largest = float(distinct[-1])
    y = np.log(errors)
    means = np.bincount(where, y) / counts
    repeats = len(y) - len(distinct)
    of_runs = repeats or len(y) - 2
    smooth = means if repeats else np.polyval(np.polyfit(np.log(sizes), y, 1), np.log(distinct))
    spread = float(((y - smooth[where]) ** 2).sum() / of_runs)
    terms = _terms(np.log(distinct / largest))
    noise = _ROUGH**2 + spread / counts
    weighed = terms.T / noise
    guessed = float((spread / counts / noise).mean())
    freedom = of_runs / max(guessed, 1e-3) ** 2
    covariance = np.linalg.inv(weighed @ terms + np.diag([0, 0, _BEND**-2]))
    coefficients = covariance @ weighed @ means
    return PowerLaw(coefficients, covariance, largest, float(np.sqrt(spread)), freedom)


def _terms(x: Array) -> Array:
    """Return what the coefficients are of, (..., 3)."""
    return np.stack([np.ones_like(x), x, x**2], axis=-1)


def _student(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's distribution."""
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))
