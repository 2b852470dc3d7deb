"""Images without labels that networks label, for other networks to learn from."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from common.explore.copies import find_pairs, number_pairs
from common.explore.pictures import shrink
from common.images.sets import ImageSet
from common.options import terminal
from common.pseudo.label import Unlabelled
from common.pseudo.run import PseudoLabels
from common.runs.job import Say
from labs.classification.data import find_unlabelled
from labs.classification.experiments.config import PseudoLabelConfig
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.job import ClassifyImages

_CHUNK = 1024  # images that are shrunk at a time


class PseudoImages(PseudoLabels, CrossvalImages):
    """Networks that learn from labelled and pseudo-labelled images."""

    config_type: ClassVar[type[Any]] = PseudoLabelConfig
    recipes = {}
    crossval = CrossvalImages

    @classmethod
    def find(cls, job: ClassifyImages, path: str, say: Say) -> Unlabelled:
        """Read a folder, a zip, a table or arrays of images."""
        job.only_images("pseudo-label")
        images = find_unlabelled(job.config, job.card, path, say)
        return Unlabelled(images.names, images, lambda rows: _stack(images, rows))

    @classmethod
    def sketch(cls, items: ImageSet) -> Tensor:
        """Return small pictures, uint8 (N, 3, 32, 32)."""
        starts = range(0, len(items), _CHUNK)
        rows = (range(start, min(start + _CHUNK, len(items))) for start in starts)
        return torch.cat([shrink(_stack(items, each)) for each in rows])

    @classmethod
    def number_copies(cls, config: Any, sketches: Sequence[Tensor]) -> list[int]:
        """Number pictures by what explore takes for one: saved again, shifted, mirrored, cropped.

        What folds hold out comes twice, for test and validation; it is compared once.
        """
        small = torch.cat(list(sketches))
        with terminal.progress_bar(f"looking for copies among {len(small):,} images") as bar:
            return number_pairs(len(small), find_pairs(small, bar.move))


def _stack(items: ImageSet, rows: Sequence[int]) -> Tensor:
    """Return some images, uint8 (n, C, S, S)."""
    return torch.stack([items.images[row] for row in rows])
