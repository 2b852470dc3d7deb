"""The options of the detection lab, and its recipes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from common.options.config import (
    FORM,
    TableConfig,
    data_option,
    flag,
    model_option,
    option,
    same_items_option,
    shared,
    training_option,
)
from common.suggest import suggest
from labs.detection.names import (
    DARKNET,
    LITE0,
    LOCALIZER,
    LOSSES,
    PIXELS,
    SEGMENTATION,
    ULTRALYTICS,
    is_darknet,
    is_file,
    model_names,
)
from labs.detection.records import Reading

AUGMENTATIONS = ("affine", "color", "cutmix", "hflip", "hsv", "mixup", "mosaic", "vflip")
_OF_PIXELS = ("affine", "color", "hflip", "vflip")  # those that --task semantic takes
_SEVERAL = ("cutmix", "mixup", "mosaic")  # that put several images together
_OF_BOXES = ("anchors", "close_mosaic")  # options that go with boxes alone
_OF_MASKS = ("mask_dir", "legend", "void")  # options that go with classes of pixels alone
_WITH_LITE0 = ("lite0-yolo", "unet-lite0", LOCALIZER)


@dataclass(frozen=True)
class DetectionConfig(TableConfig):
    """What `python -m labs.detection train` takes."""

    data: str = data_option(
        "scenes",
        "scenes (composed of MNIST digits), a YOLO data.yaml, darknet's .data, a COCO JSON, a "
        "table with boxes, a file of CVAT, VIA or Label Studio, or a folder of photos with Pascal "
        "VOC XML, YOLO txt or LabelMe's JSON",
    )
    test: str | None = data_option(
        None, "the test split, in any of these forms, where the data has none or another"
    )
    image_dir: str | None = data_option(
        None,
        "folder of the images that a table, a COCO JSON or a tool's file names; the file's own "
        "when not given",
    )
    mask_dir: str | None = data_option(
        None, "folder of the masks of --task semantic; found out when not given"
    )
    legend: str | None = data_option(
        None,
        "a file that names the classes of masks: name,r,g,b or name,value in each line, or names "
        "alone, from 0 on; JSON, too",
    )
    void: tuple[str, ...] = data_option(
        (),
        "what in masks is no class: values such as 255, colors such as #000000, or names of "
        "--legend, with commas between; or nothing; found out when not given",
    )
    image_size: int | None = same_items_option(
        None,
        "height and width in pixels that the network sees, a multiple of 32; when not given, "
        "128 for scenes, else by the sizes of photos and boxes, or 640",
        at_least=32,
    )
    limit: int | None = data_option(
        None, "images to use of the whole set, for a short trial", at_least=10
    )
    augment: tuple[str, ...] = same_items_option(
        (),
        "random changes of training images, with commas between: affine:0.1:0.5, color:0.2, "
        "cutmix:0.5, hflip:0.5, hsv, mixup:0.5, mosaic:1, vflip:0.5; or none",
    )
    close_mosaic: int = same_items_option(
        10, "last epochs without mosaic, mixup and cutmix", at_least=0
    )

    task: str = model_option(
        "detect",
        "detect (boxes), segment (boxes, and the mask of each object), semantic (the class of each "
        "pixel), or panoptic (both: things with their masks, and the background)",
        choices=("detect", "segment", "semantic", "panoptic"),
    )
    model: str = model_option(
        "tiny-yolo",
        "tiny-yolo, lite0-yolo, faster-rcnn, ssdlite, localizer (one object in each image), an "
        "Ultralytics model such as yolo11n, or its YAML; darknet-yolov3-tiny and the like, or a "
        ".cfg of darknet; with --task semantic unet, unet-lite0, fcn, deeplabv3 or lraspp",
    )
    weights: str | None = model_option(
        None,
        "weights to start from: a file (.pt or .safetensors; of darknet .weights), download to "
        "fetch the model's own, or efficientnet-lite0 (what ImageNet taught it, for lite0-yolo and "
        "unet-lite0 and localizer)",
    )
    anchors: int = model_option(5, "anchor boxes of tiny-yolo and lite0-yolo", at_least=1)

    loss: tuple[str, ...] = training_option(
        ("cross-entropy",),
        "what --task semantic learns by, with commas between what is added up: cross-entropy, "
        "dice, lovasz",
        choices=LOSSES,
    )
    layer_decay: float = training_option(
        1.0,
        "each layer's learning rate, as a share of that of the next layer towards the head",
        above=0,
        at_most=1,
    )

    epochs: int = shared("epochs", 6)
    batch_size: int = training_option(32, "images in one update", at_least=1)
    learning_rate: float = shared("learning_rate", 6e-3)
    ema: float | None = shared("ema", 0.99)
    schedule: str = shared("schedule", "cosine")
    warmup: float = shared("warmup", 1.0)

    channels_last: bool = option(
        True, "keep channels innermost in memory: faster convolutions, also on CPUs"
    )

    of_files: ClassVar = (*FORM, "image_dir", *_OF_MASKS)
    of_folders: ClassVar = of_files
    paths: ClassVar = {
        "data": ("scenes",),
        "test": (),
        "image_dir": (),
        "mask_dir": (),
        "legend": (),
        "model": model_names(),
        "weights": ("download", LITE0),
    }

    @property
    def reading(self) -> Reading:
        """How the files with boxes are to be read."""
        return Reading(self.form, self.image_dir)

    @property
    def title(self) -> str:
        """The model's name."""
        return Path(self.model).stem

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.model not in model_names() and not is_file(self.model):
            yield (
                f"--model {self.model}: no such model{suggest(self.model, model_names())}; "
                "`summary` lists them"
            )
        if self.test is not None and self.data == "scenes":
            yield "--test: goes with --data; the scenes have test scenes of their own"
        if self.image_size is not None and self.image_size % 32:
            yield f"--image-size {self.image_size}: expected a multiple of 32"
        chosen = self.data != "scenes" and "model" not in self.given  # by the data
        if self.weights == LITE0 and self.model not in _WITH_LITE0 and not chosen:
            named = " and ".join(_WITH_LITE0)
            yield f"--weights {LITE0}: they are for --model {named}, not for {self.model}"
        if (self.weights or "").endswith(".weights") and not is_darknet(self.model) and not chosen:
            yield (
                f"--weights {self.weights}: it goes with the .cfg that it was made for, or one of "
                f"{', '.join(DARKNET)}, as --model; {self.model} takes .pt and .safetensors"
            )
        yield from self._problems_of_task()
        for name in (spec.partition(":")[0] for spec in self.augment):
            if name not in AUGMENTATIONS:
                near = suggest(name, AUGMENTATIONS)
                yield f"--augment {name}: expected some of {', '.join(AUGMENTATIONS)}{near}"
            elif self.model == LOCALIZER and name in _SEVERAL:
                yield f"--augment {name}: it shows several objects, and {LOCALIZER} says one"

    def _problems_of_task(self) -> list[str]:
        """Say where the task does not go with the model or the changes of images."""
        if self.task == "semantic":
            return list(self._problems_of_pixels())
        if given := [flag(name) for name in (*_OF_MASKS, "loss") if self._differs(name)]:
            return [f"{name}: goes with --task semantic" for name in given]
        if self.model in PIXELS:
            return [f"--model {self.model} names the class of each pixel; add --task semantic"]
        if self.task == "detect":
            if self.model not in SEGMENTATION:
                return []
            return [f"--model {self.model} finds masks; add --task segment"]
        found = [
            f"--augment {spec}: --task {self.task} takes color alone; the others would leave the "
            "masks where they were"
            for spec in self.augment
            if spec.partition(":")[0] in AUGMENTATIONS and not spec.startswith("color")
        ]
        known = self.model in model_names() or is_darknet(self.model)
        if known and self.model not in SEGMENTATION:
            found.append(
                f"--task {self.task}: {self.model} finds boxes alone; choose a model such as "
                "--model yolo11n-seg"
            )
        return found

    def _differs(self, name: str) -> bool:
        """Say whether an option is not its default."""
        return bool(getattr(self, name) != getattr(DetectionConfig, name))

    def _problems_of_pixels(self) -> Iterator[str]:
        """Say what does not go with classes of pixels."""
        known = self.model in model_names() or is_darknet(self.model) or is_file(self.model)
        if known and self.model not in PIXELS:
            yield (
                f"--task semantic: {self.model} finds objects; choose --model {', '.join(PIXELS)}"
            )
        for name in _OF_BOXES:
            if self._differs(name):
                yield f"{flag(name)}: goes with boxes, and --task semantic has none"
        for spec in self.augment:
            if (name := spec.partition(":")[0]) in AUGMENTATIONS and name not in _OF_PIXELS:
                yield f"--augment {spec}: --task semantic takes {', '.join(_OF_PIXELS)}"
        if not self.loss or len(set(self.loss)) < len(self.loss):
            yield f"--loss: expected some of {', '.join(LOSSES)}, each once"


