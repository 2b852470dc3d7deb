"""Writing a translation, token by token: greedy and beam search."""

from typing import NamedTuple

import torch
from torch import Tensor

from common.training.sequences import Padded
from labs.rnn.translate.models import Memory, Translator
from labs.rnn.words import BOS, EOS, PAD, UNKNOWN


class Translations(NamedTuple):
    """The best translation of each source."""

    tokens: Tensor  # (B, T), without `EOS`; `PAD` follows where one has ended
    log_probabilities: Tensor  # (B,) natural logarithm, of all tokens and of the end after them


def search(
    model: Translator, source: Padded, steps: int, beam: int = 1, penalty: float = 0.6
) -> Translations:
    """Translate a batch, keeping the `beam` best beginnings of each translation at every step.

    With a beam of 1 that is greedy search. Beginnings are compared by

        log P(Y | X) / ((5 + |Y|) / 6)^penalty,

    the length normalization of Wu et al. 2016, "Google's neural machine translation system",
    equation 14, without its coverage penalty; |Y| counts the end. It matters where some have ended
    and others have not: without it (penalty 0) short translations win, since every token costs.

    Args:
        model: in evaluation mode.
        source: the batch.
        steps: the most tokens of a translation, its end included; it is cut off there.
        beam: how many beginnings are kept.
        penalty: how much longer translations are favored; 0 is not at all.
    """
    memory, state = model.encode(source)
    batch, device = len(source.lengths), source.values.device
    memory = Memory(*(part.repeat_interleave(beam, 0) for part in memory))
    state = tuple(part.repeat_interleave(beam, 1) for part in state)
    first = torch.arange(batch, device=device)[:, None] * beam  # row of each beam's first beginning
    tokens = torch.full((batch * beam, 1), BOS, device=device)
    # All beginnings are the same at first, so all but one are out.
    totals = torch.full((batch, beam), -torch.inf, device=device)
    totals[:, 0] = 0
    lengths = torch.zeros(batch, beam, device=device)
    for _ in range(steps):
        ended = (tokens[:, -1] == EOS) | (tokens[:, -1] == PAD)
        if ended.all():
            break
        logits, state, _ = model.decode(tokens[:, -1:], state, memory)
        next_totals = totals[..., None] + _next(logits[:, 0], ended).view(batch, beam, -1)
        next_lengths = lengths + ~ended.view(batch, beam)
        scores = next_totals / ((5 + next_lengths[..., None]) / 6) ** penalty
        best = scores.flatten(1).topk(beam).indices
        origin, token = best // logits.shape[-1], best % logits.shape[-1]
        rows = (first + origin).flatten()
        totals = next_totals.flatten(1).gather(1, best)
        lengths = next_lengths.gather(1, origin)
        tokens = torch.cat([tokens[rows], token.flatten()[:, None]], 1)
        state = tuple(part.index_select(1, rows) for part in state)
    # topk sorts, so the first of a beam is its best.
    best_tokens = tokens.view(batch, beam, -1)[:, 0, 1:]
    return Translations(best_tokens.masked_fill(best_tokens == EOS, PAD), totals[:, 0])


def _next(logits: Tensor, ended: Tensor) -> Tensor:
    """Return the log-probability of each next token (B, V): what has ended goes on with padding."""
    found = logits.float().log_softmax(-1)
    found[:, [PAD, UNKNOWN, BOS]] = -torch.inf
    after = torch.full_like(found[0], -torch.inf)
    after[PAD] = 0
    return torch.where(ended[:, None], after, found)
