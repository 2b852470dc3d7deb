"""The sentiment classifiers: plain modules from texts to logits.

A text is `Text(tokens, grams)`, both `Padded`: numbers of its words (B, T), where 0 is padding and
1 an unknown word, and numbers of its n-grams (B, G), where 0 is padding. A model is made of parts,
each with an answer of its own: logits are (B, parts, classes), and `Classifier.answer` averages.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.training.sequences import Padded
from labs.rnn.grams import ROWS
from labs.rnn.recurrent import POOLS, Recurrent, truncated
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.words import PAD, UNKNOWN

BAG_SHARE = 2 / 3  # of the answer, beside networks, until a better one is found
_TINY = 1e-12
BAG_SCALE = 3.0  # Adam's steps have one size for all weights; those of n-grams then count thrice


class Text(NamedTuple):
    """A batch of texts."""

    tokens: Padded
    grams: Padded


class Member(nn.Module):
    """Word vectors, recurrent layers, a pool over the text, and a linear layer.

    Args:
        embedding: from token numbers (B, T) to vectors (B, T, E).
        recurrent: from word vectors to states.
        pool: one of `POOLS`.
        classes: number of logits.
        dropout: of word vectors and of the pooled state, while training.
        word_dropout: share of words that are taken as unknown while training.
        truncate: steps that a gradient reaches back; None for all.
    """

    def __init__(
        self,
        embedding: nn.Module,
        recurrent: Recurrent,
        pool: str,
        classes: int,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        truncate: int | None = None,
    ):
        super().__init__()
        self.embedding, self.recurrent = embedding, recurrent
        self.word_dropout, self.truncate = word_dropout, truncate
        self.pool = POOLS[pool](recurrent.output_size, recurrent.directions)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(recurrent.output_size, classes)

    def forward(self, tokens: Padded) -> Tensor:
        """Return logits (B, classes)."""
        return self.read(self.embed(tokens), tokens.lengths)

    def embed(self, tokens: Padded) -> Tensor:
        """Return word vectors (B, T, E)."""
        values = tokens.values
        if self.training and self.word_dropout:
            gone = torch.rand(values.shape, device=values.device) < self.word_dropout
            values = values.masked_fill(gone & (values != PAD), UNKNOWN)
        vectors: Tensor = self.embedding(values)
        return vectors

    def read(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, classes) from word vectors (B, T, E)."""
        x = self.dropout(vectors)
        if self.truncate is None or not self.training:  # where gradients explain, they reach all
            states, _ = self.recurrent(x, lengths, need_cell=False)
        else:
            states, _ = truncated(self.recurrent, x, self.truncate, lengths)
        logits: Tensor = self.head(self.dropout(self.pool(states, lengths)))
        return logits


class NGramBag(nn.Module):
    """A linear model on a text's n-grams: each adds its own logits; their order is lost.

    It begins with zeros. An n-gram counts 1, or what `put` gives, and the sum is divided by the
    root of the sum of the squares of these, so that texts of all lengths have logits of about one
    size. A share `dropout` of the n-grams is left out while training.
    """

    counts: Tensor

    def __init__(self, classes: int, dropout: float = 0.0):
        super().__init__()
        self.dropout = dropout
        self.bag = nn.EmbeddingBag(ROWS, classes, mode="sum", padding_idx=PAD)
        nn.init.zeros_(self.bag.weight)
        self.bias = nn.Parameter(torch.zeros(classes))
        self.register_buffer("counts", torch.ones(ROWS))

    @property
    def fitted(self) -> bool:
        """Whether it is fitted as a whole, not trained by gradients."""
        return not self.bias.requires_grad

    def forward(self, grams: Padded) -> Tensor:
        """Return logits (B, classes)."""
        values = grams.values
        if self.training and self.dropout:
            gone = torch.rand(values.shape, device=values.device) < self.dropout
            values = values.masked_fill(gone, PAD)
        squares = self.counts[values].square().masked_fill(values == PAD, 0)
        norm = squares.sum(1, keepdim=True).clamp(min=_TINY).sqrt()
        logits: Tensor = self.bag(values) * (BAG_SCALE / norm) + self.bias
        return logits

    @torch.no_grad()
    def put(self, weights: Tensor, bias: Tensor, counts: Tensor) -> None:
        """Take the weights of a linear model.

        Args:
            weights: (ROWS, classes), of n-grams that count 1.
            bias: (classes,).
            counts: (ROWS,) how much each n-gram counts.
        """
        self.counts.copy_(counts)
        self.bag.weight.copy_(weights * counts[:, None] / BAG_SCALE)
        self.bias.copy_(bias)

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        state.setdefault(f"{prefix}counts", torch.ones(ROWS))  # of runs before there were weights
        super()._load_from_state_dict(state, prefix, *args)


