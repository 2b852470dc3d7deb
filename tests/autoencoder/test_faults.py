"""Runs that are killed, stopped and starved; what comes out must not differ by a bit.

Each run is a process of its own, forked from one that has imported everything, so that starting it
takes no time.
"""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from common import files
from common.training import checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX's"),
]

TRAIN = (
    *("train", "--data", "digits", "--limit", "300", "--model", "vae", "--threads", "1"),
    *("--latent-size", "4", "--width", "4", "--epochs", "6", "--batch-size", "8"),
    *("--save-every", "0.02"),
)
TIMES = ("seconds", "samples_per_second")

# No views in the report: most tests are about the training.
LIGHT = """
from labs.autoencoder.views import material as views
views.sections = lambda material: []
"""
# A map of this many steps takes longer than anyone waits; it says when it begins.
MAPS = """
from common.maps import tsne as maps
embed, maps._ITERATIONS = maps.embed, (250, 1_000_000)
def embed_aloud(*arguments, **options):
    print("MAPPING", flush=True)
    return embed(*arguments, **options)
maps.embed = embed_aloud
"""
# Maps of a few steps, where a report with all views is made to the end.
SHORT = """
from common.maps import tsne as maps
maps._ITERATIONS = (20, 30)
"""


@pytest.fixture
def start(process, tmp_path):
    """Return a function that starts a command in a process, which does not outlive the test."""
    commands = []

    def begin(*words, first=LIGHT):
        output = tmp_path / f"output-{len(commands)}"
        commands.append(process("autoencoder", words, first, output))
        return commands[-1]

    yield begin
    for command in commands:
        command.kill()


def train(start, runs, **options):
    """Start to train; return the process and the folder of the run."""
    command = start(*TRAIN, "--run-dir", runs, "--name", "run", **options)
    return command, runs / "autoencoder/run"


@pytest.fixture(scope="module")
def finished(process, tmp_path_factory):
    """Return a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    words = (*TRAIN, "--run-dir", folder, "--name", "run")
    command = process("autoencoder", words, LIGHT, folder / "output")
    assert command.end() == 0, command.text
    return folder / "autoencoder/run"


@pytest.fixture(scope="module")
def whole(finished):
    """Return what comes out of the run when nobody disturbs it."""
    return outcome(finished)


def saved(run):
    return sorted((run / "checkpoints").glob("[0-9]*.safetensors"))


def inside_an_epoch(run):
    """Say whether the newest checkpoint stands between two updates of an epoch."""
    return bool(saved(run)) and int(saved(run)[-1].stem.split("-")[1]) > 0


def outcome(run):
    """Return everything that must be the same, down to the bit."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    metrics = json.loads((run / "metrics.json").read_text())
    tensors = checkpoint.load(run / "best.safetensors").tensors
    assert not list(run.rglob(f"{files.PREFIX}*"))
    return {
        "best": {name: (each.dtype, each.numpy().tobytes()) for name, each in tensors.items()},
        "history": [{name: row[name] for name in row if name not in TIMES} for row in rows],
        "metrics": {name: value for name, value in metrics.items() if name != "seconds"},
    }


def check_stopped(command, signum, run):
    """Stop a command that trains, in time and without losing anything."""
    code, seconds = command.send(signum)
    assert code == 128 + signum, command.text
    assert seconds < 2
    assert "Traceback" not in command.text
    assert command.text.endswith(
        "Error: stopped; the run is saved. "
        f"Go on with: python -m labs.autoencoder train --resume {run}\n"
    )
    assert not (run / "metrics.json").exists()


def test_the_outcome_says_enough(whole):
    assert len(whole["history"]) == 6
    assert len({row["train/loss"] for row in whole["history"]}) == 6
    assert whole["metrics"]["test"].keys() >= {"kl", "mse", "mse_interval"}


