"""What fits the memory of a device, and what fits the time, before a run begins."""

import json
import re
import time

import pytest
import torch
from torch import nn

from common.errors import ConfigError, NoMemoryError
from common.options.config import build
from common.runs.limits import trial
from common.runs.limits.trial import Timed
from labs.classification.__main__ import lab
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages

SMALL = {"data": "digits", "limit": 120, "model": "mlp", "device": "cpu", "threads": 1}
WORDS = ("--data", "digits", "--limit", "120", "--model", "mlp", "--threads", "1", "--name", "a")


class Small(nn.Module):
    """A device that has memory for so many samples."""

    def __init__(self, model, most):
        super().__init__()
        self.model, self.most = model, most

    def forward(self, inputs):
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.model(inputs)


def check(**values):
    return ClassifyImages.check(build(ClassificationConfig, ("options", {**SMALL, **values})))


@pytest.mark.parametrize(
    ("room", "first", "most", "size"),
    [(100, 64, 1024, 64), (5000, 64, 1024, 1024), (33, 64, 1024, 32), (1, 64, 64, 1)],
)
def test_the_largest_power_of_two_is_found(room, first, most, size):
    assert trial.find_largest(lambda each: each <= room, first, most) == size


def test_nothing_fits():
    with pytest.raises(NoMemoryError, match="even with one sample"):
        trial.find_largest(lambda each: False, 64, 64)


def test_updates_are_tried_and_leave_no_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job, splits = check()
    job.model = Small(job.model, 20)
    before = [tensor.clone() for tensor in job.model.state_dict().values()]
    assert [trial.fits(job, splits, size) for size in (16, 32)] == [True, False]
    assert job.config.batch_size == ClassificationConfig.batch_size
    after = job.model.state_dict().values()
    assert all(map(torch.equal, before, after))
    assert not list(tmp_path.iterdir())


def test_on_a_gpu_the_size_is_found_and_said(monkeypatch):
    job, splits = check(limit=1500)
    job.model = Small(job.model, 40)
    monkeypatch.setattr(job.compute, "device", torch.device("meta"))
    monkeypatch.setattr(trial, "fits", lambda job, splits, size: size <= 40)
    size, said = trial.fit_batch(job, splits)
    assert size == 32
    assert said.startswith("batches of 32: what fits meta; the learning rate stays 0.004")


def test_a_batch_that_is_to_be_found_is_no_number(monkeypatch):
    def built(*layers):
        config = build(ClassificationConfig, *layers)
        return config.fit_batch, config.batch_size, "batch_size" in config.given

    auto, file = ("options", {"batch_size": "auto"}), ("a.toml", {"batch_size": 8})
    assert built(auto) == (True, 64, False)
    assert built(file, auto) == (True, 8, True)
    assert built(("a.toml", {"batch_size": "auto"}), ("options", {"batch_size": "16"}))[:2] == (
        False,
        16,
    )
    with pytest.raises(ConfigError, match="--batch-size auto: goes without --micro-batch"):
        build(ClassificationConfig, ("options", {"batch_size": "auto", "micro_batch": "4"}))


def test_on_a_cpu_the_usual_batches_are_taken_and_that_is_said(command, tmp_path):
    where = ("--run-dir", str(tmp_path), "--epochs", "1", "--batch-size", "auto")
    done = command(lab, "train", *WORDS, *where)
    assert done.code == 0
    assert "chosen: batches of 64, as without --batch-size auto: a CPU has no memory" in done.err
    assert "batch_size = 64" in (tmp_path / "classification/a/config.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("given", "epoch", "epochs", "said"),
    [
        ("10m", 0.01, 50, "all 50 epochs: they fit --time 10m, at about 0.01 s each"),
        ("10m", 100.0, 5, "5 of 50 epochs: what fits --time 10m, at about 100s each"),
        ("10m", 2000.0, 1, "less than an epoch: that is what fits --time 10m, at about 33m each"),
    ],
)
def test_as_many_epochs_as_fit_the_time(given, epoch, epochs, said, monkeypatch):
    monkeypatch.setattr(trial, "_time_epoch", lambda *given: (0.0, epoch, 0.999 * epoch))
    job, _ = check(time=given, epochs=50)
    assert (job.config.epochs, job.config.time) == (epochs, None)
    assert job.reasons[-1] == said
    assert (job.timed.asked, job.timed.epochs) == (50, epochs)
    assert 500 < job.timed.training < 540