# Rate, weight decay, warm-up and changes of images are those of Ultralytics' own trainer for ten
# classes. With its linear schedule, 1,000 scenes and 20 epochs they gave yolo11n a test mAP50 of
# 0.650 (mean of three seeds) in 5 minutes of one core of an AMD EPYC: benchmarks/detection.py
_ULTRALYTICS = {
    "batch_size": 16,
    "learning_rate": 7e-4,
    "weight_decay": 5e-4,
    "clip": 1.0,
    "ema": 0.995,
    "warmup": 3.0,
    "augment": ("mosaic", "affine", "hsv"),
}
# Usual values for training from random weights; no figure was measured with them yet. On two cores
# Faster R-CNN takes about 0.25 s for an image, SSDlite 0.1 s: begin with --limit.
_TORCHVISION = {"batch_size": 8, "learning_rate": 5e-4, "ema": 0.998}

# 137 photos of raccoons at 256 pixels, batches of 8 and 400 updates gave a test mAP50 of 0.905, the
# mean of three splits, in 340 to 359 seconds of one core of an AMD EPYC: benchmarks/own_boxes.py
_LITE0 = {
    "weights": LITE0,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "layer_decay": 0.9,
    "augment": ("affine", "hflip", "hsv"),
}

# Usual values for the published networks; no figure was measured with them yet. A small .cfg (nine
# convolutions) learns 640 scenes in 200 updates to a validation mAP50 of 0.18; at 0.004 to 0.32.
_DARKNET = {
    "batch_size": 16,
    "learning_rate": 1e-3,
    "weight_decay": 5e-4,
    "clip": 10.0,
    "ema": 0.995,
    "warmup": 1.0,
}

