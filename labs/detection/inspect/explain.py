"""What happens on either side of a detector: who answers for a box, and what NMS does.

In training each true box is assigned to places of the network's grid, whose predictions the loss
then compares with it. In prediction many of them find the same object, and non-maximum suppression
keeps the one with the highest score. Both are computed as the network itself does, and drawn for
one image.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from common.errors import DataError
from common.report.plots import drawable, figure_style, short
from common.runs.job import Splits
from common.training.compute import Compute
from common.training.sequences import Padded
from labs.detection import boxes as geometry
from labs.detection.config import DetectionConfig
from labs.detection.darknet import network as darknet
from labs.detection.darknet.task import assign
from labs.detection.data import augment
from labs.detection.data.load import BoxSet
from labs.detection.job import Detector
from labs.detection.models import tiny_yolo, torchvision_models
from labs.detection.names import GRIDS, LOCALIZER, is_darknet

Drawing = tuple[Figure, tuple[str, list[str], list[list[str]]]]  # and title, columns, rows

# Okabe and Ito's colors, without yellow and black: of boxes, or of classes.
_COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_RED = "#e00000"
_STEPS, _ROWS = 6, 30  # of NMS that are drawn, and listed
_FEW = 440  # scenes, where there is no run; enough for its anchors to be those of all
_MANY = 1000  # candidates of an image, where a library asks for a limit


# --- who answers for a box ----------------------------------------------------------------------


class Answer(NamedTuple):
    """A place of a network's grid that answers for a box."""

    box: int  # the row of the box
    stride: float  # pixels from a cell to the next
    row: int
    column: int
    anchor: tuple[float, ...] | None  # its corners in pixels; None where there are no anchors
    fit: float  # how well it fits, as `Assignment.measure` says


@dataclass(frozen=True)
class Assignment:
    """Who answers for the boxes of an image."""

    answers: list[Answer]  # for each box its own cell first
    measure: str  # what `fit` is
    rule: str  # how it was decided


