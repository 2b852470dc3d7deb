"""What is said of the time to come: by a run, or by a file that was exported from one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import DataError
from common.metrics.metrics import Array
from common.options.terminal import once
from labs.rnn.forecast.scaling import Scaling
from labs.rnn.forecast.series import spacing as calendar
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import Spacing
from labs.rnn.forecast.series.table import read


class Known(NamedTuple):
    """What a forecast of one series goes on from."""

    name: str
    window: Array  # (W,)
    center: float  # see `Scaling`
    factor: float
    end: np.datetime64
    spacing: Spacing


def predict(
    job: Any,
    path: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    **written: Any,
) -> list[dict[str, Any]]:
    """Forecast what follows the end of the run's own series, or of those in a user's table.

    The job is a `Forecast` with its weights, or a file that was exported from one.

    A series whose name the run knows is scaled as in training; another one as if it were the
    training part. The table is as `panel.read` takes it; `written` says how it is written, see
    `TableConfig.of_file`. `say` is called with a line for whatever was left out or mended.

    Returns:
        A record of `date`, `series` and `forecast` for each of the H next values of each series,
        with `low` and `high` (the outermost quantiles) where the run has quantiles, and `by`, what
        made it, where the run chose that on validation.

    Raises:
        DataError: the table cannot be used, or no series is as long as the window.
    """
    config, say = job.config, once(say)
    asked = [_ask(one, path, say, written) for one in job.networks]
    alone = len(asked) == 1
    series, values = asked[0] if alone else _combine(job, asked)
    by = {"by": job.handed_out} if alone and config.linear else {}
    return [
        {**_record(date, each.name, outputs, config.middle), **by}
        for each, rows in zip(series, values, strict=True)
        for date, outputs in zip(
            calendar.to_iso(each.spacing.after(each.end, config.horizon)), rows, strict=True
        )
    ]


def _ask(
    job: Any, path: Path | None, say: Callable[[str], None], written: Mapping[str, Any]
) -> tuple[list[Known], Array]:
    """Return what series go on from, with the forecasts (S, H, outputs) of one network."""
    series = _own(job) if path is None else _of_table(job, path, say, written)
    windows = np.stack([each.window for each in series])
    centers = np.array([each.center for each in series])
    factors = np.array([each.factor for each in series])
    return series, job.forecast(windows, centers, factors)


def _combine(job: Any, asked: Sequence[tuple[list[Known], Array]]) -> tuple[list[Known], Array]:
    """Return what runs say together of the series that are long enough for all of them.

    Raises:
        DataError: there is none.
    """
    shared = set.intersection(*({each.name for each in series} for series, _ in asked))
    if not shared:
        raise DataError("no series is long enough for the windows of all members")
    series = [each for each in asked[0][0] if each.name in shared]
    rows = [
        values[[place for place, each in enumerate(known) if each.name in shared]]
        for known, values in asked
    ]
    return series, job.combination.answer(np.stack(rows), job.form)


def _record(date: str, name: str, outputs: Array, middle: int) -> dict[str, Any]:
    """Return one forecast of one or of several outputs, the first and the last its bounds."""
    record = {"date": date, "series": name, "forecast": float(outputs[middle])}
    if len(outputs) == 1:
        return record
    return {**record, "low": float(outputs[0]), "high": float(outputs[-1])}


def _own(job: Any) -> list[Known]:
    card = job.card
    return [
        Known(
            name,
            np.array(card.tails[series]),
            card.centers[series],
            card.factors[series],
            np.datetime64(card.ends[series]),
            Spacing(*card.spacing),
        )
        for series, name in enumerate(card.names)
    ]


def _of_table(
    job: Any, path: Path, say: Callable[[str], None], written: Mapping[str, Any]
) -> list[Known]:
    panel = read(path, job.config.of_file(path, **written))
    for line in panel.said:
        say(line)
    for place, what in panel.notes:
        say(f"{place}: {what}")
    found, short = [], []
    for series, name in enumerate(panel.names):
        begin, end = panel.span(series)
        known = name in job.card.names
        needed = job.config.window + (0 if known else job.config.horizon)
        if end - begin < needed:
            short.append(f"{name} has {end - begin} values, and at least {needed} are needed")
            continue
        values = panel.values[begin:end, series]
        if not known and not np.ptp(values):  # training leaves such a series out, too
            short.append(f"{name} never changes, and there is nothing to scale")
            continue
        window = values[-job.config.window :]
        if job.config.log and ((window if known else values) <= 0).any():
            where = f" in the last {job.config.window}" if known else ""
            raise DataError(
                f"{path}: {name} has values of 0 or less{where}; this run works on logarithms "
                "(--log) and needs values above 0"
            )
        center, factor = _scale(job, panel.select([series]), known)
        found.append(Known(name, window, center, factor, panel.dates[end - 1], panel.spacing))
    if not found:
        raise DataError(f"{path}: no series can be used: {'; '.join(short)}")
    for reason in short:
        say(f"left out: {reason}")
    return found


def _scale(job: Any, panel: Panel, known: bool) -> tuple[float, float]:
    """Return center and factor of the one series in a panel."""
    if known:
        series = job.card.names.index(panel.names[0])
        return job.card.centers[series], job.card.factors[series]
    fitted = Scaling.fit(panel, len(panel.dates), job.config)
    return float(fitted.centers[0]), float(fitted.factors[0])
