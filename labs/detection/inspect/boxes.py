"""What the boxes of a data set show: how many, how large, where, and which lie on one another."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from common.explore import drawing, samples
from common.explore.page import Part, write_number
from common.explore.pictures import Pictures
from common.metrics.metrics import Array
from common.report import plots
from common.report.html import Section, Table
from labs.detection import boxes as geometry
from labs.detection import plots as lab_plots
from labs.detection.plots import Panel

_SHOWN, _SIDE = 8, 320  # images that are drawn; pixels of a side
_GRID = 24  # fields of a side, in maps of places
_SMALL, _MEDIUM = 32**2, 96**2  # pixels of an area, as COCO has them
_SEEN, _TINY = (
    640,
    8,
)  # pixels that a network sees, usually; of a side there, below which it is hard
_SAME = 0.9  # IoU from which on two boxes are one
_FEW = 20  # boxes of a class


@dataclass(frozen=True, eq=False)
class Objects:
    """The boxes of pictures, M of them in all."""

    rows: Array  # (M,) of which picture
    corners: Array  # (M, 4) x1, y1, x2, y2 in pixels of the picture
    labels: Array  # (M,) numbers of classes
    classes: tuple[str, ...]

    def shares(self, found: Pictures) -> Array:
        """Return the corners as shares of their pictures' sides, (M, 4)."""
        sides = np.stack([found.columns["width"], found.columns["height"]], 1)[self.rows]
        return np.asarray(self.corners / np.tile(sides, 2))


def count_classes(found: Pictures, objects: Objects) -> Part:
    """Count boxes by class and part, and images without any."""
    parts = np.array([source.part for source in found.sources])
    every = Counter({name: 0 for name in objects.classes})
    numbers = {part: every.copy() for part in found.parts}
    for row, label in zip(objects.rows.tolist(), objects.labels.tolist(), strict=True):
        numbers[found.sources[row].part][objects.classes[label]] += 1
    counted = samples.count_classes(numbers, len(objects.rows), "boxes", few=_FEW)
    each_image = np.bincount(objects.rows, minlength=len(found))
    classes = len(objects.classes)
    text = (
        f"{len(objects.rows):,} boxes of {classes:,} class{'es' if classes > 1 else ''} in "
        f"{len(found):,} images, {int((each_image == 0).sum()):,} of them without a box; at most "
        f"{int(each_image.max(initial=0)):,} in an image."
    )
    panels = {"boxes of an image": {part: each_image[parts == part] for part in found.parts}}
    drawn = ("Boxes of an image.", plots.png(drawing.histograms(panels, 1)))
    section = replace(counted.section, text=text, pictures=[*counted.section.pictures, drawn])
    return Part(section, counted.findings)


def measure(found: Pictures, objects: Objects) -> Part:
    """Show how large boxes are, in pixels and as shares, and where they are."""
    title = "Sizes and places of boxes"
    if not len(objects.rows):
        return Part(Section(title, "There are no boxes."), ["No image has a box."])
    shares = objects.shares(found)
    wide, high = (shares[:, 2:] - shares[:, :2]).T
    pixels = objects.corners[:, 2:] - objects.corners[:, :2]
    areas = pixels.prod(1)
    longer = np.maximum(found.columns["width"], found.columns["height"])[objects.rows]
    seen = pixels.min(1) * _SEEN / longer
    quantiles = [0, 0.05, 0.5, 0.95, 1]
    measured = {
        "width, pixels": pixels[:, 0],
        "height, pixels": pixels[:, 1],
        "width : height": pixels[:, 0] / pixels[:, 1],
        "side, share of the image's": np.sqrt(wide * high),
        f"shorter side, in an image of {_SEEN}": seen,
    }
    rows = [
        [name, *map(write_number, np.quantile(values, quantiles).tolist())]
        for name, values in measured.items()
    ]
    small, medium = (areas < _SMALL).mean(), ((areas >= _SMALL) & (areas < _MEDIUM)).mean()
    text = (
        f"By COCO's borders {small:.0%} are small (below 32 x 32 pixels), {medium:.0%} medium (to "
        f"96 x 96), {1 - small - medium:.0%} large. The maps are of all images, scaled to one."
    )
    pictures = [
        (
            "Width and height of boxes, as shares of the image.",
            plots.png(drawing.points(wide.round(2), high.round(2), ("width", "height"))),
        ),
        (
            "Where boxes are: their centers, and what they cover.",
            plots.png(drawing.heat(_maps(shares), "the image")),
        ),
    ]
    findings = []
    if (seen < _TINY).mean() > 0.05:
        findings.append(
            f"{(seen < _TINY).mean():.0%} of the boxes are narrower than {_TINY} pixels in an "
            f"image of {_SEEN}: few detectors find them; give a larger --image-size, or cut images "
            "up."
        )
    if ((wide > 0.9) & (high > 0.9)).mean() > 0.1:
        whole = ((wide > 0.9) & (high > 0.9)).mean()
        findings.append(f"{whole:.0%} of the boxes are nearly the whole image: is that a box?")
    columns = ["measure", "least", "5 %", "median", "95 %", "most"]
    return Part(Section(title, text, Table(columns, rows), pictures), findings)


