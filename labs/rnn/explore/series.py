"""What a user's series show before anyone trains."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from common.errors import DataError
from common.explore import page
from common.explore.page import Part
from common.metrics.metrics import Array
from common.options import terminal
from common.options.terminal import figure_text
from common.report import plots
from common.report.html import Section, Table
from labs.rnn.forecast import suited
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.data import split_places
from labs.rnn.forecast.series.find import find
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.spacing import to_iso

_ANY = 10**9  # missing values in a row
_DRAWN = 6  # series
_LISTED = 200  # series in a table
_JUMP = 10  # times the usual change, in median absolute deviations
_STUCK = 10  # values in a row that are the same
_LAGS = 400


def command(config: ForecastConfig, output: Path | None) -> None:
    """Look at a config's series and write the page.

    Raises:
        DataError: there is no such file, or it cannot be read.
        SaveError: the page cannot be written.
    """
    with terminal.busy("reading the series"):
        panel, refused = _find(config)
    if config.limit is not None:
        panel = panel.last(config.limit)
    with terminal.busy("drawing"):
        parts = [
            _about(panel, refused),
            _values(panel),
            _seasons(config, panel),
            _parts(config, panel),
        ]
    page.write(config.data, ". ".join([panel.source, *panel.said]), parts, output)


def _find(config: ForecastConfig) -> tuple[Panel, str]:
    """Return the series, however large their gaps, and why training would refuse them; or ""."""
    try:
        return find(config), ""
    except DataError as error:
        for steps in (config.steps, "rows"):
            with contextlib.suppress(DataError):
                changed = replace(config, steps=steps, fill=_ANY)
                return find(changed), str(error).splitlines()[0]
        raise


def _about(panel: Panel, refused: str) -> Part:
    """Show the series, where they begin and end, and what was not in order."""
    names, written = panel.names, to_iso(panel.dates)
    rows = []
    for series, name in enumerate(names[:_LISTED]):
        begin, end = panel.span(series)
        values = panel.values[begin:end, series]
        figures = [*np.quantile(values, [0, 0.5, 1]), values.mean(), values.std()]
        cells = [written[begin], written[end - 1], f"{len(values):,}"]
        rows.append([name, *cells, *map(page.write_number, map(float, figures))])
    columns = ["series", "first", "last", "values", "least", "median", "most", "mean", "deviation"]
    text = (
        f"{len(names):,} series, {panel.spacing}, {len(written):,} dates from {written[0]} to "
        f"{written[-1]}."
    )
    picture = plots.png(_draw_lines(panel))
    findings = [f"Training would be refused as the data are: {refused}"] if refused else []
    findings += [f"{place}: {what}." for place, what in panel.notes[:5]]
    if len(panel.notes) > 5:
        findings.append(f"{len(panel.notes) - 5:,} more places were mended or left out.")
    said = "\n\n".join(f"{place}: {what}." for place, what in panel.notes[:100])
    shown = "The first six. " if len(names) > _DRAWN else ""
    drawn = [(f"{shown}The shaded part is what the test takes.", picture)]
    section = Section("Series, and their gaps", f"{text}\n\n{said}", Table(columns, rows), drawn)
    return Part(section, findings)


@plots.figure_style()
def _draw_lines(panel: Panel) -> Figure:
    shown = panel.names[:_DRAWN]
    figure = Figure(figsize=(7.5, 0.6 + 1.5 * len(shown)), layout="constrained")
    every = figure.subplots(len(shown), sharex=True, squeeze=False).ravel()
    test = panel.dates[min(len(panel.dates) - 1, split_places(len(panel.dates), 1)[2])]
    for series, (axes, name) in enumerate(zip(every, shown, strict=True)):
        axes.plot(panel.dates, panel.values[:, series], color=plots.BLUE, linewidth=1)
        axes.axvspan(test, panel.dates[-1], color=plots.GREY, alpha=0.12, linewidth=0)
        axes.set_title(plots.short(plots.drawable(name), 40))
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    every[-1].xaxis.set_major_locator(locator)
    every[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure


def _values(panel: Panel) -> Part:
    """Name jumps, values that stay the same, and series that are the same."""
    findings = [*_odd(panel), *_twins(panel)]
    known = panel.values[np.isfinite(panel.values)]
    text = f"{int((known <= 0).sum()):,} of {len(known):,} values are 0 or less."
    return Part(Section("Odd values", "\n\n".join([text, *findings])), findings[:8])


def _odd(panel: Panel) -> Iterator[str]:
    written = to_iso(panel.dates)
    for series, name in enumerate(panel.names):
        begin, end = panel.span(series)
        values = panel.values[begin:end, series]
        changes = np.abs(np.diff(values))
        usual = np.median(changes[changes > 0]) if (changes > 0).any() else 0.0
        jumps = np.flatnonzero(changes > 2 * _JUMP * usual) if usual else np.zeros(0, int)
        if len(jumps):
            largest = int(changes.argmax())
            yield (
                f"{name}: {len(jumps):,} changes of more than {2 * _JUMP} times the usual one, the "
                f"largest from {figure_text(float(values[largest]))} to "
                f"{figure_text(float(values[largest + 1]))} at {written[begin + largest + 1]}."
            )
        length, place = _longest_run(values)
        if length >= _STUCK and (changes > 0).mean() > 0.5:
            yield (
                f"{name}: the same value {length:,} times in a row from {written[begin + place]} "
                "on, though it changes elsewhere: a gap that was filled, or a sensor that stuck."
            )


def _longest_run(values: Array) -> tuple[int, int]:
    """Return how often a value comes in a row at the most, and where that begins."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1, [len(values)]])
    lengths = np.diff(starts)
    longest = int(lengths.argmax())
    return int(lengths[longest]), int(starts[longest])


