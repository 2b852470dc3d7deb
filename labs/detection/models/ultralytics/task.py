"""Ultralytics' losses and assignment on our loop."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import DataError
from common.training import When
from common.training.sequences import Padded
from labs.detection import masks, metrics
from labs.detection.metrics import BOX
from labs.detection.models.ultralytics.decode import (
    choose,
    decode,
    decode_raw,
    get_head,
    predict_raw,
    to_float32,
)
from labs.detection.models.ultralytics.library import (
    DEFAULT_CFG_DICT,
    IterableSimpleNamespace,
    tasks,
)
from labs.detection.task import Detection, filled

# Pixels of a side on which masks are learned, as the library does of images of 640; all of fewer.
_MASK_SIDE = 160


class Point(NamedTuple):
    """A point of a grid that answers for a box in the loss."""

    box: int  # its row
    x: float  # pixels
    y: float
    stride: float  # pixels from one point to the next
    score: float  # what its class is asked for: the better its box fits now, the nearer to 1


class UltralyticsTask(Detection):
    """The library's own loss and assignment, and its detections, on our loop.

    The parts of the loss are divided by the sum of the assigned scores, which depend on the
    predictions; so micro-batches, each weighed by its images, only come near to one large batch.
    All but the network is computed in float32. In the course of the run's epochs a model with two
    heads moves from one to the other.
    """

    parts: tuple[str, ...] = ("box", "class", "distance")  # as the library orders them

    def __init__(self, classes: int, most: int, epochs: int):
        super().__init__(classes, most)
        self._settings = IterableSimpleNamespace(**{**DEFAULT_CFG_DICT, "epochs": epochs})

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its images."""
        return dict.fromkeys(self.parts, float(len(batch[0])))

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss, with the library's factors.

        They are `box` (1 - CIoU), `class` (binary cross-entropy) and `distance` (of the four sides
        from the anchor point: distribution focal loss, or L1 where sides are plain numbers).
        """
        images, boxes, *instances = batch
        raw = model(images)
        criterion = self._criterion(model)
        if "one2many" in raw:
            raw = {name: to_float32(part) for name, part in raw.items()}
            criterion.o2m = criterion.decay(when.epoch)
            criterion.o2o = max(criterion.total - criterion.o2m, 0)
        else:
            raw = to_float32(raw)
        with torch.autocast(images.device.type, enabled=False):
            total, _ = criterion(raw, _targets(boxes, images.shape[-1], *instances))
        # The library multiplies by the number of images.
        return dict(zip(self.parts, total / len(images), strict=True))

    def _criterion(self, model: Any) -> Any:
        """Return the library's loss for a model, made again: there is no state of it to save."""
        model.args = self._settings  # where it looks for its factors
        return model.init_criterion()

    @torch.no_grad()
    def assigned(self, model: Any, images: Tensor, boxes: Padded) -> list[Point]:
        """Return which points answer for the boxes of one image, the best of each box first.

        That depends on what the model, in eval mode, predicts; of two heads, the one that predicts.
        """
        _, raw = model(images)
        criterion = self._criterion(model)
        if "one2many" in raw:
            name = "one2one" if get_head(model).end2end else "one2many"
            raw, criterion = raw[name], getattr(criterion, name)
        caught: list[Any] = []  # the loss keeps the scores for itself
        criterion.assigner.register_forward_hook(lambda _, given, found: caught.append(found[2]))
        targets = _targets(boxes, images.shape[-1])
        (answers, rows, _, points, strides), *_ = criterion.get_assigned_targets_and_loss(
            to_float32(raw), targets
        )
        here = answers[0]
        columns = [rows[0, here, None], (points * strides)[here], strides[here]]
        scores = caught[0][0, here].amax(1, keepdim=True)
        found = [
            Point(int(row), *values) for row, *values in torch.cat([*columns, scores], 1).tolist()
        ]
        return sorted(found, key=lambda point: (point.box, -point.score))

    def detect(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return detections, (B, MOST, 6): by suppression, or as an end-to-end head gives them."""
        return choose(get_head(model), images.shape[-1], *decode(model, images))


class SegmentationTask(UltralyticsTask):
    """Boxes and masks; a batch is (images, boxes, instances), see `labs.detection.masks`.

    Where nothing is known of the images, there are no instances, and what is collected are the
    masks as the network gives them: coefficients and prototypes.
    """

    monitor = "validation/mask_map50_95"
    parts = ("box", "mask", "class", "distance", "semantic")

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss, with the library's factors.

        Beside those of boxes: `mask` (binary cross-entropy of the pixels in the box, over its
        area), and of YOLO26 `semantic` (cross-entropy and Dice of the classes of all pixels).
        """
        parts = super().loss(model, batch, when)
        if not isinstance(get_head(model), tasks.Segment26):
            del parts["semantic"]  # always 0
        return parts

    def assigned(self, model: Any, images: Tensor, boxes: Padded) -> list[Point]:
        """Return which points answer for the boxes of one image, the best of each box first.

        Raises:
            DataError: that depends on masks as well.
        """
        if isinstance(get_head(model), tasks.Segment26):
            raise DataError(
                "which points answer depends on masks in YOLO26, not on boxes alone; choose a run "
                "of another model, such as yolo11n-seg"
            )
        return super().assigned(model, images, boxes)

    def segment(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return detections with K coefficients, (B, MOST, 6 + K), and prototypes (B, K, H, W)."""
        head, raw = get_head(model), predict_raw(model, images)
        coefficients = raw["mask_coefficient"].transpose(1, 2)
        found = choose(head, images.shape[-1], *decode_raw(head, raw), coefficients)
        return found, raw["proto"]

    def detect(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return the detections without their masks, (B, MOST, 6)."""
        return self.segment(model, images)[0][..., :BOX]

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect detections of masks, as `labs.detection.metrics` has them, and what is true."""
        images, boxes, *instances = batch
        found, prototypes = self.segment(model, images)
        targets = filled(boxes, self.most)
        if not instances:
            return {"detections": found, "prototypes": prototypes}
        with torch.autocast(images.device.type, enabled=False):
            ious = [
                masks.ious(
                    masks.assemble(rows[:, :4], rows[:, BOX:], prototype, images.shape[-1]),
                    truth,
                    true[:, 5] > 0,
                )
                for rows, prototype, truth, true in zip(
                    found, prototypes, *instances, targets, strict=True
                )
            ]
        with_ious = torch.cat([found[..., :BOX].cpu(), torch.stack(ious)], 2)
        return {"detections": with_ious, "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return COCO's figures of the boxes, and mAP of the masks."""
        rows = metrics.statistics(outputs["detections"].numpy(), outputs["targets"].numpy())
        of_masks = {kind.name: kind.compute(rows) for kind in (metrics.MASKS, metrics.MASKS50)}
        return super().figures(outputs) | of_masks


def _targets(boxes: Any, size: int, instances: Tensor | None = None) -> dict[str, Tensor]:
    """Return padded boxes as the library's losses take them; a crowd is no example of its class."""
    step = torch.arange(boxes.values.shape[1], device=boxes.values.device)
    real = (step < boxes.lengths[:, None]) & (boxes.values[..., 5] == 0)
    rows = boxes.values[real]
    low, high = rows[:, :2], rows[:, 2:4]
    targets = {
        "batch_idx": real.nonzero()[:, 0].float(),
        "cls": rows[:, 4:5],
        "bboxes": torch.cat([(low + high) / 2, high - low], 1) / size,
    }
    if instances is None:
        return targets
    numbers = functional.pad(real.cumsum(1) * real, (1, 0))  # without crowds
    labels = functional.pad(boxes.values[..., 4] * real, (1, 0))
    every = max(1, size // _MASK_SIDE)
    seen = instances[:, every // 2 :: every, every // 2 :: every].long()
    both = {"masks": numbers.float(), "sem_masks": labels}
    return targets | {
        name: table.gather(1, seen.flatten(1)).view(seen.shape) for name, table in both.items()
    }
