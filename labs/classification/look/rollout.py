"""Attention rollout: which patches of an image a vision transformer mixes into what it says.

Abnar and Zuidema 2020, "Quantifying attention flow in transformers". In a layer a token becomes the
sum of itself and of what it takes from others, so half of it is taken to be its own and half to be
mixed by the attention, a mean over the heads. The product of these mixtures over the layers says
how much of each patch there is in each token at the end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from common.metrics.metrics import Array
from labs.classification.models.heads import Separate


@dataclass(frozen=True, eq=False)
class Rollout:
    """Where a network with attention looks in an image; maps are shares of (rows, columns) patches.

    What is asked is what the classifier sees: the class token, or the mean of all tokens. Tokens
    that are no patches have shares, too, so those of the patches may add to less than 1.
    """

    layers: int  # how many there are
    whole: Array  # over all of them
    heads: Sequence[Array]  # what each head of the last layer looks at by itself

    @property
    def half(self) -> int:
        """How few patches together have half of what all patches have."""
        falling = torch.from_numpy(self.whole).flatten().sort(descending=True).values
        return 1 + int((falling.cumsum(0) < falling.sum() / 2).sum())


def find(model: nn.Module, image: Tensor) -> Rollout | None:
    """Return where a network looks in an image, (1, C, S, S), in evaluation mode.

    None of networks without attention from all patches to all, of those with a network for each
    label column, and where attention is not computed by torch's function for it.
    """
    weights = [] if isinstance(model, Separate) else _weigh_layers(model, image)
    if not weights:
        return None
    tokens = len(weights[0][0])
    side = math.isqrt(tokens)
    others = tokens - side**2  # before the patches: of the class, and registers
    pooled = not others or getattr(model, "global_pool", "token") == "avg"

    def ask(mixed: Tensor) -> Array:
        seen = mixed[others:].mean(0) if pooled else mixed[0]
        shares: Array = seen[others:].view(side, side).cpu().numpy()
        return shares

    return Rollout(len(weights), ask(roll_out(weights)), [ask(head) for head in weights[-1]])


def roll_out(weights: Sequence[Tensor]) -> Tensor:
    """Return how much of each token at the beginning is in each at the end, (tokens, tokens).

    Args:
        weights: of each layer, (heads, tokens, tokens), with rows that add to 1; so do the rows of
            what is returned.
    """
    own = torch.eye(weights[0].shape[-1], device=weights[0].device)
    mixed = own
    for each in weights:
        mixed = (each.mean(0) + own) / 2 @ mixed
    return mixed


class _Watch(TorchFunctionMode):
    """Notes the weights of the attention that is computed inside the block, layer by layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Compute what is asked for."""
        options = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            self.weights.append(weigh(args[0], args[1], options.get("scale")))
        if func is functional.multi_head_attention_forward:  # of torchvision's
            options |= {"need_weights": True, "average_attn_weights": False}
            found: Any = func(*args, **options)
            self.weights.append(found[1])
            return found
        return func(*args, **options)


def weigh(queries: Tensor, keys: Tensor, scale: float | None = None) -> Tensor:
    """Return how much each token takes from each, (..., tokens, tokens), in rows that add to 1.

    Args:
        queries: (..., tokens, length).
        keys: likewise.
        scale: of their inner products; 1 / sqrt(length) when None.
    """
    scale = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    return (queries @ keys.transpose(-2, -1) * scale).softmax(-1)


def _weigh_layers(model: nn.Module, image: Tensor) -> list[Tensor]:
    """Return the attention of each layer, (heads, tokens, tokens); [] where it is not of all."""
    asked = image.clone().requires_grad_()  # or torch's own attention would take a shorter way
    with torch.enable_grad(), _Watch() as watch:
        model.forward(asked)
    shapes = {each.shape for each in watch.weights}
    if len(shapes) != 1 or watch.weights[0].ndim != 4 or len(watch.weights[0]) != 1:
        return []  # none, or in windows, or of fewer tokens from layer to layer
    return [each[0].detach().float() for each in watch.weights]
