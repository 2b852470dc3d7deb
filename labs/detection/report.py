"""What the report says of boxes: what is found, what is missed, and what goes wrong."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.metrics.metrics import Array
from common.report import plots as common_plots
from common.report.html import PictureSaver, Section, Table
from common.runs import sections as common_sections
from common.runs import views
from common.runs.tta.gain import VIEW
from labs.detection import masks, metrics, plots
from labs.detection.data.load import BoxSet
from labs.detection.metrics import BOX, KINDS, Errors
from labs.detection.names import GRIDS
from labs.detection.plots import Panel

if TYPE_CHECKING:
    from labs.detection.job import Detector


_SHOWN = 12  # images
_EXAMPLES = 2  # of each kind of error
_COLUMNS = {
    "class": "class",
    "ap50_95": "AP50-95",
    "ap50": "AP50",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "boxes": "boxes",
}


def sections(
    job: "Detector",
    outputs: Mapping[str, Tensor],
    splits: Mapping[str, BoxSet],
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of boxes, of detections (N, M, 6) and targets (N, T, 6) of test.

    The run has its best weights in the model; figures are what metrics.json holds.
    """
    score = figures["validation"]["score_threshold"]
    made = views.recall(job.run, VIEW)
    return [
        *detections(job, outputs, splits["test"], score, save_picture),
        *filter(None, [made]),
        *_anchors(job, splits["train"], save_picture),
        _data(job, splits),
    ]


