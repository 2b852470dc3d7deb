"""Detectors by name: the module, the task that trains it, and whose random changes of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from labs.detection.config import DetectionConfig
from labs.detection.darknet import cfg as cfgs
from labs.detection.darknet import published
from labs.detection.darknet.network import Darknet
from labs.detection.darknet.task import DarknetTask
from labs.detection.data.augment import Changed
from labs.detection.data.load import BoxSet, Card
from labs.detection.localizer.model import Localizer
from labs.detection.models import torchvision_models
from labs.detection.models.lite0_yolo import COARSE, Lite0Yolo
from labs.detection.models.tiny_yolo import TinyYolo, TinyYoloTask, stride_for
from labs.detection.models.ultralytics import specs
from labs.detection.names import DARKNET, GRIDS, LOCALIZER, is_darknet
from labs.detection.task import Detection


def build(
    name: str,
    classes: Sequence[str],
    image_size: int,
    anchors: Sequence[tuple[float, float]],
    task: str = "detect",
) -> nn.Module:
    """Return a detector; torch's generator draws its weights.

    The name is one of `names.model_names()`, or an Ultralytics YAML or a .cfg of darknet. Anchors
    are (width, height) in pixels of typical boxes, which these do not need.

    Raises:
        ConfigError: the model cannot be had.

    Example:
        >>> model = build("tiny-yolo", ["cat", "dog"], image_size=96, anchors=[(16, 16), (32, 24)])
        >>> model(torch.rand(1, 3, 96, 96)).shape  # 5 numbers of each of 2 anchors, and 2 classes
        torch.Size([1, 12, 12, 12])
    """
    if name == "tiny-yolo":
        return TinyYolo(len(classes), anchors, stride_for(image_size))
    if name == "lite0-yolo":
        return Lite0Yolo(len(classes), anchors)
    if name == LOCALIZER:
        return Localizer(len(classes), image_size)
    if name in torchvision_models.WEIGHTS:
        return torchvision_models.build(name, len(classes), image_size, anchors)
    if is_darknet(name):
        cfg = published.write(name, len(classes)) if name in DARKNET else cfgs.read(Path(name))
        return Darknet(cfgs.parse(cfg, name), image_size)
    from labs.detection.models.ultralytics import build as ultralytics

    return ultralytics.build(name, classes, image_size, task)


def step(name: str, model: nn.Module) -> int | None:
    """Return what the side in pixels of a detector's images must be a multiple of.

    None where it scales them to a size of its own.
    """
    if name in torchvision_models.WEIGHTS:
        return None
    if name == "lite0-yolo":
        return COARSE
    stride: Any = model.stride  # a number, of Ultralytics' each grid's
    return stride if isinstance(stride, int) else int(stride.max())


def task(config: DetectionConfig, card: Card) -> Detection:
    """Return what the loop cannot know about training the config's detector."""
    if config.model in GRIDS:
        return TinyYoloTask(len(card.classes), card.most)
    if config.model in torchvision_models.WEIGHTS:
        return torchvision_models.TorchvisionTask(len(card.classes), card.most)
    if is_darknet(config.model):
        return DarknetTask(len(card.classes), card.most)
    from labs.detection.models.ultralytics.task import SegmentationTask, UltralyticsTask

    kind = SegmentationTask if config.task == "segment" else UltralyticsTask
    return kind(len(card.classes), card.most, config.epochs)


def training_set(split: BoxSet, config: DetectionConfig) -> BoxSet | Changed:
    """Return the training split, or one that changes its images where `--augment` says so.

    All changes of whole images are Ultralytics', whichever the detector.

    Raises:
        ConfigError: a spec is wrong, or ultralytics is not installed.
    """
    strengths = specs.parse(config.augment)
    if not strengths:
        return split
    from labs.detection.models.ultralytics.changes import Changes

    first, last = (
        Changes(split.without_bars, len(split), split.images.shape[-1], each)
        for each in (strengths, specs.without_mixing(strengths))
    )
    return Changed(split, first, last, config.epochs - config.close_mosaic)
