"""What suits a user's own series: its season, and what follows from it.

All is chosen from the training part. What was chosen is said, each with its reason.
"""

from typing import Any

import numpy as np

from common.metrics.metrics import Array
from common.options import budget
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.data import split_places
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import Spacing

Reasons = list[str]

_SHARE = 10  # a horizon is at most one in so many dates
_LONGEST_SEASON = 400
_DAY = 24 * 3600  # seconds
_HORIZON, _WINDOW = 10, 30  # of a series without a season
_LONG_WINDOW = 200  # two seasons are seen up to here
_RATE, _UPDATES = 5e-3, 2_000
_PATIENT_UPDATES, _PATIENCE = 500, range(5, 120)  # without progress; in epochs, from and to
_MOST_STEPS = 60_000_000  # of the recurrence, in all updates together
_SPEED, _OF_A_BATCH = 150_000, 0.005  # steps of the recurrence in a second; seconds beside them
_GROWS = 1.5  # how many times the lowest level the highest must be to tell how the spread follows


def suit(config: ForecastConfig, panel: Panel) -> tuple[ForecastConfig, Reasons]:
    """Return a config with what suits a panel, and why; nothing that is given is chosen.

    Args:
        config: with `given`, the options that the user gave.
        panel: its series.
    """
    if config.limit is not None:
        panel = panel.last(config.limit)
    chosen, rows = budget.Choices(config), len(panel.dates)
    chosen.reasons += panel.said
    chosen.take(**dict(panel.options))
    longest = config.horizon if "horizon" in chosen.config.given else rows // _SHARE
    train = panel.values[: split_places(rows, longest, test=config.test is None)[1]]
    columns = [column[np.isfinite(column)] for column in train.T]
    columns = [column for column in columns if len(column) > 2]

    def choose(name: str, found: tuple[Any, str]) -> Any:
        value, reason = found
        chosen.take(reason, **{name: value})
        return getattr(chosen.config, name)

    season = choose("period", _season(panel.spacing, columns)) or 0
    horizon = choose("horizon", _horizon(season, rows))
    week = 7 * season if panel.spacing.unit == "second" and season else 0
    window = choose("window", _window(season, horizon, len(train), week))
    log = choose("log", _log(panel, columns, season))
    choose("difference", _difference([np.log(c) if log else c for c in columns], season))
    if config.strategy != "recursive":
        choose("linear", (True, "the network begins from a mean of linear forecasts"))
    why = "no other did clearly better on series of many kinds"
    choose("learning_rate", (_RATE, f"a learning rate of {_RATE:g}: {why}"))
    windows = max(1, sum(len(column) - window - horizon + 1 for column in columns))
    chosen.train_for(windows, _needs(chosen.config, windows))
    choose("patience", _patience(windows, chosen.config.batch_size))
    return chosen.config, chosen.reasons


