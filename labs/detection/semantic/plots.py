"""Pictures of classes of pixels: what is true, what is said, and what is wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from common.metrics.metrics import Array
from common.report.plots import drawable, figure_style, short
from labs.detection.semantic.losses import VOID

_WIDTH = 7.5  # inches
_OPACITY = 0.65  # of a class over its image
_FAINT = 0.45  # of the image under mistakes
NAMED = 24  # classes that a legend names
_RIGHT, _WRONG, _NOBODY = (255, 255, 255), (213, 94, 0), (114, 114, 114)
_BASE = (  # Okabe and Ito's, and lighter and darker ones, which the color-blind can tell apart
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#ffd480", "#b3e0ff", "#66ffcc", "#806c00", "#003d66", "#803300", "#661a47"),
)


class Panel(NamedTuple):
    """An image with what is true and what is said of its pixels."""

    image: Array  # uint8 (3, H, W)
    true: Array  # uint8 (H, W), `VOID` where nobody knows
    said: Array  # uint8 (H, W)
    caption: str


def colors(classes: Sequence[str]) -> Array:
    """Return a color for each class, uint8 (C, 3); a background is black."""
    drawn = [tuple(bytes.fromhex(each[1:])) for each in _BASE]
    table = [drawn[at % len(drawn)] for at in range(len(classes))]
    if classes[0] == "background":
        table = [(0, 0, 0), *table[:-1]]
    return np.array(table, np.uint8)


def paint(labels: Array, table: Array) -> Array:
    """Return a map of classes (H, W) in the colors of a table (C, 3), void in grey: (H, W, 3)."""
    full = np.full((VOID + 1, 3), _NOBODY, np.uint8)
    full[: len(table)] = table
    painted: Array = full[labels]
    return painted


def lay_over(image: Array, labels: Array, classes: Sequence[str]) -> Array:
    """Return an image (3, H, W) with the colors of classes over it, but for a background."""
    pixels, table = np.moveaxis(image, 0, -1), colors(classes)
    painted = paint(labels, table)
    opacity = np.where(labels == 0, 0.0, _OPACITY) if classes[0] == "background" else _OPACITY
    share = np.broadcast_to(opacity, labels.shape)[..., None]
    return np.asarray(np.rint(share * painted + (1 - share) * pixels), np.uint8)


@figure_style()
def pictures(panels: Sequence[Panel], classes: Sequence[str]) -> Figure:
    """Draw a row for each image: itself, the true classes, those that are said, the mistakes."""
    side = _WIDTH / 4
    height = max(panel.image.shape[1] / panel.image.shape[2] for panel in panels)
    seen = sorted({int(each) for panel in panels for each in np.unique((panel.true, panel.said))})
    shown = [label for label in seen if label != VOID][:NAMED]
    lines = -(-(len(shown) + 2) // 7)
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    size = (_WIDTH, (side * height + 0.18) * len(panels) + 0.3 + 0.22 * lines)
    figure = Figure(figsize=size, layout=layout)
    grid = figure.subplots(len(panels), 4, squeeze=False)
    table = colors(classes)
    for row, (line, panel) in enumerate(zip(grid, panels, strict=True)):
        for axes, picture in zip(line, _columns(panel, table), strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
        line[0].set_title(short(drawable(panel.caption), 34), fontsize=7, loc="left", pad=3)
        if not row:
            for axes, name in zip(line[1:], ("true", "said", "mistakes"), strict=True):
                axes.set_title(name, fontsize=8, loc="center", pad=3)
    handles = patches(shown, classes)
    handles.append(Patch(fc=np.array(_WRONG) / 255, ec="#888888", label="mistake"))
    if any((panel.true == VOID).any() for panel in panels):
        handles.append(Patch(fc=np.array(_NOBODY) / 255, ec="#888888", label="void"))
    figure.legend(handles=handles, loc="outside lower center", ncols=7, fontsize=8)
    return figure


def patches(labels: Sequence[int], classes: Sequence[str]) -> list[Patch]:
    """Return what a legend shows of some classes by their numbers."""
    table = colors(classes) / 255
    return [
        Patch(fc=table[label], ec="#888888", label=short(drawable(classes[label]), 18))
        for label in labels
    ]


def _columns(panel: Panel, table: Array) -> tuple[Array, Array, Array, Array]:
    pixels = np.moveaxis(panel.image, 0, -1)
    wrong = (panel.said != panel.true) & (panel.true != VOID)
    pale = 255 - _FAINT * (255 - pixels.mean(-1, keepdims=True)).repeat(3, -1)
    mistakes = np.where(wrong[..., None], _WRONG, pale).astype(np.uint8)
    return pixels, paint(panel.true, table), paint(panel.said, table), mistakes
