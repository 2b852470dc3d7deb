"""Which words moved an answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from common.errors import DataError, RunError
from common.runs.job import Outputs
from common.training import task
from common.training.sequences import Padded, Ragged

if TYPE_CHECKING:
    from labs.rnn.sentiment.job import Sentiment

_STEPS = 64  # of the path that integrated gradients follow
_LONGEST = 1000  # tokens that are explained


@dataclass(frozen=True)
class Explanation:
    """What each token of a text added to the probability of the chosen class, or to the rating."""

    said: str  # the answer, in words
    what: str  # that tokens add to, such as `the rating`
    tokens: list[str]  # as they were read; unknown ones as they were written
    scores: list[float]  # of each token: positive where it speaks for the class, or a higher rating
    method: str  # `occlusion` or `integrated-gradients`


def explain(job: "Sentiment", text: str, method: str) -> Explanation:
    """Say which words moved the answer to a text.

    `occlusion` leaves out one word after the other; a score is what the probability, or the
    rating, lost. Of a distribution of ratings it is the mean that loses.
    `integrated-gradients` (Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep
    networks", section 3) explain the recurrent networks alone, not the n-grams beside them: they go
    from word vectors of zero to those of the text, and the scores add up to what that changed.

    Raises:
        DataError: the text has no words, or more than a thousand.
        RunError: integrated gradients are asked of n-grams alone.
    """
    encoded = job.encode([text])
    tokens = job.words.tokens(text)[: len(encoded[0])]
    if not 0 < len(tokens) <= _LONGEST:
        raise DataError(f"the text has {len(tokens)} words; expected 1 to {_LONGEST:,} to explain")
    answer = job.answers([text])
    target = 0 if job.config.numeric else int(answer["outputs"][0].argmax())
    if method == "occlusion":
        scores = _occlusion(job, tokens, target)
    else:
        scores = _integrated_gradients(job, encoded, target)
    [value] = _weighed(job, answer, target)
    if job.config.numeric:
        said, what = f"rated {float(answer['outputs'][0]):.3g}", "the rating"
        said += f", with a mean of {value:.3g}" if "levels" in answer else ""
    else:
        label = job.card.classes[target]
        said, what = f"{label}, with a probability of {value:.3f}", f"the probability of “{label}”"
    return Explanation(said, what, tokens, scores, method)


def _weighed(job: "Sentiment", answers: Outputs, target: int) -> list[float]:
    """Return what words add to: the probability of a class, or the rating, of each text."""
    if not job.config.numeric:
        found: list[float] = task.probabilities(answers["outputs"])[:, target].tolist()
    elif "levels" in answers:
        levels = torch.tensor(job.card.as_dict()["levels"], dtype=torch.float64)
        found = (answers["levels"].double() @ levels).tolist()
    else:
        found = answers["outputs"].tolist()
    return found


def _occlusion(job: "Sentiment", tokens: list[str], target: int) -> list[float]:
    between = job.words.between
    others = [between.join(tokens[:row] + tokens[row + 1 :]) for row in range(len(tokens))]
    answers = job.answers([between.join(tokens), *others])
    whole, *without = _weighed(job, answers, target)
    return [whole - each for each in without]


def _integrated_gradients(job: "Sentiment", encoded: Ragged, target: int) -> list[float]:
    from captum.attr import IntegratedGradients

    model: Any = job.model.eval()
    if not model.members:
        raise RunError(
            f"{job.config.title} reads n-grams alone; explain it with --method occlusion"
        )

    # Vectors are (B, members, T, E): each network has its own.
    def answer(vectors: Tensor, lengths: Tensor) -> Tensor:
        pairs = zip(model.members, vectors.unbind(1), strict=True)
        logits = torch.stack([member.read(x, lengths) for member, x in pairs], 1)
        return job.explained(logits)

    given = Padded(*job.compute.move((encoded[0].long()[None], encoded.lengths)))
    with torch.no_grad():
        vectors = torch.stack([member.embed(given) for member in model.members], 1)
    with torch.backends.cudnn.flags(enabled=False):  # whose backward pass wants training mode
        parts = IntegratedGradients(answer).attribute(
            vectors,
            target=target,
            additional_forward_args=given.lengths,
            n_steps=_STEPS,
            internal_batch_size=_STEPS,
        )
    scores: list[float] = parts[0].sum((0, 2)).float().tolist()
    return scores
