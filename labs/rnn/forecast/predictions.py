"""What a trained run says of the time to come, for a person or a competition."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from common.errors import DataError
from common.metrics.metrics import Array
from common.options.terminal import once
from common.submission.answers import number_text, refuse_form
from common.submission.kind import Rows, Submission
from common.submission.sample import Sample, check_given, list_some
from labs.rnn.forecast.data import Scaling, scale, unscale
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.series import spacing as calendar
from labs.rnn.forecast.series.columns import Times, Unknown, WrongDate, find_dates
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
    job: Forecast,
    path: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    **written: Any,
) -> list[dict[str, Any]]:
    """Forecast what follows the end of the run's own series, or of those in a user's table.

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
    config = job.config
    windows = np.stack([each.window for each in series])
    centers = np.array([each.center for each in series])
    factors = np.array([each.factor for each in series])
    scaling = Scaling(config.log, config.difference, centers, factors)
    offsets = scaling.offsets(windows, np.arange(len(series)))
    inputs = torch.from_numpy(scale(windows, offsets, factors, config.log))
    scaled = job.answers(inputs)["forecasts"].numpy()
    return series, unscale(scaled, offsets, factors, config.log)


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


def _own(job: Forecast) -> list[Known]:
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
    job: Forecast, path: Path, say: Callable[[str], None], written: Mapping[str, Any]
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
        raise DataError(f"{path}: no series is long enough: {'; '.join(short)}")
    for reason in short:
        say(f"left out: {reason}")
    return found


def _scale(job: Forecast, panel: Panel, known: bool) -> tuple[float, float]:
    """Return center and factor of the one series in a panel."""
    if known:
        series = job.card.names.index(panel.names[0])
        return job.card.centers[series], job.card.factors[series]
    fitted = Scaling.fit(panel, len(panel.dates), job.config)
    if fitted.factors[0] == 0:
        raise DataError(
            f"{panel.source}: {panel.names[0]} never changes; there is nothing to scale"
        )
    return float(fitted.centers[0]), float(fitted.factors[0])


