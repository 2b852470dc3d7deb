"""A run of `translate` as two ONNX files: its encoder, and a step of its decoder."""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from common.export.exporter import SAMPLES, Exporter, known_config
from common.export.formats import Graph, Inputs, as_outputs
from common.training.sequences import Padded
from labs.rnn.export.texts import known_words
from labs.rnn.translate.data import Split
from labs.rnn.translate.job import Translate
from labs.rnn.translate.models import Memory, PlainDecoder, Translator
from labs.rnn.words import BOS

_LAYERS = {1: "batch"}


class Encoder(nn.Module):
    """Reads texts of one length, so that nothing is padded."""

    def __init__(self, model: Translator):
        super().__init__()
        self.model = model

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        """Return the decoder's first state, and what it attends to, of sources (B, S)."""
        every: Any = None  # all steps are real
        memory, state = self.model.encode(Padded(source, every))
        if isinstance(self.model.decoder, PlainDecoder):
            return state
        return (*state, memory.states, memory.keys)


class Step(nn.Module):
    """Reads a token, and tells which one follows."""

    def __init__(self, model: Translator):
        super().__init__()
        self.model, self.parts = model, len(model.bridge)

    def forward(self, tokens: Tensor, *read: Tensor) -> tuple[Tensor, ...]:
        """Return log-probabilities (B, V) and the next state, of tokens (B,) and the state."""
        state, attended = read[: self.parts], read[self.parts :]
        memory: Any = None
        if attended:
            states, keys = attended
            lengths = torch.zeros_like(tokens) + states.shape[1]  # all steps are real
            memory = Memory(states, keys, lengths)
        logits, state, _ = self.model.decode(tokens[:, None], state, memory)
        return (logits[:, 0].log_softmax(-1), *state)


class PairExporter(Exporter[Translate]):
    """Translators."""

    limits = (
        "It may write what the text does not say, and be fluent about it; a low log-probability is "
        "a sign of that, no proof.",
    )

    def graphs(self, test: Split) -> list[Graph]:
        """Return the encoder and a step of the decoder, with the first texts of the test split."""
        model = cast(Translator, copy.deepcopy(self.job.model)).eval()
        encoder, step = Encoder(model).eval(), Step(model).eval()
        sources = [test.source[row].long() for row in range(min(SAMPLES, len(test)))]
        length = min(map(len, sources))
        alone: Sequence[Inputs] = [(source[None],) for source in sources]
        together = (torch.stack([source[:length] for source in sources]),)
        config = self.job.config
        names = ["hidden", "cell"][: step.parts]
        state = {
            name: f"float32 ({config.layers}, batch, {config.hidden_size}): of the decoder"
            for name in names
        }
        attended = {
            "states": "float32 (batch, S, H): what the encoder read",
            "keys": "float32 (batch, S, H): by which the attention scores it",
        }
        if isinstance(model.decoder, PlainDecoder):
            attended = {}
        after = {f"next_{name}": what for name, what in state.items()}
        axes: dict[str, dict[int, str]] = {
            **dict.fromkeys((*state, *after), _LAYERS),
            **dict.fromkeys(attended, {0: "batch", 1: "S"}),
        }
        return [
            Graph(
                encoder,
                {"source": "int64 (batch, S): texts of one length, the end behind each"},
                {**state, **attended},
                together,
                alone,
                {**axes, "source": {0: "batch", 1: "S"}},
                "encoder",
            ),
            Graph(
                step,
                {"tokens": "int64 (batch,): the last that was written", **state, **attended},
                {
                    "log_probabilities": f"float32 (batch, {len(self.job.target_words)}): natural "
                    "logarithm, of each next token",
                    **after,
                },
                _begun(encoder, together),
                [_begun(encoder, each) for each in alone],
                {**axes, "tokens": {0: "batch"}, "log_probabilities": {0: "batch"}},
                "decoder",
            ),
        ]

    def about(self) -> dict[str, Any]:
        """Return how texts become numbers, and how a translation is searched for."""
        job = self.job
        return {
            "config": known_config(job.config),
            "source_words": known_words(job.source_words),
            "target_words": known_words(job.target_words),
            "longest": job.card.longest,
        }


def _begun(encoder: nn.Module, sources: Inputs) -> Inputs:
    """Return the inputs of the first step of the decoder."""
    with torch.inference_mode():
        read = as_outputs(encoder(*sources))
    return (torch.full((len(sources[0]),), BOS), *(each.clone() for each in read))
