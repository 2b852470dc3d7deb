"""A small finished run on arrays that a test may change, and what a forger does to its files."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from common import files
from common.options.config import build
from common.runs.conclude import conclusion_of
from common.runs.folder import Run
from common.runs.proof import receipt
from common.runs.proof.verify import Verifier
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from tests.silent import Silent

EPOCHS = 6
SMALL = {
    **{"model": "linear", "epochs": EPOCHS, "batch_size": 32, "warmup": 0, "ema": "none"},
    **{
        "learning_rate": 0.01,
        "schedule": "none",
        "keep": 3,
        "device": "cpu",
        "precision": "32",
        "threads": 1,
    },
}


@pytest.fixture(scope="session")
def silent():
    return Silent()


@pytest.fixture(scope="session")
def original(digits, tmp_path_factory, silent):
    """A folder with data and a finished run; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("proof")
    write_data(folder / "digits.npz", digits, digits.targets[:200])
    given = {**SMALL, "data": str(folder / "digits.npz"), "run_dir": str(folder), "name": "one"}
    job, splits = ClassifyImages.start(build(ClassificationConfig, ("test", given)), ["run"])
    job.train(splits, silent, print)
    conclusion_of(job).conclude_member(splits)
    return SimpleNamespace(folder=folder, run=job.run, job=job, given=given)


def write_data(path, digits, targets):
    """Write 200 digits with labels as arrays."""
    np.savez(path, x=digits.images[:200, 0].numpy(), y=np.asarray(targets))


class Case:
    """A copy of the run and its data, which a test changes."""

    def __init__(self, original, folder, digits):
        shutil.copytree(original.folder, folder)
        self.run = Run(folder / "classification" / "one")
        self._data, self._digits = folder / "digits.npz", digits
        text = self.run.config.read_text("utf-8")
        moved = text.replace(str(original.folder), str(folder))
        self.run.config.write_text(moved, "utf-8")

    def look(self, updates=1000, seed=0):
        return Verifier(ClassifyImages, self.run).look(updates, seed)

    def change(self, name, change):
        """Change what one of the JSON files holds."""
        value = self.run.read(name)
        change(value)
        self.run.write(name, value)

    def change_config(self, old, new):
        lines = self.run.config.read_text("utf-8").splitlines()
        assert old in [line.partition("  #")[0] for line in lines]
        changed = [new if line.partition("  #")[0] == old else line for line in lines]
        self.run.config.write_text("\n".join(changed), "utf-8")

    def relabel(self, targets):
        write_data(self._data, self._digits, targets)

    def write_receipt_again(self):
        """Do what a forger does who knows how receipts are made."""
        run = self.run
        now = {
            "data": run.read("data")["fingerprint"],
            "config": receipt.hash_config(run, ClassificationConfig),
            "history": files.sha256_of(run.path / "history.jsonl"),
            "weights": files.sha256_of(run.best),
            "metrics": receipt.hash_value(run.read("metrics")),
            "training": receipt.describe_training(run),
        }
        self.change("receipt", lambda known: known.update(now))


@pytest.fixture
def case(original, tmp_path, digits):
    return Case(original, tmp_path / "case", digits)


@pytest.fixture
def rows():
    """Read the rows of a checkpoint's text."""
    return lambda text: json.loads(text)["position"]["rows"]
