import dataclasses
import unicodedata

import pytest
import torch
from torch import nn
from torch.nn import functional

from common.errors import ConfigError
from common.options.config import build as build_config
from common.training.sequences import Padded
from labs.rnn.grams import ROWS
from labs.rnn.sentiment.config import CELLS, ENCODINGS, POOLS, SentimentConfig
from labs.rnn.sentiment.models import NGramBag, OneHot, Text, build
from labs.rnn.sentiment.ngrams import Labelled, choose_share, fit, ngrams

WORDS = 40


@pytest.fixture(scope="module")
def texts():
    generator = torch.Generator().manual_seed(1)
    lengths = [1, 7, 3, 0, 12]
    return [torch.randint(1, WORDS, (n,), generator=generator) for n in lengths]


def together(texts, steps):
    """Return texts as a model takes them; their words stand for n-grams too."""
    return Text(padded(texts, steps), padded(texts, steps + 3))


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
        alone = torch.cat([model(together([text], max(1, len(text)))) for text in texts])
        among = model(together(texts, 12))
        more = model(together(texts, 50))
    parts = len(model.members) + sum(bag is not None for bag in (model.bag, model.ratios))
    assert among.shape == (5, parts, 3)
    assert among.isfinite().all()
    torch.testing.assert_close(among, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(more, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_every_parameter_gets_a_gradient_and_padding_none(options, texts):
    model = model_of(**options)
    model(together(texts, 20)).sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    if model.members:  # n-grams beside networks are fitted as a whole
        assert gradients.pop("bag.bag.weight", None) is None
        assert gradients.pop("bag.bias", None) is None
        assert gradients.pop("ratios.bag.weight", None) is None
    silent = {name for name, grad in gradients.items() if grad is None or not grad.any()}
    assert not {name for name in silent if "bias" not in name}
    for name, gradient in gradients.items():
        if name.endswith("embedding.weight") or name == "bag.bag.weight":
            assert not gradient[0].any()


def test_the_order_of_words_matters_to_a_recurrent_network():
    one, other = torch.tensor([3, 5, 7, 9]), torch.tensor([9, 7, 5, 3])
    with torch.no_grad():
        logits = model_of(n_grams=False)(together([one, other], 4))
    assert not torch.allclose(*logits, atol=1e-4)


def test_a_bag_adds_up_what_its_n_grams_say():
    bag = NGramBag(2)
    bag.bag.weight.data[5:8] = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    one, nothing = torch.tensor([5, 6, 7, 9]), torch.tensor([], dtype=torch.int64)
    logits = bag(padded([one, nothing], 6))
    expected = torch.tensor([[9.0, 12.0], [0.0, 0.0]]) * 3 / 2  # the root of four n-grams
    torch.testing.assert_close(logits, expected)


def test_n_grams_that_count_more_have_their_share_of_the_length():
    bag = NGramBag(2)
    counts = torch.ones(len(bag.counts))
    counts[5], counts[6] = 3.0, 4.0
    weights = torch.zeros(len(counts), 2)
    weights[5], weights[6] = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 1.0])
    bag.put(weights, torch.tensor([0.5, 0.0]), counts)
    expected = torch.tensor([[0.6 - 0.8 + 0.5, 1.2 + 0.8]])  # 3 and 4 have the length 5
    torch.testing.assert_close(bag(padded([torch.tensor([5, 6])], 4)), expected)


def test_members_differ_and_their_mean_is_the_answer(texts):
    model = model_of(members=3, n_grams=False)
    with torch.no_grad():
        logits = model(together(texts, 12))
    assert not torch.allclose(logits[:, 0], logits[:, 1])
    chances = logits.softmax(-1).log().mean(1).softmax(-1)
    torch.testing.assert_close(model.answer(logits).softmax(-1), chances)


def test_n_grams_count_twice_as_much_as_all_networks_until_a_share_is_chosen(texts):
    model = model_of(members=2)
    nn.init.normal_(model.bag.bag.weight)
    with torch.no_grad():
        logits = model(together(texts, 12))
    one, other, *bags = logits.log_softmax(-1).unbind(1)
    bag = sum(bags) / 2
    torch.testing.assert_close(model.answer(logits), ((one + other) / 2 + 2 * bag) / 3)
    model.share.fill_(1.0)
    assert torch.equal(model.answer(logits), bag)
    alone = model_of(encoding="n-gram-bag")
    assert torch.equal(alone.answer(logits[:, 2:3]), bags[0])


