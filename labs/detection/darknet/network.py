"""The layers of a `.cfg` as plain modules, and what its heads say as boxes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from labs.detection.boxes import to_corners
from labs.detection.darknet.cfg import (
    Cfg,
    Convolutional,
    Layer,
    Maxpool,
    Route,
    Shape,
    Shortcut,
    Upsample,
    Yolo,
)

SAME_OBJECT = 0.45
"""IoU above which darknet takes two detections of one class for the same object."""

_EPSILON = 1e-5  # of batch normalization, as darknet has it on GPUs
_SLOPE = 0.1  # of leaky, below 0
_LARGEST = 10.0  # logarithm of the most that an anchor is stretched, so that no box is infinite
_PRIOR = 0.01  # objectness of every anchor before training (Lin et al. 2017, section 4.1)


class Convolution(nn.Module):
    """A convolution with what follows it."""

    def __init__(self, channels: int, row: Convolutional):
        super().__init__()
        self.conv = nn.Conv2d(
            channels,
            row.filters,
            row.size,
            row.stride,
            row.padding,
            groups=row.groups,
            bias=not row.normalize,
        )
        self.norm = nn.BatchNorm2d(row.filters, eps=_EPSILON) if row.normalize else None
        self.activation = activation(row.activation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, filters, H', W')."""
        found = self.conv(inputs)
        if self.norm is not None:
            found = self.norm(found)
        outputs: Tensor = self.activation(found)
        return outputs


class Pool(nn.Module):
    """The largest of each window, beyond the edge minus infinity.

    Darknet's `padding` is for both sides together: the smaller half comes before, so that a window
    of 2 with a stride of 1 keeps the size, and looks right and down.
    """

    def __init__(self, row: Maxpool):
        super().__init__()
        self.size, self.stride = row.size, row.stride
        before = row.padding // 2
        self.padding = (before, row.padding - before) * 2

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, C, H', W')."""
        padded = functional.pad(inputs, self.padding, value=-math.inf)
        return functional.max_pool2d(padded, self.size, self.stride)


class Joined(nn.Module):
    """Layers one after another, of each one part of its channels."""

    def __init__(self, row: Route):
        super().__init__()
        self.groups, self.group = row.groups, row.group

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the chosen channels of all inputs."""
        return torch.cat([each.chunk(self.groups, 1)[self.group] for each in inputs], 1)


class Sum(nn.Module):
    """The sum of layers of the same shape."""

    def __init__(self, row: Shortcut):
        super().__init__()
        self.activation = activation(row.activation)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the sum."""
        total = inputs[0]
        for other in inputs[1:]:
            total = total + other
        outputs: Tensor = self.activation(total)
        return outputs


class Head(nn.Module):
    """The anchors of a head; it hands on what the convolution before it says.

    Attributes:
        row: what the file says of it.
        stride: pixels from one cell to the next.
    """

    anchors: Tensor

    def __init__(self, row: Yolo, stride: int):
        super().__init__()
        self.row, self.stride = row, stride
        # They stand in the file of the network, not in that of its weights.
        self.register_buffer("anchors", torch.tensor(row.anchors), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs."""
        return inputs


def activation(name: str) -> nn.Module:
    """Return an activation by its name in a `.cfg`."""
    made: dict[str, nn.Module] = {
        "leaky": nn.LeakyReLU(_SLOPE),
        "linear": nn.Identity(),
        "logistic": nn.Sigmoid(),
        "mish": nn.Mish(),
        "relu": nn.ReLU(),
        "swish": nn.SiLU(),
    }
    return made[name]


