"""Pictures of architectures side by side: accuracy against cost, and when images are changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from common.report.plots import GREY, figure_style
from labs.classification.models.catalogue import find_family, is_known

Entry = Mapping[str, Any]  # what was measured of a model

_WIDTH = 7.5  # inches
_MOST_BANDS = 8  # models
_TICKS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)

# Of the models of one color.
_LINES = ("-", "--", ":", "-.", (0, (1, 3)), (0, (6, 3)), (0, (5, 1, 1, 1, 1, 1)), (0, (3, 6)))


def _color(name: str) -> str:
    """Return the color of a model's family; of what is no model, grey."""
    return find_family(name).plot_color if is_known(name) else GREY


# --- accuracy against cost ----------------------------------------------------------------------


@figure_style()
def against(
    compared: Mapping[str, Entry], cost: str, label: str, best: float, level: str = ""
) -> Figure:
    """Draw test accuracy against what a model costs; whiskers are its intervals of 95 %.

    The accuracy's axis is that of its log odds, which parts what is near 1.

    Args:
        compared: what was measured, by the name.
        cost: the figure of an entry on the other, logarithmic axis.
        label: what that is called, with its unit.
        best: the accuracy beyond which the test images cannot show a difference from 1.
        level: a name without such a cost, drawn as a line.
    """
    figure = Figure(figsize=(_WIDTH, 5), layout="constrained")
    axes = figure.subplots()
    limits = (1 - best, best)
    points = {name: entry for name, entry in compared.items() if name != level}
    for name, entry in points.items():
        low, high = np.clip(entry["accuracy_interval"], *limits)
        middle = np.clip(entry["accuracy"], *limits)
        whiskers = ([max(0, middle - low)], [max(0, high - middle)])
        axes.errorbar(entry[cost], middle, whiskers, fmt="o", color=_color(name), markersize=6)
    if level in compared:
        accuracy = np.clip(compared[level]["accuracy"], *limits)
        axes.axhline(accuracy, color=GREY, linestyle="--", linewidth=1.2)
    axes.set_xscale("log")
    costs = [entry[cost] for entry in points.values()]
    wide = max(costs) / min(costs) > 300
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.set_yscale("logit")
    shown = [np.clip(entry["accuracy_interval"], *limits) for entry in compared.values()]
    ends = np.log(np.ravel(shown) / (1 - np.ravel(shown)))
    margin = 0.08 * np.ptp(ends) or 0.2
    axes.set_ylim(*(1 / (1 + np.exp(-np.array([ends.min() - margin, ends.max() + margin])))))
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.12)
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy")
    _name(figure, axes, {name: (entry[cost], entry["accuracy"]) for name, entry in points.items()})
    if level in compared:
        place = (0.01, accuracy)
        where = axes.get_yaxis_transform()
        axes.text(*place, f"{level} (no parameters)", transform=where, va="bottom", color=GREY)
    return figure


def _plain(value: float, _: int | None = None) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _name(figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write the names beside points, each at the first place that is free."""
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    places: dict[str, tuple[float, float]] = {
        name: tuple(axes.transData.transform((x, np.clip(y, low, high))).tolist())
        for name, (x, y) in points.items()
    }
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in places.values()]
    for name, place in sorted(places.items(), key=lambda item: -item[1][1]):
        text = axes.annotate(
            name, place, xycoords="figure pixels", va="center", fontsize=8, color=_color(name)
        )
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])
        size = text.get_window_extent()
        box, (x, y) = _free(place, size.width, size.height, taken, axes.bbox)
        text.set_position((x, y))
        text.set_in_layout(False)
        taken.append(box)
        if abs(y - place[1]) > size.height:
            axes.annotate(
                "",
                place,
                (x - 2 if x > place[0] else x + size.width + 2, y),
                xycoords="figure pixels",
                textcoords="figure pixels",
                arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.7},
                zorder=1,
            )


def _free(
    place: Sequence[float], width: float, height: float, taken: Sequence[Bbox], inside: Bbox
) -> tuple[Bbox, tuple[float, float]]:
    """Return a box for a text near a place that meets no other box, and where it begins."""
    x, y = place
    steps = [0.0, *(sign * step * height for step in range(1, 12) for sign in (1, -1))]
    tried = [
        (left, y + step)
        for step in steps
        for left in (x + 8 + abs(step) / 2, x - 8 - abs(step) / 2 - width)
    ]
    for left, middle in tried:
        box = Bbox.from_bounds(left, middle - height / 2, width, height)
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0
        if fits and box.y1 <= inside.y1 and not any(box.overlaps(other) for other in taken):
            return box, (left, middle)
    left, middle = tried[0]
    return Bbox.from_bounds(left, middle - height / 2, width, height), (left, middle)


# --- changed images -----------------------------------------------------------------------------

_AXES = {
    "shift": ("shift (% of the side)", 100.0),
    "scale": ("scale (factor)", 1.0),
    "rotation": ("rotation (degrees)", 1.0),
}


@figure_style()
def robustness(
    compared: Mapping[str, Entry], seen: Mapping[str, tuple[float, float]] | None = None
) -> Figure:
    """Draw the accuracy on changed test images: a panel for each kind of change.

    Bands are intervals of 95 %; of many models they would cover one another, and are left out.

    Args:
        compared: what was measured, by the name; `robustness` holds amounts and accuracies.
        seen: from where to where training changed images at random, by the kind; it is shaded.
    """
    figure = Figure(figsize=(_WIDTH, 3.6 + 0.2 * -(-len(compared) // 3)), layout="constrained")
    panels = figure.subplots(1, len(_AXES), sharey=True)
    used: dict[str, int] = {}
    for name, entry in compared.items():
        color = _color(name)
        line = _LINES[used.get(color, 0) % len(_LINES)]
        used[color] = used.get(color, 0) + 1
        for axes, kind in zip(panels, _AXES, strict=True):
            found = entry["robustness"][kind]
            amounts = _AXES[kind][1] * np.array(found["amounts"])
            low, high = np.transpose(found["interval"])
            if len(compared) <= _MOST_BANDS:
                axes.fill_between(amounts, low, high, color=color, alpha=0.1, linewidth=0)
            axes.plot(amounts, found["accuracy"], color=color, linestyle=line, label=name)
    for axes, (kind, (label, factor)) in zip(panels, _AXES.items(), strict=True):
        axes.set_xlabel(label)
        axes.margins(x=0)
        if seen and kind in seen:
            ends = factor * np.array(seen[kind])
            axes.axvspan(*ends, color="#000000", alpha=0.05, linewidth=0, zorder=0)
    panels[0].set_ylabel("accuracy on changed test images")
    panels[0].set_ylim(0, 1)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=3)
    return figure