def test_the_time_of_an_epoch_is_tried():
    job, splits = check(time="10m", epochs=2)
    assert job.reasons == [f"all 2 epochs: they fit --time 10m, {job.reasons[0].split(', ')[1]}"]
    assert 0 < job.timed.epoch_seconds < 5
    preparing, epoch, learning = trial._time_epoch(
        job, splits, 1e-6
    )  # of which there is one update
    assert 0 < learning <= epoch < 20
    assert 0 < preparing < 5


def test_what_prepares_the_trial_prepares_the_run_again(monkeypatch):
    """As a head that is fitted before all trains: its time is no time for epochs."""
    prepare = ClassifyImages.prepare

    def prepare_slowly(job, splits, say):
        time.sleep(0.1)
        return prepare(job, splits, say)

    job, splits = check()
    monkeypatch.setattr(ClassifyImages, "prepare", prepare_slowly)
    assert trial._time_epoch(job, splits, 1e-6)[0] >= 0.1
    found = []
    for preparing in (0.0, 100.0):
        tried = (preparing, 1.0, 0.9)
        monkeypatch.setattr(trial, "_time_epoch", lambda *given, tried=tried: tried)
        found.append(check(time="10m")[0].timed.training)
    assert found[0] - found[1] == pytest.approx(100, abs=5)


def test_too_little_time_is_refused_before_there_is_a_run(command, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_time_epoch", lambda *given: (0.0, 9.0, 8.0))
    cases = {"1s": "--time 1s: is too little: before training", "soon": "--time soon: expected"}
    for given, said in cases.items():
        done = command(lab, "train", *WORDS, "--run-dir", str(tmp_path), "--time", given)
        assert done.code == 2
        assert said in done.err
    assert not list(tmp_path.iterdir())


def test_a_run_that_the_clock_ends_is_finished_and_can_go_on(command, tmp_path, monkeypatch):
    timed = Timed(600.0, 1e-9, 3, 3, 1.0)  # the machine turns out to be slower than it was
    monkeypatch.setattr(trial, "fit_time", lambda *given: timed)
    where = ("--run-dir", str(tmp_path), "--batch-size", "16", "--epochs", "3")
    done = command(lab, "train", *WORDS, *where, "--time", "10m")
    run = tmp_path / "classification/a"
    said = "It was given 10m, which was time for 1 of 3 epochs, the last one cut short after 1 "
    assert done.code == 0
    assert said in done.out
    assert said in (run / "report.html").read_text("utf-8")
    assert json.loads((run / "time.json").read_text("utf-8")) == timed._asdict()
    [row] = map(json.loads, (run / "history.jsonl").read_text("utf-8").splitlines())
    assert row["updates"] == 1
    done = command(lab, "train", "--resume", str(run), "--epochs", "3")
    assert done.code == 0
    assert "It was given" not in done.out
    assert len((run / "history.jsonl").read_text("utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("epoch", "evaluation", "said"),
    [
        (900.0, 1.0, r"of one of 3 runs, an epoch takes about 15m; give (\w+) or more"),
        (900.0, 800.0, r"of one of 3 runs, before training [\d.]+ s are over; give (\w+) or more"),
    ],
)
def test_what_is_too_little_for_runs_that_share_a_time_is_said_of_all_of_it(
    command, tmp_path, monkeypatch, epoch, evaluation, said
):
    """Members have no clock: of an epoch that is too long, each would train a whole one."""
    monkeypatch.setattr(trial, "_time_epoch", lambda *given: (0.0, epoch, epoch - evaluation))
    words = [*WORDS, "--run-dir", str(tmp_path), "--folds", "3", "--epochs", "9"]
    done = command(lab, "crossval", *words, "--time", "15m")
    assert done.code == 2
    found = re.search(said, done.err)
    assert found, done.err
    assert "--time 15m: is too little" in done.err
    done = command(lab, "crossval", *words, "--time", found[1])
    assert done.code == 0, done.err


def test_runs_of_a_comparison_share_the_time(command, tmp_path, monkeypatch):
    given = []

    def time_epoch(job, splits, seconds):
        given.append(job.config.time)
        return 0.0, 100.0, 99.0

    monkeypatch.setattr(trial, "_time_epoch", time_epoch)
    words = [*WORDS, "--run-dir", str(tmp_path), "--folds", "3", "--epochs", "9"]
    done = command(lab, "crossval", *words, "--time", "15m")
    assert done.code == 0
    assert given == ["300s"]
    assert "chosen: 2 of 9 epochs: 3 runs share --time 15m" in done.err
    config = (tmp_path / "classification/a/config.toml").read_text("utf-8")
    assert "epochs = 2 " in config
    assert "\ntime" not in config
