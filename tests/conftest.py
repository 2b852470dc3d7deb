"""What several test files share; fixtures that are classes or functions are called by the tests."""

import contextlib
import io
import sys
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from common import cli
from common.training import Task


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tensors here are small: more threads would only wait for one another."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory):
    """Keep what is decoded or encoded once in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def command():
    """Run a lab's command line in this process: its group, its program's name, the words."""

    def run(group, program, *words, stdin=b""):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["lab", *map(str, words)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as done,
            ):
                cli.main(group, program)
        return Result(done.value.code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def digits():
    """1,797 drawn digits: uint8 images (N, 1, 8, 8) from 0 to 240, and classes (N,)."""
    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.uint8)[:, None] * 15
    return SimpleNamespace(images=images, targets=torch.tensor(found.target))


@pytest.fixture(scope="session")
def lenet():
    """Build a LeNet for digits, with weights that a seed names; it learns within a few steps."""

    def build(seed=0, dropout=0.0, norm=False):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4) if norm else nn.Identity(),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, 24),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(24, 16),
            nn.ReLU(),
            nn.Linear(16, 10),
        )
        for p in model.parameters():
            if p.ndim > 1:
                nn.init.kaiming_normal_(p)
        return model

    return build


@pytest.fixture(scope="session")
def classify():
    """Give the task of telling digits apart, as a class to build or to extend."""

    class Classify(Task):
        def loss(self, model, batch, when):
            inputs, targets = batch
            return {"loss": functional.cross_entropy(model(inputs), targets)}

        def outputs(self, model, batch):
            inputs, targets = batch
            return {"logits": model(inputs).float(), "targets": targets}

        def figures(self, outputs):
            logits, targets = outputs["logits"], outputs["targets"]
            return {
                "loss": functional.cross_entropy(logits, targets).item(),
                "accuracy": (logits.argmax(1) == targets).double().mean().item(),
            }

    return Classify


@pytest.fixture(scope="session")
def same():
    """Say whether two nested states are bitwise the same."""

    def compare(one, other):
        if isinstance(one, torch.Tensor):
            return one.dtype == other.dtype and torch.equal(one, other)
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(compare(one[k], other[k]) for k in one)
        if isinstance(one, list | tuple):
            return len(one) == len(other) and all(map(compare, one, other))
        return one == other

    return compare


@pytest.fixture
def small_files():
    """Give a context in which the kernel lets no file grow beyond 4,096 bytes."""
    resource = pytest.importorskip("resource", reason="only POSIX limits the size of files")

    @contextlib.contextmanager
    def limit():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
