"""The encoder-decoder: padding, fused and step by step, attention by hand, gradients."""

import pytest
import torch
from torch import nn

from common.training.sequences import Padded
from labs.rnn.translate.models import (
    DECODERS,
    BahdanauAttention,
    LuongAttention,
    Memory,
    Translator,
)
from labs.rnn.words import BOS

SOURCE, TARGET = 11, 9


def build(attention="luong", **options):
    torch.manual_seed(0)
    sizes = {"embedding_size": 5, "hidden_size": 6} | options
    return Translator(SOURCE, TARGET, attention=attention, **sizes).eval()


def sources(lengths, steps=None):
    torch.manual_seed(1)
    values = torch.randint(4, SOURCE, (len(lengths), steps or max(lengths)))
    lengths = torch.tensor(lengths)
    return Padded(values * (torch.arange(values.shape[1]) < lengths[:, None]), lengths)


def targets(batch, steps):
    tokens = torch.randint(4, TARGET, (batch, steps), generator=torch.Generator().manual_seed(2))
    tokens[:, 0] = BOS
    return tokens


@pytest.mark.parametrize("attention", DECODERS)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_no_logits(attention, cell, bidirectional):
    model = build(attention, cell=cell, layers=2, bidirectional=bidirectional)
    source, tokens = sources([4, 1, 7]), targets(3, 5)
    together = model(source, tokens)
    for row, length in enumerate(source.lengths.tolist()):
        alone = Padded(source.values[row : row + 1, :length], source.lengths[row : row + 1])
        wide = Padded(torch.nn.functional.pad(alone.values, (0, 9), value=3), alone.lengths)
        for one in (alone, wide):
            found = model(one, tokens[row : row + 1])
            torch.testing.assert_close(found[0], together[row], atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", DECODERS)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_token_by_token_is_the_whole_target_at_once(attention, cell):
    model = build(attention, cell=cell, layers=2)
    source, tokens = sources([3, 6]), targets(2, 4)
    whole = model(source, tokens)
    memory, state = model.encode(source)
    steps = []
    for token in tokens.split(1, dim=1):
        logits, state, _ = model.decode(token, state, memory)
        steps.append(logits)
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    given = torch.ones_like(tokens, dtype=torch.bool)
    torch.testing.assert_close(model(source, tokens, given), whole)


@pytest.mark.parametrize("attention", DECODERS)
def test_running_free_reads_its_own_guesses(attention):
    model = build(attention)
    source, tokens = sources([3, 6]), targets(2, 6)
    free = model(source, tokens, torch.zeros_like(tokens, dtype=torch.bool))
    guesses = free.argmax(-1)
    read = torch.cat([tokens[:, :1], guesses[:, :-1]], 1)
    torch.testing.assert_close(model(source, read), free)
    assert not torch.allclose(model(source, tokens), free)


def test_half_given_mixes_target_and_guesses():
    model = build()
    source, tokens = sources([3]), targets(1, 4)
    given = torch.tensor([[True, True, False, True]])
    mixed = model(source, tokens, given)
    read = tokens.clone()
    read[0, 2] = mixed[0, 1].argmax()
    torch.testing.assert_close(model(source, read), mixed)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_weights_sum_to_one_and_leave_the_padding_out(attention):
    model = build(attention)
    source = sources([2, 5], steps=8)
    memory, state = model.encode(source)
    *_, weights = model.decode(targets(2, 3), state, memory)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    assert (weights[0, :, 2:] == 0).all()
    assert (weights[1, :, 5:] == 0).all()
    assert (weights[0, :, :2] > 0).all()


def test_without_attention_there_are_no_weights():
    model = build("none")
    memory, state = model.encode(sources([2]))
    assert model.decode(targets(1, 3), state, memory)[2] is None


def test_attention_without_dropout_sees_what_a_plain_decoder_cannot():
    """The plain decoder's logits hang on the encoder's last state alone."""
    for name, sees in (("none", False), ("luong", True), ("bahdanau", True)):
        model = build(name)
        memory, state = model.encode(sources([5]))
        other = Memory(memory.states.flip(1), memory.keys.flip(1) * 2, memory.lengths)
        tokens = targets(1, 3)
        same = torch.equal(
            model.decode(tokens, state, memory)[0], model.decode(tokens, state, other)[0]
        )
        assert same is not sees


def by_hand(scores, lengths, states):
    """Attend, one query and one key at a time."""
    contexts = torch.zeros(*scores.shape[:2], states.shape[-1])
    for b, length in enumerate(lengths):
        for t in range(scores.shape[1]):
            powers = [scores[b, t, s].exp() for s in range(length)]
            for s in range(length):
                contexts[b, t] += powers[s] / sum(powers) * states[b, s]
    return contexts


@torch.no_grad()
def test_attention_by_hand():
    torch.manual_seed(0)
    queries, states, lengths = torch.randn(2, 3, 4), torch.randn(2, 5, 6), [5, 2]
    luong, bahdanau = LuongAttention(4, 6), BahdanauAttention(4, 6)
    products = torch.einsum("bth,hm,bsm->bts", queries, luong.key.weight, states)
    sums = bahdanau.query(queries)[:, :, None] + (states @ bahdanau.key.weight.T)[:, None]
    added = torch.tanh(sums) @ bahdanau.score.weight[0]
    for attention, scores in ((luong, products), (bahdanau, added)):
        memory = Memory(states, attention.key(states), torch.tensor(lengths))
        context, _ = attention(queries, memory)
        torch.testing.assert_close(context, by_hand(scores, lengths, states))


@pytest.mark.parametrize("attention", DECODERS)
def test_all_weights_learn(attention):
    model = build(attention, cell="lstm", layers=2).train()
    logits = model(sources([3, 5]), targets(2, 4))
    assert logits.shape == (2, 4, TARGET)
    logits.logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_dropout_acts_in_training_alone():
    model = build(dropout=0.5, layers=2)
    source, tokens = sources([3, 5]), targets(2, 4)
    assert torch.equal(model(source, tokens), model(source, tokens))
    model.train()
    assert not torch.equal(model(source, tokens), model(source, tokens))


def test_decoder_layers_have_one_direction():
    assert build(bidirectional=True).decoder.recurrent.directions == 1
    assert isinstance(build().bridge[0], nn.Linear)
