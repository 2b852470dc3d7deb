"""A localizer beside a grid detector, on the same images: one box, or a box for each object."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from common.errors import RunError
from common.report.plots import drawable, figure_style, short
from common.runs.job import Splits
from labs.detection.boxes import paired_iou
from labs.detection.inspect.explain import (
    Drawing,
    choose_image,
    draw_box,
    prepare,
    show_image,
)
from labs.detection.job import Detector
from labs.detection.letterbox import letterbox
from labs.detection.models import tiny_yolo
from labs.detection.names import GRIDS, LOCALIZER

_TRUE, _FOUND, _CELL = "#009e73", "#0072b2", "#d55e00"
_NAME = 12  # letters of a class name

Table = tuple[str, list[str], list[list[str]]]  # title, columns, rows


class Told(NamedTuple):
    """What both say of an image."""

    name: str
    image: Tensor  # uint8 (3, H, W)
    true: Tensor  # (n, 6): x1, y1, x2, y2, class, crowd
    one: Tensor  # (6,): x1, y1, x2, y2, probability, class, of the localizer
    looked: Tensor  # (G, G): how much it looks at each cell
    whole: list[float]  # corners of all its cells together
    several: Tensor  # (m, 6), of the detector, as its run shows them
    cells: list[Sequence[float]]  # of each of them the corners of the cell that said it


def draw_beside(
    localizer: Detector, detector: Detector, splits: Sequence[Splits], split: str, row: int
) -> Drawing:
    """Return a picture and a table of what both say of an image of the data of each.

    Args:
        localizer: a run of --model localizer.
        detector: a run of another model.
        splits: the data of both.
        split: which of them.
        row: the number of the image in it.

    Raises:
        RunError: the runs are of other kinds, or know other classes.
        DataError: there is no such image.
    """
    if localizer.config.model != LOCALIZER or detector.config.model == LOCALIZER:
        raise RunError(
            f"beside takes the run of a localizer, then that of a detector; {localizer.run.path} "
            f"is of {localizer.config.title}, {detector.run.path} of {detector.config.title}"
        )
    if localizer.card.classes != detector.card.classes:
        raise RunError(
            f"{localizer.run.path} and {detector.run.path} know other classes; train both on the "
            "same data"
        )
    told = [_tell(localizer, detector, each[split], row) for each in splits]
    classes = localizer.card.classes
    return _draw(told, classes, detector.config.title), _table(told, classes, detector.config.title)


def _tell(localizer: Detector, detector: Detector, images: Any, row: int) -> Told:
    image, true = choose_image(images, row)
    [one], [found] = (job.find([image])["detections"] for job in (localizer, detector))
    several = found[(found[:, 5] >= 0) & (found[:, 4] >= detector.score)]
    return Told(
        images.names[row],
        image,
        true,
        one[0],
        *_look(localizer, image),
        several,
        _cells(detector, image, several),
    )


@torch.no_grad()
def _look(localizer: Detector, image: Tensor) -> tuple[Tensor, list[float]]:
    """Return how much a localizer looks at each cell, (G, G), and where the cells lie.

    Those are the corners of all of them together, in pixels of the image.
    """
    model: Any = localizer.model.eval()
    square, fit = letterbox(image, localizer.card.image_size)
    _, weights = model.attend(prepare(localizer, square))
    size = float(square.shape[-1])
    whole: list[float] = fit.back(torch.tensor([[0.0, 0.0, size, size]]))[0].tolist()
    return weights[0, 0].cpu(), whole


@torch.no_grad()
def _cells(detector: Detector, image: Tensor, found: Tensor) -> list[Sequence[float]]:
    """Return the corners of the cell that said each of some boxes (m, 6), in pixels of the image.

    Of detectors without a grid of the lab's own there are none.
    """
    if detector.config.model not in GRIDS:
        return []
    model: Any = detector.model.eval()
    square, fit = letterbox(image, detector.card.image_size)
    [said], _ = tiny_yolo.boxes_and_scores(model, prepare(detector, square))
    cells, anchors = square.shape[-1] // model.stride, len(model.anchors)
    apart = torch.cdist(found[:, :4], fit.back(said.cpu()), p=1)
    corners: list[Sequence[float]] = []
    for place in (apart.argmin(1) // anchors).tolist():
        row, column = divmod(place, cells)
        cell = torch.tensor([[column, row, column + 1, row + 1]]) * float(model.stride)
        corners.append(fit.back(cell)[0].tolist())
    return corners


@figure_style()
def _draw(told: Sequence[Told], classes: Sequence[str], detector: str) -> Figure:
    """Draw a row for each image: what is true, what the localizer says, what the detector says."""
    figure = Figure(figsize=(9.6, 3.5 * len(told) + 0.5), layout="constrained")
    for line, each in zip(figure.subplots(len(told), 3, squeeze=False), told, strict=True):
        for axes in line:
            show_image(axes, each.image)
        true, one, several = line
        for row in each.true.tolist():
            draw_box(true, row, _TRUE, _name(classes, row[4]), linewidth=1.8)
        true.set_title(f"{drawable(each.name)}: {_count(len(each.true), 'object')}")
        _draw_map(one, each)
        label = f"{_name(classes, each.one[5])} {each.one[4]:.2f}"
        draw_box(one, each.one.tolist(), _FOUND, label, linewidth=1.8)
        one.set_title("localizer: one box, and where it looks")
        for x1, y1, x2, y2 in each.cells:
            several.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, color=_CELL, alpha=0.6))
        for row in each.several.tolist():
            draw_box(several, row, _FOUND, f"{_name(classes, row[5])} {row[4]:.2f}", linewidth=1.8)
        its = ", and the cell of each" if each.cells else ""
        several.set_title(f"{detector}: {_count(len(each.several), 'box', 'boxes')}{its}")
    return figure


def _draw_map(axes: Axes, each: Told) -> None:
    """Lay the map of a localizer over an image, the more opaque the more it looks there."""
    x1, y1, x2, y2 = each.whole
    opacity = (each.looked / each.looked.max()).numpy()
    color = np.broadcast_to(to_rgb(_CELL), (*opacity.shape, 3))
    layer = np.concatenate([color, 0.7 * opacity[..., None]], -1)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(layer, extent=(x1, x2, y2, y1), interpolation="nearest")
    axes.set(xlim=limits[0], ylim=limits[1])


def _table(told: Sequence[Told], classes: Sequence[str], detector: str) -> Table:
    rows = []
    for each in told:
        for label, row in [
            ("localizer", each.one),
            *((detector, row) for row in each.several),
        ]:
            best = paired_iou(row[:4], each.true[:, :4]) if len(each.true) else torch.zeros(1)
            place = int(best.argmax())
            nearest = _name(classes, each.true[place, 4]) if best[place] > 0 else "-"
            said = [_name(classes, row[5]), f"{row[4]:.2f}", nearest, f"{best[place]:.2f}"]
            rows.append([each.name, label, *said])
    columns = ["image", "model", "says", "score", "nearest object", "IoU with it"]
    return "one object, or any number", columns, rows


def _name(classes: Sequence[str], label: Any) -> str:
    return short(drawable(classes[int(label)]), _NAME)


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"
