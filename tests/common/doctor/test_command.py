"""`doctor RUN` on runs of several labs, as they are typed."""

import shutil

import numpy as np
import pytest

from common.doctor.patient import Patient
from common.images.known import load_embedded
from common.runs.folder import Run
from labs.autoencoder.__main__ import lab as autoencoder
from labs.classification.__main__ import lab as classification
from labs.classification.job import ClassifyImages

SMALL = ("--data", "digits", "--model", "mlp", "--threads", 1, "--augment", "none")


@pytest.fixture(scope="module")
def begun(command, tmp_path_factory, quick_pictures):
    """Return the folder of a run that was far too short."""
    root = tmp_path_factory.mktemp("doctor")
    words = ("--limit", 200, "--epochs", 2, "--run-dir", root, "--name", "short")
    assert command(classification, "train", *SMALL, *words).code == 0
    return root / "classification" / "short"


def files(run):
    return {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_a_short_run_is_told_so_and_how_to_go_on(command, begun):
    before = files(begun)
    done = command(classification, "doctor", begun, "--steps", 30)
    assert done.code == 0, done.err
    assert "One batch: of a fresh network, 30 updates on one training batch" in done.out
    assert "Likely cause: too few updates. It was trained for 6 updates only" in done.out
    assert f"Next: Go on with python -m labs.classification train --resume {begun}" in done.out
    assert f"examining {begun}" in done.err
    assert files(begun) == before


def test_of_an_epoch_that_time_cut_short_its_own_updates_count(command, begun, tmp_path):
    run = Run(shutil.copytree(begun, tmp_path / "cut"))
    first, last = run.history
    run.write_history([first, {**last, "updates": 1}])
    done = command(classification, "doctor", run.path, "--steps", 30)
    assert "trained for 4 updates only" in done.out
    job = ClassifyImages.reopen(run.path)
    assert Patient(job, job.load_splits(), 0).updates == 4


def test_without_steps_there_are_no_trials(command, begun):
    done = command(classification, "doctor", begun, "--steps", 0)
    assert done.code == 0
    assert "One batch" not in done.out


def test_what_is_no_run_is_refused(command, begun, tmp_path):
    done = command(classification, "doctor", tmp_path)
    assert done.code == 2
    assert "is not a run folder" in done.err
    assert command(autoencoder, "doctor", begun).code == 2


@pytest.mark.slow
@pytest.mark.parametrize("cause", ["a leak", "shuffled labels", "rate too low"])
def test_what_was_done_to_a_run_is_named(command, tmp_path, quick_pictures, cause):
    whole = load_embedded("digits").parts["all"]
    images, labels = whole.images[:, 0].numpy(), whole.targets.numpy()
    rate = "1e-6" if cause == "rate too low" else "1e-3"
    if cause == "shuffled labels":
        labels = np.random.default_rng(3).permutation(labels)
    arrays = {"x_train": images[:-300], "y_train": labels[:-300]}
    arrays |= {"x_test": images[-300:], "y_test": labels[-300:]}
    if cause == "a leak":
        arrays["x_test"][:40], arrays["y_test"][:40] = images[:40], labels[:40]
    np.savez(tmp_path / "mine.npz", **arrays)
    words = ("--data", tmp_path / "mine.npz", "--run-dir", tmp_path, "--name", "broken")
    options = (*SMALL[2:], "--epochs", 15, "--learning-rate", rate)
    assert command(classification, "train", *words, *options).code == 0
    done = command(classification, "doctor", tmp_path / "classification" / "broken")
    assert f"Likely cause: {cause}." in done.out
