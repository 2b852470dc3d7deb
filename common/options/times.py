"""How long something may take, as users give it and are told: `90s`, `10m`, `1h30m`."""

import re

from common.errors import ConfigError

_UNITS = {"h": 3600, "m": 60, "s": 1}


def parse_time(text: str) -> float:
    """Return the seconds of a time such as `30m`, `1h30m` or `90s`.

    Raises:
        ConfigError: it is no such time.
    """
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().lower())
    parts = dict(zip(_UNITS, found.groups(), strict=True)) if found else {}
    seconds = sum(_UNITS[unit] * int(number) for unit, number in parts.items() if number)
    if not seconds:
        raise ConfigError(f"--time {text}: expected a time such as 30m, 1h30m or 90s")
    return float(seconds)


def write_time(seconds: float) -> str:
    """Write seconds as `parse_time` takes them; from two minutes on in whole minutes."""
    if seconds < 2 * _UNITS["m"]:
        return f"{max(0, round(seconds))}s"
    hours, minutes = divmod(round(seconds / _UNITS["m"]), 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m"
