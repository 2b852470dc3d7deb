import dataclasses

import pytest
import torch
from torch import nn

from common.config import build as build_config
from common.data import Padded
from common.errors import ConfigError
from labs.rnn.sentiment.config import CELLS, ENCODINGS, POOLS, SentimentConfig
from labs.rnn.sentiment.models import NGramBag, OneHot, build

WORDS = 40


@pytest.fixture(scope="module")
def texts():
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 7, 3, 0, 12]
    return [torch.randint(1, WORDS, (n,), generator=generator) for n in lengths]


def model_of(**options):
    config = build_config(SentimentConfig, ("test", {"embedding_size": 6, "hidden_size": 5}))
    torch.manual_seed(0)
    return build(dataclasses.replace(config, **options), WORDS, 3).eval()


def padded(texts, steps):
    values = torch.zeros(len(texts), steps, dtype=torch.int64)
    for row, text in zip(values, texts, strict=True):
        row[: len(text)] = text
    return Padded(values, torch.tensor([len(text) for text in texts]))


KINDS = [
    *({"cell": cell, "pool": pool} for cell in CELLS for pool in POOLS),
    *({"encoding": encoding} for encoding in ENCODINGS),
    {"layers": 2},
    {"bidirectional": False, "truncate": 2},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_padding_changes_no_answer(options, texts):
    model = model_of(**options)
    with torch.no_grad():
        alone = torch.cat([model(padded([text], max(1, len(text)))) for text in texts])
        together = model(padded(texts, 12))
        more = model(padded(texts, 50))
    assert together.shape == (5, 3)
    assert together.isfinite().all()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(more, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_every_parameter_gets_a_gradient_and_padding_none(options, texts):
    model = model_of(**options)
    model(padded(texts, 20)).square().sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    silent = {name for name, grad in gradients.items() if grad is None or not grad.any()}
    assert not {name for name in silent if "bias" not in name}
    if isinstance(getattr(model, "embedding", None), nn.Embedding):
        assert not gradients["embedding.weight"][0].any()


def test_the_order_of_words_matters_to_a_recurrent_network_and_little_to_a_bag():
    one, other = torch.tensor([3, 5, 7, 9]), torch.tensor([9, 7, 5, 3])
    recurrent, bag = model_of(), model_of(encoding="n-gram-bag")
    with torch.no_grad():
        assert not torch.allclose(*recurrent(padded([one, other], 4)), atol=1e-4)
        words, weights = bag.grams(padded([one, other], 4))
    assert words[0, :4].sort().values.equal(words[1, :4].sort().values)
    assert not words[0, 4:].sort().values.equal(words[1, 4:].sort().values)
    assert weights.all()


def test_a_bag_counts_real_words_and_pairs():
    bag = NGramBag(WORDS, 2, 2)
    _, weights = bag.grams(padded([torch.tensor([4, 5, 6]), torch.tensor([7])], 4))
    assert weights.tolist() == [[1, 1, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0, 0]]


def test_one_hot_words_are_unit_vectors_and_padding_is_none():
    assert OneHot(4)(torch.tensor([[2, 1, 0]])).tolist() == [[[0, 0, 1, 0], [0, 1, 0, 0], [0] * 4]]


def test_frozen_vectors_do_not_train():
    assert not model_of(vectors="v.txt", freeze_vectors=True).embedding.weight.requires_grad
    assert model_of().embedding.weight.requires_grad


def test_truncation_keeps_the_answer_and_cuts_the_gradient():
    text = padded([torch.tensor([3, 4, 5, 6, 7, 8])], 6)
    whole = model_of(bidirectional=False, pool="last")
    cut = model_of(bidirectional=False, pool="last", truncate=2)
    torch.testing.assert_close(cut(text), whole(text))
    for model, reached in ((whole, {3, 4, 5, 6, 7, 8}), (cut, {7, 8})):
        model(text).sum().backward()
        rows = model.embedding.weight.grad.abs().sum(1)
        assert set(rows.nonzero().flatten().tolist()) == reached


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"truncate": "3"}, "--truncate: needs --no-bidirectional"),
        ({"freeze_vectors": "true"}, "--freeze-vectors: needs --vectors"),
        ({"vectors": "a", "encoding": "one-hot"}, "--vectors: needs --encoding embedding"),
        ({"vectors": "a", "tokenizer": "jamo"}, "--vectors: are of words"),
        ({"classes": "4"}, "--classes 4: expected a whole number at least 2 and at most 3"),
    ],
)
def test_options_that_contradict_each_other(options, problem):
    with pytest.raises(ConfigError, match=problem):
        build_config(SentimentConfig, ("options", options))
