"""Series side by side along one axis of dates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from common.metrics.metrics import Array
from labs.rnn.forecast.series.spacing import Spacing

Note = tuple[str, str]


@dataclass(frozen=True)
class Panel:
    """Series side by side."""

    names: tuple[str, ...]  # of the K series
    dates: Array  # datetime64[s] (T,), rising; [us] where there are parts of seconds
    values: Array  # float64 (T, K); NaN before a series begins and after it ends, and nowhere else
    spacing: Spacing  # of the dates
    source: str  # one line that says what it is
    notes: tuple[Note, ...] = ()  # (place, what was done) about all that was not in order
    said: tuple[str, ...] = ()  # how a table was read, a sentence each
    options: tuple[tuple[str, Any], ...] = ()  # fields of the config that say it

    def span(self, series: int) -> tuple[int, int]:
        """Return where a series begins, and where it has ended."""
        there = np.flatnonzero(np.isfinite(self.values[:, series]))
        return int(there[0]), int(there[-1]) + 1

    def select(self, series: Sequence[int]) -> "Panel":
        """Return some of the series."""
        names = tuple(self.names[each] for each in series)
        return replace(self, names=names, values=self.values[:, list(series)])

    def last(self, dates: int) -> "Panel":
        """Return the last dates, and the series that are still there."""
        panel = replace(self, dates=self.dates[-dates:], values=self.values[-dates:])
        return panel.select(np.flatnonzero(np.isfinite(panel.values).any(0)).tolist())