def _twins(panel: Panel) -> Iterator[str]:
    seen: dict[bytes, str] = {}
    for series, name in enumerate(panel.names):
        key = panel.values[:, series].tobytes()
        if key in seen:
            yield f"{name} and {seen[key]} are the same series."
        seen.setdefault(key, name)


def _seasons(config: ForecastConfig, panel: Panel) -> Part:
    """Show what repeats, and what training would choose for it."""
    title = "Seasons, and what training would choose"
    begin, end = panel.span(0)
    values = panel.values[begin:end, 0]
    try:
        chosen, reasons = suited.suit(config, panel)
    except (DataError, ValueError) as error:
        return Part(Section(title, f"Nothing can be chosen: {error}"))
    text = "\n\n".join(f"• {reason}" for reason in reasons if reason not in panel.said)
    if len(values) < 8:
        return Part(Section(title, text))
    drawn = plots.png(_draw_seasons(values, chosen.period))
    caption = (
        f"Of {panel.names[0]}: how much changes are like those before, by the distance (beyond the "
        "dashed lines more than chance), and the mean at each place of the season, without the "
        "trend."
    )
    return Part(Section(title, text, pictures=[(caption, drawn)]))


@plots.figure_style()
def _draw_seasons(values: Array, period: int | None) -> Figure:
    changes = np.diff(values)
    longest = min(_LAGS, len(changes) // 2, 3 * period + 1 if period else _LAGS)
    found = suited.autocorrelation(changes, longest)
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    left, *right = figure.subplots(1, 2 if period else 1, squeeze=False).ravel()
    left.vlines(np.arange(1, longest + 1), 0, found[1:], color=plots.BLUE, linewidth=1.2)
    for border in (-1, 1):
        left.axhline(
            border * 2 / np.sqrt(len(changes)), color=plots.GREY, linestyle="--", linewidth=1
        )
    if period:
        left.axvline(period, color=plots.ORANGE, linewidth=1, zorder=0)
    left.set(xlabel="steps apart", ylabel="correlation of changes")
    for axes in right:
        assert period is not None
        padded = np.pad(values, (period // 2, (period - 1) // 2), "edge")
        rest = values - np.convolve(padded, np.ones(period) / period, "valid")
        means = [rest[place::period].mean() for place in range(period)]
        axes.plot(np.arange(period), means, color=plots.BLUE)
        axes.set(xlabel=f"place in a season of {period}", ylabel="above the trend")
    return figure


def _parts(config: ForecastConfig, panel: Panel) -> Part:
    """Show how training, validation and test differ, which are cut by time."""
    title = "Training, validation and test"
    bounds = split_places(len(panel.dates), config.horizon)
    rows, findings = [], []
    for series, name in enumerate(panel.names[:_LISTED]):
        columns = np.split(panel.values[:, series], bounds[1:3])
        pieces = [column[np.isfinite(column)] for column in columns]
        rows.append([name, *map(_spread_text, pieces)])
        train, _, test = pieces
        if not len(train) or not len(test):
            continue
        outside = ((test < train.min()) | (test > train.max())).mean()
        if outside > 0.5:
            findings.append(
                f"{name}: {outside:.0%} of the test values are outside of all that training has: "
                "levels wander, so windows are to be taken relative to their last value."
            )
    text = (
        "Cut by time, so test differs from training wherever something has changed: a classifier "
        "that is asked to tell them apart would only find the date. Mean and deviation:"
    )
    table = Table(["series", "training", "validation", "test"], rows)
    return Part(Section(title, text, table), findings[:5])


def _spread_text(values: Array) -> str:
    if not len(values):
        return "-"
    return f"{values.mean():,.5g} ± {values.std():,.3g}"
