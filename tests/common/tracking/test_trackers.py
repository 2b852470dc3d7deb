"""Runs shown elsewhere: what is shown, once, and what is said where a package is missing."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from common.errors import ConfigError
from common.options.config import build
from common.runs.conclude import conclusion_of
from common.torchrun import launched
from common.tracking import trackers
from labs.classification.job import ClassifyImages
from tests.silent import Silent

pytestmark = pytest.mark.usefixtures("quick_pictures")

needs_tensorboard = pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="needs the extra `track`: TensorBoard"
)
needs_wandb = pytest.mark.skipif(
    find_spec("wandb") is None, reason="needs the extra `track`: Weights & Biases"
)


class Notebook(trackers.Tracker):
    """A tracker that writes lines into a file of the run, as simple as one can be."""

    package = "json"

    def __init__(self, run, lab, options):
        self.path, self.options = run / "notebook.jsonl", options
        self.last = sum("epoch" in line for line in self.lines)

    @property
    def lines(self):
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def _add(self, **line):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def log_epoch(self, epoch, figures):
        self._add(epoch=epoch, **figures)

    def log_result(self, result):
        pictures = [path.name for path in result.pictures]
        options = {name: self.options[name] for name in ("model", "learning_rate", "track")}
        self._add(report=result.report.name, pictures=pictures, options=options, **result.figures)

    def close(self):
        self._add(closed=True)


@pytest.fixture
def stopped_and_resumed(tmp_path):
    """Train with a tracker for three epochs, in two parts; returns the run and its metrics."""

    def train(name):
        given = {"data": "digits", "limit": 100, "model": "linear", "epochs": 3, "ema": "none"}
        machine = {"device": "cpu", "threads": 1, "run_dir": str(tmp_path), "track": (name,)}
        config = build(ClassifyImages.config_type, ("test", {**given, **machine}))
        job, splits = ClassifyImages.start(config, ["train"])
        with pytest.raises(KeyboardInterrupt):
            job.train(splits, Silent(enough=2), lambda line: None)
        job = ClassifyImages.reopen(job.run.path)
        job.train(splits, Silent(), lambda line: None)
        return job.run, conclusion_of(job).conclude(splits, prepared=0.0)

    return train


def figures_of(row):
    return {name: value for name, value in row.items() if name != "epoch"}


def test_curves_go_on_where_they_stopped_and_the_result_follows(stopped_and_resumed, monkeypatch):
    monkeypatch.setattr(trackers, "_kind", lambda name: Notebook)
    run, metrics = stopped_and_resumed("tensorboard")
    lines = Notebook(run.path, "", {}).lines
    epochs = [line for line in lines if "epoch" in line]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert [figures_of(line) for line in epochs] == [figures_of(row) for row in run.history]
    [result] = [line for line in lines if "report" in line]
    assert result["test/accuracy"] == metrics["test"]["accuracy"]
    assert result["best_epoch"] == metrics["best_epoch"]
    assert result["report"] == "report.html"
    assert {"learning_curves.png", "confusion.png"} <= set(result["pictures"])
    assert result["options"] == {
        "model": "linear",
        "learning_rate": 0.004,
        "track": ["tensorboard"],
    }
    assert lines[-1] == {"closed": True}


def test_without_trackers_nothing_is_opened(tmp_path):
    with trackers.tracked((), tmp_path, "classification") as log:
        log({"epoch": 1, "train/loss": 0.5})
    trackers.log_result((), tmp_path, "classification", {"best_epoch": 1}, [])
    assert not list(tmp_path.iterdir())


class Broken(Notebook):
    """A tracker whose network comes and goes."""

    fails = frozenset()

    def log_epoch(self, epoch, figures):
        if epoch in self.fails:
            raise ConnectionError("the network is gone")
        super().log_epoch(epoch, figures)

    def log_result(self, result):
        if "result" in self.fails:
            raise ConfigError("--track json: nobody is logged in\nany more")
        super().log_result(result)

    def close(self):
        if "close" in self.fails:
            raise OSError("nothing to close")
        super().close()


@pytest.mark.parametrize("fails", [{2}, {"result"}, {"close"}])
def test_a_tracker_that_fails_takes_nothing_from_the_run(
    stopped_and_resumed, monkeypatch, capsys, fails
):
    monkeypatch.setattr(trackers, "_kind", lambda name: Broken)
    monkeypatch.setattr(Broken, "fails", frozenset(fails))

    run, metrics = stopped_and_resumed("tensorboard")
    assert run.read("metrics")["test"] == metrics["test"]
    said = capsys.readouterr().err
    assert "--track tensorboard failed, and the run goes on without it: " in said
    assert f"all is in {run.path}" in said


def test_what_a_tracker_has_missed_it_is_shown_with_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "_kind", lambda name: Broken)
    monkeypatch.setattr(Broken, "fails", {2})
    (tmp_path / "config.toml").write_text("model = 'a'\nlearning_rate = 1\ntrack = []")
    (tmp_path / "report.html").write_text("")
    rows = [{"epoch": epoch, "train/loss": 0.5} for epoch in (1, 2, 3)]
    with trackers.tracked(("tensorboard",), tmp_path, "classification") as log:
        for row in rows:
            log(row)
    monkeypatch.setattr(Broken, "fails", set())
    trackers.log_result(("tensorboard",), tmp_path, "classification", {}, rows)
    lines = Notebook(tmp_path, "", {}).lines
    assert [line["epoch"] for line in lines if "epoch" in line] == [1, 2, 3]


def test_of_several_processes_the_first_one_shows_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "_kind", lambda name: Notebook)
    monkeypatch.setattr(Notebook, "check", lambda: checked.append(launched().rank))
    (tmp_path / "config.toml").write_text("")
    checked = []
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        trackers.check(("tensorboard",))
        with trackers.tracked(("tensorboard",), tmp_path, "classification") as log:
            log({"epoch": 1, "train/loss": float(rank)})
    assert Notebook(tmp_path, "", {}).lines == [{"epoch": 1, "train/loss": 0.0}, {"closed": True}]
    assert set(checked) == {0}


def test_missing_packages_are_named_with_what_installs_them(monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    with pytest.raises(ConfigError) as refused:
        trackers.check(("tensorboard", "wandb"))
    assert refused.value.problems == [
        f"--track {package}: the package is not installed; install it with: pip install {package}"
        for package in ("tensorboard", "wandb")
    ]


def test_they_are_missed_before_anything_is_made(monkeypatch, command, tmp_path):
    from labs.classification.__main__ import lab

    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    words = ("--data", "digits", "--limit", "100", "--model", "linear", "--run-dir", tmp_path)
    result = command(lab, "train", *words, "--track", "tensorboard")
    assert result.code == 2
    assert "pip install tensorboard" in result.err
    assert not list(tmp_path.iterdir())


@needs_tensorboard
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_the_curves_of_the_history(stopped_and_resumed):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, metrics = stopped_and_resumed("tensorboard")
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    for name in figures_of(run.history[0]):
        points = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in points] == [1, 2, 3]
        values = [row[name] for row in run.history]
        assert [value for _, value in points] == pytest.approx(values, rel=1e-6)
    [accuracy] = events.Scalars("test/accuracy")
    assert accuracy.value == pytest.approx(metrics["test"]["accuracy"])
    assert "pictures/learning_curves" in events.Tags()["images"]
    assert "_hparams_/session_start_info" in events.summary_metadata


@needs_wandb
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_weights_and_biases_keeps_the_curves_offline(stopped_and_resumed, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, _ = stopped_and_resumed("wandb")
    note = json.loads((run.path / "wandb.json").read_text("utf-8"))
    assert note["epoch"] == 3
    parts = sorted((run.path / "wandb").glob("offline-run-*"))
    assert len(parts) == 3  # trained, resumed, measured: `wandb sync` makes one run of them
    assert all(f"-{note['id']}" in part.name for part in parts)  # -1 follows in the same second
    assert list(parts[-1].glob("files/media/html/report*.html"))
    assert list(parts[-1].glob("files/media/images/pictures/learning_curves*.png"))


@needs_wandb
@pytest.mark.slow
def test_who_is_not_logged_in_is_told_before_training(tmp_path):
    """In a process of its own: the package keeps what the test before has set."""
    words = ["--data", "digits", "--model", "linear", "--track", "wandb", "--run-dir", tmp_path]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    environment |= {"HOME": str(tmp_path / "home"), "NETRC": str(tmp_path / "netrc")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    result = subprocess.run(
        [sys.executable, "-m", "labs.classification", "train", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "--track wandb: " in result.stderr
    assert "WANDB_MODE=offline" in result.stderr
    assert not (tmp_path / "classification").exists()
