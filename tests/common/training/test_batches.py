from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from common import seeding
from common.errors import DataError
from common.images import augment
from common.training.batches import Batches, Repeated, Updates, as_updates, batch_size, spans
from common.training.compute import Compute
from common.training.sequences import Padded
from common.training.splits import repeated_rows, sample_rows, split_rows, thinned_rows


class Items(Dataset):
    """Images with their row numbers, as a map-style data set that workers can read."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row], row


class Numbers:
    """A `prepare` that shows which numbers a row was given."""

    columns = 3

    def __call__(self, inputs, numbers):
        return (inputs, torch.zeros(len(inputs), 3) if numbers is None else numbers)


def rows_of(batches, epoch=0, start=0):
    """The row numbers of each micro-batch of each update, as lists."""
    return [[b[-1].tolist() for b in update] for update in batches.updates(epoch, start)]


def flat(nested):
    return [row for update in nested for batch in update for row in batch]


def plain(size, batch_size=8, **options):
    return Batches([torch.arange(size)], batch_size, **options)


@pytest.mark.parametrize(
    ("size", "length", "expected"),
    [
        (10, 4, [(0, 4), (4, 8), (8, 10)]),
        (8, 4, [(0, 4), (4, 8)]),
        (9, 4, [(0, 4), (4, 9)]),  # one sample alone joins those before it
        (1, 4, [(0, 1)]),
        (5, 4, [(0, 5)]),
        (3, 1, [(0, 1), (1, 2), (2, 3)]),
        (4, 100, [(0, 4)]),
    ],
)
def test_spans(size, length, expected):
    assert spans(size, length) == expected


@pytest.mark.parametrize("size", range(1, 40))
def test_spans_cover_everything_and_none_is_of_one_sample(size):
    for length in range(2, 12):
        pieces = spans(size, length)
        assert [row for low, high in pieces for row in range(low, high)] == list(range(size))
        assert all(2 <= high - low <= length + 1 for low, high in pieces) or size == 1


@pytest.mark.parametrize("micro", [None, 1, 3, 7, 8, 100])
def test_each_row_comes_once_an_epoch_in_an_order_of_its_own(micro):
    batches = plain(50, training=True, micro_batch=micro, seed=5)
    first, second = (flat(rows_of(batches, epoch)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first == seeding.permutation(5, 0, 50).tolist()
    assert first != second
    assert first == flat(rows_of(batches, 0))
    assert first != flat(rows_of(plain(50, training=True, seed=6), 0))


def test_evaluation_keeps_the_order_of_the_data():
    assert flat(rows_of(plain(21), epoch=3)) == list(range(21))


def test_updates_are_of_the_batch_size_and_micro_batches_make_them_up():
    batches = plain(30, training=True, micro_batch=3)
    lengths = [[len(batch) for batch in update] for update in rows_of(batches)]
    assert lengths == [[3, 3, 2], [3, 3, 2], [3, 3, 2], [3, 3]]
    assert len(batches) == 4


@pytest.mark.parametrize(("size", "lengths"), [(17, [8, 9]), (18, [8, 8, 2]), (1, [1])])
def test_a_last_batch_of_one_sample_joins_the_one_before(size, lengths):
    batches = plain(size)
    assert [len(batch) for [batch] in rows_of(batches)] == lengths
    assert len(batches) == len(lengths)


def test_a_split_without_samples_is_an_error():
    with pytest.raises(DataError, match="no samples"):
        plain(0)


@pytest.mark.parametrize("size", [4, 8, 50])
@pytest.mark.parametrize("micro", [None, 3])
def test_what_a_sample_gets_does_not_depend_on_the_batch_size(size, micro):
    rows = torch.arange(50)
    table = seeding.uniforms(2, 1, 50, 3)
    batches = Batches(
        [rows, rows], size, training=True, micro_batch=micro, seed=2, prepare=Numbers()
    )
    found = [batch for update in batches.updates(1) for batch in update]
    assert torch.equal(torch.cat([numbers for (_, numbers), _ in found]), table)
    assert torch.equal(torch.cat([row for _, row in found]), seeding.permutation(2, 1, 50))


def test_evaluation_hands_out_no_numbers():
    rows = torch.arange(5)
    [[((inputs, numbers), _)]] = Batches([rows, rows], prepare=Numbers()).updates(0)
    assert torch.equal(inputs, rows)
    assert not numbers.any()


@pytest.fixture
def pipeline():
    return augment.Pipeline(augment.parse(["affine", "pad-crop:1"]), mean=[0.3], std=[0.4])


def images_by_row(batches, start=0):
    found = [batch for update in batches.updates(1, start) for batch in update]
    return torch.cat([b[0] for b in found]), torch.cat([b[1] for b in found])


@pytest.mark.parametrize("start", [0, 3])
def test_workers_batch_size_and_place_of_reading_change_nothing(digits, pipeline, same, start):
    images = digits.images[:41]
    options = {"training": True, "seed": 1, "prepare": pipeline}
    in_memory = Batches((images, torch.arange(41)), 4, **options)
    expected = images_by_row(in_memory, start)
    assert len(expected[1]) == 41 - 4 * start
    for workers in (0, 1, 2):
        read = Batches(Items(images), 4, workers=workers, micro_batch=3, **options)
        assert same(images_by_row(read, start), expected)
        assert same(images_by_row(read, start), expected)  # also when asked again
    if not start:
        assert same(images_by_row(Batches((images, torch.arange(41)), 16, **options)), expected)


@pytest.mark.parametrize("start", [0, 1, 6, 7])
@pytest.mark.parametrize("kind", ["memory", "dataset", "loader"])
def test_to_start_at_an_update_is_to_skip_those_before(kind, start):
    rows = torch.arange(50)
    split = {
        "memory": lambda: Batches([rows], 8, training=True, micro_batch=3),
        "dataset": lambda: Batches(TensorDataset(rows), 8, training=True, micro_batch=3),
        "loader": lambda: Repeated(DataLoader(TensorDataset(rows), 8, shuffle=True), Compute()),
    }[kind]
    assert len(split()) == 7
    assert rows_of(split(), 2, start) == rows_of(split(), 2)[start:]


class Noise(Dataset):
    """Draws from torch's default generator for each item, as torchvision's transforms do."""

    def __len__(self):
        return 12

    def __getitem__(self, row):
        return torch.rand(2), row


def test_a_data_loader_gives_an_epoch_by_its_number():
    split = Repeated(DataLoader(TensorDataset(torch.arange(30)), 7, shuffle=True), Compute(), 4)
    first, second, again = (rows_of(split, epoch) for epoch in (0, 1, 0))
    assert first == again != second
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(30))
    other_seed = Repeated(
        DataLoader(TensorDataset(torch.arange(30)), 7, shuffle=True), Compute(), 5
    )
    assert rows_of(other_seed, 0) != first


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, 2])
def test_random_items_are_the_same_whatever_is_drawn_between_them(same, workers, start):
    """Training draws dropout between two batches; a resumed run has skipped those draws."""
    split = Repeated(DataLoader(Noise(), 5, shuffle=True, num_workers=workers), Compute())
    expected = [batch for [batch] in split.updates(3)]
    found = []
    for [batch] in split.updates(3, start):
        torch.manual_seed(99)
        torch.rand(7)
        found.append(batch)
    assert same(found, expected[start:])
    assert not torch.equal(expected[0][0][0], expected[1][0][0])


class Drawn(Dataset):
    """Items of unequal length that a place draws, and the place."""

    draws = True

    def __len__(self):
        return 11

    def __getitem__(self, place):
        seed = -1 if place.seed is None else place.seed
        numbers = torch.rand(place.row % 3, generator=torch.Generator().manual_seed(abs(seed)))
        return torch.tensor([place.row, place.epoch, seed]), numbers

    @staticmethod
    def collate(items):
        places, numbers = zip(*items, strict=True)
        return torch.stack(places), Padded.of(numbers)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("start", [0, 2])
def test_a_set_that_draws_is_told_the_place_whatever_the_batch(same, workers, start):
    def read(batch_size, **options):
        batches = Batches(Drawn(), batch_size, training=True, seed=3, **options)
        return [batch for update in batches.updates(4, start * 4 // batch_size) for batch in update]

    one = read(4, workers=workers)
    places = torch.cat([places for places, _ in one])
    assert set(places[:, 1].tolist()) == {4}
    assert len(set(places[:, 2].tolist())) == len(places)
    again = torch.cat([places for places, _ in read(2, micro_batch=1)])
    assert same(again, places)
    for found, numbers in one:
        assert same(numbers.lengths, found[:, 0] % 3)


def test_a_set_that_draws_is_told_that_it_is_evaluated():
    [[(places, numbers)]] = Batches(Drawn(), 11).updates(0)
    assert places.tolist() == [[row, 0, -1] for row in range(11)]
    assert numbers.values.shape == (11, 2)


def test_sequences_that_are_all_empty_are_padded_to_one():
    padded = Padded.of([torch.zeros(0, 6), torch.zeros(0, 6)])
    assert padded.values.shape == (2, 1, 6)
    assert padded.lengths.tolist() == [0, 0]


def test_a_list_of_batches_is_a_split_and_batches_are_themselves():
    compute = Compute()
    batches = plain(5)
    assert as_updates(batches, compute) is batches
    repeated = as_updates([torch.arange(3), torch.arange(2)], compute)
    assert isinstance(repeated, Updates)
    assert [batch.tolist() for [batch] in repeated.updates(0)] == [[0, 1, 2], [0, 1]]
    assert len(repeated) == 2


class Pair(NamedTuple):
    words: torch.Tensor
    label: torch.Tensor


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(3, 2),
        (torch.zeros(3, 2), torch.zeros(9)),
        [[torch.zeros(3)], torch.zeros(9)],
        {"names": ["a", "b", "c"], "inputs": torch.zeros(3)},
        ((), 5, Pair(torch.zeros(3), torch.zeros(9))),
    ],
)
def test_the_size_of_a_batch_is_that_of_its_first_tensor(batch):
    assert batch_size(batch) == 3


TARGETS = torch.tensor([0] * 50 + [1] * 30 + [7] * 20)[seeding.permutation(0, 0, 100)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_split_has_each_row_once_and_each_class_by_its_share(seed):
    parts = split_rows(TARGETS, seed, validation=0.1, test=0.2)
    assert torch.cat(parts).sort().values.tolist() == list(range(100))
    assert all(torch.equal(part, part.sort().values) for part in parts)
    counts = [np.unique(TARGETS[part], return_counts=True)[1].tolist() for part in parts]
    assert counts == [[35, 21, 14], [5, 3, 2], [10, 6, 4]]


def test_a_split_is_a_function_of_its_seed(same):
    assert same(split_rows(TARGETS, 3), split_rows(TARGETS, 3))
    assert not same(split_rows(TARGETS, 3), split_rows(TARGETS, 4))


def test_a_part_may_be_left_out_and_numbers_are_split_as_one_class():
    train, validation, test = split_rows(TARGETS, 0, validation=0.0, test=0.2)
    assert (len(train), len(validation), len(test)) == (80, 0, 20)
    assert [len(part) for part in split_rows(torch.rand(40), 0)] == [28, 4, 8]


def test_a_rare_class_is_in_every_part_or_an_error():
    targets = torch.tensor([0] * 20 + [1] * 3)
    assert all(1 in targets[part] for part in split_rows(targets, 0))
    with pytest.raises(DataError, match=r"2 sample\(s\); training, validation and test need one"):
        split_rows(targets[:-1], 0)


def test_a_sample_has_each_class_by_its_share():
    rows = sample_rows(TARGETS, 20, seed=0)
    assert np.unique(TARGETS[rows], return_counts=True)[1].tolist() == [10, 6, 4]
    assert torch.equal(rows, rows.unique())
    assert torch.equal(rows, sample_rows(TARGETS, 20, seed=0))
    assert not torch.equal(rows, sample_rows(TARGETS, 20, seed=1))


def test_a_sample_has_enough_of_each_class_and_no_more_than_there_is():
    assert np.unique(TARGETS[sample_rows(TARGETS, 1, 0)], return_counts=True)[1].tolist() == [3] * 3
    assert len(sample_rows(TARGETS, 1000, 0)) == 100
    assert len(sample_rows(torch.rand(50), 10, 0)) == 10


# Rare classes


RARE = torch.tensor([0] * 60 + [1] * 25 + [2] * 8 + [3])


@pytest.mark.parametrize(
    ("most", "ratio", "expected"),
    [
        (None, 1.0, [60, 25, 8, 1]),
        (10, 1.0, [10, 10, 8, 1]),  # a class with fewer keeps all
        (1, 1.0, [1, 1, 1, 1]),
        (None, 8.0, [60, 12, 2, 1]),  # 60, 25 / 2, 8 / 4, 1 / 8
        (20, 8.0, [20, 10, 2, 1]),  # 20, 20 / 2, 8 / 4, 1 / 8
        (None, 1e6, [60, 1, 1, 1]),
    ],
)
def test_classes_are_thinned_to_exact_numbers(most, ratio, expected):
    rows = thinned_rows(RARE, 4, 0, most, ratio)
    assert RARE[rows].bincount().tolist() == expected
    assert torch.equal(rows, rows.unique())
    assert torch.equal(rows, thinned_rows(RARE, 4, 0, most, ratio))


def test_what_is_left_of_a_class_is_named_by_the_seed_and_more_of_it_holds_less():
    few, more = (set(thinned_rows(RARE, 4, 0, most).tolist()) for most in (5, 9))
    assert few < more
    assert few != set(thinned_rows(RARE, 4, 1, 5).tolist())


def test_a_class_without_rows_stays_without():
    assert thinned_rows(torch.tensor([0, 0, 2, 2]), 4, 0, 1).tolist() in (
        [0, 2],
        [1, 2],
        [0, 3],
        [1, 3],
    )
    assert thinned_rows(torch.zeros(4, dtype=torch.int64), 1, 0, ratio=9.0).tolist() == [0, 1, 2, 3]


def test_repeats_fill_each_class_up_evenly():
    again = repeated_rows(RARE)
    counts = torch.cat([torch.arange(94), again]).bincount()
    assert torch.cat([RARE, RARE[again]]).bincount().tolist() == [60] * 4
    for number in range(4):
        mine = counts[number == RARE]
        assert mine.max() - mine.min() <= 1
    assert len(repeated_rows(torch.tensor([0, 1, 1, 0]))) == 0


WEIGHTS = 1 / RARE.bincount()[RARE]


def test_weights_make_every_class_as_probable():
    targets = RARE.repeat(20)
    batches = plain(len(targets), 64, training=True, weights=1 / targets.bincount()[targets])
    drawn = torch.tensor([flat(rows_of(batches, epoch)) for epoch in range(10)])
    assert drawn.shape == (10, 1880)
    share = targets[drawn.flatten()].bincount() / 18800
    # Four deviations of a share of one in four.
    assert share.tolist() == pytest.approx([0.25] * 4, abs=4 * (0.25 * 0.75 / 18800) ** 0.5)
    rare = drawn[targets[drawn] == 3].bincount()[targets.eq(3).nonzero().flatten()]
    assert rare.tolist() == pytest.approx([235] * 20, abs=4 * 235**0.5)  # no row above others


@pytest.mark.parametrize("options", [{"weights": WEIGHTS}, {"repeats": repeated_rows(RARE)}])
class TestRare:
    """What is said of every way to take rows more than once."""

    def test_the_order_is_a_function_of_seed_and_epoch(self, options):
        first, again, other = (plain(94, training=True, seed=s, **options) for s in (5, 5, 6))
        rows = [flat(rows_of(first, epoch)) for epoch in (0, 1)]
        assert rows[0] != rows[1]
        assert rows[0] == flat(rows_of(again, 0)) != flat(rows_of(other, 0))

    def test_an_epoch_goes_on_where_it_stopped(self, options):
        batches = plain(94, training=True, micro_batch=3, **options)
        whole = rows_of(batches, 2)
        assert len(whole) == len(batches)
        for start in (1, 5, len(whole)):
            assert rows_of(batches, 2, start) == whole[start:]

    def test_batch_sizes_and_micro_batches_cut_one_order(self, options):
        cut = [
            flat(rows_of(plain(94, size, training=True, micro_batch=micro, **options), 1))
            for size, micro in ((8, None), (8, 3), (33, None), (33, 7))
        ]
        assert cut[0] == cut[1] == cut[2] == cut[3]

    def test_evaluation_is_left_alone(self, options):
        batches = plain(94, **options)
        assert flat(rows_of(batches, 3)) == list(range(94))
        assert batches.samples == 94

    def test_readers_give_what_memory_gives(self, options, digits, pipeline, same):
        images = digits.images[:94]
        given = {"training": True, "seed": 1, "prepare": pipeline, **options}
        expected = images_by_row(Batches((images, torch.arange(94)), 8, **given))
        for workers in (0, 2):
            read = Batches(Items(images), 8, workers=workers, micro_batch=3, **given)
            assert same(images_by_row(read), expected)


def test_only_repeats_are_augmented(digits, pipeline):
    again, images = repeated_rows(RARE), digits.images[:94]
    batches = Batches((images, torch.arange(94)), 8, training=True, prepare=pipeline, repeats=again)
    inputs, rows = images_by_row(batches)
    plainly = pipeline(images, None)
    left = torch.tensor(
        [torch.equal(one, plainly[row]) for one, row in zip(inputs, rows, strict=True)]
    )
    assert sorted(rows[left].tolist()) == list(range(94))  # each once as it is
    assert sorted(rows[~left].tolist()) == sorted(again.tolist())
    table = seeding.uniforms(0, 1, 240, pipeline.columns)
    torch.testing.assert_close(inputs[~left], pipeline(images[rows], table)[~left])


def test_repeats_without_random_changes_are_but_repeated(digits):
    prepare = augment.Pipeline([], mean=[0.3], std=[0.4])
    again = torch.tensor([3, 3, 5])
    batches = Batches(
        (digits.images[:9], torch.arange(9)), 4, training=True, prepare=prepare, repeats=again
    )
    inputs, rows = images_by_row(batches)
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 3, 3, 4, 5, 5, 6, 7, 8]
    assert torch.equal(inputs, prepare(digits.images[rows], None))


def test_repeated_sequences_keep_company_of_their_length():
    lengths = torch.randint(1, 40, (94,), generator=torch.Generator().manual_seed(0))
    batches = plain(94, training=True, lengths=lengths, repeats=repeated_rows(RARE))
    rows = [row for update in rows_of(batches) for row in update]
    assert sorted(flat([rows])) == sorted([*range(94), *repeated_rows(RARE).tolist()])
    spread = [int(lengths[row].max() - lengths[row].min()) for row in rows]
    assert sum(spread) / len(spread) < 6
