"""The names of the detectors, readable without importing torch."""

DESCRIPTIONS: dict[str, str] = {
    "tiny-yolo": "the lab's own: one grid, anchor boxes, objectness x IoU, class probabilities",
    "faster-rcnn": "two stages (Ren et al. 2015), torchvision's, on MobileNetV3",
    "ssdlite": "one stage, many scales (Liu et al. 2016), torchvision's, on MobileNetV3",
}

# The detection models that ultralytics describes in YAML; a test holds it to the installed version.
ULTRALYTICS: tuple[str, ...] = ("yolo11n", "yolo26n", "yolov3-tiny", "yolov8n")


def model_names() -> tuple[str, ...]:
    """Return every name that `labs.detection.models.build` takes, the lab's own first."""
    return (*DESCRIPTIONS, *ULTRALYTICS)
