"""Vision transformers for small images, by hand: a plain one, and three convolutional ways.

An image becomes a grid of tokens (rows, columns, width), of which each stands for a patch. In a
block each token takes what it wants from all others (attention), and then a small network sees it
alone. The mean of the tokens is classified. Nothing in this says where a patch was: to attention,
tokens are a set. What tells it is chosen by the row of `DESIGNS`, and so is how patches are made.

The grid follows the size of the images, so a network trained at one size goes through at others.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTH, _HEADS, _BLOCKS = 48, 3, 3
_WIDER = 2  # times the width: the hidden units of a block
_GRID = 8  # patches along a side, at most


class Design(NamedTuple):
    """What a vision transformer makes of an image before its first block."""

    patches: str  # apart, overlapping, or of a convolutional stem
    position: str  # embeddings, convolution, or none


DESIGNS = {
    "small-vit": Design("apart", "embeddings"),
    "small-vit-no-position": Design("apart", "none"),
    "small-vit-overlap": Design("overlapping", "embeddings"),
    "small-vit-conv-stem": Design("stem", "embeddings"),
    "small-vit-conv-position": Design("apart", "convolution"),
    "small-vit-conv": Design("stem", "convolution"),
}
"""The plain one (Dosovitskiy et al. 2021), and what each of the others has in place of a part."""


def vit(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a small vision transformer: three blocks, tokens of 48 numbers, three heads.

    Dosovitskiy et al. 2021, "An image is worth 16x16 words", with two differences: the mean of the
    tokens is classified, there a token of its own; and hidden layers are twice as wide as tokens,
    there four times. A patch has a power of two of pixels a side, so many that 5 to 8 of them make
    a side of the image: 4 pixels of 28 or 32, 8 of 64. That is fixed; images of another size have
    more patches, or fewer.
    """
    design, patch = DESIGNS[name], find_patch(image_size)
    makers = {"apart": Patches, "overlapping": OverlappingPatches, "stem": Stem}
    side = math.ceil(image_size / patch)
    positions: dict[str, nn.Module] = {}
    if design.position == "embeddings":
        positions["position"] = PositionEmbeddings(side, _WIDTH)
    elif design.position == "convolution":
        positions["position"] = PositionConvolution(_WIDTH)
    blocks = {f"block{number}": Block(_WIDTH, _HEADS) for number in range(1, _BLOCKS + 1)}
    return nn.Sequential(
        OrderedDict(
            patches=makers[design.patches](channels, _WIDTH, patch),
            **positions,
            **blocks,
            norm=nn.LayerNorm(_WIDTH),
            mean=Mean(),
            head=nn.Linear(_WIDTH, classes),
        )
    )


def find_patch(image_size: int) -> int:
    """Return the side of a patch in pixels: the smallest power of two that gives 8 or fewer."""
    return max(2, 1 << math.ceil(math.log2(max(1, image_size / _GRID))))


# --- from an image to tokens --------------------------------------------------------------------


