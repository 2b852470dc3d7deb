"""The task in the loop: token weights, teacher forcing, figures of free translations."""

import pytest
import torch
import torch.nn.functional as F

from common import training
from common.errors import NonFiniteError
from common.training import When, optim
from common.training.batches import Batches
from common.training.sequences import Padded
from labs.rnn.translate.data import encode
from labs.rnn.translate.models import DECODERS, Translator
from labs.rnn.translate.task import Translation, shift
from labs.rnn.words import BOS, EOS, learn

WORDS = ["일", "이이", "삼 삼 삼", "사", "오오오", "육 육", "칠", "팔팔팔팔", "구"]
DIGITS = ["1", "22", "3-3-3", "4", "555", "6-6", "7", "8888", "9"]


@pytest.fixture(scope="module")
def pairs():
    """Nine pairs as columns of batches, and the vocabularies."""
    (source, _), (target, _) = (
        learn(side, "characters", specials=("<bos>", "<eos>")) for side in (WORDS, DIGITS)
    )
    columns = encode(WORDS, source, False), encode(DIGITS, target, False), torch.arange(9)
    return columns, source, target


def build(pairs, attention="luong", seed=0, **options):
    torch.manual_seed(seed)
    _, source, target = pairs
    sizes = {"embedding_size": 8, "hidden_size": 16} | options
    return Translator(len(source), len(target), attention=attention, **sizes)


def task(pairs, **options):
    return Translation(pairs[2], DIGITS, 6, **options)


def batch(pairs):
    [[whole]] = Batches(pairs[0], 9).updates(0)
    return whole


def moment(epoch=0, seed=0):
    return When(epoch, 0, torch.Generator().manual_seed(seed))


def test_the_decoder_reads_one_token_behind():
    target = torch.tensor([[5, 6, EOS], [7, EOS, 0]])
    assert shift(target).tolist() == [[BOS, 5, 6], [BOS, 7, EOS]]


def test_the_loss_is_the_mean_over_target_tokens(pairs):
    model, [source, target, numbers] = build(pairs), batch(pairs)
    loss = task(pairs).loss(model, (source, target, numbers), moment())["loss"]
    logits = model(source, shift(target.values))
    by_token = [
        F.cross_entropy(logits[row, step], target.values[row, step])
        for row, length in enumerate(target.lengths.tolist())
        for step in range(length)
    ]
    torch.testing.assert_close(loss, torch.stack(by_token).mean())
    assert task(pairs).weights((source, target, numbers))["loss"] == len(by_token) == 30


@pytest.mark.parametrize("attention", DECODERS)
@pytest.mark.parametrize("micro_batch", [1, 4])
def test_micro_batches_equal_one_large_batch(pairs, attention, micro_batch):
    states = []
    for size in (None, micro_batch):
        model = build(pairs, attention)
        batches = Batches(pairs[0], 9, training=True, micro_batch=size)
        options = {"max_epochs": 2, "clip": 1.0}
        rows = training.fit(
            model, task(pairs), batches, None, optim.build("sgd", model, 0.5), **options
        )
        states.append((model.state_dict(), rows[-1]["train/loss"]))
    (whole, loss), (split, micro_loss) = states
    assert micro_loss == pytest.approx(loss, rel=1e-5)
    for name, value in whole.items():
        torch.testing.assert_close(split[name], value, atol=1e-5, rtol=1e-4)


def test_the_share_of_teacher_forcing_moves_in_a_line(pairs):
    moving = task(pairs, forcing=(1.0, 0.4), epochs=4)
    assert [moving.given(epoch) for epoch in range(4)] == pytest.approx([1.0, 0.8, 0.6, 0.4])
    assert task(pairs, forcing=(0.7, 0.3), epochs=1).given(0) == 0.7


@pytest.mark.parametrize("attention", DECODERS)
def test_free_runs_are_drawn_from_the_moment_alone(pairs, attention):
    model, whole = build(pairs, attention), batch(pairs)
    half = task(pairs, forcing=(0.5, 0.5))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, again = (half.loss(model, whole, moment(seed=3))["loss"] for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, half.loss(model, whole, moment(seed=4))["loss"])
    assert torch.equal(torch.get_rng_state(), state)
    given = task(pairs).loss(model, whole, moment())["loss"]
    free = task(pairs, forcing=(0.0, 0.0)).loss(model, whole, moment())["loss"]
    assert not torch.equal(given, free)


def test_a_share_of_one_is_plain_teacher_forcing(pairs):
    model, whole = build(pairs), batch(pairs)
    falling = task(pairs, forcing=(1.0, 0.0), epochs=3)
    plain = task(pairs).loss(model, whole, moment())["loss"]
    assert torch.equal(falling.loss(model, whole, moment())["loss"], plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "reverse"), [*((name, False) for name in DECODERS), ("luong", True)]
)
def test_a_small_set_is_learned_by_heart(pairs, attention, reverse):
    columns, source, target = pairs
    columns = columns[0], encode(DIGITS, target, reverse), columns[2]
    model = build(pairs, attention, hidden_size=32)
    translation = task(pairs, reverse=reverse)
    train = Batches(columns, 3, training=True)
    optimizer = optim.build("adam", model, 1e-2)
    training.fit(model, translation, train, None, optimizer, max_epochs=60, clip=1.0)
    figures = training.evaluate(model, translation, Batches(columns, 4))
    assert figures["exact_match"] == figures["character_accuracy"] == 1
    assert figures["chrf"] == pytest.approx(100)
    outputs = training.infer(model, translation, Batches(columns, 4))
    assert translation.texts(outputs) == DIGITS  # in the order of the split, not of the lengths


def test_validation_loss_is_per_token(pairs):
    model, translation = build(pairs), task(pairs)
    [source, target, _] = batch(pairs)
    model.eval()
    logits = model(source, shift(target.values))
    expected = F.cross_entropy(logits.flatten(0, 1), target.values.flatten(), ignore_index=0)
    for size in (9, 2):
        found = training.evaluate(model, translation, Batches(pairs[0], size))
        assert found["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_targets_follow_their_numbers(pairs):
    outputs = training.infer(build(pairs), task(pairs), Batches(pairs[0], 4))
    rows = torch.tensor([4, 0, 8])
    some = {name: values[rows] for name, values in outputs.items()}
    some["tokens"] = torch.zeros(3, 6, dtype=torch.int64)
    some["tokens"][:, 0] = pairs[2].encode(["5", "1", "9"]).values
    figures = task(pairs).figures(some)
    assert figures["exact_match"] == pytest.approx(2 / 3)
    assert figures["character_accuracy"] == pytest.approx(3 / 5)


def test_a_model_that_never_ends_is_cut_off(pairs):
    model = build(pairs)
    with torch.no_grad():
        model.output.bias[EOS] = -1e4
    outputs = training.infer(model, task(pairs), Batches(pairs[0], 9))
    assert outputs["tokens"].shape == (9, 6)
    assert (outputs["tokens"] > EOS).all()


def test_what_is_not_finite_has_no_figures(pairs):
    model = build(pairs)
    with torch.no_grad():
        model.output.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="--learning-rate"):
        training.evaluate(model, task(pairs), Batches(pairs[0], 9))


def test_padding_has_no_part_in_the_loss(pairs):
    model, [source, target, numbers] = build(pairs), batch(pairs)
    wide = Padded(F.pad(target.values, (0, 5)), target.lengths)
    losses = [
        task(pairs).loss(model, (source, each, numbers), moment())["loss"]
        for each in (target, wide)
    ]
    torch.testing.assert_close(*losses)
