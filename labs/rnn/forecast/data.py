"""Series: read, cleaned, cut by time, and made into windows.

An origin is the last date that a forecast knows. Its window holds the values up to it, its targets
are those after it. The axis of dates is cut into training (70 %), validation (10 %) and test
(20 %), and a window belongs to the part in which all of its targets lie: so no target of training
is in the time of validation or test, and whatever is fitted sees training values only. The window
of an early test origin reaches back into the parts before, as it would in use.
"""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from common.card import say_skipped
from common.errors import DataError
from common.metrics.metrics import Array
from common.reuse import reusable
from common.training.splits import bootstrap_rows
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.scaling import Card, Scaling, scale, unscale
from labs.rnn.forecast.series import spacing as calendar
from labs.rnn.forecast.series.find import find, find_test
from labs.rnn.forecast.series.panel import Panel

_VALIDATION, _TEST = 0.1, 0.2  # shares of the dates
_LONGEST_PERIOD = 400
_HIGH = 100  # naive errors; float32 tells 160,000 places between neighbors of them


def levels(centers: Array, naive: Array, log: bool) -> Array:
    """Return what to take off the values of each series before they become float32, (K,).

    float32 has 24 bits: at 200,000,000 it knows steps of 16 alone. So of series that are far from 0
    for how much they change, the center is taken off in float64; of others, nothing.

    Args:
        centers: of the series, see `Scaling`, (K,).
        naive: the mean absolute change from one training value to the next, (K,).
        log: whether the centers are logarithms.
    """
    middles = np.exp(centers) if log else centers
    return np.asarray(np.where(np.abs(middles) > _HIGH * naive, middles, 0.0))


def by_origin(values: Array, origins: Array, series: Array, count: int) -> Array:
    """Arrange values (N, ...) of origins (N,) and series (N,) as (origins, count, ...)."""
    rows, places = np.unique(origins, return_inverse=True)
    table = np.full((len(rows), count, *values.shape[1:]), np.nan)
    table[places, series] = values
    return table


