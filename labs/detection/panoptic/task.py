"""What the loop cannot know about things and stuff: two networks, and a loss of both."""

from typing import Any

import torch
from torch import Tensor, nn

from common.training import When
from common.training.task import check_finite
from labs.detection import masks
from labs.detection.metrics import BOX
from labs.detection.models.ultralytics.task import SegmentationTask
from labs.detection.panoptic import segments
from labs.detection.semantic.data import class_maps
from labs.detection.semantic.losses import VOID
from labs.detection.semantic.task import PixelTask
from labs.detection.task import filled

SCORE = 0.25
"""From which on a thing is said, whatever the run."""


class Panoptic(nn.Module):
    """Two networks: one finds things with their masks, one names the class of each pixel.

    Args:
        things: a network of `--task segment`.
        stuff: a network of `--task semantic`, whose classes are the background and the things.
    """

    def __init__(self, things: nn.Module, stuff: nn.Module):
        super().__init__()
        self.things, self.stuff = things, stuff


class PanopticTask(SegmentationTask):
    """Segments of things and stuff; a batch is (images, boxes, instances), or (images,).

    The parts of the loss are those of both networks; see `SegmentationTask` and `PixelTask` for
    which add up exactly.

    Args:
        classes: of things.
        most: the most boxes of an image in any split.
        epochs: of the run.
    """

    monitor = "validation/pq"

    def __init__(self, classes: int, most: int, epochs: int):
        super().__init__(classes, most, epochs)
        self._pixels = PixelTask(classes + 1, ("cross-entropy", "dice"))

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh the parts of things by the images, those of pixels by the labelled ones."""
        return {**super().weights(batch), **self._pixels.weights(_with_classes(batch))}

    def loss(self, model: Any, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss of both networks."""
        images, boxes, instances = batch
        without_bars = images, boxes, instances.masked_fill(instances == segments.BARS, 0)
        things = super().loss(model.things, without_bars, when)
        return {**things, **self._pixels.loss(model.stuff, _with_classes(batch), when)}

    def outputs(self, model: Any, batch: Any) -> dict[str, Tensor]:
        """Collect the `segments` that are said, int32 (B, S, S), and the `true` ones if known.

        `scores` (B, MOST) are those of the things, the first of segment 1.
        """
        images, *known = batch
        with torch.autocast(images.device.type, enabled=False):
            detections, prototypes = self.segment(model.things, images)
            logits = model.stuff(images).float()
        check_finite(logits)
        said = torch.stack(
            [
                _merged(rows, prototype, each.argmax(0))
                for rows, prototype, each in zip(detections, prototypes, logits, strict=True)
            ]
        )
        if not known:
            return {"segments": said, "scores": detections[..., 4]}
        boxes, instances = known
        true = [
            segments.of_instances(each.cpu(), rows[:length].cpu())
            for each, rows, length in zip(
                instances, boxes.values, boxes.lengths.tolist(), strict=True
            )
        ]
        return {"segments": said, "true": torch.stack(true)}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return PQ, SQ and RQ, the means over classes."""
        said, true = outputs["segments"].numpy(), outputs["true"].numpy()
        return figures_of(segments.counts(said, true, self.classes + 1))


def figures_of(rows: Any) -> dict[str, float]:
    """Return PQ, SQ and RQ, and PQ of things and of stuff, of the counts of any images."""
    quality = segments.quality(rows)
    means = {name: segments.mean_of(values) for name, values in quality._asdict().items()}
    things, stuff = segments.mean_of(quality.pq[1:]), segments.mean_of(quality.pq[:1])
    return {**means, "pq_things": things, "pq_stuff": stuff}


def _merged(rows: Tensor, prototypes: Tensor, classes: Tensor) -> Tensor:
    said = rows[(rows[:, 5] >= 0) & (rows[:, 4] >= SCORE)]
    found = masks.assemble(said[:, :4], said[:, BOX:], prototypes, classes.shape[-1])
    return segments.merge(said[:, 5], found, classes)


def known_classes(instances: Tensor, rows: Tensor) -> Tensor:
    """Return `class_maps` of instances whose boxes are rows (N, T, 6); bars and crowds are void."""
    labels = torch.where(rows[..., 5] > 0, VOID - 1, rows[..., 4])
    bars = instances == segments.BARS
    return class_maps(instances.masked_fill(bars, 0), labels).masked_fill(bars, VOID)


def _with_classes(batch: Any) -> tuple[Tensor]:
    """Return a batch as `PixelTask` takes it: images with the classes of their pixels."""
    images, boxes, instances = batch
    rows = filled(boxes, boxes.values.shape[1])
    classes = known_classes(instances, rows)
    return (torch.cat([images, classes[:, None] / VOID], 1),)
