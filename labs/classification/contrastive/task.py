"""What the loop cannot know about pairs: each is told apart from the others of its batch."""

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.metrics.metrics import Array
from common.training import Task, When
from common.training.task import check_finite
from labs.classification.contrastive.models import Contrastive


class Contrast(Task):
    """The symmetric cross-entropy of Radford et al. 2021 (CLIP), figure 3; InfoNCE in both ways.

    Each picture has to find its caption among those of the batch, and each caption its picture. A
    pair that looks the same as another (equal keys) does not count as wrong for it.

    The denominators are sums over the batch: with `--micro-batch`, and in several processes, a pair
    has fewer others to be told apart from, so that accumulation is not the loss of the large batch.
    """

    monitor = "validation/recall_at_1"

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss over a batch of (images, tokens, keys)."""
        images, tokens, keys = batch
        network = cast(Contrastive, model)
        seen, read = model(images, tokens)
        return {"loss": info_nce(network.scale * seen @ read.T, keys)}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the unit vectors of images and captions, (B, size), float32."""
        images, tokens, _ = batch
        seen, read = model(images, tokens)
        return {"images": seen.float(), "texts": read.float()}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return how often a partner is among the first 1 and 5, mean of both ways."""
        for each in outputs.values():
            check_finite(each)
        ranks = rank_partners(similarities(outputs))
        return {f"recall_at_{k}": float((ranks <= k).mean()) for k in (1, 5)}


def info_nce(logits: Tensor, keys: Tensor) -> Tensor:
    """Return the mean of the cross-entropies of rows and columns of logits (B, B).

    Args:
        logits: similarities of image i and caption j, times the scale.
        keys: (B,), equal for pairs that are not to be told apart.
    """
    same = (keys[:, None] == keys) & ~torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    logits = logits.masked_fill(same, -torch.inf)
    partners = torch.arange(len(keys), device=keys.device)
    return (F.cross_entropy(logits, partners) + F.cross_entropy(logits.T, partners)) / 2


def similarities(outputs: Any) -> Array:
    """Return the cosine of each image with each caption, (N, N), from what the task collects."""
    found: Array = (outputs["images"].double() @ outputs["texts"].double().T).numpy()
    return found


def rank_partners(scores: Array) -> Array:
    """Return the rank from 1 of the caption of each image, and of the image of each caption.

    What scores the same stands before the partner.

    Args:
        scores: (N, N) of image i and caption j.

    Returns:
        (N, 2).
    """
    own = scores.diagonal()
    others = ~np.eye(len(own), dtype=bool)
    captions = 1 + ((scores >= own[:, None]) & others).sum(1)
    images = 1 + ((scores >= own) & others).sum(0)
    return np.stack([captions, images], 1)
