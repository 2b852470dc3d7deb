"""What `--data` names: a user's table, or series that come with the lab."""

from collections.abc import Callable
from pathlib import Path

from common.errors import DataError
from common.suggest import suggest
from labs.rnn.forecast.config import EMBEDDED, ForecastConfig
from labs.rnn.forecast.series import embedded
from labs.rnn.forecast.series.panel import Panel
from labs.rnn.forecast.series.table import read


def find(config: ForecastConfig) -> Panel:
    """Return the series that `--data` names.

    Raises:
        DataError: there are none, or they cannot be used.
    """
    if is_path(config.data):
        path = Path(config.data).expanduser()
        if not path.is_file():
            raise DataError(
                f"--data {config.data}: no such file, and no embedded series; embedded: "
                f"{', '.join(EMBEDDED)}{suggest(config.data, EMBEDDED)}"
            )
        return read(path, config)
    loaders: dict[str, Callable[[int], Panel]] = {
        "google": embedded.google,
        "stocks": embedded.stocks,
        "seasonal": embedded.seasonal,
    }
    return loaders[config.data](config.split_seed)


def find_test(config: ForecastConfig) -> Panel | None:
    """Return the series that `--test` names, None where it names none.

    Raises:
        DataError: they cannot be used.
    """
    if config.test is None:
        return None
    path = Path(config.test).expanduser()
    if not path.is_file():
        raise DataError(f"--test {config.test}: no such file")
    return read(path, config)


def is_path(data: str) -> bool:
    """Say whether `--data` names a file, not embedded series."""
    return data not in EMBEDDED
