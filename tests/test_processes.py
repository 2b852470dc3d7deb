"""Several processes that train one run, as torchrun starts them, against one process."""

import json
import re
import signal
import socket
import subprocess
import sys
from pkgutil import resolve_name

import pytest
import torch
from safetensors.torch import load_file

from common.options.config import build, read_toml
from common.torchrun import Launch
from tests.silent import Silent

IMAGES = {"data": "digits", "limit": 120, "batch_size": 32, "warmup": 0}
JOBS = {  # what each job of every lab trains with here
    "labs.classification.job:ClassifyImages": {**IMAGES, "model": "lenet5"},
    "labs.autoencoder.job:Compression": {**IMAGES, "model": "vae", "latent_size": 3},
    "labs.detection.job:Detector": {"image_size": 64, "limit": 24, "batch_size": 8, "warmup": 0},
    "labs.rnn.sentiment.job:Sentiment": {"limit": 200, "hidden_size": 4, "embedding_size": 4},
    "labs.rnn.forecast.job:Forecast": {"limit": 200, "window": 8, "horizon": 3, "hidden_size": 4},
    "labs.rnn.translate.job:Translate": {"limit": 150, "hidden_size": 8, "embedding_size": 4},
    "labs.rnn.memory.member:Member": {
        **{"cells": ("gru",), "lengths": ("4",), "updates": 2, "hidden_size": 4},
    },
}
LENET = ["train", "--data", "digits", "--model", "lenet5", "--limit", 120, "--batch-size", 32]
LENET += ["--device", "cpu", "--threads", 1]
# Of a batch norm, two processes have the statistics of the first one's micro-batches.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

# A process that trains a job; or, of a command line, does nothing after that.
TRAIN = """
from pkgutil import resolve_name
from common.options.config import build
from common.options.terminal import Display
from common.training.distributed import processes
Display.__init__, Display.epoch = lambda self: None, lambda self, row, best: None
Display.progress = lambda self, progress: None  # which is called where an epoch takes long
kind = resolve_name(name)
with processes.joined():
    job, splits = kind.start(build(kind.config_type, ("test", options)), ["run"])
    job.train(splits, Display(), lambda line: None)
sys.exit()
"""
ALONE = "from common.runs.conclude import Conclusion; Conclusion.conclude = lambda *_: sys.exit()"


@pytest.fixture
def together(process, tmp_path):
    """Return a function that starts a command in two processes, as torchrun does."""
    started = []

    def start(lab, words, first="", outputs=("first", "second")):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for rank, name in enumerate(outputs):
            place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2}
            place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {key: str(value) for key, value in place.items()}
            started.append(
                process(lab, words, f"os.environ |= {environment}\n{first}", tmp_path / name)
            )
        return started[-2:]

    yield start
    for each in started:
        each.kill()


def said(each):
    """Return what a process has said, without what torch logs: commands import it silenced."""
    lines = each.text.splitlines(keepends=True)
    return "".join(line for line in lines if "reducer.cpp" not in line)


def newest(run):
    """Return the tensors of the last checkpoint of the one run in a folder."""
    found = load_file(sorted(run.glob("*/*/checkpoints/*.safetensors"))[-1])
    return {name: x for name, x in found.items() if not name.endswith(STATISTICS)}


def history(run):
    """Return the rows of the one run in a folder, without times."""
    [path] = run.glob("*/*/history.jsonl")
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    times = ("seconds", "samples_per_second")
    return [{name: x for name, x in row.items() if name not in times and x == x} for row in rows]


