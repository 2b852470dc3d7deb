"""What a run needs to know of its data without having it."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from common.errors import RunError


@dataclass(frozen=True)
class DataCard:
    """What a run needs to know of its data without having it; kept as data.json.

    A job's own card adds fields of numbers, texts, and tuples and dicts of them.

    Attributes:
        source: one line that says what the data is.
        counts: samples per split.
        skipped: (place, reason) of what was left out.
        fingerprint: changes when the data does.
    """

    source: str
    counts: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str

    def as_dict(self) -> dict[str, Any]:
        """Return the card for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` gave, after JSON.

        Raises:
            RunError: fields are missing, or there are others.
        """
        try:
            return cls(**{name: _frozen(value) for name, value in values.items()})
        except (AttributeError, TypeError) as error:
            raise RunError(f"data.json of this run is damaged ({error}); train it again") from error


def _frozen(value: Any) -> Any:
    """Make tuples of the lists that JSON made of them."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
