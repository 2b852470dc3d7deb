import math

import pytest
import torch
from torch import nn

from common import seeding
from common.training.batches import Updates
from labs.rnn.memory.tasks import TASKS, Adding, Copy, Fresh

each_task = pytest.mark.parametrize("name", TASKS)


class Says(nn.Module):
    """Reads out the same numbers whatever it is shown."""

    def __init__(self, read):
        super().__init__()
        self.read = read

    def forward(self, x):
        return self.read


def draw(task, samples, seed=0):
    return task.draw(seeding.generator(seed), samples)


@pytest.mark.parametrize("length", [2, 3, 10, 51])
def test_adding_asks_for_the_sum_of_a_marked_number_of_either_half(length):
    inputs, targets = draw(Adding(length), 300)
    numbers, markers = inputs.unbind(-1)
    assert inputs.shape == (300, length, 2)
    assert bool(((numbers >= 0) & (numbers < 1)).all())
    half = length // 2
    assert bool((markers[:, :half].sum(1) == 1).all())
    assert bool((markers[:, half:].sum(1) == 1).all())
    for row in range(5):
        marked = numbers[row][markers[row] == 1]
        assert targets[row].item() == pytest.approx(marked.sum().item(), rel=1e-6)


def test_adding_marks_every_step_now_and_then():
    inputs, _ = draw(Adding(7), 500)
    assert bool((inputs[..., 1].sum(0) > 0).all())


def test_the_answer_1_has_the_error_that_the_adding_task_says():
    task = Adding(40)
    inputs, targets = draw(task, 40_000)
    error = task.errors(Says(torch.ones(40_000, 40, 1)), (inputs, targets)).mean()
    assert error.item() == pytest.approx(task.baseline, abs=0.004)
    assert task.baseline == pytest.approx(1 / 6)
    assert task.goal == pytest.approx(0.01)


def test_copy_shows_ten_symbols_then_blanks_and_a_sign_and_asks_for_them_at_the_end():
    inputs, targets = draw(Copy(3), 50)
    shown = inputs.argmax(-1)
    assert inputs.shape == (50, 23, 10)
    assert bool((inputs.sum(-1) == 1).all())
    symbols = shown[:, :10]
    assert symbols.min() == 1
    assert symbols.max() == 8
    assert shown[:, 10:].unique(dim=0).tolist() == [[0, 0, 9] + [0] * 10]
    assert bool((targets[:, :13] == 0).all())
    assert torch.equal(targets[:, 13:], symbols)


@pytest.mark.parametrize("length", [1, 50, 200])
def test_blanks_and_then_any_symbol_have_the_error_that_the_copy_task_says(length):
    task = Copy(length)
    batch = draw(task, 20)
    read = torch.full((20, length + 20, 9), -1e9)
    read[:, : length + 10, 0] = 0
    read[:, length + 10 :, 1:] = 0
    errors = task.errors(Says(read), batch)
    assert errors.shape == (20,)
    assert errors.mean().item() == pytest.approx(task.baseline, rel=1e-5)
    assert task.baseline == pytest.approx(10 * math.log(8) / (length + 20))


def test_a_perfect_copy_has_no_error_and_recalls_everything():
    task = Copy(5)
    inputs, targets = draw(task, 4)
    model = Says(1e3 * nn.functional.one_hot(targets, 9).float())
    figures = task.figures(task.outputs(model, (inputs, targets)))
    assert figures == {"loss": pytest.approx(0, abs=1e-6), "accuracy": 1.0}
    guess = Says(torch.zeros(4, 25, 9).index_fill(-1, torch.tensor(0), 1.0))
    assert task.figures(task.outputs(guess, (inputs, targets)))["accuracy"] == 0


@each_task
def test_loss_errors_and_figures_agree(name):
    task = TASKS[name](6)
    batch = draw(task, 8)
    model = Says(torch.randn(8, task.steps, task.output_size, generator=seeding.generator(1)))
    errors = task.errors(model, batch)
    outputs = task.outputs(model, batch)
    mean = errors.mean().item()
    assert task.loss(model, batch, None)["loss"].item() == pytest.approx(mean)
    assert task.figures(outputs)[task.main_metric.name] == pytest.approx(mean)
    measured = task.main_metric.measure(task.decide(outputs), task.truth(batch[1]))
    assert measured[task.main_metric.name] == pytest.approx(mean)


def test_the_last_error_is_that_of_the_last_step():
    task = Copy(2)
    inputs, targets = draw(task, 3)
    read = torch.randn(3, 22, 9, generator=seeding.generator(2))
    expected = -read[:, -1].log_softmax(-1)[range(3), targets[:, -1]]
    torch.testing.assert_close(task.last_error(read[:, -1], targets), expected)


@each_task
def test_fresh_batches_are_a_function_of_seed_epoch_and_update(name):
    task = TASKS[name](5)
    split = Fresh(task.draw, 4, 6, seed=3)
    assert isinstance(split, Updates)
    assert len(split) == 4
    whole = [inputs for [(inputs, _)] in split.updates(1)]
    assert all(map(torch.equal, whole[2:], (inputs for [(inputs, _)] in split.updates(1, 2))))
    others = [
        *(inputs for [(inputs, _)] in split.updates(0)),
        *(inputs for [(inputs, _)] in Fresh(task.draw, 4, 6, seed=4).updates(1)),
    ]
    seen = {inputs.numpy().tobytes() for inputs in [*whole, *others]}
    assert len(seen) == 12


def test_micro_batches_are_parts_of_the_same_update():
    task = Adding(5)
    [[(inputs, targets)]] = Fresh(task.draw, 1, 7).updates(0)
    [parts] = Fresh(task.draw, 1, 7, micro_batch=3).updates(0)
    assert [len(part) for part, _ in parts] == [3, 3, 1]
    assert torch.equal(torch.cat([part for part, _ in parts]), inputs)
    assert torch.equal(torch.cat([part for _, part in parts]), targets)
