"""The options of `forecast`, and its recipes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from common.options.config import (
    FORM,
    TableConfig,
    data_option,
    model_option,
    option,
    shared,
    training_option,
)

EMBEDDED = ("google", "stocks", "seasonal")
STRATEGIES = ("direct", "recursive", "encoder-decoder")


@dataclass(frozen=True)
class ForecastConfig(TableConfig):
    """What `python -m labs.rnn forecast` takes."""

    data: str = data_option(
        "google", "embedded series (google, stocks, seasonal), or a table of your own"
    )
    date_column: str | None = data_option(
        None, "column of a table that holds the dates; found by name and content when not given"
    )
    date_order: str | None = data_option(
        None,
        "order of day, month and year where all are numbers; found out when not given",
        choices=("ymd", "dmy", "mdy"),
    )
    series_column: tuple[str, ...] = data_option(
        (),
        "columns that tell series apart, where a table has rows of one after another; found where "
        "dates come again when not given",
    )
    value_columns: tuple[str, ...] = data_option(
        (),
        "columns of a table that hold a series each, with commas between; all others when not "
        "given",
    )
    decimal: str | None = data_option(
        None,
        "mark before the fractions of numbers; found out when not given",
        choices=("point", "comma"),
    )
    window: int = data_option(30, "values that a forecast sees", at_least=2)
    horizon: int = data_option(5, "values that it foretells", at_least=1)
    spacing: str | None = data_option(
        None,
        "how far the dates of a table lie apart, such as hour, 15 minutes, day, business day or "
        "month; found out when not given",
    )
    steps: str = data_option(
        "calendar",
        "what a step is: calendar (a date without a row is a gap) or rows (whatever lies between)",
        choices=("calendar", "rows"),
    )
    fill: int | None = data_option(
        None,
        "most missing values in a row for which the value before stands in; longer gaps are "
        "refused; 5, or one in a hundred dates, when not given",
        at_least=0,
    )
    test: str | None = data_option(
        None,
        "a table whose series are measured, and of which nothing is learned; the last fifth of the "
        "dates when not given",
    )
    limit: int | None = data_option(
        None, "dates to use, the last ones, for a short trial", at_least=10
    )
    difference: bool = data_option(
        True, "take each window relative to its last value, not to the mean"
    )
    log: bool = data_option(False, "work on logarithms: changes in percent")
    period: int | None = data_option(
        None,
        "values in a season, for the seasonal baseline; chosen on training when not given",
        at_least=2,
    )

    strategy: str = model_option("direct", "how several steps are foretold", choices=STRATEGIES)
    linear: bool = model_option(
        False,
        "begin from a mean of linear forecasts, and let the network learn what it leaves; how much "
        "of the network is handed out is chosen on validation",
    )
    cell: str = model_option("gru", "the recurrent cell", choices=("rnn", "lstm", "gru"))
    hidden_size: int = model_option(32, "units of a layer", at_least=1)
    layers: int = model_option(1, "layers on top of each other", at_least=1)
    dropout: float = model_option(
        0.0, "share of units that the layer above does not see", at_least=0, below=1
    )
    loss: str = model_option(
        "mae", "what is minimized; quantiles have their own", choices=("mae", "mse")
    )
    quantiles: tuple[str, ...] = model_option(
        (),
        "probabilities under which the truth may lie, such as 0.1,0.5,0.9: gives intervals; 0.5 is "
        "the forecast",
    )

    epochs: int = shared("epochs", 30)
    learning_rate: float = shared("learning_rate", 1e-3)
    schedule: str = shared("schedule", "cosine")
    clip: float | None = shared("clip", 1.0)
    truncate: int | None = training_option(
        None, "steps that a gradient reaches back within the window; all when not given", at_least=1
    )
    split_seed: int = option(
        0, "of the seasonal series; the split goes by time and needs none", at_least=0
    )

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles as numbers, rising; () for a forecast without intervals."""
        return tuple(sorted(float(text) for text in self.quantiles))

    @property
    def middle(self) -> int:
        """Which output of the model is the forecast: the median, or the only one."""
        return self.levels.index(0.5) if self.levels else 0

    of_files: ClassVar = (
        *FORM,
        *("date_column", "date_order", "series_column", "value_columns", "decimal", "spacing"),
    )
    paths: ClassVar = {"data": EMBEDDED, "test": ()}

    @property
    def title(self) -> str:
        """The cell and the strategy, after what they begin from."""
        network = f"{self.cell}-{self.strategy}"
        return f"linear+{network}" if self.linear else network

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.test is not None and self.data in EMBEDDED:
            yield f"--test: goes with series of your own; {self.data} is split by time"
        if self.quantiles:
            yield from self._problems_of_quantiles()
        if self.linear and self.strategy == "recursive":
            yield (
                "--linear: --strategy recursive foretells each step from the true one before, the "
                "line from the window; choose direct or encoder-decoder"
            )
        if self.dropout and self.layers == 1:
            yield "--dropout: acts between layers; needs --layers 2 or more"

    def _problems_of_quantiles(self) -> list[str]:
        given = ",".join(self.quantiles)
        try:
            levels = self.levels
        except ValueError:
            return [f"--quantiles {given}: expected numbers, such as 0.1,0.5,0.9"]
        found = []
        inside = all(0 < level < 1 for level in levels)
        if not inside or 0.5 not in levels or len(levels) < 3 or len(set(levels)) < len(levels):
            found.append(
                f"--quantiles {given}: expected three or more different numbers between 0 and 1, "
                "0.5 among them, such as 0.1,0.5,0.9"
            )
        if self.strategy == "recursive":
            found.append(
                "--quantiles: --strategy recursive feeds back one number as if it were certain, so "
                "its intervals would be too narrow; choose direct or encoder-decoder"
            )
        return found


_SEASONAL = {
    "data": "seasonal",
    "window": 24,
    "horizon": 12,
    "log": True,
    "period": 12,
    "cell": "lstm",
    "hidden_size": 64,
    "batch_size": 32,
    "learning_rate": 1e-2,
    "epochs": 20,
}

# Each was run as `forecast --recipe NAME` on one busy core of an AMD EPYC; the figures are the MASE
# on the test part, the mean of seeds 0, 1 and 2, the times are seconds of that core in training.
RECIPES: dict[str, dict[str, Any]] = {
    # 3.794 in 0.5 s, on Google's price: like the default (3.825 in 2.3 s), it loses to persistence.
    "quick": {"epochs": 5},
    # 0.380 in 11 s; persistence 1.863, seasonal naive 1.266, linear autoregression 1.108.
    "seasonal": _SEASONAL,
    # 0.383 in 11 s; the interval of 80 % holds 74 % of what came.
    "intervals": {**_SEASONAL, "quantiles": ("0.1", "0.5", "0.9")},
    # 14.64 in 3 s; persistence 16.70, drift of logarithms 14.94: prices that have risen go on to.
    "stocks": {"data": "stocks", "log": True, "window": 24, "horizon": 6, "epochs": 15},
}