class SeriesSubmission(Submission[Forecast]):
    """Forecasts for the dates, and perhaps the series, of a sample submission's rows."""

    def choose(
        self, sample: Sample, id_column: str | None, answer_columns: Sequence[str]
    ) -> Sample:
        """Choose the column of dates, found as that of a table of series; see `Submission`."""
        check_given(sample, [*filter(None, [id_column]), *answer_columns])
        times = self._read_dates(sample, id_column, answer_columns)
        [dates] = times.columns
        names = {*self.jobs[0].card.names, *self.jobs[0].config.series_column}
        answers = [*answer_columns] or [
            name
            for name in sample.columns
            if name != dates
            and name not in self.jobs[0].config.series_column
            and not {*sample.cells(name)} <= names
        ]
        if not answers:
            raise DataError(
                f"{sample.path}: no column is left for answers, of {', '.join(sample.columns)}; "
                "--answer-column names it"
            )
        return replace(sample, id_column=dates, answer_columns=tuple(answers))

    def _read_dates(
        self, sample: Sample, id_column: str | None, answer_columns: Sequence[str]
    ) -> Times:
        """Return the dates of the rows.

        Raises:
            DataError: no column, or several together, have a date in each row.
        """
        config = self.jobs[0].config
        cells = {name: sample.cells(name) for name in sample.columns if name not in answer_columns}
        known = config.date_column if config.date_column in cells else None
        try:
            times = find_dates(cells, id_column or known, config.date_order)
        except (Unknown, WrongDate) as error:
            reason = str(error).rstrip(";")
            raise DataError(
                f"{sample.path}: {reason}; --id-column names the column of dates"
            ) from error
        if len(times.columns) > 1 or len(times.rows) < len(sample.cut.rows) - 1:
            raise DataError(
                f"{sample.path}: expected one column with a date in each row, and not "
                f"{', '.join(times.columns)}; --id-column names it"
            )
        return times

    def rows(
        self, sample: Sample, test: Path | None, written: Mapping[str, Any], how: Mapping[str, Any]
    ) -> Rows:
        """Forecast each row, of the run's own series or of those of a table."""
        refuse_form(how["form"], (None,), "the run says numbers")
        records = predict(self.jobs[0], test, self.say, **written)
        forecasts = {
            (np.datetime64(each["date"], "us"), str(each["series"])): float(each["forecast"])
            for each in records
        }
        names = list(dict.fromkeys(str(each["series"]) for each in records))
        read = self._read_dates(sample, sample.id_column, sample.answer_columns)
        dates = read.read.values.astype("datetime64[us]")
        keys = written.get("series_column") or self.jobs[0].config.series_column
        of_column = self._series_of(sample, names, keys)
        wanted = {
            column: list(zip(dates, series, strict=True)) for column, series in of_column.items()
        }
        asked = [each for column in wanted.values() for each in column]
        _check_asked(sample, asked, forecasts, names)
        if left := len(forecasts.keys() - {*asked}):
            self.say(f"{left:,} of the {len(forecasts):,} forecasts are of dates that no row has")
        cells = {
            column: [number_text(forecasts[each]) for each in rows]
            for column, rows in wanted.items()
        }
        return Rows(sample.fill(cells), f"forecasts of {list_some(names)} by their dates")

    def _series_of(
        self, sample: Sample, names: Sequence[str], keys: Sequence[str]
    ) -> dict[str, list[str]]:
        """Return the series of each row, of each column of answers.

        Args:
            sample: with its columns chosen.
            names: of the series that are forecast.
            keys: the columns whose cells, joined in this order, are such names.

        Raises:
            DataError: columns do not say which series are meant.
        """
        columns, number = sample.answer_columns, len(sample.cut.rows) - 1
        others = [
            name
            for name in sample.columns
            if name not in (sample.id_column, *sample.answer_columns)
        ]
        known = [name for name in keys if name in others]
        joined = [" ".join(row) for row in zip(*map(sample.cells, known or others), strict=True)]
        if len(columns) == 1 and {*joined} & {*names}:
            return {columns[0]: joined}
        if not known and {*columns} <= {*names}:
            return {column: [column] * number for column in columns}
        if not known and len(columns) == len(names) == 1:
            return {columns[0]: [names[0]] * number}
        raise DataError(
            f"{sample.path}: which series do its rows ask for? The run forecasts "
            f"{list_some(names)}, and the columns are {', '.join(sample.columns)}; --answer-column "
            "names those of answers"
        )


def _check_asked(
    sample: Sample,
    asked: Sequence[tuple[np.datetime64, str]],
    forecasts: Mapping[tuple[np.datetime64, str], float],
    names: Sequence[str],
) -> None:
    """Refuse rows that ask for what is not forecast, or for the same as others.

    Raises:
        DataError: some do.
    """

    def name(pairs: Sequence[tuple[np.datetime64, str]]) -> str:
        dates = calendar.to_iso(np.array([date for date, _ in pairs]))
        series = [f" {each}" if len(names) > 1 else "" for _, each in pairs]
        return list_some([f"{date}{each}" for date, each in zip(dates, series, strict=True)])

    if missing := [pair for pair in asked if pair not in forecasts]:
        first, last = calendar.to_iso(np.array([min(forecasts)[0], max(forecasts)[0]]))
        raise DataError(
            f"{len(missing):,} of the {len(asked):,} answers of {sample.path} are not among the "
            f"forecasts, which go from {first} to {last} of {list_some(names)}: {name(missing)}; "
            "train with another --horizon, or give the series up to the day before as TEST"
        )
    if twice := [pair for pair, number in Counter(asked).items() if number > 1]:
        raise DataError(f"{sample.path}: several rows ask for the same: {name(twice)}")
