"""What the tests of faults share: a run that nobody disturbs, one that was stopped, and a shell."""

import os
import shutil
import signal
from types import SimpleNamespace

import pytest

from benchmarks.same_run import same
from common import files

TRAIN = (
    *("train", "--data", "digits", "--limit", "200", "--model", "mlp", "--augment", "affine"),
    *("--epochs", "4", "--batch-size", "8", "--ema", "0.9", "--save-every", "0.05"),
    *("--threads", "1", "--name", "run"),
)

# No report, and of the baselines the simplest: the tests are about the training.
LIGHT = """
import os, signal, time
os.fsync = lambda descriptor: None  # no test cuts the power
from labs.classification import baselines
from labs.classification.results import ClassificationResults
from sklearn.dummy import DummyClassifier
ClassificationResults.write_report = lambda each, *_: each.job.run.report.write_text("-")
baselines._candidates = lambda *_: {"majority": iter([DummyClassifier(strategy="most_frequent")])}
"""


def pytest_collection_modifyitems(items):
    """Signals, limits and forks are POSIX's."""
    for item in items:
        if item.path.parent.name == "reliability" and os.name != "posix":
            item.add_marker(pytest.mark.skip(reason="signals and forks are POSIX's"))


def checkpoints(run):
    """Return the checkpoints of a run, the newest last."""
    return sorted((run / "checkpoints").glob("[0-9]*.safetensors"))


@pytest.fixture(scope="session")
def saved():
    """Return the checkpoints of a run, the newest last; the fixture is the function."""
    return checkpoints


@pytest.fixture
def start(process, tmp_path):
    """Return a function that starts a command in a process, which does not outlive the test."""
    commands = []

    def begin(*words, first=""):
        output = tmp_path / f"output-{len(commands)}"
        commands.append(process("classification", words, LIGHT + first, output))
        return commands[-1]

    yield begin
    for command in commands:
        command.kill()


@pytest.fixture
def train(start, tmp_path):
    """Return a function that starts the run; it gives the process and the folder of the run."""

    def begin(first="", runs=tmp_path):
        command = start(*TRAIN, "--run-dir", runs, first=first)
        return command, runs / "classification" / "run"

    return begin


@pytest.fixture(scope="session")
def whole(process, tmp_path_factory):
    """Return the folder of the run when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    command = process("classification", (*TRAIN, "--run-dir", folder), LIGHT, folder / "output")
    assert command.end() == 0, command.text
    return folder / "classification" / "run"


@pytest.fixture(scope="session")
def stopped(process, tmp_path_factory):
    """Return the folder of the run as SIGTERM stopped it past the first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    run = folder / "classification" / "run"
    command = process("classification", (*TRAIN, "--run-dir", folder), LIGHT, folder / "output")
    assert command.wait_for(lambda: any("000001-" in each.name for each in checkpoints(run)))
    assert command.send(signal.SIGTERM)[0] == 143, command.text
    return run


@pytest.fixture
def half(stopped, tmp_path):
    """Return a copy of the stopped run, to be spoiled."""
    return shutil.copytree(stopped, tmp_path / "half")


@pytest.fixture
def goes_on(start, whole):
    """Return a function that goes on with a run, and looks whether it comes out the same."""

    def check(run, **options):
        command = start("train", "--resume", run, **options)
        assert command.end() == 0, command.text
        assert not list(run.rglob(f"{files.PREFIX}*"))
        assert same(run, whole) == {"weights": True, "history": True, "metrics": True}
        return command

    return check


@pytest.fixture
def stream(start, tmp_path):
    """Return a function that trains on pictures, which two processes read again in each epoch."""

    def begin(data, name="run", epochs=40):
        command = start(
            *("train", "--data", data, "--decoding", "stream", "--workers", "2", "--model"),
            *("linear", "--image-size", "8", "--augment", "none", "--epochs", epochs),
            *("--batch-size", "2", "--threads", "1", "--run-dir", tmp_path, "--name", name),
        )
        return SimpleNamespace(command=command, run=tmp_path / "classification" / name)

    return begin
