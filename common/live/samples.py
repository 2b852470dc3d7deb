"""Test images in a page, to begin with."""

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn import functional

from common.images.load import ImageCard
from common.images.sets import ImageSet
from common.report.html import data_url

_SAMPLES = 12
_DARK_INK = 0.5  # mean brightness of grey images from which on strokes are dark
_THUMBNAIL, _ACROSS = 32, 32  # pixels of a small picture, and how many stand in a row


def describe_board(card: ImageCard, fit: str, test: ImageSet) -> dict[str, Any]:
    """Return what `makeBoard` of parts.js needs to make pictures as a run takes them."""
    return {
        "size": card.image_size,
        "channels": card.channels,
        "ground": 255 if card.channels == 1 and card.mean[0] > _DARK_INK else 0,
        "fit": fit,
        "samples": choose_samples(test, card.classes),
    }


def choose_samples(test: ImageSet, classes: Sequence[str]) -> list[dict[str, str]]:
    """Return the first test image of each class, then others: a name and pixels in base64."""
    targets = test.targets.tolist()
    firsts: dict[str, int] = {}
    for row, target in enumerate(targets):
        firsts.setdefault(str(target), row)
    in_order = [firsts[each] for each in sorted(firsts)] if classes else []
    rows = [*dict.fromkeys([*in_order, *range(len(targets))])][:_SAMPLES]
    return [
        {"name": _name(targets[row], classes), "pixels": encode_pixels(test.images[row])}
        for row in rows
    ]


def encode_pixels(image: Tensor) -> str:
    """Return uint8 (C, H, W) in base64, the channels of a pixel one after the other."""
    return base64.b64encode(image.permute(1, 2, 0).contiguous().numpy().tobytes()).decode()


def draw_sheet(images: Tensor) -> dict[str, Any]:
    """Return small pictures of images, uint8 (N, C, S, S), in one PNG: url, side, how many across.

    They are there to be looked at: above 32 pixels they are scaled down.
    """
    if images.shape[-1] > _THUMBNAIL:
        images = functional.interpolate(
            images, (_THUMBNAIL, _THUMBNAIL), mode="bilinear", antialias=True
        )
    count, channels, side, _ = images.shape
    down = -(-count // _ACROSS)
    sheet = images.new_zeros(down * _ACROSS, channels, side, side)
    sheet[:count] = images
    rows = sheet.view(down, _ACROSS, channels, side, side).permute(0, 3, 1, 4, 2)
    pixels = rows.reshape(down * side, _ACROSS * side, channels).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(buffer, "png", optimize=True)
    return {"url": data_url("png", buffer.getvalue()), "side": side, "across": _ACROSS}


def _name(target: Any, classes: Sequence[str]) -> str:
    if isinstance(target, list):
        return ", ".join(name for name, there in zip(classes, target, strict=True) if there)
    return classes[target] if classes else f"{target:g}"
