"""The page of kernels: what it needs of a run, and the pictures that are in it."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, nn

from common.errors import RunError
from common.images import decode
from common.images.decode import printable
from common.live.page import write_page
from labs.classification.job import ClassifyImages
from labs.classification.kernels.table import KERNELS

_SIDE = 256  # pixels of the longer side of a picture
_SAMPLES = 5  # test images of a run
_MOST = 64  # kernels that are shown
_PHOTOS = {"photo-temple": "china.jpg", "photo-flower": "flower.jpg"}  # scikit-learn's
_DIGIT = 5  # of scikit-learn's digits


def write(path: Path, job: ClassifyImages | None, image: Path | None) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        job: a run with its weights, whose first convolution is shown; None for none.
        image: a picture of the user's, which is shown first; None for none.

    Raises:
        DataError: the picture cannot be read.
        RunError: the run's network begins with no convolution of pixels.
        SaveError: the page cannot be written.
    """
    learned = None if job is None else _describe(job)
    pictures = [*_own(image), *_of_package(), *_of_run(job)]
    data = {
        "kernels": {name: kernel.tolist() for name, kernel in KERNELS.items()},
        "pictures": pictures,
        "learned": learned,
        "side": _SIDE,
    }
    subtitle = "" if job is None else f"{job.config.title} on {job.card.source}"
    title = "Image kernels" if job is None else f"Image kernels: {job.run.path.name}"
    write_page(path, title, subtitle, Path(__file__).parent, data)


def first_convolution(job: ClassifyImages) -> tuple[str, nn.Conv2d]:
    """Return the convolution that sees the pixels, with its name.

    Raises:
        RunError: the network has none, or one that a page cannot show.
    """
    found = (
        (name, module)
        for name, module in job.model.named_modules()
        if isinstance(module, nn.Conv2d)
    )
    name, first = next(found, ("", None))
    run, model = job.run.path, job.config.model
    if first is None:
        raise RunError(
            f"{run}: {model} has no convolution, and so no kernels; choose a run of another model, "
            "such as lenet5"
        )
    plain = type(first) is nn.Conv2d and first.groups == 1 and set(first.dilation) == {1}
    plain = plain and first.padding_mode == "zeros" and not isinstance(first.padding, str)
    if not plain or first.in_channels != job.card.channels:
        raise RunError(
            f"{run}: the first convolution of {model}, {name}, is not a plain one over the pixels; "
            "choose a run of another model, such as lenet5 or resnet20"
        )
    return name, first


def _describe(job: ClassifyImages) -> dict[str, Any]:
    name, first = first_convolution(job)
    bias = [0.0] * first.out_channels if first.bias is None else first.bias.tolist()
    return {
        "name": name,
        "shape": [min(_MOST, first.out_channels), *first.weight.shape[1:]],
        "all": first.out_channels,
        "weights": first.weight[:_MOST].flatten().tolist(),
        "bias": bias[:_MOST],
        "stride": list(first.stride),
        "padding": list(first.padding),
        "mean": list(job.card.mean),
        "std": list(job.card.std),
    }


# --- pictures -----------------------------------------------------------------------------------


def _own(path: Path | None) -> Iterator[dict[str, str]]:
    if path is not None:
        pixels = decode.photo(path).permute(1, 2, 0).numpy()
        yield {"label": printable(path.name), "png": _png(Image.fromarray(pixels))}


def _of_package() -> Iterator[dict[str, str]]:
    from sklearn.datasets import load_digits, load_sample_image

    for name, file in _PHOTOS.items():
        yield {"name": name, "png": _png(Image.fromarray(load_sample_image(file)))}
    digit = (load_digits().images[_DIGIT] * 255 / 16).astype(np.uint8)
    yield {"name": "digit", "png": _png(Image.fromarray(digit))}


def _of_run(job: ClassifyImages | None) -> Iterator[dict[str, str]]:
    if job is None:
        return
    test = job.load_splits()["test"]
    for row in range(min(_SAMPLES, len(test.images))):
        yield {"name": "test", "number": str(row), "png": _png(_as_image(test.images[row]))}


def _as_image(pixels: Tensor) -> Image.Image:
    """Return an image of uint8 (C, H, W)."""
    found = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(found[..., 0] if found.shape[2] == 1 else found)


def _png(image: Image.Image) -> str:
    """Return a picture as PNG in base64, scaled down where it is large."""
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
