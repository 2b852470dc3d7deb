"""What several test files share; fixtures that are classes or functions are called by the tests."""

import os

# What this machine and its user have set changes what is printed and computed; a test that is
# about such a setting makes it. Before the libraries are imported, which read some of them.
for _name in ("COLUMNS", "FORCE_COLOR", "LINES", "MATPLOTLIBRC", "MPLBACKEND", "NO_COLOR"):
    os.environ.pop(_name, None)
for _name in ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONWARNINGS", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)
os.environ |= {"OMP_NUM_THREADS": "1", "TERM": "xterm"}

import contextlib
import csv
import functools
import gc
import io
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn import datasets
from torch import nn
from torch.nn import functional

from common.training import Task


def pytest_configure(config):
    """Compute on the CPU also where there is a GPU, unless that is what the tests are about.

    Where Python cannot write names of files in Korean, as in the locale C with PYTHONUTF8=0, begin
    again in its UTF-8 mode: many tests make such files.
    """
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


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
    """Keep what is decoded or encoded once in a folder of the tests' own, for all processes."""
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
        patch.setenv("LABS_CACHE", str(shared / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def quick():
    """Let no file wait for the disk, as no test cuts the power; parse what is embedded once.

    Garbage is looked for seldom, and not in what the libraries made when they were imported.
    """
    from labs.rnn.sentiment import data

    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(datasets, "load_digits", functools.cache(datasets.load_digits))
        patch.setattr(data, "tweets", functools.cache(data.tweets))
        yield


@pytest.fixture(scope="module")
def quick_pictures():
    """Save a pixel in place of each picture, for a module that is not about them."""

    def savefig(figure, file, **options):
        Image.new("L", (1, 1)).save(file, "png")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        yield


@pytest.fixture(scope="session")
def command():
    """Run a lab's command line in this process: the lab, the words.

    Bootstraps draw 100 times; figures are drawn with drawn=True alone.
    """
    from common.metrics import metrics
    from common.report import plots

    picture, draws = plots.png(plots.message("not drawn")), metrics._draws

    def run(lab, *words, stdin=b"", drawn=False):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(metrics, "_draws", lambda *given: draws(*given[:-1], 100))
            if not drawn:
                patch.setattr(plots, "png", lambda figure: picture)
            patch.setattr(sys, "argv", ["lab", *map(str, words)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as done,
            ):
                lab.main()
        return Result(done.value.code, out.getvalue(), err.getvalue())

    return run


# What a process of the tests does: `first` is code that runs before the command.
CHILD = """
import multiprocessing, os, sys
from importlib import import_module
multiprocessing.set_start_method("fork", force=True)  # the forkserver is for the tests alone
descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(descriptor, 1), os.dup2(descriptor, 2)
sys.argv = ["lab", *words]
main = import_module(f"labs.{lab}.__main__")
exec(first)
main.lab.main()
"""


# Seconds after which a process hangs; on a machine full of others it may well take its time.
HANGS = 300


def seconds_without_core(pid):
    """Return how long a process was ready to compute and other programs had the cores.

    Linux says so, of the main thread; elsewhere it is 0.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


@pytest.fixture(scope="session")
def without_core():
    """Return a function that says how many seconds a process was kept waiting by others."""
    return seconds_without_core


class Process:
    """A command of a lab in a process of its own."""

    def __init__(self, context, lab, words, first, output):
        words = [str(word) for word in words]
        scope = {"lab": lab, "words": words, "first": first, "output": str(output)}
        self._output = output
        self.process = context.Process(target=exec, args=(CHILD, scope))
        self.process.start()

    @property
    def text(self):
        return self._output.read_text() if self._output.exists() else ""

    def wait_for(self, what):
        """Wait until something is true, or until the process has ended; say which."""
        end = time.monotonic() + HANGS
        while not what():
            if not self.process.is_alive():
                return bool(what())
            assert time.monotonic() < end, self.text
            time.sleep(0.002)
        return True

    def send(self, signum):
        """Send a signal; return the exit code and the seconds until the process was gone.

        Those in which other programs had the cores do not count.
        """
        begun, before = time.monotonic(), seconds_without_core(self.process.pid)
        os.kill(self.process.pid, signum)
        waited = before
        while self.process.is_alive() and time.monotonic() - begun < HANGS:
            waited = max(waited, seconds_without_core(self.process.pid))
            time.sleep(0.005)
        return self.end(), time.monotonic() - begun - (waited - before)

    @contextlib.contextmanager
    def paused(self):
        """Let the process do nothing inside the block, so that it cannot be done too early."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # killed inside the block
                os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        """Return the exit code of the process when it has ended: minus the signal if killed."""
        self.process.join(HANGS)
        assert self.process.exitcode is not None, self.text
        return self.process.exitcode

    def kill(self):
        """End the process, if it has not ended; it can do nothing about it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.join()


@pytest.fixture(scope="session")
def process():
    """Start a lab's command in a process: the lab, the words, code to run first, a file for output.

    Each is forked from one that has imported everything, so that starting it takes no time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            [
                *("labs.classification.__main__", "labs.classification.job"),
                *(
                    "labs.autoencoder.__main__",
                    "labs.autoencoder.job",
                    "labs.autoencoder.views.latent_map",
                ),
                *("sklearn.datasets", "sklearn.decomposition", "sklearn.dummy", "sklearn.metrics"),
                *("sklearn.linear_model", "sklearn.neighbors", "sklearn.pipeline"),
                *("sklearn.preprocessing", "openTSNE", "rich.console"),
                "torch._dynamo",  # which the first step of an optimizer imports
            ]
        )
        yield lambda *arguments: Process(context, *arguments)


@pytest.fixture
def kill_often(process, tmp_path):
    """Return a function that kills a command at random moments, and goes on with it each time."""
    if os.name != "posix":
        pytest.skip("signals are POSIX's")

    def run(begin, folder, seconds, finished="", kept=None, began="config.toml", kills=10):
        """Kill what makes a run, go on with it with --resume, and so on; the last is killed, too.

        Args:
            begin: the words of the command, the verb first.
            folder: of the run.
            seconds: the least and the most that it has after it began.
            finished: a pattern of files in the folder of what is finished, never to be done again.
            kept: the name of the file beside each of these that is not to be written again; they
                themselves when None.
            began: the path in the folder from which on it has begun.
            kills: how many.
        """
        chance, known = random.Random(0), {}
        for kill in range(kills):
            there = (folder / "config.toml").exists()
            words = (begin[0], "--resume", folder) if there else begin
            running = process("classification", words, "", tmp_path / f"{kill}.out")
            running.wait_for((folder / began).exists)
            time.sleep(chance.uniform(*seconds))
            running.kill()
            for path in folder.glob(finished) if finished else ():
                changed = path.with_name(kept or path.name).stat().st_mtime_ns
                assert known.setdefault(path, changed) == changed
        # A run that ended between two kills has drawn as often as a user's does, and not as a
        # test's does; what it comes to is to be found again.
        (folder / "metrics.json").unlink(missing_ok=True)

    return run


@pytest.fixture(scope="session")
def untrained():
    """Return a function that makes a run whose weights are random: its job's class, options."""
    from common.options.config import build
    from common.training import checkpoint

    def make(kind, folder, **options):
        told = {"name": "run", "run_dir": str(folder), "device": "cpu", "threads": 1, **options}
        job, _ = kind.start(build(kind.config_type, ("test", told)), [])
        torch.manual_seed(0)
        for parameter in job.model.parameters():  # larger than at first, so that answers differ
            nn.init.normal_(parameter.data, std=0.3)
        checkpoint.save(job.run.best, dict(job.model.state_dict()), json.dumps({"row": {}}))
        return job.run.path

    return make


# A command of a lab where torch cannot be imported.
WITHOUT_TORCH = """
import sys
from importlib import import_module


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ImportError(f"{name} must not be imported")


sys.meta_path.insert(0, Refuse())
import_module(f"labs.{sys.argv.pop(1)}.__main__").lab.main()
"""


@pytest.fixture(scope="session")
def without_torch():
    """Run a lab's command in a process in which importing torch raises: the lab, the words."""

    def run(lab, *words):
        root = Path(__file__).parents[1]
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, lab, *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def conclude_again(monkeypatch):
    """Return a function that concludes an ensemble again, from the answers that are kept alone."""

    def conclude(lab, run):
        before = json.loads((run / "metrics.json").read_text("utf-8"))
        (run / "metrics.json").unlink()
        monkeypatch.setattr("common.ensembles.answers._ask", None)
        monkeypatch.setattr("common.ensembles.make.load_views", None)
        done = lab("ensemble", "--resume", run)
        assert done.code == 0, done.err
        now = json.loads((run / "metrics.json").read_text("utf-8"))
        assert {**now, "seconds": None} == {**before, "seconds": None}

    return conclude


@pytest.fixture(scope="session")
def paint():
    """Save a noisy picture of a brightness; each path gets its own noise."""

    def save(path, level, mode="RGB", size=(12, 12)):
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(sum(str(path.name).encode()) + 1000 * level)
        pixels = rng.integers(level, level + 60, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return save


@pytest.fixture(scope="session")
def photos(paint, tmp_path_factory):
    """Return a folder of dark and bright pictures with Korean class names, 10 in each class."""
    folder = tmp_path_factory.mktemp("사진") / "동물 '사진'"
    for name, level in (("고양이 [cat]", 0), ("강아지, 흰", 180)):
        for number in range(10):
            paint(folder / name / f"{number} 번.png", level)
    return folder


@pytest.fixture(scope="session")
def digits():
    """1,797 drawn digits: uint8 images (N, 1, 8, 8) from 0 to 240, and classes (N,)."""
    found = datasets.load_digits()
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


@pytest.fixture(scope="session")
def same_table():
    """Compare the CSV of two results cell by cell, and return the first one's rows.

    The last digits of numbers may differ.
    """

    def compare(asked, expected, **tolerance):
        assert asked.code == expected.code == 0, (asked, expected)
        assert asked.err == expected.err
        mine, theirs = (list(csv.reader(io.StringIO(each.out))) for each in (asked, expected))
        assert len(mine) > 1
        for one, other in zip(mine, theirs, strict=True):
            for cell, there in zip(one, other, strict=True):
                try:
                    assert float(cell) == pytest.approx(float(there), **tolerance)
                except ValueError:
                    assert cell == there
        return mine

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