@dataclass(frozen=True)
class Windows:
    """Windows of one part of the time, by origin and then by series."""

    panel: Panel  # all series, as far as they go; what was known at an origin is up to it
    series: Array  # (N,) numbers of series
    origins: Array  # (N,) places on the panel's axis of the last known values
    inputs: Array  # float32 (N, W), scaled
    targets: Array  # float32 (N, H), scaled
    truth: Array  # float64 (N, H), the targets as they are
    offsets: Array  # (N,), see `Scaling`
    factors: Array  # (N,), see `Scaling`
    naive: Array  # (N,) the mean absolute change from one training value of the series to the next
    levels: Array  # (N,), see `levels`
    log: bool  # whether the scale is logarithmic

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.origins)

    def select(self, rows: Array) -> "Windows":
        """Return some of the windows: those with these numbers, or where a mask is true."""
        arrays: dict[str, Any] = {
            field.name: value[rows]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        return replace(self, **arrays)

    def unscale(self, scaled: Array) -> Array:
        """Bring forecasts (N, H) or (N, H, Q) back to the units of the series."""
        return unscale(scaled, self.offsets, self.factors, self.log)

    def by_origin(self, values: Array) -> Array:
        """Arrange values (N, ...) as (origins, K, ...), NaN where a series lacks an origin."""
        return by_origin(values, self.origins, self.series, len(self.panel.names))


def load(config: ForecastConfig, card: Card | None = None) -> tuple[dict[str, Windows], Card]:
    """Load a config's series as windows for `train`, `validation` and `test`, with their card.

    Args:
        config: names the series.
        card: of a run that is there, to split them as it did.

    Raises:
        DataError: there is no such file, it cannot be read, or it is too short.
    """
    panel = _find(config)
    if config.limit is not None and config.limit < len(panel.dates):
        panel = replace(panel, source=f"{panel.source}, the last {config.limit:,} dates of it")
        panel = panel.last(config.limit)
    written = calendar.to_iso(panel.dates)
    of_its_own = config.test is not None
    known = None if card is None else _places_of(card, written, test=not of_its_own)
    bounds = known or split_places(len(written), config.horizon, test=not of_its_own)
    if config.fold is not None and config.folds is not None:
        bounds = split_origins(len(written), config.horizon, config.folds, config.fold)
    if config.share < 1:
        dropped = bounds[1] - round(config.share * bounds[1])
        panel = panel.last(len(written) - dropped)
        bounds = (0, bounds[1] - dropped, bounds[2] - dropped, bounds[3] - dropped)
    panel = _usable(panel, bounds[1], config)
    period = _period(panel, bounds[1], config)
    scaling = Scaling.fit(panel, bounds[1], config)
    naive = _naive(panel, bounds[1])
    parts = {
        name: _Part(panel, *places, config.window)
        for name, places in zip(
            ("train", "validation", "test"), itertools.pairwise(bounds), strict=True
        )
    }
    other = find_test(config) if "test" in config.own_splits else None
    if other is not None:
        parts["test"] = _test_part(panel, other, max(config.window, period), config)
    splits = {name: _windows(part, scaling, naive, config) for name, part in parts.items()}
    drawn: tuple[str, ...] = ()
    if config.bootstrap:
        every = torch.arange(len(splits["train"]))
        rows = bootstrap_rows(torch.zeros(len(every)), every, config.seed).numpy()
        splits["train"] = splits["train"].select(rows)
        drawn = config.describe_drawn(rows.tolist())
    for name, windows in splits.items():
        if not len(windows):
            raise DataError(
                f"{parts[name].panel.source}: no {name} window of {config.window} values has its "
                f"{config.horizon} targets there; give longer series, or a smaller --horizon"
            )
    whole = parts["test"].panel if parts["test"].begin else panel  # as far as it is known
    ends = [whole.span(series)[1] for series in range(len(panel.names))]
    return splits, Card(
        source=", ".join([_describe_source(panel, other), *config.cut, *drawn]),
        counts={name: len(windows) for name, windows in splits.items()},
        skipped=parts["test"].panel.notes,
        fingerprint=_fingerprint(panel) + (_fingerprint(parts["test"].panel) if other else ""),
        names=panel.names,
        spacing=(*panel.spacing,),
        centers=tuple(scaling.centers.tolist()),
        factors=tuple(scaling.factors.tolist()),
        naive=tuple(naive.tolist()),
        ends=tuple(calendar.to_iso(whole.dates)[end - 1] for end in ends),
        tails=tuple(
            tuple(whole.values[end - config.window : end, series].tolist())
            for series, end in enumerate(ends)
        ),
        period=period,
        spans={name: part.span for name, part in parts.items()},
    )


@reusable(lambda config: (config.whole_data, config.split_seed))
def _find(config: ForecastConfig) -> Panel:
    return find(config)


def _describe_source(panel: Panel, other: Panel | None) -> str:
    return panel.source if other is None else f"{panel.source}; tested on {other.source}"


class _Part(NamedTuple):
    """A stretch of an axis of dates, in which targets lie."""

    panel: Panel
    begin: int
    end: int
    least: int  # values of a series that are known before a target

    @property
    def span(self) -> tuple[str, str]:
        """Its first and its last date."""
        written = calendar.to_iso(self.panel.dates)
        return written[self.begin], written[self.end - 1]


def _test_part(panel: Panel, other: Panel, least: int, config: ForecastConfig) -> _Part:
    """Return the series of `--test`: behind those of `--data` where they go on, else by themselves.

    Raises:
        DataError: a date is in both, or no series is one of the run's.
    """
    both = np.intersect1d(panel.dates, other.dates)
    if len(both):
        raise DataError(
            f"--test {config.test}: {len(both):,} of its dates are in --data too, the first is "
            f"{calendar.to_iso(both)[0]}; take them out of one, or what is tested was learned"
        )
    left_out: list[tuple[str, str]] = []
    other = _known(
        other, panel.names, f"--test {config.test}", lambda line: left_out.append(("test", line))
    )
    if config.log:
        _refuse_for_logarithm(other)
    if other.spacing != panel.spacing:
        what = f"dates are {other.spacing}, the run learns from {panel.spacing}"
        left_out.append(("test", what))
    notes = panel.notes + other.notes + tuple(left_out)
    if not _goes_on(panel, other):
        return _Part(replace(other, notes=notes), 0, len(other.dates), least)
    joined = replace(
        panel,
        dates=np.concatenate([panel.dates, other.dates]),
        values=np.concatenate([panel.values, other.values]),
        notes=notes,
    )
    return _Part(joined, len(panel.dates), len(joined.dates), config.window)


def _goes_on(panel: Panel, other: Panel) -> bool:
    """Say whether series begin where others end."""
    last, first = panel.dates[-1], other.dates[0]
    if other.spacing != panel.spacing or first < last:
        return False
    there = np.isfinite(other.values).any(0)
    whole = np.isfinite(panel.values[-1]) & np.isfinite(other.values[0])
    step = panel.spacing.steps(np.array([last, first]))
    return bool(step[0] == 1 and whole[there].all())


def labelled(config: ForecastConfig, card: Card, say: Callable[[str], None]) -> Windows:
    """Load all windows of those of a config's series that a run knows, scaled as it does.

    `say` is called with a line for whatever was mended or left out.

    Raises:
        DataError: there is no such file, it cannot be read, or has no window of the run's series.
    """
    panel = find(config)
    for line in panel.said:
        say(line)
    say_skipped(panel.notes, say, "mended or left out")
    spacing = calendar.Spacing(*card.spacing)
    if panel.spacing != spacing:
        say(f"--data {config.data}: dates are {panel.spacing}, the run learned from {spacing}")
    panel = _known(panel, card.names, f"--data {config.data}", say)
    if config.log:
        _refuse_for_logarithm(panel)
    scaling = Scaling(config.log, config.difference, np.array(card.centers), np.array(card.factors))
    whole = _Part(panel, 0, len(panel.dates), config.window)
    windows = _windows(whole, scaling, np.array(card.naive), config)
    if not len(windows):
        raise DataError(
            f"--data {config.data}: no series has a window of {config.window} values and "
            f"{config.horizon} after it"
        )
    return windows


def _known(panel: Panel, names: Sequence[str], option: str, say: Callable[[str], None]) -> Panel:
    """Return the series that a run knows, in its order; those that are not there hold no values."""
    there = {name: panel.values[:, series] for series, name in enumerate(panel.names)}
    if not there.keys() & set(names):
        raise DataError(
            f"{option}: none of its series ({', '.join(there)}) is one of the run's: "
            f"{', '.join(names)}"
        )
    for name in there.keys() - set(names):
        say(f"left out {name}: the run does not know this series")
    nothing = np.full(len(panel.dates), np.nan)
    values = np.stack([there.get(name, nothing) for name in names], 1)
    return replace(panel, names=tuple(names), values=values)


def split_places(dates: int, horizon: int, *, test: bool = True) -> tuple[int, int, int, int]:
    """Return the places at which training begins, validation begins, test begins, and all ends.

    Validation and test have two horizons or more: else all of their windows would share targets.

    Args:
        dates: that there are.
        horizon: steps ahead.
        test: whether a part is kept for the test; else all but validation is for training.
    """
    share = _VALIDATION if test else _VALIDATION / (1 - _TEST)
    test_dates = max(2 * horizon, round(_TEST * dates)) if test else 0
    validation = max(2 * horizon, round(share * dates))
    return 0, max(0, dates - test_dates - validation), max(0, dates - test_dates), dates


def split_origins(dates: int, horizon: int, folds: int, fold: int) -> tuple[int, int, int, int]:
    """Return the places of `split_places` where the test rolls: a block of the later half of dates.

    All that is trained on, or validates, comes before the block (Tashman 2000, "Out-of-sample tests
    of forecasting accuracy").

    Args:
        dates: that there are.
        horizon: steps ahead.
        folds: blocks of the later half.
        fold: which one tests, from 1 on.

    Raises:
        DataError: a block would be shorter than two horizons.
    """
    blocks = [dates - dates // 2 * (folds - number) // folds for number in range(folds + 1)]
    begin, end = blocks[fold - 1], blocks[fold]
    if end - begin < 2 * horizon:
        raise DataError(
            f"--folds {folds}: a fold of {end - begin} dates is too short to test {horizon} steps "
            f"ahead; give at most {max(1, dates // 2 // (2 * horizon))}, or a smaller --horizon"
        )
    return 0, begin - max(2 * horizon, round(_VALIDATION * begin)), begin, end


def _places_of(
    card: Card, written: Sequence[str], *, test: bool
) -> tuple[int, int, int, int] | None:
    """Return where a run has split these dates; None where they are others."""
    begins = [card.spans[name][0] for name in ("validation", "test")[: 1 + test]]
    if not set(begins) <= set(written):
        return None
    places = [written.index(begin) for begin in begins]
    return 0, places[0], places[1] if test else len(written), len(written)


def _usable(panel: Panel, end: int, config: ForecastConfig) -> Panel:
    """Leave out the series of which nothing can be learned, and say so."""
    reasons = {}
    for series, name in enumerate(panel.names):
        begin, stop = panel.span(series)
        values = panel.values[begin : min(stop, end), series]
        if len(values) < config.window + config.horizon:
            reasons[name] = (
                f"it has {len(values)} values in the training part, and --window "
                f"{config.window} with --horizon {config.horizon} needs at least "
                f"{config.window + config.horizon}"
            )
        elif not np.diff(values[config.window - 1 :]).any():
            reasons[name] = f"it stays at {values[-1]:g} in the training part"
        elif config.log:
            _refuse_for_logarithm(panel.select([series]))
    kept = [series for series, name in enumerate(panel.names) if name not in reasons]
    if not kept:
        name, reason = next(iter(reasons.items()))
        raise DataError(f"{panel.source}: {name} cannot be used: {reason}")
    notes = tuple((name, f"left out: {reason}") for name, reason in reasons.items())
    return replace(panel.select(kept), notes=panel.notes + notes)


def _refuse_for_logarithm(panel: Panel) -> None:
    for name, values in zip(panel.names, panel.values.T, strict=True):
        if (wrong := np.flatnonzero(values <= 0)).size:
            value, date = values[wrong[0]], panel.dates[wrong[0]]
            raise DataError(
                f"{panel.source}: {name} is {value:g} at {calendar.to_iso(date[None])[0]}, and "
                "--log needs values above 0; train with --no-log"
            )


def _naive(panel: Panel, end: int) -> Array:
    """Return each series' mean absolute change from one training value to the next, (K,)."""
    return np.asarray(np.nanmean(np.abs(np.diff(panel.values[:end], axis=0)), axis=0))


def _period(panel: Panel, end: int, config: ForecastConfig) -> int:
    """Return the values in a season, for the seasonal baseline."""
    values = panel.values[:end]
    if config.period is None:
        return choose_period(values, config.horizon)
    shortest = int(np.isfinite(values).sum(0).min())
    if config.period > shortest:
        raise DataError(
            f"--period {config.period}: the shortest series has {shortest} values in the training "
            "part; give a period that is known once at least, or leave it out"
        )
    return config.period


def lags(horizon: int, period: int) -> Array:
    """Return how far back the same place of the last known season is from each step, (H,)."""
    ahead = np.arange(1, horizon + 1)
    return np.asarray(period * -(-ahead // period))


def choose_period(values: Array, horizon: int) -> int:
    """Return the period with which the seasonal naive forecast is best on training values (T, K).

    At most 400, and at most half of the shortest series. Multiples of a period do about as well as
    the period itself; so it is the shortest that is within 5 % of the best. Values are NaN where a
    series is not there.
    """
    scaled = values / np.nanmean(np.abs(np.diff(values, axis=0)), axis=0)
    shortest = int(np.isfinite(values).sum(0).min())
    longest = max(2, min(_LONGEST_PERIOD, shortest // 2 - horizon))
    by_lag = {
        lag: float(np.nanmean(np.abs(scaled[lag:] - scaled[:-lag])))
        for lag in range(2, min(longest + horizon, shortest))
    }
    errors = {
        period: float(np.mean([by_lag.get(lag, np.inf) for lag in lags(horizon, period)]))
        for period in range(2, longest + 1)
    }
    good = 1.05 * min(errors.values())
    return next(period for period, error in errors.items() if error <= good)


def _windows(part: _Part, scaling: Scaling, naive: Array, config: ForecastConfig) -> Windows:
    """Return the windows whose targets all lie in a part of the axis."""
    panel = part.panel
    pairs = [
        (origin, series)
        for series in np.flatnonzero(np.isfinite(panel.values).any(0)).tolist()
        for origin in _origins(panel.span(series), part, config.horizon)
    ]
    origins, series = np.array(sorted(pairs), int).reshape(-1, 2).T
    before = np.arange(1 - config.window, 1)
    after = np.arange(1, config.horizon + 1)
    known = panel.values[origins[:, None] + before, series[:, None]]
    truth = panel.values[origins[:, None] + after, series[:, None]]
    offsets, factors = scaling.offsets(known, series), scaling.factors[series]
    return Windows(
        panel=panel,
        series=series,
        origins=origins,
        inputs=scale(known, offsets, factors, scaling.log),
        targets=scale(truth, offsets, factors, scaling.log),
        truth=truth,
        offsets=offsets,
        factors=factors,
        naive=naive[series],
        levels=levels(scaling.centers, naive, scaling.log)[series],
        log=scaling.log,
    )


def _origins(span: tuple[int, int], part: _Part, horizon: int) -> range:
    first = max(span[0] + part.least, part.begin) - 1
    return range(first, min(span[1], part.end) - horizon)


def _fingerprint(panel: Panel) -> str:
    digest = hashlib.sha256(repr(panel.names).encode())
    digest.update(panel.dates.tobytes())
    digest.update(np.ascontiguousarray(panel.values).tobytes())
    return digest.hexdigest()
