import pytest
import torch
from torch import nn

from common import seeding
from common.training import Task, infer
from common.training.batches import Batches
from common.training.compute import Compute
from common.training.sequences import Padded, Ragged, bucketed


@pytest.fixture(scope="module")
def texts():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 60, (1000,), generator=generator).tolist()
    return Ragged.of([torch.randint(1, 99, (n,), generator=generator) for n in lengths])


def test_ragged_gives_back_what_it_was_made_of():
    ragged = Ragged.of([[3, 1], [], [4]])
    assert len(ragged) == 3
    assert [ragged[row].tolist() for row in range(3)] == [[3, 1], [], [4]]
    assert ragged.lengths.tolist() == [2, 0, 1]
    chosen = ragged.select(torch.tensor([2, 0]))
    assert [part.tolist() for part in (chosen[0], chosen[1])] == [[4], [3, 1]]


def test_sequences_may_all_be_empty():
    ragged = Ragged.of([[], []])
    [[(padded, rows)]] = Batches((ragged, torch.arange(2)), 2).updates(0)
    assert padded.values.tolist() == [[0], [0]]
    assert padded.lengths.tolist() == [0, 0]


def test_sequences_of_vectors_are_padded_with_zeros():
    ragged = Ragged.of([torch.ones(1, 2), torch.full((2, 2), 3.0)])
    [[(padded,)]] = Batches((ragged,), 2).updates(0)
    assert padded.values.tolist() == [[[1, 1], [0, 0]], [[3, 3], [3, 3]]]


def test_an_epoch_holds_every_sequence_once_and_little_padding(texts):
    batches = Batches((texts, torch.arange(1000)), 16, training=True, seed=3)
    seen, real, total = [], 0, 0
    for [(padded, rows)] in batches.updates(0):
        for row, values, length in zip(rows.tolist(), *padded, strict=True):
            assert torch.equal(values[:length], texts[row])
            assert not values[length:].any()
        seen += rows.tolist()
        real, total = real + int(padded.lengths.sum()), total + padded.values.numel()
    assert sorted(seen) == list(range(1000))
    assert 1 - real / total < 0.05


def test_each_epoch_shuffles_batches_anew_and_can_be_entered_anywhere(texts):
    batches = Batches((texts, torch.arange(1000)), 16, training=True)

    def order(epoch, start=0):
        return [rows.tolist() for [(_, rows)] in batches.updates(epoch, start)]

    assert order(1) == order(1)
    assert order(1)[20:] == order(1, 20)
    assert order(0) != order(1)
    means = [texts.lengths[rows].float().mean() for rows in order(0)]
    assert means != sorted(means)


def test_micro_batches_cut_an_update(texts):
    whole = Batches((texts, torch.arange(1000)), 16, training=True)
    cut = Batches((texts, torch.arange(1000)), 16, training=True, micro_batch=5)
    for [(_, rows)], parts in zip(whole.updates(0), cut.updates(0), strict=True):
        assert rows.tolist() == [row for _, part in parts for row in part.tolist()]


def test_two_columns_are_bucketed_by_the_longer_one():
    long, short = Ragged.of([[1] * 9, [1], [1] * 8]), Ragged.of([[1], [1] * 10, [1]])
    assert Batches((long, short), 2).rows.tolist() == [2, 0, 1]


def test_a_last_batch_that_is_not_full_stays_last():
    lengths = torch.arange(10)
    order = bucketed(torch.arange(10), lengths, 4, seeding.generator(0), pool=2)
    assert order[8:].tolist() == [8, 9]
    assert {tuple(order[:4].tolist()), tuple(order[4:8].tolist())} == {(0, 1, 2, 3), (4, 5, 6, 7)}


class Sums(Task):
    def loss(self, model, batch, when):
        raise NotImplementedError

    def outputs(self, model, batch):
        padded, numbers = batch
        assert isinstance(padded, Padded)
        return {"sums": padded.values.sum(1), "numbers": numbers}

    def figures(self, outputs):
        return {}


def test_what_is_inferred_stands_in_the_order_of_the_split(texts):
    batches = Batches((texts, torch.arange(1000)), 64)
    found = infer(nn.Identity(), Sums(), batches, Compute())
    assert found["numbers"].tolist() == list(range(1000))
    assert found["sums"].tolist() == [int(texts[row].sum()) for row in range(1000)]


def test_rows_keep_their_columns_when_all_are_empty():
    ragged = Ragged.of([torch.zeros(0, 6), torch.zeros(0, 6)])
    assert ragged.values.shape == (0, 6)
    assert ragged.values.dtype == torch.float32
    assert ragged[1].shape == (0, 6)