def test_dropout_of_words_and_n_grams_is_for_training_alone(texts):
    model = model_of(word_dropout=0.5, gram_dropout=0.5, dropout=0.0)
    nn.init.normal_(model.bag.bag.weight)
    text = together(texts, 12)
    with torch.no_grad():
        assert torch.equal(model(text), model(text))
        model.train()
        assert not torch.allclose(model(text), model(text))


def test_n_grams_are_of_words_pairs_and_characters_and_the_same_each_time():
    found = ngrams(["Not bad", "not  BAD", "", "좋아요", "\ud83d"])
    assert found[0].tolist() == found[1].tolist()
    assert len(found[0]) == 3 + len(
        {g for w in (" not ", " bad ") for n in (2, 3, 4, 5) for g in grams(w, n)}
    )
    assert len(found[2]) == 0
    assert found.values.min() >= 1
    assert found.values.max() < ROWS
    apart = ngrams([unicodedata.normalize("NFD", "좋아요")])
    assert apart[0].tolist() == found[3].tolist()


def test_n_grams_of_a_long_text_are_those_of_its_beginning():
    many = " ".join(map(str, range(100_000, 250_000)))
    found = ngrams([many, many[:20_000]])
    assert torch.equal(found[0], found[1])


def grams(word, size):
    return {word[i : i + size] for i in range(len(word) - size + 1)}


def test_one_hot_words_are_unit_vectors_and_padding_is_none():
    assert OneHot(4)(torch.tensor([[2, 1, 0]])).tolist() == [[[0, 0, 1, 0], [0, 1, 0, 0], [0] * 4]]


def test_frozen_vectors_do_not_train():
    frozen = model_of(vectors="v.txt", freeze_vectors=True)
    assert not frozen.members[0].embedding.weight.requires_grad
    assert model_of().members[0].embedding.weight.requires_grad


def test_truncation_keeps_the_answer_and_cuts_the_gradient_in_training_alone():
    text = together([torch.tensor([3, 4, 5, 6, 7, 8])], 6)
    alone = {"bidirectional": False, "pool": "last", "members": 1, "n_grams": False}
    alone |= {"dropout": 0.0, "word_dropout": 0.0}
    whole, cut = model_of(**alone), model_of(**alone, truncate=2)
    every = {3, 4, 5, 6, 7, 8}
    torch.testing.assert_close(cut.train()(text), whole(text))
    for model, training, reached in (
        (whole, True, every),
        (cut, True, {7, 8}),
        (cut, False, every),
    ):
        model.train(training).zero_grad()
        model(text).sum().backward()
        rows = model.members[0].embedding.weight.grad.abs().sum(1)
        assert set(rows.nonzero().flatten().tolist()) == reached


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"truncate": "3"}, "--truncate: needs --no-bidirectional"),
        ({"freeze_vectors": "true"}, "--freeze-vectors: needs --vectors"),
        ({"encoding": "one-hot"}, "--encoding one-hot: needs --max-words"),
        ({"vectors": "a", "encoding": "n-gram-bag"}, "--vectors: needs --encoding embedding"),
        ({"vectors": "a", "tokenizer": "jamo"}, "--vectors: are of words"),
        ({"classes": "4"}, "--classes 4: expected a whole number at least 2 and at most 3"),
    ],
)
def test_options_that_contradict_each_other(options, problem):
    with pytest.raises(ConfigError, match=problem):
        build_config(SentimentConfig, ("options", options))


def test_linear_models_on_n_grams_are_fitted_as_a_whole():
    words = ("great", "awful", "plain")
    texts = [f"{word} film {number}" for number in range(12) for word in words]
    targets = torch.arange(3).repeat(12)
    said = []
    part = Labelled(ngrams(texts), targets)
    fitted = fit(part, Labelled(part.grams.select(range(6)), targets[:6]), None, said.append)
    assert said == ["fitting linear models on the n-grams of 36 texts"]
    for found in fitted:
        bag = NGramBag(3).eval()
        bag.put(*found)
        grams = ngrams([f"{word} story" for word in words])
        logits = bag(Padded.of([grams[row].long() for row in range(3)]))
        assert logits.argmax(1).tolist() == [0, 1, 2]
    uniform, sure = torch.zeros(4, 2), torch.tensor([[0.0, 9.0]]).expand(4, 2)
    right = torch.ones(4, dtype=torch.int64)

    def loss(share, of_share, others):
        return functional.cross_entropy(share * of_share + (1 - share) * others, right)

    assert choose_share(lambda share: loss(share, sure, uniform)) == 1
    assert choose_share(lambda share: loss(share, uniform, sure)) < 0.4