def test_a_run_stopped_and_killed_comes_out_the_same(start, whole, tmp_path):
    command, run = train(start, tmp_path)
    rng = random.Random(0)
    for signum in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        before = saved(run)
        assert command.wait_for(
            lambda before=before: saved(run) != before and inside_an_epoch(run)
        ), command.text
        time.sleep(rng.uniform(0, 0.02))
        if signum == signal.SIGKILL:
            assert command.send(signum)[0] == -signum, command.text
        else:
            check_stopped(command, signum, run)
        command = start("train", "--resume", run)
    assert command.end() == 0, command.text
    assert outcome(run) == whole


@pytest.mark.parametrize("seed", range(10))
def test_a_run_killed_again_and_again_comes_out_the_same(seed, start, whole, tmp_path):
    command, run = train(start, tmp_path)
    rng = random.Random(seed)
    for _ in range(4):
        before = saved(run)
        if command.wait_for(lambda before=before: saved(run) != before):
            time.sleep(rng.uniform(0, 0.1))
        command.process.kill()
        if command.end() != -signal.SIGKILL:
            break
        command = start("train", "--resume", run)
    assert command.end() == 0, command.text
    assert outcome(run) == whole


@pytest.fixture
def trained(finished, tmp_path):
    """Return a copy of the run as it stands when it is trained and not yet measured."""
    run = Path(shutil.copytree(finished, tmp_path / "trained"))
    for name in ("metrics.json", "report.html"):
        (run / name).unlink()
    return run


def test_a_signal_in_the_middle_of_a_map_keeps_what_was_trained(start, whole, trained):
    for signum in (signal.SIGTERM, signal.SIGKILL):
        command = start("train", "--resume", trained, first=MAPS)
        assert command.wait_for(lambda command=command: "MAPPING" in command.text), command.text
        assert "measuring on the test split" in command.text
        time.sleep(0.5)  # so that it is in openTSNE's loop
        if signum == signal.SIGKILL:
            assert command.send(signum)[0] == -signum
        else:
            check_stopped(command, signum, trained)
        assert (trained / "views/reconstruct.json").is_file()
    command = start("train", "--resume", trained)
    assert command.end() == 0, command.text
    assert outcome(trained) == whole


def test_a_signal_ends_the_command_of_a_map_and_the_one_before_stays(start, finished, tmp_path):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    words = ("latents", run, "--split", "all")
    command = start(*words, first=LIGHT + SHORT)
    assert command.end() == 0, command.text
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    command = start(*words, first=LIGHT + MAPS)
    assert command.wait_for(lambda: "MAPPING" in command.text), command.text
    time.sleep(0.5)
    code, seconds = command.send(signal.SIGTERM)
    assert (code, seconds < 2) == (143, True), command.text
    assert "Traceback" not in command.text
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("wait", [0.0, 0.5, 2.0, 5.0])
def test_a_signal_ends_a_map_of_5000_images(wait, start, tmp_path):
    """Whatever it is at: the nearest neighbors, the first positions, or the steps."""
    words = ("train", "--data", "mnist5k", "--epochs", "1", "--warmup", "0", "--threads", "1")
    small = ("--model", "linear", "--run-dir", tmp_path, "--name", "run")
    assert start(*words, *small).end() == 0
    run = tmp_path / "autoencoder/run"
    command = start("latents", run, "--split", "all", first=LIGHT + MAPS)
    assert command.wait_for(lambda: "MAPPING" in command.text), command.text
    time.sleep(wait)
    code, seconds = command.send(signal.SIGTERM)
    assert (code, seconds < 2) == (143, True), command.text


def test_a_full_disk_after_training_spoils_nothing(start, whole, trained):
    """A limit on the size of files, below that of a picture, stands for a full disk."""
    before = {path: path.read_bytes() for path in (*saved(trained), trained / "best.safetensors")}
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    command = start("train", "--resume", trained, first=SHORT + full)
    assert command.end() == 1, command.text
    assert "Error: could not write " in command.text
    assert "what was saved before is intact; free some space there" in command.text
    assert "Traceback" not in command.text
    assert {path: path.read_bytes() for path in before} == before
    assert start("train", "--resume", trained).end() == 0
    assert outcome(trained) == whole
