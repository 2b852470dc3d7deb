"""The job of the lab: to find objects in images, and to say what they are."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from common import training
from common.errors import RunError
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Say, Splits, Suited
from common.runs.tta import copies as test_time
from common.training.batches import Batches, choose_batching
from common.training.sequences import Padded, Ragged
from common.training.summary import summarize
from labs.detection import metrics
from labs.detection.boxes import keep_inside
from labs.detection.config import DetectionConfig
from labs.detection.data import augment
from labs.detection.data import load as data
from labs.detection.data.load import BoxSet, Card
from labs.detection.letterbox import letterbox
from labs.detection.models import build, weights
from labs.detection.names import LOCALIZER, is_darknet
from labs.detection.predict import copies as box_copies
from labs.detection.predict.fusion import fuse_outputs
from labs.detection.task import Detection, detections, filled

_OF_PIXELS = {  # by the task
    "semantic": "labs.detection.semantic.job:PixelClassifier",
    "panoptic": "labs.detection.panoptic.job:PanopticSegmenter",
}
_OF_CFG = "labs.detection.darknet.job:DarknetDetector"
_EVALUATION_BATCH = 32
_LOCALIZER = "labs.detection.localizer.job:Localizer"
_MUCH = 10**9  # multiply-adds of an image: what every detector but the lab's own has plenty of


class Detector(Job[DetectionConfig, Card]):
    """A detector of any kind; splits are `BoxSet`s.

    Attributes:
        merging: what `answers` are made by, where there are copies.
        copies: changed copies of each image whose boxes `answers` fuse with its own; () for none.
    """

    lab = "detection"
    config_type = DetectionConfig
    card_type: ClassVar[type[Card]] = Card
    conclusion = "labs.detection.results:DetectionResults"
    submission = "labs.detection.predict.submission:BoxSubmission"
    exporter = "labs.detection.inspect.export:BoxExporter"
    page = "labs.detection.live.view:write"
    optimizer_options = ("layer_decay",)
    merging = "the fusion of boxes over"
    copies: Sequence[test_time.Copy] = ()

    @classmethod
    def for_config(cls, config: DetectionConfig) -> type[Any]:
        """Return the class of the job that a config asks for."""
        if config.task in _OF_PIXELS:
            pixels: type[Any] = resolve_name(_OF_PIXELS[config.task])
            return pixels
        kind: type[Detector] = cls
        if is_darknet(config.model):
            kind = resolve_name(_OF_CFG)
        elif config.model == LOCALIZER:
            kind = resolve_name(_LOCALIZER)
        return kind

    @classmethod
    def suited(cls, config: DetectionConfig) -> Suited[DetectionConfig]:
        """Return the config with what suits a user's photos."""
        from labs.detection.data import suited

        return suited.suited(config)

    @classmethod
    def load(cls, config: DetectionConfig, card: Card | None = None) -> tuple[Splits, Card]:
        """Load the config's images with their boxes, split."""
        return data.load(config)

    def build_model(self) -> nn.Module:
        """Return the config's detector."""
        config, card = self.config, self.card
        return build.build(config.model, card.classes, card.image_size, card.anchors, config.task)

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Load the weights that the config names, where they fit."""
        if self.config.weights is not None:
            say(weights.load(self.model, self.config.model, self.config.weights))

    def task(self, splits: Splits) -> training.Task:
        """Return the task of the kind of detector, which knows the most boxes of an image."""
        most = max((split.most for split in splits.values()), default=0)
        if most <= self.card.most:
            return self.detection
        return build.task(self.config, dataclasses.replace(self.card, most=most))

    @cached_property
    def detection(self) -> Detection:
        """The task, of which `detect` needs no data."""
        return build.task(self.config, self.card)

    def batches(self, split: BoxSet, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        config = self.config
        source = build.training_set(split, config) if training else split
        in_memory = isinstance(source, BoxSet) and isinstance(source.images, Tensor)
        return Batches(
            split.columns if in_memory else source,
            prepare=augment.pipeline(config),
            compute=self.compute,
            workers=config.workers,
            lengths=torch.zeros(len(split)) if in_memory else None,  # no image is like another
            **choose_batching(config, _EVALUATION_BATCH, training=training),
        )

    def work(self) -> int:
        """Count one forward pass over a batch."""
        each = _MUCH
        if self.config.model in ("tiny-yolo", LOCALIZER):
            shape = (3, self.card.image_size, self.card.image_size)
            each = summarize(self.model, shape).multiply_adds
        return each * (self.config.micro_batch or self.config.batch_size)

    @property
    def main_metric(self) -> MainMetric:
        """COCO's mAP, of boxes or of masks."""
        return metrics.MASKS if self.config.task == "segment" else metrics.HEADLINE

    @property
    def lenient(self) -> MainMetric:
        """The same at an IoU of 0.5, where a rough box or mask is enough."""
        return metrics.MASKS50 if self.config.task == "segment" else metrics.MAP50

    def decide(self, outputs: Outputs) -> Array:
        """Return detections, (N, MOST, 6); for segmentation with columns of their masks' IoU."""
        found: Array = outputs["detections"].numpy()
        return found

    def targets(self, split: BoxSet) -> Array:
        """Return what is true, (N, most, 6); labelled data may have more boxes than the run's."""
        boxes = Padded.of([split.boxes[row] for row in range(len(split))])
        found: Array = filled(boxes, max(split.most, self.card.most)).numpy()
        return found

    def choose_copies(self, spec: str) -> tuple[test_time.Copy, ...]:
        """Return the copies that `--tta` names, or that suit what the run was trained with.

        Raises:
            RunError: it finds masks, which are not fused.
            ConfigError: there are no such copies.
        """
        if self.config.task == "segment":
            raise RunError(f"--tta: {self.run.path} finds masks, and boxes alone can be fused")
        seen = box_copies.Seen(self.card.image_size, build.step(self.config.model, self.model))
        return box_copies.parse(spec, self.config.augment, seen)

    def answers(self, inputs: Tensor) -> Outputs:
        """Return what is found in unknown images, letterboxed uint8 (B, 3, S, S).

        Returns:
            `detections` (B, MOST, 6); for segmentation with columns of coefficients, and
            `prototypes` (B, K, H, W), see `masks.assemble`.
        """
        return test_time.answer(self._answer, inputs, self.copies, fuse_outputs)

    def _answer(self, inputs: Tensor) -> Outputs:
        nothing = Ragged(torch.zeros(0, 6), torch.zeros(len(inputs) + 1, dtype=torch.int64))
        sizes = torch.tensor([inputs.shape[2:]] * len(inputs))
        split = BoxSet(inputs, nothing, sizes, [""] * len(inputs))
        return training.infer(self.model, self.detection, self.batches(split), self.compute)

    def find(self, photos: Sequence[Tensor]) -> Outputs:
        """Return what is found in photos of any size, uint8 (3, H, W), in their pixels.

        Returns:
            As `answers` does; boxes are inside their photo.
        """
        size = self.card.image_size
        squares, fits = zip(*(letterbox(photo, size) for photo in photos), strict=True)
        outputs = self.answers(torch.stack(squares))
        inside = [
            keep_inside(fit.back(rows[rows[:, 5] >= 0]), *photo.shape[1:])
            for photo, fit, rows in zip(photos, fits, outputs["detections"], strict=True)
        ]
        return {**outputs, "detections": detections(inside)}

    def labelled(self, path: Path, say: Say, **written: Any) -> BoxSet:
        """Return all images of a user's, of whichever splits, in the run's classes."""
        return data.labelled(self.config.of_file(path, **written), self.card, say)

    @cached_property
    def score(self) -> float:
        """The score from which on a detection is shown, chosen on the validation split."""
        return float(self.run.read("metrics")["validation"]["score_threshold"])
