"""The lab's command line in this process."""

from pathlib import Path

import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from labs.classification import __main__ as program
from labs.classification import baselines
from labs.classification.models import build
from labs.classification.results import ClassificationResults


@pytest.fixture(scope="session")
def trials():
    """Return what tries an image size with a model, and remembers what came of it."""
    found = {}

    def remembered(construct, *shape, tried=build._shape_problem):
        key = construct.func, construct.args, shape
        if key not in found:
            found[key] = tried(construct, *shape)
        return found[key]

    return remembered


@pytest.fixture(autouse=True)
def tried_once(trials, request, monkeypatch):
    """Try each image size once: it takes longer than to build a model. But where that is tested."""
    if request.path.name != "test_models.py":
        monkeypatch.setattr(build, "_shape_problem", trials)


@pytest.fixture(scope="session")
def lab(command):
    """Return a function that runs a command in this process.

    Most tests need neither the report nor more than one baseline, so that is what they get; with
    full=True nothing is left out.
    """

    def run(*words, full=False, **options):
        with pytest.MonkeyPatch.context() as patch:
            if not full:
                _lighten(patch)
            return command(program.lab, *words, **options)

    return run


def _lighten(patch):
    patch.setattr(
        ClassificationResults, "write_report", lambda each, *_: each.job.run.report.write_text("-")
    )
    majority = {"majority class": iter([DummyClassifier(strategy="most_frequent")])}
    mean = {"mean": iter([DummyRegressor()])}
    patch.setattr(baselines, "_candidates", lambda kind, _: majority if kind == "class" else mean)


@pytest.fixture
def train(lab, tmp_path):
    """Return a function that trains a small run; its result and its folder."""

    def call(*words, **options):
        result = lab("train", *SMALL, "--run-dir", tmp_path / "runs", *words, **options)
        return result, newest_run(tmp_path / "runs")

    return call


SMALL = (
    *("--data", "digits", "--limit", "60", "--model", "linear", "--augment", "none"),
    *("--epochs", "2", "--warmup", "0", "--batch-size", "16", "--learning-rate", "0.004"),
    *("--ema", "none", "--label-smoothing", "0", "--threads", "1"),
)


def newest_run(runs: Path) -> Path | None:
    """Return the run folder that was made last."""
    found = sorted(runs.glob("classification/*"), key=lambda path: path.stat().st_mtime_ns)
    return found[-1] if found else None


@pytest.fixture(scope="module")
def run(lab, photos, tmp_path_factory):
    """Return the folder of a run on photographs of two classes with Korean names."""
    runs = tmp_path_factory.mktemp("runs")
    result = lab(
        *("train", "--data", photos, "--model", "linear", "--image-size", "8", "--epochs", "8"),
        *("--augment", "none", "--run-dir", runs, "--name", "사진", "--threads", "1"),
    )
    assert result.code == 0, result
    return runs / "classification/사진"
