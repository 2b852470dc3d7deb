"""Two towers: a network that sees pictures, and one that reads captions."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LARGEST = math.log(100)  # of the logarithm of the scale, as in the paper
_SIDE = 6  # of the map that is projected, so that it is known where things are


class ImageTower(nn.Module):
    """Convolutions, and a projection that sees where on the picture what is.

    Args:
        width: channels of the first convolution.
        size: of the embedding.
    """

    def __init__(self, width: int, size: int):
        super().__init__()
        channels: Sequence[int] = (3, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for place in range(4):
            stride = 1 if place == 3 else 2
            layers += [
                nn.Conv2d(channels[place], channels[place + 1], 3, stride, 1, bias=False),
                nn.BatchNorm2d(channels[place + 1]),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers, nn.Conv2d(channels[-1], width, 1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(_SIDE)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width * _SIDE**2, 4 * size),
            nn.ReLU(),
            nn.Linear(4 * size, size),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (B, size) of uint8 images (B, 3, S, S)."""
        x = images.float() / 127.5 - 1
        found: Tensor = self.head(self.pool(self.convolutions(x)))
        return found


class TextTower(nn.Module):
    """Word vectors, a GRU, and a projection of its state after the last word.

    Args:
        words: in the vocabulary, without the padding.
        units: of the GRU.
        size: of the embedding.
    """

    def __init__(self, words: int, units: int, size: int):
        super().__init__()
        self.vectors = nn.Embedding(words + 1, units // 2 or 1, padding_idx=0)
        self.gru = nn.GRU(units // 2 or 1, units, batch_first=True)
        self.head = nn.Linear(units, size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return embeddings (B, size) of words (B, T), 0 behind the last."""
        states, _ = self.gru(self.vectors(tokens))
        last = (tokens > 0).sum(1) - 1
        found: Tensor = self.head(states[torch.arange(len(tokens), device=tokens.device), last])
        return found


class Contrastive(nn.Module):
    """Both towers, whose embeddings lie on one sphere, and the scale of their similarities.

    After Radford et al. 2021, "Learning transferable visual models from natural language
    supervision" (CLIP), section 2.3, in which the temperature, here 1 / scale, is learned too.

    Args:
        words: in the vocabulary.
        width: see `ImageTower`.
        units: see `TextTower`.
        size: of the embeddings.
        temperature: at first.
    """

    def __init__(self, words: int, width: int, units: int, size: int, temperature: float):
        super().__init__()
        self.images = ImageTower(width, size)
        self.texts = TextTower(words, units, size)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    @property
    def scale(self) -> Tensor:
        """What similarities are multiplied by."""
        return self.log_scale.clamp(max=_LARGEST).exp()

    def forward(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors (B, size) of images (B, 3, S, S), and of captions (B, T)."""
        return self.see(images), self.read(tokens)

    def see(self, images: Tensor) -> Tensor:
        """Return unit vectors (B, size) of images."""
        return F.normalize(self.images(images), dim=1)

    def read(self, tokens: Tensor) -> Tensor:
        """Return unit vectors (B, size) of captions."""
        return F.normalize(self.texts(tokens), dim=1)
