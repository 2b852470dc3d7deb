"""How detectors become files that run without this project: ONNX or TorchScript."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from common.errors import DataError
from common.export.exporter import SAMPLES, TOLERANCE, Differences, Exporter, apart
from common.export.formats import Graph, Inputs, each_alone
from labs.detection.darknet import network as darknet
from labs.detection.data.load import BoxSet
from labs.detection.job import Detector
from labs.detection.letterbox import GREY
from labs.detection.localizer import task as localizer
from labs.detection.models.tiny_yolo import SAME_OBJECT, boxes_and_scores
from labs.detection.names import GRIDS, LOCALIZER, is_darknet


class Difference(NamedTuple):
    """How far the outputs of a copy are from the original's at most."""

    pixels: float  # of the corners of boxes
    scores: float


class Network(nn.Module, ABC):
    """A detector up to its boxes, in a form that can be traced."""

    outputs: Mapping[str, str]  # what each output is, by its name
    batched: bool  # whether it takes several images at a time

    @abstractmethod
    def difference(self, expected: Sequence[Tensor], given: Sequence[Tensor]) -> Difference:
        """Return how far the outputs of a copy are from these of the original."""


class Candidates(Network):
    """A detector that judges all places at once, up to the boxes before any is suppressed.

    `find` returns boxes (B, A, 4) and scores (B, A, C) of the model and images; `then` says what is
    left to be done.
    """

    batched = True

    def __init__(
        self, model: nn.Module, find: Callable[[Any, Tensor], tuple[Tensor, Tensor]], then: str
    ):
        super().__init__()
        self.model, self._find = model, find
        self.outputs = {
            "boxes": "float32 (batch, A, 4): x1, y1, x2, y2 in pixels of the square, inside it",
            "scores": f"float32 (batch, A, classes): from 0 to 1; {then}",
        }

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores of images (B, 3, S, S)."""
        boxes, scores = self._find(self.model, images)
        return boxes.clamp(0, images.shape[-1]), scores

    def difference(self, expected: Sequence[Tensor], given: Sequence[Tensor]) -> Difference:
        """Compare number by number."""
        pairs = zip(expected, given, strict=True)
        return Difference(*(apart(one, other).max().item() for one, other in pairs))


class Detections(Network):
    """Faster R-CNN: two stages, with its suppression inside, for one image at a time."""

    batched = False
    outputs = {
        "boxes": "float32 (n, 4): x1, y1, x2, y2 in pixels of the square, highest score first",
        "scores": "float32 (n,): from 0 to 1",
        "classes": "int64 (n,): from 0",
    }

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and classes of an image (1, 3, S, S)."""
        [found] = self.model([images[0]])
        return found["boxes"], found["scores"], found["labels"] - 1

    def difference(self, expected: Sequence[Tensor], given: Sequence[Tensor]) -> Difference:
        """Compare each detection with the nearest one of its class, in both directions.

        Their order tells nothing: of two that are equally sure either may come first.
        """
        boxes, scores, classes = zip(expected, given, strict=True)
        if not len(scores[0]) or not len(scores[1]):
            return Difference(*[math.inf if len(scores[0]) != len(scores[1]) else 0.0] * 2)
        other_class = torch.where(classes[0][:, None] == classes[1], 0, math.inf)
        far = apart(boxes[0][:, None], boxes[1]).amax(-1) + other_class
        unsure = apart(scores[0][:, None], scores[1]) + other_class
        nearest = [(far + unsure).min(dim).indices for dim in (0, 1)]
        columns, rows = (torch.arange(len(each)) for each in nearest)
        pairs = torch.cat([nearest[0], rows]), torch.cat([columns, nearest[1]])
        return Difference(far[pairs].max().item(), unsure[pairs].max().item())


