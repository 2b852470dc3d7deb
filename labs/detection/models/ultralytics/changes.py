"""Random changes of whole images, as Ultralytics' trainer makes them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from common.metrics.metrics import Array
from labs.detection.models.ultralytics.library import (
    DEFAULT_CFG_DICT,
    Albumentations,
    Instances,
    IterableSimpleNamespace,
    v8_transforms,
)

_OFF = (
    *("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective"),
    *("flipud", "fliplr", "mosaic", "mixup", "cutmix", "copy_paste"),
)


class Changes:
    """Changes images as the library's trainer would; draws from `random` and `numpy.random`.

    Boxes are cut off at the border, and those of which little is left are dropped.

    Args:
        read: gives an image (H, W, 3) uint8 at its own proportions, its longer side of `size`
            pixels, and its boxes (n, 6) float32.
        count: how many images there are, of which some are mixed into others.
        size: side in pixels of what comes out, with grey bars where there is no image.
        strengths: the library's hyperparameters; changes that are not named are off.
    """

    cache = "ram"  # for the library: others are drawn from all, not from those that it read last
    data: Mapping[str, Any] = {}  # no keypoints to flip

    def __init__(
        self,
        read: Callable[[int], tuple[Array, Array]],
        count: int,
        size: int,
        strengths: Mapping[str, float],
    ):
        off = dict.fromkeys(_OFF, 0.0)
        chosen = {**DEFAULT_CFG_DICT, **off, **strengths, "augmentations": []}
        self._read, self._count, self._size = read, count, size
        self._apply = v8_transforms(self, size, IterableSimpleNamespace(**chosen))
        # Where Albumentations is installed, this would draw a number though it changes nothing.
        steps = self._apply.transforms
        self._apply.transforms = [step for step in steps if not isinstance(step, Albumentations)]

    def __call__(self, row: int) -> tuple[Array, Array]:
        """Return an image, changed, (3, size, size) uint8, and its boxes (n, 6) float32."""
        labels = self._apply(self.get_image_and_label(row))
        instances = labels["instances"]
        instances.convert_bbox("xyxy")
        instances.denormalize(self._size, self._size)
        inside = instances.bboxes.clip(0, self._size)  # a rounding error may be outside
        boxes = np.concatenate([inside, labels["cls"]], 1, dtype=np.float32)
        # By numpy: torch may wait for all its threads to copy so little.
        return np.ascontiguousarray(labels["img"][..., ::-1].transpose(2, 0, 1)), boxes

    def __len__(self) -> int:
        """Return how many images there are."""
        return self._count

    def get_image_and_label(self, row: int) -> dict[str, Any]:
        """Return an image as the library's transforms take it, which ask for others by this."""
        image, boxes = self._read(row)
        return {
            "im_file": "",
            "img": np.ascontiguousarray(image[..., ::-1]),
            "cls": boxes[:, 4:].copy(),  # the crowd goes along
            "instances": Instances(
                boxes[:, :4].copy(),
                np.zeros((0, 1000, 2), np.float32),
                bbox_format="xyxy",
                normalized=False,
            ),
            "ori_shape": image.shape[:2],
            "resized_shape": image.shape[:2],
        }
