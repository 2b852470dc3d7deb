"""What a trained run looked at as it wrote a translation."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from common.errors import DataError, RunError
from common.files import replace_surrogates
from common.metrics.metrics import Array
from common.report.plots import short
from common.training.sequences import Padded
from labs.rnn.said import CELLS, readable
from labs.rnn.translate import plots
from labs.rnn.translate.data import encode
from labs.rnn.translate.models import Translator
from labs.rnn.translate.task import shift
from labs.rnn.words import EOS, PAD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from labs.rnn.translate.job import Translate

END = "end"  # how the end of a text is called in a picture


def explain(
    job: "Translate", text: str, say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], "Figure"]:
    """Translate a text as `predict` does, and draw what the decoder attended to as it wrote.

    Returns:
        For each token that was written a record: written, attended (the token of the text that it
        attended to most) and weight; and the picture of all weights.

    Raises:
        RunError: the run has no attention.
        DataError: the text is empty.
    """
    if job.config.attention == "none":
        raise RunError(
            f"{job.run.path} has no attention to draw; train with --attention luong or bahdanau"
        )
    text = replace_surrogates(text)
    read = readable(job, text, say)
    if not read:
        raise DataError("the text is empty; give one to look at")
    written, log_probabilities = _translate(job, [read], None)
    [translation] = job.translation().texts({"tokens": written})
    say(f"{short(text, CELLS)}: {translation} (log-probability {log_probabilities.item():.4f})")
    source, tokens, weights = attend_to(job, read, written[0])
    records = [
        {
            "written": plots.show_spaces(token),
            "attended": plots.show_spaces(source[row.argmax()]),
            "weight": float(row.max()),
        }
        for token, row in zip(tokens, weights, strict=True)
    ]
    return records, plots.alignment(source, tokens, weights)


def attend_to(job: "Translate", text: str, written: Tensor) -> tuple[list[str], list[str], Array]:
    """Return what a decoder with attention attended to as it wrote a translation, tokens (T,).

    Returns:
        The S tokens of the source and the T of the translation, as they were read and written, the
        ends among them (but where a translation was cut off), and the weights (T, S).
    """
    step = -1 if job.reverses("source") else 1
    source = [*job.source_words.tokens(text)[::step], END]
    written = written[written != PAD]
    ended = len(written) < job.card.longest  # else it was cut off there
    tokens = [job.target_words.vocabulary[token] for token in written.tolist()] + [END] * ended
    target = job.compute.move(torch.cat([written, torch.full((int(ended),), EOS)])[None])
    read = encode([text], job.source_words, job.reverses("source"))
    values, lengths = job.compute.move((read.values[None], read.lengths))
    model = cast(Translator, job.model).eval()
    with torch.inference_mode(), job.compute.autocast():
        memory, state = model.encode(Padded(values, lengths))
        weights = model.decode(shift(target), state, memory)[2]
    assert weights is not None
    return source, tokens, weights[0].float().cpu().numpy()


def _translate(job: "Translate", texts: Sequence[str], beam: int | None) -> tuple[Tensor, Tensor]:
    """Return the tokens of translations (N, longest), padded, and their log-probabilities (N,)."""
    outputs = job.answers(texts, beam)
    return outputs["tokens"], outputs["log_probabilities"]
