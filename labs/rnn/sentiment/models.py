"""The sentiment classifiers: plain modules from padded token numbers to logits.

Tokens are `Padded(values (B, T) int64, lengths (B,))`; token 0 is padding, 1 an unknown word.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.data import Padded
from labs.rnn.recurrent import POOLS, Recurrent, inside, truncated
from labs.rnn.sentiment.config import SentimentConfig

_BUCKETS = 2**16  # of hashed bigrams


class Classifier(nn.Module):
    """Word vectors, recurrent layers, a pool over the text, and a linear layer.

    Args:
        embedding: from token numbers (B, T) to vectors (B, T, E).
        recurrent: from vectors to states.
        pool: from states to one vector.
        classes: number of logits.
        dropout: of word vectors and of the pooled state, while training.
        truncate: steps that a gradient reaches back; None for all.
    """

    def __init__(
        self,
        embedding: nn.Module,
        recurrent: Recurrent,
        pool: str,
        classes: int,
        dropout: float = 0.0,
        truncate: int | None = None,
    ):
        super().__init__()
        self.embedding, self.recurrent, self.truncate = embedding, recurrent, truncate
        self.pool = POOLS[pool](recurrent.output_size, recurrent.directions)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(recurrent.output_size, classes)

    def forward(self, tokens: Padded) -> Tensor:
        """Return logits (B, classes)."""
        return self.classify(self.embed(tokens), tokens.lengths)

    def embed(self, tokens: Padded) -> Tensor:
        """Return word vectors (B, T, E)."""
        vectors: Tensor = self.embedding(tokens.values)
        return vectors

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, classes) from word vectors (B, T, E)."""
        x = self.dropout(vectors)
        if self.truncate is None:
            states, _ = self.recurrent(x, lengths, need_cell=False)
        else:
            states, _ = truncated(self.recurrent, x, self.truncate, lengths)
        logits: Tensor = self.head(self.dropout(self.pool(states, lengths)))
        return logits


class OneHot(nn.Module):
    """Words as unit vectors: the layer above has a weight of its own for each word.

    Args:
        words: size of the vocabulary.
    """

    def __init__(self, words: int):
        super().__init__()
        self.words = words

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, T, words): 1 where the word is, all 0 for padding."""
        vectors = F.one_hot(tokens, self.words).float()
        return vectors * (tokens > 0)[..., None]


class NGramBag(nn.Module):
    """The mean of the vectors of a text's words and bigrams, and a linear layer; order is lost.

    Joulin et al. 2017, "Bag of tricks for efficient text classification", section 2: bigrams are
    hashed, here to 65,536 vectors.

    Args:
        words: size of the vocabulary.
        size: numbers that stand for a word or bigram.
        classes: number of logits.
        dropout: of the mean, while training.
    """

    def __init__(self, words: int, size: int, classes: int, dropout: float = 0.0):
        super().__init__()
        self.words = words
        self.bag = nn.EmbeddingBag(words + _BUCKETS, size, mode="sum")
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(size, classes)

    def forward(self, tokens: Padded) -> Tensor:
        """Return logits (B, classes)."""
        grams, weights = self.grams(tokens)
        vectors = self.bag(grams, per_sample_weights=weights)
        mean = vectors / weights.sum(1, keepdim=True).clamp(min=1)
        logits: Tensor = self.head(self.dropout(mean))
        return logits

    def grams(self, tokens: Padded) -> tuple[Tensor, Tensor]:
        """Return the numbers of all words and bigrams, and 1 for each that is real, else 0."""
        values, lengths = tokens
        pairs = (values[:, :-1] * 1_000_003 + values[:, 1:]) % _BUCKETS + self.words
        steps = values.shape[1]
        real = torch.cat([inside(lengths, steps), inside(lengths - 1, steps - 1)], 1)
        return torch.cat([values, pairs], 1), real.float()


def build(config: SentimentConfig, words: int, classes: int) -> nn.Module:
    """Return an untrained model.

    Args:
        config: names encoding, cell, sizes and pool.
        words: size of the vocabulary.
        classes: number of logits.
    """
    if config.encoding == "n-gram-bag":
        return NGramBag(words, config.embedding_size, classes, config.dropout)
    one_hot = config.encoding == "one-hot"
    size = words if one_hot else config.embedding_size
    recurrent = Recurrent(
        config.cell,
        size,
        config.hidden_size,
        layers=config.layers,
        bidirectional=config.bidirectional,
        dropout=config.dropout,
        orthogonal=config.orthogonal,
    )
    embedding: nn.Module = OneHot(words) if one_hot else nn.Embedding(words, size, padding_idx=0)
    embedding.requires_grad_(not config.freeze_vectors)
    return Classifier(embedding, recurrent, config.pool, classes, config.dropout, config.truncate)