# unet on the scenes, seed 0: test mean IoU 0.719 after 280 s (benchmarks/semantic.py). What the
# other models reach was not measured.
_PIXELS = {
    "task": "semantic",
    "loss": ("cross-entropy", "dice"),
    "batch_size": 16,
    "learning_rate": 4e-3,
    "warmup": 0.2,
}

# On scenes of one digit, seed 0: test accuracy 0.972, mean IoU 0.825: benchmarks/accuracy.py
_LOCALIZER = {"model": LOCALIZER, "epochs": 12, "batch_size": 16, "learning_rate": 3e-3}

RECIPES: dict[str, dict[str, Any]] = {
    LOCALIZER: _LOCALIZER,
    "lite0-yolo": {"model": "lite0-yolo", **_LITE0},
    "yolo11n": {"model": "yolo11n", "epochs": 20, **_ULTRALYTICS},
    "yolo26n": {"model": "yolo26n", "epochs": 20, **_ULTRALYTICS},
    DARKNET[0]: {"model": DARKNET[0], "epochs": 20, **_DARKNET},
    "faster-rcnn": {"model": "faster-rcnn", "epochs": 6, **_TORCHVISION},
    "ssdlite": {"model": "ssdlite", "epochs": 20, **_TORCHVISION},
    # 1,000 scenes, 8 epochs at a rate of 0.001: mask mAP50 of 0.515 on validation scenes.
    "yolo11n-seg": {
        "task": "segment",
        "model": "yolo11n-seg",
        "epochs": 20,
        **_ULTRALYTICS,
        "augment": (),
    },
    "panoptic": {
        "task": "panoptic",
        "model": "yolo11n-seg",
        "epochs": 20,
        **_ULTRALYTICS,
        "augment": (),
    },
    "unet": {"model": "unet", "epochs": 3, **_PIXELS},
    "unet-lite0": {"model": "unet-lite0", "weights": LITE0, "epochs": 6, **_PIXELS},
    "fcn": {"model": "fcn", "epochs": 6, **_PIXELS, "batch_size": 8, "learning_rate": 5e-4},
    "deeplabv3": {"model": "deeplabv3", "epochs": 6, **_PIXELS, "learning_rate": 1e-3},
    "lraspp": {"model": "lraspp", "epochs": 6, **_PIXELS, "learning_rate": 1e-3},
}


def recipe_for(model: str | None, task: str | None = None) -> str | None:
    """Return the recipe whose values suit a model and task, where they are not the defaults."""
    if task == "semantic" or model in PIXELS:
        return model if model in PIXELS else "unet"
    if task == "panoptic":
        return "panoptic"
    if task == "segment" or model in SEGMENTATION:
        return "yolo11n-seg"
    if model is None or model in RECIPES:
        return model
    if is_darknet(model):
        return DARKNET[0]
    return "yolo11n" if model in ULTRALYTICS or is_file(model) else None


@dataclass(frozen=True)
class CompareConfig(DetectionConfig):
    """What `compare-models` takes."""

    models: tuple[str, ...] = model_option(
        ("tiny-yolo", "yolo11n", "faster-rcnn", "ssdlite"), "what is compared, with commas between"
    )

    chosen: tuple[str, ...] = model_option(
        (),
        "fields whose values here go over the models' own recipes; those of the options that are "
        "given",
    )

    def _problems(self) -> Iterator[str]:
        if self.task != "detect":
            yield f"--task {self.task}: compare-models takes detectors alone; train each by itself"
            return
        yield from super()._problems()
        if LOCALIZER in self.models:
            yield f"--models {LOCALIZER}: it finds one object, in images of its own; see `beside`"
        if self.model != DetectionConfig.model:
            yield f"--model {self.model}: compare-models takes several, with --models"
        for name in self.models:
            for problem in DetectionConfig(model=name).problems():
                yield problem.replace("--model ", "--models ", 1)
