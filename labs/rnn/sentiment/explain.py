"""Which words moved an answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from common.data import Padded
from common.errors import DataError, RunError
from labs.rnn.words import UNKNOWN

if TYPE_CHECKING:
    from labs.rnn.sentiment.job import Sentiment

METHODS = ("integrated-gradients", "occlusion")
_STEPS = 64  # of the path that integrated gradients follow
_LONGEST = 1000  # tokens that are explained


@dataclass(frozen=True)
class Explanation:
    """What each token of a text added to the probability of the class that was chosen.

    Attributes:
        label: the class.
        probability: of it.
        tokens: as they were read; unknown ones as they were written.
        scores: for each token, in units of probability: positive where it speaks for the class.
        method: one of `METHODS`.
    """

    label: str
    probability: float
    tokens: list[str]
    scores: list[float]
    method: str


def explain(job: "Sentiment", text: str, method: str) -> Explanation:
    """Say which words moved the answer to a text.

    Integrated gradients (Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep
    networks", section 3) go from word vectors of zero to those of the text; the scores add up to
    what the text changed in the probability. Occlusion puts the unknown word in the place of one
    word after the other; a score is what the probability lost.

    Args:
        job: a run with its weights.
        text: what to explain.
        method: one of `METHODS`.

    Raises:
        DataError: the text has no words, or more than a thousand.
        RunError: integrated gradients are asked of a bag of n-grams.
    """
    encoded = job.encode([text])
    tokens = job.words.tokens(text)[: len(encoded[0])]
    if not 0 < len(tokens) <= _LONGEST:
        raise DataError(f"the text has {len(tokens)} words; expected 1 to {_LONGEST:,} to explain")
    given = Padded(*job.compute.move((encoded[0].long()[None], encoded.lengths)))
    model = job.model.eval()
    with torch.no_grad():
        chances = model(given).softmax(1)[0]
    best = int(chances.argmax())
    ways = {"integrated-gradients": _integrated_gradients, "occlusion": _occlusion}
    scores = ways[method](job, given, best)
    return Explanation(
        job.card.classes[best], float(chances[best]), tokens, scores.tolist(), method
    )


def _integrated_gradients(job: "Sentiment", tokens: Padded, target: int) -> Tensor:
    from captum.attr import IntegratedGradients

    model: Any = job.model
    if not hasattr(model, "embed"):
        raise RunError(
            f"{job.title} has no word vectors in a sequence; explain it with --method occlusion"
        )

    def chance(vectors: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = model.classify(vectors, lengths)
        return logits.softmax(1)

    vectors = model.embed(tokens).detach()
    with torch.backends.cudnn.flags(enabled=False):  # whose backward pass wants training mode
        parts = IntegratedGradients(chance).attribute(
            vectors,
            target=target,
            additional_forward_args=tokens.lengths,
            n_steps=_STEPS,
            internal_batch_size=_STEPS,
        )
    scores: Tensor = parts[0].sum(1).float().cpu()
    return scores


def _occlusion(job: "Sentiment", tokens: Padded, target: int) -> Tensor:
    count = int(tokens.lengths)
    rows = tokens.values.repeat(count + 1, 1)  # the first stays whole
    steps = torch.arange(count, device=rows.device)
    rows[steps + 1, steps] = UNKNOWN
    found = []
    with torch.no_grad():
        for chunk in torch.split(rows, 256):
            lengths = tokens.lengths.expand(len(chunk))
            found.append(job.model(Padded(chunk, lengths)).softmax(1)[:, target])
    chances = torch.cat(found).float().cpu()
    return chances[0] - chances[1:]
