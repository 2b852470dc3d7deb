"""Tables of series, and configs, for the tests of forecasting."""

import pytest

from common.options.config import build
from labs.rnn.forecast.config import ForecastConfig


@pytest.fixture(scope="session")
def make():
    """Build a config from options."""

    def config(**options):
        return build(ForecastConfig, ("options", options))

    return config


@pytest.fixture
def table(tmp_path):
    """Write a table; returns its path."""

    def write(text, name="series.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write
