"""The networks that darknet is known for, as tables of their layers, written as its `.cfg`.

Layer sizes, anchors and masks are those of the published networks, so that their `.weights` fit:
yolov3 and yolov3-tiny (Redmon and Farhadi 2018, "YOLOv3: an incremental improvement"), and
yolov4-tiny (Wang et al. 2021, "Scaled-YOLOv4", section 3.3).
"""

from collections.abc import Callable, Sequence
from typing import Any

SIZE = 416
"""Height and width in pixels of the images that they were published for."""

_Section = tuple[str, dict[str, Any]]

_SMALL_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
_ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"


def write(name: str, classes: int, size: int = SIZE) -> str:
    """Return the `.cfg` of a network by its name in `NAMES`, for images of size x size pixels."""
    sections: list[_Section] = [
        ("net", {"width": size, "height": size, "channels": 3}),
        *_NETWORKS[name](classes),
    ]
    blocks = [
        "\n".join([f"[{kind}]", *(f"{key}={value}" for key, value in options.items())])
        for kind, options in sections
    ]
    return "\n\n".join(blocks) + "\n"


def _conv(filters: int, size: int = 3, stride: int = 1) -> _Section:
    options = {"filters": filters, "size": size, "stride": stride, "pad": 1}
    return "convolutional", {"batch_normalize": 1, **options, "activation": "leaky"}


def _pool(stride: int = 2) -> _Section:
    return "maxpool", {"size": 2, "stride": stride}


def _route(*layers: int, **options: int) -> _Section:
    return "route", {"layers": ",".join(map(str, layers)), **options}


def _head(classes: int, mask: Sequence[int], anchors: str, **options: Any) -> list[_Section]:
    """Return the last convolution of a head, and what it means."""
    last = {"filters": len(mask) * (5 + classes), "size": 1, "stride": 1, "pad": 1}
    own = {"mask": ",".join(map(str, mask)), "anchors": anchors, "classes": classes}
    own |= {"num": anchors.count(",") // 2 + 1, "ignore_thresh": 0.7, "truth_thresh": 1}
    return [("convolutional", {**last, "activation": "linear"}), ("yolo", {**own, **options})]


def _up(filters: int, beside: int) -> list[_Section]:
    """Return the way from one head to the next: back, up, and beside an earlier layer."""
    return [_route(-4), _conv(filters, 1), ("upsample", {"stride": 2}), _route(-1, beside)]


def _yolov3_tiny(classes: int) -> list[_Section]:
    trunk = [each for filters in (16, 32, 64, 128, 256) for each in (_conv(filters), _pool())]
    return [
        *trunk,
        *(_conv(512), _pool(1), _conv(1024), _conv(256, 1), _conv(512)),
        *_head(classes, (3, 4, 5), _SMALL_ANCHORS),
        *_up(128, 8),
        _conv(256),
        *_head(classes, (0, 1, 2), _SMALL_ANCHORS),
    ]


def _yolov4_tiny(classes: int) -> list[_Section]:
    sections = [_conv(32, stride=2), _conv(64, stride=2)]
    for filters in (64, 128, 256):  # a stage: half the channels go on, and meet the others again
        sections += [
            *(_conv(filters), _route(-1, groups=2, group_id=1), _conv(filters // 2)),
            *(_conv(filters // 2), _route(-1, -2), _conv(filters, 1), _route(-6, -1), _pool()),
        ]
    how = {"scale_x_y": 1.05, "iou_loss": "ciou", "iou_normalizer": 0.07, "cls_normalizer": 1.0}
    return [
        *sections,
        *(_conv(512), _conv(256, 1), _conv(512)),
        *_head(classes, (3, 4, 5), _SMALL_ANCHORS, **how),
        *_up(128, 23),
        _conv(256),
        *_head(classes, (1, 2, 3), _SMALL_ANCHORS, **how),
    ]


def _yolov3(classes: int) -> list[_Section]:
    sections = [_conv(32)]
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        sections.append(_conv(filters, stride=2))
        sections += blocks * [
            *(_conv(filters // 2, 1), _conv(filters)),
            ("shortcut", {"from": -3, "activation": "linear"}),
        ]
    for filters, mask, beside in (
        (512, (6, 7, 8), None),
        (256, (3, 4, 5), 61),
        (128, (0, 1, 2), 36),
    ):
        if beside is not None:
            sections += _up(filters, beside)
        sections += 3 * [_conv(filters, 1), _conv(2 * filters)]
        sections += _head(classes, mask, _ANCHORS)
    return sections


_NETWORKS: dict[str, Callable[[int], list[_Section]]] = {
    "darknet-yolov3-tiny": _yolov3_tiny,
    "darknet-yolov3": _yolov3,
    "darknet-yolov4-tiny": _yolov4_tiny,
}
NAMES = tuple(_NETWORKS)
