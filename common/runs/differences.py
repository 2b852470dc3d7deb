"""What was measured of the variants of a comparison: which is best, and which differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.metrics.main_metric import MainMetric
from common.options import terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Entry = Mapping[str, Any]  # what was measured of a variant
Difference = tuple[float, Sequence[float]]  # with its interval


def find_best(compared: Mapping[str, Entry], metric: MainMetric) -> str:
    """Return the name with the best figure on validation, of equal ones the first."""
    choose = max if metric.larger_is_better else min
    return choose(compared, key=lambda name: float(compared[name][f"validation_{metric.name}"]))


def judge(interval: Sequence[float]) -> int:
    """Return 1 or -1 where an interval is above or below 0, and 0 where it holds it."""
    return int(interval[0] > 0) - int(interval[1] < 0)


def list_differences(
    compared: Mapping[str, Entry], name: str = "difference"
) -> dict[str, Difference]:
    """Return differences with their intervals, by the variant that has one."""
    return {
        variant: (entry[name], entry[f"{name}_interval"])
        for variant, entry in compared.items()
        if name in entry
    }


def show_difference(entry: Entry, name: str = "difference") -> str:
    """Write a difference with its interval; nothing where there is none."""
    return terminal.lead_text(entry[name], entry[f"{name}_interval"]) if name in entry else ""


def describe_differences(
    differences: Mapping[str, Difference], better: str, level: str, worse: str
) -> Iterator[str]:
    """Say which differences are shown to be above 0, which are not shown, and which below.

    Args:
        differences: with their intervals, by the name.
        better: what those above 0 are, at the beginning of a sentence.
        level: see `better`.
        worse: see `better`.
    """
    for place, words in ((1, better), (0, level), (-1, worse)):
        named = [
            f"{name} {terminal.lead_text(difference, interval)}"
            for name, (difference, interval) in differences.items()
            if judge(interval) == place
        ]
        if named:
            yield f"{words}: {', '.join(named)}."


def draw_bars(
    compared: Mapping[str, Entry], name: str, label: str, reference: str | None = None
) -> "Figure":
    """Draw a figure of each variant with its interval, or from the lowest seed to the highest.

    Args:
        compared: what was measured, by the variant.
        name: of the figure, whose interval is `NAME_interval`, and seeds `NAME_of_seeds`.
        label: names the figure, with its unit.
        reference: the variant that is colored; the first when not given.
    """
    from common.report import plots

    entries = []
    for variant, entry in compared.items():
        ends = entry.get(f"{name}_interval") or sorted(entry[f"{name}_of_seeds"])
        entries.append(plots.Bar(variant, entry[name], (ends[0], ends[-1])))
    return plots.bars(entries, label, list(compared).index(reference) if reference else 0)
