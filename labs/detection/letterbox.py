"""Photos of any size in squares: scaled by one factor, with grey bars, and boxes there and back."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

GREY = 114  # what the bars are filled with, as in Ultralytics' models


class Letterbox(NamedTuple):
    """How an image was fitted into a square: scaled by one factor, with grey bars."""

    scale: float
    left: int  # pixels of the bar
    top: int
    width: int  # of the scaled image
    height: int

    @classmethod
    def fit(cls, height: int, width: int, size: int) -> "Letterbox":
        """Fit an image of some height and width into a square, in its middle."""
        scale = size / max(height, width)
        scaled = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(scale, (size - scaled[0]) // 2, (size - scaled[1]) // 2, *scaled)

    @property
    def shift(self) -> tuple[int, int, int, int]:
        """What the corners of a box are moved by, in pixels of the square."""
        return self.left, self.top, self.left, self.top

    def into(self, boxes: Tensor) -> Tensor:
        """Return boxes (n, 4 or more) of the image as boxes of the square."""
        shift = boxes.new_tensor(self.shift)
        return torch.cat([boxes[:, :4] * self.scale + shift, boxes[:, 4:]], 1)

    def back(self, boxes: Tensor) -> Tensor:
        """Return boxes (n, 4 or more) of the square as boxes of the image."""
        shift = boxes.new_tensor(self.shift)
        return torch.cat([(boxes[:, :4] - shift) / self.scale, boxes[:, 4:]], 1)

    def crop(self, squares: Tensor) -> Tensor:
        """Return what is between the bars of squares (..., size, size): a view of them."""
        return squares[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def enlarge(self, square: Tensor, height: int, width: int) -> Tensor:
        """Return a map of whole numbers, (size, size), as that of the image, (height, width).

        Each pixel has the value of the nearest one between the bars; below 2^24 they are exact.
        """
        inside = self.crop(square)[None, None].float()
        grown = functional.interpolate(inside, (height, width), mode="nearest-exact")
        return grown[0, 0].to(square.dtype)


def letterbox(image: Tensor, size: int) -> tuple[Tensor, Letterbox]:
    """Fit an image, uint8 (3, H, W), into a square by antialiased bilinear filtering.

    Returns:
        uint8 (3, size, size), and how it was fitted.
    """
    height, width = image.shape[1:]
    fit = Letterbox.fit(height, width, size)
    if (fit.height, fit.width) != (height, width):
        image = functional.interpolate(
            image[None], (fit.height, fit.width), mode="bilinear", antialias=True
        )[0]
    square = image.new_full((3, size, size), GREY)
    fit.crop(square)[:] = image
    return square, fit
