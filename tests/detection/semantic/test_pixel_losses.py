"""Cross-entropy, Dice and Lovász: against independent implementations, and without void."""

import itertools

import pytest
import torch
from torch.nn import functional

from common.training import When
from common.training.means import shares
from labs.detection.semantic import losses
from labs.detection.semantic.losses import LOSSES, VOID, balance, cross_entropy
from labs.detection.semantic.task import PixelTask


def drawn(seed=0, batch=3, classes=4, side=6, void=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, classes, side, side, generator=generator)
    true = torch.randint(0, classes, (batch, side, side), generator=generator)
    true[torch.rand(true.shape, generator=generator) < void] = VOID
    return logits, true


def jaccard_loss(mistaken, truth):
    """Return 1 - IoU of a class whose pixels are mistaken, as a set function."""
    said = truth ^ mistaken
    union = (said | truth).sum()
    return 0.0 if union == 0 else 1 - ((said & truth).sum() / union).item()


def lovasz_by_definition(errors, truth):
    """Return the Lovász extension of a set function: the sum of its steps in sorted order."""
    total, chosen, before = 0.0, torch.zeros_like(truth), 0.0
    for place in errors.argsort(descending=True).tolist():
        chosen[place] = True
        now = jaccard_loss(chosen, truth)
        total += errors[place].item() * (now - before)
        before = now
    return total


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_is_the_extension_of_the_jaccard_loss_step_by_step(seed):
    logits, true = drawn(seed)
    labelled = true != VOID
    each = []
    for label in range(4):
        truth = (true == label)[labelled]
        if truth.any():
            share = logits.softmax(1)[:, label][labelled]
            each.append(lovasz_by_definition((truth.float() - share).abs(), truth))
    assert losses.lovasz(logits, true).item() == pytest.approx(sum(each) / len(each), abs=1e-5)


def test_lovasz_and_dice_of_sure_predictions_are_those_of_the_sets():
    _, true = drawn(void=0)
    said = true.roll(1, 2)
    logits = 100.0 * functional.one_hot(said, 4).movedim(-1, 1)
    both = torch.stack([((said == k) & (true == k)).sum() for k in range(4)])
    either = torch.stack([((said == k) | (true == k)).sum() for k in range(4)])
    sums = torch.stack([(said == k).sum() + (true == k).sum() for k in range(4)])
    assert losses.lovasz(logits, true).item() == pytest.approx(1 - (both / either).mean().item())
    expected = 1 - ((2 * both + 1) / (sums + 1)).mean().item()
    assert losses.dice(logits, true).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_what_void_pixels_say_changes_no_loss_and_gets_no_gradient(name):
    logits, true = drawn()
    void = (true == VOID)[:, None]
    other = torch.where(void, logits + 5 * torch.randn(logits.shape), logits).requires_grad_()
    loss = LOSSES[name](other, true)
    assert loss.item() == pytest.approx(LOSSES[name](logits, true).item())
    loss.backward()
    assert not other.grad[void.expand_as(other)].any()
    assert other.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_void_alone_has_a_loss_of_zero_or_one_and_no_nan(name):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = LOSSES[name](logits, torch.full((1, 4, 4), VOID))
    loss.backward()
    assert loss.item() in (0.0, 1.0)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_learning_by_a_loss_makes_predictions_right(name):
    logits, true = drawn(classes=3)
    logits.requires_grad_()
    optimizer = torch.optim.Adam([logits], 0.2)
    for _ in range(60):
        optimizer.zero_grad()
        LOSSES[name](logits, true).backward()
        optimizer.step()
    labelled = true != VOID
    assert (logits.argmax(1) == true)[labelled].float().mean() > 0.95


def test_cross_entropy_of_micro_batches_adds_up_to_that_of_the_batch():
    squares = torch.rand(5, 4, 8, 8)
    squares[:, 3] = torch.randint(0, 3, (5, 8, 8)) / 255
    squares[1:, 3, :5] = 1.0  # void: the images have unequal numbers of labelled pixels
    model = torch.nn.Conv2d(3, 3, 1)
    task = PixelTask(3, ["cross-entropy"])
    when = When(0, 0, torch.Generator())
    whole = task.loss(model, (squares,), when)["cross_entropy"]
    parts = [(part,) for part in squares.split([2, 1, 2])]
    weights = [task.weights(part) for part in parts]
    summed = sum(
        share["cross_entropy"] * task.loss(model, part, when)["cross_entropy"]
        for part, share in zip(parts, shares(weights), strict=True)
    )
    assert summed.item() == pytest.approx(whole.item(), abs=1e-6)


@pytest.mark.parametrize("names", [*itertools.combinations(LOSSES, 2)])
def test_several_losses_are_parts_by_their_names(names):
    squares = torch.zeros(1, 4, 8, 8)
    found = PixelTask(2, names).loss(torch.nn.Conv2d(3, 2, 1), (squares,), None)
    assert list(found) == [name.replace("-", "_") for name in names]


def test_rare_classes_weigh_more_until_most_of_training_is_done():
    shares = torch.tensor([0.9, 0.09, 0.01, 0.0])
    first, later, last = (balance(shares, progress) for progress in (0.0, 0.35, 0.7))
    for weights in (first, later, last):
        torch.testing.assert_close((shares * weights).sum(), torch.tensor(1.0))
    torch.testing.assert_close(first[2] / first[0], torch.tensor(90.0).sqrt())
    torch.testing.assert_close(later[2] / later[0], torch.tensor(90.0).pow(0.25))
    torch.testing.assert_close(last, torch.ones(4))


def test_weighed_cross_entropy_is_that_of_torch_over_labelled_pixels():
    logits, weights = torch.randn(2, 3, 4, 4), torch.tensor([0.5, 2.0, 7.0])
    true = torch.randint(3, (2, 4, 4))
    true[0, 0] = VOID
    alone = functional.cross_entropy(logits, true.where(true != VOID, 0), reduction="none")
    expected = (alone * weights[true.clamp(max=2)] * (true != VOID)).sum() / (true != VOID).sum()
    torch.testing.assert_close(cross_entropy(logits, true, weights), expected)