class BoxExporter(Exporter[Detector]):
    """Detectors of boxes."""

    formats = ("onnx", "torchscript")
    asked = False
    limits = (
        "It finds what looks like its classes, and misses what is smaller, darker or more hidden "
        "than what it has learned; how sure it is was set on validation.",
    )

    def refuse(self) -> None:
        """Refuse masks.

        Raises:
            DataError: the run finds them.
        """
        if self.job.config.task == "segment":
            raise DataError(
                f"{self.job.run.path} finds masks, and only boxes are exported; choose a run of "
                "--task detect, or use `predict` on this one"
            )

    def graphs(self, test: BoxSet) -> list[Graph]:
        """Return the network, with the first images of the test split."""
        exported, images = network(self.job), real_images(self.job, test)
        size = self.job.card.image_size
        batch, axis = ("batch", "batch") if exported.batched else ("1", "n")
        inputs = {
            "images": f"float32 ({batch}, 3, {size}, {size}): RGB from 0 to 1; an image is scaled "
            f"by one factor (bilinear, antialiased) into the middle of a square of {GREY}/255"
        }
        several = [*exported.outputs, *(["images"] if exported.batched else [])]
        return [
            Graph(
                exported,
                inputs,
                exported.outputs,
                (images if exported.batched else images[:1],),
                [*each_alone((images,))],
                {name: {0: axis} for name in several},
            )
        ]

    def about(self) -> dict[str, Any]:
        """Return the classes, the size, and from which score on a box counts."""
        card = self.job.card
        return {
            "classes": list(card.classes),
            "image_size": card.image_size,
            "score_threshold": self.job.score,
        }

    def differences(
        self, graph: Graph, inputs: Inputs, expected: Sequence[Tensor], given: Sequence[Tensor]
    ) -> Differences:
        """Compare as the kind of detector does."""
        module: Any = graph.module
        found: Difference = module.difference(expected, given)
        return found._asdict()

    def tolerance(self, name: str) -> float:
        """Return how large a difference may be; of corners, as a share of the image's side."""
        return TOLERANCE * (self.job.card.image_size if name == "pixels" else 1)


def network(job: Detector) -> Network:
    """Return a run's model as it is exported: a copy, since tracing may leave something behind."""
    name = job.config.model
    model: Any = copy.deepcopy(job.model)
    if name == "faster-rcnn":
        return Detections(model).eval()
    suppress = "of boxes of a class with an IoU above {}, only that of highest score is an object"
    if name in GRIDS:
        return Candidates(model, boxes_and_scores, suppress.format(SAME_OBJECT)).eval()
    if is_darknet(name):
        then = suppress.format(darknet.SAME_OBJECT)
        return Candidates(model, darknet.boxes_and_scores, then).eval()
    if name == LOCALIZER:
        one = "the class with the highest score is that of the one object, whose box there is"
        return Candidates(model, localizer.boxes_and_scores, one).eval()
    if name == "ssdlite":
        return Candidates(model, _of_default_boxes, suppress.format(model.nms_thresh)).eval()
    from labs.detection.models.ultralytics import decode

    then = suppress.format(decode.SAME_OBJECT)
    if decode.get_head(model).end2end:
        then = "those with the highest scores are objects, none of which is there twice"
    return Candidates(model, decode.decode, then).eval()


def _of_default_boxes(model: SSD, images: Tensor) -> tuple[Tensor, Tensor]:
    """Do what SSDlite does before it suppresses, with all images at once."""
    [side, _] = model.transform.fixed_size
    scaled = interpolate(model.transform.normalize(images), (side, side), mode="bilinear")
    features = list(model.backbone(scaled).values())
    found = model.head(features)
    [anchors] = model.anchor_generator(ImageList(scaled, [(side, side)]), features)
    offsets = found["bbox_regression"]
    boxes = model.box_coder.decode_single(
        offsets.flatten(0, 1), anchors.repeat(offsets.shape[0], 1)
    ).view_as(offsets)
    return boxes * (images.shape[-1] / side), found["cls_logits"].softmax(-1)[..., 1:]


def real_images(job: Detector, test: BoxSet) -> Tensor:
    """Return the first images of the test split, (n, 3, S, S), as the network sees them."""
    [images, _] = next(job.batches(test).updates(0))[0]
    found: Tensor = images[:SAMPLES]
    return found
