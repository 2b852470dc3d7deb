"""Pictures of scenes with their captions, as tensors."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.card import DataCard
from common.errors import DataError
from common.steps import step
from labs.classification.contrastive import drawings
from labs.classification.contrastive.config import ContrastConfig
from labs.classification.contrastive.drawings import Scene

SPLITS = ("train", "validation", "test")
OTHER = "?"  # stands for words that are in hardly any training caption
_LONGEST = 64  # words of a caption that are read
_NAMED = 30  # known words in a message
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pictures with captions."""

    images: Tensor  # uint8 (N, 3, S, S)
    tokens: Tensor  # int64 (N, T): numbers of the words, 0 behind the last
    keys: Tensor  # int64 (N,): equal for scenes that look the same
    scenes: Sequence[Scene]  # those that were drawn; () of a user's own images
    captions: Sequence[str]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.captions)


@dataclass(frozen=True)
class ContrastCard(DataCard):
    """The card of captioned scenes."""

    words: tuple[str, ...]
    image_size: int
    channels: int = 3


def load(config: ContrastConfig) -> tuple[dict[str, Pairs], ContrastCard]:
    """Draw the scenes of all splits, with their card."""
    words = drawings.vocabulary(config.language)
    with step("drawing scenes"):
        splits = {name: make(config, name, words) for name in SPLITS}
    digest = hashlib.sha256()
    for split in splits.values():
        digest.update(split.images.numpy().tobytes() + "\n".join(split.captions).encode())
    counts = {name: len(split) for name, split in splits.items()}
    side = config.image_size
    source = (
        f"drawn scenes {drawings.VERSION} of {side}x{side} pixels, captions in "
        f"{config.language.capitalize()}; half of the test has groups never trained on"
    )
    return splits, ContrastCard(source, counts, (), digest.hexdigest(), words, config.image_size)


def make(config: ContrastConfig, name: str, words: Sequence[str]) -> Pairs:
    """Draw the scenes of a split, see `drawings.choose`."""
    scenes = drawings.choose(config.split_seed, name, config.scenes)
    captions = [drawings.tell(scene, config.language) for scene in scenes]
    images = drawings.draw_all(scenes, config.image_size, config.split_seed, name)
    keys = torch.tensor([scene.key for scene in scenes])
    return Pairs(torch.from_numpy(images), encode(captions, words), keys, scenes, captions)


def cut(caption: str) -> list[str]:
    """Return the words of a caption, in lower case."""
    return _WORD.findall(unicodedata.normalize("NFC", caption).lower())[:_LONGEST]


def encode(captions: Sequence[str], words: Sequence[str], *, strict: bool = True) -> Tensor:
    """Return the numbers of the words of captions, from 1 on, (N, T) int64; 0 stands behind them.

    Args:
        captions: what is read.
        words: those that are known.
        strict: whether others are refused; else they become `OTHER`, which is to be known.

    Raises:
        DataError: a caption has no word, or some that are not known.
    """
    numbers = {word: number for number, word in enumerate(words, 1)}
    found = []
    for caption in captions:
        told = [word if strict or word in numbers else OTHER for word in cut(caption)]
        if not told:
            raise DataError("a caption is empty; describe a picture, such as: two red circles")
        if unknown := [word for word in told if word not in numbers]:
            raise DataError(
                f"{caption!r}: the run never saw {', '.join(map(repr, unknown))}; it knows "
                f"{_list_known(words)}"
            )
        found.append(torch.tensor([numbers[word] for word in told]))
    return torch.nn.utils.rnn.pad_sequence(found, batch_first=True)


def _list_known(words: Sequence[str]) -> str:
    known = [word for word in words if word != OTHER]
    more = f" and {len(known) - _NAMED:,} more" if len(known) > _NAMED else ""
    return f"{', '.join(known[:_NAMED])}{more}"
