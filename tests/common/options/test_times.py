"""Times as people write them."""

import pytest

from common.errors import ConfigError
from common.options.times import parse_time, write_time


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("2H", 7200), ("1m30s", 90)]
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "-3m", "0m", "1.5h", "30 minutes", "30m1h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="expected a time such as 30m"):
        parse_time(text)


@pytest.mark.parametrize(("seconds", "text"), [(90, "90s"), (1800, "30m"), (5430, "1h30m")])
def test_a_time_is_written_as_it_is_read(seconds, text):
    assert write_time(seconds) == text