class Darknet(nn.Module):
    """A network of a `.cfg`, from images (B, 3, S, S) in [0, 1] to what each head says.

    Args:
        cfg: what the file says.
        size: S.

    Attributes:
        cfg: what the file says.
        layers: a module for each layer, by darknet's numbers.
        stride: pixels of the coarsest cell, of which S must be a multiple.

    Raises:
        ConfigError: images of this size do not go with the layers.
    """

    def __init__(self, cfg: Cfg, size: int):
        super().__init__()
        self.cfg = cfg
        strides = dict(zip([at for at, _ in cfg.heads], cfg.strides(size), strict=True))
        self.stride = max(strides.values())
        shapes: list[Shape] = [(3, size, size), *cfg.shapes(size)]
        self.layers = nn.ModuleList(
            _module(row, shapes[at][0], strides.get(at, 0)) for at, row in enumerate(cfg.layers)
        )
        self.inputs = [_inputs(row, at) for at, row in enumerate(cfg.layers)]
        self._last = {at: number for number, needed in enumerate(self.inputs) for at in needed}
        for at, row in cfg.heads:
            _expect_nothing(self.layers[at - 1], row)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what each head says, (B, A (5 + C), H, W), in the order of the file."""
        found: dict[int, Tensor] = {-1: images}
        heads = []
        for at, layer in enumerate(self.layers):
            found[at] = layer(*(found[number] for number in self.inputs[at]))
            if isinstance(layer, Head):
                heads.append(found[at])
            for number in [each for each in found if self._last.get(each, -1) <= at]:
                del found[number]  # nobody asks for it any more
        return heads

    @torch.no_grad()
    def trace(self, images: Tensor) -> list[Tensor]:
        """Return what each layer gives, by darknet's numbers."""
        found: dict[int, Tensor] = {-1: images}
        for at, layer in enumerate(self.layers):
            found[at] = layer(*(found[number] for number in self.inputs[at]))
        return [found[at] for at in range(len(self.layers))]

    @property
    def heads(self) -> list[Head]:
        """The heads, in the order of the file."""
        return [layer for layer in self.layers if isinstance(layer, Head)]


def _module(row: Layer, channels: int, stride: int) -> nn.Module:
    """Return the module of a layer; `channels` are those of the layer before."""
    match row:
        case Convolutional():
            return Convolution(channels, row)
        case Maxpool():
            return Pool(row)
        case Upsample():
            return nn.Upsample(scale_factor=row.stride, mode="nearest")
        case Route():
            return Joined(row)
        case Shortcut():
            return Sum(row)
        case Yolo():
            return Head(row, stride)


def _inputs(row: Layer, at: int) -> tuple[int, ...]:
    """Return the numbers of the layers that a layer takes; -1 are the images."""
    match row:
        case Route():
            return row.layers
        case Shortcut():
            return (at - 1, *row.layers)
        case _:
            return (at - 1,)


def _expect_nothing(layer: nn.Module, head: Yolo) -> None:
    """Let a head begin with no object in sight: most of its anchors have none."""
    assert isinstance(layer, Convolution)
    assert layer.conv.bias is not None
    bias = layer.conv.bias.data.view(len(head.mask), -1)
    bias[:, 4] = math.log(_PRIOR / (1 - _PRIOR))


class Said(NamedTuple):
    """What the anchors of a head say, N = A H W of them: by anchor, then row by row."""

    raw: Tensor  # (B, N, 5 + C) float32, as the convolution gives them
    boxes: Tensor  # (B, N, 4) corners in pixels


def decode(head: Head, raw: Tensor) -> Said:
    """Return what a head (B, A (5 + C), H, W) says.

        center x = stride (column + s sigmoid(x) - (s - 1)/2)     width  = anchor width  exp(w)
        center y = stride (row    + s sigmoid(y) - (s - 1)/2)     height = anchor height exp(h)

    They are the formulas of YOLOv2 (Redmon and Farhadi 2017, section 2), with s the `scale_x_y` of
    YOLOv4 (Bochkovskiy et al. 2020, section 3.4), by which a center reaches the edge of its cell.
    """
    row, (height, width) = head.row, raw.shape[2:]
    numbers = raw.float().view(-1, len(row.mask), 5 + row.classes, height, width)
    numbers = numbers.movedim(2, -1)
    rows, columns = (torch.arange(size, device=raw.device) for size in (height, width))
    cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # (H, W, 2): x, y
    inside = row.scale_xy * numbers[..., :2].sigmoid() - (row.scale_xy - 1) / 2
    anchors = head.anchors[list(row.mask)][:, None, None]
    sizes = anchors * numbers[..., 2:4].clamp(-_LARGEST, _LARGEST).exp()
    boxes = to_corners(torch.cat([head.stride * (cells + inside), sizes], -1))
    return Said(numbers.flatten(1, 3), boxes.flatten(1, 3))


def boxes_and_scores(model: Darknet, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what every anchor of every head says of images (B, 3, S, S).

    Returns:
        Boxes (B, N, 4) in pixels, cut off at the border, and scores (B, N, C): objectness x
        probability of the class, each by itself.
    """
    said = [decode(head, raw) for head, raw in zip(model.heads, model(images), strict=True)]
    boxes, scores = _together(said)
    return boxes.clamp(0, images.shape[-1]), scores


def _together(said: Sequence[Said]) -> tuple[Tensor, Tensor]:
    scores = [each.raw[..., 4:5].sigmoid() * each.raw[..., 5:].sigmoid() for each in said]
    return torch.cat([each.boxes for each in said], 1), torch.cat(scores, 1)
