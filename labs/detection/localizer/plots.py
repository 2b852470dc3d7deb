"""Pictures of a localizer: what it says of images, and how good its boxes are."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from common.metrics.metrics import Array
from common.report.plots import BLUE, ORANGE, drawable, figure_style, message, short
from labs.detection.localizer.metrics import OVERLAP, Judged

RIGHT, LOOSE, WRONG = "#009e73", "#e69f00", "#d55e00"
"""Okabe and Ito's: class and box right; a box below an IoU of 0.5; a wrong class."""
TRUE = (0, (2, 1.5))  # how a true box is dashed
_WIDTH = 7.5  # inches
_BINS = 20
_NAME = 12  # letters of a class name


class Said(NamedTuple):
    """What a localizer said of an image."""

    image: Array  # uint8 (3, H, W)
    found: Array  # (6,): x1, y1, x2, y2, probability, class
    true: Array  # (6,): x1, y1, x2, y2, class, 0
    right: bool
    iou: float


@figure_style()
def pictures(said: Sequence[Said], classes: Sequence[str]) -> Figure:
    """Draw images with the true box dashed, and the one that was said in the color of its kind."""
    if not said:
        return message("Nothing to draw.")
    columns = min(4, len(said))
    rows = math.ceil(len(said) / columns)
    side = _WIDTH / max(columns, 3)
    figure = Figure(figsize=(side * columns, (side + 0.25) * rows + 0.4), layout="constrained")
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every:
        axes.set_axis_off()
    for axes, each in zip(every, said, strict=False):
        _draw(axes, each, classes)
    labels = {RIGHT: "class and box right", LOOSE: f"IoU below {OVERLAP:g}", WRONG: "wrong class"}
    shown = {_color(each) for each in said}
    handles = [Line2D([], [], color="#333333", linestyle=TRUE, label="true box")]
    handles += [Line2D([], [], color=c, label=text) for c, text in labels.items() if c in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw(axes: Axes, each: Said, classes: Sequence[str]) -> None:
    height, width = each.image.shape[1:]
    axes.imshow(np.moveaxis(each.image, 0, -1), extent=(0, width, height, 0))
    add_box(axes, each.true, "white", dashed=True)
    add_box(axes, each.found, _color(each))
    found, true = (_named(classes, row) for row in (each.found[5], each.true[4]))
    said = found if each.right else f"{true} → {found}"
    axes.set_title(f"{said} {each.found[4]:.2f}, IoU {each.iou:.2f}", fontsize=7, pad=3)


def add_box(axes: Axes, row: Array, color: str, *, dashed: bool = False) -> None:
    """Draw the box of a row (x1, y1, x2, y2, ...) with a dark rim."""
    x1, y1, x2, y2 = row[:4].tolist()
    style = TRUE if dashed else "-"
    box = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=1.3, ls=style)
    box.set_path_effects([withStroke(linewidth=2.6, foreground="#00000090")])
    axes.add_patch(box)


def _color(each: Said) -> str:
    if not each.right:
        return WRONG
    return RIGHT if each.iou >= OVERLAP else LOOSE


def _named(classes: Sequence[str], label: float) -> str:
    return short(drawable(classes[int(label)]), _NAME)


@figure_style()
def overlaps(judged: Judged) -> Figure:
    """Draw how many boxes reach which IoU, where the class is right and where it is wrong."""
    figure = Figure(figsize=(_WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(0, 1, _BINS + 1).tolist()
    for chosen, color, text in (
        (judged.right, BLUE, "class right"),
        (~judged.right, ORANGE, "class wrong"),
    ):
        if not chosen.any():
            continue
        values = judged.iou[chosen]
        shares = np.full(len(values), 1 / len(values))
        label = f"{text}: {len(values):,} images, mean IoU {values.mean():.2f}"
        axes.hist(values, edges, weights=shares, color=color, alpha=0.55, label=label)
    axes.axvline(OVERLAP, color="#444444", linestyle="--", linewidth=1)
    axes.set(xlim=(0, 1), xlabel="IoU with the true box", ylabel="share of these images")
    axes.legend(loc="upper left")
    return figure
