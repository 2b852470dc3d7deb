"""Late fusion: what is missing, and what is dropped."""

import pytest
import torch
from torch import nn

from labs.classification.models.fusion import WIDTH, Category, LateFusion, Number, Sense, Text


def build(dropout=0.0, shown=("a", "b", "c")):
    torch.manual_seed(0)
    image = nn.Sequential(nn.Flatten(), nn.Linear(4, WIDTH))
    senses = [Sense("a", Number(), 1), Sense("b", Category(3), 1), Sense("c", Text(5), 4)]
    return LateFusion(image, senses, 2, dropout, shown)


def rows(count, there=(1, 1, 1)):
    torch.manual_seed(1)
    a, b, c = (torch.full((count, 1), float(each)) for each in there)
    ids = torch.randint(0, 6, (count, 4)).float()
    numbers = [a, torch.randn(count, 1), b, torch.randint(0, 3, (count, 1)).float(), c, ids]
    return torch.randn(count, 1, 2, 2), torch.cat(numbers, 1)


def test_a_text_is_the_mean_of_its_pieces_as_torch_has_it():
    text, ids = Text(5), torch.tensor([[1.0, 3, 0, 0], [2, 2, 4, 5]])
    bag = nn.EmbeddingBag.from_pretrained(text.table.weight, mode="mean", padding_idx=0)
    torch.testing.assert_close(text(ids), bag(ids.long()))


def test_images_alone_are_answered_as_rows_of_which_all_else_is_missing():
    model = build().eval()
    images, numbers = rows(5, (0, 0, 0))
    torch.testing.assert_close(model(images), model((images, numbers)))


def test_what_is_missing_has_no_say_whatever_stands_there():
    model = build().eval()
    images, numbers = rows(5, (0, 1, 1))
    other = numbers.clone()
    other[:, 1] = 100
    torch.testing.assert_close(model((images, numbers)), model((images, other)))


def test_a_hidden_sense_is_a_missing_one():
    model = build().eval()
    images, numbers = rows(5)
    absent = numbers.clone()
    absent[:, 2] = 0
    with model.hidden(["b"]):
        hidden = model((images, numbers))
    torch.testing.assert_close(hidden, model((images, absent)))
    assert not torch.equal(hidden, model((images, numbers)))
    with model.hidden(["image"]):
        told = model((images, numbers))
        torch.testing.assert_close(told, model((torch.zeros_like(images), numbers)))


def test_a_network_that_does_not_get_a_sense_passes_over_its_numbers():
    model = build(shown=("a", "c")).eval()
    assert model.names == ["image", "a", "c"]
    images, numbers = rows(5)
    other = numbers.clone()
    other[:, 2:4] = 2
    torch.testing.assert_close(model((images, numbers)), model((images, other)))


@pytest.mark.parametrize("dropout", [0.2, 0.9, 0.999])
def test_dropout_never_drops_all_that_a_sample_has(dropout):
    model = build(dropout).train()
    there = torch.rand(500, 4) < 0.5
    there[torch.arange(500), torch.randint(0, 4, (500,))] = True
    kept = model._keep(there)
    assert kept.any(1).all()
    assert (kept <= there).all()


def test_each_sense_is_dropped_as_often_as_is_said():
    model = build(0.3).train()
    torch.manual_seed(0)
    kept = model._keep(torch.ones(20_000, 4, dtype=torch.bool))
    expected = 0.7 + 0.3**4 / 4  # the one that is kept where all would be dropped
    assert kept.float().mean(0).tolist() == pytest.approx([expected] * 4, abs=0.01)


def test_dropout_repeats_by_its_seed_and_is_off_in_evaluation():
    model = build(0.5).train()
    images, numbers = rows(50)
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(model((images, numbers)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    model.eval()
    assert torch.equal(model((images, numbers)), model((images, numbers)))


def test_senses_may_depend_on_one_another():
    """Of two numbers the sign of their product: a sum of what each tells knows nothing of it."""
    torch.manual_seed(0)
    model = LateFusion(None, [Sense("a", Number(), 1), Sense("b", Number(), 1)], 2, 0.0, ("a", "b"))
    a, b = torch.randn(2, 400, 1)
    ones, targets = torch.ones(400, 1), (a * b > 0).long()[:, 0]
    inputs = torch.zeros(400, 1, 2, 2), torch.cat([ones, a, ones, b], 1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    assert (model.eval()(inputs).argmax(1) == targets).float().mean() > 0.95
