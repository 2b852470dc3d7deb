"""The three strategies: shapes, what each may look at, and that they learn."""

import numpy as np
import pytest
import torch
from torch import nn

from common import training
from common.errors import NonFiniteError
from common.training import When, optim
from common.training.compute import Compute
from labs.rnn.forecast import data, task
from labs.rnn.forecast.models import MODELS, AfterLine

WHEN = When(0, 0, torch.Generator())


def build(strategy, **options):
    torch.manual_seed(0)
    model = MODELS[strategy](**{"cell": "gru", "hidden_size": 8, "horizon": 4, **options})
    nn.init.normal_(model.head.weight)  # it begins at 0
    return model


@pytest.mark.parametrize("strategy", MODELS)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_model_gives_forecasts_and_gradients(strategy, cell, layers):
    model = build(strategy, cell=cell, layers=layers, levels=(0.1, 0.5, 0.9))
    windows, targets = torch.randn(5, 7), torch.randn(5, 4)
    forecasts = model(windows, targets)
    assert forecasts.shape == (5, 4, 3)
    forecasts.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("strategy", MODELS)
def test_a_new_model_says_that_nothing_changes(strategy):
    model = MODELS[strategy]("gru", 8, 4)
    windows = torch.randn(5, 7)
    assert (model(windows)[..., 0] == windows[:, -1:]).all()


def test_quantiles_begin_as_those_of_a_normal_distribution():
    model = MODELS["direct"]("gru", 8, 2, levels=(0.1, 0.5, 0.9))
    windows = torch.randn(5, 7)
    around = model(windows) - windows[:, -1:, None]
    torch.testing.assert_close(around[0], torch.tensor([[-1.28, 0, 1.28]] * 2), atol=0.01, rtol=0)


@pytest.mark.parametrize("strategy", MODELS)
def test_one_step(strategy):
    model = build(strategy, horizon=1)
    assert model(torch.randn(5, 7)).shape == (5, 1, 1)
    assert model(torch.randn(5, 7), torch.randn(5, 1)).shape == (5, 1, 1)


@pytest.mark.parametrize("strategy", MODELS)
def test_no_forecast_depends_on_its_own_target_or_a_later_one(strategy):
    model = build(strategy)
    windows, targets = torch.randn(5, 7), torch.randn(5, 4)
    before = model(windows, targets)
    for step in range(4):
        changed = targets.clone()
        changed[:, step:] += 9
        assert torch.equal(model(windows, changed)[:, : step + 1], before[:, : step + 1])


def test_only_the_recursive_one_looks_at_targets():
    windows, targets = torch.randn(5, 7), torch.randn(5, 4)
    for strategy in MODELS:
        model = build(strategy)
        assert torch.equal(model(windows), model(windows, targets)) != (strategy == "recursive")


def test_recursive_forecasts_are_its_own_forecasts_read_again():
    """Teacher forcing with its own forecasts as the truth gives these forecasts."""
    model = build("recursive")
    windows = torch.randn(5, 7)
    alone = model(windows)
    torch.testing.assert_close(model(windows, alone[..., 0].detach()), alone)


def test_truncation_changes_gradients_not_forecasts():
    windows = torch.randn(5, 12, requires_grad=True)
    whole, cut = build("direct"), build("direct", truncate=4)
    torch.testing.assert_close(whole(windows), cut(windows))
    [reached] = torch.autograd.grad(cut(windows).sum(), windows)
    assert (reached[:, :8] == 0).all()
    assert (reached[:, 8:] != 0).any()
    [reached] = torch.autograd.grad(whole(windows).sum(), windows)
    assert (reached[:, 0] != 0).all()


