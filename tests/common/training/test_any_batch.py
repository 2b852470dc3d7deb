"""What programs hand to the loop: batches of any kind, and one sentence for what is of no use."""

import collections
import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, IterableDataset

from common.errors import ConfigError, DataError, NonFiniteError
from common.training import Batches, Task, evaluate, fit

INPUTS = torch.arange(120.0).reshape(40, 3).sin()
TARGETS = INPUTS.sum(1, keepdim=True)
PAIRS = list(zip(INPUTS.split(8), TARGETS.split(8), strict=True))

Named = collections.namedtuple("Named", "x y")  # noqa: PYI024 - as people write them


@dataclasses.dataclass
class Both:
    x: Tensor
    y: Tensor


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Tensor
    y: Tensor


class Regression(Task):
    """Reads a batch by `take`."""

    def __init__(self, take=lambda batch: batch):
        self._take = take

    def loss(self, model, batch, when):
        inputs, targets = self._take(batch)
        return {"loss": mse_loss(model(inputs), targets)}

    def outputs(self, model, batch):
        inputs, targets = self._take(batch)
        return {"outputs": model(inputs), "targets": targets}

    def figures(self, outputs):
        error = mse_loss(outputs["outputs"], outputs["targets"]).item()
        return {"loss": error, "perplexity": error}


def train(batches, validation=None, task=None, optimizer=None, **options):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    make = optimizer or (lambda parameters: None)
    made = make(model.parameters())
    task = task or Regression()
    return fit(model, task, batches, validation, made, max_epochs=2, **options)[-1]


class Anew:
    """Knows no length."""

    def __iter__(self):
        return iter(PAIRS)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(INPUTS, TARGETS, strict=True))


ATTRIBUTES, KEYS = (lambda batch: (batch.x, batch.y)), (lambda batch: (batch["x"], batch["y"]))


@pytest.mark.parametrize(
    ("batches", "take"),
    [
        ([Named(*pair) for pair in PAIRS], ATTRIBUTES),
        ([Both(*pair) for pair in PAIRS], ATTRIBUTES),
        ([Frozen(*pair) for pair in PAIRS], ATTRIBUTES),
        ([list(pair) for pair in PAIRS], lambda batch: batch),
        ([{"x": x, "y": y} for x, y in PAIRS], KEYS),
        ([collections.UserDict(x=x, y=y) for x, y in PAIRS], KEYS),
        ([collections.OrderedDict(x=x, y=y) for x, y in PAIRS], KEYS),
        ([{"id": "a", "pair": pair} for pair in PAIRS], lambda batch: batch["pair"]),
        (Anew(), lambda batch: batch),
        (DataLoader(Stream(), 8), lambda batch: batch),
    ],
)
def test_batches_of_any_kind_train_alike(batches, take):
    row, usual = train(batches, batches, Regression(take)), train(PAIRS, PAIRS)
    assert row["train/loss"] == usual["train/loss"]
    assert row["validation/loss"] == usual["validation/loss"]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"batches": []}, DataError, "training split has no batches"),
        ({"batches": [], "validation": PAIRS}, DataError, "training split has no batches"),
        ({"batches": PAIRS, "validation": []}, DataError, "validation split has no batches"),
        ({"batches": iter(PAIRS)}, DataError, "training split is an iterator"),
        ({"batches": PAIRS, "validation": iter(PAIRS)}, DataError, "gives its batches only once"),
        ({"batches": ["a", "b"]}, DataError, "holds no tensor whose rows are its samples"),
        ({"batches": PAIRS, "mode": "minimum"}, ConfigError, "mode 'minimum': expected 'min' or"),
        ({"batches": PAIRS, "validation": DataLoader([])}, DataError, "validation split has no"),
        ({"batches": PAIRS, "optimizer": torch.optim.LBFGS}, ConfigError, "LBFGS"),
    ],
)
def test_what_is_of_no_use_is_refused_in_a_sentence(options, error, match):
    task = Regression(lambda batch: PAIRS[0])
    with pytest.raises(error, match=match):
        train(**{"task": task, **options})


def test_sparse_gradients_are_named():
    model = nn.Sequential(nn.EmbeddingBag(9, 4, sparse=True), nn.Linear(4, 1))
    batches = [(torch.randint(0, 9, (8, 3)), torch.zeros(8, 1))]
    for make in (torch.optim.SparseAdam, torch.optim.SGD):
        with pytest.raises(ConfigError, match="sparse=False"):
            fit(model, Regression(), batches, None, make(model.parameters()), max_epochs=1)


@pytest.mark.parametrize(
    "columns",
    [
        (INPUTS, TARGETS[:30]),
        (INPUTS[:30], TARGETS),
        (INPUTS.tolist(), TARGETS),
        (INPUTS[0, 0],),
        (),
    ],
)
def test_columns_have_a_row_for_each_sample(columns):
    with pytest.raises(DataError, match="column"):
        Batches(columns)


@pytest.mark.parametrize("name", ["lengths", "weights"])
def test_what_is_said_of_samples_is_said_of_each(name):
    with pytest.raises(DataError, match=f"{name}: 30 for 40 samples"):
        Batches((INPUTS, TARGETS), **{name: torch.ones(30)})


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_samples(size):
    with pytest.raises(ConfigError, match="1 sample or more"):
        Batches((INPUTS, TARGETS), size)


def spoiled(column, value):
    wrong = column.clone()
    wrong[17, 0] = value
    return wrong


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize(
    ("name", "batches"),
    [
        (r"batch\[0\]", lambda wrong: zip(wrong.split(8), TARGETS.split(8), strict=True)),
        (r"batch\.x", lambda wrong: map(Named, wrong.split(8), TARGETS.split(8))),
    ],
)
def test_what_is_not_finite_in_the_data_is_not_blamed_on_the_learning_rate(name, batches, value):
    wrong = list(batches(spoiled(INPUTS, value)))
    with pytest.raises(NonFiniteError, match=rf"batch 3;.*numbers of {name} are.*sample 2"):
        train(wrong)
    with pytest.raises(NonFiniteError, match=rf"batch 3 cannot be evaluated.*{name}"):
        evaluate(nn.Linear(3, 1), Regression(), wrong)


def test_targets_are_looked_at_too_and_in_a_shuffled_split():
    wrong = Batches((INPUTS, spoiled(TARGETS, torch.nan)), 8, training=True)
    with pytest.raises(NonFiniteError, match=r"numbers of batch\[1\] are NaN"):
        train(wrong)


def test_a_rate_that_is_too_high_is_still_named():
    with pytest.raises(NonFiniteError, match="--learning-rate"):
        train(PAIRS * 9, optimizer=lambda p: torch.optim.SGD(p, 1e30))


def test_the_direction_follows_from_the_name():
    rows = []
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    fit(
        model,
        Regression(),
        PAIRS,
        PAIRS,
        max_epochs=3,
        monitor="validation/perplexity",
        on_epoch=rows.append,
    )
    best = min(row["validation/perplexity"] for row in rows)
    assert evaluate(model, Regression(), PAIRS)["perplexity"] == pytest.approx(best)
