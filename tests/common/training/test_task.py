import pytest
import torch
from torch import nn
from torch.nn import functional

from common.training import When, epochs, losses
from common.training.batches import Batches
from common.training.task import Classification

WEIGHTS = torch.tensor([1.0, 2.0, 5.0])


class WithAuxiliaries(nn.Module):
    """In training it gives the logits, and those of two auxiliary classifiers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.heads = nn.ModuleList(nn.Linear(4, 3) for _ in range(3))

    def forward(self, inputs):
        logits = tuple(head(inputs) for head in self.heads)
        return logits if self.training else logits[0]


def batch(size=7):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(size, 4, generator=generator), torch.arange(size) % 3


def moment():
    return When(0, 0, torch.Generator())


def task(weights=None, auxiliary=0.3):
    return Classification(losses.build("cross-entropy", weights), weights, auxiliary=auxiliary)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_auxiliary_classifiers_have_a_part_of_the_loss(weights):
    model, (inputs, targets) = WithAuxiliaries(), batch()
    parts = task(weights).loss(model.train(), (inputs, targets), moment())
    each = [functional.cross_entropy(head(inputs), targets, weights) for head in model.heads]
    torch.testing.assert_close(parts["loss"], each[0])
    torch.testing.assert_close(parts["auxiliary"], 0.3 * (each[1] + each[2]))
    assert parts.keys() == task(weights).weights((inputs, targets)).keys()


def test_where_the_model_has_no_auxiliary_classifiers_there_is_one_part():
    model, rows = nn.Linear(4, 3), batch()
    for factor in (0.0, 0.3):
        parts = task(auxiliary=factor).loss(model, rows, moment())
        assert list(parts) == ["loss"]
    assert list(task(auxiliary=0.0).weights(rows)) == ["loss"]


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_micro_batches_of_both_parts_add_up_to_the_whole_batch(weights):
    rows = []
    for micro_batch in (None, 2):
        split = Batches(batch(), batch_size=7, training=True, micro_batch=micro_batch)
        stream = epochs(WithAuxiliaries(), task(weights), split, split, max_epochs=3)
        rows.append(list(stream))
    for whole, micro in zip(*rows, strict=True):
        for name in ("train/loss", "train/auxiliary", "validation/loss"):
            assert micro[name] == pytest.approx(whole[name], rel=1e-5)
        assert 0 < whole["train/auxiliary"] < whole["train/loss"]
    assert rows[0][-1]["validation/loss"] < rows[0][0]["validation/loss"]