def _maps(shares: Array) -> dict[str, Array]:
    """Return how many centers are in each field, and how many boxes cover it."""
    centers = (shares[:, :2] + shares[:, 2:]) / 2
    edges = np.linspace(0, 1, _GRID + 1)
    points = np.histogram2d(centers[:, 1], centers[:, 0], [edges, edges])[0]
    middles = (edges[:-1] + edges[1:]) / 2
    covered = np.zeros((_GRID, _GRID))
    for piece in np.array_split(shares, -(-len(shares) // 1000)):
        across = (piece[:, [0]] <= middles) & (middles <= piece[:, [2]])
        down = (piece[:, [1]] <= middles) & (middles <= piece[:, [3]])
        covered += np.einsum("nh,nw->hw", down.astype(float), across.astype(float))
    return {"centers": points, "covered": covered}


def show_samples(found: Pictures, objects: Objects) -> Part:
    """Draw images with their boxes: some, those with the most, the smallest and the largest."""
    number = np.bincount(objects.rows, minlength=len(found))
    shares = objects.shares(found)
    size = (shares[:, 2:] - shares[:, :2]).prod(1)
    small = list(dict.fromkeys(objects.rows[np.argsort(size, kind="stable")].tolist()))
    large = list(dict.fromkeys(objects.rows[np.argsort(-size, kind="stable")].tolist()))
    chosen = {
        "Samples": samples.spread(range(len(found)), _SHOWN),
        "The most boxes": np.argsort(-number, kind="stable").tolist(),
        "The smallest boxes": small,
        "The largest boxes": large,
        "Without a box": np.flatnonzero(number == 0).tolist(),
    }
    pictures = [
        (f"{title}.", _draw(found, objects, rows[:_SHOWN]))
        for title, rows in chosen.items()
        if rows
    ]
    return Part(Section("Images with their boxes", pictures=pictures))


def _draw(found: Pictures, objects: Objects, rows: Sequence[int]) -> bytes:
    return plots.png(
        lab_plots.pictures([_panel(found, objects, row) for row in rows], objects.classes)
    )


def _panel(found: Pictures, objects: Objects, row: int) -> Panel:
    image = found.square(row, _SIDE).transpose(2, 0, 1)
    height, width = found.columns["height"][row], found.columns["width"][row]
    own = objects.rows == row
    scale = image.shape[1] / max(height, width)
    shift = (image.shape[1] - scale * np.array([width, height])) / 2
    corners = objects.corners[own] * scale + np.tile(shift, 2)
    targets = np.column_stack([corners, objects.labels[own], np.zeros(own.sum())])
    return panel_of(image, targets, found.sources[row].name.rpartition("/")[2])


def panel_of(image: Array, targets: Array, caption: str = "") -> Panel:
    """Return an image with true boxes alone, (n, 6), each named with its class."""
    nothing, none = np.zeros((0, 6)), np.zeros(0, np.int64)
    missed = np.ones(len(targets), bool)  # drawn in one color, with their names
    return Panel(image, targets, nothing, none, none, missed, caption)


def find_doubles(found: Pictures, objects: Objects) -> Part:
    """Find boxes that lie on one another: the same object twice, or in two classes."""
    same: list[tuple[int, int, int]] = []
    contrary: list[tuple[int, int, int]] = []
    order = np.argsort(objects.rows, kind="stable")
    starts = np.searchsorted(objects.rows[order], np.arange(len(found) + 1))
    for row in range(len(found)):
        own = order[starts[row] : starts[row + 1]]
        if len(own) < 2:
            continue
        corners = torch.from_numpy(objects.corners[own])
        overlap = geometry.iou(corners, corners).triu(1).numpy()
        for one, other in np.argwhere(overlap > _SAME):
            first, second = objects.labels[own[[one, other]]]
            (same if first == second else contrary).append((row, int(first), int(second)))
    findings = []
    if same:
        place = found.sources[same[0][0]].name
        findings.append(f"{len(same):,} objects have two boxes of one class, such as in {place}.")
    if contrary:
        row, first, second = contrary[0]
        names = f"{objects.classes[first]} and {objects.classes[second]}"
        place = found.sources[row].name
        findings.append(f"{len(contrary):,} objects have two classes, such as {names} in {place}.")
    text = " ".join(findings) or f"No two boxes of an image overlap by more than {_SAME:.0%} (IoU)."
    rows = list(dict.fromkeys(row for row, *_ in [*contrary, *same]))[:_SHOWN]
    pictures = [("The first of them.", _draw(found, objects, rows))] if rows else []
    return Part(Section("Boxes on one another", text, pictures=pictures), findings)
