"""The series that come with the lab."""

import csv
from pathlib import Path

import numpy as np

from common import seeding
from common.metrics.metrics import Array
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import infer


def google(seed: int) -> Panel:
    """Return Google's price of each business day."""
    rows = np.load(_sample("goog.npz"))["price_data"]
    dates = rows["date"].astype("datetime64[s]")
    source = "Google's closing price in dollars, daily from 2004 to 2008 (from matplotlib)"
    return Panel(("close",), dates, rows["close"][:, None].astype(float), infer(dates), source)


def stocks(seed: int) -> Panel:
    """Return the prices at the first of each month; other rows are dividends, without a price."""
    lines = _sample("Stocks.csv").read_text(encoding="utf-8").splitlines()
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    monthly = [row for row in rows if row[0].endswith("-01") and any(row[1:])]
    dates = np.array([row[0] for row in monthly], "datetime64[s]")
    values = np.array([[float(cell or "nan") for cell in row[1:]] for row in monthly])
    source = "Ten stocks and indices in dollars, monthly from 1990 to 2022 (from matplotlib)"
    return Panel(tuple(header[1:]), dates, values, infer(dates), source)


def _sample(name: str) -> Path:
    from matplotlib.cbook import get_sample_data

    return Path(get_sample_data(name, asfileobj=False))


_DAYS, _TIMES = 240, 12  # of the seasonal series: dates two hours apart


def seasonal(seed: int = 0) -> Panel:
    """Make three series, every two hours for 240 days, in which each day follows from the last.

    value = level * (1 + 2 * swing * shape(time of the day)) * noise

    Each series has a shape of two peaks, a level that wanders, and 5 % of noise. The swing of a day
    is 3.99 x (1 - x) of that of the day before (the logistic map; May 1976, "Simple mathematical
    models with very complicated dynamics"). It has hardly any linear correlation from one day to
    the next, so the best guess of anything linear is not far from the mean day.
    """
    generator = np.random.default_rng(seeding.derive(seed))
    peaks_and_levels = ((4, 9, 100.0), (5, 8, 40.0), (3, 11, 250.0))
    columns = [_series(generator, *each) for each in peaks_and_levels]
    dates = np.datetime64("2024-01-01", "s") + 7200 * np.arange(_DAYS * _TIMES)
    source = f"Three synthetic series, every two hours for {_DAYS} days, seed {seed}"
    return Panel(("A", "B", "C"), dates, np.stack(columns, 1), infer(dates), source)


def _series(generator: np.random.Generator, first: int, second: int, level: float) -> Array:
    """Return one series with peaks at two times of the day, (T,)."""
    swings = [generator.uniform(0.2, 0.8)]
    while len(swings) < _DAYS:
        swings.append(3.99 * swings[-1] * (1 - swings[-1]))
    time = np.arange(_TIMES)
    shape = np.exp(-0.5 * (time - first) ** 2) + 0.7 * np.exp(-0.5 * (time - second) ** 2)
    days = (1 + 2 * np.array(swings)[:, None] * shape).ravel()
    wander = 0.01 * generator.standard_normal(len(days)).cumsum()
    noise = 0.05 * generator.standard_normal(len(days))
    return np.asarray(level * days * np.exp(wander + noise))
