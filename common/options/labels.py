"""How labels are made of cells and of files' names: --label-pattern, -bands and -order."""

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LabelRules:
    """What becomes of the labels of columns before they are classes."""

    column: str | None = None  # the one that the files' names give
    pattern: re.Pattern[str] = re.compile("()")  # whose group is its label
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # between bands, rising
    order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # classes, by their numbers

    def read_name(self, name: str) -> str:
        """Return the label that a file's name gives; empty where the pattern does not fit it."""
        found = self.pattern.search(name)
        return (found[1] or "") if found else ""

    def find_band(self, column: str, number: float) -> str:
        """Return the name of the band of a column that a number is in."""
        edges = self.edges[column]
        return name_bands(edges)[sum(edge <= number for edge in edges)]

    def classes_of(self, column: str) -> tuple[str, ...]:
        """Return the classes of a column by their numbers; () where they are sorted by name."""
        return (
            name_bands(self.edges[column]) if column in self.edges else self.order.get(column, ())
        )


def parse_rules(pattern: str | None, bands: Sequence[str], order: Sequence[str]) -> LabelRules:
    """Read the three options.

    Args:
        pattern: COLUMN=EXPRESSION, a regular expression with one group.
        bands: the parts between commas of COLUMN=NUMBER,NUMBER,COLUMN=NUMBER.
        order: COLUMN=CLASS|CLASS, of each column.

    Raises:
        ValueError: with the problem, which begins with the option.
    """
    bands, order = (tuple(map(_compose, parts)) for parts in (bands, order))
    edges, classes = _parse_bands(bands), _parse_order(order)
    if pattern is None:
        return LabelRules(edges=edges, order=classes)
    return LabelRules(*_parse_pattern(_compose(pattern)), edges, classes)


def find_problems(
    columns: Iterable[str], pattern: str | None, bands: Sequence[str], order: Sequence[str]
) -> Iterator[str]:
    """Yield what is wrong with the three options, beside these label columns."""
    try:
        rules = parse_rules(pattern, bands, order)
    except ValueError as error:
        yield str(error)
        return
    known = set(map(_compose, columns))
    used = {"pattern": filter(None, [rules.column]), "bands": rules.edges, "order": rules.order}
    for name, each in used.items():
        for column in each:
            if column not in known:
                yield f"--label-{name} {column}: is none of --label-column {','.join(columns)}"
    for column in rules.edges.keys() & rules.order.keys():
        yield f"--label-order {column}: bands have the order of their numbers; drop it"


def name_bands(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of bands, the lowest first: `<30`, `30-59` and `>=60` of 30 and 60."""
    whole = all(float(edge).is_integer() for edge in edges)
    between = [
        f"{low:g}-{high - 1:g}"
        if whole and high - low > 1
        else f"{low:g}"
        if whole
        else f"{low:g}-<{high:g}"
        for low, high in itertools.pairwise(edges)
    ]
    return (f"<{edges[0]:g}", *between, f">={edges[-1]:g}")


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _parse_pattern(text: str) -> tuple[str, re.Pattern[str]]:
    column, sign, expression = text.partition("=")
    if not (column.strip() and sign and expression):
        raise ValueError(
            f"--label-pattern {text}: expected COLUMN=EXPRESSION, such as mask=(mask|normal)"
        )
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise ValueError(
            f"--label-pattern {text}: {expression} is no regular expression: {error}"
        ) from error
    if pattern.groups != 1:
        raise ValueError(
            f"--label-pattern {text}: has {pattern.groups} groups, expected one, whose text is the "
            "label; write (?:...) for what only belongs together"
        )
    return column.strip(), pattern


def _parse_bands(parts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    option = f"--label-bands {','.join(parts)}"
    column = ""
    for part in parts:
        name, sign, text = part.rpartition("=")
        if sign:
            column = name.strip()
            found[column] = []
        try:
            edge = float(text)
        except ValueError:
            edge = math.nan
        if not column or not math.isfinite(edge):
            raise ValueError(f"{option}: expected COLUMN=NUMBER,NUMBER, such as age=30,60")
        found[column].append(edge)
    for edges in found.values():
        if any(low >= high for low, high in itertools.pairwise(edges)):
            raise ValueError(f"{option}: expected rising numbers, each once")
    return {column: tuple(edges) for column, edges in found.items()}


def _parse_order(parts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found = {}
    for part in parts:
        column, _, text = part.partition("=")
        names = tuple(name.strip() for name in text.split("|"))
        if not column.strip() or len({*names}) < max(2, len(names)) or "" in names:
            raise ValueError(
                f"--label-order {part}: expected COLUMN=CLASS|CLASS, each class once, such as "
                "gender=male|female"
            )
        found[column.strip()] = names
    return found
