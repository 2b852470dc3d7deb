"""Pictures of the detection lab: boxes, curves and kinds of errors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from common.metrics.metrics import Array
from common.report.plots import BLUE, GREY, ORANGE, drawable, figure_style, message, short
from labs.detection.metrics import KINDS, RECALLS, ByScore

# Okabe and Ito's, which the color-blind can tell apart.
COLORS = {
    "correct": "#009e73",
    "class": "#d55e00",
    "localization": "#e69f00",
    "both": "#cc79a7",
    "duplicate": "#56b4e9",
    "background": "#0072b2",
    "missed": "#f0e442",
}
_LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a6761d", "#666666")
_WIDTH = 7.5  # inches
MOST_FOUND = 20  # detections drawn into an image
_MOST_CURVES = 12  # classes that a legend names
_MOST_DOTS = 5000  # boxes drawn in a scatter
_NAME = 14  # letters of a class name


class Panel(NamedTuple):
    """An image with what is true and what was found."""

    image: Array  # uint8 (3, H, W)
    targets: Array  # (T, 6): x1, y1, x2, y2, class, crowd; rows of class -1 are none
    detections: Array  # (M, 6): x1, y1, x2, y2, score, class
    kinds: Array  # (M,) of each detection its place in `KINDS`; those of -1 are not drawn
    boxes: Array  # (M,) of each the target that it is right or wrong about; -1 where none
    missed: Array  # (T,) whether a target was missed
    caption: str = ""
    masks: Array | None = None  # bool (M, H, W) of the drawn detections, and of higher scores


@figure_style()
def pictures(
    panels: Sequence[Panel], classes: Sequence[str], *, truth_alone: bool = False
) -> Figure:
    """Draw images with their boxes: true ones dashed, found ones in the color of their kind.

    Found ones are named with their scores; where the class is wrong, the true one stands before it.
    Of more than 20 in an image only those with the highest scores are drawn. With `truth_alone`
    nothing was looked for: no kinds are explained.
    """
    if not panels:
        return message("Nothing to draw.")
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    side = _WIDTH / max(columns, 2)
    heights = [panel.image.shape[1] / panel.image.shape[2] for panel in panels]
    captioned = 0.2 if any(panel.caption for panel in panels) else 0.0
    size = (side * columns, (side * max(heights) + captioned) * rows + 0.6)
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    figure = Figure(figsize=size, layout=layout)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        axes.set_axis_off()
    for axes, panel in zip(all_axes, panels, strict=False):
        _draw(axes, panel, classes)
    if truth_alone:
        return figure
    shown = {KINDS[kind] for panel in panels for kind in panel.kinds if kind >= 0}
    shown |= {"missed"} if any(panel.missed.any() for panel in panels) else set()
    handles = [Line2D([], [], color=COLORS[kind], label=kind) for kind in KINDS if kind in shown]
    true = Line2D([], [], color="#333333", linestyle=(0, (2, 1.5)), linewidth=1, label="true box")
    figure.legend(handles=[true, *handles], loc="outside lower center", ncols=7, fontsize=8)
    return figure


def _draw(axes: Axes, panel: Panel, classes: Sequence[str]) -> None:
    height, width = panel.image.shape[1:]
    axes.imshow(np.moveaxis(panel.image, 0, -1), extent=(0, width, height, 0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    if panel.caption:
        axes.set_title(short(drawable(panel.caption), 36), fontsize=7, loc="center", pad=3)
    for row, missed in zip(panel.targets, panel.missed, strict=True):
        if row[4] < 0:
            continue
        _box(axes, row, COLORS["missed"] if missed else "white", linestyle=(0, (2, 1.5)))
        if missed:
            _label(axes, row, _named(classes, row[4]), COLORS["missed"], width)
    for place in np.flatnonzero(panel.kinds >= 0)[:MOST_FOUND][::-1]:  # the highest score on top
        row, kind = panel.detections[place], KINDS[panel.kinds[place]]
        text = f"{_named(classes, row[5])} {row[4]:.2f}"
        if kind in ("class", "both"):
            text = f"{_named(classes, panel.targets[panel.boxes[place], 4])} → {text}"
        if panel.masks is not None:
            _tint(axes, panel.masks[place], COLORS[kind])
        _box(axes, row, COLORS[kind])
        _label(axes, row, text, COLORS[kind], width)


def _named(classes: Sequence[str], label: float) -> str:
    return short(drawable(classes[int(label)]), _NAME)


def _tint(axes: Axes, mask: Array, color: str) -> None:
    height, width = mask.shape
    axes.imshow(mask[..., None] * np.array(to_rgba(color, 0.5)), extent=(0, width, height, 0))


def _box(axes: Axes, row: Array, color: str, linestyle: Any = "-") -> None:
    x1, y1, x2, y2 = row[:4].tolist()
    box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=1.1, ls=linestyle)
    box.set_path_effects([withStroke(linewidth=2.2, foreground="#00000090")])
    axes.add_patch(box)


def _label(axes: Axes, row: Array, text: str, color: str, width: float) -> None:
    x, y = float(row[0]), float(row[1])
    right = x > 0.6 * width
    axes.text(
        float(row[2]) if right else x,
        y,
        text,
        ha="right" if right else "left",
        va="bottom" if y > 0.08 * width else "top",
        color="white" if color in (COLORS["background"], COLORS["class"]) else "black",
        fontsize=5.5,
        clip_on=True,
        bbox={"facecolor": color, "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
    )


@figure_style()
def precision_recall(curves: Array, classes: Sequence[str]) -> Figure:
    """Draw precision against recall at IoU 0.5 of each class, (C, 101), and their mean."""
    known = np.flatnonzero(~np.isnan(curves[:, 0]))
    if not len(known):
        return message("There are no boxes.")
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    few = len(known) <= _MOST_CURVES
    for place, label in enumerate(known.tolist()):
        style: dict[str, Any] = {"color": GREY, "linewidth": 0.6, "alpha": 0.4}
        if few:
            name = f"{_named(classes, label)}: {curves[label].mean():.3f}"
            dashed = "-" if place < len(_LINES) else "--"
            color = _LINES[place % len(_LINES)]
            style = {"color": color, "linewidth": 1.2, "linestyle": dashed, "label": name}
        elif not place:
            style["label"] = f"each of {len(known)} classes"
        axes.plot(RECALLS, curves[label], **style)
    mean = curves[known].mean(0)
    text = f"mean: {mean.mean():.3f}"
    axes.plot(RECALLS, mean, color="black", linewidth=2.4, label=text)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    axes.legend(title="AP at IoU 0.5", loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
    return figure


@figure_style()
def by_score(curves: ByScore, chosen: float) -> Figure:
    """Draw precision, recall and F1 against the score from which detections are shown."""
    if not len(curves.score):
        return message("No detection is right.")
    figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, color in (("precision", BLUE), ("recall", ORANGE), ("f1", "black")):
        label = "F1" if name == "f1" else name
        axes.plot(curves.score, getattr(curves, name), color=color, label=label)
    axes.axvline(chosen, color=GREY, linestyle="--", linewidth=1, label=f"shown from {chosen:.3g}")
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="score from which detections are shown")
    axes.set_ylabel("mean over classes")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@figure_style()
def error_kinds(counts: Mapping[str, int], gains: Mapping[str, float]) -> Figure:
    """Draw how many detections are of each kind, and what mending a kind would gain."""
    figure = Figure(figsize=(_WIDTH, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for place, kind in enumerate(KINDS):
        left.barh(place, counts[kind], color=COLORS[kind], ec="#555555", lw=0.5, height=0.7)
        left.text(counts[kind], place, f" {counts[kind]:,}", va="center", fontsize=8)
        if kind in gains:
            right.barh(place, gains[kind], color=COLORS[kind], ec="#555555", lw=0.5, height=0.7)
            right.text(max(gains[kind], 0), place, f" {gains[kind]:+.3f}", va="center", fontsize=8)
    left.set_yticks(range(len(KINDS)), KINDS)
    left.invert_yaxis()
    left.set_xlabel("detections; boxes of “missed”")
    right.set_xlabel("mAP50 that mending them would gain")
    left.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.18)
    return figure


@figure_style()
def anchors(sizes: Array, chosen: Array, mean_iou: float) -> Figure:
    """Draw the sizes of the training boxes and of their anchors: width and height in pixels."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    rows = np.linspace(0, len(sizes) - 1, min(len(sizes), _MOST_DOTS)).astype(int)
    dots = sizes[rows]
    text = f"boxes: {len(dots):,} of {len(sizes):,}"
    axes.scatter(dots[:, 0], dots[:, 1], s=8, color=GREY, alpha=0.25, linewidths=0, label=text)
    text = f"anchors: {len(chosen)}"
    axes.scatter(chosen[:, 0], chosen[:, 1], s=90, color=BLUE, ec="white", label=text, zorder=3)
    most = 1.05 * max(sizes.max(initial=1), chosen.max())
    axes.set(xlim=(0, most), ylim=(0, most), xlabel="width (pixels)", ylabel="height (pixels)")
    axes.set_aspect("equal")
    axes.set_title(f"mean IoU of a box with its best anchor: {mean_iou:.3f}")
    for handle in figure.legend(loc="outside lower center", ncols=2).legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return figure


