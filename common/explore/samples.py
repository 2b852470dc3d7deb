"""What is said of samples of any kind: how they stand in classes, copies and groups."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeVar

from common.explore import drawing
from common.explore.page import Part
from common.report import plots
from common.report.html import Section, Table

T = TypeVar("T")

_RARE = 10  # times as many as of the rarest, from which on classes are unequal


def in_order(parts: set[str]) -> list[str]:
    """Return names of parts in the usual order."""
    usual = ("all", "train", "validation", "test")
    return [*(part for part in usual if part in parts), *sorted(parts - {*usual})]


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Return so many items from all over, in their order; all where there are no more."""
    if most is None or most >= len(items):
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def count_classes(
    numbers: Mapping[str, Counter[str]], of: int, noun: str, *, few: int = 10, advice: str = ""
) -> Part:
    """Count what there is of each class, in each part.

    Args:
        numbers: of each class, by the part; those of a class that has none may be 0.
        of: how many samples there are in all, of which a class has its share.
        noun: what is counted, in plural.
        few: how many of a class are worth a word.
        advice: follows where classes are unequal.
    """
    total = Counter[str]()
    for each in numbers.values():
        total.update(each)
    names = sorted(total, key=lambda name: (-total[name], name))
    several = len(numbers) > 1
    rows = [
        [
            name,
            *(f"{each[name]:,}" for each in numbers.values()),
            *([f"{total[name]:,}"] if several else []),
            f"{total[name] / max(1, of):.1%}",
        ]
        for name in names
    ]
    columns = ["class", *numbers, *(["all"] if several else []), "share"]
    counts = {part: {name: each[name] for name in names} for part, each in numbers.items()}
    picture = plots.png(drawing.counts(counts, noun))
    text = f"{len(names):,} class{'' if len(names) == 1 else 'es'} of {of:,} {noun}."
    pictures = [(f"{noun.capitalize()} of each class.", picture)]
    findings = [*_about_classes(names, total, numbers, noun, few, advice)]
    return Part(Section("Classes", text, Table(columns, rows), pictures), findings)


def _about_classes(
    names: Sequence[str],
    total: Counter[str],
    numbers: Mapping[str, Counter[str]],
    noun: str,
    few: int,
    advice: str,
) -> Iterator[str]:
    there = [name for name in names if total[name]]
    if bare := [name for name in names if not total[name]]:
        yield f"{len(bare):,} classes have no {noun}, such as {bare[0]}."
    if there and total[there[0]] >= _RARE * total[there[-1]]:
        yield (
            f"Classes are unequal: {total[there[0]]:,} {noun} of {there[0]!r}, "
            f"{total[there[-1]]:,} of {there[-1]!r}{advice}."
        )
    if rare := sorted(name for name in there if total[name] < few):
        yield (
            f"{len(rare):,} classes have fewer than {few} {noun}, such as {', '.join(rare[:5])}."
        )
    for part, each in numbers.items():
        lacking = sorted(name for name in there if not each[name])
        if lacking and part != "all":
            yield f"{part} lacks {len(lacking):,} classes, such as {', '.join(lacking[:5])}."


class Copies(NamedTuple):
    """Pairs of samples that are one, counted."""

    table: Table
    contrary: list[int]  # the places of pairs with different labels
    findings: list[str]


def count_copies(
    pairs: Sequence[tuple[str, int, int]],
    says: Mapping[str, str],
    parts: Sequence[str],
    labels: Sequence[Hashable],
    noun: str,
) -> Copies:
    """Count copies within parts and across them, and those with two labels.

    Args:
        pairs: the kind of each, and the rows of both.
        says: what each kind is, for a person.
        parts: of each sample.
        labels: of each sample.
        noun: what samples are, in plural.
    """
    names = in_order({*parts})
    keys = [*((part,) for part in names), *combinations(names, 2)]
    counts = {kind: Counter[tuple[str, ...]]() for kind in says}
    contrary = []
    for place, (kind, one, other) in enumerate(pairs):
        counts[kind][tuple(in_order({parts[one], parts[other]}))] += 1
        if labels[one] != labels[other]:
            contrary.append(place)
    rows = [[says[kind], *(f"{each[key]:,}" for key in keys)] for kind, each in counts.items()]
    titles = [f"within {key[0]}" if len(key) == 1 else " and ".join(key) for key in keys]
    across = sum(each[key] for each in counts.values() for key in keys if len(key) > 1)
    findings = []
    if pairs:
        kinds = Counter(kind for kind, *_ in pairs)
        listed = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
        findings.append(
            f"Pairs of {noun} that are one ({listed}): keep them on one side of a split."
        )
    if across:
        findings.append(f"{across:,} of these pairs stand in two parts of the split: a leak.")
    if contrary:
        findings.append(
            f"{len(contrary):,} of these pairs have different labels: at least one of each is "
            "wrong."
        )
    return Copies(Table(["kind", *titles], rows), contrary, findings)


def show_groups(
    groups: Sequence[Hashable],
    parts: Sequence[str],
    labels: Sequence[Hashable],
    name: str,
    *,
    of: int,
    noun: str,
) -> Part:
    """Show how large groups are, and whether they stand in several parts and classes.

    Args:
        groups: of each sample that is in one.
        parts: of each of them.
        labels: of each of them.
        name: what groups go by.
        of: how many samples there are in all.
        noun: what samples are, in plural.
    """
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        rows[group].append(row)
    sizes = [len(each) for each in rows.values()]
    apart = sum(len({parts[row] for row in each}) > 1 for each in rows.values())
    mixed = sum(len({labels[row] for row in each}) > 1 for each in rows.values())
    largest = max(rows, key=lambda group: len(rows[group]))
    text = (
        f"{len(rows):,} groups by {name}: from {min(sizes):,} to {max(sizes):,} {noun}, median "
        f"{statistics.median(sizes):g}; the largest is {largest}. {mixed:,} have {noun} of "
        "several classes."
    )
    findings = []
    if apart:
        findings.append(f"{apart:,} groups by {name} stand in several parts of the split: a leak.")
    if max(sizes) > of / 3:
        findings.append(f"Group {largest} holds {max(sizes) / of:.0%} of all {noun}.")
    return Part(Section("Groups", text), findings)
