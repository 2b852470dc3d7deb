"""What a trained run says of the time to come, for a competition."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError
from common.submission.answers import number_text, refuse_form
from common.submission.kind import Rows, Submission
from common.submission.sample import Sample, check_given, list_some
from labs.rnn.forecast.ahead import predict
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.series import spacing as calendar
from labs.rnn.forecast.series.columns import Times, Unknown, WrongDate, find_dates


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
