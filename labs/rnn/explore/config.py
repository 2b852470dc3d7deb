"""`explore` of texts or of series: which of the two a table holds, and the options of both."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from common.errors import DataError
from common.io.tables import read_cells
from common.options import terminal
from common.options.config import TableConfig, shared
from common.suggest import suggest
from labs.rnn.forecast.config import EMBEDDED as SERIES
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.sentiment.config import DOWNLOADS, EMBEDDED, SentimentConfig

TEXTS = (*EMBEDDED, *DOWNLOADS)
_WORDS, _VARIED = 3, 0.1  # words of a cell of texts, on average; share of different cells


C = TypeVar("C", bound=TableConfig)


@dataclass(frozen=True)
class ExploreConfig(SentimentConfig):
    """What `python -m labs.rnn explore` takes: options of `sentiment` and of `forecast`."""

    date_column: str | None = shared("date_column", None, ForecastConfig)
    date_order: str | None = shared("date_order", None, ForecastConfig)
    series_column: tuple[str, ...] = shared("series_column", (), ForecastConfig)
    value_columns: tuple[str, ...] = shared("value_columns", (), ForecastConfig)
    decimal: str | None = shared("decimal", None, ForecastConfig)
    spacing: str | None = shared("spacing", None, ForecastConfig)
    steps: str = shared("steps", "calendar", ForecastConfig)
    fill: int | None = shared("fill", None, ForecastConfig)
    period: int | None = shared("period", None, ForecastConfig)
    horizon: int = shared("horizon", 5, ForecastConfig)


def command(config: ExploreConfig, kind: str | None, output: Path | None) -> None:
    """Write the page on texts or on series, whichever the data are.

    Args:
        config: names the data.
        kind: texts or series; None to find out.
        output: the page; named after the data when None.

    Raises:
        DataError: there are no such data, or they cannot be read.
        SaveError: the page cannot be written.
    """
    if kind is None:
        kind = find_kind(config)
        terminal.note(f"taken for {kind} (--as says otherwise)")
    if kind == "texts":
        from labs.rnn.explore import texts

        texts.command(_narrow(config, SentimentConfig), output)
        return
    from labs.rnn.explore import series

    series.command(_narrow(config, ForecastConfig), output)


def find_kind(config: ExploreConfig) -> str:
    """Say whether data are texts or series, by what a table holds.

    Raises:
        DataError: there are no such data, or they cannot be read.
    """
    from labs.rnn.published import unpack_set  # only where data are looked at

    path = Path(config.data).expanduser()
    if config.data in TEXTS or path.is_dir():
        return "texts"
    if config.data in SERIES:
        return "series"
    if not path.is_file():
        raise DataError(
            f"DATA {config.data}: no such file or folder, and no set of that name; embedded: "
            f"{', '.join((*EMBEDDED, *SERIES))}{suggest(config.data, (*TEXTS, *SERIES))}"
        )
    if (path := unpack_set(path)).is_dir():
        return "texts"
    rows = read_cells(path, config.form, as_wide=True)
    return "texts" if any(map(_are_texts, zip(*rows, strict=True))) else "series"


def _are_texts(column: Sequence[str]) -> bool:
    cells = [cell for cell in column if cell]
    words = sum(len(cell.split()) for cell in cells if any(map(str.isalpha, cell)))
    return words > _WORDS * len(cells) and len(set(cells)) > _VARIED * len(cells)


def _narrow(config: ExploreConfig, kind: type[C]) -> C:
    """Return the config of a job, with what is given of it."""
    names = {field.name for field in fields(kind)} & {field.name for field in fields(config)}
    given = {name: getattr(config, name) for name in config.given if name in names}
    given |= {"data": config.data, "given": config.given & frozenset(names)}
    return kind(**given)
