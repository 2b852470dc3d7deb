"""What the report says of classes of pixels: each class, where classes meet, the worst images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.report import plots as common_plots
from common.report.html import PictureSaver, Section, Table
from common.runs import sections as common_sections
from labs.detection.semantic import metrics, plots
from labs.detection.semantic.data import PixelSet
from labs.detection.semantic.losses import VOID

if TYPE_CHECKING:
    from labs.detection.semantic.job import PixelClassifier

_SHOWN = 8  # images
_WORST = 6
_COLUMNS = ("class", "IoU", "95 % interval", "Dice", "boundary F1", "95 % interval", "pixels")


class _Split(NamedTuple):
    """A split with what was said of it."""

    classes: tuple[str, ...]
    images: PixelSet
    said: Array  # uint8 (N, S, S)
    true: Array

    def panel(self, row: int, caption: str) -> plots.Panel:
        """Return an image without the bars of its letterbox."""
        crop = self.images.fit(row).crop
        image = crop(self.images.image(row)).numpy()
        true, said = (crop(torch.from_numpy(each[row])).numpy() for each in (self.true, self.said))
        return plots.Panel(image, true, said, caption)


def sections(
    job: "PixelClassifier",
    outputs: Mapping[str, Tensor],
    splits: Mapping[str, PixelSet],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of the test split, of which outputs are what was collected."""
    return [*of_split(job, outputs, splits["test"], save_picture), _data(job, splits)]


def of_split(
    job: "PixelClassifier",
    outputs: Mapping[str, Tensor],
    images: PixelSet,
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what is said of the images of a split, how well, and where it is wrong."""
    said, true = job.decide(outputs), job.targets(images)
    split = _Split(job.card.classes, images, said, true)
    return [
        _said(split, save_picture),
        _each_class(split, job.main_metric),
        _confusion(split, save_picture),
        _worst(split, save_picture),
    ]


def _said(split: _Split, save_picture: PictureSaver) -> Section:
    rows = np.unique(np.linspace(0, len(split.images) - 1, _SHOWN).astype(int)).tolist()
    panels = [split.panel(row, split.images.names[row]) for row in rows]
    caption = "Images evenly from the split, with their true classes and those that are said."
    picture = save_picture("classes", caption, plots.pictures(panels, split.classes))
    return Section("What it says", pictures=(picture,))


def _each_class(split: _Split, metric: MainMetric) -> Section:
    records = metrics.per_class(split.said, split.true, split.classes)
    rows = [
        [
            record["class"],
            metric.text(record["iou"]),
            metric.interval_text(record["iou_interval"]),
            metric.text(record["dice"]),
            metric.text(record["boundary_f1"]),
            metric.interval_text(record["boundary_f1_interval"]),
            f"{record['pixels']:.2%} in {record['images']:,} images",
        ]
        for record in records
    ]
    text = (
        "IoU is intersection over union, Dice the F1 of the pixels. Boundary F1 asks of the "
        "pixels where classes meet alone: those said and those true are to lie within "
        f"{metrics.TOLERANCE:.2%} of the diagonal (a pixel at least) of each other. All count the "
        "pixels of the whole "
        "split together; a class that is neither true nor said there has a dash, and no part in "
        "the means. Intervals draw images."
    )
    return Section("Each class", text, Table(_COLUMNS, rows))


def _confusion(split: _Split, save_picture: PictureSaver) -> Section:
    matrix = metrics.neighbor_confusion(split.said, split.true, len(split.classes))
    right, total = int(np.trace(matrix)), int(matrix.sum())
    if not total:
        return Section("Neighbors", "No labelled pixel is where classes meet: void lies between.")
    text = (
        f"Pixels within {metrics.TOLERANCE:.2%} of the diagonal of a true boundary, "
        f"{total:,} of {int((split.true != VOID).sum()):,}: {right / total:.2%} of them are right."
    )
    if worst := _most_confused(matrix, split.classes):
        text += f" The most frequent mistakes there: {worst}."
    caption = "Rows are true classes, columns what was said, of the pixels where classes meet."
    figure = common_plots.confusion(matrix, split.classes)
    return Section("Neighbors", text, pictures=(save_picture("neighbors", caption, figure),))


def _most_confused(matrix: Array, classes: Sequence[str], most: int = 3) -> str:
    """Name the pairs of classes with the most mistakes, in words."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(wrong, axis=None)[::-1][:most]
    pairs = [(*divmod(int(place), len(classes)), int(wrong.flat[place])) for place in places]
    return ", ".join(
        f"{classes[true]} taken for {classes[said]} ({count:,} pixels)"
        for true, said, count in pairs
        if count
    )


def _worst(split: _Split, save_picture: PictureSaver) -> Section:
    rows = metrics.counts(split.said, split.true, len(split.classes))
    each = np.array([metrics.mean_iou(row[None]) for row in rows])
    worst = np.argsort(np.where(np.isnan(each), np.inf, each), kind="stable")[:_WORST].tolist()
    panels = [split.panel(row, f"{each[row]:.2f} {split.images.names[row]}") for row in worst]
    caption = "The images with the lowest mean IoU over their own classes, which stands above each."
    picture = save_picture("worst", caption, plots.pictures(panels, split.classes))
    return Section("Worst images", pictures=(picture,))


def _data(job: "PixelClassifier", splits: Mapping[str, PixelSet]) -> Section:
    card, size = job.card, job.card.image_size
    shares = ", ".join(
        f"{name} {share:.2%}" for name, share in zip(card.classes, card.shares, strict=True)
    )
    text = (
        f"Labelled training pixels: {shares}. The network sees squares of {size}x{size} pixels, in "
        "which all figures are measured; the bars around an image are void."
    )
    if job.config.data == "scenes":
        text += (
            " The scenes are composites, not photos: real handwritten digits pasted onto noise and "
            "onto cut-outs of photos. The class of a pixel is the digit whose ink lies on top, "
            "else the background, which counts as a class. Training, validation and test scenes "
            "show digits of their own; what is measured here says little about photos."
        )
    return common_sections.data(job, text)
