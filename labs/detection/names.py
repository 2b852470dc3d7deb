"""The names of the models, readable without importing torch."""

DESCRIPTIONS: dict[str, str] = {
    "tiny-yolo": "the lab's own: one grid, anchor boxes, objectness x IoU, class probabilities",
    "lite0-yolo": "the same grid on EfficientNet-Lite0, trained on ImageNet: for few photos",
    "localizer": "one object: its class and its box, the step between classifier and detector",
    "faster-rcnn": "two stages (Ren et al. 2015), torchvision's, on MobileNetV3",
    "ssdlite": "one stage, many scales (Liu et al. 2016), torchvision's, on MobileNetV3",
}

PIXELS: dict[str, str] = {
    "unet": "the lab's own U-Net (Ronneberger et al. 2015): down to see far, back up to see where",
    "unet-lite0": "the same way up from EfficientNet-Lite0, trained on ImageNet: for few photos",
    "fcn": "fully convolutional (Long et al. 2015), torchvision's, on ResNet-50",
    "deeplabv3": "convolutions with holes at several rates (Chen et al. 2017), on MobileNetV3",
    "lraspp": "fast: one coarse and one fine level (Howard et al. 2019), on MobileNetV3",
}
"""What names the class of each pixel, for --task semantic."""

LOSSES = ("cross-entropy", "dice", "lovasz")
"""What they learn by, see `labs.detection.semantic.losses`."""

GRIDS = ("tiny-yolo", "lite0-yolo")
"""The lab's own: one grid of cells with anchors, see `labs.detection.models.tiny_yolo`."""

DARKNET = ("darknet-yolov3-tiny", "darknet-yolov3", "darknet-yolov4-tiny")
"""Those that a `.cfg` of darknet tells; likewise a user's own file."""
LOCALIZER = "localizer"
"""It says one class and one box of an image, see `labs.detection.localizer`."""

LITE0 = "efficientnet-lite0"
"""Where the weights of lite0-yolo, and perhaps of the localizer, come from: a package."""

OF_CASCADE = (
    *("data", "test", "image_dir", "image_size", "split_seed", "seed", "run_dir", "name"),
    *("file_encoding", "delimiter", "sheet", "header", "images", "features", "beside"),
)
"""The options that `cascade` takes, of those of its config."""

# The detection models that ultralytics describes; a test holds them to the installed version.
_IN_FIVE_SIZES = (
    *("yolo11{}", "yolo12{}", "yolo26{}", "yolo26{}-p2", "yolo26{}-p6", "yolov5{}", "yolov5{}-p6"),
    *("yolov6{}", "yolov8{}", "yolov8{}-ghost", "yolov8{}-ghost-p2", "yolov8{}-ghost-p6"),
    *("yolov8{}-p2", "yolov8{}-p6"),
)
ULTRALYTICS: tuple[str, ...] = (
    *(name.format(size) for name in _IN_FIVE_SIZES for size in "nsmlx"),
    *(f"yolov10{size}" for size in "nsmblx"),
    *(f"yolov9{size}" for size in "tsmce"),
    *("yolov3", "yolov3-spp", "yolov3-tiny"),
)

# Likewise those that also find the mask of each object.
_SEGMENTING = ("yolo11{}-seg", "yolo12{}-seg", "yolo26{}-seg", "yolov8{}-seg", "yolov8{}-seg-p6")
SEGMENTATION: tuple[str, ...] = (
    *(name.format(size) for name in _SEGMENTING for size in "nsmlx"),
    *("yolov9c-seg", "yolov9e-seg"),
)


def model_names() -> tuple[str, ...]:
    """Return every name that --model takes, the lab's own first."""
    return (*DESCRIPTIONS, *PIXELS, *DARKNET, *ULTRALYTICS, *SEGMENTATION)


def is_darknet(model: str) -> bool:
    """Say whether a model is one that a `.cfg` of darknet tells."""
    return model in DARKNET or model.endswith(".cfg")


def is_file(model: str) -> bool:
    """Say whether a model is not a name but a file of the user's."""
    return model.endswith((".yaml", ".yml", ".cfg"))