def assignment(job: Detector, image: Tensor, boxes: Tensor) -> Assignment:
    """Return who answers for boxes (n, 6) of an image, uint8 (3, S, S), in the loss of a model.

    Its weights matter where the assignment depends on what is predicted.

    Raises:
        DataError: the model has no cells.
    """
    _refuse_localizer(job)
    if job.config.model in GRIDS:
        return _of_grid(job.model, boxes, job.card.image_size)
    if is_darknet(job.config.model):
        return _of_darknet(job.model, boxes, job.card.image_size)
    inputs, boxes = prepare(job, image), job.compute.move(boxes)
    if job.config.model in torchvision_models.WEIGHTS:
        return _of_torchvision(job.model, inputs, boxes)
    task: Any = job.detection
    answers = [
        Answer(box, stride, int(y // stride), int(x // stride), None, score)
        for box, x, y, stride, score in task.assigned(job.model.eval(), inputs, Padded.of([boxes]))
    ]
    return Assignment(
        answers,
        "score",
        "Task-aligned: of the cells whose middle is in the box, those answer whose predictions fit "
        "it best so far, in class and place; the score is what they are to reach. There are no "
        "anchors.",
    )


def _of_grid(model: Any, boxes: Tensor, image_size: int) -> Assignment:
    stride, anchors = model.stride, model.anchors.cpu()
    cells = image_size // stride
    found = tiny_yolo.assign(boxes[:, :4], anchors, stride, cells)
    answers = []
    for box, side, anchor in found.responsible.nonzero().tolist():
        row, column = divmod(int(found.cells[box, side]), cells)
        middle = torch.tensor([column + 0.5, row + 0.5]) * stride
        corners = geometry.to_corners(torch.cat([middle, anchors[anchor]]))
        fit = found.anchor_ious[box, anchor].item()
        answers.append(Answer(box, stride, row, column, tuple(corners.tolist()), fit))
    return Assignment(
        answers,
        "IoU of sizes",
        "The cell with the middle of a box answers, and its two nearest neighbors; in them the "
        f"anchors whose size has an IoU of at least {tiny_yolo.SAME_SIZE:g} with the box's, and "
        "the best one.",
    )


def _of_darknet(model: Any, boxes: Tensor, image_size: int) -> Assignment:
    answers = []
    for head in model.heads:
        cells, anchors = image_size // head.stride, head.anchors.cpu()
        columns, rows, found = assign(head, boxes[:, :4], cells, cells)
        for box, place in found.nonzero().tolist():
            row, column = int(rows[box]), int(columns[box])
            size = anchors[head.row.mask[place]]
            middle = torch.tensor([column + 0.5, row + 0.5]) * head.stride
            corners = geometry.to_corners(torch.cat([middle, size]))
            sides = geometry.to_centers(boxes[box, :4])[2:]
            fit = geometry.size_iou(sides, size[None]).item()
            answers.append(Answer(box, head.stride, row, column, tuple(corners.tolist()), fit))
    return Assignment(
        sorted(answers, key=lambda answer: (answer.box, -answer.fit)),
        "IoU of sizes",
        "The cell with the middle of a box answers, in the grid of the head whose anchor is most "
        "like it in size; beside the best one those with an IoU above iou_thresh.",
    )


@torch.no_grad()
def _of_torchvision(model: Any, image: Tensor, boxes: Tensor) -> Assignment:
    """Match default boxes or the anchors of the proposals, as the model does when it trains."""
    size = image.shape[-1]
    two_stages = hasattr(model, "rpn")
    first = model.rpn if two_stages else model
    model.eval()
    scaled = model.transform(list(image))[0]
    features = list(model.backbone(scaled.tensors).values())
    places = first.anchor_generator(scaled, features)[0] * size / scaled.image_sizes[0][0]
    ious = geometry.iou(boxes[:, :4], places)
    matched = first.proposal_matcher(ious) if len(boxes) else torch.full((len(places),), -1)
    levels = [
        (level, row, column)
        for level, (grid, each) in enumerate(
            zip(features, first.anchor_generator.num_anchors_per_location(), strict=True)
        )
        for row in range(grid.shape[2])
        for column in range(grid.shape[3])
        for _ in range(each)
    ]
    answers = []
    for place in (matched >= 0).nonzero().flatten().tolist():
        level, row, column = levels[place]
        box = int(matched[place])
        stride = size / features[level].shape[3]
        corners = tuple(places[place].tolist())
        answers.append(Answer(box, stride, row, column, corners, ious[box, place].item()))
    what = (
        "First stage: anchors (in the top left corner of a cell)" if two_stages else "Default boxes"
    )
    return Assignment(
        sorted(answers, key=lambda answer: (answer.box, -answer.fit)),
        "IoU",
        f"{what} with an IoU of at least {first.proposal_matcher.high_threshold:g} with a box "
        "answer for it, and the best one of each box.",
    )


def _refuse_localizer(job: Detector) -> None:
    if job.config.model == LOCALIZER:
        raise DataError(
            "a localizer has one box for an image: no cells answer for it, and there is nothing to "
            "suppress; choose the run of a detector, or draw both with `beside`"
        )


def without_run() -> tuple[Detector, Splits]:
    """Return a new tiny-yolo and a few default scenes: its assignment needs no training."""
    config = DetectionConfig(limit=_FEW)
    splits, card = Detector.load(config)
    return Detector(config, Compute("cpu", "32"), card), splits


def draw_assignment(job: Detector, split: BoxSet, row: int) -> Drawing:
    """Return a picture and a table of who answers for the boxes of an image.

    Raises:
        DataError: there is no such image, or it has no boxes.
    """
    image, boxes = choose_image(split, row)
    boxes = boxes[boxes[:, 5] == 0]  # a crowd is no example
    if not len(boxes):
        raise DataError(f"image {row} ({split.names[row]}) has no boxes; choose another --image")
    found = assignment(job, image, boxes)
    names = [job.card.classes[number] for number in boxes[:, 4].long().tolist()]
    title = f"{job.config.title}: who answers for the boxes of {split.names[row]}"
    unanswered = set(range(len(boxes))) - {answer.box for answer in found.answers}
    table = (
        title,
        ["box", "class", "cell (row, column)", "cell's pixels", "anchor", found.measure],
        [
            [
                str(answer.box + 1),
                names[answer.box],
                f"{answer.row}, {answer.column}",
                f"{answer.stride:.3g}",
                _size(answer.anchor),
                f"{answer.fit:.2f}",
            ]
            for answer in found.answers
        ]
        + [[str(box + 1), names[box], "nobody", "-", "-", "-"] for box in sorted(unanswered)],
    )
    return _draw_assignment(image, boxes, names, found, title), table


@figure_style()
def _draw_assignment(
    image: Tensor, boxes: Tensor, names: Sequence[str], found: Assignment, title: str
) -> Figure:
    """Draw a panel for each grid that answers: cells filled, anchors dashed."""
    strides = sorted({answer.stride for answer in found.answers}) or [image.shape[1]]
    columns = min(2, len(strides))
    rows = math.ceil(len(strides) / columns)
    side = 7.5 if columns == 1 else 6.0
    figure = Figure(figsize=(columns * side, rows * side + 0.9), layout="constrained")
    for axes, stride in zip(
        figure.subplots(rows, columns, squeeze=False).flat, strides, strict=False
    ):
        show_image(axes, image)
        here = [answer for answer in found.answers if answer.stride == stride]
        _draw_grid(axes, image.shape[1], stride)
        _draw_answers(axes, here)
        for number, (corners, name) in enumerate(zip(boxes[:, :4].tolist(), names, strict=True)):
            mine = [answer.fit for answer in here if answer.box == number]
            best = f", {found.measure.split()[0]} {max(mine):.2f}" if mine else ""
            label = f"{number + 1}: {short(drawable(name), 16)}{best}"
            draw_box(axes, corners, _color(number), label, linewidth=2.4)
        axes.set_title(f"cells of {stride:.3g} pixels: {len(here)} answers")
    for axes in list(figure.axes)[len(strides) :]:
        axes.set_axis_off()
    figure.suptitle(f"{drawable(title)}\nsolid: boxes; filled: cells; dashed: anchors", fontsize=11)
    figure.supxlabel(found.rule, fontsize=9, wrap=True)
    return figure


def _draw_grid(axes: Axes, size: int, stride: float) -> None:
    for line in range(1, round(size / stride)):
        axes.axvline(line * stride, color="white", linewidth=0.4, alpha=0.6)
        axes.axhline(line * stride, color="white", linewidth=0.4, alpha=0.6)


def _draw_answers(axes: Axes, answers: Sequence[Answer]) -> None:
    """Fill the cells, and draw the anchors of each box's best cell."""
    best: dict[int, Answer] = {}
    for answer in answers:
        best.setdefault(answer.box, answer)
    cells = {(answer.box, answer.row, answer.column): answer for answer in answers}
    for answer in cells.values():
        corner = answer.column * answer.stride, answer.row * answer.stride
        own = best[answer.box][2:4] == answer[2:4]
        alpha = 0.5 if own else 0.25
        axes.add_patch(
            Rectangle(corner, answer.stride, answer.stride, color=_color(answer.box), alpha=alpha)
        )
    for answer in answers:
        if answer.anchor is not None and best[answer.box][2:4] == answer[2:4]:
            draw_box(axes, answer.anchor, _color(answer.box), linewidth=1.2, linestyle="--")


def _size(corners: tuple[float, ...] | None) -> str:
    if corners is None:
        return "-"
    return f"{corners[2] - corners[0]:.0f} x {corners[3] - corners[1]:.0f}"


# --- non-maximum suppression --------------------------------------------------------------------


@torch.no_grad()
def candidates(job: Detector, image: Tensor, score: float) -> Tensor:
    """Return what a model finds in an image, uint8 (3, S, S), before NMS, highest score first.

    Returns:
        (n, 6): x1, y1, x2, y2 in pixels, score, class; only from the score on.

    Raises:
        DataError: the model does without NMS.
    """
    _refuse_localizer(job)
    inputs = prepare(job, image)
    job.model.eval()
    if job.config.model in torchvision_models.WEIGHTS:
        rows = _candidates_of_torchvision(job.model, inputs)
    else:
        ask: Any = tiny_yolo.boxes_and_scores if job.config.model in GRIDS else _of_ultralytics
        if is_darknet(job.config.model):
            ask = darknet.boxes_and_scores
        [boxes], [of_classes] = ask(job.model, inputs)
        row, number = (of_classes >= score).nonzero(as_tuple=True)  # a box may count for several
        values = of_classes[row, number]
        rows = torch.cat([boxes[row], values[:, None], number[:, None]], 1)
    rows = rows[rows[:, 4] >= score].cpu()
    return rows[rows[:, 4].argsort(descending=True, stable=True)][:_MANY]


def _of_ultralytics(model: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    from labs.detection.models.ultralytics.decode import decode, get_head

    if get_head(model).end2end:
        raise DataError(
            "this model does without NMS: it was trained to find each object once; choose a run of "
            "another one, such as tiny-yolo or yolo11n"
        )
    return decode(model, image)


def _candidates_of_torchvision(model: Any, image: Tensor) -> Tensor:
    """Run the model with an NMS that removes nothing."""
    last = model.roi_heads if hasattr(model, "roi_heads") else model
    with _changed(last, nms_thresh=1.0, detections_per_img=_MANY):
        found = model(list(image))[0]
    return torch.cat([found["boxes"], found["scores"][:, None], found["labels"][:, None] - 1], 1)


@contextlib.contextmanager
def _changed(owner: Any, **values: Any) -> Iterator[None]:
    """Give attributes other values while the block lasts."""
    before = {name: getattr(owner, name) for name in values}
    try:
        vars(owner).update(values)
        yield
    finally:
        vars(owner).update(before)


def suppression(rows: Tensor, threshold: float) -> list[geometry.Suppression]:
    """Return the steps of NMS within each class of candidates (n, 6), the highest scores first.

    The threshold is the largest IoU at which two boxes of a class are still two objects.
    """
    steps = []
    for number in set(rows[:, 5].tolist()):
        mine = (rows[:, 5] == number).nonzero().flatten()
        for step in geometry.nms_steps(rows[mine, :4], rows[mine, 4], threshold):
            removed = mine[step.removed].tolist()
            steps.append(geometry.Suppression(int(mine[step.kept]), removed, step.ious))
    return sorted(steps, key=lambda step: step.kept)


def draw_nms(job: Detector, split: BoxSet, row: int, threshold: float, score: float) -> Drawing:
    """Return a picture and a table of what NMS does to the detections of an image.

    Raises:
        DataError: there is no such image, nothing is found in it, or the model does without NMS.
    """
    image, _ = choose_image(split, row)
    rows = candidates(job, image, score)
    if not len(rows):
        raise DataError(
            f"no candidate in image {row} ({split.names[row]}) has a score of {score:.3g}; try a "
            "lower --score, or another --image"
        )
    steps = suppression(rows, threshold)
    names = [job.card.classes[number] for number in rows[:, 5].long().tolist()]
    title = f"{job.config.title}: non-maximum suppression in {split.names[row]}"
    listed = f", the first {_ROWS} listed" if len(steps) > _ROWS else ""
    table = (
        f"{title}: {len(rows)} candidates, {len(steps)} kept{listed}",
        ["step", "class", "score of the kept", "removed", "their IoU with it"],
        [
            [
                str(number),
                names[step.kept],
                f"{rows[step.kept, 4]:.3f}",
                str(len(step.removed)),
                join_some([f"{iou:.2f}" for iou in step.ious]),
            ]
            for number, step in enumerate(steps[:_ROWS], 1)
        ],
    )
    return _draw_nms(image, rows, names, steps, f"{title}, IoU above {threshold:g}"), table


@figure_style()
def _draw_nms(
    image: Tensor,
    rows: Tensor,
    names: Sequence[str],
    steps: Sequence[geometry.Suppression],
    title: str,
) -> Figure:
    """Draw the candidates, the steps that remove most of all, and what is left."""
    busy = [(number, step) for number, step in enumerate(steps, 1) if step.removed]
    drawn = busy[:_STEPS]
    panels = len(drawn) + 2
    columns = min(4, panels)
    lines = math.ceil(panels / columns)
    figure = Figure(figsize=(3.4 * columns, 3.8 * lines + 0.5), layout="constrained")
    all_axes = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes in all_axes:
        axes.set_axis_off()
    for axes in all_axes[:panels]:
        show_image(axes, image)
    kept = [step.kept for step in steps]
    colors = {number: _color(place) for place, number in enumerate(dict.fromkeys(names))}
    first, *middle, last = all_axes[:panels]
    for place in reversed(range(len(rows))):
        opacity = max(0.15, rows[place, 4].item())
        draw_box(first, rows[place].tolist(), colors[names[place]], linewidth=1.2, alpha=opacity)
    first.set_title(f"before: {len(rows)} boxes, fainter where less sure")
    for axes, (number, step) in zip(middle, drawn, strict=True):
        _draw_step(axes, rows, names, step, colors)
        ious = join_some([f"{iou:.2f}" for iou in step.ious], 3)
        axes.set_title(f"step {number}: keep one, remove {len(step.removed)}\nIoU {ious}")
    for place in kept:
        crowded = len(kept) > _ROWS
        label = "" if crowded else f"{short(drawable(names[place]), 12)} {rows[place, 4]:.2f}"
        draw_box(last, rows[place].tolist(), colors[names[place]], label)
    last.set_title(f"after: {len(kept)} boxes")
    more = f"; steps that are not drawn: {len(busy) - len(drawn)}" if len(busy) > len(drawn) else ""
    idle = len(steps) - len(busy)
    alone = f"; kept boxes without a rival: {idle}" if idle else ""
    figure.suptitle(f"{drawable(title)}{more}{alone}", fontsize=11)
    return figure


def _draw_step(
    axes: Axes,
    rows: Tensor,
    names: Sequence[str],
    step: geometry.Suppression,
    colors: dict[str, str],
) -> None:
    """Draw the kept box, and those it removes with their IoU."""
    for place in step.removed:
        draw_box(axes, rows[place].tolist(), _RED, linewidth=1, linestyle="--")
    name = names[step.kept]
    label = f"{short(drawable(name), 12)} {rows[step.kept, 4]:.2f}"
    draw_box(axes, rows[step.kept].tolist(), colors[name], label, linewidth=2.4)


def join_some(texts: Sequence[str], most: int = 8) -> str:
    """Join texts with commas, at most some of them."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


# --- what both draw -----------------------------------------------------------------------------


def choose_image(split: BoxSet, row: int) -> tuple[Tensor, Tensor]:
    """Return an image of a split and its boxes.

    Raises:
        DataError: there is no such image.
    """
    if not 0 <= row < len(split):
        raise DataError(f"--image {row}: expected a number from 0 to {len(split) - 1}")
    return split.image(row), split.boxes[row]


def prepare(job: Detector, image: Tensor) -> Tensor:
    """Return an image as the network takes it, (1, 3, S, S), on the device."""
    job.compute.place(job.model)
    return augment.pipeline(job.config)(job.compute.move(image[None]), None)


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def show_image(axes: Axes, image: Tensor) -> None:
    """Draw an image, paler, without axes."""
    size = image.shape[1]
    pale = 0.75 * image.permute(1, 2, 0).numpy() / 255 + 0.25
    axes.imshow(pale, extent=(0, size, size, 0), interpolation="nearest")
    axes.set_axis_off()
    axes.set(xlim=(0, size), ylim=(size, 0))


def draw_box(
    axes: Axes, corners: Sequence[float], color: str, label: str = "", **style: Any
) -> None:
    """Draw a box, with its label above it, or inside where there is no room."""
    x1, y1, x2, y2 = corners[:4]
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, **style))
    if label:
        high = y1 < 0.06 * axes.get_ylim()[0]
        right = x1 > 0.6 * axes.get_xlim()[1]
        axes.text(
            x2 if right else x1,
            y1,
            label,
            ha="right" if right else "left",
            va="top" if high else "bottom",
            fontsize=8,
            color="white",
            bbox={"facecolor": color, "edgecolor": "none", "pad": 1, "alpha": 0.85},
        )