def detections(
    job: "Detector",
    outputs: Mapping[str, Tensor],
    images: BoxSet,
    score: float,
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what is found in the images of a split, how well, and what goes wrong.

    Outputs are its detections (N, M, 6) and targets (N, T, 6); what counts begins at the score.
    """
    found, true = outputs["detections"].numpy(), outputs["targets"].numpy()
    errors = metrics.errors(found, true, score)
    test = _Test(
        job.card.classes, images, found, true, score, errors, _masks(job, images, found, score)
    )
    return [
        _found(test, save_picture),
        _precision_recall(test, save_picture),
        _each_class(test),
        _confusion(test, save_picture),
        _errors(test, save_picture),
    ]


class _Test(NamedTuple):
    """The test split with what was found in it."""

    classes: tuple[str, ...]
    images: BoxSet
    found: Array
    true: Array
    score: float
    errors: Errors
    masks: Mapping[int, Array]  # of some images, by row: bool (n, S, S), highest score first

    def panel(self, row: int) -> Panel:
        """Return an image with all that is drawn into it."""
        pixels = self.images.image(row).numpy()
        kinds, boxes, missed = (marks[row] for marks in self.errors)
        true, found, name = self.true[row], self.found[row], self.images.names[row]
        return Panel(pixels, true, found, kinds, boxes, missed, name, self.masks.get(row))


def _masks(job: "Detector", images: BoxSet, found: Array, score: float) -> dict[int, Array]:
    """Return the masks of what is shown in the first pictures; none where only boxes are found."""
    if job.config.task != "segment":
        return {}
    rows, size = _shown(images), job.card.image_size
    outputs = job.answers(torch.stack([images.image(row) for row in rows]))
    counts = (found[rows, :, 4] >= score).sum(1).tolist()
    return {
        row: masks.assemble(each[:count, :4], each[:count, BOX:], prototype, size).numpy()
        for row, each, prototype, count in zip(
            rows, outputs["detections"], outputs["prototypes"], counts, strict=True
        )
    }


def _shown(images: BoxSet) -> list[int]:
    """Return the rows of the first pictures."""
    rows: list[int] = np.unique(np.linspace(0, len(images) - 1, _SHOWN).astype(int)).tolist()
    return rows


def _found(test: _Test, save_picture: PictureSaver) -> Section:
    panels = [test.panel(row) for row in _shown(test.images)]
    curves = metrics.by_score(test.found, test.true, len(test.classes))
    return Section(
        "What it finds",
        f"Detections are shown from a score of {test.score:.3g} on, with which the mean F1 on the "
        "validation split is best. A detection is correct where it has the class of a box and "
        "overlaps it with an IoU of at least 0.5."
        + (" Here and below, every IoU is that of masks." if test.masks else ""),
        pictures=(
            save_picture(
                "found",
                "Test images with true boxes and found ones, of an image at most the "
                f"{plots.MOST_FOUND} with the highest scores.",
                plots.pictures(panels, test.classes),
            ),
            save_picture(
                "scores",
                "The test split, from whichever score on detections are shown. Of a class that is "
                "then not found at all the precision is 0.",
                plots.by_score(curves, test.score),
            ),
        ),
    )


def _precision_recall(test: _Test, save_picture: PictureSaver) -> Section:
    curves = metrics.precision_recall(test.found, test.true, len(test.classes))
    caption = (
        "Of the test split, by COCO's rules: at each recall the best precision there or further "
        "right. The mean of a curve is the class's average precision, their mean the mAP50."
    )
    picture = save_picture(
        "precision_recall", caption, plots.precision_recall(curves, test.classes)
    )
    return Section("Precision and recall", pictures=(picture,))


def _each_class(test: _Test) -> Section:
    records = metrics.per_class(test.found, test.true, test.classes, test.score)
    text = (
        "Average precisions count all detections of the test split; precision, recall and F1 those "
        f"with a score of at least {test.score:.3g}, at an IoU of 0.5."
    )
    return Section("Each class", text, Table.of(records, _COLUMNS))


def _confusion(test: _Test, save_picture: PictureSaver) -> Section:
    matrix = metrics.confusion(test.found, test.true, len(test.classes), test.score)
    text = (
        "Each detection is matched with at most one box, whatever their classes, where their IoU "
        "is at least 0.5. The last column counts boxes that were missed, the last row detections "
        "for which there is no box left."
    )
    figure = common_plots.confusion(matrix, [*test.classes, "background"])
    picture = save_picture("confusion", "Rows are true classes, columns what was found.", figure)
    return Section("Confusion with the background", text, pictures=(picture,))


def _errors(test: _Test, save_picture: PictureSaver) -> Section:
    text = (
        "A detection that is not correct has the wrong class; or a loose box (IoU from 0.1 to 0.5: "
        "localization); or both; or its box was found already with a higher score (duplicate); or "
        "there is nothing (background). A box that no detection is about is missed. Kinds and "
        "gains are those of TIDE (Bolya et al. 2020); gains count detections of every score."
    )
    bars = plots.error_kinds(test.errors.counts, metrics.gains(test.found, test.true))
    pictures = [save_picture("errors", "Detections of the test split, by kind.", bars)]
    if panels := [*_show_worst(test), *_show_largest(test)]:
        caption = "The mistakes with the highest scores, and the largest boxes that were missed."
        pictures.append(save_picture("mistakes", caption, plots.pictures(panels, test.classes)))
    return Section("Kinds of errors", text, pictures=pictures)


def _show_worst(test: _Test) -> Iterator[Panel]:
    """Show the detections of each wrong kind that have the best scores, each by itself."""
    for number, kind in enumerate(KINDS[1:-1], 1):
        places = np.argwhere(test.errors.kind == number)
        scores = test.found[places[:, 0], places[:, 1], 4]
        for image, row in places[np.argsort(-scores, kind="stable")[:_EXAMPLES]].tolist():
            panel = test.panel(image)
            alone = np.where(np.arange(len(panel.kinds)) == row, number, -1)
            nothing, caption = np.zeros_like(panel.missed), f"{kind}: {panel.caption}"
            yield panel._replace(kinds=alone, missed=nothing, caption=caption)


def _show_largest(test: _Test) -> Iterator[Panel]:
    """Show the largest boxes that were missed, each by itself."""
    places = np.argwhere(test.errors.missed)
    corners = test.true[places[:, 0], places[:, 1], :4]
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    for image, row in places[np.argsort(-areas, kind="stable")[:_EXAMPLES]].tolist():
        panel = test.panel(image)
        alone = np.arange(len(panel.missed)) == row
        nothing, caption = np.full_like(panel.kinds, -1), f"missed: {panel.caption}"
        yield panel._replace(kinds=nothing, missed=alone, caption=caption)


def _anchors(job: "Detector", train: BoxSet, save_picture: PictureSaver) -> Iterator[Section]:
    if job.config.model not in GRIDS:
        return
    card, boxes = job.card, train.boxes.values.numpy()
    sizes = (boxes[:, 2:4] - boxes[:, :2])[boxes[:, 5] == 0]
    figure = plots.anchors(sizes, np.array(card.anchors), card.anchor_iou)
    listed = ", ".join(f"{width:.1f} x {height:.1f}" for width, height in card.anchors)
    text = (
        f"The network scales {len(card.anchors)} anchor boxes: {listed} pixels (width x height). "
        "They are the means of clusters of the training boxes, by k-means with 1 - IoU as the "
        "distance (Redmon and Farhadi 2017, section 2)."
    )
    picture = save_picture("anchors", "Sizes of the training boxes, and the anchors.", figure)
    yield Section("Anchors", text, pictures=(picture,))


def _data(job: "Detector", splits: Mapping[str, BoxSet]) -> Section:
    boxes = {name: split.boxes for name, split in splits.items()}
    counts = ", ".join(f"{len(rows.values):,} {name}" for name, rows in boxes.items())
    empty = ", ".join(f"{int((rows.lengths == 0).sum()):,} {name}" for name, rows in boxes.items())
    crowds = sum(int((rows.values[:, 5] > 0).sum()) for rows in boxes.values() if len(rows.values))
    size = job.card.image_size
    text = (
        f"Boxes: {counts}. Images without a box, which are backgrounds: {empty}. "
        f"The network sees squares of {size}x{size} pixels, in which mAP is measured too."
    )
    if crowds:
        text += f" {crowds:,} boxes are crowds, in which any number of detections is forgiven."
    scenes = job.config.data == "scenes"
    if job.config.task == "segment":
        source = "the digits' ink" if scenes else "the polygons of the labels"
        text += f" True masks are {source}, where no other object lies on top."
    if scenes:
        text += (
            " The scenes are composites, not photos: real handwritten digits pasted onto noise and "
            "onto cut-outs of photos. Training, validation and test scenes show digits of their "
            "own; what is measured here says little about photos."
        )
    return common_sections.data(job, text)
