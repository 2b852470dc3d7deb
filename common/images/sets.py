"""Sets of images: in memory or in files, with their targets, and what a loader found."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.images.decode import UNKNOWN, White
from common.images.files import ImageFiles

Classes = Literal["required", "optional"]


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset[tuple[Tensor, Tensor]]):
    """Images with their targets."""

    images: Tensor | ImageFiles  # uint8 of shape (N, C, H, W), or files to be decoded
    targets: Tensor
    """(N,): int64 class numbers (zeros where there are none), or float32 values; of several labels
    float32 zeros and ones, (N, C)."""
    names: tuple[str, ...]  # one per image, the file relative to its folder or "mnist5k/123"
    groups: Tensor | None = None  # (N,) int64, what each belongs to, where the user said so
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each column that goes with the images (`ImageConfig.columns_beside`) the N cells, as they
    are written; empty where there are none."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        """Return one image, uint8 of shape (C, H, W), and its target: what a DataLoader reads."""
        return self.images[row], self.targets[row]

    def select(self, rows: Tensor) -> "ImageSet":
        """Return the given rows (int64), in that order."""
        images = self.images
        return ImageSet(
            images.select(rows) if isinstance(images, ImageFiles) else images[rows],
            self.targets[rows],
            tuple(self.names[row] for row in rows.tolist()),
            None if self.groups is None else self.groups[rows],
            {
                column: tuple(cells[row] for row in rows.tolist())
                for column, cells in self.cells.items()
            },
        )


@dataclass(frozen=True, eq=False)
class FoundImages:
    """What a loader found."""

    parts: dict[str, ImageSet]
    """`{"all": ...}`, to be split; or `train` and, where there are any, `validation` and `test`."""
    classes: tuple[str, ...]  # by their numbers; () for numeric targets, and for images alone
    skipped: tuple[tuple[str, str], ...]  # (name, reason) of each file that was left out
    source: str  # one line that says what this is
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """With several label columns, the classes of each by the column's name. `classes` are then all
    their combinations, such as mask/female/old, those of the last column counting fastest; there
    may be some without any image."""
    white: White = UNKNOWN  # what is white in files of more than 8 bits


def find_strata(targets: Tensor) -> Tensor:
    """Return the class, (N,), by whose share images are drawn and split: of labels the rarest."""
    if targets.ndim == 1:
        return targets
    rarity = torch.where(targets > 0, targets.sum(0), torch.inf)
    none = targets.sum(1) == 0
    return torch.where(none, targets.shape[1], rarity.argmin(1))


def fingerprint(*sets: ImageSet) -> str:
    """Return a SHA-256 (hex) that changes when the data does.

    Images in memory count with their pixels; files with their name, their size in bytes and the
    shape they are decoded to. Targets, and cells that go with images, count in both cases.
    """
    digest = hashlib.sha256()
    for part in sets:
        targets = part.targets.cpu().numpy()
        digest.update(f"{tuple(part.images.shape)} {targets.dtype}".encode())
        digest.update(targets.tobytes())
        if isinstance(part.images, ImageFiles):
            sizes = [path.stat().st_size for path in part.images.paths]
            digest.update(json.dumps([part.names, sizes]).encode())
        else:
            digest.update(np.ascontiguousarray(part.images.cpu().numpy()).data)
        if part.cells:
            digest.update(json.dumps(dict(part.cells)).encode())
    return digest.hexdigest()