class Patches(nn.Module):
    """Cuts an image into patches that do not overlap, and takes each through a linear layer.

    (N, channels, H, W) -> (N, ceil(H / patch), ceil(W / patch), width). Where patches do not fill a
    side, zeros around the image do: the mean of the training images.
    """

    def __init__(self, channels: int, width: int, patch: int):
        super().__init__()
        self.projection = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """Return the grid of tokens."""
        patch = self.projection.kernel_size[0]
        height, width = (-int(side) % patch for side in images.shape[2:])
        if height or width:
            border = (width // 2, width - width // 2, height // 2, height - height // 2)
            images = functional.pad(images, border)
        return _to_grid(self.projection(images))


class OverlappingPatches(nn.Module):
    """Takes patches that overlap by nearly half: a convolution whose stride is below its kernel.

    Wu et al. 2021, "CvT: Introducing convolutions to vision transformers", section 3.1 (7x7 pixels
    in steps of 4). Shapes are those of `Patches`.
    """

    def __init__(self, channels: int, width: int, patch: int):
        super().__init__()
        kernel = 2 * patch - 1
        self.projection = nn.Conv2d(channels, width, kernel, stride=patch, padding=patch - 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the grid of tokens."""
        return _to_grid(self.projection(images))


class Stem(nn.Module):
    """Makes tokens by 3x3 convolutions of stride 2, each with batch norm and ReLU, and one of 1x1.

    Xiao et al. 2021, "Early convolutions help transformers see better", section 4: for a patch of
    2**n pixels n convolutions, each of twice the maps of the one before. Shapes are those of
    `Patches`.
    """

    def __init__(self, channels: int, width: int, patch: int):
        super().__init__()
        count = int(math.log2(patch))
        layers: list[nn.Module] = []
        for number in range(count):
            maps = max(8, width // 2 ** (count - 1 - number))
            layers += [
                nn.Conv2d(channels, maps, kernel_size=3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(maps),
                nn.ReLU(),
            ]
            channels = maps
        self.convolutions = nn.Sequential(*layers)
        self.projection = nn.Conv2d(channels, width, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the grid of tokens."""
        return _to_grid(self.projection(self.convolutions(images)))


def _to_grid(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1)


# --- where a token is ---------------------------------------------------------------------------


class PositionEmbeddings(nn.Module):
    """Adds a learned vector of its place to each token.

    Of grids with another side than the trained one the vectors are interpolated (bicubic), as if
    they were the pixels of an image (section 3.2 of the paper).
    """

    def __init__(self, side: int, width: int):
        super().__init__()
        self.embeddings = nn.Parameter(torch.empty(1, side, side, width))
        nn.init.trunc_normal_(self.embeddings, std=0.02)

    def forward(self, grid: Tensor) -> Tensor:
        """Return tokens that know their places."""
        return grid + self.at(int(grid.shape[1]), int(grid.shape[2]))

    def at(self, rows: int, columns: int) -> Tensor:
        """Return the vectors of a grid, (1, rows, columns, width)."""
        return interpolate(self.embeddings, rows, columns)


def interpolate(embeddings: Tensor, rows: int, columns: int) -> Tensor:
    """Return vectors (1, side, side, width) for a grid of another size, or as they are."""
    if embeddings.shape[1:3] == (rows, columns):
        return embeddings
    maps = embeddings.permute(0, 3, 1, 2)
    return _to_grid(functional.interpolate(maps, (rows, columns), mode="bicubic"))


def fit_positions(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict whose position embeddings are those of a model's own size.

    Of other models than those of this module the state comes back as it is.
    """
    fitted = dict(state)
    for name, module in model.named_modules():
        key = f"{name}.embeddings"
        if isinstance(module, PositionEmbeddings) and key in fitted:
            side = module.embeddings.shape[1]
            fitted[key] = interpolate(fitted[key], side, side)
    return fitted


class PositionConvolution(nn.Module):
    """Adds a depthwise 3x3 convolution of the grid to it: a token knows what is beside it.

    Chu et al. 2021, "Conditional positional encodings for vision transformers", section 3.3. The
    zeros around the grid tell where its border is (Islam et al. 2020). There is nothing to
    interpolate: it goes through at any size.
    """

    def __init__(self, width: int):
        super().__init__()
        self.convolution = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)

    def forward(self, grid: Tensor) -> Tensor:
        """Return tokens that know what is around them."""
        return grid + _to_grid(self.convolution(grid.permute(0, 3, 1, 2)))


# --- what tokens make of each other -------------------------------------------------------------


class Block(nn.Module):
    """Adds to each token what it takes from all of them, then what a small network makes of it.

    Both see normalized tokens, (N, rows, columns, width).
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        hidden = _WIDER * width
        self.network = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, grid: Tensor) -> Tensor:
        """Return the tokens of the block."""
        grid = grid + self.attention(self.norm1(grid))
        added: Tensor = grid + self.network(self.norm2(grid))
        return added


class Attention(nn.Module):
    """Lets each token take a weighted mean of what all tokens give, once in each head.

    Vaswani et al. 2017, "Attention is all you need", section 3.2. The weight of a token is the
    softmax, over all tokens, of the inner product of its key with the query, divided by the root of
    their length.

    Args:
        width: of a token.
        heads: into which it is cut; each looks by itself.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, grid: Tensor) -> Tensor:
        """Return as many tokens, of what was taken."""
        cut = self.queries_keys_values(grid.flatten(1, 2)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = cut.permute(2, 0, 3, 1, 4)  # each (N, heads, tokens, length)
        taken = functional.scaled_dot_product_attention(queries, keys, values)
        given: Tensor = self.projection(taken.transpose(1, 2).flatten(2))
        return given.view(grid.shape)


class Mean(nn.Module):
    """The mean of all tokens, (N, rows, columns, width) -> (N, width)."""

    def forward(self, grid: Tensor) -> Tensor:
        """Return a vector of each image."""
        return grid.mean((1, 2))
