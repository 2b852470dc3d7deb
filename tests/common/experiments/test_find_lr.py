"""The range test of the learning rate: what it finds, and that it leaves no trace."""

from copy import deepcopy
from importlib import import_module
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.errors import NonFiniteError
from common.experiments.find_lr import RangeTest, run_range_test
from common.options.config import build
from tests.silent import Silent

JOBS = {
    "labs.classification.job:ClassifyImages": {"data": "digits", "limit": 120, "model": "lenet5"},
    "labs.autoencoder.job:Compression": {"data": "digits", "limit": 120, "model": "linear"},
    "labs.detection.job:Detector": {"image_size": 64, "limit": 24, "batch_size": 8},
    "labs.rnn.sentiment.job:Sentiment": {
        **{"limit": 200, "hidden_size": 4, "embedding_size": 4, "members": 1}
    },
    "labs.rnn.forecast.job:Forecast": {"limit": 200, "window": 8, "horizon": 3, "period": 2},
    "labs.rnn.translate.job:Translate": {"limit": 150, "hidden_size": 8, "embedding_size": 4},
}
CURVE = np.geomspace(1e-6, 10, 100)


def prepare(kind, folder, **options):
    small = {"epochs": 1, "device": "cpu", "precision": "32", "threads": 1, "run_dir": str(folder)}
    found = resolve_name(kind)
    return found.check(build(found.config_type, ("test", {**small, **JOBS[kind], **options})))


def fall(rates, noise=0.0):
    """A loss that falls around 3e-3, is smallest near 3e-2, and grows."""
    x = np.log10(rates)
    drawn = np.random.default_rng(0).normal(size=len(x))
    return 2 - 1 / (1 + np.exp(-4 * (x + 2.5))) + np.exp(4 * (x + 1)) + noise * drawn


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_the_rates_of_a_known_curve_are_found(noise):
    found = RangeTest.of(CURVE, fall(CURVE, noise), diverged=True)
    assert found.steepest == pytest.approx(10**-2.5, rel=0.6)
    assert found.smallest == pytest.approx(10**-1.6, rel=0.6)
    assert found.tenth == found.smallest / 10
    assert found.suggested == pytest.approx(found.steepest, rel=0.3), "one digit of it"
    assert f"Suggested: {found.suggested:g}" in found.describe()


@pytest.mark.parametrize(("middle", "bound"), [(-1.75, 1 / 3), (-5, 1 / 10)])
def test_a_suggestion_stays_between_a_tenth_and_a_third_of_the_smallest(middle, bound):
    x = np.log10(CURVE)
    losses = 2 - 1 / (1 + np.exp(-12 * (x - middle))) + np.exp(4 * (x + 1)) - 0.01 * x
    found = RangeTest.of(CURVE, losses, diverged=True)
    assert found.suggested == pytest.approx(found.smallest * bound, rel=0.3)


def test_where_nothing_falls_nothing_is_suggested():
    losses = 2 + np.random.default_rng(0).normal(size=100) + np.exp(np.log10(CURVE) * 4)
    found = RangeTest.of(CURVE, losses, diverged=False)
    assert found.suggested is None
    assert "No rate made the loss fall" in found.describe()


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if "detection" in kind else ()) for kind in JOBS],
)
def test_a_job_is_left_as_it_was(kind, tmp_path, same):
    job, splits = prepare(kind, tmp_path)
    model, before = job.model, deepcopy(job.model.state_dict())
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    found = run_range_test(job, splits, updates=4, highest=0.01)
    assert found.rates == pytest.approx(np.geomspace(1e-6, 0.01, 4))
    assert np.isfinite(found.losses).all()
    assert job.model is model
    assert same(model.state_dict(), before)
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert not list(tmp_path.iterdir()), "no run"
    assert "run" not in vars(job)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("labs.classification.job:ClassifyImages", {"augment": "affine", "data": "digits"}),
        ("labs.rnn.sentiment.job:Sentiment", {}),
    ],
)
def test_training_after_it_is_bitwise_what_it_would_have_been(kind, options, tmp_path, same):
    runs = []
    for name in ("without", "with"):
        job, splits = prepare(kind, tmp_path, **options)
        if name == "with":
            run_range_test(job, splits, updates=8)
        job.create(tmp_path, name, name)
        job.train(splits, Silent(), lambda line: None)
        runs.append(job.run)
    histories = [[dict(row) for row in run.history] for run in runs]
    for row in (row for rows in histories for row in rows):
        row.pop("seconds"), row.pop("samples_per_second")
    assert histories[0] == histories[1]
    assert same(*(load_file(run.best) for run in runs))


def test_losses_are_those_of_the_loop_on_its_own_data(tmp_path):
    job, splits = prepare("labs.classification.job:ClassifyImages", tmp_path, warmup=0)
    found = run_range_test(job, splits, lowest=1e-12, highest=1e-11, updates=4)
    job.create(tmp_path, "slow", "slow")
    with job.prepare(splits, print) as prepared:
        batches = [batch for update in prepared.train.updates(0) for batch in update]
        model = deepcopy(job.model).train()
        first = prepared.task.loss(model, batches[0], None)["loss"]
    assert found.losses[0] == pytest.approx(first.item(), rel=1e-4)


def test_it_ends_where_the_loss_grows_and_names_data_that_are_not_finite(tmp_path):
    kind = "labs.classification.job:ClassifyImages"
    job, splits = prepare(kind, tmp_path, optimizer="sgd")
    found = run_range_test(job, splits, updates=60, highest=1e6)
    assert found.diverged
    assert len(found.rates) < 60
    with torch.no_grad():
        next(job.model.parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="is nan in epoch 1, batch 1"):
        run_range_test(job, splits, updates=20)


def test_the_command_draws_and_says_what_to_type_next(command, tmp_path):
    lab = import_module("labs.classification.__main__").lab
    words = ("--data", "digits", "--model", "mlp", "--threads", "1", "--run-dir", tmp_path)
    rate = ("--learning-rate=7", "--updates", "60", "--highest", "1")
    result = command(lab, "find-lr", *words, *rate, drawn=True)
    assert result.code == 0, result
    [following] = [line for line in result.out.splitlines() if line.startswith("Next: ")]
    assert following.startswith(
        f"Next: python -m labs.classification train --data digits --model mlp --threads 1 "
        f"--run-dir {tmp_path} --learning-rate 0.0"
    )
    picture = tmp_path / "classification/find-lr-mlp-digits.png"
    assert picture.stat().st_size > 10_000
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [picture.name]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lowest", "1", "--highest", "0.1"), "--lowest 1: expected less than --highest, 0.1"),
        (("--updates", "3"), "--updates"),
        (("--lowest", "0"), "--lowest"),
        (("--resume", "runs/x"), "no option --resume"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_wrong_input_is_one_error(command, tmp_path, words, said):
    lab = import_module("labs.classification.__main__").lab
    given = ("--data", "digits", "--run-dir", tmp_path / "runs", *words)
    result = command(lab, "find-lr", *given)
    assert result.code == 2
    assert said in result.err
    assert not (tmp_path / "runs").exists()


def test_each_job_of_a_lab_has_its_own():
    names = import_module("labs.rnn.__main__").lab.group.commands
    assert {"find-lr-sentiment", "find-lr-forecast", "find-lr-translate"} <= names.keys()
