"""The encoder-decoder, and the ways in which its decoder may attend to what the encoder read.

Shapes: B sequences, S source tokens, T target tokens, H features. Tokens are whole numbers; every
source and target ends with `EOS`, so none is empty, and a decoder begins by reading `BOS`.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from common.training.sequences import Padded
from labs.rnn.cells import State
from labs.rnn.recurrent import Recurrent, inside


class Memory(NamedTuple):
    """What the encoder read."""

    states: Tensor  # (B, S, encoder's H)
    keys: Tensor  # (B, S, H), by which the attention scores them
    lengths: Tensor  # (B,)


class Decoded(NamedTuple):
    """What a decoder made of target tokens."""

    features: Tensor  # (B, T, H), which tell the token after each
    state: State  # after the last one, tensors (layers, B, H)
    weights: Tensor | None  # (B, T, S), what each attended to; None when it does not attend


class Attention(nn.Module, ABC):
    """Decides how much each of a decoder's states sees of each of the encoder's.

    A decoder's state has `size` features, an encoder's `memory_size`.
    """

    def __init__(self, size: int, memory_size: int):
        super().__init__()
        self.key = nn.Linear(memory_size, size, bias=False)

    @abstractmethod
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return how well queries (B, T, H) match keys (B, S, H), (B, T, S)."""

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return contexts (B, T, encoder's H), and weights (B, T, S): they sum to 1, 0 in padding.

        The contexts are the means of the encoder's states by these weights.
        """
        real = inside(memory.lengths, memory.states.shape[1])[:, None]
        weights = self.scores(queries, memory.keys).masked_fill(~real, -torch.inf).softmax(-1)
        return weights @ memory.states, weights


class LuongAttention(Attention):
    """Scores by a product, q . W k.

    Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine
    translation", section 3.1, there called "general".
    """

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return q . W k."""
        return queries @ keys.transpose(-1, -2)  # ONNX has no `mT`


class BahdanauAttention(Attention):
    """Scores by a small network, v . tanh(W q + U k).

    Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align and
    translate", section 3.1 and appendix A.1.2.
    """

    def __init__(self, size: int, memory_size: int):
        super().__init__(size, memory_size)
        self.query = nn.Linear(size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return v . tanh(W q + U k)."""
        scores: Tensor = self.score(torch.tanh(self.query(queries)[:, :, None] + keys[:, None]))
        return scores[..., 0]


class Decoder(nn.Module, ABC):
    """Reads target tokens, and tells of each which one follows.

    Its recurrent layers read from left to right; where it `reads_context`, they take the
    `memory_size` features of an encoder's state beside a token's.
    """

    reads_context = False

    def __init__(self, recurrent: Recurrent, memory_size: int):
        super().__init__()
        self.recurrent = recurrent

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys of the encoder's states (B, S, H); they are worked out once."""
        return states

    @abstractmethod
    def forward(self, x: Tensor, state: State, memory: Memory) -> Decoded:
        """Read embedded tokens (B, T, H): all of a target, or one after another."""


class PlainDecoder(Decoder):
    """Knows nothing of the source but the state it starts from.

    Sutskever, Vinyals and Le 2014, "Sequence to sequence learning with neural networks".
    """

    def forward(self, x: Tensor, state: State, memory: Memory) -> Decoded:
        """Run the fused layers over all tokens."""
        states, state = self.recurrent(x, None, state)
        return Decoded(states, state, None)


class AttentiveDecoder(Decoder):
    """Attends to the encoder's states; its features are tanh(W [context; state])."""

    Attention: type[Attention]

    def __init__(self, recurrent: Recurrent, memory_size: int):
        super().__init__(recurrent, memory_size)
        size = recurrent.output_size
        self.attention = self.Attention(size, memory_size)
        self.combine = nn.Linear(memory_size + size, size)

    def keys(self, states: Tensor) -> Tensor:
        """Return what the attention makes of the encoder's states."""
        keys: Tensor = self.attention.key(states)
        return keys

    def combined(self, context: Tensor, states: Tensor) -> Tensor:
        """Return the features, (B, T, H)."""
        return torch.tanh(self.combine(torch.cat([context, states], -1)))


class LuongDecoder(AttentiveDecoder):
    """Reads, then attends with the new state (Luong et al. 2015, section 3 and equation 5).

    What it attended to does not go back into the recurrence (no input feeding, section 3.3), so the
    fused layers run over a whole target first, and all of its states attend at once.
    """

    Attention = LuongAttention

    def forward(self, x: Tensor, state: State, memory: Memory) -> Decoded:
        """Run the fused layers over all tokens, then attend."""
        states, state = self.recurrent(x, None, state)
        context, weights = self.attention(states, memory)
        return Decoded(self.combined(context, states), state, weights)


class BahdanauDecoder(AttentiveDecoder):
    """Attends with the state so far, then reads the token and the context (Bahdanau et al. 2015).

    What a step attends to hangs on the step before it, so tokens are read one by one. (In place of
    their maxout layer, appendix A.2.2, stands the tanh layer above.)
    """

    Attention = BahdanauAttention
    reads_context = True

    def forward(self, x: Tensor, state: State, memory: Memory) -> Decoded:
        """Attend and read, token by token."""
        steps: list[tuple[Tensor, ...]] = []
        for token in x.unbind(1):
            context, weights = self.attention(state[0][-1][:, None], memory)
            states, state = self.recurrent(torch.cat([token[:, None], context], -1), None, state)
            steps.append((context, states, weights))
        context, states, weights = (torch.cat(parts, 1) for parts in zip(*steps, strict=True))
        return Decoded(self.combined(context, states), state, weights)


DECODERS: dict[str, type[Decoder]] = {
    "none": PlainDecoder,
    "bahdanau": BahdanauDecoder,
    "luong": LuongDecoder,
}


class Translator(nn.Module):
    """An encoder, a decoder, and a bridge between them.

    The bridge makes the decoder's first state of the encoder's last one, each layer's of that
    layer's: s = tanh(W h + b), with both directions of the encoder in h.

    Args:
        source_size: tokens of the source's vocabulary.
        target_size: tokens of the target's.
        cell: of both, one of `labs.rnn.cells.CELLS`.
        attention: one of `DECODERS`.
        embedding_size: features of a token.
        hidden_size: units of a layer; of the encoder, in each direction.
        layers: of the encoder, and of the decoder.
        bidirectional: whether the encoder reads from right to left too.
        dropout: share of embeddings, of states between layers, and of the features that tell the
            next token, that training does not see.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        cell: str = "gru",
        attention: str = "luong",
        embedding_size: int = 64,
        hidden_size: int = 128,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        kind = DECODERS[attention]
        self.source_embedding = nn.Embedding(source_size, embedding_size)
        self.encoder = Recurrent(
            cell,
            embedding_size,
            hidden_size,
            layers=layers,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        memory_size = self.encoder.output_size
        parts = 2 if cell == "lstm" else 1
        self.bridge = nn.ModuleList(nn.Linear(memory_size, hidden_size) for _ in range(parts))
        self.target_embedding = nn.Embedding(target_size, embedding_size)
        input_size = embedding_size + memory_size * kind.reads_context
        recurrent = Recurrent(cell, input_size, hidden_size, layers=layers, dropout=dropout)
        self.decoder = kind(recurrent, memory_size)
        self.output = nn.Linear(hidden_size, target_size)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Padded) -> tuple[Memory, State]:
        """Read sources; returns what the encoder read, and the decoder's first state."""
        embedded = self.dropout(self.source_embedding(source.values))
        states, last = self.encoder(embedded, source.lengths)
        pairs = zip(self.bridge, last, strict=True)
        state = tuple(torch.tanh(layer(part)) for layer, part in pairs)
        return Memory(states, self.decoder.keys(states), source.lengths), state

    def decode(
        self, tokens: Tensor, state: State, memory: Memory
    ) -> tuple[Tensor, State, Tensor | None]:
        """Read target tokens (B, T), all at once or, handing the state on, one after another.

        Returns:
            For each token the logits of the one after it (B, T, target_size), the state after the
            last one, and the attention's weights (B, T, S).
        """
        embedded = self.dropout(self.target_embedding(tokens))
        features, state, weights = self.decoder(embedded, state, memory)
        return self.output(self.dropout(features)), state, weights

    def forward(self, source: Padded, tokens: Tensor, given: Tensor | None = None) -> Tensor:
        """Return the logits of each next token (B, T, target_size).

        Args:
            source: the sources.
            tokens: (B, T) what the decoder reads: `BOS`, then the target without its end.
            given: bool (B, T); where it is False the decoder reads in the token's place the one it
                holds most likely itself. None gives all tokens, and takes all at once.
        """
        memory, state = self.encode(source)
        if given is None:
            return self.decode(tokens, state, memory)[0]
        steps: list[Tensor] = []
        read = tokens[:, :1]
        for step in range(tokens.shape[1]):
            if step:
                guess = steps[-1].detach().argmax(-1)
                read = torch.where(given[:, step, None], tokens[:, step, None], guess)
            logits, state, _ = self.decode(read, state, memory)
            steps.append(logits)
        return torch.cat(steps, 1)
