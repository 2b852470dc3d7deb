"""Greedy and beam search, against a loop and against all translations there are."""

import itertools
import math

import pytest
import torch

from common.training.sequences import Padded
from labs.rnn.translate.decoding import search
from labs.rnn.translate.models import DECODERS, Translator
from labs.rnn.words import BOS, EOS, PAD, UNKNOWN

VOCABULARY, STEPS = 7, 3  # so there are three words: 4, 5, 6


@pytest.fixture(params=DECODERS)
def model(request):
    torch.manual_seed(3)
    model = Translator(
        8, VOCABULARY, cell="lstm", attention=request.param, embedding_size=4, hidden_size=5
    ).eval()
    with torch.no_grad():
        model.output.weight.mul_(6)  # opinions
    return model


def batch():
    torch.manual_seed(4)
    lengths = torch.tensor([3, 1, 5, 2])
    values = torch.randint(3, 8, (4, 5)) * (torch.arange(5) < lengths[:, None])
    return Padded(values, lengths)


def one(source, row):
    length = source.lengths[row : row + 1]
    return Padded(source.values[row : row + 1, : int(length)], length)


@torch.no_grad()
def log_probability(model, source, tokens):
    """Return log P of a translation that ends with EOS."""
    read = torch.tensor([[BOS, *tokens[:-1]]])
    chances = model(source, read)[0].log_softmax(-1)
    return sum(chances[step, token].item() for step, token in enumerate(tokens))


def every(words, steps):
    """Return all translations of at most so many tokens, their ends included."""
    for size in range(steps):
        for head in itertools.product(words, repeat=size):
            yield (*head, EOS)


@torch.inference_mode()
def test_a_beam_of_one_is_greedy(model):
    source = batch()
    found = search(model, source, STEPS)
    for row in range(4):
        memory, state = model.encode(one(source, row))
        read, expected, total = torch.tensor([[BOS]]), [], 0.0
        for _ in range(STEPS):
            logits, state, _ = model.decode(read, state, memory)
            chances = logits[0, 0].log_softmax(-1)
            chances[[PAD, UNKNOWN, BOS]] = -math.inf
            total += chances.max().item()
            read = chances.argmax()[None, None]
            if read.item() == EOS:
                break
            expected.append(read.item())
        written = [token for token in found.tokens[row].tolist() if token != PAD]
        assert written == expected
        assert found.log_probabilities[row].item() == pytest.approx(total, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@torch.inference_mode()
def test_a_wide_beam_finds_the_best_of_all(model, penalty):
    """A beam that holds all beginnings is an exhaustive search."""
    source = batch()
    found = search(model, source, STEPS, beam=60, penalty=penalty)
    for row in range(4):
        alone = one(source, row)
        candidates = {
            tokens: log_probability(model, alone, tokens) for tokens in every((4, 5, 6), STEPS)
        }
        cut = {  # what has no end after all steps is cut off
            tokens: log_probability(model, alone, tokens)
            for tokens in itertools.product((4, 5, 6), repeat=STEPS)
        }
        scores = {
            tokens: chance / ((5 + len(tokens)) / 6) ** penalty
            for tokens, chance in (candidates | cut).items()
        }
        best = max(scores, key=scores.get)
        written = [token for token in found.tokens[row].tolist() if token != PAD]
        assert written == [token for token in best if token != EOS]
        assert found.log_probabilities[row].item() == pytest.approx(
            (candidates | cut)[best], abs=1e-4
        )


@pytest.mark.parametrize("beam", [1, 3])
@torch.inference_mode()
def test_neighbors_in_the_batch_change_nothing(model, beam):
    source = batch()
    together = search(model, source, STEPS, beam)
    for row in range(4):
        alone = search(model, one(source, row), STEPS, beam)
        width = alone.tokens.shape[1]
        assert torch.equal(together.tokens[row, :width], alone.tokens[0])
        assert (together.tokens[row, width:] == PAD).all()
        torch.testing.assert_close(together.log_probabilities[row], alone.log_probabilities[0])


@torch.inference_mode()
def test_the_log_probability_is_the_models(model):
    source = batch()
    found = search(model, source, 30, beam=3)
    for row in range(4):
        written = [token for token in found.tokens[row].tolist() if token != PAD]
        if len(written) < 30:
            expected = log_probability(model, one(source, row), (*written, EOS))
            assert found.log_probabilities[row].item() == pytest.approx(expected, abs=1e-4)


@torch.inference_mode()
def test_longer_translations_win_with_a_penalty(model):
    source = batch()
    short, long = (search(model, source, 12, beam=50, penalty=p) for p in (0.0, 3.0))
    sizes = [(found.tokens != PAD).sum(1) for found in (short, long)]
    assert (sizes[0] <= sizes[1]).all()
    assert (short.log_probabilities >= long.log_probabilities - 1e-5).all()


@torch.inference_mode()
def test_special_tokens_are_never_written(model):
    with torch.no_grad():
        model.output.bias[[PAD, UNKNOWN, BOS]] = 50.0
    found = search(model, batch(), 10, beam=2)
    assert not torch.isin(found.tokens, torch.tensor([UNKNOWN, BOS, EOS])).any()
    for tokens in found.tokens.tolist():
        written = [token for token in tokens if token != PAD]
        assert tokens[: len(written)] == written  # padding only after the end
