"""What a run needs to know of its data without having it."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from common.errors import DataError, RunError

_SAID = 10  # lines about what was left out
_NAMED = 20  # classes in a message


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


def class_numbers(given: Sequence[str], known: Sequence[str], source: str) -> list[int]:
    """Return the numbers that a run has for the classes of other data.

    Args:
        given: names.
        known: the run's, in the order of their numbers.
        source: where the data is, for the message.

    Raises:
        DataError: the run does not know some of them.
    """
    if unknown := [name for name in given if name not in known]:
        what = "class" if len(unknown) == 1 else "classes"
        raise DataError(
            f"{source}: the run does not know the {what} {_listed(unknown)}; it knows "
            f"{_listed(known)}"
        )
    numbers = {name: number for number, name in enumerate(known)}
    return [numbers[name] for name in given]


def say_skipped(
    skipped: Sequence[tuple[str, str]], say: Callable[[str], None], remark: str = "skipped"
) -> None:
    """Say what was left out, (place, reason) of each; of many, how many more there are."""
    for place, reason in skipped[:_SAID]:
        say(f"{remark} {place}: {reason}")
    if len(skipped) > _SAID:
        say(f"{remark} {len(skipped) - _SAID:,} more")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _frozen(value: Any) -> Any:
    """Make tuples of the lists that JSON made of them."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