@pytest.mark.parametrize("strategy", MODELS)
def test_every_strategy_learns_to_beat_persistence(make, strategy):
    options = {"strategy": strategy, "hidden_size": "16", "learning_rate": "0.01"}
    config = make(data="seasonal", window="12", horizon="4", limit="300", **options)
    splits, _ = data.load(config)
    torch.manual_seed(0)
    model, compute = task.build_model(config), Compute("cpu")
    the_task = task.Forecasting(config)
    held = task.batches(config, splits["validation"], compute)
    persistence = training.evaluate(model, the_task, held)["mase"]
    rows = training.fit(
        model,
        the_task,
        task.batches(config, splits["train"], compute, training=True),
        held,
        optim.build("adamw", model, config.learning_rate),
        max_epochs=6,
        seed=0,
    )
    assert min(row["validation/mase"] for row in rows) < 0.75 * persistence


def test_loss_of_point_forecasts(make):
    model = lambda windows, targets: torch.tensor([[[1.0], [2.0]]])  # noqa: E731
    batch = (torch.zeros(1, 3), torch.tensor([[3.0, 1.0]]))
    loss = task.Forecasting(make(loss="mae")).loss(model, batch, WHEN)["loss"]
    assert loss.item() == pytest.approx((2 + 1) / 2)
    loss = task.Forecasting(make(loss="mse")).loss(model, batch, WHEN)["loss"]
    assert loss.item() == pytest.approx((4 + 1) / 2)


def test_quantile_loss_is_scikit_learns(make):
    from sklearn.metrics import mean_pinball_loss

    quantiles, targets = torch.randn(6, 4, 3), torch.randn(6, 4)
    the_task = task.Forecasting(make(quantiles="0.1,0.5,0.9"))
    loss = the_task.loss(lambda *_: quantiles, (torch.zeros(6, 3), targets), WHEN)["loss"]
    expected = np.mean(
        [
            mean_pinball_loss(targets.flatten(), quantiles[..., k].flatten(), alpha=level)
            for k, level in enumerate((0.1, 0.5, 0.9))
        ]
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_crossed_quantiles_are_put_in_order():
    model = lambda windows: torch.tensor([[[3.0, 1.0, 2.0]]])  # noqa: E731
    assert task.forecast(model, torch.zeros(1, 3)).tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("log", ["yes", "no"])
def test_outputs_are_in_units_of_the_series(make, log):
    """A model that says the scaled targets themselves is right everywhere."""
    config = make(log=log)
    splits, _ = data.load(config)
    [batch] = next(iter(task.batches(config, splits["validation"], Compute("cpu")).updates(0)))
    outputs = task.Forecasting(config).outputs(lambda windows: batch[1][..., None], batch)
    figures = task.Forecasting(config).figures(outputs)
    assert outputs["truth"].numpy() == pytest.approx(splits["validation"].truth, rel=1e-6)
    assert figures["mase"] < 1e-4
    assert figures["loss"] == 0


def test_forecasts_that_are_no_numbers(make):
    outputs = {
        "forecasts": torch.full((2, 4, 1), torch.nan),
        "truth": torch.zeros(2, 4),
        "naive": torch.ones(2, 1),
        "loss": torch.zeros(2),
    }
    with pytest.raises(NonFiniteError, match="learning-rate"):
        task.Forecasting(make()).figures(outputs)


def test_a_network_after_a_line_begins_at_the_line():
    model = AfterLine(MODELS["direct"]("gru", 8, 4), 7)
    model.weight.normal_()
    model.bias.normal_()
    windows = torch.randn(5, 7)
    line = windows @ model.weight.T + model.bias
    torch.testing.assert_close(model(windows)[..., 0], line)
    nn.init.normal_(model.network.head.weight)
    moved = model(windows)
    model.share.fill_(0.5)
    torch.testing.assert_close(model(windows), (moved + line[..., None]) / 2)
    model.share.zero_()
    assert (model(windows)[..., 0] == line).all()
    model(windows).sum().backward()
    assert {"weight", "bias"} <= set(model.state_dict())
    assert "weight" not in dict(model.named_parameters())


def test_quantiles_keep_their_distance_whatever_the_share():
    model = AfterLine(build("direct", levels=(0.1, 0.5, 0.9)), 7)
    windows = torch.randn(5, 7)
    whole = model(windows)
    model.share.zero_()
    line = model(windows)
    torch.testing.assert_close(whole - whole[..., 1:2], line - line[..., 1:2])
    assert (line[..., 1] == 0).all()
