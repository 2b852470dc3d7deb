"""Pictures of the autoencoder lab that are made of images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from common.metrics.metrics import Array
from common.report.plots import image_grid

_COLUMNS = 8


def strips(images: Mapping[str, Tensor], captions: Sequence[str], about: str = "") -> Figure:
    """Draw several versions of each image one above the other, such as input and output.

    Images are uint8 (N, C, S, S), from above to below; `about` says what the N captions are.
    """
    names = list(images)
    pictures = [pixels(each) for each in images.values()]
    line = np.full_like(pictures[0][:, :1], 255)
    parted = [part for picture in pictures for part in (picture, line)][:-1]
    order = f"{names[0]} above, {' then '.join(names[1:])} below"
    title = f"{order}; {about}" if about else order
    return image_grid(np.concatenate(parted, 1), captions, _COLUMNS, title)


def pixels(images: Tensor) -> Array:
    """Return uint8 images (N, C, S, S) as matplotlib takes them: (N, S, S), or (N, S, S, 3)."""
    grey = images.shape[1] == 1
    return (images[:, 0] if grey else images.permute(0, 2, 3, 1)).cpu().numpy()
