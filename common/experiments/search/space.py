"""The space of a search: which options vary, and between which values.

    learning_rate=log:1e-4:1e-1    a number between these, even on a logarithmic scale
    dropout=float:0:0.5            a number between these
    layers=int:1:4                 a whole number between these, both of them possible
    model=lenet5|vgg11             one of these

Every value is judged by the config's own validator, so that what a run would refuse is refused
before there is one. Nothing here imports torch.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import ConfigError
from common.options.config import TrainingConfig, field_types, options_of, read, unknown

FORMS = "log:LOW:HIGH, float:LOW:HIGH, int:LOW:HIGH, or choices with | between"
_RANGE = re.compile(r"(log|float|int):(.*)")
_MOST_CORNERS = 2000  # combinations of values that are looked at before anything is trained

Values = Mapping[str, Any]


class Dimension(NamedTuple):
    """An option that varies.

    Attributes:
        name: of the option.
        choices: the texts that it may have; empty where it is a number of a range.
        low: the smallest number.
        high: the largest number, which it may have.
        log: whether the logarithm is what is spread evenly.
        whole: whether it is a whole number.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def ends(self) -> tuple[str | float, ...]:
        """All choices, or the ends of the range."""
        return self.choices or (self.low, self.high)


Space = Mapping[str, Dimension]


def parse(texts: Sequence[str], kind: type[TrainingConfig]) -> Space:
    """Read the texts of `--space`.

    Args:
        texts: one for each option.
        kind: the class of the configs that are to be searched.

    Raises:
        ConfigError: with all that is wrong.
    """
    found: dict[str, Dimension] = {}
    problems: list[str] = []
    for text in texts:
        try:
            dimension = _parse(text, kind)
            if dimension.name in found:
                raise ConfigError(f"--space {text}: {dimension.name} is there twice; give one")
            found[dimension.name] = dimension
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def _parse(text: str, kind: type[TrainingConfig]) -> Dimension:
    name, equals, values = (part.strip() for part in text.partition("="))
    label, name = f"--space {text}", name.replace("-", "_")
    if not equals or not values:
        raise ConfigError(f"{label}: expected NAME={FORMS}")
    saved = [field.name for field in options_of(kind) if field.metadata["saved"]]
    if name not in saved:
        there = {field.name for field in options_of(kind)} - set(saved)
        if name in there:
            raise ConfigError(f"{label}: {name} is nothing that a run is trained with")
        raise ConfigError(unknown(label, name, saved))
    typed, _ = field_types(kind)[name]
    if typed in (int, float) and (match := _RANGE.fullmatch(values)):
        dimension = _parse_range(label, name, typed is int, *match.groups())
    else:
        choices = tuple(choice.strip() for choice in values.split("|"))
        if "" in choices or len(set(choices)) < len(choices):
            raise ConfigError(f"{label}: expected different choices with | between")
        dimension = Dimension(name, choices)
    problems = [_judge(kind, name, end) for end in dimension.ends]
    if wrong := [f"{label}: {problem}" for problem in problems if problem]:
        raise ConfigError(wrong)
    return dimension


def _parse_range(label: str, name: str, whole: bool, form: str, ends: str) -> Dimension:
    number = int if whole or form == "int" else float
    if whole and form == "float":
        raise ConfigError(f"{label}: {name} is a whole number; give int:LOW:HIGH")
    try:
        low, high = (number(end) for end in ends.split(":"))
    except ValueError:
        what = "whole numbers" if number is int else "numbers"
        raise ConfigError(f"{label}: expected {form}:LOW:HIGH with {what}") from None
    if not low < high:  # also where one is NaN
        raise ConfigError(f"{label}: the range is empty; the first number must be below the second")
    if form == "log" and low <= 0:
        raise ConfigError(f"{label}: a logarithmic range begins above 0")
    return Dimension(name, (), low, high, form == "log", number is int)


def _judge(kind: type[TrainingConfig], name: str, value: str | float) -> str | None:
    """Say what the validator has against a value by itself; `find_corners` has its company."""
    _, problems = read(kind, "", {name: value})
    return problems[name].removeprefix(f": {name} ") if problems else None


def put(config: TrainingConfig, kind: type[TrainingConfig], values: Values) -> Any:
    """Return the config of a run: that of the search, with some values.

    Args:
        config: of the search.
        kind: the class of a run's.
        values: of options, numbers or texts, by their names.
    """
    found, problems = read(kind, "", values)
    if problems:
        raise ConfigError(list(problems.values()))
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(kind)}
    return kind(**{**own, "name": None, **found, "given": config.given | found.keys()})


def find_corners(
    config: TrainingConfig, kind: type[TrainingConfig], space: Space
) -> tuple[list[Values], list[str]]:
    """Choose combinations of choices and ends of ranges, so that each value is in one of them.

    Options may contradict each other in some combinations: a trial of one of these fails. A value
    that no combination allows is a problem.

    Args:
        config: of the search.
        kind: the class of a run's.
        space: what varies.

    Returns:
        The combinations, few of them, and what is wrong.
    """
    judged = [(values, put(config, kind, values).problems()) for values in _combine(space)]
    allowed = [values for values, problems in judged if not problems]
    waiting = {(name, end) for name, each in space.items() for end in each.ends}
    chosen: list[Values] = []
    problems: dict[str, None] = {}
    while waiting:
        covered = max(allowed, key=lambda values: len(waiting & values.items()), default={})
        if fresh := waiting & covered.items():
            chosen.append(covered)
            waiting -= fresh
            continue
        value = min(waiting, key=str)
        with_it = [wrong for values, wrong in judged if value in values.items()]
        least: list[str] = min(with_it, key=len)
        problems |= dict.fromkeys(least)
        waiting.remove(value)
    return chosen, list(problems)


def _combine(space: Space) -> list[Values]:
    """Return all combinations of choices and ends; of many, those that differ in one from one."""
    ends = {name: each.ends for name, each in space.items()}
    if math.prod(map(len, ends.values())) <= _MOST_CORNERS:
        return [dict(zip(ends, each, strict=True)) for each in itertools.product(*ends.values())]
    first = {name: each[0] for name, each in ends.items()}
    return [{**first, name: end} for name, each in ends.items() for end in each]


def describe(values: Values) -> str:
    """Write the values of a trial on a line, such as `learning_rate=0.00316 model=lenet5`."""
    return " ".join(f"{name}={show(value)}" for name, value in values.items())


def show(value: Any) -> str:
    """Write a value of a trial."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