# --- detectors side by side ---------------------------------------------------------------------


@figure_style()
def speed(compared: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw detectors by their time for an image and their test mAP50-95.

    By the detector's name there are its `milliseconds`, `parameters`, and mAP with interval.
    """
    figure = Figure(figsize=(_WIDTH, 4), layout="constrained")
    axes = figure.subplots()
    largest = max(found["parameters"] for found in compared.values())
    for place, (name, found) in enumerate(compared.items()):
        at, color = (found["milliseconds"], found["map50_95"]), _LINES[place % len(_LINES)]
        area = 30 + 900 * found["parameters"] / largest
        axes.vlines(at[0], *found["map50_95_interval"], color=color, linewidth=1)
        axes.scatter(*at, s=area, color=color, alpha=0.5)
        text = f"{short(drawable(name), 24)}\n{_count(found['parameters'])}"
        offset = (math.sqrt(area) / 2 + 4, 0)
        axes.annotate(text, at, offset, textcoords="offset points", va="center", fontsize=8)
    axes.set(xscale="log", xlabel="milliseconds for one image", ylabel="test mAP50-95")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.35, y=0.15)
    return figure


def _count(parameters: int) -> str:
    if parameters < 1e6:
        return f"{parameters / 1e3:,.0f} thousand parameters"
    return f"{parameters / 1e6:.1f} million parameters"


@figure_style()
def compared_errors(compared: Mapping[str, Mapping[str, int]]) -> Figure:
    """Draw how many detections are of each kind, a bar for each detector, by its name."""
    figure = Figure(figsize=(_WIDTH, 1.1 + 0.4 * len(compared)), layout="constrained")
    axes = figure.subplots()
    for place, counts in enumerate(compared.values()):
        left = 0
        for kind in KINDS:
            axes.barh(place, counts[kind], left=left, color=COLORS[kind], ec="white", lw=0.5)
            left += counts[kind]
    axes.set_yticks(range(len(compared)), [short(drawable(name), 24) for name in compared])
    axes.invert_yaxis()
    axes.set_xlabel("detections; boxes of “missed”")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    handles = [Rectangle((0, 0), 1, 1, color=COLORS[kind], label=kind) for kind in KINDS]
    figure.legend(handles=handles, loc="outside upper center", ncols=7, fontsize=8)
    return figure
