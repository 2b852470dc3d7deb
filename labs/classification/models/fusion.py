"""Late fusion: each sense becomes a vector, and what is side by side is told classes from.

The image network is one of the others with a head as wide as the vector: its last layer, made for
classes that it will not tell, is the one that makes the vector. Senses meet only behind that, in a
layer of their own (a linear one would let a number and a category add up, and never depend on one
another). Ngiam et al. 2011, "Multimodal deep learning", train with senses left out as here; the
draws for each sample are those of Neverova et al. 2015, "ModDrop: adaptive multi-modal gesture
recognition".
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

WIDTH = 64  # numbers in the vector of a sense
IMAGE = "image"


class Sense(NamedTuple):
    """A sense beside the image, as it comes: whether it is there, 1 or 0, and then its numbers."""

    name: str
    encoder: nn.Module  # from numbers (B, size) to a vector (B, WIDTH)
    size: int


class Number(nn.Module):
    """A standardized number (B, 1) as a vector; its logarithm beside it bends what lies far out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, values: Tensor) -> Tensor:
        """Return vectors (B, WIDTH)."""
        bent = values.sign() * values.abs().log1p()
        found: Tensor = self.layers(torch.cat([values, bent], 1))
        return found


class Category(nn.Module):
    """The number of a category, (B, 1), as a vector that is learned for it."""

    def __init__(self, categories: int):
        super().__init__()
        self.table = nn.Embedding(categories, WIDTH)

    def forward(self, values: Tensor) -> Tensor:
        """Return vectors (B, WIDTH)."""
        found: Tensor = self.table(values[:, 0].long())
        return found


class Text(nn.Module):
    """The numbers of the pieces of a text, from 1 on and 0 behind them, as the mean of vectors.

    Joulin et al. 2016, "Bag of tricks for efficient text classification".
    """

    def __init__(self, pieces: int):
        super().__init__()
        self.table = nn.Embedding(1 + pieces, WIDTH, padding_idx=0)

    def forward(self, values: Tensor) -> Tensor:
        """Return vectors (B, WIDTH) of (B, L)."""
        found: Tensor = self.table(values.long()).sum(1)
        return found / (values > 0).sum(1, keepdim=True).clamp(min=1)


class LateFusion(nn.Module):
    """An image network and the encoders of other senses, each a vector, behind one another.

    The vector of a sense that a sample lacks is one that is learned. In training each sense of a
    sample is dropped, as if it lacked it, with a probability; never all that it has.

    Args:
        image: from images to vectors (B, WIDTH); None for a network that sees no image.
        senses: the others, in the order of their numbers.
        outputs: logits, or 1 where a number is predicted.
        dropout: the probability.
        shown: names of the senses that it gets; the numbers of the others are passed over.
    """

    def __init__(
        self,
        image: nn.Module | None,
        senses: Sequence[Sense],
        outputs: int,
        dropout: float,
        shown: Collection[str],
    ):
        super().__init__()
        self._sizes = [1 + sense.size for sense in senses]
        self._places = [place for place, sense in enumerate(senses) if sense.name in shown]
        used = [senses[place] for place in self._places]
        self.names = [*([] if image is None else [IMAGE]), *(sense.name for sense in used)]
        self.image = image
        self.encoders = nn.ModuleList(sense.encoder for sense in used)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in self.names)
        self.missing = nn.Parameter(torch.zeros(len(self.names), WIDTH))
        self.join = nn.Linear(len(self.names) * WIDTH, 2 * WIDTH)
        self.head = nn.Linear(2 * WIDTH, outputs)
        self.dropout = dropout
        self._hidden: tuple[str, ...] = ()

    @property
    def networks(self) -> list[nn.Module]:
        """The network of images, if there is one."""
        return [] if self.image is None else [self.image]

    @contextlib.contextmanager
    def hidden(self, names: Sequence[str]) -> Iterator[None]:
        """Let senses be missing in all samples, inside the block."""
        before, self._hidden = self._hidden, tuple(names)
        try:
            yield
        finally:
            self._hidden = before

    def forward(self, inputs: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Return outputs for images, or for images with the numbers of other senses.

        Args:
            inputs: images (B, C, H, W), of which all other senses are missing; or beside them
                (B, D): of each sense whether it is there, then its numbers.
        """
        images, numbers = inputs if isinstance(inputs, tuple) else (inputs, None)
        if numbers is None:
            numbers = torch.zeros(len(images), sum(self._sizes), device=images.device)
        parts = torch.split(numbers, self._sizes, 1)
        vectors, there = [], []
        if self.image is not None:
            vectors.append(self.image(images))
            there.append(torch.ones(len(images), dtype=torch.bool, device=images.device))
        for place, encoder in zip(self._places, self.encoders, strict=True):
            vectors.append(encoder(parts[place][:, 1:]))
            there.append(parts[place][:, 0] > 0)
        kept = self._keep(torch.stack(there, 1))
        joined = torch.stack(
            [norm(vector) for norm, vector in zip(self.norms, vectors, strict=True)], 1
        )
        joined = torch.where(kept[..., None], joined, self.missing.to(joined.dtype))
        found: Tensor = self.head(torch.relu(self.join(joined.flatten(1))))
        return found

    def _keep(self, there: Tensor) -> Tensor:
        """Return which senses a sample is told by, (B, S), of those that are there."""
        if self._hidden:
            shown = [name not in self._hidden for name in self.names]
            there = there & torch.tensor(shown, device=there.device)
        if not self.training or not self.dropout:
            return there
        draws = torch.rand(there.shape, device=there.device).masked_fill(~there, -1)
        last = torch.zeros_like(there).scatter(1, draws.argmax(1, keepdim=True), True)
        return there & ((draws >= self.dropout) | last)
