"""Boxes drawn into a photo, readable on small ones and on large ones."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from common.report import plots

_OPACITY = 128  # of 255: how much a mask covers
_LEAST_SIDE = 640  # pixels of a drawn picture's longer side; smaller photos are enlarged
_COLORS = (  # Okabe and Ito's, which the color-blind can tell apart, and lighter and darker ones
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#ffd480", "#b3e0ff", "#66ffcc", "#806c00", "#003d66", "#803300", "#661a47"),
)


def draw(
    pixels: Tensor, boxes: Tensor, classes: Sequence[str], masks: Tensor | None = None
) -> Image.Image:
    """Draw boxes with the names of their classes and their scores, and their masks if there are.

    Lines and letters grow with the picture; a small one is enlarged, or they would hide it.

    Args:
        pixels: uint8 (3, H, W), RGB.
        boxes: (n, 6): x1, y1, x2, y2 in pixels, score, class; highest score first, to lie on top.
        classes: their names.
        masks: bool (n, H, W).
    """
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    if masks is not None:
        for mask, number in zip(masks.flip(0), boxes.flip(0)[:, 5].tolist(), strict=True):
            picture.paste(_color(number), mask=Image.fromarray(mask.numpy() * np.uint8(_OPACITY)))
    factor = max(1, math.ceil(_LEAST_SIDE / max(picture.size)))
    if factor > 1:
        larger = picture.width * factor, picture.height * factor
        picture = picture.resize(larger, Image.Resampling.BICUBIC)
    scale = min(max(picture.size), 2 * min(picture.size))  # a narrow strip has less room
    line = max(2, round(scale / 320))
    font = ImageFont.truetype(str(plots.korean_font()), max(14, round(scale / 45)))
    canvas = ImageDraw.Draw(picture)
    rows = boxes.flip(0).tolist()
    for *corners, _, number in rows:
        canvas.rectangle(_pixels_of(corners, factor, picture), outline=_color(number), width=line)
    for x1, y1, _, _, score, number in rows:
        text = _fitting(f"{score:.2f}", classes[int(number)], font, picture.width - 2 * line)
        _label(canvas, text, (x1 * factor, y1 * factor), font, line, _color(number))
    return picture


def _pixels_of(corners: list[float], factor: int, picture: Image.Image) -> list[float]:
    """Return corners as PIL takes them: the first and the last pixel, both inside the picture."""
    x1, y1, x2, y2 = (value * factor for value in corners)
    last_x, last_y = picture.width - 1, picture.height - 1
    x1, y1 = min(x1, last_x), min(y1, last_y)
    return [x1, y1, max(x1, min(x2 - 1, last_x)), max(y1, min(y2 - 1, last_y))]


def _color(number: float) -> str:
    return _COLORS[int(number) % len(_COLORS)]


def _fitting(score: str, name: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return the longest beginning of a name that has room beside its score."""
    name = plots.drawable(name)
    cells = range(min(len(name) * 2, 60), 1, -1)
    texts = itertools.chain((f"{plots.short(name, number)} {score}" for number in cells), [score])
    return next((text for text in texts if font.getlength(text) <= width), "")


def _label(
    canvas: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    font: ImageFont.FreeTypeFont,
    line: int,
    color: str,
) -> None:
    """Write a text on a ground of its color: above the corner, or where there is room."""
    width, height = canvas.im.size
    left, top, right, bottom = canvas.textbbox((0, 0), text, font)
    wide, high = right + 2 * line, bottom + line
    x = max(0, min(corner[0], width - wide))
    y = corner[1] - high if corner[1] >= high else max(0, min(corner[1], height - high))
    canvas.rectangle([x, y, x + wide - 1, y + high - 1], fill=color)
    canvas.text((x + line, y), text, fill=_ink(color), font=font)


def _ink(color: str) -> str:
    """Return black or white, whichever is easier to read on a color."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else "white"
