"""A trained run asked about a user's images: which caption suits them, or which suit a caption."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.images.decode import list_inputs, read_squares
from labs.classification.contrastive.job import ContrastScenes
from labs.classification.contrastive.own import FIT


def ask(
    job: ContrastScenes,
    paths: Sequence[Path],
    captions: Sequence[str],
    top: int,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return a record for each image, or for those that suit a single caption best.

    Args:
        job: with its weights.
        paths: of images and folders; the test split of the run when there are none.
        captions: descriptions in words that the run knows.
        top: images to return for a single caption.
        say: called with a line for each image that cannot be read.

    Returns:
        Of several captions for each image the nearest, with the probability of each among them; of
        one caption the nearest images with their cosines, and what the run's own are.

    Raises:
        DataError: a word is not known, or no image can be read.
    """
    read = job.read(captions).double()
    names, seen, told = _see(job, paths, say)
    cosines = (seen @ read.T).numpy()
    if len(captions) == 1:
        order = np.argsort(-cosines[:, 0], kind="stable")[:top].tolist()
        return [
            {"image": names[row], "cosine": float(cosines[row, 0]), **told(row)} for row in order
        ]
    shares = torch.softmax(torch.from_numpy(cosines) * job.scale, 1).tolist()
    return [
        {
            "image": name,
            "caption": captions[max(range(len(row)), key=row.__getitem__)],
            **{f"p({caption})": share for caption, share in zip(captions, row, strict=True)},
            **told(number),
        }
        for number, (name, row) in enumerate(zip(names, shares, strict=True))
    ]


def _see(
    job: ContrastScenes, paths: Sequence[Path], say: Callable[[str], None]
) -> tuple[list[str], Tensor, Callable[[int], dict[str, str]]]:
    """Return names and unit vectors of images, and what is known of each."""
    if not paths:
        test = job.load_splits()["test"]
        names = [f"test {row}" for row in range(len(test))]
        seen = job.answers(test.images)["images"].double()
        return names, seen, lambda row: {"its own caption": test.captions[row]}
    names, parts = [], []
    size, channels = job.card.image_size, job.card.channels
    for some, pixels in read_squares(list_inputs(paths), size, channels, say, FIT):
        names += some
        parts.append(job.answers(torch.from_numpy(pixels))["images"].double())
    return names, torch.cat(parts), lambda row: {}
