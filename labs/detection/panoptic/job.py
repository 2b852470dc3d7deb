"""The job of `--task panoptic`: things from a network of instances, stuff from one of pixels."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from common import training
from common.errors import DataError, RunError
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.job import Job, Outputs, Say, Splits, Suited
from common.training.batches import Batches, choose_batching
from labs.detection.config import DetectionConfig
from labs.detection.data import augment
from labs.detection.data import load as data
from labs.detection.data.load import BoxSet, Card, Outlined
from labs.detection.letterbox import Letterbox, letterbox
from labs.detection.models import build, unet, weights
from labs.detection.panoptic import segments
from labs.detection.panoptic.task import Panoptic, PanopticTask
from labs.detection.semantic.data import refuse_many

_EVALUATION_BATCH = 16
_MUCH = 10**9  # multiply-adds of an image


class Segmented(NamedTuple):
    """The segments of a photo."""

    codes: Array  # int32 (H, W), see `labs.detection.panoptic.segments`
    scores: list[float]  # of the things, the first of segment 1


class PanopticSegmenter(Job[DetectionConfig, Card]):
    """Two networks that learn together; splits are `BoxSet`s with maps of instances.

    Things are the objects with outlines, and what is in none of them is the stuff.
    """

    lab = "detection"
    config_type = DetectionConfig
    card_type = Card
    conclusion = "labs.detection.panoptic.results:PanopticResults"
    optimizer_options = ("layer_decay",)

    @classmethod
    def suited(cls, config: DetectionConfig) -> Suited[DetectionConfig]:
        """Return the config with what suits a user's photos with outlines."""
        from labs.detection.panoptic import suited

        return suited.suited(config)

    @classmethod
    def load(cls, config: DetectionConfig, card: Card | None = None) -> tuple[Splits, Card]:
        """Load the config's images with boxes and outlines, split."""
        splits, known = data.load(_with_masks(config))
        refuse_many(Path(config.data), known.classes)
        return {name: _with_bars(split) for name, split in splits.items()}, known

    def build_model(self) -> nn.Module:
        """Return the config's network of instances, and a U-Net."""
        config, card = self.config, self.card
        things = build.build(config.model, card.classes, card.image_size, card.anchors, "segment")
        return Panoptic(things, unet.build("unet", len(card.classes) + 1))

    def warm_start(self, splits: Splits, say: Say) -> None:
        """Load the weights that the config names into the network of instances."""
        if self.config.weights is not None:
            model: Any = self.model
            say(weights.load(model.things, self.config.model, self.config.weights))

    def task(self, splits: Splits) -> training.Task:
        """Return the task, which knows the most boxes of an image."""
        most = max([self.card.most, *(split.most for split in splits.values())])
        return PanopticTask(len(self.card.classes), most, self.config.epochs)

    def batches(self, split: BoxSet, *, training: bool = False) -> Batches:
        """Return a split as the loop takes it."""
        config, in_memory = self.config, isinstance(split.images, Tensor)
        return Batches(
            split.columns if in_memory else split,
            prepare=augment.pipeline(config),
            compute=self.compute,
            workers=config.workers,
            lengths=torch.zeros(len(split)) if in_memory else None,  # no image is like another
            **choose_batching(config, _EVALUATION_BATCH, training=training),
        )

    def work(self) -> int:
        """Count one forward pass over a batch."""
        return _MUCH * (self.config.micro_batch or self.config.batch_size)

    @cached_property
    def main_metric(self) -> MainMetric:
        """Panoptic quality, the mean over the things' classes and the stuff."""
        return segments.main_metric(len(self.card.classes) + 1)

    def decide(self, outputs: Outputs) -> Array:
        """Return the segments that are said, int32 (N, S, S)."""
        found: Array = outputs["segments"].numpy()
        return found

    def targets(self, split: BoxSet) -> Array:
        """Return the true segments, int32 (N, S, S)."""
        assert split.instances is not None
        return np.stack(
            [
                segments.of_instances(split.instances[row], split.boxes[row]).numpy()
                for row in range(len(split))
            ]
        )

    def answers(self, inputs: Tensor) -> Outputs:
        """Return the segments of unknown images, letterboxed uint8 (B, 3, S, S)."""
        batches = Batches(
            (inputs,),
            _EVALUATION_BATCH,
            prepare=augment.pipeline(dataclasses.replace(self.config, augment=())),
            compute=self.compute,
        )
        return training.infer(self.model, self.task({}), batches, self.compute)

    def find_segments(self, photos: Sequence[Tensor]) -> list[Segmented]:
        """Return the segments of photos of any size, uint8 (3, H, W)."""
        size = self.card.image_size
        squares, fits = zip(*(letterbox(photo, size) for photo in photos), strict=True)
        outputs = self.answers(torch.stack(squares))
        return [
            Segmented(fit.enlarge(codes, *photo.shape[1:]).numpy(), scores.tolist())
            for photo, fit, codes, scores in zip(
                photos, fits, outputs["segments"], outputs["scores"], strict=True
            )
        ]

    def labelled(self, path: Path, say: Say, **written: Any) -> BoxSet:
        """Return all images of a user's, of whichever splits, in the run's classes."""
        config = _with_masks(self.config.of_file(path, **written))
        return _with_bars(data.labelled(config, self.card, say))

    def choose_copies(self, spec: str) -> tuple[()]:
        """Refuse `--tta`.

        Raises:
            RunError: always.
        """
        raise RunError(f"--tta: {self.run.path} finds segments, and boxes alone can be fused")


class _WithBars(Outlined):
    """Maps of instances, in which the bars of the letterbox are `BARS` and no background."""

    def __init__(self, split: BoxSet):
        self._split = split

    def __getitem__(self, row: int) -> Tensor:
        """Return a map, uint8 (S, S)."""
        split = self._split
        assert split.instances is not None
        given = split.instances[row]
        height, width = split.sizes[row].tolist()
        fit = Letterbox.fit(height, width, given.shape[-1])
        found = torch.full_like(given, segments.BARS)
        fit.crop(found)[:] = fit.crop(given)
        return found


def _with_bars(split: BoxSet) -> BoxSet:
    """Return a split in whose maps of instances the bars are nobody's.

    Raises:
        DataError: an image has as many objects as there are numbers.
    """
    if split.most >= segments.BARS:
        raise DataError(
            f"an image has {split.most} objects; --task panoptic takes {segments.BARS - 1} of an "
            "image at most: cut it into tiles"
        )
    if (split.sizes[:, 0] == split.sizes[:, 1]).all():
        return split
    lazy = _WithBars(split)
    eager = isinstance(split.instances, Tensor)
    maps = torch.stack([lazy[row] for row in range(len(split))]) if eager else lazy
    return BoxSet(split.images, split.boxes, split.sizes, split.names, maps)


def _with_masks(config: DetectionConfig) -> DetectionConfig:
    """Return the config under which boxes are loaded with their masks."""
    return dataclasses.replace(config, task="segment")
