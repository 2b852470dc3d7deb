import numpy as np
import pytest
import torch

from common import seeding
from labs.rnn.cells import CELLS
from labs.rnn.memory.gradients import gradient_norms, reach
from labs.rnn.memory.models import Rememberer
from labs.rnn.memory.tasks import TASKS, Adding


def build(name, task, **options):
    torch.manual_seed(1)
    return Rememberer(name, task.input_size, 5, task.output_size, **options)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("task_name", TASKS)
def test_norms_are_those_of_restarting_from_each_state(name, task_name):
    """The fused module, started from the state k steps before the end, gives the same gradient."""
    task = TASKS[task_name](6)
    model = build(name, task).double()
    inputs, targets = task.draw(seeding.generator(0), 3)
    norms = gradient_norms(model, task, (inputs, targets))
    inputs = inputs.double()
    targets = targets.double() if targets.is_floating_point() else targets
    assert norms.shape == (task.steps,)
    for distance in (1, 3, task.steps - 1):
        head, tail = inputs[:, :-distance], inputs[:, -distance:]
        _, state = model.recurrent(head)
        state = tuple(part.detach().requires_grad_() for part in state)
        states, _ = model.recurrent(tail, state=state)
        error = task.last_error(model.readout(states[:, -1]), targets).sum()
        gradients = torch.autograd.grad(error, state)
        by_hand = torch.cat([part[0] for part in gradients], -1).norm(dim=-1).mean()
        assert norms[distance] == pytest.approx(by_hand.item(), rel=1e-9)


def test_the_norm_at_the_end_is_that_of_the_readout():
    task = Adding(4)
    model = build("lstm", task)
    inputs, targets = task.draw(seeding.generator(0), 8)
    slope = 2 * (model(inputs)[:, -1, 0] - targets).abs()
    expected = (slope * model.readout.weight.norm()).mean().item()
    assert gradient_norms(model, task, (inputs, targets))[0] == pytest.approx(expected, rel=1e-4)


def test_the_model_stays_as_it_is():
    task = Adding(4)
    model = build("gru", task)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_norms(model, task, task.draw(seeding.generator(0), 2))
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_gradient_reaches_further_from_an_orthogonal_start_and_from_chrono():
    task = Adding(60)
    batch = task.draw(seeding.generator(0), 10)

    def share(name, **options):
        norms = gradient_norms(build(name, task, **options), task, batch)
        return norms[-1] / norms[0]

    assert share("rnn", orthogonal=True) > 1e3 * share("rnn")
    assert share("lstm", chrono=60) > 1e3 * share("lstm")
    assert share("gru", chrono=60) > 1e3 * share("gru")


def test_reach_is_the_largest_distance_with_a_hundredth_left():
    assert reach(np.array([1.0, 0.5, 0.02, 0.009, 0.011, 0.001])) == 4
    assert reach(np.array([1.0, 0.0])) == 0
    assert reach(np.array([0.0, 0.0, 0.0])) == 2
