"""lite0-yolo: the grid of tiny-yolo on a network that has learned to see from ImageNet.

A hundred photos teach no network to see from nothing. So the trunk is EfficientNet-Lite0 (Tan and
Le 2019, "EfficientNet"), with its weights from ImageNet, and only what stands behind it is new:

    fine     what the trunk sees in cells of 16 pixels: edges and parts
    coarse   what it sees in cells of 32 pixels: things; laid over the fine grid
    mix      both together, with their neighbors
    head     what tiny-yolo's cells say

How a box is decoded, who answers for an object, and the loss are those of `tiny_yolo`.

Statistics that batch normalization learned from a million images are better than those of batches
of eight photos, so they stay as they are, and are part of the convolutions before them: the trunk
has no normalization, and an update takes three quarters of the time.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from common.images import efficientnet_lite
from labs.detection.models.tiny_yolo import conv, grid_head

STEM = 32
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of each stage: blocks, kernel, stride of the first block, expansion, channels."""
FINE = 6
"""Children of the trunk, the stem among them, up to the cells of 16 pixels."""
COARSE = 32
"""Pixels of the largest cells of the trunk, of which the side of an image is a multiple."""
FROZEN = 3
"""The first children of the trunk, which see edges and colors and do not train."""
WIDTH = 128
"""Channels between the trunk and the head."""

_EPSILON = 1e-3  # of the batch normalization that is part of the convolutions


class Convolution(nn.Conv2d):
    """A convolution that keeps the size, or halves it, as TensorFlow pads: more below and right."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ):
        low, high = (kernel - stride) // 2, (kernel - stride + 1) // 2
        padding = low if low == high else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)
        self._edges = (low, high, low, high) if low != high else None

    def reset_parameters(self) -> None:
        """Draw weights for ReLUs without normalization (He et al. 2015, "Delving deep")."""
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        return super().forward(functional.pad(inputs, self._edges) if self._edges else inputs)


class Block(nn.Module):
    """Widen the channels, look around in each, narrow them: MBConv (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        widen = [Convolution(inputs, inner), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            Convolution(inner, inner, kernel, stride, groups=inner),
            nn.ReLU6(inplace=True),
            Convolution(inner, outputs),
        )
        self.skips = stride == 1 and inputs == outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        changed: Tensor = self.layers(inputs)
        return inputs + changed if self.skips else changed


class Lite0Yolo(nn.Module):
    """From images (B, 3, S, S) in [0, 1] to the grid (B, 5 A + C, S/16, S/16) of `tiny_yolo`.

    Args:
        classes: C.
        anchors: (width, height) in pixels of each of the A anchors.
    """

    anchors: Tensor
    stride = 16

    def __init__(self, classes: int, anchors: Sequence[Sequence[float]]):
        super().__init__()
        self.register_buffer("anchors", torch.tensor(anchors, dtype=torch.float32))
        self.trunk = trunk()
        self.fine, self.coarse = (conv(STAGES[row][-1], WIDTH, 1) for row in (FINE - 2, -1))
        self.mix = conv(WIDTH, WIDTH)
        self.head = grid_head(WIDTH, len(anchors), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the grids of images."""
        parts = self.trunk[:FINE]((images - efficientnet_lite.MEAN) / efficientnet_lite.STD)
        things = self.coarse(self.trunk[FINE:](parts))
        seen = self.fine(parts) + functional.interpolate(things, scale_factor=2.0)
        grid: Tensor = self.head(self.mix(seen))
        return grid


def trunk() -> nn.Sequential:
    """Return the stem and the stages of EfficientNet-Lite0, with random weights."""
    return nn.Sequential(*_stages())


def _stages() -> Iterator[nn.Module]:
    yield nn.Sequential(Convolution(3, STEM, 3, 2), nn.ReLU6(inplace=True))
    width = STEM
    for blocks, kernel, stride, expansion, channels in STAGES:
        first = Block(width, channels, kernel, stride, expansion)
        others = (Block(channels, channels, kernel, 1, expansion) for _ in range(blocks - 1))
        yield nn.Sequential(first, *others)
        width = channels


@torch.no_grad()
def start(model: Any, tensors: Mapping[str, Tensor]) -> str:
    """Give a model's `trunk` EfficientNet-Lite0's weights, and freeze its start.

    They go by the names that its package has for them.

    Normalizations become part of the convolutions before them. Both list their convolutions from
    the image on; those behind the trunk are left out.

    Returns:
        A line that says what was taken, and what trains.
    """
    names = list(tensors)
    own = [module for module in model.trunk.modules() if isinstance(module, Convolution)]
    theirs = [at for at, name in enumerate(names) if tensors[name].ndim == 4]
    for convolution, at in zip(own, theirs, strict=False):
        scale, shift, mean, variance = (tensors[name] for name in names[at + 1 : at + 5])
        kernel = tensors[names[at]]
        weight, bias = fuse_conv_bn_weights(kernel, None, mean, variance, _EPSILON, scale, shift)
        convolution.weight.copy_(weight)
        convolution.bias.copy_(bias)  # type: ignore[union-attr]
    model.trunk[:FROZEN].requires_grad_(False)
    return (
        f"the trunk of {len(own)} convolutions is EfficientNet-Lite0 as ImageNet taught it; its "
        f"first {FROZEN} stages stay so"
    )