def _needs(config: ForecastConfig, windows: int) -> budget.Needs:
    """Return what the network needs to learn, and what it takes: for each step, and each batch."""
    batch = config.batch_size
    if "batch_size" not in config.given:
        batch = budget.choose_batch(windows, batch)
    seconds = config.window / _SPEED + _OF_A_BATCH / batch  # of a sample
    return budget.Needs(_UPDATES, _MOST_STEPS // config.window, 1 / seconds)


def _patience(windows: int, batch_size: int) -> tuple[int, str]:
    epochs = max(_PATIENCE.start, min(_PATIENT_UPDATES * batch_size // windows, _PATIENCE.stop))
    return epochs, f"it stops when {epochs} epochs bring nothing better on validation"


# --- the season ---------------------------------------------------------------------------------


def _season(spacing: Spacing, columns: list[Array]) -> tuple[int | None, str]:
    """Return the values in a season, None where there is none, and the reason."""
    most = max((len(column) for column in columns), default=0)
    length, name = _of_calendar(spacing)
    if 2 <= length <= min(_LONGEST_SEASON, most // 2):
        return length, f"a season of {length}: rows are {spacing}, and {length} are {name}"
    found, height = _of_autocorrelation(columns, min(_LONGEST_SEASON, most // 3))
    if found:
        return (
            found,
            f"a season of {found}: changes repeat after so many (correlation {height:.2f})",
        )
    return None, "no season: no calendar gives one that fits, and changes do not repeat"


def _of_calendar(spacing: Spacing) -> tuple[int, str]:
    """Return how many steps a larger unit of the calendar takes, and its name; 0 for none."""
    match spacing.unit:
        case "month" if 12 % spacing.step == 0:
            return 12 // spacing.step, "a year"
        case "business day" | "weekday":
            return len(spacing.days), "a week"
        case "day" if spacing.step == 1:
            return 7, "a week"
        case "day" if spacing.step == 7:
            return 52, "a year"
        case "second" if _DAY % spacing.step == 0:
            return _DAY // spacing.step, "a day"
    return 0, ""


def _of_autocorrelation(columns: list[Array], longest: int) -> tuple[int, float]:
    """Return the lag at which changes are most alike, and how much; 0 where they are not.

    Of changes, as a level that wanders is like itself at any lag. A lag counts as a season if it
    is a peak, and more than chance gives the highest of hundreds of lags. Multiples of a season are
    peaks too; so it is the first that is nearly as high as the highest.
    """
    if longest < 2:
        return 0, 0.0
    changes = [np.diff(column) for column in columns if len(column) > longest + 2]
    found = np.mean([autocorrelation(each, longest + 1) for each in changes], 0)
    lags = np.arange(2, longest + 1)
    peaks = lags[(found[lags] > found[lags - 1]) & (found[lags] >= found[lags + 1])]
    chance = 4 / np.sqrt(sum(map(len, changes)))
    peaks = peaks[found[peaks] > chance]
    if not len(peaks):
        return 0, 0.0
    best = int(peaks[found[peaks] > 0.9 * found[peaks].max()][0])
    return best, float(found[best])


def autocorrelation(values: Array, longest: int) -> Array:
    """Return the autocorrelation at lags 0 to `longest`, by the Fourier transform."""
    values = values - values.mean()
    power = np.abs(np.fft.rfft(values, 2 * len(values))) ** 2
    found = np.fft.irfft(power)[: longest + 1]
    return np.asarray(found / found[0] if found[0] > 0 else 0 * found)


# --- what follows from it -----------------------------------------------------------------------


def _horizon(season: int, rows: int) -> tuple[int, str]:
    most = max(1, rows // _SHARE)
    wanted = season or _HORIZON
    horizon = min(wanted, most)
    if horizon < wanted:
        return horizon, f"a horizon of {horizon}: a tenth of {rows:,} dates"
    return horizon, f"a horizon of {horizon}{': one season' if season else ''}"


def _window(season: int, horizon: int, train: int, week: int = 0) -> tuple[int, str]:
    """Return two seasons and the value before, or one, or what half of the training part has.

    Of a season of a day it is a week, where the training part has four of them.
    """
    most = max(2, (train - horizon) // 2)
    if week and week < _LONG_WINDOW and 4 * week + horizon <= train:
        return week + 1, f"a window of {week + 1}: a week, and the value before"
    if not season:
        window = min(_WINDOW, most)
        return window, f"a window of {window}"
    two_thirds = 2 * (train - horizon) // 3
    for seasons, longest in ((2, min(most, _LONG_WINDOW)), (1, two_thirds)):
        if seasons * season < longest:
            many = "two seasons" if seasons == 2 else "a season"
            window = seasons * season + 1
            return window, f"a window of {window}: {many}, and the value before"
    return most, f"a window of {most}: half of the training part"


def _log(panel: Panel, columns: list[Array], season: int) -> tuple[bool, str]:
    """Return whether the spread grows with the level (Guerrero 1993).

    ("Time-series analysis supported by power transformations".) Log of the spread within a season
    against log of its level has a slope of 1 where changes are in percent, and of 0 where they are
    not.
    """
    if not (panel.values[np.isfinite(panel.values)] > 0).all():
        return False, "no logarithms: there are values of 0 or less"
    length = season * -(-6 // season) if season else 12  # of 6 values or more
    slopes = [_slope(column, length) for column in columns]
    known = [slope for slope in slopes if slope is not None]
    if not known:
        return False, "no logarithms: the level changes too little"
    slope = float(np.median(known))
    if slope > 0.5:
        return True, f"logarithms: the spread grows with the level (slope {slope:.1f})"
    return False, f"no logarithms: the spread does not grow with the level (slope {slope:.1f})"


def _slope(values: Array, length: int) -> float | None:
    """Return by which power the spread of parts of a series grows with their level."""
    parts = values[len(values) % length :].reshape(-1, length)
    level, spread = parts.mean(1), parts.std(1)
    level, spread = level[spread > 0], spread[spread > 0]
    if len(level) < 3 or level.max() < _GROWS * level.min():
        return None
    return float(np.polyfit(np.log(level), np.log(spread), 1)[0])


def _difference(columns: list[Array], season: int) -> tuple[bool, str]:
    """Return whether the level wanders: the last season tells more of the next than all before."""
    length = season or 12
    errors = [_level_errors(column, length) for column in columns if len(column) >= 4 * length]
    if errors and np.mean([all_before < last for last, all_before in errors]) > 0.5:
        return False, "windows relative to the mean: the level does not wander"
    return True, "windows relative to their last value: the level wanders"


def _level_errors(values: Array, length: int) -> tuple[float, float]:
    """Return how far the mean of the next values is from that of the last ones, and of all before.

    In the second half of a series.
    """
    sums = np.concatenate([[0], np.cumsum(values)])
    at = np.arange(len(values) // 2, len(values) - length + 1)
    coming = (sums[at + length] - sums[at]) / length
    last = (sums[at] - sums[at - length]) / length
    return float(np.abs(last - coming).mean()), float(np.abs(sums[at] / at - coming).mean())