def train_alone(name, options, folder):
    """Train a job in this process, with micro-batches of half the batch."""
    kind = resolve_name(name)
    size = options.get("batch_size", kind.config_type.batch_size)
    options = {**options, "micro_batch": -(-size // 2), "run_dir": str(folder)}
    job, splits = kind.start(build(kind.config_type, ("test", options)), ["run"])
    job.train(splits, Silent(), lambda line: None)


def test_two_processes_train_as_one_does_with_half_the_micro_batch(together, tmp_path):
    words = [*LENET, "--epochs", 2, "--mixup", 0.4, "--ema", 0.9]
    both = together("classification", [*words, "--run-dir", tmp_path / "two"], ALONE)
    assert [each.end() for each in both] == [0, 0], both[0].text + both[1].text
    assert said(both[1]) == ""  # the first speaks for both
    assert "in 2 processes" in both[0].text
    [run] = (tmp_path / "two" / "classification").iterdir()
    options = read_toml(run / "config.toml")
    train_alone("labs.classification.job:ClassifyImages", options, tmp_path / "one")
    torch.testing.assert_close(newest(tmp_path / "two"), newest(tmp_path / "one"))
    for two, one in zip(history(tmp_path / "two"), history(tmp_path / "one"), strict=True):
        assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_every_job_trains_in_two_processes_as_in_one(name, together, tmp_path):
    options = {"epochs": 2, "device": "cpu", "precision": "32", "threads": 1, **JOBS[name]}
    scope = {**options, "run_dir": str(tmp_path / "two")}
    first = f"name, options = {name!r}, {scope!r}\n{TRAIN}"
    both = together(name.split(".")[1], [], first)
    train_alone(name, options, tmp_path / "one")
    assert [each.end() for each in both] == [0, 0], both[0].text + both[1].text
    torch.testing.assert_close(newest(tmp_path / "two"), newest(tmp_path / "one"))
    # What is drawn while a network is evaluated, and running statistics, differ.
    exact = name.split(":")[1] not in ("Compression", "Detector")
    for two, one in zip(history(tmp_path / "two"), history(tmp_path / "one"), strict=True):
        names = [each for each in one if exact or each.startswith("train/")]
        assert {n: two[n] for n in names} == pytest.approx({n: one[n] for n in names}, rel=1e-4)


def wait_for_epochs(run_dir, number, each):
    """Wait until the one run in a folder has so many epochs."""

    def there():
        texts = [path.read_text("utf-8") for path in run_dir.glob("*/*/history.jsonl")]
        return any(text.count("\n") >= number for text in texts)

    assert each.wait_for(there), each.text


@pytest.mark.slow
def test_a_signal_to_one_saves_and_ends_all_and_two_go_on_bitwise(together, command, tmp_path):
    from labs.classification.__main__ import lab

    words = [*LENET, "--epochs", 30, "--patience", "none"]
    whole = together("classification", [*words, "--run-dir", tmp_path / "whole"], ALONE)
    assert [each.end() for each in whole] == [0, 0], whole[0].text
    cut = tmp_path / "cut"
    first, second = together("classification", [*words, "--run-dir", cut], ALONE)
    wait_for_epochs(cut, 3, first)
    code, seconds = second.send(signal.SIGTERM)
    assert (code, first.end()) == (128 + signal.SIGTERM,) * 2, first.text
    assert seconds < 10
    [run] = cut.glob("*/*")
    assert re.search(r"Go on with: torchrun --nproc-per-node 2 -m .* --resume", first.text)
    assert 3 <= len(history(cut)) < 30
    again = together("classification", ["train", "--resume", run], ALONE, ("third", "fourth"))
    assert [each.end() for each in again] == [0, 0], again[0].text
    assert history(cut) == history(tmp_path / "whole")
    mine, theirs = newest(cut), newest(tmp_path / "whole")
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    done = command(lab, "train", "--resume", run)  # in one process: what is left, the report
    assert done.code == 0, done.err


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run(together, tmp_path):
    words = [*LENET, "--epochs", 1000, "--patience", "none", "--run-dir", tmp_path]
    first, second = together("classification", words)
    wait_for_epochs(tmp_path, 1, first)
    second.kill()
    assert first.end() == 1
    assert "process 0 of 2 has lost the others" in first.text
    assert "Traceback" not in first.text


@pytest.mark.slow
def test_what_is_wrong_is_said_once_and_what_one_alone_finds_by_that_one(together, tmp_path):
    both = together("classification", [*LENET, "--epochs", "many"], "", ("a", "b"))
    assert both[0].end() == 2
    assert "--epochs" in both[0].text
    assert both[1].text == ""
    wrong = "from common.runs import job\nfrom common.errors import ConfigError\n"
    wrong += 'def refuse(config):\n    raise ConfigError("no such device")\n'
    wrong += 'if os.environ["RANK"] == "1":\n    job._compute = refuse'
    both = together("classification", [*LENET, "--run-dir", tmp_path], wrong, ("c", "d"))
    assert both[1].end() == 2
    assert said(both[1]) == "Error in process 1: no such device\n"
    assert both[0].end() == 1
    assert not list(tmp_path.rglob("config.toml"))


@pytest.mark.slow
def test_torchrun_itself_starts_them_and_one_process_verifies_the_run(tmp_path, command):
    from labs.classification.__main__ import lab

    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    words += ["labs.classification", *LENET, "--epochs", 1, "--run-dir", tmp_path]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Report: ") == 1
    assert "Traceback" not in done.stderr
    [run] = tmp_path.glob("classification/*")
    assert {"metrics.json", "report.html"} <= {path.name for path in run.iterdir()}
    assert "2 processes" in (run / "environment.json").read_text("utf-8")
    found = command(lab, "verify", run)
    assert found.code == 0, found.out
    assert "trained in 2 processes, which one repeats to rounding" in found.out + found.err
    assert "3 of 3 updates were computed again" in found.out


@pytest.mark.slow
def test_runs_made_of_runs_are_refused_and_other_commands_are_the_first_ones(together, tmp_path):
    both = together("classification", ["crossval", "--data", "digits"], "", ("a", "b"))
    assert both[0].end() == 2
    assert "torchrun lets several processes train one" in both[0].text
    both = together("classification", ["summary", "lenet5"], "", ("c", "d"))
    assert [each.end() for each in both] == [0, 0]
    assert "parameters" in both[0].text
    assert both[1].text == ""


@pytest.mark.parametrize(
    ("launch", "program"),
    [
        (Launch(), "python -m"),
        (Launch(1, 2, 1, 2), "torchrun --nproc-per-node 2 -m"),
        (Launch(5, 8, 1, 4), "torchrun --nnodes 2 --nproc-per-node 4 -m"),
    ],
)
def test_a_launch_says_how_to_start_again(launch, program):
    assert launch.program == program
