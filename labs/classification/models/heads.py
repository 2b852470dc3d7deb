"""Several labels at once: networks that answer for each column of labels, and give joint logits.

The classes of an image in several columns (mask, gender, age) are one joint class of all their
combinations. Where every column has logits of its own, those of the combinations are their outer
sum: the logit of (i, j, k) is a_i + b_j + c_k. Its softmax is the product of those of the columns,
so its cross-entropy is the sum of the columns' cross-entropies, with smoothed targets too. To all
that comes after it, such a network is a classifier like any other.
"""

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from labs.classification.models.fusion import LateFusion


def outer_sum(parts: Sequence[Tensor]) -> Tensor:
    """Return joint logits, (N, C1 * C2 * ...), float32, of each column's, (N, C1), (N, C2), ...

    Those of the last column count fastest.
    """
    return functools.reduce(
        lambda left, right: (left[:, :, None] + right[:, None, :]).flatten(1),
        [part.float() for part in parts],
    )


def side_by_side(sizes: Sequence[int]) -> Callable[[Any], Any]:
    """Return what makes joint logits of columns' logits (N, C1 + C2 + ...), or of a tuple."""

    def join(outputs: Any) -> Any:
        if isinstance(outputs, tuple):  # with those of auxiliary classifiers
            return tuple(map(join, outputs))
        return outer_sum(torch.split(outputs, list(sizes), dim=1))

    return join


def share(network: nn.Module, sizes: Sequence[int]) -> nn.Module:
    """Let a network whose outputs are the columns' logits, side by side, give joint ones.

    It stays what it is, with the names of its layers and weights, so those of any other network of
    its kind fit; only what it returns is changed.
    """
    join = side_by_side(sizes)

    def forward(self: nn.Module, images: Tensor) -> Any:
        return join(type(self).forward(self, images))

    # A method, which copies of the model (as the average of its weights is one) have as their own.
    network.forward = types.MethodType(forward, network)
    return network


class Separate(nn.Module):
    """A network for each column, which gives its logits; together they give joint logits."""

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Any:
        """Return joint logits for images; in training perhaps a tuple, with auxiliary ones."""
        outputs = [network(images) for network in self.networks]
        if isinstance(outputs[0], tuple):
            return tuple(map(outer_sum, zip(*outputs, strict=True)))
        return outer_sum(outputs)


def networks(model: nn.Module) -> list[nn.Module]:
    """Return the networks of images of a model: where they are parts of it, those, or itself."""
    return list(model.networks) if isinstance(model, Separate | LateFusion) else [model]