class Classifier(nn.Module):
    """Recurrent networks and a linear model on n-grams, side by side.

    Networks that differ in their first weights and in what dropout hides from them err in different
    places, so their mean errs less (Hansen and Salamon 1990, "Neural network ensembles"). The
    n-grams are the wide part of Cheng et al. 2016, "Wide & deep learning for recommender systems";
    here each part learns by its own loss, not by that of the sum.

    Attributes:
        bag: n-grams that count by their rarity.
        ratios: n-grams that count by how unequally classes have them.
        share: the weight of the n-grams in the answer, from 0 to 1; it is chosen after training.
    """

    share: Tensor

    def __init__(
        self, members: Sequence[Member], bag: NGramBag | None, ratios: NGramBag | None = None
    ):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.bag, self.ratios = bag, ratios
        self.register_buffer("share", torch.tensor(BAG_SHARE), persistent=False)

    def forward(self, text: Text) -> Tensor:
        """Return the logits of each part, (B, parts, classes); in training, of those that learn."""
        parts = [member(text.tokens) for member in self.members]
        for bag in (self.bag, self.ratios):
            if bag is not None and not (self.training and bag.fitted):
                parts.append(bag(text.grams))
        return torch.stack(parts, 1)

    def answer(self, logits: Tensor) -> Tensor:
        """Return log-probabilities, up to a constant, (B, classes), from logits; see `mix`."""
        return self.mix(logits.float().log_softmax(-1))

    def mix(self, each: Tensor) -> Tensor:
        """Return the mean (B, outputs) of what all parts say, (B, parts, outputs).

        That of networks is the mean of theirs; n-grams have their share beside it.
        """
        networks, bags = each[:, : len(self.members)], each[:, len(self.members) :]
        if self.bag is None:
            return networks.mean(1)
        if not len(self.members):
            return bags.mean(1)
        share = self.share.to(each.device)
        return (1 - share) * networks.mean(1) + share * bags.mean(1)

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        if f"{prefix}ratios.bias" not in state:  # runs before there were two of them
            self.ratios = None
        super()._load_from_state_dict(state, prefix, *args)


class OneHot(nn.Module):
    """Words as unit vectors: the layer above has a weight of its own for each of so many words."""

    def __init__(self, words: int):
        super().__init__()
        self.words = words

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, T, words): 1 where the word is, all 0 for padding."""
        vectors = F.one_hot(tokens, self.words).float()
        return vectors * (tokens != PAD)[..., None]


def build(
    config: SentimentConfig, words: int, classes: int, kind: type[Classifier] = Classifier
) -> Classifier:
    """Return an untrained model over a vocabulary of so many words, for so many classes.

    Each part has as many outputs; `kind` is what answers with them.
    """
    bag = NGramBag(classes, config.gram_dropout) if config.reads_grams else None
    if config.encoding == "n-gram-bag":
        return kind([], bag)
    ratios = None
    if bag is not None:  # both are fitted as a whole
        bag.requires_grad_(False)
        ratios = NGramBag(classes).requires_grad_(False)
    one_hot = config.encoding == "one-hot"
    size = words if one_hot else config.embedding_size
    members = [
        Member(
            OneHot(words) if one_hot else _embedding(words, size, config.freeze_vectors),
            Recurrent(
                config.cell,
                size,
                config.hidden_size,
                layers=config.layers,
                bidirectional=config.bidirectional,
                dropout=config.dropout,
                orthogonal=config.orthogonal,
            ),
            config.pool,
            classes,
            config.dropout,
            config.word_dropout,
            config.truncate,
        )
        for _ in range(config.members)
    ]
    return kind(members, bag, ratios)


def _embedding(words: int, size: int, frozen: bool) -> nn.Embedding:
    """Return word vectors that begin small, so that what a rare word began as is soon gone."""
    embedding = nn.Embedding(words, size, padding_idx=PAD)
    embedding.weight.data.mul_(0.1)
    return embedding.requires_grad_(not frozen)
