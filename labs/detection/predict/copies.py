"""Test-time augmentation of a detector: changed copies, and boxes of them as those of the image.

Which copies there are is named as for every lab, see `common.runs.tta.copies`; what is found in an
image and its copies is made one by `labs.detection.predict.fusion`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from common.errors import ConfigError
from common.runs.tta import copies as test_time
from common.runs.tta.copies import Copy
from labs.detection.models.ultralytics import specs

EXAMPLES = {name: example for name, example in test_time.EXAMPLES.items() if name != "crop"}
"""Of each way to change a copy; a crop would cut objects apart."""

_MIRRORED = {"hflip": "fliplr", "vflip": "flipud"}  # and what training calls it


class Seen(NamedTuple):
    """What a network sees."""

    image_size: int  # pixels of a side
    step: int | None  # of which sides must be a multiple; None where it scales images itself


def parse(spec: str, augment: Sequence[str], seen: Seen) -> tuple[Copy, ...]:
    """Return the copies that a text names: `auto`, or ways with commas between.

    Args:
        spec: such as "hflip,scale:1.2": see `EXAMPLES`.
        augment: the changes that a run was trained with, as `--augment` names them.
        seen: what its network sees.

    Raises:
        ConfigError: with every problem.
    """
    return test_time.make_each(spec, suit(augment, seen), partial(_make, seen=seen))


def suit(augment: Sequence[str], seen: Seen) -> list[str]:
    """Return the ways that suit what a run was trained with: about half as far as it went.

    Images are mirrored only if training mirrored them: a mirrored digit may be none. Without
    changes that say more, copies are one step smaller and one larger, or shifted a little.
    """
    strengths = specs.parse(augment)
    found = [way for way, name in _MIRRORED.items() if strengths.get(name, 0) > 0]
    by = strengths.get("scale", 0) / 2
    if seen.step is None:
        return found or [test_time.shift_little(seen.image_size)]
    if by or not found:
        by = max(by, seen.step / seen.image_size)
        found += [f"scale:{1 + by:.5g}", f"scale:{1 - by:.5g}"]
    return found


def _make(spec: str, seen: Seen) -> list[Copy]:
    """Return the copies of one way.

    Raises:
        ConfigError: there is no such way, or it cannot be gone.
    """
    name, value = test_time.cut_way(spec, EXAMPLES)
    size = seen.image_size
    match name:
        case "hflip":
            return [_copy(spec, partial(torch.flip, dims=(3,)), partial(_mirror, at=0, size=size))]
        case "vflip":
            return [_copy(spec, partial(torch.flip, dims=(2,)), partial(_mirror, at=1, size=size))]
        case "shift":
            return [
                _copy(
                    f"{spec} {name}",
                    partial(test_time.shift, by=(down, right)),
                    partial(_move, by=(-right, -down), size=size),
                )
                for name, (down, right) in test_time.list_shifts(value, size).items()
            ]
    side = _find_side(test_time.parse_factor(value), seen)
    change, back = partial(_resize, side=side), partial(_scale, factor=size / side)
    return [_copy(f"{spec} ({side} pixels)", change, back)]


def _copy(name: str, change: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Copy:
    """Return a copy whose corners (N, M, 4) come back as those in the image."""

    def of_image(outputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        corners, others = outputs["detections"].tensor_split([4], dim=2)
        return {**outputs, "detections": torch.cat([back(corners), others], 2)}

    return Copy(name, change, of_image)


def _find_side(factor: float, seen: Seen) -> int:
    """Return the side in pixels of a scaled copy, which the network can take.

    Raises:
        ConfigError: it would be that of the image, or the network scales all to one size.
    """
    size, step = seen
    if step is None:
        raise ConfigError("the network scales each image to a size of its own; take other copies")
    side = max(step, step * round(factor * size / step))
    if side == size:
        nearest = 1 + (step if factor > 1 else -step) / size
        raise ConfigError(
            f"the network takes multiples of {step} pixels, of which {size} is the nearest to "
            f"{factor * size:.0f}; try scale:{nearest:.5g}"
        )
    return side


# --- images into copies, and corners back -------------------------------------------------------


def _resize(images: Tensor, side: int) -> Tensor:
    """Scale uint8 images (N, 3, S, S) to a side, filtered as photos are."""
    return functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


def _mirror(corners: Tensor, at: int, size: int) -> Tensor:
    """Mirror corners (..., 4), x1, y1, x2, y2: left and right (at 0), or top and bottom (at 1)."""
    mirrored = corners.clone()
    mirrored[..., at], mirrored[..., at + 2] = size - corners[..., at + 2], size - corners[..., at]
    return mirrored


def _move(corners: Tensor, by: tuple[int, int], size: int) -> Tensor:
    """Move corners (..., 4) right and down, inside the image."""
    return (corners + corners.new_tensor([*by, *by])).clamp(0, size)


def _scale(corners: Tensor, factor: float) -> Tensor:
    return corners * factor
