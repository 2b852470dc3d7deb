"""What is measured and reported of things and stuff."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section, Table
from common.report.plots import drawable, figure_style, short
from common.runs import sections
from common.runs.conclude import Conclusion
from common.runs.job import Outputs, Splits
from labs.detection.data.load import BoxSet
from labs.detection.panoptic import segments
from labs.detection.panoptic.job import PanopticSegmenter
from labs.detection.panoptic.task import SCORE, figures_of, known_classes
from labs.detection.semantic import baselines, plots
from labs.detection.semantic.data import BACKGROUND, PixelSet

_SHOWN = 6  # images
_PIECES = "+ connected pieces"


class PanopticResults(Conclusion[PanopticSegmenter]):
    """Panoptic quality, beside what tells classes without a network, cut into pieces."""

    def figures(self, outputs: Outputs, split: BoxSet) -> dict[str, Any]:
        """Return all figures of a split, PQ with its interval."""
        job = self.job
        said, true = job.decide(outputs), job.targets(split)
        rows = job.main_metric.statistics(said, true)
        things = metrics.bootstrap(lambda drawn: figures_of(drawn)["pq_things"], rows)
        measured = job.main_metric.measure(said, true)
        return {**figures_of(rows), **measured, "pq_things_interval": list(things)}

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what the baselines of pixels say, each connected piece of a class a thing."""
        pixels = {
            name: PixelSet(_Squares(split), split.sizes, split.names)
            for name, split in splits.items()
        }
        found = baselines.predictions(pixels, len(self.job.card.classes) + 1, self.job.config.seed)
        return {
            f"{name} {_PIECES}": {
                part: np.stack([segments.of_classes(each) for each in said])
                for part, said in parts.items()
            }
            for name, parts in found.items()
        }

    def count_for_baselines(self, splits: Splits) -> int:
        """Return of how many training images the baselines see pixels."""
        return min(baselines.IMAGES, super().count_for_baselines(splits))

    def about_baselines(self) -> str:
        """Say how the baselines work."""
        return f"{baselines.ABOUT} Each connected piece of a thing's class is a segment."

    def split_sections(
        self, outputs: Outputs, split: BoxSet, save_picture: PictureSaver
    ) -> list[Section]:
        """Return what is said of images, and the quality of each class."""
        job = self.job
        said, true = job.decide(outputs), job.targets(split)
        names = (BACKGROUND, *job.card.classes)
        return [_said(split, said, true, names, save_picture), _each_class(said, true, names)]

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return what is said of images, the quality of each class, and what the data is."""
        text = (
            "Things are the objects with outlines; what is in none of them is the stuff, one "
            f"segment. A thing is said from a score of {SCORE} on; things lie over each other by "
            "their scores, and the stuff fills the rest where the classes of pixels say so."
        )
        return [
            *self.split_sections(outputs, splits["test"], save_picture),
            sections.data(self.job, text),
        ]


class _Squares:
    """Images with the classes of their pixels, uint8 (4, S, S), of boxes and instances."""

    def __init__(self, split: BoxSet):
        self._split = split

    def __getitem__(self, row: int) -> Tensor:
        split = self._split
        assert split.instances is not None
        classes = known_classes(split.instances[row][None], split.boxes[row][None])
        return torch.cat([split.image(row), classes])


def _each_class(said: Array, true: Array, names: tuple[str, ...]) -> Section:
    rows = segments.counts(said, true, len(names))
    quality, (_, found, false, missed) = segments.quality(rows), rows.sum(0)
    records = [
        {
            "class": name,
            "PQ": quality.pq[label],
            "SQ": quality.sq[label],
            "RQ": quality.rq[label],
            "found": int(found[label]),
            "false": int(false[label]),
            "missed": int(missed[label]),
        }
        for label, name in enumerate(names)
    ]
    text = (
        "A segment is found where its IoU with a true one of its class is above a half. SQ is the "
        "mean IoU of those that are found, RQ their F1, and PQ the product (Kirillov et al. 2019, "
        "“Panoptic segmentation”)."
    )
    return Section("Each class", text, Table.of(records))


def _said(
    split: BoxSet, said: Array, true: Array, names: tuple[str, ...], save_picture: PictureSaver
) -> Section:
    rows = np.unique(np.linspace(0, len(split) - 1, _SHOWN).astype(int)).tolist()
    figure = pictures(
        [(split.image(row).numpy(), true[row], said[row], split.names[row]) for row in rows], names
    )
    caption = "Segments in the color of their class, with white between things; grey is void."
    return Section("What it says", pictures=(save_picture("segments", caption, figure),))


@figure_style()
def pictures(panels: list[tuple[Array, Array, Array, str]], names: tuple[str, ...]) -> Figure:
    """Draw a row for each image (3, S, S): itself, its true segments, and those that are said."""
    figure = Figure(figsize=(7.5, 2.45 * len(panels) + 0.5), layout="constrained")
    grid = figure.subplots(len(panels), 3, squeeze=False)
    for line, (image, true, said, name) in zip(grid, panels, strict=True):
        titles = (short(drawable(name), 34), "true", "said")
        for axes, picture, title in zip(
            line,
            (np.moveaxis(image, 0, -1), _paint(true, names), _paint(said, names)),
            titles,
            strict=True,
        ):
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(title, fontsize=8, loc="center", pad=3)
    seen = np.unique(np.concatenate([codes.ravel() for _, *both, _ in panels for codes in both]))
    labels = np.unique(segments.classes_in(seen[seen > 0])).tolist()[: plots.NAMED]
    figure.legend(handles=plots.patches(labels, names), loc="outside lower center", ncols=7)
    return figure


def _paint(codes: Array, names: tuple[str, ...]) -> Array:
    """Return segments in the colors of their classes, with white between things, (H, W, 3)."""
    painted = plots.paint(segments.classes_in(codes), plots.colors(names))
    segments.paint_borders(painted, codes)
    return painted
